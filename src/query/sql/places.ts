/**
 * How many queries run at once: so many places, and a queue before them that is bounded in length and time.
 * A query that is stuck in the engine keeps its place.
 */
import { Busy } from "../../model/errors.ts";

/** So many wait for each that runs. */
const WAITING_PER_PLACE = 4;

export class Places {
  readonly #count: number;
  /** The setting that says how many, for messages. */
  readonly #setting: string;
  readonly #waitMs: number;
  readonly #onTaken: (taken: number) => void;
  readonly #waitingMax: number;
  readonly #waiting: { admit: () => void; refuse: (error: Error) => void }[] = [];
  #taken = 0;

  /** `onTaken` is told how many places are taken whenever that changes. */
  constructor(
    count: number,
    waitMs: number,
    onTaken: (taken: number) => void = () => {},
    waitingPerPlace = WAITING_PER_PLACE,
    setting?: string,
  ) {
    this.#setting = setting === undefined ? "" : ` (${setting})`;
    this.#waitingMax = count * waitingPerPlace;
    this.#count = count;
    this.#waitMs = waitMs;
    this.#onTaken = onTaken;
  }

  /**
   * Resolves when the caller has a place, which it gives back by `leave`; throws `Busy`, and the reason of `signal`
   * when that aborts while the caller waits.
   */
  async enter(signal?: AbortSignal): Promise<void> {
    if (this.#taken < this.#count) {
      this.#take();
      return;
    }
    if (this.#waiting.length >= this.#waitingMax)
      throw new Busy(
        `${this.#taken} queries run${this.#setting} and ${this.#waiting.length} wait; try again shortly.`,
      );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry = { admit: resolve, refuse: reject };
    this.#waiting.push(entry);
    const giveUp = (error: unknown) => {
      const at = this.#waiting.indexOf(entry);
      // One that was just admitted has its place.
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(error);
    };
    const timer = setTimeout(() => {
      giveUp(
        new Busy(
          `${this.#taken} queries${this.#setting} have been running for ${this.#waitMs} ms; try again shortly.`,
        ),
      );
    }, this.#waitMs);
    const abort = () => giveUp(signal?.reason);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Gives a place back; the next in the queue has it. */
  leave(): void {
    this.#taken--;
    this.#onTaken(this.#taken);
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#take();
    next.admit();
  }

  #take(): void {
    this.#taken++;
    this.#onTaken(this.#taken);
  }
}
