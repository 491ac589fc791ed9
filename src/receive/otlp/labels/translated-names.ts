/**
 * The names that OpenTelemetry's metrics, attributes and units have in Prometheus, by the rules of its OTLP translator
 * (https://github.com/prometheus/otlptranslator) and of the compatibility specification
 * (https://github.com/open-telemetry/opentelemetry-specification/blob/main/specification/compatibility/prometheus_and_openmetrics.md).
 * Pure.
 *
 * Names must equal those of a Prometheus that receives the same metrics, so that its dashboards and rules work here.
 * This includes its odd ones: `tibibytes`, and a `total` that is removed from the middle of a counter's name.
 */

/** What a translation changes. */
export interface Translation {
  /** Characters outside Prometheus's classic set become `_`. */
  readonly escapes: boolean;
  /** Metric names get their unit, and `_total` or `_ratio`. */
  readonly suffixes: boolean;
}

/** The translations by the value of the setting `otlpTranslation`, which can also be spelled as in Prometheus. */
export const TRANSLATIONS = {
  "underscore-escaping-with-suffixes": { escapes: true, suffixes: true },
  "no-utf8-escaping-with-suffixes": { escapes: false, suffixes: true },
  "underscore-escaping-without-suffixes": { escapes: true, suffixes: false },
  "no-translation": { escapes: false, suffixes: false },
  UnderscoreEscapingWithSuffixes: { escapes: true, suffixes: true },
  NoUTF8EscapingWithSuffixes: { escapes: false, suffixes: true },
  UnderscoreEscapingWithoutSuffixes: { escapes: true, suffixes: false },
  NoTranslation: { escapes: false, suffixes: false },
} as const satisfies Record<string, Translation>;

/** The types whose names differ from others: a counter ends with `_total`, a gauge without a unit with `_ratio`. */
export type NamedType = "counter" | "gauge" | "other";

/** Units of UCUM (https://ucum.org/ucum) that Prometheus spells out. Other units keep their spelling. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ["d", "days"],
  ["h", "hours"],
  ["min", "minutes"],
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["us", "microseconds"],
  ["ns", "nanoseconds"],
  ["By", "bytes"],
  ["KiBy", "kibibytes"],
  ["MiBy", "mebibytes"],
  ["GiBy", "gibibytes"],
  ["TiBy", "tibibytes"],
  ["KBy", "kilobytes"],
  ["MBy", "megabytes"],
  ["GBy", "gigabytes"],
  ["TBy", "terabytes"],
  ["m", "meters"],
  ["V", "volts"],
  ["A", "amperes"],
  ["J", "joules"],
  ["W", "watts"],
  ["g", "grams"],
  ["Cel", "celsius"],
  ["Hz", "hertz"],
  ["1", ""],
  ["%", "percent"],
]);

/** Units after a slash, in the singular. */
const PER_UNITS: ReadonlyMap<string, string> = new Map([
  ["s", "second"],
  ["m", "minute"],
  ["h", "hour"],
  ["d", "day"],
  ["w", "week"],
  ["mo", "month"],
  ["y", "year"],
]);

/**
 * The name of a metric, or undefined if nothing is left of it: it is empty, or has only characters that become
 * underscores.
 */
export function metricName(
  name: string,
  unit: string,
  type: NamedType,
  { escapes, suffixes }: Translation,
): string | undefined {
  if (!escapes) return (suffixes ? withSuffixes(name, unit, type) : name) || undefined;
  const parts = suffixes ? suffixedParts(name, unit, type) : wordsOf(name, /[^a-zA-Z0-9:_]+/u);
  const joined = parts.join("_");
  const translated = /^[0-9]/.test(joined) ? `_${joined}` : joined;
  return translated === "" || (translated !== name && isOnlyUnderscores(translated)) ? undefined : translated;
}

/** The name of an attribute as a label, or undefined if nothing is left of it. */
export function labelName(name: string, { escapes }: Translation): string | undefined {
  if (!escapes) return name === "" || isOnlyUnderscores(name) ? undefined : name;
  let label = name.replace(/[^a-zA-Z0-9_]/gu, "_");
  if (/^[0-9]/.test(label)) label = `key_${label}`;
  else if (/^_(?!_)/.test(label)) label = `key${label}`;
  return label === "" || isOnlyUnderscores(label) ? undefined : label;
}

/** The unit in metadata: `By/s` is `bytes_per_second`. Empty for `1` and for annotations such as `{request}`. */
export function unitName(unit: string): string {
  const [main, per] = unitsOf(unit);
  const both = [cleanUnit(main), cleanUnit(per)].filter((each) => each !== "").join("_");
  return both.replace(/^_|_$/g, "");
}

/** The words of a name with those of its unit and type, for names that are escaped. */
function suffixedParts(name: string, unit: string, type: NamedType): string[] {
  const [main, per] = unitsOf(unit);
  let words = withUnit(wordsOf(name, /[^a-zA-Z0-9:]+/u), cleanUnit(main), cleanUnit(per));
  if (type === "counter") words = atEnd(words, "total");
  // Many senders give counters of things the unit 1, so only gauges are ratios.
  if (type === "gauge" && unit === "1") words = atEnd(words, "ratio");
  return words;
}

/** Adds the parts of a unit that the words lack. */
function withUnit(words: readonly string[], mainUnit: string, perUnit: string): string[] {
  let main = words.includes(mainUnit) ? "" : mainUnit;
  let per = perUnit === "per_" ? "" : perUnit.replace(/_$/, "");
  if (words.includes(per)) per = "";
  if (per !== "") main = main.replace(/_$/, "");
  return [...words, main, per].filter((each) => each !== "");
}

function atEnd(words: readonly string[], last: string): string[] {
  return [...words.filter((word) => word !== last), last];
}

/** Adds the suffixes of unit and type to a name that is not escaped, each once. */
function withSuffixes(name: string, unit: string, type: NamedType): string {
  const [main, per] = unitsOf(unit);
  const last = type === "counter" ? "total" : type === "gauge" && unit === "1" ? "ratio" : "";
  let base = name;
  if (last !== "") base = withoutSuffix(base, last);
  if (per !== "") base = withoutSuffix(base, per);
  if (main !== "" && !base.endsWith(main)) base = `${base}_${main}`;
  return [base, per, last].filter((part, at) => at === 0 || part !== "").join("_");
}

/** Removes a suffix and the character before it. */
function withoutSuffix(name: string, suffix: string): string {
  return name.endsWith(suffix) && name.length > suffix.length + 1
    ? name.slice(0, -(suffix.length + 1))
    : name;
}

/** The unit before the first slash, and `per_` with the one after it. Annotations in braces are no units. */
function unitsOf(unit: string): [main: string, per: string] {
  const slash = unit.indexOf("/");
  const main = withoutAnnotation(slash < 0 ? unit : unit.slice(0, slash));
  const per = slash < 0 ? "" : withoutAnnotation(unit.slice(slash + 1));
  return [UNITS.get(main) ?? main, per === "" ? "" : `per_${PER_UNITS.get(per) ?? per}`];
}

function withoutAnnotation(unit: string): string {
  return /[{}]/.test(unit) ? "" : unit.trim();
}

function cleanUnit(unit: string): string {
  return unit.replace(/[^a-zA-Z0-9:]+/gu, "_").replace(/^_/, "");
}

function wordsOf(name: string, between: RegExp): string[] {
  return name.split(between).filter((word) => word !== "");
}

function isOnlyUnderscores(name: string): boolean {
  return /^_+$/.test(name);
}
