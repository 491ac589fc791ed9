/**
 * The gateway's log: one line per event (logged-events.ts), in logfmt or JSON (line.ts), on standard error. Nothing else in the
 * gateway writes lines.
 *
 * A fault that repeats a thousand times per second must not fill a disk. Of each level, lines past `LINES_PER_SECOND_MAX`
 * in a second are dropped, and the next line of that level says how many (`dropped`). Lines about requests are never
 * dropped: an operator who turns them on wants each of them.
 */
import {
  EVENTS,
  type EventName,
  type FieldsOf,
  type FieldValue,
  LEVELS,
  type Level,
} from "./logged-events.ts";
import { formatLine, type LogFormat } from "./line.ts";
import { standardError } from "./standard-error.ts";

/** Logs an event. */
export type Log = <Name extends EventName>(event: Name, fields?: FieldsOf<Name>) => void;

/** 50 lines of 300 bytes per second are at most 1.3 GB per day, and enough to see what is wrong. */
const LINES_PER_SECOND_MAX = 50;

/** A second, and what was written in it. */
interface Budget {
  second: number;
  lines: number;
  dropped: number;
}

export interface LogOptions {
  readonly format?: LogFormat;
  /** Logs requests at the level `info`, not only at `debug`. */
  readonly requests?: boolean;
}

/**
 * A log that writes the events of `level` and of more important levels.
 *
 * @param write receives one line with its newline, and its level; standard error by default
 */
export function createLog(
  level: Level,
  write: (line: string, level: Level) => void = standardError(),
  { format = "logfmt", requests = false }: LogOptions = {},
): Log {
  const budgets = new Map<Level, Budget>();
  const isLogged = (of: Level) => LEVELS.indexOf(of) <= LEVELS.indexOf(level);
  return (event, fields) => {
    const { message, level: usual } = EVENTS[event];
    const of = event === "request" && !requests ? "debug" : usual;
    if (!isLogged(of)) return;
    const now = Date.now();
    const dropped = event === "request" ? 0 : droppedBefore(budgets, of, now);
    if (dropped === undefined) return;
    const line = formatLine(format, [
      ["time", new Date(now).toISOString()],
      ["level", of],
      ["event", event],
      ["message", message],
      ...Object.entries<FieldValue>(fields ?? {}),
      ["dropped", dropped === 0 ? undefined : dropped],
    ]);
    write(line, of);
  };
}

/** The lines of a level that were dropped before this one. Undefined if this one is dropped too. */
function droppedBefore(budgets: Map<Level, Budget>, level: Level, nowMs: number): number | undefined {
  const budget = budgets.get(level) ?? { second: 0, lines: 0, dropped: 0 };
  budgets.set(level, budget);
  const second = Math.floor(nowMs / 1000);
  if (second !== budget.second) {
    budget.second = second;
    budget.lines = 0;
  }
  budget.lines += 1;
  if (budget.lines > LINES_PER_SECOND_MAX) {
    budget.dropped += 1;
    return undefined;
  }
  const { dropped } = budget;
  budget.dropped = 0;
  return dropped;
}
