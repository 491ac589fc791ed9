/** The signals that stop the gateway in order, and those that end it at once. */
import { afterEach, expect, test } from "bun:test";
import { nextSignal } from "../../src/commands/stop-signals.ts";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
const before = new Map(SIGNALS.map((signal) => [signal, process.listeners(signal)]));
const added = (signal: NodeJS.Signals) => process.listeners(signal).filter((each) => !isOld(signal, each));
const isOld = (signal: NodeJS.Signals, listener: unknown) =>
  (before.get(signal as "SIGTERM") as readonly unknown[]).includes(listener);

afterEach(() => {
  for (const signal of SIGNALS) for (const each of added(signal)) process.off(signal, each as () => void);
});

test("a second signal within a second is ignored, and a later one ends the process", async () => {
  const timers: [action: () => void, delayMs: number][] = [];
  const signal = nextSignal((...timer) => timers.push(timer));
  const send = (name: NodeJS.Signals) => {
    const handlers = added(name);
    for (const handler of handlers) (handler as (name: NodeJS.Signals) => void)(name);
    return handlers.length > 0;
  };
  expect(send("SIGTERM")).toBe(true);
  expect(await signal).toBe("SIGTERM");
  // A signal without a handler would end the process.
  expect([send("SIGTERM"), send("SIGINT"), send("SIGHUP")]).toEqual([true, true, true]);
  expect(timers.map(([, delayMs]) => delayMs)).toEqual([1_000]);
  timers[0]![0]();
  expect([send("SIGTERM"), send("SIGINT"), send("SIGHUP")]).toEqual([false, false, true]);
});
