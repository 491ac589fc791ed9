/**
 * Reads the stored rows of series into their cells, once, while the thread goes on with other work. Rows that are
 * committed meanwhile are not read. The caller that began the build adds them.
 */
import { DAY_MS } from "../../../model/duration.ts";
import { faultOf } from "../../../store/engine/faults.ts";
import { statement } from "../../../store/statements.ts";
import type { Reader, Store } from "../../../store/store.ts";
import { Slices } from "../catalog/slices.ts";
import type { StoredDay } from "../store/table-reader.ts";
import type { TrackedSamples } from "./tracked-samples.ts";
import type { TrackedSeries } from "./tracked-series.ts";

/** A series whose rows are kept: added up, or as they are. */
export type Tracked = TrackedSeries | TrackedSamples;

/** The rows to read: those of some series, after a time, among the first rows of each day. */
export interface StoredPart {
  readonly series: ReadonlyMap<number, Tracked>;
  readonly afterMs: number;
  readonly days: readonly StoredDay[];
  /** `Store.numbering` at that moment. */
  readonly numbering: number;
}

/** A day with more rows is read in several statements, because checkpoints wait for a statement. */
const ROWS_AT_ONCE = 2_000_000;
const HOUR_MS = 3_600_000;

export class CellBuild {
  readonly #store: Pick<Store, "reader" | "numbering">;
  readonly #canceled = new AbortController();
  #reader: Reader | undefined;
  /** Resolves when nothing is read any more. Never rejects. */
  done: Promise<void> = Promise.resolve();

  constructor(store: Pick<Store, "reader" | "numbering">) {
    this.#store = store;
  }

  get isCanceled(): boolean {
    return this.#canceled.signal.aborted;
  }

  cancel(): void {
    this.#canceled.abort();
    this.#reader?.interrupt();
  }

  /**
   * Reads the rows, and marks the series as complete.
   *
   * @param begin resolves to what is to be read; it is called at once
   * @param onRead is called now and then
   */
  run(begin: () => Promise<readonly StoredPart[]>, onRead: () => void): Promise<void> {
    const running = this.#run(begin, onRead);
    this.done = running.catch(() => {});
    return running;
  }

  async #run(begin: () => Promise<readonly StoredPart[]>, onRead: () => void): Promise<void> {
    const { signal } = this.#canceled;
    const parts = await begin();
    signal.throwIfAborted();
    this.#reader = await this.#store.reader();
    try {
      for (const part of parts) await this.#readPart(part, onRead);
    } finally {
      this.#reader.close();
      this.#reader = undefined;
    }
  }

  async #readPart({ series, afterMs, days, numbering }: StoredPart, onRead: () => void): Promise<void> {
    const { signal } = this.#canceled;
    for (const day of days) {
      for (const range of rangesOf(day, afterMs)) {
        signal.throwIfAborted();
        await this.#read(day, range, series, onRead);
      }
    }
    // Rows became blocks meanwhile, so the numbers of rows are those of other rows.
    if (this.#store.numbering !== numbering) this.#canceled.abort();
    signal.throwIfAborted();
    for (const each of series.values()) each.isComplete = true;
  }

  async #read(
    { day, table, rows }: StoredDay,
    { afterMs, toMs }: { readonly afterMs: number; readonly toMs: number },
    series: StoredPart["series"],
    onRead: () => void,
  ): Promise<void> {
    const slices = new Slices(this.#canceled.signal);
    const seriesIds = `[${[...series.keys()].join(",")}]`;
    const parameters = { afterUs: afterMs * 1_000, toUs: toMs * 1_000, rows, seriesIds, day };
    const sql = statement("query/promql_rows", { table });
    try {
      await this.#reader!.scan(sql, parameters, 2, async (columns, count, isNull) => {
        const [ids, timestampsUs, values] = columns as [Uint32Array, Float64Array, Float64Array];
        for (let row = 0; row < count; row++) {
          const isStale = isNull(row);
          series.get(ids[row]!)!.add(timestampsUs[row]!, isStale ? Number.NaN : values[row]!, isStale);
        }
        onRead();
        slices.count(count);
        if (slices.isDue) await slices.pause();
      });
    } catch (error) {
      // The cells that contain rows of a dropped day are forgotten.
      if (faultOf(error) !== "day dropped") throw error;
    }
  }
}

/** The ranges of time of a day, open on the left, in which its rows are read. */
export function rangesOf({ day, rows }: StoredDay, afterMs: number): { afterMs: number; toMs: number }[] {
  const beginMs = day * DAY_MS;
  const ranges: { afterMs: number; toMs: number }[] = [];
  const lengthMs = rows > ROWS_AT_ONCE ? HOUR_MS : DAY_MS;
  for (let fromMs = beginMs; fromMs < beginMs + DAY_MS; fromMs += lengthMs) {
    const toMs = fromMs + lengthMs;
    if (toMs > afterMs)
      ranges.push({ afterMs: Math.max(afterMs, fromMs === beginMs ? beginMs - 1 : fromMs), toMs });
  }
  return ranges;
}
