/**
 * The families of the defined series, their order and the text of their labels: everything that can be kept
 * from one scrape to the next. `RowView` provides the numbers of each row.
 */
import { totalName } from "../../model/names.ts";
import type { Metric, Series } from "../../model/sample.ts";
import { labelText, openMetricsFloat, withLabel } from "../../model/spelling.ts";
import { merging, sorting } from "../../model/tasks/sorting.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import type { DistributionPoint, Family, ShownExemplar, ValueFamily, ValuePoint } from "../family.ts";
import { type CumulativeSample, cumulativeFamilies, type EdgeLabel } from "./cumulative.ts";

/** What the totals know of a row. */
interface RowView {
  /** Whether the row is exposed now. */
  has(row: number): boolean;
  /** Whether the row counts, also if it is idle: a sum with it would otherwise decrease. */
  counts(row: number): boolean;
  value(row: number): number;
  /** The time of the value of a gauge, µs. */
  valueUs(row: number): number;
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

/** Members that are shown, or put in order, without a pause: some 0.1 ms. */
const MEMBERS_PER_PAUSE = 256;
/** How often a large group is put in order in slices, while series are added to it or removed. The rest is without a pause. */
const ORDERED_AT_MOST = 3;

/** A series and the text of its labels, which is made when the series is first exposed, if ever. */
class Member {
  readonly series: Series;
  /** -1 if the series was removed. */
  row: number;
  /** Only the text of the labels, if there is no edge, as for most series. */
  #texts: Texts | string | undefined;

  constructor(series: Series, row: number) {
    this.series = series;
    this.row = row;
  }

  get texts(): Texts {
    this.#texts ??= textsOf(this.series);
    return typeof this.#texts === "string"
      ? { labels: this.#texts, head: this.#texts, edge: undefined }
      : this.#texts;
  }

  /** All labels, as one text. */
  get labels(): string {
    this.#texts ??= textsOf(this.series);
    return typeof this.#texts === "string" ? this.#texts : this.#texts.labels;
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
  /** How many of `members`, from the first one, are in ascending order of labels. Those that were added since follow. */
  sorted: number;
  /** Whether the metrics have had different names, so that two members may have equal labels. */
  mixed: boolean;
}

/** What is exposed of a group. */
interface Shown {
  readonly members: readonly Member[];
  /** The other members with the labels of one of `members`. They are added to it. */
  readonly added: ReadonlyMap<Member, readonly Member[]>;
}

export class ExposedSeries {
  readonly #groups = new Map<string, Group>();
  /** By row. */
  readonly #members: (Member | undefined)[] = [];
  readonly #edges = new WeakMap<readonly number[], readonly string[]>();

  add(series: Series, row: number): void {
    const { metric } = series;
    const key = keyOf(metric);
    const group = this.#groups.getOrInsertComputed(key, () => ({
      metric,
      members: [],
      forgotten: 0,
      sorted: 0,
      mixed: false,
    }));
    const member = new Member(series, row);
    if (group.metric.name !== metric.name) group.mixed = true;
    group.metric = metric;
    group.members.push(member);
    this.#members[row] = member;
  }

  remove(row: number): void {
    const member = this.#members[row]!;
    this.#members[row] = undefined;
    member.row = -1;
    const key = keyOf(member.series.metric);
    const group = this.#groups.get(key);
    if (group === undefined) return;
    // Without a scrape nothing else would clear the removed series.
    if (++group.forgotten * 2 <= group.members.length) return;
    sweep(group);
    if (group.members.length === 0) this.#groups.delete(key);
  }

