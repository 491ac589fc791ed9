/** Functions that change each value independently: mathematics, and the parts of dates. */
import { DAY_MS } from "../../../../model/duration.ts";
import type { Matrix } from "../matrix.ts";

const MATH: Record<string, (value: number) => number> = {
  abs: Math.abs,
  ceil: Math.ceil,
  floor: Math.floor,
  exp: Math.exp,
  ln: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  sqrt: Math.sqrt,
  sgn: (value) => (value < 0 ? -1 : value > 0 ? 1 : value),
  deg: (value) => (value * 180) / Math.PI,
  rad: (value) => (value * Math.PI) / 180,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
};

type WithScalars = (value: number, a: number, b: number) => number;

const WITH_SCALARS: Record<string, WithScalars> = {
  clamp: (value, min, max) => greater(min, lesser(max, value)),
  clamp_min: (value, min) => greater(min, value),
  clamp_max: (value, max) => lesser(max, value),
  // Halves are rounded up. Dividing by the inverse keeps decimals such as 0.1 as they are written.
  round: (value, to) => {
    const inverse = 1 / to;
    return Math.floor(value * inverse + 0.5) / inverse;
  },
};

/** As in Go: nothing is greater than +Inf or less than -Inf, not even NaN; otherwise NaN wins. */
function greater(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b);
}

function lesser(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b);
}

export function isElementwise(name: string): boolean {
  return Object.hasOwn(MATH, name) || Object.hasOwn(WITH_SCALARS, name);
}

/** Changes the values in place. `scalars` has one array per further argument, with one value per step. */
export function elementwise(name: string, matrix: Matrix, scalars: readonly Float64Array[]): Matrix {
  const { steps, values, present } = matrix;
  const plain = MATH[name];
  if (plain !== undefined) {
    for (let cell = 0; cell < matrix.rows * steps; cell++) values[cell] = plain(values[cell]);
    return matrix;
  }
  const operate = WITH_SCALARS[name];
  const [a = new Float64Array(steps).fill(1), b = a] = scalars;
  for (let cell = 0; cell < matrix.rows * steps; cell++) {
    const step = cell % steps;
    if (name === "clamp" && b[step] < a[step]) present[cell] = 0;
    values[cell] = operate(values[cell], a[step], b[step]);
  }
  return name === "clamp" ? matrix.compact() : matrix;
}

/** Parts of dates in UTC, from values that are seconds since the epoch. */
const DATE_PARTS: Record<string, (date: Date) => number> = {
  minute: (date) => date.getUTCMinutes(),
  hour: (date) => date.getUTCHours(),
  day_of_week: (date) => date.getUTCDay(),
  day_of_month: (date) => date.getUTCDate(),
  day_of_year: (date) => 1 + Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0)) / DAY_MS),
  // Day 0 of the next month is the last day of this month.
  days_in_month: (date) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
  month: (date) => date.getUTCMonth() + 1,
  year: (date) => date.getUTCFullYear(),
};

export function isDatePart(name: string): boolean {
  return Object.hasOwn(DATE_PARTS, name);
}

/** Replaces each value by a part of its date; NaN for a value that is not a valid date. */
export function datePart(name: string, matrix: Matrix): Matrix {
  const part = DATE_PARTS[name];
  const { values } = matrix;
  for (let cell = 0; cell < matrix.rows * matrix.steps; cell++) {
    const date = new Date(Math.trunc(values[cell]) * 1000);
    values[cell] = Number.isNaN(date.getTime()) ? Number.NaN : part(date);
  }
  return matrix;
}
