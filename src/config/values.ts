/**
 * The types of settings: how each is read from text (a flag, a variable) or from TOML, and how it is printed.
 *
 * Reading is strict and pure. An invalid value throws `SettingError` with one sentence that says what was
 * expected. Durations and sizes accept a plain number, in the unit at the end of their name, or a suffix.
 */
import { formatDuration, parseDurationMs } from "../model/duration.ts";
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import type { Expectation } from "../model/alerts/expectation.ts";
import type { InhibitRule, Notifier } from "../model/alerts/notifier.ts";
import type { Destination } from "../model/forwarding/destination.ts";
import type { PeerGateway } from "../model/forwarding/peer.ts";
import type { Upstream } from "../model/forwarding/upstream.ts";
import type { ServiceLevel } from "../model/alerts/service-level.ts";
import type { ScrapeJob } from "../model/scrape-job.ts";
import {
  formatExpectations,
  formatServiceLevels,
  readExpectations,
  readServiceLevels,
} from "./expectations.ts";
import { formatDestinations, readDestinations } from "./forwarding/destinations.ts";
import type { Variables } from "./forwarding/otel-variables.ts";
import { formatPeers, readPeers } from "./forwarding/read-peers.ts";
import { formatUpstream, readUpstream } from "./forwarding/read-upstream.ts";
import { formatInhibitRules, formatNotifiers, readInhibitRules, readNotifiers } from "./notifiers.ts";
import { formatScrapeJobs, readScrapeJobs } from "./scrape-jobs.ts";
import { SettingError } from "./setting-error.ts";

/** An address to listen on. */
export type Listen =
  | { readonly hostname: string; readonly port: number; readonly path?: undefined }
  | { readonly path: string; readonly hostname?: undefined; readonly port?: undefined };

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** The type of a setting's value, with its bounds. */
export type Type =
  | { readonly is: "flag" }
  /** `optional` means that there may be no text. */
  | { readonly is: "text"; readonly optional?: true }
  | { readonly is: "names" }
  /** Paths and globs, which may contain commas. */
  | { readonly is: "patterns" }
  /** `optional` means that there may be no address. */
  | { readonly is: "listen"; readonly optional?: true }
  | { readonly is: "scrape" }
  | { readonly is: "notify" }
  | { readonly is: "inhibit" }
  | { readonly is: "forward" }
  | { readonly is: "upstream" }
  | { readonly is: "peers" }
  | { readonly is: "slo" }
  | { readonly is: "expect" }
  /** Rates per second by name: `requests=100,bytes=1MiB`. */
  | { readonly is: "limits"; readonly of: readonly string[] }
  | { readonly is: "choice"; readonly of: readonly string[] }
  | { readonly is: "choices"; readonly of: readonly string[] }
  | ({ readonly is: "count" } & Bounds)
  | ({ readonly is: "bytes" } & Bounds)
  | ({ readonly is: "milliseconds" } & Bounds)
  | ({ readonly is: "days" } & Bounds);

/** The TypeScript type of a setting's value. */
export type ValueOf<T extends Type> = T extends { is: "flag" }
  ? boolean
  : T extends { is: "text" }
    ? string
    : T extends { is: "names" | "patterns" }
      ? readonly string[]
      : T extends { is: "listen" }
        ? readonly Listen[]
        : T extends { is: "scrape" }
          ? readonly ScrapeJob[]
          : T extends { is: "notify" }
            ? readonly Notifier[]
            : T extends { is: "forward" }
              ? readonly Destination[]
              : T extends { is: "upstream" }
                ? readonly Upstream[]
                : T extends { is: "peers" }
                  ? readonly PeerGateway[]
                  : T extends { is: "inhibit" }
                    ? readonly InhibitRule[]
                    : T extends { is: "slo" }
                      ? readonly ServiceLevel[]
                      : T extends { is: "expect" }
                        ? readonly Expectation[]
                        : T extends { is: "limits"; of: readonly (infer Word extends string)[] }
                          ? Readonly<Partial<Record<Word, number>>>
                          : T extends { is: "choice"; of: readonly (infer Word)[] }
                            ? Word
                            : T extends { is: "choices"; of: readonly (infer Word)[] }
                              ? readonly Word[]
                              : number;

export type Value =
  | boolean
  | string
  | number
  | readonly string[]
  | readonly Listen[]
  | readonly ScrapeJob[]
  | readonly ServiceLevel[]
  | readonly Expectation[]
  | readonly Notifier[]
  | readonly InhibitRule[]
  | readonly Destination[]
  | readonly Upstream[]
  | readonly PeerGateway[]
  | Readonly<Partial<Record<string, number>>>;

