/**
 * What arrived in the last hour, in memory: live samples by metric, worker and success, and the histograms of
 * observations. `Totals.apply` counts each sample as it arrives, so a question costs the same at 10 and at 100,000 samples
 * per second, and reads no row.
 *
 * Time is divided into parts of 10 s, of which 30 are kept, and into parts of 2 min, of which 30 are kept too. After a
 * restart it begins empty. What it keeps is bounded by the number of series: each series belongs to one source.
 *
 * Sources are numbers, and what is kept of them is in columns: a source takes some 70 bytes, and 8 in each part in which it
 * has samples. As objects and Maps, these were 250 and 60.
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
  readonly number: number;
  /** As the newest series has it. */
  metric: Metric;
  /** Not cumulative, in the part that is open. */
  readonly buckets: Uint32Array;
  readonly bounds: readonly number[];
  /** How many sources it has, with those without series that are still counted. */
  sources: number;
}

/** Who sent samples, with one object for all metrics. */
interface Sender {
  readonly number: number;
  readonly job: string;
  readonly instance: string;
  /** How many sources it has. */
  sources: number;
}

/** Whether the samples of a source succeeded, or failed, or do not say. */
const Outcome = { unknown: 0, succeeded: 1, failed: 2 } as const;
type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** A part that is over. */
interface Part {
  /** Since the epoch, in units of its length. */
  readonly number: number;
  /** The sources with samples in it, and how many. */
  readonly sources: Uint32Array;
  readonly counts: Uint32Array;
  readonly buckets: Map<ArrivingMetric, Uint32Array>;
}

/** More metrics than one process ever defines. With three outcomes, 2^28 senders still have whole keys. */
const METRIC_NUMBERS = 2 ** 23;

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

/**
 * A source is the series of a metric from one sender that have the same outcome. A series gets its source with the first sample that
 * arrives: most of those that a start restores get none for long.
 */
export class ArrivalCounts {
  /** The source of a series, by its row in the table of the totals. 0 if it has none. */
  #sourceOf = new Uint32Array(64);
  // By source. Number 0 is none.
  /** Samples in the part that is open. */
  #counts = new Uint32Array(64);
  /** When the newest sample arrived, µs. */
  #arrivedUs = new Float64Array(64);
  readonly #arriving: ArrivingMetric[] = [];
  readonly #senders: Sender[] = [];
  #outcomes = new Uint8Array(64);
  /** The number of series. */
  #series = new Uint32Array(64);
  #length = 1;

  /** Sources by `keyOf`. */
  readonly #sources = new Map<number, number>();
  readonly #byName = new Map<string, Sender>();
  #lastSender = 0;
  /** The sender that was asked for last. */
  #newest: Sender | undefined;
  readonly #metrics = new Map<string, ArrivingMetric>();
  #lastMetric = 0;
  /** Sources without series, with the part that was open then. Later parts may use their numbers again. */
  readonly #retired: { readonly source: number; readonly open: number }[] = [];
  readonly #free: number[] = [];
  /** Sources with samples in the part that is open. */
  readonly #active: number[] = [];
  readonly #short: Part[] = [];
  readonly #long: Part[] = [];
  #open = Number.NEGATIVE_INFINITY;
  #beganUs = Number.POSITIVE_INFINITY;

