/** The types of a result's columns: their texts, and what is needed to read their cells. */
import duckdb, { type LogicalType, type Result, type Type } from "@duckdb/node-bindings";
import { quoteIdentifier } from "../../statements.ts";
import { type RareType, rareTypeOf } from "./rare-cells.ts";

const { Type: TYPE } = duckdb;

/** `text` is the type as the engine writes it: `MAP(VARCHAR, DOUBLE[])`. */
export type CellType = { readonly id: Type; readonly text: string } & (
  | { readonly kind: "plain" }
  | { readonly kind: "decimal"; readonly width: number; readonly scale: number }
  | { readonly kind: "list"; readonly item: CellType }
  | { readonly kind: "map"; readonly key: CellType; readonly value: CellType }
  | { readonly kind: "struct"; readonly names: readonly string[]; readonly entries: readonly CellType[] }
  /** Only rare-cells.ts can read it. */
  | { readonly kind: "rare"; readonly type: RareType }
);

const PLAIN: ReadonlyMap<Type, CellType> = new Map(
  (
    [
      ...(["BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"] as const),
      ...(["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE"] as const),
      ...(["VARCHAR", "DATE", "TIMESTAMP"] as const),
    ] as const
  ).map((text) => [TYPE[text], { kind: "plain", id: TYPE[text], text }]),
);

export function columnTypes(result: Result): CellType[] {
  return Array.from(
    { length: duckdb.column_count(result) },
    (_, column) =>
      PLAIN.get(duckdb.column_type(result, column)) ?? typeOf(duckdb.column_logical_type(result, column)),
  );
}

function typeOf(type: LogicalType): CellType {
  const id = duckdb.get_type_id(type);
  const plain = PLAIN.get(id);
  if (plain !== undefined) return plain;
  switch (id) {
    case TYPE.DECIMAL: {
      const [width, scale] = [duckdb.decimal_width(type), duckdb.decimal_scale(type)];
      return { kind: "decimal", id, width, scale, text: `DECIMAL(${width},${scale})` };
    }
    case TYPE.LIST: {
      const item = typeOf(duckdb.list_type_child_type(type));
      return { kind: "list", id, item, text: `${item.text}[]` };
    }
    case TYPE.MAP: {
      const key = typeOf(duckdb.map_type_key_type(type));
      const value = typeOf(duckdb.map_type_value_type(type));
      return { kind: "map", id, key, value, text: `MAP(${key.text}, ${value.text})` };
    }
    case TYPE.STRUCT: {
      const indexes = Array.from({ length: duckdb.struct_type_child_count(type) }, (_, index) => index);
      const names = indexes.map((index) => duckdb.struct_type_child_name(type, index));
      const entries = indexes.map((index) => typeOf(duckdb.struct_type_child_type(type, index)));
      const texts = entries.map(({ text }, index) => `${quoteIdentifier(names[index]!)} ${text}`);
      return { kind: "struct", id, names, entries, text: `STRUCT(${texts.join(", ")})` };
    }
    default: {
      const rare = rareTypeOf(type);
      return { kind: "rare", id, type: rare, text: rare.toString() };
    }
  }
}

/** Rows that are converted to cells at once at most. A list may have 16,000 elements, and a text 256 KiB. */
export function rowsAtOnce({ id }: CellType): number {
  switch (id) {
    case TYPE.LIST:
    case TYPE.MAP:
    case TYPE.STRUCT:
    case TYPE.ARRAY:
      return 32;
    case TYPE.VARCHAR:
    case TYPE.BLOB:
      return 512;
    default:
      return Number.POSITIVE_INFINITY;
  }
}
