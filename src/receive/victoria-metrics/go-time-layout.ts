/**
 * Times in a layout of Go's package time (https://pkg.go.dev/time#pkg-constants), which shows how Monday 2006-01-02
 * 15:04:05 -0700 would be written. Pure.
 */

type Part =
  | "year"
  | "shortYear"
  | "month"
  | "monthName"
  | "day"
  | "dayOfYear"
  | "hour"
  | "hour12"
  | "minute"
  | "second"
  | "fraction"
  | "half"
  | "zone"
  | "weekday";

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH = `(?:${MONTHS.join("|")})`;
const LONG_MONTH =
  "(?:january|february|march|april|may|june|july|august|september|october|november|december)";
const LONG_WEEKDAY = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)";

/** What stands for each part in a layout, longer texts before their beginnings, and what is accepted there. */
const TOKENS: readonly (readonly [token: string, part: Part, pattern: string])[] = [
  ["January", "monthName", LONG_MONTH],
  ["Jan", "monthName", MONTH],
  ["Monday", "weekday", LONG_WEEKDAY],
  ["Mon", "weekday", "(?:mon|tue|wed|thu|fri|sat|sun)"],
  ["MST", "zone", "(?:UTC|GMT)"],
  ["2006", "year", "\\d{4}"],
  ["-07:00:00", "zone", "[+-]\\d\\d:\\d\\d:\\d\\d"],
  ["-070000", "zone", "[+-]\\d{6}"],
  ["-07:00", "zone", "[+-]\\d\\d:\\d\\d"],
  ["-0700", "zone", "[+-]\\d{4}"],
  ["-07", "zone", "[+-]\\d\\d"],
  ["Z07:00", "zone", "(?:Z|[+-]\\d\\d:\\d\\d)"],
  ["Z0700", "zone", "(?:Z|[+-]\\d{4})"],
  ["Z07", "zone", "(?:Z|[+-]\\d\\d)"],
  ["002", "dayOfYear", "\\d{3}"],
  ["01", "month", "\\d\\d"],
  ["02", "day", "\\d\\d"],
  ["03", "hour12", "\\d\\d"],
  ["04", "minute", "\\d\\d"],
  ["05", "second", "\\d\\d"],
  ["06", "shortYear", "\\d\\d"],
  ["15", "hour", "\\d\\d"],
  ["_2", "day", "[ \\d]?\\d"],
  ["PM", "half", "[AP]M"],
  ["pm", "half", "[ap]m"],
  ["1", "month", "\\d\\d?"],
  ["2", "day", "\\d\\d?"],
  ["3", "hour12", "\\d\\d?"],
  ["4", "minute", "\\d\\d?"],
  ["5", "second", "\\d\\d?"],
];
const LAYOUT_CHARACTERS_MAX = 100;

/**
 * Parts that may appear twice, as in `-0700 MST`. Their texts have one length. Parts of one or two digits, one after the
 * other, could be matched in millions of ways.
 */
const REPEATABLE: readonly Part[] = ["zone", "weekday", "fraction"];

/**
 * The reader of a layout: it returns microseconds since 1970, or undefined for another text. Without a zone it reads UTC.
 * Undefined for a layout without a date, and for one that has a part twice.
 */
export function goTimeParser(layout: string): ((text: string) => number | undefined) | undefined {
  if (layout.length > LAYOUT_CHARACTERS_MAX) return undefined;
  const parts: Part[] = [];
  let source = "";
  for (let at = 0; at < layout.length; ) {
    const rest = layout.slice(at);
    // As Go: a fraction of zeros has exactly that many digits, one of nines at most any.
    const fraction = /^[.,](0+|9+)(?!\d)/.exec(rest);
    if (fraction !== null && parts.at(-1) === "second") {
      parts.push("fraction");
      source += fraction[1]!.startsWith("0") ? `[.,](\\d{${fraction[1]!.length}})` : "(?:[.,](\\d+))?";
      at += fraction[0].length;
      continue;
    }
    const found = TOKENS.find(([token]) => rest.startsWith(token));
    if (found === undefined) {
      source += rest[0]!.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
      at += 1;
      continue;
    }
    const [token, part, pattern] = found;
    if (parts.includes(part) && !REPEATABLE.includes(part)) return undefined;
    parts.push(part);
    source += `(${pattern})`;
    at += token.length;
    // As Go: a fraction is accepted behind seconds although the layout has none.
    if (part === "second" && !/^[.,](0+|9+)(?!\d)/.test(layout.slice(at))) {
      parts.push("fraction");
      source += "(?:[.,](\\d+))?";
    }
  }
  const hasYear = parts.includes("year") || parts.includes("shortYear");
  const hasDay =
    parts.includes("dayOfYear") ||
    (parts.includes("day") && (parts.includes("month") || parts.includes("monthName")));
  if (!hasYear || !hasDay) return undefined;
  const expression = new RegExp(`^${source}$`, "i");
  return (text) => {
    const match = expression.exec(text);
    if (match === null) return undefined;
    return usOf(new Map(parts.map((part, index) => [part, match[index + 1] ?? ""])));
  };
}

function usOf(parts: ReadonlyMap<Part, string>): number | undefined {
  const number = (part: Part, absent: number) => {
    const text = parts.get(part);
    return text === undefined || text === "" ? absent : Number(text);
  };
  const short = number("shortYear", 0);
  const year = number("year", short >= 69 ? 1900 + short : 2000 + short);
  const named = parts.get("monthName")?.slice(0, 3).toLowerCase();
  const dayOfYear = parts.has("dayOfYear") ? number("dayOfYear", 0) : undefined;
  const month =
    dayOfYear === undefined ? (named === undefined ? number("month", 1) : MONTHS.indexOf(named) + 1) : 1;
  const day = dayOfYear ?? number("day", 1);
  const half = parts.get("half")?.toLowerCase();
  const hour12 = parts.has("hour12") ? number("hour12", 0) : undefined;
  if (hour12 !== undefined && (hour12 < 1 || hour12 > 12)) return undefined;
  const hour =
    hour12 === undefined
      ? number("hour", 0)
      : half === "pm"
        ? (hour12 % 12) + 12
        : half === "am"
          ? hour12 % 12
          : hour12;
  const minute = number("minute", 0);
  const second = number("second", 0);
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // The calendar must have the day: 30 February would become 2 March.
  const isDate =
    dayOfYear === undefined
      ? date.getUTCMonth() === month - 1 && date.getUTCDate() === day
      : dayOfYear >= 1 && date.getUTCFullYear() === year;
  if (!isDate) return undefined;
  const fractionUs = Number((parts.get("fraction") ?? "").padEnd(6, "0").slice(0, 6));
  const zoneSeconds = zoneOf(parts.get("zone") ?? "");
  if (zoneSeconds === undefined) return undefined;
  return date.getTime() * 1000 + (hour * 3600 + minute * 60 + second - zoneSeconds) * 1e6 + fractionUs;
}

/** Seconds east of Greenwich. */
function zoneOf(text: string): number | undefined {
  const [, sign, hours = "0", minutes = "0", seconds = "0"] =
    /^([+-])(\d\d):?(\d\d)?:?(\d\d)?$/.exec(text) ?? [];
  if (sign === undefined) return 0;
  if (Number(hours) > 24 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const east = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return sign === "-" ? -east : east;
}
