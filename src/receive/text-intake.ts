/**
 * Takes text that arrives without a request, such as datagrams, and passes it to ingest in batches.
 *
 * - Text is gathered for at most 100 ms, or until a segment of it is full. It is decoded and committed one batch after
 *   the other, so that a decoder may read what all batches before it have stored.
 * - `stop` passes on what waits, but not for longer than its share of the time in which the gateway stops. The rest is
 *   dropped and counted.
 * - A sender does not learn that its text was not stored. So a batch that ingest rejects for now (its queue or the disk
 *   is full) is sent to it again, while further text waits. What is lost is counted by cause.
 */
import type { Log } from "../log/log.ts";
import type { Ack } from "../ingest/contract.ts";
import type { Counters } from "../model/counters.ts";
import { Busy, RequestError, Unavailable } from "../model/errors.ts";
import type { Batch } from "../model/sample.ts";
import { type DatagramSegment, WaitingDatagrams } from "../wire/sockets/waiting-datagrams.ts";

/** Decodes pieces of text to a batch, in slices between which other work has its turn. */
export interface TextDecoder {
  /** Decodes some of the pieces of a segment from `from` on. Returns the index of the first that it left. */
  decode(segment: DatagramSegment, from: number): number;
  /** Whether the batch has enough samples to be taken. */
  readonly isFull: boolean;
  /** Returns what was decoded since the last call. */
  take(): DecodedText;
}

export interface DecodedText {
  readonly batch: Batch;
  /** Messages without samples that were skipped, by type. */
  readonly skipped?: ReadonlyMap<string, number>;
}

/** The settings of an intake, as src/config/settings.ts describes them. */
export interface TextIntakeSettings {
  /** The most bytes of text that wait. */
  readonly datagramWaitingBytesMax: number;
  /** The time in which the gateway stops. */
  readonly stopTimeoutMs: number;
}

interface TextIntakeOptions {
  readonly protocol: string;
  readonly decoder: TextDecoder;
  readonly ingest: { push(batch: Batch): Promise<Ack> };
  readonly settings: TextIntakeSettings;
  readonly counters: Counters;
  readonly log: Log;
  readonly now: () => number;
}

/** How long a piece waits for others. At 10 commits per second, an fsync costs little. */
const GATHER_MS = 100;
/** Interval of log lines about losses. */
const LOG_INTERVAL_MS = 60_000;
const RETRY_MS = 250;
/** Of the time in which the gateway stops. Half of it is for the last commit and the checkpoint. */
const SHARE_OF_STOP = 1 / 4;

export class TextIntake {
  readonly #options: TextIntakeOptions;
  readonly #waiting: WaitingDatagrams;
  readonly #losses: Losses;
  #onFault: (error: unknown) => void = () => undefined;
  #gather: Timer | undefined;
  #running: Promise<void> | undefined;
  #room = Promise.withResolvers<void>();
  /** When the intake must have stopped, in the time of `performance.now()`. */
  #stopAt = Number.POSITIVE_INFINITY;

  constructor(options: TextIntakeOptions) {
    this.#options = options;
    this.#waiting = new WaitingDatagrams(options.settings.datagramWaitingBytesMax);
    this.#losses = new Losses(options);
  }

  /** Begins to take text. `onFault` gets each later fault. The intake goes on after it. */
  start(onFault: (error: unknown) => void): void {
    this.#onFault = onFault;
    this.#stopAt = Number.POSITIVE_INFINITY;
  }

