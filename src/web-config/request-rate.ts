/**
 * The rate limit of web.yml: a bucket of `burst` tokens, to which one is added each `intervalMs`. A request takes one.
 */
import { LimitExceeded } from "../model/errors.ts";

export class RequestRate {
  readonly #limit: { readonly intervalMs: number; readonly burst: number };
  readonly #elapsedMs: () => number;
  #tokens: number;
  #filledMs: number;

  /** @param elapsedMs a clock that only goes forward */
  constructor(limit: { readonly intervalMs: number; readonly burst: number }, elapsedMs: () => number) {
    this.#limit = limit;
    this.#elapsedMs = elapsedMs;
    this.#tokens = limit.burst;
    this.#filledMs = elapsedMs();
  }

  /** Takes a token. Throws `LimitExceeded` with the time until the next one if there is none. */
  take(): void {
    const { intervalMs, burst } = this.#limit;
    const nowMs = this.#elapsedMs();
    this.#tokens = Math.min(burst, this.#tokens + (nowMs - this.#filledMs) / intervalMs);
    this.#filledMs = nowMs;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return;
    }
    const waitMs = (1 - this.#tokens) * intervalMs;
    throw new LimitExceeded(
      "There are more requests than rate_limit of the web configuration allows.",
      "rate_limit",
      waitMs / 1000,
    );
  }
}
