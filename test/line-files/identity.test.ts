/**
 * The identity of files. Whatever files have in common, and whatever happens to them between imports, each line is
 * stored once. If the import cannot decide which file it is, it reports that and stores nothing.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Send, Unreachable } from "../../src/commands/client.ts";
import { EventFile } from "../../src/line-files/event-file.ts";
import { importFile } from "../../src/commands/import/import-file.ts";
import { workerOf } from "../../src/line-files/file-names.ts";
import { Report } from "../../src/commands/import/report.ts";
import { ImportTarget } from "../../src/commands/import/target.ts";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;
let folder: string;
/** Each change of a file is a second after the previous one, independent of the clock's resolution. */
let clock = 1_700_000_000;
beforeEach(async () => {
  gateway = await openTestGatewayAt(NOW_MS);
  folder = temporaryFolder();
});
afterEach(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);
const touch = (name: string) => {
  clock += 1;
  utimesSync(at(name), clock, clock);
};
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(at(name), content);
  touch(name);
};
const append = (name: string, content: string) => {
  appendFileSync(at(name), content);
  touch(name);
};

/** Lines of workers whose events have no time. Their first lines are often equal. */
const START = '{"metric_name":"start","value":1,"tags":{"k":"start"}}\n';
const plain = (...keys: readonly string[]): string =>
  keys.map((k) => `{"metric_name":"m","value":1,"tags":{"k":"${k}"}}\n`).join("");
/** Lines with times, one line per number. */
const dated = (from: number, to: number, k = "d"): string =>
  Array.from(
    { length: to - from },
    (_, index) =>
      `{"@timestamp":${NOW_MS - 1_000_000 + from + index},"metric_name":"m","value":1,"tags":{"k":"${k}${from + index}"}}\n`,
  ).join("");
const keys = (from: number, to: number, k = "d") =>
  Array.from({ length: to - from }, (_, index) => `${k}${from + index}`);

const send: Send = async (path, { method = "GET", query = [], headers, body } = {}) => {
  const parameters = new URLSearchParams(query as [string, string][]);
  const response = await gateway.fetch(`${path}?${parameters}`, { method, headers, body });
  if (method === "POST" && losesAnswers-- > 0) throw new Unreachable("The connection was closed.");
  return response;
};
/** Answers to pushes that the network loses next. */
let losesAnswers = 0;

interface Result {
  stored: number;
  notes: readonly string[];
  failure: string | undefined;
}

async function bring(name: string, as?: string): Promise<Result> {
  return await from(() => EventFile.open(at(name)), workerOf(name), as);
}

async function from(open: () => Promise<EventFile>, worker: string, as?: string): Promise<Result> {
  const { stored, notes, failure } = await importFile({
    open,
    target: new ImportTarget(send),
    report: new Report().file(),
    worker,
    extraLabels: worker === "" ? [] : [`instance=${worker}`],
    as,
    onProgress: async () => {},
    onWait: async () => {},
  });
  return { stored, notes, failure };
}
const brought = (stored: number): Result => ({ stored, notes: [], failure: undefined });

/** `k` of each stored line, in order. */
async function stored(): Promise<string[]> {
  const response = await gateway.fetch("/api/v1/export");
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { tags: { k: string } }).tags.k).sort();
}

