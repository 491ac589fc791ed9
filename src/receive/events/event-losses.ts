/**
 * What of an accepted event is not stored as it was sent: fields that an event does not have, a name that stands
 * twice, a second spelling of a field with another value, and values that no 64-bit float holds. Pure.
 */
import { quote } from "../../model/errors.ts";
import { InexactNumber, isStoredAsSent } from "../../wire/exact-number.ts";
import { capped, labelOf, unknownFields } from "./event-fields.ts";
import { timeUs } from "../../wire/event-time.ts";

/** A part of an event that is not stored as it was sent. */
export interface Loss {
  /** The field as it was sent, capped. */
  readonly field: string;
  /** The same for counters: one of a few names. */
  readonly label: string;
  /** A word for counters of rejected samples. */
  readonly cause: string;
  /** What is told of it where the event is accepted. */
  readonly warning: string;
  /** Why the event is rejected where nothing may be lost. */
  readonly reason: string;
}

const NO_LOSSES: readonly Loss[] = [];

/** The loss of a value whose name stands twice; `name` is a path such as `tags.task_id`. */
export function lossOfRepeated(name: string): Loss {
  const field = capped(name);
  return {
    field,
    label: labelOf(name.replace(/\..*$/s, "")),
    cause: "field",
    warning: `${quote(field)} stands twice in the event, and the last one was stored`,
    reason: `${quote(field)} stands twice in the event, expected once`,
  };
}

/**
 * What of an event that is accepted is not stored as it was sent.
 *
 * @param event as `parseExactJson` gives it
 * @param timestampUs its time, or NaN where it has none
 */
export function lossesOf(event: Readonly<Record<string, unknown>>, timestampUs: number): readonly Loss[] {
  const losses: Loss[] = [];
  const { value } = event;
  for (const { name, meant, label } of unknownFields(event)) {
    const what = `the field ${quote(name)} is unknown`;
    const hint = meant === undefined ? 'to keep it, send it in "tags"' : `did you mean ${quote(meant)}?`;
    // The event has a time that is not its own: the one loss that SQL cannot see.
    const arrival =
      meant === "@timestamp" && Number.isNaN(timestampUs) ? " The event has the time of its arrival." : "";
    losses.push({
      field: name,
      label,
      cause: "field",
      warning: `${what} and was not stored; ${hint}${arrival}`,
      reason: `${what}; ${hint}`,
    });
  }
  for (const [used, ignored] of TWO_SPELLINGS) {
    if (!isSet(event[used]) || !isSet(event[ignored]) || isSame(event[used], event[ignored])) continue;
    losses.push({
      field: ignored,
      label: ignored,
      cause: "field",
      warning: `the field ${quote(ignored)} differs from ${quote(used)} and was not stored`,
      reason: `the field ${quote(ignored)} differs from ${quote(used)}, expected one of them`,
    });
  }
  if (value instanceof InexactNumber && !isStoredAsSent(value.text, value.value)) {
    losses.push({
      field: "value",
      label: "value",
      cause: "value",
      warning: `value ${quote(value)} was stored as ${wholeText(value.value)}, the nearest 64-bit float`,
      reason: `value is ${quote(value)}, which no 64-bit float holds; the nearest is ${wholeText(value.value)}`,
    });
  }
  return losses.length === 0 ? NO_LOSSES : losses;
}

const TWO_SPELLINGS = [
  ["@timestamp", "timestamp"],
  ["metric_name", "name"],
] as const;

/** Whether two names, or two times in any spelling, are the same. */
function isSame(a: unknown, b: unknown): boolean {
  const us = timeUs(a);
  return a === b || (us !== undefined && us === timeUs(b));
}

function isSet(field: unknown): boolean {
  return field !== undefined && field !== null;
}

/** A float as people compare it with the digits that they sent: without an exponent where it is not very large. */
function wholeText(value: number): string {
  return Math.abs(value) >= Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21
    ? BigInt(value).toString()
    : String(value);
}
