/** The head has all samples after a time of each series that it says it has, whatever became of its tail and its chunks. */
import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import type { Rows, Series } from "../../../../src/model/sample.ts";
import { Slices } from "../../../../src/query/promql/catalog/slices.ts";
import { LabelSet } from "../../../../src/query/promql/labels.ts";
import { HeadSamples } from "../../../../src/query/promql/shared/head-samples.ts";
import { samplesOfChunk } from "../../../../src/query/promql/shared/sample-chunks.ts";
import { seriesOfPart } from "../../../../src/query/promql/shared/shared-series.ts";
import { runs } from "../../../runs.ts";

interface Stored {
  readonly seriesId: number;
  readonly timestampMs: number;
  readonly value: number;
  readonly isStale: boolean;
}

const SERIES = 6;
/** Of events. */
const EVENTS_ID = 3;
const TAIL_ROWS = 16;

function rowsOf(samples: readonly Stored[]): Rows {
  return {
    day: 0,
    length: samples.length,
    seriesId: Uint32Array.from(samples, ({ seriesId }) => seriesId),
    timestampUs: Float64Array.from(samples, ({ timestampMs }) => timestampMs * 1_000),
    value: Float64Array.from(samples, ({ value }) => value),
    stale: Uint8Array.from(samples, ({ isStale }) => (isStale ? 1 : 0)),
    live: new Uint8Array(samples.length),
    attributes: [],
    text: new Uint8Array(0),
  };
}

/** A head beside all samples that were ever stored. */
class Compared {
  nextId = 2;
  nowMs = 100_000;
  readonly stored: Stored[] = [];
  compared = 0;
  readonly head = new HeadSamples({
    registry: this,
    now: () => this.nowMs,
    newestUs: (id) =>
      1_000 * Math.max(...this.#of(id, Number.NEGATIVE_INFINITY).map(({ timestampMs }) => timestampMs)),
    tailRows: TAIL_ROWS,
  });

  seriesById(seriesId: number): Series {
    return { seriesId, metric: { kind: seriesId === EVENTS_ID ? "delta" : "gauge" } } as Series;
  }

  #of(id: number, afterMs: number): Stored[] {
    return this.stored
      .filter(({ seriesId, timestampMs }) => seriesId === id && timestampMs > afterMs)
      .sort((a, b) => a.timestampMs - b.timestampMs);
  }

  store(samples: readonly Stored[]): void {
    const unknown = samples.filter(
      (one, at) =>
        !samples.slice(0, at).some((other) => isSame(one, other)) &&
        !this.stored.some((other) => isSame(one, other)),
    );
    this.stored.push(...unknown);
    this.nextId = Math.max(this.nextId, ...unknown.map(({ seriesId }) => seriesId + 1));
    this.head.add(rowsOf(unknown));
  }

  compare(afterMs: number, toMs: number): void {
    const part = { ...this.head.read(), areSorted: true, neededAfterMs: afterMs };
    for (let id = 1; id <= SERIES; id++) {
      if (!this.head.has(id, afterMs)) continue;
      const want = this.#of(id, afterMs).filter(({ timestampMs }) => timestampMs <= toMs);
      const wanted = [{ labels: LabelSet.EMPTY, seriesIds: [id] }];
      const found = [...seriesOfPart(part, wanted, { afterMs, toMs })].flatMap((series) =>
        Array.from(series.values, (value, at) => ({
          ...{ seriesId: id, timestampMs: series.timestampsMs[at]!, value },
          isStale: series.stale?.[at] === 1,
        })),
      );
      expect(found).toEqual(want);
      this.compared += want.length;
    }
  }
}

const isSame = (one: Stored, other: Stored) =>
  one.seriesId === other.seriesId && one.timestampMs === other.timestampMs;

const sample = fc.record({
  seriesId: fc.integer({ min: 1, max: SERIES }),
  agoMs: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -300, max: 9_000 }) },
  ),
  value: fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 0, max: 99 }) },
    { weight: 2, arbitrary: fc.integer({ min: -2_000, max: 2_000 }).map((cents) => cents / 100) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(-0, 1e9, 1 / 3, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, 70_000.5),
    },
  ),
  isStale: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
});

