/**
 * Half an hour of what machines and cards do. It is asked once, and then extended by the newest values, because half an
 * hour of rows is much to read again and again. Pure.
 */

export interface InstantSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** With the label `trend`. */
export interface TrendSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

export type Trend = "cpu" | "memory" | "gpu";

export const TREND_S = 1_800;
export const TREND_STEP_S = 60;
/** After a longer pause, as when the tab was hidden, the trends are asked again. */
const GAP_S_MAX = 300;

/** The newest values of the trends, from the newest values of gauges. */
export function newestOf(gauges: readonly InstantSeries[]): readonly InstantSeries[] {
  const found: InstantSeries[] = gauges.filter(({ metric }) => metric.trend === "cpu");
  const memory = new Map<string | undefined, { at: number; available: number; total: number }>();
  const cards = new Map<string, InstantSeries>();
  for (const series of gauges) {
    const { metric, value } = series;
    const { instance, gpu } = metric;
    if (/^node_memory_Mem(?:Available|Total)_bytes$/.test(metric.__name__ ?? "")) {
      const sums = memory.get(instance) ?? { at: value[0], available: 0, total: 0 };
      sums[metric.__name__!.includes("Total") ? "total" : "available"] += Number(value[1]);
      memory.set(instance, sums);
    }
    if (metric.__name__ !== "gpu_utilization_ratio") continue;
    const key = JSON.stringify([instance, gpu]);
    const known = cards.get(key);
    if (known === undefined || Number(known.value[1]) < Number(value[1]))
      cards.set(key, { metric: named("gpu", { gpu, instance }), value });
  }
  for (const [instance, { at, available, total }] of memory)
    if (available > 0 && total > 0)
      found.push({ metric: named("memory", { instance }), value: [at, String(1 - available / total)] });
  return [...found, ...cards.values()];
}

/**
 * Trends with newer values: one point per step. Undefined if so much time has passed that the part between is missing.
 */
export function extended(
  trends: readonly TrendSeries[],
  newest: readonly InstantSeries[],
): readonly TrendSeries[] | undefined {
  const lastS = Math.max(0, ...trends.map(({ values }) => values.at(-1)![0]));
  const nowS = Math.max(0, ...newest.map(({ value }) => value[0]));
  if (lastS > 0 && nowS - lastS > GAP_S_MAX) return undefined;
  const by = new Map(trends.map((each) => [keyOf(each.metric), each]));
  for (const { metric, value } of newest) {
    const key = keyOf(metric);
    const { values } = by.get(key) ?? { values: [] };
    // The last point moves until it is a step away from the one before.
    const isMoving = values.length > 1 && values.at(-1)![0] - values.at(-2)![0] < TREND_STEP_S;
    const kept = (isMoving ? values.slice(0, -1) : values).filter(([at]) => at >= value[0] - TREND_S);
    by.set(key, { metric, values: [...kept, value] });
  }
  return [...by.values()];
}

const keyOf = (metric: Readonly<Record<string, string>>) =>
  JSON.stringify([metric.trend, metric.instance, metric.gpu]);

function named(trend: Trend, labels: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const known = Object.entries(labels).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries([...known, ["trend", trend]]);
}
