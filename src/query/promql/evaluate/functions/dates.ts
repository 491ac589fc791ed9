/** Parts of dates in UTC, from values that are seconds since the epoch. */
import type { Matrix } from "../matrix.ts";

const MS_PER_DAY = 86_400_000;

const PARTS: Record<string, (date: Date) => number> = {
  minute: (date) => date.getUTCMinutes(),
  hour: (date) => date.getUTCHours(),
  day_of_week: (date) => date.getUTCDay(),
  day_of_month: (date) => date.getUTCDate(),
  day_of_year: (date) => 1 + Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0)) / MS_PER_DAY),
  // Day 0 of the next month is the last day of this month.
  days_in_month: (date) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
  month: (date) => date.getUTCMonth() + 1,
  year: (date) => date.getUTCFullYear(),
};

export function isDatePart(name: string): boolean {
  return Object.hasOwn(PARTS, name);
}

/** Replaces each value by a part of its date; NaN for a value that is not a valid date. */
export function datePart(name: string, matrix: Matrix): Matrix {
  const part = PARTS[name];
  const { values } = matrix;
  for (let cell = 0; cell < matrix.rows * matrix.steps; cell++) {
    const date = new Date(Math.trunc(values[cell]) * 1000);
    values[cell] = Number.isNaN(date.getTime()) ? Number.NaN : part(date);
  }
  return matrix;
}
