/**
 * Makes blocks of samples: up to 1,024 samples of one series in one row, with lists that the engine compresses well.
 *
 * Times and whole values are stored as their distances from a straight line through the first and the last of them. The
 * distances are 0 at both ends, so the lists of neighbouring blocks have no jump between them, and the engine's own
 * compression of differences reaches the size of first differences. But each item is decoded on its own, without a sum over
 * those before it, in SQL too. README.md has the figures.
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
  readonly step: number;
  readonly base: number;
  readonly slope: number;
  readonly scale: number;
  /** Undefined if all times are on their line. */
  readonly times: Int32Array | undefined;
  /** Undefined if all values are on their line, or if there are `raws`. */
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

/** The blocks of some samples: mostly one. */
export function blocksOf(samples: BlockSamples): Block[] {
  const blocks: Block[] = [];
  const { length } = samples.values;
  for (let from = 0; from < length; from += SAMPLES_OF_BLOCK)
    addBlocks(blocks, samples, from, Math.min(length, from + SAMPLES_OF_BLOCK));
  return blocks;
}

function addBlocks(blocks: Block[], samples: BlockSamples, from: number, to: number): void {
  const timeLine = timesOf(samples.timestampsUs, from, to);
  if (timeLine === undefined) {
    // Times that are hours from the line, to the microsecond. One or two samples are on their line.
    const middle = (from + to) >>> 1;
    addBlocks(blocks, samples, from, middle);
    addBlocks(blocks, samples, middle, to);
    return;
  }
  const { seriesId, live, timestampsUs } = samples;
  const marks = samples.stale?.subarray(from, to);
  const stale = marks?.includes(1) ? marks : undefined;
  const last = stale?.lastIndexOf(0) ?? to - from - 1;
  blocks.push({
    seriesId,
    live,
    samples: to - from,
    firstUs: timestampsUs[from]!,
    lastUs: timestampsUs[to - 1]!,
    ...timeLine,
    ...valuesOf(samples.values.subarray(from, to), stale),
    stale,
    staleCount: stale?.reduce((sum, mark) => sum + mark, 0) ?? 0,
    lastValueUs: last < 0 ? 0 : timestampsUs[from + last]!,
  });
}

/** Undefined if a time is too far from the line. */
function timesOf(
  timesUs: Float64Array,
  from: number,
  to: number,
): Pick<Block, "unitUs" | "step" | "times"> | undefined {
  const firstUs = timesUs[from]!;
  const unitUs = UNITS_US.find((unit) => isMultiple(timesUs, from, to, unit))!;
  const step = to - from < 2 ? 0 : (timesUs[to - 1]! - firstUs) / unitUs / (to - from - 1);
  const times = new Int32Array(to - from);
  let isOff = false;
  for (let at = 0; at < times.length; at++) {
    const distance = (timesUs[from + at]! - firstUs) / unitUs - Math.floor(at * step);
    if (Math.abs(distance) > INT32_MAX) return undefined;
    times[at] = distance;
    isOff ||= distance !== 0;
  }
  return { unitUs, step, times: isOff ? times : undefined };
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

type BlockValues = Pick<Block, "base" | "slope" | "scale" | "wholes" | "raws">;

function valuesOf(values: Float64Array, stale: Uint8Array | undefined): BlockValues {
  const scale = scaleOf(values, stale);
  return (scale === undefined ? undefined : wholesOf(values, stale, scale)) ?? rawsOf(values);
}

function rawsOf(values: Float64Array): BlockValues {
  return { base: 0, slope: 0, scale: 1, wholes: undefined, raws: values };
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

/** Undefined if a value does not return from the scale of all, or is too far from the line. */
function wholesOf(
  values: Float64Array,
  stale: Uint8Array | undefined,
  scale: number,
): BlockValues | undefined {
  const { length } = values;
  let first = 0;
  while (first < length && stale?.[first] === 1) first++;
  let last = length - 1;
  while (last > first && stale?.[last] === 1) last--;
  const base = first === length ? 0 : Math.round(values[first]! * scale);
  const slope = last <= first ? 0 : (Math.round(values[last]! * scale) - base) / (length - 1);
  const wholes = new Int32Array(length);
  let isOff = false;
  for (let at = 0; at < length; at++) {
    if (stale?.[at] === 1) {
      isOff = true;
      continue;
    }
    const value = values[at]!;
    const onLine = base + Math.floor(at * slope);
    const distance = Math.round(value * scale) - onLine;
    if (Math.abs(distance) > INT32_MAX || !Object.is((onLine + distance) / scale, value)) return undefined;
    wholes[at] = distance;
    isOff ||= distance !== 0;
  }
  return { base, slope, scale, wholes: isOff ? wholes : undefined, raws: undefined };
}
