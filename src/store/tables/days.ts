/**
 * The day tables: their columns, how one is created, and which columns the attributes of a batch use.
 *
 * An attribute has a column of the same name in every day that needed one. A day has at most 64 such columns.
 * Further attributes go, as one JSON object per row, into `more_attributes`.
 */
import type { AttributeColumn, Rows } from "../../model/sample.ts";
import type { ColumnVisitor } from "../engine/chunk-columns.ts";
import { type Column, TextBuilder } from "../engine/columns.ts";
import type { ColumnType, Connection } from "../engine/duckdb.ts";
import { statement, unionOf } from "../statements.ts";
import type { Day } from "../store.ts";
import { attributeColumn, dayOfTable, dayTable } from "./identifiers.ts";
import type { StoredTables } from "./stored-tables.ts";

const ATTRIBUTE_COLUMNS_MAX = 64;
const MORE = "more_attributes";
/**
 * The key of `more_attributes` among attribute names. No attribute has an empty name, but one may have that
 * name.
 */
const REST = "";
const FIXED = 4;

/** The types of a day table's columns, with this many attributes. */
export function dayTypes(attributes: number): ColumnType[] {
  return ["uinteger", "timestamp", "double", "boolean", ...new Array<ColumnType>(attributes).fill("varchar")];
}

/** A day with its columns in the table's own order. */
export interface DayColumns extends Day {
  rows: number;
  packed: number;
  attributes: readonly { readonly name: string; readonly column: string }[];
}

/** Rows as the columns of their day table. */
interface PlacedRows {
  readonly columns: readonly Column[];
  readonly length: number;
}

/** Reads the day tables of a file, and which column each attribute has. */
export async function loadDays(
  connection: Connection,
  tables: StoredTables,
): Promise<{ days: Map<number, DayColumns>; columns: Map<string, string> }> {
  const attributes = tables.isEmpty("attributes")
    ? []
    : await connection.all<{ attribute: string; column_name: string }>(statement("store/load_attributes"));
  const columns = new Map(attributes.map((row) => [row.attribute, row.column_name]));
  const names = new Map(attributes.map((row) => [row.column_name, row.attribute]));
  const days = new Map<number, DayColumns>();
  const packed = await packedSamples(connection, tables);
  const dayTables = tables.names.filter((table) => dayOfTable(table) !== undefined);
  const found = await readDays(connection, dayTables);
  for (const table of dayTables) {
    const day = dayOfTable(table)!;
    const stored = found.get(table)!.sort((a, b) => a.place - b.place);
    const attributeColumns = stored
      .slice(FIXED)
      .map(({ column_name: column }) => ({ name: names.get(column) ?? column, column }));
    const inBlocks = packed.get(day) ?? 0;
    days.set(day, {
      day,
      table,
      rows: stored[0]!.rows + inBlocks,
      packed: inBlocks,
      attributes: attributeColumns,
    });
  }
  return { days, columns };
}

/** Day tables that one statement reads. Its plan grows with them. */
const DAYS_AT_ONCE = 64;

/** The columns of day tables in any order, by the names of the tables. */
async function readDays(connection: Connection, tables: readonly string[]) {
  const found: { day_table: string; place: number; column_name: string; rows: number }[] = [];
  for (let from = 0; from < tables.length; from += DAYS_AT_ONCE) {
    const statements = tables
      .slice(from, from + DAYS_AT_ONCE)
      .map((table) => statement("store/load_day", { table, path: `weir.${table}` }));
    found.push(...(await connection.all<(typeof found)[number]>(unionOf(statements))));
  }
  return Map.groupBy(found, ({ day_table }) => day_table);
}

/** Whether the days are the same, with as many samples in each. */
export function haveSameRows(one: ReadonlyMap<number, Day>, other: ReadonlyMap<number, Day>): boolean {
  return one.size === other.size && one.values().every(({ day, rows }) => other.get(day)?.rows === rows);
}

/** How many samples of each day are in blocks. */
async function packedSamples(connection: Connection, tables: StoredTables): Promise<Map<number, number>> {
  // A schema before 13 has none.
  if (!tables.names.includes("blocks") || tables.isEmpty("blocks")) return new Map();
  const counts = await connection.all<{ day: number; samples: number }>(statement("store/packed_samples"));
  return new Map(counts.map(({ day, samples }) => [day, samples]));
}

/**
 * Reads the samples of a day that the totals do not contain, in their order, without their attributes.
 *
 * @param watermark how many the totals contain. Only such samples are in blocks. Undefined if the totals start again
 */
