/** The columns of the tables of a body, joined to those of a batch, without the rows that are rejected. */
import { TooLarge } from "../../../model/errors.ts";
import { ATTRIBUTE_CELLS_MAX, type AttributeColumn, type Batch } from "../../../model/sample.ts";
import { inRowSteps } from "../../../model/tasks/row-steps.ts";

/** The rows of a table. */
export interface TablePart {
  readonly rows: number;
  readonly head: Uint32Array;
  readonly timestampUs: Float64Array;
  readonly value: Float64Array;
  readonly stale: Uint8Array | undefined;
  readonly attributes: readonly AttributeColumn[];
  /** By row: 1 if it is rejected. Undefined if none is. */
  readonly wrong: Uint8Array | undefined;
}

/**
 * Joins the columns of tables, in steps between which the caller may pause.
 *
 * @throws TooLarge if there are too many cells of attributes
 */
export function* joinParts(
  parts: readonly TablePart[],
): Generator<
  void,
  Pick<Batch, "length" | "head" | "timestampUs" | "value" | "stale" | "attributes" | "position">
> {
  const names = new Set(parts.flatMap(({ attributes }) => attributes.map(({ name }) => name)));
  const kept = parts.map(({ rows, wrong }) => (wrong === undefined ? rows : countKept(wrong)));
  const length = kept.reduce((sum, rows) => sum + rows, 0);
  if (names.size * length > ATTRIBUTE_CELLS_MAX)
    throw new TooLarge(
      `the body has ${names.size} different attributes over ${length} samples, send it in parts`,
      "body",
    );
  const position = yield* positionsOf(parts, length);
  const joined = <T extends Uint8Array | Uint32Array | Float64Array>(
    make: (length: number) => T,
    columnOf: (part: TablePart) => T | undefined,
  ) => joining(parts, kept, length, make, columnOf);
  const attributes: AttributeColumn[] = [];
  for (const name of names) {
    const columnOf = (part: TablePart) => part.attributes.find((each) => each.name === name);
    attributes.push({
      name,
      offset: yield* joined(uint32s, (part) => columnOf(part)?.offset as Uint32Array | undefined),
      length: yield* joined(uint32s, (part) => columnOf(part)?.length as Uint32Array | undefined),
    });
  }
  return {
    length,
    head: yield* joined(uint32s, ({ head }) => head),
    timestampUs: yield* joined(
      (size) => new Float64Array(size),
      ({ timestampUs }) => timestampUs,
    ),
    value: yield* joined(
      (size) => new Float64Array(size),
      ({ value }) => value,
    ),
    stale: parts.some(({ stale }) => stale !== undefined)
      ? yield* joined(
          (size) => new Uint8Array(size),
          ({ stale }) => stale,
        )
      : undefined,
    attributes,
    position,
  };
}

function* positionsOf(parts: readonly TablePart[], length: number): Generator<void, Uint32Array> {
  const position = new Uint32Array(length);
  let to = 0;
  let base = 0;
  for (const { rows, wrong } of parts) {
    const first = base;
    yield* inRowSteps(rows, (from, end) => {
      to = placePositions(position, to, first, wrong, from, end);
    });
    base += rows;
  }
  return position;
}

/** Writes the indexes of the rows that are not rejected, from `at` on. Returns the position after them. */
function placePositions(
  position: Uint32Array,
  at: number,
  base: number,
  wrong: Uint8Array | undefined,
  from: number,
  end: number,
): number {
  let to = at;
  for (let row = from; row < end; row++)
    if (wrong === undefined || wrong[row] === 0) position[to++] = base + row;
  return to;
}

const uint32s = (length: number) => new Uint32Array(length);

function countKept(wrong: Uint8Array): number {
  let kept = 0;
  for (let row = 0; row < wrong.length; row++) if (wrong[row] === 0) kept++;
  return kept;
}

/** A column of all parts without the rows that are rejected. That of a single part is used as it is. */
function* joining<T extends Uint8Array | Uint32Array | Float64Array>(
  parts: readonly TablePart[],
  kept: readonly number[],
  length: number,
  make: (length: number) => T,
  columnOf: (part: TablePart) => T | undefined,
): Generator<void, T> {
  if (parts.length === 1 && parts[0]!.wrong === undefined) return columnOf(parts[0]!) ?? make(length);
  const column = make(length);
  let to = 0;
  for (const [index, part] of parts.entries()) {
    const source = columnOf(part);
    const { rows, wrong } = part;
    if (source === undefined) {
      to += kept[index]!;
    } else if (wrong === undefined) {
      column.set(source.subarray(0, rows), to);
      to += rows;
    } else {
      yield* inRowSteps(rows, (from, end) => {
        for (let row = from; row < end; row++) if (wrong[row] === 0) column[to++] = source[row]!;
      });
    }
    yield;
  }
  return column;
}
