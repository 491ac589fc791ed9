/** The values of numbers, durations and strings, with upstream's rules. */
import { parseDurationMs } from "../../../model/duration.ts";
import { parseFloatStrict, quoteText, unquoteText } from "../promql-text.ts";
import type { Fail } from "./check-types.ts";
import type { Token } from "./tokens.ts";

/** The value of a number, or of a duration in seconds, and which of them it is. */
export function numberOf(token: Token, fail: Fail): { value: number; duration?: true } {
  if (token.type === "duration") {
    const durationMs = parseDurationMs(token.text);
    if (durationMs === undefined) throw fail(token, `not a valid duration string: ${quoteText(token.text)}`);
    return { value: durationMs / 1000, duration: true };
  }
  const value = integerOf(token.text) ?? parseFloatStrict(token.text);
  if (value === undefined) {
    throw fail(
      token,
      `error parsing number: strconv.ParseFloat: parsing ${quoteText(token.text)}: invalid syntax`,
    );
  }
  if (Math.abs(value) === Infinity && !/^inf$/i.test(token.text)) {
    throw fail(
      token,
      `error parsing number: strconv.ParseFloat: parsing ${quoteText(token.text)}: value out of range`,
    );
  }
  return { value };
}

const INTEGER_MAX = 2n ** 63n - 1n;

/** An integer of 64 bits as Go spells it: `0x1F`, `017` (octal), `1_000`; undefined for other texts. */
function integerOf(text: string): number | undefined {
  const digits = text.replaceAll("_", "");
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : undefined;
  if (octal === undefined && !/^(0[xX][\da-fA-F]+|0|[1-9]\d*)$/.test(digits)) return undefined;
  const value = BigInt(octal ?? digits);
  return value <= INTEGER_MAX ? Number(value) : undefined;
}

/** The text of a string literal. */
export function stringOf(token: Token, fail: Fail): string {
  const value = unquoteText(token.text);
  if (value === undefined)
    throw fail(token, `error unquoting string ${quoteText(token.text)}: invalid syntax`);
  return value;
}
