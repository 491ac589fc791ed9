/**
 * Checks one JSON event field by field. An event has the form
 * `{"@timestamp": ms or RFC 3339, "metric_name", "value", "tags": {}, "type"?, "unit"?, "help"?}`; `timestamp`
 * and `name` are accepted as spellings of the first two. Exports also write `columns`, `metadata_type`, `exposed` and
 * `keeps_bounds` (src/query/export-lines.ts). Any other field is not stored, which is a warning. Pure.
 */
import { quote } from "../../model/errors.ts";
import {
  HELP_CHARACTERS_MAX,
  type Kind,
  METRIC_TYPES,
  type MetricType,
  type SeriesHead,
} from "../../model/sample.ts";
import { checkLabels, isMergeable, type NameLimits } from "../../series/naming.ts";
import { timeUs, whyNoTime } from "../../wire/event-time.ts";
import { InexactNumber } from "../../wire/json/exact-number.ts";
import { capped, sentInstead } from "./event-fields.ts";
import { type Loss, lossesOf } from "./event-losses.ts";
import { EVENTS } from "./events-protocol.ts";

/** A checked event: its series, and what belongs to this event alone. */
interface Event {
  readonly head: SeriesHead;
  /** Microseconds since the epoch, or NaN where the event has none. */
  readonly timestampUs: number;
  readonly value: number;
  /** True for a stale marker, which is stored without a value. */
  readonly stale: boolean;
  /** Tags that are columns, not labels. */
  readonly attributes: readonly (readonly [name: string, value: string])[];
  /** The parts that are not stored as they were sent. */
  readonly losses: readonly Loss[];
}

/** Why an event is invalid. */
interface WrongEvent {
  readonly cause: string;
  readonly reason: string;
}

/** What the field `type` of an event means. */
export const KINDS: Readonly<Record<string, { kind: Kind; type: MetricType }>> = {
  observation: { kind: "observation", type: "histogram" },
  counter: { kind: "delta", type: "counter" },
  gauge: { kind: "gauge", type: "gauge" },
  // What an export writes for running totals that their senders keep, so that an import reads them back.
  cumulative: { kind: "cumulative", type: "unknown" },
};

/**
 * Values for which JSON has no number, in the spellings of Prometheus, JavaScript and Python. An export writes them so
 * that an import reads them back.
 */
