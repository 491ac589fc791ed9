/**
 * Sends until it succeeds: the pause between two attempts grows from 30 ms to 30 s, as in Prometheus, with jitter, and is at
 * least what the destination asks for. A backlog waits in the store, so no attempt is the last one.
 */
import { setTimeout as pause } from "node:timers/promises";
import { SendFailure } from "./send-failure.ts";

const PAUSE_MS_FIRST = 30;
const PAUSE_MS_MAX = 30_000;

export interface RetryHooks {
  /** Ends the attempts. The reason of the signal is thrown. */
  readonly stop: AbortSignal;
  /** Called after each failed attempt. */
  readonly onFailure: (failure: SendFailure, pauseMs: number) => void;
}

/** Calls `attempt` until it does not throw `SendFailure`. Any other error is thrown. */
export async function untilSent<T>(attempt: () => Promise<T>, { stop, onFailure }: RetryHooks): Promise<T> {
  for (let pauseMs = PAUSE_MS_FIRST; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    stop.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof SendFailure)) throw error;
      // Half of it at least: gateways that lost a hub together must not return to it together.
      const drawn = Math.max(pauseMs * (0.5 + Math.random() / 2), error.retryAfterMs ?? 0);
      onFailure(error, drawn);
      await pause(drawn, undefined, { signal: stop }).catch(() => stop.throwIfAborted());
    }
  }
}
