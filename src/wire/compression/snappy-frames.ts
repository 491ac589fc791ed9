/**
 * Snappy's framing format (https://github.com/google/snappy/blob/main/framing_format.txt), in which Pushgateway's
 * clients send bodies: chunks of at most 64 KiB, each with a checksum, which is verified.
 */
import { BadInput, TooLarge } from "../../model/errors.ts";
import { decompressSnappyBlock } from "./snappy.ts";

const IDENTIFIER = Buffer.from("sNaPpY");
const CHUNK_BYTES_MAX = 65_536;
const [COMPRESSED, PLAIN, STREAM_BEGIN, SKIPPABLE_FIRST] = [0x00, 0x01, 0xff, 0x80];

/**
 * Decompresses a stream.
 *
 * @param inflatedBytesMax the most bytes that the stream may inflate to; past it, throws `TooLarge`
 * @throws BadInput when the stream is corrupt or truncated
 */
export function decompressSnappyFrames(body: Uint8Array, inflatedBytesMax: number): Uint8Array {
  const stream = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const parts: Buffer[] = [];
  let inflatedBytes = 0;
  for (let at = 0; at < stream.length; ) {
    const type = stream[at]!;
    if (at + 4 > stream.length) throw corrupt(`it is truncated at byte ${stream.length}`);
    const begin = at + 4;
    const end = begin + stream.readUIntLE(at + 1, 3);
    if (end > stream.length) throw corrupt(`it is truncated at byte ${stream.length}`);
    if (at === 0 && type !== STREAM_BEGIN) throw corrupt("it does not begin with its identifier");
    if (type === COMPRESSED || type === PLAIN) {
      if (end - begin < 4) throw corrupt(`the chunk at byte ${at} has no checksum`);
      const data = stream.subarray(begin + 4, end);
      const plain = type === PLAIN ? data : decompressSnappyBlock(data, CHUNK_BYTES_MAX);
      if (plain.length > CHUNK_BYTES_MAX) throw corrupt(`the chunk at byte ${at} is over 64 KiB`);
      if (maskedChecksum(plain) !== stream.readUInt32LE(begin)) {
        throw corrupt(`the checksum of the chunk at byte ${at} is wrong`);
      }
      inflatedBytes += plain.length;
      if (inflatedBytes > inflatedBytesMax) {
        throw new TooLarge(
          `The body inflates past the limit of ${inflatedBytesMax} bytes (setting inflatedBytesMax).`,
        );
      }
      parts.push(plain);
    } else if (type === STREAM_BEGIN) {
      if (!stream.subarray(begin, end).equals(IDENTIFIER)) throw corrupt("its identifier is wrong");
    } else if (type < SKIPPABLE_FIRST) throw corrupt(`the chunk at byte ${at} has unknown type ${type}`);
    at = end;
  }
  return Buffer.concat(parts);
}

/** CRC-32C by byte. */
const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let checksum = byte;
  for (let bit = 0; bit < 8; bit++) checksum = (checksum >>> 1) ^ ((checksum & 1) * 0x82f63b78);
  return checksum;
});

/** CRC-32C, rotated and offset as the format requires. */
function maskedChecksum(bytes: Uint8Array): number {
  let checksum = 0xffffffff;
  for (const byte of bytes) checksum = (checksum >>> 8) ^ CHECKSUMS[(checksum ^ byte) & 0xff]!;
  checksum = ~checksum;
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}

function corrupt(what: string): BadInput {
  return new BadInput(`The body is not a complete snappy stream: ${what}.`, "Content-Encoding");
}
