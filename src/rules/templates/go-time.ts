/**
 * Times and durations as Go prints and formats them: https://pkg.go.dev/time. Times are in UTC, as in Prometheus.
 */
import { GoEnum, type GoFunction, GoObject, type GoParameter, type GoValue, STRING } from "./go-values.ts";
import { CallError } from "./template-errors.ts";

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const getter = (get: () => GoValue): GoFunction => ({ parameters: [], call: get });

/** A time with the resolution of a millisecond. */
export class GoTime extends GoObject {
  readonly typeName: string = "*time.Time";
  readonly ms: number;

  constructor(ms: number) {
    super();
    this.ms = ms;
  }

  override toText(): string {
    return formatGoTime(this.ms, "2006-01-02 15:04:05.999999999 -0700 MST");
  }

  override method(name: string): GoFunction | undefined {
    const date = new Date(this.ms);
    const of: Readonly<Record<string, () => GoValue>> = {
      Unix: () => BigInt(Math.floor(this.ms / 1000)),
      UnixMilli: () => BigInt(this.ms),
      UnixNano: () => BigInt(this.ms) * 1_000_000n,
      UTC: () => this,
      String: () => this.toText(),
      Year: () => BigInt(date.getUTCFullYear()),
      Month: () => new GoEnum("time.Month", date.getUTCMonth() + 1, MONTHS[date.getUTCMonth()]),
      Day: () => BigInt(date.getUTCDate()),
      Weekday: () => new GoEnum("time.Weekday", date.getUTCDay(), DAYS[date.getUTCDay()]),
      YearDay: () => BigInt(yearDay(date)),
      Hour: () => BigInt(date.getUTCHours()),
      Minute: () => BigInt(date.getUTCMinutes()),
      Second: () => BigInt(date.getUTCSeconds()),
      Nanosecond: () => BigInt(date.getUTCMilliseconds()) * 1_000_000n,
      IsZero: () => this.ms === ZERO_TIME_MS,
    };
    if (Object.hasOwn(of, name)) return getter(of[name]);
    switch (name) {
      case "Format":
        return { parameters: [STRING], call: ([layout]) => formatGoTime(this.ms, layout as string) };
      case "Sub":
        return {
          parameters: [TIME],
          call: ([other]) => new GoDuration(BigInt(this.ms - (other as GoTime).ms) * 1_000_000n),
        };
      case "Add":
        return {
          parameters: [DURATION],
          call: ([by]) => new GoTime(this.ms + Number((by as GoDuration).ns / 1_000_000n)),
        };
      case "Before":
        return { parameters: [TIME], call: ([other]) => this.ms < (other as GoTime).ms };
      case "After":
        return { parameters: [TIME], call: ([other]) => this.ms > (other as GoTime).ms };
      default:
        return undefined;
    }
  }
}

/** The time of Go's zero value: the first of January of the year 1. */
const ZERO_TIME_MS = -62_135_596_800_000;

export class GoDuration extends GoObject {
  readonly typeName: string = "time.Duration";
  readonly ns: bigint;

  constructor(ns: bigint) {
    super();
    this.ns = ns;
  }

  override toText(): string {
    return durationText(this.ns);
  }

  override toInteger(): bigint {
    return this.ns;
  }

  override method(name: string): GoFunction | undefined {
    const of: Readonly<Record<string, () => GoValue>> = {
      Nanoseconds: () => this.ns,
      Microseconds: () => this.ns / 1_000n,
      Milliseconds: () => this.ns / 1_000_000n,
      Seconds: () => Number(this.ns) / 1e9,
      Minutes: () => Number(this.ns) / 6e10,
      Hours: () => Number(this.ns) / 3.6e12,
      String: () => this.toText(),
    };
    return Object.hasOwn(of, name) ? getter(of[name]) : undefined;
  }
}

const TIME: GoParameter = {
  name: "time.Time",
  accepts: (value) => value instanceof GoTime,
  isNilable: false,
};
const DURATION: GoParameter = {
  name: "time.Duration",
  accepts: (value) => value instanceof GoDuration,
  isNilable: false,
};

