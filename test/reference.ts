/**
 * The reference: a simple, slow model of the gateway. It takes accepted events, and returns what the SQL rows,
 * the running totals and /metrics must be. Property tests compare the real server with it. So it shares no code
 * with src and has no optimisations: rows are a list, totals are lists of values, and sums are exact.
 */

export type EventType = "observation" | "counter" | "gauge";

/** An event as a worker sends it. Every tag value is a string that is not empty. */
export interface Event {
  readonly name: string;
  readonly type: EventType;
  readonly timestampMs: number;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly unit?: string;
}

export interface Limits {
  readonly retentionDays: number;
  readonly labelValuesMax: number;
  readonly seriesPerMetricMax: number;
}

export interface Row {
  readonly metric: string;
  readonly timestampMs: number;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, string>>;
  readonly live: boolean;
}

export interface Answer {
  readonly accepted: number;
  readonly duplicates: number;
  /** Indexes of the rejected events. */
  readonly rejected: readonly number[];
}

interface Sample {
  readonly timestampMs: number;
  readonly value: number;
}

interface Series {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The live samples, in order of acceptance. */
  readonly live: Sample[];
  /** The interval in which the newest live sample arrived, see `kill`. */
  arrivedMs: { earliest: number; latest: number };
  /** It has a label that was demoted. It gets no further samples, and it is not exposed. */
  ended: boolean;
}

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const AHEAD_MAX = 10 * MINUTE;
const TOTALS_LATE = 60 * MINUTE;
const EXPOSE_GAUGES_FOR = 5 * MINUTE;
const SERIES_IDLE = DAY;

const ATTRIBUTES = ["task_id", "trace_id", "span_id", "request_id"];
const NEVER_DEMOTED = ["job", "instance", "le", "quantile"];

const MILLISECOND_BOUNDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];
const BOUNDS: Record<string, readonly number[]> = {
  ms: MILLISECOND_BOUNDS,
  seconds: MILLISECOND_BOUNDS.map((bound) => bound / 1000),
  bytes: [
    128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768, 49_152,
    65_536, 98_304, 131_072, 196_608, 262_144, 393_216, 524_288, 786_432, 1_048_576, 1_572_864, 2_097_152,
    3_145_728, 4_194_304, 6_291_456, 8_388_608, 12_582_912, 16_777_216, 33_554_432, 67_108_864, 134_217_728,
    268_435_456, 536_870_912, 1_073_741_824,
  ],
  ratio: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
};
const OTHER_BOUNDS = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500],
  ...[1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6],
];

export class Reference {
  rows: Row[] = [];
  private series = new Map<string, Series>();
  private metrics = new Map<string, { type: EventType; bounds: readonly number[] }>();
  private demoted = new Map<string, Set<string>>();
  private keys = new Map<string, { body: string; atMs: number; answer: Answer }>();
  private readonly limits: Limits;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** A push that arrives at `nowMs`. `historical` marks an import, whose rows are never live. */
  push(
    events: readonly Event[],
    nowMs: number,
    options: { extraLabels?: Readonly<Record<string, string>>; historical?: boolean } = {},
  ): Answer {
    let accepted = 0;
    let duplicates = 0;
    const rejected: number[] = [];
    const tagsOf = (event: Event) => ({ ...options.extraLabels, ...event.tags });
    // The series of a whole push are decided before its first sample is stored, so that no sample of it goes to
    // a series that a later sample ends. Each round except the last one demotes a label.
    for (let decided = -1; decided !== this.demotionCount(); ) {
      decided = this.demotionCount();
      for (const event of events) if (!this.refuses(event, nowMs)) this.register(event, tagsOf(event));
    }
    events.forEach((event, index) => {
      const outcome = this.refuses(event, nowMs)
        ? "rejected"
        : this.take(event, tagsOf(event), nowMs, !options.historical);
      if (outcome === "accepted") accepted++;
      else if (outcome === "duplicate") duplicates++;
      else rejected.push(index);
    });
    return { accepted, duplicates, rejected };
  }

  /** Whether a push with this key was answered in the last 24 hours. */
  knows(key: string, nowMs: number): boolean {
    return nowMs - (this.keys.get(key)?.atMs ?? Number.NEGATIVE_INFINITY) < DAY;
  }

