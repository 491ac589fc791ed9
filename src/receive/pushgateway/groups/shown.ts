/**
 * What groups expose: their families merged by name, and points in the order of their labels, which is kept
 * from one scrape to the next. It also knows when groups expire. It changes only with commits.
 */

import type { DistributionPoint, Family, ValuePoint } from "../../../exposition/family.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { type Group, type GroupFamily, type Point, PUSH_FAILURE_TIME, PUSH_TIME } from "./group.ts";
import type { LastValues } from "./pushed.ts";

/** One name, with the families of that name in all groups. */
interface Shown {
  readonly families: Set<GroupFamily>;
  /** All their points in ascending order of labels. Undefined when out of date. */
  points: readonly Point[] | undefined;
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

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  group(key: string): Group | undefined {
    return this.#groups.get(key);
  }

  swap(key: string, before: Group | undefined, after: Group | undefined): void {
    for (const family of before?.families.values() ?? []) {
      if (after?.families.get(family.name) === family) continue;
      const shown = this.#names.get(family.name);
      if (shown === undefined) continue;
      shown.families.delete(family);
      shown.points = undefined;
      if (shown.families.size === 0) this.#names.delete(family.name);
    }
    for (const family of after?.families.values() ?? []) {
      if (before?.families.get(family.name) === family) continue;
      const shown = this.#names.get(family.name) ?? { families: new Set(), points: undefined };
      shown.families.add(family);
      shown.points = undefined;
      this.#names.set(family.name, shown);
    }
    this.#expiring.delete(key);
    if (after === undefined) this.#groups.delete(key);
    else {
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
    const families: Family[] = [];
    for (const name of [...this.#names.keys()].sort()) {
      const shown = this.#names.get(name)!;
      shown.points ??= ordered(shown.families);
      // Groups have the same type for a name. Of several help texts the newest group's is used.
      let last: GroupFamily | undefined;
      let help = "";
      for (const family of shown.families) {
        last = family;
        help = family.help || help;
      }
      families.push(this.#family(last!, help, shown.points));
    }
    return families.filter(({ points }) => points.length > 0);
  }

  #family({ name, type, unit }: GroupFamily, help: string, points: readonly Point[]): Family {
    if (type === "histogram" || type === "summary") {
      return { name, help, unit, type, points: points.flatMap((point) => this.#distribution(point) ?? []) };
    }
    const values: ValuePoint[] = [];
    for (const { labels, seriesIds } of points) {
      const value = this.#values.level(seriesIds[0]!);
      if (value !== undefined) values.push({ labels, value });
    }
    return { name, help, unit, type: exposedType(type), points: values };
  }

  #distribution({ labels, edges = [], seriesIds }: Point): DistributionPoint | undefined {
    const values = seriesIds.map((seriesId) => this.#values.level(seriesId));
    if (values.includes(undefined)) return undefined;
    const [sum, count] = values.slice(edges.length) as [number, number];
    return { labels, edges, values: values.slice(0, edges.length) as number[], sum, count };
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
    const seriesId = group.families.get(name)?.points[0]?.seriesIds[0];
    return seriesId === undefined ? 0 : (level(seriesId) ?? 0);
  };
  return (seconds(PUSH_TIME) || seconds(PUSH_FAILURE_TIME)) * 1e6 + group.ttlMs * 1_000 <= nowUs;
}

function ordered(families: Iterable<GroupFamily>): Point[] {
  const points: Point[] = [];
  for (const family of families) for (const point of family.points) points.push(point);
  return points.sort((a, b) => (a.labels < b.labels ? -1 : 1));
}

function exposedType(type: Exclude<FamilyType, "histogram" | "summary">): "counter" | "gauge" | "unknown" {
  return type === "untyped" ? "unknown" : type;
}
