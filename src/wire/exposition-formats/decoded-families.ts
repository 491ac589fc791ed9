/**
 * Metric families as the exposition formats have them: the decoders of this folder decode a body to
 * these. The labels of a histogram or a summary exclude `le` and `quantile`, whose values become its edges.
 */

import { isUtf8 } from "node:buffer";
import { BadInput, quote, TooLarge } from "../../model/errors.ts";
import { DECIMAL } from "../../model/spelling.ts";
import { isStoredAsSent } from "../json/exact-number.ts";

/** A body that can be read, but with a family that cannot exist: an invalid name, label or value. */
export class InvalidFamily extends BadInput {}

/** As many as a request of remote_write may have samples. A part is 4 bytes of a body, and 100 to 700 in memory. */
const PARTS_MAX = 500_000;

/** A line is read without a pause: within some 20 ms. The tags of a sample with the default limits have 0.3 MB. */
export const LINE_CHARACTERS_MAX = 1_048_576;
/** Characters of a body without a pause: some 100 µs of work. */
export const STEP_CHARACTERS = 8_192;

/** Counts the families and samples of one body. */
export class PartCount {
  #parts = 0;

  /** @throws TooLarge when the limit is exceeded */
  add(): void {
    if (++this.#parts <= PARTS_MAX) return;
    throw new TooLarge(`the body has more than ${PARTS_MAX} families and samples, send it in parts`, "body");
  }
}

export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "untyped";

/** A histogram (cumulative counts by upper bound) or a summary (values by quantile). */
export interface DecodedDistribution {
  sum: number;
  count: number;
  readonly edges: { readonly edge: number; readonly value: number }[];
}

export interface DecodedExemplar {
  readonly value: number;
  readonly labels: ReadonlyMap<string, string>;
  readonly timestampMs?: number;
  /** The upper bound of its bucket; undefined for the exemplar of a counter. */
  readonly edge?: number;
}

export interface DecodedMetric {
  /** As they were sent: in their order, with empty values. */
  readonly labels: ReadonlyMap<string, string>;
  /** A number for counters, gauges and untyped metrics; a distribution for histograms and summaries. */
  value: number | DecodedDistribution;
  /** The number as it was sent, if a 64-bit float does not hold it: a whole number beyond 2^53, or one that becomes 0. */
  inexactText?: string;
  /** Milliseconds since the epoch; OpenMetrics can have fractions. */
  timestampMs?: number;
  /** Absent if there are none: most metrics have none. */
  exemplars?: DecodedExemplar[];
}

export interface DecodedFamily {
  /** The name after TYPE in text 0.0.4. The name of a counter ends with `_total` if it was sent so. */
  readonly name: string;
  type: FamilyType;
  /** Whether the histograms are gauge histograms, whose counts can decrease. */
  readonly isGauge?: true;
  help: string;
  unit: string;
  readonly metrics: DecodedMetric[];
}

/** A number as both text formats spell it; undefined for other texts, and for numbers that no double holds. */
export function parseFloatText(text: string): number | undefined {
  if (DECIMAL.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  const sign = /^([+-]?)inf(?:inity)?$/i.exec(text)?.[1];
  if (sign !== undefined) return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /^nan$/i.test(text) ? Number.NaN : undefined;
}

/** A count of a histogram or a summary: an integer, as in MetricFamily. undefined for any other value. */
export function countOf(value: number): number | undefined {
  return value >= 0 && Number.isFinite(value) ? Math.trunc(value) : undefined;
}

/**
 * Decodes the text of a body.
 *
 * @param format the words with which its errors begin
 * @throws BadInput that names the first line that is not UTF-8, and quotes the readable part of it
 */
export function textOf(body: Uint8Array, format: string): string {
  if (isUtf8(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  let begin = 0;
  for (let line = 1; ; line++) {
    const lineFeed = body.indexOf(10, begin);
    const bytes = body.subarray(begin, lineFeed < 0 ? undefined : lineFeed);
    begin = lineFeed + 1;
    if (lineFeed >= 0 && isUtf8(bytes)) continue;
    const text = Buffer.from(bytes).toString("utf8");
    throw new BadInput(`${format} parsing error in line ${line}: ${quote(text)} is not valid UTF-8`, "body");
  }
}

/** A key of a label set that does not depend on the order of the labels. */
export function labelsKey(labels: ReadonlyMap<string, string>): string {
  const pairs = [...labels];
  if (pairs.length > 1) pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  let key = "";
  for (const [name, value] of pairs) key += `${name}\u0000${value}\u0000`;
  return key;
}

/** Whether a 64-bit float changes a decimal that was sent. Other texts, such as `NaN`, are not decimals. */
export function isInexact(text: string, value: number): boolean {
  // Fifteen digits survive in any float.
  if (text.length < 16 || !Number.isFinite(value)) return false;
  return /^[+-]?\d[\d.]*(?:[eE][+-]?\d+)?$/.test(text) && !isStoredAsSent(text.replace(/^\+/, ""), value);
}
