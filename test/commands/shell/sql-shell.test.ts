/** The interactive shell of `weir sql`, in a pseudo-terminal, with a gateway and with the folder of one that has stopped. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { openOffline } from "../../../src/commands/shell/offline-store.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { hasTerminal, typed } from "../terminal.ts";
import { weir } from "../weir.ts";

setDefaultTimeout(120_000);

const ROOT = join(import.meta.dir, "../../..");
const folder = temporaryFolder();
const data = join(folder, "data");
const program = [process.execPath, join(ROOT, "src/main.ts"), "sql"];
const PROMPT = "weir> ";

/** Would compute for minutes. */
const heavy = "SELECT sum(a.range * b.range) FROM range(100000) a, range(100000) b, range(100) c;";

/** A folder for the history of its own. */
function state(): { readonly env: Record<string, string>; readonly history: string } {
  const home = temporaryFolder();
  return { env: { XDG_STATE_HOME: home, PAGER: "" }, history: join(home, "weir/sql-history") };
}

async function start(): Promise<GatewayProcess> {
  return await GatewayProcess.start({ data, args: ["--no-sampler"] });
}

beforeAll(async () => {
  mkdirSync(data, { recursive: true });
  const gateway = await start();
  const events = ["mail", "mail", "print"].map((queue, at) => ({
    ...{ metric_name: "job.duration_ms", value: at + 1, tags: { queue } },
  }));
  const gauge = { metric_name: "queue.depth", value: 4, type: "gauge", tags: { queue: "mail" } };
  const response = await fetch(`${gateway.url}/api/v1/push`, {
    method: "POST",
    body: JSON.stringify([...events, gauge]),
  });
  expect(await response.json()).toEqual({ accepted: 4, rejected: 0, errors: [] });
  await gateway.stop("SIGTERM");
});

