/**
 * Checks the arguments of calls whose name alone does not bound their cost: patterns, widths and counts must be
 * constants. Each check throws `Forbidden` or `BadInput` with a sentence that says what is expected.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { rangeLength } from "./sizes.ts";
import { forbidden, type Node } from "./walk.ts";

export type Check = (name: string, children: readonly Node[]) => void;

/** Characters of a pattern: LIKE backtracks, and a regular expression is compiled. */
export const PATTERN_LENGTH_MAX = 128;
/** The longest text that lpad, rpad, repeat, bar, format and printf may fill, in characters. */
export const WIDTH_MAX = 1_000;
/** Values that min(x, n), max(x, n), arg_max(x, y, n) … keep for each group. */
export const COUNT_MAX = 40;
/** Bins of equi_width_bins. */
export const BINS_MAX = 1_000;
/** Elements of range() and generate_series() outside FROM. */
export const RANGE_MAX = 4_000;

/** The value of a constant text or number; undefined for any other node, and for NULL. */
export function constantOf(node: Node | undefined): string | number | undefined {
  if (node?.class === "FUNCTION" && node.function_name === "-") {
    const children = node.children as readonly Node[];
    const value = children.length === 1 ? constantOf(children[0]) : undefined;
    return typeof value === "number" ? -value : undefined;
  }
  if (node?.class !== "CONSTANT") return undefined;
  const { value, type, is_null } = node.value as {
    value?: unknown;
    is_null?: boolean;
    type?: { id?: string; type_info?: { scale?: number } };
  };
  // The tree omits an empty text.
  if (value === undefined && type?.id === "VARCHAR" && is_null === false) return "";
  if (typeof value === "number") return value / 10 ** (type?.type_info?.scale ?? 0);
  return typeof value === "string" ? value : undefined;
}

function text(node: Node | undefined): string | undefined {
  const value = constantOf(node);
  return typeof value === "string" ? value : undefined;
}

function pattern(name: string, node: Node | undefined): string {
  const constant = text(node);
  if (constant === undefined)
    throw forbidden(`the pattern of ${name} is not a constant; write it out as a text in quotation marks`);
  if (constant.length > PATTERN_LENGTH_MAX)
    throw new BadInput(
      `the pattern of ${name} has ${constant.length} characters; ${PATTERN_LENGTH_MAX} are allowed`,
      "sql",
    );
  return constant;
}

/** The pattern is the second argument; that of strftime may be the first. */
export const checkPattern: Check = (name, children) => {
  if (name === "strftime" && text(children[0]) !== undefined) pattern(name, children[0]);
  else pattern(name, children[1]);
};

/** The pattern and the replacement of `regexp_replace`, `replace` and `translate`. */
export const checkReplacement: Check = (name, children) => {
  pattern(name, children[1]);
  if (text(children[2]) === undefined)
    throw forbidden(
      `the replacement of ${name} is not a constant; write it out as a text in quotation marks`,
    );
  if (children[3] !== undefined) pattern(`${name}'s options`, children[3]);
};

/**
 * The engine tries every way to divide a value among the `%` of a pattern. With two `%` before the end of the pattern,
 * the time grows with the square of the value's length, with three with the cube. Plain `a%b%c` is fast, but only
 * without `_`, case folding or an escape.
 */
export const checkLike: Check = (name, children) => {
  const constant = pattern("LIKE", children[1]);
  const runs = constant.replace(/%+$/, "").split(/%+/).length - 1;
  const plain = (name === "~~" || name === "!~~") && !constant.includes("_");
  const runsMax = plain ? 16 : 1;
  if (runs > runsMax) {
    throw forbidden(
      `the LIKE pattern has ${runs} runs of % before its end; ${runsMax} ${runsMax === 1 ? "is" : "are"} allowed` +
        `${plain ? "" : " with _, ILIKE or ESCAPE"}; use regexp_matches instead`,
    );
  }
};

/** Allows a key, an index, or a path without `*`. A `*` would select any number of values. */
export const checkJsonPath: Check = (name, children) => {
  if (children.length < 2) return;
  if (typeof constantOf(children[1]) === "number") return;
  if (pattern(name, children[1]).includes("*"))
    throw forbidden(`the path of ${name} contains a *; only paths to one value are allowed`);
};

