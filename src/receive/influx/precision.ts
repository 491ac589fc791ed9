/**
 * The times of lines: a whole number of nanoseconds, microseconds, milliseconds, seconds, minutes or hours since 1970.
 * They are stored in microseconds; further digits are cut. Pure.
 */

/** The unit of the times of a body. `auto` decides by each number, as InfluxDB 3 does. */
export type Precision = "ns" | "us" | "ms" | "s" | "m" | "h" | "auto";

/** Microseconds of a unit, except for nanoseconds. */
const MICROSECONDS = { us: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3_600e6 } as const;

/** InfluxDB accepts times that 64-bit nanoseconds hold. */
const MICROSECONDS_MAX = 2 ** 63 / 1_000;
const DIGITS_MAX = 19;
const [MINUS, ZERO, NINE] = [45, 48, 57];

const BAD = "bad timestamp";
const OUTSIDE = "time outside range -9223372036854775806 - 9223372036854775806";

/** The microseconds of the number from `from` up to, not including, `to`; or why it is no time. */
export function timeOf(body: Uint8Array, from: number, to: number, precision: Precision): number | string {
  const isNegative = body[from] === MINUS;
  const first = isNegative ? from + 1 : from;
  if (first === to) return BAD;
  // Nanoseconds of today have 19 digits, which a double does not hold. The last three are cut.
  const cut = to - first > DIGITS_MAX - 3 ? to - 3 : to;
  let number = 0;
  for (let at = first; at < cut; at++) {
    const digit = body[at]! - ZERO;
    if (!(digit >= 0 && digit <= NINE - ZERO)) return BAD;
    number = number * 10 + digit;
  }
  let rest = 0;
  for (let at = cut; at < to; at++) {
    const digit = body[at]! - ZERO;
    if (!(digit >= 0 && digit <= NINE - ZERO)) return BAD;
    rest = rest * 10 + digit;
  }
  if (to - first > DIGITS_MAX) return OUTSIDE;
  const unit = precision === "auto" ? guessed(cut === to ? number : number * 1e3) : precision;
  let us: number;
  if (unit === "ns") {
    if (cut === to) us = isNegative ? -Math.ceil(number / 1e3) : Math.floor(number / 1e3);
    else us = isNegative ? -(number + (rest > 0 ? 1 : 0)) : number;
  } else {
    us = (cut === to ? number : number * 1e3 + rest) * MICROSECONDS[unit];
    if (isNegative) us = -us;
  }
  // `|| 0` because -0 is no time.
  return Math.abs(us) <= MICROSECONDS_MAX ? us || 0 : OUTSIDE;
}

/**
 * The unit that a number since 1970 probably has, by InfluxDB 3's rule: below 5e9 it is seconds (until 2128), below 5e12
 * milliseconds, below 5e15 microseconds.
 */
export function guessed(magnitude: number): "ns" | "us" | "ms" | "s" {
  if (magnitude < 5e9) return "s";
  if (magnitude < 5e12) return "ms";
  return magnitude < 5e15 ? "us" : "ns";
}