describe("files with the same first line", () => {
  test("of three workers and a rotation are distinguished if events have no time", async () => {
    write("before.json", START + plain("a1", "a2"));
    write("after-rotation.json", START + plain("b1"));
    write("other-worker.json", START + plain("c1", "c2", "c3"));
    expect(await bring("before.json")).toEqual(brought(3));
    expect(await bring("after-rotation.json")).toEqual(brought(2));
    expect(await bring("other-worker.json")).toEqual(brought(4));
    for (const name of ["other-worker.json", "before.json", "after-rotation.json"])
      expect(await bring(name)).toEqual(brought(0));
    append("after-rotation.json", plain("b2", "b3", "b4"));
    append("before.json", plain("a3"));
    expect(await bring("after-rotation.json")).toEqual(brought(3));
    expect(await bring("before.json")).toEqual(brought(1));
    expect(await stored()).toEqual(
      [
        ...["start", "start", "start"],
        ...["a1", "a2", "a3", "b1", "b2", "b3", "b4", "c1", "c2", "c3"],
      ].sort(),
    );
  });

  test("are distinguished if events have times", async () => {
    write("one.json", dated(0, 3));
    write("two.json", dated(0, 1) + dated(10, 20));
    expect(await bring("one.json")).toEqual(brought(3));
    expect(await bring("two.json")).toEqual(brought(11));
    expect(await bring("one.json")).toEqual(brought(0));
  });

  test("of two workers are two files, although their content is equal so far", async () => {
    write("metrics_1.json", START + plain("beat"));
    write("metrics_2.json", START + plain("beat"));
    expect(await bring("metrics_1.json")).toEqual(brought(2));
    expect(await bring("metrics_2.json")).toEqual(brought(2));
    append("metrics_2.json", plain("beat"));
    append("metrics_1.json", plain("beat", "beat"));
    for (const [name, count] of [
      ["metrics_2.json", 1],
      ["metrics_1.json", 2],
    ] as const)
      expect(await bring(name)).toEqual(brought(count));
    expect(await stored()).toEqual(["beat", "beat", "beat", "beat", "beat", "start", "start"]);
  });

  test("are distinguished if only that line of the first file was imported", async () => {
    write("one.json", START);
    write("two.json", START + plain("b1"));
    expect(await bring("one.json")).toEqual(brought(1));
    expect(await bring("two.json")).toEqual(brought(2));
    append("one.json", plain("a1"));
    expect(await bring("one.json")).toEqual(brought(1));
    expect(await stored()).toEqual(["a1", "b1", "start", "start"]);
  });

  test("are stored once if they are imported at the same time, each of them twice", async () => {
    const names = ["a", "b", "c", "d"].map((name) => `${name}.json`);
    for (const name of names) write(name, START + plain(name, `${name}+`));
    const results = await Promise.all([...names, ...names].map((name) => bring(name)));
    expect(results.map(({ failure }) => failure).filter((each) => each !== undefined)).toEqual([]);
    expect(await stored()).toEqual(
      [...names, ...names.map((name) => `${name}+`), ...names.map(() => "start")].sort(),
    );
  });

  test("are each recognised again among forty", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `${index}.json`);
    for (const name of names) write(name, START + plain(name));
    for (const name of names) expect(await bring(name)).toEqual(brought(2));
    for (const name of names) append(name, plain(`${name}+`));
    for (const name of names.toReversed()) expect(await bring(name)).toEqual(brought(1));
  });
});

