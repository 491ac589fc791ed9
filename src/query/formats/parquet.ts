/**
 * Parquet. By design, the engine that contains the samples cannot write files. So rows are copied chunk by chunk, as
 * text, to a private database in memory, which never runs a statement from a request. It casts the rows to their types
 * and copies them to a file. The file is unlinked before its first byte is sent, so that it disappears also if the
 * client disconnects. After a kill, the next start deletes unfinished files.
 */
import { mkdir, open, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { BadInput } from "../../model/errors.ts";
import { TextBuilder } from "../../store/engine/columns.ts";
import { type Connection, Database } from "../../store/engine/duckdb.ts";
import { quoteIdentifier, quoteText } from "../../store/statements.ts";
import type { Cell, ResultColumn } from "../../store/store.ts";
import { ConcurrencyLimit } from "../sql/concurrency-limit.ts";
import type { Chunk, QueryResult } from "../sql/sql-engine.ts";
import type { Format } from "./format.ts";

export interface ParquetOptions {
  /** A folder for the files in progress and for data that does not fit in memory. Created when it is needed. */
  readonly directory: string;
  /** Memory of one answer's private database. */
  readonly memoryLimitBytes: number;
}

const PIECE_BYTES = 256 * 1024;
/** Parquet answers at once: each has a database of its own. */
const AT_ONCE = 2;
const WAIT_MS = 10_000;

export function parquetFormat(options: ParquetOptions): Format {
  const concurrency = new ConcurrencyLimit(AT_ONCE, WAIT_MS);
  return {
    contentType: "application/vnd.apache.parquet",
    async *encode(result) {
      await concurrency.acquire();
      let file: Awaited<ReturnType<typeof open>>;
      try {
        file = await write(result, options);
      } finally {
        concurrency.release();
      }
      yield* pieces(file);
    },
  };
}

/** Writes the rows to a file, and returns the open file after unlinking it. */
async function write(result: QueryResult, { directory, memoryLimitBytes }: ParquetOptions) {
  if (result.columns.length === 0) throw new BadInput("The statement gives no columns; Parquet needs one.");
  await mkdir(directory, { recursive: true });
  const path = join(directory, `answer-${crypto.randomUUID()}.parquet`);
  const database = await Database.open(":memory:", {
    memoryLimitBytes,
    threads: 1,
    temporaryDirectory: `${path}.spill`,
  });
  try {
    const connection = await database.connect();
    try {
      await spool(connection, result);
      await connection.run(copyStatement(result.columns, path));
    } finally {
      connection.close();
    }
    const file = await open(path, "r");
    await unlink(path);
    return file;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    database.close();
    await rm(`${path}.spill`, { recursive: true, force: true });
  }
}

async function spool(connection: Connection, result: QueryResult): Promise<void> {
  const columns = result.columns.map((_, index) => `c${index} VARCHAR`);
  await connection.run(`CREATE TABLE answer (${columns.join(", ")})`);
  const types = result.columns.map(() => "varchar" as const);
  for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
    await connection.appendColumns("main", "answer", types, [
      { columns: result.columns.map((_, index) => textColumn(chunk as Chunk, index)), length: chunk.length },
    ]);
}

/** Cells as text with a leading `=`, because an append reads an empty text as NULL. */
function textColumn(chunk: Chunk, index: number) {
  const builder = new TextBuilder();
  const strings = builder.column(
    chunk.map((row) => (row[index] === null ? "" : `=${cellText(row[index]!)}`)),
  );
  return { type: "varchar" as const, strings, text: builder.text };
}

function cellText(cell: Exclude<Cell, null>): string {
  if (typeof cell === "object") return JSON.stringify(cell);
  return Object.is(cell, -0) ? "-0" : String(cell);
}

function copyStatement(columns: readonly ResultColumn[], path: string): string {
  const select = columns.map(({ name, type }, index) => {
    const text = `substr(c${index}, 2)`;
    const parquet = parquetType(type);
    // Cells of lists, structures and maps are JSON, which the engine casts to the column's type.
    const value = /[\])]$/.test(parquet) && !parquet.startsWith("DECIMAL") ? `CAST(${text} AS JSON)` : text;
    return `CAST(${value} AS ${parquet}) AS ${quoteIdentifier(name)}`;
  });
  return `COPY (SELECT ${select.join(", ")} FROM answer ORDER BY rowid) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd)`;
}

/** The types without parts that Parquet supports, except text. */
const SCALAR =
  /\b(?:BOOLEAN|U?TINYINT|U?SMALLINT|U?INTEGER|U?BIGINT|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|DATE|TIMESTAMP WITH TIME ZONE|TIMESTAMP_S|TIMESTAMP_MS|TIMESTAMP_NS|TIMESTAMP|TIME|UUID|BLOB)(?![\w( ])/g;

/**
 * The type of a column in the file. It is the column's own type if Parquet supports it, also in lists, structures, and
 * maps with keys of text. HUGEINT becomes DECIMAL(38,0), because Parquet would round it to a DOUBLE. INTERVAL becomes
 * text, because Parquet would lose its microseconds. All other types become text too.
 */
function parquetType(type: string): string {
  const written = type.replaceAll(/\bHUGEINT\b/g, "DECIMAL(38,0)");
  // T stands for a supported type, V for text. Parts are merged until nothing changes.
  let shape = written.replaceAll(SCALAR, "T").replaceAll(/\bVARCHAR\b/g, "V");
  for (let before = ""; before !== shape; ) {
    before = shape;
    shape = shape
      .replaceAll(/\b[VT]\[\d*\]/g, "T")
      .replaceAll(/\bMAP\(V, [VT]\)/g, "T")
      .replaceAll(/\bSTRUCT\((?:(?:\w+|"[^"]*") [VT](?:, |(?=\))))+\)/g, "T");
  }
  return /^[VT]$/.test(shape) ? written : "VARCHAR";
}

async function* pieces(file: Awaited<ReturnType<typeof open>>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(PIECE_BYTES), 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
