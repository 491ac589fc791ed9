/**
 * The maximum sizes of a statement's values, as rules over the sizes of a call's arguments.
 *
 * The engine evaluates a call for a vector of 2,048 rows at a time. Meanwhile it checks neither for an interrupt nor
 * the memory limit. So each rule returns an upper bound, in bytes per row, that is known before the statement runs. The
 * walk (expressions.ts) rejects a statement that exceeds the limits below.
 */

/** The maximum length of a stored text and of a bound parameter. */
export const STORED_BYTES = 4_096;
/** The size of a number, a time or an interval. Each element of a list also takes it, besides its text. */
export const FIXED_BYTES = 16;
/** The size of a short text of limited length: a day's name, a checksum, a formatted time. */
export const SHORT_BYTES = 64;

/** The maximum size of one value. A vector of such values is 512 MiB. */
export const VALUE_BYTES_MAX = 256 * 1_024;
/** The maximum size of the values that all calls of a statement make for one row. A vector of that is 3 GiB. */
export const MADE_BYTES_MAX = 1_536 * 1_024;
/** The maximum bytes that all lambdas of a statement process for one row: at worst about 10 s for a vector. */
export const LAMBDA_BYTES_MAX = 4 * 1_024 * 1_024;

/** The maximum elements of a list or a map of counts that an aggregate collects. Checked while the statement runs. */
export const COLLECTED_ELEMENTS_MAX = 4_000;
/** The maximum bytes of a text, or of a list as text, that an aggregate collects. Checked while the statement runs. */
export const COLLECTED_BYTES_MAX = 96 * 1_024;
/** The maximum elements of the list of list_reduce. Checked while the statement runs. */
export const REDUCED_ELEMENTS_MAX = 1_000;

/** The input of a rule. Inside a lambda, sizes are those of all elements of the list together. */
export interface SizedCall {
  readonly sizes: readonly number[];
  /** How often the call is evaluated for one row: 1, or the number of elements inside a lambda. */
  readonly times: number;
  /** The constant texts and numbers among the arguments, by position. */
  readonly constants: readonly (string | number | undefined)[];
  /** Whether the call is in the lambda of a list_reduce. */
  readonly isReducing: boolean;
}

export type Size = (call: SizedCall) => number;

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

/** At least one byte more than a number, for lists, which may be empty. */
function aboveNumber(bytes: number, times: number): number {
  return Math.max(bytes, FIXED_BYTES * times + 1);
}

export const fixed: Size = ({ times }) => FIXED_BYTES * times;
export const short: Size = ({ times }) => SHORT_BYTES * times;
/** A time as text: the pattern has at most 64 directives, and each becomes at most 32 characters. */
export const timeText: Size = ({ times }) => 2_048 * times;
/** As large as the largest argument. */
export const largest: Size = ({ sizes, times }) => Math.max(FIXED_BYTES * times, ...sizes);
/** As large as the first argument. */
export const first: Size = ({ sizes, times }) => Math.max(FIXED_BYTES * times, sizes[0] ?? 0);
/** As large as all arguments together. */
export const total: Size = ({ sizes, times }) => Math.max(sum(sizes), FIXED_BYTES * times);
/** A list or a struct of the arguments; an empty one is larger than a number. */
export const elements: Size = ({ sizes, times }) =>
  1 + aboveNumber(sum(sizes.map((size) => Math.max(size, FIXED_BYTES * times))), times);
export const multiple =
  (factor: number): Size =>
  (call) =>
    factor * first(call);
/** A list of pieces of the first argument: the text, and at worst one entry per byte. */
export const pieces: Size = multiple(1 + FIXED_BYTES);

/**
 * The sum of numbers is a number, and the sum of two lists is a list of both. If one argument is a number, the result
 * is one too. Only numbers, times and similar values have FIXED_BYTES. A constant text may be read as a list.
 */
export const sumOrLists: Size = (call) => {
  const isNumber = (size: number, index: number) =>
    size <= FIXED_BYTES * call.times && typeof call.constants[index] !== "string";
  return call.isReducing || call.sizes.length < 2 || call.sizes.some(isNumber) ? fixed(call) : total(call);
};