  /** Counts a sample of the series of a row. Returns what is counted of its metric. */
  add(row: number, series: Series, arrivedUs: number): ArrivingMetric {
    const source = this.#sourceOf[row] || this.#define(row, series);
    this.#arrivedUs[source] = arrivedUs;
    if (this.#counts[source]!++ === 0) this.#active.push(source);
    return this.#arriving[source]!;
  }

  /** Gives the series of a row a source. */
  #define(row: number, series: Series): number {
    const arriving = this.#metricOf(series.metric);
    const outcome = outcomeOf(series.labels);
    const sender = this.#sender(series.labels.get("job") ?? "", series.labels.get("instance") ?? "");
    const key = keyOf(arriving, sender, outcome);
    const source = this.#sources.get(key) ?? this.#add(key, arriving, sender, outcome);
    if (row >= this.#sourceOf.length) this.#sourceOf = grown(this.#sourceOf, row + 1);
    this.#series[source]!++;
    this.#sourceOf[row] = source;
    return source;
  }

  forget(row: number): void {
    const source = this.#sourceOf[row] ?? 0;
    if (source === 0) return;
    this.#sourceOf[row] = 0;
    if (--this.#series[source]! > 0) return;
    const arriving = this.#arriving[source]!;
    const sender = this.#senders[source]!;
    this.#sources.delete(keyOf(arriving, sender, this.#outcomes[source] as Outcome));
    if (--sender.sources === 0) this.#byName.delete(senderName(sender));
    this.#retired.push({ source, open: this.#open });
  }

  #add(key: number, arriving: ArrivingMetric, sender: Sender, outcome: Outcome): number {
    const source = this.#free.pop() ?? this.#length++;
    if (source >= this.#counts.length) {
      this.#counts = grown(this.#counts, source + 1);
      this.#series = grown(this.#series, source + 1);
      const arrivedUs = new Float64Array(this.#counts.length);
      arrivedUs.set(this.#arrivedUs);
      this.#arrivedUs = arrivedUs;
      const outcomes = new Uint8Array(this.#counts.length);
      outcomes.set(this.#outcomes);
      this.#outcomes = outcomes;
    }
    this.#arriving[source] = arriving;
    this.#senders[source] = sender;
    this.#outcomes[source] = outcome;
    this.#arrivedUs[source] = 0;
    arriving.sources++;
    sender.sources++;
    this.#sources.set(key, source);
    return source;
  }

  #sender(job: string, instance: string): Sender {
    // The series of one push are defined one after the other.
    const last = this.#newest;
    if (last?.job === job && last.instance === instance && last.sources > 0) return last;
    const name = senderName({ job, instance });
    this.#newest = this.#byName.getOrInsertComputed(name, () => ({
      ...{ number: ++this.#lastSender, job, instance, sources: 0 },
    }));
    return this.#newest;
  }

  /** Closes the part that is over. Call it before samples that arrived at `nowUs` are added. */
  advance(nowUs: number): void {
    const number = Math.floor(nowUs / SHORT_US);
    if (number <= this.#open) return;
    if (nowUs < this.#beganUs) this.#beganUs = nowUs;
    const closed = this.#close();
    if (closed !== undefined) this.#short.push(closed);
    const long = Math.floor(number / SHORT_PER_LONG);
    const openLong = Math.floor(this.#open / SHORT_PER_LONG);
    if (openLong < long) {
      const merged = this.#merged(openLong);
      if (merged !== undefined) this.#long.push(merged);
    }
    dropBefore(this.#short, number - PARTS + 1);
    dropBefore(this.#long, long - PARTS + 1);
    this.#open = number;
    while (this.#retired.length > 0 && this.#retired[0]!.open < number - (PARTS + 1) * SHORT_PER_LONG)
      this.#release(this.#retired.shift()!.source);
  }

  /** Later sources may have the number of this one, of which no part has samples. */
  #release(source: number): void {
    this.#free.push(source);
    const arriving = this.#arriving[source]!;
    // Not earlier: a metric that is deleted and pushed again is one metric in answers.
    if (--arriving.sources === 0 && this.#metrics.get(arriving.metric.name) === arriving)
      this.#metrics.delete(arriving.metric.name);
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
            // Of the long part that is open.
            ...this.#shortOf(last).map((part) => ({ ...part, number: last })),
            { ...open, number: last },
          ];
    const samples = new Float64Array(PARTS);
    const metrics = new Map<ArrivingMetric, Mutable<RecentMetric>>();
    const workers = new Map<string, Mutable<RecentWorker> & { readonly of: Set<ArrivingMetric> }>();
    for (const { number, sources, counts, buckets } of parts) {
      if (number < first) continue;
      const part = number - first;
      for (let at = 0; at < sources.length; at++) {
        const source = sources[at]!;
        const count = counts[at]!;
        const arriving = this.#arriving[source]!;
        samples[part] += count;
        addWorker(workers, this.#senders[source]!, arriving, count, this.#arrivedUs[source]!);
        addMetric(metrics, arriving, this.#outcomes[source] as Outcome, count, part);
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

  #metricOf(metric: Metric): ArrivingMetric {
    const known = this.#metrics.get(metric.name);
    if (known !== undefined && known.metric.kind === metric.kind && areSame(known.bounds, metric.buckets)) {
      known.metric = metric;
      return known;
    }
    const arriving: ArrivingMetric = {
      ...{ number: ++this.#lastMetric, metric, bounds: metric.buckets, sources: 0 },
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
      this.#counts[source] = 0;
      this.#arriving[source]!.buckets.fill(0);
    }
    this.#active.length = 0;
    return part;
  }

  #copy(): Part {
    const sources = Uint32Array.from(this.#active);
    const buckets = new Map<ArrivingMetric, Uint32Array>();
    for (const source of sources) {
      const arriving = this.#arriving[source]!;
      if (arriving.buckets.length > 0 && !buckets.has(arriving))
        buckets.set(arriving, arriving.buckets.slice());
    }
    return { number: this.#open, sources, counts: sources.map((source) => this.#counts[source]!), buckets };
  }

  /** The closed short parts of a long one. */
  #shortOf(long: number): Part[] {
    return this.#short.filter(({ number }) => Math.floor(number / SHORT_PER_LONG) === long);
  }

  /** A long part from its short ones, all of which are kept until then. Undefined if nothing arrived in it. */
  #merged(long: number): Part | undefined {
    const parts = this.#shortOf(long);
    if (parts.length === 0) return undefined;
    const counts = new Uint32Array(this.#length);
    const found: number[] = [];
    const buckets = new Map<ArrivingMetric, Uint32Array>();
    for (const part of parts) {
      part.sources.forEach((source, at) => {
        if (counts[source] === 0) found.push(source);
        counts[source]! += part.counts[at]!;
      });
      for (const [arriving, added] of part.buckets) {
        const known = buckets.get(arriving);
        buckets.set(arriving, known === undefined ? added : sumOf(known, added));
      }
    }
    const sources = Uint32Array.from(found);
    return { number: long, sources, counts: sources.map((source) => counts[source]!), buckets };
  }
}

function keyOf(arriving: ArrivingMetric, sender: Sender, outcome: Outcome): number {
  return (sender.number * METRIC_NUMBERS + arriving.number) * 3 + outcome;
}

function senderName({ job, instance }: Pick<Sender, "job" | "instance">): string {
  return `${job}\0${instance}`;
}

/** A copy with room for at least `length` entries. */
function grown(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(Math.max(length, 2 * column.length));
  copy.set(column);
  return copy;
}

type Mutable<Of> = { -readonly [Key in keyof Of]: Of[Key] };

function addMetric(
  metrics: Map<ArrivingMetric, Mutable<RecentMetric>>,
  arriving: ArrivingMetric,
  outcome: Outcome,
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
  if (outcome !== Outcome.unknown) known.judged += count;
  if (outcome !== Outcome.failed) return;
  known.failed += count;
  own.failed += count;
}

function addWorker(
  workers: Map<string, Mutable<RecentWorker> & { readonly of: Set<ArrivingMetric> }>,
  { job, instance }: Sender,
  arriving: ArrivingMetric,
  count: number,
  arrivedUs: number,
): void {
  if (isAboutOthers(arriving.metric)) return;
  const worker = workers.getOrInsertComputed(senderName({ job, instance }), () => ({
    ...{ job, instance, samples: 0, metrics: 0, arrivedUs: 0, of: new Set<ArrivingMetric>() },
  }));
  worker.samples += count;
  worker.arrivedUs = Math.max(worker.arrivedUs, arrivedUs);
  worker.of.add(arriving);
}

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

/** As the summary `traffic` decides it. */
function outcomeOf(labels: Labels): Outcome {
  const success = labels.get(SUCCESS);
  const status = STATUS.map((name) => labels.get(name)).find((text) => text !== undefined);
  if (success === undefined && status === undefined) return Outcome.unknown;
  if (success === "false") return Outcome.failed;
  if (status === undefined) return Outcome.succeeded;
  const code = status.trim() === "" ? Number.NaN : Number(status);
  const hasFailed = Number.isNaN(code) ? !["success", "ok"].includes(status.toLowerCase()) : code >= 400;
  return hasFailed ? Outcome.failed : Outcome.succeeded;
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
