/** The limit on tasks that run at once: the order of those that wait, and why one stops waiting. */
import { expect, test } from "bun:test";
import { ConcurrencyLimit } from "../../src/model/concurrency-limit.ts";
import { Busy } from "../../src/model/errors.ts";

/** A task that ends when the test says so. */
function task(
  limit: ConcurrencyLimit,
  name: string,
  log: string[],
  signal?: AbortSignal,
  patienceMs?: number,
) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const done = limit.acquire(signal, patienceMs).then(async () => {
    log.push(name);
    return await promise.finally(() => limit.release());
  });
  return { done, end: () => resolve(name), fail: (error: Error) => reject(error) };
}

test("tasks beyond the limit start in the order of arrival, also after one that fails", async () => {
  const running: number[] = [];
  const limit = new ConcurrencyLimit(1, { tasks: "queries", onChange: (count) => running.push(count) });
  const log: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => task(limit, name, log));
  expect(limit.isFull).toBe(true);
  a!.fail(new Error("broken"));
  await expect(a!.done).rejects.toThrow("broken");
  b!.end();
  expect(await b!.done).toBe("b");
  c!.end();
  expect(await c!.done).toBe("c");
  expect([log, limit.isFull]).toEqual([["a", "b", "c"], false]);
  expect(running).toEqual([1, 0, 1, 0, 1, 0]);
});

test("a task is rejected if too many wait, and the message names the setting", async () => {
  const limit = new ConcurrencyLimit(1, {
    tasks: "queries",
    waitingPerRunning: 1,
    setting: "sqlConcurrencyMax",
  });
  const log: string[] = [];
  const [a, b] = ["a", "b"].map((name) => task(limit, name, log));
  await expect(task(limit, "c", log).done).rejects.toThrow(
    new Busy("Too many queries: 1 running (sqlConcurrencyMax), 1 waiting; try again shortly."),
  );
  a!.end();
  b!.end();
  expect(await b!.done).toBe("b");
});

test("a task that waited for too long, or whose signal aborts, never runs", async () => {
  const limit = new ConcurrencyLimit(1, { tasks: "queries", waitMs: 1 });
  const log: string[] = [];
  const a = task(limit, "a", log);
  await expect(task(limit, "late", log).done).rejects.toThrow(
    new Busy("Too many queries for 1 ms: 1 running, 1 waiting; try again shortly."),
  );
  const controller = new AbortController();
  const gone = task(limit, "gone", log, controller.signal);
  controller.abort(new Error("the client disconnected"));
  await expect(gone.done).rejects.toThrow();
  a.end();
  expect(await a.done).toBe("a");
  expect([log, limit.isFull]).toEqual([["a"], false]);
});

test("a patient task waits for the one that runs, and runs beside it if that takes long", async () => {
  const log: string[] = [];
  const running: number[] = [];
  const patient = new ConcurrencyLimit(2, {
    tasks: "queries",
    onChange: (count) => running.push(count),
  });
  const first = task(patient, "first", log, undefined, 1_000_000);
  const second = task(patient, "second", log, undefined, 1_000_000);
  const third = task(patient, "third", log, undefined, 1_000_000);
  first.end();
  expect(await first.done).toBe("first");
  second.end();
  expect(await second.done).toBe("second");
  third.end();
  expect(await third.done).toBe("third");
  expect([log, running]).toEqual([
    ["first", "second", "third"],
    [1, 0, 1, 0, 1, 0],
  ]);

  const impatient = new ConcurrencyLimit(2, { tasks: "queries" });
  const slow = task(impatient, "slow", log, undefined, 1);
  const beside = task(impatient, "beside", log, undefined, 1);
  beside.end();
  expect(await beside.done).toBe("beside");
  expect(impatient.isFull).toBe(false);
  slow.end();
  expect(await slow.done).toBe("slow");
});
