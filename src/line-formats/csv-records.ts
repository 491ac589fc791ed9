/**
 * Lines of CSV with a header (https://www.rfc-editor.org/rfc/rfc4180). Pure.
 *
 * White space around a field is not a part of it, unless the field is quoted: nvidia-smi writes a space behind each comma. A
 * field cannot contain a line break, because a file is cut at the ends of lines while it grows. A line that equals the header
 * is skipped, since a program that starts again may write it again.
 */
import { quote } from "../model/errors.ts";
import type { FieldContent, LineRecord, RecordReader, WrongLine } from "./line-record.ts";

/** A header, and the lines under it. */
interface CsvColumns {
  readonly read: RecordReader;
  /** The name of a column that `--map` names: as the header has it, or without the unit behind it. */
  readonly nameOf: (field: string) => string;
  readonly names: ReadonlySet<string>;
}

/** `memory.used [MiB]` of nvidia-smi. */
const WITH_UNIT = /^(.*\S)\s*\[([^[\]]+)\]$/s;
const COLUMNS_MAX = 10_000;

/** Reads a header. Returns what is wrong with it if it is none. */
export function readCsvHeader(line: string, delimiter: string): CsvColumns | WrongLine {
  const header = withoutEnd(line);
  const found = splitCsv(header, delimiter);
  if (!Array.isArray(found)) return found;
  if (found.length > COLUMNS_MAX)
    return {
      cause: "syntax",
      reason: `the line has ${found.length} columns, at most ${COLUMNS_MAX} are accepted`,
    };
  const written = found.map((name, index) => (name === "" ? `column_${index + 1}` : name));
  const bare = written.map((name) => WITH_UNIT.exec(name)?.[1] ?? name);
  // Two columns may differ in their unit alone.
  const names = written.map((name, index) =>
    bare.filter((each) => each === bare[index]).length > 1 || written.includes(bare[index]!)
      ? name
      : bare[index]!,
  );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return { cause: "field", reason: `the line has the column ${quote(twice)} twice` };
  const byText = new Map(written.map((name, index) => [name, names[index]!]));
  const units = new Map(
    written.flatMap((name, index): [string, string][] => {
      const unit = names[index] === name ? undefined : WITH_UNIT.exec(name)?.[2];
      return unit === undefined ? [] : [[names[index]!, unit]];
    }),
  );
  return {
    read: (text) => readCsvLine(text, header, names, units, delimiter),
    nameOf: (field) => byText.get(field) ?? field,
    names: new Set(names),
  };
}

function readCsvLine(
  line: string,
  header: string,
  names: readonly string[],
  units: ReadonlyMap<string, string>,
  delimiter: string,
): LineRecord | WrongLine | undefined {
  if (line === header) return undefined;
  const found = splitCsv(line, delimiter);
  if (!Array.isArray(found)) return found;
  if (found.length !== names.length) {
    const columns = found.length === 1 ? "1 column" : `${found.length} columns`;
    return { cause: "syntax", reason: `the line has ${columns}, expected ${names.length} as in the header` };
  }
  const fields = new Map<string, FieldContent>();
  for (const [index, name] of names.entries()) fields.set(name, found[index]!);
  return { fields, units };
}

/** The fields of a line, or what is wrong with it. */
function splitCsv(line: string, delimiter: string): string[] | WrongLine {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    let begin = at;
    while (begin < line.length && isBlank(line[begin]!) && line[begin] !== delimiter) begin++;
    if (line[begin] !== '"') {
      const next = line.indexOf(delimiter, begin);
      const end = next < 0 ? line.length : next;
      fields.push(line.slice(begin, end).trimEnd());
      if (next < 0) return fields;
      at = next + 1;
      continue;
    }
    let text = "";
    let from = begin + 1;
    let end = line.indexOf('"', from);
    while (end >= 0 && line[end + 1] === '"') {
      text += line.slice(from, end + 1);
      from = end + 2;
      end = line.indexOf('"', from);
    }
    const column = fields.length + 1;
    if (end < 0)
      return {
        cause: "syntax",
        reason: `the line has no closing quotation mark in column ${column}, ${quote(line.slice(begin, begin + 40))}; a field with a line break is not supported`,
      };
    fields.push(text + line.slice(from, end));
    at = end + 1;
    while (at < line.length && isBlank(line[at]!) && line[at] !== delimiter) at++;
    if (at >= line.length) return fields;
    if (line[at] !== delimiter)
      return {
        cause: "syntax",
        reason: `the line has ${quote(line.slice(at, at + 20))} behind the closing quotation mark of column ${column}, expected ${quote(delimiter)}`,
      };
    at++;
  }
}

function isBlank(character: string): boolean {
  return character === " " || character === "\t";
}

function withoutEnd(line: string): string {
  return line.replace(/^\ufeff/, "").replace(/\r?\n?$/, "");
}
