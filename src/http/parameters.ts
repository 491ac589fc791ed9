/**
 * Parameters of the gateway's own routes. Prometheus's API has its own reader and wording
 * (prometheus/prometheus-api-parameters.ts).
 *
 * A route rejects parameters that it does not know: a misspelt one would silently have no effect.
 */
import { BadInput, quote } from "../model/errors.ts";

/** Throws `BadInput` if the query has a parameter that is not in `known`. The message lists `shown`. */
export function rejectUnknown(
  query: URLSearchParams,
  known: readonly string[],
  shown: readonly string[] = known,
): void {
  for (const name of query.keys()) {
    if (!known.includes(name)) throw unknownParameter(name, shown);
  }
}

export function unknownParameter(name: string, known: readonly string[]): BadInput {
  return new BadInput(`Query parameter ${quote(name)} is unknown; expected ${known.join(", ")}.`, name);
}

/** A parameter is missing (`text` is null) or has a value that the route does not accept. */
export function wrongParameter(name: string, text: string | null, expected: string): BadInput {
  const is = text === null ? "missing" : quote(text);
  return new BadInput(`Query parameter ${name} is ${is}; expected ${expected}.`, name);
}

/** A parameter that is true or false. Undefined if absent, true without a value. */
export function readFlag(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (text === "true" || text === "") return true;
  if (text === "false") return false;
  throw wrongParameter(name, text, "true or false");
}

/** A whole number of at least 1, as text or as a JSON number. Undefined if absent. */
export function readCount(value: unknown, field: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const count = typeof value === "string" && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
  if (typeof count !== "number" || !Number.isSafeInteger(count) || count < 1)
    throw new BadInput(`${field} is ${quote(value)}; expected a whole number of at least 1.`, field);
  return count;
}
