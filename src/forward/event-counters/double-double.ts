/** Sums of doubles that do not depend on the order of their additions in the digits that are shown: two doubles each. */

export class DoubleDouble {
  high = 0;
  low = 0;

  constructor(high = 0, low = 0) {
    this.high = high;
    this.low = low;
  }

  /** Adds without losing the rounding error (Knuth's two-sum, then renormalised). */
  add(value: number): void {
    const sum = this.high + value;
    if (sum - sum !== 0) {
      this.high = sum;
      this.low = 0;
      return;
    }
    const part = sum - this.high;
    const low = this.high - (sum - part) + (value - part) + this.low;
    this.high = sum + low;
    this.low = low - (this.high - sum);
  }

  /** Adds another sum, or subtracts it. */
  addSum({ high, low }: DoubleDouble, sign: 1 | -1 = 1): void {
    this.add(sign * high);
    if (low !== 0) this.add(sign * low);
  }
}