/** Bytes of each suffix of a size. */
const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** True for settings that can be given more than once, or as a list with commas. */
export function isList(type: Type): boolean {
  return ["names", "patterns", "choices", "listen", "scrape", "limits"].includes(type.is);
}

/**
 * Reads the value of a flag or a variable (lists: one string each), or of TOML. `name` is for the error.
 *
 * @param env variables of other programs that are defaults of a part of a setting
 */
export function readValue(type: Type, raw: unknown, name: string, env: Variables = {}): Value {
  switch (type.is) {
    case "flag":
      return readFlag(raw, name);
    case "text":
      if (typeof raw === "string" && (raw.trim() !== "" || type.optional)) return raw;
      throw expected(name, "a text that is not empty", raw);
    case "names":
      return [...new Set(texts(raw, name))];
    case "patterns":
      return [...new Set(patterns(raw, name))];
    case "listen":
      return readListens(type, raw, name);
    case "scrape":
      return readScrapeJobs(raw, name);
    case "notify":
      return readNotifiers(raw, name);
    case "forward":
      return readDestinations(raw, name, env);
    case "upstream":
      return readUpstream(raw, name);
    case "peers":
      return readPeers(raw, name);
    case "inhibit":
      return readInhibitRules(raw, name);
    case "slo":
      return readServiceLevels(raw, name);
    case "expect":
      return readExpectations(raw, name);
    case "limits":
      return readLimits(type.of, raw, name);
    case "choice":
      return readChoice(type.of, raw, name);
    case "choices": {
      const words = texts(raw, name);
      return [...new Set(words.map((word) => readChoice(type.of, word, name)))];
    }
    default:
      return readNumber(type, raw, name);
  }
}

function readFlag(raw: unknown, name: string): boolean {
  if (typeof raw === "boolean") return raw;
  if (raw === "true" || raw === "on" || raw === "yes" || raw === "1") return true;
  if (raw === "false" || raw === "off" || raw === "no" || raw === "0") return false;
  throw expected(name, "true or false", raw);
}

function readChoice(of: readonly string[], raw: unknown, name: string): string {
  // A word that is a number may be written as one in a file.
  const word = typeof raw === "number" ? String(raw) : raw;
  if (typeof word === "string" && of.includes(word)) return word;
  const near = typeof raw === "string" ? nearest(raw, of) : undefined;
  throw expected(name, `one of ${of.join(", ")}`, raw, near);
}

/** A list is an array, or text with commas. An empty text is an empty list. */
function texts(raw: unknown, name: string): string[] {
  const parts = Array.isArray(raw) ? raw : [raw];
  const words = parts.flatMap((part) => {
    if (typeof part !== "string") throw expected(name, "a list of texts", part);
    return part.split(",");
  });
  return words.map((word) => word.trim()).filter((word) => word !== "");
}

/** As `texts`, but a comma within braces belongs to a glob: `{a,b}*.json`. */
function patterns(raw: unknown, name: string): string[] {
  const parts = Array.isArray(raw) ? raw : [raw];
  const words = parts.flatMap((part) => {
    if (typeof part !== "string") throw expected(name, "a list of paths and globs", part);
    return part.split(/,(?![^{]*\})/);
  });
  return words.map((word) => word.trim()).filter((word) => word !== "");
}

function readListens({ optional }: { readonly optional?: true }, raw: unknown, name: string): Listen[] {
  const words = texts(raw, name);
  if (words.length === 0 && optional !== true) throw expected(name, "at least one address", raw);
  return words.map((word) => {
    const path = /^unix:(.+)$/.exec(word)?.[1];
    if (path !== undefined) return { path };
    const [, bracketed, plain, digits] =
      /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):([0-9]{1,5})$/.exec(word) ?? [];
    const port = Number(digits);
    if (digits === undefined || port > 65_535) {
      throw expected(name, "HOST:PORT with a port up to 65535, or unix:PATH", word);
    }
    return { hostname: bracketed ?? plain, port };
  });
}

/** A rate may be a fraction: a scrape every ten seconds is `scrapes=0.1`. The last value of a name counts. */
function readLimits(of: readonly string[], raw: unknown, name: string): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const word of texts(raw, name)) {
    const [, key = "", amount] = /^([^=]*)=(.*)$/.exec(word) ?? [];
    if (amount === undefined || !of.includes(key)) {
      const near = nearest(key, of);
      const expectation = `limits such as ${of[0]}=100, of ${of.join(", ")}`;
      throw expected(name, expectation, word, near === key ? undefined : near);
    }
    const rate = parseNumber(amount, key === "bytes" ? SIZES : {});
    if (rate === undefined || rate <= 0 || rate > RATE_MAX)
      throw expected(name, `a number above 0 and up to ${RATE_MAX} per second after ${key}=`, word);
    limits[key] = rate;
  }
  return limits;
}

