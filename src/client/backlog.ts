/**
 * Batches that wait for another attempt: in the spool, or in memory if there is no spool or its disk does not take them.
 * Memory is bounded: the oldest batches are dropped and counted.
 */
import type { ClientCounts } from "./client-counts.ts";
import type { SealedBatch } from "./sealed-batch.ts";
import type { SpoolFolder } from "./spool-folder.ts";

export interface BacklogOptions {
  readonly spool: SpoolFolder | undefined;
  readonly memorySamplesMax: number;
  readonly memoryBytesMax: number;
  readonly counts: ClientCounts;
}

export class Backlog {
  readonly #options: BacklogOptions;
  /** Oldest first. */
  readonly #ring: SealedBatch[] = [];
  #ringSamples = 0;
  #ringBytes = 0;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** Samples and bytes in memory. */
  get inMemory(): { readonly samples: number; readonly bytes: number } {
    return { samples: this.#ringSamples, bytes: this.#ringBytes };
  }

  get isEmpty(): boolean {
    return this.#ring.length === 0 && (this.#options.spool?.size.batches ?? 0) === 0;
  }

  isSpooled(batch: SealedBatch): boolean {
    return this.#options.spool?.has(batch) ?? false;
  }

  /** Keeps a batch. Resolves once it is on disk, or in memory. */
  async put(batch: SealedBatch): Promise<void> {
    const { spool } = this.#options;
    if (spool !== undefined && (spool.has(batch) || (await spool.put(batch)))) {
      spool.release(batch.key);
      return;
    }
    // A batch that was tried and failed is older than what came meanwhile.
    let at = this.#ring.length;
    while (at > 0 && this.#ring[at - 1]!.createdMs > batch.createdMs) at--;
    this.#ring.splice(at, 0, batch);
    this.#ringSamples += batch.samples;
    this.#ringBytes += batch.body.length;
    this.trim(0, 0);
  }

  /** Writes a batch to the spool while it is being sent. Returns false if it stays in memory only. */
  async putHeld(batch: SealedBatch): Promise<boolean> {
    const { spool } = this.#options;
    if (spool === undefined) return false;
    spool.hold(batch.key);
    return await spool.put(batch);
  }

  /** As `putHeld`, without waiting. */
  putHeldSync(batch: SealedBatch): boolean {
    const { spool } = this.#options;
    spool?.hold(batch.key);
    return spool?.putSync(batch) ?? false;
  }

  /** Drops the oldest batches in memory, until there is room for what else is in memory. */
  trim(otherSamples: number, otherBytes: number): void {
    const { memorySamplesMax, memoryBytesMax, counts } = this.#options;
    while (
      this.#ring.length > 0 &&
      (this.#ringSamples + otherSamples > memorySamplesMax || this.#ringBytes + otherBytes > memoryBytesMax)
    ) {
      const batch = this.#shift("oldest");
      counts.giveBack(batch.own);
      counts.lose("memory_full", batch.samples, MEMORY_FULL);
    }
  }

  /** The oldest or the newest batch; the caller settles it with `put`, `done` or `refuse`. */
  async take(which: "oldest" | "newest"): Promise<SealedBatch | undefined> {
    // What is only in memory is the first to be lost, so it is the first to be sent.
    if (this.#ring.length > 0) return this.#shift(which);
    return await this.#options.spool?.take(which);
  }

  /** The gateway acknowledged a batch. */
  async done(batch: SealedBatch): Promise<void> {
    await this.#options.spool?.done(batch);
  }

  /**
   * The gateway refused a batch with a status: it is kept aside in the spool, or dropped. The client's own counters alone
   * are not worth a file: they go with a later batch.
   */
  async refuse(batch: SealedBatch, status: number, reason: string): Promise<void> {
    const { spool, counts } = this.#options;
    if (batch.samples === 0 && batch.own.length > 0) {
      counts.giveBack(batch.own);
      return await this.done(batch);
    }
    if (spool !== undefined && (await spool.setAside(batch, status))) {
      counts.setAside += batch.samples;
      const message =
        status === NO_ADDRESS
          ? `the spool keeps ${batch.samples} samples aside: ${reason}`
          : `the gateway refused ${batch.samples} samples, which the spool keeps aside: ${reason}`;
      counts.report(`refused_${status}`, message);
    } else {
      counts.lost.refused += batch.samples;
      const message = `${batch.samples} samples were dropped: the gateway refused them: ${reason}`;
      if (status !== NO_ADDRESS) counts.report(`refused_${status}`, message);
      counts.giveBack(batch.own);
    }
  }

  /** Takes everything that is only in memory. */
  takeAllInMemory(): readonly SealedBatch[] {
    this.#ringSamples = 0;
    this.#ringBytes = 0;
    return this.#ring.splice(0);
  }

  #shift(which: "oldest" | "newest"): SealedBatch {
    const batch = (which === "oldest" ? this.#ring.shift() : this.#ring.pop())!;
    this.#ringSamples -= batch.samples;
    this.#ringBytes -= batch.body.length;
    return batch;
  }
}

/** Instead of a status, if the option `url` cannot be used. That is reported already. */
export const NO_ADDRESS = 0;

export const MEMORY_FULL = "the memory for samples is full (memorySamplesMax, memoryBytesMax)";
