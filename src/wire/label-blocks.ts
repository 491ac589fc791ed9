/**
 * Remembers the label blocks of a protocol: the bytes of a series' labels, and what they decoded to. A block that was
 * seen before is found by its bytes and not decoded again.
 *
 * The number of blocks and their bytes are bounded. A sender repeats its series in one order, so a bound below their
 * number would forget each block just before it is seen again. Therefore the bounds can grow with the number of series
 * that exist, each of which takes several times as much memory as its block. When full, all are dropped, or half of them
 * are kept: those that were found again since the last time, then the oldest ones.
 *
 * `scripts/bench` (events), `scripts/bench remote-write` and `scripts/bench all --cases series` measure it.
 */
import type { SeriesHead } from "../model/sample.ts";
import type { ByteLoops } from "./wasm/byte-loops.ts";

const ENTRIES_MAX = 65_536;
const BYTES_MAX = 32 * 1_048_576;
/** Of each series that exists. Blocks of node_exporter have 190 bytes, and those of Kubernetes some 500. */
const BYTES_PER_SERIES_MAX = 2_048;
/** Offsets are 31 bits, and the memory grows by half of what it has. */
const BYTES_EVER_MAX = 1_073_741_824;
/** Blocks per series that exists: two senders may write the labels of a series differently, and series end. */
const BLOCKS_PER_SERIES = 2;
const SMALL_BYTES = 1_024;
/** A gateway has some twenty of these, and most senders use one or two. */
const SLOTS_MIN = 2_048;
const NO_BYTES = new Uint8Array(0);

interface LabelBlocksOptions {
  /** The number of series that exist. */
  readonly seriesCount?: () => number;
  /** Whether half of the blocks are kept when there are too many. Their numbers change. */
  readonly keepsHalf?: boolean;
}

export class LabelBlocks<Head = SeriesHead> {
  readonly #entriesMax: number;
  readonly #seriesCount: () => number;
  readonly #keepsHalf: boolean;
  /** By hash: the number of a block and 1, or 0. At least half of them are 0. */
  #slots = new Int32Array(SLOTS_MIN);
  #hashes = new Int32Array(1_024);
  #offsets = new Int32Array(1_024);
  #lengths = new Int32Array(1_024);
  /** By block: 1 if it was found since blocks were dropped the last time. */
  #found = new Uint8Array(1_024);
  #bytes: Buffer = Buffer.allocUnsafeSlow(65_536);
  #words = wordsOf(this.#bytes);
  /** The buffer that was compared last. */
  #source: Buffer = Buffer.alloc(0);
  #sourceWords = wordsOf(this.#source);
  #end = 0;
  /** The memory that has the bytes of the blocks, beside a message with blocks that are compared with them. */
  #loops: ByteLoops | undefined;
  #heads: Head[] = [];
  #generation = 0;

  /** @param entriesMax blocks that are kept, however few series exist */
  constructor(
    entriesMax: number = ENTRIES_MAX,
    { seriesCount = () => 0, keepsHalf = false }: LabelBlocksOptions = {},
  ) {
    this.#entriesMax = entriesMax;
    this.#seriesCount = seriesCount;
    this.#keepsHalf = keepsHalf;
  }

  /** Changes when numbering starts again. A caller that keeps block numbers must drop them then. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Makes room for a message in the memory of `loops`, and keeps the bytes of the blocks there. Blocks of that message
   * are compared by the loops, 16 bytes at a time. See `ByteLoops.arrange`.
   */
  arrange(loops: ByteLoops, block: Uint8Array, messageBytes: number): void {
    const moved = this.#loops === loops ? undefined : this.#bytes.subarray(0, this.#end);
    // All blocks that the message can add have room, because its bytes must not move while it is read.
    loops.arrange(block, messageBytes, this.#end + messageBytes);
    if (moved !== undefined) loops.kept.set(moved);
    this.#loops = loops;
    this.#viewKept(loops);
  }

  #viewKept({ kept }: ByteLoops): void {
    this.#bytes = kept;
    this.#words = wordsOf(kept);
  }

