/**
 * Lines of the Influx line protocol (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/), which Telegraf
 * writes to files. Pure.
 *
 * Tags and fields are the fields of the record. Those with a number or a boolean are the values of the line, unless `--map`
 * names others. The messages are those of InfluxDB.
 */
import { quote } from "../model/errors.ts";
import { MILLISECONDS_MAX, type TimeUnit, unitHint } from "../model/time.ts";
import { InexactNumber } from "../wire/json/exact-number.ts";
import { decimalJson } from "./field-number.ts";
import { fieldTimeUs } from "./field-time.ts";
import type { FieldContent, LineRecord, RecordReader, WrongLine } from "./line-record.ts";

const INTEGER = /^([+-]?)(\d+)([iu])$/;
const TRUE = /^(?:t|T|true|True|TRUE)$/;
const FALSE = /^(?:f|F|false|False|FALSE)$/;
/** What a backslash escapes in names and tags. Before any other character it is text. */
const ESCAPED = [",", "=", " "];
const [INT_MAX, INT_MIN, UINT_MAX] = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n];

/** Reads lines whose times are in a unit. */
export function lineProtocolReader(unit: TimeUnit): RecordReader {
  return (line) => (line.trimStart().startsWith("#") ? undefined : readPoint(line.trimStart(), unit));
}

function readPoint(line: string, unit: TimeUnit): LineRecord | WrongLine {
  const fields = new Map<string, FieldContent>();
  const numbers: string[] = [];
  let at = endOfName(line, 0, ", ");
  const measurement = unescaped(line.slice(0, at));
  if (measurement === "") return wrong(line, "missing measurement");
  while (line[at] === ",") {
    const keyEnd = endOfName(line, at + 1, ",= ");
    const key = unescaped(line.slice(at + 1, keyEnd));
    if (key === "") return wrong(line, "missing tag key");
    if (line[keyEnd] !== "=") return wrong(line, `missing tag value of ${quote(key)}`);
    at = endOfName(line, keyEnd + 1, ",= ");
    if (line[at] === "=") return wrong(line, `invalid tag format of ${quote(key)}`);
    const value = unescaped(line.slice(keyEnd + 1, at));
    if (value === "") return wrong(line, `missing tag value of ${quote(key)}`);
    if (fields.has(key)) return wrong(line, `duplicate tags ${quote(key)}`);
    fields.set(key, value);
  }
  at = skipSpaces(line, at);
  if (at >= line.length) return wrong(line, "missing fields");
  for (;;) {
    const keyEnd = endOfName(line, at, ",= ");
    const key = unescaped(line.slice(at, keyEnd));
    if (key === "") return wrong(line, "missing field key");
    if (line[keyEnd] !== "=") return wrong(line, `invalid field format of ${quote(key)}`);
    if (fields.has(key)) return wrong(line, `multiple instances of ${quote(key)} found`);
    const value = readValue(line, keyEnd + 1);
    if ("reason" in value) return wrong(line, `${value.reason} of ${quote(key)}`);
    fields.set(key, value.cell);
    if (typeof value.cell !== "string") numbers.push(key);
    at = value.end;
    if (line[at] !== ",") break;
    at++;
  }
  const timeText = line.slice(at).trim();
  if (timeText !== "" && !/^-?\d{1,19}$/.test(timeText))
    return wrong(line, `bad timestamp ${quote(timeText)}`);
  const timestampUs = timeText === "" ? undefined : timeUs(timeText, unit);
  if (typeof timestampUs === "string")
    return { cause: "timestamp", reason: `the timestamp is ${quote(timeText)}, ${timestampUs}` };
  return { fields, own: { fields: numbers, prefix: measurement, timestampUs } };
}

/** Microseconds, or what was expected. */
function timeUs(text: string, unit: TimeUnit): number | string {
  const hint = unitHint(Number(text), unit);
  if (hint !== "") return `expected ${unit} since 1970${hint}; --precision names the unit`;
  const us = fieldTimeUs(text, { kind: "number", unit });
  return typeof us === "number" && Math.abs(us) > MILLISECONDS_MAX * 1_000 ? "expected a time" : us;
}

function readValue(
  line: string,
  from: number,
): { cell: Exclude<FieldContent, null>; end: number } | { reason: string } {
  if (line[from] === '"') {
    let text = "";
    for (let at = from + 1; at < line.length; at++) {
      const isEscape = line[at] === "\\" && (line[at + 1] === '"' || line[at + 1] === "\\");
      if (line[at] === '"') {
        const end = at + 1;
        return end < line.length && line[end] !== "," && line[end] !== " "
          ? { reason: "invalid field format" }
          : { cell: text, end };
      }
      if (isEscape) at++;
      text += line[at];
    }
    return { reason: "unbalanced quotes" };
  }
  const end = endOfName(line, from, ", ");
  const text = line.slice(from, end);
  if (text === "") return { reason: "missing field value" };
  if (TRUE.test(text)) return { cell: true, end };
  if (FALSE.test(text)) return { cell: false, end };
  const [, sign, digits, kind] = INTEGER.exec(text) ?? [];
  if (digits !== undefined) {
    const number = digits.length > 20 ? UINT_MAX + 1n : BigInt(`${sign === "-" ? "-" : ""}${digits}`);
    const isInRange =
      kind === "u" ? number >= 0n && number <= UINT_MAX : number >= INT_MIN && number <= INT_MAX;
    return isInRange
      ? { cell: exact(number.toString()), end }
      : { reason: `value out of range ${quote(text)}` };
  }
  const json = decimalJson(text);
  if (json !== undefined) return { cell: exact(json), end };
  return { reason: `${/^[a-zA-Z]/.test(text) ? "invalid boolean" : "invalid number"} ${quote(text)}` };
}

/** A number with the digits that were sent. */
function exact(json: string): InexactNumber {
  return new InexactNumber(json, Number(json));
}

/** The position of the first of `ends` from `from` on that no backslash escapes, or the end of the line. */
function endOfName(line: string, from: number, ends: string): number {
  let at = from;
  while (at < line.length && !ends.includes(line[at]!))
    at += line[at] === "\\" && ESCAPED.includes(line[at + 1] ?? "") ? 2 : 1;
  return Math.min(at, line.length);
}

function unescaped(text: string): string {
  return text.includes("\\") ? text.replace(/\\([,= ])/g, "$1") : text;
}

function skipSpaces(line: string, from: number): number {
  let at = from;
  while (line[at] === " ") at++;
  return at;
}

function wrong(line: string, reason: string): WrongLine {
  return { cause: "syntax", reason: `the line is ${quote(line)}: ${reason}` };
}
