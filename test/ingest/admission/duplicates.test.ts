/**
 * Duplicates, when samples arrive out of order or repeatedly: with any number of concurrent senders, each series has
 * one value per timestamp, the first, and no new sample is lost. Compared with a map.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { NewestTimes } from "../../../src/ingest/admission/newest-times.ts";
import { SampleTable, STALE, UNKNOWN, VALUE } from "../../../src/ingest/admission/sample-table.ts";
import type { Batch, SeriesHead } from "../../../src/model/sample.ts";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { runs } from "../../runs.ts";

/** 2024-10-04 00:00:05 UTC: some of the samples are of the day before. */
const NOW_MS = Date.UTC(2024, 9, 4, 0, 0, 5);

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS);
});
afterAll(() => gateway.close());

interface Sample {
  readonly series: number;
  readonly second: number;
  /** null is a stale marker. */
  readonly value: number | null;
}

function batchOf(metric: string, samples: readonly Sample[]): Batch {
  const heads: SeriesHead[] = samples.map(({ series }) => ({
    metric,
    kind: "cumulative",
    labels: new Map([["n", String(series)]]),
  }));
  return {
    protocol: "events",
    length: samples.length,
    heads,
    head: Uint32Array.from(samples, (_, index) => index),
    timestampUs: Float64Array.from(samples, ({ second }) => (NOW_MS - second * 1000) * 1000),
    value: Float64Array.from(samples, ({ value }) => value ?? 0),
    stale: Uint8Array.from(samples, ({ value }) => (value === null ? 1 : 0)),
    attributes: [],
    text: new Uint8Array(0),
    position: Uint32Array.from(samples, (_, index) => index),
    rejected: [],
  };
}

async function stored(metric: string): Promise<unknown[]> {
  const reader = await gateway.gateway.store.reader();
  try {
    const days = gateway.gateway.store
      .days()
      .map(({ table }) => `SELECT series_id, ts, value FROM weir.${table}`);
    const rows = await reader.all(
      `SELECT labels['n'] AS n, epoch_ms(ts)::DOUBLE AS ms, value FROM (${days.join(" UNION ALL ")})
       JOIN weir.series USING (series_id) WHERE metric = '${metric}'`,
    );
    return rows.map(({ n, ms, value }) => `${n} ${(NOW_MS - (ms as number)) / 1000} ${value}`).sort();
  } finally {
    reader.close();
  }
}

let names = 0;
const fresh = () => `metric_${++names}`;

const sample = fc.record({
  series: fc.nat(2),
  // Across midnight.
  second: fc.nat(9),
  value: fc.constantFrom(1, 2, Number.NaN, null),
});

test("concurrent pushes: the first value per time is stored, equal ones are duplicates, others are rejected", async () => {
  const pushes = fc.array(fc.array(sample, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pushes, fc.boolean(), async (batches, together) => {
      const metric = fresh();
      const model = new Map<string, number | null>();
      const want = batches.map((samples) => {
        const outcome = { accepted: 0, duplicates: 0, rejected: [] as number[] };
        samples.forEach(({ series, second, value }, index) => {
          const key = `${series} ${second}`;
          if (!model.has(key)) {
            model.set(key, value);
            outcome.accepted++;
          } else if (Object.is(model.get(key), value)) outcome.duplicates++;
          else outcome.rejected.push(index);
        });
        return outcome;
      });
      const push = (samples: readonly Sample[]) => gateway.gateway.ingest.push(batchOf(metric, samples));
      const acks = [];
      if (together) acks.push(...(await Promise.all(batches.map(push))));
      else for (const samples of batches) acks.push(await push(samples));
      expect(
        acks.map(({ accepted, duplicates, rejected }) => ({
          accepted,
          duplicates,
          rejected: rejected.map(({ index }) => index),
        })),
      ).toEqual(want);
      expect(await stored(metric)).toEqual([...model].map(([key, value]) => `${key} ${value}`).sort());
    }),
    runs(60),
  );
});

test("pushes of samples out of order share a commit", async () => {
  const metric = fresh();
  const push = (series: number, second: number) =>
    gateway.gateway.ingest.push(batchOf(metric, [{ series, second, value: 1 }]));
  const commits = async () =>
    (await gateway.counters.commitSeconds.get()).values.find(({ metricName }) =>
      metricName?.endsWith("_count"),
    )?.value ?? 0;
  await push(0, 0);
  const before = await commits();
  // The first push may start a commit at once. All pushes that arrive meanwhile are in the next commit.
  await Promise.all(Array.from({ length: 50 }, (_, index) => push(0, 1 + (index % 9))));
  expect((await commits()) - before).toBeLessThanOrEqual(2);
  expect((await stored(metric)).length).toBe(10);
});

test("the table finds the value of each key", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 0, max: 2 ** 52 })), { maxLength: 200 }),
      (keys) => {
        const table = new SampleTable(keys.length);
        const model = new Map<string, number>();
        for (const [seriesId, us] of keys) {
          const key = `${seriesId} ${us}`;
          const entry = table.add(seriesId, us);
          expect(entry).toBe(model.get(key) ?? model.size);
          model.set(key, entry);
          expect(table.find(seriesId, us)).toBe(entry);
          expect(table.find(seriesId, us + 1)).toBe(model.get(`${seriesId} ${us + 1}`) ?? -1);
        }
      },
    ),
    runs(),
  );
  const table = new SampleTable(2);
  const [one, two] = [table.add(1, 1_704_067_200_000_000), table.add(1, 1_704_067_200_000_001)];
  expect([table.state[one], table.state[two]]).toEqual([UNKNOWN, UNKNOWN]);
  table.set(one, 5);
  table.set(two, null);
  expect([table.state[one], table.value[one], table.state[two]]).toEqual([VALUE, 5, STALE]);
});

test("a batch advances the newest times if all of its samples are newer, and otherwise changes none", () => {
  const newest = new NewestTimes(() => Number.NEGATIVE_INFINITY);
  const advance = (...samples: [id: number, us: number][]) =>
    newest.advance(
      Uint32Array.from(samples, ([id]) => id),
      Float64Array.from(samples, ([, us]) => us),
      samples.length,
    );
  expect(advance([1, 10], [5_000, 10], [1, 11])).toBe(true);
  expect([newest.get(1), newest.get(5_000), newest.get(2)]).toEqual([11, 10, Number.NEGATIVE_INFINITY]);
  expect(advance([1, 12], [2, 3], [1, 12])).toBe(false);
  expect(advance([1, 12], [5_000, 9])).toBe(false);
  expect([newest.get(1), newest.get(5_000), newest.get(2)]).toEqual([11, 10, Number.NEGATIVE_INFINITY]);
});