const command = fc.oneof(
  { weight: 12, arbitrary: fc.array(sample, { minLength: 1, maxLength: 12 }) },
  { weight: 4, arbitrary: fc.constantFrom("settle" as const, "turn" as const) },
  { weight: 1, arbitrary: fc.constantFrom("drop" as const, "forget" as const, "day" as const) },
);

test("what the head has of a series is what was stored after a time", async () => {
  let compared = 0;
  let chunks = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 60, maxLength: 300 }), async (commands) => {
      const each = new Compared();
      // Before the head begins.
      each.stored.push({ seriesId: 1, timestampMs: 99_000, value: 1, isStale: false });
      for (const one of commands) {
        if (one === "settle") await each.head.settled();
        else if (one === "turn") await new Promise((resolve) => setImmediate(resolve));
        else if (one === "drop") each.head.dropOldest();
        else if (one === "forget") each.head.forget();
        else if (one === "day") each.head.dropUpTo(each.nowMs - 2_000);
        else each.store(one.map(({ agoMs, ...rest }) => ({ ...rest, timestampMs: each.nowMs - agoMs })));
        each.nowMs += 100;
        for (const agoMs of [200, 1_500, 6_000]) each.compare(each.nowMs - agoMs, each.nowMs - 150);
        each.compare(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
        chunks = Math.max(chunks, each.head.read().chunks.length);
      }
      await each.head.settled();
      compared += each.compared;
    }),
    runs(40),
  );
  // Otherwise tails were compared.
  expect(chunks).toBeGreaterThan(6);
  expect(compared).toBeGreaterThan(10_000);
});

test("eight chunks become one, and the oldest is dropped first", async () => {
  const each = new Compared();
  const scrape = async () => {
    each.store(
      [4, 5].map((seriesId) => ({ seriesId, timestampMs: each.nowMs, value: each.nowMs, isStale: false })),
    );
    each.nowMs += 100;
    await each.head.settled();
  };
  for (let count = 0; count < 8 * 7; count++) await scrape();
  expect(each.head.read().chunks.map(samplesOfChunk)).toEqual(Array(7).fill(TAIL_ROWS));
  for (let count = 0; count < 8; count++) await scrape();
  expect(each.head.read().chunks.map(samplesOfChunk)).toEqual([8 * TAIL_ROWS]);
  for (let count = 0; count < 8; count++) await scrape();
  expect(each.head.has(4, Number.NEGATIVE_INFINITY)).toBe(true);
  expect(each.head.dropOldest()).toBe(true);
  // 64 scrapes from 100,000 ms on.
  expect(each.head.has(4, 106_299)).toBe(false);
  expect(each.head.has(4, 106_300)).toBe(true);
  each.compare(106_300, Number.POSITIVE_INFINITY);
  expect(each.compared).toBe(16);
});

test("samples that are deleted when their chunk has just been made do not come back", async () => {
  // How many other continuations run after the pause before the deletion: one of these is behind the last step, and before
  // the chunk takes the place of the tail.
  for (let turns = 0; turns < 8; turns++) {
    const compared = new Compared();
    const { head } = compared;
    const at = (second: number): Stored => {
      const timestampMs = compared.nowMs + 1_000 * second;
      return { seriesId: 2, timestampMs, value: second, isStale: false };
    };
    const deletions: Promise<void>[] = [];
    const pause = spyOn(Slices.prototype, "pause").mockImplementation(async () => {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      deletions.push(inTurns(turns, () => head.forget()));
    });
    try {
      compared.store(Array.from({ length: TAIL_ROWS }, (_, second) => at(second)));
      await head.settled();
      await Promise.all(deletions);
    } finally {
      pause.mockRestore();
    }
    // The last ten were deleted.
    compared.stored.length = TAIL_ROWS - 10;
    compared.store([at(TAIL_ROWS - 8)]);
    compared.store([at(TAIL_ROWS + 1)]);
    compared.compare(at(TAIL_ROWS - 8).timestampMs, at(99).timestampMs);
    expect({ turns, compared: compared.compared }).toEqual({ turns, compared: 1 });
  }
});

async function inTurns(turns: number, act: () => void): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await undefined;
  act();
}
