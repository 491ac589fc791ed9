/**
 * Prometheus's search API, with which editors complete names: `/api/v1/search/metric_names`, `label_names` and
 * `label_values`. Parameters, errors and answers are those of Prometheus 3.13, where it is experimental
 * (https://github.com/prometheus/proposals/blob/main/proposals/0074-new-labels-values-api.md).
 *
 * An answer is lines of JSON: batches of results, and a last line that says whether there are more. A search looks at each
 * name once, in memory, and keeps only as many as it returns.
 */
import type { Caller } from "../../access/access.ts";
import { BadInput, quote } from "../../model/errors.ts";
import type { LabelQuery, Promql } from "../../query/promql/promql-queries.ts";
import { BestNames, type NameOrder, type NameSink } from "../../query/promql/catalog/best-names.ts";
import {
  FUZZY_ALGORITHMS,
  nameScorer,
  type SearchTerms,
  stepsOf,
} from "../../query/promql/catalog/search-terms.ts";
import type { BodyLimits } from "../body.ts";
import { type RouteParameters, Routes } from "../routes.ts";
import { apiError, linesResponse } from "./prometheus-api-answer.ts";
import { asParameter, invalid, readParameters, readTime } from "./prometheus-api-parameters.ts";

interface SearchDependencies {
  readonly discovery: Pick<Promql["discovery"], "findMetrics" | "findLabels" | "findValues" | "describer">;
  readonly limits: BodyLimits;
  readonly now: () => number;
}

/** Without times, series of the last hour. Days are told apart, and nothing finer. */
const RANGE_MS = 3_600_000;
const LIMIT = 100;
/** The default of upstream's `--web.search.max-limit`. */
const LIMIT_MAX = 10_000;
const BATCH_SIZE = 100;
/** As upstream, a larger size is accepted and means this one. */
const BATCH_SIZE_MAX = 1_000;
/** Bounds of the work per name. Upstream has none. */
const TERMS_MAX = 16;
const TERM_LENGTH_MAX = 256;
/** A name takes 2 ms at most. */
const TERMS_LENGTH_MAX = 512;

/** The texts that upstream accepts, Go's ParseBool. */
const TRUE = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE = ["0", "f", "F", "FALSE", "false", "False"];

interface Search extends SearchTerms {
  readonly order: NameOrder;
  readonly limit: number;
  readonly batchSize: number;
  readonly includesScore: boolean;
}

/** These routes return only what the series of the caller contain. */
const OWN = { scope: "read", bound: "narrows" } as const;

export const searchRoutes = ({ discovery, limits, now }: SearchDependencies) => {
  /** Answers what `find` finds. */
  const route =
    (
      find: (parameters: URLSearchParams, query: LabelQuery, names: NameSink) => Promise<void>,
      describe?: (parameters: URLSearchParams, caller: Caller) => Promise<(name: string) => object>,
    ) =>
    async (request: Request, _: RouteParameters, caller: Caller) => {
      const parameters = await readParameters(request, limits);
      const query = readRange(parameters, request, caller, now());
      const search = readSearch(parameters);
      // One more than is returned shows whether there are more.
      const names = new BestNames(nameScorer(search), search.order, search.limit + 1, stepsOf(search));
      await asParameter("match[]", () => find(parameters, query, names));
      const found = names.list();
      const described = await describe?.(parameters, caller);
      return linesResponse(
        answerLines(found.length > search.limit, search, found, (name) => described?.(name) ?? {}),
      );
    };

  return new Routes(apiError)
    .on(
      ["GET", "POST"],
      "/api/v1/search/metric_names",
      OWN,
      "searches the names of metrics",
      route((_, query, names) => discovery.findMetrics(query, names), metadata),
    )
    .on(
      ["GET", "POST"],
      "/api/v1/search/label_names",
      OWN,
      "searches the names of labels",
      route((_, query, names) => discovery.findLabels(query, names)),
    )
    .on(
      ["GET", "POST"],
      "/api/v1/search/label_values",
      OWN,
      "searches the values of a label",
      route(async (parameters, query, names) => {
        const label = parameters.get("label") ?? "";
        if (label === "") throw new BadInput('missing required parameter "label"', "label");
        await discovery.findValues(label, query, names);
      }),
    );

  /** Type, help and unit of metrics, if they are asked for. What is empty is left out, as upstream. */
  async function metadata(
    parameters: URLSearchParams,
    { labels }: Caller,
  ): Promise<(name: string) => object> {
    if (!readBoolean(parameters, "include_metadata", false)) return () => ({});
    const describe = await discovery.describer(labels);
    return (name) => {
      const { type, help, unit } = describe(name) ?? {};
      return { type: type || undefined, help: help || undefined, unit: unit || undefined };
    };
  }
};

