/** What is known about the sending to one destination: for the API, the metrics and the log. */
import type { SendFailure } from "./send-failure.ts";

/** A sample that a destination does not take. */
export interface RefusedSample {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly reason: string;
  /** The sample, as text. */
  readonly payload: string;
}

export interface StatusHooks {
  /** Called at the first failed attempt after a success, and at the first success after it. */
  readonly onFailing: (error: string) => void;
  readonly onRecovered: (failedForMs: number) => void;
  readonly onSent: (samples: number, bytes: number, seconds: number) => void;
  readonly onRetry: () => void;
  /** Samples that are given up. The first ones are given as they are. */
  readonly onDropped: (
    reason: string,
    samples: number,
    first: readonly RefusedSample[],
    said?: string,
  ) => void;
  /** See `replaced`. This is no fault. */
  readonly onReplaced: (samples: number) => void;
  readonly now: () => number;
}

export class DestinationStatus {
  readonly #hooks: StatusHooks;
  sentSamples = 0;
  sentBytes = 0;
  droppedSamples = 0;
  lastError: string | undefined;
  lastErrorMs: number | undefined;
  lastSuccessMs: number | undefined;
  #failingSinceMs: number | undefined;

  constructor(hooks: StatusHooks) {
    this.#hooks = hooks;
  }

  get isFailing(): boolean {
    return this.#failingSinceMs !== undefined;
  }

  readonly failed = (failure: SendFailure | Error): void => {
    const nowMs = this.#hooks.now();
    this.lastError = failure.message;
    this.lastErrorMs = nowMs;
    this.#hooks.onRetry();
    if (this.#failingSinceMs !== undefined) return;
    this.#failingSinceMs = nowMs;
    this.#hooks.onFailing(failure.message);
  };

  sent(samples: number, bytes: number, seconds: number): void {
    const nowMs = this.#hooks.now();
    this.sentSamples += samples;
    this.sentBytes += bytes;
    this.lastSuccessMs = nowMs;
    this.#hooks.onSent(samples, bytes, seconds);
    if (this.#failingSinceMs === undefined) return;
    this.#hooks.onRecovered(nowMs - this.#failingSinceMs);
    this.#failingSinceMs = undefined;
  }

  /** Samples that are not sent, because a later one of their series has the same time, as the destination knows times. */
  replaced(samples: number): void {
    if (samples === 0) return;
    this.droppedSamples += samples;
    this.#hooks.onReplaced(samples);
  }

  /** @param said what the destination says, if it does not name the samples */
  dropped(reason: string, samples: number, first: readonly RefusedSample[] = [], said?: string): void {
    if (samples === 0) return;
    this.droppedSamples += samples;
    this.#hooks.onDropped(reason, samples, first, said);
  }
}
