/** Reads from the days what sources had before a range: the running totals at its beginning. */
import { CompensatedSum, isSumExact } from "../compensated-sum.ts";
import type { Edge, Source } from "../catalog/catalog.ts";
import type { BeforeSeries, DayReader, Range } from "./day-reader.ts";
import { idsOf } from "./portions.ts";
import { type Before, edgesOfBuckets } from "./running-totals.ts";

/** Sums do not depend on the order. */
const ROWS_OF_EVENTS = { withArrivals: false, mayBePacked: false };

/** All rows of a day. */
const ROWS_MAX = 2 ** 53;

/** Reads it for several sources at once; the caller provides `existed`. */
export async function lookBefore(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
): Promise<(source: Source) => Omit<Before, "existed">> {
  const bySeries = await reader.before(idsOf(sources), range);
  const sums = await exactSums(sources, bySeries, range, reader);
  const buckets = new Map<number, Float64Array>();
  const byMetric = Map.groupBy(
    sources.filter(({ shape }) => shape === "buckets"),
    ({ metric }) => metric,
  );
  for (const [metric, own] of byMetric) {
    // Most have nothing before the range.
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
      sum: seriesIds.reduce((total, id) => total + (sums.get(id) ?? bySeries.get(id)?.sum ?? 0), 0),
      sumRest: 0,
      buckets: byEdge,
    };
  };
}

/** The sums of series whose sum the engine cannot compute exactly, added up from their samples. */
async function exactSums(
  sources: readonly Source[],
  bySeries: ReadonlyMap<number, BeforeSeries>,
  range: Range,
  reader: DayReader,
): Promise<Map<number, number>> {
  const inexact = idsOf(sources.filter(({ shape }) => shape === "sum")).filter((id) => {
    const known = bySeries.get(id);
    return known !== undefined && !isSumExact(known.sum, known.magnitude);
  });
  const sums = new Map<number, CompensatedSum>();
  if (inexact.length > 0) {
    await reader.samples(
      inexact,
      range,
      ROWS_OF_EVENTS,
      ROWS_MAX,
      ({ seriesIds, begins, lengths, values }) => {
        for (const [row, id] of seriesIds.entries()) {
          const sum = sums.get(id) ?? new CompensatedSum();
          sums.set(id, sum);
          for (let at = begins[row]; at < begins[row] + lengths[row]; at++) sum.add(values[at]);
        }
      },
    );
  }
  return new Map(Array.from(sums, ([id, sum]) => [id, sum.total]));
}

/** Adds the counts of all buckets to the first edge of the query that contains them. */
export function addToEdges(
  byEdge: Float64Array,
  edges: readonly Edge[],
  counts: Float64Array | undefined,
  bounds: readonly number[],
): void {
  if (counts === undefined) return;
  const edgeOf = edgesOfBuckets(edges, bounds);
  for (const [at, count] of counts.entries()) if (edgeOf[at] >= 0) byEdge[edgeOf[at]] += count;
}
