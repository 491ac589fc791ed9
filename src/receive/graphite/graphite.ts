/**
 * Graphite's plaintext protocol: `PATH[;TAG=VALUE…] VALUE [TIME]`, one per line → Batch of gauges. Pure, except for the
 * paths that it remembers.
 *
 * https://graphite.readthedocs.io/en/latest/feeding-carbon.html, https://graphite.readthedocs.io/en/latest/tags.html
 */
import { quote } from "../../model/errors.ts";
import type { SeriesHead } from "../../model/sample.ts";
import { readDecimal } from "../../wire/decimal.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import { TextLineDecoder, QUOTED_BYTES_MAX } from "../text-line-decoder.ts";
import { GRAPHITE } from "./graphite-protocol.ts";
import type { PathTemplates } from "./path-templates.ts";

/** A path, as its lines share it. */
interface KnownPath {
  readonly head: SeriesHead;
  /** The batch that used it last, and its index among the heads of that batch. */
  batch: number;
  index: number;
}

/** The longest line, as in carbon. */
export const LINE_BYTES_MAX = 16_384;
/** A path that is longer is read anew each time. Admission limits names. */
const KEY_BYTES_MAX = 4_096;
const HASH_SEED = crypto.getRandomValues(new Int32Array(1))[0]!;

const [TAB, SPACE, MINUS, ONE, UPPER_N] = [9, 32, 45, 49, 78];
/** What Python's `float` reads beside digits, and carbon stores. */
const INFINITY = /^([+-]?)inf(?:inity)?$/i;
const NAN = /^[+-]?nan$/i;

export class GraphiteDecoder extends TextLineDecoder {
  readonly #templates: PathTemplates;
  readonly #paths: LabelBlocks<KnownPath>;
  /** The time of the last sample without one of its own. */
  #lastArrivedUs = 0;

  /** @param seriesCount the number of series that exist. As many are remembered */
  constructor(templates: PathTemplates, seriesCount?: () => number) {
    super(GRAPHITE.name, seriesCount);
    this.#templates = templates;
    this.#paths = new LabelBlocks<KnownPath>(undefined, { seriesCount, keepsHalf: true });
  }

  protected override line(from: number, to: number): void {
    const { bytes } = this;
    const path = skipSpace(bytes, from, to);
    const pathEnd = endOfWord(bytes, path, to);
    const value = skipSpace(bytes, pathEnd, to);
    const valueEnd = endOfWord(bytes, value, to);
    const time = skipSpace(bytes, valueEnd, to);
    const timeEnd = endOfWord(bytes, time, to);
    if (path === to) return;
    if (to - from > LINE_BYTES_MAX) {
      this.reject("line", longLine(to - from), from, to);
      return;
    }
    if (value === valueEnd || skipSpace(bytes, timeEnd, to) < to) {
      this.reject("syntax", `the line is ${quote(this.text(from, to))}, expected PATH VALUE TIME`, from, to);
      return;
    }
    const number = this.#value(value, valueEnd, from, to);
    if (number === undefined) return;
    const timestampUs = this.#time(time, timeEnd, from, to);
    if (timestampUs === undefined) return;
    const known = this.#path(path, pathEnd, from, to);
    if (known === undefined) return;
    if (known.batch !== this.batchNumber) {
      known.batch = this.batchNumber;
      known.index = this.builder.addHead(known.head);
    }
    this.addSample(known.index, timestampUs, number);
  }

  /** The value, or undefined if the line is rejected. */
  #value(at: number, end: number, from: number, to: number): number | undefined {
    const value = readDecimal(this.bytes, at, end);
    if (value - value === 0) return value;
    const text = this.text(at, end);
    const infinity = INFINITY.exec(text);
    if (infinity !== null) return infinity[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    const expected = NAN.test(text) ? "which Graphite does not store" : "expected a number";
    this.reject("value", `the value is ${quote(text)}, ${expected}`, from, to);
    return undefined;
  }

  /** The time in µs, or undefined if the line is rejected. */
  #time(at: number, end: number, from: number, to: number): number | undefined {
    const { bytes } = this;
    const length = end - at;
    const isNow =
      length === 0 ||
      (length === 1 && bytes[at] === UPPER_N) ||
      (length === 2 && bytes[at] === MINUS && bytes[at + 1] === ONE);
    if (isNow) {
      // A gauge has one value per time.
      this.#lastArrivedUs = Math.max(this.arrivedUs, this.#lastArrivedUs + 1);
      return this.#lastArrivedUs;
    }
    const seconds = readDecimal(bytes, at, end);
    if (seconds - seconds === 0) return Math.round(seconds * 1e6);
    const reason = `the time is ${quote(this.text(at, end))}, expected seconds since 1970, -1 or N`;
    this.reject("timestamp", reason, from, to);
    return undefined;
  }

  #path(at: number, end: number, from: number, to: number): KnownPath | undefined {
    const { bytes } = this;
    const length = end - at;
    const isKept = length <= KEY_BYTES_MAX;
    const hash = isKept ? blockHash(bytes, at, end, HASH_SEED) : 0;
    const entry = isKept ? this.#paths.find(bytes, length, hash, at) : -1;
    if (entry >= 0) return this.#paths.head(entry);
    if (this.isRejectedAsText(at, end, from, to)) return undefined;
    const read = readPath(bytes.toString("utf8", at, end), this.#templates);
    if (typeof read === "string") {
      this.reject("labels", read, from, to);
      return undefined;
    }
    const known: KnownPath = { head: read, batch: -1, index: 0 };
    if (isKept) this.#paths.add(bytes, length, hash, known, at);
    return known;
  }
}

/** The reason to reject a line that is too long. `bytes` is its length. If it is absent, it is above the limit. */
export function longLine(bytes?: number): string {
  const length = bytes === undefined ? `more than ${LINE_BYTES_MAX}` : `${bytes}`;
  return `the line has ${length} bytes, expected at most ${LINE_BYTES_MAX}`;
}

/** The series of a path, or the reason to reject it. */
function readPath(text: string, templates: PathTemplates): SeriesHead | string {
  const [path = "", ...sent] = text.split(";");
  const { metric, tags } = templates.apply(path);
  const labels = new Map(tags);
  for (const tag of sent) {
    const at = tag.indexOf("=");
    if (at <= 0 || at === tag.length - 1)
      return `the tag is ${quote(tag.slice(0, QUOTED_BYTES_MAX))}, expected NAME=VALUE`;
    labels.set(tag.slice(0, at), tag.slice(at + 1));
  }
  const sorted = [...labels].filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1));
  return { metric, kind: "gauge", type: "gauge", labels: new Map(sorted) };
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function skipSpace(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isSpace(bytes[at]!)) at++;
  return at;
}

function endOfWord(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && !isSpace(bytes[at]!)) at++;
  return at;
}
