/** Values in the units of Grafana (https://github.com/grafana/grafana, packages/grafana-data/src/valueFormats), as this page writes them. Pure. */
import { binarySteps, timeSteps } from "../../../format/axis-steps.ts";
import { formatAgo, formatTime, type Zone } from "../../../format/times.ts";
import { formatNumber, formatSeconds } from "../../../format/units.ts";

export interface UnitOptions {
  /** Digits behind the point. By default at most four digits are significant. */
  readonly decimals?: number;
  readonly zone?: Zone;
  readonly nowMs?: number;
}

const MINUS = "−";
const SI = ["", "k", "M", "G", "T", "P", "E"];
const IEC = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** Units with prefixes: what one of it is in the base unit, the base unit, and the step from prefix to prefix. */
const PREFIXED: Readonly<Record<string, readonly [factor: number, base: string, step: 1000 | 1024]>> = {
  short: [1, "", 1000],
  sishort: [1, "", 1000],
  bytes: [1, "B", 1024],
  kbytes: [1024, "B", 1024],
  mbytes: [1024 ** 2, "B", 1024],
  gbytes: [1024 ** 3, "B", 1024],
  tbytes: [1024 ** 4, "B", 1024],
  decbytes: [1, "B", 1000],
  deckbytes: [1e3, "B", 1000],
  decmbytes: [1e6, "B", 1000],
  decgbytes: [1e9, "B", 1000],
  dectbytes: [1e12, "B", 1000],
  bits: [1, "b", 1024],
  decbits: [1, "b", 1000],
  Bps: [1, "B/s", 1000],
  binBps: [1, "B/s", 1024],
  KBs: [1e3, "B/s", 1000],
  KiBs: [1024, "B/s", 1024],
  MBs: [1e6, "B/s", 1000],
  MiBs: [1024 ** 2, "B/s", 1024],
  GBs: [1e9, "B/s", 1000],
  GiBs: [1024 ** 3, "B/s", 1024],
  bps: [1, "b/s", 1000],
  binbps: [1, "b/s", 1024],
  Kbits: [1e3, "b/s", 1000],
  Mbits: [1e6, "b/s", 1000],
  Gbits: [1e9, "b/s", 1000],
  pps: [1, "p/s", 1000],
  hertz: [1, "Hz", 1000],
  rothz: [1, "Hz", 1000],
  watt: [1, "W", 1000],
  kwatt: [1e3, "W", 1000],
  watth: [1, "Wh", 1000],
  kwatth: [1e3, "Wh", 1000],
  joule: [1, "J", 1000],
  volt: [1, "V", 1000],
  kvolt: [1e3, "V", 1000],
  amp: [1, "A", 1000],
  ohm: [1, "Ω", 1000],
  lengthm: [1, "m", 1000],
  massg: [1, "g", 1000],
};

/** Units that stand behind the number, which gets a suffix of thousands. */
const SUFFIXED: Readonly<Record<string, string>> = {
  ...{ ops: "ops/s", reqps: "req/s", rps: "rd/s", wps: "wr/s", iops: "io/s", cps: "c/s", eps: "evt/s" },
  ...{ mps: "msg/s", recps: "rec/s", rowsps: "rows/s", opm: "ops/min", rpm: "rd/min", wpm: "wr/min" },
  ...{ reqpm: "req/min", cpm: "c/min", epm: "evt/min", recpm: "rec/min", mpm: "msg/min" },
  ...{ celsius: "°C", fahrenheit: "°F", kelvin: "K", humidity: "%H", degree: "°", radian: "rad" },
  ...{ dB: "dB", dBm: "dBm", ppm: "ppm", rotrpm: "rpm", pressurebar: "bar", pressurehpa: "hPa" },
  ...{ flops: "FLOPS", mflops: "MFLOPS", gflops: "GFLOPS", Hs: "H/s", lumens: "lm", lux: "lx" },
  ...{ currencyUSD: "$", currencyEUR: "€", currencyGBP: "£", currencyJPY: "¥", currencyCHF: "CHF" },
};

/** Units of time in seconds. */
const SECONDS: Readonly<Record<string, number>> = {
  ...{ ns: 1e-9, µs: 1e-6, us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3_600, d: 86_400 },
  ...{ dtdurationms: 1e-3, dtdurations: 1, clockms: 1e-3, clocks: 1, dthms: 1, dtdhms: 1, timeticks: 0.01 },
};

