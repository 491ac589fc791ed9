/**
 * Numbers the different pairs of two numbers. With one for each column, the rows that have the same values in all columns
 * get the same number, and each column costs a look-up per row.
 */

/** Odd, and not known to senders: nobody can choose pairs that collide. */
const FIRST = crypto.getRandomValues(new Int32Array(1))[0]! | 1;
const SECOND = crypto.getRandomValues(new Int32Array(1))[0]! | 1;

export class PairNumbers {
  #slots = new Int32Array(64);
  #first = new Int32Array(32);
  #second = new Int32Array(32);
  /** The number of the last pair. The first is 1. */
  count = 0;

  /** The number of a pair. */
  of(first: number, second: number): number {
    const mask = this.#slots.length - 1;
    let slot = Math.imul(first, FIRST) ^ Math.imul(second, SECOND);
    slot = (slot ^ (slot >>> 15)) & mask;
    for (;;) {
      const number = this.#slots[slot]!;
      if (number === 0) break;
      if (this.#first[number] === first && this.#second[number] === second) return number;
      slot = (slot + 1) & mask;
    }
    const number = ++this.count;
    if (number >= this.#first.length) {
      this.#first = grown(this.#first);
      this.#second = grown(this.#second);
    }
    this.#first[number] = first;
    this.#second[number] = second;
    this.#slots[slot] = number;
    if (number * 2 > this.#slots.length) this.#grow();
    return number;
  }

  /** Replaces the numbers of rows by those of their pairs with `second`. */
  ofAll(numbers: Int32Array, second: Int32Array, from: number, to: number): void {
    let [before, last, number] = [-1, -1, 0];
    for (let row = from; row < to; row++) {
      const first = numbers[row]!;
      const code = second[row]!;
      // Neighbours are often equal.
      if (first !== before || code !== last) {
        number = this.of(first, code);
        before = first;
        last = code;
      }
      numbers[row] = number;
    }
  }

  firstOf(number: number): number {
    return this.#first[number]!;
  }

  secondOf(number: number): number {
    return this.#second[number]!;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 4);
    const mask = slots.length - 1;
    for (let number = 1; number <= this.count; number++) {
      let slot = Math.imul(this.#first[number]!, FIRST) ^ Math.imul(this.#second[number]!, SECOND);
      slot = (slot ^ (slot >>> 15)) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = number;
    }
    this.#slots = slots;
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
