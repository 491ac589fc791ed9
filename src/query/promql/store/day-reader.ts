/**
 * Reads rows of some series in a range of time from the day tables, day by day in ascending order, for one query. Time
 * and series are conditions of the statements; days outside the range are not read.
 */
import { DAY_MS } from "../../../model/duration.ts";
import { faultOf } from "../../../store/engine/faults.ts";
import { statement } from "../../../store/statements.ts";
import type { Day, Reader, Store } from "../../../store/store.ts";
import { LimitReached, QueryCanceled } from "../query-errors.ts";
import type { SampleLists } from "./gather.ts";
import type { Latest } from "./held.ts";

type ScanVisitor = Parameters<Reader["scan"]>[3];

/** What a series has before a range of time. */
export interface BeforeSeries {
  readonly lastMs: number;
  readonly count: number;
  readonly sum: number;
  /** The sum of the absolute values. */
  readonly magnitude: number;
}

/** A range of time in milliseconds, open on the left. */
export interface Range {
  readonly afterMs: number;
  readonly toMs: number;
}

/** An interrupt between two statements is lost, so it is repeated. */
const INTERRUPT_INTERVAL_MS = 50;

/** The statement that reads samples, with their positions in the order of arrival if requested. */
export function samplesStatement(withArrivals: boolean): string {
  return withArrivals ? "query/promql_samples_with_order" : "query/promql_samples";
}

export class DayReader {
  readonly #store: Pick<Store, "reader" | "days">;
  readonly #signal: AbortSignal;
  #reader: Reader | undefined;

