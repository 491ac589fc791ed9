/**
 * Metric families as the exposition formats have them: what text.ts, open-metrics.ts and metric-family.ts decode
 * a body to. Labels of a histogram or a summary stand without `le` and `quantile`, whose values are its edges.
 */
import { isUtf8 } from "node:buffer";
import { BadInput, quote, TooLarge } from "../../model/errors.ts";

/** A body that can be read, with a family that cannot be: a name, a label or a value that none has. */
export class InvalidFamily extends BadInput {}

/** As many as a request of remote_write may have samples. One is four bytes of a body, and takes 100 to 700 here. */
const PARTS_MAX = 500_000;

/** Counts the families and samples of one body. */
export class PartCount {
  #parts = 0;

  /** @throws TooLarge when it is one too many */
  add(): void {
    if (++this.#parts <= PARTS_MAX) return;
    throw new TooLarge(`the body has more than ${PARTS_MAX} families and samples, send it in parts`, "body");
  }
}

export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "untyped";

/** A histogram (cumulative counts by upper bound) or a summary (values by quantile). */
export interface Distribution {
  sum: number;
  count: number;
  readonly edges: { readonly edge: number; readonly value: number }[];
}

export interface DecodedMetric {
  /** As they came: in their order, empty values included. */
  readonly labels: ReadonlyMap<string, string>;
  /** Counters, gauges and untyped metrics have a number, histograms and summaries a distribution. */
  value: number | Distribution;
  /** Milliseconds since the epoch; OpenMetrics may have fractions. */
  timestampMs?: number;
}

export interface DecodedFamily {
  /** As text 0.0.4 has it behind TYPE: a counter's with `_total`, if it has that. */
  readonly name: string;
  type: FamilyType;
  help: string;
  unit: string;
  readonly metrics: DecodedMetric[];
}

const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/** A number as both text formats spell it; undefined for what is none, and for what no double holds. */
export function parseFloatText(text: string): number | undefined {
  if (DECIMAL.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  const sign = /^([+-]?)inf(?:inity)?$/i.exec(text)?.[1];
  if (sign !== undefined) return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /^nan$/i.test(text) ? Number.NaN : undefined;
}

/** A count of a histogram or a summary: whole, as MetricFamily has it. undefined for what cannot be one. */
export function countOf(value: number): number | undefined {
  return value >= 0 && Number.isFinite(value) ? Math.trunc(value) : undefined;
}

/**
 * The text of a body.
 *
 * @param format how its errors begin
 * @throws BadInput that names the first line that is no UTF-8, and quotes what of it can be read
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

/** What tells label sets apart, whatever their order is. */
export function labelsKey(labels: ReadonlyMap<string, string>): string {
  const pairs = [...labels];
  if (pairs.length > 1) pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  let key = "";
  for (const [name, value] of pairs) key += `${name}\u0000${value}\u0000`;
  return key;
}
