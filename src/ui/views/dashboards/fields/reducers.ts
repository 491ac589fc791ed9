/** One value for a series, by the names of Grafana's calculations. Pure. */
import type { FrameCell } from "../grafana/frames.ts";

type Reducer = (values: readonly FrameCell[]) => FrameCell;

const numbersOf = (values: readonly FrameCell[]) =>
  values.filter((value): value is number => typeof value === "number" && !Number.isNaN(value));
const ofNumbers =
  (reduce: (numbers: readonly number[]) => number): Reducer =>
  (values) => {
    const numbers = numbersOf(values);
    return numbers.length === 0 ? null : reduce(numbers);
  };
const sum = (numbers: readonly number[]) => numbers.reduce((total, value) => total + value, 0);
const mean = (numbers: readonly number[]) => sum(numbers) / numbers.length;
const variance = (numbers: readonly number[]) => {
  const middle = mean(numbers);
  return mean(numbers.map((value) => (value - middle) ** 2));
};
const least = (numbers: readonly number[]) =>
  numbers.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const most = (numbers: readonly number[]) =>
  numbers.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const isValue = (value: FrameCell) => value !== null && !Number.isNaN(value);
/** The increase of a counter, over its resets. */
const delta = (numbers: readonly number[]) =>
  numbers.reduce((total, value, index) => {
    const before = numbers[index - 1];
    return before === undefined ? total : total + (value >= before ? value - before : value);
  }, 0);
const quantile = (part: number) => (numbers: readonly number[]) => {
  const ordered = numbers.toSorted((a, b) => a - b);
  const place = part * (ordered.length - 1);
  const [below, above] = [ordered[Math.floor(place)]!, ordered[Math.ceil(place)]!];
  return below + (above - below) * (place - Math.floor(place));
};

const REDUCERS: Readonly<Record<string, readonly [title: string, reduce: Reducer]>> = {
  lastNotNull: ["Last *", (values) => values.findLast(isValue) ?? null],
  last: ["Last", (values) => values.at(-1) ?? null],
  firstNotNull: ["First *", (values) => values.find(isValue) ?? null],
  first: ["First", (values) => values[0] ?? null],
  min: ["Min", ofNumbers(least)],
  max: ["Max", ofNumbers(most)],
  mean: ["Mean", ofNumbers(mean)],
  median: ["Median", ofNumbers(quantile(0.5))],
  sum: ["Total", ofNumbers(sum)],
  count: ["Count", (values) => values.length],
  range: ["Range", ofNumbers((numbers) => most(numbers) - least(numbers))],
  delta: ["Delta", ofNumbers(delta)],
  diff: ["Difference", ofNumbers((numbers) => numbers.at(-1)! - numbers[0]!)],
  diffperc: ["Difference percent", ofNumbers((numbers) => (numbers.at(-1)! - numbers[0]!) / numbers[0]!)],
  logmin: ["Min (above zero)", ofNumbers((numbers) => least(numbers.filter((value) => value > 0)))],
  variance: ["Variance", ofNumbers(variance)],
  stdDev: ["StdDev", ofNumbers((numbers) => Math.sqrt(variance(numbers)))],
  distinctCount: ["Distinct count", (values) => new Set(values).size],
  changeCount: [
    "Change count",
    (values) => values.filter((value, index) => index > 0 && value !== values[index - 1]).length,
  ],
  allIsZero: ["All zeros", (values) => Number(values.every((value) => value === 0))],
  allIsNull: ["All nulls", (values) => Number(values.every((value) => value === null))],
};

/** The calculation of a name, with its title. Undefined for an unknown one. */
export function reducerOf(name: string): { readonly title: string; readonly reduce: Reducer } | undefined {
  const percent = /^p(\d{1,2})$/.exec(name)?.[1];
  if (percent !== undefined)
    return { title: `${percent}th %`, reduce: ofNumbers(quantile(Number(percent) / 100)) };
  if (!Object.hasOwn(REDUCERS, name)) return undefined;
  const [title, reduce] = REDUCERS[name]!;
  return { title, reduce };
}