/** `concat_ws(separator, …)`: one separator between two texts. */
export const separated: Size = ({ sizes, times }) =>
  sum(sizes) + (sizes[0] ?? 0) * Math.max(0, sizes.length - 3) + FIXED_BYTES * times;

/** `array_to_string(list, separator)`: as many separators as elements. */
export const joined: Size = ({ sizes, constants }) => {
  const separator = constants[1] === undefined ? (sizes[1] ?? 0) : bytes(constants[1]);
  return (sizes[0] ?? 0) * (1 + separator / FIXED_BYTES);
};

/** `lpad(text, length, fill)` and `rpad`; a character has up to 4 bytes. */
export const padded: Size = ({ sizes, times, constants }) =>
  Math.max(sizes[0] ?? 0, 4 * Number(constants[1] ?? 0) * times);

/** `repeat(text, count)`. */
export const repeated: Size = ({ sizes, times, constants }) => {
  const one = constants[0] === undefined ? (sizes[0] ?? 0) : bytes(constants[0]) * times;
  return aboveNumber(one * Number(constants[1] ?? 0), times);
};

/** `bar(value, min, max, width)`; 80 characters if the width is absent. */
export const bar: Size = ({ times, constants }) => 3 * Number(constants[3] ?? 80) * times;

/** `equi_width_bins(min, max, bins, nice)`; a nice list may have twice as many. */
export const binned: Size = ({ times, constants }) =>
  aboveNumber(2 * FIXED_BYTES * Number(constants[2] ?? 0) * times, times);

/** `min(value, count)`, `arg_max(value, by, count)`: the count is the last argument. */
export const counted =
  (position: number): Size =>
  (call) =>
    call.sizes.length <= position
      ? largest(call)
      : aboveNumber(largest(call) * Number(call.constants[position] ?? 0), call.times);

/** `range(stop)`, `range(start, stop, step)`, `generate_series` of whole numbers. */
export const ranged: Size = ({ times, constants }) =>
  aboveNumber(FIXED_BYTES * times * rangeLength(constants), times);

export function rangeLength(constants: SizedCall["constants"]): number {
  const [a = 0, b, step = 1] = constants.map(Number);
  const length = b === undefined ? a : (b - a) / step;
  return Number.isFinite(length) ? Math.max(0, Math.ceil(length) + 1) : Number.POSITIVE_INFINITY;
}

/** `replace(text, from, to)`: every occurrence grows by the difference in length. */
export const replaced: Size = (call) => {
  const [, from, to] = call.constants;
  return first(call) * Math.max(1, bytes(to) / Math.max(1, bytes(from)));
};

/** `regexp_replace(text, pattern, to, options)`: with "g" there is at worst a match before each byte. */
export const patternReplaced: Size = (call) => {
  const [, , to, options] = call.constants;
  const references = String(to ?? "").match(/\\\d/g)?.length ?? 0;
  const added = bytes(to);
  const global = String(options ?? "").includes("g");
  const whole = first(call);
  return whole * (1 + references) + (global ? (whole + call.times) * added : added * call.times);
};

/** `format(format, …)` and `printf`: the text, its widths, and the largest argument once per placeholder. */
export const formatted: Size = ({ sizes, times, constants }) => {
  const format = String(constants[0] ?? "");
  const widths = [...format.matchAll(/\d+/g)].reduce((all, [digits]) => all + Number(digits), 0);
  const places = Math.max(1, format.match(/[{%]/g)?.length ?? 0);
  const largestArgument = Math.max(0, ...sizes.slice(1));
  // A number has up to 310 digits.
  return (bytes(format) + widths) * times + places * (largestArgument + 320 * times);
};

/** The arguments as JSON text, with escaped quotation marks. */
export const json: Size = (call) => 2 * total(call) + SHORT_BYTES * call.times;

/** The values that an aggregate collects. Guards limit them while the statement runs. */
export const collected: Size = () => COLLECTED_BYTES_MAX;

function bytes(constant: string | number | undefined): number {
  return constant === undefined ? 0 : Buffer.byteLength(String(constant));
}
