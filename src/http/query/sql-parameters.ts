/**
 * The parameters of a statement in JSON: an array for `$1` or `?`, an object for `$name`.
 *
 * A number is bound as DuckDB reads it in a statement, so that an id beyond 2^53 keeps its digits: a whole number as
 * BIGINT or HUGEINT, a fraction with more digits than a DOUBLE has as DECIMAL, any other as DOUBLE.
 */

import { BadInput, quote } from "../../model/errors.ts";
import type { Parameter, Parameters } from "../../store/store.ts";
import { InexactNumber, isStoredAsSent } from "../../wire/json/exact-number.ts";
import { holdsReplacement } from "../url-text.ts";

const PARAMETERS_MAX = 100;
const PARAMETER_LENGTH_MAX = 4_096;
const HUGEINT_MAX = 2n ** 127n - 1n;
/** Digits that distinguish any DOUBLE from all others. */
const DOUBLE_DIGITS_MAX = 17;
const DECIMAL_DIGITS_MAX = 38;

/**
 * Reads the parameters of a request.
 *
 * @param value the result of `parseExactJson`
 *
 * @throws BadInput that names the parameter
 */
export function readParameters(value: unknown): Parameters | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object" || value instanceof InexactNumber)
    throw new BadInput(
      `params is ${quote(value)}; expected an array for $1, $2 … or an object for $name.`,
      "params",
    );
  const entries = Object.entries(value);
  if (entries.length > PARAMETERS_MAX)
    throw new BadInput(`params has ${entries.length} values; ${PARAMETERS_MAX} are allowed.`, "params");
  const read = entries.map(([name, parameter]) => [name, readParameter(name, parameter)] as const);
  return Array.isArray(value) ? read.map(([, parameter]) => parameter) : Object.fromEntries(read);
}

/** Reads the parameters of a query string, which are texts. */
export function readTextParameters(given: Readonly<Record<string, string>>): Parameters | undefined {
  for (const [name, text] of Object.entries(given)) {
    if (holdsReplacement(text))
      throw new BadInput(
        `param.${name} is ${quote(text)}, which contains bytes that are not UTF-8; a JSON body can contain any text.`,
        `param.${name}`,
      );
  }
  return readParameters(given);
}

function readParameter(name: string, value: unknown): Parameter {
  if (value instanceof InexactNumber) return exactNumber(name, value);
  if (typeof value === "number") return isLongWhole(value) ? BigInt(String(value)) : value;
  if (value !== null && typeof value !== "boolean" && typeof value !== "string")
    throw new BadInput(
      `params.${name} is ${quote(value)}; expected a text, a number, true, false or null.`,
      "params",
    );
  if (typeof value === "string" && value.length > PARAMETER_LENGTH_MAX)
    throw new BadInput(
      `params.${name} has ${value.length} characters; ${PARAMETER_LENGTH_MAX} are allowed.`,
      "params",
    );
  return value;
}

/** Whole numbers beyond 2^53 that are printed without an exponent: with the digits that were sent. */
function isLongWhole(value: number): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21;
}

function exactNumber(name: string, number: InexactNumber): Parameter {
  const { text, value } = number;
  // HUGEINT has 39 digits: longer texts need not be parsed.
  if (/^-?\d{1,39}$/.test(text)) {
    const whole = BigInt(text);
    if (whole >= -HUGEINT_MAX && whole <= HUGEINT_MAX) return whole;
  }
  const fraction = /^(-?)0?(\d*)\.(\d+)$/.exec(text);
  const digits = fraction === null ? 0 : fraction[2].length + fraction[3].length;
  if (fraction !== null && digits > DOUBLE_DIGITS_MAX && digits <= DECIMAL_DIGITS_MAX)
    return { digits: BigInt(fraction[1] + fraction[2] + fraction[3]), scale: fraction[3].length };
  if (digits <= DECIMAL_DIGITS_MAX && Number.isFinite(value) && isStoredAsSent(text, value)) return value;
  throw new BadInput(
    `params.${name} is ${quote(number)}, which HUGEINT, DECIMAL and DOUBLE cannot represent; send it as text.`,
    "params",
  );
}
