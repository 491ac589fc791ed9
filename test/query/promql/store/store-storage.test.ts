/** PromQL over the real store: names, days, duplicates, stale markers, and events as counters, worked out by hand. */
import { afterEach, expect, test } from "bun:test";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { type Sample, type Samples, storedSamples } from "../../stored.ts";

const HOUR_MS = 3_600_000;
const open: Samples[] = [];

afterEach(async () => {
  for (const samples of open.splice(0)) await samples.close();
});

/** An engine over samples, and a short function for queries at a time of 2024-01-02. */
async function over(stored: readonly Sample[], options: Parameters<typeof storedSamples>[1] = {}) {
  const samples = await storedSamples(stored, options);
  open.push(samples);
  const { store, registry } = samples;
  const engine = new Engine(
    ownStorage({ store, registry, observationStepMs: 15_000, seriesIdleMs: 24 * HOUR_MS }),
    DEFAULTS,
  );
  const ask = async (text: string, time: string) => {
    const { data } = await engine.instant(text, at(time));
    if (data.type !== "vector" && data.type !== "matrix") return data;
    return data.series.map(({ labels, values }) => `${labels} ${values.join(" ")}`);
  };
  const range = async (text: string, from: string, to: string, stepMs: number) => {
    const { data } = await engine.range(text, at(from), at(to), stepMs);
    if (data.type !== "matrix") throw new Error(data.type);
    return data.series.map(({ labels, values, timestampsMs }) => {
      const points = [...values].map((value, step) => `${value}@${(timestampsMs[step] - at(from)) / 1000}`);
      return `${labels} ${points.join(" ")}`;
    });
  };
  return { ask, range, engine, samples };
}

function at(time: string): number {
  return Date.parse(time.includes("T") ? `${time}Z` : `2024-01-02T${time}Z`);
}

const gauge = (ts: string, value: number | null, tags = {}): Sample => ({
  metric: "queue.depth",
  kind: "gauge",
  ts: at(ts),
  value,
  tags,
});

const event = (ts: string, value: number, tags = {}, metric = "task.ms"): Sample => ({
  metric,
  ts: at(ts),
  value,
  tags,
});

test("finds a gauge and its labels by both spellings of their names", async () => {
  const { ask } = await over([gauge("10:00:00", 4, { "queue.name": "a" })]);
  const want = ['{__name__="queue_depth", queue_name="a"} 4'];
  expect(await ask("queue_depth", "10:01:00")).toEqual(want);
  expect(await ask('{"queue.depth"}', "10:01:00")).toEqual(want);
  expect(await ask('{__name__=~"queue.+", queue_name="a"}', "10:01:00")).toEqual(want);
  expect(await ask('{"queue.depth", "queue.name"="a"}', "10:01:00")).toEqual(want);
  expect(await ask('queue_depth{queue_name="b"}', "10:01:00")).toEqual([]);
});

test("looks back five minutes for a gauge, over midnight, and ends it at its stale marker", async () => {
  const { ask } = await over([
    gauge("2024-01-01T23:58:00", 1, { q: "old" }),
    gauge("00:01:00", 2, { q: "ends" }),
    gauge("00:01:30", null, { q: "ends" }),
  ]);
  expect(await ask("queue_depth", "00:01:10")).toEqual([
    '{__name__="queue_depth", q="ends"} 2',
    '{__name__="queue_depth", q="old"} 1',
  ]);
  expect(await ask("queue_depth", "00:02:00")).toEqual(['{__name__="queue_depth", q="old"} 1']);
  // 23:58 is five minutes before 00:03, which the look-back excludes.
  expect(await ask("queue_depth", "00:03:00")).toEqual([]);
  expect(await ask("count_over_time(queue_depth[10m])", "00:02:00")).toEqual(['{q="ends"} 1', '{q="old"} 1']);
});

