/**
 * What a push to a group comes to: checked whole against itself and against all else that is exposed, then either a
 * list of what is wrong or the families and samples that it makes. Nothing is registered while anything is wrong.
 */
import { quote } from "../../errors.ts";
import type { SeriesHead } from "../../sample.ts";
import type { Consistency, FamilyChange } from "./consistency.ts";
import { describeMetric } from "./describe.ts";
import {
  edgeLabel,
  type Group,
  type GroupFamily,
  type HeadedSample,
  mergedLabels,
  type Point,
  PUSH_FAILURE_TIME,
  PUSH_TIME,
  pointLabels,
  samplesOf,
} from "./group.ts";
import type { FamilyType, GroupPush, PushedFamily, PushedMetric, SeriesRegistry, Times } from "./pushed.ts";
import { added, refusalOfSum, type Unsummed } from "./sum.ts";

/** What a push is held against. */
export interface Around {
  readonly consistency: Consistency;
  readonly series: SeriesRegistry;
  /** The last value of a series, what was decided and not yet committed included. */
  level(seriesId: number): number | undefined;
  /** The newest timestamp of a series, likewise. */
  lastUs(seriesId: number): number;
  /** Whether a series is exposed by itself, in no group. */
  isExposed(seriesId: number, nowUs: number): boolean;
  readonly unsummed: Unsummed;
  readonly times: Times;
}

export interface PlannedSample {
  readonly head: SeriesHead;
  readonly seriesId: number;
  readonly value: number;
  /** Where the sample brought a timestamp that is honoured. */
  readonly timestampUs?: number;
}

export interface Plan {
  /** All families of the group but those of its push times. */
  readonly families: ReadonlyMap<string, GroupFamily>;
  readonly samples: readonly PlannedSample[];
}

/** Problems that are told; the first explains, the others help. */
const PROBLEMS_MAX = 10;
/** Some 10 µs of work. */
const UNGROUPED_LOOKED_AT_MAX = 1_000;

const PUSH_TIMES: ReadonlySet<string> = new Set([PUSH_TIME, PUSH_FAILURE_TIME]);

/** Plans a push; gives what is wrong with it, or the plan. */
export function planPush(
  push: GroupPush,
  before: Group | undefined,
  key: string,
  around: Around,
): Plan | string {
  const families = push.families.filter(({ name }) => !PUSH_TIMES.has(name));
  if (
    !push.honorTimestamps &&
    families.some(({ metrics }) => metrics.some((each) => each.timestampMs !== undefined))
  )
    return "pushed metrics must not have timestamps";
  return new Planner(push, families, before, key, around).plan();
}

/** A metric that passed, with its series. */
interface Checked {
  readonly family: PushedFamily;
  readonly metric: PushedMetric;
  readonly labels: string;
  readonly samples: HeadedSample[];
  readonly edges: string[] | undefined;
}

class Planner {
  readonly #push: GroupPush;
  readonly #families: readonly PushedFamily[];
  readonly #before: ReadonlyMap<string, GroupFamily>;
  readonly #key: string;
  readonly #around: Around;
  readonly #problems: string[] = [];

  constructor(
    push: GroupPush,
    families: readonly PushedFamily[],
    before: Group | undefined,
    key: string,
    around: Around,
  ) {
    this.#push = push;
    this.#families = families;
    this.#before = before?.families ?? new Map();
    this.#key = key;
    this.#around = around;
  }

