/** Everything that is sent to one destination: its streams, and what is known about them. */
import type { Destination, DestinationType } from "../model/forwarding/destination.ts";
import { CounterStream, type CounterStreamParts } from "./event-counters/counter-stream.ts";
import type { Outbox } from "./outbox/outbox.ts";
import { firstGap } from "./outbox/row-ranges.ts";
import { type ForwardStore, timeOfRow } from "./outbox/stored-rows-reader.ts";
import type { DestinationStatus } from "./sending/destination-status.ts";
import { streamsOf } from "./destination-streams.ts";
import type { TotalsWithExemplars } from "./remote-write/sent-exemplars.ts";
import type { TotalsWithStart } from "./otlp/otlp-points.ts";
import { RowLanes } from "./streams/row-lanes.ts";

/** How long requests without an answer may take after a stop: their samples would be sent again after the next start. */
const GRACE_MS = 3_000;
/** The day of the record that says that a destination is known: 9999-12-31, which is never dropped. */
const LAST_DAY = 2_932_896;

export interface ForwarderParts
  extends Pick<
    CounterStreamParts,
    "totals" | "series" | "kinds" | "seriesById" | "atRest" | "stepMs" | "idleMs" | "now"
  > {
  readonly totals: CounterStreamParts["totals"] & TotalsWithStart & TotalsWithExemplars;
  readonly outbox: Outbox;
  readonly store: ForwardStore;
  readonly isAttribute: (metric: string, tag: string) => boolean;
}

/** What the API says about a destination. Times are in milliseconds since the epoch. */
export interface DestinationReport {
  readonly name: string;
  readonly type: DestinationType;
  readonly lagSamples: number;
  readonly lagSeconds: number;
  readonly sentSamples: number;
  readonly sentBytes: number;
  readonly droppedSamples: number;
  readonly lastSuccessMs?: number;
  readonly lastError?: string;
  readonly lastErrorMs?: number;
  readonly failing: boolean;
}

export class DestinationForwarder {
  readonly destination: Destination;
  readonly #parts: ForwarderParts;
  readonly #status: DestinationStatus;
  readonly #lanes: RowLanes;
  readonly #counters: CounterStream | undefined;
  /** The stream of the rows in the outbox. */
  readonly stream: string;
  #oldestMs: number | undefined;

  constructor(destination: Destination, status: DestinationStatus, parts: ForwarderParts) {
    this.destination = destination;
    this.#parts = parts;
    this.#status = status;
    const { name, order, target } = destination;
    const { outbox, store } = parts;
    const { stream, sink, order: ownOrder, sendCounters } = streamsOf(destination, status, parts);
    this.stream = `${name}/${stream}`;
    const onFault = status.failed;
    this.#lanes = new RowLanes({
      ...{ outbox, store, sink, onFault },
      stream: this.stream,
      order: ownOrder ?? order,
      gather: {
        ms: destination.batchMs,
        rows: "samplesPerRequest" in target ? target.samplesPerRequest : sink.rowsMax,
      },
    });
    if (sendCounters === undefined) return;
    this.#counters = new CounterStream({ ...parts, stream: `${name}/counters`, onFault, send: sendCounters });
  }

  /** All of its streams in the outbox. */
  get streams(): string[] {
    return this.#counters === undefined ? [this.stream] : [this.stream, `${this.destination.name}/counters`];
  }

  /** Notes what a new destination does not get: what is stored already, unless its settings say otherwise. */
  async begin(): Promise<void> {
    const { outbox, store } = this.#parts;
    const { epoch } = outbox;
    const noted = [outbox.acknowledge(`${this.destination.name}/started`, LAST_DAY, [0, 1], epoch)];
    if (!this.destination.backfill) {
      for (const { day, rows } of store.days())
        for (const stream of this.streams) noted.push(outbox.acknowledge(stream, day, [0, rows], epoch));
    }
    await Promise.all(noted);
  }

  start(): void {
    this.#lanes.start();
    this.#counters?.start();
  }

  async stop(): Promise<void> {
    // A destination that is away would take all of the time.
    const graceMs = this.#status.isFailing ? 0 : GRACE_MS;
    await Promise.all([this.#lanes.stop(graceMs), this.#counters?.stop(graceMs)]);
  }

  noteRows(rows = 0): void {
    this.#lanes.noteRows(rows);
  }

  dropBefore(firstDay: number): void {
    this.#counters?.dropBefore(firstDay);
  }

  noteDropped(rows: number): void {
    this.#status.dropped("retention", rows);
  }

  get lag(): { readonly samples: number; readonly seconds: number } {
    const samples = this.#lanes.unsentRows;
    const ageMs = samples === 0 || this.#oldestMs === undefined ? 0 : this.#parts.now() - this.#oldestMs;
    return { samples, seconds: Math.max(0, ageMs) / 1_000 };
  }

  /** Reads the time of the oldest sample that was not sent. */
  async look(): Promise<void> {
    // The earlier time is in use until the new one is read.
    this.#oldestMs = await this.#timeOfOldest();
  }

  async #timeOfOldest(): Promise<number | undefined> {
    const { outbox, store } = this.#parts;
    for (const day of store.days()) {
      const gap = firstGap(outbox.of(this.stream, day.day).sent, 0, day.rows, 1);
      if (gap !== undefined) return await timeOfRow(store, day, gap[0]);
    }
    return undefined;
  }

  get report(): DestinationReport {
    const { name, target } = this.destination;
    const { samples, seconds } = this.lag;
    const { sentSamples, sentBytes, droppedSamples, lastSuccessMs, lastError, lastErrorMs, isFailing } =
      this.#status;
    return {
      ...{ name, type: target.type, lagSamples: samples, lagSeconds: seconds },
      ...{ sentSamples, sentBytes, droppedSamples, lastSuccessMs, lastError, lastErrorMs },
      failing: isFailing,
    };
  }
}
