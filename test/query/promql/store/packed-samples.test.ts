/**
 * The same samples as rows, and as blocks with some rows beside and behind them, give the same answers bit for bit: random
 * expressions as instant and range queries, SQL and exports.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { Engine, type PromqlResult } from "../../../../src/query/promql/engine.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { STALE_STAND_IN } from "../../../receive/remote-write/decoded.ts";
import { runs } from "../../../runs.ts";
import { snapshotOf } from "../../../totals-snapshots.ts";
import { type Sample, type Samples, storedSamples } from "../../stored.ts";
import { BEGIN_MS, dataset, END_MS } from "../compare/dataset.ts";
import { expressions } from "../compare/expressions.ts";

const DAY = Math.floor(BEGIN_MS / 86_400_000);
/** The end of the span in which the samples begin. */
const SPAN_END_MS = BEGIN_MS + 60 * 60_000;

const all: readonly Sample[] = dataset().flatMap(({ labels, samples = [] }) => {
  const { __name__: metric, ...tags } = Object.fromEntries(labels as readonly (readonly [string, string])[]);
  const kind = /_total$|_bucket$/.test(metric!) ? "cumulative" : "gauge";
  return samples.map(
    ({ timestamp = 0, value = 0 }): Sample => ({
      metric: metric!,
      kind,
      ts: timestamp,
      value: value === STALE_STAND_IN ? null : value,
      tags,
    }),
  );
});
const isLate = (_: Sample, at: number) => at % 13 === 5;

let rows: Samples;
let packed: Samples;
beforeAll(async () => {
  rows = await storedSamples(all);
  packed = await storedSamples(all.filter((sample, at) => !isLate(sample, at)));
  await packed.store.commit({ totals: snapshotOf([]) });
  await packed.store.pack({ day: DAY, untilUs: SPAN_END_MS * 1_000, isForced: true });
  await packed.add(all.filter(isLate));
});
afterAll(async () => {
  await rows.close();
  await packed.close();
});

test("half of the samples are in blocks", async () => {
  await packed.store.moveJournal();
  const [day] = packed.store.days();
  expect(day!.rows).toBe(all.length);
  expect(day!.packed).toBe(
    all.filter((sample, at) => !isLate(sample, at) && (sample.ts as number) < SPAN_END_MS).length,
  );
});

function engineOf({ store, registry }: Samples): Engine {
  return new Engine(
    ownStorage({ store, registry, observationStepMs: 15_000, seriesIdleMs: 86_400_000 }),
    DEFAULTS,
  );
}

/** All bits of a result. */
function bitsOf({ data }: PromqlResult): unknown {
  if (data.type === "scalar" || data.type === "string") return data;
  return data.series.map(({ labels, values, timestampsMs }) => [
    String(labels),
    [...timestampsMs],
    Buffer.from(Float64Array.from(values).buffer).toString("hex"),
  ]);
}

const outcome = (result: Promise<PromqlResult>) =>
  result.then(bitsOf, (error: Error) => `${error.name}: ${error.message}`);

test(
  "random expressions have the same results",
  async () => {
    const [a, b] = [engineOf(rows), engineOf(packed)];
    const { numRuns, seed } = runs(120);
    for (const [at, text] of fc.sample(expressions, { seed, numRuns }).entries()) {
      const timeMs = BEGIN_MS + ((at * 7_919) % 95) * 60_000 + 30_000;
      const instant = (engine: Engine) => outcome(engine.instant(text, timeMs));
      expect([text, await instant(b)]).toEqual([text, await instant(a)]);
      const range = (engine: Engine) => outcome(engine.range(text, timeMs, timeMs + 20 * 60_000, 120_000));
      if (at % 3 === 0) expect([text, await range(b)]).toEqual([text, await range(a)]);
    }
  },
  { timeout: 900_000 },
);

test.each([
  "max_over_time(queue_depth[2h])",
  "min_over_time(flaky[2h])",
  "sum_over_time(queue_depth[2h])",
  "avg_over_time(queue_depth[2h])",
  "count_over_time(flaky[2h])",
  "present_over_time(special[2h])",
  "max_over_time(special[2h])",
  "sum_over_time(special[2h])",
  "last_over_time(flaky[90m])",
  "queue_depth[40m]",
  "sum by (job) (rate(requests_total[5m]))",
  '{__name__=~".+"}',
])("%s has the same result", async (text) => {
  for (const timeMs of [BEGIN_MS + 40 * 60_000, SPAN_END_MS + 60_000, END_MS]) {
    const [want, found] = await Promise.all(
      [rows, packed].map((samples) => outcome(engineOf(samples).instant(text, timeMs))),
    );
    expect(found).toEqual(want!);
  }
});
