/**
 * The text of an answer of Prometheus's API to a query, in pieces
 * (https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview). The points of a result are written
 * directly from the columns.
 */
import type { PromqlResult, ResultData, ResultSeries } from "../engine.ts";
import { formatFloat } from "../promql-text.ts";

/** Notes beside the data. */
interface Notes {
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/** Length of the pieces in which an answer is written. Small results are one piece. */
const PIECE_LENGTH = 256 * 1024;

/** The answer with a result. `more` is added to the data. */
export function resultPieces(
  result: PromqlResult,
  limit: number,
  more: Readonly<Record<string, unknown>> = {},
): Iterable<string> {
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

function* dataPieces(data: ResultData, limit: number, end: string): Generator<string, void> {
  let text = `{"status":"success","data":{"resultType":"${data.type}","result":`;
  if (data.type === "scalar") text += `[${seconds(data.timestampMs)},"${formatFloat(data.value)}"]`;
  else if (data.type === "string") text += `[${seconds(data.timestampMs)},${JSON.stringify(data.text)}]`;
  else {
    text += "[";
    const count = Math.min(limit, data.series.length);
    for (let at = 0; at < count; at++) {
      const series = data.series[at];
      text += `${at > 0 ? "," : ""}{"metric":${JSON.stringify(series.labels)},`;
      text += data.type === "vector" ? `"value":${point(series, 0)}}` : '"values":[';
      if (data.type === "matrix") {
        for (let sample = 0; sample < series.values.length; sample++) {
          text += (sample > 0 ? "," : "") + point(series, sample);
          if (text.length < PIECE_LENGTH) continue;
          yield text;
          text = "";
        }
        text += "]}";
      }
      if (text.length >= PIECE_LENGTH) {
        yield text;
        text = "";
      }
    }
    text += "]";
  }
  yield text + end;
}

function point({ timestampsMs, values }: ResultSeries, at: number): string {
  return `[${seconds(timestampsMs[at])},"${formatFloat(values[at])}"]`;
}

function seconds(timeMs: number): number {
  return Math.round(timeMs) / 1000;
}
