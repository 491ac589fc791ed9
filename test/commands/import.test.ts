/** Runs `weir import` as a process with a real gateway: each line is stored once, whatever happens. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { lineHash } from "../../src/line-files/chunks.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { start, weir } from "./weir.ts";

const folder = temporaryFolder();
const SETTINGS = ["--retention-days", "36500", "--no-sampler", "--log-level", "error"];
/** 2024-01-15T00:00:00Z */
const BEGIN_MS = 1_705_276_800_000;

let gateway: GatewayProcess;
let url: string[];
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args: SETTINGS });
  url = ["--url", gateway.url];
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

/** Lines of a metric of their own, with values 0, 1, 2 … */
const lines = (metric: string, from: number, to: number): string =>
  Array.from(
    { length: to - from },
    (_, index) =>
      `{"@timestamp":${BEGIN_MS + (from + index) * 10},"metric_name":"${metric}","value":${from + index},"tags":{"task_id":"t${from + index}","operation":"get"}}\n`,
  ).join("");
let files = 0;
const put = (content: string | Uint8Array, name = `file-${files++}.json`): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

/** The number of samples and of distinct values of a metric. */
async function stored(
  metric: string,
  from: string = gateway.url,
): Promise<{ samples: number; values: number }> {
  const response = await fetch(`${from}/api/v1/export?metric=${metric}`);
  if (response.status === 404) return { samples: 0, values: 0 };
  const events = (await response.text()).split("\n").filter((line) => line !== "");
  return { samples: events.length, values: new Set(events.map((line) => JSON.parse(line).value)).size };
}

/** About 33 MB, sixteen chunks: enough that a test can interrupt an import in the middle. */
const MANY = 300_000;

/** Waits until more than `offset` bytes of the metric's file are imported, while the import runs. */
async function offsetPast(
  offset: number,
  metric: string,
  from: string,
  importing: { readonly exitCode: number | null },
): Promise<number> {
  const file = lineHash(new TextEncoder().encode(lines(metric, 0, 1)));
  for (;;) {
    const response = await fetch(`${from}/api/v1/imports/${file}`);
    const { byteOffset = 0 } = (await response.json()) as { byteOffset?: number };
    if (byteOffset > offset) return byteOffset;
    expect(importing.exitCode).toBeNull();
  }
}