export async function scanDay(
  connection: Connection,
  { day, table, rows, packed }: Day,
  watermark: number | undefined,
  apply: (rows: Rows) => void,
): Promise<void> {
  const from = Math.max(0, (watermark ?? 0) - packed);
  const visit = applying(day, apply);
  if (watermark === undefined && packed > 0)
    await connection.scan(statement("store/replay_blocks"), { day }, 2, visit);
  if (from < rows - packed) await connection.scan(statement("store/replay_day", { table }), [from], 2, visit);
}

function applying(day: number, apply: (rows: Rows) => void): ColumnVisitor {
  const nothingElse = { attributes: [], text: new Uint8Array(0) };
  return (columns, length, isNull) => {
    const [seriesId, timestampUs, value, live] = columns as [
      Uint32Array,
      Float64Array,
      Float64Array,
      Uint8Array,
    ];
    const stale = new Uint8Array(length);
    for (let row = 0; row < length; row++) if (isNull(row)) stale[row] = 1;
    apply({ day, length, seriesId, timestampUs, value, live, stale, ...nothingElse });
  };
}

/** Creates the table of a day. Call it inside the transaction that has the day's first rows. */
export async function openDay(connection: Connection, day: number): Promise<DayColumns> {
  const table = dayTable(day);
  await connection.run(statement("store/create_day", { table }));
  return { day, table, rows: 0, packed: 0, attributes: [] };
}

/**
 * Finds a column for each attribute of the rows, and adds the columns that the day lacks. New columns are added to
 * `columns` (attribute → column name) and to `newColumns`, also when this fails half-way. The caller can so store
 * them, or remove them after a rollback.
 */
export async function placeAttributes(
  connection: Connection,
  day: DayColumns,
  columns: Map<string, string>,
  segments: readonly Rows[],
  newColumns: { attribute: string; column: string }[],
): Promise<{ attributes: DayColumns["attributes"]; segments: PlacedRows[] }> {
  const attributes = [...day.attributes];
  const placeOf = (name: string, column: string) => (column === MORE ? REST : name);
  const places = new Map(attributes.map(({ name, column }, index) => [placeOf(name, column), index]));
  const add = async (name: string, column: string) => {
    await connection.run(statement("store/add_attribute_column", { table: day.table, column }));
    places.set(placeOf(name, column), attributes.length);
    attributes.push({ name, column });
  };
  for (const { attributes: present } of segments) {
    for (const { name } of present) {
      if (places.has(name)) continue;
      if (attributes.filter(({ column }) => column !== MORE).length < ATTRIBUTE_COLUMNS_MAX) {
        let column = columns.get(name);
        if (column === undefined) {
          column = attributeColumn(name, columns.values());
          columns.set(name, column);
          newColumns.push({ attribute: name, column });
        }
        await add(name, column);
      } else if (!places.has(REST)) {
        await add(MORE, MORE);
      }
    }
  }
  return { attributes, segments: segments.map((rows) => place(rows, places, attributes.length)) };
}

function place(rows: Rows, places: ReadonlyMap<string, number>, width: number): PlacedRows {
  const columns: Column[] = [
    { type: "uinteger", values: rows.seriesId },
    { type: "timestamp", values: rows.timestampUs },
    { type: "double", values: rows.value, nulls: rows.stale },
    { type: "boolean", values: rows.live },
  ];
  for (let index = 0; index < width; index++) columns.push({ type: "absent" });
  const rest: AttributeColumn[] = [];
  for (const attribute of rows.attributes) {
    const index = places.get(attribute.name);
    if (index === undefined) rest.push(attribute);
    else columns[FIXED + index] = { type: "varchar", strings: attribute, text: rows.text };
  }
  if (rest.length > 0) columns[FIXED + places.get(REST)!] = packRest(rows, rest);
  return { columns, length: rows.length };
}

/** Writes the attributes that have no column as one JSON object per row. */
function packRest(rows: Rows, rest: readonly AttributeColumn[]): Column {
  const decoder = new TextDecoder();
  const builder = new TextBuilder();
  const objects: string[] = [];
  for (let row = 0; row < rows.length; row++) {
    const entries = rest
      .filter(({ length }) => length[row]! > 0)
      .map(({ name, offset, length }) => [
        name,
        decoder.decode(rows.text.subarray(offset[row]!, offset[row]! + length[row]!)),
      ]);
    objects.push(entries.length === 0 ? "" : JSON.stringify(Object.fromEntries(entries)));
  }
  const strings = builder.column(objects);
  return { type: "varchar", strings, text: builder.text };
}
