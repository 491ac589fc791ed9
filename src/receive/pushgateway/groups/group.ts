/**
 * A group and what it exposes: families of points. A point is one series, or several for a histogram or a
 * summary. A group is a value: a change makes a new one. It lists series and has no numbers. The numbers are
 * the last values of the series. What it has in common with other groups is its shape.
 */

import type { GroupRecord } from "../../../model/records.ts";
import type { Kind, Labels, MetricType, Series, SeriesHead } from "../../../model/sample.ts";
import { openMetricsFloat } from "../../../model/spelling.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import {
  type GroupFamily,
  type GroupShape,
  type GroupShapes,
  isFamilyOf,
  labelTemplate,
  type Point,
  type ShapeFamily,
} from "./group-shape.ts";
import { ownLabels } from "./own-texts.ts";
import type { Distribution, PushedExemplar, PushedFamily, PushedMetric } from "./pushed.ts";

/** A group. Equal states of a group are one object. */
export class Group {
  readonly key: string;
  /** The grouping labels in ascending order of names, empty values included. */
  readonly labels: Labels;
  readonly shape: GroupShape;
  /** How long after its last push the group expires. Undefined if it does not expire. */
  readonly ttlMs: number | undefined;
  readonly #firstId: number;
  readonly #offsets: Float64Array;

  /** @param families in any order */
  constructor(
    { key, labels, ttlMs }: Pick<Group, "key" | "labels" | "ttlMs">,
    families: Iterable<GroupFamily>,
    shapes: GroupShapes,
  ) {
    const ordered = [...families].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.key = key;
    this.labels = labels;
    this.ttlMs = ttlMs;
    this.shape = shapes.of(ordered);
    const firstId = ordered[0]?.points[0]?.seriesIds[0] ?? 0;
    const offsets = new Float64Array(this.shape.length);
    let at = 0;
    for (const { points } of ordered)
      for (const { seriesIds } of points)
        for (const seriesId of seriesIds) offsets[at++] = seriesId - firstId;
    this.#firstId = firstId;
    this.#offsets = this.shape.shared(offsets);
  }

  /** The id of the series at a position of the shape. */
  seriesId(at: number): number {
    return this.#firstId + this.#offsets[at]!;
  }

  /** All series, in the order of the shape. */
  get seriesIds(): number[] {
    const ids: number[] = [];
    for (const offset of this.#offsets) ids.push(this.#firstId + offset);
    return ids;
  }

  /** The first series of a family, which is the only one of a push time. */
  firstSeriesOf(name: string): number | undefined {
    const at = this.shape.byName.get(name)?.points[0]?.at;
    return at === undefined ? undefined : this.seriesId(at);
  }

  /** A copy of a family with its series. */
  family(name: string): GroupFamily | undefined {
    const family = this.shape.byName.get(name);
    return family && this.#withSeries(family);
  }

  /** Copies of all families, in ascending order of names. */
  families(): GroupFamily[] {
    return this.shape.families.map((family) => this.#withSeries(family));
  }

  #withSeries({ name, type, help, unit, points }: ShapeFamily): GroupFamily {
    const withSeries = points.map(({ template, edges, at, length }) => {
      const seriesIds: number[] = [];
      for (let index = 0; index < length; index++) seriesIds.push(this.seriesId(at + index));
      return { template, edges, seriesIds };
    });
    return { name, type, help, unit, points: withSeries };
  }

  /** Whether another state of the group has the same families with the same series. */
  hasFamiliesOf(other: Group): boolean {
    if (this.shape !== other.shape && !this.shape.isOf(other.families())) return false;
    if (this.#firstId !== other.#firstId) return false;
    return (
      this.#offsets === other.#offsets || this.#offsets.every((offset, at) => offset === other.#offsets[at])
    );
  }

  /** Whether another state of the group has the same family of a name, with the same series. */
  hasFamilyOf(other: Group, name: string): boolean {
    const [own, its] = [this.shape.byName.get(name), other.shape.byName.get(name)];
    if (own === undefined || its === undefined || !isFamilyOf(own, its)) return false;
    return own.points.every((point, at) => {
      const from = its.points[at]!.at;
      for (let index = 0; index < point.length; index++)
        if (this.seriesId(point.at + index) !== other.seriesId(from + index)) return false;
      return true;
    });
  }
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

/** Grouping labels in ascending order of names, empty values included. They are copies that can be kept. */
export function groupingLabels(labels: Labels): Labels {
  return ownLabels(new Map([...labels].sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** A stored family: `[name, type, help, unit, series ids by point]`. */
type StoredFamily = [string, FamilyType, string, string, (readonly number[])[]];

interface StoredGroup {
  readonly ttlMs?: number;
  readonly families: readonly StoredFamily[];
}

/** The stored form of a group. Equal states of a group have equal text. */
export function recordOf(group: Group): GroupRecord {
  const stored: StoredGroup = {
    ttlMs: group.ttlMs,
    families: group
      .families()
      .map(({ name, type, help, unit, points }) => [
        name,
        type,
        help,
        unit,
        points.map(({ seriesIds }) => seriesIds),
      ]),
  };
  return { key: group.key, definition: JSON.stringify(stored) };
}

/** The group of a record. Points whose series no longer exist are left out. */
export function groupOf(
  { key, definition }: { readonly key: string; readonly definition: string },
  seriesById: (seriesId: number) => Series | undefined,
  shapes: GroupShapes,
): Group {
  const labels = groupingLabels(new Map(Object.entries(JSON.parse(key) as Record<string, string>)));
  const plain = mergedLabels(new Map(), labels);
  const { ttlMs, families } = JSON.parse(definition) as StoredGroup;
  // Series of several families have the same labels.
  const templates = new Map<Labels, string>();
  const templateOf = (of: Labels) => templates.getOrInsertComputed(of, () => labelTemplate(of, plain));
  const restored = families.map(
    ([name, type, help, unit, points]): GroupFamily => ({
      ...{ name, type, help, unit },
      points: points.flatMap((ids) => pointOf(type, ids, seriesById, templateOf) ?? []),
    }),
  );
  return new Group({ key, labels, ttlMs }, restored, shapes);
}

function pointOf(
  type: FamilyType,
  seriesIds: readonly number[],
  seriesById: (seriesId: number) => Series | undefined,
  templateOf: (labels: Labels) => string,
): Point | undefined {
  const series = seriesIds.map(seriesById);
  const last = series.at(-1);
  if (last === undefined || series.includes(undefined)) return undefined;
  const label = edgeLabel(type);
  // The last series of a distribution is its count, which has no edge label.
  const template = templateOf(last.labels);
  const edges =
    label === undefined ? undefined : series.slice(0, -2).map((each) => each!.labels.get(label) ?? "");
  return { template, edges, seriesIds };
}
