/**
 * The head: the samples of gauges and cumulative series that were committed last, in memory that threads share. A query over
 * recent hours finds them there the first time that it is asked, and reads no rows.
 *
 * Rows are added to a tail after their commit. When the tail is long, it becomes a chunk, in which the samples of each series
 * are together and in order, and chunks become larger ones. If the head has more than it may, the oldest chunk is dropped.
 *
 * What the head has of a series is noted per series. All rows of a series that is new are here. Of another series, those are
 * here that are newer than its newest one when the head learned of it. So the head has, for each series, all samples after a
 * time, or nothing.
 */
import { SeriesColumn } from "../../../model/memory/series-column.ts";
import type { Rows, Series } from "../../../model/sample.ts";
import { Slices } from "../catalog/slices.ts";
import { joinedChunk, tailChunk } from "./head-chunks.ts";
import { bytesOfChunk, type SampleChunk, type SampleTail, samplesOfChunk } from "./sample-chunks.ts";
import { SharedRows } from "./shared-columns.ts";
import { TailRoom } from "./tail-by-slot.ts";

export interface HeadOptions {
  readonly registry: {
    readonly nextId: number;
    seriesById(seriesId: number): Series | undefined;
  };
  readonly now: () => number;
  /**
   * Microseconds since the epoch: no stored sample of a gauge or a cumulative series is newer. -Infinity if it has none. Without
   * the function, only series that are new are kept.
   */
  readonly newestUs?: (seriesId: number) => number;
  /** A tail of this length becomes a chunk; TAIL_ROWS if absent. */
  readonly tailRows?: number;
}

/** 2.7 MB. A query passes over them in 0.3 ms. */
const TAIL_ROWS = 131_072;
/** A tail with this share of the rows becomes a chunk after some time. */
const TAIL_SHARE_MIN = 1 / 8;
const TAIL_MS = 5 * 60_000;
/** The number of chunks that are joined to one. */
const JOINED_CHUNKS = 8;
/** A chunk with the samples of this many tails is not joined with others, because a whole chunk is dropped at a time. */
const TAILS_OF_CHUNK = 7;
/** A query over a day finds all of it, if there is room. */
const KEPT_MS = 25 * 3_600_000;

/** What is noted of a series: the head has all of its samples after a time, or this. */
const UNKNOWN = -1;
const NEVER = Number.POSITIVE_INFINITY;

interface HeadChunk {
  readonly chunk: SampleChunk;
  readonly bytes: number;
  /** The time of the newest sample. */
  readonly lastMs: number;
}

export class HeadSamples {
  readonly #options: HeadOptions;
  #since = new SeriesColumn(UNKNOWN);
  #tail = new SharedRows();
  /** Whether somebody may be reading the tail. */
  #isTailRead = false;
  /** Memory of a tail that nobody reads. */
  #spare: SharedRows | undefined;
  readonly #room = new TailRoom();
  #chunks: readonly HeadChunk[] = [];
  /** Samples up to this time are not here. */
  #afterMs = Number.NEGATIVE_INFINITY;
  /** Series with this id, or a greater one, had no rows when the head began. */
  #newFromId: number;
  #madeMs: number;
  #making: Promise<void> | undefined;
  /** How often everything was forgotten. */
  #forgotten = 0;

  constructor(options: HeadOptions) {
    this.#options = options;
    this.#newFromId = options.registry.nextId;
    this.#madeMs = options.now();
  }

  /** Bytes of all samples. */
  get bytes(): number {
    const rows = this.#tail.bytes + (this.#spare?.bytes ?? 0);
    return this.#chunks.reduce((sum, { bytes }) => sum + bytes, rows);
  }

