/** When a snapshot of the running totals is due, and whether it must hold all of them. */
import type { TotalsSnapshot } from "../store/store.ts";
import type { IngestOptions, TotalsSink } from "./contract.ts";

export class Snapshots {
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

  /** The snapshot that the next commit is to hold, if one is due; `fail` says that it was not stored. */
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

  /** What changed since the snapshot before went out of the totals with one that was lost: the next must hold all. */
  fail(): void {
    this.#isWholeDue = true;
  }
}
