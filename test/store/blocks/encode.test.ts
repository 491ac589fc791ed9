/** Blocks return what went in, bit for bit, also after their lists were joined, and regular samples need no lists. */
import { expect, test } from "bun:test";
import { type DecodedBlocks, decodeBlocks, type EncodedBlocks } from "../../../src/store/blocks/decode.ts";
import { type Block, blocksOf } from "../../../src/store/blocks/encode.ts";
import { joined } from "../../../src/store/blocks/join.ts";

const START_US = 1_795_737_600_000_000; // 2026-11-27T00:00:00Z

/** Blocks as a statement returns them. */
function encodedOf(blocks: readonly Block[]): EncodedBlocks {
  const lists = <Items extends Int32Array | Float64Array>(
    make: (length: number) => Items,
    of: (block: Block) => Items | undefined,
  ) => {
    const lengths = Uint32Array.from(blocks, (block) => of(block)?.length ?? 0);
    const begins = new Uint32Array(blocks.length);
    for (let row = 1; row < blocks.length; row++) begins[row] = begins[row - 1]! + lengths[row - 1]!;
    const items = make(lengths.reduce((sum, length) => sum + length, 0));
    const nulls = new Uint8Array(items.length);
    for (const [row, block] of blocks.entries()) {
      const own = of(block);
      if (own === undefined) continue;
      items.set(own, begins[row]!);
      nulls.set(block.stale ?? [], begins[row]!);
    }
    return { begins, lengths, items, nulls };
  };
  const integers = (length: number): Int32Array => new Int32Array(length);
  const doubles = (length: number): Float64Array => new Float64Array(length);
  return {
    seriesIds: Uint32Array.from(blocks, ({ seriesId }) => seriesId),
    samples: Uint32Array.from(blocks, ({ samples }) => samples),
    firstUs: Float64Array.from(blocks, ({ firstUs, unitUs, times }) => firstUs - unitUs * (times?.[0] ?? 0)),
    unitUs: Float64Array.from(blocks, ({ unitUs }) => unitUs),
    step: Float64Array.from(blocks, ({ step }) => step),
    base: Float64Array.from(blocks, ({ base }) => base),
    scale: Float64Array.from(blocks, ({ scale }) => scale),
    times: { ...lists(doubles, ({ times }) => times), nulls: undefined },
    wholes: lists(integers, ({ wholes }) => wholes),
    raws: lists(doubles, ({ raws }) => raws),
    rowTimes: {
      begins: new Uint32Array(blocks.length),
      lengths: new Uint32Array(blocks.length),
      items: doubles(0),
    },
  };
}

const EVERYTHING = { afterUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY };

function roundTrip(timesUs: readonly number[], values: readonly (number | null)[]): DecodedBlocks {
  const blocks = blocksOf({
    seriesId: 7,
    live: true,
    timestampsUs: Float64Array.from(timesUs),
    values: Float64Array.from(values, (value) => value ?? 0),
    stale: Uint8Array.from(values, (value) => (value === null ? 1 : 0)),
  });
  // Behind blocks of other series, whose lists are continued.
  const others = [0, 1].flatMap((at) =>
    blocksOf({
      seriesId: at,
      live: true,
      timestampsUs: Float64Array.from([0, 1.5e6, 4e6], (us) => START_US + us),
      values: Float64Array.from([1e9 * at, 1e9 * at + 5, 1e9 * at + 11]),
    }),
  );
  const all = joined([...others, ...blocks]);
  expect(all[1]!.wholes![0]).toBe(all[0]!.wholes![2]!);
  return decodeBlocks(encodedOf(all.slice(2)), EVERYTHING);
}

const bitsOf = (values: Float64Array) => new BigUint64Array(values.slice().buffer);

function expectSame(timesUs: readonly number[], values: readonly (number | null)[]): void {
  const decoded = roundTrip(timesUs, values);
  expect([...decoded.timestampsMs]).toEqual(timesUs.map((us) => us / 1000));
  expect(Array.from(values, (_, at) => decoded.stale?.[at] === 1)).toEqual(
    values.map((value) => value === null),
  );
  const known = (all: Float64Array) => bitsOf(all).filter((_, at) => values[at] !== null);
  expect(known(decoded.values)).toEqual(known(Float64Array.from(values, (value) => value ?? 0)));
}

