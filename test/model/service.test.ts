/** Loops that run beside the requests. */
import { expect, test } from "bun:test";
import { repeat } from "../../src/model/service.ts";

test("a loop runs at once and again, never twice at a time, and also after a fault", async () => {
  let [running, most, runs] = [0, 0, 0];
  const third = Promise.withResolvers<void>();
  const faults: unknown[] = [];
  const loop = repeat(1, async () => {
    running++;
    most = Math.max(most, running);
    runs++;
    if (runs === 3) third.resolve();
    // Longer than the interval, whatever the clock does.
    for (let tick = 0; tick < 3; tick++) await new Promise((resolve) => setTimeout(resolve, 1));
    running--;
    if (runs === 1) throw new Error("the first run failed");
  });
  await loop.start((error) => faults.push(error));
  expect(runs).toBe(1);
  await third.promise;
  await loop.stop();
  expect([running, most]).toEqual([0, 1]);
  expect(faults.map(String)).toEqual(["Error: the first run failed"]);
});

test("a loop with a condition runs only while the condition is true", async () => {
  let [runs, isNeeded] = [0, false];
  let second = Promise.withResolvers<void>();
  const loop = repeat(
    1,
    async () => {
      if (++runs % 2 === 0) second.resolve();
    },
    () => isNeeded,
  );
  await loop.start(() => {});
  loop.look();
  await Bun.sleep(5);
  expect(runs).toBe(0);
  isNeeded = true;
  loop.look();
  loop.look();
  await second.promise;
  isNeeded = false;
  await Bun.sleep(5);
  expect(runs).toBe(2);
  second = Promise.withResolvers();
  isNeeded = true;
  loop.look();
  await second.promise;
  await loop.stop();
  loop.look();
  await Bun.sleep(5);
  expect(runs).toBe(4);
});

test("a loop that did not start can be stopped", async () => {
  let runs = 0;
  const loop = repeat(1, async () => void runs++);
  await loop.stop();
  expect(runs).toBe(0);
});
