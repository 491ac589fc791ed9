/**
 * The events of a line: its fields, put together as `--map` says, as JSON that `POST /api/v1/push` accepts. Pure.
 *
 * A line has one event for each of its values. Fields that are no other part of an event are its tags. A line is mapped or
 * rejected as a whole.
 */
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import { unitOfName } from "../series/buckets.ts";
import { fieldNumber, isAbsent } from "./field-number.ts";
import { type FieldTime, fieldTimeUs, wrongTime } from "./field-time.ts";
import type { FieldContent, LineRecord, WrongLine } from "./line-record.ts";
import { type Mapping, TIME_FIELDS } from "./mapping.ts";

/** A value of a line, before the parts that all events of the line share. */
interface MappedValue {
  readonly metric: string;
  readonly json: string;
  readonly unit: string | undefined;
}

const RECOGNISED: FieldTime = { kind: "recognised" };

/** The type of events of a format with values of its own, such as Influx: levels. */
const OWN_TYPE = "gauge";

export class EventMapper {
  readonly #mapping: Mapping;
  /** Fields that are a part of each event other than a tag. */
  readonly #taken: ReadonlySet<string>;

  constructor(mapping: Mapping) {
    this.#mapping = mapping;
    const { values, metric, type, unit, timestamp, skipped } = mapping;
    const sources = [...values.map(({ source }) => source), metric, type, unit];
    const taken = sources.flatMap((source) => (source?.kind === "field" ? [source.field] : []));
    if (typeof timestamp === "object") taken.push(timestamp.field);
    this.#taken = new Set([...taken, ...skipped]);
  }

  /** The events of a line as JSON, at least one; or why the line has none. */
  events(record: LineRecord): readonly string[] | WrongLine {
    const time = this.#time(record);
    if ("reason" in time) return time;
    const values = this.#values(record);
    if ("reason" in values) return values;
    const type = this.#text("type", record);
    if (typeof type === "object") return type;
    const unit = this.#text("unit", record);
    if (typeof unit === "object") return unit;
    const shared = [
      time.us === undefined ? "" : `,"@timestamp":${time.us / 1_000}`,
      type === undefined ? "" : `,"type":${JSON.stringify(type)}`,
      this.#tags(record, time.field),
    ].join("");
    return values.list.map((value) => {
      const unitText = unit ?? value.unit;
      const own = unitText === undefined ? "" : `,"unit":${JSON.stringify(unitText)}`;
      return `{"metric_name":${JSON.stringify(value.metric)},"value":${value.json}${own}${shared}}`;
    });
  }

  #time({ fields, own }: LineRecord): { us: number | undefined; field: string | undefined } | WrongLine {
    const { timestamp } = this.#mapping;
    if (timestamp === "arrival") return { us: undefined, field: undefined };
    if (timestamp === undefined && own !== undefined) return { us: own.timestampUs, field: undefined };
    const field =
      timestamp?.field ?? TIME_FIELDS.find((name) => !isAbsent(fields.get(name)) && !this.#taken.has(name));
    if (field === undefined) return { us: undefined, field: undefined };
    const cell = fields.get(field);
    if (cell === undefined || cell === null) return missing(fields, field, timestamp!.entry);
    const us = fieldTimeUs(cell, timestamp?.form ?? RECOGNISED);
    if (typeof us === "number") return { us, field };
    const other =
      timestamp === undefined
        ? "; name the field with the time, as in timestamp=FIELD, or use timestamp:=arrival"
        : "";
    return { cause: "timestamp", reason: wrongTime(field, cell, us) + other };
  }

