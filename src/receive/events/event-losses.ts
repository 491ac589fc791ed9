/**
 * Finds the parts of an accepted event that are not stored as they were sent: unknown fields, a name that appears
 * twice, a second spelling of a field with another value, and values that no 64-bit float holds. Pure.
 */
import { quote } from "../../model/errors.ts";
import { OTHER_FIELDS } from "../../model/sample.ts";
import { timeUs } from "../../wire/event-time.ts";
import { InexactNumber, isStoredAsSent } from "../../wire/json/exact-number.ts";
import { capped, labelOf, unknownFields } from "./event-fields.ts";

/** A part of an event that is not stored as it was sent. */
export interface Loss {
  /** The field as it was sent, capped. */
  readonly field: string;
  /** The same in counters: one of a few names. */
  readonly label: string;
  /** The cause in counters of rejected samples. */
  readonly cause: string;
  /** The warning, if the event is accepted. */
  readonly warning: string;
  /** The reason, if the event is rejected because nothing may be lost. */
  readonly reason: string;
  /** The number of unknown fields that it stands for; absent if it is another loss. */
  readonly unknown?: number;
}

const NO_LOSSES: readonly Loss[] = [];

/** The loss of a value whose name appears twice; `name` is a path such as `tags.task_id`. */
export function lossOfRepeated(name: string): Loss {
  const field = capped(name);
  return {
    field,
    label: labelOf(name.replace(/\..*$/s, "")),
    cause: "field",
    warning: `${quote(field)} appears twice in the event, and the last one was stored`,
    reason: `${quote(field)} appears twice in the event, expected once`,
  };
}

/**
 * Returns the parts of an accepted event that are not stored as they were sent.
 *
 * @param event a value of `parseExactJson`
 * @param timestampUs the time of the event, or NaN where it has none
 */
export function lossesOf(event: Readonly<Record<string, unknown>>, timestampUs: number): readonly Loss[] {
  const losses: Loss[] = [];
  const { value } = event;
  const { described, others } = unknownFields(event);
  for (const { name, meant, label } of described) {
    const what = `the field ${quote(name)} is unknown`;
    const hint = meant === undefined ? 'to keep it, send it in "tags"' : `did you mean ${quote(meant)}?`;
    // The event is stored with a time that the sender did not send. No other loss is invisible in SQL.
    const arrival =
      meant === "@timestamp" && Number.isNaN(timestampUs) ? " The event has the time of its arrival." : "";
    losses.push({
      field: name,
      label,
      cause: "field",
      warning: `${what} and was not stored; ${hint}${arrival}`,
      reason: `${what}; ${hint}`,
      unknown: 1,
    });
  }
  if (others > 0) {
    const what = `${others} further ${others === 1 ? "field is" : "fields are"} unknown`;
    losses.push({
      field: OTHER_FIELDS,
      label: OTHER_FIELDS,
      cause: "field",
      warning: `${what} and ${others === 1 ? "was" : "were"} not stored`,
      reason: what,
      unknown: others,
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
  if (value instanceof InexactNumber && !isStoredAsSent(value.text, value.value))
    losses.push(lossOfValue(quote(value), value.value));
  return losses.length === 0 ? NO_LOSSES : losses;
}

/** The loss of a value that no 64-bit float represents; `sent` is the value as messages show it. */
export function lossOfValue(sent: string, value: number): Loss {
  return {
    field: "value",
    label: "value",
    cause: "value",
    warning: `value ${sent} was stored as ${wholeText(value)}, the nearest 64-bit float`,
    reason: `value is ${sent}, which no 64-bit float holds; the nearest is ${wholeText(value)}`,
  };
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

/** Writes a float so that people can compare it with the digits that they sent: no exponent unless it is very large. */
function wholeText(value: number): string {
  return Math.abs(value) >= Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21
    ? BigInt(value).toString()
    : String(value);
}
