/** Series that a thread sends: each once, as long as not many more were sent than exist. */
import { expect, test } from "bun:test";
import type { SeriesHead } from "../../../src/model/sample.ts";
import { threadsFor } from "../../../src/receive/decoding/decode-workers.ts";
import { HeadNumbers, HeadTable, SharedHeads } from "../../../src/receive/decoding/sent-heads.ts";

const headOf = (index: number): SeriesHead => ({
  metric: "m",
  kind: "gauge",
  labels: new Map([["n", String(index)]]),
});
const nameOf = ({ labels }: SeriesHead) => labels.get("n");
/** 40 lists of 25 series each. */
const LISTS = Array.from({ length: 40 }, (_, list) =>
  Array.from({ length: 25 }, (_, index) => headOf(25 * list + index)),
);

/** How many series are sent for all lists, in each of some rounds. */
function sentOf(seriesCount: number, rounds: number): { sent: number[]; shared: number } {
  const bounds = { seriesCount: () => seriesCount, headsMax: 100 };
  const numbers = new HeadNumbers(bounds);
  const shared = new SharedHeads(undefined, bounds);
  const table = new HeadTable(shared);
  const sent = Array.from({ length: rounds }, () => {
    let fresh = 0;
    for (const list of LISTS) {
      const numbered = numbers.of(list);
      if ("tooMany" in numbered) throw new Error("25 series are not too many");
      fresh += numbered.fresh.heads.length;
      expect(table.take(numbered).map(nameOf)).toEqual(list.map(nameOf));
    }
    return fresh;
  });
  return { sent, shared: shared.count };
}

test("all series are sent once if as many exist, and again and again if they do not", () => {
  expect(sentOf(1_000, 4)).toEqual({ sent: [1_000, 0, 0, 0], shared: 1_000 });
  // Some 500 exist, which two senders spell differently.
  expect(sentOf(520, 4)).toEqual({ sent: [1_000, 0, 0, 0], shared: 1_000 });
  expect(sentOf(0, 3)).toEqual({ sent: [1_000, 1_000, 1_000], shared: 100 });
});

test("fewer threads decode bodies of very many series, because each of them remembers all series", () => {
  expect([0, 10_000, 262_144, 300_000, 1_000_000, 5_000_000].map(threadsFor)).toEqual([
    2_097_152, 209, 8, 6, 2, 1,
  ]);
});