function* answerLines(
  hasMore: boolean,
  { limit, batchSize, includesScore }: Search,
  found: readonly { readonly name: string; readonly score: number }[],
  describe: (name: string) => object,
): Generator<object, void> {
  const results = found
    .slice(0, limit)
    .map(({ name, score }) => ({ name, ...(includesScore ? { score } : {}), ...describe(name) }));
  // There is always one batch.
  for (let from = 0; from === 0 || from < results.length; from += batchSize)
    yield { results: results.slice(from, from + batchSize) };
  yield { status: "success", has_more: hasMore };
}

function readRange(
  parameters: URLSearchParams,
  { signal }: Request,
  { labels }: Caller,
  nowMs: number,
): LabelQuery {
  const startMs = readTime(parameters, "start") ?? nowMs - RANGE_MS;
  const endMs = readTime(parameters, "end") ?? nowMs;
  if (endMs < startMs) throw invalid("end", "end timestamp must not be before start timestamp");
  return { selectors: parameters.getAll("match[]"), startMs, endMs, labels, signal };
}

function readSearch(parameters: URLSearchParams): Search {
  const terms = parameters.getAll("search[]");
  if (terms.length > TERMS_MAX)
    throw invalid("search[]", `${terms.length} terms were sent, at most ${TERMS_MAX} are accepted`);
  const long = terms.find(({ length }) => length > TERM_LENGTH_MAX);
  if (long !== undefined)
    throw invalid("search[]", `${quote(long)} has more than ${TERM_LENGTH_MAX} characters`);
  const length = terms.reduce((sum, term) => sum + term.length, 0);
  if (length > TERMS_LENGTH_MAX)
    throw invalid(
      "search[]",
      `the terms have ${length} characters, at most ${TERMS_LENGTH_MAX} are accepted`,
    );
  const threshold = readWhole(parameters, "fuzz_threshold", 0, "must be 0-100");
  if (threshold > 100) throw invalid("fuzz_threshold", `${quote(String(threshold))} must be 0-100`);
  const named = parameters.get("fuzz_alg") || FUZZY_ALGORITHMS[0];
  const algorithm = FUZZY_ALGORITHMS.find((each) => each === named);
  if (algorithm === undefined)
    throw invalid("fuzz_alg", `${quote(named)} must be one of ${FUZZY_ALGORITHMS.join(", ")}`);
  const limit = readPositive(parameters, "limit", LIMIT);
  if (limit > LIMIT_MAX)
    throw invalid("limit", `${limit} exceeds the configured maximum of ${LIMIT_MAX} results`);
  return {
    terms,
    threshold: threshold / 100,
    algorithm,
    isCaseSensitive: readBoolean(parameters, "case_sensitive", true),
    order: readOrder(parameters, terms.length > 0),
    limit,
    batchSize: Math.min(readPositive(parameters, "batch_size", BATCH_SIZE), BATCH_SIZE_MAX),
    includesScore: readBoolean(parameters, "include_score", false),
  };
}

function readOrder(parameters: URLSearchParams, hasTerms: boolean): NameOrder {
  const by = parameters.get("sort_by") || undefined;
  const direction = parameters.get("sort_dir") || undefined;
  if (by !== undefined && by !== "alpha" && by !== "score")
    throw invalid("sort_by", `${quote(by)} must be "alpha" or "score"`);
  if (direction !== undefined && by === undefined)
    throw invalid("sort_dir", "it is only valid when sort_by is set");
  if (direction !== undefined && by === "score")
    throw invalid("sort_dir", "it is not supported for sort_by=score");
  if (direction !== undefined && direction !== "asc" && direction !== "dsc")
    throw invalid("sort_dir", `${quote(direction)} must be "asc" or "dsc"`);
  if (by === "score" && !hasTerms) throw invalid("sort_by", "sort_by=score requires search[] to be set");
  if (by === "score") return "score";
  return direction === "dsc" ? "descending" : "ascending";
}

function readPositive(parameters: URLSearchParams, name: string, otherwise: number): number {
  const count = readWhole(parameters, name, otherwise, "must be a positive integer");
  if (count === 0) throw invalid(name, `${quote(parameters.get(name) ?? "")} must be a positive integer`);
  return count;
}

function readWhole(parameters: URLSearchParams, name: string, otherwise: number, expected: string): number {
  const text = parameters.get(name) ?? "";
  if (text === "") return otherwise;
  if (!/^\+?[0-9]{1,15}$/.test(text)) throw invalid(name, `${quote(text)} ${expected}`);
  return Number(text);
}

function readBoolean(parameters: URLSearchParams, name: string, otherwise: boolean): boolean {
  const text = parameters.get(name) ?? "";
  if (text === "") return otherwise;
  if (TRUE.includes(text)) return true;
  if (FALSE.includes(text)) return false;
  throw invalid(name, `${quote(text)} must be boolean`);
}
