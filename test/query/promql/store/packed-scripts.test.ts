/**
 * The scripts of promql-scripts.test.ts over a real store, in which every other sample is in a block, and the others are rows.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { METRIC_NAME } from "../../../../src/query/promql/labels.ts";
import type { Storage } from "../../../../src/query/promql/storage.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { runs } from "../../../runs.ts";
import { snapshotOf } from "../../../totals-snapshots.ts";
import { type Sample, type Samples, storedSamples } from "../../stored.ts";
import { EXCEPTIONS } from "../exceptions.ts";
import type { MemoryStorage } from "../memory-storage.ts";
import { runCase } from "../runner.ts";
import { readScript } from "../script.ts";

const DAY_MS = 86_400_000;
/** Behind all samples of the scripts, which begin at the epoch. */
const LATER_DAY = 30_000;
const SHARED = join(import.meta.dir, "../../../../../shared/promqltest");
const OWN = join(import.meta.dir, "../../../promql");

/** Their series are one stored series, since each le is a spelling of one bound. */
const SPELLINGS: Readonly<Record<string, readonly number[]>> = { "histograms.test": [128, 133, 137] };

let samples: Samples;
let storage: Storage;
let held: MemoryStorage | undefined;
let packed = 0;
let rows = 0;

beforeAll(async () => {
  samples = await storedSamples([]);
  const { store, registry } = samples;
  storage = ownStorage({ store, registry, observationStepMs: 15_000, seriesIdleMs: DAY_MS });
});
afterAll(() => samples.close());

/** Replaces what the store has by the samples of a load, half of them in blocks. */
async function load(loaded: MemoryStorage): Promise<void> {
  const { store, registry } = samples;
  await store.dropDaysBefore(LATER_DAY, registry.forgetDaysBefore(LATER_DAY), snapshotOf([]));
  const all = [...loaded.series.values()].flatMap(({ labels, points }) => {
    const { [METRIC_NAME]: metric, ...tags } = Object.fromEntries(labels.entries());
    return points.map(
      ({ timestampMs, value }): Sample => ({
        metric: metric!,
        kind: "gauge",
        ts: timestampMs,
        value: value === "stale" ? null : value,
        tags,
      }),
    );
  });
  await samples.add(all.filter((_, at) => at % 2 === 0));
  await store.commit({ totals: snapshotOf([]) });
  for (const { day } of store.days())
    packed += await store.pack({ day, untilUs: (day + 1) * DAY_MS * 1_000, isForced: true });
  const others = all.filter((_, at) => at % 2 === 1);
  if (others.length > 0) await samples.add(others);
  rows += others.length;
}

async function storageOf(loaded: MemoryStorage): Promise<Storage> {
  if (loaded !== held) await load(loaded);
  held = loaded;
  return storage;
}

/** All cases, by what they load. */
const loads = [OWN, ...(existsSync(SHARED) ? [SHARED] : [])].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".test"))
    .flatMap((name) => {
      const exceptions = folder === SHARED ? (EXCEPTIONS[name] ?? {}) : {};
      const skipped = folder === OWN ? (SPELLINGS[name] ?? []) : [];
      const cases = readScript(readFileSync(join(folder, name), "utf8")).filter(
        ({ line }) => exceptions[line] === undefined && !skipped.includes(line),
      );
      return [...Map.groupBy(cases, (each) => each.storage).values()].map((of) => ({ name, cases: of }));
    }),
);
/** A store is slow to fill. So some of the loads are tested, unless scripts/fuzz asks for more. */
const { numRuns, seed } = runs(12);
const each = Math.max(1, Math.floor(loads.length / numRuns));

for (const { name, cases } of loads.filter((_, at) => at % each === seed % each))
  describe(name, () => {
    for (const one of cases)
      test(`line ${one.line}: ${one.text.slice(0, 80)}`, async () => {
        await runCase({ ...one, storage: (await storageOf(one.storage)) as MemoryStorage });
      });
  });

test("about half of the samples are in blocks", () => {
  expect(packed).toBeGreaterThan(rows * 0.9);
  expect(rows).toBeGreaterThan(packed * 0.7);
});
