/**
 * The functions that Prometheus adds to templates:
 * https://prometheus.io/docs/prometheus/latest/configuration/template_reference/. Regular expressions have RE2's syntax
 * and run in linear time.
 */
import type { RE2JS } from "re2js";
import { parseDurationMs } from "../../model/duration.ts";
import { re2 } from "../../program/deferred-libraries.ts";
import { compareText } from "../../query/promql/labels.ts";
import { parseFloatStrict, quoteText } from "../../query/promql/promql-text.ts";
import { escapeQuery } from "./builtin-functions.ts";
import { goFloatText } from "./go-number-text.ts";
import { isBackquotable } from "./go-print.ts";
import { GoDuration, GoTime } from "./go-time.ts";
import {
  ANY,
  type GoFunction,
  GoList,
  GoMap,
  type GoParameter,
  type GoSample,
  GoStruct,
  type GoValue,
  labelMap,
  STRING,
  type TemplateRun,
  typeNameOf,
} from "./go-values.ts";
import { CallError } from "./template-errors.ts";

const SAMPLE_TYPE = "*template.sample";
const RESULT_TYPE = "template.queryResult";

const SAMPLE: GoParameter = {
  name: SAMPLE_TYPE,
  accepts: (value) => value instanceof GoStruct && value.typeName === SAMPLE_TYPE,
  isNilable: true,
};
const RESULT: GoParameter = {
  name: RESULT_TYPE,
  accepts: (value) => value instanceof GoList && value.typeName === RESULT_TYPE,
  isNilable: true,
};

function sampleStruct({ labels, value }: GoSample): GoStruct {
  return new GoStruct(
    SAMPLE_TYPE,
    new Map<string, GoValue>([
      ["Labels", labelMap(labels)],
      ["Value", value],
    ]),
  );
}

function fieldOf(sample: GoValue, name: "Labels" | "Value"): GoValue {
  if (sample === undefined) {
    throw new CallError("runtime error: invalid memory address or nil pointer dereference");
  }
  return (sample as GoStruct).fields.get(name);
}

function labelOf(sample: GoValue, name: string): string {
  return ((fieldOf(sample, "Labels") as GoMap).entries.get(name) ?? "") as string;
}

/** A number, or a text that is one. */
function toFloat(value: GoValue): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof GoDuration) return Number(value.ns) / 1e9;
  if (typeof value !== "string") throw new CallError(`can't convert ${typeNameOf(value)} to float`);
  const number = parseFloatStrict(value);
  if (number === undefined) {
    throw new CallError(`strconv.ParseFloat: parsing ${quoteText(value)}: invalid syntax`);
  }
  return number;
}

const text4 = (value: number) => goFloatText(value, "g", 4);

const INT64_MAX = 2 ** 63;
const LARGE = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

function withPrefix(value: number, prefixes: readonly string[], base: number): string {
  let rest = value;
  let prefix = "";
  for (const next of prefixes) {
    if (base > 1 ? Math.abs(rest) < base : Math.abs(rest) >= 1) break;
    prefix = next;
    rest = base > 1 ? rest / base : rest * 1000;
  }
  return text4(rest) + prefix;
}

function humanize(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return text4(value);
  return Math.abs(value) >= 1 ? withPrefix(value, LARGE, 1000) : withPrefix(value, SMALL, 0);
}

function humanize1024(value: number): string {
  return Math.abs(value) <= 1 || !Number.isFinite(value) ? text4(value) : withPrefix(value, BINARY, 1024);
}