  /** Whether all samples of a series after a time are here. */
  has(seriesId: number, afterMs: number): boolean {
    if (afterMs < this.#afterMs) return false;
    const since = this.#since.get(seriesId);
    return since !== UNKNOWN && since <= afterMs;
  }

  /** The samples of all series. */
  read(): { readonly chunks: readonly SampleChunk[]; readonly tail: SampleTail } {
    this.#isTailRead = true;
    return { chunks: this.#chunks.map(({ chunk }) => chunk), tail: this.#tail.read() };
  }

  /** Resolves when no chunk is being made. */
  async settled(): Promise<void> {
    while (this.#making !== undefined) await this.#making;
  }

  /** Adds rows that were committed. */
  add({ length, seriesId, timestampUs, value, stale }: Rows): void {
    const since = this.#since;
    const tail = this.#tail;
    const afterMs = this.#afterMs;
    for (let row = 0; row < length; row++) {
      const id = seriesId[row]!;
      let sinceMs = since.get(id);
      if (sinceMs === UNKNOWN) sinceMs = this.#begin(id);
      const timestampMs = timestampUs[row]! / 1_000;
      if (timestampMs > sinceMs && timestampMs > afterMs)
        tail.add(id, timestampMs, value[row]!, stale?.[row] === 1);
    }
    this.#age();
  }

  /** Drops the oldest chunk. Returns false if there is none. */
  dropOldest(): boolean {
    const [oldest, ...others] = this.#chunks;
    if (oldest === undefined) return false;
    this.#afterMs = Math.max(this.#afterMs, oldest.lastMs);
    this.#chunks = others;
    return true;
  }

  /** Samples up to a time are not needed any more, or do not exist. */
  dropUpTo(timeMs: number): void {
    this.#afterMs = Math.max(this.#afterMs, timeMs);
    while (this.#chunks.length > 0 && this.#chunks[0]!.lastMs <= timeMs) this.dropOldest();
  }

  /** Samples were deleted, or may have been missed. */
  forget(): void {
    this.#forgotten++;
    this.#since = new SeriesColumn(UNKNOWN);
    this.#tail = new SharedRows();
    this.#chunks = [];
    this.#newFromId = this.#options.registry.nextId;
  }

  /** Begins with a series. Returns the time after which all of its samples are here. */
  #begin(seriesId: number): number {
    const { registry, newestUs } = this.#options;
    const kind = registry.seriesById(seriesId)?.metric.kind;
    let sinceMs = NEVER;
    if (kind === "gauge" || kind === "cumulative") {
      if (seriesId >= this.#newFromId) sinceMs = Number.NEGATIVE_INFINITY;
      else if (newestUs !== undefined) sinceMs = newestUs(seriesId) / 1_000;
    }
    this.#since.set(seriesId, sinceMs);
    return sinceMs;
  }

  get #tailRows(): number {
    return this.#options.tailRows ?? TAIL_ROWS;
  }

  #age(): void {
    const nowMs = this.#options.now();
    const { length } = this.#tail;
    if (length < this.#tailRows * TAIL_SHARE_MIN || this.#making !== undefined) return;
    if (length < this.#tailRows && Math.abs(nowMs - this.#madeMs) < TAIL_MS) return;
    this.#madeMs = nowMs;
    this.#making = this.#make().finally(() => {
      this.#making = undefined;
    });
  }

  async #make(): Promise<void> {
    while (this.#chunks.length > 0 && this.#chunks[0]!.lastMs <= this.#options.now() - KEPT_MS)
      this.dropOldest();
    const tail = this.#tail.read();
    const forgotten = this.#forgotten;
    const made = await this.#whole(tailChunk(tail, this.#room));
    // Everything can also be forgotten between the last step and this line.
    if (made === undefined || forgotten !== this.#forgotten) return;
    this.#nextTail(tail.length);
    this.#chunks = [...this.#chunks, made];
    const full = TAILS_OF_CHUNK * this.#tailRows;
    const young = this.#chunks.findLastIndex(({ chunk }) => samplesOfChunk(chunk) >= full) + 1;
    const joined = this.#chunks.slice(young);
    if (joined.length < JOINED_CHUNKS) return;
    const one = await this.#whole(joinedChunk(joined.map(({ chunk }) => chunk)));
    // The oldest of them can have been dropped meanwhile.
    if (one !== undefined && this.#chunks.includes(joined[0]!))
      this.#chunks = [...this.#chunks.slice(0, this.#chunks.indexOf(joined[0]!)), one];
  }

  /** Begins a tail with the rows that came since the first ones became a chunk. */
  #nextTail(done: number): void {
    const before = this.#tail;
    this.#tail = this.#spare ?? new SharedRows();
    this.#spare = undefined;
    this.#tail.addAll(before.read(), done);
    if (!this.#isTailRead) {
      before.clear();
      this.#spare = before;
    }
    this.#isTailRead = false;
  }

  /** Makes a chunk while other work runs. Undefined if everything was forgotten meanwhile. */
  async #whole(steps: Generator<void, SampleChunk, undefined>): Promise<HeadChunk | undefined> {
    const forgotten = this.#forgotten;
    const slices = new Slices();
    // Not in the turn of the commit, whose pushes wait for their answer.
    await slices.pause();
    for (;;) {
      if (forgotten !== this.#forgotten) return undefined;
      const step = steps.next();
      if (step.done === true) {
        const chunk = step.value;
        return { chunk, bytes: bytesOfChunk(chunk), lastMs: newestOf(chunk) };
      }
      slices.count(STEPS_OF_SLICE);
      if (slices.isDue) await slices.pause();
    }
  }
}

/** The clock is read after each step: it is a millisecond. */
const STEPS_OF_SLICE = 64;

function newestOf({ timestampsMs }: SampleChunk): number {
  return timestampsMs.reduce((newest, each) => Math.max(newest, each), Number.NEGATIVE_INFINITY);
}