export const WORDS: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Inf", Number.POSITIVE_INFINITY],
  ["+Inf", Number.POSITIVE_INFINITY],
  ["-Inf", Number.NEGATIVE_INFINITY],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["+Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** The series ends here: Prometheus's stale marker, which is stored without a value. */
export const STALE = "stale";

/**
 * The number that a text means in an event of this `type`; NaN for `STALE`, undefined if it means none. Only a gauge and a
 * running total can have one: observations and increments are summed for good, and one NaN would make such a sum NaN.
 */
function valueOfWord(value: unknown, type: unknown): number | undefined {
  if (type !== "gauge" && type !== "cumulative") return undefined;
  return value === STALE ? Number.NaN : WORDS.get(value);
}

/** The store would replace it with U+FFFD. */
export const HALF = "contains half of a surrogate pair, which is not a character";

/**
 * Checks a parsed JSON value as an event.
 *
 * @param json a value of `parseExactJson`: digits that a float does not hold are kept as text where text is stored
 */
export function checkEvent(
  json: unknown,
  limits: NameLimits,
  isAttribute: (metric: string, tag: string) => boolean,
): Event | WrongEvent {
  const wrong = (cause: string, reason: string): WrongEvent => ({ cause, reason });
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return wrong("syntax", `expected an event as a JSON object, got ${quote(json)}`);
  }
  const event = json as Record<string, unknown>;
  const metric = event.metric_name ?? event.name;
  if (metric === undefined) {
    const wrapper = wrapperOf(event);
    if (wrapper !== undefined) {
      return wrong(
        "syntax",
        `metric_name is missing, and the field ${quote(capped(wrapper))} has an array: the body must be the array itself, ` +
          "without an object around it",
      );
    }
    return wrong("name", `metric_name is missing, expected a name${sentInstead(event, "metric_name")}`);
  }
  if (typeof metric !== "string") return wrong("name", `metric_name is ${quote(metric)}, expected a string`);
  const sent = event.value;
  const word = valueOfWord(sent, event.type);
  const value = word ?? (sent instanceof InexactNumber ? sent.value : sent);
  if (typeof value !== "number" || (word === undefined && !Number.isFinite(value))) {
    return wrong(
      "value",
      sent === undefined
        ? `value is missing, expected a number${sentInstead(event, "value")}`
        : `value is ${quote(sent)}, expected a finite number`,
    );
  }
  const time = event["@timestamp"] ?? event.timestamp;
  const timestampUs = time === undefined ? Number.NaN : timeUs(time);
  if (timestampUs === undefined) {
    return wrong("timestamp", `@timestamp is ${quote(time)}, ${whyNoTime(time)}`);
  }
  const typeName = event.type ?? "observation";
  const type = typeof typeName === "string" && Object.hasOwn(KINDS, typeName) ? KINDS[typeName] : undefined;
  if (type === undefined) {
    return wrong("type", `type is ${quote(typeName)}, expected observation, counter, gauge or cumulative`);
  }
  if (type.kind === "delta" && value < 0) {
    return wrong("value", `value is ${quote(value)}, expected no less than 0 for a counter`);
  }
  for (const field of ["unit", "help"] as const) {
    const text = event[field];
    if (text === undefined) continue;
    if (typeof text !== "string" || text.length > HELP_CHARACTERS_MAX) {
      return wrong(
        "syntax",
        `${field} is ${quote(text)}, expected a string of at most ${HELP_CHARACTERS_MAX} characters`,
      );
    }
    if (!text.isWellFormed()) return wrong("syntax", `${field} ${quote(text)} ${HALF}`);
  }
  const metadata = checkMetadata(event, type);
  if ("reason" in metadata) return metadata;
  const tags = checkTags(
    event.tags,
    limits,
    type.kind === "gauge" || type.kind === "cumulative" ? () => false : (tag) => isAttribute(metric, tag),
  );
  if ("reason" in tags) return tags;
  const columns = checkColumns(event.columns, type.kind, tags.labels, limits);
  if ("reason" in columns) return columns;
  const { unit, help } = event as { unit?: string; help?: string };
  const head = { metric, kind: type.kind, unit, help, labels: tags.labels, ...metadata };
  return {
    head,
    timestampUs,
    value,
    stale: sent === STALE,
    attributes: columns.length === 0 ? tags.attributes : [...tags.attributes, ...columns],
    losses: lossesOf(event, timestampUs),
  };
}

/** The types in the metadata that a kind can have. */
const TYPES_OF_KIND: Readonly<Record<Kind, readonly MetricType[]>> = {
  observation: ["histogram"],
  // The parts of a histogram of increments are increments.
  delta: ["counter", "histogram"],
  gauge: METRIC_TYPES,
  cumulative: METRIC_TYPES,
};

/** What an export says about a series beside its kind and its labels. */
function checkMetadata(
  event: Readonly<Record<string, unknown>>,
  { kind, type }: { readonly kind: Kind; readonly type: MetricType },
): Pick<SeriesHead, "type" | "exposed" | "keepsBoundText"> | WrongEvent {
  const { metadata_type: asked, exposed, keeps_bounds: keepsBoundText } = event;
  const found = asked === undefined ? type : TYPES_OF_KIND[kind].find((each) => each === asked);
  if (found === undefined) {
    const expected = TYPES_OF_KIND[kind].join(", ");
    return {
      cause: "type",
      reason: `metadata_type is ${quote(asked)}, expected one of ${expected} for this type of event`,
    };
  }
  for (const [name, flag] of Object.entries({ exposed, keeps_bounds: keepsBoundText })) {
    if (flag !== undefined && typeof flag !== "boolean")
      return { cause: "syntax", reason: `${name} is ${quote(flag)}, expected true or false` };
  }
  return exposed === undefined && keepsBoundText === undefined
    ? { type: found }
    : { type: found, exposed: exposed as boolean, keepsBoundText: keepsBoundText as boolean };
}