describe.skipIf(!hasTerminal)("with a gateway", () => {
  let gateway: GatewayProcess;
  let url: readonly string[];
  beforeAll(async () => {
    gateway = await start();
    url = ["--url", gateway.url];
  });
  afterAll(async () => void (await gateway.stop("SIGTERM")));

  test("runs statements of several lines, and continues after one that fails", async () => {
    const { code, screen } = await typed(
      [...program, ...url],
      [
        [PROMPT, "SELECT queue, sum(value) AS total\r"],
        ["...> ", "FROM job_duration_ms GROUP BY ALL ORDER BY ALL; SELECT ';' AS semicolon;\r"],
        ["semicolon", "SELECT no_such_column FROM job_duration_ms;\r"],
        ["no_such_column", ".quit\r"],
      ],
      state().env,
    );
    expect(code).toBe(0);
    expect(screen).toContain("queue  total\n-----  -----\nmail       3\nprint      3\n(2 rows)\n");
    expect(screen).toContain("semicolon\n---------\n;\n(1 row)\n");
    expect(screen).toMatch(/no_such_column.*(not found|not exist|no column)/is);
  });

  test("has commands for tables, schemas, formats, times and PromQL", async () => {
    const { code, screen } = await typed(
      [...program, ...url],
      [
        [PROMPT, ".tables job*\r"],
        ["(1 row)", ".schema queue_*\r"],
        ["queue VARCHAR)", "\\promql sum by (queue) (queue_depth) * 2\r"],
        ['{queue="mail"}  8', ".schema queue_no\r"],
        ["There is no table", ".mode\r"],
        [".mode is table", ".mode csv\r"],
        [PROMPT, ".timing\r"],
        [".timing is off", ".timing on\r"],
        [PROMPT, "SELECT value FROM queue_depth;\r"],
        [" s\r\n", ".mode florp\r"],
        ["expected one of table", ".florp\r"],
        ["There is no command", ".help\r"],
        ["The Tab key", "\u0004"],
      ],
      state().env,
    );
    expect(code).toBe(0);
    expect(screen).toContain("job_duration_ms");
    expect(screen).toContain("queue_depth(ts TIMESTAMP, value DOUBLE, queue VARCHAR)\n");
    expect(screen).toContain('series          value\n{queue="mail"}  8\n');
    expect(screen).toMatch(/value\n4\n\d+\.\d{3} s\n/);
  });

  test("completes tables and columns, and keeps a history that only its owner can read", async () => {
    const { env, history } = state();
    const first = await typed(
      [...program, ...url],
      [
        [PROMPT, "SELECT count(*) AS n FROM job_d"],
        // By itself: a tab in a pasted text completes nothing.
        ["FROM job_d", "\t"],
        ["uration_ms", ";\r"],
        ["(1 row)", "SELECT qu"],
        ["SELECT qu", "\u0003"],
        ["^C", "\u0004"],
      ],
      env,
    );
    expect(first.code).toBe(0);
    expect(first.screen).toContain("FROM job_duration_ms;\nn\n-\n3\n(1 row)\n");
    expect(readFileSync(history, "utf8")).toBe("SELECT count(*) AS n FROM job_duration_ms;\n");
    expect(statSync(history).mode & 0o077).toBe(0);
    // The key "up" brings back the line of the earlier session.
    const second = await typed(
      [...program, ...url],
      [
        [PROMPT, "\u001b[A\r"],
        ["(1 row)", ".quit\r"],
      ],
      env,
    );
    expect(second.screen).toContain("n\n-\n3\n(1 row)\n");
  });

  test("continues at the end of what was typed while a statement ran", async () => {
    const { screen } = await typed(
      [...program, ...url],
      [
        [PROMPT, "SELECT 1 AS one;\rSELECT "],
        [`${PROMPT}SELECT `, "5 AS five;\r"],
        ["(1 row)", ".quit\r"],
      ],
      state().env,
    );
    expect(screen).toContain("five\n----\n   5\n(1 row)\n");
  });

  test("prints the time of a statement without the time in the pager", async () => {
    const times = join(temporaryFolder(), "times");
    const { screen } = await typed(
      [...program, ...url],
      [
        [PROMPT, ".timing on\r"],
        [PROMPT, "SELECT unnest(range(40)) AS n;\r"],
        [" s\r\n", "SELECT unnest(range(40)) AS n;\r"],
        [" s\r\n", ".quit\r"],
      ],
      // A person who reads the second answer for three seconds. Only with the mistake does the result depend on how many.
      {
        ...state().env,
        PAGER: `test -e ${times} && waits=3; date +%s%3N >>${times}; sleep \${waits-0}; cat`,
      },
      20,
    );
    const seconds = [...screen.matchAll(/^(\d+\.\d{3}) s$/gm)].map(([, text]) => Number(text));
    const [first, second] = readFileSync(times, "utf8").split("\n").map(Number);
    expect(seconds).toHaveLength(2);
    expect(seconds[1]! * 1_000).toBeLessThanOrEqual(second! - first!);
  });

  test("shows an answer that is longer than the terminal in the pager", async () => {
    const marked = join(temporaryFolder(), "paged");
    const { code, screen } = await typed(
      [...program, ...url],
      [
        [PROMPT, "SELECT 7 AS short;\r"],
        ["(1 row)", "SELECT unnest(range(40)) AS n;\r"],
        ["paged 43 lines", ".quit\r"],
      ],
      { ...state().env, PAGER: `cat >${marked}; echo paged $(wc -l <${marked}) lines` },
      20,
    );
    expect(code).toBe(0);
    expect(screen).toContain("short\n-----\n    7\n");
    expect(readFileSync(marked, "utf8")).toContain("(40 rows)");
  });

  const activeQueries = async () => {
    const response = await fetch(`${gateway.url}/api/v1/status/active_queries`);
    return ((await response.json()) as { data: { query: string; state: string }[] }).data;
  };

  test("Ctrl-C cancels the statement that runs, in the gateway too, and the next one is answered", async () => {
    const isRunning = join(temporaryFolder(), "running");
    const session = typed(
      [...program, ...url],
      [
        [PROMPT, `${heavy} SELECT 8 AS after_it;\r`],
        [`file:${isRunning}`, "\u0003"],
        ["was cancelled", "SELECT 7 AS next;\r"],
        ["(1 row)", ".quit\r"],
      ],
      state().env,
    );
    while ((await activeQueries()).length === 0) await Bun.sleep(10);
    writeFileSync(isRunning, "");
    const { code, screen } = await session;
    expect(code).toBe(0);
    expect(screen).toContain("^C\nThe statement was cancelled.\n");
    expect(screen).toContain("next\n----\n   7\n(1 row)\n");
    expect(screen).not.toContain("after_it\n---");
    while ((await activeQueries()).length > 0) await Bun.sleep(10);
  });

  test("Ctrl-C in the pager does not end the shell", async () => {
    const { code, screen } = await typed(
      [...program, ...url],
      [
        [PROMPT, "SELECT unnest(range(40)) AS n;\r"],
        ["pager waits", "\u0003"],
        ["pager ends", "SELECT 7 AS next;\r"],
        ["(1 row)", ".quit\r"],
      ],
      {
        ...state().env,
        PAGER: "cat >/dev/null; trap 'echo pager ends; exit' INT; echo pager waits; sleep 60 & wait",
      },
      20,
    );
    expect(code).toBe(0);
    expect(screen).toContain("next\n----\n   7\n(1 row)\n");
  });

  test("rejects a gateway that cannot be reached, before anything is typed", async () => {
    const { code, screen } = await typed([...program, "--url", "http://127.0.0.1:1"], [], state().env);
    expect(code).toBe(1);
    expect(screen).toContain("weir sql: Cannot reach a gateway at http://127.0.0.1:1");
  });

  test("a folder that a gateway has open is rejected, with the way to ask the gateway", async () => {
    const { code, err } = await weir(["sql", "--data", data, "SELECT 1"]);
    expect(code).toBe(1);
    expect(err).toContain("ask that gateway, without --data");
  });
});

