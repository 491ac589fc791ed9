/** Attempts, pauses and the end of a delivery. */
import { expect, test } from "bun:test";
import { ConcurrencyLimit } from "../../../../src/model/concurrency-limit.ts";
import { deliver } from "../../../../src/rules/notifications/receivers/delivery.ts";
import { DeliveryFailure } from "../../../../src/rules/notifications/receivers/notification-sender.ts";

const limits = (settings: Partial<Parameters<typeof deliver>[1]> = {}) => ({
  timeoutMs: 60_000,
  deadlineMs: 60_000,
  stop: new AbortController().signal,
  limit: new ConcurrencyLimit(1, { tasks: "notifications" }),
  onFailure: () => undefined,
  ...settings,
});
const temporary = (retryAfterMs?: number) =>
  new DeliveryFailure("it is away", { isTemporary: true, retryAfterMs });

test("a temporary failure is tried again until it succeeds", async () => {
  let attempts = 0;
  let failures = 0;
  const attempt = async () => {
    attempts++;
    if (attempts < 3) throw temporary();
  };
  await deliver(attempt, limits({ onFailure: () => failures++ }));
  expect([attempts, failures]).toEqual([3, 2]);
});

test("a permanent failure ends the delivery at once", async () => {
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    throw new DeliveryFailure("no such room", { isTemporary: false });
  };
  await expect(deliver(attempt, limits())).rejects.toThrow("no such room");
  expect(attempts).toBe(1);
});

test("an attempt that hangs ends by its own time limit, and the next one begins", async () => {
  let attempts = 0;
  const attempt = async (signal: AbortSignal) => {
    if (attempts++ > 0) return;
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  await deliver(attempt, limits({ timeoutMs: 20 }));
  expect(attempts).toBe(2);
});

test("an attempt that the end of all time interrupts is a failed one, and one that a stop interrupts is not", async () => {
  let failures = 0;
  const hanging = (signal: AbortSignal) =>
    new Promise<void>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const onFailure = () => failures++;
  await expect(deliver(hanging, limits({ deadlineMs: 20, onFailure }))).rejects.toThrow("no attempt ended");
  expect(failures).toBe(1);
  const stop = new AbortController();
  const stopped = deliver(hanging, limits({ stop: stop.signal, onFailure }));
  stop.abort(new Error("the gateway stops"));
  await expect(stopped).rejects.toThrow("the gateway stops");
  expect(failures).toBe(1);
});

test("when the time is over, the error has the reason of the last attempt", async () => {
  const failing = async () => {
    throw temporary(60_000);
  };
  await expect(deliver(failing, limits({ deadlineMs: 50 }))).rejects.toThrow(
    "it could not be delivered within 50ms: it is away",
  );
  const hanging = async (signal: AbortSignal) => {
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  await expect(deliver(hanging, limits({ deadlineMs: 50 }))).rejects.toThrow("no attempt ended");
});

test("a delivery that waits for others ends by its deadline, and takes no place", async () => {
  const limit = new ConcurrencyLimit(1, { tasks: "notifications" });
  await limit.acquire();
  await expect(deliver(async () => undefined, limits({ limit, deadlineMs: 30 }))).rejects.toThrow(
    "could not be delivered within 30ms",
  );
  limit.release();
  await deliver(async () => undefined, limits({ limit }));
});

test("a stop ends a pause with its own reason", async () => {
  const stop = new AbortController();
  const attempt = async () => {
    queueMicrotask(() => stop.abort(new Error("the gateway stops")));
    throw temporary(60_000);
  };
  await expect(deliver(attempt, limits({ stop: stop.signal }))).rejects.toThrow("the gateway stops");
});