  /** A push with an idempotency key. Returns the stored answer, or "unprocessable" if the key had another body. */
  pushOnce(key: string, body: string, nowMs: number, push: () => Answer): Answer | "unprocessable" {
    const known = this.keys.get(key);
    if (known && this.knows(key, nowMs)) return known.body === body ? known.answer : "unprocessable";
    const answer = push();
    // A push with no accepted sample is a 400. The sender may correct it and use its key again.
    if (answer.accepted + answer.duplicates > 0) this.keys.set(key, { body, atMs: nowMs, answer });
    return answer;
  }

  /** The first instant that is kept: the days of retention, including today. */
  retainedFromMs(nowMs: number): number {
    return (Math.floor(nowMs / DAY) - this.limits.retentionDays + 1) * DAY;
  }

  /** Retention: drops whole days, and the series and metrics that then have no row. */
  prune(nowMs: number): void {
    const kept = this.rows.filter((row) => row.timestampMs >= this.retainedFromMs(nowMs));
    if (kept.length === this.rows.length) return;
    this.rows = kept;
    const keptSeries = new Set(this.rows.map((row) => seriesKey(row.metric, row.labels)));
    const keptMetrics = new Set(this.rows.map((row) => row.metric));
    for (const key of [...this.series.keys()]) if (!keptSeries.has(key)) this.series.delete(key);
    for (const name of [...this.metrics.keys()]) if (!keptMetrics.has(name)) this.metrics.delete(name);
  }

  /**
   * A kill. Rows do not record when they arrived, so a start uses the sample's own time, unless a snapshot has
   * a later one. Values do not change. From here on it is less certain when an idle series leaves /metrics.
   */
  kill(): void {
    for (const { arrivedMs, live } of this.series.values()) {
      const times = live.map(({ timestampMs }) => timestampMs);
      arrivedMs.earliest = Math.min(arrivedMs.earliest, Math.max(...times) - AHEAD_MAX);
      arrivedMs.latest = Math.max(arrivedMs.latest, ...times);
    }
  }

  /** What /metrics must expose at `nowMs` (sample line, see `sampleKey` → value), and what it may also expose. */
  exposition(nowMs: number): { must: Map<string, number>; may: Map<string, number> } {
    const must = new Map<string, number>();
    const may = new Map<string, number>();
    for (const series of this.series.values()) {
      const { type, bounds } = this.metrics.get(series.metric)!;
      const since = nowMs - (type === "gauge" ? EXPOSE_GAUGES_FOR : SERIES_IDLE);
      if (series.ended || series.live.length === 0 || series.arrivedMs.latest < since) continue;
      const lines = series.arrivedMs.earliest < since ? may : must;
      const name = prometheus(series.metric);
      const line = (suffix: string, value: number, le?: string) =>
        lines.set(sampleKey(name + suffix, { ...series.labels, ...(le && { le }) }), value);
      const values = series.live.map(({ value }) => value);
      if (type === "gauge") line("", newest(series.live).value);
      if (type === "counter") line(name.endsWith("_total") ? "" : "_total", sum(values));
      if (type === "observation") {
        for (const bound of [...bounds, Number.POSITIVE_INFINITY])
          line("_bucket", values.filter((value) => value <= bound).length, String(bound));
        line("_sum", sum(values));
        line("_count", values.length);
      }
    }
    return { must, may };
  }

  /** The kind of a metric's samples in the store. */
  kindOf = (metric: string): "observation" | "delta" | "gauge" => {
    const { type } = this.metrics.get(metric)!;
    return type === "counter" ? "delta" : type;
  };

  /** Names of the labels that were demoted for a metric. */
  demotions(metric: string): string[] {
    return [...(this.demoted.get(metric) ?? [])].sort();
  }

  /**
   * Rejects times outside the accepted range, and kinds that differ from the metric's with this Prometheus
   * name.
   */
  private refuses({ name, type, timestampMs }: Event, nowMs: number): boolean {
    if (timestampMs < this.retainedFromMs(nowMs) || timestampMs > nowMs + AHEAD_MAX) return true;
    return [...this.metrics].some(
      ([other, metric]) => prometheus(other) === prometheus(name) && metric.type !== type,
    );
  }

  /**
   * Creates the metric and the series of a sample, and demotes labels if needed. Returns the labels of the
   * series.
   */
  private register({ name, type, unit }: Event, tags: Record<string, string>): Record<string, string> {
    if (!this.metrics.has(name)) this.metrics.set(name, { type, bounds: boundsOf(name, unit) });
    const labels = type === "gauge" ? sorted(tags) : this.admit(name, tags);
    const key = seriesKey(name, labels);
    if (!this.series.has(key)) {
      const arrivedMs = { earliest: 0, latest: 0 };
      this.series.set(key, { metric: name, labels, live: [], arrivedMs, ended: false });
    }
    return labels;
  }

