/** Lines with one JSON object each (https://github.com/ndjson/ndjson-spec), such as those of pino, winston and structlog. Pure. */
import { quote } from "../model/errors.ts";
import { InexactNumber, parseExactJson } from "../wire/json/exact-number.ts";
import { findJsonError } from "../wire/json/json-error.ts";
import type { FieldContent, LineRecord, WrongLine } from "./line-record.ts";

/** Deeper objects are no fields of a log line. */
const DEPTH_MAX = 16;

/**
 * Reads a line. Fields of nested objects have dotted names. Of a name that appears twice in one object the last counts, as
 * in `JSON.parse`; two fields that have one dotted name are an error.
 */
export function readJsonRecord(line: string): LineRecord | WrongLine {
  let value: unknown;
  try {
    value = parseExactJson(line);
  } catch {
    const bytes = Buffer.from(line);
    const problem = findJsonError(bytes, 0, bytes.length);
    const where = problem === undefined ? "" : `: byte ${problem.position} of the line ${problem.message}`;
    return { cause: "syntax", reason: `the line is ${quote(line)}, expected a JSON object${where}` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof InexactNumber)
    return { cause: "syntax", reason: `the line is ${quote(value)}, expected a JSON object` };
  const fields = new Map<string, FieldContent>();
  const problem = flatten(value as Record<string, unknown>, "", fields, 1);
  return problem ?? { fields };
}

function flatten(
  object: Readonly<Record<string, unknown>>,
  prefix: string,
  fields: Map<string, FieldContent>,
  depth: number,
): WrongLine | undefined {
  for (const [name, value] of Object.entries(object)) {
    const field = prefix + name;
    if (
      typeof value === "object" &&
      value !== null &&
      !Array.isArray(value) &&
      !(value instanceof InexactNumber)
    ) {
      if (depth === DEPTH_MAX)
        return {
          cause: "syntax",
          reason: `the line has objects within objects in more than ${DEPTH_MAX} levels`,
        };
      const problem = flatten(value as Record<string, unknown>, `${field}.`, fields, depth + 1);
      if (problem !== undefined) return problem;
    } else if (fields.has(field))
      return {
        cause: "field",
        reason: `the line has the field ${quote(field)} twice, as a name and as a path`,
      };
    else fields.set(field, value as FieldContent);
  }
  return undefined;
}
