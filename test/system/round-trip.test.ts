/** What one gateway exports, another one imports, and exports again byte for byte: every kind, protocol and value. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import snappyjs from "snappyjs";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../receive/remote-write/decoded.ts";
import { encodeV2, type Series } from "../receive/remote-write/messages.ts";
import { runs } from "../runs.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

const ATTRIBUTES = "--attributes=task_id,trace_id";
let first: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  first = await openTestGatewayAt(NOW_MS, ATTRIBUTES);
  second = await openTestGatewayAt(NOW_MS, ATTRIBUTES);
});
afterAll(async () => {
  await first.close();
  await second.close();
});

const HOST = "http://localhost:9091";
async function send(
  to: TestGateway,
  path: string,
  body: Bun.BodyInit,
  headers: Record<string, string> = {},
): Promise<string> {
  const response = await to.app.fetch(new Request(`${HOST}${path}`, { method: "POST", body, headers }));
  const text = await response.text();
  expect([response.status, text].join(" ")).toStartWith("20");
  return text;
}
const exported = async (from: TestGateway): Promise<string> =>
  await (await from.app.fetch(new Request(`${HOST}/api/v1/export`))).text();
const NDJSON = { "content-type": "application/x-ndjson" };
const SNAPPY = {
  "content-encoding": "snappy",
  "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
};

/** Sends an export to the second gateway, and expects the same lines from it. */
async function expectRoundTrip(): Promise<string> {
  const lines = await exported(first);
  const count = lines.split("\n").length - 1;
  const answer = JSON.parse(await send(second, "/api/v1/push", lines, NDJSON)) as Record<string, unknown>;
  const { accepted, duplicates = 0, rejected } = answer as Record<string, number>;
  expect({ taken: accepted + duplicates, rejected }).toEqual({ taken: count, rejected: 0 });
  expect((await exported(second)) === lines).toBe(true);
  return lines;
}

test("exports and imports groups with NaN and infinities, a histogram, a summary, and stale markers of remote_write", async () => {
  await send(
    first,
    "/metrics/job/case/shard@base64/YS9i",
    `# TYPE case_level gauge
case_level{k="nan"} NaN
case_level{k="plus"} +Inf
case_level{k="minus"} -Inf
case_level{k="zero"} -0
# TYPE case_seconds histogram
case_seconds_bucket{le="0.1"} 1
case_seconds_bucket{le="+Inf"} 2
case_seconds_sum 1.5
case_seconds_count 2
# TYPE case_summary summary
case_summary{quantile="0.5"} NaN
case_summary_sum 0
case_summary_count 0
# TYPE case_total counter
case_total{id="738529527931269425"} 9007199254740993
`,
  );
  // The counter is 2^53 + 1, which no 64-bit float is.
  expect(first.takeLog()).toEqual([expect.stringContaining("as the nearest float")]);
  const series: Series[] = [
    {
      labels: { __name__: "rw_up", job: "x", instance: "a:1" },
      samples: [
        { value: 1, timestamp: NOW_MS - 3_000 },
        { value: Number.NaN, timestamp: NOW_MS - 2_000 },
        { value: STALE_STAND_IN, timestamp: NOW_MS - 1_000 },
        { value: Number.NEGATIVE_INFINITY, timestamp: NOW_MS },
      ],
    },
    {
      labels: { __name__: "rw_native", job: "x" },
      histograms: [
        {
          timestamp: NOW_MS - 1_000,
          countInt: 5,
          sum: 7.25,
          schema: 0,
          zeroThreshold: 2 ** -128,
          zeroCountInt: 1,
          positiveSpans: [{ offset: 0, length: 2 }],
          positiveDeltas: [1, 2],
        },
        { timestamp: NOW_MS, countInt: 0, sum: STALE_STAND_IN, schema: 0 },
      ],
    },
  ];
  await send(
    first,
    "/api/v1/write",
    new Uint8Array(snappyjs.compress(withStaleMarkers(encodeV2(series)))),
    SNAPPY,
  );

  const lines = await expectRoundTrip();
  for (const part of [
    '"metric_name":"case_level","value":"NaN","tags":{"job":"case","k":"nan","shard":"a/b"},"type":"gauge"',
    '"metric_name":"case_level","value":"Infinity","tags":{"job":"case","k":"plus","shard":"a/b"},"type":"gauge"',
    '"metric_name":"case_level","value":"-Infinity","tags":{"job":"case","k":"minus","shard":"a/b"},"type":"gauge"',
    '"metric_name":"case_level","value":-0.0,',
    '"metric_name":"case_seconds_bucket","value":1,"tags":{"job":"case","le":"0.1","shard":"a/b"},"type":"cumulative"',
    '"metric_name":"case_summary","value":"NaN","tags":{"job":"case","quantile":"0.5","shard":"a/b"},"type":',
    '"metric_name":"case_total","value":9007199254740992,"tags":{"id":"738529527931269425",',
    `{"@timestamp":${NOW_MS - 1_000},"metric_name":"rw_up","value":"stale",`,
    `{"@timestamp":${NOW_MS},"metric_name":"rw_up","value":"-Infinity",`,
    '"metric_name":"rw_native_count","value":5,',
  ])
    expect(lines).toContain(part);
  // A stale marker is stored as such, not as NaN.
  const stale = "SELECT count(*)::INTEGER AS n FROM weir.samples_20240101 WHERE value IS NULL";
  expect(await second.query(stale)).toEqual(await first.query(stale));
});

