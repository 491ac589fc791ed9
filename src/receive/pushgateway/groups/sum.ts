/**
 * Pushes with `mode=sum`: short-lived workers share a group, and each push reports the work of one of them.
 *
 * Counters, and the counts and sums of histograms and summaries, are added to the group's values. Values that
 * cannot be added (gauges, untyped metrics, quantiles) are never silently summed. The last value counts, or the
 * largest or smallest, depending on a setting.
 */

import { openMetricsFloat } from "../../../model/spelling.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { goNumber } from "./describe.ts";
import { type HeadedSample, sortedEdges } from "./group.ts";
import type { GroupFamily, Point } from "./group-shape.ts";
import type { Distribution, PushedMetric } from "./pushed.ts";

/** The treatment of values that cannot be added. */
export type Unsummed = "last" | "max" | "min";

/**
 * The reason why a metric cannot be added to a family, and to its point with the same labels if there is one.
 * Undefined if it can be added.
 *
 * @param level returns the last value of a series
 */
export function refusalOfSum(
  type: FamilyType,
  metric: PushedMetric,
  before: GroupFamily | undefined,
  point: Point | undefined,
  level: (seriesId: number) => number | undefined,
): string | undefined {
  const { value } = metric;
  if (type === "counter" && !(Number.isFinite(value) && (value as number) >= 0))
    return `is ${goNumber(value as number)}, and a counter can grow only by a finite value that is not negative`;
  if (before === undefined) return undefined;
  if (before.type !== type) return `is not a ${before.type.toUpperCase()}, the type of the stored metric`;
  if (type !== "histogram" || point === undefined) return undefined;
  const edges = sortedEdges(type, value as Distribution).map(({ edge }) => openMetricsFloat(edge));
  if (hasCountsOf(point, edges, level)) return undefined;
  return `has buckets ${edges.join(" ")}, which cannot be added to those of ${point.edges?.join(" ")}`;
}

/**
 * Whether the stored counts of a histogram say how many observations are at or below each of some edges. The
 * edges are ascending and include all edges of the histogram. A new edge between two stored ones with equal
 * counts has their count. A new edge below the first stored one has 0, if that one has 0. Native histograms
 * send only the buckets that have observations, so their pushes need this.
 */
function hasCountsOf(
  { edges: own = [], seriesIds }: Point,
  edges: readonly string[],
  level: (seriesId: number) => number | undefined,
): boolean {
  let at = 0;
  let below: number | undefined = 0;
  for (const edge of edges) {
    // The last edge of both is +Inf.
    const count = level(seriesIds[at]!);
    if (edge === own[at]) {
      below = count;
      at++;
    } else if (count !== below) return false;
  }
  return at === own.length;
}

/**
 * The samples of a metric, added to the last values of their series.
 *
 * @param lastOf returns the last value of a sample's series, undefined if it has none
 */
export function added(
  type: FamilyType,
  samples: readonly HeadedSample[],
  unsummed: Unsummed,
  lastOf: (sample: HeadedSample) => number | undefined,
): HeadedSample[] {
  let below: number | undefined;
  return samples.map((sample, at) => {
    let last = lastOf(sample);
    if (type === "histogram" && at < samples.length - 2) {
      // A new bucket has the count of the bucket below it, as `refusalOfSum` has checked.
      last ??= below;
      below = last;
    }
    if (last === undefined) return sample;
    // The last two samples of a summary are its sum and its count.
    const adds =
      type === "counter" || type === "histogram" || (type === "summary" && at >= samples.length - 2);
    if (adds) return { ...sample, value: last + sample.value };
    if (unsummed === "last" || Number.isNaN(last)) return sample;
    return {
      ...sample,
      value: unsummed === "max" ? Math.max(last, sample.value) : Math.min(last, sample.value),
    };
  });
}
