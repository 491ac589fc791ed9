/**
 * Pushes that add up (`mode=sum`): short-lived workers share a group, and each push is what one of them did.
 *
 * Counters, and the counts and sums of histograms and summaries, are added to what the group has. What cannot be
 * added (gauges, untyped metrics, quantiles) is never silently summed: the last value counts, or the largest or
 * smallest, as a setting says.
 */
import { openMetricsFloat } from "../../../model/spelling.ts";
import { goNumber } from "./describe.ts";
import { type GroupFamily, type HeadedSample, type Point, sortedEdges } from "./group.ts";
import type { Distribution, FamilyType, PushedMetric } from "./pushed.ts";

/** What becomes of values that cannot be added. */
export type Unsummed = "last" | "max" | "min";

/**
 * What is wrong with adding a metric to a family, and to its point of the same labels, where there are such; undefined
 * when nothing is.
 *
 * @param level the last value of a series
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
    return `is ${goNumber(value as number)}, which a counter cannot grow by`;
  if (before === undefined) return undefined;
  if (before.type !== type) return `is not a ${before.type.toUpperCase()}, which it is to be added to`;
  if (type !== "histogram" || point === undefined) return undefined;
  const edges = sortedEdges(type, value as Distribution).map(({ edge }) => openMetricsFloat(edge));
  if (tellsCounts(point, edges, level)) return undefined;
  return `has buckets ${edges.join(" ")}, which cannot be added to those of ${point.edges?.join(" ")}`;
}

/**
 * Whether a histogram has counted how many observations are not above each of some edges, ascending and with all of its
 * own: an edge between two of its own that count the same is as those, and one below the first that counts nothing.
 * Buckets of native histograms come with what is observed.
 */
function tellsCounts(
  { edges: own = [], seriesIds }: Point,
  edges: readonly string[],
  level: (seriesId: number) => number | undefined,
): boolean {
  let at = 0;
  let below: number | undefined = 0;
  for (const edge of edges) {
    // The last of both is +Inf.
    const count = level(seriesIds[at]!);
    if (edge === own[at]) {
      below = count;
      at++;
    } else if (count !== below) return false;
  }
  return at === own.length;
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
  let below: number | undefined;
  return samples.map((sample, at) => {
    let last = lastOf(sample);
    if (type === "histogram" && at < samples.length - 2) {
      // A bucket that is new counts what the one below it does, as was asked of `refusalOfSum`.
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
