/**
 * Makes blocks of samples: up to 1,024 samples of one series in one row, with lists that the engine compresses well.
 *
 * The engine stores the items of neighbouring lists together, 2,048 at a time: as distances from the least of them, or as
 * differences between neighbours. A jump between two lists would make all differences of such a group wide. So the items of a
 * block are shifted, and its base with them, to begin where the block before ends (join.ts). Each item is decoded alone, with one
 * addition, in SQL too. README.md has the figures.
 *
 * A block returns exactly what went in: a value that its formula does not return, bit for bit, makes the block raw.
 */

/** One block, as a row of weir.blocks. */
export interface Block {
  readonly seriesId: number;
  readonly live: boolean;
  readonly samples: number;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly unitUs: number;
  /** Units between two samples; 0 if there are `times`. */
  readonly step: number;
  /** A value is (base + its item in `wholes`) / scale, or base / scale without lists. */
  readonly base: number;
  readonly scale: number;
  /** Units. Only differences matter: those to the first item are those to `firstUs`. Undefined if all are the step. */
  readonly times: Float64Array | undefined;
  /** Undefined if all values are equal, or if there are `raws`. */
  readonly wholes: Int32Array | undefined;
  readonly raws: Float64Array | undefined;
  /** 1 for each stale marker, in `wholes` or `raws`. Undefined if there is none. */
  readonly stale: Uint8Array | undefined;
  readonly staleCount: number;
  /** The time of the last sample that is no stale marker. 0 if all are. */
  readonly lastValueUs: number;
}

/** Samples of one series, in ascending order of their times. */
export interface BlockSamples {
  readonly seriesId: number;
  readonly live: boolean;
  readonly timestampsUs: Float64Array;
  readonly values: Float64Array;
  /** 1 for each stale marker; absent if none is. */
  readonly stale?: Uint8Array | undefined;
}

/** Longer lists would compress no better, and a query of a short range would decode more. */
export const SAMPLES_OF_BLOCK = 1_024;

const UNITS_US = [1_000_000, 1_000, 1] as const;
/** Values with more digits are stored as doubles, which the engine compresses as decimals too. */
const SCALE_MAX = 1_000_000;
/** Whole numbers up to this are exact in all steps of the formula. */
const WHOLE_MAX = 2 ** 51;
const INT32_MAX = 2_147_483_647;
/** The powers of two that values may be multiples of. A smaller one saves less than a byte, and a division takes time. */
const MULTIPLE_MIN = 2 ** 8;
const MULTIPLE_MAX = 2 ** 30;

/** The blocks of some samples: mostly one. */
export function blocksOf(samples: BlockSamples): Block[] {
  const blocks: Block[] = [];
  const { length } = samples.values;
  for (let from = 0; from < length; from += SAMPLES_OF_BLOCK)
    addBlocks(blocks, samples, from, Math.min(length, from + SAMPLES_OF_BLOCK));
  return blocks;
}

function addBlocks(blocks: Block[], samples: BlockSamples, from: number, to: number): void {
  const { seriesId, live, timestampsUs } = samples;
  const marks = samples.stale?.subarray(from, to);
  const stale = marks?.includes(1) ? marks : undefined;
  const last = stale?.lastIndexOf(0) ?? to - from - 1;
  if (stale !== undefined && last >= 0 && last < stale.length - 1) {
    // A series mostly ends with a stale marker. The engine stores no differences beside an item that is NULL.
    addBlocks(blocks, samples, from, from + last + 1);
    addBlocks(blocks, samples, from + last + 1, to);
    return;
  }
  blocks.push({
    seriesId,
    live,
    samples: to - from,
    firstUs: timestampsUs[from]!,
    lastUs: timestampsUs[to - 1]!,
    ...timesOf(timestampsUs, from, to),
    ...valuesOf(samples.values.subarray(from, to), stale),
    stale,
    staleCount: stale?.reduce((sum, mark) => sum + mark, 0) ?? 0,
    lastValueUs: last < 0 ? 0 : timestampsUs[from + last]!,
  });
}

