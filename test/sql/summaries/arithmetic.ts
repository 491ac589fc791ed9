/**
 * The expected results of PromQL, computed from the events themselves and independently of the engine. Each series of an
 * observation is a counter with a sample every 15 s, and a zero one step before its first event; `increase` extrapolates
 * as Prometheus documents it. Groups are keyed by the values of their labels, with a space between them.
 */
import type { StoredEvent } from "./world.ts";

const STEP_MS = 15_000;
/** Upper bounds of the histograms of milliseconds. */
export const EDGES_MS = [
  1,
  2.5,
  5,
  10,
  25,
  50,
  100,
  250,
  500,
  1000,
  2500,
  5000,
  10_000,
  30_000,
  60_000,
  Infinity,
];

/** The increment of a counter: 1 per event, the event's value, or 1 per event up to a bound. */
export type Adds = "count" | "sum" | { readonly le: number };

export interface Question {
  readonly metric: StoredEvent["metric_name"];
  /** A filter of events; all events if absent. */
  readonly where?: (tags: Readonly<Record<string, string>>) => boolean;
  /** Labels to sum by, `instance` among them; a label that an event lacks is empty. */
  readonly by?: readonly string[];
  readonly adds?: Adds;
  readonly rangeMs: number;
  readonly atMs: number;
}

/** `sum by (…) (increase(…))` by group: groups without a series that has two samples in the range are absent. */
export function increases(events: readonly StoredEvent[], question: Question): Map<string, number> {
  const { metric, where = () => true, by = [], adds = "count", rangeMs, atMs } = question;
  const sums = new Map<string, number>();
  for (const series of seriesOf(events)) {
    if (series.metric !== metric || !where(series.tags)) continue;
    const increase = increaseOf(series, adds, rangeMs, atMs);
    if (increase === undefined) continue;
    const key = by
      .map((label) => (label === "instance" ? series.instance : (series.tags[label] ?? "")))
      .join(" ");
    sums.set(key, (sums.get(key) ?? 0) + increase);
  }
  return sums;
}

/** The same per second: `sum by (…) (rate(…))`. */
export function rates(events: readonly StoredEvent[], question: Question): Map<string, number> {
  return each(increases(events, question), (value) => value / (question.rangeMs / 1000));
}

/** `histogram_quantile(q, sum by (le, …) (rate(…)))` by group. */
export function quantiles(
  q: number,
  events: readonly StoredEvent[],
  question: Omit<Question, "adds">,
): Map<string, number> {
  const buckets = EDGES_MS.map((le) => increases(events, { ...question, adds: { le } }));
  return new Map(
    [...buckets[0]!.keys()].map((group) => [
      group,
      quantileOf(
        q,
        buckets.map((counts) => counts.get(group)!),
      ),
    ]),
  );
}

/** Divides group by group. Groups that only one side has are omitted. */
export function ratios(
  above: ReadonlyMap<string, number>,
  below: ReadonlyMap<string, number>,
): Map<string, number> {
  const both = [...above].filter(([group]) => below.has(group));
  return new Map(both.map(([group, value]) => [group, value / below.get(group)!]));
}

/** Changes each value. */
export function each(
  values: ReadonlyMap<string, number>,
  change: (value: number) => number,
): Map<string, number> {
  return new Map([...values].map(([group, value]) => [group, change(value)]));
}

/** The events of one series: equal in everything but their task. */
interface Series {
  readonly metric: StoredEvent["metric_name"];
  readonly instance: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly events: readonly StoredEvent[];
  /** By what is added up: the totals after each event, and 0 before the first. */
  readonly totals: Map<string, readonly number[]>;
}

const seriesByEvents = new WeakMap<readonly StoredEvent[], readonly Series[]>();

function seriesOf(events: readonly StoredEvent[]): readonly Series[] {
  const found = seriesByEvents.get(events) ?? groupIntoSeries(events);
  seriesByEvents.set(events, found);
  return found;
}

function groupIntoSeries(events: readonly StoredEvent[]): Series[] {
  const groups = Map.groupBy(events, ({ metric_name, tags, instance }) => {
    const { task_id: _, ...labels } = tags;
    const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify([metric_name, instance, ...sorted]);
  });
  return [...groups.values()].map((group) => {
    const { metric_name: metric, instance, tags } = group[0]!;
    return { metric, instance, tags, events: group, totals: new Map() };
  });
}

/** A quantile of cumulative counts by bucket, by linear interpolation within the bucket. */
function quantileOf(q: number, counts: readonly number[]): number {
  const total = counts.at(-1)!;
  if (total === 0) return Number.NaN;
  const rank = q * total;
  const index = counts.findIndex((count) => count >= rank);
  if (index === EDGES_MS.length - 1) return EDGES_MS.at(-2)!;
  const [lower, before] = index === 0 ? [0, 0] : [EDGES_MS[index - 1]!, counts[index - 1]!];
  return lower + (EDGES_MS[index]! - lower) * ((rank - before) / (counts[index]! - before));
}

function increaseOf(series: Series, adds: Adds, rangeMs: number, atMs: number): number | undefined {
  const zeroMs = Math.ceil(series.events[0]!["@timestamp"] / STEP_MS) * STEP_MS - STEP_MS;
  const firstMs = Math.max(zeroMs, Math.floor((atMs - rangeMs) / STEP_MS) * STEP_MS + STEP_MS);
  const lastMs = Math.floor(atMs / STEP_MS) * STEP_MS;
  if (lastMs - firstMs < STEP_MS) return undefined;
  const first = totalOf(series, adds, firstMs);
  const grown = totalOf(series, adds, lastMs) - first;
  const sampledMs = lastMs - firstMs;
  // Towards the start of the range the line goes on for the whole gap if that is about a step, else for half a step,
  // and in no case below zero.
  let beforeMs = firstMs - (atMs - rangeMs);
  if (beforeMs >= STEP_MS * 1.1) beforeMs = STEP_MS / 2;
  if (grown > 0) beforeMs = Math.min(beforeMs, sampledMs * (first / grown));
  return (grown * (sampledMs + beforeMs + (atMs - lastMs))) / sampledMs;
}

function totalOf(series: Series, adds: Adds, untilMs: number): number {
  const key = typeof adds === "string" ? adds : `le ${adds.le}`;
  let totals = series.totals.get(key);
  if (totals === undefined) {
    let total = 0;
    const after = series.events.map(({ value }) => {
      if (adds === "sum") total += value;
      else if (adds === "count" || value <= adds.le) total += 1;
      return total;
    });
    totals = [0, ...after];
    series.totals.set(key, totals);
  }
  let [low, high] = [0, series.events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (series.events[middle]!["@timestamp"] <= untilMs) low = middle + 1;
    else high = middle;
  }
  return totals[low]!;
}
