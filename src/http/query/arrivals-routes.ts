/**
 * `GET /api/v1/arrivals`: what arrived in the last 5 minutes, or in the last hour. Workers with their rates, and metrics of
 * events with their errors and quantiles. It is answered from memory, and requests of one second share an answer, so that
 * a page may ask every few seconds at any rate of pushes. The quantiles are those of the histograms on /metrics. The
 * summaries `workers` and `traffic` answer the same from rows, for any range.
 */
import {
  type ArrivalsRange,
  bucketQuantile,
  PARTS,
  type RecentArrivals,
  type RecentMetric,
} from "../../exposition/totals/recent-arrivals.ts";
import type { LastPushRecord } from "../../model/records.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import { jsonResponse } from "../error-answers.ts";
import { readCount, rejectUnknown, wrongParameter } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";

interface ArrivalsDependencies {
  readonly totals: {
    recentArrivals(range: ArrivalsRange, nowUs: number): Generator<void, RecentArrivals>;
    lastPushRecords(): readonly LastPushRecord[];
  };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Requests within it share an answer. */
const SHARED_MS = 1_000;
const LIMIT_DEFAULT = 1_000;
const QUANTILES = [0.5, 0.95, 0.99] as const;

interface ArrivedWorker {
  readonly job: string;
  readonly instance: string;
  readonly samples: number;
  readonly per_second: number;
  /** Metrics with samples in the range. */
  readonly metrics: number;
  /** The last push, or the arrival of the newest sample. */
  readonly last: string;
}

interface Arrived {
  readonly from: string;
  readonly to: string;
  readonly part_seconds: number;
  /** The samples of each part, the oldest first. */
  readonly samples: readonly number[];
  /** The last one that arrived comes first. */
  readonly workers: readonly ArrivedWorker[];
  /** The one with the most samples comes first. */
  readonly metrics: readonly ReturnType<typeof shownMetric>[];
}

export const arrivalsRoutes = ({ totals, now }: ArrivalsDependencies) => {
  const shared = new Map<ArrivalsRange, { readonly atMs: number; readonly arrived: Promise<Arrived> }>();
  const arrivedIn = (range: ArrivalsRange): Promise<Arrived> => {
    const nowMs = now();
    const known = shared.get(range);
    if (known !== undefined && nowMs >= known.atMs && nowMs < known.atMs + SHARED_MS) return known.arrived;
    const arrived = inSlices(totals.recentArrivals(range, nowMs * 1_000)).then((recent) =>
      shown(recent, totals.lastPushRecords()),
    );
    shared.set(range, { atMs: nowMs, arrived });
    return arrived;
  };
  return new Routes().on(
    "GET",
    "/api/v1/arrivals",
    "read",
    "says which workers and events arrived in the last minutes, and how fast",
    async (request) => {
      const query = queryOf(request.url);
      rejectUnknown(query, ["range", "limit"]);
      const range = query.get("range") ?? "5m";
      if (range !== "5m" && range !== "1h") throw wrongParameter("range", range, "5m or 1h");
      const limit = readCount(query.get("limit"), "limit") ?? LIMIT_DEFAULT;
      const { workers, metrics, ...arrived } = await arrivedIn(range);
      return jsonResponse(200, {
        ...arrived,
        workers: workers.slice(0, limit),
        workers_left_out: Math.max(0, workers.length - limit),
        metrics: metrics.slice(0, limit),
        metrics_left_out: Math.max(0, metrics.length - limit),
      });
    },
  );
};

function shown(recent: RecentArrivals, pushes: readonly LastPushRecord[]): Arrived {
  const { fromUs, toUs, partUs, samples, metrics } = recent;
  const seconds = Math.max(1, (toUs - fromUs) / 1e6);
  return {
    from: new Date(fromUs / 1_000).toISOString(),
    to: new Date(toUs / 1_000).toISOString(),
    part_seconds: partUs / 1e6,
    samples: [...samples],
    workers: workersOf(recent, pushes, seconds),
    metrics: metrics
      .map((metric) => shownMetric(metric, seconds))
      .sort((a, b) => b.samples - a.samples || (a.metric < b.metric ? -1 : 1)),
  };
}

/** The workers of the range, and those that pushed in the last day. */
function workersOf(
  { workers }: RecentArrivals,
  pushes: readonly LastPushRecord[],
  seconds: number,
): readonly ArrivedWorker[] {
  const all = new Map<string, Omit<ArrivedWorker, "last"> & { readonly lastMs: number }>();
  const keyOf = (job: string, instance: string) => `${job}\0${instance}`;
  for (const { job, instance, samples, metrics, arrivedUs } of workers) {
    const per_second = rounded(samples / seconds);
    const lastMs = arrivedUs / 1_000;
    all.set(keyOf(job, instance), { job, instance, samples, per_second, metrics, lastMs });
  }
  for (const { job, instance, pushedAtMs } of pushes) {
    const known = all.get(keyOf(job, instance)) ?? {
      ...{ job, instance, samples: 0, per_second: 0, metrics: 0, lastMs: 0 },
    };
    all.set(keyOf(job, instance), { ...known, lastMs: Math.max(known.lastMs, pushedAtMs) });
  }
  return [...all.values()]
    .sort(
      (a, b) =>
        b.lastMs - a.lastMs ||
        (a.job < b.job ? -1 : a.job > b.job ? 1 : 0) ||
        (a.instance < b.instance ? -1 : 1),
    )
    .map(({ lastMs, ...worker }) => ({ ...worker, last: new Date(lastMs).toISOString() }));
}

function shownMetric(recent: RecentMetric, seconds: number) {
  const { metric, kind, unit, samples, failed, judged, bounds, buckets, parts } = recent;
  const [p50, p95, p99] = QUANTILES.map((share) => bucketQuantile(share, bounds, buckets));
  return {
    ...{ metric, kind, unit, samples },
    per_second: rounded(samples / seconds),
    failed: judged === 0 ? null : failed,
    failed_percent: judged === 0 ? null : rounded((100 * failed) / judged),
    ...{ p50, p95, p99 },
    /** Parts without samples are left out. */
    parts: Array.from({ length: PARTS }, (_, part) => part)
      .filter((part) => parts.has(part))
      .map((part) => {
        const of = parts.get(part)!;
        return {
          ...{ part, samples: of.samples, failed: of.failed },
          p95: bucketQuantile(0.95, bounds, of.buckets ?? []),
        };
      }),
  };
}

const rounded = (value: number) => Number(value.toFixed(6));
