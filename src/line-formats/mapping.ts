/**
 * `--map`: which fields of a line are the metric, the value, the time, the type, the unit and the tags of its events.
 *
 *     value=duration_ms,value=bytes:upload.size_bytes,metric=name,timestamp=time:ms,type:=gauge,skip=msg
 *
 * `TARGET=FIELD` takes a field of the line, `TARGET:=TEXT` is a text that is the same for all lines. README.md beside this
 * file describes the targets. Pure.
 */
import { BadInput, quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import { type FieldTime, readTimeForm } from "./field-time.ts";

/** Takes a part of an event from a field of the line, or is the same for all lines. */
type Source =
  | { readonly kind: "field"; readonly field: string; readonly entry: string }
  | { readonly kind: "constant"; readonly text: string; readonly entry: string };

/** A value of each line. */
interface ValueSource {
  readonly source: Source;
  /** The metric, if the entry names one. */
  readonly metric: string | undefined;
}

/** The time of each line: a field, or none, so that events have the time of their arrival. */
type TimeSource = { readonly field: string; readonly form: FieldTime; readonly entry: string } | "arrival";

/** Which fields of a line become which parts of its events. */
export interface Mapping {
  /** Empty if the format says which fields are values. */
  readonly values: readonly ValueSource[];
  readonly metric: Source | undefined;
  /** Undefined for the first of `TIME_FIELDS` that a line has. */
  readonly timestamp: TimeSource | undefined;
  readonly type: Source | undefined;
  readonly unit: Source | undefined;
  /** By field: the name of its tag. Undefined if all other fields are tags. */
  readonly tags: ReadonlyMap<string, string> | undefined;
  /** Fields that are not stored. */
  readonly skipped: ReadonlySet<string>;
}

/** The fields in which a line's time is looked for, if `--map` names none. */
export const TIME_FIELDS: readonly string[] = ["@timestamp", "timestamp", "time", "ts"];

const TARGETS = ["metric", "value", "timestamp", "type", "unit", "tags", "skip"] as const;
type Target = (typeof TARGETS)[number];

/** Names that users may expect for targets. */
const SYNONYMS: ReadonlyMap<string, Target> = new Map([
  ["name", "metric"],
  ["metric_name", "metric"],
  ["time", "timestamp"],
  ["ts", "timestamp"],
  ["@timestamp", "timestamp"],
  ["tag", "tags"],
  ["label", "tags"],
  ["labels", "tags"],
  ["kind", "type"],
  ["drop", "skip"],
  ["ignore", "skip"],
]);

const TYPES = ["observation", "counter", "gauge", "cumulative"] as const;
/** More entries than a line can have tags. */
const ENTRIES_MAX = 1_000;

/** One entry of `--map`. */
interface Entry {
  readonly text: string;
  readonly target: Target;
  readonly isConstant: boolean;
  /** What follows the equals sign. */
  readonly rest: string;
}

/**
 * Reads the texts of `--map`, which are joined.
 *
 * @param needsValue whether the format does not say which fields of a line are values
 * @throws BadInput that quotes the entry
 */
export function readMapping(texts: readonly string[], needsValue: boolean): Mapping {
  const entries = texts.flatMap(split).map(readEntry);
  if (entries.length > ENTRIES_MAX)
    throw wrong(`has ${entries.length} entries, at most ${ENTRIES_MAX} are accepted`);
  const of = (target: Target) => entries.filter((entry) => entry.target === target);
  const one = (target: Target) => {
    const [first, second] = of(target);
    if (second !== undefined)
      throw wrong(
        `has two entries for ${target}, ${quote(first!.text)} and ${quote(second.text)}; expected one`,
      );
    return first;
  };
  const [metric, type, unit, timestamp] = [one("metric"), one("type"), one("unit"), one("timestamp")];
  const mapping: Mapping = {
    values: of("value").map(readValueEntry),
    metric: metric && sourceOf(metric),
    timestamp: timestamp && timeOf(timestamp),
    type: type && sourceOf(type),
    unit: unit && sourceOf(unit),
    tags: of("tags").length === 0 ? undefined : new Map(of("tags").map(tagOf)),
    skipped: new Set(of("skip").map(fieldOf)),
  };
  check(mapping, needsValue);
  return mapping;
}

/** The mapping with other names of fields. */
export function withFields(mapping: Mapping, rename: (field: string) => string): Mapping {
  const renamed = (source: Source | undefined): Source | undefined =>
    source?.kind === "field" ? { ...source, field: rename(source.field) } : source;
  const { values, metric, timestamp, type, unit, tags, skipped } = mapping;
  return {
    values: values.map((value) => ({ ...value, source: renamed(value.source)! })),
    metric: renamed(metric),
    timestamp: typeof timestamp === "object" ? { ...timestamp, field: rename(timestamp.field) } : timestamp,
    type: renamed(type),
    unit: renamed(unit),
    tags: tags && new Map([...tags].map(([field, name]) => [rename(field), name])),
    skipped: new Set([...skipped].map(rename)),
  };
}

/** The fields that each line must have, with the entries that name them. */
export function requiredFields({ values, metric, timestamp, type, unit }: Mapping): [string, string][] {
  const sources = [...values.map(({ source }) => source), metric, type, unit];
  const found = sources.flatMap((source): [string, string][] =>
    source?.kind === "field" ? [[source.field, source.entry]] : [],
  );
  return typeof timestamp === "object" ? [...found, [timestamp.field, timestamp.entry]] : found;
}

function check({ values, metric, type }: Mapping, needsValue: boolean): void {
  if (values.length === 0 && needsValue)
    throw wrong(
      "names no value; expected value=FIELD, with the field that has the number, such as value=duration_ms",
    );
  const [first, second] = values;
  const unnamed = values.find((value) => value.source.kind === "constant" && value.metric === undefined);
  if (unnamed !== undefined && metric === undefined)
    throw wrong(
      `has ${quote(unnamed.source.entry)} without a metric; expected metric:=NAME or metric=FIELD, too`,
    );
  if (unnamed !== undefined && second !== undefined)
    throw wrong(
      `has ${quote(unnamed.source.entry)} beside ${quote((unnamed.source === first!.source ? second : first!).source.entry)}; expected one value`,
    );
  const names = values.map(
    ({ source, metric: name }) => name ?? (source.kind === "field" ? source.field : ""),
  );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw wrong(
      `has two values of the metric ${quote(twice)}; expected different metrics, as in value=FIELD:METRIC`,
    );
  if (type?.kind === "constant" && !(TYPES as readonly string[]).includes(type.text))
    throw wrong(`has the type ${quote(type.text)}; expected observation, counter, gauge or cumulative`);
}

function readValueEntry(entry: Entry): ValueSource {
  if (entry.isConstant) {
    if (!/^-?\d+(\.\d+)?$/.test(entry.rest))
      throw wrong(`has ${quote(entry.text)}; expected a number after :=, such as value:=1`);
    return { source: { kind: "constant", text: entry.rest, entry: entry.text }, metric: undefined };
  }
  const { field, suffix } = fieldAndSuffix(entry, "METRIC");
  return { source: { kind: "field", field, entry: entry.text }, metric: suffix };
}

function sourceOf(entry: Entry): Source {
  const { isConstant, rest, text } = entry;
  if (!isConstant) return { kind: "field", field: fieldOf(entry), entry: text };
  if (rest === "") throw wrong(`has ${quote(text)}; expected a text after :=`);
  return { kind: "constant", text: unquoted(rest) ?? rest, entry: text };
}

function timeOf(entry: Entry): TimeSource {
  if (entry.isConstant) {
    if (entry.rest === "arrival") return "arrival";
    throw wrong(`has ${quote(entry.text)}; expected timestamp=FIELD, or timestamp:=arrival`);
  }
  const { field, suffix } = fieldAndSuffix(entry, "FORM");
  const form = readTimeForm(suffix);
  if (form === undefined)
    throw wrong(
      `has the form of time ${quote(suffix)} in ${quote(entry.text)}; expected s, ms, us, ns, rfc3339, utc, or an ` +
        "offset such as +02:00",
    );
  return { field, form, entry: entry.text };
}

function tagOf(entry: Entry): [field: string, name: string] {
  const { field, suffix } = fieldAndSuffix(entry, "NAME");
  return [field, suffix ?? field];
}

/** The field of an entry that has nothing else. */
function fieldOf(entry: Entry): string {
  if (entry.isConstant) throw wrong(`has ${quote(entry.text)}; expected ${entry.target}=FIELD`);
  const field = unquoted(entry.rest) ?? entry.rest;
  if (field === "") throw wrong(`has ${quote(entry.text)}; expected the name of a field after =`);
  return field;
}

/** `FIELD` or `FIELD:SUFFIX`. A field with a colon stands in quotation marks. */
function fieldAndSuffix(entry: Entry, what: string): { field: string; suffix: string | undefined } {
  if (entry.isConstant) throw wrong(`has ${quote(entry.text)}; expected ${entry.target}=FIELD`);
  const match = /^("(?:[^"]|"")*"|[^":][^:]*)(?::(.*))?$/s.exec(entry.rest);
  const [, name = "", suffix] = match ?? [];
  const field = unquoted(name) ?? name;
  if (field === "" || suffix === "")
    throw wrong(`has ${quote(entry.text)}; expected ${entry.target}=FIELD or ${entry.target}=FIELD:${what}`);
  return { field, suffix: suffix === undefined ? undefined : (unquoted(suffix) ?? suffix) };
}

