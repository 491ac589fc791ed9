/**
 * The fields of an event, and the handling of unknown ones: an unknown field is not stored, and the sender gets a
 * warning with the field that was probably meant. Pure, except for the suggestions that it remembers.
 */
import { quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";

/** Fields by their normalised names. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ["metricname", "metric_name"],
  ["name", "metric_name"],
  ["value", "value"],
  ["timestamp", "@timestamp"],
  ["tags", "tags"],
  ["type", "type"],
  ["unit", "unit"],
  ["help", "help"],
  ["metadatatype", "metadata_type"],
  ["exposed", "exposed"],
  ["keepsbounds", "keeps_bounds"],
  ["columns", "columns"],
]);

/** The fields as they are spelled, with the second spellings of two of them. */
const KNOWN: ReadonlySet<string> = new Set([...FIELDS.values(), "timestamp", "name"]);

/** Names that other programs use for the fields, normalised. */
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

/** A field of an event that is not stored. */
interface UnknownField {
  /** The name as it was sent, capped. */
  readonly name: string;
  /** The field that was probably meant. */
  readonly meant: string | undefined;
  /** The name in counters: one of the names that other programs use, else `other`. */
  readonly label: string;
}

/** A longer name is not a misspelt field, and is not compared. */
const NAME_CHARACTERS_MAX = 40;
/** Unknown fields of one event that are described. An event of 1 MiB can have 100,000. */
const DESCRIBED_MAX = 16;
/** The number of names to remember: a sender makes the same mistake in each event. They depend on nothing else. */
const REMEMBERED_MAX = 1_000;
const remembered = new Map<string, UnknownField>();

/** The fields of an event that are not stored. */
interface UnknownFields {
  /** The first of them, in their order. */
  readonly described: readonly UnknownField[];
  /** The number of the others. */
  readonly others: number;
}

/** Finds the fields of an event that are not stored. */
export function unknownFields(event: Readonly<Record<string, unknown>>): UnknownFields {
  let described: UnknownField[] | undefined;
  let others = 0;
  for (const name in event) {
    if (KNOWN.has(name)) continue;
    described ??= [];
    if (described.length < DESCRIBED_MAX) described.push(unknownField(name));
    else others++;
  }
  return described === undefined ? NONE : { described, others };
}

const NONE: UnknownFields = { described: [], others: 0 };

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

/** The name of a field in counters: one of the known names, else `other`. */
export function labelOf(name: string): string {
  if (name.length > NAME_CHARACTERS_MAX) return "other";
  const compared = comparable(name);
  return FIELDS.has(compared) || SYNONYMS.has(compared) ? compared : "other";
}

/** A name as messages quote it, because a sender may make it as long as a body. */
export function capped(name: string): string {
  return name.length <= NAME_CHARACTERS_MAX ? name : `${name.slice(0, NAME_CHARACTERS_MAX)}…`;
}

/** Normalises a name: lower case, without the characters that separate words. */
function comparable(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** A field whose name is an edit or two away. In a short name, two edits would make another word. */
function misspelt(compared: string): string | undefined {
  const near = nearest(compared, FIELDS.keys(), compared.length < 6 ? 1 : 2);
  return near === undefined ? undefined : FIELDS.get(near);
}

/** Names the field that was sent in place of a missing required one, or returns nothing if there is none. */
export function sentInstead(event: Readonly<Record<string, unknown>>, field: string): string {
  const found = unknownFields(event).described.find(({ meant }) => meant === field);
  return found === undefined ? "" : `; found ${quote(found.name)}, did you mean ${quote(field)}?`;
}
