/**
 * One JSON event, checked field by field: the form of an event is
 * `{"@timestamp": ms or RFC 3339, "metric_name", "value", "tags": {}, "type"?, "unit"?, "help"?}`; `timestamp`
 * and `name` are taken as spellings of the first two. Pure.
 */
import { quote } from "../errors.ts";
import type { Kind, MetricType, SeriesHead } from "../sample.ts";
import { STALE, valueOfWord } from "./value-words.ts";

export interface EventLimits {
  readonly nameBytesMax: number;
  readonly tagsMax: number;
  readonly tagValueBytesMax: number;
}

/** A checked event: its series and what is its own. */
export interface Event {
  readonly head: SeriesHead;
  /** Microseconds since the epoch, or NaN where the event has none. */
  readonly timestampUs: number;
  readonly value: number;
  /** True for a stale marker, which is stored without a value. */
  readonly stale: boolean;
  /** Tags that are columns, not labels. */
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

/** What is wrong with an event. */
export interface WrongEvent {
  readonly cause: string;
  readonly reason: string;
}

const KINDS: Readonly<Record<string, { kind: Kind; type: MetricType }>> = {
  observation: { kind: "observation", type: "histogram" },
  counter: { kind: "delta", type: "counter" },
  gauge: { kind: "gauge", type: "gauge" },
  // What an export writes for running totals that their senders keep, so that it can be imported again.
  cumulative: { kind: "cumulative", type: "unknown" },
};

const HELP_CHARACTERS_MAX = 1_024;

/** Checks a parsed JSON value as an event. */
export function checkEvent(
  json: unknown,
  limits: EventLimits,
  isAttribute: (metric: string, tag: string) => boolean,
): Event | WrongEvent {
  const wrong = (cause: string, reason: string): WrongEvent => ({ cause, reason });
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return wrong("syntax", `an event is an object, this is ${quote(json)}`);
  }
  const event = json as Record<string, unknown>;
  const metric = event.metric_name ?? event.name;
  if (metric === undefined) return wrong("name", "metric_name is missing, expected a name");
  if (typeof metric !== "string") return wrong("name", `metric_name is ${quote(metric)}, expected a string`);
  const word = valueOfWord(event.value, event.type);
  const value = word ?? event.value;
  if (typeof value !== "number" || (word === undefined && !Number.isFinite(value))) {
    return wrong(
      "value",
      value === undefined
        ? "value is missing, expected a number"
        : `value is ${quote(value)}, expected a finite number`,
    );
  }
  const time = event["@timestamp"] ?? event.timestamp;
  const timestampUs = time === undefined ? Number.NaN : timeUs(time);
  if (timestampUs === undefined) {
    return wrong(
      "timestamp",
      `@timestamp is ${quote(time)}, expected milliseconds since 1970 or an RFC 3339 time`,
    );
  }
  const typeName = event.type ?? "observation";
  const type = typeof typeName === "string" && Object.hasOwn(KINDS, typeName) ? KINDS[typeName] : undefined;
  if (type === undefined) {
    return wrong("type", `type is ${quote(typeName)}, expected observation, counter, gauge or cumulative`);
  }
  if (type.kind === "delta" && value < 0) {
    return wrong("value", `value is ${quote(value)}, a counter's increment is not negative`);
  }
  for (const field of ["unit", "help"] as const) {
    const text = event[field];
    if (text !== undefined && (typeof text !== "string" || text.length > HELP_CHARACTERS_MAX)) {
      return wrong(
        "syntax",
        `${field} is ${quote(text)}, expected a string of at most ${HELP_CHARACTERS_MAX} characters`,
      );
    }
  }
  const tags = checkTags(
    event.tags,
    limits,
    type.kind === "gauge" || type.kind === "cumulative" ? () => false : (tag) => isAttribute(metric, tag),
  );
  if ("reason" in tags) return tags;
  const { unit, help } = event as { unit?: string; help?: string };
  const head = { metric, kind: type.kind, type: type.type, unit, help, labels: tags.labels };
  return { head, timestampUs, value, stale: event.value === STALE, attributes: tags.attributes };
}

function checkTags(
  tags: unknown,
  limits: EventLimits,
  isAttribute: (tag: string) => boolean,
): { labels: Map<string, string>; attributes: [string, string][] } | WrongEvent {
  const wrong = (reason: string): WrongEvent => ({ cause: "labels", reason });
  if (tags === undefined || tags === null) return { labels: new Map(), attributes: [] };
  if (typeof tags !== "object" || Array.isArray(tags))
    return wrong(`tags is ${quote(tags)}, expected an object`);
  const labels: [string, string][] = [];
  const attributes: [string, string][] = [];
  for (const [name, raw] of Object.entries(tags)) {
    if (raw === null || raw === "") continue;
    if (typeof raw !== "string" && typeof raw !== "number" && typeof raw !== "boolean") {
      return wrong(`tags.${name} is ${quote(raw)}, expected a string, a number or a boolean`);
    }
    const value = String(raw);
    if (!isAttribute(name)) {
      labels.push([name, value]);
      continue;
    }
    // Labels are checked at admission, once a series; attributes are each sample's own.
    const bytes = Buffer.byteLength(value);
    if (bytes > limits.tagValueBytesMax) {
      return wrong(
        `tags.${name} is ${bytes} bytes long, at most ${limits.tagValueBytesMax} are taken (tagValueBytesMax)`,
      );
    }
    if (value.includes("\u0000")) return wrong(`tags.${name} holds a NUL character`);
    if (!value.isWellFormed()) {
      return wrong(`tags.${name} holds half of a surrogate pair, which is no character`);
    }
    attributes.push([name, value]);
  }
  const count = labels.length + attributes.length;
  if (count > limits.tagsMax)
    return wrong(`there are ${count} tags, at most ${limits.tagsMax} are taken (tagsMax)`);
  return { labels: new Map(labels.sort(([a], [b]) => (a < b ? -1 : 1))), attributes };
}

/** RFC 3339, section 5.6; the fraction is kept to microseconds. */
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;
/** Times that fit whole in a double as microseconds, with room: the years -10000 to 10000. */
const MILLISECONDS_MAX = 378_000_000_000_000;

/** Microseconds of a time in milliseconds or RFC 3339; undefined for anything else. */
export function timeUs(time: unknown): number | undefined {
  if (typeof time === "number") {
    return Math.abs(time) <= MILLISECONDS_MAX ? Math.round(time * 1000) : undefined;
  }
  if (typeof time !== "string") return undefined;
  const match = RFC_3339.exec(time);
  if (match === null) return undefined;
  // Date.parse takes 30 February for 2 March.
  const day = Date.parse(match[1]!);
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(match[1]!)) return undefined;
  const seconds = Date.parse(`${match[1]}T${match[2]}${match[4]!.toUpperCase()}`);
  if (Number.isNaN(seconds)) return undefined;
  return seconds * 1000 + Number((match[3] ?? "").padEnd(6, "0").slice(0, 6));
}
