/**
 * Plans a push to a group. The whole push is checked against itself and against everything else that is
 * exposed. The result is a list of errors, or the new families and samples. Nothing is registered if there is
 * an error.
 */

import type { Times } from "../../../ingest/contract.ts";
import { quote } from "../../../model/errors.ts";
import type { Labels } from "../../../model/sample.ts";
import { withUsualEdges } from "../../../model/spelling.ts";
import { atOnce, inSlices } from "../../../model/tasks/time-slices.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { PUSHGATEWAY } from "../pushgateway-protocol.ts";
import type { Consistency, FamilyChange } from "./consistency.ts";
import { describeMetric } from "./describe.ts";
import {
  edgeLabel,
  type Group,
  type HeadedSample,
  mergedLabels,
  PUSH_FAILURE_TIME,
  PUSH_TIME,
  type PushedHead,
  samplesOf,
} from "./group.ts";
import { type GroupFamily, labelTemplate, type Point, type ShapeFamily } from "./group-shape.ts";
import { ownLabels, withOwnTexts } from "./own-texts.ts";
import type { GroupPush, GroupSeries, PushedExemplar, PushedFamily, PushedMetric } from "./pushed.ts";
import { added, refusalOfSum, type Unsummed } from "./sum.ts";

/** What a push is checked against. */
export interface Around {
  readonly consistency: Consistency;
  readonly series: GroupSeries;
  /** The last value of a series, including changes that are decided and not yet committed. */
  level(seriesId: number): number | undefined;
  /** The newest timestamp of a series, including the same changes. */
  lastUs(seriesId: number): number;
  /** Whether a series is exposed outside groups. */
  isExposed(seriesId: number, nowUs: number): boolean;
  readonly unsummed: Unsummed;
  readonly times: Times;
}

/** The group that the push changes. */
export interface Target {
  readonly key: string;
  readonly before: Group | undefined;
  /** The labels of the group. They are copies that can be kept. */
  readonly own: Labels;
  /** The labels of metrics that have none of their own, in order and without empty ones. They are copies that can be kept. */
  readonly labels: Labels;
  /** The template of `labels`. */
  readonly template: string;
}

export interface PlannedSample {
  /** The head, with its series. */
  readonly head: PushedHead;
  readonly value: number;
  /** The sample's own timestamp, if the push honours timestamps. */
  readonly timestampUs?: number;
  readonly exemplars?: readonly PushedExemplar[];
}

interface Plan {
  /** All families of the group except those of its push times. */
  readonly families: ReadonlyMap<string, GroupFamily>;
  readonly samples: readonly PlannedSample[];
}

/** The most errors in an answer. The first explains the rejection, and the others help to fix the push. */
const PROBLEMS_MAX = 10;
/** How many metrics are checked, or registered, without a pause: some 100 µs of work. */
const METRICS_AT_A_TIME = 16;
/** How many series of a name outside groups are checked: some 10 µs of work. */
const UNGROUPED_LOOKED_AT_MAX = 1_000;

const PUSH_TIMES: ReadonlySet<string> = new Set([PUSH_TIME, PUSH_FAILURE_TIME]);

/**
 * Plans a push. Returns the plan, or the error. A large push is checked and registered in slices, but no other change of
 * a group runs meanwhile. It is checked a second time if series were added. A push that conflicts with a series of the last
 * moment is rejected. Those of its own series that were registered before stay without samples, until retention drops them.
 */
export async function planPush(push: GroupPush, target: Target, around: Around): Promise<Plan | string> {
  if (push.invalid !== undefined) return push.invalid;
  if (!push.honorTimestamps && hasTimestamps(push.families)) return "pushed metrics must not have timestamps";
  const families = push.families.filter(({ name }) => !PUSH_TIMES.has(name));
  const planner = new Planner(push, families.map(withOwnTexts), target, around);
  const { series } = around;
  const known = series.seriesCount;
  await inSlices(planner.check());
  // Series that were registered meanwhile may conflict.
  if (series.seriesCount !== known) atOnce(planner.check());
  return await inSlices(planner.make());
}

function hasTimestamps(families: readonly PushedFamily[]): boolean {
  for (const { metrics } of families)
    for (const { timestampMs } of metrics) if (timestampMs !== undefined) return true;
  return false;
}

/** A metric without errors, with its series. */
interface Checked {
  readonly template: string;
  readonly samples: HeadedSample[];
  readonly edges: string[] | undefined;
  readonly timestampUs: number | undefined;
}

/** What the metrics of a family are checked against. */
interface Earlier {
  /** The templates of earlier metrics in the push. */
  readonly seen: Set<string>;
  /** For a push with `mode=sum`: the group's family of this name. */
  readonly family: GroupFamily | undefined;
  readonly points: ReadonlyMap<string, Point> | undefined;
}

