/**
 * The time of an event: milliseconds since 1970, or RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
 * Pure.
 */
import { InexactNumber } from "./exact-number.ts";

/** The fraction is kept to microseconds. */
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;
/** Times whose microseconds a double holds exactly, with a margin: the years -10000 to 10000. */
const MILLISECONDS_MAX = 378_000_000_000_000;

/** Microseconds of a time in milliseconds or RFC 3339; undefined for anything else. */
export function timeUs(time: unknown): number | undefined {
  if (time instanceof InexactNumber) return timeUs(time.value);
  if (typeof time === "number") {
    return Math.abs(time) <= MILLISECONDS_MAX ? Math.round(time * 1000) : undefined;
  }
  if (typeof time !== "string") return undefined;
  const match = RFC_3339.exec(time);
  if (match === null) return undefined;
  // Date.parse reads 30 February as 2 March.
  const day = Date.parse(match[1]!);
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(match[1]!)) return undefined;
  const seconds = Date.parse(`${match[1]}T${match[2]}${match[4]!.toUpperCase()}`);
  if (Number.isNaN(seconds)) return undefined;
  return seconds * 1000 + Number((match[3] ?? "").padEnd(6, "0").slice(0, 6));
}

const EXPECTED = "expected milliseconds since 1970 or an RFC 3339 time";
/** Numbers up to these are times from 1981 to 5138: in microseconds, then in nanoseconds. */
const MICROSECONDS_MAX = 1e17;
const NANOSECONDS_MAX = 1e20;
const WITHOUT_ZONE = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?$/;
const ZONE_WITHOUT_COLON = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?[+-]\d\d)(\d\d)$/;

/** Says what was expected instead of a time that `timeUs` does not accept, with a hint for a common mistake. */
export function whyNoTime(time: unknown): string {
  const number = time instanceof InexactNumber ? time.value : time;
  if (typeof number === "number") return EXPECTED + unitHint(number);
  if (typeof time !== "string") return EXPECTED;
  if (/^-?\d+(?:\.\d+)?$/.test(time)) return `${EXPECTED} (this one is a number in quotation marks)`;
  if (WITHOUT_ZONE.test(time) && timeUs(inUtc(time)) !== undefined)
    return `${EXPECTED} (this one has no zone, such as the Z in ${inUtc(time)})`;
  const offset = ZONE_WITHOUT_COLON.exec(time);
  if (offset !== null) return `${EXPECTED} (its zone has no colon, as in ${offset[1]}:${offset[2]})`;
  const dotted = time.replace(/(:\d\d),(\d{1,9})/, "$1.$2");
  const hasZone = timeUs(dotted) !== undefined;
  if (dotted !== time && (hasZone || (WITHOUT_ZONE.test(dotted) && timeUs(inUtc(dotted)) !== undefined)))
    return `${EXPECTED} (this one has a comma${hasZone ? "" : " and no zone"}, expected ${hasZone ? dotted : inUtc(dotted)})`;
  const rfc2822 = fromRfc2822(time);
  if (rfc2822 !== undefined) return `${EXPECTED} (this one is an RFC 2822 time, expected ${rfc2822})`;
  return `${EXPECTED} such as 2024-01-01T10:00:00Z`;
}

/** `Mon, 01 Jan 2024 10:00:00 +0000`; the day of the week and the seconds are optional. */
const RFC_2822 =
  /^(?:[A-Za-z]{3},\s*)?(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d\d:\d\d(?::\d\d)?) ([+-]\d{4}|[A-Za-z]{1,3})$/;

/** A time of RFC 2822 section 3.3, which e-mail and HTTP use, as RFC 3339 in UTC. Undefined for any other text. */
function fromRfc2822(time: string): string | undefined {
  const match = RFC_2822.exec(time.trim());
  if (match === null) return undefined;
  const [, day, month, year, clock, zone] = match;
  // Date.parse may read 30 February as 1 March.
  const midnight = Date.parse(`${day} ${month} ${year} 00:00:00 GMT`);
  if (Number.isNaN(midnight) || new Date(midnight).getUTCDate() !== Number(day)) return undefined;
  const ms = Date.parse(`${day} ${month} ${year} ${clock} ${/^(?:Z|UT)$/i.test(zone!) ? "GMT" : zone}`);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString().replace(".000Z", "Z");
}

/** Names the probable unit of a number that is too large for a time in milliseconds; empty for other numbers. */
export function unitHint(number: number): string {
  if (!(number > MILLISECONDS_MAX && number < NANOSECONDS_MAX)) return "";
  const unit = number < MICROSECONDS_MAX ? "microseconds" : "nanoseconds";
  return ` (a number is milliseconds; this one looks like ${unit})`;
}

/** A time without a zone, with the zone UTC added. */
function inUtc(time: string): string {
  const [day, clock = "00:00"] = time.split(/[Tt ]/);
  const seconds = clock.length === 5 ? `${clock}:00` : clock;
  return `${day}T${seconds}Z`;
}
