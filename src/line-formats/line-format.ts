/**
 * The formats of lines that `weir import` and `weir tail` read, besides the JSON events of the gateway: lines → JSON events,
 * as `--map` says. README.md beside this file describes them.
 *
 * A line is converted or rejected by itself, so a file can be cut after any line. Only CSV needs to know the first line of
 * its file, the header. Pure.
 */
import { JSON_LINES, type LineSyntax, TEXT_LINES } from "../line-files/line-syntax.ts";
import { BadInput, quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import type { TimeUnit } from "../model/time.ts";
import { readCsvHeader } from "./csv-records.ts";
import { readJsonRecord } from "./json-records.ts";
import { LineConverter } from "./line-converter.ts";
import { lineProtocolReader } from "./line-protocol-records.ts";
import { readLogfmtRecord } from "./logfmt-records.ts";
import { type Mapping, readMapping, requiredFields, withFields } from "./mapping.ts";

/** The names of the formats. */
export const FORMATS = ["events", "logfmt", "influx", "csv"] as const;
type FormatName = (typeof FORMATS)[number];

/** What a user says about the lines of files. */
export interface LineFormatOptions {
  /** One of `FORMATS`; "events" if absent. */
  readonly format?: string;
  /** The texts of `--map`. */
  readonly map?: readonly string[];
  /** The character between the columns of CSV: a comma if absent. `tab` is a tab. */
  readonly delimiter?: string;
  /** The header of CSV without one. */
  readonly header?: string;
  /** The unit of the times of the line protocol: nanoseconds if absent. */
  readonly precision?: string;
}

/** A format with its mapping. */
export interface MappedFormat {
  readonly name: FormatName;
  readonly syntax: LineSyntax;
  /** The endings of the names of such files. */
  readonly endings: readonly string[];
  /** A short hash: the same for equal formats with equal mappings. */
  readonly key: string;
  /** Whether the first line of a file is a header. */
  readonly hasHeader: boolean;
  /**
   * A converter for the lines of a file.
   *
   * @param firstLine the first line of the file that is not blank
   * @throws WrongHeader
   */
  converter(firstLine: string): LineConverter;
}

/** The header of a file is invalid, or has not the columns that `--map` names. The message is a part of a sentence. */
export class WrongHeader extends Error {
  override readonly name = "WrongHeader";
}

const ENDINGS: Readonly<Record<FormatName, readonly string[]>> = {
  events: ["json", "ndjson", "jsonl"],
  logfmt: ["log", "logfmt", "txt"],
  influx: ["lp", "influx", "line", "txt"],
  csv: ["csv", "tsv"],
};

const PRECISIONS: Readonly<Record<string, TimeUnit>> = {
  ns: "nanoseconds",
  us: "microseconds",
  ms: "milliseconds",
  s: "seconds",
};

/** The part of a command's help about formats. */
export const FORMAT_HELP = `  --format FORMAT    what each line is: events (JSON, the default), logfmt, csv (with a header) or influx
                     (line protocol)
  --map TARGET=FIELD,…
                     which fields of a line make its events, for lines that are not events of Weir:
                       value=FIELD      the number. Repeatable: each value is an event. FIELD:METRIC also
                                        names the metric, and value:=1 counts lines
                       metric=FIELD     the metric, or metric:=NAME for all lines; else the value's field
                       timestamp=FIELD  RFC 3339, or a number whose size shows its unit. FIELD:s, :ms, :us and
                                        :ns name the unit; :utc and :+02:00 the zone of times without one.
                                        Else @timestamp, timestamp, time or ts
                       type:=TYPE       observation, counter, gauge or cumulative; also type=FIELD
                       tags=FIELD       only these fields are tags; FIELD:NAME renames one. Else all others
                       skip=FIELD       a field that is not stored
                     Nested fields have dotted names (res.statusCode). A name with a comma, a colon or a
                     quotation mark stands in quotation marks
  --delimiter CHARACTER, --header NAMES
                     csv: what separates columns (a comma; "tab"), and the header of a file without one
  --precision UNIT   influx: the unit of times: ns (the default), us, ms or s`;

/**
 * The format that a user asks for. Undefined for JSON events without a mapping, which are pushed as they are.
 *
 * @throws BadInput that names the option and quotes it
 */
export function readLineFormat(options: LineFormatOptions): MappedFormat | undefined {
  const { map = [], delimiter, header, precision } = options;
  const name = nameOf(options.format ?? "events");
  if (name !== "csv") {
    const option = delimiter !== undefined ? "--delimiter" : header !== undefined ? "--header" : undefined;
    if (option !== undefined) throw new BadInput(`${option} is an option of --format csv.`, option.slice(2));
  }
  if (name !== "influx" && precision !== undefined)
    throw new BadInput("--precision is an option of --format influx.", "precision");
  if (name === "events" && map.length === 0) return undefined;
  if (name !== "influx" && map.length === 0)
    throw new BadInput(
      `--format ${name} needs --map value=FIELD, which names the field with the number, such as --map value=duration_ms.`,
      "map",
    );
  const mapping = readMapping(map, name !== "influx");
  const unit = unitOf(precision);
  const separator = delimiterOf(delimiter);
  const ownHeader = header === undefined ? undefined : headerOf(header, separator, mapping);
  const converters: Record<FormatName, (firstLine: string) => LineConverter> = {
    events: () => new LineConverter(readJsonRecord, mapping),
    logfmt: () => new LineConverter(readLogfmtRecord, mapping),
    influx: () => new LineConverter(lineProtocolReader(unit), mapping),
    csv: (firstLine) => ownHeader ?? headerOf(firstLine, separator, mapping),
  };
  return {
    name,
    syntax: name === "events" ? JSON_LINES : TEXT_LINES,
    endings: ENDINGS[name],
    key: keyOf([name, map.join(","), unit, separator, header ?? ""]),
    hasHeader: name === "csv" && header === undefined,
    converter: converters[name],
  };
}

function keyOf(parts: readonly string[]): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

function nameOf(text: string): FormatName {
  const name = FORMATS.find((each) => each === text);
  if (name !== undefined) return name;
  const meant = /^(?:json|ndjson|jsonl)$/i.test(text) ? "events" : nearest(text, FORMATS);
  const hint = meant === undefined ? "." : `; did you mean ${quote(meant)}?`;
  throw new BadInput(`--format is ${quote(text)}, expected events, logfmt, influx or csv${hint}`, "format");
}

function unitOf(precision = "ns"): TimeUnit {
  const unit = Object.hasOwn(PRECISIONS, precision) ? PRECISIONS[precision] : undefined;
  if (unit === undefined)
    throw new BadInput(`--precision is ${quote(precision)}, expected ns, us, ms or s.`, "precision");
  return unit;
}

function delimiterOf(text = ","): string {
  const delimiter = text === "tab" || text === "\\t" ? "\t" : text;
  if (/^[\t !#-~]$/.test(delimiter)) return delimiter;
  throw new BadInput(
    `--delimiter is ${quote(text)}, expected one character other than a quotation mark, such as ";", or "tab".`,
    "delimiter",
  );
}

/** The converter of CSV with a header. */
function headerOf(line: string, delimiter: string, mapping: Mapping): LineConverter {
  const columns = readCsvHeader(line, delimiter);
  if ("reason" in columns) throw new WrongHeader(columns.reason.replace(/^the line/, "its header"));
  const renamed = withFields(mapping, columns.nameOf);
  const missing = requiredFields(renamed).find(([field]) => !columns.names.has(field));
  if (missing !== undefined) {
    const [field, entry] = missing;
    const near = nearest(field, columns.names, field.length < 4 ? 1 : undefined);
    const hint = near === undefined ? "" : `; did you mean ${quote(near)}?`;
    throw new WrongHeader(`its header ${quote(line.trim())} has no column ${quote(field)} (${entry})${hint}`);
  }
  return new LineConverter(columns.read, renamed);
}