describe("each line is stored once", () => {
  test("if a file is imported at noon, after its rotation at midnight, and as gzip", async () => {
    const path = put(lines("rotated", 0, 100), "metrics_1.json");
    expect(await weir(["import", ...url, path])).toEqual({ code: 0, out: `${path}: 100 stored\n`, err: "" });
    expect((await weir(["import", ...url, path])).out).toBe(`${path}: nothing new\n`);

    const noon = put(readFileSync(path), "noon.json");
    appendFileSync(path, lines("rotated", 100, 250));
    const midnight = `${path}.2024-01-15`;
    renameSync(path, midnight);
    put(lines("rotated_next", 0, 10), "metrics_1.json");
    const { code, out } = await weir(["import", ...url, midnight, path, noon]);
    expect(out).toBe(
      `${midnight}: 150 stored\n${path}: 10 stored\n` +
        `${noon}: nothing new\n  note: it ends at byte ${lines("rotated", 0, 100).length}, and a file that begins with the ` +
        `same lines was imported up to byte ${lines("rotated", 0, 250).length}: it was treated as an earlier copy, and ` +
        "nothing was read. If it is another file, import it with --as NAME\n" +
        "In 3 files: 160 stored.\n",
    );
    expect(code).toBe(0);

    const compressed = put(gzipSync(lines("rotated", 0, 300)), "archive");
    expect((await weir(["import", ...url, compressed])).out).toBe(`${compressed}: 50 stored\n`);
    expect(await stored("rotated")).toEqual({ samples: 300, values: 300 });
    expect(await stored("rotated_next")).toEqual({ samples: 10, values: 10 });
  });

  test("if the last line is incomplete: it is stored when it is whole", async () => {
    const next = lines("cut", 10, 11);
    const path = put(lines("cut", 0, 10) + next.slice(0, 40));
    expect((await weir(["import", ...url, path])).out).toBe(
      `${path}: 10 stored\n  note: its last line is cut (40 bytes from byte ${lines("cut", 0, 10).length} on): left for the next import\n`,
    );
    appendFileSync(path, next.slice(40, -1));
    expect((await weir(["import", ...url, path])).out).toBe(`${path}: 1 stored\n`);
    appendFileSync(path, `\n${lines("cut", 11, 12)}`);
    expect((await weir(["import", ...url, path])).out).toBe(`${path}: 1 stored\n`);
    expect(await stored("cut")).toEqual({ samples: 12, values: 12 });
  });

  test("if an import is killed: the next one continues after the last commit", async () => {
    const path = put(lines("killed", 0, MANY));
    let offset = 0;
    for (let kills = 0; kills < 3; kills++) {
      const child = start(["import", ...url, path]);
      offset = await offsetPast(offset, "killed", gateway.url, child);
      child.kill("SIGKILL");
      await child.exited;
    }
    const { code, out } = await weir(["import", ...url, path]);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/: [1-9][\d,]* stored\n$/) });
    expect(await stored("killed")).toEqual({ samples: MANY, values: MANY });
  });

  test("if the gateway is killed and restarted during the import", async () => {
    const data = join(folder, "restarted");
    const path = put(lines("restarted", 0, MANY));
    const first = await GatewayProcess.start({ data, args: SETTINGS });
    const child = start(["import", "--url", first.url, path]);
    await offsetPast(0, "restarted", first.url, child);
    await first.stop("SIGKILL");
    const address = first.url.slice("http://".length);
    const second = await GatewayProcess.start({ data, args: [...SETTINGS, "--listen", address] });
    try {
      // On a busy machine the gateway is away for long enough that the command says so.
      const err = (await child.stderr.text()).replaceAll(/^weir import: .*; retrying in \d+ s\n/gm, "");
      expect({ code: await child.exited, err }).toEqual({ code: 0, err: "" });
      expect(await stored("restarted", second.url)).toEqual({ samples: MANY, values: MANY });
    } finally {
      await second.stop("SIGTERM");
    }
  });

  test("if two imports of one file run at the same time", async () => {
    const count = 30_000;
    const path = put(lines("together", 0, count));
    const both = await Promise.all([weir(["import", ...url, path]), weir(["import", ...url, path])]);
    expect(both.map(({ code, err }) => ({ code, err }))).toEqual([
      { code: 0, err: "" },
      { code: 0, err: "" },
    ]);
    expect(await stored("together")).toEqual({ samples: count, values: count });
  });

  test("if a file is imported without a gateway, and then with one on the same folder", async () => {
    const data = join(folder, "offline");
    const path = put(lines("offline", 0, 50));
    const offline = ["import", "--data", data, ...SETTINGS];
    expect(await weir([...offline, path])).toEqual({ code: 0, out: `${path}: 50 stored\n`, err: "" });
    appendFileSync(path, lines("offline", 50, 60));
    const running = await GatewayProcess.start({ data, args: SETTINGS });
    try {
      const locked = await weir([...offline, path]);
      expect(locked.code).toBe(1);
      expect(locked.err).toMatch(
        /^weir import: .*store\.duckdb is open in another process; stop it first, or import through it with --url\n$/,
      );
      expect((await weir(["import", "--url", running.url, path])).out).toBe(`${path}: 10 stored\n`);
      expect(await stored("offline", running.url)).toEqual({ samples: 60, values: 60 });
    } finally {
      await running.stop("SIGTERM");
    }
  });
});

