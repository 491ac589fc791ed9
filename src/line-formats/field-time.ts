/**
 * The time in a field of a line: RFC 3339, a time without a zone whose zone the user names, or a number. Pure.
 *
 * The unit of a number is named by the user, or recognised by its size: a number is a time of the years 2001 to 2100 in one
 * unit only. A number that is no such time in any unit is no time.
 */
import { quote } from "../model/errors.ts";
import { MILLISECONDS_MAX, rfc3339Us, type TimeUnit, unitHint, unitOfTime } from "../model/time.ts";
import { whyNoTime } from "../wire/event-time.ts";
import { InexactNumber } from "../wire/json/exact-number.ts";
import type { FieldContent } from "./line-record.ts";

/** How a field has its time: recognised, as a number of a unit, as RFC 3339, or without a zone at an offset from UTC. */
export type FieldTime =
  | { readonly kind: "recognised" | "rfc3339" }
  | { readonly kind: "number"; readonly unit: TimeUnit }
  | { readonly kind: "local"; readonly offset: string };

const UNITS: ReadonlyMap<string | undefined, TimeUnit> = new Map([
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["us", "microseconds"],
  ["ns", "nanoseconds"],
]);

/** The digits of microseconds by which the decimal point of a unit moves. */
const SHIFTS = { seconds: 6, milliseconds: 3, microseconds: 0, nanoseconds: -3 } as const;

const OFFSET = /^[+-](?:0\d|1[0-4]):[0-5]\d$/;
/** With or without a zone; Python's logging writes a comma, and nvidia-smi writes slashes. */
const LOCAL = /^(\d{4})[-/](\d\d)[-/](\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?$/;
const NUMBER = /^-?\d{1,20}(?:\.\d{1,20})?$/;

/** Reads the form of time in `timestamp=FIELD:FORM`; undefined if there is no such form. */
export function readTimeForm(text: string | undefined): FieldTime | undefined {
  if (text === undefined) return { kind: "recognised" };
  if (text === "rfc3339") return { kind: "rfc3339" };
  if (text === "utc") return { kind: "local", offset: "Z" };
  if (OFFSET.test(text)) return { kind: "local", offset: text };
  const unit = UNITS.get(text);
  return unit === undefined ? undefined : { kind: "number", unit };
}

/** Microseconds since 1970, with further digits cut; or what was expected instead of the field's content. */
export function fieldTimeUs(cell: FieldContent, form: FieldTime): number | string {
  const number = numberOf(cell);
  if (number !== undefined && (form.kind === "number" || form.kind === "recognised"))
    return numberUs(number, form.kind === "number" ? form.unit : undefined);
  if (typeof cell === "string" && form.kind !== "number") return textUs(cell, form);
  if (form.kind === "number") return `expected a number of ${form.unit} since 1970`;
  return form.kind === "recognised" ? EXPECTED : "expected a time as text";
}

const EXPECTED =
  "expected an RFC 3339 time, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970";

function textUs(text: string, form: FieldTime): number | string {
  const us = rfc3339Us(text);
  if (us !== undefined) return us;
  const local = LOCAL.exec(text);
  if (local === null) return form.kind === "recognised" ? EXPECTED : "expected an RFC 3339 time";
  if (form.kind !== "local")
    return `expected a time with a zone; name the zone as in timestamp=FIELD:utc or timestamp=FIELD:+02:00`;
  const [, year, month, day, clock, fraction] = local;
  const complete = `${year}-${month}-${day}T${clock}${fraction === undefined ? "" : `.${fraction}`}${form.offset}`;
  return rfc3339Us(complete) ?? whyNoTime(complete);
}

function numberUs(text: string, named: TimeUnit | undefined): number | string {
  const number = Number(text);
  const unit = named ?? unitOfTime(number);
  if (unit === undefined)
    return `expected a time from 2001 to 2100; name the unit of any other, as in timestamp=FIELD:ms`;
  const hint = unitHint(number, unit);
  if (hint !== "") return `expected ${unit} since 1970${hint}`;
  const us = shifted(text, SHIFTS[unit]);
  return Math.abs(us) <= MILLISECONDS_MAX * 1_000 ? us : `expected ${unit} since 1970`;
}

/** A decimal times a power of ten, without the digits after its point. No float in between would hold nanoseconds. */
function shifted(decimal: string, digits: number): number {
  const [whole = "", fraction = ""] = decimal.split(".");
  const moved = whole + fraction.padEnd(Math.max(digits, 0), "0").slice(0, Math.max(digits, 0));
  const kept = digits < 0 ? moved.slice(0, digits) : moved;
  return kept === "" || kept === "-" ? 0 : Number(kept);
}

/** The digits of a number, also of one that was written as a text. */
function numberOf(cell: FieldContent): string | undefined {
  const text = cell instanceof InexactNumber ? cell.text : typeof cell === "number" ? String(cell) : cell;
  return typeof text === "string" && NUMBER.test(text) ? text : undefined;
}

/** Describes a field that has no time. */
export function wrongTime(field: string, cell: FieldContent, expected: string): string {
  return `the field ${quote(field)} is ${quote(cell)}, ${expected}`;
}
