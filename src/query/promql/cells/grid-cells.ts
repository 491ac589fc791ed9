/**
 * Keeps the recent rows of series that are asked for again and again, so that a rule does not read the rows of its range
 * at each evaluation: events as cells of the grid, already added up, and gauges and cumulative series as samples.
 *
 * A series is kept from its second query on. From one moment between two commits, each committed row is added to its
 * cell. The rows that were stored before that moment are read once, in the background. Then the cells contain each row
 * exactly once, whenever it came and whatever its time is. If rows are deleted or rewritten, everything is forgotten,
 * and built again when it is asked for. Nothing of it is stored.
 *
 * Series that are new get cells without reading, if others of their metric have some: all their rows come from now on.
 */
import { dayOf, type Metric, type Rows, type Series } from "../../../model/sample.ts";
import type { FollowedRegistry } from "../catalog/series-index.ts";
import { Slices } from "../catalog/slices.ts";
import { CellBuild, type StoredPart, type Tracked } from "./cell-build.ts";
import { type CellColumns, type CellsAsked, columnsOf } from "./cell-columns.ts";
import type { CellRoom } from "./cell-list.ts";
import { SharedSamples, type SharedSamplesOptions } from "../shared/shared-samples.ts";
import { EventCodes, type EventCodesOptions } from "./event-codes.ts";
import { type SampleColumns, type SamplesAsked, sampleColumnsOf } from "./sample-columns.ts";
import { TrackedSamples } from "./tracked-samples.ts";
import {
  COARSE_STEPS,
  coarseOf,
  earlierOf,
  mayHaveCells,
  RECENT_MS,
  TrackedSeries,
} from "./tracked-series.ts";

/** What cells need of the registry (src/series/registry.ts). */
export interface CellRegistry extends Pick<FollowedRegistry, "metrics"> {
  seriesById(seriesId: number): Series | undefined;
  readonly nextId: number;
}

export interface GridCellsOptions
  extends EventCodesOptions,
    Pick<SharedSamplesOptions, "sharedBytesMax" | "newestUs"> {
  readonly registry: CellRegistry;
  readonly seriesIdleMs: number;
  /** Memory of all cells. */
  readonly bytesMax?: number;
}

/** 1,800 series with 16 buckets and rows in each step: 35 kB each. */
const BYTES_MAX = 64 * 1_048_576;
/** Series that a query needs again after this time, and before that one, are kept. A page asks several times at once. */
const AGAIN_AFTER_MS = 1_000;
const AGAIN_BEFORE_MS = 10 * 60_000;
/** Series that were asked for once. */
const ASKED_MAX = 20_000;
/** How long a rule waits for rows that are being read: a million rows take 0.2 to 0.5 s. */
const BUILD_WAIT_MS = 3_000;
/** Metrics that were not asked for are forgotten after this time: as long as some groups' interval. */
const UNUSED_MS = 15 * 60_000;
/** A metric that does not fit is read from its rows for this time. */
const TOO_LARGE_MS = 10 * 60_000;
/** After a fault rows are read for this time, and then cells are tried again. */
const AFTER_FAULT_MS = 60_000;
/** How often cells become coarse, and unused ones are forgotten. */
const AGE_INTERVAL_MS = 60_000;
/** Samples are kept for this time: rules mostly look back for 5 minutes. */
const SAMPLES_MS = 10 * 60_000;
/** If longer ranges are asked for again, samples are kept for this time. */
const SAMPLES_LONG_MS = RECENT_MS + 15 * 60_000;
/** Series that are asked for at once: 125 MB to send, if all have rows in each step. Mostly there are some hundred. */
const SERIES_AT_ONCE = 5_000;
/** Sorting some samples takes as long as a step of Slices. */
const SAMPLES_PER_STEP = 16;
const UNKNOWN = 0;
const UNTRACKED = 1;
/** Slots of series are in pages by id: ids of one store can be years apart. */
const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;

interface TrackedMetric {
  /** Absent if samples are kept as they are. */
  readonly bounds: Float64Array | undefined;
  readonly series: Map<number, Tracked>;
  /** Series with this id, or a greater one, had no rows when the first series of the metric was kept. */
  readonly newFromId: number;
  /** For samples: all rows after this time are kept. */
  samplesFromMs: number;
  /** For how long samples are kept. */
  readonly samplesMs: number;
  askedMs: number;
}

interface Found<Kept> {
  readonly seriesId: number;
  readonly tracked: Kept;
}

