/**
 * Datagrams that wait until they are decoded, in the order of their arrival. Their bytes are copied to segments of
 * fixed size, so that a waiting datagram is no object. The number of segments is bounded.
 */

/** The largest payload of a UDP datagram over IPv4. Larger ones can come from Unix sockets only. */
export const DATAGRAM_BYTES_MAX = 65_507;

/** A segment of small datagrams is decoded within some 20 ms. */
export const SEGMENT_BYTES = 1_048_576;
const SEGMENT_DATAGRAMS = 65_536;
const LOOP_BYTES_MAX = 256;
/** Segments that are kept for the next datagrams. */
const FREE_SEGMENTS_MAX = 4;

/** Datagrams, one after the other. */
export class DatagramSegment {
  readonly bytes = Buffer.allocUnsafeSlow(SEGMENT_BYTES);
  /** By datagram: the position after its last byte. */
  readonly end = new Uint32Array(SEGMENT_DATAGRAMS);
  /** By datagram: when it arrived, µs since the epoch. */
  readonly arrivedUs = new Float64Array(SEGMENT_DATAGRAMS);
  length = 0;

  hasRoom(bytes: number): boolean {
    return this.length < SEGMENT_DATAGRAMS && this.#used + bytes <= SEGMENT_BYTES;
  }

  get #used(): number {
    return this.length === 0 ? 0 : this.end[this.length - 1]!;
  }

  /** Adds a copy of `length` bytes of `source`. */
  add(source: Uint8Array, from: number, length: number, arrivedUs: number): void {
    const { bytes } = this;
    let at = this.#used;
    const end = at + length;
    // A call of `set` takes longer than this for few bytes.
    if (length > LOOP_BYTES_MAX) bytes.set(source.subarray(from, from + length), at);
    else for (let read = from; at < end; ) bytes[at++] = source[read++]!;
    this.end[this.length] = end;
    this.arrivedUs[this.length++] = arrivedUs;
  }
}

export class WaitingDatagrams {
  readonly #segmentsMax: number;
  readonly #segments: DatagramSegment[] = [];
  readonly #free: DatagramSegment[] = [];

  /** @param bytesMax the most bytes that wait. At least one segment can be filled */
  constructor(bytesMax: number) {
    this.#segmentsMax = Math.max(1, Math.floor(bytesMax / SEGMENT_BYTES));
  }

  /** Adds a copy of `length` bytes, at most `DATAGRAM_BYTES_MAX`. Returns false if there is no room. */
  add(source: Uint8Array, from: number, length: number, arrivedUs: number): boolean {
    let last = this.#segments[this.#segments.length - 1];
    if (last === undefined || !last.hasRoom(length)) {
      if (this.#segments.length >= this.#segmentsMax) return false;
      last = this.#free.pop() ?? new DatagramSegment();
      this.#segments.push(last);
    }
    last.add(source, from, length, arrivedUs);
    return true;
  }

  /** Whether a whole segment waits. */
  get isFull(): boolean {
    return this.#segments.length > 1;
  }

  /** The oldest segment that waits, or undefined. Call `release` with it when it is decoded. */
  take(): DatagramSegment | undefined {
    return this.#segments.shift();
  }

  release(segment: DatagramSegment): void {
    segment.length = 0;
    if (this.#free.length < FREE_SEGMENTS_MAX) this.#free.push(segment);
  }
}