  /** The families of the exposed rows. See `Totals.families`. */
  *families(view: RowView): Generator<void, Family[]> {
    for (const group of this.#groups.values()) {
      // The order needs the texts of all members. Those of a gauge that went idle are not made.
      if (!group.members.some(({ row }) => view.has(row))) continue;
      for (let time = 1; !isOrdered(group) && time <= ORDERED_AT_MOST; time++) yield* orderInSlices(group);
    }
    // Without a pause: a histogram of another application has its parts in several metrics, which must agree.
    const cumulative = this.#cumulative(view);
    yield;
    const families: Family[] = [];
    for (const group of this.#groups.values()) {
      // Most groups are small, and there may be ten thousand.
      yield;
      if (isOfParts(group.metric) || !this.#isShown(group, view)) continue;
      const { members, added } = yield* shownOf(group, view);
      const { metric } = group;
      const named = { name: metric.prometheusName, help: helpOf(metric), unit: metric.unit };
      if (metric.kind === "observation") {
        const points = yield* mapping(members, (member) =>
          othersOf(member, added).reduce<DistributionPoint>(
            (sum, each) => addedHistograms(sum, this.#histogram(each, view)),
            this.#histogram(member, view),
          ),
        );
        families.push({ ...named, type: "histogram", points });
      } else if (metric.kind === "delta") {
        const name = totalName(metric);
        const points = yield* mapping(
          members,
          (member): ValuePoint => ({
            labels: member.labels,
            value: totalOf(member, added, view),
            createdUs: createdOf(member, added, view),
          }),
        );
        families.push({ ...named, name, type: "counter", points });
      } else {
        const points = yield* mapping(members, (member) => valuePoint(member, view));
        families.push({ ...named, type: typeOf(metric), points });
      }
    }
    return [...families, ...cumulativeFamilies(cumulative)].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The series of metrics that may be parts of others. */
  #cumulative(view: RowView): { metric: Metric; samples: CumulativeSample[] }[] {
    const cumulative: { metric: Metric; samples: CumulativeSample[] }[] = [];
    for (const group of this.#groups.values()) {
      const { metric } = group;
      if (!isOfParts(metric) || !this.#isShown(group, view)) continue;
      const { members, added } = atOnce(shownOf(group, view));
      const isDelta = metric.kind === "delta";
      const samples = members.map((member) => ({
        ...member.texts,
        value: totalOf(member, added, view),
        createdUs: isDelta ? createdOf(member, added, view) : undefined,
      }));
      cumulative.push({ metric, samples });
    }
    return cumulative;
  }

  /** Whether a group is exposed. Its members are in order then. */
  #isShown(group: Group, view: RowView): boolean {
    // Series in Pushgateway groups are exposed there. A name that only they have needs no order here.
    if (group.members.some(({ row }) => view.has(row))) {
      order(group);
      return true;
    }
    sweep(group);
    if (group.members.length === 0) this.#groups.delete(keyOf(group.metric));
    return false;
  }

  #histogram({ series, row, labels }: Member, view: RowView): DistributionPoint {
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

/** Whether the series of a metric may be parts of a histogram or a summary: its buckets, its sum, its count. */
function isOfParts({ kind, type }: Metric): boolean {
  return (kind === "cumulative" && type === "summary") || (kind !== "observation" && type === "histogram");
}

/** The type of a metric whose series are values. */
function typeOf({ kind, type }: Metric): ValueFamily["type"] {
  if (kind === "gauge") return kind;
  return type === "counter" || type === "gauge" ? type : "unknown";
}

/** Maps members in slices. A series that is removed meanwhile is left out. */
function* mapping<Point>(
  members: readonly Member[],
  map: (member: Member) => Point,
): Generator<void, Point[]> {
  const points: Point[] = [];
  for (const [at, member] of members.entries()) {
    if (at % MEMBERS_PER_PAUSE === MEMBERS_PER_PAUSE - 1) yield;
    if (member.row >= 0) points.push(map(member));
  }
  return points;
}

function keyOf(metric: Metric): string {
  return `${metric.kind} ${metric.prometheusName}`;
}

/** The default HELP of a metric says its name as pushed, because its Prometheus name may hide it. */
function helpOf(metric: Metric): string {
  return metric.help || `Pushed as ${metric.name} (${metric.kind}).`;
}

function textsOf({ labels, metric }: Series): Texts | string {
  const edgeLabel: EdgeLabel | undefined =
    metric.kind !== "cumulative" && !(metric.kind === "delta" && metric.type === "histogram")
      ? undefined
      : labels.has("le")
        ? "le"
        : labels.has("quantile")
          ? "quantile"
          : undefined;
  const head = labelText(labels, true, edgeLabel);
  if (edgeLabel === undefined) return head;
  const edge = labels.get(edgeLabel)!;
  return { labels: withLabel(head, edgeLabel, edge), head, edge };
}

/** Whether `members` has no removed series and is in ascending order of labels. */
function isOrdered({ members, forgotten, sorted }: Group): boolean {
  return forgotten === 0 && sorted === members.length;
}

/** Drops removed series. The others keep their order. */
function sweep(group: Group): void {
  if (group.forgotten === 0) return;
  const { members, sorted } = group;
  let left = 0;
  for (let at = 0; at < sorted; at++) if (members[at].row >= 0) left++;
  group.members = members.filter(({ row }) => row >= 0);
  group.forgotten = 0;
  group.sorted = left;
}

/** Brings a large group into order, but for series that are added or removed meanwhile. */
function* orderInSlices(group: Group): Generator<void, void> {
  sweep(group);
  const { members, sorted } = group;
  const { length } = members;
  if (length <= MEMBERS_PER_PAUSE) return;
  const added = yield* sorting(members.slice(sorted), byLabels);
  const all = yield* merging(members.slice(0, sorted), added, byLabels);
  // The group has another list if series were removed meanwhile. Then the next time begins again.
  if (group.members !== members) return;
  group.members = all.concat(members.slice(length));
  group.sorted = length;
}

/**
 * Drops removed series and brings the rest into order. Series with equal labels stay in the order of their definition.
 * Few that were added to a large group are inserted: sorting all of 300,000 took some 130 ms.
 */
function order(group: Group): void {
  sweep(group);
  const { members, sorted } = group;
  if (sorted === members.length) return;
  const added = members.slice(sorted).sort(byLabels);
  group.members = atOnce(merging(members.slice(0, sorted), added, byLabels));
  group.sorted = members.length;
}

function byLabels({ labels: a }: Member, { labels: b }: Member): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The members that are exposed. If several have the same labels, totals are added, and the newest gauge is chosen, as in
 * PromQL. Histograms with other buckets are not added. A task in slices.
 */
function* shownOf({ members, mixed, metric: { kind } }: Group, view: RowView): Generator<void, Shown> {
  const added = new Map<Member, Member[]>();
  const shown: Member[] = [];
  // Those that are added meanwhile are not in order.
  const { length } = members;
  // A cumulative series that two metrics have cannot be added up: their senders may count the same.
  if (!mixed || kind === "cumulative") {
    for (let at = 0; at < length; at++) {
      if (at % MEMBERS_PER_PAUSE === MEMBERS_PER_PAUSE - 1) yield;
      if (view.has(members[at].row)) shown.push(members[at]);
    }
    return { members: shown, added };
  }
  for (let from = 0, to = 1; from < length; from = to++) {
    if (from % MEMBERS_PER_PAUSE === MEMBERS_PER_PAUSE - 1) yield;
    while (to < length && members[to].labels === members[from].labels) to++;
    const same = members.slice(from, to);
    const current = same.filter(({ row }) => view.has(row));
    if (current.length === 0) continue;
    if (kind === "gauge") {
      shown.push(current.reduce((a, b) => (view.valueUs(b.row) > view.valueUs(a.row) ? b : a)));
      continue;
    }
    const [first, ...others] = same.filter(({ row }) => view.counts(row));
    shown.push(first);
    added.set(
      first,
      others.filter((other) => hasBucketsOf(other, first)),
    );
    shown.push(...current.filter((other) => other !== first && !hasBucketsOf(other, first)));
  }
  return { members: shown, added };
}

function hasBucketsOf({ series: a }: Member, { series: b }: Member): boolean {
  return a.metric.buckets.join() === b.metric.buckets.join();
}

/** The series that are added to a member, without those that were removed since. */
function othersOf(member: Member, added: Shown["added"]): readonly Member[] {
  return added.get(member)?.filter(({ row }) => row >= 0) ?? [];
}

function totalOf(member: Member, added: Shown["added"], view: RowView): number {
  const others = othersOf(member, added);
  return others.reduce((sum, { row }) => sum + view.value(row), view.value(member.row));
}

function createdOf(member: Member, added: Shown["added"], view: RowView): number {
  const others = othersOf(member, added);
  return Math.min(view.createdUs(member.row), ...others.map(({ row }) => view.createdUs(row)));
}

/** Two histograms with the same labels and edges as one. */
function addedHistograms(a: DistributionPoint, b: DistributionPoint): DistributionPoint {
  return {
    labels: a.labels,
    edges: a.edges,
    values: Float64Array.from(a.values, (value, at) => value + b.values[at]),
    sum: a.sum! + b.sum!,
    count: a.count! + b.count!,
    createdUs: Math.min(a.createdUs!, b.createdUs!),
    exemplars: a.exemplars?.map((exemplar, at) => exemplar ?? b.exemplars?.[at]),
  };
}

function valuePoint({ row, labels }: Member, view: RowView): ValuePoint {
  return { labels, value: view.value(row) };
}