const grid = (count: number, stepUs = 15_000_000) =>
  Array.from({ length: count }, (_, at) => START_US + at * stepUs);

test("a constant of a regular scrape has no lists", () => {
  const [block, ...others] = blocksOf({
    seriesId: 1,
    live: false,
    timestampsUs: Float64Array.from(grid(480)),
    values: new Float64Array(480).fill(12.5),
  });
  expect(others).toEqual([]);
  expect(block).toEqual({
    seriesId: 1,
    live: false,
    samples: 480,
    firstUs: START_US,
    lastUs: START_US + 479 * 15_000_000,
    unitUs: 1_000_000,
    step: 15,
    base: 125,
    scale: 10,
    times: undefined,
    wholes: undefined,
    raws: undefined,
    stale: undefined,
    staleCount: 0,
    lastValueUs: START_US + 479 * 15_000_000,
  });
});

test("lists with small differences continue each other, and others have a common floor", () => {
  const blockOf = (values: readonly number[]) =>
    blocksOf({
      seriesId: 1,
      live: true,
      timestampsUs: Float64Array.from(grid(values.length)),
      values: Float64Array.from(values),
    })[0]!;
  const lists = joined([
    blockOf([1_000, 1_010, 1_021, 1_030]),
    blockOf([5, 15, 25, 36]),
    // As wide as its differences: distances from the least value take fewer bits.
    blockOf([700, 690, 702, 691]),
    blockOf([0.2, 0.1, 0.3, 0.2]),
    // A reset of a counter is a jump in its own list only.
    blockOf([50, 60, 2, 12]),
  ]);
  expect(lists.map(({ wholes, base, scale }) => [[...wholes!], base, scale])).toEqual([
    [[0, 10, 21, 30], 1_000, 1],
    [[30, 40, 50, 61], -25, 1],
    [[61, 51, 63, 52], 639, 1],
    [[52, 51, 53, 52], -50, 10],
    [[99, 109, 51, 61], -49, 1],
  ]);
});

test("lists begin again before their items are too large", () => {
  const rising = (seriesId: number) =>
    blocksOf({
      seriesId,
      live: true,
      timestampsUs: Float64Array.from(grid(4)),
      values: Float64Array.from([0, 5e8, 1e9, 1.5e9 + 1]),
    })[0]!;
  const lists = joined([rising(1), rising(2), rising(3)]);
  expect(lists.map(({ wholes, base }) => [wholes![0], wholes![3], base])).toEqual([
    [0, 1_500_000_001, 0],
    [0, 1_500_000_001, 0],
    [0, 1_500_000_001, 0],
  ]);
});

test("sizes of memory are multiples of a page", () => {
  const values = [8, 3, 77, 1_000_003].map((pages) => pages * 4_096);
  const [block] = blocksOf({
    seriesId: 1,
    live: true,
    timestampsUs: Float64Array.from(grid(4)),
    values: Float64Array.from(values),
  });
  expect([block!.base, block!.scale, [...block!.wholes!]]).toEqual([8, 1 / 4_096, [0, -5, 69, 999_995]]);
  expectSame(grid(4), values);
});

test("a stale marker at the end is a block of its own, so that no other list has a NULL", () => {
  const blocks = blocksOf({
    seriesId: 1,
    live: true,
    timestampsUs: Float64Array.from(grid(4)),
    values: Float64Array.from([1, 2, 3, 0]),
    stale: Uint8Array.from([0, 0, 0, 1]),
  });
  expect(
    blocks.map(({ samples, staleCount, wholes, raws, lastValueUs }) => [
      samples,
      staleCount,
      wholes && [...wholes],
      raws?.length,
      lastValueUs,
    ]),
  ).toEqual([
    [3, 0, [0, 1, 2], undefined, grid(4)[2]],
    [1, 1, undefined, 1, 0],
  ]);
});

