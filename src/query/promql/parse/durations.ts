/**
 * Numbers and durations in their places: a number may be written as a duration (in seconds), a duration as a
 * number of seconds.
 */
import type { SyntaxNode } from "@lezer/common";
import { parseDurationMs, parseFloatStrict, quoteText } from "../text.ts";
import type { Span } from "./ast.ts";
import type { Fail } from "./check.ts";
import { unsupportedWord } from "./syntax-error.ts";

/** The value of a number or of a duration in seconds, and which of them it was. */
export function numberOf(text: string, span: Span, fail: Fail): { value: number; duration?: true } {
  const sign = /^\s*([+-]?)\s*/.exec(text)!;
  const factor = sign[1] === "-" ? -1 : 1;
  const magnitude = text.slice(sign[0].length);
  const number = parseFloatStrict(magnitude);
  if (number !== undefined) return { value: factor * number };
  const durationMs = parseDurationMs(magnitude);
  if (durationMs === undefined) throw fail(span, `bad number or duration syntax: ${quoteText(text)}`);
  return { value: (factor * durationMs) / 1000, duration: true };
}

/** About 292 years: what upstream's 64 bits of nanoseconds hold. */
const DURATION_MS_MAX = 9.2e12;

/** The milliseconds of a DurationExpr or OffsetDurationExpr; arithmetic between durations is not spoken. */
export function durationOf(node: SyntaxNode, text: string, fail: Fail): number {
  const inner = node.firstChild;
  const span = { from: node.from, to: node.to };
  if (inner?.name === "UnaryOp") {
    const magnitudeMs = durationOf(node.lastChild!, text, fail);
    return text[inner.from] === "-" ? -magnitudeMs : magnitudeMs;
  }
  const isWhole = inner?.name === "NumberDurationLiteralInDurationContext" && inner.nextSibling === null;
  if (!isWhole) throw unsupportedWord("arithmetic in durations");
  const { value } = numberOf(text.slice(inner.from, inner.to), span, fail);
  const durationMs = Math.round(value * 1000);
  if (!(Math.abs(durationMs) <= DURATION_MS_MAX)) throw fail(span, "duration out of range");
  return durationMs;
}
