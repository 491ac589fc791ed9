/**
 * Forwarding: sends what is stored to the destinations of the settings, each at its own pace. A destination that is slow or
 * away delays no other, and nothing that is pushed or asked here.
 */
import type { Destination } from "../model/forwarding/destination.ts";
import type { MetricsRegistry } from "../model/metrics-library.ts";
import type { RejectedRecord } from "../store/store.ts";
import type { Log } from "../log/log.ts";
import type { Service } from "../model/service.ts";
import {
  DestinationForwarder,
  type DestinationReport,
  type ForwarderParts,
} from "./destination-forwarder.ts";
import { createForwardCounters, type ForwardCounters } from "./forward-counters.ts";
import { DestinationStatus, type RefusedSample } from "./sending/destination-status.ts";

/** How often the age of the oldest sample that waits is read. */
const LOOK_INTERVAL_MS = 5_000;

export interface ForwardingParts extends ForwarderParts {
  readonly destinations: readonly Destination[];
  /** Bytes of days past retention that may be kept. */
  readonly holdBytes: number;
  /** Bytes of the file of the store. */
  readonly fileBytes: () => Promise<number>;
  /** Stores rejected samples. */
  readonly storeRejected: (rejected: readonly RejectedRecord[]) => Promise<void>;
  readonly metrics: MetricsRegistry;
  readonly log: Log;
}

export class Forwarding implements Service {
  readonly #parts: ForwardingParts;
  readonly #forwarders: readonly DestinationForwarder[];
  readonly #counters: ForwardCounters;
  #look: Timer | undefined;
  #looking: Promise<unknown> = Promise.resolve();
  /** By day: rows when the store was last looked at, for days that are dropped. */
  readonly #rows = new Map<number, number>();