const filesOf = (path: string) =>
  readdirSync(path)
    .toSorted()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(path, name));
      return { name, size, mtimeMs };
    });

test("a folder that no gateway has open answers statements, and is not changed", async () => {
  const before = filesOf(data);
  expect(
    await weir(["sql", "--data", data, "--format", "csv", "SELECT sum(value) AS s FROM job_duration_ms"]),
  ).toEqual({
    code: 0,
    out: "s\n6\n",
    err: "",
  });
  expect(filesOf(data)).toEqual(before);
  const missing = await weir(["sql", "--data", join(folder, "missing"), "SELECT 1"]);
  expect(missing.code).toBe(1);
  expect(missing.err).toContain("missing");
  expect(await weir(["sql", "--data", data, "--url", "http://127.0.0.1:1", "SELECT 1"])).toMatchObject({
    code: 2,
  });
});

test("a statement on a folder ends when it is cancelled", async () => {
  await using store = await openOffline(data);
  const stop = new AbortController();
  const answer = store.send("/api/v1/sql", { method: "POST", body: heavy, signal: stop.signal });
  const active = async () => {
    // Requests without a socket never wait: without this, the statement would not begin.
    await setImmediate();
    const response = await store.send("/api/v1/status/active_queries");
    return ((await response.json()) as { data: unknown[] }).data;
  };
  while ((await active()).length === 0);
  stop.abort();
  expect((await answer).ok).toBe(false);
  while ((await active()).length > 0);
});

test.skipIf(!hasTerminal)("a folder that no gateway has open has the same shell, with PromQL", async () => {
  const { code, screen } = await typed(
    [...program, "--data", data],
    [
      [PROMPT, "\\promql sum(last_over_time(queue_depth[1d]))\r"],
      ["{}", "SELECT max(value) AS largest FROM job_duration_ms;\r"],
      ["(1 row)", ".quit\r"],
    ],
    state().env,
  );
  expect(code).toBe(0);
  expect(screen).toContain("{}      4\n");
  expect(screen).toContain("largest\n-------\n      3\n(1 row)\n");
});
