/** When the engine has threads of its own: while something is read that takes time, and some time longer. */
import { expect, test } from "bun:test";
import { Workers } from "../../src/store/engine/workers.ts";

/** Settles with each number of external threads as it is set. */
function recorded(threads: number) {
  const seen: number[] = [];
  let tell = () => {};
  const workers = new Workers(threads, async (count) => {
    seen.push(count);
    tell();
  });
  const next = () =>
    new Promise<void>((resolve) => {
      tell = resolve;
    });
  return { workers, seen, next };
}

test("a read that goes on gets all threads, and they are given back after the last", async () => {
  const { workers, seen, next } = recorded(4);
  const lent = next();
  workers.begin();
  workers.begin();
  await lent;
  expect(seen).toEqual([1]);
  workers.end();
  const back = next();
  workers.end();
  await back;
  expect(seen).toEqual([1, 4]);
});

test("a short read changes nothing", async () => {
  const { workers, seen } = recorded(4);
  workers.begin();
  workers.end();
  await workers.close();
  expect(seen).toEqual([]);
});

test("one thread has nothing to lend", async () => {
  const { workers, seen } = recorded(1);
  workers.begin();
  await workers.close();
  workers.end();
  expect(seen).toEqual([]);
});
