/**
 * Decompresses LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), with which Arrow compresses
 * buffers. The size of the output is known before. Checksums are not verified: a body is checked by its transport.
 */
import { BadInput } from "../../model/errors.ts";

const MAGIC = 0x184d_2204;
/** Shorter copies are faster byte by byte than by a call into the runtime. */
const CALL_BYTES = 16;
/** Sequences without a pause: some 100 µs. */
const SEQUENCES_AT_ONCE = 4_096;

/**
 * Decompresses one frame to exactly `length` bytes, in steps between which the caller may pause.
 *
 * @throws BadInput if the frame is corrupt, truncated or has another length
 */
export function* inflatingLz4Frame(frame: Uint8Array, length: number): Generator<void, Uint8Array> {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 7 || view.getUint32(0, true) !== MAGIC) throw corrupt("it does not begin with a frame");
  const flags = frame[4]!;
  if (flags >> 6 !== 1) throw corrupt("its version is unknown");
  const blockChecksumBytes = (flags & 0x10) === 0 ? 0 : 4;
  let at = 6 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4) + 1;
  const out = new Uint8Array(length);
  const place = { to: 0 };
  for (;;) {
    if (at + 4 > frame.length) throw corrupt("it is truncated");
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const bytes = word & 0x7fff_ffff;
    if (bytes > frame.length - at) throw corrupt("it is truncated");
    const block = frame.subarray(at, at + bytes);
    at += bytes + blockChecksumBytes;
    if (word > 0x7fff_ffff) {
      if (bytes > length - place.to) throw corrupt("it is longer than it announces");
      out.set(block, place.to);
      place.to += bytes;
      yield;
    } else yield* inflatingBlock(block, out, place);
  }
  if (place.to !== length)
    throw corrupt(`it inflates to ${place.to} of the ${length} bytes that it announces`);
  return out;
}

/** A block: sequences of literals and a copy of earlier output. Blocks of a frame may refer to blocks before them. */
function* inflatingBlock(block: Uint8Array, out: Uint8Array, place: { to: number }): Generator<void> {
  const at = { from: 0, to: place.to };
  while (at.from < block.length) {
    inflate(block, out, at);
    yield;
  }
  place.to = at.to;
}

/** Inflates some sequences. A loop that yields would take several times longer. */
function inflate(block: Uint8Array, out: Uint8Array, place: { from: number; to: number }): void {
  let at = place.from;
  let { to } = place;
  for (let sequence = 0; sequence < SEQUENCES_AT_ONCE && at < block.length; sequence++) {
    const token = block[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        more = block[at++] ?? -1;
        literals += more;
      } while (more === 255);
      if (more < 0) throw corrupt("it is truncated");
    }
    if (literals > block.length - at) throw corrupt("it is truncated");
    if (literals > out.length - to) throw corrupt("it is longer than it announces");
    if (literals >= CALL_BYTES) {
      out.set(block.subarray(at, at + literals), to);
      at += literals;
      to += literals;
    } else for (const end = at + literals; at < end; ) out[to++] = block[at++]!;
    // The last sequence has only literals.
    if (at === block.length) break;
    if (at + 2 > block.length) throw corrupt("it is truncated");
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    if (distance === 0 || distance > to) throw corrupt("it refers to bytes before its beginning");
    let copied = (token & 15) + 4;
    if (copied === 19) {
      let more: number;
      do {
        more = block[at++] ?? -1;
        copied += more;
      } while (more === 255);
      if (more < 0) throw corrupt("it is truncated");
    }
    if (copied > out.length - to) throw corrupt("it is longer than it announces");
    if (copied >= CALL_BYTES && distance >= copied) {
      out.copyWithin(to, to - distance, to - distance + copied);
      to += copied;
    } else for (const end = to + copied; to < end; to++) out[to] = out[to - distance]!;
  }
  place.from = at;
  place.to = to;
}

function corrupt(what: string): BadInput {
  return new BadInput(`a buffer of the body is not compressed with lz4: ${what}`, "body");
}
