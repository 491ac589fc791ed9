/**
 * Loops of byte-loops.wat in WebAssembly, with the memory that they work on:
 *
 *     block (compressed) │ message (inflated) │ kept bytes, such as those of label blocks
 *
 * The bytes of a message stay valid until the next call of `arrange`. Each decoder has its own memory, because it may
 * pause within a message. Where the engine has no SIMD there are no loops, and callers use JavaScript.
 *
 * Memory of WebAssembly never becomes smaller. So only messages up to `MESSAGE_BYTES_MAX` are decompressed in it.
 */
import { BYTE_LOOPS } from "./byte-loops-code.ts";

/** Of a block, and of its message. The largest usual message has 10,000 samples in 2 MB. */
export const MESSAGE_BYTES_MAX = 4 * 1_048_576;

/** The loops read and write up to 15 bytes behind the bytes of a block, of a message and of what is kept. */
const SLACK_BYTES = 64;
const PAGE_BYTES = 65_536;

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly at: WebAssembly.Global<"i32">;
  readonly to: WebAssembly.Global<"i32">;
  inflate(pause: number, end: number, begin: number, limit: number): void;
  equal(one: number, other: number, length: number): number;
}

/** The next element of a block, and where its bytes belong in the message. */
export interface ElementPlace {
  at: number;
  to: number;
}

export class ByteLoops {
  readonly #exports: Exports;
  #blockBytes = 0;
  #messageBytes = 0;
  #keptBytes = 0;
  #message: Buffer = Buffer.alloc(0);
  #kept: Buffer = Buffer.alloc(0);

  private constructor(module: WebAssembly.Module) {
    this.#exports = new WebAssembly.Instance(module).exports as unknown as Exports;
  }

  /** New loops with memory of their own, or undefined if this engine cannot run them. */
  static open(): ByteLoops | undefined {
    try {
      return new ByteLoops(new WebAssembly.Module(Uint8Array.fromBase64(BYTE_LOOPS)));
    } catch {
      return undefined;
    }
  }

  /** The bytes of the message, as `arrange` was called with. */
  get message(): Buffer {
    return this.#message;
  }

  /** The bytes that are kept. `arrange` makes another view of them. */
  get kept(): Buffer {
    return this.#kept;
  }

  /**
   * Makes room for a block, its message, and bytes that are kept. The kept bytes remain. Views of the message and of
   * the kept bytes from before are no longer valid.
   *
   * @param block its bytes, which are copied
   */
  arrange(block: Uint8Array, messageBytes: number, keptBytes: number): void {
    const keptFrom = this.#keptAt;
    const keptLength = this.#kept.length;
    if (block.length > this.#blockBytes) this.#blockBytes = larger(block.length, this.#blockBytes);
    if (messageBytes > this.#messageBytes) this.#messageBytes = larger(messageBytes, this.#messageBytes);
    if (keptBytes > this.#keptBytes) this.#keptBytes = larger(keptBytes, this.#keptBytes);
    const { memory } = this.#exports;
    const need = this.#keptAt + this.#keptBytes + SLACK_BYTES;
    if (need > memory.buffer.byteLength)
      memory.grow(Math.ceil((need - memory.buffer.byteLength) / PAGE_BYTES));
    const all = Buffer.from(memory.buffer);
    if (this.#keptAt !== keptFrom) all.copyWithin(this.#keptAt, keptFrom, keptFrom + keptLength);
    all.set(block, 0);
    this.#message = all.subarray(this.#messageAt, this.#messageAt + messageBytes);
    this.#kept = all.subarray(this.#keptAt, this.#keptAt + this.#keptBytes);
  }

  /**
   * Decompresses elements of the block into the message, from a place on, and moves the place behind them. It stops
   * before an element at or behind `pauseAt`, and before one that it leaves to the caller: a rare or an invalid one.
   *
   * @param length of the block
   */
  inflate(place: ElementPlace, pauseAt: number, length: number): void {
    const { at, to, inflate } = this.#exports;
    const begin = this.#messageAt;
    at.value = place.at;
    to.value = begin + place.to;
    inflate(pauseAt, length, begin, begin + this.#message.length);
    place.at = at.value;
    place.to = to.value - begin;
  }

  /** Whether the message has, from `from` on, the `length` kept bytes at `keptFrom`. */
  isKept(keptFrom: number, from: number, length: number): boolean {
    return this.#exports.equal(this.#keptAt + keptFrom, this.#messageAt + from, length) === 1;
  }

  get #messageAt(): number {
    return this.#blockBytes + SLACK_BYTES;
  }

  get #keptAt(): number {
    return this.#messageAt + this.#messageBytes + SLACK_BYTES;
  }
}

/** The next size of a part, so that it seldom grows. */
function larger(bytes: number, before: number): number {
  return Math.ceil(Math.max(bytes, 1.5 * before) / SLACK_BYTES) * SLACK_BYTES;
}
