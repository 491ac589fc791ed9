/**
 * The types of Arrow's columns (https://github.com/apache/arrow/blob/main/format/Schema.fbs), as far as a column can be
 * read; any other type has only its name. Pure.
 */
import type { FlatTable } from "./flat-table.ts";

export type TimeUnitOfArrow = "second" | "millisecond" | "microsecond" | "nanosecond";

/** What a type stores for each row. `name` is what messages call the type. */
export type ArrowType = { readonly name: string } & (
  | { readonly is: "null" | "bool" }
  | { readonly is: "int"; readonly bits: 8 | 16 | 32 | 64; readonly isSigned: boolean }
  | { readonly is: "float"; readonly bits: 32 | 64 }
  | { readonly is: "decimal"; readonly bytes: number; readonly scale: number }
  /** `offsetBits` is 0 if each row has a view, and not an offset. */
  | { readonly is: "text"; readonly offsetBits: 0 | 32 | 64 }
  | { readonly is: "date"; readonly unit: "day" | "millisecond" }
  | { readonly is: "timestamp"; readonly unit: TimeUnitOfArrow }
  | { readonly is: "other" }
);

export interface ArrowField {
  readonly name: string;
  /** The type of its values, also if they are in a dictionary. */
  readonly type: ArrowType;
  /** Set if each row has an index of a dictionary. */
  readonly dictionary?: { readonly id: number; readonly index: Extract<ArrowType, { is: "int" }> };
}

/** Names by their number in the union `Type`. */
const NAMES = [
  ...["none", "null", "int", "float", "binary", "utf8", "bool", "decimal", "date", "time", "timestamp"],
  ...["interval", "list", "struct", "union", "fixed_size_binary", "fixed_size_list", "map", "duration"],
  ...["large_binary", "large_utf8", "large_list", "run_end_encoded", "binary_view", "utf8_view"],
  ...["list_view", "large_list_view"],
];
const UNITS = ["second", "millisecond", "microsecond", "nanosecond"] as const;
const SHORT_UNITS = { second: "s", millisecond: "ms", microsecond: "us", nanosecond: "ns" } as const;

/** Reads a `Field` of a schema. */
export function readField(field: FlatTable): ArrowField {
  const name = field.text(0) ?? "";
  const type = readType(field.uint8(2), field.table(3));
  const encoding = field.table(4);
  if (encoding === undefined) return { name, type };
  const indexTable = encoding.table(1);
  const index = indexTable === undefined ? INT32 : readInt(indexTable);
  return { name, type, dictionary: { id: encoding.int64(0), index: index.is === "int" ? index : INT32 } };
}

const INT32 = { name: "int32", is: "int", bits: 32, isSigned: true } as const;

function readType(number: number, table: FlatTable | undefined): ArrowType {
  const name = NAMES[number] ?? `type ${number}`;
  switch (name) {
    case "null":
    case "bool":
      return { name, is: name };
    case "int":
      return table === undefined ? { name, is: "other" } : readInt(table);
    case "float": {
      const bits = [16, 32, 64][table?.int16(0) ?? 0] ?? 0;
      return bits === 32 || bits === 64
        ? { name: `float${bits}`, is: "float", bits }
        : { name: `float${bits}`, is: "other" };
    }
    case "decimal": {
      const bits = table?.int32(2, 128) ?? 128;
      const scale = table?.int32(1) ?? 0;
      return [32, 64, 128, 256].includes(bits) && Math.abs(scale) <= 76
        ? { name: `decimal${bits}`, is: "decimal", bytes: bits / 8, scale }
        : { name: `decimal${bits}`, is: "other" };
    }
    case "utf8":
      return { name, is: "text", offsetBits: 32 };
    case "large_utf8":
      return { name, is: "text", offsetBits: 64 };
    case "utf8_view":
      return { name, is: "text", offsetBits: 0 };
    case "date":
      // The default of the unit is milliseconds.
      return table?.has(0) && table.int16(0) === 0
        ? { name: "date32", is: "date", unit: "day" }
        : { name: "date64", is: "date", unit: "millisecond" };
    case "timestamp": {
      const unit = UNITS[table?.int16(0) ?? 0];
      return unit === undefined
        ? { name, is: "other" }
        : { name: `timestamp[${SHORT_UNITS[unit]}]`, is: "timestamp", unit };
    }
    default:
      return { name, is: "other" };
  }
}

function readInt(table: FlatTable): ArrowType {
  const bits = table.int32(0);
  const isSigned = table.uint8(1) !== 0;
  const name = `${isSigned ? "" : "u"}int${bits}`;
  return bits === 8 || bits === 16 || bits === 32 || bits === 64
    ? { name, is: "int", bits, isSigned }
    : { name, is: "other" };
}

/** The bytes of a row in the buffer of values, 0 for bits and texts. */
export function bytesOfType(type: ArrowType): number {
  switch (type.is) {
    case "int":
    case "float":
      return type.bits / 8;
    case "decimal":
      return type.bytes;
    case "date":
      return type.unit === "day" ? 4 : 8;
    case "timestamp":
      return 8;
    default:
      return 0;
  }
}
