/**
 * Prints values as Go's package fmt does (https://pkg.go.dev/fmt): print, println and printf with verbs, flags, widths,
 * precisions and argument indexes. What a verb cannot print is shown as Go shows it: `%!d(float64=1.5)`. The Go syntax
 * of `%#v` is not supported.
 */
import { quoteText } from "../../query/promql/promql-text.ts";
import { goFloatText } from "./go-number-text.ts";
import { GoEnum, GoList, GoMap, GoObject, GoStruct, type GoValue, typeNameOf } from "./go-values.ts";
import { CallError } from "./template-errors.ts";

/** Go's own limit of widths and precisions. */
const WIDTH_MAX = 1_000_000;

interface Style {
  readonly verb: string;
  readonly plus: boolean;
  /** `%+v`: structs are printed with the names of their fields. */
  readonly names: boolean;
  readonly minus: boolean;
  readonly sharp: boolean;
  readonly space: boolean;
  readonly zero: boolean;
  readonly width?: number;
  readonly precision?: number;
}

const PLAIN: Style = {
  verb: "v",
  plus: false,
  names: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
};

/** What an action prints. Only nil differs from `print`. */
export function actionText(value: GoValue): string {
  if (typeof value === "string") return value;
  if (value === undefined) return "<no value>";
  return isPointer(value) ? structText(value, PLAIN) : argumentText(value, PLAIN);
}

/** Go's Sprint: a space between two arguments of which none is a string. */
export function printText(args: readonly GoValue[]): string {
  let text = "";
  args.forEach((arg, at) => {
    if (at > 0 && typeof arg !== "string" && typeof args[at - 1] !== "string") text += " ";
    text += argumentText(arg, PLAIN);
  });
  return text;
}

/** Go's Sprintln: a space between all arguments, and a newline. */
export function printlnText(args: readonly GoValue[]): string {
  return `${args.map((arg) => argumentText(arg, PLAIN)).join(" ")}\n`;
}

/** Go's Sprintf. @throws CallError for what is not supported */
export function printfText(format: string, args: readonly GoValue[]): string {
  return new Formatting(format, args).text();
}

class Formatting {
  readonly #format: string;
  readonly #args: readonly GoValue[];
  #at = 0;
  #next = 0;
  #isReordered = false;
  #isGoodIndex = true;
  #text = "";

  constructor(format: string, args: readonly GoValue[]) {
    this.#format = format;
    this.#args = args;
  }

