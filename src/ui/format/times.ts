/** Times and ranges of times as people read and write them. Pure, but for the time zone of the browser. */

/** The time zone in which times are shown: that of the browser, or UTC. */
export type Zone = "local" | "utc";

const options = (zone: Zone): Intl.DateTimeFormatOptions => ({
  ...{ year: "numeric", month: "2-digit", day: "2-digit" },
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  ...(zone === "utc" ? { timeZone: "UTC" } : {}),
});

/** `2026-11-26 21:05:09` */
export function formatTime(ms: number, zone: Zone = "local"): string {
  const parts = new Map(
    new Intl.DateTimeFormat("en-GB", options(zone)).formatToParts(ms).map(({ type, value }) => [type, value]),
  );
  const [date, time] = [
    ["year", "month", "day"],
    ["hour", "minute", "second"],
  ].map((names) => names.map((name) => parts.get(name as Intl.DateTimeFormatPartTypes)));
  return `${date!.join("-")} ${time!.join(":")}`;
}

/**
 * The times at parts of a range, each as short as the range allows: with seconds if it is some minutes long, with the day
 * if it is longer than a day.
 *
 * @param times of the range, in seconds since 1970
 * @param parts between 0 and 1
 */
export function timesAt(parts: readonly number[], times: readonly number[], zone: Zone): string[] {
  const first = times[0] ?? 0;
  const span = (times.at(-1) ?? first) - first;
  return parts.map((part) => {
    const text = formatTime((first + part * span) * 1_000, zone);
    if (span > 86_400) return text.slice(5, 16);
    return span < 600 ? text.slice(11) : text.slice(11, 16);
  });
}

const STEPS: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** How long ago a time is: `just now`, `12 s ago`, `3 h ago`; `in 5 min` for a later one. */
export function formatAgo(ms: number, nowMs: number): string {
  const seconds = Math.round((nowMs - ms) / 1000);
  const size = Math.abs(seconds);
  if (size < 2) return "just now";
  const [step, unit] = STEPS.find(([least]) => size >= least)!;
  const text = `${Math.floor(size / step)} ${unit}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** A time of an answer in SQL, which is UTC: `2026-11-26 21:05:09.123`. */
export function sqlTimeMs(text: string): number {
  return Date.parse(`${text.replace(" ", "T")}${/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? "" : "Z"}`);
}

/** A range of times: the last `lastMs` milliseconds, or from one time to another. */
export type TimeRange = { readonly lastMs: number } | { readonly fromMs: number; readonly toMs: number };

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The milliseconds of `15m`, `1h30m`, `2d`. Undefined for other texts. */
export function parseSpan(text: string): number | undefined {
  if (!/^(?:\d+[smhdw])+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)([smhdw])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNITS_MS[unit!]!,
    0,
  );
}

/** The shortest text of a span that `parseSpan` reads. */
export function spanText(ms: number): string {
  let rest = Math.round(ms / 1000);
  let text = "";
  for (const [unit, unitMs] of Object.entries(UNITS_MS).reverse()) {
    const count = Math.floor(rest / (unitMs / 1000));
    if (count === 0 || (unit === "w" && rest % 604_800 !== 0)) continue;
    text += `${count}${unit}`;
    rest -= count * (unitMs / 1000);
  }
  return text === "" ? "0s" : text;
}

/** The range of the parameters `range` (`1h`), or `from` and `to` (milliseconds), of an address. */
export function rangeOf(query: URLSearchParams, otherwise: TimeRange): TimeRange {
  const lastMs = parseSpan(query.get("range") ?? "");
  if (lastMs !== undefined && lastMs > 0) return { lastMs };
  const [from, to] = [query.get("from"), query.get("to")].map(Number);
  return from! > 0 && to! > from! ? { fromMs: from!, toMs: to! } : otherwise;
}

/** The parameters of a range, for an address. */
export function rangeQuery(range: TimeRange): Record<"range" | "from" | "to", string | undefined> {
  return "lastMs" in range
    ? { range: spanText(range.lastMs), from: undefined, to: undefined }
    : { range: undefined, from: String(Math.round(range.fromMs)), to: String(Math.round(range.toMs)) };
}

/** The two ends of a range. */
export function endsOf(range: TimeRange, nowMs: number): { readonly fromMs: number; readonly toMs: number } {
  return "lastMs" in range ? { fromMs: nowMs - range.lastMs, toMs: nowMs } : range;
}
