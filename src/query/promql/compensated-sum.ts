/**
 * A sum of doubles that does not lose small values beside large ones: Kahan's summation with Neumaier's improvement, as
 * in Prometheus (https://en.wikipedia.org/wiki/Kahan_summation_algorithm).
 */

/** A sum with its compensation; `add` values, then read `total`. */
export class CompensatedSum {
  sum: number;
  compensation = 0;

  constructor(first = 0) {
    this.sum = first;
  }

  add(value: number): void {
    const total = this.sum + value;
    if (total === Infinity || total === -Infinity) this.compensation = 0;
    else if (Math.abs(this.sum) >= Math.abs(value)) this.compensation += this.sum - total + value;
    else this.compensation += value - total + this.sum;
    this.sum = total;
  }

  get total(): number {
    return Number.isFinite(this.sum) ? this.sum + this.compensation : this.sum;
  }
}

/** A sum below this share of its magnitude has lost too many digits; a share of 1/4 costs the last two bits. */
const KEPT_SHARE_MIN = 1 / 4;

/**
 * Whether the engine's own sum is right to its last few bits. DuckDB's fsum() is Kahan's summation without Neumaier's
 * improvement: its error is relative to the sum of all magnitudes, so a sum in which large values cancel out can be
 * completely wrong. It is also NaN where it overflows.
 *
 * @param magnitude the sum of the absolute values
 */
export function isSumExact(sum: number, magnitude: number): boolean {
  return Number.isFinite(magnitude) && Math.abs(sum) >= magnitude * KEPT_SHARE_MIN;
}
