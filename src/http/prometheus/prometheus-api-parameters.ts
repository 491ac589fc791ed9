/**
 * Parameters of Prometheus's API: in the query string, in a form that is POSTed, or both
 * (https://prometheus.io/docs/prometheus/latest/querying/api/).
 */
import { parseDurationMs } from "../../model/duration.ts";
import { BadInput, quote } from "../../model/errors.ts";
import { rfc3339Us } from "../../model/time.ts";
import { noteAskedQuery } from "../asked-query.ts";
import { ParseError } from "../../query/promql/query-errors.ts";
import { type BodyLimits, readBody, routeBodyLimits } from "../body.ts";
import { queryOf, queryText } from "../url-text.ts";

/** Enough for the longest expression, percent-encoded, and a hundred selectors. */
const FORM_BYTES_MAX = 1_048_576;

/** As many selectors as a request may have, and some more. Half a million parameters would take 0.2 s to read. */
const PARAMETERS_MAX = 2_000;

/** Throws if an encoded query or form has too many parameters. */
function checkCount(encoded: string): void {
  let count = 1;
  for (let at = encoded.indexOf("&"); at >= 0; at = encoded.indexOf("&", at + 1)) {
    if (++count > PARAMETERS_MAX)
      throw new BadInput(`The request has more than ${PARAMETERS_MAX} parameters; send several requests.`);
  }
}

/** All parameters of a request. Those of the body come first, as upstream. */
export async function readParameters(request: Request, limits: BodyLimits): Promise<URLSearchParams> {
  checkCount(queryText(request.url));
  const query = queryOf(request.url);
  if (request.method !== "POST") {
    noteAsked(request, query);
    return query;
  }
  const bodyLimits = routeBodyLimits(limits, FORM_BYTES_MAX);
  const body = new TextDecoder().decode(await readBody(request, bodyLimits));
  checkCount(body);
  const form = new URLSearchParams(body);
  for (const [name, value] of query) form.append(name, value);
  noteAsked(request, form);
  return form;
}

/** Notes the expression or the selectors of a request. */
function noteAsked(request: Request, parameters: URLSearchParams): void {
  const text = parameters.get("query") ?? parameters.getAll("match[]").join(" ");
  if (text !== "") noteAskedQuery(request, text);
}

/** A time in whole milliseconds, from RFC 3339 or seconds since the epoch. */
export function readTime(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name);
  if (text === null || text === "") return undefined;
  const timeMs = /^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(text)
    ? Math.round(Number(text) * 1000)
    : Math.floor((rfc3339Us(text) ?? Number.NaN) / 1000);
  // Clients send the ends of time for "always": `-292273086-05-16T16:47:06Z`, and up to the year 292277025.
  if (/^([+-]?\d{5,}|-\d{4,})-/.test(text)) return text.startsWith("-") ? TIME_MS_MIN : TIME_MS_MAX;
  if (Number.isNaN(timeMs)) throw invalid(name, `cannot parse ${quote(text)} to a valid timestamp`);
  return Math.max(TIME_MS_MIN, Math.min(TIME_MS_MAX, timeMs));
}

/** The range of a Date. */
const TIME_MS_MAX = 8.64e15;
const TIME_MS_MIN = -TIME_MS_MAX;

/** Upstream counts nanoseconds as a signed number of 64 bits. */
const DURATION_MS_MAX = 2 ** 63 / 1_000_000;

/** A duration, such as `1m` or a number of seconds, in milliseconds, possibly with a fraction. */
export function readDuration(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name);
  if (text === null || text === "") return undefined;
  const durationMs = /^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(text) ? Number(text) * 1000 : parseDurationMs(text);
  if (durationMs === undefined || Number.isNaN(durationMs)) {
    throw invalid(name, `cannot parse ${quote(text)} to a valid duration`);
  }
  if (Math.abs(durationMs) > DURATION_MS_MAX)
    throw invalid(name, `cannot parse ${quote(text)} to a valid duration. It overflows int64`);
  return durationMs;
}

/** A limit on the number of results. 0 means no limit, like an absent parameter. */
export function readLimit(parameters: URLSearchParams, name = "limit"): number {
  const text = parameters.get(name);
  if (text === null || text === "") return Number.POSITIVE_INFINITY;
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 0) throw invalid(name, `${quote(text)} is not a count`);
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}

export function invalid(name: string, why: string): BadInput {
  return new BadInput(`invalid parameter ${JSON.stringify(name)}: ${why}`, name);
}

/** Names the parameter in an error about its text, as upstream does. */
export async function asParameter<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ParseError) throw invalid(name, error.message);
    throw error;
  }
}