  plan(): Plan | string {
    const kept = new Map(this.#push.replace ? [] : this.#before);
    const after = new Map<string, { readonly type: FamilyType }>(kept);
    for (const family of this.#families) after.set(family.name, family);
    const change: FamilyChange = { before: this.#before, after };
    const checked: Checked[] = [];
    for (const family of this.#families) {
      if (this.#problems.length >= PROBLEMS_MAX) break;
      const wrong = this.#wrongName(family, change);
      if (wrong !== undefined) this.#problems.push(wrong);
      else checked.push(...this.#metricsOf(family));
    }
    if (this.#problems.length > 0) return told(this.#problems);
    const made = this.#make(checked);
    if (typeof made === "string") return made;
    for (const name of PUSH_TIMES) kept.delete(name);
    for (const [name, family] of made.families) kept.set(name, family);
    return { families: kept, samples: made.samples };
  }

  /** What is wrong with a family as a whole. */
  #wrongName(family: PushedFamily, change: FamilyChange): string | undefined {
    const { consistency } = this.#around;
    const { name, type } = family;
    const elsewhere = consistency.typeElsewhere(name, change);
    if (elsewhere !== undefined && elsewhere.type !== type) {
      return elsewhere.own
        ? `gathered metric family ${name} has type ${type.toUpperCase()} but should have ${elsewhere.type.toUpperCase()}`
        : this.#about(family, family.metrics[0]!, `is not a ${elsewhere.type.toUpperCase()}`);
    }
    const single = elsewhere === undefined ? this.#otherTypeUngrouped(name, type) : undefined;
    if (single !== undefined)
      return this.#about(family, family.metrics[0]!, `is not a ${single.toUpperCase()}`);
    return consistency.suffixCollision(name, type, change);
  }

  /**
   * The type, if it is another, of a metric of this name that is exposed in no group, as JSON events or the sampler
   * bring it. A few of its series are looked at, and only where the types differ: past them the exposition itself
   * leaves one of the two out, and counts it.
   */
  #otherTypeUngrouped(name: string, type: FamilyType): FamilyType | undefined {
    const { series, consistency, isExposed, times } = this.#around;
    const metric = series.metric(name);
    if (metric === undefined || (metric.kind !== "gauge" && metric.kind !== "cumulative")) return undefined;
    const shown = metric.kind === "gauge" ? "gauge" : metric.type === "counter" ? "counter" : "untyped";
    if (shown === type) return undefined;
    let looked = 0;
    for (const { seriesId } of metric.current.values()) {
      if (++looked > UNGROUPED_LOOKED_AT_MAX) break;
      if (!consistency.owns(seriesId) && isExposed(seriesId, times.nowUs)) return shown;
    }
    return undefined;
  }

  /** The metrics of a family with their series; what is wrong with any goes to the problems. */
  #metricsOf(family: PushedFamily): Checked[] {
    const checked: Checked[] = [];
    const seen = new Set<string>();
    const before = this.#push.sum ? this.#before.get(family.name) : undefined;
    const points = new Map(before?.points.map((point) => [point.labels, point]));
    for (const metric of family.metrics) {
      if (this.#problems.length >= PROBLEMS_MAX) break;
      const merged = mergedLabels(metric.labels, this.#push.labels);
      const labels = pointLabels(merged);
      const { samples, edges } = samplesOf(family, metric, merged);
      let wrong = wrongLabel(family.type, merged) ?? wrongEdges(edges);
      if (wrong === undefined && seen.has(labels)) wrong = COLLECTED_BEFORE;
      seen.add(labels);
      wrong ??= this.#wrongSeries(samples);
      if (before !== undefined) wrong ??= refusalOfSum(family.type, metric, before, points.get(labels));
      if (wrong === undefined) checked.push({ family, metric, labels, samples, edges });
      else this.#problems.push(this.#about(family, metric, wrong));
    }
    return checked;
  }

  #wrongSeries(samples: readonly HeadedSample[]): string | undefined {
    const { series, consistency } = this.#around;
    for (const { head } of samples) {
      const refusal = series.refusal(head);
      if (refusal !== undefined) return `cannot be stored: ${refusal.refused}`;
      const seriesId = series.find(head);
      if (seriesId !== undefined && consistency.isForeign(seriesId, this.#key)) return COLLECTED_BEFORE;
    }
    return undefined;
  }

  /** Makes the families and their samples; registers what is new. */
  #make(
    checked: readonly Checked[],
  ): { families: Map<string, GroupFamily>; samples: PlannedSample[] } | string {
    const { series, unsummed, level } = this.#around;
    const samples: PlannedSample[] = [];
    const points = new Map<PushedFamily, Point[]>();
    const stamped: { samples: readonly HeadedSample[]; timestampUs: number | undefined }[] = [];
    for (const { family, metric, samples: own } of checked) {
      const lastOf = ({ head }: HeadedSample) => {
        const seriesId = series.find(head);
        return seriesId === undefined ? undefined : level(seriesId);
      };
      const { timestampMs } = metric;
      const timestampUs = timestampMs === undefined ? undefined : Math.round(timestampMs * 1_000);
      stamped.push({
        samples: this.#push.sum ? added(family.type, own, unsummed, lastOf) : own,
        timestampUs,
      });
      if (timestampUs !== undefined) {
        const wrong = this.#wrongTime(own, timestampUs);
        if (wrong !== undefined) this.#problems.push(this.#about(family, metric, wrong));
      }
    }
    if (this.#problems.length > 0) return told(this.#problems.slice(0, PROBLEMS_MAX));
    for (const [index, { family, labels, edges }] of checked.entries()) {
      const seriesIds: number[] = [];
      const { samples: valued, timestampUs } = stamped[index]!;
      for (const { head, value } of valued) {
        const admitted = series.admit(series.find(head) === undefined ? withOwnTexts(head) : head);
        // It was asked before; whatever it is, nothing was stored yet.
        if ("refused" in admitted) return admitted.refused;
        const { seriesId } = admitted;
        seriesIds.push(seriesId);
        if (timestampUs === undefined || timestampUs > this.#around.lastUs(seriesId))
          samples.push({ head, seriesId, value, timestampUs });
      }
      const family_ = points.get(family) ?? [];
      family_.push({ labels, edges, seriesIds });
      points.set(family, family_);
    }
    return {
      families: new Map(
        this.#families.map((family) => [family.name, this.#familyOf(family, points.get(family) ?? [])]),
      ),
      samples,
    };
  }

  /** A family of its points; with a push that adds up, also of those that were there before. */
  #familyOf({ name, type, help, unit }: PushedFamily, points: Point[]): GroupFamily {
    const before = this.#before.get(name);
    const [ownName, ownHelp, ownUnit] = [name, help, unit].map(ownText) as [string, string, string];
    const all = this.#push.sum && before !== undefined ? union(before.points, points) : points;
    const family: GroupFamily = { name: ownName, type, help: ownHelp, unit: ownUnit, points: all };
    // The same family stays the same object: nothing is counted or stored anew for it.
    return before !== undefined && isSame(before, family) ? before : family;
  }

  #wrongTime(samples: readonly HeadedSample[], timestampUs: number): string | undefined {
    const { series, lastUs, level, times } = this.#around;
    const at = (us: number) => new Date(us / 1_000).toISOString();
    if (timestampUs < times.firstUs)
      return `is of ${at(timestampUs)}, before retention, which starts at ${at(times.firstUs)}`;
    if (timestampUs > times.lastUs)
      return `is of ${at(timestampUs)}, in the future: at most ${at(times.lastUs)} is accepted now`;
    for (const { head, value } of samples) {
      const seriesId = series.find(head);
      const last = seriesId === undefined ? 0 : lastUs(seriesId);
      // The same once more changes nothing.
      if (timestampUs > last || (timestampUs === last && Object.is(level(seriesId!), value))) continue;
      return `is of ${at(timestampUs)}, expected a time after ${at(last)}, which is stored already`;
    }
    return undefined;
  }

  #about(family: PushedFamily, metric: PushedMetric, what: string): string {
    const labels = new Map([["instance", ""], ...metric.labels, ...this.#push.labels]);
    return `collected metric ${JSON.stringify(family.name)} { ${describeMetric(family.type, labels, metric)}} ${what}`;
  }
}

/**
 * A text that is a part of a body, in memory of its own: a slice would keep the whole body there as long as it is
 * kept itself. Names and help texts come again with each push and group, and are kept once.
 */
function ownText(text: string): string {
  if (text.length > TEXT_LENGTH_MAX) return copyOf(text);
  const known = texts.get(text);
  if (known !== undefined) return known;
  const own = copyOf(text);
  if (texts.size >= TEXTS_MAX) texts.clear();
  texts.set(own, own);
  return own;
}

const TEXTS_MAX = 10_000;
const TEXT_LENGTH_MAX = 500;
const texts = new Map<string, string>();

function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

/** A head that the registry may keep for good. */
function withOwnTexts(head: SeriesHead): SeriesHead {
  return {
    ...head,
    metric: ownText(head.metric),
    ...(head.help !== undefined && { help: ownText(head.help) }),
    ...(head.unit !== undefined && { unit: ownText(head.unit) }),
    labels: new Map(Array.from(head.labels, ([name, value]) => [ownText(name), copyOf(value)] as const)),
  };
}

const COLLECTED_BEFORE = "was collected before with the same name and label values";

function wrongLabel(type: FamilyType, labels: ReadonlyMap<string, string>): string | undefined {
  const edge = edgeLabel(type);
  for (const name of labels.keys()) {
    if (name.startsWith("__")) return `has a label with an invalid name: ${name}`;
    if (name === edge) return `must not have an explicit ${JSON.stringify(edge)} label`;
  }
  return undefined;
}

function wrongEdges(edges: readonly string[] | undefined): string | undefined {
  const twice = edges?.find((edge, at) => edge === edges[at - 1]);
  return twice === undefined ? undefined : `has two buckets or quantiles at ${quote(twice)}`;
}

function told(problems: readonly string[]): string {
  if (problems.length === 1) return problems[0]!;
  return `${problems.length} error(s) occurred:\n${problems.map((problem) => `* ${problem}`).join("\n")}`;
}

function union(before: readonly Point[], points: readonly Point[]): Point[] {
  const byLabels = new Map(before.map((point) => [point.labels, point]));
  for (const point of points) byLabels.set(point.labels, point);
  return [...byLabels.values()];
}

function isSame(a: GroupFamily, b: GroupFamily): boolean {
  return (
    a.type === b.type &&
    a.help === b.help &&
    a.unit === b.unit &&
    a.points.length === b.points.length &&
    a.points.every((point, at) => {
      const other = b.points[at]!.seriesIds;
      return (
        point.seriesIds.length === other.length && point.seriesIds.every((id, index) => id === other[index])
      );
    })
  );
}