describe.each([
  ["with times", (name: string, n: number) => dated(n, n + 1, name)],
  ["without times", (name: string, n: number) => plain(`${name}${n}`)],
] as const)("one file, %s,", (_, line) => {
  const some = (name: string, from: number, to: number) =>
    START + Array.from({ length: to - from }, (_, index) => line(name, from + index)).join("");
  const tail = (name: string, from: number, to: number) => some(name, from, to).slice(START.length);

  test("grows, is rotated by a rename, and is compressed", async () => {
    write("metrics_1.json", some("a", 0, 5));
    expect(await bring("metrics_1.json")).toEqual(brought(6));
    append("metrics_1.json", tail("a", 5, 8));
    renameSync(at("metrics_1.json"), at("metrics_1.json.2024-01-15"));
    write("metrics_1.json", some("b", 0, 2));
    expect(await bring("metrics_1.json")).toEqual(brought(3));
    expect(await bring("metrics_1.json.2024-01-15")).toEqual(brought(3));
    write("metrics_1.json.2024-01-15.gz", gzipSync(readFileSync(at("metrics_1.json.2024-01-15"))));
    write("metrics_1.json.2024-01-15.zst", zstdCompressSync(readFileSync(at("metrics_1.json.2024-01-15"))));
    expect(await bring("metrics_1.json.2024-01-15.gz")).toEqual(brought(0));
    expect(await bring("metrics_1.json.2024-01-15.zst")).toEqual(brought(0));
    append("metrics_1.json", tail("b", 2, 4));
    expect(await bring("metrics_1.json")).toEqual(brought(2));
    expect(await stored()).toEqual([...keys(0, 8, "a"), ...keys(0, 4, "b"), "start", "start"].sort());
  });

  test("is copied and truncated, and then has few or many new lines", async () => {
    write("metrics.json", some("a", 0, 5));
    expect(await bring("metrics.json")).toEqual(brought(6));
    for (const [name, count] of [
      ["b", 1],
      ["c", 4],
      ["d", 9],
    ] as const) {
      copyFileSync(at("metrics.json"), at(`metrics.json.2024-01-1${count}`));
      truncateSync(at("metrics.json"));
      append("metrics.json", some(name, 0, count));
      expect(await bring("metrics.json")).toEqual(brought(count + 1));
      expect(await bring(`metrics.json.2024-01-1${count}`)).toEqual(brought(0));
      expect(await bring("metrics.json")).toEqual(brought(0));
    }
    expect(await stored()).toEqual(
      [
        ...keys(0, 5, "a"),
        ...keys(0, 1, "b"),
        ...keys(0, 4, "c"),
        ...keys(0, 9, "d"),
        ...["start", "start", "start", "start"],
      ].sort(),
    );
  });

  test("is truncated while its writer continues at the old offset: a hole, then new lines", async () => {
    write("metrics.json", some("a", 0, 5));
    expect(await bring("metrics.json")).toEqual(brought(6));
    const { length } = some("a", 0, 5);
    write("metrics.json", "\0".repeat(length) + tail("a", 5, 7));
    expect(await bring("metrics.json")).toEqual(brought(2));
    append("metrics.json", tail("a", 7, 8));
    expect(await bring("metrics.json")).toEqual(brought(1));
    expect(await stored()).toEqual([...keys(0, 8, "a"), "start"].sort());
  });

  test("is imported again in an earlier state, from the same path", async () => {
    write("noon.json", some("a", 0, 5));
    expect(await bring("noon.json")).toEqual(brought(6));
    write("metrics_1.json", some("a", 0, 9));
    expect(await bring("metrics_1.json")).toEqual(brought(4));
    const again = await bring("noon.json");
    expect(again).toMatchObject({ stored: 0, failure: undefined });
    expect(again.notes[0]).toContain("treated as an earlier copy, and nothing was read");
  });
});

describe("an earlier copy", () => {
  test("whose events have times is skipped, with a note that names --as", async () => {
    write("metrics_1.json", dated(0, 100));
    expect(await bring("metrics_1.json")).toEqual(brought(100));
    for (const [name, content] of [
      ["noon.json", dated(0, 50)],
      ["cut.json", dated(0, 50).slice(0, -10)],
      ["noon.gz", gzipSync(dated(0, 50))],
    ] as const) {
      write(name, content);
      const { stored, notes, failure } = await bring(name);
      expect({ stored, failure }).toEqual({ stored: 0, failure: undefined });
      expect(notes.at(-1)).toBe(
        `it ends at byte ${name === "cut.json" ? dated(0, 50).length - 10 : dated(0, 50).length}, and a file that begins with the same ` +
          `lines was imported up to byte ${dated(0, 100).length}: it was treated as an earlier copy, and nothing was read. ` +
          "If it is another file, import it with --as NAME",
      );
    }
  });

  test("cannot be recognised if no line has a time: nothing is stored without --as", async () => {
    write("one.json", START + plain("beat", "beat", "beat"));
    write("two.json", START + plain("beat"));
    expect(await bring("one.json")).toEqual(brought(4));
    expect(await bring("two.json")).toEqual({
      stored: 0,
      notes: [],
      failure:
        `its 2 lines are also the first of a file that was imported up to byte ${(START + plain("beat", "beat", "beat")).length}, ` +
        "and none has a time: it cannot be determined whether it is a copy of that file or another file; nothing was read, and " +
        "--as NAME imports all of it as a file of its own",
    });
    expect(await bring("two.json", "two")).toEqual(brought(2));
    expect(await bring("two.json", "two")).toEqual(brought(0));
    append("two.json", plain("other"));
    expect(await bring("two.json", "two")).toEqual(brought(1));
    // After that it is also recognised by its content.
    append("two.json", plain("more"));
    expect(await bring("two.json")).toEqual(brought(1));
  });
});