  #values(record: LineRecord): { list: MappedValue[] } | WrongLine {
    const { values } = this.#mapping;
    const { fields, own } = record;
    const base = this.#text("metric", record);
    if (typeof base === "object") return base;
    const list: MappedValue[] = [];
    if (values.length === 0) {
      for (const field of own?.fields ?? [])
        if (!this.#taken.has(field))
          list.push(this.#number(record, field, `${base ?? own!.prefix}_${field}`) as MappedValue);
      return list.length > 0
        ? { list }
        : { cause: "value", reason: "the line has no number, expected a field with one" };
    }
    for (const { source, metric } of values) {
      if (source.kind === "constant") {
        list.push({ metric: base!, json: source.text, unit: undefined });
        continue;
      }
      const { field } = source;
      if (isAbsent(fields.get(field))) continue;
      const prefix = base ?? own?.prefix;
      const name =
        metric ??
        (prefix === undefined
          ? field
          : values.length > 1 || base === undefined
            ? `${prefix}_${field}`
            : prefix);
      const value = this.#number(record, field, name);
      if ("reason" in value) return value;
      list.push(value);
    }
    if (list.length > 0) return { list };
    const first = values.find(({ source }) => source.kind === "field")!.source as {
      field: string;
      entry: string;
    };
    if (!fields.has(first.field)) return missing(fields, first.field, first.entry);
    return {
      cause: "value",
      reason: `the field ${quote(first.field)} is ${quote(fields.get(first.field))}, expected a number`,
    };
  }

  #number({ fields, units }: LineRecord, field: string, metric: string): MappedValue | WrongLine {
    const cell = fields.get(field)!;
    const inName = unitOfName(metric);
    const isSeconds = inName?.startsWith("s") ?? false;
    const unit = units?.get(field);
    const bare = unit !== undefined && typeof cell === "string" ? withoutUnit(cell, unit) : cell;
    const number = fieldNumber(bare, isSeconds ? "s" : "ms");
    if (number === undefined) {
      return {
        cause: "value",
        reason: `the field ${quote(field)} is ${quote(cell)}, expected a number${numberHint(cell)}`,
      };
    }
    return { metric, json: number.json, unit: unit ?? (inName === undefined ? number.unit : undefined) };
  }

  /** A part of an event that is a text; undefined if the mapping has none, and an error if the line does not have it. */
  #text(part: "metric" | "type" | "unit", { fields, own }: LineRecord): string | undefined | WrongLine {
    const source = this.#mapping[part];
    if (source === undefined) return part === "type" && own !== undefined ? OWN_TYPE : undefined;
    if (source.kind === "constant") return source.text;
    const cell = fields.get(source.field);
    if (cell === undefined || cell === null || cell === "")
      return missing(fields, source.field, source.entry, part);
    if (typeof cell === "string") return cell;
    return {
      cause: part === "metric" ? "name" : part,
      reason: `the field ${quote(source.field)} is ${quote(cell)}, expected a text for ${source.entry}`,
    };
  }

  /** The tags of the line as a part of an event's JSON. The gateway leaves out empty ones. */
  #tags({ fields, own }: LineRecord, timeField: string | undefined): string {
    const { tags, skipped, values } = this.#mapping;
    const isOwn = values.length === 0 ? new Set(own?.fields) : undefined;
    let json = "";
    for (const [field, cell] of fields) {
      const name = tags === undefined ? field : tags.get(field);
      if (name === undefined || cell === null || field === timeField) continue;
      if (tags === undefined ? this.#taken.has(field) || isOwn?.has(field) : skipped.has(field)) continue;
      json += `${json === "" ? "" : ","}${JSON.stringify(name)}:${tagJson(cell)}`;
    }
    return json === "" ? "" : `,"tags":{${json}}`;
  }
}

function tagJson(cell: Exclude<FieldContent, null>): string {
  const json = JSON.stringify(cell);
  // A list has no other text.
  return Array.isArray(cell) ? JSON.stringify(json) : json;
}

function withoutUnit(text: string, unit: string): string {
  return text.endsWith(unit) ? text.slice(0, -unit.length).trimEnd() : text;
}

/** Why a text that begins with a number is not read as one. */
function numberHint(cell: FieldContent): string {
  if (typeof cell !== "string") return "";
  const [, unit] = /^[+-]?\d+(?:\.\d+)?\s*([a-zA-Zµ°%/]{1,20})$/.exec(cell) ?? [];
  if (unit !== undefined && unit !== "e" && unit !== "E")
    return ` or a duration, such as 12.5ms; "${unit}" is read only in a CSV column whose header names it, as in "[${unit}]"`;
  return /^\d{1,3}(?:[,' ]\d{3})+$/.test(cell) ? " without separators" : "";
}

function missing(
  fields: LineRecord["fields"],
  field: string,
  entry: string,
  part?: "metric" | "type" | "unit",
): WrongLine {
  const near = fields.has(field)
    ? undefined
    : nearest(field, fields.keys(), field.length < 4 ? 1 : undefined);
  const hint =
    near !== undefined
      ? `; did you mean ${quote(near)}?`
      : part === undefined
        ? ""
        : `; for a text that is the same for all lines, write ${part}:=${field}`;
  const found = fields.has(field) ? `is ${quote(fields.get(field))}, expected a text` : "is missing";
  return { cause: "field", reason: `the field ${quote(field)} ${found} (${entry})${hint}` };
}
