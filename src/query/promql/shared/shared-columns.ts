/** Columns of rows in memory that threads share. One thread appends rows, and others read those that it sent. */
import type { SampleTail } from "./sample-chunks.ts";

const ROWS_AT_FIRST = 1_024;
const BYTES_PER_ROW = 4 + 8 + 8 + 1;

/** Memory that threads share. */
export function shareOf(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes);
}

export class SharedRows {
  #seriesIds: Uint32Array = new Uint32Array(0);
  #timestampsMs: Float64Array = new Float64Array(0);
  #values: Float64Array = new Float64Array(0);
  #stale: Uint8Array = new Uint8Array(0);
  #length = 0;

  get bytes(): number {
    return this.#values.length * BYTES_PER_ROW;
  }

  get length(): number {
    return this.#length;
  }

  add(seriesId: number, timestampMs: number, value: number, isStale: boolean): void {
    if (this.#length === this.#values.length) this.#resize(Math.max(ROWS_AT_FIRST, this.#length * 2), 0);
    this.#seriesIds[this.#length] = seriesId;
    this.#timestampsMs[this.#length] = timestampMs;
    this.#values[this.#length] = value;
    this.#stale[this.#length] = isStale ? 1 : 0;
    this.#length++;
  }

  /** The rows until now. Rows that are added later do not change them. */
  read(): SampleTail {
    return {
      length: this.#length,
      seriesIds: this.#seriesIds,
      timestampsMs: this.#timestampsMs,
      values: this.#values,
      stale: this.#stale,
    };
  }

  /** Adds the rows of a tail from the one at `from` on. */
  addAll({ length, seriesIds, timestampsMs, values, stale }: SampleTail, from: number): void {
    for (let row = from; row < length; row++)
      this.add(seriesIds[row], timestampsMs[row], values[row], stale[row] === 1);
  }

  /** Drops all rows and keeps the memory. Nobody may have read them. */
  clear(): void {
    this.#length = 0;
  }

  /** Drops the first rows. Readers that have them keep them. */
  drop(count: number): void {
    this.#resize(Math.max(ROWS_AT_FIRST, this.#length - count), count);
  }

  /** Moves the rows from the one at `from` on to new memory. */
  #resize(capacity: number, from: number): void {
    const [ids, times] = [this.#seriesIds, this.#timestampsMs];
    const [values, stale] = [this.#values, this.#stale];
    const to = this.#length;
    this.#seriesIds = new Uint32Array(shareOf(capacity * 4));
    this.#timestampsMs = new Float64Array(shareOf(capacity * 8));
    this.#values = new Float64Array(shareOf(capacity * 8));
    this.#stale = new Uint8Array(shareOf(capacity));
    this.#seriesIds.set(ids.subarray(from, to));
    this.#timestampsMs.set(times.subarray(from, to));
    this.#values.set(values.subarray(from, to));
    this.#stale.set(stale.subarray(from, to));
    this.#length = to - from;
  }
}