describe("the report", () => {
  test("counts rejected lines by reason, with the first of each, and valid lines are stored", async () => {
    const good = lines("mixed", 0, 1);
    const wrong = [
      '{"@timestamp":1705276800000,"metric_name":"mixed","value":"12"}\n',
      '{"@timestamp":1705276800000,"metric_name":"mixed","value":null}\n',
      '{"@timestamp":1705276800000,"metric_name":7,"value":1}\n',
      "not JSON\n",
    ];
    const path = put(good + wrong.join("") + lines("mixed", 1, 3));
    const { code, out, err } = await weir(["import", ...url, path]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const at = (index: number) => good.length + wrong.slice(0, index).join("").length;
    expect(out.split("\n").slice(0, 3)).toEqual([
      `${path}: 3 stored, 4 rejected`,
      `  rejected 2 (value): line 2 at byte ${at(0)}: value is "12", expected a finite number`,
      `  rejected 1 (name): line 4 at byte ${at(2)}: metric_name is 7, expected a string`,
    ]);
    expect(out.split("\n")[3]).toStartWith(`  rejected 1 (syntax): line 5 at byte ${at(3)}: `);
    expect(await stored("mixed")).toEqual({ samples: 3, values: 3 });
  });

  test("has an example of each kind of reason, also of one that only the last line has", async () => {
    const cut = '{"metric_name":"kinds","va\n';
    // 150 lines of two kinds, more than one answer lists, and then one of a third.
    const many = Array.from({ length: 75 }, (_, n) => `{"metric_name":"kinds","value":${n}x}\n${cut}`).join(
      "",
    );
    const path = put(`${lines("kinds", 0, 1)}${many}{"metric_name":"kinds","value":NaN}\n`);
    const { out } = await weir(["import", ...url, path]);
    const at = lines("kinds", 0, 1).length;
    const second = at + '{"metric_name":"kinds","value":0x}\n'.length;
    const last = at + many.length;
    expect(out.split("\n").slice(0, 4)).toEqual([
      `${path}: 1 stored, 151 rejected`,
      `  rejected 151 (syntax): line 2 at byte ${at}: byte ${at + 31} of the file has "0x}" where a JSON value was expected`,
      `    line 3 at byte ${second}: byte ${second + 26} of the file is the end of the line, inside a string`,
      `    line 152 at byte ${last}: byte ${last + 31} of the file has NaN, which is not JSON; a gauge takes "NaN" in quotation marks as its value, and other types need a finite number`,
    ]);
  });

  test("shows at most five examples of a cause", async () => {
    const wrong = ["[1]", '{"x"', '{"x":', '{"x":1', '{"x":"', "{x:1}", '{"x":1,}']
      .map((line) => `${line}\n`)
      .join("");
    const { out } = await weir(["import", ...url, put(lines("five", 0, 1) + wrong)]);
    const shown = out.trimEnd().split("\n").slice(1);
    expect(shown).toHaveLength(6);
    expect(shown[0]).toStartWith("  rejected 7 (syntax): line 2 at byte ");
    expect(shown.slice(1, 5).every((line) => /^ {4}line \d at byte /.test(line))).toBe(true);
    expect(shown[5]).toBe("    … and other reasons");
  });

  test("keeps the digits of ids beyond 2^53", async () => {
    const ids = ["738529527931269425", "738529527931269426", "18446744073709551615"];
    const path = put(
      ids.map((id, n) => `{"metric_name":"import.ids","value":${n},"tags":{"guild":${id}}}\n`).join(""),
    );
    expect((await weir(["import", ...url, path])).code).toBe(0);
    const answer = await weir([
      "sql",
      ...url,
      "--format",
      "csv",
      "SELECT guild FROM import_ids ORDER BY value",
    ]);
    expect(answer.out).toBe(`guild\n${ids.join("\n")}\n`);
  });

  test("shows the line that is not UTF-8, and the other lines are stored", async () => {
    const begin = lines("bytes", 0, 500);
    const broken = Buffer.from(`{"metric_name":"bytes","value":1,"tags":{"a":"?"}}\n`);
    broken[broken.indexOf("?")] = 0xff;
    const path = put(Buffer.concat([Buffer.from(begin), broken, Buffer.from(lines("bytes", 500, 1_000))]));
    const { code, out } = await weir(["import", ...url, path]);
    expect(out).toBe(
      `${path}: 1,000 stored, 1 rejected\n` +
        `  rejected 1 (syntax): line 501 at byte ${begin.length}: byte ${begin.length + broken.indexOf(0xff)} of the file is 0xff, which is not valid UTF-8\n`,
    );
    expect(code).toBe(0);
    expect(await stored("bytes")).toEqual({ samples: 1_000, values: 1_000 });
  });

  test("is a failure if no line could be stored, each time", async () => {
    const path = put("neither\nof these\n");
    const good = put(lines("beside", 0, 1));
    for (let time = 1; time <= 2; time++) {
      const { code, out, err } = await weir(["import", ...url, path, good]);
      expect({ code, err }).toEqual({ code: 1, err: `weir import: ${path}: no line could be stored\n` });
      expect(out).toStartWith(`${path}: 0 stored, 2 rejected\n  rejected 2 (syntax): line 1 at byte 0: `);
      expect(out).toContain(`\n${good}: ${time === 1 ? "1 stored" : "nothing new"}\n`);
    }
  });

  test("shows each warning once, with its first line and the number of lines, and counts all", async () => {
    const wrong = (field: string) => `{"metric_name":"warned","value":1,"${field}":{"a":"b"}}\n`;
    const begin = lines("warned", 0, 1);
    const path = put(begin + wrong("labels") + wrong("labels") + wrong("attributes"));
    const at = (index: number) => begin.length + index * wrong("labels").length;
    const { code, out } = await weir(["import", ...url, path]);
    expect(code).toBe(0);
    expect(out).toBe(
      [
        `${path}: 4 stored, 3 warnings`,
        `  warning: line 2 at byte ${at(0)}: the field "labels" is unknown and was not stored; did you mean "tags"? (2 lines)`,
        `  warning: line 4 at byte ${at(2)}: the field "attributes" is unknown and was not stored; did you mean "tags"?`,
        "",
      ].join("\n"),
    );
  });

  test("shows three warnings, and the number of lines with others", async () => {
    const wrong = (field: string) => `{"metric_name":"warned_often","value":1,"${field}":1}\n`;
    const { out } = await weir([
      "import",
      ...url,
      put(["tipe", "unot", "zone", "zone", "host"].map(wrong).join("") + wrong("host").repeat(2)),
    ]);
    expect(
      out
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/^.*: the/, "the")),
    ).toEqual([
      'the field "tipe" is unknown and was not stored; did you mean "type"?',
      'the field "unot" is unknown and was not stored; did you mean "unit"?',
      'the field "zone" is unknown and was not stored; to keep it, send it in "tags" (2 lines)',
      "  … and 3 more warnings",
      "",
    ]);
  });

  test("names the retention that keeps lines that are too old", async () => {
    const data = join(folder, "week");
    const event = (atMs: number) => `{"@timestamp":${Math.floor(atMs)},"metric_name":"old","value":1}\n`;
    const day = 86_400_000;
    // The last moment of the day 29 days ago, which is the 30th day including today.
    const today = () => Math.floor(Date.now() / day);
    const oldest = (today() - 28) * day - 1;
    const path = put(event(oldest) + event(oldest + 9 * day) + event(Date.now()));
    const offline = ["import", "--data", data, "--no-sampler", "--log-level", "error", "--retention-days"];
    const { code, out } = await weir([...offline, "7", path]);
    expect(code).toBe(0);
    expect(out).toContain(`${path}: 1 stored, 2 rejected\n`);
    const [, kept] =
      /\nThe oldest line is of .*Z: a gateway with --retention-days (\d+) keeps it\. Rejected lines of a file with stored lines are not read again\.\n$/.exec(
        out,
      ) ?? [];
    // One more if midnight passed meanwhile.
    expect([30, today() - Math.floor(oldest / day) + 1]).toContain(Number(kept));
    const again = put(readFileSync(path, "utf8").replaceAll('"old"', '"kept"'));
    expect((await weir([...offline, kept!, again])).out).toBe(`${again}: 3 stored\n`);
  });
});