/** Labels that are part of the identity of a worker or a bucket. */
const NO_COLUMNS = ["le", "quantile", "job", "instance"];
const NONE: readonly [string, string][] = [];

/** The attributes of an event that no setting names: texts, by the names of their columns. */
function checkColumns(
  columns: unknown,
  kind: Kind,
  labels: ReadonlyMap<string, string>,
  limits: NameLimits,
): readonly [string, string][] | WrongEvent {
  if (columns === undefined) return NONE;
  const wrong = (reason: string): WrongEvent => ({ cause: "labels", reason });
  if (typeof columns !== "object" || columns === null || Array.isArray(columns))
    return wrong(`columns is ${quote(columns)}, expected an object`);
  if (!isMergeable(kind)) return wrong("columns are not supported by gauges and running totals");
  const found: [string, string][] = [];
  for (const [name, value] of Object.entries(columns as Record<string, unknown>)) {
    if (typeof value !== "string" || value === "")
      return wrong(`columns.${name} is ${quote(value)}, expected a text that is not empty`);
    if (labels.has(name)) return wrong(`columns.${name} is also a tag, expected one of them`);
    if (NO_COLUMNS.includes(name)) return wrong(`columns.${name} can only be a tag`);
    found.push([name, value]);
  }
  const problem = checkLabels(new Map([...labels, ...found]), kind, limits, EVENTS.terms);
  return problem === undefined ? found : { cause: problem.cause, reason: problem.refused };
}

const WRAPPERS: ReadonlySet<string> = new Set(["events", "metrics", "data", "samples"]);

/** The field of an object that has events in an array, as the APIs of other programs expect them. */
function wrapperOf(event: Readonly<Record<string, unknown>>): string | undefined {
  if (event.value !== undefined) return undefined;
  return Object.keys(event).find((name) => {
    const field = event[name];
    if (!Array.isArray(field)) return false;
    const first: unknown = field[0];
    return WRAPPERS.has(name) || (typeof first === "object" && first !== null && !Array.isArray(first));
  });
}

function checkTags(
  tags: unknown,
  limits: NameLimits,
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
    const isNumber = typeof raw === "number" || raw instanceof InexactNumber;
    if (typeof raw !== "string" && !isNumber && typeof raw !== "boolean") {
      return wrong(`tags.${name} is ${quote(raw)}, expected a string, a number or a boolean`);
    }
    // 1.0 and 1e0 are the tag "1", but two different ids beyond 2^53 must stay different.
    const value = raw instanceof InexactNumber ? raw.text : String(raw);
    if (!isAttribute(name)) {
      labels.push([name, value]);
      continue;
    }
    // Labels are checked at admission, once per series; attributes belong to each sample.
    const bytes = Buffer.byteLength(value);
    if (bytes > limits.tagValueBytesMax) {
      return wrong(
        `tags.${name} is ${bytes} bytes long, at most ${limits.tagValueBytesMax} are accepted (tagValueBytesMax)`,
      );
    }
    if (value.includes("\u0000")) return wrong(`tags.${name} contains a NUL character`);
    if (!value.isWellFormed()) {
      return wrong(`tags.${name} ${HALF}`);
    }
    attributes.push([name, value]);
  }
  const count = labels.length + attributes.length;
  if (count > limits.tagsMax)
    return wrong(`the event has ${count} tags, at most ${limits.tagsMax} are accepted (tagsMax)`);
  return { labels: new Map(labels.sort(([a], [b]) => (a < b ? -1 : 1))), attributes };
}
