/**
 * Points in time as text: RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6), and the times that users write
 * in parameters and arguments. A number of ours is in milliseconds. Pure.
 */
import { DAY_MS, parseDurationMs } from "./duration.ts";
import { BadInput, quote } from "./errors.ts";

/** The fraction is kept to microseconds. */
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** Microseconds since 1970 of a time in RFC 3339, with a zone; undefined for anything else. */
export function rfc3339Us(text: string): number | undefined {
  const match = RFC_3339.exec(text);
  if (match === null) return undefined;
  const [, date, clock, fraction = "", zone] = match;
  if (!isDate(date!)) return undefined;
  const seconds = Date.parse(`${date}T${clock}${zone!.toUpperCase()}`);
  if (Number.isNaN(seconds)) return undefined;
  return seconds * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

/** Whether the calendar has this date. Date.parse reads 30 February as 2 March. */
function isDate(date: string): boolean {
  const day = Date.parse(date);
  return !Number.isNaN(day) && new Date(day).toISOString().startsWith(date);
}

const INCOMPLETE = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?:(:\d\d(?:\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?))?$/;

/** A date, or a time without seconds or zone, as RFC 3339: the missing parts are 0 and UTC. Undefined for other text. */
export function completeTime(text: string): string | undefined {
  const match = INCOMPLETE.exec(text);
  if (match === null) return undefined;
  const [, date, clock = "00:00", seconds = ":00", zone = "Z"] = match;
  return `${date}T${clock}${seconds}${zone}`;
}

/** The years 0001 to 9999, which is the range of RFC 3339. */
const EARLIEST_MS = -62_135_596_800_000;
const LATEST_MS = 253_402_300_799_999;

/**
 * The time of a parameter or an argument, in milliseconds, with a fraction if it has microseconds: `now`, a distance
 * from now (`-24h`, `+1h30m`), milliseconds since 1970, a date, or RFC 3339. Without a zone it is UTC.
 *
 * A number that looks like seconds is rejected: it would be a time in January or February 1970.
 *
 * @throws BadInput that names the field
 */
export function parseTime(text: string, nowMs: number, field: string): number {
  const ms = read(text.trim(), nowMs);
  const isNumber = /^\d+$/.test(text.trim());
  const hint = isNumber ? unitHint(Number(text)) : "";
  if (ms === undefined || hint !== "" || !(ms >= EARLIEST_MS && ms <= LATEST_MS)) {
    throw new BadInput(
      `${field} is ${quote(text)}; expected now, a distance from now such as -24h, milliseconds since 1970, or RFC 3339${hint}.`,
      field,
    );
  }
  return ms;
}

function read(text: string, nowMs: number): number | undefined {
  if (text === "now") return nowMs;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  if (text.startsWith("-") || text.startsWith("+")) {
    const distanceMs = parseDurationMs(text.slice(1), "decimals");
    if (distanceMs === undefined) return undefined;
    return text.startsWith("-") ? nowMs - distanceMs : nowMs + distanceMs;
  }
  const us = rfc3339Us(completeTime(text) ?? text);
  return us === undefined ? undefined : us / 1000;
}

/** Seconds since 1970 of the years 2001 to 2100. As milliseconds they are in January and February 1970. */
const SECONDS_MIN = Date.UTC(2001, 0, 1) / 1000;
const SECONDS_MAX = Date.UTC(2100, 0, 1) / 1000;
/** Times whose microseconds a double holds exactly, with a margin: the years -10000 to 10000. */
export const MILLISECONDS_MAX = 378_000_000_000_000;
/** Numbers up to these are times from 1981 to 5138: in microseconds, then in nanoseconds. */
const MICROSECONDS_MAX = 1e17;
const NANOSECONDS_MAX = 1e20;

/** Units of a time that is a number, with their microseconds. */
const MICROSECONDS = { seconds: 1e6, milliseconds: 1e3, microseconds: 1, nanoseconds: 1e-3 } as const;
export type TimeUnit = keyof typeof MICROSECONDS;

/** Names the probable unit of a number that was read as another unit; empty if it looks like that unit. */
export function unitHint(number: number, unit: TimeUnit = "milliseconds"): string {
  const probable = unitOfTime(number);
  return probable === undefined || probable === unit
    ? ""
    : ` (a number is ${unit}; this one looks like ${probable})`;
}

/** As `unitHint`, of a time that was read in a unit and is now in microseconds. */
export function unitHintOfUs(us: number, unit: TimeUnit): string {
  return unitHint(us / MICROSECONDS[unit], unit);
}

/**
 * The unit in which a number is a time since 1970: seconds and milliseconds from 2001 to 2100, microseconds and
 * nanoseconds from 1981 on. Undefined if there is none. No number is such a time in two units.
 */
export function unitOfTime(number: number): TimeUnit | undefined {
  if (number >= SECONDS_MIN && number < SECONDS_MAX) return "seconds";
  if (number >= SECONDS_MIN * 1_000 && number < SECONDS_MAX * 1_000) return "milliseconds";
  if (!(number > MILLISECONDS_MAX && number < NANOSECONDS_MAX)) return undefined;
  return number < MICROSECONDS_MAX ? "microseconds" : "nanoseconds";
}

/** RFC 3339 with microseconds: `2024-01-01T00:00:00.000001Z`. */
export function microsecondsText(us: number): string {
  const ms = Math.floor(us / 1000);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(us - ms * 1000).padStart(3, "0")}Z`;
}

/** The date of a day that is counted from 1970-01-01: 19723 → `2024-01-01`. */
export function dateText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/**
 * A time as the engine writes a TIMESTAMP: `2024-01-01 00:00:00.5`, with a fraction only if it is not 0, and without zeros at its
 * end.
 *
 * @param us microseconds since 1970, a safe integer
 */
export function engineTimeText(us: number): string {
  const seconds = Math.floor(us / 1e6);
  const text = new Date(seconds * 1000).toISOString();
  const shown = `${text.slice(0, 10)} ${text.slice(11, 19)}`;
  let fraction = us - seconds * 1e6;
  if (fraction === 0) return shown;
  let scale = 1e6;
  for (; fraction % 10 === 0; scale /= 10) fraction /= 10;
  return `${shown}.${String(scale + fraction).slice(1)}`;
}
