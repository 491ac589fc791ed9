/**
 * Decides when a snapshot of the running totals is due, and whether it must be a whole one.
 *
 * A snapshot is stored beside the commits of pushes, but takes processor time: 2 ms for 1,000 series. So if many series
 * changed since the last one, it is not taken for the time that has passed, but for the number of rows that a start would
 * replay: a million rows replay in 0.25 s. If few rows would be replayed and nobody has pushed, it is taken less often: a
 * gateway that only samples its machine is idle, and a snapshot moves the journal and needs code that nothing else needs.
 */
import type { TotalsSnapshot } from "../model/records.ts";
import type { Change } from "../store/store.ts";
import type { IngestOptions, TotalsSink } from "./contract.ts";

/** More changed series than that are many: some 40 ms. */
const SERIES_MANY = 20_000;
/** Fewer rows than that are few: they replay in 5 ms. */
const ROWS_FEW = 20_000;
/** Intervals after which a snapshot of few rows is taken. */
const IDLE_INTERVALS = 10;

export class TotalsSnapshots {
  readonly #totals: TotalsSink;
  readonly #options: IngestOptions;
  #rows = 0;
  #atMs: number;
  #isWholeDue = false;
  #isPushed = false;

  constructor(totals: TotalsSink, options: IngestOptions) {
    this.#totals = totals;
    this.#options = options;
    this.#atMs = options.now();
  }

  /** Counts rows that a start would have to replay. */
  addRows(count: number): void {
    this.#rows += count;
  }

  /** A worker has pushed, and the time of its last push is to be stored. */
  notePush(): void {
    this.#isPushed = true;
  }

  /**
   * What is to be stored of the totals, if anything is due: the snapshot, and when each job last pushed. Call `fail` if it
   * was not stored.
   */
  take(nowMs: number): Pick<Change, "totals" | "lastPushes"> | undefined {
    const { snapshotIntervalMs, snapshotRows } = this.#options;
    const isIdle = !this.#isPushed && this.#rows < ROWS_FEW;
    const isLate = nowMs - this.#atMs >= snapshotIntervalMs * (isIdle ? IDLE_INTERVALS : 1);
    const isFull = this.#rows >= snapshotRows;
    if (!isLate && !isFull) return undefined;
    this.#atMs = nowMs;
    this.#isPushed = false;
    const isDue = isFull || this.#isWholeDue || this.#totals.changedSeries <= SERIES_MANY;
    return { totals: isDue ? this.#snapshot() : undefined, lastPushes: this.#totals.lastPushRecords() };
  }

  #snapshot(): TotalsSnapshot {
    this.#rows = 0;
    const whole = this.#isWholeDue;
    this.#isWholeDue = false;
    return this.#totals.snapshot(whole);
  }

  /** A lost snapshot contained all changes since the one before, so the next must be a whole one. */
  fail(): void {
    this.#isWholeDue = true;
  }
}
