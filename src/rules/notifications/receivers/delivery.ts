/**
 * Delivers to a receiver: attempts with a pause between them that grows from half a second to a minute, as in Alertmanager,
 * until one succeeds, a failure is permanent, or the time is over. A receiver that hangs costs one attempt its time limit.
 */
import { setTimeout as pause } from "node:timers/promises";
import { formatDuration } from "../../../model/duration.ts";
import type { ConcurrencyLimit } from "../../../model/concurrency-limit.ts";
import { DeliveryFailure } from "./notification-sender.ts";

/** As in Alertmanager's backoff: each pause is drawn from half to one and a half of these. */
const PAUSE_MS_FIRST = 500;
const PAUSE_FACTOR = 1.5;
const PAUSE_MS_MAX = 60_000;

interface DeliveryLimits {
  /** Of one attempt. */
  readonly timeoutMs: number;
  /** Of all attempts. */
  readonly deadlineMs: number;
  /** Ends the delivery. It then rejects with the reason. */
  readonly stop: AbortSignal;
  /** Of the attempts at the same time. An attempt that waits for it takes no time of its own. */
  readonly limit: ConcurrencyLimit;
  /** Called after each failed attempt. */
  readonly onFailure: () => void;
}

/** The time of all attempts is over. */
class TimeIsOver extends Error {}

/**
 * Calls `attempt` until it succeeds.
 *
 * @throws DeliveryFailure with the reason of the last attempt; the reason of `stop`
 */
export async function deliver(
  attempt: (signal: AbortSignal) => Promise<void>,
  { timeoutMs, deadlineMs, stop, limit, onFailure }: DeliveryLimits,
): Promise<void> {
  const time = new AbortController();
  const timer = setTimeout(() => time.abort(new TimeIsOver()), deadlineMs);
  const all = AbortSignal.any([stop, time.signal]);
  let last: DeliveryFailure | undefined;
  let isTrying = false;
  const one = async () => {
    isTrying = true;
    await oneAttempt(attempt, timeoutMs, all);
  };
  try {
    for (let pauseMs = PAUSE_MS_FIRST; ; pauseMs = Math.min(pauseMs * PAUSE_FACTOR, PAUSE_MS_MAX)) {
      all.throwIfAborted();
      isTrying = false;
      try {
        await limit.run(one, all);
        return;
      } catch (error) {
        if (!(error instanceof DeliveryFailure)) {
          // The end of all time interrupted the attempt.
          if (isTrying && time.signal.aborted && !stop.aborted) onFailure();
          throw error;
        }
        last = error;
        onFailure();
        if (!error.isTemporary) throw error;
      }
      const drawn = pauseMs * (0.5 + Math.random());
      await pause(Math.max(drawn, last.retryAfterMs ?? 0), undefined, { signal: all });
    }
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    if (!time.signal.aborted) throw error;
    throw new DeliveryFailure(
      `it could not be delivered within ${formatDuration(deadlineMs)}: ${last?.message ?? "no attempt ended"}`,
      { isTemporary: true },
    );
  } finally {
    clearTimeout(timer);
  }
}

async function oneAttempt(
  attempt: (signal: AbortSignal) => Promise<void>,
  timeoutMs: number,
  all: AbortSignal,
): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    await attempt(AbortSignal.any([all, late.signal]));
  } catch (error) {
    if (error instanceof DeliveryFailure || all.aborted) throw error;
    if (!late.signal.aborted) throw error;
    throw new DeliveryFailure(`no answer within ${formatDuration(timeoutMs)}`, { isTemporary: true });
  } finally {
    clearTimeout(timer);
  }
}
