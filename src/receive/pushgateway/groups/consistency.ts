/**
 * Whether pushes are consistent with each other: the names and types of the families of all groups, and which
 * group has which series. The index is updated with each change, so that a check costs only what the push
 * costs.
 *
 * The checks and the words of the errors are Pushgateway's. Everything that is exposed must be one valid
 * exposition.
 */

import { SeriesColumn } from "../../../model/memory/series-column.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import type { Group } from "./group.ts";
import type { ShapeFamily } from "./group-shape.ts";

interface NameUse {
  type: FamilyType;
  groups: number;
}

/** The families that a change removes from the index and adds to it, by name. */
export interface FamilyChange {
  readonly before: ReadonlyMap<string, { readonly type: FamilyType }>;
  readonly after: ReadonlyMap<string, { readonly type: FamilyType }>;
}

export class Consistency {
  readonly #names = new Map<string, NameUse>();
  /** By series id: the number of its group, or 0. */
  readonly #owners = new SeriesColumn(0);
  readonly #numbers = new Map<string, number>();
  #lastNumber = 0;
  readonly #ownType: (name: string) => FamilyType | undefined;

  /**
   * @param ownType returns the type of one of the gateway's own metrics. Groups may use its name only with that
   * type
   */
  constructor(ownType: (name: string) => FamilyType | undefined) {
    this.#ownType = ownType;
  }

  /** Replaces a state of a group by another. Either may be absent. */
  swap(key: string, before: Group | undefined, after: Group | undefined): void {
    if (before !== undefined && after?.hasFamiliesOf(before)) return;
    for (const family of before?.shape.families ?? []) this.#count(family, -1);
    for (const seriesId of before?.seriesIds ?? []) this.#owners.set(seriesId, 0);
    if (after === undefined) {
      this.#numbers.delete(key);
      return;
    }
    const number = this.#numbers.get(key) ?? ++this.#lastNumber;
    this.#numbers.set(key, number);
    for (const family of after.shape.families) this.#count(family, 1);
    for (const seriesId of after.seriesIds) this.#owners.set(seriesId, number);
  }

  /** Whether there is any group. */
  get ownsAny(): boolean {
    return this.#numbers.size > 0;
  }

  /** Whether a series is in any group. */
  owns(seriesId: number): boolean {
    return this.#owners.get(seriesId) !== 0;
  }

  /** Whether a series belongs to a group other than `key`. */
  isForeign(seriesId: number, key: string): boolean {
    const owner = this.#owners.get(seriesId);
    return owner !== 0 && owner !== this.#numbers.get(key);
  }

  /**
   * The type that a name has elsewhere: among the gateway's metrics or in groups, without the state that is
   * changed.
   */
  typeElsewhere(name: string, { before }: FamilyChange): { type: FamilyType; own: boolean } | undefined {
    const own = this.#ownType(name);
    if (own !== undefined) return { type: own, own: true };
    const use = this.#names.get(name);
    if (use === undefined || use.groups - (before.has(name) ? 1 : 0) <= 0) return undefined;
    return { type: use.type, own: false };
  }

  /** The error if a family's name conflicts with another family. The parts of a histogram are names too. */
  suffixCollision(name: string, type: FamilyType, change: FamilyChange): string | undefined {
    const [, base, suffix] = /^(.+)_(count|sum|bucket)$/.exec(name) ?? [];
    if (base !== undefined) {
      const other = this.#typeAfter(base, change);
      if (other === "histogram" || (other === "summary" && suffix !== "bucket")) {
        return `collected metric named ${JSON.stringify(name)} collides with previously collected ${other} named ${JSON.stringify(base)}`;
      }
    }
    if (type !== "histogram" && type !== "summary") return undefined;
    for (const part of type === "histogram" ? ["_count", "_sum", "_bucket"] : ["_count", "_sum"]) {
      if (this.#typeAfter(name + part, change) === undefined) continue;
      const what = part === "_bucket" ? "histogram" : "histogram or summary";
      return (
        `collected ${what} named ${JSON.stringify(name)} collides with previously collected metric named ` +
        JSON.stringify(name + part)
      );
    }
    return undefined;
  }

  #typeAfter(name: string, change: FamilyChange): FamilyType | undefined {
    return change.after.get(name)?.type ?? this.typeElsewhere(name, change)?.type;
  }

  #count({ name, type }: ShapeFamily, by: 1 | -1): void {
    const use = this.#names.get(name) ?? { type, groups: 0 };
    use.groups += by;
    // A group that is the only one with this name may change its type.
    if (by === 1) use.type = type;
    if (use.groups === 0) this.#names.delete(name);
    else this.#names.set(name, use);
  }
}
