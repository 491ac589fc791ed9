/**
 * Numbers the symbols of remote_write 2.0 requests. Equal bytes have the same number in every request, so that a row
 * of numbers identifies a series' labels. Number 0 is the empty text. The size is bounded: when full, all are dropped.
 */
import { isUtf8 } from "node:buffer";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";

/** A request of 10,000 samples has some thousands. If many series exist, two per series. */
const SYMBOLS_MAX = 262_144;

export class Symbols {
  readonly #texts: LabelBlocks<string>;
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  /** The numbers of the symbols of the current request, by reference. */
  #numbers = new Int32Array(1_024);
  #count = 0;

  /** @param seriesCount the number of series that exist */
  constructor(seriesCount?: () => number) {
    // When full, all are dropped, so that all symbols of one request have room.
    this.#texts = new LabelBlocks(SYMBOLS_MAX, { seriesCount });
  }

  /** Changes when numbering starts again. A caller that keeps numbers must drop them then. */
  get generation(): number {
    return this.#texts.generation;
  }

  /** The number of symbols of the request. */
  get count(): number {
    return this.#count;
  }

  /** Starts a request. */
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

  /** The number of a symbol by its reference, or -1 if the request does not have it, or it is not UTF-8. */
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