test("returns samples in order that were stored out of order", async () => {
  const { ask, samples } = await over([gauge("10:02:00", 3), gauge("10:00:00", 1)]);
  await samples.add([gauge("10:01:00", 2)]);
  expect(await ask("queue_depth[5m]", "10:03:00")).toEqual(['{__name__="queue_depth"} 1 2 3']);
  expect(await ask("queue_depth", "10:01:30")).toEqual(['{__name__="queue_depth"} 2']);
});

test("of events at one time, an instant has the last stored and a range has all", async () => {
  const { ask } = await over([event("10:00:00", 7), event("10:00:00", 5), event("10:00:00", 6)]);
  expect(await ask("task_ms", "10:00:10")).toEqual(['{__name__="task_ms"} 6']);
  expect(await ask("sum_over_time(task_ms[1m])", "10:00:10")).toEqual(["{} 18"]);
  expect(await ask("quantile_over_time(0.5, task_ms[1m])", "10:00:10")).toEqual(["{} 6"]);
});

test("of gauges that form one series, the last stored counts at one time", async () => {
  const { ask } = await over([
    gauge("10:00:00", 1, { "queue.name": "a" }),
    gauge("10:00:00", 2, { queue_name: "a" }),
    gauge("10:00:01", 3, { queue_name: "a" }),
    gauge("10:00:01", 4, { "queue.name": "a" }),
  ]);
  const name = '{__name__="queue_depth", queue_name="a"}';
  expect(await ask("queue_depth", "10:00:00")).toEqual([`${name} 2`]);
  expect(await ask("queue_depth", "10:00:01")).toEqual([`${name} 4`]);
  expect(await ask("queue_depth[1m]", "10:00:10")).toEqual([`${name} 1 2 3 4`]);
});

test("one selector can find the buckets, sum and count of a histogram", async () => {
  const { ask } = await over([event("10:00:01", 0.5), event("10:00:02", 3), event("10:01:01", 1)]);
  expect(await ask('{__name__=~"task_ms_.+"}', "10:01:15")).toEqual([
    '{__name__="task_ms_bucket", le="+Inf"} 3',
    '{__name__="task_ms_bucket", le="1.0"} 2',
    '{__name__="task_ms_count"} 3',
    '{__name__="task_ms_sum"} 4.5',
  ]);
  // At 10:00:30, 45, 10:01:00 and 15.
  expect(await ask('{__name__=~"task_ms_(sum|count)"}[1m]', "10:01:15")).toEqual([
    '{__name__="task_ms_count"} 2 2 2 3',
    '{__name__="task_ms_sum"} 3.5 3.5 3.5 4.5',
  ]);
  // Both buckets and the count grow by one.
  const rates = 'rate({__name__=~"task_ms_(bucket|count)"}[1m])';
  expect(await ask(`count(${rates} > 0)`, "10:01:15")).toEqual(["{} 3"]);
});

test("of two metrics with one spelling, one selector can find one, and another selector both", async () => {
  const { ask } = await over([event("10:00:01", 0.5), event("10:00:02", 3, {}, "task_ms")]);
  expect(await ask('{__name__=~"task[.]ms_count|task_ms_sum"}', "10:01:15")).toEqual([
    '{__name__="task_ms_count"} 1',
    '{__name__="task_ms_sum"} 3.5',
  ]);
  expect(await ask('{__name__=~"task_ms_count|task[.]ms_sum"}', "10:01:15")).toEqual([
    '{__name__="task_ms_count"} 2',
    '{__name__="task_ms_sum"} 0.5',
  ]);
});

