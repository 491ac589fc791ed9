/**
 * Sends events as the counters and histograms that /metrics shows, on the grid of `observationStepMs`, as if they were scraped
 * at each instant.
 *
 * - **The value** of a counter at the end of the rows that were sent is its running total here, less the rows that were not
 *   sent. So it needs no copy on the disk, is the same after a restart, and never decreases.
 * - **The instant** of a row is the end of its step, or the next one that the series was not sent for, if the row is late.
 *   So the samples of each series are sent in the order of time, also while a backlog is sent. Counters have one lane.
 * - **Once per instant**: what a pass sends is noted before it is sent, and is the same after a kill. So no instant has two
 *   values.
 * - **In between**: the value is repeated at each instant for five minutes after an increase, as scrapes would repeat it, so
 *   that rates are the same. Then it is repeated every four minutes, within the look-back of Prometheus, as long as /metrics
 *   shows it, and one step before the next increase.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { RowRange } from "../../model/records.ts";
import type { Metric, Series } from "../../model/sample.ts";
import { type Epoch, type Outbox, RowsRenumbered } from "../outbox/outbox.ts";
import type { Day } from "../../store/store.ts";
import { settledWithin } from "../sending/grace.ts";
import { type ForwardStore, readRows } from "../outbox/stored-rows-reader.ts";
import { Count, CountedRows } from "./counted-rows.ts";
import { DoubleDouble } from "./double-double.ts";

/** The value of one series at one instant. */
export interface CounterPoint {
  readonly series: Series;
  readonly ms: number;
  readonly count: number;
  readonly sum: number;
  /** Of observations: counts by bucket, not cumulative. */
  readonly buckets: Float64Array;
}

/** What the stream needs of the running totals. */
export interface CounterTotals {
  total(
    seriesId: number,
  ): { count: number; sum: number; sumLow: number; buckets: Float64Array; arrivedUs: number } | undefined;
}

export interface CounterStreamParts {
  readonly outbox: Outbox;
  readonly stream: string;
  readonly store: ForwardStore;
  readonly totals: CounterTotals;
  /** The series that are stored now. */
  readonly series: () => Iterable<Series>;
  readonly kinds: () => Iterable<Pick<Metric, "kind">>;
  readonly seriesById: (seriesId: number) => Series | undefined;
  /** See `Ingest.atRest`. */
  readonly atRest: <T>(action: () => T) => Promise<T>;
  /** Resolves when each value was taken or given up. */
  readonly send: (points: readonly CounterPoint[], stop: AbortSignal) => Promise<void>;
  readonly stepMs: number;
  readonly idleMs: number;
  readonly now: () => number;
  readonly onFault: (error: Error) => void;
}

/** Rows that are counted before anything of them is sent. */
const UNIT_ROWS = 200_000;
/** How long after an increase the value is sent for each instant. */
const FILL_MS = 300_000;
/** Less than the look-back of Prometheus (5 minutes). */
const REPEAT_MS = 240_000;
/** How often the clock is looked at. */
const TICK_MS = 250;
const FAULT_PAUSE_MS = 1_000;
/** Values that are sent together. */
const POINTS_MAX = 5_000;

/** What was sent of a series, and what was counted. */
interface Sent {
  readonly total: Count;
  /** The newest instant that was sent, ms. */
  lastMs: number;
  /** The instant of its last increase, ms. */
  changedMs: number;
  /** Whether `total` has rows that were not sent. */
  isDue: boolean;
}

export class CounterStream {
  readonly #parts: CounterStreamParts;
  /** No further rows are read. */
  readonly #stopping = new AbortController();
  /** Requests are cancelled. */
  readonly #cancelling = new AbortController();
  #running: Promise<void> = Promise.resolve();
  readonly #sent = new Map<Series, Sent>();
  #isAnchored = false;
  /** By day: the rows that were counted. */
  readonly #cursors = new Map<number, number>();
  #epoch: Epoch = 0;
  /** The newest instant of all series. */
  #lastMs = 0;
  #tickedMs = 0;

