/**
 * The functions that every template of Go has: https://pkg.go.dev/text/template#hdr-Functions. `and` and `or` are not
 * here, because they do not evaluate all of their arguments. `call` is missing, because no value is a function.
 */
import { compareText } from "../../query/promql/labels.ts";
import { actionText, printfText, printlnText, printText } from "./go-print.ts";
import {
  ANY,
  type GoFunction,
  GoList,
  GoMap,
  GoObject,
  GoStruct,
  type GoValue,
  isTrue,
  STRING,
  typeNameOf,
} from "./go-values.ts";
import { CallError } from "./template-errors.ts";

const INCOMPATIBLE = "incompatible types for comparison";

/** Go's texts are bytes: their length and their indexes count them. */
const bytesOf = (text: string) => new TextEncoder().encode(text);

function unequalTypes(): never {
  throw new CallError(INCOMPATIBLE);
}

function invalidType(): never {
  throw new CallError("invalid type for comparison");
}

/** Types that have an order or can be equal: integers, numbers, texts and booleans. */
function basicKind(value: GoValue): "integer" | "number" | "string" | "boolean" | undefined {
  if (value instanceof GoObject) return value.toInteger() === undefined ? undefined : "integer";
  switch (typeof value) {
    case "bigint":
      return "integer";
    case "number":
    case "string":
    case "boolean":
      return typeof value as "number" | "string" | "boolean";
    default:
      return undefined;
  }
}

const plain = (value: GoValue) => (value instanceof GoObject ? (value.toInteger() ?? value) : value);

function isEqual(a: GoValue, b: GoValue): boolean {
  const [kindA, kindB] = [basicKind(a), basicKind(b)];
  if (kindA !== kindB) return a === undefined || b === undefined ? false : unequalTypes();
  if (kindA !== undefined) return plain(a) === plain(b);
  if (a === undefined || b === undefined) return a === b;
  const isComparable = (value: GoValue) => value instanceof GoStruct && value.typeName.startsWith("*");
  if (!isComparable(a) || !isComparable(b)) {
    throw new CallError(`non-comparable type ${actionText(b)}: ${typeNameOf(b)}`);
  }
  return a === b;
}

function equalsAny([first, ...others]: readonly GoValue[]): boolean {
  if (others.length === 0) throw new CallError("missing argument for comparison");
  return others.some((other) => isEqual(first, other));
}

function isLess(a: GoValue, b: GoValue): boolean {
  const [kindA, kindB] = [basicKind(a), basicKind(b)];
  if (kindA === undefined || kindB === undefined) return invalidType();
  if (kindA !== kindB) return unequalTypes();
  if (kindA === "boolean") return invalidType();
  if (kindA === "string") return compareText(a as string, b as string) < 0;
  return (plain(a) as number) < (plain(b) as number);
}

/** Go's definitions: `<=` is `<` or `==`, `>` is not `<=`. They differ from mathematics for NaN. */
const isAtMost = (a: GoValue, b: GoValue) => isLess(a, b) || isEqual(a, b);

const comparison = (compare: (a: GoValue, b: GoValue) => boolean): GoFunction => ({
  parameters: [ANY, ANY],
  call: ([a, b]) => compare(a, b),
});

const variadic = (call: GoFunction["call"]): GoFunction => ({ parameters: [ANY], isVariadic: true, call });

function indexOf(length: number, index: GoValue, isEndAllowed: boolean): number {
  const value = index instanceof GoObject ? index.toInteger() : index;
  if (index === undefined) throw new CallError("cannot index slice/array with nil");
  if (typeof value !== "bigint")
    throw new CallError(`cannot index slice/array with type ${typeNameOf(index)}`);
  if (value < 0n || value > BigInt(length)) throw new CallError(`index out of range: ${value}`);
  // Go checks the limit of a slice, and then its own check of the index fails.
  if (!isEndAllowed && value === BigInt(length)) throw new CallError(INDEX_AT_END);
  return Number(value);
}

const INDEX_AT_END = "reflect: slice index out of range";