function humanizeDuration(value: number): string {
  if (!Number.isFinite(value)) return text4(value);
  if (value === 0) return `${text4(value)}s`;
  if (Math.abs(value) < 1) return `${withPrefix(value, SMALL, 0)}s`;
  const sign = value < 0 ? "-" : "";
  // Go converts what is too large to the smallest integer of 64 bits.
  const total = Math.abs(value) < INT64_MAX ? BigInt(Math.trunc(Math.abs(value))) : BigInt(-INT64_MAX);
  const seconds = total % 60n;
  const minutes = (total / 60n) % 60n;
  const hours = (total / 3_600n) % 24n;
  const days = total / 86_400n;
  if (days !== 0n) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`;
  if (hours !== 0n) return `${sign}${hours}h ${minutes}m ${seconds}s`;
  if (minutes !== 0n) return `${sign}${minutes}m ${seconds}s`;
  return `${sign}${text4(Math.abs(value))}s`;
}

/** A time in seconds; undefined if it is NaN or infinite. */
function toTime(value: number): GoTime | undefined {
  if (!Number.isFinite(value)) return undefined;
  const ns = value * 1e9;
  if (ns > INT64_MAX || ns < -INT64_MAX) {
    throw new CallError(
      `${goFloatText(value, "g")} cannot be represented as a nanoseconds timestamp since it overflows int64`,
    );
  }
  return new GoTime(Number(BigInt(Math.trunc(ns)) / 1_000_000n));
}

function finite<Result>(value: number, convert: (value: number) => Result | undefined): Result {
  const converted = convert(value);
  if (converted === undefined) throw new CallError("value is NaN or Inf");
  return converted;
}

function toDuration(value: number): GoDuration | undefined {
  if (!Number.isFinite(value)) return undefined;
  const ns = value * 1e9;
  if (ns > INT64_MAX || ns < -INT64_MAX) {
    throw new CallError(
      `${goFloatText(value, "g")} cannot be represented as a duration since it overflows int64`,
    );
  }
  return new GoDuration(BigInt(Math.trunc(ns)));
}

/** Maps character by character, as Go does: "ß" has no capital letter. */
function mapped(text: string, map: (character: string) => string): string {
  return [...text]
    .map((character) => {
      const other = map(character);
      return [...other].length === 1 ? other : character;
    })
    .join("");
}

const toUpper = (text: string) => mapped(text, (character) => character.toUpperCase());

/** Go's strings.Title: a letter after a character that is neither a letter nor a digit nor an underscore. */
function title(text: string): string {
  let isStart = true;
  return [...text]
    .map((character) => {
      const shown = isStart ? toUpper(character) : character;
      const isAscii = character.charCodeAt(0) < 0x80;
      isStart = isAscii ? !/[A-Za-z0-9_]/.test(character) : /\p{White_Space}/u.test(character);
      return shown;
    })
    .join("");
}

function compiled(pattern: string): RE2JS {
  try {
    return re2().RE2JS.compile(pattern);
  } catch (error) {
    throw new CallError((error as Error).message);
  }
}

/** Matching takes a step per character and state. */
function spendMatch(run: TemplateRun, pattern: string, text: string): void {
  run.spend((text.length * (16 + pattern.length)) / 1_024);
}

/** Go's Regexp.ReplaceAllString: `$1`, `$name` and `${name}` in the replacement; `$$` is a dollar sign. */
function replaceAll(pattern: string, replacement: string, text: string): string {
  const expression = safely(pattern);
  const names = expression.namedGroups();
  const matcher = expression.matcher(text);
  let result = "";
  let end = 0;
  while (matcher.find()) {
    const found = matcher.start();
    result += text.slice(end, found);
    end = matcher.end();
    result += replacement.replace(
      /\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
      (_, dollar: string | undefined, braced: string | undefined, plain: string | undefined) => {
        if (dollar !== undefined) return "$";
        const name = braced ?? plain!;
        const group = /^\d+$/.test(name) ? Number(name) : Object.hasOwn(names, name) ? names[name] : -1;
        return group < 0 || group > matcher.groupCount() ? "" : (matcher.group(group) ?? "");
      },
    );
  }
  return result + text.slice(end);
}

/** In Go a pattern that is not valid panics here, with its own message. */
function safely(pattern: string): RE2JS {
  try {
    return re2().RE2JS.compile(pattern);
  } catch (error) {
    const quoted = isBackquotable(pattern) ? `\`${pattern}\`` : quoteText(pattern);
    throw new CallError(`regexp: Compile(${quoted}): ${(error as Error).message}`);
  }
}

/** Go's net.SplitHostPort; undefined if the text has no port. */
function splitHostPort(text: string): { readonly host: string; readonly port: string } | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const port = text.slice(colon + 1);
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0 || close + 1 !== colon) return undefined;
    const host = text.slice(1, close);
    return /[[\]]/.test(host + port) ? undefined : { host, port };
  }
  const host = text.slice(0, colon);
  return /[:[\]]/.test(host) || /[[\]]/.test(port) ? undefined : { host, port };
}

function isAddress(host: string): boolean {
  const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  if (new RegExp(`^${octet}(?:\\.${octet}){3}$`).test(host)) return true;
  return host.includes(":") && URL.canParse(`http://[${host}]/`);
}

