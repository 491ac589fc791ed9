/** Batches of samples that say which they are: of two gauges, a counter and an event, some of them late. */
import type { Kind, Rows } from "../../../src/model/sample.ts";
import type { Change } from "../../../src/store/store.ts";

export const DAY = 20_784; // 2026-11-27
const DAY_US = DAY * 86_400_000_000;
const KINDS: readonly Kind[] = ["gauge", "cumulative", "observation", "gauge"];
const PER_SERIES = 50;

export const SERIES: Change = {
  metrics: KINDS.map((kind, at) => ({
    name: `m${at}`,
    kind,
    type: "gauge",
    unit: "",
    help: "",
    buckets: [],
  })),
  series: KINDS.map((kind, at) => ({
    seriesId: at + 1,
    metric: { name: `m${at}`, kind },
    labels: new Map(),
    exposed: true,
  })),
  seriesDays: KINDS.map((_, at) => ({ seriesId: at + 1, day: DAY })),
};

/** How many samples some batches have. */
export const samplesOf = (batches: number) => batches * PER_SERIES * KINDS.length;

/** A batch: the value of a sample is its number, and its time follows from that. */
export function batch(number: number): Rows {
  const length = PER_SERIES * KINDS.length;
  const first = number * length;
  return {
    day: DAY,
    length,
    seriesId: Uint32Array.from({ length }, (_, at) => (at % KINDS.length) + 1),
    timestampUs: Float64Array.from({ length }, (_, at) => DAY_US + timeOf(first + at)),
    value: Float64Array.from({ length }, (_, at) => first + at),
    live: new Uint8Array(length).fill(1),
    attributes: [],
    text: new Uint8Array(0),
  };
}

/** Microseconds of the day. Every tenth sample is hours earlier than its neighbours. */
function timeOf(sample: number): number {
  return (sample * 1_000_003 + (sample % 10 === 7 ? 43_200_000_000 : 0)) % 86_400_000_000;
}

export const expectedSamples = (batches: number) =>
  Array.from({ length: samplesOf(batches) }, (_, sample) => [
    (sample % KINDS.length) + 1,
    DAY_US + timeOf(sample),
    sample,
  ]);
