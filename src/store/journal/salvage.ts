/**
 * Prepares the entries of a damaged journal for the tables. A record that cannot be read may have defined series whose
 * rows are in later records. Nothing says what such rows mean, so they are dropped and counted. Their series keep a day,
 * so that no new series gets the same id.
 */
import type { SeriesDay, Stored } from "../store.ts";
import type { ReadEntry } from "./entry.ts";
import { rowsWhere } from "./journal-rows.ts";

/** What could not be kept because a damaged record defined it. */
export interface Orphans {
  readonly series: number;
  readonly rows: number;
}

/** The entries without what refers to an unknown metric or series. */
export function withoutOrphans(
  entries: readonly ReadEntry[],
  stored: Pick<Stored, "metrics" | "series">,
): { entries: ReadEntry[]; orphans: Orphans } {
  const metrics = new Set(stored.metrics.read().map(({ name }) => name));
  const known = new Set(stored.series.read().map(({ seriesId }) => seriesId));
  const unknown = new Set<number>();
  let dropped = 0;
  const kept = entries.map(({ parts, rows: read, logBytes }) => {
    for (const { name } of parts.metrics) metrics.add(name);
    const series = parts.series.filter(({ metric }) => metrics.has(metric.name));
    for (const { seriesId } of series) known.add(seriesId);
    const reserved: SeriesDay[] = [];
    const rows = read.map((ofDay) =>
      rowsWhere(ofDay, (seriesId) => {
        if (known.has(seriesId)) return true;
        dropped++;
        if (!unknown.has(seriesId)) reserved.push({ seriesId, day: ofDay.day });
        unknown.add(seriesId);
        return false;
      }),
    );
    return {
      parts: { ...parts, series, seriesDays: [...parts.seriesDays, ...reserved] },
      rows: rows.filter(({ length }) => length > 0),
      logBytes,
    };
  });
  return { entries: kept, orphans: { series: unknown.size, rows: dropped } };
}
