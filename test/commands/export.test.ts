/** Runs `weir export` as a process: it returns the same multiset of time, name, value and tags as was imported. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { weir } from "./weir.ts";

const folder = temporaryFolder();
const SETTINGS = ["--retention-days", "36500", "--no-sampler", "--log-level", "error"];
const WORKERS_FILE = join(import.meta.dir, "../fixtures/workers/metrics_prod.json");

let gateway: GatewayProcess;
let url: string[];
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args: SETTINGS });
  url = ["--url", gateway.url];
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const exported = async (...args: string[]): Promise<string[]> => {
  const { code, out, err } = await weir(["export", ...url, ...args]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return out.split("\n").filter((line) => line !== "");
};

test("the export of a worker's file equals the file, in the order of time", async () => {
  expect((await weir(["import", ...url, "--no-instance", WORKERS_FILE])).out).toBe(
    `${WORKERS_FILE}: 10 stored\n`,
  );
  const request =
    '{"@timestamp":1704067200000,"metric_name":"http.request.duration_ms","value":234.56,"tags":{"domain":"app.example.com","has_task":"true","method":"GET","operation":"get_task","status_code":"200","url":"https://app.example.com/api/get-task","task_id":"1704067200_abc123"}}';
  const lines = [
    request,
    request,
    '{"@timestamp":1704067200250,"metric_name":"http.request.duration_ms","value":12,"tags":{"domain":"app.example.com","has_task":"false","method":"POST","operation":"heartbeat","status_code":"503","url":"https://app.example.com/api/heartbeat","task_id":"1704067200_abc123"}}',
    '{"@timestamp":1704067201500,"metric_name":"task.duration_ms","value":5210.75,"tags":{"domain":"münchen.example","status":"success","type":"render","task_id":"1704067200_abc123"}}',
    '{"@timestamp":1704067201600,"metric_name":"upload.size_bytes","value":1048576,"tags":{"domain":"例え.テスト","type":"screenshot","task_id":"1704067200_abc123"},"unit":"bytes"}',
    '{"@timestamp":"2024-01-01T00:00:02.000123Z","metric_name":"http.request.duration_ms","value":1e-7,"tags":{"domain":"🙂 emoji\\tand tab","operation":"get_task","status_code":"200","task_id":"1704067202_\\"quoted\\"\\\\"}}',
    '{"@timestamp":1704067202500,"metric_name":"jobs.done","value":3,"tags":{"queue":"fast"},"type":"counter"}',
    '{"@timestamp":1704067202500,"metric_name":"jobs.done","value":3,"tags":{"queue":"fast"},"type":"counter"}',
    '{"@timestamp":1704067203000,"metric_name":"queue.depth","value":-17.25,"tags":{"instance":"worker-1","queue":"fast"},"type":"gauge"}',
    '{"@timestamp":1704067203001,"metric_name":"bare","value":0.1,"tags":{}}',
  ];
  expect(await exported()).toEqual(lines);

  // A range includes its begin and excludes its end, in each spelling of a time.
  expect(await exported("--from", "1704067200250", "--to", "2024-01-01T00:00:01.6Z")).toEqual(
    lines.slice(2, 4),
  );
  expect(await exported("--from", "2024-01-01 00:00:03", "--to", "2024-01-02")).toEqual(lines.slice(8));
  expect(await exported("--from", "2024-01-02")).toEqual([]);
  expect(await exported("--metric", "jobs.done")).toEqual(lines.slice(6, 8));
  expect(await exported("--metric", "jobs_done", "--to", "2024-01-01T00:00:00Z")).toEqual([]);
});

test("random events are equal after an export from one gateway and an import into another", async () => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
    .filter((each) => !each.includes("\u0000"));
  const event = fc.record({
    timeUs: fc.integer({ min: 1_705_000_000_000_000, max: 1_705_300_000_000_000 }),
    metric: fc.constantFrom("a.b_ms", "c", "größe"),
    value: fc.double({ noNaN: true, noDefaultInfinity: true }),
    tags: fc.dictionary(
      fc.constantFrom("task_id", "trace_id", "operation", "url", "Größe", "with space", 'q"uote'),
      text,
    ),
  });
  const events = fc.sample(event, runs(2_000));
  const line = ({ timeUs, metric, value, tags }: (typeof events)[number]) => {
    const ms = Math.floor(timeUs / 1000);
    const time =
      timeUs % 1000 === 0
        ? ms
        : `${new Date(ms).toISOString().slice(0, -1)}${String(timeUs % 1000).padStart(3, "0")}Z`;
    const number = Object.is(value, -0) ? "-0.0" : JSON.stringify(value);
    return `{"@timestamp":${JSON.stringify(time)},"metric_name":${JSON.stringify(metric)},"value":${number},"tags":${JSON.stringify(tags)}}`;
  };
  /** A line with its tags in order, and a number that distinguishes -0 from 0. */
  const plain = (each: string) => {
    const parsed = JSON.parse(each);
    const tags = Object.entries(parsed.tags).sort(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify([
      parsed["@timestamp"],
      parsed.metric_name,
      String(parsed.value),
      Object.is(parsed.value, -0),
      tags,
    ]);
  };
  const path = join(folder, "any.json");
  writeFileSync(path, `${events.map(line).join("\n")}\n`);
  const second = await GatewayProcess.start({ data: join(folder, "second"), args: SETTINGS });
  const third = await GatewayProcess.start({ data: join(folder, "third"), args: SETTINGS });
  try {
    expect((await weir(["import", "--url", second.url, path])).out).toBe(
      `${path}: ${events.length.toLocaleString("en")} stored\n`,
    );
    const copy = join(folder, "copy.json");
    expect((await weir(["export", "--url", second.url, "--output", copy])).code).toBe(0);
    const lines = readFileSync(copy, "utf8").trimEnd().split("\n");
    expect(lines.map(plain).sort()).toEqual(events.map((each) => plain(line(each))).sort());

    expect((await weir(["import", "--url", third.url, copy])).out).toBe(
      `${copy}: ${events.length.toLocaleString("en")} stored\n`,
    );
    const again = await weir(["export", "--url", third.url]);
    expect(again.out.trimEnd().split("\n").map(plain)).toEqual(lines.map(plain));
  } finally {
    await second.stop("SIGTERM");
    await third.stop("SIGTERM");
  }
});

