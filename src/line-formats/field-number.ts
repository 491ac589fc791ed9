/**
 * The number in a field of a line, as JSON with the same digits: a decimal, or a duration with units, which Go and Heroku
 * write. Pure.
 */
import { InexactNumber } from "../wire/json/exact-number.ts";
import type { FieldContent } from "./line-record.ts";

/** A number in a field. */
export interface FieldNumber {
  /** JSON: a number, or a text such as "NaN" for a value that JSON has no number for. */
  readonly json: string;
  /** The unit of time that it was converted to; absent if it has no unit. */
  readonly unit?: "ms" | "s";
}

/** What programs write where there is no number. */
const ABSENT: ReadonlySet<unknown> = new Set([
  null,
  "",
  "-",
  "null",
  "N/A",
  "[N/A]",
  "[Not Supported]",
  "[Unknown Error]",
]);
const CHARACTERS_MAX = 400;
const DECIMAL = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))([eE][+-]?\d+)?$/;
const NOT_FINITE = /^[+-]?(?:NaN|Inf|Infinity)$/;
/** https://pkg.go.dev/time#ParseDuration, with both letters that look like a micro sign. */
const DURATION = /^([+-]?)((?:(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const PARTS = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g;
const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
/** The digits of nanoseconds behind the decimal point of the unit. */
const DIGITS = { ms: 6, s: 9 } as const;

/** Whether a field says that it has no number. */
export function isAbsent(cell: FieldContent | undefined): boolean {
  return cell === undefined || ABSENT.has(cell);
}

/**
 * Reads a number.
 *
 * @param unit the unit to which a duration is converted
 * @returns undefined if the content is not a number
 */
export function fieldNumber(cell: FieldContent, unit: "ms" | "s"): FieldNumber | undefined {
  if (cell instanceof InexactNumber) return { json: cell.text };
  if (typeof cell === "number") return { json: String(cell) };
  if (typeof cell === "boolean") return { json: cell ? "1" : "0" };
  if (typeof cell !== "string" || cell.length > CHARACTERS_MAX) return undefined;
  const json = decimalJson(cell);
  if (json !== undefined) return { json };
  if (NOT_FINITE.test(cell)) return { json: JSON.stringify(cell) };
  const duration = durationJson(cell, DIGITS[unit]);
  return duration === undefined ? undefined : { json: duration, unit };
}

/** A decimal as JSON spells it (RFC 8259, section 6), with the same digits: `+.5` is `0.5`, and `007` is `7`. */
export function decimalJson(text: string): string | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "0", fraction, onlyFraction, exponent = ""] = match;
  const digits = fraction || onlyFraction || "";
  return `${sign === "-" ? "-" : ""}${whole.replace(/^0+(?=\d)/, "")}${digits === "" ? "" : `.${digits}`}${exponent}`;
}

/** A duration as a decimal of a unit with `digits` fewer digits than nanoseconds. No digit is lost. */
function durationJson(text: string, digits: number): string | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  const [, sign, parts = ""] = match;
  const found = [...parts.matchAll(PARTS)];
  const scale = Math.max(...found.map(([, , fraction = ""]) => fraction.length));
  let total = 0n;
  for (const [, whole = "", fraction = "", unit = ""] of found)
    total += BigInt(`0${whole}${fraction}`) * NANOSECONDS[unit]! * 10n ** BigInt(scale - fraction.length);
  const all = total.toString().padStart(digits + scale + 1, "0");
  const point = all.length - digits - scale;
  const rest = all.slice(point).replace(/0+$/, "");
  return `${sign === "-" ? "-" : ""}${all.slice(0, point)}${rest === "" ? "" : `.${rest}`}`;
}
