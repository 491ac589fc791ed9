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

/** The rows after one step up to and including another. */
interface KnownSum {
  readonly after: number;
  readonly to: number;
  readonly sum: CellSum;
}

/** Rules have a few ranges, such as 5m and 1h. */
const SUMS_MAX = 4;

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
  /** Sums that were asked for last, and that no row has changed since. */
  #sums: KnownSum[] = [];
  /** The latest step in them. */
  #summedTo = Number.NEGATIVE_INFINITY;
  #isFree = false;

  readonly #stepUs: number;

  constructor(bounds: Float64Array, stepUs: number, fineFrom: number, room: CellRoom) {
    this.#bounds = bounds;
    this.#stepUs = stepUs;
    this.#fineFrom = fineFrom;
    this.fine = new CellList(bounds.length, room);
    this.#coarse = new CellList(bounds.length, room);
  }

  get width(): number {
    return this.#bounds.length;
  }

  add(timestampUs: number, value: number, isStale: boolean): void {
    // The rows of a series that is not kept any more may still be read. A stale marker is no event.
    if (this.#isFree || isStale) return;
    const step = Math.ceil(timestampUs / this.#stepUs);
    if (step <= this.#summedTo) this.#keepSums(({ to }) => to < step);
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
    this.#keepSums(() => false);
  }

  /**
   * The rows after one step up to and including another, as one sum. It must not be changed. The queries of a quarter of
   * an hour have the same first step, so a sum is mostly an earlier one and the cells since then.
   *
   * @param after a multiple of COARSE_STEPS
   * @param to not before the fine cells
   */
  sumOf(after: number, to: number): CellSum {
    let known: KnownSum | undefined;
    for (const each of this.#sums)
      if (each.after === after && each.to <= to && each.to >= (known?.to ?? each.to)) known = each;
    if (known?.to === to) return known.sum;
    const sum = known === undefined ? this.#olderSum(after) : known.sum.copy();
    sum.lastStep = this.fine.addTo(sum, (known?.to ?? after) + 1, to) ?? sum.lastStep;
    if (this.#sums.length === SUMS_MAX) this.#sums.shift();
    this.#sums.push({ after, to, sum });
    this.#summedTo = Math.max(this.#summedTo, to);
    return sum;
  }

  /** The rows in coarse cells after a step. */
  #olderSum(after: number): CellSum {
    const sum = new CellSum(this.width);
    this.#coarse.addTo(sum, coarseOf(after) + 1, Number.POSITIVE_INFINITY);
    if (this.#lastCoarse > after) sum.lastStep = this.#lastCoarse;
    return sum;
  }

  #keepSums(isKept: (known: KnownSum) => boolean): void {
    this.#sums = this.#sums.filter(isKept);
    this.#summedTo = this.#sums.reduce((latest, { to }) => Math.max(latest, to), Number.NEGATIVE_INFINITY);
  }

  /** Frees the memory. Nothing is added afterwards. */
  free(): void {
    this.#isFree = true;
    this.#keepSums(() => false);
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
