/**
 * Sends the rows of the store to one destination, in two lanes: what is new at once, and what is left from before beside it,
 * the newest day first. So a destination that returns after an outage shows the present within seconds. With the order
 * `oldest-first` there is one lane, which sends everything in the order of its arrival.
 *
 * A lane sends one range of rows at a time. Ranges of both lanes never overlap.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { OpenRange, RowRange } from "../../model/records.ts";
import type { Day } from "../../store/store.ts";
import type { ForwardStore } from "../outbox/stored-rows-reader.ts";
import { type Epoch, type Outbox, RowsRenumbered } from "../outbox/outbox.ts";
import { countOf, firstGap, withRange } from "../outbox/row-ranges.ts";
import { settledWithin } from "../sending/grace.ts";

/** New rows gather for at least so long: a move of the journal costs the same for few rows and for many. */
const GATHER_MS = 1_000;
/** After a fault of the gateway itself. */
const FAULT_PAUSE_MS = 1_000;
/** If more than a range of new rows waits, this part of a range is still new, and the rest is left to the other lane. */
const FRESH_SHARE = 1 / 4;

/** Rows that are sent together. */
export interface SentRows {
  readonly day: Day;
  readonly range: RowRange;
  /** The key of the request, if the sink has keys. */
  readonly key: string;
  /**
   * Call it when the rows have been read.
   *
   * @throws RowsRenumbered if samples were deleted since the range was chosen
   */
  readonly requireCurrent: () => void;
}

/** Where rows are sent. */
export interface RowSink {
  /** Rows of one range. */
  readonly rowsMax: number;
  /**
   * Whether a range is noted before it is sent. It is then sent again with the same key after a kill.
   * The key of a request that begins now.
   */
  readonly newKey?: (range: RowRange) => string | Promise<string>;
  /**
   * Resolves when each row was taken or given up. Rejects with the reason of `stop`, with a fault, or with `RowsTooMany`.
   */
  send(rows: SentRows, stop: AbortSignal): Promise<void>;
}

/**
 * The destination refuses a request with a key because it has too many rows. Two requests with half of the rows replace it. Each gets
 * a key of its own, since the key of a request stands for all of its rows.
 */
export class RowsTooMany extends Error {
  override readonly name = "RowsTooMany";
}

export interface RowLanesParts {
  readonly outbox: Outbox;
  /** The name of the destination and of its stream in the outbox. */
  readonly stream: string;
  readonly store: ForwardStore;
  readonly sink: RowSink;
  readonly order: "newest-first" | "oldest-first";
  /** How long new rows gather, unless there are enough of them. Each time, the journal moves to its tables. */
  readonly gather: { readonly ms: number; readonly rows: number };
  readonly onFault: (error: Error) => void;
}

type Lane = "fresh" | "backlog";

/** What a lane sends, with its key if it was noted before. */
interface Next {
  readonly day: Day;
  readonly range: RowRange;
  readonly key?: string;
}

export class RowLanes {
  readonly #parts: RowLanesParts;
  /** No further range is sent. */
  readonly #stopping = new AbortController();
  /** The requests of the ranges that are being sent are cancelled. */
  readonly #cancelling = new AbortController();
  /** By day: rows from this id on are new. Of days without a number all are. */
  readonly #freshFrom = new Map<number, number>();
  /** By day: ranges that are being sent. */
  readonly #sending = new Map<number, RowRange[]>();
  #wake = Promise.withResolvers<void>();
  #running: Promise<unknown> = Promise.resolve();
  /** New rows since the last ones were sent. */
  #noted = 0;

  constructor(parts: RowLanesParts) {
    this.#parts = parts;
  }

