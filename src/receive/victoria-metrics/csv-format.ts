/**
 * The parameter `format` of an import or export in CSV: what each column contains
 * (https://docs.victoriametrics.com/#how-to-import-csv-data). Pure.
 *
 * `2:metric:ask,3:metric:bid,1:label:ticker,4:time:unix_s`: column 2 has the values of the metric `ask`, and so on.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { MILLISECONDS_MAX, rfc3339Us } from "../../model/time.ts";
import { readDecimal } from "../../wire/decimal.ts";
import { goTimeParser } from "./go-time-layout.ts";

/** Reads a time: microseconds since 1970, or undefined. */
type TimeReader = (bytes: Buffer, from: number, to: number) => number | undefined;

export interface CsvFormat {
  /** The metrics with their columns, counted from 0, in the order of the format. */
  readonly metrics: readonly { readonly column: number; readonly name: string; readonly bytes: Buffer }[];
  readonly labels: readonly { readonly column: number; readonly name: string }[];
  readonly time?: { readonly column: number; readonly format: string; readonly read: TimeReader };
  /** The names of the labels, which no other list of names equals. */
  readonly labelNames: Buffer;
  /** The number of columns that a line needs. */
  readonly columns: number;
}

const COLUMNS_MAX = 65_536;
const EXPECTED = "expected COLUMN:metric:NAME, COLUMN:label:NAME or COLUMN:time:FORMAT";

/** Reads the parameter. Throws `BadInput` that quotes the entry. */
export function parseCsvFormat(text: string | null): CsvFormat {
  if (text === null || text === "") {
    throw wrong(
      "is missing; expected the columns of the file, such as 1:time:unix_s,2:label:host,3:metric:load",
    );
  }
  const metrics: { column: number; name: string; bytes: Buffer }[] = [];
  const labels: { column: number; name: string }[] = [];
  let time: CsvFormat["time"];
  const used = new Set<number>();
  for (const entry of text.split(",")) {
    const [, position = "", type = "", rest = ""] = /^(\d{1,6}):([a-z]+):([^\p{Cc}]+)$/u.exec(entry) ?? [];
    if (rest === "") throw wrong(`has the entry ${quote(entry)}; ${EXPECTED}`);
    const column = Number(position) - 1;
    if (column < 0 || column >= COLUMNS_MAX)
      throw wrong(`has column ${position} in the entry ${quote(entry)}; expected 1 to ${COLUMNS_MAX}`);
    if (used.has(column)) throw wrong(`has column ${position} twice`);
    used.add(column);
    if (type === "metric") metrics.push({ column, name: rest, bytes: Buffer.from(rest) });
    else if (type === "label") labels.push({ column, name: rest });
    else if (type === "time") {
      if (time !== undefined) throw wrong("has two columns of time; expected at most one");
      time = { column, format: rest, read: timeReader(rest) };
    } else throw wrong(`has the entry ${quote(entry)}; ${EXPECTED}`);
  }
  if (metrics.length === 0)
    throw wrong("has no column of a metric; expected at least one COLUMN:metric:NAME");
  const labelNames = Buffer.from(labels.map(({ name }) => name).join("\t"));
  return { metrics, labels, time, labelNames, columns: Math.max(...used) + 1 };
}

function wrong(what: string): BadInput {
  return new BadInput(`Query parameter format ${what}.`, "format");
}

function timeReader(format: string): TimeReader {
  switch (format) {
    case "unix_s":
      return scaled(1e6);
    case "unix_ms":
      return scaled(1e3);
    case "unix_us":
      return scaled(1);
    case "unix_ns":
      return nanoseconds;
    case "rfc3339":
      return (bytes, from, to) => rfc3339Us(bytes.toString("latin1", from, to));
  }
  if (format.startsWith("custom:")) {
    const layout = format.slice("custom:".length);
    const parse = goTimeParser(layout);
    if (parse === undefined)
      throw wrong(
        `has the layout ${quote(layout)}; expected a layout of Go with a date, and each part once, such as 2006-01-02 15:04:05`,
      );
    return (bytes, from, to) => parse(bytes.toString("utf8", from, to));
  }
  throw wrong(
    `has the time ${quote(format)}; expected unix_s, unix_ms, unix_us, unix_ns, rfc3339 or custom:LAYOUT`,
  );
}

function scaled(factor: number): TimeReader {
  return (bytes, from, to) => {
    const us = Math.round(readDecimal(bytes, from, to) * factor);
    return Math.abs(us) <= MILLISECONDS_MAX * 1000 ? us : undefined;
  };
}

/** Nanoseconds have 19 digits, which no 64-bit float holds: the last three are cut off first. */
const nanoseconds: TimeReader = (bytes, from, to) => {
  const text = bytes.toString("latin1", from, Math.min(to, from + 32));
  const [, sign, digits = ""] = /^(-?)(\d{1,19})$/.exec(text) ?? [];
  if (digits === "") return undefined;
  const us = Number(digits.slice(0, -3) || "0");
  return sign === "-" ? -us : us;
};