const SPANS: readonly (readonly [seconds: number, unit: string])[] = [
  [604_800, "weeks"],
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];

const TIMES = /^(?:dateTimeAs|dateTimeFromNow|time:)/;

/** A value in a unit of Grafana. An unknown unit is written behind the number, as in Grafana. */
export function formatUnit(value: number, unit: string, options: UnitOptions = {}): string {
  const { decimals, zone = "local", nowMs = Date.now() } = options;
  if (Number.isNaN(value)) return "NaN";
  if (TIMES.test(unit))
    return unit.startsWith("dateTimeFromNow") ? formatAgo(value, nowMs) : formatTime(value, zone);
  if (Object.hasOwn(SECONDS, unit)) return span(value * SECONDS[unit]!, decimals);
  if (unit === "percent") return `${plain(value, decimals)} %`;
  if (unit === "percentunit") return `${plain(value * 100, decimals)} %`;
  if (Object.hasOwn(PREFIXED, unit)) {
    const [factor, base, step] = PREFIXED[unit]!;
    return prefixed(value * factor, base, step, decimals);
  }
  if (Object.hasOwn(SUFFIXED, unit)) return behind(value, SUFFIXED[unit]!, decimals);
  const [, kind, custom = ""] = /^(prefix|suffix|count|si|currency|bool|boolean):(.*)$/s.exec(unit) ?? [];
  if (kind === "prefix" || kind === "currency") return `${custom}${plain(value, decimals)}`;
  if (kind === "si") return prefixed(value, custom, 1000, decimals);
  if (kind !== undefined) return behind(value, custom, decimals);
  switch (unit) {
    case "":
    case "none":
    case "string":
    case "locale":
      return plain(value, decimals);
    case "sci":
      return value.toExponential(decimals ?? 3);
    case "hex":
      return Math.round(value).toString(16).toUpperCase();
    case "hex0x":
      return `0x${Math.round(value).toString(16).toUpperCase()}`;
    case "bool":
      return value === 0 ? "False" : "True";
    case "bool_yes_no":
      return value === 0 ? "No" : "Yes";
    case "bool_on_off":
      return value === 0 ? "Off" : "On";
    default:
      return behind(value, unit, decimals);
  }
}

/** The distances between the marks of an axis in a unit. Undefined if decimal ones are right. */
export function unitSteps(unit: string): number[] | undefined {
  if (Object.hasOwn(SECONDS, unit)) return timeSteps(SECONDS[unit]!);
  const [factor, , step] = Object.hasOwn(PREFIXED, unit) ? PREFIXED[unit]! : [1, "", 1000];
  return step === 1024 && factor === 1 ? binarySteps() : undefined;
}

/** A number without a suffix of thousands, unless it is large and may be rounded. */
function plain(value: number, decimals: number | undefined): string {
  if (decimals === undefined || !Number.isFinite(value)) return formatNumber(value);
  return signed(value, Math.abs(value).toFixed(decimals));
}

function behind(value: number, suffix: string, decimals: number | undefined): string {
  return `${plain(value, decimals)} ${suffix}`.trimEnd();
}

function prefixed(value: number, base: string, step: 1000 | 1024, decimals: number | undefined): string {
  if (!Number.isFinite(value)) return `${formatNumber(value)} ${base}`.trimEnd();
  const prefixes = step === 1000 ? SI : IEC;
  let size = Math.abs(value);
  let power = 0;
  // 999.95 of a unit would be written as 1000.
  while (size >= step * 0.99995 && power < prefixes.length - 1) {
    size /= step;
    power++;
  }
  return signed(value, `${digitsOf(size, decimals)} ${prefixes[power]}${base}`.trimEnd());
}

function span(seconds: number, decimals: number | undefined): string {
  if (decimals === undefined || !Number.isFinite(seconds)) return formatSeconds(seconds);
  const size = Math.abs(seconds);
  const [length, unit] = SPANS.find(([least]) => size >= least) ?? (size === 0 ? [1, "s"] : SPANS.at(-1)!);
  return signed(seconds, `${(size / length).toFixed(decimals)} ${unit}`);
}

function digitsOf(size: number, decimals: number | undefined): string {
  if (decimals !== undefined) return size.toFixed(decimals);
  return size >= 10_000 ? String(Math.round(size)) : String(Number(size.toPrecision(4)));
}

function signed(value: number, text: string): string {
  return value < 0 ? MINUS + text : text;
}