const NAN_WITH_BITS = (() => {
  const bits = new BigUint64Array([0x7ff8_0000_0000_1234n]);
  return new Float64Array(bits.buffer)[0]!;
})();

test.each([
  ["one sample", [5]],
  ["decimals", [0.1, 0.2, 0.3, 19.99, -0.07, 1e-6]],
  ["more decimals than the scale has", [0.1234567, 0.2]],
  ["thirds", [1 / 3, 2 / 3, 1e300]],
  ["a negative zero", [1, -0, 2]],
  ["NaN and infinities", [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ["a NaN with other bits", [1, NAN_WITH_BITS]],
  ["whole numbers beyond 2^53", [2 ** 53 + 2, 1, 2 ** 60]],
  ["whole numbers near the limit", [2 ** 51, -(2 ** 51), 2 ** 51 - 1]],
  ["values that are far from the first one", [0, 5e9, 0]],
  ["multiples of a power of two", [2 ** 40, 2 ** 41, 3 * 2 ** 39, 0]],
  ["a reset of a counter", [1e6, 1_000_100, 0, 50, 120]],
  ["stale markers at both ends", [null, 3, 4, null, 5, null]],
  ["stale markers only", [null, null]],
  ["stale markers among raw values", [null, 1 / 3, null, 2 / 3]],
  ["the least numbers", [Number.MIN_VALUE, -Number.MIN_VALUE, 0]],
])("values return bit for bit: %s", (_, values) => {
  expectSame(grid(values.length), values);
});

test.each([
  ["milliseconds of jitter", grid(100).map((us, at) => us + ((at * 7919) % 7) * 1000)],
  ["microseconds", grid(50).map((us, at) => us + ((at * 104_729) % 997))],
  ["a gap", [...grid(10), ...grid(10).map((us) => us + 3_600_000_000)]],
  ["equal times", [START_US, START_US, START_US + 1]],
  // More than 2^31 µs.
  ["hours, to the microsecond", [0, 1, 2, 7_199_999_999].map((us) => START_US + us)],
])("times return exactly: %s", (_, times) => {
  expectSame(
    times,
    times.map((_, at) => at),
  );
});

test("random samples return bit for bit", () => {
  let seed = 20_261_127;
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const kinds = [
    () => Math.floor(random() * 1e6),
    () => Math.round(random() * 1e4) / 100,
    () => random() * 10 ** Math.floor(random() * 40 - 20),
    () => (random() < 0.1 ? null : Math.round(random() * 1e3) / 10 ** Math.floor(random() * 8)),
    () => (random() < 0.02 ? Number.NaN : Math.floor(random() * 2 ** 53) * (random() < 0.5 ? -1 : 1)),
  ];
  for (let round = 0; round < 300; round++) {
    const make = kinds[round % kinds.length]!;
    const count = 1 + Math.floor(random() * 1_500);
    const unit = [1, 1_000, 1_000_000][Math.floor(random() * 3)]!;
    let us = START_US;
    const times = Array.from({ length: count }, () => (us += unit * (1 + Math.floor(random() * 20))));
    expectSame(times, Array.from({ length: count }, make));
  }
});

test("a range selects the samples after its begin, up to its end", () => {
  const timesUs = grid(10);
  const blocks = blocksOf({
    seriesId: 3,
    live: true,
    timestampsUs: Float64Array.from(timesUs),
    values: Float64Array.from(timesUs, (_, at) => at),
  });
  const decode = (afterUs: number, toUs: number) => [
    ...decodeBlocks(encodedOf(blocks), { afterUs, toUs }).values,
  ];
  expect(decode(timesUs[2]!, timesUs[5]!)).toEqual([3, 4, 5]);
  expect(decode(timesUs[2]! - 1, timesUs[5]! - 1)).toEqual([2, 3, 4]);
  expect(decode(timesUs[9]!, timesUs[9]! + 5)).toEqual([]);
  expect(decode(0, timesUs[0]! - 1)).toEqual([]);
});
