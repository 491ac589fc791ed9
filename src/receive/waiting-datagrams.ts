/**
 * Datagrams that wait until they are decoded, in the order of their arrival. Their bytes are copied to segments of
 * fixed size, so that a waiting datagram is no object. The number of segments is bounded.
 */

/** The largest payload of a UDP datagram over IPv4. Larger ones can come from Unix sockets only. */
export const DATAGRAM_BYTES_MAX = 65_507;

/** A segment of small datagrams is decoded within some 20 ms. */
export const SEGMENT_BYTES = 1_048_576;
const SEGMENT_DATAGRAMS = 65_536;
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

  add(datagram: Uint8Array, arrivedUs: number): void {
    const from = this.#used;
    this.bytes.set(datagram, from);
    this.end[this.length] = from + datagram.length;
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

  /** Adds a copy of a datagram of at most `DATAGRAM_BYTES_MAX` bytes. Returns false if there is no room. */
  add(datagram: Uint8Array, arrivedUs: number): boolean {
    let last = this.#segments.at(-1);
    if (last === undefined || !last.hasRoom(datagram.length)) {
      if (this.#segments.length >= this.#segmentsMax) return false;
      last = this.#free.pop() ?? new DatagramSegment();
      this.#segments.push(last);
    }
    last.add(datagram, arrivedUs);
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