  private take(
    event: Event,
    tags: Record<string, string>,
    nowMs: number,
    arrivesLive: boolean,
  ): "accepted" | "duplicate" | "rejected" {
    const { name, type, timestampMs, value } = event;
    const labels = this.register(event, tags);
    if (type === "gauge") {
      const key = seriesKey(name, labels);
      const there = this.rows.find(
        (row) => seriesKey(row.metric, row.labels) === key && row.timestampMs === timestampMs,
      );
      if (there) return there.value === value ? "duplicate" : "rejected";
    }
    const live = arrivesLive && timestampMs > nowMs - TOTALS_LATE;
    const attributes = sorted(Object.fromEntries(Object.entries(tags).filter(([tag]) => !(tag in labels))));
    this.rows.push({ metric: name, timestampMs, value, labels, attributes, live });

    const series = this.series.get(seriesKey(name, labels))!;
    if (live) {
      series.live.push({ timestampMs, value });
      series.arrivedMs = { earliest: nowMs, latest: Math.max(series.arrivedMs.latest, nowMs) };
    }
    return "accepted";
  }

  /** The cardinality guard: the labels that identify the sample's series, after demotions. */
  private admit(metric: string, tags: Record<string, string>): Record<string, string> {
    for (;;) {
      const demoted = this.demoted.get(metric) ?? new Set();
      const labels = sorted(
        Object.fromEntries(
          Object.entries(tags).filter(([tag]) => !ATTRIBUTES.includes(tag) && !demoted.has(tag)),
        ),
      );
      const key = seriesKey(metric, labels);
      const peers = [...this.series].filter(([, series]) => series.metric === metric && !series.ended);
      if (peers.some(([peer]) => peer === key)) return labels;

      const values = new Map<string, Set<string>>();
      for (const each of [...peers.map(([, series]) => series.labels), labels])
        for (const [label, value] of Object.entries(each))
          if (!NEVER_DEMOTED.includes(label)) values.set(label, (values.get(label) ?? new Set()).add(value));
      const [most] = [...values].sort(([a, as], [b, bs]) => bs.size - as.size || (a < b ? -1 : 1));
      const fits =
        peers.length + 1 <= this.limits.seriesPerMetricMax &&
        (most?.[1].size ?? 0) <= this.limits.labelValuesMax;
      if (fits || !most) return labels;
      this.demoted.set(metric, demoted.add(most[0]));
      for (const [, series] of peers) if (most[0] in series.labels) series.ended = true;
    }
  }

  private demotionCount(): number {
    return [...this.demoted.values()].reduce((count, labels) => count + labels.size, 0);
  }
}

/** A sample line of /metrics: Prometheus's names, labels in order, always an instance, `le` as a number. */
export function sampleKey(name: string, labels: Readonly<Record<string, string>>): string {
  const shown = Object.entries({ instance: "", ...labels })
    .map(([label, value]) => [prometheus(label), label === "le" ? String(Number(value)) : value])
    .sort(([a], [b]) => (a! < b! ? -1 : 1));
  return `${name}${JSON.stringify(shown)}`;
}

/** Keys in ascending order, so that equal tags have equal text. */
export function sorted(tags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function prometheus(name: string): string {
  return name.replace(/[^a-zA-Z0-9_:]/g, "_");
}

function seriesKey(metric: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([metric, sorted(labels)]);
}

function boundsOf(name: string, unit: string | undefined): readonly number[] {
  const ofName = Object.keys(BOUNDS).find((each) => prometheus(name).endsWith(`_${each}`));
  return BOUNDS[ofName ?? unit ?? ""] ?? OTHER_BOUNDS;
}

function newest(samples: readonly Sample[]): Sample {
  return samples.reduce((best, each) => (each.timestampMs > best.timestampMs ? each : best));
}

/** The exact sum, rounded once. For values that are 0 or at least 2^-8, so that 2^-60 divides them. */
function sum(values: readonly number[]): number {
  let total = 0n;
  for (const value of values) total += BigInt(value * 2 ** 60);
  return Number(total) / 2 ** 60;
}
