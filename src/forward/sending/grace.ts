/** The end of sending: what has begun may end by itself, for a limited time. */
import { setTimeout as pause } from "node:timers/promises";

/** Resolves when the work has ended, or after `ms`. */
export async function settledWithin(work: Promise<unknown>, ms: number): Promise<void> {
  if (ms === 0) return;
  const ended = new AbortController();
  await Promise.race([
    work.catch(() => undefined).finally(() => ended.abort()),
    pause(ms, undefined, { signal: ended.signal }).catch(() => undefined),
  ]);
}
