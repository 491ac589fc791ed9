/**
 * Reads rows of some series in a range of time from the day tables, day by day in ascending order, for one
 * query. Time and series are conditions of the statements; days outside the range are not touched.
 */
import { MICROSECONDS_PER_DAY } from "../../../sample.ts";
import { statement } from "../../../statements.ts";
import type { Day, Reader, Store } from "../../../store/store.ts";
import { QueryCanceled } from "../errors.ts";

export type RowVisitor = (
  seriesIds: Uint32Array,
  timestampsUs: Float64Array,
  values: Float64Array,
  length: number,
  isNull: (row: number) => boolean,
) => void;

/** A range of time in milliseconds, open on the left. */
export interface Range {
  readonly afterMs: number;
  readonly toMs: number;
}

const MS_PER_DAY = MICROSECONDS_PER_DAY / 1000;
/** An interrupt between two statements is lost, so it is repeated. */
const INTERRUPT_INTERVAL_MS = 50;

export class DayReader {
  readonly #store: Pick<Store, "reader" | "days">;
  readonly #signal: AbortSignal;
  #reader: Reader | undefined;

  constructor(store: Pick<Store, "reader" | "days">, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  /** The days that a range touches, with the share of each that it covers. */
  daysIn({ afterMs, toMs }: Range): { day: Day; share: number }[] {
    return this.#store.days().flatMap((day) => {
      const beginMs = day.day * MS_PER_DAY;
      const fromMs = Math.max(afterMs, beginMs - 1);
      const untilMs = Math.min(toMs, beginMs + MS_PER_DAY);
      if (untilMs <= fromMs || toMs < beginMs) return [];
      return [{ day, share: Math.min(1, (untilMs - fromMs) / MS_PER_DAY) }];
    });
  }

  /** Every sample, in the order of arrival within a day. */
  async samples(seriesIds: readonly number[], range: Range, visit: RowVisitor): Promise<void> {
    await this.#scan("query/promql_samples", seriesIds, range, 2, (columns, length, isNull) => {
      const [ids, timestampsUs, values] = columns as [Uint32Array, Float64Array, Float64Array];
      visit(ids, timestampsUs, values, length, isNull);
    });
  }

  /** How many samples each series has. */
  async counts(seriesIds: readonly number[], range: Range): Promise<Map<number, number>> {
    const counts = new Map<number, number>();
    await this.#scan("query/promql_counts", seriesIds, range, 0, (columns, length) => {
      const [ids, rows] = columns;
      for (let row = 0; row < length; row++) counts.set(ids[row], (counts.get(ids[row]) ?? 0) + rows[row]);
    });
    return counts;
  }

  /** When each series had its last sample, in milliseconds; those without one are absent. */
  async last(seriesIds: readonly number[], range: Range): Promise<Map<number, number>> {
    const last = new Map<number, number>();
    await this.#scan("query/promql_last", seriesIds, range, 0, (columns, length) => {
      const [ids, timestampsUs] = columns;
      for (let row = 0; row < length; row++) last.set(ids[row], timestampsUs[row] / 1000);
    });
    return last;
  }

  close(): void {
    this.#reader?.close();
  }

  async #scan(
    name: string,
    seriesIds: readonly number[],
    { afterMs, toMs }: Range,
    nullable: number,
    visit: Parameters<Reader["scan"]>[3],
  ): Promise<void> {
    const parameters = {
      afterUs: Math.floor(afterMs * 1000),
      toUs: Math.floor(toMs * 1000),
      seriesIds,
    };
    for (const { day } of this.daysIn({ afterMs, toMs })) {
      if (this.#signal.aborted) throw new QueryCanceled("the query was canceled");
      this.#reader ??= await this.#store.reader();
      const reader = this.#reader;
      const interrupting = setInterval(() => {
        if (this.#signal.aborted) reader.interrupt();
      }, INTERRUPT_INTERVAL_MS);
      try {
        await reader.scan(statement(name, { table: day.table }), parameters, nullable, visit);
      } catch (error) {
        // Retention may drop a day between the look at the days and the statement.
        if (!/samples_\d{8} does not exist/.test(String(error))) throw error;
      } finally {
        clearInterval(interrupting);
      }
    }
  }
}
