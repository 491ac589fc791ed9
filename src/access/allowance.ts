/**
 * How much of a limit a caller may still use: a token bucket. It has `most` units, and gets `perSecond` of them back each
 * second. Pure: the caller passes the time.
 *
 * Something may use more units than are left, such as a push of many samples. What it uses too much must come back before
 * anything else is allowed. So a large push is possible at any limit, and the mean stays within the limit.
 */
export class Allowance {
  readonly #perSecond: number;
  readonly #most: number;
  #left: number;
  #atMs: number;

  /**
   * @param most the units that it has after a time without use, at least 1
   * @param nowMs a clock that only goes forward
   */
  constructor(perSecond: number, most: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#most = most;
    this.#left = most;
    this.#atMs = nowMs;
  }

  /** The time until one unit is left. 0 if there is one now. */
  waitMs(nowMs: number): number {
    if (nowMs > this.#atMs) {
      this.#left = Math.min(this.#most, this.#left + ((nowMs - this.#atMs) * this.#perSecond) / 1_000);
      this.#atMs = nowMs;
    }
    const absent = 1 - this.#left;
    return absent <= ROUNDING ? 0 : (absent / this.#perSecond) * 1_000;
  }

  /** Uses units, also more than are left. Call `waitMs` before, which brings back what the time since has added. */
  use(units: number): void {
    this.#left -= units;
  }
}

/** Sums of fractions, such as ten times 0.1, may be this far below the whole. */
const ROUNDING = 1e-9;
