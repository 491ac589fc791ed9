/**
 * The loops over the rows of a column. They are plain functions over a range of rows: the engine runs them several times
 * faster than loops that yield.
 */
import { inRowSteps } from "../../../model/tasks/row-steps.ts";
import type { TagCells, TextCells } from "../../../wire/tag-cells.ts";
import type { ValueCodes } from "./value-codes.ts";

/** By row the code of the value of a coded cell. `codeOf` is -1 for values that were not looked up yet. */
export function codesOfCoded(
  { codes, values }: Extract<TagCells, { is: "coded" }>,
  codeOf: Int32Array,
  known: ValueCodes,
  found: Int32Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const index = codes[row]!;
    if (index < 0) continue;
    let code = codeOf[index]!;
    if (code < 0) {
      code = known.ofValue(values[index]!);
      codeOf[index] = code;
    }
    found[row] = code;
  }
}

/** By row the code of its text. */
export function codesOfTexts(
  { offset, length }: TextCells,
  text: Buffer,
  known: ValueCodes,
  found: Int32Array,
  from: number,
  to: number,
): void {
  let code = 0;
  for (let row = from; row < to; row++) {
    const bytes = length[row]!;
    if (bytes === 0) continue;
    const at = offset[row]!;
    // Neighbours are often equal.
    if (code === 0 || known.lengthOf(code) !== bytes || !known.has(code, text, at))
      code = known.of(text, at, at + bytes);
    found[row] = code;
  }
}

/** Calls `check` for each row whose value is not finite, or less than `least`. */
export function checkNumbers(
  values: Float64Array,
  least: number,
  check: (row: number) => void,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const number = values[row]!;
    if (!(number - number === 0 && number >= least)) check(row);
  }
}

/** The cells of the rows whose metric has `value` in `isOf`. Other rows have none. */
export function* cellsOf(
  cells: TagCells,
  metricCodes: Int32Array | undefined,
  isOf: Uint8Array,
  value: 0 | 1,
): Generator<void, TagCells> {
  if (metricCodes === undefined) return cells;
  const own =
    cells.is === "texts"
      ? { ...cells, length: cells.length.slice() }
      : { ...cells, codes: cells.codes.slice() };
  const [column, none] = own.is === "texts" ? [own.length, 0] : [own.codes, -1];
  yield* inRowSteps(metricCodes.length, (from, to) => {
    for (let row = from; row < to; row++) if (isOf[metricCodes[row]!] !== value) column[row] = none;
  });
  return own;
}

/** Counts the cells that are not 0. */
export function count(counts: Uint16Array, cells: Int32Array | Uint32Array, from: number, to: number): void {
  for (let row = from; row < to; row++) if (cells[row] !== 0) counts[row]!++;
}

/** Extends a region so that it has the texts of some rows. */
export function extend(
  region: { first: number; end: number },
  offset: Uint32Array,
  length: Uint32Array,
  from: number,
  to: number,
): void {
  let { first, end } = region;
  for (let row = from; row < to; row++) {
    const bytes = length[row]!;
    if (bytes === 0) continue;
    const at = offset[row]!;
    if (at < first) first = at;
    if (at + bytes > end) end = at + bytes;
  }
  region.first = first;
  region.end = end;
}
