/**
 * Warnings about accepted samples that were not stored as they were sent. The answer lists them, a counter counts
 * them, and the log has one line per field, so that the operator notices a sender that ignores its answers.
 */

import type { Log } from "../log/log.ts";
import type { Counters } from "../model/counters.ts";
import type { Warning, Warnings } from "../model/sample.ts";

/** Fields that are logged. A sender that invents names fills neither the log nor the memory. */
const LOGGED_MAX = 100;
/** Longer names are rejected, but only after they were decoded. */
const METRIC_CHARACTERS_MAX = 255;
/** As many as errors. */
const LISTED_MAX = 1_000;

export class PushWarnings {
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #logged = new Set<string>();

  constructor(log: Log, counters: Counters) {
    this.#log = log;
    this.#counters = counters;
  }

  /** Counts and logs the warnings of a stored push. */
  note({ first, counts }: Warnings): void {
    for (const [field, count] of counts) this.#counters.eventWarnings.inc({ field }, count);
    for (const { field, message, metric } of first) {
      if (this.#logged.size >= LOGGED_MAX) return;
      if (this.#logged.has(field)) continue;
      this.#logged.add(field);
      // The digits of one event say nothing about the others.
      const what =
        field === "value" ? "value was not stored as it was sent, but as the nearest float" : message;
      this.#log("field_warning", {
        field,
        what,
        metric: metric.slice(0, METRIC_CHARACTERS_MAX),
      });
      if (this.#logged.size === LOGGED_MAX) this.#log("field_warnings_full", { fields: LOGGED_MAX });
    }
  }
}

/** The part of an answer that lists warnings. */
interface ListedWarnings {
  readonly warnings?: readonly Omit<Warning, "metric">[];
  readonly warningsOmitted?: number;
}

/** The number of warnings, and their part of the answer, which is empty if there are none. */
export function listWarnings(warnings: Warnings | undefined): { count: number; listed: ListedWarnings } {
  if (warnings === undefined) return { count: 0, listed: {} };
  let count = 0;
  for (const each of warnings.counts.values()) count += each;
  const first = warnings.first.slice(0, LISTED_MAX).map(({ metric: _, ...listed }) => listed);
  return {
    count,
    listed: { warnings: first, warningsOmitted: count > first.length ? count - first.length : undefined },
  };
}