test("the export keeps tags that are labels, columns, or attributes without a column of their own", async () => {
  // Tags 0 to 79 are attributes; a day has columns for 64 of them. Each metric has 40 tags of its own.
  const attributes = Array.from({ length: 80 }, (_, index) => `tag${index}`);
  const events = Array.from({ length: 20 }, (_, index) => {
    const first = (index % 2) * 40;
    const own = attributes.slice(first, first + 40).map((tag) => [tag, `${tag} "${index}"`]);
    const tags = Object.fromEntries([["label", String(index % 3)], ...own]);
    return { "@timestamp": 1_705_000_000_000 + index, metric_name: `wide${index % 2}`, value: index, tags };
  });
  const path = join(folder, "wide.json");
  writeFileSync(path, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const args = [...SETTINGS, "--attributes", attributes.join(",")];
  const wide = await GatewayProcess.start({ data: join(folder, "wide"), args });
  try {
    expect((await weir(["import", "--url", wide.url, path])).out).toBe(`${path}: 20 stored\n`);
    const { out } = await weir(["export", "--url", wide.url]);
    expect(
      out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(events);
    const { out: columns } = await weir([
      "sql",
      "--url",
      wide.url,
      "--format",
      "csv",
      "SELECT * FROM samples LIMIT 1",
    ]);
    expect(columns).toContain("more_attributes");
  } finally {
    await wide.stop("SIGTERM");
  }
});

describe("an error is reported in one line", () => {
  test("by the gateway", async () => {
    for (const [args, message] of [
      [["--metric", "none"], 'There is no metric "none" in the store.'],
      [
        ["--metric", "queue.dept"],
        'There is no metric "queue.dept" in the store. Did you mean "queue.depth"?',
      ],
      [
        ["--from", "yesterday"],
        'from is "yesterday"; expected now, a distance from now such as -24h, milliseconds since 1970, or RFC 3339.',
      ],
      [
        ["--from", "1704067200000000"],
        'from is "1704067200000000"; expected now, a distance from now such as -24h, milliseconds since 1970, or RFC 3339 (a number is milliseconds; this one looks like microseconds).',
      ],
      [
        ["--to", "1704067200"],
        'to is "1704067200"; expected now, a distance from now such as -24h, milliseconds since 1970, or RFC 3339 (a number is milliseconds; this one looks like seconds).',
      ],
      [["--from", "2024-02-01", "--to", "2024-01-01"], 'from="2024-02-01" is after to="2024-01-01".'],
    ] as const) {
      expect(await weir(["export", ...url, ...args])).toEqual({
        code: 1,
        out: "",
        err: `weir export: ${message}\n`,
      });
    }
  });

  test("by the command", async () => {
    for (const [args, message] of [
      [["--format", "csv"], '--format is "csv", expected one of ndjson.'],
      [["surplus"], "Unexpected argument 'surplus'."],
    ] as const) {
      const { code, err } = await weir(["export", ...url, ...args]);
      expect({ code, line: err.split("\n")[0] }).toEqual({ code: 2, line: `weir export: ${message}` });
    }
  });

  test("no file appears if it could not be written completely", async () => {
    const path = join(folder, "nowhere", "out.json");
    const { code, err } = await weir(["export", ...url, "--output", path]);
    expect({ code, said: err.includes("ENOENT") }).toEqual({ code: 1, said: true });
    expect(existsSync(path)).toBe(false);
  });
});
