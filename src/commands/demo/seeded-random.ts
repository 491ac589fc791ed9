/** Random numbers that a seed repeats. Not for secrets. */

export class SeededRandom {
  #state: number;

  /** @param seed a whole number; @param stream generators of one seed and different streams are independent */
  constructor(seed: number, stream = 0) {
    this.#state = (Math.imul(seed + 1, 2_654_435_761) ^ Math.imul(stream + 1, 2_246_822_519)) >>> 0;
  }

  /** A number from 0 up to 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /**
   * A value of a log-normal distribution, as durations and sizes have: half of the values are below the median, and
   * with a spread of 0.5 one in twenty is above 2.3 medians.
   */
  logNormal(median: number, spread: number): number {
    // Box-Muller. 1 - next() is never 0.
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    return median * Math.exp(spread * normal);
  }

  /** One of the choices, by their weights. */
  weighted<Choice extends { readonly weight: number }>(choices: readonly Choice[]): Choice {
    let rest = this.next() * choices.reduce((sum, { weight }) => sum + weight, 0);
    for (const choice of choices) {
      rest -= choice.weight;
      if (rest < 0) return choice;
    }
    return choices.at(-1)!;
  }

  /** A text of lower-case letters and digits. */
  letters(length: number): string {
    return Array.from({ length }, () => Math.floor(this.next() * 36).toString(36)).join("");
  }
}
