/** Puts the rows of a tail in the order of their series. */
import type { SlotPages } from "./chunk-pieces.ts";
import type { SampleTail } from "./sample-chunks.ts";

/** Memory that is used again: new memory takes longer to touch than a tail takes to sort. */
export class TailRoom {
  #slotOf = new Int32Array(0);
  #timestampsMs = new Float64Array(0);

  slotOf(rows: number): Int32Array {
    if (this.#slotOf.length < rows) this.#slotOf = new Int32Array(rows);
    return this.#slotOf;
  }

  timestampsMs(rows: number): Float64Array {
    if (this.#timestampsMs.length < rows) this.#timestampsMs = new Float64Array(rows);
    return this.#timestampsMs;
  }
}

/** Rows of a tail by slot, in the order of their commits. Those of a slot are from `begins[slot]` up to `begins[slot + 1]`. */
export class TailBySlot {
  readonly begins: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array;

  /**
   * @param count the number of slots
   * @param room whose memory the times are in, until it is used again
   * @param shareOf makes the memory of the values
   */
  constructor(
    tail: SampleTail,
    slots: SlotPages,
    count: number,
    room = new TailRoom(),
    shareOf: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
  ) {
    const lengths = new Uint32Array(count + 1);
    const slotOf = room.slotOf(tail.length);
    for (let row = 0; row < tail.length; row++) {
      const slot = slots.get(tail.seriesIds[row]);
      slotOf[row] = slot;
      if (slot >= 0) lengths[slot + 1]++;
    }
    for (let slot = 0; slot < count; slot++) lengths[slot + 1] += lengths[slot];
    this.begins = lengths;
    const next = lengths.slice();
    const total = lengths[count];
    this.timestampsMs = room.timestampsMs(total);
    this.values = new Float64Array(shareOf(total * 8));
    this.stale = new Uint8Array(total);
    for (let row = 0; row < tail.length; row++) {
      const slot = slotOf[row];
      if (slot < 0) continue;
      const at = next[slot]++;
      this.timestampsMs[at] = tail.timestampsMs[row];
      this.values[at] = tail.values[row];
      this.stale[at] = tail.stale[row];
    }
  }
}
