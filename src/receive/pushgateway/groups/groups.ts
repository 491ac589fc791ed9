/**
 * Pushgateway's groups: what each exposes, which pushes it accepts, and when it expires.
 *
 * A change is decided when the writer takes it from the queue, so each change sees all earlier ones. `push`,
 * `remove` and `expire` return the samples and records to store in one transaction. `committed` or `failed`
 * reports the result. Only `committed` changes what is exposed. The values are those of the store: a group
 * lists series, and exposes their last values, whatever their age.
 *
 * - Each push is history. Its samples have the time of the push, which is later than that of the previous push, or
 *   their own time if the push honours timestamps.
 * - A series that a group no longer has gets a stale marker.
 * - `push_time_seconds` and `push_failure_time_seconds` are series like the others.
 */

import type { Family } from "../../../exposition/family.ts";
import type { Times } from "../../../ingest/contract.ts";
import type { Counters } from "../../../model/counters.ts";
import { BadInput } from "../../../model/errors.ts";
import type { GroupRecord } from "../../../model/records.ts";
import type { Batch, Exemplar, Labels, SeriesHead } from "../../../model/sample.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { hasLabels } from "../../../query/caller-series.ts";
import type { Owner } from "../../receiver.ts";
import { PUSHGATEWAY } from "../pushgateway-protocol.ts";
import { Consistency } from "./consistency.ts";
import {
  Group,
  groupingLabels,
  groupKey,
  groupOf,
  mergedLabels,
  PUSH_FAILURE_TIME,
  PUSH_TIME,
  type PushedHead,
  recordOf,
} from "./group.ts";
import { type GroupFamily, GroupShapes, labelTemplate } from "./group-shape.ts";
import { groupJson } from "./group-json.ts";
import { type GroupTimes, groupTimes } from "./group-times.ts";
import { type Around, type PlannedSample, planPush, type Target } from "./group-plan.ts";
import { ownLabels } from "./own-texts.ts";
import type { Decided, GroupPush, GroupSeries, LastValues } from "./pushed.ts";
import { isExpired, ShownGroups } from "./shown.ts";
import type { Unsummed } from "./sum.ts";

export interface GroupsOptions {
  /** The most groups that can exist. */
  readonly groupsMax: number;
  /** How long after its last push a group expires, if its pushes do not set it. 0 means never. */
  readonly groupTtlMs: number;
  /** The treatment of values that a push with `mode=sum` cannot add. */
  readonly groupSumGauges: Unsummed;
}

/** Pushgateway's words before the reason of a rejected push. */
const INCONSISTENT = "pushed metrics are invalid or inconsistent with existing metrics: ";

const HELP = {
  [PUSH_TIME]: "Last Unix time when changing this group in the Pushgateway succeeded.",
  [PUSH_FAILURE_TIME]: "Last Unix time when changing this group in the Pushgateway failed.",
} as const;

