/** Receivers with series of their own: which samples of such series count, and who learns the outcome of a commit. */
import { expect, test } from "bun:test";
import { Owners } from "../../src/ingest/owners.ts";

/** An owner of some series, which writes down what it is told. */
function owner(...seriesIds: number[]) {
  const calls: string[] = [];
  return {
    calls,
    holds: (seriesId: number) => seriesIds.includes(seriesId),
    holdsAny: seriesIds.length > 0,
    committed: () => void calls.push("committed"),
    failed: () => void calls.push("failed"),
  };
}

test("an owner's samples of its own series count, and those of every other protocol do not", () => {
  const owners = new Owners(
    new Map([
      ["a", owner(1)],
      ["b", owner(2)],
    ]),
  );
  const heldFor = (protocol: string) =>
    [1, 2, 3].filter((seriesId) => owners.heldByOthers(protocol)?.(seriesId));
  expect(heldFor("a")).toEqual([2]);
  expect(heldFor("b")).toEqual([1]);
  expect(heldFor("c")).toEqual([1, 2]);
  expect([1, 2, 3].map((seriesId) => owners.holds(seriesId))).toEqual([true, true, false]);
});

test("nothing is asked per sample where no other protocol owns series", () => {
  expect(new Owners().heldByOthers("a")).toBeUndefined();
  expect(new Owners(new Map([["a", owner(1)]])).heldByOthers("a")).toBeUndefined();
  expect(new Owners(new Map([["a", owner()]])).heldByOthers("b")).toBeUndefined();
});

test("every owner learns the outcome of a commit", () => {
  const [a, b] = [owner(1), owner(2)];
  const owners = new Owners(
    new Map([
      ["a", a],
      ["b", b],
    ]),
  );
  owners.committed();
  owners.failed();
  expect([a.calls, b.calls]).toEqual([
    ["committed", "failed"],
    ["committed", "failed"],
  ]);
});