test.each([
  ["queue_depth", gauge],
  ["task_ms", event],
] as const)(
  "a sum of %s over days keeps small values beside large ones that cancel out",
  async (metric, of) => {
    const { ask } = await over([
      ...[1e100, 1, -1e100].map((value, index) => of(`10:00:0${index}`, value, { q: "day" })),
      of("2024-01-01T23:59:00", 1e100, { q: "days" }),
      of("2024-01-02T00:00:01", 1, { q: "days" }),
      of("2024-01-02T00:00:02", -1e100, { q: "days" }),
      ...[-1e308, -1e308].map((value, index) => of(`10:00:0${index}`, value, { q: "vast" })),
      ...[0, 0].map((value, index) => of(`10:00:0${index}`, value, { q: "zero" })),
      ...[0.5, 2].map((value, index) => of(`10:00:0${index}`, value, { q: "half" })),
    ]);
    expect(await ask(`sum_over_time(${metric}[12h])`, "10:01:00")).toEqual([
      '{q="day"} 1',
      '{q="days"} 1',
      '{q="half"} 2.5',
      '{q="vast"} -Infinity',
      '{q="zero"} 0',
    ]);
    expect(await ask(`avg_over_time(${metric}[12h]) * 3`, "10:01:00")).toEqual([
      '{q="day"} 1',
      '{q="days"} 1',
      '{q="half"} 3.75',
      '{q="vast"} -Infinity',
      '{q="zero"} 0',
    ]);
    expect(await ask(`sum_over_time(${metric}{q="day"}[12h]) > 0`, "10:01:00")).toEqual(['{q="day"} 1']);
    // These are added by the engine, if they are events.
    expect(await ask(`sum_over_time(${metric}{q=~"half|zero"}[12h])`, "10:01:00")).toEqual([
      '{q="half"} 2.5',
      '{q="zero"} 0',
    ]);
  },
);

test("a sum of infinite values is infinite or NaN", async () => {
  const { ask } = await over([
    ...[Infinity, -Infinity].map((value, index) => gauge(`10:00:0${index}`, value, { q: "opposite" })),
    gauge("10:00:00", -Infinity, { q: "infinite" }),
  ]);
  const answer = ['{q="infinite"} -Infinity', '{q="opposite"} NaN'];
  expect(await ask("sum_over_time(queue_depth[12h])", "10:01:00")).toEqual(answer);
  expect(await ask("avg_over_time(queue_depth[12h]) * 3", "10:01:00")).toEqual(answer);
});

test("a sum and a mean at one time keep the digits that a range query keeps", async () => {
  // The exact sum is 2^54 + 21. Doubles of this size are 4 apart, so the nearest one is 2^54 + 20.
  const values = [7, 2 ** 54, 7, 7];
  const { ask, range } = await over(values.map((value, index) => gauge(`10:00:0${index}`, value)));
  const sum = 2 ** 54 + 20;
  expect(await ask("sum_over_time(queue_depth[12h])", "10:01:00")).toEqual([`{} ${sum}`]);
  expect(await ask("avg_over_time(queue_depth[12h])", "10:01:00")).toEqual([`{} ${sum / 4}`]);
  expect(await range("sum_over_time(queue_depth[12h])", "10:01:00", "10:02:00", 60_000)).toEqual([
    `{} ${sum}@0 ${sum}@60`,
  ]);
});

test("a running sum keeps small values if large ones before the range cancel out", async () => {
  const { ask } = await over([
    ...[1e100, 1, -1e100].map((value, index) => event(`10:00:0${index}`, value)),
    event("10:30:00", 2),
  ]);
  expect(await ask("task_ms_sum", "10:00:15")).toEqual(['{__name__="task_ms_sum"} 1']);
  expect(await ask("task_ms_sum", "10:30:15")).toEqual(['{__name__="task_ms_sum"} 3']);
});

