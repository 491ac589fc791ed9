/** Reads decimal numbers from the bytes of text protocols, without creating a text for usual ones. Pure. */
import { DECIMAL } from "../model/spelling.ts";

/** Integers of at most this many digits, divided by a power of ten up to 10^22, give the nearest double. */
const EXACT_DIGITS = 15;
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
/** A number with more characters is no measurement. The longest double with 17 digits has 24. */
const CHARACTERS_MAX = 400;

const [PLUS, MINUS, DOT, ZERO, NINE] = [43, 45, 46, 48, 57];

/**
 * The double that is nearest to a decimal number such as `3`, `-0.25`, `+1.`, `.5` or `1e-3`. NaN if the bytes from
 * `from` up to, not including, `to` are anything else, and Infinity if the number is too large for a double.
 */
export function readDecimal(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  const sign = bytes[at]!;
  if (sign === MINUS || sign === PLUS) at++;
  let mantissa = 0;
  let digits = 0;
  let scale = -1;
  for (; at < to; at++) {
    const byte = bytes[at]!;
    if (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + (byte - ZERO);
      digits++;
      if (scale >= 0) scale++;
    } else if (byte === DOT && scale < 0) {
      scale = 0;
    } else {
      return readLong(bytes, from, to);
    }
  }
  if (digits === 0) return Number.NaN;
  if (digits > EXACT_DIGITS) return readLong(bytes, from, to);
  const magnitude = scale > 0 ? mantissa / POWERS_OF_TEN[scale]! : mantissa;
  return sign === MINUS ? -magnitude : magnitude;
}

/** A number with an exponent or many digits. */
function readLong(bytes: Uint8Array, from: number, to: number): number {
  if (to - from > CHARACTERS_MAX) return Number.NaN;
  let text = "";
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at]!);
  return DECIMAL.test(text) ? Number(text) : Number.NaN;
}