  constructor(store: Pick<Store, "reader" | "days">, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  /** The days of a range, with the share of each day that the range covers. */
  daysIn({ afterMs, toMs }: Range): { day: Day; share: number }[] {
    return this.#store.days().flatMap((day) => {
      const beginMs = day.day * DAY_MS;
      const fromMs = Math.max(afterMs, beginMs - 1);
      const untilMs = Math.min(toMs, beginMs + DAY_MS);
      if (untilMs <= fromMs || toMs < beginMs) return [];
      return [{ day, share: Math.min(1, (untilMs - fromMs) / DAY_MS) }];
    });
  }

  /**
   * The samples of each series, at most `rowsMax` of a day. To detect that there are more, request one more.
   *
   * @param withArrivals for series that can have several samples at one time
   */
  async samples(
    seriesIds: readonly number[],
    range: Range,
    withArrivals: boolean,
    rowsMax: number,
    visit: (samples: SampleLists) => void,
  ): Promise<void> {
    const name = samplesStatement(withArrivals);
    await this.#eachDay(seriesIds, range, async (reader, table, parameters) => {
      await reader.scanLists(
        statement(name, { table }),
        { ...parameters, rowsMax },
        (ids, begins, lengths, lists, isStale) => {
          const [values, timestampsMs, arrivals] = lists.toReversed();
          visit({ seriesIds: ids, begins, lengths, timestampsMs, values, arrivals, isStale });
        },
      );
    });
  }

  /** The number of samples of each series. */
  async counts(seriesIds: readonly number[], range: Range): Promise<Map<number, number>> {
    const counts = new Map<number, number>();
    await this.#scan("query/promql_counts", seriesIds, range, 0, (columns, length) => {
      const [ids, rows] = columns;
      for (let row = 0; row < length; row++) counts.set(ids[row], (counts.get(ids[row]) ?? 0) + rows[row]);
    });
    return counts;
  }

  /** The number of samples of each series, how many of them are NaN, and the greatest or least of the others. */
  async extremes(
    aggregate: "max" | "min",
    seriesIds: readonly number[],
    range: Range,
    visit: (seriesId: number, count: number, nanCount: number, extreme: number) => void,
  ): Promise<void> {
    const each: ScanVisitor = ([ids, counts, nans, values], length) => {
      for (let row = 0; row < length; row++) visit(ids[row], counts[row], nans[row], values[row]);
    };
    await this.#scan("query/promql_reduce", seriesIds, range, 3, each, {}, { aggregate });
  }

  /**
   * The number of samples of each series, how many of them are NaN, and the sums of the values and of their magnitudes.
   */
  async sums(
    seriesIds: readonly number[],
    range: Range,
    visit: (seriesId: number, count: number, nanCount: number, sum: number, magnitude: number) => void,
  ): Promise<void> {
    await this.#scan(
      "query/promql_sums",
      seriesIds,
      range,
      0,
      ([ids, counts, nans, sums, magnitudes], length) => {
        for (let row = 0; row < length; row++)
          visit(ids[row], counts[row], nans[row], sums[row], magnitudes[row]);
      },
    );
  }

  /** The last sample of each series in a range, which can be a stale marker; series without one are absent. */
  async latest(seriesIds: readonly number[], range: Range): Promise<Map<number, Latest>> {
    const found = new Map<number, Latest>();
    await this.#scan(
      "query/promql_latest",
      seriesIds,
      range,
      2,
      ([ids, timestampsUs, values], rows, isNull) => {
        for (let row = 0; row < rows; row++) {
          const value = isNull(row) ? undefined : values[row];
          found.set(ids[row], { timestampMs: timestampsUs[row] / 1000, value });
        }
      },
    );
    return found;
  }

  /**
   * For each series: its last sample, and the count, the sum and the sum of magnitudes. Series without one are absent.
   */
  async before(seriesIds: readonly number[], range: Range): Promise<Map<number, BeforeSeries>> {
    const found = new Map<number, BeforeSeries>();
    await this.#scan("query/promql_before", seriesIds, range, 0, (columns, length) => {
      const [ids, lastUs, counts, sums, magnitudes] = columns;
      for (let row = 0; row < length; row++) {
        const known = found.get(ids[row]);
        found.set(ids[row], {
          lastMs: lastUs[row] / 1000,
          count: (known?.count ?? 0) + counts[row],
          sum: (known?.sum ?? 0) + sums[row],
          magnitude: (known?.magnitude ?? 0) + magnitudes[row],
        });
      }
    });
    return found;
  }

  /** The number of samples of each series in each bucket, by ascending bounds and one more for values above all. */
  async beforeBuckets(
    seriesIds: readonly number[],
    bounds: readonly number[],
    range: Range,
  ): Promise<Map<number, Float64Array>> {
    const found = new Map<number, Float64Array>();
    const place = new Map(bounds.map((bound, at) => [bound, at]));
    const visit: ScanVisitor = (columns, length) => {
      const [ids, keys, counts] = columns;
      for (let row = 0; row < length; row++) {
        const buckets = found.get(ids[row]) ?? new Float64Array(bounds.length + 1);
        found.set(ids[row], buckets);
        buckets[place.get(keys[row]) ?? bounds.length] += counts[row];
      }
    };
    const text = JSON.stringify(bounds);
    await this.#scan("query/promql_before_buckets", seriesIds, range, 0, visit, { bounds: text });
    return found;
  }

  close(): void {
    this.#reader?.close();
  }

  async #scan(
    name: string,
    seriesIds: readonly number[],
    range: Range,
    nullable: number,
    visit: ScanVisitor,
    more: Readonly<Record<string, string>> = {},
    identifiers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.#eachDay(seriesIds, range, (reader, table, parameters) =>
      reader.scan(statement(name, { ...identifiers, table }), { ...more, ...parameters }, nullable, visit),
    );
  }

  async #eachDay(
    seriesIds: readonly number[],
    { afterMs, toMs }: Range,
    read: (
      reader: Reader,
      table: string,
      parameters: Readonly<Record<string, string | number>>,
    ) => Promise<void>,
  ): Promise<void> {
    const parameters = {
      afterUs: Math.floor(afterMs * 1000),
      toUs: Math.floor(toMs * 1000),
      // As text: the driver takes longer to bind a list of 10,000 values than to read a day.
      seriesIds: `[${seriesIds.join(",")}]`,
    };
    for (const { day } of this.daysIn({ afterMs, toMs })) {
      if (this.#signal.aborted) throw new QueryCanceled("the query was canceled");
      this.#reader ??= await this.#store.reader();
      const reader = this.#reader;
      const interrupting = setInterval(() => {
        if (this.#signal.aborted) reader.interrupt();
      }, INTERRUPT_INTERVAL_MS);
      try {
        await read(reader, day.table, parameters);
      } catch (error) {
        const fault = faultOf(error);
        if (fault === "out of memory")
          throw new LimitReached(
            "the query needs more memory than the database engine has left (setting memoryLimitBytes); query fewer " +
              "series or a shorter range, or try again later",
          );
        // Retention may drop a day between the look-up of the days and the statement.
        if (fault !== "day dropped") throw error;
      } finally {
        clearInterval(interrupting);
      }
    }
  }
}
