/**
 * The guarantee of a restart: a snapshot, and the rows past it in row order, give totals that are equal to the
 * last bit to those of a process that never stopped.
 */

import { recordsOf } from "../../totals-snapshots.ts";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Totals } from "../../../src/exposition/totals/totals.ts";
import { atOnce } from "../../../src/model/tasks/time-slices.ts";
import { DEFAULTS } from "../../defaults.ts";
import { runs } from "../../runs.ts";
import { metric, rows, type Sample, series } from "./rows.ts";

const SERIES = [
  series(3, metric("duration_ms", "observation", { buckets: [1, 10, 100] })),
  series(4, metric("size_bytes", "observation", { buckets: [256] })),
  series(5000, metric("uploads", "delta")),
  series(70_000, metric("depth", "gauge")),
  series(70_001, metric("sent_total", "cumulative", { type: "counter" })),
];

const sample: fc.Arbitrary<Sample> = fc.record({
  id: fc.constantFrom(...SERIES.map(({ seriesId }) => seriesId), 6),
  at: fc.integer({ min: 1_704_067_200, max: 1_704_153_599 }),
  // Of very different sizes, so that the order of additions matters.
  value: fc.oneof(
    { weight: 9, arbitrary: fc.double({ min: 0, max: 1e12, noNaN: true }) },
    { weight: 9, arbitrary: fc.double({ min: 0, max: 1e-6, noNaN: true }) },
    fc.constantFrom(null, Infinity, NaN),
  ),
  live: fc.boolean(),
});
const commits = fc.array(fc.array(sample, { maxLength: 20 }), { maxLength: 12 });

function started(): Totals {
  const totals = new Totals(DEFAULTS);
  for (const each of SERIES) totals.define(each);
  return totals;
}

/** All bits, because equality of numbers would not distinguish 0 from -0. */
function bits(totals: Totals): string[] {
  return recordsOf(totals.snapshot(true)).map((record) =>
    Object.entries(record)
      .map(([name, value]) => {
        const numbers = [value].flat().map((number) => (number === null ? "null" : hex(number)));
        return `${name} ${numbers.join(" ")}`;
      })
      .join("; "),
  );
}

function hex(value: number): string {
  return new BigUint64Array(Float64Array.of(value).buffer)[0].toString(16);
}

test("restores from a snapshot and later rows the totals of a process that never stopped", () => {
  fc.assert(
    fc.property(commits, fc.array(fc.nat({ max: 12 }), { maxLength: 4 }), (all, stops) => {
      const steady = started();
      for (const commit of all) steady.apply(rows(commit));

      // The other one takes a snapshot at each stop: the first whole, the next only of changes.
      let other = started();
      const stored = new Map(recordsOf(other.snapshot(true)).map((record) => [record.seriesId, record]));
      let watermark = 0;
      all.forEach((commit, index) => {
        other.apply(rows(commit));
        if (!stops.includes(index)) return;
        for (const record of recordsOf(other.snapshot(false))) stored.set(record.seriesId, record);
        watermark = index + 1;
      });
      other = started();
      other.restore([...stored.values()]);
      // A replay gets rows in batches of any size, not as they were committed.
      const rest = all.slice(watermark).flat();
      for (let from = 0; from < rest.length; from += 7) other.apply(rows(rest.slice(from, from + 7)));

      expect(bits(other)).toEqual(bits(steady));
      const nowUs = 1_704_153_600e6;
      expect(atOnce(other.families(nowUs))).toEqual(atOnce(steady.families(nowUs)));
    }),
    runs(300),
  );
});

test("never decreases counts and sums while increments arrive", () => {
  const amount = fc.double({ min: 0, max: 1e300, noNaN: true });
  fc.assert(
    fc.property(fc.array(amount, { minLength: 1, maxLength: 200 }), (amounts) => {
      const totals = started();
      let before = 0;
      for (const value of amounts) {
        totals.apply(rows([{ id: 5000, at: 1_704_067_200, value }]));
        const now = recordsOf(totals.snapshot(true)).find(({ seriesId }) => seriesId === 5000)!.sumHigh;
        expect(now).toBeGreaterThanOrEqual(before);
        before = now;
      }
    }),
    runs(100),
  );
});
