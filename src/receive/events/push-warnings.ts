/**
 * What is told of events that were accepted and not stored as they were sent: the answer lists it, a counter counts
 * it, and the log has one line per field, so that the operator sees a sender that does not read its answers.
 */

import type { Log } from "../../http/log.ts";
import { eventWarnings } from "../../model/counters.ts";
import type { Warning, Warnings } from "../../model/sample.ts";

/** Fields that have a line in the log; a sender that makes up names fills neither the log nor the memory. */
const LOGGED_MAX = 100;
/** Longer names are rejected, but only after they were decoded. */
const METRIC_CHARACTERS_MAX = 255;
/** As many as errors. */
const LISTED_MAX = 1_000;

export class PushWarnings {
  readonly #log: Pick<Log, "warn">;
  readonly #logged = new Set<string>();

  constructor(log: Pick<Log, "warn">) {
    this.#log = log;
  }

  /** Counts and logs the warnings of a push that is stored. */
  note({ first, counts }: Warnings): void {
    for (const [field, count] of counts) eventWarnings.inc({ field }, count);
    for (const { field, message, metric } of first) {
      if (this.#logged.size >= LOGGED_MAX) return;
      if (this.#logged.has(field)) continue;
      this.#logged.add(field);
      // Digits of one event say nothing of the others.
      const what =
        field === "value" ? "value was not stored as it was sent, but as the nearest float" : message;
      this.#log.warn("an event was accepted with a warning; the field is not logged again", {
        field,
        what,
        metric: metric.slice(0, METRIC_CHARACTERS_MAX),
      });
      if (this.#logged.size === LOGGED_MAX)
        this.#log.warn("no further fields with warnings are logged", { fields: LOGGED_MAX });
    }
  }
}

/** The part of an answer that lists warnings. */
export interface ListedWarnings {
  readonly warnings?: readonly Omit<Warning, "metric">[];
  readonly warningsOmitted?: number;
}

/** How many warnings there are, and their part of the answer; nothing of it where there are none. */
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
