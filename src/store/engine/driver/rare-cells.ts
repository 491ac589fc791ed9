/**
 * Values of types that few results have, and times far from today. They are converted by the library @duckdb/node-api. It takes
 * 30 ms to load: it is loaded when a result has such a value, and not at a start.
 *
 * The cells are those of its JSON converter, with three differences: safe integers are numbers, maps with text keys are objects,
 * and intervals are text as the engine writes it: `1 day 02:03:04.5`. cell-readers.ts makes the same cells of common types.
 */
import type { DuckDBMapType, DuckDBType, DuckDBValueConverter, Json } from "@duckdb/node-api";
import type { LogicalType, Vector } from "@duckdb/node-bindings";
import { engineTimeText } from "../../../model/time.ts";
import type { Cell } from "../../store.ts";

export type { DuckDBType as RareType };

type Library = typeof import("@duckdb/node-api");

function library(): Library {
  return require("@duckdb/node-api");
}

export function rareTypeOf(logicalType: LogicalType): DuckDBType {
  return library().DuckDBLogicalType.create(logicalType).asType();
}

/** The function that reads the cells of a vector, by their row. */
export function rareReader(vector: Vector, count: number, type: DuckDBType): (row: number) => Cell {
  const values = library().DuckDBVector.create(vector, count, type);
  const toCell = converterOf(library());
  return (row) => toCell(values.getItem(row), type, toCell) as Cell;
}

/** The text of a TIMESTAMP of any year, or of an infinite one. */
export function rareTimeText(micros: bigint): string {
  return library().timestampValue(micros).toString();
}

/** The text of a DATE of any year. */
export function rareDateText(days: number): string {
  return library().dateValue(days).toString();
}

const SAFE_MIN = BigInt(Number.MIN_SAFE_INTEGER);
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

function converterOf(api: Library): DuckDBValueConverter<Json> {
  return (value, type, converter) => {
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (value instanceof api.DuckDBTimestampValue) {
      const us = Number(value.micros);
      return Number.isSafeInteger(us) ? engineTimeText(us) : value.toString();
    }
    if (value instanceof api.DuckDBIntervalValue) return value.toString();
    if (typeof value === "bigint" && value >= SAFE_MIN && value <= SAFE_MAX) return Number(value);
    if (type.typeId === api.DuckDBTypeId.MAP && value instanceof api.DuckDBMapValue) {
      const { keyType, valueType } = type as DuckDBMapType;
      if (keyType.typeId === api.DuckDBTypeId.VARCHAR) {
        return Object.fromEntries(
          value.entries.map((entry) => [String(entry.key), converter(entry.value, valueType, converter)]),
        );
      }
    }
    return api.JsonDuckDBValueConverter(value, type, converter);
  };
}
