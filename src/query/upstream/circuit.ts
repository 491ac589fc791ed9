/**
 * Keeps requests from a server that does not answer: after some failures in a row none is sent for a while. Then requests try it
 * again, and one more failure begins the next pause, which is twice as long.
 */

/** One failure can be an accident of the network. */
const FAILURES_MAX = 3;
const PAUSE_MS = 10_000;
const PAUSE_MS_MAX = 60_000;

export class Circuit {
  readonly #now: () => number;
  /** Those whose failure has counted: the requests of one query fail together, and count once. */
  readonly #counted = new WeakSet<object>();
  #failures = 0;
  #pauseMs = PAUSE_MS;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether no request is sent at the moment. */
  get isOpen(): boolean {
    return this.#now() < this.#pausedUntilMs;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pauseMs = PAUSE_MS;
    this.#pausedUntilMs = Number.NEGATIVE_INFINITY;
  }

  /**
   * Notes the failure of a request. Returns whether the circuit opened with it, and has had a success since it opened last.
   *
   * @param whose whose request it is: one query can send several
   */
  failed(whose: object): boolean {
    if (this.#counted.has(whose)) return false;
    this.#counted.add(whose);
    this.#failures++;
    if (this.#failures < FAILURES_MAX) return false;
    this.#pausedUntilMs = this.#now() + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
    return this.#failures === FAILURES_MAX;
  }
}
