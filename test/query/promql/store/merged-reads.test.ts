/** Expressions that are evaluated together, with merged reads, have the results that each has on its own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { Engine, type PromqlResult } from "../../../../src/query/promql/engine.ts";
import { MergedReads } from "../../../../src/query/promql/store/merged-reads.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { STALE_STAND_IN } from "../../../receive/remote-write/decoded.ts";
import { type Sample, type Samples, storedSamples } from "../../stored.ts";
import { BEGIN_MS, dataset } from "../compare/dataset.ts";
import { expressions } from "../compare/expressions.ts";

const TOGETHER = 40;
const BATCHES = 8;
const TIME_MS = BEGIN_MS + 70 * 60_000 + 3_456;

const EVENTS = [
  "rate(task_ms_count[5m])",
  'sum by (host) (rate(task_ms_count{host="a"}[5m]))',
  "rate(task_ms_sum[5m]) / rate(task_ms_count[5m])",
  "histogram_quantile(0.9, sum by (le) (rate(task_ms_bucket[5m])))",
  'rate(task_ms_bucket{le="100"}[5m])',
  'rate(task_ms_bucket{le=~"10|100",host="b"}[5m])',
  "increase(task_ms_bucket[5m])",
  "increase(task_ms_count[10m])",
  "task_ms_count",
  "task_ms_bucket",
  'task_ms_count{host="b"} + task_ms_sum{host="b"}',
  '{__name__=~"task_ms_.*"}',
  '{__name__=~"task_ms_(count|sum)",host="a"}',
  "task_ms",
  "max_over_time(task_ms[5m])",
  "rate(done_total[5m])",
  "rate(done_total[5m]) or rate(task_ms_count[5m])",
  "rate(nobody_total[5m])",
  "absent(nobody)",
  "max_over_time(queue_depth[5m])",
  "max_over_time(queue_depth[40m])",
  'count_over_time(queue_depth{job="api"}[5m])',
  "sum_over_time(task_ms_count[5m])",
  "queue_depth + on (job) requests_total",
  "changes(task_ms_count[5m])",
];

let samples: Samples;
beforeAll(async () => {
  const stored: Sample[] = dataset().flatMap(({ labels, samples: own = [] }) => {
    const { __name__: metric, ...tags } = Object.fromEntries(
      labels as readonly (readonly [string, string])[],
    );
    return own
      .filter(({ timestamp = 0 }) => timestamp <= TIME_MS)
      .map(
        ({ timestamp = 0, value = 0 }): Sample => ({
          metric: metric!,
          kind: "gauge",
          ts: timestamp,
          value: value === STALE_STAND_IN ? null : value,
          tags,
        }),
      );
  });
  const events = Array.from({ length: 2_000 }, (_, at): Sample[] => {
    const ts = BEGIN_MS + at * 2_000 + 7;
    const tags = { host: at % 3 === 0 ? "a" : "b", task_id: `t${at}` };
    return [
      { metric: "task.ms", ts, value: (at * 37) % 150, tags },
      { metric: "done", kind: "delta", ts, value: at % 4, tags },
    ];
  }).flat();
  samples = await storedSamples([...stored, ...events]);
});
afterAll(() => samples.close());

function resultText({ data }: PromqlResult): string {
  if (data.type === "scalar") return String(data.value);
  if (data.type === "string") return data.text;
  return data.series
    .map(({ labels, values, timestampsMs }) => `${labels} ${values} ${timestampsMs}`)
    .join("\n");
}

const outcome = (engine: Engine, text: string) =>
  engine.instant(text, TIME_MS).then(resultText, (error: Error) => `${error.name}: ${error.message}`);

test("random expressions and rates of events have the same results together and alone", async () => {
  const { store, registry } = samples;
  const storage = ownStorage({ store, registry, observationStepMs: 15_000, seriesIdleMs: 86_400_000 });
  const alone = new Engine(storage, DEFAULTS);
  const random = fc.sample(expressions, { seed: 4, numRuns: TOGETHER * BATCHES });
  const batches = Array.from({ length: BATCHES }, (_, at) =>
    random.slice(at * TOGETHER, (at + 1) * TOGETHER),
  );
  for (const texts of [EVENTS, ...batches]) {
    const together = new Engine(new MergedReads(storage, new AbortController().signal), DEFAULTS);
    const merged = await Promise.all(texts.map((text) => outcome(together, text)));
    for (const [at, text] of texts.entries())
      expect([text, merged[at]]).toEqual([text, await outcome(alone, text)]);
  }
});

test("a query above its limit fails alone", async () => {
  const { store, registry } = samples;
  const storage = ownStorage({ store, registry, observationStepMs: 15_000, seriesIdleMs: 86_400_000 });
  const engine = new Engine(new MergedReads(storage, new AbortController().signal), {
    ...DEFAULTS,
    promqlSeriesMax: 8,
  });
  const [small, large] = await Promise.all([
    outcome(engine, 'sum(queue_depth{job="api"})'),
    outcome(engine, "count(requests_total)"),
  ]);
  expect(small).toStartWith("{} ");
  expect(large).toContain("promqlSeriesMax");
});

test("reads of one range are one statement", async () => {
  const { store, registry } = samples;
  let readers = 0;
  const counting = {
    ...store,
    days: () => store.days(),
    reader: () => {
      readers++;
      return store.reader();
    },
  } as typeof store;
  const storage = ownStorage({
    store: counting,
    registry,
    observationStepMs: 15_000,
    seriesIdleMs: 86_400_000,
  });
  const engine = new Engine(new MergedReads(storage, new AbortController().signal), DEFAULTS);
  const texts = ["a", "b", "c"].map((instance) => `queue_depth{instance="${instance}"}`);
  await Promise.all(texts.map((text) => outcome(engine, text)));
  expect(readers).toBe(1);
});
