/**
 * Warnings about accepted samples that were not stored as they were sent. The answer lists them, a counter counts
 * them, and the log has one line per field, so that the operator notices a sender that ignores its answers.
 */

import type { Log } from "../log/log.ts";
import type { Counters } from "../model/counters.ts";
import { OTHER_FIELDS, type Warning, type Warnings } from "../model/sample.ts";

/** Fields that are logged. A sender that invents names fills neither the log nor the memory. */
const LOGGED_MAX = 100;
/** Longer names are rejected, but only after they were decoded. */
const METRIC_CHARACTERS_MAX = 255;
/** As many as errors. */
const LISTED_MAX = 1_000;
/** Unknown fields with a counter of their own. A sender may invent any number of names. */
const COUNTED_FIELDS_MAX = 100;

export class PushWarnings {
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #logged = new Set<string>();
  readonly #counted = new Set<string>();

  constructor(log: Log, counters: Counters) {
    this.#log = log;
    this.#counters = counters;
  }

  /** Counts and logs the warnings of a stored push. */
  note({ first, counts, unknownFields }: Warnings): void {
    for (const [field, count] of counts) this.#counters.eventWarnings.inc({ field }, count);
    for (const [name, count] of unknownFields ?? [])
      this.#counters.eventUnknownFields.inc({ field: this.#countedAs(name) }, count);
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

  /** The label of an unknown field: its name, or `other` if it is not one of the first names. */
  #countedAs(name: string): string {
    if (this.#counted.has(name)) return name;
    // Half of a surrogate pair has no UTF-8, so /metrics could not contain it.
    if (this.#counted.size >= COUNTED_FIELDS_MAX || !name.isWellFormed()) return OTHER_FIELDS;
    this.#counted.add(name);
    return name;
  }
}

/** A warning in an answer, with the number of events that have it, if there are several. */
interface ListedWarning extends Omit<Warning, "metric"> {
  readonly events?: number;
}

/** The part of an answer that lists warnings. */
interface ListedWarnings {
  readonly warnings?: readonly ListedWarning[];
  readonly warningsOmitted?: number;
}

/** The number of warnings, and their part of the answer, which is empty if there are none. */
export function listWarnings(warnings: Warnings | undefined): { count: number; listed: ListedWarnings } {
  if (warnings === undefined) return { count: 0, listed: {} };
  let count = 0;
  for (const each of warnings.counts.values()) count += each;
  const first = warnings.first.slice(0, LISTED_MAX);
  const omitted = first.reduce((left, { samples }) => left - samples, count);
  return {
    count,
    listed: {
      warnings: first.map(({ index, field, message, samples }) => ({
        index,
        field,
        message,
        events: samples > 1 ? samples : undefined,
      })),
      warningsOmitted: omitted > 0 ? omitted : undefined,
    },
  };
}
