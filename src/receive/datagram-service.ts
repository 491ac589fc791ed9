/**
 * Receives a protocol's datagrams, and passes them to ingest in batches.
 *
 * - Datagrams are gathered for at most 100 ms, or until a segment of them is full. They are decoded and committed one
 *   batch after the other, so that a decoder may read what all batches before it have stored.
 * - Nobody is told that a datagram was not stored. So a batch that ingest rejects for now (its queue or the disk is
 *   full) is sent to it again, while further datagrams wait. What is lost is counted by cause.
 * - `stop` reads what the kernel has, closes the sockets, and resolves when everything is passed on.
 */
import type { Log } from "../http/log.ts";
import type { Ack } from "../ingest/contract.ts";
import type { Counters } from "../model/counters.ts";
import { Busy, Unavailable } from "../model/errors.ts";
import type { Batch, Rejection } from "../model/sample.ts";
import type { Service } from "../model/service.ts";
import { type DatagramAddress, type DatagramSocket, openDatagramSocket } from "./datagram-socket.ts";
import { DATAGRAM_BYTES_MAX, type DatagramSegment, WaitingDatagrams } from "./waiting-datagrams.ts";

/** Decodes datagrams to a batch, in slices between which other work has its turn. */
export interface DatagramDecoder {
  /** Decodes some of the datagrams of a segment from `from` on. Returns the index of the first that it left. */
  decode(segment: DatagramSegment, from: number): number;
  /** Whether the batch has so many samples that it should be taken. */
  readonly isFull: boolean;
  /** Returns what was decoded since the last call. */
  take(): DecodedDatagrams;
}

export interface DecodedDatagrams {
  readonly batch: Batch;
  /** Messages without samples that were skipped, by type. */
  readonly skipped?: ReadonlyMap<string, number>;
}

interface DatagramServiceOptions {
  readonly protocol: string;
  readonly addresses: readonly DatagramAddress[];
  readonly decoder: DatagramDecoder;
  readonly ingest: { push(batch: Batch): Promise<Ack> };
  readonly settings: { readonly datagramBufferBytes: number; readonly datagramWaitingBytesMax: number };
  readonly counters: Counters;
  readonly log: Pick<Log, "warn">;
  readonly now: () => number;
}

/** How long a datagram waits for others. At 10 commits per second, an fsync costs little. */
const GATHER_MS = 100;
const KERNEL_DROPS_INTERVAL_MS = 1_000;
/** Interval of log lines about losses. */
const LOG_INTERVAL_MS = 60_000;
const RETRY_MS = 250;
/** While the gateway stops, a batch is not sent again for longer than this. */
const RETRY_AT_STOP_MS = 1_000;

export class DatagramService implements Service {
  readonly #options: DatagramServiceOptions;
  readonly #waiting: WaitingDatagrams;
  readonly #sockets: DatagramSocket[] = [];
  readonly #losses: Losses;
  #onFault: (error: unknown) => void = () => undefined;
  #gather: Timer | undefined;
  #poll: Timer | undefined;
  #running: Promise<void> | undefined;
  #kernelDrops = 0;
  #tooLarge = 0;
  #overflowed = 0;
  #stopping = false;

  constructor(options: DatagramServiceOptions) {
    this.#options = options;
    this.#waiting = new WaitingDatagrams(options.settings.datagramWaitingBytesMax);
    this.#losses = new Losses(options);
  }

  get urls(): readonly string[] {
    return this.#sockets.map(({ url }) => url);
  }

