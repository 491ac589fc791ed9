/**
 * Sends batches. Fresh batches are sent as they come, up to four at a time. While the gateway is away they go to the
 * backlog. The backlog is sent beside fresh batches, one at a time, oldest first, so that it never delays what is new.
 *
 * A batch is in exactly one place: pending (not encoded yet), in a request, or in the backlog. A request without an answer
 * after a second also has its batch in the spool, so that a killed worker loses little.
 */
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import { retryDelayMs } from "./backoff.ts";
import { type Backlog, MEMORY_FULL, NO_ADDRESS } from "./backlog.ts";
import type { ClientCounts } from "./client-counts.ts";
import type { ClientSettings } from "./options.ts";
import { type PushResult, pushBatch } from "./push-request.ts";
import type { RecordedSample } from "./recorder.ts";
import { type SealedBatch, sealBatch, sealBatchSync } from "./sealed-batch.ts";

const REQUESTS_MAX = 4;
/** A gateway answers in milliseconds. After this a request is slow: its batch is spooled, and the next ones do not wait. */
const SLOW_MS = 1_000;
/** Keys of stored batches that are remembered. */
const ANSWERED_MAX = 1_000;

interface PendingSamples {
  readonly samples: readonly RecordedSample[];
  readonly bytes: number;
}

export interface SenderParts {
  readonly settings: ClientSettings;
  readonly backlog: Backlog;
  readonly counts: ClientCounts;
}

export class Sender {
  readonly #parts: SenderParts;
  /** Not encoded yet, oldest first. */
  #pending: PendingSamples[] = [];
  #pendingSamples = 0;
  #pendingBytes = 0;
  /** Being encoded. */
  #sealing: PendingSamples | undefined;
  /** Batches that are neither acknowledged nor in the spool nor in the backlog's memory. */
  readonly #loose = new Set<SealedBatch>();
  /** The keys of the batches that were stored last. */
  readonly #answered = new Set<string>();
  readonly #requests = new Set<Promise<void>>();
  #pumping: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #isScheduled = false;
  #isEnding = false;

