/**
 * Prometheus's admin API (https://prometheus.io/docs/prometheus/latest/querying/api/#tsdb-admin-apis), disabled
 * unless a setting enables it: deletes samples and makes snapshots. There are no tombstones to clean, because rows
 * are deleted at once.
 */
import type { Caller } from "../../access/access.ts";
import { BadInput, quote, RequestError } from "../../model/errors.ts";
import type { Labels } from "../../model/sample.ts";
import type { BodyLimits } from "../body.ts";
import { type RouteParameters, Routes } from "../routes.ts";
import { holdsReplacement } from "../url-text.ts";
import { apiError, success } from "./prometheus-api-answer.ts";
import { asParameter, invalid, readParameters, readTime } from "./prometheus-api-parameters.ts";

/** The samples of a metric that a deletion would delete. */
interface SamplesToDelete {
  readonly metric: string;
  readonly series: number;
  readonly samples: number;
}

/** The series that selectors find; only those with the labels, if they are set. */
interface SelectedSeries {
  readonly texts: readonly string[];
  readonly labels: Labels | undefined;
}

/** Works on the samples of the selected series from `fromUs` to `toUs`, both included. */
type OnSelected<Result> = (selected: SelectedSeries, fromUs: number, toUs: number) => Promise<Result>;

interface AdminDependencies {
  /** Deletes them, and returns their number. */
  readonly deleteSamples: OnSelected<number>;
  /** Counts them by metric. */
  readonly countSamples: OnSelected<readonly SamplesToDelete[]>;
  /** Makes a snapshot and returns its name. One for a backup is removed by the backup, or later. */
  readonly takeSnapshot: (options: {
    readonly withLog: boolean;
    readonly isForBackup: boolean;
  }) => Promise<string>;
  readonly enabled: boolean;
  readonly limits: BodyLimits;
}

/** The message is upstream's. Without Retry-After, because a setting does not change by itself. */
class AdminDisabled extends RequestError {
  override readonly status = 503;
  override readonly code = "unavailable";
}

export const adminRoutes = ({
  deleteSamples,
  countSamples,
  takeSnapshot,
  enabled,
  limits,
}: AdminDependencies) => {
  const done = (headers: Record<string, string> = {}) => new Response(null, { status: 204, headers });
  type Work = (parameters: URLSearchParams, caller: Caller) => Promise<Response>;
  const route = (work: Work) => async (request: Request, _: RouteParameters, caller: Caller) => {
    if (!enabled)
      throw new AdminDisabled("admin APIs disabled: start the gateway with --enable-admin-api to allow them");
    return await work(await readParameters(request, limits), caller);
  };
  const deleteSeries = route(async (parameters, { labels }) => {
    const texts = parameters.getAll("match[]");
    // Otherwise a series that the client did not mean could be deleted.
    if (texts.some(holdsReplacement)) throw invalid("match[]", "it contains bytes that are not UTF-8");
    if (texts.length === 0) throw new BadInput("no match[] parameter provided", "match[]");
    const startMs = readTime(parameters, "start") ?? Number.NEGATIVE_INFINITY;
    const endMs = readTime(parameters, "end") ?? Number.POSITIVE_INFINITY;
    if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
    // A time in milliseconds includes the whole millisecond.
    const range = [startMs * 1000, endMs * 1000 + 999] as const;
    const on = <Result>(work: OnSelected<Result>) =>
      asParameter("match[]", () => work({ texts, labels }, ...range));
    if (readFlag(parameters, "dry_run")) return success({ metrics: await on(countSamples) });
    return done({ "Weir-Deleted-Samples": String(await on(deleteSamples)) });
  });
  const cleanTombstones = route(async () => done());
  const snapshot = route(async (parameters) => {
    // Upstream's head is the newest samples, which are in memory there. Here they are in the log.
    const name = await takeSnapshot({
      withLog: !readFlag(parameters, "skip_head"),
      isForBackup: readFlag(parameters, "for_backup"),
    });
    return success({ name });
  });
  return new Routes(apiError)
    .on(
      ["POST", "PUT"],
      "/api/v1/admin/tsdb/delete_series",
      { scope: "admin", bound: "narrows" },
      "deletes the samples of selected series",
      deleteSeries,
    )
    .on(
      ["POST", "PUT"],
      "/api/v1/admin/tsdb/clean_tombstones",
      "admin",
      "does nothing, because deleted samples leave no tombstones",
      cleanTombstones,
    )
    .on(["POST", "PUT"], "/api/v1/admin/tsdb/snapshot", "admin", "makes a copy of the store", snapshot);
};

/** Accepts what Go's ParseBool accepts. */
function readFlag(parameters: URLSearchParams, name: string): boolean {
  const text = parameters.get(name) ?? "";
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False|)$/.test(text)) return false;
  throw invalid(name, `unable to parse boolean ${quote(text)}`);
}
