/** When disks are full: a line through what was free. Pure. */
import type { InstantSeries } from "./trends.ts";

export interface DiskForecast {
  readonly labels: Readonly<Record<string, string>>;
  /** Null if the free space does not fall. */
  readonly daysLeft: number | null;
}

const POINTS_MIN = 8;
const DAY_S = 86_400;

/**
 * A line per disk through its free bytes, at instants that are `stepS` apart: the label `at` counts them backwards. As the
 * summary `forecast`, it is the median of the slopes between any two points, which single peaks do not move. A disk with
 * fewer than 8 points has none.
 */
export function forecastsOf(series: readonly InstantSeries[], stepS: number): readonly DiskForecast[] {
  const disks = new Map<
    string,
    { labels: Readonly<Record<string, string>>; points: [day: number, free: number][] }
  >();
  for (const { metric, value } of series) {
    const { at, ...labels } = metric;
    const key = JSON.stringify(Object.entries(labels).sort());
    const disk = disks.get(key) ?? { labels, points: [] };
    disk.points.push([(-Number(at) * stepS) / DAY_S, Number(value[1])]);
    disks.set(key, disk);
  }
  return [...disks.values()]
    .filter(({ points }) => points.length >= POINTS_MIN)
    .map(({ labels, points }) => {
      const slopes = points.flatMap(([day, free], at) =>
        points.slice(at + 1).map(([otherDay, otherFree]) => (otherFree - free) / (otherDay - day)),
      );
      const perDay = median(slopes);
      const free = median(points.map(([day, value]) => value - perDay * day));
      return { labels, daysLeft: perDay < 0 && free > 0 ? free / -perDay : null };
    });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
