/**
 * Shifts the lists of blocks that are stored one after the other, so that the engine's compression finds no jumps between them.
 * It stores 2,048 items together, in the bits of the widest of them: as distances from the least one, or, if that is smaller, as
 * the differences between neighbours. A list whose own differences are small begins where the list before ends. Other lists
 * begin at a common floor. What a block returns stays the same.
 */
import type { Block } from "./encode.ts";

const INT32_MIN = -2_147_483_648;
const INT32_MAX = 2_147_483_647;

/** The same blocks, with shifted lists. The lists are changed in place. */
export function joined(blocks: readonly Block[]): Block[] {
  const values = new ValueShifts();
  const times = new TimeShifts();
  return blocks.map((block) => {
    if (block.times !== undefined) times.shift(block.times);
    if (block.wholes === undefined) return block;
    return { ...block, base: block.base - values.shift(block.wholes, block.stale) };
  });
}

class TimeShifts {
  #next = 0;

  shift(times: Float64Array): void {
    const shift = this.#next - times[0]!;
    for (let at = 0; at < times.length; at++) times[at]! += shift;
    const last = times.at(-1)!;
    // As far as the last two are apart, which is about the step of a neighbouring series.
    this.#next = last + (last - times.at(-2)!);
  }
}

class ValueShifts {
  #last = 0;
  /** The least item of the lists before, if they are stored as distances from it. */
  #floor: number | undefined;

  /** Returns what was added to each item. */
  shift(items: Int32Array, stale: Uint8Array | undefined): number {
    const { least, greatest, hasSmallSteps } = extentOf(items, stale);
    if (hasSmallSteps) this.#floor = undefined;
    else this.#floor ??= this.#last - (items[0]! - least);
    const wanted = this.#floor === undefined ? this.#last - items[0]! : this.#floor - least;
    const fits = least + wanted >= INT32_MIN && greatest + wanted <= INT32_MAX;
    const shift = fits ? wanted : 0;
    if (!fits) this.#floor = undefined;
    if (shift !== 0) for (let at = 0; at < items.length; at++) items[at]! += shift;
    this.#last = items.at(-1)!;
    return shift;
  }
}

/** The range of the items, and whether the differences between neighbours are in a smaller one. */
function extentOf(
  items: Int32Array,
  stale: Uint8Array | undefined,
): { least: number; greatest: number; hasSmallSteps: boolean } {
  let least = items[0]!;
  let greatest = least;
  let leastStep = Number.POSITIVE_INFINITY;
  let greatestStep = Number.NEGATIVE_INFINITY;
  for (let at = 1; at < items.length; at++) {
    const item = items[at]!;
    const step = item - items[at - 1]!;
    if (item < least) least = item;
    if (item > greatest) greatest = item;
    if (step < leastStep) leastStep = step;
    if (step > greatestStep) greatestStep = step;
  }
  // The engine stores no differences if an item is NULL.
  const hasSmallSteps = stale === undefined && bits(greatestStep - leastStep) < bits(greatest - least);
  return { least, greatest, hasSmallSteps };
}

/** The bits of whole numbers from 0 to a greatest one. */
function bits(greatest: number): number {
  return Math.ceil(Math.log2(greatest + 1));
}
