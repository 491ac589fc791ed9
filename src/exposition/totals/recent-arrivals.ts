/**
 * What arrived in the last hour, in memory: live samples by metric, worker and success, and the histograms of
 * observations. `Totals.apply` counts each sample as it arrives, so a question costs the same at 10 and at 100,000 samples
 * per second, and reads no row.
 *
 * Time is divided into parts of 10 s, of which 30 are kept, and into parts of 2 min, of which 30 are kept too. After a
 * restart it begins empty. What it keeps is bounded by the number of series: each series belongs to one source.
 */
import type { Kind, Labels, Metric, Series } from "../../model/sample.ts";

/** The tags by which a sample says whether it failed. */
const SUCCESS = "success";
const STATUS = ["status_code", "http_status"];

/** The parts of a range. */
export const PARTS = 30;
const SHORT_US = 10_000_000;
/** Short parts in a long one. */
const SHORT_PER_LONG = 12;

export type ArrivalsRange = "5m" | "1h";

/** What is counted of one metric. Its sources share the histogram. */
export interface ArrivingMetric {
  /** As the newest series has it. */
  metric: Metric;
  /** Not cumulative, in the part that is open. */
  readonly buckets: Uint32Array;
  readonly bounds: readonly number[];
  readonly sources: Map<string, ArrivalSource>;
}

/** The series of a metric from one worker that succeed, or fail, or do not say. */
export interface ArrivalSource {
  readonly arriving: ArrivingMetric;
  readonly job: string;
  readonly instance: string;
  /** Undefined if the samples do not say whether they failed. */
  readonly failed: boolean | undefined;
  /** Samples in the part that is open. */
  count: number;
  /** When the newest sample arrived, µs. */
  arrivedUs: number;
  /** The number of its series. */
  series: number;
}

/** A part that is over. */
interface Part {
  /** Since the epoch, in units of its length. */
  readonly number: number;
  readonly counts: Map<ArrivalSource, number>;
  readonly buckets: Map<ArrivingMetric, Uint32Array>;
}

/** A metric of events in a range. */
export interface RecentMetric {
  readonly metric: string;
  readonly kind: Kind;
  readonly unit: string;
  readonly samples: number;
  readonly failed: number;
  /** Samples that say whether they failed. */
  readonly judged: number;
  readonly bounds: readonly number[];
  /** Not cumulative. Empty without a histogram. */
  readonly buckets: Float64Array;
  /** By part: samples, those that failed, and the histogram. Parts without samples are absent. */
  readonly parts: Map<number, { samples: number; failed: number; buckets?: Uint32Array }>;
}

export interface RecentWorker {
  readonly job: string;
  readonly instance: string;
  readonly samples: number;
  readonly metrics: number;
  /** When its newest sample arrived, µs. */
  readonly arrivedUs: number;
}

/** What arrived in a range. */
export interface RecentArrivals {
  readonly fromUs: number;
  readonly toUs: number;
  readonly partUs: number;
  /** All samples by part. */
  readonly samples: Float64Array;
  readonly metrics: readonly RecentMetric[];
  readonly workers: readonly RecentWorker[];
}

/** What the gateway says about workers goes on after they are silent. */
const ABOUT_OTHERS: ReadonlySet<string> = new Set([
  "weir_last_push_timestamp_seconds",
  "ALERTS",
  "ALERTS_FOR_STATE",
]);

/** So do the results of rules. Prometheus keeps colons in names for them. */
function isAboutOthers({ name, kind }: Metric): boolean {
  return ABOUT_OTHERS.has(name) || (kind === "gauge" && name.includes(":"));
}

export class ArrivalCounts {
  /** By the row of a series in the table of the totals. */
  readonly sources: (ArrivalSource | undefined)[] = [];
  readonly #metrics = new Map<string, ArrivingMetric>();
  /** Sources with samples in the part that is open. */
  readonly #active: ArrivalSource[] = [];
  readonly #short: Part[] = [];
  readonly #long: Part[] = [];
  /** The closed short parts of the long part that is open. */
  #pending: Part | undefined;
  #open = Number.NEGATIVE_INFINITY;
  #beganUs = Number.POSITIVE_INFINITY;

  /** Defines the series of a row. */
  define(row: number, series: Series): void {
    const arriving = this.#arriving(series.metric);
    const [job, instance] = [series.labels.get("job") ?? "", series.labels.get("instance") ?? ""];
    const failed = hasFailed(series.labels);
    const key = `${failed}\0${job}\0${instance}`;
    const source = arriving.sources.getOrInsertComputed(key, () => ({
      ...{ arriving, job, instance, failed },
      ...{ count: 0, arrivedUs: 0, series: 0 },
    }));
    const before = this.sources[row];
    if (before === source) return;
    if (before !== undefined) this.forget(row);
    source.series++;
    this.sources[row] = source;
  }