test("the storage reduces ranges to the same numbers as the samples", async () => {
  const values = [3, Number.NaN, -1, 7, Number.NaN, 2];
  const { ask, engine } = await over([
    ...values.map((value, index) =>
      gauge(`${index < 3 ? "2024-01-01T23:59:1" : "2024-01-02T00:00:1"}${index}`, value, { q: "some" }),
    ),
    gauge("2024-01-02T00:00:20", null, { q: "some" }),
    gauge("2024-01-02T00:00:10", Number.NaN, { q: "none" }),
    gauge("2024-01-02T00:00:10", 1e308, { q: "vast" }),
    gauge("2024-01-02T00:00:11", 1e308, { q: "vast" }),
  ]);
  expect(await ask("max_over_time(queue_depth[5m])", "00:01:00")).toEqual([
    '{q="none"} NaN',
    '{q="some"} 7',
    '{q="vast"} 1e+308',
  ]);
  expect(await ask("min_over_time(queue_depth[5m])", "00:01:00")).toEqual([
    '{q="none"} NaN',
    '{q="some"} -1',
    '{q="vast"} 1e+308',
  ]);
  expect(await ask("count_over_time(queue_depth[5m])", "00:01:00")).toEqual([
    '{q="none"} 1',
    '{q="some"} 6',
    '{q="vast"} 2',
  ]);
  expect(await ask("sum_over_time(queue_depth[5m])", "00:01:00")).toEqual([
    '{q="none"} NaN',
    '{q="some"} NaN',
    '{q="vast"} Infinity',
  ]);
  // The sum overflows, the mean does not.
  expect(await ask("avg_over_time(queue_depth[5m])", "00:01:00")).toEqual([
    '{q="none"} NaN',
    '{q="some"} NaN',
    '{q="vast"} 1e+308',
  ]);
  for (const name of ["max", "min", "count", "sum", "avg", "present"]) {
    const text = `${name}_over_time(queue_depth[50s])`;
    const now = at("00:01:00");
    const instant = await engine.instant(text, now);
    const range = await engine.range(text, now - 1000, now + 1000, 1000);
    if (instant.data.type !== "vector" || range.data.type !== "matrix") throw new Error(text);
    const middle = range.data.series.flatMap(({ labels, timestampsMs, values: steps }) => {
      const step = timestampsMs.indexOf(now);
      return step < 0 ? [] : [`${labels} ${steps[step]}`];
    });
    expect(
      instant.data.series.map(({ labels, values: [value] }) => `${labels} ${value}`),
      text,
    ).toEqual(middle);
  }
});

test("one event is 0 one step before, and 1 from then on, every 15 seconds of the clock", async () => {
  const { range, ask } = await over([event("10:00:07", 3)]);
  expect(await range("task_ms_count", "09:59:45", "10:00:30", 15_000)).toEqual([
    '{__name__="task_ms_count"} 0@15 1@30 1@45',
  ]);
  expect(await range("task_ms_sum", "10:00:00", "10:00:15", 15_000)).toEqual([
    '{__name__="task_ms_sum"} 0@0 3@15',
  ]);
  // The bucket layout of the test registry is [1], so 3 is above it.
  expect(await ask("task_ms_bucket", "10:00:20")).toEqual([
    '{__name__="task_ms_bucket", le="+Inf"} 1',
    '{__name__="task_ms_bucket", le="1.0"} 0',
  ]);
  expect(await ask('task_ms_bucket{le="1.0"}', "10:00:20")).toEqual([
    '{__name__="task_ms_bucket", le="1.0"} 0',
  ]);
  // Samples from 10:00:00 (0) to 10:05:00 (1). The range excludes its start 10:00:00, so all samples are 1.
  expect(await ask("increase(task_ms_count[5m])", "10:05:00")).toEqual(["{} 0"]);
  // From 10:00:00 (0) to 10:04:45 (1): 285 s, 9 s to the start and 1 s to the end. A counter of 0 begins there.
  const [increase] = (await ask("increase(task_ms_count[295s])", "10:04:46")) as string[];
  expect(Number(increase.slice(3))).toBeCloseTo((285 + 0 + 1) / 285, 12);
});

test("a rate counts the first events, and no events outside its range", async () => {
  const { ask } = await over([
    event("10:00:07", 1, { op: "a" }),
    event("10:00:08", 1, { op: "a" }),
    event("10:01:00", 1, { op: "b" }),
    event("10:02:01", 1, { op: "a" }),
  ]);
  // op a: instants 10:00:00 = 0 … 10:00:15 = 2 … 10:02:15 = 3, 10:03:00 = 3: 3 in 180 s. The range begins 15 s
  // before the first instant, which is 0, so it is not extrapolated back.
  expect(await ask("sum by (op) (increase(task_ms_count[195s]))", "10:03:00")).toEqual([
    '{op="a"} 3',
    // op b: 0 at 10:00:45, and 1 from 10:01:00 on, which includes the event at exactly that time.
    '{op="b"} 1',
  ]);
  // A range from 10:00:45 excludes op b's zero, because every range excludes its start.
  expect(await ask("sum(increase(task_ms_count[60s]))", "10:01:45")).toEqual(["{} 0"]);
  // With one second more on either side: 1 in 60 s, not extrapolated before its zero, and 1 s to the end.
  expect(await ask("sum(increase(task_ms_count[62s]))", "10:01:46")).toEqual([`{} ${61 / 60}`]);
});

