/** Queries of Prometheus's API over a range, and the options that all queries share. */
import type { Caller } from "../../access/access.ts";
import { BadInput, Forbidden } from "../../model/errors.ts";
import type { CallerOptions, Promql } from "../../query/promql/promql-queries.ts";
import type { Shown } from "../../query/promql/worker/messages.ts";
import { queryResponse } from "./prometheus-api-answer.ts";
import { asParameter, invalid, readDuration, readLimit, readTime } from "./prometheus-api-parameters.ts";

/** Steps of a range query: Prometheus's limit, one point per pixel of a very wide screen. */
const STEPS_MAX = 11_000;

/** What differs between the routes. */
interface RangeRules {
  /** If it is absent, the parameter is needed. */
  readonly defaultStepMs?: number;
  /** Whether a query fails that needs the upstream and has no answer of it. */
  readonly needsUpstream?: boolean;
}

/** Evaluates the expression of a request over its range. */
export async function answerRange(
  promql: Pick<Promql, "range">,
  parameters: URLSearchParams,
  request: Request,
  caller: Caller,
  { defaultStepMs, needsUpstream }: RangeRules = {},
): Promise<Response> {
  const startMs = readTime(parameters, "start");
  const endMs = readTime(parameters, "end");
  const stepMs = readDuration(parameters, "step") ?? defaultStepMs;
  if (startMs === undefined) throw invalid("start", "it is missing");
  if (endMs === undefined) throw invalid("end", "it is missing");
  if (stepMs === undefined) throw invalid("step", "it is missing");
  if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
  if (stepMs <= 0) {
    throw invalid(
      "step",
      "zero or negative query resolution step widths are not accepted. Try a positive integer",
    );
  }
  if ((endMs - startMs) / stepMs > STEPS_MAX) {
    throw new BadInput(
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
      "step",
    );
  }
  const text = parameters.get("query") ?? "";
  const times = { startMs, endMs, stepMs: wholeMs(stepMs) };
  const answer = await asParameter("query", () =>
    promql.range(
      text,
      times,
      { ...readShown(parameters, caller), needsUpstream },
      readOptions(parameters, request, caller),
    ),
  );
  return await queryResponse(answer);
}

export function readShown(parameters: URLSearchParams, { labels }: Caller): Shown {
  const explain = parameters.get("explain") === "true";
  // It names the days in which anything is stored.
  if (explain && labels !== undefined)
    throw new Forbidden("explain=true is not supported for a token with labels");
  return { limit: readLimit(parameters), stats: Boolean(parameters.get("stats")), explain };
}

export function readOptions(
  parameters: URLSearchParams,
  request: Request,
  { labels }: Caller,
): CallerOptions {
  const promqlTimeoutMs = readDuration(parameters, "timeout");
  const lookbackMs = readDuration(parameters, "lookback_delta");
  for (const [name, value] of Object.entries({ timeout: promqlTimeoutMs, lookback_delta: lookbackMs })) {
    if (value !== undefined && value <= 0) throw invalid(name, "expected a duration greater than 0");
  }
  return {
    promqlTimeoutMs: promqlTimeoutMs && wholeMs(promqlTimeoutMs),
    lookbackMs: lookbackMs && wholeMs(lookbackMs),
    signal: request.signal,
    labels,
  };
}

/** A duration above 0 in whole milliseconds: one at the least. */
function wholeMs(durationMs: number): number {
  return Math.max(1, Math.round(durationMs));
}
