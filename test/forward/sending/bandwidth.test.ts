/** The limit of bytes per second of a destination. */
import { expect, test } from "bun:test";
import { Bandwidth } from "../../../src/forward/sending/bandwidth.ts";

const never = new AbortController().signal;

test("requests wait until those before them have had their time", async () => {
  const bandwidth = new Bandwidth(10_000);
  const beginMs = performance.now();
  await bandwidth.take(2_000, never);
  await bandwidth.take(1_000, never);
  await bandwidth.take(5_000, never);
  // The time of the last one is that of the next one to wait for. A timer can be a millisecond early.
  expect(performance.now() - beginMs).toBeGreaterThan(298);
});

test("a stop ends the wait", async () => {
  const bandwidth = new Bandwidth(1);
  await bandwidth.take(1_000_000, never);
  const stop = new AbortController();
  const waiting = bandwidth.take(1, stop.signal);
  stop.abort();
  await expect(waiting).rejects.toThrow("aborted");
});

test("0 is no limit", async () => {
  const bandwidth = new Bandwidth(0);
  for (let request = 0; request < 10; request++) await bandwidth.take(1_000_000_000, never);
});