describe("what is read", () => {
  /** `k` and `instance` of each sample of a metric, in order. */
  const tagsOf = async (metric: string, from: string = gateway.url): Promise<string[]> => {
    const response = await fetch(`${from}/api/v1/export?metric=${metric}`);
    if (response.status === 404) return [];
    const events = (await response.text()).split("\n").filter((line) => line !== "");
    return events
      .map((line) => JSON.parse(line).tags)
      .map(({ k, instance = "" }) => `${k} ${instance}`)
      .sort();
  };
  const event = (metric: string, k: string, tags = "") =>
    `{"metric_name":"${metric}","value":1,"tags":{"k":"${k}"${tags}}}\n`;

  test("standard input as text and gzip, and once more as known content", async () => {
    const content = lines("piped", 0, 20);
    const first = await weir(["import", ...url, "-"], { stdin: content });
    expect(first).toEqual({ code: 0, out: "-: 20 stored\n", err: "" });
    expect((await weir(["import", ...url, "-"], { stdin: gzipSync(content) })).out).toBe("-: nothing new\n");
    const path = put(lines("piped", 0, 25));
    expect((await weir(["import", ...url, path])).out).toBe(`${path}: 5 stored\n`);
    expect((await weir(["import", ...url, "-"], { stdin: "" })).out).toBe(
      "-: nothing new\n  note: it is empty\n",
    );
    expect(await stored("piped")).toEqual({ samples: 25, values: 25 });
  });

  test("a named pipe", async () => {
    const pipe = join(folder, "pipe");
    Bun.spawnSync(["mkfifo", pipe]);
    const writing = Bun.spawn(["sh", "-c", 'cat > "$0"', pipe], {
      stdin: new Blob([lines("named_pipe", 0, 7)]),
    });
    expect((await weir(["import", ...url, pipe])).out).toBe(`${pipe}: 7 stored\n`);
    await writing.exited;
  });

  test("the event files of a folder, rotated files first, and omitted files are reported", async () => {
    const metrics = join(folder, "metrics");
    mkdirSync(join(metrics, "deeper"), { recursive: true });
    for (const [name, content] of [
      ["metrics_1.json", event("in_folder", "one today")],
      ["metrics_1.json.2024-01-15", event("in_folder", "one before")],
      ["metrics_1.json.2024-01-14.gz", gzipSync(event("in_folder", "one packed"))],
      ["metrics_2.json", event("in_folder", "two")],
      ["other.ndjson", event("in_folder", "other")],
      ["worker.log", "not events\n"],
      [".metrics.json.swp", "not events\n"],
      ["deeper/metrics_3.json", event("in_folder", "deeper")],
    ] as const)
      writeFileSync(join(metrics, name), content);
    symlinkSync(join(metrics, "deeper", "metrics_3.json"), join(metrics, "metrics_link.json"));
    expect(await weir(["import", ...url, metrics])).toEqual({
      code: 0,
      out: [
        `${metrics}: 2 other files were not read (.metrics.json.swp, worker.log)`,
        `${metrics}/metrics_1.json.2024-01-14.gz: 1 stored`,
        `${metrics}/metrics_1.json.2024-01-15: 1 stored`,
        `${metrics}/metrics_1.json: 1 stored`,
        `${metrics}/metrics_2.json: 1 stored`,
        `${metrics}/metrics_link.json: 1 stored`,
        `${metrics}/other.ndjson: 1 stored`,
        "In 6 files: 6 stored.",
        "",
      ].join("\n"),
      err: "",
    });
    expect(await tagsOf("in_folder")).toEqual([
      "deeper link",
      "one before 1",
      "one packed 1",
      "one today 1",
      "other ",
      "two 2",
    ]);
    const empty = join(folder, "empty");
    mkdirSync(empty);
    expect(await weir(["import", ...url, empty])).toEqual({
      code: 1,
      out: `${empty}: no file in this folder is named *.json, *.ndjson or *.jsonl\n`,
      err: "",
    });
  });

  test("the instance from the file's name, for events without one, unless a label or a flag overrides it", async () => {
    const own = ',"instance":"own"';
    const content = (metric: string) => event(metric, "a") + event(metric, "b", own);
    for (const [metric, args, want] of [
      ["by_name", [], ["a prod", "b own"]],
      ["by_label", ["--extra-label", "instance=given"], ["a given", "b own"]],
      ["by_neither", ["--no-instance"], ["a ", "b own"]],
    ] as const) {
      const path = put(content(metric), "metrics_prod.json");
      expect((await weir(["import", ...url, ...args, path])).out).toBe(`${path}: 2 stored\n`);
      expect(await tagsOf(metric)).toEqual([...want]);
    }
  });

  test("extra labels, and an invalid extra label is rejected", async () => {
    const path = put(event("labelled", "a"));
    const labels = ["--extra-label", "k=not this", "--extra-label", "instance=x=y"];
    expect((await weir(["import", ...url, ...labels, path])).code).toBe(0);
    expect(await tagsOf("labelled")).toEqual(["a x=y"]);
    const { code, err } = await weir([
      "import",
      ...url,
      "--extra-label",
      "le=1",
      put(event("unlabelled", "a")),
    ]);
    expect(code).toBe(1);
    expect(err).toContain("Query parameter extra_label is rejected: ");
    expect(await tagsOf("unlabelled")).toEqual([]);
  });

  test("lines around NUL bytes, and joined files that each begin with a byte order mark", async () => {
    const hole = "\0".repeat(200);
    const mark = "\ufeff";
    const path = put(
      hole +
        event("hole", "1") +
        mark +
        event("hole", "2") +
        hole +
        event("hole", "3") +
        mark +
        event("hole", "4") +
        hole,
    );
    expect((await weir(["import", ...url, path])).out).toBe(
      `${path}: 4 stored\n  note: it ends in 200 NUL bytes, which were skipped\n`,
    );
    appendFileSync(path, event("hole", "5"));
    expect((await weir(["import", ...url, path])).out).toBe(`${path}: 1 stored\n`);
    const cut = put(`${event("hole", "6").slice(0, 30)}${hole}${event("hole", "7")}`);
    expect((await weir(["import", ...url, cut])).out).toStartWith(`${cut}: 1 stored, 1 rejected\n`);
    expect(await tagsOf("hole")).toEqual(["1 ", "2 ", "3 ", "4 ", "5 ", "7 "]);
  });

  test("not UTF-16, and the error names the command that converts it", async () => {
    const path = put(Buffer.from(`\ufeff${event("wide", "1")}`, "utf16le"));
    expect(await weir(["import", ...url, path])).toEqual({
      code: 1,
      out: `${path}: nothing stored\n`,
      err: `weir import: ${path}: it is UTF-16 text, expected UTF-8; convert it with "iconv -f UTF-16 -t UTF-8 FILE | weir import -"\n`,
    });
  });
});

