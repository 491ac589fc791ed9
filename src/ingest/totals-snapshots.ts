/** Decides when a snapshot of the running totals is due, and whether it must be a whole one. */
import type { TotalsSnapshot } from "../model/records.ts";
import type { IngestOptions, TotalsSink } from "./contract.ts";

export class TotalsSnapshots {
  readonly #totals: TotalsSink;
  readonly #options: IngestOptions;
  #rows = 0;
  #atMs: number;
  #isWholeDue = false;

  constructor(totals: TotalsSink, options: IngestOptions) {
    this.#totals = totals;
    this.#options = options;
    this.#atMs = options.now();
  }

  /** Counts rows that a start would have to replay. */
  addRows(count: number): void {
    this.#rows += count;
  }

  /** The snapshot for the next commit, if one is due. Call `fail` if it was not stored. */
  take(nowMs: number): TotalsSnapshot | undefined {
    const { snapshotRows, snapshotIntervalMs } = this.#options;
    const isDue = this.#isWholeDue || this.#rows >= snapshotRows || nowMs - this.#atMs >= snapshotIntervalMs;
    if (!isDue) return undefined;
    this.#rows = 0;
    this.#atMs = nowMs;
    const whole = this.#isWholeDue;
    this.#isWholeDue = false;
    return this.#totals.snapshot(whole);
  }

  /** A lost snapshot contained all changes since the one before, so the next must be a whole one. */
  fail(): void {
    this.#isWholeDue = true;
  }
}