  forget(row: number): void {
    const source = this.sources[row];
    if (source === undefined) return;
    this.sources[row] = undefined;
    if (--source.series > 0) return;
    const { arriving, failed, job, instance } = source;
    arriving.sources.delete(`${failed}\0${job}\0${instance}`);
    if (arriving.sources.size === 0 && this.#metrics.get(arriving.metric.name) === arriving)
      this.#metrics.delete(arriving.metric.name);
  }

  /** Closes the part that is over. Call it before samples that arrived at `nowUs` are counted. */
  advance(nowUs: number): void {
    const number = Math.floor(nowUs / SHORT_US);
    if (number <= this.#open) return;
    if (nowUs < this.#beganUs) this.#beganUs = nowUs;
    const closed = this.#close();
    if (closed !== undefined) this.#short.push(closed);
    const long = Math.floor(number / SHORT_PER_LONG);
    if (closed !== undefined) {
      const into = Math.floor(closed.number / SHORT_PER_LONG);
      if (this.#pending?.number !== into) {
        if (this.#pending !== undefined) this.#long.push(this.#pending);
        this.#pending = { number: into, counts: new Map(), buckets: new Map() };
      }
      addPart(this.#pending, closed);
    }
    if (this.#pending !== undefined && this.#pending.number < long) {
      this.#long.push(this.#pending);
      this.#pending = undefined;
    }
    dropBefore(this.#short, number - PARTS + 1);
    dropBefore(this.#long, long - PARTS + 1);
    this.#open = number;
  }

  /** Counts the first sample of a source in the part that is open. */
  activate(source: ArrivalSource): void {
    this.#active.push(source);
  }

  /** What arrived in a range that ends at `nowUs`. A task in slices. */
  *recent(range: ArrivalsRange, nowUs: number): Generator<void, RecentArrivals> {
    this.advance(nowUs);
    const partUs = range === "5m" ? SHORT_US : SHORT_US * SHORT_PER_LONG;
    const last = Math.floor(nowUs / partUs);
    const first = last - PARTS + 1;
    // Closed parts do not change. The open one is copied before the first pause.
    const open = this.#copy();
    const parts =
      range === "5m"
        ? [...this.#short, { ...open, number: last }]
        : [
            ...this.#long,
            ...(this.#pending === undefined ? [] : [this.#pending].map(copyOf)),
            { ...open, number: last },
          ];
    const samples = new Float64Array(PARTS);
    const metrics = new Map<ArrivingMetric, Mutable<RecentMetric>>();
    const workers = new Map<string, Mutable<RecentWorker> & { readonly of: Set<ArrivingMetric> }>();
    for (const { number, counts, buckets } of parts) {
      if (number < first) continue;
      const part = number - first;
      for (const [source, count] of counts) {
        samples[part] += count;
        addWorker(workers, source, count);
        addMetric(metrics, source, count, part);
        yield;
      }
      for (const [arriving, added] of buckets) {
        const known = metrics.get(arriving);
        const own = known?.parts.get(part);
        if (known === undefined || own === undefined) continue;
        own.buckets = own.buckets === undefined ? added : sumOf(own.buckets, added);
        for (let at = 0; at < added.length; at++) known.buckets[at]! += added[at]!;
        yield;
      }
    }
    return {
      fromUs: Math.min(nowUs, Math.max(first * partUs, this.#beganUs)),
      toUs: nowUs,
      partUs,
      samples,
      metrics: [...metrics.values()],
      workers: Array.from(workers.values(), ({ of, ...worker }) => ({ ...worker, metrics: of.size })),
    };
  }

  #arriving(metric: Metric): ArrivingMetric {
    const known = this.#metrics.get(metric.name);
    if (known !== undefined && known.metric.kind === metric.kind && areSame(known.bounds, metric.buckets)) {
      known.metric = metric;
      return known;
    }
    const arriving = {
      ...{ metric, bounds: metric.buckets, sources: new Map() },
      buckets: new Uint32Array(metric.kind === "observation" ? metric.buckets.length + 1 : 0),
    };
    this.#metrics.set(metric.name, arriving);
    return arriving;
  }

  /** The part that is open, which begins again. Undefined if nothing arrived in it. */
  #close(): Part | undefined {
    if (this.#active.length === 0) return undefined;
    const part = this.#copy();
    for (const source of this.#active) {
      source.count = 0;
      source.arriving.buckets.fill(0);
    }
    this.#active.length = 0;
    return part;
  }

  #copy(): Part {
    const counts = new Map<ArrivalSource, number>();
    const buckets = new Map<ArrivingMetric, Uint32Array>();
    for (const source of this.#active) {
      counts.set(source, source.count);
      const { arriving } = source;
      if (arriving.buckets.length > 0 && !buckets.has(arriving))
        buckets.set(arriving, arriving.buckets.slice());
    }
    return { number: this.#open, counts, buckets };
  }
}

type Mutable<Of> = { -readonly [Key in keyof Of]: Of[Key] };

function addMetric(
  metrics: Map<ArrivingMetric, Mutable<RecentMetric>>,
  { arriving, failed }: ArrivalSource,
  count: number,
  part: number,
): void {
  const { metric, bounds } = arriving;
  if (metric.kind !== "observation" && metric.kind !== "delta") return;
  const known = metrics.getOrInsertComputed(arriving, () => ({
    ...{ metric: metric.name, kind: metric.kind, unit: metric.unit, bounds },
    ...{ samples: 0, failed: 0, judged: 0, parts: new Map() },
    buckets: new Float64Array(arriving.buckets.length),
  }));
  const own = known.parts.getOrInsertComputed(part, () => ({ samples: 0, failed: 0 }));
  known.samples += count;
  own.samples += count;
  if (failed !== undefined) known.judged += count;
  if (failed !== true) return;
  known.failed += count;
  own.failed += count;
}

function addWorker(
  workers: Map<string, Mutable<RecentWorker> & { readonly of: Set<ArrivingMetric> }>,
  { arriving, job, instance, arrivedUs }: ArrivalSource,
  count: number,
): void {
  if (isAboutOthers(arriving.metric)) return;
  const worker = workers.getOrInsertComputed(`${job}\0${instance}`, () => ({
    ...{ job, instance, samples: 0, metrics: 0, arrivedUs: 0, of: new Set<ArrivingMetric>() },
  }));
  worker.samples += count;
  worker.arrivedUs = Math.max(worker.arrivedUs, arrivedUs);
  worker.of.add(arriving);
}

function addPart(into: Part, { counts, buckets }: Part): void {
  for (const [source, count] of counts) into.counts.set(source, (into.counts.get(source) ?? 0) + count);
  for (const [arriving, added] of buckets) {
    const known = into.buckets.get(arriving);
    into.buckets.set(arriving, known === undefined ? added : sumOf(known, added));
  }
}

const copyOf = ({ number, counts, buckets }: Part): Part => ({
  ...{ number, counts: new Map(counts), buckets: new Map(buckets) },
});

function sumOf(a: Uint32Array, b: Uint32Array): Uint32Array {
  return a.map((count, at) => count + b[at]!);
}

function areSame(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((bound, at) => bound === b[at]));
}

function dropBefore(parts: Part[], first: number): void {
  let dropped = 0;
  while (dropped < parts.length && parts[dropped]!.number < first) dropped++;
  if (dropped > 0) parts.splice(0, dropped);
}

/** As the summary `traffic` decides it. Undefined if the labels do not say. */
function hasFailed(labels: Labels): boolean | undefined {
  const success = labels.get(SUCCESS);
  const status = STATUS.map((name) => labels.get(name)).find((text) => text !== undefined);
  if (success === undefined && status === undefined) return undefined;
  if (success === "false") return true;
  if (status === undefined) return false;
  const code = status.trim() === "" ? Number.NaN : Number(status);
  return Number.isNaN(code) ? !["success", "ok"].includes(status.toLowerCase()) : code >= 400;
}

/**
 * The value below which a share of the observations lies, by linear interpolation within its bucket, as
 * `histogram_quantile` of PromQL. Null without observations.
 *
 * @param buckets not cumulative: one per bound, and the last one for values above all bounds
 */
export function bucketQuantile(
  share: number,
  bounds: readonly number[],
  buckets: ArrayLike<number>,
): number | null {
  let total = 0;
  for (let at = 0; at < buckets.length; at++) total += buckets[at]!;
  if (total === 0 || bounds.length === 0) return null;
  const rank = share * total;
  let below = 0;
  for (let at = 0; at < bounds.length; at++) {
    const count = buckets[at]!;
    if (count > 0 && below + count >= rank) {
      const upper = bounds[at]!;
      if (at === 0 && upper <= 0) return upper;
      const lower = at === 0 ? 0 : bounds[at - 1]!;
      return lower + (upper - lower) * ((rank - below) / count);
    }
    below += count;
  }
  return bounds.at(-1)!;
}
