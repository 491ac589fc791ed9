/**
 * Parses JSON with numbers that a 64-bit float (a JavaScript number) cannot hold, such as ids beyond 2^53. The digits
 * that were sent are kept beside the nearest float (RFC 8259, section 6, leaves the precision to the reader). Pure.
 */

/** A number that a 64-bit float would change. */
export class InexactNumber {
  /** The number as it was sent. */
  readonly text: string;
  /** The nearest 64-bit float; infinite past the largest. */
  readonly value: number;

  constructor(text: string, value: number) {
    this.text = text;
    this.value = value;
  }

  /** Returns the digits that were sent, so that an error quotes them. */
  toJSON(): unknown {
    return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(this.text);
  }
}

/**
 * A decimal of up to 15 digits survives the conversion to a 64-bit float and back, unless its exponent is out of range
 * (IEEE 754; C calls this DBL_DIG). A text without a match has no other numbers.
 */
const MAY_BE_INEXACT = /[\d.]{16}|[eE][+-]?\d{3}/;

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

const keepDigits: Reviver = (_, value, { source }) =>
  typeof value === "number" && source !== undefined && !isSameNumber(source, String(value))
    ? new InexactNumber(source, value)
    : value;

/**
 * Parses JSON as `JSON.parse` does, but numbers that no 64-bit float holds become `InexactNumber`.
 *
 * @throws SyntaxError
 */
export function parseExactJson(text: string): unknown {
  // The engine is several times slower with a reviver.
  return MAY_BE_INEXACT.test(text)
    ? JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown)
    : JSON.parse(text);
}

/**
 * Whether a number is stored as it was sent, as far as people expect it of a float. 0.1 is, though it is rounded, and
 * so is a fraction with more digits than a float has. A whole number beyond 2^53 must equal the value of the float or
 * its printed form (2^64 is both 18446744073709551616 and 18446744073709552000), and 0 must be 0.
 *
 * @param text a JSON number
 * @param value the same as a finite float
 */
export function isStoredAsSent(text: string, value: number): boolean {
  if (value === 0) return isSameNumber(text, "0");
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return true;
  return isSameNumber(text, String(value)) || isSameNumber(text, BigInt(value).toString());
}

/** Whether two decimals are the same number, in any spelling. */
function isSameNumber(a: string, b: string): boolean {
  return a === b || digitsOf(a) === digitsOf(b);
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** A decimal's digits without the zeros around them, and the power of ten of the first; undefined for other texts. */
function digitsOf(decimal: string): string | undefined {
  const match = DECIMAL.exec(decimal);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = whole + fraction;
  let first = 0;
  while (digits[first] === "0") first++;
  if (first === digits.length) return "0";
  // A loop, because a regular expression would scan each run of zeros again and again.
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return `${sign}${digits.slice(first, end)}e${whole.length - first + Number(exponent)}`;
}
