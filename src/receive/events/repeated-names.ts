/**
 * Finds a name that appears twice in an event or in an object in it. JSON.parse silently keeps the last of them
 * (https://www.rfc-editor.org/rfc/rfc8259#section-4). Pure.
 */
import { InexactNumber } from "../../wire/json/exact-number.ts";

const [QUOTE, COLON, BACKSLASH] = [34, 58, 92];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [91, 93, 123, 125];

/**
 * Returns the first name that appears twice, as a path such as `value` or `tags.task_id`; undefined if there is none.
 *
 * @param bytes valid JSON from `from` up to, not including, `to`: an object
 * @param event the value that it was parsed to
 */
export function repeatedName(
  bytes: Buffer,
  from: number,
  to: number,
  event: Readonly<Record<string, unknown>>,
): string | undefined {
  let kept = 0;
  for (const name in event) {
    kept++;
    const value = event[name];
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (isObject && !(value instanceof InexactNumber)) kept += Object.keys(value).length;
  }
  let sent = 0;
  forEachName(bytes, from, to, () => void sent++);
  // Nearly every event returns here: names are decoded only if some were lost.
  return sent === kept ? undefined : findRepeated(bytes, from, to);
}

function findRepeated(bytes: Buffer, from: number, to: number): string | undefined {
  const fields = new Set<string>();
  let field = "";
  let inField = new Set<string>();
  let repeated: string | undefined;
  forEachName(bytes, from, to, (depth, begin, end) => {
    const name = JSON.parse(bytes.toString("utf8", begin, end)) as string;
    const seen = depth === 1 ? fields : inField;
    if (seen.has(name)) repeated ??= depth === 1 ? name : `${field}.${name}`;
    seen.add(name);
    if (depth > 1) return;
    field = name;
    inField = new Set();
  });
  return repeated;
}

/** Visits the names, in quotation marks, of an object (depth 1) and of the objects among its values (depth 2). */
function forEachName(
  bytes: Buffer,
  from: number,
  to: number,
  visit: (depth: number, begin: number, end: number) => void,
): void {
  let depth = 0;
  let begin = from;
  let end = from;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      begin = at++;
      while (bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
      end = at + 1;
    } else if (byte === COLON) {
      if (depth <= 2) visit(depth, begin, end);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
  }
}
