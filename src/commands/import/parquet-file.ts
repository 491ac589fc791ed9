/**
 * Reads a Parquet file with the engine, in a database in memory, part by part. Each part becomes an object of JSON columns
 * (src/receive/events/columns/README.md), which the engine writes itself: no value is converted row by row here.
 *
 * The module is loaded only for Parquet files, so that other imports do not load the engine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quote } from "../../model/errors.ts";
import { type Connection, Database } from "../../store/engine/duckdb.ts";
import { quoteIdentifier, quoteText, statement } from "../../store/statements.ts";

/** The names of the column with the time of a row. */
const TIME_NAMES = ["ts", "@timestamp", "timestamp", "time"];
/** The engine decompresses row groups of the file into this memory. */
const MEMORY_BYTES = 1_073_741_824;
/** Types that a column can have, as the engine names them. Of a type in parentheses, any parameters. */
const NUMBERS = /^(?:U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DOUBLE|FLOAT|DECIMAL\(.*\))$/;
const TIMES = /^TIMESTAMP(?:_S|_MS|_NS| WITH TIME ZONE)?$|^DATE$/;
const TEXTS = /^(?:VARCHAR|UUID|ENUM\(.*\))$/;

interface Column {
  readonly name: string;
  readonly type: string;
}

/** Rows of the file, as the body of a push. */
export interface ParquetPart {
  readonly fromRow: number;
  readonly toRow: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

export class ParquetFile {
  readonly #path: string;
  readonly #database: Database;
  readonly #connection: Connection;
  readonly #folder: string;
  readonly #selected: string;
  readonly rows: number;

  private constructor(
    path: string,
    parts: { database: Database; connection: Connection; folder: string },
    columns: readonly Column[],
    rows: number,
  ) {
    this.#path = path;
    this.#database = parts.database;
    this.#connection = parts.connection;
    this.#folder = parts.folder;
    this.#selected = `json_object('columns', json_object(${columns.map(cellsOf).join(", ")}))`;
    this.rows = rows;
  }

  /** Opens a file. Throws an error that says why it cannot be read, or which column cannot be stored. */
  static async open(path: string): Promise<ParquetFile> {
    const folder = mkdtempSync(join(tmpdir(), "weir-parquet-"));
    const database = await Database.open(":memory:", {
      memoryLimitBytes: MEMORY_BYTES,
      threads: 1,
      temporaryDirectory: join(folder, "spill"),
    });
    const connection = await database.connect();
    const parts = { database, connection, folder };
    try {
      const columns = await connection.all<{ column_name: string; column_type: string }>(
        statement("query/parquet_columns"),
        [path],
      );
      const [counted] = await connection.all<{ rows: number | bigint }>(statement("query/parquet_rows"), [
        path,
      ]);
      const checked = columns.map(({ column_name: name, column_type: type }) => check({ name, type }));
      return new ParquetFile(path, parts, checked, Number(counted!.rows));
    } catch (error) {
      close(parts);
      throw error;
    }
  }

  /** The rows from `fromRow` up to, not including, `toRow`. */
  async part(fromRow: number, toRow: number): Promise<ParquetPart> {
    const rows = `SELECT * FROM read_parquet($1, file_row_number = true) WHERE file_row_number >= $2 AND file_row_number < $3 ORDER BY file_row_number`;
    const [found] = await this.#connection.all<{ body: string }>(
      `SELECT ${this.#selected}::VARCHAR AS body FROM (${rows})`,
      [this.#path, fromRow, toRow],
    );
    return { fromRow, toRow, body: new TextEncoder().encode(found!.body) };
  }

  close(): void {
    close({ database: this.#database, connection: this.#connection, folder: this.#folder });
  }
}

function close({
  database,
  connection,
  folder,
}: {
  readonly database: Database;
  readonly connection: Connection;
  readonly folder: string;
}): void {
  connection.close();
  database.close();
  rmSync(folder, { recursive: true, force: true });
}

function check(column: Column): Column {
  const { name, type } = column;
  const isKnown = NUMBERS.test(type) || TIMES.test(type) || TEXTS.test(type) || type === "BOOLEAN";
  if (isKnown && (name !== "value" || NUMBERS.test(type))) return column;
  const expected = name === "value" ? "numbers" : "numbers, texts, booleans, dates or timestamps";
  throw new Error(`the column ${quote(name)} has the type ${type}, expected ${expected}`);
}

/** The name of a column, and an expression with the array of its cells. */
function cellsOf({ name, type }: Column): string {
  return `${quoteText(name)}, to_json(list(${cellOf(name, type)}))`;
}

/** A cell as JSON. Numbers that JSON does not have are texts, and times are milliseconds. */
function cellOf(name: string, type: string): string {
  const cell = quoteIdentifier(name);
  if (TIMES.test(type) && TIME_NAMES.includes(name)) {
    const us = type === "DATE" ? `epoch_us(${cell}::TIMESTAMP)` : `epoch_us(${cell})`;
    return `CASE WHEN ${us} % 1000 = 0 THEN to_json(${us} // 1000) ELSE to_json(${us} / 1000) END`;
  }
  if (type.startsWith("TIMESTAMP"))
    return `rtrim(rtrim(strftime(make_timestamp(epoch_us(${cell})), '%Y-%m-%dT%H:%M:%S.%f'), '0'), '.') || 'Z'`;
  if (type === "DOUBLE" && name === "value")
    return (
      `CASE WHEN isnan(${cell}) THEN to_json('NaN') WHEN isinf(${cell}) ` +
      `THEN to_json(CASE WHEN ${cell} > 0 THEN '+Inf' ELSE '-Inf' END) ELSE to_json(${cell}) END`
    );
  if (type === "FLOAT" && name === "value") return cellOf(name, "DOUBLE").replaceAll(cell, `${cell}::DOUBLE`);
  // As a number, a 32-bit float would have the digits of a 64-bit float.
  if (type === "FLOAT" || type === "DOUBLE")
    return `CASE WHEN isfinite(${cell}) AND ${cell} = trunc(${cell}) THEN to_json(${cell}) ELSE to_json(${cell}::VARCHAR) END`;
  if (type === "DATE" || TEXTS.test(type)) return `${cell}::VARCHAR`;
  return cell;
}