  /** Attempts in a row that failed; 0 while the gateway answers. */
  #failures = 0;
  #failedAtMs = 0;
  /** Until then the gateway asked for a pause (performance.now()). */
  #pauseUntilMs = 0;
  #isSlow = false;
  #batchMs = 0;
  #wake: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  get isAway(): boolean {
    return this.#failures > 0;
  }

  /** Samples that are in memory here, the backlog's excluded. */
  get samplesInMemory(): number {
    let loose = 0;
    for (const { samples } of this.#loose) loose += samples;
    return this.#pendingSamples + (this.#sealing?.samples.length ?? 0) + loose;
  }

  /** Takes samples to send. Returns at once; drops the oldest samples if the memory is full. */
  add(samples: readonly RecordedSample[], bytes: number): void {
    this.#pending.push({ samples, bytes });
    this.#pendingSamples += samples.length;
    this.#pendingBytes += bytes;
    const { settings, backlog, counts } = this.#parts;
    backlog.trim(this.#pendingSamples, this.#pendingBytes);
    while (
      this.#pending.length > 1 &&
      (this.#pendingSamples > settings.memorySamplesMax || this.#pendingBytes > settings.memoryBytesMax)
    )
      counts.lose("memory_full", this.#shift().samples.length, MEMORY_FULL);
    // Encoding takes a millisecond or two: not within the worker's call.
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#pump();
    });
  }

  /** Sends the backlog, if the gateway is not away. */
  drain(): void {
    this.#draining ??= this.#drain()
      .catch((error: unknown) => this.#reportFault(error))
      .finally(() => {
        this.#draining = undefined;
      });
  }

  /**
   * Encodes what is pending, and waits for the requests with fresh batches, at most until the deadline (as
   * `performance.now()`).
   *
   * @param isRetried true: if the gateway is away, it is tried once, unless it asked for a pause. Else it is tried only for
   *   samples that nothing but the memory has
   */
  async settle(deadlineMs: number, isRetried: boolean): Promise<void> {
    const settled = this.#settle(isRetried).catch((error: unknown) => this.#reportFault(error));
    // This timer keeps the process alive until then.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const expired = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, deadlineMs - performance.now()));
    });
    await Promise.race([settled, expired]);
    clearTimeout(timer);
  }

  async #settle(isRetried: boolean): Promise<void> {
    await this.#pump();
    while (this.#requests.size > 0) await Promise.all(this.#requests);
    const { backlog } = this.#parts;
    if (this.isAway && (isRetried || backlog.inMemory.samples > 0)) {
      if (performance.now() < this.#pauseUntilMs) return;
      await this.#probe();
    }
    while (backlog.inMemory.samples > 0 && !this.isAway && !this.#isEnding) {
      this.drain();
      await this.#draining;
    }
  }

  /** Stops sending the backlog. Fresh batches are still sent, until `abandon`. */
  end(): void {
    this.#isEnding = true;
    clearTimeout(this.#wake);
  }

  /**
   * Everything that is only in memory, encoded without waiting; it is in memory no longer. A request in progress goes on,
   * with the same key.
   */
  abandon(): readonly SealedBatch[] {
    const batches = [...this.#loose, ...this.#parts.backlog.takeAllInMemory(), ...this.#sealAll()];
    this.#loose.clear();
    return batches;
  }

  /** Writes everything that is only in memory to the spool without waiting, and sends it nevertheless. */
  spoolNow(): void {
    const { backlog } = this.#parts;
    const unsent = [...backlog.takeAllInMemory(), ...this.#sealAll()];
    for (const batch of [...this.#loose, ...unsent])
      if (backlog.putHeldSync(batch)) this.#loose.delete(batch);
      else this.#loose.add(batch);
    this.#start(this.#sendAll(unsent));
  }

  async #sendAll(batches: readonly SealedBatch[]): Promise<void> {
    for (const batch of batches) {
      if (this.isAway) await this.#parts.backlog.put(batch);
      else await this.#finish(batch, await this.#push(batch));
      this.#loose.delete(batch);
    }
  }

  /** Encodes what is pending, without waiting. */
  #sealAll(): readonly SealedBatch[] {
    const { settings, counts } = this.#parts;
    const all = this.#sealing === undefined ? this.#pending : [this.#sealing, ...this.#pending];
    // An empty one only asks for a batch with the client's own counters.
    const rest = all.filter(({ samples }) => samples.length > 0);
    this.#sealing = undefined;
    this.#pending = [];
    this.#pendingSamples = 0;
    this.#pendingBytes = 0;
    return rest.map(({ samples }, index) => {
      const own = index === rest.length - 1 ? counts.takeIncrements() : [];
      return sealBatchSync(samples, { labels: settings.labels, nowMs: this.#batchTime(), own });
    });
  }

  /** The time of the next batch: later than that of the one before, so that batches have an order. */
  #batchTime(): number {
    const nowMs = Date.now();
    // A clock that was set back is followed.
    this.#batchMs = nowMs > this.#batchMs - 60_000 ? Math.max(nowMs, this.#batchMs + 1) : nowMs;
    return this.#batchMs;
  }

  #shift(): PendingSamples {
    const first = this.#pending.shift()!;
    this.#pendingSamples -= first.samples.length;
    this.#pendingBytes -= first.bytes;
    return first;
  }

  /** Encodes and sends what is pending, in order. */
  #pump(): Promise<void> {
    this.#pumping ??= this.#pumpAll()
      .catch((error: unknown) => this.#reportFault(error))
      .finally(() => {
        this.#pumping = undefined;
      });
    return this.#pumping;
  }

  async #pumpAll(): Promise<void> {
    const { settings, counts, backlog } = this.#parts;
    while (this.#pending.length > 0) {
      const next = this.#shift();
      this.#sealing = next;
      // A batch of the backlog may be dropped, and the counts in it with it.
      const own = this.isAway || this.#pending.length > 0 ? [] : counts.takeIncrements();
      if (next.samples.length === 0 && own.length === 0) continue;
      const batch = await sealBatch(next.samples, { labels: settings.labels, nowMs: this.#batchTime(), own });
      // `abandon` took it meanwhile.
      if (this.#sealing !== next) {
        counts.giveBack(own);
        continue;
      }
      this.#sealing = undefined;
      this.#loose.add(batch);
      if (!this.isAway && !this.#isSlow && this.#requests.size >= REQUESTS_MAX) await this.#anyRequest();
      if (this.isAway || this.#requests.size >= REQUESTS_MAX) await this.#keep(batch);
      else this.#start(this.#sendFresh(batch));
    }
    if (!backlog.isEmpty && !this.isAway) this.drain();
  }

  #start(request: Promise<void>): void {
    const started = request
      .catch((error: unknown) => this.#reportFault(error))
      .finally(() => this.#requests.delete(started));
    this.#requests.add(started);
  }

  /** Waits until a request ends, or until the gateway is found to be slow. */
  async #anyRequest(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const slow = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#isSlow = true;
        resolve();
      }, SLOW_MS);
    });
    await Promise.race([...this.#requests, slow]);
    clearTimeout(timer);
  }

  /** Moves a loose batch to the backlog. */
  async #keep(batch: SealedBatch): Promise<void> {
    await this.#parts.backlog.put(batch);
    this.#loose.delete(batch);
  }

  async #sendFresh(batch: SealedBatch): Promise<void> {
    const { backlog } = this.#parts;
    let spooling: Promise<void> | undefined;
    const slow = setTimeout(() => {
      this.#isSlow = true;
      spooling = backlog.putHeld(batch).then((isSpooled) => {
        if (isSpooled) this.#loose.delete(batch);
      });
    }, SLOW_MS);
    const result = await this.#push(batch);
    clearTimeout(slow);
    // Its file must be there before it can be deleted.
    await spooling;
    await this.#finish(batch, result);
    this.#loose.delete(batch);
  }

  async #drain(): Promise<void> {
    while (!this.isAway && !this.#isEnding) {
      const batch = await this.#parts.backlog.take("oldest");
      if (batch === undefined) return;
      await this.#sendKept(batch);
      // Between two batches nothing keeps the process alive: its end does not wait for the backlog.
      await new Promise<void>((resolve) => setTimeout(resolve, 1).unref());
    }
  }

  /** Tries the gateway with one batch, the newest, after it was away. */
  async #probe(): Promise<void> {
    const batch = await this.#parts.backlog.take("newest");
    if (batch === undefined) this.#recover();
    else await this.#sendKept(batch);
  }

  async #sendKept(batch: SealedBatch): Promise<void> {
    if (!this.#parts.backlog.isSpooled(batch)) this.#loose.add(batch);
    await this.#finish(batch, await this.#push(batch));
    this.#loose.delete(batch);
  }

  /** Sends a batch once. */
  async #push(batch: SealedBatch): Promise<PushResult> {
    const { settings, counts } = this.#parts;
    if (settings.pushUrl === undefined)
      return { kind: "refused", status: NO_ADDRESS, reason: "no address (option url)" };
    const startedMs = performance.now();
    counts.requests++;
    const result = await pushBatch(batch, settings);
    if (result.kind === "retry") {
      counts.requestsFailed++;
      this.#fail(result.reason, result.retryAfterMs, startedMs);
    } else this.#recover();
    return result;
  }

  /** Puts a batch where it belongs after its request. */
  async #finish(batch: SealedBatch, result: PushResult): Promise<void> {
    const { backlog, counts } = this.#parts;
    if (result.kind === "retry") {
      // After the end, `abandon` has taken what was in memory only.
      if (!this.#isEnding) await backlog.put(batch);
    } else if (result.kind === "refused") {
      await backlog.refuse(batch, result.status, result.reason);
    } else {
      if (!this.#isFirstAnswer(batch)) return await backlog.done(batch);
      const rejected = Math.min(result.rejected, batch.samples);
      counts.stored += batch.samples - rejected;
      counts.rejected += rejected;
      if (rejected > 0)
        counts.report(
          "rejected",
          `the gateway rejected ${rejected} samples of a batch: ${result.reason ?? "no reason"}`,
        );
      await backlog.done(batch);
    }
  }

  /** A batch whose file is written while it is sent from memory can be sent twice. It is stored once, and counts once. */
  #isFirstAnswer({ key }: SealedBatch): boolean {
    if (this.#answered.has(key)) return false;
    this.#answered.add(key);
    if (this.#answered.size > ANSWERED_MAX) this.#answered.delete(this.#answered.values().next().value!);
    return true;
  }

  #fail(reason: string, retryAfterMs: number | undefined, startedMs: number): void {
    const { settings, counts } = this.#parts;
    counts.report("gateway_away", `the gateway at ${settings.pushUrl} is away: ${reason}`);
    // Requests that ran at the same time fail together: that is one failure.
    if (startedMs < this.#failedAtMs) return;
    this.#failedAtMs = performance.now();
    this.#failures++;
    const delayMs = retryDelayMs(settings, this.#failures, retryAfterMs, Math.random());
    this.#pauseUntilMs = retryAfterMs === undefined ? 0 : performance.now() + delayMs;
    clearTimeout(this.#wake);
    if (this.#isEnding) return;
    this.#wake = setTimeout(() => this.#start(this.#probe()), delayMs).unref();
  }

  #reportFault(error: unknown): void {
    this.#parts.counts.report("fault", `the client has a fault: ${String(error)}`);
  }

  #recover(): void {
    this.#failures = 0;
    this.#isSlow = false;
    clearTimeout(this.#wake);
    if (!this.#isEnding && !this.#parts.backlog.isEmpty) this.drain();
  }
}
