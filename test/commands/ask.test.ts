/** Runs `weir sql` and `weir summary` as processes with a real gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { weir } from "./weir.ts";

const folder = temporaryFolder();
const socket = join(folder, "weir.sock");
const WORKERS_FILE = join(import.meta.dir, "../fixtures/workers/metrics_prod.json");

let gateway: GatewayProcess;
let env: { WEIR_URL: string };
beforeAll(async () => {
  gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--retention-days", "36500", "--no-sampler", "--log-level", "error", "--listen", `unix:${socket}`],
  });
  env = { WEIR_URL: gateway.url };
  await weir(["import", "--no-instance", WORKERS_FILE], { env });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const QUESTION = "SELECT queue, sum(value) AS done FROM jobs_done GROUP BY ALL";

describe("weir sql", () => {
  test("prints rows in each format", async () => {
    for (const [format, out] of [
      ["csv", "queue,done\nfast,6\n"],
      ["ndjson", '{"queue":"fast","done":6}\n'],
    ] as const) {
      expect(await weir(["sql", "--format", format, QUESTION], { env })).toEqual({
        code: 0,
        out: expect.stringMatching(
          new RegExp(`^${out.replace(/[{}]/g, "\\$&").replaceAll("\n", "\\r?\n")}$`),
        ),
        err: "",
      });
    }
    const json = await weir(["sql", "--format", "json", QUESTION], { env });
    expect(JSON.parse(json.out).rows).toEqual([{ queue: "fast", done: 6 }]);
    const table = await weir(["sql", QUESTION], { env });
    expect(table.out).toMatch(/queue +done *\n(?:.*\n)?fast +6/);
    const parquet = join(folder, "rows.parquet");
    expect(await weir(["sql", "--format", "parquet", "-o", parquet, QUESTION], { env })).toEqual({
      code: 0,
      out: "",
      err: "",
    });
    expect(readFileSync(parquet).subarray(0, 4).toString()).toBe("PAR1");
    expect(existsSync(`${parquet}.part`)).toBe(false);
  });

  test("reports on standard error that rows may be absent if the format cannot say it", async () => {
    const many = "SELECT range AS i, 'a\n\"b' AS text FROM range(100001)";
    const atLimit =
      "weir sql: 100000 rows are printed, the most that the gateway answers with; there may be more. ";
    const advice = 'Ask for less at once, such as a shorter range of ts, or use "weir export".\n';
    for (const format of ["csv", "ndjson", "lines"]) {
      const { code, err } = await weir(["sql", "--format", format, "--limit", "200000", many], { env });
      expect({ format, code, err }).toEqual({ format, code: 0, err: atLimit + advice });
    }
    const parquet = join(folder, "many.parquet");
    expect(await weir(["sql", "--format", "parquet", "-o", parquet, many], { env })).toEqual({
      code: 0,
      out: "",
      err: `weir sql: Rows are absent: the gateway answers with 100000 at most. ${advice}`,
    });
    // There is no note if the user set the limit, or if there are fewer rows than the limit.
    for (const args of [["--limit", "2", many], ["SELECT * FROM range(99999)"]])
      expect((await weir(["sql", "--format", "csv", ...args], { env })).err).toBe("");
  });

  test("reads the statement from standard input, and connects through a Unix socket", async () => {
    const { out } = await weir(["sql", "--format", "csv", "--url", `unix:${socket}`], {
      stdin: `${QUESTION}\n`,
    });
    expect(out.split(/\r?\n/)[1]).toBe("fast,6");
  });

  test("does not use the environment's proxy for a gateway on this machine", async () => {
    const proxy = { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" };
    for (const url of [gateway.url, `unix:${socket}`]) {
      const { code, err } = await weir(["sql", "--url", url, QUESTION], { env: proxy });
      expect({ code, err }).toEqual({ code: 0, err: "" });
    }
  });

  test("binds texts with =, and numbers with :=", async () => {
    const statement =
      "SELECT count(*) AS n FROM http_request_duration_ms WHERE status_code = $code AND value > $least";
    const args = ["sql", "--format", "csv", "--param", "code=200", "--param", "least:=200.5", statement];
    expect((await weir(args, { env })).out.split(/\r?\n/)[1]).toBe("2");
    const id = ["sql", "--format", "csv", "--param", "id:=738529527931269425", "SELECT $id::VARCHAR AS id"];
    expect((await weir(id, { env })).out).toBe("id\n738529527931269425\n");
  });

  test("limits rows", async () => {
    const { out } = await weir(["sql", "--format", "ndjson", "--limit", "2", "SELECT ts FROM samples"], {
      env,
    });
    expect(out.trimEnd().split("\n")).toHaveLength(2);
  });

  test(".tables lists each metric with its rows and columns, pushed metrics first", async () => {
    const { out } = await weir(["sql", ".tables"], { env });
    const lines = out.split("\n").map((line) => line.trim().split(/ {2,}/));
    expect(lines[0]).toEqual(["table", "rows", "last", "kind", "unit", "columns", "metric"]);
    const cells = (table: string) => lines.find(([name]) => name === table)?.toSpliced(2, 1);
    expect(cells("jobs_done")?.slice(2)).toEqual(["delta", "NULL", "ts, value, queue, task_id", "jobs.done"]);
    expect(cells("queue_depth")?.slice(2)).toEqual([
      "gauge",
      "NULL",
      "ts, value, instance, queue",
      "queue.depth",
    ]);
    expect(lines.findIndex(([name]) => name === "jobs_done")).toBeLessThan(
      lines.findIndex(([name]) => name === "samples"),
    );
    const json = await weir(["sql", "--format", "json", ".tables"], { env });
    expect(JSON.parse(json.out).tables.map(({ table }: { table: string }) => table)).toContain("jobs_done");
    const schema = await weir(["sql", ".schema", "jobs_*"], { env });
    expect(schema).toMatchObject({ code: 0, err: "" });
    expect(schema.out).toMatch(/^jobs_done\(ts TIMESTAMP, value DOUBLE[^)]*\)\n$/);
    expect(await weir(["sql", ".schema", "job_done"], { env })).toMatchObject({
      ...{ code: 1, out: "" },
      err: 'weir sql: There is no table "job_done"; .tables lists them.\n',
    });
    const csv = await weir(["sql", "--format", "csv", ".tables jobs*"], { env });
    expect(csv.out.split("\n").map((line) => line.split(",")[0])).toEqual(["table", "jobs_done", ""]);
  });

  test(".functions lists the functions that a statement may call", async () => {
    const { out } = await weir(["sql", "--format", "csv", ".functions", "regexp_repl*"], { env });
    expect(out).toBe(
      'name,kind,bounds\nregexp_replace,scalar,"pattern, replacement and options constants, at most 128 characters each"\n',
    );
  });

  test("reports an error in one line, with the right exit code", async () => {
    for (const [args, code, message] of [
      [["DROP TABLE samples"], 1, /^weir sql: .+\n$/],
      [
        [".tabels"],
        2,
        /^weir sql: There is no command "\.tabels"; there are \.tables, \.schema and \.functions\.\n/,
      ],
      [
        [".tables a b"],
        2,
        /^weir sql: "\.tables a b" has more than one pattern; expected \.tables \[PATTERN\]\.\n/,
      ],
      [["SELECT * FROM nothing"], 1, /^weir sql: .*nothing.*\n$/],
      [
        ["--format", "xml", "SELECT 1"],
        2,
        /^weir sql: --format is "xml", expected one of table, json, ndjson, csv, lines, parquet\.\n/,
      ],
      [["--param", "=1", "SELECT 1"], 2, /^weir sql: --param is "=1", expected NAME=TEXT or NAME:=JSON\.\n/],
      [
        ["--param", "a:={}", "SELECT 1"],
        2,
        /^weir sql: --param is "a:=\{\}", expected a number, a text, true, false or null after ":="\.\n/,
      ],
      [
        ["--limit", "0", "SELECT 1"],
        2,
        /^weir sql: --limit is "0", expected a whole number of at least 1\.\n/,
      ],
      [[], 2, /^weir sql: Standard input is empty, expected a statement\.\n/],
    ] as const) {
      const { err, ...rest } = await weir(["sql", ...args], { env });
      expect({ args, ...rest }).toEqual({ args, code, out: "" });
      expect(err).toMatch(message);
    }
  });
});

describe("weir summary", () => {
  test("lists the summaries with their parameters", async () => {
    const { code, out } = await weir(["summary"], { env });
    expect(code).toBe(0);
    const lines = out.split("\n").map((line) => line.split(/ {2,}/));
    expect(lines[0]).toEqual(["summary", "question", "parameters"]);
    expect(lines.map(([name]) => name)).toContain("task_timeline");
    expect(out).toMatch(/task_id=…/);
    // The list omits parameters for names of metrics and tags, which would make it unreadable.
    expect(out).not.toMatch(/_metric=|_tag=/);
    expect(out).toMatch(/\(--tasks-metric.*--format json lists all\.\n$/);
    const json = await weir(["summary", "--format", "json"], { env });
    expect(JSON.parse(json.out).summaries[0].question).toEndWith("?");
  });

  test("runs a summary with parameters", async () => {
    const args = [
      "summary",
      "task_timeline",
      "--task-id",
      "1704067200_abc123",
      "--from=2024-01-01",
      "--to",
      "2024-01-02",
    ];
    const { code, out } = await weir([...args, "--format", "ndjson"], { env });
    expect(code).toBe(0);
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.map(({ value }) => value)).toEqual([234.56, 234.56, 12, 5210.75, 1048576]);
    expect(
      (await weir([...args, "--limit", "1", "--format", "ndjson"], { env })).out.trimEnd().split("\n"),
    ).toHaveLength(1);
  });

  test("reports an error in one line, with the right exit code", async () => {
    for (const [args, code, message] of [
      [["none"], 1, /^weir summary: There is no summary "none"; there are .*\n$/],
      [
        ["slow_tasks", "--bogus", "1"],
        1,
        /^weir summary: slow_tasks has no parameter "bogus"; it takes .*\n$/,
      ],
      [
        ["slow_tasks", "--from", "-1h", "--to", "-2h"],
        1,
        /^weir summary: from is .*; expected a time before to, .*\n$/,
      ],
      [["slow_tasks", "--top"], 2, /^weir summary: --top needs a value after it\.\n/],
      [["slow_tasks", "more"], 2, /^weir summary: Unexpected argument "more" after the summary's name\.\n/],
      [["--top", "1"], 2, /^weir summary: --top is a parameter: give the summary's NAME\.\n/],
      [["slow_tasks", "-x"], 2, /^weir summary: Unexpected argument "-x"\.\n/],
    ] as const) {
      const { err, ...rest } = await weir(["summary", ...args], { env });
      expect({ args, ...rest }).toEqual({ args, code, out: "" });
      expect(err).toMatch(message);
    }
  });
});