test("a total ends a day after its last event, and returns with its earlier value", async () => {
  const { range, ask } = await over([event("2024-01-01T10:00:00", 1), event("12:00:00", 1)]);
  // Its last instant is 15 s before the day is over; the next is a stale marker.
  expect(await ask("task_ms_count", "09:59:59")).toEqual(['{__name__="task_ms_count"} 1']);
  expect(await ask("task_ms_count", "10:00:00")).toEqual([]);
  expect(await ask("task_ms_count", "11:59:59")).toEqual([]);
  // Totals look back one day, so it returns as 1 without a 0: it is not new.
  expect(await range("task_ms_count", "11:59:45", "12:00:15", 15_000)).toEqual([
    '{__name__="task_ms_count"} 1@15 1@30',
  ]);
});

test("events before the range give a constant total", async () => {
  const { ask } = await over([event("08:00:00", 1), event("08:00:01", 1)]);
  expect(await ask("rate(task_ms_count[5m])", "10:00:00")).toEqual(["{} 0"]);
  expect(await ask("task_ms_count", "10:00:00")).toEqual(['{__name__="task_ms_count"} 2']);
});

test("a rate is extrapolated to the zero of a young total, and fully for an old one", async () => {
  const events = (op: string, seconds: readonly number[]) =>
    seconds.map((second) =>
      event(new Date(Date.UTC(2024, 0, 2, 10) + second * 1000).toISOString().slice(0, -1), 1, { op }),
    );
  const { ask } = await over([...events("young", [1, 100]), ...events("old", [-3000, -2000, -1000, 1, 100])]);
  // From 10:01:00 to 10:02:00, 10 s after the range's start and 5 s before its end: an increase of 1 in 60 s. The
  // zero of the young total, which was 1, is 60 s before; the old one was 4. Both extend to both ends:
  // 1 * (60 + 10 + 5) / 60.
  expect(await ask("increase(task_ms_count[75s])", "10:02:05")).toEqual([
    '{op="old"} 1.25',
    '{op="young"} 1.25',
  ]);
  // From 09:59:50: 0 to 2 in 120 s for the young total, which begins at zero; 3 to 5 for the old one, 5 s back.
  expect(await ask("increase(task_ms_count[125s])", "10:02:00")).toEqual([
    `{op="old"} ${(2 * (120 + 5)) / 120}`,
    '{op="young"} 2',
  ]);
});

test("quantiles come from the buckets of the events", async () => {
  const events = Array.from({ length: 20 }, (_, index) =>
    event(`10:00:${String(20 + index)}`, index < 10 ? 0.5 : 3),
  );
  const { ask } = await over(events);
  // Half are at most 1, spread from 0 to 1, so the quartile is in their middle. The rest is above all bounds.
  expect(await ask("histogram_quantile(0.25, rate(task_ms_bucket[5m]))", "10:02:00")).toEqual(["{} 0.5"]);
  expect(await ask("histogram_quantile(0.9, rate(task_ms_bucket[5m]))", "10:02:00")).toEqual(["{} 1"]);
});

test("a delta is a counter with _total, and its increments are raw values", async () => {
  const delta = (ts: string, value: number): Sample => ({
    metric: "bytes.sent",
    kind: "delta",
    ts: at(ts),
    value,
  });
  const { ask } = await over([delta("10:00:05", 100), delta("10:00:20", 50)]);
  expect(await ask("bytes_sent_total", "10:00:30")).toEqual(['{__name__="bytes_sent_total"} 150']);
  expect(await ask("bytes_sent[1m]", "10:00:30")).toEqual(['{__name__="bytes_sent"} 100 50']);
});

