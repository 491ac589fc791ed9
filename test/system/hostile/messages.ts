/** Builds large bodies byte by byte: as objects, a message of a million parts would take longer to make than to send. */

/** Bytes that grow. */
export class Bytes {
  #bytes = Buffer.allocUnsafe(128);
  #length = 0;

  raw(part: Uint8Array): this {
    this.#reserve(part.length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
    return this;
  }

  text(text: string): this {
    this.#reserve(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length);
    return this;
  }

  varint(value: number): this {
    this.#reserve(10);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** A field of protobuf with bytes, text or a message. */
  field(number: number, value: Uint8Array | string): this {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    return this.varint(number * 8 + 2)
      .varint(bytes.length)
      .raw(bytes);
  }

  /** A field of protobuf with a whole number. */
  number(number: number, value: number): this {
    return this.varint(number * 8).varint(value);
  }

  /** A field of protobuf with 64 fixed bits. */
  double(number: number, value: number): this {
    this.varint(number * 8 + 1);
    this.#reserve(8);
    this.#bytes.writeDoubleLE(value, this.#length);
    this.#length += 8;
    return this;
  }

  /** A field of protobuf with a whole number of 64 fixed bits. */
  fixed(number: number, value: bigint): this {
    this.varint(number * 8 + 1);
    this.#reserve(8);
    this.#bytes.writeBigUInt64LE(value, this.#length);
    this.#length += 8;
    return this;
  }

  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** A message of protobuf: its fields in order. */
export function message(build: (bytes: Bytes) => void): Buffer {
  const bytes = new Bytes();
  build(bytes);
  return bytes.take();
}

/**
 * A block of snappy that repeats one byte (https://github.com/google/snappy/blob/main/format_description.txt): its
 * `length` bytes take a twentieth.
 */
export function snappyBomb(length: number, byte = 0): Buffer {
  const bytes = new Bytes().varint(length).raw(Buffer.from([0, byte]));
  for (let left = length - 1; left > 0; ) {
    const copied = Math.min(left, 64);
    // A copy with an offset of 1, of up to 64 bytes.
    bytes.raw(Buffer.from([((copied - 1) << 2) | 2, 1, 0]));
    left -= copied;
  }
  return bytes.take();
}

/** A block of snappy that is not compressed: only literals. */
export function snappy(body: Uint8Array): Buffer {
  const bytes = new Bytes().varint(body.length);
  for (let from = 0; from < body.length; from += 65_536) {
    const part = body.subarray(from, from + 65_536);
    bytes.raw(Buffer.from([61 << 2, (part.length - 1) & 0xff, (part.length - 1) >> 8])).raw(part);
  }
  return bytes.take();
}