/** `www.example.org:80` → `www:80` */
function stripDomain(text: string): string {
  const { host, port } = splitHostPort(text) ?? { host: text, port: "" };
  if (isAddress(host)) return text;
  const [first] = host.split(".");
  return port === "" ? first : `${first}:${port}`;
}

function durationSeconds(text: string): number {
  if (text === "") throw new CallError("empty duration string");
  const ms = text === "0" ? 0 : parseDurationMs(text);
  if (ms === undefined) throw new CallError(`not a valid duration string: ${quoteText(text)}`);
  return ms / 1000;
}

const ofFloat = (convert: (value: number) => GoValue): GoFunction => ({
  parameters: [ANY],
  call: ([value]) => convert(toFloat(value)),
});
const ofString = (convert: (text: string) => GoValue): GoFunction => ({
  parameters: [STRING],
  call: ([text], run) => {
    run.spend((text as string).length / 64);
    return convert(text as string);
  },
});

/** The path of a URL as Go's url.URL has it: empty if there is none. */
const pathOf = (url: string) => /^[a-z][a-z\d+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? "";

export const PROMETHEUS_FUNCTIONS: Readonly<Record<string, GoFunction>> = {
  query: {
    parameters: [STRING],
    call: ([expression], run) => new GoList(RESULT_TYPE, run.query(expression as string).map(sampleStruct)),
  },
  first: {
    parameters: [RESULT],
    call: ([result]) => {
      const [first] = (result as GoList | undefined)?.items ?? [];
      if (first === undefined) throw new CallError("first() called on vector with no elements");
      return first;
    },
  },
  label: { parameters: [STRING, SAMPLE], call: ([name, sample]) => labelOf(sample, name as string) },
  value: { parameters: [SAMPLE], call: ([sample]) => fieldOf(sample, "Value") },
  strvalue: { parameters: [SAMPLE], call: ([sample]) => labelOf(sample, "__value__") },
  sortByLabel: {
    parameters: [STRING, RESULT],
    call: ([label, result], run) => {
      const list = (result ?? new GoList(RESULT_TYPE, [])) as GoList;
      run.spend(list.items.length);
      // Go sorts the list itself, so that a variable sees the new order too.
      list.items.sort((a, b) => compareText(labelOf(a, label as string), labelOf(b, label as string)));
      return list;
    },
  },
  args: {
    parameters: [ANY],
    isVariadic: true,
    call: (args) => new GoMap("map[string]interface {}", new Map(args.map((arg, at) => [`arg${at}`, arg]))),
  },
  tmpl: { parameters: [STRING, ANY], call: ([name, dot], run) => run.invoke(name as string, dot) },
  humanize: ofFloat(humanize),
  humanize1024: ofFloat(humanize1024),
  humanizeDuration: ofFloat(humanizeDuration),
  humanizePercentage: ofFloat((value) => `${text4(value * 100)}%`),
  humanizeTimestamp: ofFloat((value) => toTime(value)?.toText() ?? text4(value)),
  toTime: ofFloat((value) => finite(value, toTime)),
  toDuration: ofFloat((value) => finite(value, toDuration)),
  now: { parameters: [], call: (_args, run) => run.timeMs / 1000 },
  title: ofString(title),
  toUpper: ofString(toUpper),
  toLower: ofString((text) => mapped(text, (character) => character.toLowerCase())),
  graphLink: ofString((expression) => `/graph?g0.expr=${escapeQuery(expression)}&g0.tab=0`),
  tableLink: ofString((expression) => `/graph?g0.expr=${escapeQuery(expression)}&g0.tab=1`),
  urlQueryEscape: ofString(escapeQuery),
  match: {
    parameters: [STRING, STRING],
    call: ([pattern, text], run) => {
      spendMatch(run, pattern as string, text as string);
      return compiled(pattern as string)
        .matcher(text as string)
        .find();
    },
  },
  reReplaceAll: {
    parameters: [STRING, STRING, STRING],
    call: ([pattern, replacement, text], run) => {
      spendMatch(run, pattern as string, text as string);
      return replaceAll(pattern as string, replacement as string, text as string);
    },
  },
  safeHtml: ofString((text) => text),
  stripPort: ofString((text) => splitHostPort(text)?.host ?? text),
  stripDomain: ofString(stripDomain),
  parseDuration: ofString(durationSeconds),
  pathPrefix: { parameters: [], call: (_args, run) => pathOf(run.externalURL) },
  externalURL: { parameters: [], call: (_args, run) => run.externalURL },
};
