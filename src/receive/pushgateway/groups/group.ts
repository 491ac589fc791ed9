/**
 * A group and what it exposes: families of points. A point is one series, or several for a histogram or a
 * summary. A group is a value: a change makes a new one. It lists series and has no numbers. The numbers are
 * the last values of the series.
 */

import { compactMap } from "../../../model/memory/compact-map.ts";
import type { GroupRecord } from "../../../model/records.ts";
import type { Kind, Labels, MetricType, Series, SeriesHead } from "../../../model/sample.ts";
import { labelText, openMetricsFloat } from "../../../model/spelling.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { ownLabels, ownText } from "./own-texts.ts";
import type { Distribution, PushedExemplar, PushedFamily, PushedMetric } from "./pushed.ts";

/** One metric of a family. */
export interface Point {
  /** The labels between the braces, without `le` or `quantile`. */
  readonly labels: string;
  /** The values of `le` or `quantile`, ascending. Undefined for a plain value. */
  readonly edges?: readonly string[];
  /** The series of a plain value, or those of the edges, then of the sum, then of the count. */
  readonly seriesIds: readonly number[];
}

/** A plain value. Most points are, and a list of one id would take more memory than all else of them. */
class ValuePoint implements Point {
  readonly labels: string;
  readonly #seriesId: number;

  constructor(labels: string, seriesId: number) {
    this.labels = labels;
    this.#seriesId = seriesId;
  }

  get edges(): undefined {
    return undefined;
  }

  get seriesIds(): readonly number[] {
    return [this.#seriesId];
  }
}

export function point(
  labels: string,
  edges: readonly string[] | undefined,
  seriesIds: readonly number[],
): Point {
  return edges === undefined ? new ValuePoint(labels, seriesIds[0]!) : { labels, edges, seriesIds };
}

export interface GroupFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
  readonly points: readonly Point[];
}

export interface Group {
  readonly key: string;
  /** The grouping labels, empty values included. */
  readonly labels: Labels;
  readonly families: ReadonlyMap<string, GroupFamily>;
  /** How long after its last push the group expires. Undefined if it does not expire. */
  readonly ttlMs: number | undefined;
}

export const PUSH_TIME = "push_time_seconds";
export const PUSH_FAILURE_TIME = "push_failure_time_seconds";

/** Identifies a group: its labels as JSON, in ascending order of the names. */
export function groupKey(labels: Labels): string {
  return JSON.stringify(Object.fromEntries([...labels].sort(([a], [b]) => (a < b ? -1 : 1))));
}

const KINDS: Readonly<Record<FamilyType, Kind>> = {
  counter: "cumulative",
  gauge: "gauge",
  histogram: "cumulative",
  summary: "cumulative",
  untyped: "cumulative",
};

/** The name of the label that distinguishes a family's edges. */
export function edgeLabel(type: FamilyType): "le" | "quantile" | undefined {
  return type === "histogram" ? "le" : type === "summary" ? "quantile" : undefined;
}

/**
 * A metric's labels with those of its group, which take precedence. Without empty ones, in ascending order of
 * names.
 */
