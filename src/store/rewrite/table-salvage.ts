/**
 * Copies what the engine can read of a damaged table. A block that cannot be read belongs to some rows of one column. So a
 * range of rows that fails is halved, down to the engine's vectors, and of these the other columns are copied.
 */
import { isDiskFull, isFatal } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import type { SourceTable, TableCopy } from "./table-copy.ts";

/** What a table had, and what of it could not be copied. */
export interface TableLoss {
  readonly table: string;
  /** The day of its samples, in days since 1970. Undefined for other tables. */
  readonly day: number | undefined;
  /** Rows in the damaged file. Undefined if not even that can be read. */
  readonly rows: number | undefined;
  readonly lostRows: number;
  /** Attributes that were lost of rows that were copied: how many values by column. */
  readonly lostValues: ReadonlyMap<string, number>;
}

/** Rows of a row group of the engine, which reads no other ones for a range in it. */
const GROUP_ROWS = 122_880;
/** Rows of a vector. A column is read by vectors. */
const VECTOR_ROWS = 2_048;
/** Columns of a day table without which a row means nothing. Of other tables all columns are needed. */
const NEEDED = ["series_id", "ts", "value", "live"];

/** Copies a table. Throws errors that are not about the source. */
export async function salvageTable(
  copy: TableCopy,
  source: SourceTable,
  watermark = 0,
): Promise<TableLoss & { readonly watermark: number }> {
  const { table, day, columns } = source;
  await copy.prepare(source);
  const lostValues = new Map<string, number>();
  let rows: number | undefined;
  let end: number;
  try {
    const [extent] = await copy.connection.all<{ rows: number; row_end: number }>(
      statement("store/source_extent", { table }),
    );
    rows = extent!.rows;
    end = extent!.row_end;
  } catch (error) {
    requireDamage(error);
    return { table, day, rows, lostRows: 0, lostValues, watermark: 0 };
  }
  const piece = new Piece(copy, table, columns, day === undefined ? columns : NEEDED, lostValues);
  // The rows in front of the watermark first, to count those of them that are left.
  await piece.copyAll(0, Math.min(watermark, end));
  const before = await countRows(copy, table);
  await piece.copyAll(Math.min(watermark, end), end);
  const copied = await countRows(copy, table);
  return { table, day, rows, lostRows: rows - copied, lostValues, watermark: before };
}

export async function countRows(copy: TableCopy, table: string): Promise<number> {
  const [count] = await copy.connection.all<{ rows: number }>(
    statement("store/count_target_rows", { table }),
  );
  return count!.rows;
}

class Piece {
  readonly #copy: TableCopy;
  readonly #table: string;
  readonly #columns: readonly string[];
  readonly #needed: readonly string[];
  readonly #lostValues: Map<string, number>;

  constructor(
    copy: TableCopy,
    table: string,
    columns: readonly string[],
    needed: readonly string[],
    lostValues: Map<string, number>,
  ) {
    this.#copy = copy;
    this.#table = table;
    this.#columns = columns;
    this.#needed = needed;
    this.#lostValues = lostValues;
  }

  async copyAll(from: number, to: number): Promise<void> {
    for (let at = from; at < to; ) {
      const end = Math.min(to, (Math.floor(at / GROUP_ROWS) + 1) * GROUP_ROWS);
      await this.#copyRange(at, end);
      at = end;
    }
  }

  async #copyRange(from: number, to: number): Promise<void> {
    if (await this.#copyColumns(this.#columns, from, to)) return;
    if (to - from > VECTOR_ROWS) {
      const half = Math.ceil((to - from) / 2 / VECTOR_ROWS) * VECTOR_ROWS;
      const middle = Math.floor(from / VECTOR_ROWS) * VECTOR_ROWS + half;
      await this.#copyRange(from, middle);
      await this.#copyRange(middle, to);
      return;
    }
    const readable: string[] = [];
    for (const column of this.#columns) if (await this.#isReadable(column, from, to)) readable.push(column);
    if (!this.#needed.every((column) => readable.includes(column))) return;
    if (!(await this.#copyColumns(readable, from, to))) return;
    for (const column of this.#columns)
      if (!readable.includes(column))
        this.#lostValues.set(column, (this.#lostValues.get(column) ?? 0) + to - from);
  }

  /** Returns false if a column cannot be read. */
  async #copyColumns(columns: readonly string[], from: number, to: number): Promise<boolean> {
    const pattern = `^(${columns.map((column) => RegExp.escape(column)).join("|")})$`;
    try {
      const sql = statement("store/copy_rows", { table: this.#table, columns: pattern });
      await this.#copy.connection.run(sql, [from, to]);
      return true;
    } catch (error) {
      requireDamage(error);
      return false;
    }
  }

  async #isReadable(column: string, from: number, to: number): Promise<boolean> {
    try {
      const sql = statement("store/read_column", { table: this.#table, column });
      await this.#copy.connection.all(sql, [from, to]);
      return true;
    } catch (error) {
      requireDamage(error);
      return false;
    }
  }
}

/** Throws the error again if the new file has no room, or the engine gave up on its files. */
export function requireDamage(error: unknown): void {
  if (isDiskFull(error) || isFatal(error)) throw error;
}
