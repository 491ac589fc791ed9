/**
 * `GET /api/v1/summaries` lists the summaries with their parameters. `GET /api/v1/summaries/NAME` runs one and
 * answers in the formats of SQL. Each summary has the parameters `format`, `limit` and `timeoutMs` beside its own.
 * The header `Weir-Absent-Metrics` names the metrics that the summary reads and that are not stored.
 */
import { BadInput } from "../../model/errors.ts";
import type { Formats } from "../../query/formats/all.ts";
import type {
  AbsentMetric,
  RunOptions,
  SummaryDescription,
  SummaryResult,
} from "../../query/summaries/summaries.ts";
import { jsonResponse } from "../error-answers.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { answer, chooseFormat, readLimits } from "./query-answer.ts";

interface SummariesDependencies {
  readonly summaries: {
    list(): readonly SummaryDescription[];
    run(name: string, parameters: ReadonlyMap<string, string>, options: RunOptions): Promise<SummaryResult>;
  };
  readonly formats: Formats;
}

/** A summary reads only the series of the caller. */
const OWN = { scope: "read", bound: "narrows" } as const;
const OF_ALL: readonly string[] = ["format", "limit", "timeoutMs"];

export const summariesRoutes = ({ summaries, formats }: SummariesDependencies) =>
  new Routes()
    .on("GET", "/api/v1/summaries", { scope: "read", bound: "same" }, "lists the summaries", () =>
      jsonResponse(200, { summaries: summaries.list() }),
    )
    .on("GET", "/api/v1/summaries/:name", OWN, "runs a summary", async (request, params, { labels }) => {
      const query = queryOf(request.url);
      const format = chooseFormat(query.get("format"), request.headers.get("accept"));
      const own = new Map<string, string>();
      for (const [name, value] of query) {
        if (OF_ALL.includes(name)) continue;
        if (own.has(name)) throw new BadInput(`${name} is given twice; expected one value.`, name);
        own.set(name, value);
      }
      const { result, absent } = await summaries.run(params.name, own, {
        ...readLimits(query),
        asLines: format === "lines",
        signal: request.signal,
        labels,
      });
      return await answer(result, format, formats, absentHeader(absent));
    });

/**
 * `Weir-Absent-Metrics: task.duration_ms; parameter=tasks_metric; near=task.duration`, several separated by commas.
 * Names are percent-encoded, because a parameter may contain characters that a header may not.
 */
function absentHeader(absent: readonly AbsentMetric[]): Record<string, string> {
  if (absent.length === 0) return {};
  const texts = absent.map(({ metric, parameter, near }) => {
    const hint = near === undefined ? "" : `; near=${encodeURIComponent(near)}`;
    return `${encodeURIComponent(metric.toWellFormed())}; parameter=${parameter}${hint}`;
  });
  return { "weir-absent-metrics": texts.join(", ") };
}
