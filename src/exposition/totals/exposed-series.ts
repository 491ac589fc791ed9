/**
 * The families of the defined series, their order and the text of their labels: everything that can be kept
 * from one scrape to the next. `RowView` provides the numbers of each row.
 */
import { totalName } from "../../model/names.ts";
import type { Metric, Series } from "../../model/sample.ts";
import { labelText, openMetricsFloat, withLabel } from "../../model/spelling.ts";
import type { DistributionPoint, ShownExemplar, Family, ValuePoint } from "../family.ts";
import { type CumulativeSample, cumulativeFamilies, type EdgeLabel } from "./cumulative.ts";

/** What the totals know of a row. */
interface RowView {
  /** Whether the row is exposed now. */
  has(row: number): boolean;
  value(row: number): number;
  count(row: number): number;
  createdUs(row: number): number;
  /** Counts by bucket, not cumulative. Valid until the next change. */
  buckets(row: number): Float64Array;
  /** One per bucket. */
  exemplars(row: number): (ShownExemplar | undefined)[] | undefined;
}

interface Texts {
  /** All labels, `le` or `quantile` last. */
  readonly labels: string;
  /** Cumulative series and increments: the labels without `edge`, and the value of `le` or `quantile`. */
  readonly head: string;
  readonly edge: string | undefined;
}

/** A series and the text of its labels, which is made when the series is first exposed, if ever. */
class Member {
  readonly series: Series;
  /** -1 if the series was removed. */
  row: number;
  #texts: Texts | undefined;

  constructor(series: Series, row: number) {
    this.series = series;
    this.row = row;
  }

  get texts(): Texts {
    this.#texts ??= textsOf(this.series);
    return this.#texts;
  }
}

/**
 * The series of one Prometheus name and kind. Their metrics may have different names that Prometheus spells
 * alike.
 */
interface Group {
  metric: Metric;
  members: Member[];
  /** How many of `members` were removed. */
  forgotten: number;
  /** Whether `members` has no removed series and is in ascending order of labels. */
  ordered: boolean;
}

export class ExposedSeries {
  readonly #groups = new Map<string, Group>();
  readonly #members: Member[] = [];
  readonly #edges = new WeakMap<readonly number[], readonly string[]>();

  add(series: Series, row: number): void {
    const { metric } = series;
    const key = keyOf(metric);
    const group = this.#groups.getOrInsertComputed(key, () => ({
      metric,
      members: [],
      forgotten: 0,
      ordered: true,
    }));
    const member = new Member(series, row);
    group.metric = metric;
    group.members.push(member);
    group.ordered = false;
    this.#members[row] = member;
  }

  remove(row: number): void {
    const member = this.#members[row];
    member.row = -1;
    const key = keyOf(member.series.metric);
    const group = this.#groups.get(key);
    if (group === undefined) return;
    group.ordered = false;
    // Without a scrape nothing else would clear the removed series.
    if (++group.forgotten * 2 <= group.members.length) return;
    sweep(group);
    if (group.members.length === 0) this.#groups.delete(key);
  }

  /** The families of the exposed rows. See `Totals.families`. */
  families(view: RowView): Family[] {
    const families: Family[] = [];
    const cumulative: { metric: Metric; samples: CumulativeSample[] }[] = [];
    for (const [key, group] of this.#groups) {
      // Series in Pushgateway groups are exposed there. A name that only they have needs no order here.
      if (!group.members.some(({ row }) => view.has(row))) {
        if (!group.ordered) sweep(group);
        if (group.members.length === 0) this.#groups.delete(key);
        continue;
      }
      if (!group.ordered) order(group);
      const members = group.members.filter(({ row }) => view.has(row));
      const { metric } = group;
      const named = { name: metric.prometheusName, help: helpOf(metric), unit: metric.unit };
      if (metric.kind === "observation") {
        const points = members.map((member) => this.#histogram(member, view));
        families.push({ ...named, type: "histogram", points });
      } else if (metric.kind === "delta" && metric.type !== "histogram") {
        const name = totalName(metric);
        const points = members.map(
          (member): ValuePoint => ({ ...valuePoint(member, view), createdUs: view.createdUs(member.row) }),
        );
        families.push({ ...named, name, type: "counter", points });
      } else if (metric.kind === "gauge") {
        families.push({ ...named, type: "gauge", points: members.map((member) => valuePoint(member, view)) });
      } else {
        const isDelta = metric.kind === "delta";
        const samples = members.map(({ row, texts }) => ({
          ...texts,
          value: view.value(row),
          createdUs: isDelta ? view.createdUs(row) : undefined,
        }));
        cumulative.push({ metric, samples });
      }
    }
    return [...families, ...cumulativeFamilies(cumulative)].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #histogram({ series, row, texts: { labels } }: Member, view: RowView): DistributionPoint {
    const buckets = view.buckets(row);
    const values = new Float64Array(buckets.length);
    let count = 0;
    for (let at = 0; at < buckets.length; at++) {
      count += buckets[at];
      values[at] = count;
    }
    return {
      labels,
      edges: this.#edgesOf(series.metric.buckets),
      values,
      sum: view.value(row),
      count: view.count(row),
      createdUs: view.createdUs(row),
      exemplars: view.exemplars(row),
    };
  }

  #edgesOf(bounds: readonly number[]): readonly string[] {
    let edges = this.#edges.get(bounds);
    if (!edges) {
      edges = [...bounds, Infinity].map(openMetricsFloat);
      this.#edges.set(bounds, edges);
    }
    return edges;
  }
}

function keyOf(metric: Metric): string {
  return `${metric.kind} ${metric.prometheusName}`;
}

/** The default HELP of a metric says its name as pushed, because its Prometheus name may hide it. */
function helpOf(metric: Metric): string {
  return metric.help || `Pushed as ${metric.name} (${metric.kind}).`;
}

function textsOf({ labels, metric }: Series): Texts {
  const edgeLabel: EdgeLabel | undefined =
    metric.kind !== "cumulative" && !(metric.kind === "delta" && metric.type === "histogram")
      ? undefined
      : labels.has("le")
        ? "le"
        : labels.has("quantile")
          ? "quantile"
          : undefined;
  const head = labelText(labels, true, edgeLabel);
  if (edgeLabel === undefined) return { labels: head, head, edge: undefined };
  const edge = labels.get(edgeLabel)!;
  return { labels: withLabel(head, edgeLabel, edge), head, edge };
}

function sweep(group: Group): void {
  group.members = group.members.filter(({ row }) => row >= 0);
  group.forgotten = 0;
}

/** Drops removed series and sorts the rest. Series with equal labels stay in the order of their definition. */
function order(group: Group): void {
  sweep(group);
  group.members.sort(({ texts: a }, { texts: b }) =>
    a.labels < b.labels ? -1 : a.labels > b.labels ? 1 : 0,
  );
  group.ordered = true;
}

function valuePoint({ row, texts }: Member, view: RowView): ValuePoint {
  return { labels: texts.labels, value: view.value(row) };
}
