/** Samples in shared memory whose tail has become long are made again: no series may lose samples by that. */
import { expect, test } from "bun:test";
import { chunkOf } from "../../../../src/query/promql/shared/sample-chunks.ts";
import { SharedRows } from "../../../../src/query/promql/shared/shared-columns.ts";
import { LabelSet } from "../../../../src/query/promql/labels.ts";
import { rewritten, seriesOfPart } from "../../../../src/query/promql/shared/shared-series.ts";

test("a series without samples any more does not hide those of the series behind it", () => {
  // Series 1 ended before what is needed, and series 2 goes on.
  const chunk = chunkOf(
    { seriesIds: Uint32Array.of(1, 2), begins: Uint32Array.of(0, 2), ends: Uint32Array.of(2, 4) },
    {
      timestampsMs: Float64Array.of(1_000, 2_000, 8_000, 9_000),
      values: Float64Array.of(1, 2, 3, 4),
      stale: undefined,
    },
  );
  const tail = new SharedRows();
  tail.add(2, 10_000, 5, false);
  const ticket = { group: 1, made: 1 };
  const made = rewritten({ ticket, chunks: [chunk], tail: tail.read(), neededAfterMs: 5_000 });
  const part = { ticket, chunks: made.chunks, tail: new SharedRows().read(), neededAfterMs: 5_000 };
  const wanted = [1, 2].map((seriesId) => ({ labels: LabelSet.EMPTY, seriesIds: [seriesId] }));
  const found = [...seriesOfPart(part, wanted, { afterMs: 5_000, toMs: 20_000 })];
  expect(found.map(({ timestampsMs, values }) => [[...timestampsMs], [...values]])).toEqual([
    [
      [8_000, 9_000, 10_000],
      [3, 4, 5],
    ],
  ]);
});