  /** Takes a copy of a piece: `length` bytes from `from` on. Returns false if there is no room. */
  add(bytes: Uint8Array, from: number, length: number): boolean {
    if (!this.#waiting.add(bytes, from, length, this.#options.now() * 1_000)) return false;
    if (this.#waiting.isFull) this.#run();
    else if (this.#running === undefined) this.runSoon();
    return true;
  }

  /** Resolves when there may be room again, after `add` returned false. */
  get room(): Promise<void> {
    return this.#room.promise;
  }

  /** Passes on what waits, or what the decoder has, within 100 ms. */
  runSoon(): void {
    this.#gather ??= setTimeout(() => {
      this.#gather = undefined;
      // What arrives while a batch is stored may be too late for it.
      if (this.#running !== undefined) this.runSoon();
      else this.#run();
    }, GATHER_MS);
  }

  /** Counts datagrams that were lost before they were taken. `details` are logged with them. */
  noteDropped(
    cause: string,
    count: number,
    details: Readonly<Record<string, number | undefined>> = {},
  ): void {
    this.#losses.noteDropped(cause, count, details);
  }

  /** Passes on what was taken. Call it when no more text arrives. */
  async stop(): Promise<void> {
    this.#stopAt = performance.now() + SHARE_OF_STOP * this.#options.settings.stopTimeoutMs;
    await this.#running;
    this.#run();
    await this.#running;
    this.#losses.log("now");
  }

  #run(): void {
    clearTimeout(this.#gather);
    this.#gather = undefined;
    this.#running ??= this.#passOn()
      .catch(this.#onFault)
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #passOn(): Promise<void> {
    let segment = this.#waiting.take();
    // The decoder may have lines that were rejected before they could be taken.
    if (segment === undefined) await this.#passOnBatch();
    for (; segment !== undefined; segment = this.#waiting.take()) {
      for (let from = 0; from < segment.length; ) {
        if (performance.now() > this.#stopAt) {
          this.#losses.noteDropped("stopped", segment.length - from);
          break;
        }
        from = await this.#passOnPart(segment, from);
      }
      this.#waiting.release(segment);
      this.#room.resolve();
      this.#room = Promise.withResolvers();
    }
  }

  /** Passes on one batch. Returns the index of the first piece that is not in it. */
  async #passOnPart(segment: DatagramSegment, from: number): Promise<number> {
    const { decoder } = this.#options;
    let next = from;
    try {
      do {
        next = decoder.decode(segment, next);
        await otherWork();
      } while (next < segment.length && !decoder.isFull);
    } catch (error) {
      // It would throw again.
      this.#losses.noteDropped("not_decoded", segment.length - from);
      this.#onFault(error);
      return segment.length;
    }
    await this.#passOnBatch();
    return next;
  }

  async #passOnBatch(): Promise<void> {
    const { decoder, counters, protocol } = this.#options;
    const { batch, skipped } = decoder.take();
    for (const [type, count] of skipped ?? []) counters.messagesSkipped.inc({ protocol, type }, count);
    if (batch.length === 0 && batch.rejected.length === 0) return;
    try {
      await this.#push(batch);
    } catch (error) {
      this.#losses.noteUnstored(batch.length);
      // Ingest has logged the fault that it answers with such an error.
      if (!(error instanceof RequestError)) this.#onFault(error);
    }
  }

  /** Pushes a batch until ingest has room for it. */
  async #push(batch: Batch): Promise<Ack> {
    for (;;) {
      try {
        return await this.#options.ingest.push(batch);
      } catch (error) {
        // Nothing of the batch was stored, so it can be sent again.
        const isForNow = error instanceof Busy || error instanceof Unavailable;
        if (!isForNow || performance.now() > this.#stopAt) throw error;
        await Bun.sleep(RETRY_MS);
      }
    }
  }
}

/** Resolves when the event loop has done what waited, such as reading the sockets. */
function otherWork(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Counts what was lost, and logs it once a minute at most: a sender may cause thousands of losses per second. */
class Losses {
  readonly #options: Pick<TextIntakeOptions, "protocol" | "counters" | "log" | "now">;
  #dropped = new Map<string, number>();
  #details: Readonly<Record<string, number | undefined>> = {};
  #unstored = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(options: Pick<TextIntakeOptions, "protocol" | "counters" | "log" | "now">) {
    this.#options = options;
  }

  noteDropped(
    cause: string,
    count: number,
    details: Readonly<Record<string, number | undefined>> = {},
  ): void {
    if (count === 0) return;
    const { counters, protocol } = this.#options;
    counters.datagramsDropped.inc({ protocol, cause }, count);
    addTo(this.#dropped, cause, count);
    this.#details = details;
    this.log("if due");
  }

  /** Samples that ingest never took. */
  noteUnstored(count: number): void {
    const { counters, protocol } = this.#options;
    counters.samplesRejected.inc({ protocol, cause: "not_stored" }, count);
    this.#unstored += count;
    this.log("if due");
  }

  log(when: "if due" | "now"): void {
    const { log, now, protocol } = this.#options;
    if (this.#dropped.size === 0 && this.#unstored === 0) return;
    if (when === "if due" && now() - this.#loggedMs < LOG_INTERVAL_MS) return;
    this.#loggedMs = now();
    if (this.#dropped.size > 0) {
      const causes = [...this.#dropped].map(([cause, count]) => `${cause}=${count}`).join(" ");
      log("datagrams_lost", { protocol, causes, ...this.#details });
      this.#dropped = new Map();
    }
    if (this.#unstored > 0) log("samples_not_stored", { protocol, count: this.#unstored });
    this.#unstored = 0;
  }
}

function addTo(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
