/**
 * `GET /api/v1/export?from=&to=&metric=`: streams the samples of a range as NDJSON events. With `match[]` it is the export
 * of series (series-export-routes.ts). The header `Weir-Warnings` says that archived days are not in it: "weir restore --from" brings
 * them back.
 */

import type { Caller } from "../../access/access.ts";
import type { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { BadInput, NotFound, quote } from "../../model/errors.ts";
import { findingNearest } from "../../model/nearest.ts";
import type { Labels, Metric } from "../../model/sample.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import { parseTime } from "../../model/time.ts";
import type { ExportRange } from "../../query/export-lines.ts";
import { rejectUnknown } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { lineStream, streamResponse, withinLimit } from "../stream.ts";
import { queryOf } from "../url-text.ts";
import { warningHeaders } from "./query-answer.ts";
import { selectsSeries } from "./series-export-routes.ts";

interface ExportRoutesDependencies {
  /**
   * The lines of a range in chunks, of the series with the labels if they are set. Each chunk is read when it is
   * requested.
   */
  lines(range: ExportRange, labels: Labels | undefined): AsyncGenerator<string, void, undefined>;
  /** The metrics with series that have the labels; all metrics without labels. */
  metrics(labels: Labels | undefined): Promise<Iterable<Metric>>;
  /** What the export of a range lacks, in sentences. */
  lacks?(range: ExportRange): readonly string[];
  /** Exports of events in progress. */
  readonly exports: ConcurrencyLimit;
  /** How long a client may read nothing before it is disconnected. */
  readonly stallTimeoutMs: number;
  /** Answers a request that selects series. */
  exportSeries(request: Request, caller: Caller): Promise<Response>;
}

const PARAMETERS = ["from", "to", "metric"];

/** The year 2243: microseconds up to 2^53 are exact. */
const LATEST_US = 8.64e15;

export const exportRoutes = ({
  lines,
  metrics,
  lacks,
  exports,
  stallTimeoutMs,
  exportSeries,
}: ExportRoutesDependencies) =>
  new Routes().on(
    "GET",
    "/api/v1/export",
    { scope: "sql", bound: "narrows" },
    "returns the samples of a range as events, or those of selected series as JSON lines",
    async (request, _, caller) => {
      const query = queryOf(request.url);
      if (selectsSeries(query)) return await exportSeries(request, caller);
      const { labels } = caller;
      const range = await readRange(query, () => metrics(labels), Date.now());
      const limited = withinLimit(exports, lines(range, labels), request.signal);
      return streamResponse(await lineStream(limited, stallTimeoutMs), {
        "content-type": "application/x-ndjson; charset=utf-8",
        ...warningHeaders(lacks?.(range)),
      });
    },
  );

async function readRange(
  query: URLSearchParams,
  metrics: () => Promise<Iterable<Metric>>,
  nowMs: number,
): Promise<ExportRange> {
  rejectUnknown(query, PARAMETERS);
  const time = (name: string, absent: number) => {
    const text = query.get(name) ?? "";
    return text === ""
      ? absent
      : Math.min(Math.max(Math.round(parseTime(text, nowMs, name) * 1000), 0), LATEST_US);
  };
  const fromUs = time("from", 0);
  const toUs = time("to", LATEST_US);
  if (fromUs > toUs) {
    throw new BadInput(`from=${quote(query.get("from"))} is after to=${quote(query.get("to"))}.`, "from");
  }
  const name = query.get("metric");
  return { fromUs, toUs, metric: name === null ? undefined : await findMetric(name, await metrics()) };
}

/** A metric by its name as pushed, or as Prometheus spells it. */
async function findMetric(name: string, metrics: Iterable<Metric>): Promise<string> {
  let found: string | undefined;
  const names: string[] = [];
  for (const metric of metrics) {
    names.push(metric.name);
    if (metric.name === name) return name;
    if (metric.prometheusName === name) found ??= metric.name;
  }
  if (found !== undefined) return found;
  const near = await inSlices(findingNearest(name, names));
  const hint = near === undefined ? "" : ` Did you mean ${quote(near)}?`;
  throw new NotFound(`There is no metric ${quote(name)} in the store.${hint}`, "metric");
}
