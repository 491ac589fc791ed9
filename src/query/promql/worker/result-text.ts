/**
 * The text of an answer of Prometheus's API to a query, in pieces
 * (https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview). The points of a result are written
 * directly from the columns.
 */
import type { PromqlResult, ResultData } from "../engine.ts";
import type { LabelSet } from "../labels.ts";
import { formatFloat } from "../promql-text.ts";
import { JsonBytes } from "./json-bytes.ts";

/** Notes beside the data. */
interface Notes {
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/** The answer with a result. `more` is added to the data. */
export function resultPieces(
  result: PromqlResult,
  limit: number,
  more: Readonly<Record<string, unknown>> = {},
): Iterable<Uint8Array<ArrayBuffer>> {
  const { data } = result;
  const truncated = "series" in data && data.series.length > limit;
  const warnings = [...result.warnings, ...(truncated ? ["results truncated due to limit"] : [])];
  const tail = JSON.stringify(more).slice(1, -1);
  return dataPieces(
    data,
    limit,
    `${tail === "" ? "" : `,${tail}`}}${noteText({ warnings, infos: result.infos })}}\n`,
  );
}

/** The answer with a value that is small. */
export function valueText(data: unknown): string {
  return `{"status":"success","data":${JSON.stringify(data)}}\n`;
}

function noteText({ warnings = [], infos = [] }: Notes): string {
  return (
    (warnings.length > 0 ? `,"warnings":${JSON.stringify(warnings)}` : "") +
    (infos.length > 0 ? `,"infos":${JSON.stringify(infos)}` : "")
  );
}

function* dataPieces(data: ResultData, limit: number, end: string): Generator<Uint8Array<ArrayBuffer>, void> {
  const out = new JsonBytes();
  out.text(`{"status":"success","data":{"resultType":"${data.type}","result":`);
  if (data.type === "scalar") out.text(`[${seconds(data.timestampMs)},"${formatFloat(data.value)}"]`);
  else if (data.type === "string") out.text(`[${seconds(data.timestampMs)},${JSON.stringify(data.text)}]`);
  else {
    out.text("[");
    const points = new Points(out);
    const count = Math.min(limit, data.series.length);
    for (let at = 0; at < count; at++) {
      if (at > 0) out.text(",");
      // Read once: the samples of a row of a matrix are made when they are read.
      const { labels, timestampsMs, values } = data.series[at];
      writeLabels(out, labels);
      if (data.type === "vector") {
        out.text(',"value":');
        points.write(timestampsMs[0], values[0], 0);
        out.text("}");
      } else {
        out.text(',"values":[');
        for (let sample = 0; sample < values.length; sample++) {
          if (sample > 0) out.text(",");
          points.write(timestampsMs[sample], values[sample], sample);
          if (out.isPiece) yield out.take();
        }
        out.text("]}");
      }
      if (out.isPiece) yield out.take();
    }
    out.text("]");
  }
  out.text(end);
  yield out.take();
}

/** Writes the beginning of a series, up to its labels. */
function writeLabels(out: JsonBytes, { pairs }: LabelSet): void {
  out.text('{"metric":{');
  for (let at = 0; at < pairs.length; at += 2) {
    if (at > 0) out.text(",");
    out.quoted(pairs[at]);
    out.text(":");
    out.quoted(pairs[at + 1]);
  }
  out.text("}");
}

/** The text before a value: its time. */
interface Head {
  readonly timestampMs: number;
  readonly bytes: Uint8Array;
}

/** Most series of a result have the same times at the same positions, so the text of the last one there is kept. */
const HEADS_MAX = 11_000;

class Points {
  readonly #out: JsonBytes;
  readonly #encoder = new TextEncoder();
  readonly #heads: Head[] = [];

  constructor(out: JsonBytes) {
    this.#out = out;
  }

  write(timestampMs: number, value: number, at: number): void {
    let head = this.#heads[at];
    if (head?.timestampMs !== timestampMs) {
      head = { timestampMs, bytes: this.#encoder.encode(`[${seconds(timestampMs)},"`) };
      if (at < HEADS_MAX) this.#heads[at] = head;
    }
    this.#out.raw(head.bytes);
    this.#out.number(value);
    this.#out.text('"]');
  }
}

function seconds(timeMs: number): number {
  return Math.round(timeMs) / 1000;
}
