/**
 * Floating-point numbers as Go's strconv.FormatFloat prints them (https://pkg.go.dev/strconv#FormatFloat). JavaScript's
 * toFixed and toPrecision round a tie up and switch to exponents elsewhere, and "%.0f" of 2.5 is 2 in Go. Pure.
 */

export type FloatFormat = "e" | "f" | "g" | "x" | "b";

/** Nothing of a double is past this digit. */
const DIGITS_MAX = 1_100;

/** The digits of a number without zeros at their ends; its value is 0.DIGITS × 10^point. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** Formats a number; without a precision, with the fewest digits that read back as the same number. */
export function goFloatText(value: number, format: FloatFormat, precision?: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  return sign + unsigned(Math.abs(value), format, precision);
}

function unsigned(value: number, format: FloatFormat, precision: number | undefined): string {
  switch (format) {
    case "x":
      return hexadecimal(value, precision);
    case "b": {
      const { mantissa, exponent } = binary(value);
      return `${mantissa}p${exponent < 0 ? "" : "+"}${exponent}`;
    }
    case "f": {
      const decimal = precision === undefined ? shortest(value) : roundedFraction(value, precision);
      return fixed(decimal, precision ?? Math.max(decimal.digits.length - decimal.point, 0));
    }
    case "e": {
      const decimal = precision === undefined ? shortest(value) : rounded(value, precision + 1);
      return scientific(decimal, precision ?? Math.max(decimal.digits.length - 1, 0));
    }
    case "g":
      return general(value, precision);
  }
}

function general(value: number, precision: number | undefined): string {
  const wanted = precision === undefined ? undefined : Math.max(precision, 1);
  const decimal = wanted === undefined ? shortest(value) : rounded(value, wanted);
  const { length } = decimal.digits;
  let exponentFrom = wanted ?? 6;
  if (wanted !== undefined && wanted > length && length >= decimal.point) exponentFrom = length;
  const exponent = decimal.point - 1;
  if (exponent < -4 || exponent >= exponentFrom) {
    return scientific(decimal, Math.max(Math.min(wanted ?? length, length) - 1, 0));
  }
  return fixed(decimal, Math.max(length - decimal.point, 0));
}

function shortest(value: number): Decimal {
  if (value === 0) return { digits: "", point: 0 };
  const [mantissa, exponent] = value.toExponential().split("e");
  return trimmed(mantissa.replace(".", ""), Number(exponent) + 1);
}

function trimmed(digits: string, point: number): Decimal {
  const kept = digits.replace(/0+$/, "");
  return { digits: kept, point: kept === "" ? 0 : point };
}

/** A double as mantissa × 2^exponent. */
function binary(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

/** The integer nearest to value × 10^scale; of two, the even one. */
function scaled(value: number, scale: number): bigint {
  const { mantissa, exponent } = binary(value);
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (scale >= 0) numerator *= 10n ** BigInt(scale);
  else denominator *= 10n ** BigInt(-scale);
  const quotient = numerator / denominator;
  const twice = 2n * (numerator % denominator);
  const isUp = twice > denominator || (twice === denominator && (quotient & 1n) === 1n);
  return isUp ? quotient + 1n : quotient;
}

function roundedFraction(value: number, precision: number): Decimal {
  const scale = Math.min(precision, DIGITS_MAX);
  const digits = String(scaled(value, scale));
  return digits === "0" ? { digits: "", point: 0 } : trimmed(digits, digits.length - scale);
}

/** A number that is rounded to a given number of digits. */
function rounded(value: number, count: number): Decimal {
  if (value === 0) return { digits: "", point: 0 };
  const wanted = Math.min(count, DIGITS_MAX);
  // The shortest form of a number just below a power of ten can be that power.
  let exponent = Number(value.toExponential().split("e")[1]);
  let digits = String(scaled(value, wanted - 1 - exponent));
  if (digits.length < wanted) {
    exponent--;
    digits = String(scaled(value, wanted - 1 - exponent));
  }
  return trimmed(digits, exponent + 1 + digits.length - wanted);
}

function fixed({ digits, point }: Decimal, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, "0") : "0";
  if (precision === 0) return whole;
  const fraction = point >= 0 ? digits.slice(point) : "0".repeat(-point) + digits;
  return `${whole}.${fraction.slice(0, precision).padEnd(precision, "0")}`;
}

function scientific({ digits, point }: Decimal, precision: number): string {
  const exponent = digits === "" ? 0 : point - 1;
  const first = digits[0] ?? "0";
  const fraction = precision === 0 ? "" : `.${digits.slice(1, 1 + precision).padEnd(precision, "0")}`;
  return `${first}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** `0x1.8p+01`: the mantissa is at least 1 and less than 2. */
function hexadecimal(value: number, precision: number | undefined): string {
  let { mantissa, exponent } = binary(value);
  if (mantissa === 0n) return `0x0${precision ? `.${"0".repeat(precision)}` : ""}p+00`;
  while (mantissa >> 52n === 0n) {
    mantissa <<= 1n;
    exponent--;
  }
  exponent += 52;
  let fraction = "";
  if (precision !== undefined && precision < 13) {
    const dropped = BigInt(52 - 4 * precision);
    const rest = mantissa & ((1n << dropped) - 1n);
    mantissa >>= dropped;
    const half = 1n << (dropped - 1n);
    if (rest > half || (rest === half && (mantissa & 1n) === 1n)) mantissa++;
    if (mantissa >> BigInt(4 * precision + 1) !== 0n) {
      mantissa >>= 1n;
      exponent++;
    }
    if (precision > 0) fraction = mantissa.toString(16).slice(1);
  } else {
    fraction = mantissa.toString(16).slice(1);
    fraction = precision === undefined ? fraction.replace(/0+$/, "") : fraction.padEnd(precision, "0");
  }
  const power = `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return `0x1${fraction === "" ? "" : `.${fraction}`}p${power}`;
}
