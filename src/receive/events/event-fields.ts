/**
 * The fields of an event, and what becomes of others: an unknown field is not stored, and the sender is told so with
 * the field that was probably meant. Pure but for the suggestions that it remembers.
 */
import { quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";

/** Fields by their names as they are compared. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ["metricname", "metric_name"],
  ["name", "metric_name"],
  ["value", "value"],
  ["timestamp", "@timestamp"],
  ["tags", "tags"],
  ["type", "type"],
  ["unit", "unit"],
  ["help", "help"],
]);

const KNOWN: ReadonlySet<string> = new Set([
  "@timestamp",
  "timestamp",
  "metric_name",
  "name",
  "value",
  "tags",
  "type",
  "unit",
  "help",
]);

/** What other programs call the fields, as it is compared. */
const SYNONYMS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    metric_name: ["metric", "measurement"],
    value: ["val", "v"],
    "@timestamp": ["time", "ts", "t", "date", "datetime", "timestampms", "epoch"],
    tags: ["tag", "labels", "label", "attributes", "attribute", "attrs", "dimensions", "properties"],
    type: ["kind", "metrictype"],
    unit: ["units"],
    help: ["description", "desc"],
  }).flatMap(([field, names]) => names.map((name) => [name, field] as const)),
);

/** A field that an event has and that is not stored. */
export interface UnknownField {
  /** The name as it was sent, capped. */
  readonly name: string;
  /** The field that was probably meant. */
  readonly meant: string | undefined;
  /** The name for counters: one of those that other programs use, else `other`. */
  readonly label: string;
}

/** Longer names are not a misspelt field, and are not compared. */
const NAME_CHARACTERS_MAX = 40;
/** Names that are remembered: a sender makes the same mistake in each event. */
const REMEMBERED_MAX = 1_000;
const remembered = new Map<string, UnknownField>();

/** The fields of an event that are not stored, in their order. */
export function unknownFields(event: Readonly<Record<string, unknown>>): readonly UnknownField[] {
  let unknown: UnknownField[] | undefined;
  for (const name in event) {
    if (KNOWN.has(name)) continue;
    unknown ??= [];
    unknown.push(unknownField(name));
  }
  return unknown ?? NONE;
}

const NONE: readonly UnknownField[] = [];

function unknownField(name: string): UnknownField {
  const before = remembered.get(name);
  if (before !== undefined) return before;
  if (name.length > NAME_CHARACTERS_MAX) {
    return { name: capped(name), meant: undefined, label: "other" };
  }
  const compared = comparable(name);
  const meant = FIELDS.get(compared) ?? SYNONYMS.get(compared) ?? misspelt(compared);
  const field = { name, meant, label: labelOf(name) };
  if (remembered.size >= REMEMBERED_MAX) remembered.clear();
  remembered.set(name, field);
  return field;
}

/** The name of a field for counters: one of those that are known here, else `other`. */
export function labelOf(name: string): string {
  if (name.length > NAME_CHARACTERS_MAX) return "other";
  const compared = comparable(name);
  return FIELDS.has(compared) || SYNONYMS.has(compared) ? compared : "other";
}

/** A name as it is quoted: a sender may make it as long as a body. */
export function capped(name: string): string {
  return name.length <= NAME_CHARACTERS_MAX ? name : `${name.slice(0, NAME_CHARACTERS_MAX)}…`;
}

/** A name in lower case, without what parts words. */
function comparable(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** A field whose name has an edit or two: in a short name two would make another word of it. */
function misspelt(compared: string): string | undefined {
  const near = nearest(compared, FIELDS.keys(), compared.length < 6 ? 1 : 2);
  return near === undefined ? undefined : FIELDS.get(near);
}

/** Says of a required field that is absent which field was sent in its place, if one was; else nothing. */
export function sentInstead(event: Readonly<Record<string, unknown>>, field: string): string {
  const found = unknownFields(event).find(({ meant }) => meant === field);
  return found === undefined ? "" : `; found ${quote(found.name)}, did you mean ${quote(field)}?`;
}