describe("equal content elsewhere", () => {
  const unclear = (what: string): Result => ({
    stored: 0,
    notes: [],
    failure:
      `${what} a time: it cannot be determined whether it is a copy of that file or another file; nothing was read, and ` +
      "--as NAME imports all of it as a file of its own",
  });

  test("without a time may be another file: it is not treated as stored, and needs --as", async () => {
    const one = `its 1 line is all of a file that was imported up to byte ${START.length}, and it does not have`;
    const bytes = (START + plain("beat")).length;
    for (const [content, lines, failure] of [
      [START, 1, one],
      [START.trimEnd(), 1, one.replace(`${START.length}`, `${START.length - 1}`)],
      [
        START + plain("beat"),
        2,
        `its 2 lines are all of a file that was imported up to byte ${bytes}, and none has`,
      ],
    ] as const) {
      const [name, second] = [`first-${content.length}.json`, `second-${content.length}.json`];
      write(name, content);
      expect((await bring(name, name)).stored).toBe(lines);
      // The same file again, at its place or in a compressed copy, is recognised.
      expect(await bring(name)).toEqual(brought(0));
      write(`${name}.gz`, gzipSync(content));
      expect(await bring(`${name}.gz`)).toEqual(brought(0));
      write(second, content);
      expect(await bring(second)).toEqual(unclear(failure));
      expect(await bring(second)).toEqual(unclear(failure));
      expect(await bring(second, second)).toEqual(brought(lines));
      expect(await bring(second)).toEqual(brought(0));
    }
  });

  test("without a time is imported once it has grown to differ", async () => {
    write("one.json", START);
    write("two.json", START);
    expect(await bring("one.json")).toEqual(brought(1));
    expect((await bring("two.json")).failure).toContain("it cannot be determined whether it is a copy");
    append("two.json", plain("b"));
    expect(await bring("two.json")).toEqual(brought(2));
    expect(await stored()).toEqual(["b", "start", "start"]);
  });

  test("with a time is a copy, without a note", async () => {
    write("one.json", dated(0, 2));
    write("two.json", dated(0, 2));
    expect(await bring("one.json")).toEqual(brought(2));
    expect(await bring("two.json")).toEqual(brought(0));
  });
});

describe("content of a pipe", () => {
  const pipe = async (content: string | Uint8Array<ArrayBuffer>, as?: string): Promise<Result> =>
    await from(() => EventFile.spool(new Blob([content]).stream()), "", as);

  test("without a time is stored each time that it is piped", async () => {
    for (const content of [START, START.trimEnd(), gzipSync(START), plain("a", "b"), plain("a", "b")])
      expect((await pipe(content)).failure).toBeUndefined();
    expect(await stored()).toEqual(["a", "a", "b", "b", "start", "start", "start"]);
  });

  test("without a time is compared with no file", async () => {
    expect(await pipe(START)).toEqual(brought(1));
    write("one.json", START);
    expect(await bring("one.json")).toEqual(brought(1));
    expect(await pipe(START)).toEqual(brought(1));
    append("one.json", plain("a"));
    expect(await bring("one.json")).toEqual(brought(1));
    expect(await stored()).toEqual(["a", "start", "start", "start"]);
  });

  test("with a time is a copy, also where only its last line has one", async () => {
    for (const content of [dated(0, 3), START + dated(5, 6)]) {
      const lines = content.trimEnd().split("\n").length;
      expect(await pipe(content)).toEqual(brought(lines));
      expect(await pipe(content)).toEqual(brought(0));
      expect(await pipe(gzipSync(content))).toEqual(brought(0));
      expect(await pipe(content + dated(lines + 10, lines + 11))).toEqual(brought(1));
    }
  });

  test("with a tag that is named like a time has no time", async () => {
    const line = '{"metric_name":"m","value":1,"tags":{"k":"t","last_timestamp":"x"}}\n';
    expect(await pipe(line)).toEqual(brought(1));
    expect(await pipe(line)).toEqual(brought(1));
    expect(await pipe(line + dated(0, 1))).toEqual(brought(2));
    expect(await pipe(line + dated(0, 1))).toEqual(brought(0));
  });

  test("under a name continues after a broken pipe where the import of that name stopped", async () => {
    expect(await pipe(plain("a", "b"), "nightly")).toEqual(brought(2));
    expect(await pipe(plain("a", "b"), "nightly")).toEqual(brought(0));
    expect(await pipe(plain("a", "b", "c"), "nightly")).toEqual(brought(1));
    expect(await stored()).toEqual(["a", "b", "c"]);
  });

  test("without a time is stored once, also where the answer to its push is lost", async () => {
    losesAnswers = 1;
    const { stored: counted, failure } = await pipe(plain("a", "b"));
    expect({ counted, failure }).toEqual({ counted: 0, failure: undefined });
    expect(await stored()).toEqual(["a", "b"]);
  });
});