test("exports and imports any events: kinds, doubles, microseconds, units, labels and attributes", async () => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
    .filter((each) => !each.includes("\u0000"));
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
  const words = fc.constantFrom("NaN", "+Inf", "-Inf", "Inf", "Infinity", "+Infinity", "-Infinity", "stale");
  const value = {
    observation: finite,
    counter: finite.map(Math.abs),
    gauge: fc.oneof(finite, words),
    cumulative: fc.oneof(finite, words),
  };
  const tags = fc.dictionary(
    fc.constantFrom("task_id", "trace_id", "operation", "Größe", "with space", 'q"uote'),
    fc.oneof(text, fc.constant("738529527931269425")),
  );
  const event = fc.constantFrom(...(Object.keys(value) as (keyof typeof value)[])).chain((type) =>
    fc.record({
      us: fc.nat(),
      type: fc.constant(type),
      value: value[type],
      unit: fc.constantFrom(undefined, "ms", "bytes"),
      tags,
    }),
  );
  const events = fc.sample(event, runs(3_000));
  // A gauge has one value per timestamp, so each event has an interval of its own within the last day.
  const intervalUs = Math.floor((86_400_000_000 - 10_000) / events.length);
  const lines = events.map(({ us: drawn, type, value, unit, tags }, index) => {
    const us = (NOW_MS - 86_400_000) * 1000 + index * intervalUs + (drawn % intervalUs);
    const time = `${new Date(Math.floor(us / 1000)).toISOString().slice(0, -1)}${String(us % 1000).padStart(3, "0")}Z`;
    const number = Object.is(value, -0) ? "-0.0" : JSON.stringify(value);
    const name = `any.${type}${unit === undefined ? "" : `_${unit}`}`;
    const unitText = unit === undefined ? "" : `,"unit":"${unit}"`;
    return `{"@timestamp":"${time}","metric_name":"${name}","value":${number},"type":"${type}"${unitText},"tags":${JSON.stringify(tags)}}`;
  });
  await send(first, "/api/v1/push", lines.join("\n"), NDJSON);
  const all = await expectRoundTrip();
  expect(all.split("\n").filter((line) => line.includes('"metric_name":"any.'))).toHaveLength(events.length);
});