describe("an error is reported in one line", () => {
  test("for a full disk, with the time of the retry", async () => {
    const path = put(lines("waits", 0, 3));
    const full = ["--data", join(folder, "full"), ...SETTINGS, "--disk-reserve-bytes", "8000TiB"];
    const child = start(["import", ...full, path]);
    let err = "";
    for await (const piece of child.stderr) {
      err += new TextDecoder().decode(piece);
      if (err.includes("retrying in")) break;
    }
    child.kill("SIGKILL");
    await child.exited;
    expect(err).toMatch(/weir import: \S+: disk full: \d+ bytes are free .*; retrying in 10 s\n/);
  });

  test("if there is no gateway", async () => {
    const path = put(lines("nowhere", 0, 1));
    expect(await weir(["import", "--url", "http://127.0.0.1:1", path])).toEqual({
      code: 1,
      out: "",
      err: 'weir import: Cannot reach a gateway at http://127.0.0.1:1 (connection refused). Is "weir serve" running there? Use --url for another address.\n',
    });
    const env = { WEIR_URL: "unix:/nowhere.sock" };
    expect((await weir(["import", path], { env })).err).toContain(
      "Cannot reach a gateway at unix:/nowhere.sock (",
    );
  });

  test("for a file that does not exist, is not a file, or was changed, and the rest is imported", async () => {
    await weir(["import", ...url, put(lines("another", 0, 4))]);
    const changed = put(lines("another", 0, 1) + lines("another", 3, 20));
    const good = put(lines("good", 0, 2));
    const array = put('[{"metric_name":"x","value":1}]\n');
    const { code, out, err } = await weir([
      "import",
      ...url,
      join(folder, "none"),
      "/dev/null",
      changed,
      array,
      good,
    ]);
    expect(code).toBe(1);
    expect(out).toContain(`${good}: 2 stored\n`);
    expect(err.split("\n")).toEqual([
      `weir import: ${folder}/none: there is no such file`,
      "weir import: /dev/null: it is not a file",
      `weir import: ${changed}: it begins like a file that was imported before, and has the line at which that import stopped at another offset: it was changed since, and its new lines cannot be determined; nothing was read, and --as NAME imports all of it as a file of its own`,
      `weir import: ${array}: it begins with "[", expected one JSON event per line, not an array`,
      "",
    ]);
    expect(await stored("another")).toEqual({ samples: 4, values: 4 });
  });

  test("for invalid arguments", async () => {
    for (const [args, message] of [
      [[], "Give at least one FILE to import."],
      [
        ["--retention-days", "9", "x"],
        "--retention-days is a setting of the gateway, which is allowed only with --data.",
      ],
      [["--url", "x", "y"], '--url is "x", expected http://HOST:PORT, https://HOST:PORT or unix:PATH.'],
      [
        ["--url", "http://a", "--data", "b", "c"],
        "--url and --data exclude each other: --url names a running gateway.",
      ],
      [["--bogus", "x"], "Unknown option '--bogus'."],
      [["-", "-"], '"-" is standard input, which can be read only once.'],
      [["--as", "", "x"], "--as is empty, expected a name."],
      [["--as", "n", "x", "y"], "--as names one import, so it allows only one FILE."],
      [["--extra-label", "site", "x"], '--extra-label is "site", expected NAME=VALUE.'],
    ] as const) {
      const { code, err } = await weir(["import", ...args]);
      expect({ code, err }).toEqual({
        code: 2,
        err: `weir import: ${message}\nRun "weir import --help" for its usage.\n`,
      });
    }
  });
});