  async start(onFault: (error: unknown) => void): Promise<void> {
    this.#onFault = onFault;
    this.#stopping = false;
    const { addresses, settings } = this.#options;
    for (const address of addresses) {
      const onDatagram = (bytes: Uint8Array, from: number, length: number) =>
        this.#onDatagram(bytes, from, length);
      this.#sockets.push(
        await openDatagramSocket(address, settings.datagramBufferBytes, { onDatagram, onFault }),
      );
    }
    if (addresses.length > 0) this.#poll = setInterval(() => this.#noteDrops(), KERNEL_DROPS_INTERVAL_MS);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) await socket.readRest();
    clearInterval(this.#poll);
    this.#noteDrops();
    for (const socket of this.#sockets.splice(0)) socket.close();
    this.#kernelDrops = 0;
    this.#stopping = true;
    clearTimeout(this.#gather);
    this.#run();
    await this.#running;
    this.#losses.log("now");
  }

  #onDatagram(bytes: Uint8Array, from: number, length: number): void {
    if (length > DATAGRAM_BYTES_MAX) {
      this.#tooLarge++;
    } else if (!this.#waiting.add(bytes, from, length, this.#options.now() * 1_000)) {
      this.#overflowed++;
    } else if (this.#running === undefined) {
      if (this.#waiting.isFull) this.#run();
      else this.#gather ??= setTimeout(() => this.#run(), GATHER_MS);
    }
  }

  /** Passes on what waits, one batch after the other. */
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
    for (let segment = this.#waiting.take(); segment !== undefined; segment = this.#waiting.take()) {
      for (let from = 0; from < segment.length; ) from = await this.#passOnPart(segment, from);
      this.#waiting.release(segment);
    }
  }

  /** Passes on one batch. Returns the index of the first datagram that is not in it. */
  async #passOnPart(segment: DatagramSegment, from: number): Promise<number> {
    const { decoder, counters, protocol } = this.#options;
    let next = from;
    try {
      do {
        next = decoder.decode(segment, next);
        await otherWork();
      } while (next < segment.length && !decoder.isFull);
      const { batch, skipped } = decoder.take();
      counters.datagramsReceived.inc({ protocol }, next - from);
      for (const [type, count] of skipped ?? []) counters.messagesSkipped.inc({ protocol, type }, count);
      if (batch.length > 0 || batch.rejected.length > 0) {
        const ack = await this.#push(batch);
        this.#losses.noteRejected(ack.rejected);
      }
    } catch (error) {
      // A decoder that throws would do so again.
      if (next === from) next = segment.length;
      this.#losses.noteDropped("not_stored", next - from);
      this.#onFault(error);
    }
    return next;
  }

  /** Pushes a batch until ingest has room for it. */
  async #push(batch: Batch): Promise<Ack> {
    let leftMs = RETRY_AT_STOP_MS;
    for (;;) {
      try {
        return await this.#options.ingest.push(batch);
      } catch (error) {
        // Nothing of the batch was stored, so it can be sent again.
        const isForNow = error instanceof Busy || error instanceof Unavailable;
        if (this.#stopping) leftMs -= RETRY_MS;
        if (!isForNow || leftMs <= 0) throw error;
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  /** Counts what the kernel and this service dropped since the last call. */
  #noteDrops(): void {
    let kernel = 0;
    for (const socket of this.#sockets) kernel += socket.droppedByKernel();
    this.#losses.noteDropped("receive_buffer", Math.max(0, kernel - this.#kernelDrops));
    this.#losses.noteDropped("waiting", this.#overflowed);
    this.#losses.noteDropped("too_large", this.#tooLarge);
    this.#kernelDrops = kernel;
    this.#overflowed = this.#tooLarge = 0;
    this.#losses.log("if due", { datagramBufferBytes: this.#sockets[0]?.bufferBytes });
  }
}

/** Resolves when the event loop has done what waited, such as reading the sockets. */
function otherWork(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type LossesOptions = Pick<DatagramServiceOptions, "protocol" | "counters" | "log" | "now">;

/** Counts what was lost, and logs it once a minute at most: a sender may cause thousands of losses per second. */
class Losses {
  readonly #options: LossesOptions;
  #dropped = new Map<string, number>();
  #rejected = new Map<string, number>();
  #firstReason: string | undefined;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(options: LossesOptions) {
    this.#options = options;
  }

  noteDropped(cause: string, count: number): void {
    if (count === 0) return;
    const { counters, protocol } = this.#options;
    counters.datagramsDropped.inc({ protocol, cause }, count);
    this.#dropped.set(cause, (this.#dropped.get(cause) ?? 0) + count);
  }

  /** Ingest has counted them. */
  noteRejected(rejected: readonly Rejection[]): void {
    for (const { cause, reason } of rejected) {
      this.#rejected.set(cause, (this.#rejected.get(cause) ?? 0) + 1);
      this.#firstReason ??= reason;
    }
    this.log("if due");
  }

  log(when: "if due" | "now", buffer: Readonly<Record<string, number | undefined>> = {}): void {
    const { log, now, protocol } = this.#options;
    if (this.#dropped.size === 0 && this.#rejected.size === 0) return;
    if (when === "if due" && now() - this.#loggedMs < LOG_INTERVAL_MS) return;
    this.#loggedMs = now();
    if (this.#dropped.size > 0) {
      log.warn("datagrams were lost", { protocol, ...Object.fromEntries(this.#dropped), ...buffer });
      this.#dropped = new Map();
    }
    if (this.#rejected.size === 0) return;
    const causes = Object.fromEntries(this.#rejected);
    log.warn("samples of datagrams were rejected", { protocol, ...causes, first: this.#firstReason });
    this.#rejected = new Map();
    this.#firstReason = undefined;
  }
}