  constructor(parts: ForwardingParts) {
    this.#parts = parts;
    this.#counters = createForwardCounters(parts.metrics, {
      lags: () => this.#forwarders.map((each) => [each.destination.name, each.lag] as const),
    });
    this.#forwarders = parts.destinations.map(
      (destination) => new DestinationForwarder(destination, this.#statusOf(destination), parts),
    );
  }

  #statusOf({ name: destination }: Destination): DestinationStatus {
    const { log, now, storeRejected } = this.#parts;
    const counters = this.#counters;
    return new DestinationStatus({
      now,
      onFailing: (error) => log("forward_failing", { destination, error }),
      onRecovered: (failedForMs) =>
        log("forward_recovered", { destination, seconds: Math.round(failedForMs / 1_000) }),
      onRetry: () => counters.retries.inc({ destination }),
      onSent(samples, bytes, seconds) {
        counters.sent.inc({ destination }, samples);
        counters.bytes.inc({ destination }, bytes);
        counters.seconds.observe({ destination }, seconds);
      },
      onReplaced: (samples) => counters.dropped.inc({ destination, reason: "same_time" }, samples),
      onDropped(reason, samples, first, said) {
        counters.dropped.inc({ destination, reason }, samples);
        log("forward_dropped", { destination, reason, samples, first: first[0]?.reason ?? said });
        if (first.length === 0) return;
        void storeRejected(first.map((sample) => rejectedRecord(sample, destination, now()))).catch(
          (error: unknown) =>
            log("forward_dropped", { destination, reason: "not recorded", first: String(error) }),
        );
      },
    });
  }

  /**
   * Notes what new destinations do not get, and forgets those that the settings do not have any more. Resolves when that is
   * stored. If it throws, as on a full disk, it is stored with the next acknowledgement.
   */
  async begin(): Promise<void> {
    const { outbox, log } = this.#parts;
    const known = outbox.names();
    const names = new Set(this.#forwarders.map(({ destination: { name } }) => name));
    outbox.keepOnly(names);
    for (const destination of known.difference(names)) log("forward_removed", { destination });
    const added = this.#forwarders.filter(({ destination: { name } }) => !known.has(name));
    await Promise.all(added.map((forwarder) => forwarder.begin()));
  }

  async start(): Promise<void> {
    for (const forwarder of this.#forwarders) forwarder.start();
    // What waited before the start has an age from the beginning.
    await this.#lookAtAll();
    this.#look = setInterval(() => {
      this.#looking = this.#looking.then(() => this.#lookAtAll());
    }, LOOK_INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#look);
    await this.#looking;
    await Promise.all(this.#forwarders.map((forwarder) => forwarder.stop()));
  }

  async #lookAtAll(): Promise<void> {
    // The store may be closing, or full.
    for (const forwarder of this.#forwarders) await forwarder.look().catch(() => undefined);
  }

  /** Rows were stored. */
  noteRows(rows = 0): void {
    for (const forwarder of this.#forwarders) forwarder.noteRows(rows);
  }

  /** Samples will be deleted. `forget` follows. */
  expectDeletion(): void {
    this.#parts.outbox.hold();
  }

  /** Rows will get other ids. `forget` follows. Resolves when nothing is noted by the present ids any more. */
  async expectRenumbering(): Promise<void> {
    await this.#parts.outbox.holdStill();
  }

  /** The streams of all destinations, by which what they have received is stored. */
  streams(): string[] {
    return this.#forwarders.flatMap((forwarder) => forwarder.streams);
  }

  /** Up to which row of a day all destinations have received everything. */
  receivedBefore(day: number): number {
    return Math.min(...this.streams().map((stream) => this.#parts.outbox.receivedBefore(stream, day)));
  }

  /** Samples were deleted, or have got other ids. */
  forget(): void {
    this.#parts.outbox.forget();
    this.noteRows();
  }

  /**
   * The first day that is kept, for a first day that retention keeps: days before it are held while a destination has not
   * received them, the newest first, up to `holdBytes`.
   */
  async heldFrom(firstDay: number): Promise<number> {
    const { store, holdBytes, fileBytes } = this.#parts;
    const days = store.days();
    this.#rows.clear();
    for (const { day, rows } of days) this.#rows.set(day, rows);
    const rowsOfAll = days.reduce((sum, { rows }) => sum + rows, 0);
    if (holdBytes === 0 || rowsOfAll === 0) return firstDay;
    const bytesPerRow = (await fileBytes()) / rowsOfAll;
    let held = firstDay;
    let bytes = 0;
    for (const { day, rows } of days.toReversed()) {
      if (day >= firstDay) continue;
      bytes += rows * bytesPerRow;
      if (bytes > holdBytes) break;
      if (this.#forwarders.some((forwarder) => this.#unsent(forwarder, day) > 0)) held = day;
    }
    return held;
  }

  #unsent({ stream }: DestinationForwarder, day: number): number {
    return Math.max(0, (this.#rows.get(day) ?? 0) - this.#parts.outbox.sentRows(stream, day));
  }

  /** Days were dropped. What no destination has received of them is counted. */
  dropBefore(firstDay: number): void {
    for (const forwarder of this.#forwarders) {
      for (const day of this.#rows.keys())
        if (day < firstDay) forwarder.noteDropped(this.#unsent(forwarder, day));
      forwarder.dropBefore(firstDay);
    }
    for (const day of [...this.#rows.keys()]) if (day < firstDay) this.#rows.delete(day);
    this.#parts.outbox.dropBefore(firstDay);
  }

  reports(): readonly DestinationReport[] {
    return this.#forwarders.map(({ report }) => report);
  }
}

function rejectedRecord(
  { metric, labels, reason, payload }: RefusedSample,
  destination: string,
  receivedAtMs: number,
): RejectedRecord {
  return {
    ...{ receivedAtMs, metric, labels, payload },
    protocol: "forward",
    instance: labels.instance ?? "",
    reason: `${destination}: ${reason}`,
    cause: "forward",
    // It is stored here, so it must not be pushed again.
    sample: "",
  };
}
