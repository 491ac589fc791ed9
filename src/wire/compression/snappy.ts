/**
 * Decompresses Snappy's block format (https://github.com/google/snappy/blob/main/format_description.txt), which
 * remote_write bodies have. The block announces its length, which is checked first; the buffer has exactly this length.
 *
 * This is our own decoder, because it was the fastest of three when measured in Bun (440 kB of 2,000 series: 0.55 ms
 * with a reused buffer, the native addon `snappy` 0.9, `snappyjs` 1.05), and it says what is wrong with a block. A busy
 * protocol has the usual elements decompressed by ../wasm/byte-loops.ts, and this module does what is left.
 * `snappyjs` is the reference in the tests.
 */
import { BadInput, TooLarge } from "../../model/errors.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import type { ElementPlace } from "../wasm/byte-loops.ts";

/** Bytes of a block without a pause: 64 KiB inflate to 1.4 MB at most, within 5 ms. */
const STEP_BYTES = 65_536;
/**
 * Shorter copies are faster byte by byte than by a call into the runtime. Per request of 1,250 samples, some 500 CPU-µs
 * with 8, 650 with 16, 800 with 24, 1,000 with 32. Words of four bytes by a DataView took 4,400.
 */
const CALL_BYTES = 8;

/** Where a block is decompressed to. */
export interface SnappyOutput {
  /** Of exactly the length of the message. */
  readonly bytes: Buffer;
  /** Decompresses usual elements faster than this module, which does what is left, up to `pauseAt` or not. */
  readonly inflate?: (place: ElementPlace, pauseAt: number) => void;
}

/**
 * Decompresses a block.
 *
 * @param inflatedBytesMax the most bytes that the block may inflate to; past it, throws `TooLarge` before it allocates
 * @param reserve returns the output, for the length that it is called with
 * @throws BadInput when the block is corrupt or truncated
 */
export function decompressSnappyBlock(
  block: Uint8Array,
  inflatedBytesMax: number,
  reserve: (bytes: number) => SnappyOutput = newOutput,
): Buffer {
  return atOnce(inflatingSnappyBlock(block, inflatedBytesMax, reserve));
}

function newOutput(bytes: number): SnappyOutput {
  return { bytes: Buffer.allocUnsafeSlow(bytes) };
}

/** As `decompressSnappyBlock`, in steps between which the caller may pause. */
export function* inflatingSnappyBlock(
  block: Uint8Array,
  inflatedBytesMax: number,
  reserve: (bytes: number) => SnappyOutput = newOutput,
): Generator<void, Buffer> {
  const { length, at } = headerOf(block, inflatedBytesMax);
  const { bytes: out, inflate: inflateFast } = reserve(length);
  const place = { at, to: 0 };
  while (place.at < block.length) {
    const pauseAt = Math.min(place.at + STEP_BYTES, block.length);
    inflateFast?.(place, pauseAt);
    inflate(block, place, out, pauseAt);
    yield;
  }
  if (place.to !== length)
    throw corrupt(`it inflates to ${place.to} of the ${length} bytes that it announces`);
  return out;
}

/** The length to which a block inflates. Throws as `decompressSnappyBlock` does. */
export function snappyBlockLength(block: Uint8Array, inflatedBytesMax: number): number {
  return headerOf(block, inflatedBytesMax).length;
}

/** The length that a block announces, and where its elements begin. */
function headerOf(block: Uint8Array, inflatedBytesMax: number): { length: number; at: number } {
  let length = 0;
  let at = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = block[at++];
    if (byte === undefined) throw corrupt("its length is truncated");
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
    if (shift === 28) throw corrupt("its length has more than 32 bits");
  }
  if (length > 0xffffffff) throw corrupt("its length has more than 32 bits");
  if (length > inflatedBytesMax) {
    throw new TooLarge(
      `The body inflates to ${length} bytes, past the limit of ${inflatedBytesMax} (setting inflatedBytesMax).`,
    );
  }
  // An element of three bytes makes 64 at most: for a block that announces more, nothing is allocated.
  if (length > (block.length - at) * 22) throw corrupt(`${block.length} bytes cannot inflate to ${length}`);
  return { length, at };
}

/** Decompresses elements of a block from a place on, up to one at or behind `pauseAt`, and moves the place there. */
function inflate(block: Uint8Array, place: ElementPlace, out: Uint8Array, pauseAt: number): void {
  const end = block.length;
  const length = out.length;
  let { at, to } = place;
  while (at < pauseAt) {
    const tag = block[at++]!;
    if ((tag & 3) === 0) {
      let bytes = (tag >>> 2) + 1;
      if (bytes > 60) {
        const width = bytes - 60;
        if (at + width > end) throw corrupt(`it is truncated at byte ${end}`);
        bytes = 0;
        for (let index = 0; index < width; index++) bytes += block[at + index]! * 2 ** (8 * index);
        bytes += 1;
        at += width;
      }
      if (at + bytes > end) throw corrupt(`it is truncated at byte ${end}`);
      if (to + bytes > length)
        throw corrupt(`it inflates to more than the ${length} bytes that it announces`);
      if (bytes < CALL_BYTES) for (const stop = at + bytes; at < stop; ) out[to++] = block[at++]!;
      else {
        out.set(block.subarray(at, at + bytes), to);
        at += bytes;
        to += bytes;
      }
      continue;
    }
    let bytes: number;
    let offset: number;
    // A byte past the end reads as undefined, which counts as 0 here and is detected below.
    if ((tag & 3) === 1) {
      bytes = ((tag >>> 2) & 7) + 4;
      offset = ((tag & 0xe0) << 3) | block[at]!;
      at += 1;
    } else if ((tag & 3) === 2) {
      bytes = (tag >>> 2) + 1;
      offset = block[at]! | (block[at + 1]! << 8);
      at += 2;
    } else {
      bytes = (tag >>> 2) + 1;
      offset = (block[at]! | (block[at + 1]! << 8) | (block[at + 2]! << 16) | (block[at + 3]! << 24)) >>> 0;
      at += 4;
    }
    if (at > end) throw corrupt(`it is truncated at byte ${end}`);
    if (offset === 0 || offset > to) throw corrupt(`byte ${at} copies from before its beginning`);
    if (to + bytes > length) throw corrupt(`it inflates to more than the ${length} bytes that it announces`);
    if (offset >= bytes && bytes >= CALL_BYTES) {
      out.copyWithin(to, to - offset, to - offset + bytes);
      to += bytes;
    } else {
      for (const stop = to + bytes; to < stop; to++) out[to] = out[to - offset]!;
    }
  }
  place.at = at;
  place.to = to;
}

function corrupt(what: string): BadInput {
  return new BadInput(`The body is not a complete snappy block: ${what}.`, "body");
}
