/** The cells of a PromQL series, which consists of some stored series, as its running totals need them. */
import type { Source } from "../catalog/catalog.ts";
import { addToEdges } from "../store/before.ts";
import type { Before, TotalCells } from "../store/running-totals.ts";
import { mergedCells, type SeriesCells } from "./cell-columns.ts";

/** @param found the cells of all stored series of the source */
export function cellsOfSource(
  { seriesIds, edges, metric }: Source,
  found: ReadonlyMap<number, SeriesCells>,
): { readonly cells: TotalCells; readonly before: Omit<Before, "existed"> } {
  const cells = mergedCells(seriesIds.map((id) => found.get(id)!));
  const byEdge = new Float64Array(edges.length);
  addToEdges(byEdge, edges, cells.beforeBuckets, metric.buckets);
  const { lastMs, count, high, low } = cells;
  return { cells, before: { lastMs, count, sum: high, sumRest: low, buckets: byEdge } };
}
