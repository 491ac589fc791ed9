/** Blocks as the columns of their tables. */
import type { Column, ListColumn } from "../engine/columns.ts";
import type { ColumnType } from "../engine/duckdb.ts";
import type { Block } from "./encode.ts";

/** The types of the columns of weir.made_blocks, in their order. */
export const BLOCK_TYPES: readonly ColumnType[] = [
  "integer",
  "uinteger",
  "boolean",
  "uinteger",
  "bigint",
  "bigint",
  "uinteger",
  "bigint",
  "uinteger",
  "double",
  "double",
  "double",
  "doubles",
  "integers",
  "doubles",
];

/** Blocks of one day (days since 1970) as columns of a table of blocks. */
export function blockColumns(day: number, blocks: readonly Block[]): { columns: Column[]; length: number } {
  const { length } = blocks;
  const wholes = (of: (block: Block) => number): Column => ({
    type: "uinteger",
    values: Uint32Array.from(blocks, of),
  });
  const large = (of: (block: Block) => number): Column => ({
    type: "bigint",
    values: Float64Array.from(blocks, of),
  });
  const doubles = (of: (block: Block) => number): Column => ({
    type: "double",
    values: Float64Array.from(blocks, of),
  });
  const columns: Column[] = [
    { type: "integer", values: new Int32Array(length).fill(day) },
    wholes(({ seriesId }) => seriesId),
    { type: "boolean", values: Uint8Array.from(blocks, ({ live }) => (live ? 1 : 0)) },
    wholes(({ samples }) => samples),
    large(({ firstUs }) => firstUs),
    large(({ lastUs }) => lastUs),
    wholes(({ staleCount }) => staleCount),
    large(({ lastValueUs }) => lastValueUs),
    wholes(({ unitUs }) => unitUs),
    doubles(({ step }) => step),
    doubles(({ base }) => base),
    doubles(({ scale }) => scale),
    lists("doubles", blocks, ({ times }) => times, false),
    lists("integers", blocks, ({ wholes: items }) => items, true),
    lists("doubles", blocks, ({ raws }) => raws, true),
  ];
  return { columns, length };
}

/** @param withStale whether stale markers are items that are NULL */
function lists(
  type: ListColumn["type"],
  blocks: readonly Block[],
  of: (block: Block) => Int32Array | Float64Array | undefined,
  withStale: boolean,
): ListColumn {
  const first = new Uint32Array(blocks.length + 1);
  for (const [row, block] of blocks.entries()) first[row + 1] = first[row]! + (of(block)?.length ?? 0);
  const total = first[blocks.length]!;
  const items = type === "integers" ? new Int32Array(total) : new Float64Array(total);
  let nulls: Uint8Array | undefined;
  for (const [row, block] of blocks.entries()) {
    const own = of(block);
    if (own === undefined) continue;
    items.set(own, first[row]!);
    if (!withStale || block.stale === undefined) continue;
    nulls ??= new Uint8Array(total);
    nulls.set(block.stale, first[row]!);
  }
  return { type, first, items, nulls };
}
