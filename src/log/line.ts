/**
 * A line of the log as text: logfmt (`key=value`, as Prometheus and Go's log/slog write it) or JSON. Pure.
 *
 * A line is one line whatever it contains: control characters are escaped. A long value is cut, and ends with `…` then.
 */
import type { FieldValue } from "./logged-events.ts";

export const LOG_FORMATS = ["logfmt", "json"] as const;

export type LogFormat = (typeof LOG_FORMATS)[number];

/** A stack trace of some forty calls. A line stays below the 16 KiB at which container engines split lines. */
const VALUE_CHARACTERS_MAX = 4_000;

type Pair = readonly [key: string, value: FieldValue];

/** The text of a line, with its newline. Pairs whose value is undefined are left out. */
export function formatLine(format: LogFormat, pairs: readonly Pair[]): string {
  const present = pairs.flatMap(([key, value]): [string, string | number | boolean][] =>
    value === undefined ? [] : [[key, typeof value === "string" ? cut(value) : value]],
  );
  if (format === "json") return `${JSON.stringify(Object.fromEntries(present))}\n`;
  return `${present.map(([key, value]) => `${key}=${logfmtValue(String(value))}`).join(" ")}\n`;
}

function cut(text: string): string {
  const whole = text.toWellFormed();
  if (whole.length <= VALUE_CHARACTERS_MAX) return whole;
  return `${whole.slice(0, VALUE_CHARACTERS_MAX).toWellFormed()}…`;
}

/** A value without characters that have a meaning in logfmt needs no quotes. */
function logfmtValue(text: string): string {
  return /^[^\s"=\\\p{C}]+$/u.test(text) ? text : JSON.stringify(text);
}

/** What a fault says, with its stack: for faults that have no known reason. */
export function describeFault(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The stack begins with the message, except for an error whose message was changed.
  const stack = error.stack ?? "";
  return stack.includes(error.message) ? stack : `${error.message}\n${stack}`;
}
