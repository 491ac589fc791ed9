/** Values that are passed to the engine: parameters of statements, and cells that are appended to a table. */
import duckdb, { type Appender, type PreparedStatement, type Value } from "@duckdb/node-bindings";
import type { DecimalParameter, Parameter, Parameters } from "../../store.ts";
import type { AppendCell } from "../columns.ts";

const { Type: TYPE } = duckdb;

const DECIMAL_WIDTH_MAX = 38;

/** Binds values to a statement's parameters, by their number or their name. */
export function bind(prepared: PreparedStatement, parameters: Parameters): void {
  if (Array.isArray(parameters)) {
    const values = parameters as readonly Parameter[];
    for (const [index, value] of values.entries()) duckdb.bind_value(prepared, index + 1, engineValue(value));
    return;
  }
  for (const [name, value] of Object.entries(parameters))
    duckdb.bind_value(prepared, duckdb.bind_parameter_index(prepared, name), engineValue(value));
}

/** Binds a list of texts to the first parameter. */
export function bindTexts(prepared: PreparedStatement, texts: readonly string[]): void {
  const type = duckdb.create_logical_type(TYPE.VARCHAR);
  duckdb.bind_value(
    prepared,
    1,
    duckdb.create_list_value(
      type,
      texts.map((text) => duckdb.create_varchar(text)),
    ),
  );
}

/** The value with the type that `Parameter` promises. The engine's own choice for an integer is HUGEINT, which few functions accept. */
function engineValue(value: Parameter): Value {
  if (value === null) return duckdb.create_null_value();
  if (typeof value === "string") return duckdb.create_varchar(value);
  if (typeof value === "boolean") return duckdb.create_bool(value);
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? duckdb.create_int64(BigInt(value)) : duckdb.create_double(value);
  if (typeof value === "bigint")
    return BigInt.asIntN(64, value) === value ? duckdb.create_int64(value) : duckdb.create_hugeint(value);
  if (value instanceof Date) return duckdb.create_timestamp({ micros: BigInt(value.getTime()) * 1000n });
  if (isDecimal(value))
    return duckdb.create_decimal({ width: DECIMAL_WIDTH_MAX, scale: value.scale, value: value.digits });
  return duckdb.create_list_value(
    duckdb.create_logical_type(TYPE.BIGINT),
    value.map((item) => duckdb.create_int64(BigInt(item))),
  );
}

function isDecimal(value: DecimalParameter | readonly number[]): value is DecimalParameter {
  return "scale" in value;
}

export function appendCell(appender: Appender, cell: AppendCell): void {
  if (cell.value === null) {
    duckdb.append_null(appender);
    return;
  }
  switch (cell.type) {
    case "varchar":
      duckdb.append_varchar(appender, cell.value);
      return;
    case "ubigint":
      duckdb.append_uint64(appender, BigInt(cell.value));
      return;
    case "timestampMs":
      duckdb.append_timestamp(appender, { micros: BigInt(Math.round(cell.value * 1000)) });
      return;
    case "date":
      duckdb.append_date(appender, { days: cell.value });
  }
}
