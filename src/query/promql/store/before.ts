/** What sources had before a range, read from the days: where their running totals stand when it begins. */
import type { Edge, Source } from "./catalog.ts";
import type { DayReader, Range } from "./day-reader.ts";
import { idsOf } from "./portions.ts";
import type { Before } from "./running-totals.ts";

/** Reads it for some sources at once; `existed` is for the caller to know. */
export async function lookBefore(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
): Promise<(source: Source) => Omit<Before, "existed">> {
  const bySeries = await reader.before(idsOf(sources), range);
  const buckets = new Map<number, Float64Array>();
  const byMetric = Map.groupBy(
    sources.filter(({ shape }) => shape === "buckets"),
    ({ metric }) => metric,
  );
  for (const [metric, own] of byMetric) {
    // Most begin with nothing before them.
    const ids = idsOf(own).filter((id) => bySeries.has(id));
    if (ids.length === 0) continue;
    for (const [id, counts] of await reader.beforeBuckets(ids, metric.buckets, range))
      buckets.set(id, counts);
  }
  return ({ seriesIds, edges, metric }) => {
    const found = seriesIds.flatMap((id) => bySeries.get(id) ?? []);
    const byEdge = new Float64Array(edges.length);
    for (const id of seriesIds) addToEdges(byEdge, edges, buckets.get(id), metric.buckets);
    return {
      lastMs: found.length === 0 ? undefined : Math.max(...found.map(({ lastMs }) => lastMs)),
      count: found.reduce((sum, { count }) => sum + count, 0),
      sum: found.reduce((total, { sum }) => total + sum, 0),
      buckets: byEdge,
    };
  };
}

/** Adds counts of all buckets to the first edge asked for that holds them. */
function addToEdges(
  byEdge: Float64Array,
  edges: readonly Edge[],
  counts: Float64Array | undefined,
  bounds: readonly number[],
): void {
  if (counts === undefined) return;
  for (const [at, count] of counts.entries()) {
    const bound = bounds[at] ?? Number.POSITIVE_INFINITY;
    const edge = edges.findIndex((each) => each.bound >= bound);
    if (edge >= 0) byEdge[edge] += count;
  }
}
