/**
 * The bars of a task's timeline. A duration is recorded when its work ends, so its bar ends at the time of its sample. What
 * is no duration is a point. Pure.
 */
import { sqlTimeMs } from "../../format/times.ts";
import { unitOfName } from "../../format/units.ts";

/** A row of the summary `task_timeline`. */
export interface TimelineRow {
  readonly ts: string;
  readonly metric: string;
  readonly operation: string | null;
  readonly status: string | null;
  readonly value: number | null;
  readonly labels: Readonly<Record<string, string>>;
}

export interface TaskBar {
  readonly row: TimelineRow;
  readonly startMs: number;
  readonly endMs: number;
  readonly isPoint: boolean;
}

export interface Waterfall {
  readonly startMs: number;
  readonly endMs: number;
  /** By their start. Of two that start together the longer one comes first. */
  readonly bars: readonly TaskBar[];
  /** Labels that all samples share. */
  readonly common: Readonly<Record<string, string>>;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  milliseconds: 1,
  s: 1_000,
  seconds: 1_000,
  us: 1e-3,
  ns: 1e-6,
};

export function waterfallOf(rows: readonly TimelineRow[]): Waterfall {
  const bars = rows
    .map((row): TaskBar => {
      const endMs = sqlTimeMs(row.ts);
      const unitMs = UNIT_MS[unitOfName(row.metric)];
      const isPoint = unitMs === undefined || row.value === null || !(row.value >= 0);
      return { row, startMs: isPoint ? endMs : endMs - row.value! * unitMs!, endMs, isPoint };
    })
    .sort((a, b) => a.startMs - b.startMs || b.endMs - a.endMs);
  const common = { ...rows[0]?.labels };
  for (const { labels } of rows)
    for (const name of Object.keys(common)) if (labels[name] !== common[name]) delete common[name];
  return {
    startMs: Math.min(...bars.map(({ startMs }) => startMs)),
    endMs: Math.max(...bars.map(({ endMs }) => endMs)),
    bars,
    common,
  };
}

/** Whether a status says that something failed. */
export function isFailure(status: string | null): boolean {
  if (status === null) return false;
  return /^\d+$/.test(status) ? Number(status) >= 400 : !/^(?:success|ok)$/i.test(status);
}

/** The statement for the samples of a task in one metric, or in all. */
export function taskSql(taskId: string, metric?: string): string {
  const table = metric === undefined ? "samples" : metric.replace(/[^a-zA-Z0-9_:]/g, "_");
  return `SELECT * FROM "${table}" WHERE task_id = '${taskId.replaceAll("'", "''")}' ORDER BY ts`;
}