/** More units per second than any machine handles. */
const RATE_MAX = 1e12;

const UNITS = {
  count: { what: "a whole number", suffixes: {} as Readonly<Record<string, number>> },
  bytes: { what: "a size such as 1048576 or 32MiB", suffixes: SIZES },
  milliseconds: { what: "a duration such as 1500 (milliseconds), 15s or 1h", suffixes: {} },
  days: { what: "a whole number of days such as 7", suffixes: { d: 1 } as Readonly<Record<string, number>> },
} as const;

function readNumber(type: Type & { is: keyof typeof UNITS }, raw: unknown, name: string): number {
  const { what, suffixes } = UNITS[type.is];
  const value =
    typeof raw === "number"
      ? raw
      : (parseNumber(raw, suffixes) ?? (type.is === "milliseconds" ? parseDuration(raw) : undefined));
  // A fraction with a suffix (1.5h) is accepted if the result is an integer.
  if (value === undefined || !Number.isSafeInteger(value) || value < 0) throw expected(name, what, raw);
  const min = type.min ?? 0;
  const max = type.max ?? Number.MAX_SAFE_INTEGER;
  if (value < min) throw expected(name, `at least ${formatValue(type, min)}`, raw);
  if (value > max) throw expected(name, `at most ${formatValue(type, max)}`, raw);
  return value;
}

function parseNumber(raw: unknown, suffixes: Readonly<Record<string, number>>): number | undefined {
  if (typeof raw !== "string") return undefined;
  const [, digits, suffix] = /^([0-9][0-9_]*(?:\.[0-9]+)?) ?([a-zA-Z]*)$/.exec(raw.trim()) ?? [];
  if (digits === undefined) return undefined;
  const number = Number(digits.replaceAll("_", ""));
  if (suffix === "") return number;
  const factor = Object.hasOwn(suffixes, suffix) ? suffixes[suffix] : undefined;
  // Rounded to a thousandth first, because 1.1 * 1000 is 1100.0000000000002 in binary.
  return factor === undefined ? undefined : Math.round(number * factor * 1_000) / 1_000;
}

function parseDuration(raw: unknown): number | undefined {
  return typeof raw === "string"
    ? parseDurationMs(raw.trim().replace(/(?<=\d)_(?=\d)| (?=[a-z])/g, ""), "decimals")
    : undefined;
}

function expected(name: string, what: string, raw: unknown, near?: string): SettingError {
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  return new SettingError(`${name} is ${quote(raw)}, expected ${what}${hint}.`);
}

/** The value as on a command line: `1h`, `32MiB`, `a,b`. */
export function formatValue(type: Type, value: Value): string {
  if (type.is === "listen") return (value as readonly Listen[]).map(formatListen).join(",");
  if (type.is === "scrape") return formatScrapeJobs(value as readonly ScrapeJob[]);
  if (type.is === "notify") return formatNotifiers(value as readonly Notifier[]);
  if (type.is === "forward") return formatDestinations(value as readonly Destination[]);
  if (type.is === "peers") return formatPeers(value as readonly PeerGateway[]);
  if (type.is === "upstream") return formatUpstream(value as readonly Upstream[]);
  if (type.is === "inhibit") return formatInhibitRules(value as readonly InhibitRule[]);
  if (type.is === "slo") return formatServiceLevels(value as readonly ServiceLevel[]);
  if (type.is === "expect") return formatExpectations(value as readonly Expectation[]);
  if (Array.isArray(value)) return value.join(",");
  if (type.is === "limits")
    return Object.entries(value as Record<string, number>)
      .map(([key, rate]) => `${key}=${rate}`)
      .join(",");
  if (type.is === "milliseconds") return value === 0 ? "0" : formatDuration(value as number);
  if (type.is === "bytes") return withSuffix(value as number, SIZES) ?? `${value}`;
  return `${value}`;
}

export function formatListen(listen: Listen): string {
  if (listen.path !== undefined) return `unix:${listen.path}`;
  return listen.hostname.includes(":")
    ? `[${listen.hostname}]:${listen.port}`
    : `${listen.hostname}:${listen.port}`;
}

/** The number with the largest suffix that leaves an integer. Undefined if only the smallest unit does. */
function withSuffix(value: number, suffixes: Readonly<Record<string, number>>): string | undefined {
  const fitting = Object.entries(suffixes)
    .filter(([, factor]) => factor > 1 && value > 0 && value % factor === 0)
    .sort(([, a], [, b]) => b - a)[0];
  return fitting === undefined ? undefined : `${value / fitting[1]}${fitting[0]}`;
}
