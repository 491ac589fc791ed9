/**
 * Writes protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) into one buffer that grows. The length of
 * a nested message is written before it, so the encoders compute it first: nothing is copied twice.
 */
const WORD = 4_294_967_296;

/** The bytes of an unsigned number, at most 2^53. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

export class ProtobufWriter {
  #bytes: Buffer;
  #view: DataView;
  #at = 0;

  constructor(bytes = 65_536) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#at;
  }

  /** What was written, as a view that the next `reset` makes invalid. */
  get bytes(): Uint8Array<ArrayBuffer> {
    // Not a Buffer, whose slice() is no copy.
    return new Uint8Array(this.#bytes.buffer as ArrayBuffer, 0, this.#at);
  }

  reset(): void {
    this.#at = 0;
  }

  /** Makes room for some bytes. The other methods do not check it. */
  reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + bytes));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** A tag below 128, or any other single byte. */
  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** An unsigned number, at most 2^53. */
  varint(value: number): void {
    let rest = value;
    while (rest >= WORD) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    let low = rest >>> 0;
    while (low >= 128) {
      this.#bytes[this.#at++] = (low & 0x7f) | 0x80;
      low >>>= 7;
    }
    this.#bytes[this.#at++] = low;
  }

  double(value: number): void {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** 64 bits, the low half first. */
  fixed64(low: number, high: number): void {
    this.#view.setUint32(this.#at, low, true);
    this.#view.setUint32(this.#at + 4, high, true);
    this.#at += 8;
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A text with its length. Returns nothing; reserve three bytes per character and five more. */
  text(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.varint(bytes);
    this.#bytes.write(text, this.#at, bytes);
    this.#at += bytes;
  }
}