  text(): string {
    while (this.#at < this.#format.length) {
      const percent = this.#format.indexOf("%", this.#at);
      const end = percent < 0 ? this.#format.length : percent;
      this.#text += this.#format.slice(this.#at, end);
      this.#at = end + 1;
      if (percent >= 0) this.#verb();
    }
    if (!this.#isReordered && this.#next < this.#args.length) {
      const extra = this.#args
        .slice(this.#next)
        .map((arg) => (arg === undefined ? "<nil>" : `${typeNameOf(arg)}=${argumentText(arg, PLAIN)}`));
      this.#text += `%!(EXTRA ${extra.join(", ")})`;
    }
    return this.#text;
  }

  #verb(): void {
    this.#isGoodIndex = true;
    const flags = /[#0+\- ]*/y;
    flags.lastIndex = this.#at;
    const given = flags.exec(this.#format)![0];
    this.#at = flags.lastIndex;
    let minus = given.includes("-");
    let isIndexed = this.#index();
    let width: number | undefined;
    if (this.#format[this.#at] === "*") {
      this.#at++;
      width = this.#integerArgument();
      if (width === undefined) this.#text += "%!(BADWIDTH)";
      else if (width < 0) {
        width = -width;
        minus = true;
      }
      isIndexed = false;
    } else {
      width = this.#number();
      if (isIndexed && width !== undefined) this.#isGoodIndex = false;
    }
    let precision: number | undefined;
    if (this.#format[this.#at] === "." && this.#at + 1 < this.#format.length) {
      this.#at++;
      if (isIndexed) this.#isGoodIndex = false;
      isIndexed = this.#index();
      if (this.#format[this.#at] === "*") {
        this.#at++;
        precision = this.#integerArgument();
        if (precision !== undefined && precision < 0) precision = undefined;
        if (precision === undefined) this.#text += "%!(BADPREC)";
        isIndexed = false;
      } else precision = this.#number() ?? 0;
    }
    if (!isIndexed) this.#index();
    if (this.#at >= this.#format.length) {
      this.#text += "%!(NOVERB)";
      return;
    }
    const verb = String.fromCodePoint(this.#format.codePointAt(this.#at)!);
    this.#at += verb.length;
    const style = {
      verb,
      plus: given.includes("+") && verb !== "v",
      names: given.includes("+") && verb === "v",
      minus,
      sharp: given.includes("#"),
      space: given.includes(" "),
      zero: given.includes("0") && !minus,
      width,
      precision,
    };
    if (verb === "%") this.#text += "%";
    else if (!this.#isGoodIndex) this.#text += `%!${verb}(BADINDEX)`;
    else if (this.#next >= this.#args.length) this.#text += `%!${verb}(MISSING)`;
    else this.#text += argumentText(this.#args[this.#next++], style);
  }

  #number(): number | undefined {
    const digits = /\d*/y;
    digits.lastIndex = this.#at;
    const found = digits.exec(this.#format)![0];
    if (found === "") return undefined;
    const value = Number(found);
    // Go gives up on the rest of the format.
    this.#at = value > WIDTH_MAX * 10 ? this.#format.length : digits.lastIndex;
    if (value > WIDTH_MAX) throw new CallError(`a width or precision of ${found} is not supported`);
    return value;
  }

  #integerArgument(): number | undefined {
    if (this.#next >= this.#args.length) return undefined;
    const arg = this.#args[this.#next++];
    const value = arg instanceof GoObject ? arg.toInteger() : arg;
    if (typeof value !== "bigint") return undefined;
    return value > BigInt(WIDTH_MAX) || value < -BigInt(WIDTH_MAX) ? undefined : Number(value);
  }

  /** Reads `[3]`; whether there is one. */
  #index(): boolean {
    if (this.#format[this.#at] !== "[") return false;
    this.#isReordered = true;
    const close = this.#format.indexOf("]", this.#at);
    if (close < 0) {
      this.#at++;
      this.#isGoodIndex = false;
      return false;
    }
    const inside = this.#format.slice(this.#at + 1, close);
    this.#at = close + 1;
    const isNumber = /^\d+$/.test(inside);
    const index = Number(inside) - 1;
    if (isNumber && index >= 0 && index < this.#args.length) {
      this.#next = index;
      return true;
    }
    this.#isGoodIndex = false;
    return isNumber;
  }
}

const isPointer = (value: GoValue): value is GoStruct =>
  value instanceof GoStruct && value.typeName.startsWith("*");

function argumentText(value: GoValue, style: Style): string {
  if (value === undefined) {
    return style.verb === "v" || style.verb === "T" ? padded("<nil>", style) : badVerb(value, style);
  }
  if (style.verb === "T") return stringText(typeNameOf(value), { ...style, verb: "s" });
  if (style.verb === "p") throw new CallError("%p is not supported");
  if (style.sharp && style.verb === "v") throw new CallError("%#v is not supported");
  return isPointer(value) && value.toText() === undefined
    ? `&${valueText(value, style)}`
    : valueText(value, style);
}

function valueText(value: GoValue, style: Style): string {
  switch (typeof value) {
    case "undefined":
      return "<nil>";
    case "string":
      return stringText(value, style);
    case "boolean":
      return "tv".includes(style.verb) ? padded(String(value), style) : badVerb(value, style);
    case "number":
      return floatText(value, style);
    case "bigint":
      return integerText(value, style);
    default:
      return objectText(value, style);
  }
}

function objectText(value: GoObject, style: Style): string {
  if (style.verb === "w") return badVerb(value, style);
  const text = value.toText();
  if (text !== undefined && "vsxXq".includes(style.verb)) return stringText(text, style);
  const integer = value.toInteger();
  if (integer !== undefined) return integerText(integer, style, value);
  if (value instanceof GoMap) {
    const entries = value
      .sorted()
      .map(([key, each]) => `${stringText(key, style)}:${valueText(each, style)}`);
    return `map[${entries.join(" ")}]`;
  }
  if (value instanceof GoList) return `[${value.items.map((each) => valueText(each, style)).join(" ")}]`;
  if (value instanceof GoStruct) return structText(value, style);
  return badVerb(value, style);
}

function structText(value: GoStruct, style: Style): string {
  const fields = [...value.fields].map(
    ([name, each]) => (style.names ? `${name}:` : "") + valueText(each, style),
  );
  return `{${fields.join(" ")}}`;
}

/** A verb that the type does not have. The flags, the width and the precision go on to the value, as in Go. */
function badVerb(value: GoValue, style: Style): string {
  if (value === undefined) return `%!${style.verb}(<nil>)`;
  const shown = { ...style, verb: "v" };
  const text = value instanceof GoEnum ? integerText(value.value, shown) : valueText(value, shown);
  return `%!${style.verb}(${typeNameOf(value)}=${text})`;
}

function padded(text: string, { width, minus, zero }: Style): string {
  if (width === undefined) return text;
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  return minus ? text + " ".repeat(missing) : (zero ? "0" : " ").repeat(missing) + text;
}

function stringText(text: string, style: Style): string {
  const { verb, precision, sharp } = style;
  const short = precision === undefined ? text : [...text].slice(0, precision).join("");
  switch (verb) {
    case "v":
    case "s":
      return padded(short, style);
    case "q":
      if (sharp && isBackquotable(short)) return padded(`\`${short}\``, style);
      return padded(style.plus ? asciiOnly(quoteText(short)) : quoteText(short), style);
    case "x":
    case "X":
      return padded(hexText(text, style), { ...style, zero: style.zero });
    default:
      return badVerb(text, style);
  }
}

/** Whether a raw string can contain a text. */
export const isBackquotable = (text: string) =>
  text.isWellFormed() &&
  [...text].every(
    (character) => character === "\t" || (character >= " " && !"`\x7f\ufeff".includes(character)),
  );

/** Escapes everything that is not ASCII. */
function asciiOnly(quoted: string): string {
  return quoted.replace(/\P{ASCII}/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}

function hexText(text: string, { verb, precision, sharp, space }: Style): string {
  const bytes = [...new TextEncoder().encode(text)].slice(0, precision);
  const prefix = sharp && bytes.length > 0 ? "0x" : "";
  const pairs = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  const joined = space ? pairs.map((pair) => prefix + pair).join(" ") : prefix + pairs.join("");
  return verb === "X" ? joined.toUpperCase() : joined;
}

function floatText(value: number, style: Style): string {
  const { verb, plus, space, zero, width } = style;
  if (!"vbgGxXfFeE".includes(verb)) return badVerb(value, style);
  if (style.sharp) throw new CallError("the flag # of a number with a fraction is not supported");
  const format = verb === "v" ? "g" : (verb.toLowerCase() as "b" | "e" | "f" | "g" | "x");
  const precision = style.precision ?? (format === "e" || format === "f" ? 6 : undefined);
  let text = goFloatText(value, format, precision);
  if (verb === "G" || verb === "X" || verb === "E") {
    text = Number.isFinite(value) ? text.toUpperCase() : text;
  }
  const isSigned = /^[+-]/.test(text);
  let sign = isSigned ? text[0] : "+";
  const digits = isSigned ? text.slice(1) : text;
  if (space && sign === "+" && !plus) sign = " ";
  if (!Number.isFinite(value)) {
    const shown = Number.isNaN(value) && !space && !plus ? digits : sign + digits;
    // Infinity has a sign in any case, and is not padded with zeros.
    return padded(sign === "+" && !plus && Number.isNaN(value) ? digits : shown, { ...style, zero: false });
  }
  if (!plus && sign === "+") return padded(digits, style);
  if (zero && width !== undefined && width > digits.length + 1) return sign + digits.padStart(width - 1, "0");
  return padded(sign + digits, style);
}

const BASES: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };

function integerText(value: bigint, style: Style, shown: GoValue = value): string {
  const { verb, plus, space, sharp, zero, width, precision } = style;
  if (verb === "c") return padded(characterOf(value), style);
  if (verb === "q") {
    const character = characterOf(value);
    const inner = character === "'" ? "\\'" : character === '"' ? '"' : quoteText(character).slice(1, -1);
    return padded(`'${plus ? asciiOnly(inner) : inner}'`, style);
  }
  if (verb === "U") {
    const code = BigInt.asUintN(64, value)
      .toString(16)
      .toUpperCase()
      .padStart(Math.max(4, precision ?? 0), "0");
    const character = characterOf(value);
    const shown = sharp && quoteText(character) === `"${character}"` && character !== "\ufffd";
    return padded(`U+${code}${shown ? ` '${character}'` : ""}`, { ...style, zero: false });
  }
  if (!Object.hasOwn(BASES, verb)) return badVerb(shown, style);
  if (precision === 0 && value === 0n) return " ".repeat(width ?? 0);
  const isNegative = value < 0n;
  let digits = (isNegative ? -value : value).toString(BASES[verb]);
  if (verb === "X") digits = digits.toUpperCase();
  const zeros =
    precision ?? (zero && width !== undefined ? width - (isNegative || plus || space ? 1 : 0) : 0);
  digits = digits.padStart(zeros, "0");
  if (sharp && verb === "b") digits = `0b${digits}`;
  if (sharp && BASES[verb] === 8 && !digits.startsWith("0")) digits = `0${digits}`;
  if (sharp && (verb === "x" || verb === "X")) digits = `0${verb}${digits}`;
  if (verb === "O") digits = `0o${digits}`;
  const sign = isNegative ? "-" : plus ? "+" : space ? " " : "";
  return padded(sign + digits, { ...style, zero: false });
}

/** The character of a code point; U+FFFD if there is none. */
function characterOf(code: bigint): string {
  const isCharacter = code >= 0n && code <= 0x10ffffn && !(code >= 0xd800n && code < 0xe000n);
  return isCharacter ? String.fromCodePoint(Number(code)) : "\ufffd";
}