  constructor(parts: CounterStreamParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** @param graceMs how long the values that are being sent may still take */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort(new Error("the stream stops"));
    await settledWithin(this.#running, graceMs);
    this.#cancelling.abort(new Error("the stream stops"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { outbox, onFault } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await outbox.ready();
        if (!this.#isAnchored || this.#epoch !== outbox.epoch) await this.#anchor();
        if (this.#instantMs() > this.#tickedMs) await this.#tick();
      } catch (error) {
        if (signal.aborted) return;
        this.#isAnchored = false;
        if (!(error instanceof RowsRenumbered)) onFault(error as Error);
        await pause(FAULT_PAUSE_MS, undefined, { signal }).catch(() => undefined);
        continue;
      }
      await pause(TICK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Days were dropped: their rows count as sent, so that later values have them. */
  dropBefore(firstDay: number): void {
    for (const day of [...this.#cursors.keys()]) {
      if (day >= firstDay) continue;
      this.#cursors.delete(day);
      this.#isAnchored = false;
    }
  }

  /** Computes the value of each series at the end of what was sent: its running total, less the rows behind it. */
  async #anchor(): Promise<void> {
    const { outbox, stream, store, totals, series: all, seriesById, atRest, stepMs } = this.#parts;
    const { epoch } = outbox;
    const sent = this.#sent;
    sent.clear();
    this.#isAnchored = true;
    const days = await atRest(() => {
      for (const series of all()) {
        const { kind } = series.metric;
        if (kind !== "observation" && kind !== "delta") continue;
        const found = totals.total(series.seriesId);
        if (found === undefined) continue;
        const total = new Count(series.metric);
        total.count = found.count;
        total.sum.addSum(new DoubleDouble(found.sum, found.sumLow));
        total.buckets.set(found.buckets);
        sent.set(series, { total, lastMs: 0, changedMs: found.arrivedUs / 1_000, isDue: false });
      }
      return store.days().map((day) => ({ ...day }));
    });
    if (epoch !== outbox.epoch) throw new RowsRenumbered();
    const behind = new CountedRows(stepMs, seriesById);
    let lastMs = 0;
    this.#cursors.clear();
    for (const day of days) {
      const record = outbox.of(stream, day.day);
      const cursor = record.sent[0]?.[1] ?? 0;
      lastMs = Math.max(lastMs, record.lastMs ?? 0);
      this.#cursors.set(day.day, cursor);
      if (!this.#hasEvents()) continue;
      for (let from = cursor; from < day.rows; from += UNIT_ROWS)
        await readRows(store, day, [from, Math.min(day.rows, from + UNIT_ROWS)], behind.add);
    }
    for (const [series, count] of behind.totals()) sent.get(series)?.total.addAll(count, -1);
    for (const each of sent.values()) each.lastMs = lastMs;
    this.#lastMs = lastMs;
    this.#epoch = epoch;
  }

  /** The instant of the grid that was last. */
  #instantMs(): number {
    const { stepMs, now } = this.#parts;
    return Math.floor(now() / stepMs) * stepMs;
  }

  /** Sends all rows that are stored, and repeats what was not sent for long. */
  async #tick(): Promise<void> {
    // All rows that were stored up to this instant are read below. Rows may come in after that, so nothing is repeated for a
    // later instant: these rows would count too late.
    const instantMs = this.#instantMs();
    const { store, seriesById, stepMs, outbox, stream } = this.#parts;
    await store.moveJournal();
    for (const day of store.days()) {
      for (;;) {
        this.#stopping.signal.throwIfAborted();
        if (this.#epoch !== outbox.epoch) throw new RowsRenumbered();
        const unit = await this.#nextUnit(day);
        if (unit === undefined) break;
        const rows = new CountedRows(stepMs, seriesById);
        if (this.#hasEvents()) await readRows(store, day, unit.range, rows.add);
        // They may be other rows than those of the range.
        if (this.#epoch !== outbox.epoch) throw new RowsRenumbered();
        await this.#send(this.#pointsOf(rows, unit.instantMs));
        const [, to] = unit.range;
        this.#cursors.set(day.day, to);
        await outbox.acknowledge(stream, day.day, [0, to], this.#epoch, { lastMs: this.#lastMs });
      }
    }
    await this.#repeat(instantMs);
    this.#tickedMs = instantMs;
  }

  /**
   * The next rows of a day, and the last instant at which they may count. Both are noted before anything of them is sent, and
   * are the same after a kill: otherwise rows that came in since then would count at an instant that was sent already, with
   * another value. Undefined if all rows were sent.
   */
  async #nextUnit({ day, rows }: Day): Promise<{ range: RowRange; instantMs: number } | undefined> {
    const { outbox, stream } = this.#parts;
    const from = this.#cursors.get(day) ?? 0;
    if (from >= rows) return undefined;
    const noted = outbox.of(stream, day).open?.find(([begin, end]) => begin <= from && end > from);
    if (noted !== undefined) return { range: [from, noted[1]], instantMs: Number(noted[2]) };
    const range: RowRange = [from, Math.min(rows, from + UNIT_ROWS)];
    // Some of the rows may be newer than the instant at which the pass began.
    const instantMs = this.#instantMs();
    if (this.#hasEvents()) await outbox.begin(stream, day, [...range, String(instantMs)], this.#epoch);
    return { range, instantMs };
  }

  /** Sends what is due without new rows. The instant is noted before, for the same reason. */
  async #repeat(instantMs: number): Promise<void> {
    const { outbox, stream, store } = this.#parts;
    const points = this.#repeated(instantMs);
    const first = points.next();
    const day = store.days().at(-1)?.day;
    if (first.done || day === undefined) return;
    const lastMs = Math.max(this.#lastMs, instantMs);
    await outbox.acknowledge(stream, day, [0, this.#cursors.get(day) ?? 0], this.#epoch, { lastMs });
    await this.#send(
      (function* () {
        yield first.value;
        yield* points;
      })(),
    );
  }

  /** Whether there is any series of events. */
  #hasEvents(): boolean {
    for (const { kind } of this.#parts.kinds()) if (kind === "observation" || kind === "delta") return true;
    return false;
  }

  /** Adds rows to their series. Returns the values at the instants that they belong to. */
  *#pointsOf({ bySeries }: CountedRows, instantMs: number): Generator<CounterPoint> {
    const { stepMs } = this.#parts;
    for (const [series, steps] of bySeries) {
      const sent = this.#sent.getOrInsertComputed(series, () => ({
        total: new Count(series.metric),
        lastMs: Number.NEGATIVE_INFINITY,
        changedMs: 0,
        isDue: false,
      }));
      let due: number | undefined;
      for (const step of [...steps.keys()].sort((a, b) => a - b)) {
        const ms = Math.min(Math.max(step * stepMs, sent.lastMs + stepMs), instantMs);
        // The values before the rows of a later instant.
        if (due !== undefined && due !== ms) yield this.#pointAt(series, sent, due);
        if (ms > sent.lastMs) {
          if (due !== ms) {
            yield* this.#filled(series, sent, ms - stepMs);
            if (ms - stepMs > sent.lastMs) yield this.#pointAt(series, sent, ms - stepMs);
          }
          due = ms;
          sent.changedMs = ms;
        } else sent.isDue = true;
        sent.total.addAll(steps.get(step)!);
      }
      if (due !== undefined) yield this.#pointAt(series, sent, due);
    }
  }

  /** The same value at the instants up to one, while it is repeated at each. */
  *#filled(series: Series, sent: Sent, untilMs: number): Generator<CounterPoint> {
    const { stepMs } = this.#parts;
    if (!(sent.lastMs > 0)) return;
    const endMs = Math.min(untilMs, sent.changedMs + FILL_MS);
    while (sent.lastMs + stepMs <= endMs) yield this.#pointAt(series, sent, sent.lastMs + stepMs);
  }

  /** What changed without being sent, and what the destination would soon forget. */
  *#repeated(instantMs: number): Generator<CounterPoint> {
    const { idleMs, seriesById } = this.#parts;
    for (const [series, sent] of this.#sent) {
      if (sent.lastMs >= instantMs || sent.total.count === 0) continue;
      if (seriesById(series.seriesId) === undefined) {
        this.#sent.delete(series);
        continue;
      }
      if (!sent.isDue) yield* this.#filled(series, sent, instantMs);
      const isForgotten = instantMs - sent.changedMs < idleMs && instantMs - sent.lastMs >= REPEAT_MS;
      if (sent.isDue || isForgotten) yield this.#pointAt(series, sent, instantMs);
    }
  }

  #pointAt(series: Series, sent: Sent, ms: number): CounterPoint {
    sent.lastMs = ms;
    sent.isDue = false;
    this.#lastMs = Math.max(this.#lastMs, ms);
    const { count, sum, buckets } = sent.total;
    return { series, ms, count, sum: sum.high, buckets: buckets.slice() };
  }

  async #send(points: Iterable<CounterPoint>): Promise<void> {
    let part: CounterPoint[] = [];
    const send = async () => {
      if (part.length > 0) await this.#parts.send(part, this.#cancelling.signal);
      part = [];
    };
    for (const point of points) if (part.push(point) >= POINTS_MAX) await send();
    await send();
  }
}
