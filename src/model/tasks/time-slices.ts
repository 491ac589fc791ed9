/**
 * Long work in slices, so that it does not delay other requests: after a few milliseconds it lets the event loop do what
 * waits.
 *
 * In one turn of the event loop at most one slice runs, however many tasks are in progress. So a push that needs five
 * turns waits for five slices, and not for five slices of each task. The turns are those of the thread, which all
 * gateways of a process share.
 */

/** A push needs some five turns, so large bodies delay it by some 25 ms. */
const SLICE_MS = 5;

/** The turn that was given out last. */
let last: Promise<void> = Promise.resolve();

/** Resolves in a turn of the event loop of its own. */
export function nextTurn(): Promise<void> {
  last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
  return last;
}

/** The slices of one task. */
export class TimeSlices {
  #endMs = performance.now() + SLICE_MS;

  /** Whether the slice has taken its time. Ask it after each 50 µs of work or so: it takes 50 ns. */
  get isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  /** Ends the slice. Resolves when the next one begins. */
  async next(): Promise<void> {
    await nextTurn();
    this.#endMs = performance.now() + SLICE_MS;
  }
}

/**
 * Runs a task that yields about every 50 µs, in slices.
 *
 * @returns what the task returns
 */
export async function inSlices<Result>(task: Iterator<void, Result>): Promise<Result> {
  const slices = new TimeSlices();
  for (;;) {
    const { done, value } = task.next();
    if (done) return value;
    if (slices.isOver) await slices.next();
  }
}

/** Runs such a task without a pause. */
export function atOnce<Result>(task: Iterator<void, Result>): Result {
  for (;;) {
    const { done, value } = task.next();
    if (done) return value;
  }
}
