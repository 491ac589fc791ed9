/** The engine has threads of its own during slow reads, and for some time afterwards. */
import { expect, test } from "bun:test";
import { Workers } from "../../../src/store/engine/workers.ts";

/** Settles with each number of external threads that is set. */
function recorded(threads: number) {
  const seen: number[] = [];
  let notify = () => {};
  const workers = new Workers(threads, async (count) => {
    seen.push(count);
    notify();
  });
  const next = () =>
    new Promise<void>((resolve) => {
      notify = resolve;
    });
  return { workers, seen, next };
}

test("gives a slow read all threads, and takes them back after the last read", async () => {
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

test("changes nothing for a short read", async () => {
  const { workers, seen } = recorded(4);
  workers.begin();
  workers.end();
  await workers.close();
  expect(seen).toEqual([]);
});

test("changes nothing if the engine has one thread", async () => {
  const { workers, seen } = recorded(1);
  workers.begin();
  await workers.close();
  workers.end();
  expect(seen).toEqual([]);
});
