/** Writes snappy's framing format (https://github.com/google/snappy/blob/main/framing_format.txt), slowly and simply. */
import snappyjs from "snappyjs";

/** The chunk with which a stream begins. */
export const IDENTIFIER = Buffer.from([0xff, 6, 0, 0, ...Buffer.from("sNaPpY")]);

/** CRC-32C bit by bit, masked. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A chunk with the data of `of`, whose checksum it has unless `sum` is given. */
export function chunk(type: number, data: Uint8Array, of: Uint8Array, sum = checksum(of)): Buffer {
  const head = Buffer.alloc(8);
  head[0] = type;
  head.writeUIntLE(data.length + 4, 1, 3);
  head.writeUInt32LE(sum, 4);
  return Buffer.concat([head, data]);
}

/** A compressed chunk of at most 64 KiB. */
export function compressedChunk(plain: Buffer): Buffer {
  return chunk(0, snappyjs.compress(plain), plain);
}