describe("a file that was changed after its import", () => {
  const CHANGED = "it was changed since, and its new lines cannot be determined; nothing was read";

  test("in the middle of few lines is detected, although its last line is unchanged", async () => {
    write("f.json", dated(0, 5));
    expect(await bring("f.json")).toEqual(brought(5));
    write("f.json", dated(0, 2) + dated(100, 101) + dated(3, 6));
    const { stored, failure } = await bring("f.json");
    expect({ stored, isChanged: failure?.includes(CHANGED) }).toEqual({ stored: 0, isChanged: true });
  });

  test("far after its beginning is detected", async () => {
    write("f.json", dated(0, 1_000));
    expect(await bring("f.json")).toEqual(brought(1_000));
    for (const content of [
      dated(0, 500) + dated(2_000, 3_000),
      dated(0, 500) + dated(2_000, 2_010),
      dated(0, 33) + dated(2_000, 2_010),
    ]) {
      write("f.json", content);
      const { stored, failure } = await bring("f.json");
      expect({ stored, isChanged: failure?.includes(CHANGED) }).toEqual({ stored: 0, isChanged: true });
    }
    expect(await bring("f.json", "f, mended")).toEqual(brought(43));
  });
});

describe("--as NAME", () => {
  test("imports another file for each name, and rejects another file under the same name", async () => {
    write("f.json", dated(0, 5));
    expect(await bring("f.json")).toEqual(brought(5));
    expect(await bring("f.json", "again")).toEqual(brought(5));
    write("g.json", dated(0, 2) + dated(50, 60));
    expect(await bring("g.json", "again")).toMatchObject({
      stored: 0,
      failure: `another file was imported as "again" up to byte ${dated(0, 5).length}; give this one another name`,
    });
    expect(await bring("g.json", "a third name, ünïcode")).toEqual(brought(12));
  });
});

test("an import of an older version continues at its stored offset", async () => {
  // Older versions stored the hash of the first line as the name, and no identity that distinguishes files.
  const { lineHash } = await import("../../src/line-files/chunks.ts");
  const bytes = (text: string) => new TextEncoder().encode(text);
  const hash = lineHash(bytes(dated(0, 1)));
  const query = {
    import_file: hash,
    import_from: "0",
    import_to: String(dated(0, 5).length),
    import_line: lineHash(bytes(dated(4, 5))),
  };
  const response = await send("/api/v1/push", {
    method: "POST",
    query: Object.entries(query),
    headers: { "content-type": "application/x-ndjson" },
    body: dated(0, 5),
  });
  expect(response.status).toBe(200);
  write("f.json", dated(0, 8));
  expect(await bring("f.json")).toEqual(brought(3));
  write("f.json.gz", gzipSync(dated(0, 9)));
  expect(await bring("f.json.gz")).toEqual(brought(1));
  write("other.json", dated(0, 1) + dated(20, 40));
  expect(await bring("other.json")).toEqual(brought(21));
});

test("a file without stored lines is read again by the next import", async () => {
  const old = dated(0, 3).replaceAll(/"@timestamp":\d+/g, `"@timestamp":${NOW_MS - 30 * 86_400_000}`);
  write("f.json", old);
  expect(await bring("f.json")).toEqual(brought(0));
  append("f.json", dated(3, 5));
  expect(await bring("f.json")).toEqual(brought(2));
  expect(await bring("f.json")).toEqual(brought(0));
  expect(await stored()).toEqual(["d3", "d4"]);
});
