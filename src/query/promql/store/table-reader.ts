/**
 * Runs the statements of PromQL over day tables. Two implementations exist: this module's works on the thread that owns
 * the store, and that of ../worker/remote-rows.ts asks that thread by messages.
 */
import type { EncodedBlocks } from "../../../store/blocks/decode.ts";
import { faultOf } from "../../../store/engine/faults.ts";
import { statement } from "../../../store/statements.ts";
import type { Day, Reader, Store } from "../../../store/store.ts";
import { LimitReached, QueryCanceled } from "../query-errors.ts";

/** What a query knows of a day. */
export interface StoredDay extends Pick<Day, "day" | "table" | "rows"> {
  /** Some of its samples are only in an archive. */
  readonly isPartial?: true | undefined;
}

/** The numbers of some rows of a result. Every array belongs to the receiver. */
export interface RowColumns {
  readonly rowCount: number;
  readonly columns: readonly (Float64Array | Uint32Array | Uint8Array)[];
  /** 1 for each row of the nullable column that is NULL; absent if none is. */
  readonly nulls?: Uint8Array;
}

/** The lists of some rows of a result: see ListVisitor of src/store/engine/chunk-columns.ts. */
export interface RowLists {
  readonly keys: Uint32Array;
  readonly begins: Uint32Array;
  readonly lengths: Uint32Array;
  readonly lists: readonly Float64Array[];
  /** 1 for each item of the last list that is NULL; absent if none is. */
  readonly nulls?: Uint8Array;
}

/** A statement over one day table. */
export interface DayStatement {
  /** Its name in sql/query. */
  readonly name: string;
  readonly table: string;
  /** Further identifiers in its text. */
  readonly identifiers?: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** Runs one statement at a time. The caller that opened it closes it. */
export interface TableReader {
  /** As `Reader.scan`. The statement goes on when the promise of `visit` resolves. */
  scan(
    statement: DayStatement,
    nullable: number,
    visit: (rows: RowColumns) => void | Promise<void>,
  ): Promise<void>;
  /** As `Reader.scanLists`. The statement goes on when the promise of `visit` resolves. */
  scanLists(statement: DayStatement, visit: (rows: RowLists) => void | Promise<void>): Promise<void>;
  /** As `Reader.scanBlocks`. The statement goes on when the promise of `visit` resolves. */
  scanBlocks(statement: DayStatement, visit: (blocks: EncodedBlocks) => void | Promise<void>): Promise<void>;
  close(): void;
}

/** The texts of statements, and the meaning of their errors, for a reader that reads more than day tables. */
export interface StatementTexts {
  /** Makes what a statement needs on the connection, and returns its text. */
  textOf(reader: Reader, asked: DayStatement): Promise<string>;
  /** The error of a query that an error of the engine means. */
  errorOf(error: unknown, asked: DayStatement): unknown;
}

const OF_DAYS: StatementTexts = {
  textOf: async (_, { name, table, identifiers }) => statement(name, { ...identifiers, table }),
  errorOf: (error) => error,
};

/** An interrupt between two statements is lost, so it is repeated. */
const INTERRUPT_INTERVAL_MS = 50;

/** Reads with a connection of its own, which it opens when it is first needed. */
export class StoreTableReader implements TableReader {
  readonly #store: Pick<Store, "reader">;
  readonly #signal: AbortSignal;
  readonly #texts: StatementTexts;
  #reader: Reader | undefined;

  constructor(store: Pick<Store, "reader">, signal: AbortSignal, texts: StatementTexts = OF_DAYS) {
    this.#store = store;
    this.#signal = signal;
    this.#texts = texts;
  }

  scan: TableReader["scan"] = (asked, nullable, visit) =>
    this.#run(asked, (reader, sql) =>
      reader.scan(sql, asked.parameters, nullable, (columns, rowCount, isNull) =>
        visit({
          rowCount,
          columns,
          nulls: marksOf(rowCount, isNull),
        }),
      ),
    );

  scanLists: TableReader["scanLists"] = (asked, visit) =>
    this.#run(asked, (reader, sql) =>
      reader.scanLists(sql, asked.parameters, (keys, begins, lengths, lists, isNull) =>
        visit({
          keys,
          begins,
          lengths,
          // All lists of these statements have doubles.
          lists: lists as readonly Float64Array[],
          nulls: isNull && marksOf(lists.at(-1)!.length, isNull),
        }),
      ),
    );

  scanBlocks: TableReader["scanBlocks"] = (asked, visit) =>
    this.#run(asked, (reader, sql) => reader.scanBlocks(sql, asked.parameters, visit));

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  async #run(asked: DayStatement, read: (reader: Reader, sql: string) => Promise<void>): Promise<void> {
    if (this.#signal.aborted) throw new QueryCanceled("the query was canceled");
    this.#reader ??= await this.#store.reader();
    const reader = this.#reader;
    const interrupting = setInterval(() => {
      if (this.#signal.aborted) reader.interrupt();
    }, INTERRUPT_INTERVAL_MS);
    try {
      await read(reader, await this.#texts.textOf(reader, asked));
    } catch (error) {
      const fault = faultOf(error);
      if (fault === "out of memory")
        throw new LimitReached(
          "the query needs more memory than the database engine has left (setting memoryLimitBytes); query fewer " +
            "series or a shorter range, or try again later",
        );
      // Retention may drop a day between the look-up of the days and the statement.
      if (fault !== "day dropped") throw this.#signal.aborted ? error : this.#texts.errorOf(error, asked);
    } finally {
      clearInterval(interrupting);
    }
  }
}

function marksOf(count: number, isNull: (at: number) => boolean): Uint8Array | undefined {
  let marks: Uint8Array | undefined;
  for (let at = 0; at < count; at++) {
    if (!isNull(at)) continue;
    marks ??= new Uint8Array(count);
    marks[at] = 1;
  }
  return marks;
}
