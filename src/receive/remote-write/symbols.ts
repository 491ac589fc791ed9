/**
 * The symbols of remote_write 2.0 requests, numbered: equal bytes have the same number in each request, so that a
 * row of numbers stands for a series' labels. Number 0 is the empty text. Bounded: when full it starts anew.
 */
import { isUtf8 } from "node:buffer";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";

/** A request of 10,000 samples has some thousands. */
const SYMBOLS_MAX = 262_144;

export class Symbols {
  readonly #texts = new LabelBlocks<string>(SYMBOLS_MAX);
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  /** Of the request that is being read: by reference, the number. */
  #numbers = new Int32Array(1_024);
  #count = 0;

  /** Changes when the numbers begin anew; who remembers numbers must forget them then. */
  get generation(): number {
    return this.#texts.generation;
  }

  /** How many symbols the request has. */
  get count(): number {
    return this.#count;
  }

  /** Begins with a request. */
  begin(): void {
    this.#count = 0;
  }

  /** Adds the request's next symbol: the bytes from `from` to `to`. */
  add(bytes: Buffer, from: number, to: number): void {
    if (this.#count >= this.#numbers.length) {
      const longer = new Int32Array(this.#numbers.length * 2);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[this.#count++] = from === to ? 0 : this.#number(bytes, from, to);
  }

  /** The number of a symbol by its place in the request, or -1 where the request has none, or no UTF-8. */
  numberOf(reference: number): number {
    return reference < this.#count ? this.#numbers[reference]! : -1;
  }

  text(number: number): string {
    return number === 0 ? "" : this.#texts.head(number - 1);
  }

  #number(bytes: Buffer, from: number, to: number): number {
    const hash = blockHash(bytes, from, to, this.#seed);
    const known = this.#texts.find(bytes, to - from, hash, from);
    if (known >= 0) return known + 1;
    const symbol = bytes.subarray(from, to);
    if (!isUtf8(symbol)) return -1;
    return this.#texts.add(bytes, to - from, hash, symbol.toString("utf8"), from) + 1;
  }
}