  start(): void {
    for (const { day, rows } of this.#parts.store.days()) this.#freshFrom.set(day, rows);
    const lanes: Lane[] = this.#parts.order === "oldest-first" ? ["backlog"] : ["fresh", "backlog"];
    this.#running = Promise.all(lanes.map((lane) => this.#run(lane)));
  }

  /** @param graceMs how long the ranges that are being sent may still take. Nobody knows whether cancelled requests were taken */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort(new Stopped());
    this.#wake.resolve();
    await settledWithin(this.#running, graceMs);
    this.#cancelling.abort(new Stopped());
    await this.#running;
  }

  /** There may be new rows. */
  noteRows(rows = 0): void {
    this.#noted += rows;
    this.#wake.resolve();
  }

  /** Rows that were not sent, of those that are in tables. */
  get unsentRows(): number {
    const { outbox, stream, store } = this.#parts;
    return store
      .days()
      .reduce((sum, { day, rows }) => sum + Math.max(0, rows - outbox.sentRows(stream, day)), 0);
  }

  async #run(lane: Lane): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const woken = this.#wake.promise;
      let hasSent = false;
      const isRight = await this.#guarded(async (epoch) => {
        // Rows of the journal move to their tables.
        await this.#parts.store.moveJournal();
        if (epoch !== this.#parts.outbox.epoch) return;
        const next = this.#next(lane);
        if (next === undefined) return;
        hasSent = true;
        await this.#begin(next, epoch);
      });
      if (hasSent || !isRight) continue;
      await woken;
      if (this.#wake.promise === woken) this.#wake = Promise.withResolvers();
      await this.#gathered(signal);
    }
  }

  async #gathered(signal: AbortSignal): Promise<void> {
    const { ms, rows } = this.#parts.gather;
    const endMs = performance.now() + ms;
    do {
      const leftMs = endMs - performance.now();
      await pause(Math.max(0, Math.min(GATHER_MS, leftMs)), undefined, { signal }).catch(() => undefined);
    } while (!signal.aborted && this.#noted < rows && performance.now() < endMs);
    this.#noted = 0;
  }

  /** Runs an action until it succeeds or the lanes stop. Returns false after a fault. */
  async #guarded(action: (epoch: Epoch) => Promise<void>): Promise<boolean> {
    const { outbox, onFault } = this.#parts;
    const { signal } = this.#stopping;
    try {
      signal.throwIfAborted();
      await outbox.ready();
      await action(outbox.epoch);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (error instanceof RowsRenumbered) {
        this.noteRows();
        return false;
      }
      onFault(error as Error);
      await pause(FAULT_PAUSE_MS, undefined, { signal }).catch(() => undefined);
      // The other lane may have to send it.
      this.noteRows();
      return false;
    }
  }

  async #begin({ day, range, key: known }: Next, epoch: Epoch): Promise<void> {
    const { outbox, stream, sink } = this.#parts;
    const ranges = this.#sending.get(day.day) ?? [];
    this.#sending.set(day.day, [...ranges, range]);
    try {
      let key = known ?? "";
      if (known === undefined && sink.newKey !== undefined) {
        key = await sink.newKey(range);
        await outbox.begin(stream, day.day, [...range, key] as OpenRange, epoch);
      }
      await this.#send(day, range, key, epoch);
    } finally {
      const left = this.#sending.get(day.day)!.filter((each) => each !== range);
      this.#sending.set(day.day, left);
    }
  }

  async #send(day: Day, range: RowRange, key: string, epoch: Epoch): Promise<void> {
    const { outbox, stream, sink } = this.#parts;
    const requireCurrent = () => {
      if (epoch !== outbox.epoch) throw new RowsRenumbered();
    };
    try {
      await sink.send({ day, range, key, requireCurrent }, this.#cancelling.signal);
    } catch (error) {
      if (!(error instanceof RowsTooMany) || sink.newKey === undefined) throw error;
      const middle = (range[0] + range[1]) >>> 1;
      const parts: OpenRange[] = [];
      for (const [from, to] of [
        [range[0], middle],
        [middle, range[1]],
      ] as const)
        parts.push([from, to, await sink.newKey([from, to])]);
      await outbox.divide(stream, day.day, range, parts, epoch);
      // The lane of the backlog sends them.
      return this.noteRows();
    }
    await outbox.acknowledge(stream, day.day, range, epoch);
  }

  /** What a lane sends next. Requests without an answer, of before a kill or a fault, come first, in the lane of the backlog. */
  #next(lane: Lane): Next | undefined {
    const { outbox, stream, store, sink, order } = this.#parts;
    const days = store.days();
    for (const day of order === "oldest-first" ? days : days.toReversed()) {
      const { sent, open = [] } = outbox.of(stream, day.day);
      const sending = this.#sending.get(day.day) ?? [];
      if (lane === "backlog") {
        const left = open.find(([from]) => !sending.some(([first]) => first === from));
        if (left !== undefined) return { day, range: [left[0], left[1]], key: left[2] };
      }
      let taken = [...sent];
      for (const [from, to] of [...open, ...sending]) taken = withRange(taken, [from, to]);
      const freshFrom = order === "oldest-first" ? day.rows : this.#freshOf(day, taken);
      const range =
        lane === "fresh"
          ? firstGap(taken, freshFrom, day.rows, sink.rowsMax)
          : firstGap(taken, 0, freshFrom, sink.rowsMax);
      if (range !== undefined) return { day, range };
    }
    return undefined;
  }

  /** Where the new rows of a day begin. If too many wait, only the newest are still new. */
  #freshOf({ day, rows }: Day, taken: readonly RowRange[]): number {
    const { rowsMax } = this.#parts.sink;
    let from = this.#freshFrom.get(day) ?? 0;
    // A deletion made the table shorter.
    if (from > rows) from = rows;
    const waiting =
      rows - from - countOf(taken.map(([first, end]) => [Math.max(first, from), Math.max(end, from)]));
    if (waiting > rowsMax) {
      from = rows - Math.ceil(rowsMax * FRESH_SHARE);
      this.#freshFrom.set(day, from);
    }
    return from;
  }
}

/** The lanes stop. What was not acknowledged is sent after the next start. */
class Stopped extends Error {
  override readonly name = "Stopped";
}