test("a demoted label is missing from all history, and its series are merged", async () => {
  const { ask } = await over(
    ["a", "b", "c", "d"].map((user, index) => event(`10:00:0${index}`, 1, { user, op: "x" })),
    { labelValuesMax: 2 },
  );
  expect(await ask("task_ms_count", "10:00:30")).toEqual(['{__name__="task_ms_count", op="x"} 4']);
  expect(await ask('count_over_time(task_ms{user="a"}[1m])', "10:00:30")).toEqual([]);
});

test("a series of a group keeps its value until it is replaced or deleted", async () => {
  const { samples } = await over([
    gauge("2024-01-01T10:00:05", 3, { q: "held" }),
    gauge("2024-01-02T10:30:00", 4, { q: "held" }),
    gauge("2024-01-02T10:40:00", null, { q: "held" }),
    gauge("2024-01-01T10:00:05", 1, { q: "other" }),
  ]);
  const { store, registry } = samples;
  const [heldId] = [...registry.series()]
    .filter(({ labels }) => labels.get("q") === "held")
    .map((each) => each.seriesId);
  const options = { store, registry, observationStepMs: 15_000, seriesIdleMs: HOUR_MS };
  const engine = new Engine(
    ownStorage({
      ...options,
      heldOf: (id) =>
        id === heldId ? { timestampMs: at("2024-01-02T10:40:00"), value: undefined } : undefined,
      now: () => at("2024-01-02T12:00:00"),
    }),
    DEFAULTS,
  );
  const ask = async (text: string, time: string) => {
    const { data } = await engine.instant(text, at(time));
    return data.type === "vector" ? data.series.map(({ labels, values }) => `${labels} ${values[0]}`) : [];
  };
  const want = (value: number) => [`{__name__="queue_depth", q="held"} ${value}`];
  expect(await ask("queue_depth", "2024-01-01T09:59:59")).toEqual([]);
  expect(await ask("queue_depth", "2024-01-01T10:20:00")).toEqual(want(3));
  expect(await ask("queue_depth", "2024-01-02T10:29:59")).toEqual(want(3));
  expect(await ask("queue_depth", "2024-01-02T10:31:00")).toEqual(want(4));
  expect(await ask("queue_depth", "2024-01-02T10:41:00")).toEqual([]);
  // Four instants in a minute, as scrapes would have found them.
  expect(await ask("count_over_time(queue_depth[1m])", "2024-01-02T10:20:00")).toEqual(['{q="held"} 4']);
  // The push at 10:00:05, and the first instant two steps later.
  expect(await ask("count_over_time(queue_depth[1m])", "2024-01-01T10:00:45")).toEqual([
    '{q="held"} 2',
    '{q="other"} 1',
  ]);
  expect(await ask("changes(queue_depth[10m])", "2024-01-02T10:35:00")).toEqual(['{q="held"} 1']);
  expect(await ask("max_over_time(queue_depth[1h])", "2024-01-02T09:00:00")).toEqual(['{q="held"} 3']);
});

test("reads more rows than fit at once in portions", async () => {
  const stored = ["a", "b", "c", "d"].flatMap((op, series) =>
    Array.from({ length: 3 + series }, (_, second) => event(`10:00:0${second}`, second, { op })),
  );
  const { samples } = await over(stored);
  const { store, registry } = samples;
  const ask = async (rowsAtOnce: number | undefined, text: string) => {
    const options = { store, registry, observationStepMs: 15_000, seriesIdleMs: HOUR_MS, rowsAtOnce };
    const { data, stats } = await new Engine(ownStorage(options), DEFAULTS).instant(text, at("10:00:20"));
    if (data.type !== "vector") throw new Error(data.type);
    return [data.series.map(({ labels, values }) => `${labels} ${values[0]}`), stats.samplesRead];
  };
  for (const text of ["stddev_over_time(task_ms[1m])", "task_ms_count", "increase(task_ms_bucket[1m])"]) {
    const whole = await ask(undefined, text);
    for (const rowsAtOnce of [1, 4, 7, 100]) expect(await ask(rowsAtOnce, text), text).toEqual(whole);
  }
});

