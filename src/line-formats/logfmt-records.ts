/**
 * Lines of logfmt, `key=value key="a value"` (https://brandur.org/logfmt, https://pkg.go.dev/log/slog#TextHandler). Pure.
 *
 * Words before the first pair, such as the heading of syslog, are not fields. If one of them is an RFC 3339 time, it is the
 * time of a line that has no other. A key without a value is the text "true". Of a key that appears twice the last counts.
 */
import { quote } from "../model/errors.ts";
import { rfc3339Us } from "../model/time.ts";
import type { FieldContent, LineRecord, WrongLine } from "./line-record.ts";
import { TIME_FIELDS } from "./mapping.ts";

/** Letters behind a backslash in a quoted value, as Go's strconv.Quote and JSON write them. */
const ESCAPES: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
/** The digits of a character's number behind `\x`, `\u` and `\U`. */
const DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** Reads a line. */
export function readLogfmtRecord(line: string): LineRecord | WrongLine {
  const fields = new Map<string, FieldContent>();
  let heading: string | undefined;
  for (let at = skipBlanks(line, 0); at < line.length; at = skipBlanks(line, at)) {
    const keyEnd = endOfKey(line, at);
    const key = line.slice(at, keyEnd);
    if (line[keyEnd] !== "=") {
      if (line[keyEnd] === '"') return wrong(line, keyEnd, "a quotation mark within a key", "key=value");
      if (fields.size > 0) fields.set(key, "true");
      else if (rfc3339Us(key) !== undefined) heading ??= key;
      at = keyEnd;
      continue;
    }
    if (key === "") return wrong(line, at, '"=" without a key before it', "key=value");
    if (line[keyEnd + 1] === '"') {
      const value = quoted(line, keyEnd + 2);
      if ("reason" in value) return value;
      fields.set(key, value.text);
      at = value.end;
      continue;
    }
    at = endOfWord(line, keyEnd + 1);
    fields.set(key, line.slice(keyEnd + 1, at));
  }
  if (fields.size === 0) return { cause: "syntax", reason: `the line is ${quote(line)}, expected key=value` };
  if (heading !== undefined && !TIME_FIELDS.some((name) => fields.has(name)))
    fields.set(TIME_FIELDS[0]!, heading);
  return { fields };
}

/** The text of a quoted value from behind its quotation mark, and the position behind the closing one. */
function quoted(line: string, from: number): { text: string; end: number } | WrongLine {
  let text = "";
  let copied = from;
  for (let at = from; at < line.length; at++) {
    if (line[at] === '"') {
      const end = at + 1;
      if (end < line.length && line.charCodeAt(end) > 32)
        return wrong(line, end, "text behind a closing quotation mark", "a space");
      return { text: text + line.slice(copied, at), end };
    }
    if (line[at] !== "\\") continue;
    const letter = line[at + 1] ?? "";
    const digits = DIGITS[letter];
    const number = digits === undefined ? "" : line.slice(at + 2, at + 2 + digits);
    if (
      digits !== undefined &&
      (number.length < digits || !/^[0-9a-fA-F]+$/.test(number) || Number.parseInt(number, 16) > 0x10ffff)
    )
      return wrong(line, at, "an incomplete escape", `\\${letter} with ${digits} hexadecimal digits`);
    // UTF-16 code units behind \u may be halves of a pair, which meet in the text.
    const meant =
      digits === undefined ? (ESCAPES[letter] ?? letter) : String.fromCodePoint(Number.parseInt(number, 16));
    text += line.slice(copied, at) + meant;
    at += 1 + number.length;
    copied = at + 1;
  }
  return wrong(line, from - 1, "a quotation mark that is not closed", "a closing quotation mark");
}

function wrong(line: string, at: number, found: string, expected: string): WrongLine {
  return {
    cause: "syntax",
    reason: `the line has ${found} at ${quote(line.slice(at, at + 40))}, expected ${expected}`,
  };
}

function skipBlanks(line: string, from: number): number {
  let at = from;
  while (at < line.length && line.charCodeAt(at) <= 32) at++;
  return at;
}

function endOfKey(line: string, from: number): number {
  let at = from;
  while (at < line.length && line.charCodeAt(at) > 32 && line[at] !== "=" && line[at] !== '"') at++;
  return at;
}

function endOfWord(line: string, from: number): number {
  let at = from;
  while (at < line.length && line.charCodeAt(at) > 32) at++;
  return at;
}
