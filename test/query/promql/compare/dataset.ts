/**
 * Ninety minutes of samples to compare engines over. No sample is on a whole second, so that none is on the
 * edge of a range. Values are multiples of an eighth, so that sums are exact in any order. Counters that are
 * reset begin again so high that extrapolation never reaches zero.
 */
import { STALE_STAND_IN } from "../../../receive/remote-write/decoded.ts";
import type { SampleMessage, Series } from "../../../receive/remote-write/messages.ts";

/** 2024-10-04 11:00 UTC, and an hour and a half later. */
export const BEGIN_MS = Date.UTC(2024, 9, 4, 11);
export const END_MS = BEGIN_MS + 90 * 60_000;
const INTERVAL_MS = 15_000;
const STEPS = (END_MS - BEGIN_MS) / INTERVAL_MS;

/** A small generator of pseudorandom numbers, the same in every run. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

type Value = (step: number) => number | "stale" | undefined;

function series(labels: Record<string, string>, delayMs: number, value: Value): Series {
  const samples: SampleMessage[] = [];
  for (let step = 0; step < STEPS; step++) {
    const sample = value(step);
    if (sample === undefined) continue;
    const timestamp = BEGIN_MS + step * INTERVAL_MS + delayMs;
    samples.push({ timestamp, value: sample === "stale" ? STALE_STAND_IN : sample });
  }
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return { labels: sorted, samples };
}

export function dataset(): Series[] {
  const random = numbersFrom(42);
  const all: Series[] = [];
  const delay = () => 137 + 1000 * Math.floor(random() * 8);
  const counter = (base: number, rate: number, resetEvery: number): Value => {
    let total = base;
    return (step) => {
      total += Math.floor(random() * rate);
      if (resetEvery > 0 && step % resetEvery === resetEvery - 1) total = base;
      return total;
    };
  };
  for (const [j, job] of ["api", "web"].entries()) {
    for (const [i, instance] of ["a", "b", "c"].entries()) {
      for (const code of ["200", "500"]) {
        const resets = i === 1 ? 47 + 10 * j : 0;
        all.push(
          series(
            { __name__: "requests_total", job, instance, code },
            delay(),
            counter(50_000, 20 + 7 * i, resets),
          ),
        );
      }
      all.push(
        series({ __name__: "queue_depth", job, instance }, delay(), (step) => {
          const wave = Math.round(8 * Math.sin((step + 30 * i) / (11 + j)));
          return wave / 8 + 10 * i - 5 * j + Math.floor(random() * 8) / 8;
        }),
        series({ __name__: "build_info", job, instance, version: `1.${i}` }, delay(), () => 1),
        // Present for a while, then absent, with or without a stale marker.
        series({ __name__: "flaky", job, instance }, delay(), (step) => {
          const phase = (step + 17 * i + 5 * j) % 60;
          if (phase > 40) return undefined;
          return phase === 40 && i > 0 ? "stale" : Math.floor(random() * 100);
        }),
      );
    }
    const counts = [0, 0, 0, 0, 0];
    const edges = ["0.1", "0.5", "1", "5", "+Inf"];
    const buckets = edges.map((le) => ({ le, samples: [] as number[] }));
    for (let step = 0; step < STEPS; step++) {
      for (let bucket = 0; bucket < 5; bucket++) counts[bucket] += Math.floor(random() * 6);
      let total = 0;
      for (const [bucket, each] of buckets.entries()) {
        total += counts[bucket];
        each.samples.push(10_000 + total);
      }
    }
    const together = delay();
    for (const { le, samples } of buckets) {
      all.push(
        series({ __name__: "latency_bucket", job, instance: "a", le }, together, (step) => samples[step]),
      );
    }
  }
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1];
  all.push(
    series({ __name__: "special", job: "api", instance: "a" }, delay(), (step) => special[step % 5]),
    series({ __name__: "special", job: "api", instance: "b" }, delay(), () => Number.NaN),
    series({ __name__: "special", job: "web", instance: "a" }, delay(), (step) => (step % 2 === 0 ? 1 : -1)),
  );
  return all;
}

/** The samples as requests in order of time: each has all series for some minutes. */
export function requests(all: readonly Series[]): Series[][] {
  const spanMs = 10 * 60_000;
  const parts: Series[][] = [];
  for (let from = BEGIN_MS; from < END_MS + spanMs; from += spanMs) {
    const part = all.flatMap(({ labels, samples = [] }) => {
      const within = samples.filter(({ timestamp = 0 }) => timestamp >= from && timestamp < from + spanMs);
      return within.length > 0 ? [{ labels, samples: within }] : [];
    });
    if (part.length > 0) parts.push(part);
  }
  return parts;
}
