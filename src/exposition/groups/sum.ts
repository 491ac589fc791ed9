/**
 * Pushes that add up (`mode=sum`): short-lived workers share a group, and each push is what one of them did.
 *
 * Counters, and the counts and sums of histograms and summaries, are added to what the group has. What cannot be
 * added (gauges, untyped metrics, quantiles) is never silently summed: the last value counts, or the largest or
 * smallest, as a setting says.
 */
import { openMetricsFloat } from "../spelling.ts";
import { goNumber } from "./describe.ts";
import { type GroupFamily, type HeadedSample, type Point, sortedEdges } from "./group.ts";
import type { Distribution, FamilyType, PushedMetric } from "./pushed.ts";

/** What becomes of values that cannot be added. */
export type Unsummed = "last" | "max" | "min";

/**
 * What is wrong with adding a metric to a family, and to its point of the same labels, where there are such; undefined
 * when nothing is.
 */
export function refusalOfSum(
  type: FamilyType,
  metric: PushedMetric,
  before: GroupFamily | undefined,
  point: Point | undefined,
): string | undefined {
  const { value } = metric;
  if (type === "counter" && !(Number.isFinite(value) && (value as number) >= 0))
    return `is ${goNumber(value as number)}, which a counter cannot grow by`;
  if (before === undefined) return undefined;
  if (before.type !== type) return `is not a ${before.type.toUpperCase()}, which it is to be added to`;
  if (type !== "histogram" || point === undefined) return undefined;
  const edges = sortedEdges(type, value as Distribution).map(({ edge }) => openMetricsFloat(edge));
  if (edges.join() === point.edges?.join()) return undefined;
  return `has buckets ${edges.join(" ")}, which cannot be added to those of ${point.edges?.join(" ")}`;
}

/**
 * The samples of a metric added to the last values of their series.
 *
 * @param lastOf the last value of a sample's series, undefined where it has none
 */
export function added(
  type: FamilyType,
  samples: readonly HeadedSample[],
  unsummed: Unsummed,
  lastOf: (sample: HeadedSample) => number | undefined,
): HeadedSample[] {
  return samples.map((sample, at) => {
    const last = lastOf(sample);
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
