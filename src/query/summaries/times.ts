/** Parses points in time as users write them in a query string. */

import { BadInput, quote } from "../../model/errors.ts";
import { unitHint } from "../../wire/event-time.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** A date, or a time of RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6). Without a zone it is UTC. */
const WRITTEN = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})?)?$/;

/** The years 0001 to 9999, which is the range of RFC 3339. */
const EARLIEST_MS = -62_135_596_800_000;
const LATEST_MS = 253_402_300_799_999;

/**
 * Milliseconds since the epoch of `now`, `-24h`, `+10m` (ms, s, m, h, d, w), milliseconds since the epoch, a
 * date, or RFC 3339.
 *
 * @throws BadInput that names the field
 */
export function parseTime(text: string, nowMs: number, field: string): number {
  const ms = read(text.trim(), nowMs);
  if (ms === undefined || !(ms >= EARLIEST_MS && ms <= LATEST_MS)) {
    const unit = /^\d+$/.test(text.trim()) ? unitHint(Number(text)) : "";
    throw new BadInput(
      `${field} is ${quote(text)}; expected now, a distance from now such as -24h, milliseconds since 1970, or RFC 3339${unit}.`,
      field,
    );
  }
  return ms;
}

function read(text: string, nowMs: number): number | undefined {
  if (text === "now") return nowMs;
  const distance = /^([+-])(\d{1,12})(ms|s|m|h|d|w)$/.exec(text);
  if (distance !== null) {
    const [, sign, count, unit] = distance;
    return nowMs + (sign === "-" ? -1 : 1) * Number(count) * UNIT_MS[unit!]!;
  }
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const written = WRITTEN.exec(text);
  if (written === null) return undefined;
  // Date.parse reads 30 February as 2 March.
  const date = text.slice(0, 10);
  const day = Date.parse(date);
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined;
  return Date.parse(
    written[1] === undefined && text.length > 10 ? `${text.replace(" ", "T")}Z` : text.replace(" ", "T"),
  );
}
