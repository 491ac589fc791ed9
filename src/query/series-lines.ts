/**
 * Writes the samples of series as text, in the formats of VictoriaMetrics' export
 * (https://docs.victoriametrics.com/#how-to-export-time-series): JSON lines, CSV, and the Prometheus text format. Pure.
 * Times are in milliseconds, rounded down.
 */
import { BadInput, quote } from "../model/errors.ts";
import { escapeLabelValue, numberText } from "../model/spelling.ts";
import { csvField } from "./formats/csv.ts";
import { METRIC_NAME } from "./promql/labels.ts";
import type { SeriesSamples } from "./promql/storage.ts";

/** Writes a portion of an export, in pieces. */
export type SeriesWriter = (portion: readonly SeriesSamples[]) => Iterable<string>;

/** Characters of a piece, about: written without a pause. */
const PIECE_CHARACTERS = 262_144;
/** Samples of a line of JSON: 2 MB of text, which is written without a pause. */
const ROWS_MAX = 100_000;

/**
 * `{"metric":{"__name__":"a","job":"b"},"values":[1,2],"timestamps":[1000,2000]}` per series.
 *
 * A value that JSON has no number for is `null` (a stale marker), `"NaN"`, `"Infinity"` or `"-Infinity"`. These values are
 * on lines of their own: VictoriaMetrics before 1.82 does not read them, and rejects their whole line.
 *
 * @param rowsMax the most samples of a line
 */
export function jsonLines(rowsMax = ROWS_MAX): SeriesWriter {
  return function* write(portion) {
    let piece = "";
    for (const series of portion) {
      const head = `{"metric":${metricObject(series)},"values":[`;
      const finite = new JsonLines(head, rowsMax);
      const special = new JsonLines(head, rowsMax);
      const { timestampsMs, values, stale } = series;
      for (let index = 0; index < values.length; index++) {
        const value = values[index]!;
        const isStale = stale?.[index] === 1;
        const isSpecial = isStale || !Number.isFinite(value);
        const line = isSpecial ? special : finite;
        piece += line.add(isSpecial ? specialText(value, isStale) : finiteText(value), timestampsMs[index]!);
        if (piece.length < PIECE_CHARACTERS) continue;
        yield piece;
        piece = "";
      }
      piece += finite.end() + special.end();
    }
    if (piece !== "") yield piece;
  };
}

/** The lines of one series. */
class JsonLines {
  readonly #head: string;
  readonly #rowsMax: number;
  #values: string[] = [];
  #times: number[] = [];

  constructor(head: string, rowsMax: number) {
    this.#head = head;
    this.#rowsMax = rowsMax;
  }

  /** Adds a sample. Returns the line if it is full, else an empty text. */
  add(value: string, timestampMs: number): string {
    this.#values.push(value);
    this.#times.push(Math.floor(timestampMs));
    return this.#values.length < this.#rowsMax ? "" : this.end();
  }

  /** The rest of the lines. */
  end(): string {
    if (this.#values.length === 0) return "";
    const line = `${this.#head}${this.#values.join()}],"timestamps":[${this.#times.join()}]}\n`;
    this.#values = [];
    this.#times = [];
    return line;
  }
}

function metricObject({ labels }: SeriesSamples): string {
  const name = `"${METRIC_NAME}":${JSON.stringify(labels.get(METRIC_NAME))}`;
  const others = [...labels.entries()]
    .filter(([label]) => label !== METRIC_NAME)
    .map(([label, value]) => `${JSON.stringify(label)}:${JSON.stringify(value)}`);
  return `{${[name, ...others].join()}}`;
}

/** A number that reads back as the same double. */
function finiteText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function specialText(value: number, isStale: boolean): string {
  if (isStale) return "null";
  if (Number.isNaN(value)) return '"NaN"';
  return value > 0 ? '"Infinity"' : '"-Infinity"';
}

/** `a{job="b"} 1 1000` per sample. The format has no stale markers. */
export function textLines(): SeriesWriter {
  return function* write(portion) {
    let piece = "";
    for (const { labels, timestampsMs, values, stale } of portion) {
      const pairs = [...labels.entries()]
        .filter(([label]) => label !== METRIC_NAME)
        .map(([label, value]) => `${label}="${escapeLabelValue(value)}"`);
      const head = `${labels.get(METRIC_NAME)}${pairs.length === 0 ? "" : `{${pairs.join()}}`} `;
      for (let index = 0; index < values.length; index++) {
        if (stale?.[index] === 1) continue;
        piece += `${head}${plainNumber(values[index]!)} ${Math.floor(timestampsMs[index]!)}\n`;
        if (piece.length < PIECE_CHARACTERS) continue;
        yield piece;
        piece = "";
      }
    }
    if (piece !== "") yield piece;
  };
}

/** A field of a line of CSV: of the series, or of one sample. */
type Field =
  | { readonly label: string }
  | { readonly of: (value: number, timestampMs: number, isStale: boolean) => string };

const TIMES: Readonly<Record<string, (ms: number) => string>> = {
  unix_s: (ms) => String(Math.floor(ms / 1000)),
  unix_ms: (ms) => String(ms),
  unix_ns: (ms) => `${ms}${ms === 0 ? "" : "000000"}`,
  rfc3339: (ms) => new Date(ms).toISOString().replace(".000Z", "Z"),
};

/**
 * One line per sample, with the columns that `format` names: `__name__`, `__value__`, `__timestamp__:unix_ms` (or
 * `unix_s`, `unix_ns`, `rfc3339`), and labels. The value of a stale marker is empty.
 *
 * @throws BadInput for another format
 */
export function csvLines(format: string): SeriesWriter {
  const fields = format.split(",").map(fieldOf);
  return function* write(portion) {
    let piece = "";
    for (const { labels, timestampsMs, values, stale } of portion) {
      const own = fields.map((field) =>
        "label" in field ? csvField(labels.get(field.label) || null) : field,
      );
      for (let index = 0; index < values.length; index++) {
        const timestampMs = Math.floor(timestampsMs[index]!);
        const isStale = stale?.[index] === 1;
        let separator = "";
        for (const field of own) {
          const text = typeof field === "string" ? field : field.of(values[index]!, timestampMs, isStale);
          piece += separator + text;
          separator = ",";
        }
        piece += "\n";
        if (piece.length < PIECE_CHARACTERS) continue;
        yield piece;
        piece = "";
      }
    }
    if (piece !== "") yield piece;
  };
}

function fieldOf(entry: string): Field {
  const [column = "", time = "unix_s", ...rest] = entry.split(":");
  const write = Object.hasOwn(TIMES, time) && rest.length === 0 ? TIMES[time] : undefined;
  if (column === "__timestamp__" && write !== undefined)
    return { of: (_, timestampMs) => write(timestampMs) };
  if (entry === "__value__") return { of: (value, _, isStale) => (isStale ? "" : plainNumber(value)) };
  if (column === "__timestamp__" || column === "__value__" || entry === "") {
    throw new BadInput(
      `Query parameter format has the entry ${quote(entry)}; expected __name__, __value__, the name of a label, ` +
        `__timestamp__:unix_s, __timestamp__:unix_ms, __timestamp__:unix_ns or __timestamp__:rfc3339.`,
      "format",
    );
  }
  return { label: entry };
}

function plainNumber(value: number): string {
  return Number.isFinite(value) ? finiteText(value) : numberText(value);
}
