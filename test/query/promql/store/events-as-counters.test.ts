/**
 * Events as counters, compared with a reference: the same events are counted as a scrape every 15 seconds would
 * have found them, and evaluated as ordinary series. Totals begin at 0 in each query of the store, and continue
 * in the reference, so only results that do not depend on the beginning are compared.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { LabelSet } from "../../../../src/query/promql/labels.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { runs } from "../../../runs.ts";
import { storedSamples } from "../../stored.ts";
import { MemoryStorage, type Point } from "../memory-storage.ts";

const BEGIN_MS = Date.UTC(2024, 0, 1, 23, 40);
const STEP_MS = 15_000;
/** No series ends here: the end of a series is tested by hand in store-storage.test.ts. */
const IDLE_MS = 24 * 3_600_000;

/** After the end of the latest query. */
const LAST_MS = 60 * 60_000;

interface Event {
  readonly atMs: number;
  readonly value: number;
  readonly op: string;
}

/** Forty minutes around midnight; some events have the same time, some are on an instant. */
const events: fc.Arbitrary<Event[]> = fc.array(
  fc.record({
    atMs: fc.oneof(
      fc.integer({ min: 0, max: 40 * 60_000 }),
      fc.integer({ min: 0, max: 160 }).map((step) => step * STEP_MS),
    ),
    value: fc.integer({ min: 0, max: 16 }).map((eighths) => eighths / 8),
    op: fc.constantFrom("a", "b"),
  }),
  { minLength: 1, maxLength: 40 },
);

/** The samples that scrapes would have found: count, sum and buckets of each series up to each instant. */
function reference(all: readonly Event[]): MemoryStorage {
  const series = new Map<string, { labels: LabelSet; points: Point[] }>();
  for (const op of new Set(all.map((event) => event.op))) {
    const own = all.filter((event) => event.op === op).sort((a, b) => a.atMs - b.atMs);
    const first = Math.ceil(own[0].atMs / STEP_MS) * STEP_MS - STEP_MS;
    for (let now = first; now <= LAST_MS; now += STEP_MS) {
      const before = own.filter((event) => event.atMs <= now);
      const add = (name: string, value: number, extra: Record<string, string> = {}) => {
        const labels = LabelSet.from(Object.entries({ __name__: name, op, ...extra }));
        const each = series.get(labels.key) ?? { labels, points: [] };
        each.points.push({ timestampMs: BEGIN_MS + now, value });
        series.set(labels.key, each);
      };
      add("task_ms_count", before.length);
      add(
        "task_ms_sum",
        before.reduce((sum, { value }) => sum + value, 0),
      );
      add("task_ms_bucket", before.length, { le: "+Inf" });
      add("task_ms_bucket", before.filter(({ value }) => value <= 1).length, { le: "1.0" });
    }
  }
  return new MemoryStorage().with(series.values());
}

const expressions = [
  "rate(task_ms_count[2m])",
  "increase(task_ms_sum[5m])",
  "irate(task_ms_count[1m])",
  "sum by (op) (increase(task_ms_bucket[3m]))",
  "histogram_quantile(0.5, sum by (le) (rate(task_ms_bucket[5m])))",
  "changes(task_ms_count[4m])",
  "resets(task_ms_count[20m])",
  "idelta(task_ms_count[1m])",
  "count_over_time(task_ms_count[3m])",
  "timestamp(task_ms_count)",
  "absent(task_ms_count{op='a'})",
  "task_ms_count - task_ms_count offset 2m",
  "rate(task_ms_sum[5m]) / rate(task_ms_count[5m])",
  "max_over_time(rate(task_ms_count[1m])[5m:30s])",
];

test("rates, quantiles and times of events are the same as those of scrapes", async () => {
  const queries = fc.record({
    events,
    text: fc.shuffledSubarray(expressions, { minLength: 6, maxLength: 6 }),
    startMs: fc.integer({ min: 0, max: 45 * 60_000 }),
    stepMs: fc.constantFrom(15_000, 60_000, 77_777),
  });
  await fc.assert(
    fc.asyncProperty(queries, async ({ events: all, text, startMs, stepMs }) => {
      const stored = await storedSamples(
        all.map(({ atMs, value, op }) => ({ metric: "task.ms", ts: BEGIN_MS + atMs, value, tags: { op } })),
      );
      try {
        const { store, registry } = stored;
        const ours = new Engine(
          ownStorage({ store, registry, observationStepMs: STEP_MS, seriesIdleMs: IDLE_MS }),
          DEFAULTS,
        );
        const plain = new Engine(reference(all), DEFAULTS);
        for (const each of text) {
          const from = BEGIN_MS + startMs;
          const [got, want] = await Promise.all(
            [ours, plain].map((engine) => engine.range(each, from, from + 10 * stepMs, stepMs)),
          );
          expect(shown(got.data), each).toEqual(shown(want.data));
        }
      } finally {
        await stored.close();
      }
    }),
    runs(25),
  );
});

test("results computed by the storage are the same as from samples, also when series end and return", async () => {
  const queries = fc.record({
    events,
    idleMs: fc.integer({ min: 1, max: 40 }).map((steps) => steps * STEP_MS + 1),
    rangeSeconds: fc.constantFrom(20, 60, 75, 300, 1234),
    startMs: fc.integer({ min: 0, max: 45 * 60_000 }),
    stepMs: fc.constantFrom(15_000, 60_000, 77_777),
  });
  await fc.assert(
    fc.asyncProperty(queries, async ({ events: all, idleMs, rangeSeconds, startMs, stepMs }) => {
      const stored = await storedSamples(
        all.map(({ atMs, value, op }) => ({ metric: "task.ms", ts: BEGIN_MS + atMs, value, tags: { op } })),
      );
      try {
        const { store, registry } = stored;
        const storage = ownStorage({
          store,
          registry,
          observationStepMs: STEP_MS,
          seriesIdleMs: idleMs,
        });
        const spared = new Engine(storage, DEFAULTS);
        const plain = new Engine(
          { select: (selection, budget) => storage.select(selection, budget) },
          DEFAULTS,
        );
        for (const name of ["task_ms_count", "task_ms_sum", "task_ms_bucket"]) {
          const text = `increase(${name}[${rangeSeconds}s])`;
          const from = BEGIN_MS + startMs;
          const [got, want] = await Promise.all(
            [spared, plain].map((engine) => engine.range(text, from, from + 10 * stepMs, stepMs)),
          );
          expect(shown(got.data), text).toEqual(shown(want.data));
        }
      } finally {
        await stored.close();
      }
    }),
    runs(25),
  );
});

/** Series as text, values to 12 digits: the order of additions can change later digits. */
function shown(data: Awaited<ReturnType<Engine["range"]>>["data"]): string[] {
  if (data.type !== "matrix") throw new Error(data.type);
  return data.series.map(({ labels, timestampsMs, values }) => {
    const points = [...values].map((value, at) => `${Number(value.toPrecision(12))}@${timestampsMs[at]}`);
    return `${labels} ${points.join(" ")}`;
  });
}
