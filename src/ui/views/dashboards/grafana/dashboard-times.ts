/** Ranges and intervals as dashboards of Grafana write and compute them. Pure. */
import type { TimeRange } from "../../../format/times.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  ...{ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 },
  ...{ M: 2_592_000_000, y: 31_536_000_000 },
};

/** Prometheus's usual scrape interval, and the step of the gateway's counters. */
export const SCRAPE_MS = 15_000;
/** Steps that a range of PromQL may have. */
const STEPS_MAX = 11_000;

/** The milliseconds of `30s`, `1m`, `500ms`. Undefined for other texts. */
export function intervalMs(text: string): number | undefined {
  const [, count, unit] = /^\s*>?\s*(\d+(?:\.\d+)?)\s*(ms|[smhdwMy])\s*$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * UNITS_MS[unit!]!;
}

/** `now-6h`, `now-1d/d`, a time of ISO 8601, or milliseconds. `isEnd` rounds up where a unit is given. */
export function timeOf(text: string, nowMs: number, isEnd: boolean): number | undefined {
  if (/^\d{9,}$/.test(text)) return Number(text);
  const [, steps, unit] = /^now((?:[+-]\d+[smhdwMy])*)(?:\/([smhdwMy]))?$/.exec(text) ?? [];
  if (steps === undefined) {
    const ms = Date.parse(text);
    return Number.isNaN(ms) ? undefined : ms;
  }
  let ms = nowMs;
  for (const [, sign, count, each] of steps.matchAll(/([+-])(\d+)([smhdwMy])/g))
    ms += (sign === "-" ? -1 : 1) * Number(count) * UNITS_MS[each!]!;
  return unit === undefined ? ms : rounded(ms, unit, isEnd);
}

/** The begin, or the end, of the unit in which a time is, in the time zone of the browser. */
function rounded(ms: number, unit: string, isEnd: boolean): number {
  const date = new Date(ms);
  const next = isEnd ? 1 : 0;
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  switch (unit) {
    case "y":
      return new Date(year + next, 0, 1).getTime() - next;
    case "M":
      return new Date(year, month + next, 1).getTime() - next;
    case "w":
      // Weeks begin on Monday.
      return new Date(year, month, day - ((date.getDay() + 6) % 7) + 7 * next).getTime() - next;
    case "d":
      return new Date(year, month, day + next).getTime() - next;
    default: {
      const length = UNITS_MS[unit]!;
      return (Math.floor(ms / length) + next) * length - next;
    }
  }
}

/** The range of a dashboard. What reaches to now moves with it. */
export function rangeOfTexts(from: string, to: string, nowMs: number): TimeRange | undefined {
  const last = /^now-(\d+[smhdwMy])$/.exec(from)?.[1];
  const lastMs = last === undefined ? undefined : intervalMs(last);
  if (to === "now" && lastMs !== undefined) return { lastMs };
  const [fromMs, toMs] = [timeOf(from, nowMs, false), timeOf(to, nowMs, true)];
  return fromMs === undefined || toMs === undefined || toMs <= fromMs ? undefined : { fromMs, toMs };
}

/** Up to which interval, in milliseconds, which round one is taken: the table of Grafana. */
const ROUND: readonly (readonly [below: number, interval: number])[] = [
  [10, 1],
  [15, 10],
  [35, 20],
  [75, 50],
  [150, 100],
  [350, 200],
  [750, 500],
  [1_500, 1_000],
  [3_500, 2_000],
  [7_500, 5_000],
  [12_500, 10_000],
  [17_500, 15_000],
  [25_000, 20_000],
  [45_000, 30_000],
  [90_000, 60_000],
  [210_000, 120_000],
  [450_000, 300_000],
  [750_000, 600_000],
  [1_050_000, 900_000],
  [1_500_000, 1_200_000],
  [2_700_000, 1_800_000],
  [5_400_000, 3_600_000],
  [9_000_000, 7_200_000],
  [16_200_000, 10_800_000],
  [32_400_000, 21_600_000],
  [86_400_000, 43_200_000],
  [604_800_000, 86_400_000],
  [1_814_400_000, 604_800_000],
];

export function roundedInterval(ms: number): number {
  return ROUND.find(([below]) => ms < below)?.[1] ?? 2_592_000_000;
}

export interface PanelIntervals {
  /** `$__interval`, which is the step of a range. */
  readonly intervalMs: number;
  /** `$__rate_interval` */
  readonly rateMs: number;
}

/**
 * The intervals of a question, as Grafana computes them.
 *
 * @param points how many points are wanted at most: the width of the panel
 * @param leastMs the interval of the panel or of the question, which is at least that of scrapes
 */
export function intervalsOf(rangeMs: number, points: number, leastMs: number | undefined): PanelIntervals {
  const least = leastMs ?? SCRAPE_MS;
  const wanted = Math.max(roundedInterval(rangeMs / Math.max(1, points)), least);
  const interval = Math.max(wanted, Math.ceil(rangeMs / STEPS_MAX / 1_000) * 1_000);
  return { intervalMs: interval, rateMs: Math.max(interval + SCRAPE_MS, 4 * SCRAPE_MS) };
}

/** An interval as PromQL reads it. */
export function intervalText(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    const count = ms / UNITS_MS[unit]!;
    if (count >= 1 && Number.isInteger(count)) return `${count}${unit}`;
  }
  return `${Math.max(1, Math.round(ms))}ms`;
}
