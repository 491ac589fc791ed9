/**
 * The rows of one series as cells: fine ones, of one step of the grid, for the recent past, and coarse ones for what is
 * older. The coarse ones are needed for the totals at the beginning of a query's range only.
 */
import { DAY_MS } from "../../../model/duration.ts";
import { CellList, type CellRoom, CellSum } from "./cell-list.ts";

/** Steps of a coarse cell: 15 minutes, if a step has 15 s. */
export const COARSE_STEPS = 60;

/** The time before now that has fine cells, at least. */
export const RECENT_MS = 60 * 60_000;

/**
 * Whether cells can answer a query whose totals begin at a time. Fine cells begin with a coarse one. If `idleMs` is no
 * multiple of the step, the end of a series depends on the time of its last row within a cell.
 */
export function mayHaveCells(baseMs: number, nowMs: number, stepMs: number, idleMs: number): boolean {
  return baseMs >= nowMs - RECENT_MS - COARSE_STEPS * stepMs && idleMs % stepMs === 0;
}

/**
 * The time after which rows count for the totals at a base: the beginning of the coarse cell that contains what is
 * `idleMs` before the base, or the beginning of its day. The registry knows only by the day whether a series has rows
 * before that.
 */
export function earlierOf(baseMs: number, stepMs: number, idleMs: number): number {
  const dayBeginMs = Math.floor(baseMs / DAY_MS) * DAY_MS;
  const coarseMs = stepMs * COARSE_STEPS;
  return Math.floor(Math.min(baseMs - idleMs, dayBeginMs - 1) / coarseMs) * coarseMs;
}

/** The index of the coarse cell that contains a step. */
export function coarseOf(step: number): number {
  return Math.ceil(step / COARSE_STEPS);
}

export class TrackedSeries {
  readonly fine: CellList;
  readonly #coarse: CellList;
  /** The bounds of its buckets, with +Inf; none for a series without a histogram. */
  readonly #bounds: Float64Array;
  /** Rows before this step are in coarse cells. */
  #fineFrom: number;
  /** The last step of the rows in coarse cells. */
  #lastCoarse = Number.NEGATIVE_INFINITY;
  /** Whether all of its rows have been added. Rows that come are added at any time. */
  isComplete = false;
  #isFree = false;

  constructor(bounds: Float64Array, fineFrom: number, room: CellRoom) {
    this.#bounds = bounds;
    this.#fineFrom = fineFrom;
    this.fine = new CellList(bounds.length, room);
    this.#coarse = new CellList(bounds.length, room);
  }

  get width(): number {
    return this.#bounds.length;
  }

  add(step: number, value: number): void {
    // The rows of a series that is not kept any more may still be read.
    if (this.#isFree) return;
    const bucket = bucketOf(this.#bounds, value);
    if (step >= this.#fineFrom) this.fine.add(step, value, bucket);
    else {
      this.#coarse.add(coarseOf(step), value, bucket);
      this.#lastCoarse = Math.max(this.#lastCoarse, step);
    }
  }

  /** From now on rows before the step are in coarse cells, and coarse cells before another one are dropped. */
  age(fineFrom: number, coarseFrom: number): void {
    if (fineFrom > this.#fineFrom) {
      const last = this.fine.moveBefore(fineFrom, this.#coarse, coarseOf);
      if (last !== undefined) this.#lastCoarse = Math.max(this.#lastCoarse, last);
      this.#fineFrom = fineFrom;
    }
    this.#coarse.dropBefore(coarseFrom);
  }

  /**
   * The rows after one step up to and including another, as one sum.
   *
   * @param after a multiple of COARSE_STEPS
   * @param to not before the fine cells
   */
  sumOf(after: number, to: number): CellSum {
    const sum = new CellSum(this.width);
    this.#coarse.addTo(sum, coarseOf(after) + 1, Number.POSITIVE_INFINITY);
    const last = Math.max(this.#lastCoarse, this.fine.addTo(sum, after + 1, to) ?? Number.NEGATIVE_INFINITY);
    if (last > after) sum.lastStep = last;
    return sum;
  }

  /** Frees the memory. Nothing is added afterwards. */
  free(): void {
    this.#isFree = true;
    this.fine.free();
    this.#coarse.free();
  }
}

/** The index of the first bound that is not below a value; NaN is above all. */
function bucketOf(bounds: Float64Array, value: number): number {
  let from = 0;
  let to = bounds.length - 1;
  if (Number.isNaN(value)) return Math.max(0, to);
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value <= bounds[middle]!) to = middle;
    else from = middle + 1;
  }
  return from;
}