/** `1h15m30.918s`: hours, minutes and seconds, and below a second the unit that makes a whole number. */
function durationText(ns: bigint): string {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const abs = ns < 0n ? -ns : ns;
  const withFraction = (unit: bigint) => {
    const fraction = (abs % unit)
      .toString()
      .padStart(String(unit).length - 1, "0")
      .replace(/0+$/, "");
    return fraction === "" ? "" : `.${fraction}`;
  };
  if (abs < 1_000n) return `${sign}${abs}ns`;
  if (abs < 1_000_000n) return `${sign}${abs / 1_000n}${withFraction(1_000n)}µs`;
  if (abs < 1_000_000_000n) return `${sign}${abs / 1_000_000n}${withFraction(1_000_000n)}ms`;
  const seconds = abs / 1_000_000_000n;
  const hours = seconds / 3_600n;
  const minutes = (seconds / 60n) % 60n;
  const rest = `${seconds % 60n}${withFraction(1_000_000_000n)}s`;
  if (hours > 0n) return `${sign}${hours}h${minutes}m${rest}`;
  return minutes > 0n ? `${sign}${minutes}m${rest}` : sign + rest;
}

function yearDay(date: Date): number {
  const start = Date.UTC(date.getUTCFullYear(), 0, 1);
  return Math.floor((date.getTime() - start) / 86_400_000) + 1;
}

/** The parts of a layout, longest first where one begins like another: https://pkg.go.dev/time#pkg-constants. */
const PARTS =
  /January|Jan|Monday|Mon|MST|2006|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07|002|__2|_2006|[.,]0+(?!\d)|[.,]9+(?!\d)|01|02|03|04|05|06|15|PM|pm|_2|1|2|3|4|5/g;

/** Formats a time in UTC by a layout of Go, such as `2006-01-02 15:04`. */
function formatGoTime(ms: number, layout: string): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) throw new CallError("the time is out of range");
  const two = (value: number) => String(value).padStart(2, "0");
  const year = date.getUTCFullYear();
  const yearText = year < 0 ? `-${String(-year).padStart(4, "0")}` : String(year).padStart(4, "0");
  const day = date.getUTCDate();
  const hour12 = date.getUTCHours() % 12 || 12;
  const month = date.getUTCMonth();
  const values: Readonly<Record<string, string>> = {
    January: MONTHS[month],
    Jan: MONTHS[month].slice(0, 3),
    Monday: DAYS[date.getUTCDay()],
    Mon: DAYS[date.getUTCDay()].slice(0, 3),
    MST: "UTC",
    "2006": yearText,
    _2006: `_${yearText}`,
    "-07:00:00": "+00:00:00",
    "-070000": "+000000",
    "-07:00": "+00:00",
    "-0700": "+0000",
    "-07": "+00",
    "002": String(yearDay(date)).padStart(3, "0"),
    __2: String(yearDay(date)).padStart(3, " "),
    "01": two(month + 1),
    "02": two(day),
    "03": two(hour12),
    "04": two(date.getUTCMinutes()),
    "05": two(date.getUTCSeconds()),
    "06": two(Math.abs(year) % 100),
    "15": two(date.getUTCHours()),
    PM: date.getUTCHours() < 12 ? "AM" : "PM",
    pm: date.getUTCHours() < 12 ? "am" : "pm",
    _2: String(day).padStart(2, " "),
    "1": String(month + 1),
    "2": String(day),
    "3": String(hour12),
    "4": String(date.getUTCMinutes()),
    "5": String(date.getUTCSeconds()),
  };
  return layout.replace(PARTS, (part, at: number) => {
    if (Object.hasOwn(values, part)) {
      // `Jan` is a month, but not in "January" misspelt: Go asks that no lower-case letter follows.
      if (part === "Jan" && /^[a-z]/.test(layout.slice(at + 3))) return part;
      if (part === "Mon" && /^[a-z]/.test(layout.slice(at + 3))) return part;
      return values[part];
    }
    if (part.startsWith("Z")) return "Z";
    return fraction(date, part);
  });
}

/** `.000` is a fraction with three digits, `.999` one without zeros at its end. */
function fraction(date: Date, part: string): string {
  const digits = part.length - 1;
  const written = `${String(date.getUTCMilliseconds()).padStart(3, "0")}000000`
    .slice(0, digits)
    .padEnd(digits, "0");
  if (part[1] === "0") return part[0] + written;
  const trimmed = written.replace(/0+$/, "");
  return trimmed === "" ? "" : part[0] + trimmed;
}