class Planner {
  readonly #push: GroupPush;
  readonly #families: readonly PushedFamily[];
  readonly #before: ReadonlyMap<string, ShapeFamily>;
  readonly #target: Target;
  readonly #around: Around;
  #problems: string[] = [];
  /** Checked metrics, by family. */
  #checked: Checked[][] = [];
  /** The newest labels, and the copy that the registry keeps. The series of one metric share their labels. */
  #owned: { readonly pushed: Labels; readonly own: Labels };

  constructor(push: GroupPush, families: readonly PushedFamily[], target: Target, around: Around) {
    this.#push = push;
    this.#families = families;
    this.#before = target.before?.shape.byName ?? new Map();
    this.#target = target;
    this.#around = around;
    this.#owned = { pushed: target.labels, own: target.labels };
  }

  /** Checks the whole push from the beginning. Yields at intervals if it is large. */
  *check(): Generator<void, void, void> {
    this.#problems = [];
    this.#checked = [];
    const after = new Map<string, { readonly type: FamilyType }>(this.#push.replace ? [] : this.#before);
    for (const family of this.#families) after.set(family.name, family);
    const change: FamilyChange = { before: this.#before, after };
    let looked = 0;
    for (const family of this.#families) {
      const wrong = this.#wrongName(family, change);
      if (wrong !== undefined) this.#problems.push(wrong);
      const checked: Checked[] = [];
      this.#checked.push(checked);
      const earlier = this.#earlierOf(family);
      for (const metric of wrong === undefined ? family.metrics : []) {
        if (this.#problems.length >= PROBLEMS_MAX) return;
        const found = this.#check(family, metric, earlier);
        if (typeof found === "string") this.#problems.push(this.#about(family, metric, found));
        else checked.push(found);
        if (++looked % METRICS_AT_A_TIME === 0) yield;
      }
      if (this.#problems.length >= PROBLEMS_MAX) return;
    }
  }

  /** The families of the group that the push does not replace, without those of its push times. */
  #kept(): Map<string, GroupFamily> {
    const kept = new Map<string, GroupFamily>();
    const { before } = this.#target;
    if (this.#push.replace || before === undefined) return kept;
    const replaced = new Set(this.#families.map(({ name }) => name));
    for (const name of this.#before.keys())
      if (!PUSH_TIMES.has(name) && !replaced.has(name)) kept.set(name, before.family(name)!);
    return kept;
  }

  /** Registers new series and returns the plan, or returns the errors. */
  *make(): Generator<void, Plan | string> {
    if (this.#problems.length > 0) return errorText(this.#problems);
    const families = this.#kept();
    const samples: PlannedSample[] = [];
    for (const [at, family] of this.#families.entries()) {
      const points = yield* this.#make(family, this.#checked[at]!, samples);
      if (typeof points === "string") return points;
      families.set(family.name, this.#familyOf(family, points));
    }
    return { families, samples };
  }

  /** The error of a family as a whole, or undefined. */
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
   * The type of a metric of this name that is exposed outside groups, if the type differs. Such metrics come
   * from JSON events and the sampler. Only a few of its series are checked, and only if the types differ.
   * Beyond them, the exposition leaves out one of the two and counts it.
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

  #earlierOf({ name }: PushedFamily): Earlier {
    const family = this.#push.sum ? this.#target.before?.family(name) : undefined;
    const points = family && new Map(family.points.map((point) => [point.template, point]));
    return { seen: new Set(), family, points };
  }

  /** A metric with its series, or its error. */
  #check(family: PushedFamily, metric: PushedMetric, earlier: Earlier): Checked | string {
    const isPlain = metric.labels.size === 0;
    const pushed = isPlain ? this.#target.labels : mergedLabels(metric.labels, this.#push.labels);
    // Untyped buckets are those of a histogram, whichever client sends them. In other metrics `le` is an
    // ordinary label.
    const merged = family.name.endsWith("_bucket") ? withUsualEdges(pushed) : pushed;
    const { labels, template: own } = this.#target;
    const template = merged === labels ? own : labelTemplate(merged, labels);
    const { samples, edges } = samplesOf(family, metric, merged);
    let wrong = wrongLabel(family.type, merged) ?? wrongEdges(edges);
    if (wrong === undefined && earlier.seen.has(template)) wrong = COLLECTED_BEFORE;
    earlier.seen.add(template);
    wrong ??= this.#wrongSeries(samples);
    if (this.#push.sum) {
      const { level } = this.#around;
      wrong ??= refusalOfSum(family.type, metric, earlier.family, earlier.points?.get(template), level);
    }
    const { timestampMs } = metric;
    const timestampUs = timestampMs === undefined ? undefined : Math.round(timestampMs * 1_000);
    if (timestampUs !== undefined) wrong ??= this.#wrongTime(samples, timestampUs);
    return wrong ?? { template, samples, edges, timestampUs };
  }

  /** Looks up the series of samples. Returns the error if one is rejected. */
  #wrongSeries(samples: readonly HeadedSample[]): string | undefined {
    const { series, consistency } = this.#around;
    for (const sample of samples) {
      const found = series.look(sample.head, PUSHGATEWAY.terms);
      if ("refused" in found) return `cannot be stored: ${found.refused}`;
      const { seriesId, key } = found;
      if (seriesId !== undefined && consistency.isForeign(seriesId, this.#target.key))
        return COLLECTED_BEFORE;
      sample.head.seriesId = seriesId;
      sample.key = key;
    }
    return undefined;
  }

  /** The points of a family. Adds their samples to `planned`, and registers new series. */
  *#make(
    { type }: PushedFamily,
    checked: readonly Checked[],
    planned: PlannedSample[],
  ): Generator<void, readonly Point[] | string> {
    const { unsummed, level, lastUs } = this.#around;
    const lastOf = ({ head: { seriesId } }: HeadedSample) =>
      seriesId === undefined ? undefined : level(seriesId);
    const points: Point[] = [];
    for (const { template, edges, samples, timestampUs } of checked) {
      const seriesIds: number[] = [];
      for (const { head, value, key, exemplars } of this.#push.sum
        ? added(type, samples, unsummed, lastOf)
        : samples) {
        const seriesId = head.seriesId ?? this.#register(head, key);
        if (typeof seriesId === "string") return seriesId;
        seriesIds.push(seriesId);
        if (timestampUs !== undefined && timestampUs <= lastUs(seriesId)) continue;
        planned.push({ head, value, timestampUs, exemplars });
      }
      if (points.push({ template, edges, seriesIds }) % METRICS_AT_A_TIME === 0) yield;
    }
    return points;
  }

  /** Creates the series of a head, or returns the error. */
  #register(head: PushedHead, key: string): number | string {
    if (head.labels !== this.#target.labels) {
      if (head.labels !== this.#owned.pushed)
        this.#owned = { pushed: head.labels, own: ownLabels(head.labels) };
      head.labels = this.#owned.own;
    }
    const taken = this.#around.series.take(head, key, PUSHGATEWAY.terms);
    // The check passed before. Nothing was stored yet, so the push can still be rejected.
    if ("refused" in taken) return taken.refused;
    head.seriesId = taken.seriesId;
    return taken.seriesId;
  }

  /** A family with its points. For a push with `mode=sum` also with the earlier points. */
  #familyOf({ name, type, help, unit }: PushedFamily, points: readonly Point[]): GroupFamily {
    const before = this.#push.sum ? this.#target.before?.family(name) : undefined;
    return { name, type, help, unit, points: before === undefined ? points : union(before.points, points) };
  }

  #wrongTime(samples: readonly HeadedSample[], timestampUs: number): string | undefined {
    const { lastUs, level, times } = this.#around;
    const at = (us: number) => new Date(us / 1_000).toISOString();
    if (timestampUs < times.firstUs)
      return `has the time ${at(timestampUs)}, before retention, which starts at ${at(times.firstUs)} (retentionDays)`;
    if (timestampUs > times.lastUs)
      return `has the time ${at(timestampUs)}, in the future: at most ${at(times.lastUs)} is accepted now (futureMs)`;
    for (const {
      head: { seriesId },
      value,
    } of samples) {
      const last = seriesId === undefined ? 0 : lastUs(seriesId);
      // A repeated sample changes nothing.
      if (timestampUs > last || (timestampUs === last && Object.is(level(seriesId!), value))) continue;
      return `has the time ${at(timestampUs)}, expected a time after ${at(last)}, which is stored already`;
    }
    return undefined;
  }

  #about(family: PushedFamily, metric: PushedMetric, what: string): string {
    const labels = new Map([["instance", ""], ...metric.labels, ...this.#push.labels]);
    return `collected metric ${JSON.stringify(family.name)} { ${describeMetric(family.type, labels, metric)}} ${what}`;
  }
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

function errorText(problems: readonly string[]): string {
  if (problems.length === 1) return problems[0]!;
  return `${problems.length} error(s) occurred:\n${problems.map((problem) => `* ${problem}`).join("\n")}`;
}

function union(before: readonly Point[], points: readonly Point[]): Point[] {
  const byLabels = new Map(before.map((point) => [point.template, point]));
  for (const point of points) byLabels.set(point.template, point);
  return [...byLabels.values()];
}
