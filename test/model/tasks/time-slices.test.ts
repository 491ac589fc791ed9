/** Long work lets other work run, and in one turn of the event loop at most one of several tasks works. */
import { expect, test } from "bun:test";
import { atOnce, inSlices, nextTurn } from "../../../src/model/tasks/time-slices.ts";

/** Works until a slice is over several times. */
function* work(done: string[], name: string) {
  for (let step = 0; step < 5; step++) {
    const end = performance.now() + 6;
    while (performance.now() < end);
    done.push(`${name}${step}`);
    yield;
  }
  return name;
}

test("tasks take turns, and other work runs between their slices", async () => {
  const done: string[] = [];
  let timers = 0;
  const timer = setInterval(() => timers++, 1);
  const results = await Promise.all([inSlices(work(done, "a")), inSlices(work(done, "b"))]);
  clearInterval(timer);
  expect(results).toEqual(["a", "b"]);
  expect(done).toEqual(["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4"]);
  expect(timers).toBeGreaterThan(0);
});

test("a task that throws rejects, and the next one has its turn", async () => {
  function* failing(): Generator<void, void> {
    yield;
    throw new Error("no");
  }
  await expect(inSlices(failing())).rejects.toThrow("no");
  expect(await inSlices(work([], "c"))).toBe("c");
});

test("turns are given out one after the other", async () => {
  const order: number[] = [];
  await Promise.all([1, 2, 3].map((number) => nextTurn().then(() => order.push(number))));
  expect(order).toEqual([1, 2, 3]);
});

test("at once, a task runs to its end without a pause", () => {
  const done: string[] = [];
  expect(atOnce(work(done, "d"))).toBe("d");
  expect(done).toHaveLength(5);
});
