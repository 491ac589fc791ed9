/**
 * The time of an event: milliseconds since 1970, or RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
 * Pure.
 */
import { completeTime, MILLISECONDS_MAX, rfc3339Us, unitHint } from "../model/time.ts";
import { InexactNumber } from "./json/exact-number.ts";

/** Microseconds of a time in milliseconds or RFC 3339; undefined for anything else. */
export function timeUs(time: unknown): number | undefined {
  if (time instanceof InexactNumber) return timeUs(time.value);
  if (typeof time === "number") {
    return Math.abs(time) <= MILLISECONDS_MAX ? Math.round(time * 1000) : undefined;
  }
  if (typeof time !== "string") return undefined;
  return rfc3339Us(time);
}

const EXPECTED = "expected milliseconds since 1970 or an RFC 3339 time";
const ZONE_WITHOUT_COLON = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?[+-]\d\d)(\d\d)$/;

/** Says what was expected instead of a time that `timeUs` does not accept, with a hint for a common mistake. */
export function whyNoTime(time: unknown): string {
  const number = time instanceof InexactNumber ? time.value : time;
  if (typeof number === "number") return EXPECTED + unitHint(number);
  if (typeof time !== "string") return EXPECTED;
  if (/^-?\d+(?:\.\d+)?$/.test(time)) return `${EXPECTED} (this one is a number in quotation marks)`;
  const completed = validTime(completeTime(time));
  if (completed !== undefined) return `${EXPECTED} (this one has no zone, such as the Z in ${completed})`;
  const offset = ZONE_WITHOUT_COLON.exec(time);
  if (offset !== null) return `${EXPECTED} (its zone has no colon, as in ${offset[1]}:${offset[2]})`;
  const dotted = time.replace(/(:\d\d),(\d{1,9})/, "$1.$2");
  const wanted = validTime(dotted) ?? validTime(completeTime(dotted));
  if (dotted !== time && wanted !== undefined)
    return `${EXPECTED} (this one has a comma${wanted === dotted ? "" : " and no zone"}, expected ${wanted})`;
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

/** The text if it is a time of RFC 3339. */
function validTime(text: string | undefined): string | undefined {
  return text === undefined || rfc3339Us(text) === undefined ? undefined : text;
}