export function mergedLabels(metric: Labels, group: Labels): Labels {
  const merged: [string, string][] = [];
  for (const pair of group) if (pair[1] !== "") merged.push(pair);
  for (const pair of metric) if (pair[1] !== "" && !group.has(pair[0])) merged.push(pair);
  return new Map(merged.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The head of one sample. Its series is known after a lookup, or once it was created. */
export interface PushedHead extends SeriesHead {
  labels: Labels;
  seriesId: number | undefined;
}

/** A sample of a metric, with the head that identifies its series. */
export interface HeadedSample {
  readonly head: PushedHead;
  readonly value: number;
  /** The key that creates the series, if the lookup found none. */
  key: string;
  exemplars?: readonly PushedExemplar[];
}

/**
 * The series that store a metric, with their values. For a distribution: those of its edges (with the last
 * bucket, even if it was not sent), then `_sum` and `_count`.
 */
export function samplesOf(
  family: Omit<PushedFamily, "metrics">,
  metric: PushedMetric,
  labels: Labels,
): { samples: HeadedSample[]; edges?: string[] } {
  const { name, type, help, unit } = family;
  const sample = (suffix: string, value: number, of: Labels = labels): HeadedSample => ({
    head: {
      metric: name + suffix,
      kind: KINDS[type],
      type: type === "untyped" ? "unknown" : (type as MetricType),
      help,
      unit,
      labels: of,
      seriesId: undefined,
    },
    value,
    key: "",
  });
  const { exemplars } = metric;
  if (typeof metric.value === "number") {
    const only = sample("", metric.value);
    if (exemplars !== undefined) only.exemplars = exemplars;
    return { samples: [only] };
  }
  const { sum, count } = metric.value;
  const sorted = sortedEdges(type, metric.value);
  const edges = sorted.map(({ edge }) => openMetricsFloat(edge));
  const label = edgeLabel(type)!;
  const suffix = type === "histogram" ? "_bucket" : "";
  const samples = sorted.map(({ value }, at) => sample(suffix, value, withLabel(labels, label, edges[at]!)));
  // Each in the bucket that it was sent with. An exemplar of a native histogram is in the bucket of its value.
  for (const exemplar of exemplars ?? []) {
    const { edge: own, value } = exemplar;
    const at = sorted.findIndex(({ edge }) => (own === undefined ? value <= edge : own === edge));
    // The last bucket counts NaN too.
    const bucket = samples.at(at)!;
    bucket.exemplars = [...(bucket.exemplars ?? []), exemplar];
  }
  return { samples: [...samples, sample("_sum", sum), sample("_count", count)], edges };
}

/** Edges in ascending order. A histogram has the last bucket, which counts everything. */
export function sortedEdges(type: FamilyType, { edges, count }: Distribution): Distribution["edges"] {
  const sorted = [...edges].sort((a, b) => a.edge - b.edge);
  if (type === "histogram" && sorted.at(-1)?.edge !== Number.POSITIVE_INFINITY) {
    sorted.push({ edge: Number.POSITIVE_INFINITY, value: count });
  }
  return sorted;
}

function withLabel(labels: Labels, name: string, value: string): Labels {
  return new Map([...labels, [name, value] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The labels of a point between the braces, with `instance=""` if it has none. */
export function pointLabels(labels: Labels): string {
  return labelText(labels, true);
}

/** The series of a group. Empty if there is no group. */
export function seriesIdsOf(group: Group | undefined): number[] {
  const ids: number[] = [];
  for (const { points } of group?.families.values() ?? [])
    for (const { seriesIds } of points) for (const seriesId of seriesIds) ids.push(seriesId);
  return ids;
}

/** A stored family: `[name, type, help, unit, series ids by point]`. */
type StoredFamily = [string, FamilyType, string, string, (readonly number[])[]];

interface StoredGroup {
  readonly ttlMs?: number;
  readonly families: readonly StoredFamily[];
}

/** The stored form of a group. Equal parts of two states of a group have equal text. */
export function recordOf({ key, families, ttlMs }: Group): GroupRecord {
  const stored: StoredGroup = {
    ttlMs,
    families: [...families.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, type, help, unit, points }) => [
        name,
        type,
        help,
        unit,
        points.map(({ seriesIds }) => seriesIds),
      ]),
  };
  return { key, definition: JSON.stringify(stored) };
}

/** The group of a record. Points whose series no longer exist are left out. */
export function groupOf(
  { key, definition }: { readonly key: string; readonly definition: string },
  seriesById: (seriesId: number) => Series | undefined,
): Group {
  const labels = ownLabels(new Map(Object.entries(JSON.parse(key) as Record<string, string>)));
  const { ttlMs, families } = JSON.parse(definition) as StoredGroup;
  // Series of several families have the same labels. Their text is kept once.
  const texts = new Map<Labels, string>();
  const textOf = (of: Labels) => texts.getOrInsertComputed(of, pointLabels);
  return {
    key,
    labels,
    ttlMs,
    families: compactMap(
      new Map(
        families.map(([name, type, help, unit, points]) => [
          ownText(name),
          {
            name: ownText(name),
            type: ownText(type) as FamilyType,
            help: ownText(help),
            unit: ownText(unit),
            points: points.flatMap((ids) => pointOf(type, ids, seriesById, textOf) ?? []),
          },
        ]),
      ),
    ),
  };
}

function pointOf(
  type: FamilyType,
  seriesIds: readonly number[],
  seriesById: (seriesId: number) => Series | undefined,
  textOf: (labels: Labels) => string,
): Point | undefined {
  const series = seriesIds.map(seriesById);
  const last = series.at(-1);
  if (last === undefined || series.includes(undefined)) return undefined;
  const label = edgeLabel(type);
  // The last series of a distribution is its count, which has no edge label.
  const labels = textOf(last.labels);
  const edges =
    label === undefined ? undefined : series.slice(0, -2).map((each) => each!.labels.get(label) ?? "");
  return point(labels, edges, seriesIds);
}
