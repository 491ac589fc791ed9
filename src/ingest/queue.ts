/**
 * The pushes that wait for their commit, bounded in samples and bytes. A push past a bound is rejected with Busy.
 *
 * A large push does not take the room of others: one of them may wait beside a queue of small ones that is full. So the
 * memory of the queue is bounded by its limits and one body.
 */
import { Busy } from "../model/errors.ts";
import type { Ack, IngestOptions } from "./contract.ts";
import type { Waiting } from "./waiting.ts";

/** Rows of one transaction: limits its memory and the time of a commit. */
export const GROUP_SAMPLES_MAX = 100_000;
/** A push that takes more than this part of the queue is large. */
const LARGE_SHARE = 4;

export class PushQueue {
  readonly #options: IngestOptions;
  #waiting: Waiting[] = [];
  /** Samples and bytes of the pushes that wait or are being committed. */
  #samples = 0;
  #bytes = 0;
  /** Those of them that are large. */
  #largeSamples = 0;
  #largeBytes = 0;

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get oldest(): Waiting | undefined {
    return this.#waiting[0];
  }

  get samples(): number {
    return this.#samples;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Throws Busy if the queue has no room for a push of this size. */
  requireRoom(samples: number, bytes: number): void {
    const { queueSamplesMax, queueBytesMax } = this.#options;
    if (this.#samples + samples <= queueSamplesMax && this.#bytes + bytes <= queueBytesMax) return;
    // A batch larger than the whole queue is accepted if no other large one waits.
    if (this.#isLarge(samples, bytes)) {
      if (this.#largeBytes === 0) return;
    } else {
      const isRoom =
        this.#samples - this.#largeSamples + samples <= queueSamplesMax &&
        this.#bytes - this.#largeBytes + bytes <= queueBytesMax;
      if (isRoom || this.#bytes === 0) return;
    }
    this.#options.counters.pushesBusy.inc();
    throw new Busy("the queue is full (queueSamplesMax, queueBytesMax), try again in a second");
  }

  /** Adds a push. The promise resolves to its answer. */
  add(push: Omit<Waiting, "arrivedMs" | "resolve" | "reject">): Promise<Ack> {
    const { promise, resolve, reject } = Promise.withResolvers<Ack>();
    const { batch, decide, groups, protocol, samples, bytes, options } = push;
    const arrivedMs = this.#options.now();
    // Written out: copying all fields would take three times as long.
    this.#waiting.push({
      batch,
      decide,
      groups,
      protocol,
      samples,
      bytes,
      options,
      arrivedMs,
      resolve,
      reject,
    });
    this.#count(push, 1);
    return promise;
  }

  #isLarge(samples: number, bytes: number): boolean {
    const { queueSamplesMax, queueBytesMax } = this.#options;
    return samples > queueSamplesMax / LARGE_SHARE || bytes > queueBytesMax / LARGE_SHARE;
  }

  #count({ samples, bytes }: Pick<Waiting, "samples" | "bytes">, sign: 1 | -1): void {
    this.#samples += sign * samples;
    this.#bytes += sign * bytes;
    if (!this.#isLarge(samples, bytes)) return;
    this.#largeSamples += sign * samples;
    this.#largeBytes += sign * bytes;
  }

  /** Whether `take` would return a push. */
  hasNext(isFree: boolean): boolean {
    return isFree ? this.#waiting.length > 0 : this.#waiting.some(mayOvertake);
  }

  /**
   * Takes the pushes that wait, up to a number of samples. They count against the bounds until they are released.
   *
   * @param isFree whether nothing is stored beside the commits. Otherwise only pushes are taken that may overtake it, and
   *   others that wait for its end
   */
  take(isFree: boolean): Waiting[] {
    let samples = 0;
    if (isFree) {
      let end = 0;
      for (; end < this.#waiting.length; end++) {
        samples += this.#waiting[end]!.samples;
        if (end > 0 && samples > GROUP_SAMPLES_MAX) break;
      }
      return this.#waiting.splice(0, end);
    }
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    for (const push of this.#waiting) {
      const isTaken = samples + push.samples <= GROUP_SAMPLES_MAX && mayOvertake(push);
      if (isTaken) samples += push.samples;
      (isTaken ? taken : left).push(push);
    }
    this.#waiting = left;
    return taken;
  }

  /** Of some series, those of which samples or exemplars wait. */
  waitingOf(seriesIds: ReadonlySet<number>): Set<number> {
    const found = new Set<number>();
    for (const { batch } of this.#waiting) {
      const rows = [...batch.rows, ...batch.unchecked.map((each) => each.rows)];
      for (const { seriesId, length } of rows)
        for (let index = 0; index < length; index++)
          if (seriesIds.has(seriesId[index]!)) found.add(seriesId[index]!);
      for (const { seriesId } of batch.exemplars) if (seriesIds.has(seriesId)) found.add(seriesId);
    }
    return found;
  }

  release(taken: readonly Waiting[]): void {
    for (const each of taken) this.#count(each, -1);
  }
}

/**
 * Whether a push may be stored before others that came earlier: it depends on nothing that they store. A large one has to
 * wait until nothing else is stored beside the commits.
 */
function mayOvertake({ batch, samples, options }: Waiting): boolean {
  return (
    samples <= GROUP_SAMPLES_MAX &&
    batch.unchecked.length === 0 &&
    options.imported === undefined &&
    options.replayed === undefined
  );
}