export class Groups implements Owner {
  readonly #series: GroupSeries;
  readonly #values: LastValues;
  readonly #isReturnedExposed: boolean;
  readonly #counters: Counters;
  readonly #options: GroupsOptions;
  readonly #consistency: Consistency;
  /** The groups as decided, including changes that are being committed. */
  readonly #groups = new Map<string, Group>();
  readonly #shown: ShownGroups;
  readonly #shapes = new GroupShapes();
  /** The changes that were decided since the last commit, in order. */
  #changes: {
    readonly key: string;
    readonly before: Group | undefined;
    readonly after: Group | undefined;
  }[] = [];
  /** The samples of these changes, the last of each series. The value of a stale marker is undefined. */
  readonly #pending = new Map<number, { readonly value: number | undefined; readonly us: number }>();
  #lastUs = 0;
  #onExpiring: (() => void) | undefined;

  /**
   * @param parts `ownMetricType` returns the type of one of the gateway's own metrics by name. `isReturnedExposed`:
   *   whether series are exposed that a server writes, which may end them with stale markers
   * @param records the stored groups
   */
  constructor(
    parts: {
      readonly series: GroupSeries;
      readonly totals: LastValues;
      readonly ownMetricType: (name: string) => FamilyType | undefined;
      readonly isReturnedExposed: boolean;
      readonly counters: Counters;
    },
    options: GroupsOptions,
    records: readonly GroupRecord[] = [],
  ) {
    this.#series = parts.series;
    this.#values = parts.totals;
    this.#isReturnedExposed = parts.isReturnedExposed;
    this.#counters = parts.counters;
    this.#options = options;
    this.#consistency = new Consistency(parts.ownMetricType);
    this.#shown = new ShownGroups(parts.totals);
    for (const { key, definition } of records) {
      if (definition === null) continue;
      const group = groupOf(
        { key, definition },
        (seriesId) => this.#series.seriesById(seriesId),
        this.#shapes,
      );
      this.#change(key, group);
      for (const seriesId of group.seriesIds)
        this.#lastUs = Math.max(this.#lastUs, this.#values.lastUs(seriesId));
    }
    this.committed();
  }

  /** The number of groups, as committed. */
  get size(): number {
    return this.#shown.size;
  }

  groups(): Iterable<Group> {
    return this.#shown.groups();
  }

  group(labels: Labels): Group | undefined {
    return this.#shown.group(groupKey(labels));
  }

  /** The groups as Pushgateway's API lists them, one JSON text per group: those with the labels, if they are set. A task in slices. */
  *json(labels?: Labels): Generator<void, string[]> {
    const texts: string[] = [];
    // Copied, since one that changes meanwhile becomes the last one.
    for (const group of [...this.#shown.groups()]) {
      if (!hasLabels(group.labels, labels)) continue;
      const text = yield* groupJson(
        group,
        this.#values,
        (seriesId) => this.#series.seriesById(seriesId)?.labels,
      );
      texts.push(text);
    }
    return texts;
  }

  /** The times and the sizes of the groups, and how many there are: at most so many, those with the labels, if they are set. */
  *times(most: number, labels?: Labels): Generator<void, { total: number; groups: GroupTimes[] }> {
    const groups: GroupTimes[] = [];
    let total = 0;
    // Copied, since one that changes meanwhile becomes the last one.
    for (const group of [...this.#shown.groups()]) {
      if (!hasLabels(group.labels, labels)) continue;
      if (total++ < most) groups.push(groupTimes(group, this.#values));
      yield;
    }
    return { total, groups };
  }

  get holdsAny(): boolean {
    return this.#consistency.ownsAny;
  }

  /** Whether a series is in a group. The group then exposes and keeps it, whatever its age. */
  holds(seriesId: number): boolean {
    return this.#consistency.owns(seriesId);
  }

  /** The last sample of a series that is in a group, or that ended with its group. Undefined for any other series. */
  heldValue(seriesId: number) {
    if (!this.holds(seriesId) && !this.#hasEndedWithGroup(seriesId)) return undefined;
    return { timestampMs: this.#values.lastUs(seriesId) / 1_000, value: this.#values.level(seriesId) };
  }

  /**
   * The stale marker of an exposed series comes from its group, unless series that servers write are exposed too. So
   * nothing needs to be stored of a group that was deleted.
   */
  #hasEndedWithGroup(seriesId: number): boolean {
    return (
      this.#values.isStale(seriesId) &&
      !this.#isReturnedExposed &&
      this.#series.seriesById(seriesId)?.exposed === true
    );
  }

  /** A copy of the families of all groups, as committed, in ascending order of names. */
  families(): Family[] {
    return this.#shown.families();
  }

  /**
   * Decides a push. A rejected push changes nothing but `push_failure_time_seconds` of its group. No other
   * change of a group may start until this is decided. Other work may run meanwhile.
   *
   * @throws BadInput when even the failure cannot be stored
   */
  async push(push: GroupPush, times: Times): Promise<Decided> {
    const target = this.#targetOf(push);
    const { key, before } = target;
    const plan = await planPush(push, target, this.#around(times));
    if (typeof plan === "string") return this.#refuse(push, target, plan, times);
    const ids = before?.seriesIds ?? [];
    for (const { head, timestampUs } of plan.samples) if (timestampUs === undefined) ids.push(head.seriesId!);
    const us = this.#tick(times, ids);
    const stamps = this.#pushTimes(target);
    const samples = [
      ...plan.samples,
      { ...stamps.pushed, value: us / 1e6 },
      ...(stamps.isNew ? [{ ...stamps.failed, value: 0 }] : []),
    ];
    const families = [...plan.families.values(), ...stamps.families];
    const after = stateAfter(before, this.#groupOf(target, push, families));
    return this.#decide([{ key, before, after }], samples, us);
  }

  /** Decides to delete groups. Keys without a group are skipped. */
  remove(keys: Iterable<string>, times: Times): Decided {
    const changes = [];
    const ids: number[] = [];
    for (const key of keys) {
      const before = this.#groups.get(key);
      if (before === undefined) continue;
      changes.push({ key, before, after: undefined });
      for (const seriesId of before.seriesIds) ids.push(seriesId);
    }
    return this.#decide(changes, [], this.#tick(times, ids));
  }

  /** Whether a group expires some time, as committed. */
  get expires(): boolean {
    return this.#shown.expires;
  }

  /** Calls the listener after each commit while a group expires. */
  onExpiring(listener: () => void): void {
    this.#onExpiring = listener;
  }

  /** The keys of expired groups, as committed. Pass them to `expire`. */
  expired(nowUs: number): string[] {
    return this.#shown.expired(nowUs);
  }

  /** Decides to delete expired groups, except those that got a push meanwhile. */
  expire(keys: readonly string[], times: Times): Decided {
    const { level } = this.#around(times);
    const over = keys.filter((key) => {
      const group = this.#groups.get(key);
      return group !== undefined && isExpired(group, times.nowUs, level);
    });
    return this.remove(over, times);
  }

  /** The decided changes are stored, and their samples are in the running totals. */
  committed(): void {
    for (const { key, before, after } of this.#changes) {
      for (const seriesId of before?.seriesIds ?? [])
        if (!this.#consistency.owns(seriesId)) this.#values.release(seriesId);
      for (const seriesId of after?.seriesIds ?? [])
        if (this.#consistency.owns(seriesId)) this.#values.hold(seriesId);
      this.#shown.swap(key, before, after);
    }
    this.#counters.groupsLive.set(this.#shown.size);
    this.#changes = [];
    this.#pending.clear();
    if (this.#shown.expires) this.#onExpiring?.();
  }

  /** None of the decided changes is stored. */
  failed(): void {
    for (const { key, before, after } of this.#changes.reverse()) {
      this.#consistency.swap(key, after, before);
      // A new series may be defined already, if another commit has stored it.
      for (const seriesId of after?.seriesIds ?? [])
        if (!this.#consistency.owns(seriesId)) this.#values.release(seriesId);
      if (before === undefined) this.#groups.delete(key);
      else this.#groups.set(key, before);
    }
    this.#changes = [];
    this.#pending.clear();
  }

  #around(times: Times): Around {
    return {
      consistency: this.#consistency,
      series: this.#series,
      level: (seriesId) => {
        const pending = this.#pending.get(seriesId);
        return pending === undefined ? this.#values.level(seriesId) : pending.value;
      },
      lastUs: (seriesId) => this.#lastUsOf(seriesId),
      isExposed: (seriesId, nowUs) => this.#values.isExposed(seriesId, nowUs),
      unsummed: this.#options.groupSumGauges,
      times,
    };
  }

  /** Records a rejected push. This creates the group, if there is none, to expose the failure. */
  #refuse(push: GroupPush, target: Target, problem: string, times: Times): Decided {
    const { key, before } = target;
    const us = this.#tick(times, before?.seriesIds ?? []);
    const stamps = this.#pushTimes(target);
    const samples = [
      { ...stamps.failed, value: us / 1e6 },
      ...(stamps.isNew ? [{ ...stamps.pushed, value: 0 }] : []),
    ];
    const after = before ?? this.#groupOf(target, push, stamps.families);
    const decided = this.#decide([{ key, before, after }], samples, us);
    const rejection = { index: 0, reason: INCONSISTENT + problem, cause: "consistency", payload: key };
    return { ...decided, batch: { ...decided.batch, rejected: [rejection] } };
  }

  #groupOf({ key, own: labels }: Target, push: GroupPush, families: readonly GroupFamily[]): Group {
    const ttlMs = push.ttlMs ?? (this.#options.groupTtlMs > 0 ? this.#options.groupTtlMs : undefined);
    return new Group({ key, labels, ttlMs }, families, this.#shapes);
  }

  #targetOf({ labels }: GroupPush): Target {
    const key = groupKey(labels);
    const plain = ownLabels(mergedLabels(new Map(), labels));
    const before = this.#groups.get(key);
    // Without empty values, the labels of the group are those of its metrics.
    const own = before?.labels ?? (plain.size === labels.size ? plain : groupingLabels(labels));
    const target = { key, before, own, labels: plain, template: labelTemplate(plain, plain) };
    if (target.before === undefined) this.#requireRoom(target);
    return target;
  }

  /** Throws if there is no room for a new group, or if its push times would be those of another group. */
  #requireRoom({ key, labels }: Target): void {
    const { groupsMax } = this.#options;
    if (this.#groups.size >= groupsMax) {
      throw new BadInput(
        `there are already ${groupsMax} groups (groupsMax); delete groups that are no longer needed`,
      );
    }
    const found = this.#look(pushTimeHead(PUSH_TIME, labels));
    if (found.seriesId !== undefined && this.#consistency.owns(found.seriesId)) {
      throw new BadInput(`${INCONSISTENT}another group differs from ${key} only in labels with empty values`);
    }
  }

  #look(head: SeriesHead) {
    const found = this.#series.look(head, PUSHGATEWAY.terms);
    if ("refused" in found) throw new BadInput(INCONSISTENT + found.refused);
    return found;
  }

  #pushTimes({ before, labels, template }: Target) {
    const stamp = (name: keyof typeof HELP) => {
      const head = pushTimeHead(name, labels);
      const stamped = before?.family(name);
      head.seriesId = before?.firstSeriesOf(name);
      if (stamped !== undefined && head.seriesId !== undefined) return { head, family: stamped };
      const taken = this.#series.take(head, this.#look(head).key, PUSHGATEWAY.terms);
      if ("refused" in taken) throw new BadInput(INCONSISTENT + taken.refused);
      head.seriesId = taken.seriesId;
      const points = [{ template, seriesIds: [taken.seriesId] }];
      const family: GroupFamily = { name, type: "gauge", help: HELP[name], unit: "", points };
      return { head, family };
    };
    const pushed = stamp(PUSH_TIME);
    const failed = stamp(PUSH_FAILURE_TIME);
    return { pushed, failed, families: [pushed.family, failed.family], isNew: before === undefined };
  }

  /**
   * The time of a change: now, but after the previous change and after all samples of its series. If the clock
   * was set back, the time continues to increase, so that the newest push is exposed. A large push that came before the
   * change may be stored after it, so admitted samples count too.
   */
  #tick({ nowUs, newestUs }: Times, seriesIds: readonly number[]): number {
    let us = Math.max(nowUs, this.#lastUs + 1);
    for (const seriesId of seriesIds) us = Math.max(us, this.#lastUsOf(seriesId) + 1, newestUs(seriesId) + 1);
    this.#lastUs = us;
    return us;
  }

  /** The time of the newest sample of a series, as decided. */
  #lastUsOf(seriesId: number): number {
    return this.#pending.get(seriesId)?.us ?? this.#values.lastUs(seriesId);
  }

  /** Applies changes, and returns what to store: their samples, and stale markers for removed series. */
  #decide(
    changes: readonly { key: string; before: Group | undefined; after: Group | undefined }[],
    samples: readonly PlannedSample[],
    us: number,
  ): Decided {
    const records: GroupRecord[] = [];
    const removed: number[] = [];
    for (const { key, before, after } of changes) {
      if (before === after) continue;
      records.push(after === undefined ? { key, definition: null } : recordOf(after));
      this.#change(key, after);
      for (const seriesId of before?.seriesIds ?? [])
        if (!this.#consistency.owns(seriesId)) removed.push(seriesId);
    }
    for (const { head, value, timestampUs } of samples)
      this.#pending.set(head.seriesId!, { value, us: timestampUs ?? us });
    for (const seriesId of removed) this.#pending.set(seriesId, { value: undefined, us });
    return {
      batch: this.#batch(samples, removed, us),
      seriesIds: [...samples.map(({ head }) => head.seriesId!), ...removed],
      groups: records,
    };
  }

  #change(key: string, after: Group | undefined): void {
    const before = this.#groups.get(key);
    this.#consistency.swap(key, before, after);
    if (after === undefined) this.#groups.delete(key);
    else this.#groups.set(key, after);
    this.#changes.push({ key, before, after });
  }

  #batch(samples: readonly PlannedSample[], removed: readonly number[], us: number): Batch {
    const heads: SeriesHead[] = samples.map(({ head }) => head);
    for (const seriesId of removed) {
      const { metric, labels } = this.#series.seriesById(seriesId)!;
      heads.push({ metric: metric.name, kind: metric.kind, labels });
    }
    const { length } = heads;
    const stale = new Uint8Array(length).fill(1, samples.length);
    const timestampsUs = new Float64Array(length).fill(us);
    const values = new Float64Array(length).fill(Number.NaN);
    const index = new Uint32Array(length);
    for (let at = 0; at < length; at++) index[at] = at;
    samples.forEach(({ value, timestampUs = us }, at) => {
      timestampsUs[at] = timestampUs;
      values[at] = value;
    });
    return {
      protocol: PUSHGATEWAY.name,
      length,
      heads,
      head: index,
      timestampUs: timestampsUs,
      value: values,
      ...(removed.length > 0 && { stale }),
      exemplars: exemplarsOf(samples, us),
      attributes: [],
      text: new Uint8Array(0),
      position: index,
      rejected: [],
    };
  }
}

/** The state of a group after a push: the one before, if they are equal, so that nothing is counted or stored again for it. */
function stateAfter(before: Group | undefined, after: Group): Group {
  return before !== undefined && before.ttlMs === after.ttlMs && after.hasFamiliesOf(before) ? before : after;
}

function pushTimeHead(name: keyof typeof HELP, labels: Labels): PushedHead {
  return {
    metric: name,
    kind: "gauge",
    type: "gauge",
    help: HELP[name],
    unit: "",
    labels,
    seriesId: undefined,
  };
}

/**
 * The exemplars of a push. One without a time has the time of its sample. Admission drops those whose time is not
 * accepted.
 */
function exemplarsOf(samples: readonly PlannedSample[], us: number): Exemplar[] {
  const all: Exemplar[] = [];
  samples.forEach(({ exemplars = [], timestampUs = us }, head) => {
    for (const { value, labels, timestampMs } of exemplars) {
      const atUs = timestampMs === undefined ? timestampUs : Math.round(timestampMs * 1_000);
      all.push({ head, timestampUs: atUs, value, labels: ownLabels(inOrder(labels)) });
    }
  });
  return all;
}

/** Without empty labels, in ascending order of names. */
function inOrder(labels: Labels): Labels {
  return new Map([...labels].filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1)));
}