  /** Looks up the block with `length` bytes of `key` at `from`; returns its number, or -1 if it was not seen. */
  find(key: Buffer, length: number, hash: number, from = 0): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]! - 1;
      if (entry < 0) return -1;
      if (this.#hashes[entry] !== hash || this.#lengths[entry] !== length) continue;
      if (!this.#has(entry, key, from, length)) continue;
      this.#found[entry] = 1;
      return entry;
    }
  }

  /** Returns the length of a block if `source` has its bytes at `from`, else -1. */
  lengthAt(entry: number, source: Buffer, from: number): number {
    const length = this.#lengths[entry]!;
    if (from + length > source.length || !this.#has(entry, source, from, length)) return -1;
    this.#found[entry] = 1;
    return length;
  }

  /** Whether a block has the bytes of `source` at `from`. Four at a time take half of the time of `Buffer.compare`. */
  #has(entry: number, source: Buffer, from: number, length: number): boolean {
    const loops = this.#loops;
    if (loops !== undefined && source === loops.message)
      return loops.isKept(this.#offsets[entry]!, from, length);
    // For so few blocks, a view of the source takes longer than it saves.
    if (source.length <= SMALL_BYTES && source !== this.#source) {
      const bytes = this.#bytes;
      const offset = this.#offsets[entry]!;
      for (let at = 0; at < length; at++) if (bytes[offset + at] !== source[from + at]) return false;
      return true;
    }
    if (source !== this.#source) {
      this.#source = source;
      this.#sourceWords = wordsOf(source);
    }
    const words = this.#words;
    const others = this.#sourceWords;
    const offset = this.#offsets[entry]!;
    const whole = length & ~3;
    for (let at = 0; at < whole; at += 4)
      if (words.getInt32(offset + at) !== others.getInt32(from + at)) return false;
    for (let at = whole; at < length; at++) if (this.#bytes[offset + at] !== source[from + at]) return false;
    return true;
  }

  /** Adds a block with its head and returns its number. The numbers of all others change if the generation does. */
  add(key: Buffer, length: number, hash: number, head: Head, from = 0): number {
    const { entries, bytes } = this.#limits();
    if (this.#heads.length >= entries || this.#end + length > bytes) {
      if (this.#keepsHalf) this.#keep(entries >>> 1, bytes >>> 1);
      else this.clear();
    }
    const entry = this.#heads.length;
    this.#reserve(entry, length);
    this.#bytes.set(key.subarray(from, from + length), this.#end);
    this.#hashes[entry] = hash;
    this.#offsets[entry] = this.#end;
    this.#lengths[entry] = length;
    this.#found[entry] = 0;
    this.#end += length;
    this.#heads.push(head);
    if (this.#heads.length * 2 > this.#slots.length) this.#growSlots();
    else this.#enter(entry);
    return entry;
  }

  #enter(entry: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = this.#hashes[entry]! & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = entry + 1;
  }

  #growSlots(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let entry = 0; entry < this.#heads.length; entry++) this.#enter(entry);
  }

  head(entry: number): Head {
    return this.#heads[entry]!;
  }

  /** Replaces the head of a block. */
  setHead(entry: number, head: Head): void {
    this.#heads[entry] = head;
  }

  /** The number of blocks; all block numbers are below it. */
  get count(): number {
    return this.#heads.length;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#heads = [];
    this.#end = 0;
    this.#generation++;
  }

  #limits(): { entries: number; bytes: number } {
    const series = this.#seriesCount();
    return {
      entries: Math.max(this.#entriesMax, BLOCKS_PER_SERIES * series),
      bytes: Math.min(BYTES_EVER_MAX, Math.max(BYTES_MAX, BYTES_PER_SERIES_MAX * series)),
    };
  }

  /**
   * Keeps so many blocks and bytes, in their order: those that were found since the last time, then the oldest ones. Of a
   * sender with too many series, the same blocks are kept each time, so that at least these are found.
   */
  #keep(entries: number, bytes: number): void {
    const count = this.#heads.length;
    const isKept = new Uint8Array(count);
    for (const found of [1, 0]) {
      for (let entry = 0; entry < count && entries > 0; entry++) {
        const length = this.#lengths[entry]!;
        if (this.#found[entry] !== found || length > bytes) continue;
        isKept[entry] = 1;
        entries--;
        bytes -= length;
      }
    }
    const heads = this.#heads;
    this.clear();
    for (let entry = 0; entry < count; entry++) {
      if (isKept[entry] === 0) continue;
      const to = this.#heads.length;
      const offset = this.#offsets[entry]!;
      const length = this.#lengths[entry]!;
      // No block that is still to be kept begins before its end.
      if (offset !== this.#end) this.#bytes.copyWithin(this.#end, offset, offset + length);
      this.#hashes[to] = this.#hashes[entry]!;
      this.#offsets[to] = this.#end;
      this.#lengths[to] = length;
      this.#found[to] = 0;
      this.#end += length;
      this.#heads.push(heads[entry]!);
      this.#enter(to);
    }
  }

  #reserve(entry: number, length: number): void {
    if (entry >= this.#hashes.length) {
      this.#hashes = grown(this.#hashes);
      this.#offsets = grown(this.#offsets);
      this.#lengths = grown(this.#lengths);
      const found = new Uint8Array(this.#lengths.length);
      found.set(this.#found);
      this.#found = found;
    }
    if (this.#end + length <= this.#bytes.length) return;
    if (this.#loops !== undefined) {
      // The message that is read is not in this memory, because all blocks of one that is have room.
      this.#loops.arrange(NO_BYTES, 0, this.#end + length);
      this.#viewKept(this.#loops);
      return;
    }
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#end + length));
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
  }
}

function wordsOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** A hash of a label block, seeded so that a sender cannot choose blocks that collide. */
export function blockHash(bytes: Buffer, from: number, to: number, seed: number): number {
  let hash = seed;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}