test("queries that need much of the engine's memory run one after the other", async () => {
  const stored = Array.from({ length: 260 }, (_, series) =>
    Array.from({ length: 1_000 }, (__, at) => gauge(`10:${time(at)}`, at, { q: String(series) })),
  ).flat();
  const { ask } = await over(stored, { memoryLimitBytes: 10 * 1_048_576 });
  const asked = Array.from({ length: 8 }, () => ask("sum(stdvar_over_time(queue_depth[1h]))", "10:16:39"));
  expect(await Promise.all(asked)).toEqual(asked.map(() => ["{} 21666645"]));
  function time(second: number) {
    return `${String(Math.floor(second / 60)).padStart(2, "0")}:${String(second % 60).padStart(2, "0")}`;
  }
});

test("a query stops waiting for the engine's memory when its client disconnects or its time is up", async () => {
  const { samples } = await over(
    Array.from({ length: 300 }, (_, series) => gauge("10:00:00", series, { series: String(series) })),
  );
  const { promise: mayRead, resolve: release } = Promise.withResolvers<void>();
  const { promise: isReading, resolve: reading } = Promise.withResolvers<void>();
  const { store, registry } = samples;
  const slow = {
    days: () => store.days(),
    reader: async () => {
      reading();
      await mayRead;
      return await store.reader();
    },
  };
  const engine = new Engine(
    ownStorage({ store: slow, registry, observationStepMs: 15_000, seriesIdleMs: HOUR_MS }),
    DEFAULTS,
  );
  const first = engine.instant("queue_depth", at("10:00:10"));
  await isReading;
  const client = new AbortController();
  const left = engine.instant("queue_depth", at("10:00:10"), { signal: client.signal });
  const late = engine.instant("queue_depth", at("10:00:10"), { promqlTimeoutMs: 20 });
  const last = engine.instant("queue_depth", at("10:00:10"));
  client.abort();
  await expect(left).rejects.toThrow("the query was canceled");
  await expect(late).rejects.toThrow("the query took longer than 20 ms (promqlTimeoutMs)");
  release();
  for (const query of [first, last]) {
    const { data } = await query;
    expect(data.type === "vector" && data.series.length).toBe(300);
  }
});

test("the error of a query that needs more memory than the engine has names the setting", async () => {
  const stored = Array.from({ length: 260 }, (_, series) =>
    Array.from({ length: 1_000 }, (__, at) =>
      gauge(`10:00:00.${String(at).padStart(3, "0")}`, at, { q: String(series) }),
    ),
  ).flat();
  const { ask } = await over(stored, { memoryLimitBytes: 4 * 1_048_576 });
  expect(ask("sum(stddev_over_time(queue_depth[1h]))", "10:01:00")).rejects.toThrow(/memoryLimitBytes/);
});

test("a query that is cancelled, too slow or too large fails with its reason", async () => {
  const { samples } = await over([gauge("10:00:00", 1), gauge("10:00:01", 2)]);
  const { store, registry } = samples;
  const storage = ownStorage({ store, registry, observationStepMs: 15_000, seriesIdleMs: HOUR_MS });
  const ask = (limits: object, signal?: AbortSignal) =>
    new Engine(storage, { ...DEFAULTS, ...limits }).instant(
      "count_over_time(queue_depth[1h])",
      at("10:01:00"),
      { signal },
    );
  expect(ask({ promqlSamplesMax: 1 })).rejects.toThrow(/more than 1 samples \(promqlSamplesMax\)/);
  expect(ask({ promqlSeriesMax: 0 })).rejects.toThrow(/more than 0 series \(promqlSeriesMax\)/);
  expect(ask({ promqlMemoryBytesMax: 8 })).rejects.toThrow(/more than 8 bytes .*\(promqlMemoryBytesMax\)/);
  expect(ask({}, AbortSignal.abort())).rejects.toThrow("canceled");
});
