/**
 * Parquet. By design, the engine that contains the samples cannot write files. So the rows are copied, chunk by chunk
 * and in the engine's own form, to a private database in memory, which never runs a statement from a request and can
 * write a file. The file is unlinked before its first byte is sent, so that it disappears also if the client
 * disconnects. After a kill, the next start deletes unfinished files.
 */
import { mkdir, open, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { BadInput, quote, Unprocessable } from "../../model/errors.ts";
import { type Connection, Database } from "../../store/engine/duckdb.ts";
import { faultOf } from "../../store/engine/faults.ts";
import { quoteIdentifier, quoteText, statement } from "../../store/statements.ts";
import type { ResultColumn } from "../../store/store.ts";
import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import type { QueryResult } from "../sql/sql-engine.ts";
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
  const concurrency = new ConcurrencyLimit(AT_ONCE, { tasks: "Parquet answers", waitMs: WAIT_MS });
  return {
    contentType: "application/vnd.apache.parquet",
    async *encode(result) {
      yield* pieces(await concurrency.run(() => write(result, options), result.signal));
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
      await connection.run(copyStatement(result.columns, path)).catch((error: unknown) => {
        throw faultOf(error) === "statement" ? tooManyDigits(result.columns) : error;
      });
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

/** Copies the rows to the table `answer`, whose columns are c0, c1 … with the types of the query. */
async function spool(connection: Connection, result: QueryResult): Promise<void> {
  const columns = result.columns.map(({ type }, index) => `c${index} ${type}`);
  await connection.run(`CREATE TABLE answer (${columns.join(", ")})`);
  if (result.nextInEngine !== undefined)
    return await connection.appendChunks("answer", () => result.nextInEngine!());
  // Rows that are not the engine's are few: lists of tables and functions, and plans.
  const objectType = JSON.stringify([
    Object.fromEntries(result.columns.map(({ type }, index) => [`c${index}`, type])),
  ]);
  for (let rows = await result.next(); rows !== undefined; rows = await result.next()) {
    const objects = rows.map((row) => Object.fromEntries(row.map((cell, index) => [`c${index}`, cell])));
    await connection.run(statement("query/insert_objects"), [JSON.stringify(objects), objectType]);
  }
}

function copyStatement(columns: readonly ResultColumn[], path: string): string {
  const select = columns.map(({ name, type }, index) => {
    const written = parquetType(type);
    const value = written === type ? `c${index}` : `CAST(c${index} AS ${written})`;
    return `${value} AS ${quoteIdentifier(name)}`;
  });
  return `COPY (SELECT ${select.join(", ")} FROM answer ORDER BY rowid) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd)`;
}

/** The answer to values that a type of the file does not hold: of all types that are changed, only DECIMAL(38,0). */
function tooManyDigits(columns: readonly ResultColumn[]): Unprocessable {
  const names = columns.filter(({ type }) => parquetType(type) !== type).map(({ name }) => quote(name));
  return new Unprocessable(
    `an integer of the column ${names.join(" or ")} has more than 38 digits, which Parquet does not support; CAST it AS VARCHAR or DOUBLE`,
    "sql",
  );
}

/** Quoted names and texts, which may contain the name of a type, and the types that Parquet changes. */
const CHANGED = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\b(?:U?HUGEINT|INTERVAL|UNION)\b/g;

/**
 * The type of a column in the file: its own, with three exceptions. Parquet would round HUGEINT to a DOUBLE, so it
 * becomes DECIMAL(38,0), also inside lists, structures and maps. Parquet would round INTERVAL to milliseconds, so it
 * becomes text. A column with a UNION becomes text.
 */
function parquetType(type: string): string {
  let isUnion = false;
  const written = type.replaceAll(CHANGED, (name) => {
    if (name === "UNION") isUnion = true;
    if (name === "INTERVAL") return "VARCHAR";
    return name.endsWith("HUGEINT") ? "DECIMAL(38,0)" : name;
  });
  return isUnion ? "VARCHAR" : written;
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
