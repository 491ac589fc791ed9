/** Decoded batches as plain texts, for the tests of all formats of import. */
import type { Batch } from "../../../src/model/sample.ts";

/** Each sample as `name{a="1"} value @milliseconds`, without a time if the sender gave none. */
export function samplesOf(batches: readonly Batch[]): string[] {
  return batches.flatMap((batch) =>
    Array.from({ length: batch.length }, (_, index) => {
      const { metric, labels } = batch.heads[batch.head[index]!]!;
      const pairs = [...labels].map(([name, value]) => `${name}=${JSON.stringify(value)}`).join();
      const value = batch.value[index]!;
      const isStale = batch.stale?.[index] === 1;
      const shown = isStale ? "stale" : Object.is(value, -0) ? "-0" : String(value);
      const us = batch.timestampUs[index]!;
      return `${metric}${pairs === "" ? "" : `{${pairs}}`} ${shown}${Number.isNaN(us) ? "" : ` @${us / 1000}`}`;
    }),
  );
}

/** Each rejection as `line cause: reason`. */
export function rejectionsOf(batches: readonly Batch[]): string[] {
  return batches.flatMap(({ rejected }) =>
    rejected.map(({ index, cause, reason }) => `${index + 1} ${cause}: ${reason}`),
  );
}