function readEntry(text: string): Entry {
  const match = /^\s*([^\s=:"]+)(:?)=(.*)$/s.exec(text);
  if (match === null)
    throw wrong(
      `has the entry ${quote(text)}; expected TARGET=FIELD or TARGET:=TEXT, such as value=duration_ms`,
    );
  const [, target = "", colon, rest = ""] = match;
  const known = TARGETS.find((each) => each === target);
  if (known === undefined) {
    const meant = SYNONYMS.get(target.toLowerCase()) ?? nearest(target, TARGETS);
    const hint = meant === undefined ? "" : `; did you mean ${quote(meant)}?`;
    throw wrong(
      `has the target ${quote(target)} in ${quote(text)}; expected metric, value, timestamp, type, unit, tags or ` +
        `skip${hint}`,
    );
  }
  return { text: text.trim(), target: known, isConstant: colon === ":", rest: rest.trim() };
}

/** The entries of a text: commas separate them, except in quotation marks. */
function split(text: string): string[] {
  const entries: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at <= text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted;
    if (at < text.length && (isQuoted || text[at] !== ",")) continue;
    entries.push(text.slice(from, at));
    from = at + 1;
  }
  if (isQuoted) throw wrong(`has ${quote(text)}, whose quotation mark is not closed`);
  return entries;
}

function unquoted(text: string): string | undefined {
  return /^"(?:[^"]|"")*"$/s.test(text) ? text.slice(1, -1).replaceAll('""', '"') : undefined;
}

function wrong(what: string): BadInput {
  return new BadInput(`--map ${what}.`.replace(/\?\.$/, "?"), "map");
}
