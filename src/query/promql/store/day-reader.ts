/**
 * Reads rows of some series in a range of time from the day tables, day by day in ascending order, for one query. Time
 * and series are conditions of the statements; days outside the range are not read.
 */
import { DAY_MS } from "../../../model/duration.ts";
import { type DecodedBlocks, decodeBlocks } from "../../../store/blocks/decode.ts";
import type { SampleLists } from "./gather.ts";
import type { Latest } from "./held.ts";
import type { DayStatement, RowColumns, StoredDay, TableReader } from "./table-reader.ts";

type ScanVisitor = (rows: RowColumns) => void;

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

/** How samples are read. */
export interface SampleOrder {
  /** Whether series can have several samples at one time: the last to arrive counts. */
  readonly withArrivals: boolean;
  /** Whether samples can be in blocks: those of gauges and cumulative series. */
  readonly mayBePacked: boolean;
}

/** The statement that reads samples. */
export function samplesStatement({ withArrivals, mayBePacked }: SampleOrder): string {
  if (mayBePacked) return withArrivals ? "query/promql_blocks_with_order" : "query/promql_blocks";
  return withArrivals ? "query/promql_samples_with_order" : "query/promql_samples";
}

/** The statements over rows and blocks. */
const OVER_BLOCKS: ReadonlySet<string> = new Set([
  "query/promql_blocks",
  "query/promql_blocks_with_order",
  "query/promql_counts",
  "query/promql_latest",
  "query/promql_reduce",
]);

/** The days that a range has a part of. */
export function daysIn<Of extends StoredDay>(days: readonly Of[], { afterMs, toMs }: Range): Of[] {
  return days.filter(({ day }) => {
    const beginMs = day * DAY_MS;
    return Math.min(toMs, beginMs + DAY_MS) > Math.max(afterMs, beginMs - 1) && toMs >= beginMs;
  });
}

export class DayReader {
  readonly #days: readonly StoredDay[];
  readonly #tables: TableReader;

  constructor(days: readonly StoredDay[], tables: TableReader) {
    this.#days = days;
    this.#tables = tables;
  }

  /**
   * The samples of each series, at most `rowsMax` of a day beside those in blocks. To detect that there are more, request one
   * more.
   */
  async samples(
    seriesIds: readonly number[],
    range: Range,
    order: SampleOrder,
    rowsMax: number,
    visit: (samples: SampleLists) => void,
  ): Promise<void> {
    const name = samplesStatement(order);
    if (order.mayBePacked) {
      await this.#eachDay(name, seriesIds, range, { rowsMax }, async (asked) => {
        const { afterUs, toUs } = asked.parameters as { afterUs: number; toUs: number };
        await this.#tables.scanBlocks(asked, (blocks) => visit(decodeBlocks(blocks, { afterUs, toUs })));
      });
      return;
    }
    await this.#eachDay(name, seriesIds, range, { rowsMax }, async (asked) => {
      await this.#tables.scanLists(asked, ({ keys, begins, lengths, lists, nulls }) => {
        const [values, timestampsMs, arrivals] = lists.toReversed();
        visit({ seriesIds: keys, begins, lengths, timestampsMs, values, arrivals, stale: nulls });
      });
    });
  }

  /** The number of samples of each series. */
  async counts(seriesIds: readonly number[], range: Range): Promise<Map<number, number>> {
    const counts = new Map<number, number>();
    await this.#scan("query/promql_counts", seriesIds, range, 0, ({ columns, rowCount }) => {
      const [ids, rows] = columns;
      for (let row = 0; row < rowCount; row++) counts.set(ids[row], (counts.get(ids[row]) ?? 0) + rows[row]);
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
    const ofBlock = (seriesId: number, { values, stale }: DecodedBlocks, from: number, to: number) => {
      let count = 0;
      let nanCount = 0;
      let extreme = aggregate === "max" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
      for (let at = from; at < to; at++) {
        if (stale?.[at] === 1) continue;
        const value = values[at];
        count++;
        if (Number.isNaN(value)) nanCount++;
        else if (aggregate === "max" ? value > extreme : value < extreme) extreme = value;
      }
      if (count > 0) visit(seriesId, count, nanCount, extreme);
    };
    await this.#eachDay("query/promql_reduce", seriesIds, range, {}, async (asked) => {
      const { afterUs, toUs } = asked.parameters as { afterUs: number; toUs: number };
      await this.#tables.scanBlocks({ ...asked, identifiers: { aggregate } }, (blocks) => {
        const { seriesIds: ids, samples, firstUs, unitUs, step } = blocks;
        const decoded = decodeBlocks(blocks, { afterUs, toUs });
        for (let row = 0; row < ids.length; row++) {
          const from = decoded.begins[row];
          // One line for the rows of a series, and one for each block.
          if (samples[row] === 0) visit(ids[row], firstUs[row], unitUs[row], step[row]);
          else ofBlock(ids[row], decoded, from, from + decoded.lengths[row]);
        }
      });
    });
  }

  /**
   * The number of samples of each series of events, how many of them are NaN, and the sums of the values and of their
   * magnitudes.
   */
  async sums(
    seriesIds: readonly number[],
    range: Range,
    visit: (seriesId: number, count: number, nanCount: number, sum: number, magnitude: number) => void,
  ): Promise<void> {
    await this.#scan("query/promql_sums", seriesIds, range, 0, ({ columns, rowCount }) => {
      const [ids, counts, nanCounts, sums, magnitudes] = columns;
      for (let row = 0; row < rowCount; row++)
        visit(ids[row], counts[row], nanCounts[row], sums[row], magnitudes[row]);
    });
  }

  /** The last sample of each series in a range, which can be a stale marker; series without one are absent. */
  async latest(seriesIds: readonly number[], range: Range): Promise<Map<number, Latest>> {
    const found = new Map<number, Latest>();
    await this.#scan(
      "query/promql_latest",
      seriesIds,
      range,
      2,
      ({ columns: [ids, timestampsUs, values], rowCount, nulls }) => {
        for (let row = 0; row < rowCount; row++) {
          const value = nulls?.[row] === 1 ? undefined : values[row];
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
    await this.#scan("query/promql_before", seriesIds, range, 0, ({ columns, rowCount }) => {
      const [ids, lastUs, counts, sums, magnitudes] = columns;
      for (let row = 0; row < rowCount; row++) {
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
    const visit: ScanVisitor = ({ columns, rowCount }) => {
      const [ids, keys, counts] = columns;
      for (let row = 0; row < rowCount; row++) {
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
    this.#tables.close();
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
    await this.#eachDay(name, seriesIds, range, more, (asked) =>
      this.#tables.scan({ ...asked, identifiers }, nullable, visit),
    );
  }

  async #eachDay(
    name: string,
    seriesIds: readonly number[],
    { afterMs, toMs }: Range,
    more: Readonly<Record<string, string | number>>,
    read: (asked: DayStatement) => Promise<void>,
  ): Promise<void> {
    // As text: the driver takes longer to bind a list of 10,000 values than to read a day.
    const ids = `[${seriesIds.join(",")}]`;
    for (const { day, table } of daysIn(this.#days, { afterMs, toMs })) {
      // Within the day and a little more: the ends of a range can be times that the engine does not have.
      const beginMs = day * DAY_MS;
      const parameters = {
        ...more,
        afterUs: Math.floor(Math.max(afterMs, beginMs - 1) * 1000),
        toUs: Math.floor(Math.min(toMs, beginMs + DAY_MS) * 1000),
        seriesIds: ids,
        ...(OVER_BLOCKS.has(name) ? { day } : {}),
      };
      await read({ name, table, parameters });
    }
  }
}
