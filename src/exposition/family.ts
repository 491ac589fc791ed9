/**
 * Metric families in the form that both formats write, and the merge of all sources: the gateway's own metrics,
 * Pushgateway groups and running totals. After the merge a name has one HELP and one TYPE, a series appears
 * once, and equal content has equal order.
 */

import type { Labels } from "../model/sample.ts";
import { escapeLabelValue } from "../model/spelling.ts";
import { sorting } from "../model/tasks/sorting.ts";

/** A sample that stands for the others of its bucket: a label, a value and a time. */
export interface ShownExemplar {
  readonly name: string;
  readonly label: string;
  readonly value: number;
  readonly timestampUs: number;
}

export interface ValuePoint {
  /** The labels between the braces, without the braces. See `labelText`. */
  readonly labels: string;
  readonly value: number;
  /** When the total began, µs. */
  readonly createdUs?: number;
}

/** A histogram or a summary: one value per edge (`le`, cumulative and with +Inf; or `quantile`). */
export interface DistributionPoint {
  readonly labels: string;
  /** As OpenMetrics floats, ascending. */
  readonly edges: readonly string[];
  readonly values: ArrayLike<number>;
  readonly sum?: number;
  readonly count?: number;
  readonly createdUs?: number;
  /** One per edge. */
  readonly exemplars?: readonly (ShownExemplar | undefined)[];
}

type Point = ValuePoint | DistributionPoint;

/** Points that are merged or narrowed without a pause. */
const ITEMS_PER_PAUSE = 512;

interface Named {
  /** The name after TYPE in text 0.0.4: a counter's with `_total`, if it has that suffix. */
  readonly name: string;
  readonly help: string;
  readonly unit: string;
}
export interface ValueFamily extends Named {
  readonly type: "counter" | "gauge" | "unknown";
  readonly points: readonly ValuePoint[];
}
export interface DistributionFamily extends Named {
  readonly type: "histogram" | "summary";
  readonly points: readonly DistributionPoint[];
}
/** One name, one type, and its series in ascending order of `labels`. */
export type Family = ValueFamily | DistributionFamily;

export function isDistribution(family: Family): family is DistributionFamily {
  return family.type === "histogram" || family.type === "summary";
}

/** The family's name in OpenMetrics, where only the samples of a counter end with `_total`. */
export function openMetricsName(family: Family): string {
  return family.type === "counter" && family.name.endsWith("_total") ? family.name.slice(0, -6) : family.name;
}

/** Every name that the family uses in text 0.0.4. No other family may use one of them. */
export function claims({ name, type }: Family): string[] {
  if (type === "histogram") return [name, `${name}_sum`, `${name}_count`, `${name}_bucket`];
  return type === "summary" ? [name, `${name}_sum`, `${name}_count`] : [name];
}

/** Every name that identifies the family, in either format. */
function namesOf(family: Family): string[] {
  const base = openMetricsName(family);
  return isDistribution(family) || base !== family.name
    ? [...claims(family), base, `${base}_created`]
    : claims(family);
}

interface Merged {
  readonly families: readonly Family[];
  /** How many families and series were left out because an earlier one has their name. */
  readonly conflicts: number;
}

/**
 * Merges sources into one list in ascending order of names. If two conflict, the earlier source is kept. A task in slices.
 */
export function* mergeFamilies(sources: readonly (readonly Family[])[]): Generator<void, Merged> {
  const byName = new Map<string, Family[]>();
  const claimed = new Map<string, string>();
  let conflicts = 0;
  for (const family of sources.flat()) {
    yield;
    const same = byName.get(family.name);
    if (same) {
      if (same[0].type === family.type) same.push(family);
      else conflicts++;
    } else if (claims(family).some((name) => claimed.has(name))) {
      conflicts++;
    } else {
      byName.set(family.name, [family]);
      for (const name of claims(family)) claimed.set(name, family.name);
    }
  }
  const families: Family[] = [];
  for (const parts of byName.values()) {
    yield;
    const [first] = parts;
    const points = yield* unique(parts.map((part) => part.points));
    for (const part of parts) conflicts += part.points.length;
    conflicts -= points.length;
    const help = parts.find((part) => part.help)?.help ?? "";
    const unit = parts.find((part) => part.unit)?.unit ?? "";
    if (points.length > 0) families.push({ ...first, help, unit, points } as Family);
  }
  families.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { families, conflicts };
}

/** The first point of each label set. The points are sorted (stably) if they come from more than one source. */
function* unique(parts: readonly Family["points"][]): Generator<void, readonly Point[]> {
  const sorted: readonly Point[] = parts.length > 1 ? yield* sorting(parts.flat(), byLabels) : parts[0];
  return yield* filtering(sorted, (point, at) => at === 0 || point.labels !== sorted[at - 1].labels);
}

function byLabels({ labels: a }: Point, { labels: b }: Point): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As `filter`, in slices. */
function* filtering<Item>(
  items: readonly Item[],
  isKept: (item: Item, at: number) => boolean,
): Generator<void, Item[]> {
  const kept: Item[] = [];
  for (const [at, item] of items.entries()) {
    if (at % ITEMS_PER_PAUSE === ITEMS_PER_PAUSE - 1) yield;
    if (isKept(item, at)) kept.push(item);
  }
  return kept;
}

/**
 * The families with only those points that have all of the labels. Families without such points are left out. A task in
 * slices.
 */
export function* narrowFamilies(families: readonly Family[], labels: Labels): Generator<void, Family[]> {
  const pairs = [...labels].map(([name, value]) => `${name}="${escapeLabelValue(value)}"`);
  // The first test is the faster one. A value may contain the text of a pair, so the text is divided into pairs then.
  const isOwn = ({ labels: text }: { readonly labels: string }) =>
    pairs.every((pair) => text.includes(pair)) && pairs.every((pair) => pairsOf(text).includes(pair));
  const narrowed: Family[] = [];
  for (const family of families) {
    yield;
    const points = yield* filtering<Point>(family.points, isOwn);
    if (points.length > 0) narrowed.push({ ...family, points } as Family);
  }
  return narrowed;
}

/** The pairs of a text of `labelText`. Quotes and backslashes in values are escaped. */
function pairsOf(text: string): readonly string[] {
  return text.match(/[^=,"]+="(?:[^"\\]|\\.)*"/gs) ?? [];
}

/** The families that `names` select: by the family's name in either format, or by the name of a sample. */
export function selectFamilies(families: readonly Family[], names: ReadonlySet<string>): readonly Family[] {
  return families.filter((family) => namesOf(family).some((name) => names.has(name)));
}