export class GridCells {
  /** The rows of events of longer ranges. */
  readonly codes: EventCodes;
  /** The samples of gauges and cumulative series that queries of people read. */
  readonly shared: SharedSamples;
  readonly #options: GridCellsOptions;
  readonly #stepUs: number;
  readonly #room: CellRoom = { bytes: 0 };
  readonly #metrics = new Map<Metric, TrackedMetric>();
  /** By slot. */
  #series: (Tracked | undefined)[] = [undefined, undefined];
  #freeSlots: number[] = [];
  /** By id: UNKNOWN, UNTRACKED, or a slot. */
  #pages: (Uint32Array | undefined)[] = [];
  /** By id: when it was first asked for. */
  readonly #asked = new Map<number, number>();
  readonly #tooLargeUntil = new WeakMap<Metric, number>();
  /** When samples before those that are kept were first asked for. */
  readonly #longAskedMs = new WeakMap<Metric, number>();
  readonly #longUntilMs = new WeakMap<Metric, number>();
  #build: CellBuild | undefined;
  #agedMs = 0;
  #faultMs = Number.NEGATIVE_INFINITY;
  /** Never decreases, even if the clock is set back: older rows are in coarse cells. */
  #fineFromMax = 0;
  #isClosed = false;

  constructor(options: GridCellsOptions) {
    this.#options = options;
    this.codes = new EventCodes(options);
    this.shared = new SharedSamples(options);
    this.#stepUs = options.observationStepMs * 1_000;
  }

  /** Bytes of all cells. */
  get bytes(): number {
    return this.#room.bytes;
  }