test("the help of a metric, on its first line alone", async () => {
  const [source, target] = [await openTestGatewayAt(NOW_MS), await openTestGatewayAt(NOW_MS)];
  const at = (ms: number, rest: string) => `{"@timestamp":${NOW_MS - 10_000 + ms},${rest}}`;
  const longest = "h".repeat(1_024);
  await send(
    source,
    "/api/v1/push",
    [
      at(0, '"metric_name":"h.duration","value":1,"tags":{"k":"a"},"help":"Says \\"so\\",\\nin two lines."'),
      at(1, '"metric_name":"h.duration","value":2,"tags":{"k":"b"}'),
      at(2, '"metric_name":"h.count","value":3,"type":"counter","unit":"1","help":"Counts."'),
      at(3, '"metric_name":"h.count","value":4,"type":"counter"'),
      at(4, `"metric_name":"h.level","value":5,"type":"gauge","help":"${longest}"`),
      at(5, '"metric_name":"h.none","value":6,"type":"gauge"'),
    ].join("\n"),
    NDJSON,
  );
  // The text format allows more than an event can have.
  await send(source, "/metrics/job/case", `# HELP h_long ${longest}h\n# TYPE h_long gauge\nh_long 1\n`);
  const lines = await exported(source);
  const helps = lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { metric_name: string; help?: string })
    .map(({ metric_name, help }) => [metric_name, help]);
  expect(helps.filter(([name]) => !name!.startsWith("push_"))).toEqual([
    ["h.duration", 'Says "so",\nin two lines.'],
    ["h.duration", undefined],
    ["h.count", "Counts."],
    ["h.count", undefined],
    ["h.level", longest],
    ["h.none", undefined],
    ["h_long", undefined],
  ]);
  expect(lines).toContain('"tags":{},"type":"counter","unit":"1","help":"Counts."}\n');

  const { rejected } = JSON.parse(await send(target, "/api/v1/push", lines, NDJSON)) as { rejected: number };
  expect(rejected).toBe(0);
  expect(await exported(target)).toBe(lines);
  const exposed = await (await target.app.fetch(new Request(`${HOST}/metrics`))).text();
  for (const line of [
    '# HELP h_duration Says "so",\\nin two lines.\n# TYPE h_duration histogram\n',
    "# HELP h_count_total Counts.\n# TYPE h_count_total counter\n",
    `# HELP h_level ${longest}\n# TYPE h_level gauge\n`,
  ])
    expect(exposed).toContain(line);
  // One metric, and a part of a range, begin with a help of their own.
  const part = await source.app.fetch(
    new Request(`${HOST}/api/v1/export?metric=h.count&from=${NOW_MS - 10_000 + 3}`),
  );
  expect(await part.text()).toEndWith('"value":4,"tags":{},"type":"counter","unit":"1","help":"Counts."}\n');
  await source.close();
  await target.close();
});

test("exports the same lines whichever attribute was pushed first", async () => {
  const names = Array.from({ length: 66 }, (_, index) => `a${index}`);
  const setting = `--attributes=${names.join(",")}`;
  const [source, target] = [
    await openTestGatewayAt(NOW_MS, setting),
    await openTestGatewayAt(NOW_MS, setting),
  ];
  const event = (ms: number, attributes: readonly string[], rest = "") =>
    `{"@timestamp":${NOW_MS - 10_000 + ms},"metric_name":"m.order","value":1,"tags":{${attributes.map((name) => `"${name}":"${name}\\""`).join(",")},"label":"x"}${rest}}`;
  const events = [event(0, ["a9", "a1"]), event(1, ["a1", "a10"]), event(2, names.slice(0, 60))];
  // The day has columns for 64 attributes. The others, and the member of a set, are stored together.
  events.push(event(3, names.slice(3), ',"columns":{"member":"m"}'));
  await send(source, "/api/v1/push", events.join("\n"), NDJSON);
  await send(target, "/api/v1/push", events.toReversed().join("\n"), NDJSON);
  const lines = await exported(source);
  expect(await exported(target)).toBe(lines);
  const [first, second, , last] = lines.trimEnd().split("\n");
  expect(first).toContain('"tags":{"label":"x","a1":"a1\\"","a9":"a9\\""}}');
  expect(second).toContain('"tags":{"label":"x","a1":"a1\\"","a10":"a10\\""}}');
  const { tags, columns } = JSON.parse(last!) as Record<string, Record<string, string>>;
  expect(Object.keys(tags!)).toEqual(["label", ...names.slice(3).toSorted()]);
  expect(columns).toEqual({ member: "m" });
  await source.close();
  await target.close();
});