/** Throws unless the argument at `position` is absent or a constant whole number from 0 to `max`. */
function wholeNumber(
  name: string,
  what: string,
  children: readonly Node[],
  position: number,
  max: number,
): void {
  const node = children[position];
  if (node === undefined) return;
  const value = constantOf(node);
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max)
    throw forbidden(
      `the ${what} of ${name}() is ${value === undefined ? "not a constant" : quote(value)}; write out a whole number of at most ${max}`,
    );
}

export const checkPad: Check = (name, children) => wholeNumber(name, "length", children, 1, WIDTH_MAX);
export const checkRepeat: Check = (name, children) => wholeNumber(name, "count", children, 1, WIDTH_MAX);
export const checkBar: Check = (name, children) => wholeNumber(name, "width", children, 3, WIDTH_MAX);

export const checkBins: Check = (name, children) =>
  wholeNumber(name, "number of bins", children, 2, BINS_MAX);

/** With a count, these aggregates keep that many values for each group. */
export const checkCount =
  (position: number): Check =>
  (name, children) =>
    wholeNumber(name, "count", children, position, COUNT_MAX);

/**
 * Allows lists of whole numbers only. The length of a list of times is known only when it is made. FROM makes it step
 * by step, so there it is allowed.
 */
export const checkRange: Check = (name, children) => {
  const values = children.map(constantOf);
  if (values.some((value) => typeof value !== "number"))
    throw forbidden(
      `${name}() outside FROM takes only constant whole numbers; for times write FROM ${name}(start, stop, step)`,
    );
  const length = rangeLength(values);
  if (length > RANGE_MAX + 1)
    throw forbidden(`${name}() outside FROM would make more than ${RANGE_MAX} values; put it into FROM`);
};

/** Widths and precisions must be digits in the format. A width from an argument could have any size. */
export const checkFormat: Check = (name, children) => {
  const format = pattern(name, children[0]);
  const isDynamic =
    name === "printf" ? /%[^a-zA-Z%]*\*/.test(format) : /\{[^}]*\{/.test(format.replaceAll("{{", ""));
  if (isDynamic)
    throw forbidden(`the format ${quote(format)} takes a width from an argument; write the width out`);
  const width = (format.match(/\d+/g) ?? []).find((digits) => digits.length > 3);
  if (width !== undefined)
    throw forbidden(
      `the format ${quote(format)} has a number of more than 3 digits; widths of at most 999 are allowed`,
    );
};

const LIST_AGGREGATES: ReadonlySet<string> = new Set(
  (
    "sum avg mean min max count median mode stddev stddev_pop stddev_samp var_pop var_samp variance first last " +
    "any_value product bool_and bool_or bit_and bit_or bit_xor mad entropy skewness kurtosis geomean"
  ).split(" "),
);

/** The aggregate of `list_aggregate(list, 'name')`. */
export const checkListAggregate: Check = (name, children) => {
  const aggregate = text(children[1]);
  if (aggregate === undefined || !LIST_AGGREGATES.has(aggregate.toLowerCase()))
    throw forbidden(
      `${name}() takes the name of an aggregate that returns one value, in quotation marks: ${[...LIST_AGGREGATES].slice(0, 6).join(", ")} …`,
    );
};

/** Throws unless the arguments of a function in FROM depend on no row. */
export const checkConstants: Check = (name, children) => {
  if (!children.every(isConstant)) throw forbidden(`${name}() in FROM takes constants only`);
};

/** Whether an expression depends on no row: constants, parameters, now(), and casts and arithmetic over these. */
function isConstant(node: Node): boolean {
  switch (node.class) {
    case "CONSTANT":
    case "PARAMETER":
      return true;
    case "COLUMN_REF":
      // rewrite.ts replaces it with a function, so it cannot be a column.
      return ["current_date", "current_timestamp"].includes(
        String((node.column_names as readonly unknown[]).join(".")).toLowerCase(),
      );
    case "CAST":
      return isConstant(node.child as Node);
    case "FUNCTION":
      return ((node.children as readonly Node[] | undefined) ?? []).every(isConstant);
    default:
      return false;
  }
}