  /**
   * As `read` or `samples`, for a rule: it will ask again. If the rows are being read, it waits for them for a while,
   * since reading them twice at once takes longer.
   */
  async whenKept<Columns extends CellColumns | SampleColumns>(
    read: () => Promise<Columns | undefined>,
    isWhole: (columns: Columns) => boolean,
  ): Promise<Columns | undefined> {
    const untilMs = performance.now() + BUILD_WAIT_MS;
    for (;;) {
      const found = await read();
      const leftMs = untilMs - performance.now();
      if ((found !== undefined && isWhole(found)) || this.#build === undefined || leftMs <= 0) return found;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, leftMs);
      await Promise.race([this.#build.done, late.promise]);
      clearTimeout(timer);
    }
  }

  /** Resolves when no series is being read into cells. */
  async settled(): Promise<void> {
    while (this.#build !== undefined) await this.#build.done;
  }

  /**
   * The cells of series. Undefined if they have to be read from rows. Series that are asked for again and again are kept
   * from now on.
   *
   * @param isRepeated whether the caller will ask again, so that they are kept at once
   */
  read(seriesIds: Iterable<number>, asked: CellsAsked, isRepeated = false): CellColumns | undefined {
    const { observationStepMs: stepMs, seriesIdleMs, now } = this.#options;
    const nowMs = now();
    if (this.#isClosed || !mayHaveCells(asked.baseMs, nowMs, stepMs, seriesIdleMs)) return undefined;
    if (asked.baseMs / stepMs + 1 < this.#fineFrom()) return undefined;
    const { found, missing } = this.#find(seriesIds, TrackedSeries, nowMs);
    this.#want(missing, nowMs, isRepeated);
    if (missing.length > 0 || found.some(({ tracked }) => !tracked.isComplete)) return undefined;
    return found.length > SERIES_AT_ONCE ? undefined : columnsOf(found, asked, stepMs);
  }

  /**
   * The samples of those of some series that are kept. Undefined if none is. Series of other kinds than gauges and
   * cumulative ones must not be asked for.
   */
  samples(seriesIds: Iterable<number>, asked: SamplesAsked, isRepeated = false): SampleColumns | undefined {
    const nowMs = this.#options.now();
    if (this.#isClosed || !mayHaveSamples(asked.afterMs, nowMs)) return undefined;
    const { found, missing } = this.#find(seriesIds, TrackedSamples, nowMs);
    this.#want(missing, nowMs, isRepeated);
    const tooShort = new Map<Metric, number[]>();
    const kept = found.filter(({ seriesId, tracked }) => {
      const metric = this.#options.registry.seriesById(seriesId)?.metric;
      const from = metric && this.#metrics.get(metric)?.samplesFromMs;
      if (from !== undefined && from <= asked.afterMs) return tracked.isComplete;
      if (metric !== undefined) tooShort.getOrInsertComputed(metric, () => []).push(seriesId);
      return false;
    });
    for (const [metric, ids] of tooShort) this.#keepLonger(metric, ids, nowMs);
    return kept.length === 0 ? undefined : sampleColumnsOf(kept, asked);
  }

  /**
   * Sorts the samples of those of some series that have late rows, or that were just read, in slices: `samples` has no
   * pause.
   */
  async sorted(seriesIds: Iterable<number>): Promise<void> {
    const slices = new Slices();
    for (const seriesId of seriesIds) {
      const tracked = this.#series[this.#slotOf(seriesId)];
      if (!(tracked instanceof TrackedSamples) || !tracked.isComplete || tracked.isSorted) continue;
      tracked.sort();
      slices.count(tracked.length / SAMPLES_PER_STEP);
      if (slices.isDue) await slices.pause();
    }
  }

  /** Adds rows that were committed, before anyone learns that they were. */
  add(rows: Rows): void {
    this.codes.add(rows);
    this.shared.add(rows);
    const { length, seriesId, timestampUs, value, stale } = rows;
    if (this.#metrics.size === 0) return;
    for (let row = 0; row < length; row++) {
      const id = seriesId[row]!;
      let slot = this.#slotOf(id);
      if (slot === UNTRACKED) continue;
      if (slot === UNKNOWN) slot = this.#slotOfNew(id);
      if (slot !== UNTRACKED) this.#series[slot]!.add(timestampUs[row]!, value[row]!, stale?.[row] === 1);
    }
    this.#age();
    this.#makeRoom();
  }

  /** Rows were deleted, or may have been missed: everything is forgotten. */
  forget(): void {
    this.codes.forget();
    this.shared.forget();
    this.#build?.cancel();
    this.#build = undefined;
    for (const metric of [...this.#metrics.keys()]) this.#drop(metric);
    this.#pages = [];
    this.#series = [undefined, undefined];
    this.#freeSlots = [];
  }

  /** The days before `firstDay` were dropped. Only cells that contain rows of them are forgotten. */
  dropBefore(firstDay: number): void {
    this.codes.dropBefore(firstDay);
    this.shared.dropBefore(firstDay);
    if (dayOf(this.#coarseFromMs() * 1_000) < firstDay) this.forget();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const build = this.#build;
    this.forget();
    await Promise.all([build?.done, this.codes.close()]);
  }

  /** The series that are kept in a form, and the others. Notes that their metrics are asked for. */
  #find<Kept extends Tracked>(
    seriesIds: Iterable<number>,
    Form: abstract new (...parts: never[]) => Kept,
    nowMs: number,
  ): { readonly found: readonly Found<Kept>[]; readonly missing: readonly number[] } {
    const found: Found<Kept>[] = [];
    const missing: number[] = [];
    for (const seriesId of seriesIds) {
      const tracked = this.#series[this.#slotOf(seriesId)];
      if (tracked instanceof Form) found.push({ seriesId, tracked });
      else missing.push(seriesId);
    }
    for (const metric of new Set(found.map(({ seriesId }) => this.#metricOf(seriesId))))
      if (metric !== undefined) metric.askedMs = nowMs;
    return { found, missing };
  }

  /** Samples before those that are kept are asked for. If that happens again, they are read again. */
  #keepLonger(metric: Metric, seriesIds: readonly number[], nowMs: number): void {
    const firstMs = this.#longAskedMs.get(metric);
    if (firstMs === undefined || nowMs - firstMs > AGAIN_BEFORE_MS) this.#longAskedMs.set(metric, nowMs);
    else if (nowMs - firstMs >= AGAIN_AFTER_MS) {
      this.#longAskedMs.delete(metric);
      this.#longUntilMs.set(metric, nowMs + UNUSED_MS);
      this.#drop(metric);
      for (const id of seriesIds) this.#asked.set(id, firstMs);
      this.#want(seriesIds, nowMs);
    }
  }

  #slotOf(seriesId: number): number {
    return this.#pages[seriesId >>> PAGE_BITS]?.[seriesId & (PAGE_IDS - 1)] ?? UNKNOWN;
  }

  #setSlot(seriesId: number, slot: number): void {
    const at = seriesId >>> PAGE_BITS;
    this.#pages[at] ??= new Uint32Array(PAGE_IDS);
    this.#pages[at][seriesId & (PAGE_IDS - 1)] = slot;
  }

  /** The slot of a series whose first row this may be. */
  #slotOfNew(seriesId: number): number {
    const series = this.#options.registry.seriesById(seriesId);
    const metric = series && this.#metrics.get(series.metric);
    if (metric === undefined || seriesId < metric.newFromId) {
      // A series that is not of such a metric now is built from its rows if it is asked for later.
      this.#setSlot(seriesId, UNTRACKED);
      return UNTRACKED;
    }
    const tracked = this.#track(metric, seriesId);
    tracked.isComplete = true;
    return this.#slotOf(seriesId);
  }

  #track(metric: TrackedMetric, seriesId: number): Tracked {
    const tracked =
      metric.bounds === undefined
        ? new TrackedSamples(this.#room)
        : new TrackedSeries(metric.bounds, this.#stepUs, this.#fineFrom(), this.#room);
    metric.series.set(seriesId, tracked);
    const slot = this.#freeSlots.pop() ?? this.#series.length;
    this.#series[slot] = tracked;
    this.#setSlot(seriesId, slot);
    return tracked;
  }

  #metricOf(seriesId: number): TrackedMetric | undefined {
    const series = this.#options.registry.seriesById(seriesId);
    return series && this.#metrics.get(series.metric);
  }

  /** Notes which series are asked for, and keeps those that are asked for again. */
  #want(seriesIds: readonly number[], nowMs: number, isRepeated = false): void {
    const again: number[] = [];
    for (const id of seriesIds) {
      const firstMs = isRepeated ? Number.NaN : this.#asked.get(id);
      if (firstMs === undefined || nowMs - firstMs > AGAIN_BEFORE_MS) {
        if (this.#asked.size >= ASKED_MAX) this.#asked.clear();
        this.#asked.set(id, nowMs);
      } else if ((isRepeated || nowMs - firstMs >= AGAIN_AFTER_MS) && this.#mayFit(id, nowMs)) again.push(id);
    }
    if (again.length === 0 || this.#build !== undefined || nowMs - this.#faultMs < AFTER_FAULT_MS) return;
    const build = new CellBuild(this.#options.store);
    this.#build = build;
    void build
      .run(
        async () => await this.#options.atRest(() => this.#begin(again, build)),
        () => this.#makeRoom(),
      )
      .catch((error: unknown) => {
        if (build.isCanceled) {
          // Nothing else canceled it: its cells are of wrong rows.
          if (this.#build === build) this.forget();
          return;
        }
        this.forget();
        this.#faultMs = this.#options.now();
        this.#options.onFault?.(error);
      })
      .finally(() => {
        if (this.#build === build) this.#build = undefined;
      });
  }

  #mayFit(seriesId: number, nowMs: number): boolean {
    const metric = this.#options.registry.seriesById(seriesId)?.metric;
    return metric !== undefined && (this.#tooLargeUntil.get(metric) ?? 0) <= nowMs;
  }

  /** Begins to add the rows of some series, between two commits. Returns the rows that are stored already. */
  #begin(seriesIds: readonly number[], build: CellBuild): readonly StoredPart[] {
    const { registry, store, now } = this.#options;
    const nowMs = now();
    /** By the time after which rows are read. */
    const begun = new Map<number, Map<number, Tracked>>();
    const wanted = new Map<number, Metric>();
    for (const id of build.isCanceled ? [] : seriesIds) {
      this.#asked.delete(id);
      const metric = registry.seriesById(id)?.metric;
      if (metric !== undefined && (this.#tooLargeUntil.get(metric) ?? 0) <= nowMs) wanted.set(id, metric);
    }
    const unknown = new Set(wanted.values().filter((metric) => !this.#metrics.has(metric)));
    const newFrom = newFromIds(unknown, registry);
    for (const metric of unknown) this.#metrics.set(metric, this.#metric(metric, newFrom, nowMs));
    for (const [id, metric] of wanted) {
      const kept = this.#metrics.get(metric)!;
      if (kept.series.has(id)) continue;
      const afterMs = kept.bounds === undefined ? kept.samplesFromMs : this.#coarseFromMs();
      begun.getOrInsertComputed(afterMs, () => new Map()).set(id, this.#track(kept, id));
    }
    // Samples in blocks are not in the tables of days.
    const days = store.days().map(({ day, table, rows, packed }) => ({ day, table, rows: rows - packed }));
    const { numbering } = store;
    return [...begun].map(([afterMs, series]) => ({ series, afterMs, days, numbering }));
  }

  #metric(metric: Metric, newFrom: ReadonlyMap<Metric, number>, nowMs: number): TrackedMetric {
    const samplesMs = (this.#longUntilMs.get(metric) ?? 0) > nowMs ? SAMPLES_LONG_MS : SAMPLES_MS;
    return {
      bounds: boundsOf(metric),
      newFromId: newFrom.get(metric) ?? 0,
      series: new Map(),
      samplesMs,
      samplesFromMs: nowMs - samplesMs,
      askedMs: nowMs,
    };
  }

  /** The first step that has fine cells. */
  #fineFrom(): number {
    const { observationStepMs: stepMs, now } = this.#options;
    const step = Math.floor((now() - RECENT_MS) / stepMs);
    this.#fineFromMax = Math.max(this.#fineFromMax, (coarseOf(step) - 1) * COARSE_STEPS + 1);
    return this.#fineFromMax;
  }

  /** The time from which on rows are needed for the totals at the beginning of a range. */
  #coarseFromMs(): number {
    const { observationStepMs: stepMs, seriesIdleMs } = this.#options;
    return earlierOf((this.#fineFrom() - 1) * stepMs, stepMs, seriesIdleMs);
  }

  #age(): void {
    const nowMs = this.#options.now();
    if (Math.abs(nowMs - this.#agedMs) < AGE_INTERVAL_MS) return;
    this.#agedMs = nowMs;
    const fineFrom = this.#fineFrom();
    const coarseFrom = coarseOf(this.#coarseFromMs() / this.#options.observationStepMs) + 1;
    for (const [metric, kept] of [...this.#metrics]) {
      if (nowMs - kept.askedMs > UNUSED_MS) {
        this.#drop(metric);
        continue;
      }
      // Also if the clock is set back: older samples are gone.
      kept.samplesFromMs = Math.max(kept.samplesFromMs, nowMs - kept.samplesMs);
      for (const each of kept.series.values()) {
        if (each instanceof TrackedSamples) each.dropUpTo(kept.samplesFromMs * 1_000);
        else each.age(fineFrom, coarseFrom);
      }
    }
  }

  /** Forgets the metrics that were not asked for the longest, until the others fit. */
  #makeRoom(): void {
    const { bytesMax = BYTES_MAX, now } = this.#options;
    while (this.#room.bytes > bytesMax) {
      const [oldest] = [...this.#metrics].sort(([, a], [, b]) => a.askedMs - b.askedMs);
      if (oldest === undefined) return;
      // The one that is used last does not fit alone.
      if (this.#metrics.size === 1) this.#tooLargeUntil.set(oldest[0], now() + TOO_LARGE_MS);
      this.#drop(oldest[0]);
    }
  }

  #drop(metric: Metric): void {
    const kept = this.#metrics.get(metric);
    if (kept === undefined) return;
    this.#metrics.delete(metric);
    for (const [id, tracked] of kept.series) {
      const slot = this.#slotOf(id);
      this.#series[slot] = undefined;
      this.#freeSlots.push(slot);
      this.#setSlot(id, UNTRACKED);
      tracked.free();
    }
  }
}

/** Whether samples can answer a query that reads those after a time. */
export function mayHaveSamples(afterMs: number, nowMs: number): boolean {
  return afterMs >= nowMs - SAMPLES_LONG_MS;
}

/** The bounds of the cells of a metric. Undefined if its samples are kept as they are. */
function boundsOf({ kind, buckets }: Metric): Float64Array | undefined {
  if (kind === "gauge" || kind === "cumulative") return undefined;
  return Float64Array.from(kind === "observation" ? [...buckets, Number.POSITIVE_INFINITY] : []);
}

/** The first id that none of the series of a metric has, for some metrics. */
function newFromIds(wanted: ReadonlySet<Metric>, registry: CellRegistry): Map<Metric, number> {
  const byName = new Map([...wanted].map((metric) => [metric.name, metric]));
  const found = new Map<Metric, number>();
  if (byName.size === 0) return found;
  for (const { name, series } of registry.metrics()) {
    const metric = byName.get(name);
    if (metric === undefined) continue;
    let newFromId = 0;
    const all = series.values();
    for (let next = all.next(); next.done !== true; next = all.next())
      newFromId = Math.max(newFromId, (next.value as Series).seriesId + 1);
    found.set(metric, newFromId);
  }
  return found;
}
