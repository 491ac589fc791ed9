/**
 * Durations as text: `1h30m`, as Prometheus writes them
 * (https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations). Settings,
 * parameters, arguments and PromQL all read and print them here. Pure.
 */

export const DAY_MS = 86_400_000;

/** The longest time of a timer, 24.8 days. A timer that gets a longer one fires at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** From large to small, as they must follow each other. */
const UNITS_MS = [
  ["y", 365 * DAY_MS],
  ["w", 7 * DAY_MS],
  ["d", DAY_MS],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const grammar = (number: string) =>
  new RegExp(`^(?=.)${UNITS_MS.map(([unit]) => `(?:(${number})${unit})?`).join("")}$`);
const INTEGERS = grammar("\\d+");
const DECIMALS = grammar("\\d+(?:\\.\\d+)?");

/**
 * The whole milliseconds of a duration such as `1h30m`. Each unit is given at most once, from large to small. Undefined
 * if the text is not a duration.
 *
 * @param numbers `decimals` also accepts `1.5h`. PromQL does not.
 */
export function parseDurationMs(
  text: string,
  numbers: "integers" | "decimals" = "integers",
): number | undefined {
  const match = (numbers === "integers" ? INTEGERS : DECIMALS).exec(text);
  if (match === null) return undefined;
  const ms = UNITS_MS.reduce((total, [, unitMs], at) => total + Number(match[at + 1] ?? 0) * unitMs, 0);
  // 1.1 * 1000 is 1100.0000000000002 in binary.
  const rounded = Math.round(ms * 1_000) / 1_000;
  return Number.isInteger(rounded) ? rounded : undefined;
}

/** Prints a duration as Prometheus does: `1h30m`. Years, weeks and days only where there is no remainder. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  let text = durationMs < 0 ? "-" : "";
  let rest = Math.abs(Math.round(durationMs));
  for (const [unit, unitMs] of UNITS_MS) {
    const exactOnly = unit === "y" || unit === "w" || unit === "d";
    if (exactOnly && (rest % unitMs !== 0 || rest === 0)) continue;
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text;
}