function timesOf(timesUs: Float64Array, from: number, to: number): Pick<Block, "unitUs" | "step" | "times"> {
  const firstUs = timesUs[from]!;
  const unitUs = UNITS_US.find((unit) => isMultiple(timesUs, from, to, unit))!;
  if (to - from === 1) return { unitUs, step: 0, times: undefined };
  const step = (timesUs[from + 1]! - firstUs) / unitUs;
  let isRegular = step > 0;
  const times = new Float64Array(to - from);
  for (let at = 0; at < times.length; at++) {
    times[at] = (timesUs[from + at]! - firstUs) / unitUs;
    isRegular &&= times[at] === at * step;
  }
  return isRegular ? { unitUs, step, times: undefined } : { unitUs, step: 0, times };
}

function isMultiple(timesUs: Float64Array, from: number, to: number, unitUs: number): boolean {
  const firstUs = timesUs[from]!;
  for (let at = from; at < to; at++) {
    // A remainder of doubles takes ten times as long.
    const units = (timesUs[at]! - firstUs) / unitUs;
    if (units !== Math.floor(units)) return false;
  }
  return true;
}

type BlockValues = Pick<Block, "base" | "scale" | "wholes" | "raws">;

function valuesOf(values: Float64Array, stale: Uint8Array | undefined): BlockValues {
  // In a list of its own, a NULL is not beside whole numbers.
  if (stale !== undefined && !stale.includes(0)) return rawsOf(values);
  const scale = scaleOf(values, stale);
  return (scale === undefined ? undefined : wholesOf(values, stale, scale)) ?? rawsOf(values);
}

function rawsOf(values: Float64Array): BlockValues {
  return { base: 0, scale: 1, wholes: undefined, raws: values };
}

/** The least power of ten that makes all values whole numbers. Undefined if there is none. */
function scaleOf(values: Float64Array, stale: Uint8Array | undefined): number | undefined {
  let scale = 1;
  for (let at = 0; at < values.length; at++) {
    if (stale?.[at] === 1) continue;
    const value = values[at]!;
    while (!isScaled(value, scale)) {
      scale *= 10;
      if (scale > SCALE_MAX) return undefined;
    }
  }
  return scale;
}

/** Whether a value returns, bit for bit, from its whole number. */
function isScaled(value: number, scale: number): boolean {
  const whole = Math.round(value * scale);
  return Math.abs(whole) <= WHOLE_MAX && Object.is(whole / scale, value);
}

/** Undefined if a value does not return from the scale of all, or is too far from the first one. */
function wholesOf(
  values: Float64Array,
  stale: Uint8Array | undefined,
  decimals: number,
): BlockValues | undefined {
  const { length } = values;
  const first = stale?.indexOf(0) ?? 0;
  const scale = decimals === 1 ? binaryScaleOf(values, stale) : decimals;
  const base = Math.round(values[first]! * scale);
  const wholes = new Int32Array(length);
  let isEqual = stale === undefined;
  for (let at = 0; at < length; at++) {
    if (stale?.[at] === 1) continue;
    const value = values[at]!;
    const distance = Math.round(value * scale) - base;
    if (Math.abs(distance) > INT32_MAX || !Object.is((base + distance) / scale, value)) return undefined;
    wholes[at] = distance;
    isEqual &&= distance === 0;
  }
  return { base, scale, wholes: isEqual ? undefined : wholes, raws: undefined };
}

/** 2^-n if all of these whole numbers are multiples of 2^n, such as sizes of memory in bytes. Otherwise 1. */
function binaryScaleOf(values: Float64Array, stale: Uint8Array | undefined): number {
  let multiple = MULTIPLE_MAX;
  for (let at = 0; at < values.length && multiple > 1; at++) {
    if (stale?.[at] === 1) continue;
    // A remainder of doubles takes ten times as long.
    while (multiple > 1 && !Number.isInteger(values[at]! / multiple)) multiple /= 2;
  }
  return multiple < MULTIPLE_MIN ? 1 : 1 / multiple;
}
