/**
 * The rows of a day that stay rows when others become blocks. They are copied to a table of their own, a part at a time, beside
 * everything else. In the transaction that makes the blocks visible, that table gets the last of them and replaces the day's
 * table. So a day with many events holds up nothing for longer than one part.
 *
 * Rows keep their order, and so do their ids, less the rows that left. The table is not read before. A start drops those that a
 * kill has left.
 */
import type { Connection } from "../engine/duckdb.ts";
import { ROW_GROUP_ROWS } from "../engine/engine-settings.ts";
import { statement } from "../statements.ts";
import type { Reader } from "../store.ts";
import type { DayColumns } from "../tables/days.ts";
import type { PackingHost } from "./packing.ts";

/** Rows that are copied at once: whole row groups, so that they are compressed once and not in the log. Some 0.1 s. */
const ROWS_AT_ONCE = 2 * ROW_GROUP_ROWS;

/** The rows that are packed: those of gauges and cumulative series before a row id and a time. */
export interface Packed {
  readonly rowEnd: number;
  readonly untilUs: number;
}

const PREFIX = "made_rows_";

export class StayingRows {
  readonly #host: Pick<PackingHost, "inOrder" | "transaction" | "day">;
  readonly #day: number;
  readonly #table: string;
  readonly #columns: number;
  readonly #packed: Packed;
  /** The table of the copies. Two packings of a day may overlap. */
  readonly #rows = `${PREFIX}${Math.random().toString(36).slice(2)}`;
  readonly #rowsAtOnce: number;
  /** Rows before this id were copied, or are packed. */
  #end = 0;
  #isMade = false;

  constructor(
    host: Pick<PackingHost, "inOrder" | "transaction" | "day">,
    day: DayColumns,
    packed: Packed,
    rowsAtOnce = ROWS_AT_ONCE,
  ) {
    this.#host = host;
    this.#rowsAtOnce = rowsAtOnce;
    this.#day = day.day;
    this.#table = day.table;
    this.#columns = day.attributes.length;
    this.#packed = packed;
  }

  /** Copies whole parts. Returns false if it was stopped, or if the day got a column meanwhile. */
  async copy(reader: Reader, isStopped: () => boolean): Promise<boolean> {
    const { rowEnd, untilUs } = this.#packed;
    for (;;) {
      if (isStopped()) return false;
      const [next] = await reader.all<{ last: number; rows: number; seen: number }>(
        statement("store/next_made_rows", { table: this.#table }),
        [this.#rowsAtOnce, this.#end, rowEnd, untilUs],
      );
      const isWhole = next!.rows === this.#rowsAtOnce;
      if (!isWhole && next!.seen >= rowEnd) return true;
      const end = isWhole ? next!.last + 1 : next!.seen;
      const isCopied = await this.#host.inOrder(async (writer) => {
        const day = this.#host.day(this.#day);
        if (day === undefined || !this.fits(day)) return false;
        await this.#host.transaction(async () => {
          await this.#make(writer);
          await this.#insert(writer, end);
        });
        return true;
      });
      if (!isCopied) return false;
      this.#isMade = true;
      this.#end = end;
    }
  }

  /** Whether the copied rows have the columns that the day has now. */
  fits(day: DayColumns): boolean {
    return day.attributes.length === this.#columns;
  }

  /** Copies the other rows, and replaces the day's table. Call it in the transaction that makes the blocks visible. */
  async replace(writer: Connection): Promise<void> {
    await this.#make(writer);
    await this.#insert(writer, Number.MAX_SAFE_INTEGER);
    await writer.run(statement("store/replace_day", this.#names));
  }

  /** Call it after that transaction. */
  replaced(): void {
    this.#isMade = false;
  }

  /** Drops the copied rows, if they did not replace the day's table. */
  async drop(): Promise<void> {
    if (!this.#isMade) return;
    this.#isMade = false;
    await this.#host.inOrder((writer) =>
      this.#host.transaction(() => writer.run(statement("store/drop_made_rows", { rows: this.#rows }))),
    );
  }

  async #make(writer: Connection): Promise<void> {
    if (!this.#isMade) await writer.run(statement("store/create_made_rows", this.#names));
  }

  async #insert(writer: Connection, end: number): Promise<void> {
    const { rowEnd, untilUs } = this.#packed;
    await writer.run(statement("store/insert_made_rows", this.#names), [this.#end, end, rowEnd, untilUs]);
  }

  get #names() {
    return { rows: this.#rows, table: this.#table };
  }
}

/** Drops the copied rows that a kill has left. */
export async function dropStayingRows(writer: Connection, tables: readonly string[]): Promise<void> {
  for (const rows of tables.filter((name) => name.startsWith(PREFIX)))
    await writer.run(statement("store/drop_made_rows", { rows }));
}
