/** What the registry has and the store does not have yet: taken by each commit, and put back by one that failed. */
import type { Metric, Series } from "../model/sample.ts";
import type { DemotionRecord, SeriesDay } from "../store/store.ts";

export interface Pending {
  readonly metrics: Metric[];
  readonly series: Series[];
  readonly seriesDays: SeriesDay[];
  readonly demotions: DemotionRecord[];
}

export function nothingPending(): Pending {
  return { metrics: [], series: [], seriesDays: [], demotions: [] };
}

export function isNothing({ metrics, series, seriesDays, demotions }: Pending): boolean {
  return metrics.length + series.length + seriesDays.length + demotions.length === 0;
}

/** Puts what a failed commit did not store in front of what was added since. */
export function putBack(lost: Pending, pending: Pending): void {
  for (const field of ["metrics", "series", "seriesDays", "demotions"] as const) {
    (pending[field] as unknown[]).unshift(...lost[field]);
  }
}
