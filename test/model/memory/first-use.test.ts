/** What is done before the first use of something, and when it is done. */
import { expect, test } from "bun:test";
import { FirstUse } from "../../../src/model/memory/first-use.ts";

test("the first use runs all actions once, in their order, and later ones run at once", () => {
  const done: string[] = [];
  const firstUse = new FirstUse();
  firstUse.before(() => {
    // What an action uses is not restored again.
    firstUse.begin();
    done.push("a");
    firstUse.before(() => void done.push("within a"));
  });
  firstUse.before(() => void done.push("b"));
  expect([firstUse.isOver, done]).toEqual([false, []]);
  firstUse.begin();
  firstUse.begin();
  expect([firstUse.isOver, done]).toEqual([true, ["a", "within a", "b"]]);
  firstUse.before(() => void done.push("c"));
  expect(done).toEqual(["a", "within a", "b", "c"]);
});

test("after an action that failed, each use fails with its error", () => {
  let calls = 0;
  const firstUse = new FirstUse();
  firstUse.before(() => {
    calls++;
    throw new Error("no memory");
  });
  for (let time = 0; time < 3; time++) expect(() => firstUse.begin()).toThrow("no memory");
  expect([firstUse.isOver, calls]).toEqual([false, 1]);
});
