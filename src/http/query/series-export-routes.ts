/**
 * VictoriaMetrics' export API (https://docs.victoriametrics.com/#how-to-export-time-series): the samples of the series
 * that `match[]` selects, as JSON lines, in the text format or as CSV. The series and their names are those of PromQL.
 *
 * `/api/v1/export` also has the export of events (export-routes.ts): a request with `match[]` is this one.
 */
import type { Caller } from "../../access/access.ts";
import { BadInput, NotFound, quote } from "../../model/errors.ts";
import type { ExportAsked, Promql } from "../../query/promql/promql-queries.ts";
import type { BodyLimits } from "../body.ts";
import { readCount, rejectUnknown } from "../parameters.ts";
import { asParameter, invalid, readParameters, readTime } from "../prometheus/prometheus-api-parameters.ts";
import { Routes } from "../routes.ts";
import { pieceStream, streamResponse } from "../stream.ts";

interface SeriesExportDependencies {
  readonly series: Pick<Promql, "export">;
  readonly limits: BodyLimits;
  /** How long a client may read nothing before it is disconnected. */
  readonly stallTimeoutMs: number;
  readonly now: () => number;
}

/** `match` is an old name of `match[]`. `reduce_mem_usage` is accepted: the export always uses little memory. */
const PARAMETERS = [
  "match[]",
  "match",
  "start",
  "end",
  "format",
  "max_rows_per_line",
  "reduce_mem_usage",
  "totals_from",
];
/** Numbers of seconds from the year 5138 on are milliseconds by mistake. */
const SECONDS_MAX = 1e11;

/** These routes return only the series of the caller. */
const OWN = { scope: "sql", bound: "narrows" } as const;

export const seriesExportRoutes = (dependencies: SeriesExportDependencies) =>
  new Routes()
    .on(
      "POST",
      "/api/v1/export",
      OWN,
      "returns the samples of selected series as JSON lines",
      (request, _, caller) => exportSeries(request, caller, dependencies),
    )
    .on(
      ["GET", "POST"],
      "/api/v1/export/native",
      { scope: "sql", bound: "same" },
      "rejects the native format, which is not supported",
      () => {
        throw new NotFound("The native format is not supported; /api/v1/export returns JSON lines.");
      },
    )
    .on(
      ["GET", "POST"],
      "/api/v1/export/csv",
      OWN,
      "returns the samples of selected series as CSV",
      async (request, _, caller) => {
        const parameters = await readParameters(request, dependencies.limits);
        const format = parameters.get("format") ?? "";
        if (format === "")
          throw new BadInput(
            "Query parameter format is missing; expected columns such as __name__,__value__,__timestamp__:unix_ms,job.",
            "format",
          );
        return await stream(
          parameters,
          request,
          caller,
          { as: "csv", columns: format },
          "text/csv",
          dependencies,
        );
      },
    );

/** Whether the query of a request to `/api/v1/export` selects series. */
export function selectsSeries(query: URLSearchParams): boolean {
  return query.has("match[]") || query.has("match");
}

/** Answers a request for JSON lines or for the text format. */
export async function exportSeries(
  request: Request,
  caller: Caller,
  dependencies: SeriesExportDependencies,
): Promise<Response> {
  const parameters = await readParameters(request, dependencies.limits);
  const format = parameters.get("format") ?? "";
  if (format === "prometheus")
    return await stream(parameters, request, caller, { as: "text" }, "text/plain", dependencies);
  if (format !== "" && format !== "json")
    throw new BadInput(
      `Query parameter format is ${quote(format)}; expected json or prometheus. /api/v1/query returns a matrix.`,
      "format",
    );
  const rowsMax = readCount(parameters.get("max_rows_per_line"), "max_rows_per_line");
  return await stream(
    parameters,
    request,
    caller,
    { as: "json", rowsMax },
    "application/stream+json",
    dependencies,
  );
}

async function stream(
  parameters: URLSearchParams,
  request: Request,
  { labels }: Caller,
  format: ExportAsked["format"],
  type: string,
  { series, stallTimeoutMs, now }: SeriesExportDependencies,
): Promise<Response> {
  rejectUnknown(parameters, PARAMETERS);
  const texts = [...parameters.getAll("match[]"), ...parameters.getAll("match")];
  if (texts.length === 0)
    throw new BadInput(
      'Query parameter match[] is missing; expected a selector such as up{job="node"}.',
      "match[]",
    );
  const startMs = timeOf(parameters, "start") ?? 0;
  const endMs = timeOf(parameters, "end") ?? now();
  const totalsFromMs = timeOf(parameters, "totals_from");
  if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
  const answer = await asParameter("match[]", () =>
    series.export({ texts, range: { startMs, endMs, totalsFromMs }, format }, request.signal, labels),
  );
  const first = await answer.next();
  const made = first === undefined ? [] : [first];
  return streamResponse(pieceStream(made, answer, stallTimeoutMs), {
    "content-type": `${type}; charset=utf-8`,
  });
}

function timeOf(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? "";
  if (/^\d+$/.test(text) && Number(text) >= SECONDS_MAX)
    throw invalid(name, `${quote(text)} looks like milliseconds, expected seconds since 1970 or RFC 3339`);
  return readTime(parameters, name);
}
