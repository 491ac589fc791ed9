/**
 * Numbers and units as people read them. A unit is what the gateway stores of a metric (`ms`, `seconds`, `bytes`, `ratio`),
 * or what the end of its name says. Pure.
 */

const MINUS = "−";

/** A number with at most four significant digits, and a suffix of thousands: 1.235 k, 12.3 M. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : `${MINUS}∞`;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-4) return signed(value, size.toExponential(2));
  if (size < 10_000) return signed(value, digits(size, 4));
  return scaled(value, 1_000, ["", " k", " M", " G", " T", " P"]);
}

/** A whole number with thin spaces between thousands, for counts that must be exact. */
export function formatCount(value: number): string {
  return signed(
    value,
    Math.abs(Math.round(value))
      .toString()
      .replace(/\B(?=(\d{3})+$)/g, "\u2009"),
  );
}

export function formatBytes(value: number): string {
  return scaled(value, 1_024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]);
}

/** A time span: 850 µs, 12.3 ms, 4.2 s, 3 min 20 s, 5 h 3 min, 12 d 4 h. */
export function formatSeconds(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(size)) return formatNumber(value);
  if (size === 0) return "0 s";
  if (size < 1e-6) return signed(value, `${digits(size * 1e9, 3)} ns`);
  if (size < 1e-3) return signed(value, `${digits(size * 1e6, 3)} µs`);
  if (size < 1) return signed(value, `${digits(size * 1e3, 3)} ms`);
  if (size < 60) return signed(value, `${digits(size, 3)} s`);
  const seconds = Math.round(size);
  if (seconds < 3_600) return signed(value, pair(Math.floor(seconds / 60), "min", seconds % 60, "s"));
  const minutes = Math.round(size / 60);
  if (minutes < 1_440) return signed(value, pair(Math.floor(minutes / 60), "h", minutes % 60, "min"));
  const hours = Math.round(size / 3_600);
  return signed(value, pair(Math.floor(hours / 24), "d", hours % 24, "h"));
}

/** How a unit is shown, by its names. */
const UNITS: Readonly<Record<string, (value: number) => string>> = {
  bytes: formatBytes,
  byte: formatBytes,
  By: formatBytes,
  s: formatSeconds,
  seconds: formatSeconds,
  second: formatSeconds,
  ms: (value) => formatSeconds(value / 1e3),
  milliseconds: (value) => formatSeconds(value / 1e3),
  us: (value) => formatSeconds(value / 1e6),
  ns: (value) => formatSeconds(value / 1e9),
  ratio: (value) => `${formatNumber(value * 100)} %`,
  percent: (value) => `${formatNumber(value)} %`,
  watts: (value) => `${formatNumber(value)} W`,
  celsius: (value) => `${formatNumber(value)} °C`,
  volts: (value) => `${formatNumber(value)} V`,
  hertz: (value) => `${formatNumber(value)} Hz`,
  "bytes/s": (value) => `${formatBytes(value)}/s`,
  "1/s": (value) => `${formatNumber(value)}/s`,
};

/** A value in its unit. An unknown unit is written behind the number. */
export function formatValue(value: number, unit = ""): string {
  const known = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
  if (known !== undefined) return known(value);
  return unit === "" || unit === "1" ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}

/** The unit that the end of a metric's name says: `_bytes`, `_seconds`, `_ratio`, `_duration_ms`. Empty if none, as for buckets, which are numbers of events. */
export function unitOfName(name: string): string {
  const base = name.replace(/_(?:total|sum|max|min|avg)$/, "");
  const end = /[._]([a-z]+)$/.exec(base)?.[1] ?? "";
  return Object.hasOwn(UNITS, end) && end !== "s" && end !== "byte" ? end : "";
}

function scaled(value: number, step: number, suffixes: readonly string[]): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  let size = Math.abs(value);
  let at = 0;
  // 999.95 of a unit would be printed as 1000.
  while (size >= step * 0.99995 && at < suffixes.length - 1) {
    size /= step;
    at++;
  }
  return signed(value, digits(size, 4) + suffixes[at]);
}

/** A size with at most `count` significant digits, and without zeros at the end. */
function digits(size: number, count: number): string {
  return size >= 10 ** count ? String(Math.round(size)) : String(Number(size.toPrecision(count)));
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function signed(value: number, text: string): string {
  return value < 0 ? MINUS + text : text;
}
