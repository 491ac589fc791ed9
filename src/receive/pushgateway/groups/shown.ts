/**
 * What groups expose: their families merged by name, and points in the order of their labels, which is kept
 * from one scrape to the next. It also knows when groups expire. It changes only with commits.
 */

import type { DistributionPoint, Family, ValuePoint } from "../../../exposition/family.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { type Group, PUSH_FAILURE_TIME, PUSH_TIME } from "./group.ts";
import { pointText, type ShapeFamily } from "./group-shape.ts";
import type { LastValues } from "./pushed.ts";

/** One name, with the families of that name in all groups. */
interface Shown {
  /** How many groups have it. */
  groups: number;
  /** Undefined when out of date. */
  order: Order | undefined;
}

/** The points of a name in ascending order of labels: of each its group and its position in the family. */
interface Order {
  readonly family: Pick<ShapeFamily, "type" | "unit">;
  /** Of several help texts that of the group that changed last. */
  readonly help: string;
  readonly groups: readonly Group[];
  readonly positions: Uint32Array;
}

/** A name that is put in order. */
interface Ordering {
  family: ShapeFamily;
  help: string;
  readonly points: { readonly labels: string; readonly group: Group; readonly position: number }[];
}

export class ShownGroups {
  readonly #values: LastValues;
  readonly #groups = new Map<string, Group>();
  readonly #names = new Map<string, Shown>();
  /** The groups that expire. */
  readonly #expiring = new Map<string, Group>();

  constructor(values: LastValues) {
    this.#values = values;
  }

  get size(): number {
    return this.#groups.size;
  }

  /** Whether a group expires. */
  get expires(): boolean {
    return this.#expiring.size > 0;
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  group(key: string): Group | undefined {
    return this.#groups.get(key);
  }

  swap(key: string, before: Group | undefined, after: Group | undefined): void {
    for (const { name } of before?.shape.families ?? []) {
      if (after?.hasFamilyOf(before!, name)) continue;
      const shown = this.#names.get(name);
      if (shown === undefined) continue;
      shown.order = undefined;
      if (--shown.groups === 0) this.#names.delete(name);
    }
    for (const { name } of after?.shape.families ?? []) {
      if (before?.hasFamilyOf(after!, name)) continue;
      const shown = this.#names.getOrInsertComputed(name, () => ({ groups: 0, order: undefined }));
      shown.order = undefined;
      shown.groups++;
    }
    this.#expiring.delete(key);
    // The group that changed last is the last one.
    this.#groups.delete(key);
    if (after !== undefined) {
      this.#groups.set(key, after);
      if (after.ttlMs !== undefined) this.#expiring.set(key, after);
    }
  }

  /**
   * The keys of groups whose time to live since their last push is over. Without a successful push, since the
   * failure.
   */
  expired(nowUs: number): string[] {
    const keys: string[] = [];
    for (const [key, group] of this.#expiring) {
      if (isExpired(group, nowUs, (seriesId) => this.#values.level(seriesId))) keys.push(key);
    }
    return keys;
  }

  /** The families with the last values of their series, in ascending order of names. */
  families(): Family[] {
    this.#order();
    const families: Family[] = [];
    for (const name of [...this.#names.keys()].sort())
      families.push(this.#family(name, this.#names.get(name)!.order!));
    return families.filter(({ points }) => points.length > 0);
  }

  /** Brings the names that are out of date in order. */
  #order(): void {
    const names = new Map<string, Ordering>();
    let isAny = false;
    for (const { order } of this.#names.values()) isAny ||= order === undefined;
    for (const group of isAny ? this.#groups.values() : []) {
      for (const family of group.shape.families) {
        const { name } = family;
        if (this.#names.get(name)!.order !== undefined) continue;
        // Groups have the same type for a name.
        const ordering = names.getOrInsertComputed(name, () => ({ family, help: "", points: [] }));
        ordering.family = family;
        ordering.help = family.help || ordering.help;
        family.points.forEach((point, position) => {
          ordering.points.push({ labels: pointText(point, group.labels), group, position });
        });
      }
    }
    for (const [name, { family, help, points }] of names) {
      points.sort((a, b) => (a.labels < b.labels ? -1 : 1));
      this.#names.get(name)!.order = {
        family: { type: family.type, unit: family.unit },
        help,
        groups: points.map(({ group }) => group),
        positions: Uint32Array.from(points, ({ position }) => position),
      };
    }
  }

  #family(name: string, { family: { type, unit }, help, groups, positions }: Order): Family {
    if (type === "histogram" || type === "summary") {
      const points: DistributionPoint[] = [];
      for (let at = 0; at < groups.length; at++) {
        const shown = this.#distribution(groups[at]!, name, positions[at]!);
        if (shown !== undefined) points.push(shown);
      }
      return { name, help, unit, type, points };
    }
    const values: ValuePoint[] = [];
    for (let at = 0; at < groups.length; at++) {
      const group = groups[at]!;
      const point = group.shape.byName.get(name)!.points[positions[at]!]!;
      const value = this.#values.level(group.seriesId(point.at));
      if (value !== undefined) values.push({ labels: pointText(point, group.labels), value });
    }
    return { name, help, unit, type: exposedType(type), points: values };
  }

  #distribution(group: Group, name: string, position: number): DistributionPoint | undefined {
    const point = group.shape.byName.get(name)!.points[position]!;
    const { at, length, edges = [] } = point;
    const values: number[] = [];
    for (let index = 0; index < length; index++) {
      const value = this.#values.level(group.seriesId(at + index));
      if (value === undefined) return undefined;
      values.push(value);
    }
    const labels = pointText(point, group.labels);
    const [sum, count] = values.slice(edges.length) as [number, number];
    return { labels, edges, values: values.slice(0, edges.length), sum, count };
  }
}

/** Whether a group has expired, by the last values of its push times. */
export function isExpired(
  group: Group,
  nowUs: number,
  level: (seriesId: number) => number | undefined,
): boolean {
  if (group.ttlMs === undefined) return false;
  const seconds = (name: string) => {
    const seriesId = group.firstSeriesOf(name);
    return seriesId === undefined ? 0 : (level(seriesId) ?? 0);
  };
  return (seconds(PUSH_TIME) || seconds(PUSH_FAILURE_TIME)) * 1e6 + group.ttlMs * 1_000 <= nowUs;
}

function exposedType(type: Exclude<FamilyType, "histogram" | "summary">): "counter" | "gauge" | "unknown" {
  return type === "untyped" ? "unknown" : type;
}