function indexed([item, ...indexes]: readonly GoValue[]): GoValue {
  if (item === undefined) throw new CallError("index of untyped nil");
  let value: GoValue = item;
  for (const index of indexes) {
    if (value === undefined) throw new CallError("index of nil pointer");
    if (typeof value === "string") {
      const bytes = bytesOf(value);
      value = BigInt(bytes[indexOf(bytes.length, index, false)]);
    } else if (value instanceof GoList) value = value.items[indexOf(value.items.length, index, false)];
    else if (value instanceof GoMap) {
      if (index !== undefined && typeof index !== "string") {
        throw new CallError(`value has type ${typeNameOf(index)}; should be string`);
      }
      if (index === undefined) throw new CallError("value is nil; should be of type string");
      value = value.entries.has(index) ? value.entries.get(index) : value.absent;
    } else throw new CallError(`can't index item of type ${typeNameOf(value)}`);
  }
  return value;
}

function slice([item, ...indexes]: readonly GoValue[]): GoValue {
  if (item === undefined) throw new CallError("slice of untyped nil");
  if (indexes.length > 2) throw new CallError("slices with a capacity are not supported");
  const items = typeof item === "string" ? bytesOf(item) : item instanceof GoList ? item.items : undefined;
  if (items === undefined) throw new CallError(`can't slice item of type ${typeNameOf(item)}`);
  const [from = 0, to = items.length] = indexes.map((index) => indexOf(items.length, index, true));
  if (from > to) throw new CallError(`invalid slice index: ${from} > ${to}`);
  if (items instanceof Uint8Array) return new TextDecoder().decode(items.subarray(from, to));
  return new GoList((item as GoList).typeName, items.slice(from, to));
}

function lengthOf(value: GoValue): bigint {
  if (typeof value === "string") return BigInt(bytesOf(value).length);
  if (value instanceof GoMap) return BigInt(value.entries.size);
  if (value instanceof GoList) return BigInt(value.items.length);
  if (value === undefined) throw new CallError("reflect: call of reflect.Value.Type on zero Value");
  throw new CallError(`len of type ${typeNameOf(value)}`);
}

/** The text of the arguments as an action prints one, and as `print` prints several. */
const texts = (args: readonly GoValue[]) =>
  args.length === 1
    ? actionText(args[0])
    : printText(args.map((arg) => (arg === undefined ? "<no value>" : arg)));

const HTML: Readonly<Record<string, string>> = {
  "\0": "\ufffd",
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

const escapeHtml = (text: string) => text.replace(/[\0"'&<>]/g, (character) => HTML[character]);

function escapeJs(text: string): string {
  return [...text]
    .map((character) => {
      const code = character.codePointAt(0)!;
      if ("\\'\"".includes(character)) return `\\${character}`;
      const isPlain = code >= 0x80 ? PRINTABLE.test(character) : code >= 0x20 && !"<>&=".includes(character);
      return isPlain ? character : `\\u${code.toString(16).toUpperCase().padStart(4, "0")}`;
    })
    .join("");
}

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/** Go's url.QueryEscape: a space is a plus sign. */
export function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

export const BUILTIN_FUNCTIONS: Readonly<Record<string, GoFunction>> = {
  eq: { parameters: [ANY, ANY], isVariadic: true, call: equalsAny },
  ne: comparison((a, b) => !isEqual(a, b)),
  lt: comparison(isLess),
  le: comparison(isAtMost),
  gt: comparison((a, b) => !isAtMost(a, b)),
  ge: comparison((a, b) => !isLess(a, b)),
  html: variadic((args) => escapeHtml(texts(args))),
  js: variadic((args) => escapeJs(texts(args))),
  urlquery: variadic((args) => escapeQuery(texts(args))),
  index: { parameters: [ANY, ANY], isVariadic: true, call: indexed },
  slice: { parameters: [ANY, ANY], isVariadic: true, call: slice },
  len: { parameters: [ANY], call: ([value]) => lengthOf(value) },
  not: { parameters: [ANY], call: ([value]) => !isTrue(value) },
  print: variadic((args) => printText(args)),
  println: variadic((args) => printlnText(args)),
  printf: {
    parameters: [STRING, ANY],
    isVariadic: true,
    call: ([format, ...args]) => printfText(format as string, args),
  },
};
