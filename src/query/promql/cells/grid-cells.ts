/**
 * Keeps the rows of events that are asked for again and again as cells of the grid, so that a rule does not read and
 * count the rows of its range at each evaluation.
 *
 * A series is kept from its second query on. From one moment between two commits, each committed row is added to its
 * cell. The rows that were stored before that moment are read once, in the background. Then the cells contain each row
 * exactly once, whenever it came and whatever its time is. If rows are deleted or rewritten, everything is forgotten,
 * and built again when it is asked for. Nothing of it is stored.
 *
 * Series that are new get cells without reading, if others of their metric have some: all their rows come from now on.
 */
import { dayOf, type Metric, type Rows, type Series } from "../../../model/sample.ts";
import type { Store } from "../../../store/store.ts";
import type { FollowedRegistry } from "../catalog/series-index.ts";
import { CellBuild, type StoredPart } from "./cell-build.ts";
import { type CellColumns, type CellsAsked, columnsOf } from "./cell-columns.ts";
import type { CellRoom } from "./cell-list.ts";
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
}

export interface GridCellsOptions {
  readonly store: Pick<Store, "reader" | "days">;
  readonly registry: CellRegistry;
  /**
   * Runs an action between two commits, when all committed rows are in the tables.
   *
   * @throws if they cannot be moved there
   */
  readonly atRest: <T>(action: () => T) => Promise<T>;
  readonly observationStepMs: number;
  readonly seriesIdleMs: number;
  readonly now: () => number;
  readonly onFault?: (error: unknown) => void;
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
/** Metrics that were not asked for are forgotten after this time: as long as some groups' interval. */
const UNUSED_MS = 15 * 60_000;
/** A metric that does not fit is read from its rows for this time. */
const TOO_LARGE_MS = 10 * 60_000;
/** After a fault rows are read for this time, and then cells are tried again. */
const AFTER_FAULT_MS = 60_000;
/** How often cells become coarse, and unused ones are forgotten. */
const AGE_INTERVAL_MS = 60_000;
/** Series that are asked for at once: 125 MB to send, if all have rows in each step. Mostly there are some hundred. */
const SERIES_AT_ONCE = 5_000;
const UNKNOWN = 0;
const UNTRACKED = 1;
/** Slots of series are in pages by id: ids of one store can be years apart. */
const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;

interface TrackedMetric {
  readonly bounds: Float64Array;
  readonly series: Map<number, TrackedSeries>;
  /** Series with this id, or a greater one, had no rows when the first series of the metric was kept. */
  readonly newFromId: number;
  askedMs: number;
}

export class GridCells {
  readonly #options: GridCellsOptions;
  readonly #stepUs: number;
  readonly #room: CellRoom = { bytes: 0 };
  readonly #metrics = new Map<Metric, TrackedMetric>();
  /** By slot. */
  #series: (TrackedSeries | undefined)[] = [undefined, undefined];
  #freeSlots: number[] = [];
  /** By id: UNKNOWN, UNTRACKED, or a slot. */
  #pages: (Uint32Array | undefined)[] = [];
  /** By id: when it was first asked for. */
  readonly #asked = new Map<number, number>();
  readonly #tooLargeUntil = new WeakMap<Metric, number>();
  #build: CellBuild | undefined;
  #agedMs = 0;
  #faultMs = Number.NEGATIVE_INFINITY;
  /** Never decreases, even if the clock is set back: older rows are in coarse cells. */
  #fineFromMax = 0;
  #isClosed = false;

  constructor(options: GridCellsOptions) {
    this.#options = options;
    this.#stepUs = options.observationStepMs * 1_000;
  }

  /** Bytes of all cells. */
  get bytes(): number {
    return this.#room.bytes;
  }

  /** Resolves when no series is being read into cells. */
  async settled(): Promise<void> {
    while (this.#build !== undefined) await this.#build.done;
  }

  /**
   * The cells of series. Undefined if they have to be read from rows. Series that are asked for again and again are kept
   * from now on.
   */
  read(seriesIds: Iterable<number>, asked: CellsAsked): CellColumns | undefined {
    const { observationStepMs: stepMs, seriesIdleMs, now } = this.#options;
    const nowMs = now();
    if (this.#isClosed || !mayHaveCells(asked.baseMs, nowMs, stepMs, seriesIdleMs)) return undefined;
    if (asked.baseMs / stepMs + 1 < this.#fineFrom()) return undefined;
    const found: { seriesId: number; tracked: TrackedSeries }[] = [];
    const missing: number[] = [];
    for (const seriesId of seriesIds) {
      const tracked = this.#series[this.#slotOf(seriesId)];
      if (tracked === undefined) missing.push(seriesId);
      else found.push({ seriesId, tracked });
    }
    for (const metric of new Set(found.map(({ seriesId }) => this.#metricOf(seriesId))))
      if (metric !== undefined) metric.askedMs = nowMs;
    this.#want(missing, nowMs);
    if (missing.length > 0 || found.some(({ tracked }) => !tracked.isComplete)) return undefined;
    return found.length > SERIES_AT_ONCE ? undefined : columnsOf(found, asked, stepMs);
  }

  /** Adds rows that were committed, before anyone learns that they were. */
  add({ length, seriesId, timestampUs, value, stale }: Rows): void {
    if (this.#metrics.size === 0) return;
    for (let row = 0; row < length; row++) {
      const id = seriesId[row]!;
      let slot = this.#slotOf(id);
      if (slot === UNTRACKED) continue;
      if (slot === UNKNOWN) slot = this.#slotOfNew(id);
      if (slot !== UNTRACKED && stale?.[row] !== 1)
        this.#series[slot]!.add(Math.ceil(timestampUs[row]! / this.#stepUs), value[row]!);
    }
    this.#age();
    this.#makeRoom();
  }

  /** Rows were deleted, or may have been missed: everything is forgotten. */
  forget(): void {
    this.#build?.cancel();
    this.#build = undefined;
    for (const metric of [...this.#metrics.keys()]) this.#drop(metric);
    this.#pages = [];
    this.#series = [undefined, undefined];
    this.#freeSlots = [];
  }

  /** The days before `firstDay` were dropped. Only cells that contain rows of them are forgotten. */
  dropBefore(firstDay: number): void {
    if (dayOf(this.#coarseFromMs() * 1_000) < firstDay) this.forget();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const build = this.#build;
    this.forget();
    await build?.done;
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

  #track(metric: TrackedMetric, seriesId: number): TrackedSeries {
    const tracked = new TrackedSeries(metric.bounds, this.#fineFrom(), this.#room);
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
  #want(seriesIds: readonly number[], nowMs: number): void {
    const again: number[] = [];
    for (const id of seriesIds) {
      const firstMs = this.#asked.get(id);
      if (firstMs === undefined || nowMs - firstMs > AGAIN_BEFORE_MS) {
        if (this.#asked.size >= ASKED_MAX) this.#asked.clear();
        this.#asked.set(id, nowMs);
      } else if (nowMs - firstMs >= AGAIN_AFTER_MS) again.push(id);
    }
    if (again.length === 0 || this.#build !== undefined || nowMs - this.#faultMs < AFTER_FAULT_MS) return;
    const build = new CellBuild(this.#options.store, this.#options.observationStepMs);
    this.#build = build;
    void build
      .run(
        async () => await this.#options.atRest(() => this.#begin(again, build)),
        () => this.#makeRoom(),
      )
      .catch((error: unknown) => {
        if (build.isCanceled) return;
        this.forget();
        this.#faultMs = this.#options.now();
        this.#options.onFault?.(error);
      })
      .finally(() => {
        if (this.#build === build) this.#build = undefined;
      });
  }

  /** Begins to add the rows of some series, between two commits. Returns the rows that are stored already. */
  #begin(seriesIds: readonly number[], build: CellBuild): StoredPart {
    const { registry, store, now } = this.#options;
    const nowMs = now();
    const begun = new Map<number, TrackedSeries>();
    for (const id of build.isCanceled ? [] : seriesIds) {
      this.#asked.delete(id);
      const metric = registry.seriesById(id)?.metric;
      if (metric === undefined || (this.#tooLargeUntil.get(metric) ?? 0) > nowMs) continue;
      let kept = this.#metrics.get(metric);
      if (kept === undefined) {
        kept = { ...boundsAndIds(metric, registry), series: new Map(), askedMs: nowMs };
        this.#metrics.set(metric, kept);
      }
      if (!kept.series.has(id)) begun.set(id, this.#track(kept, id));
    }
    const days = store.days().map(({ day, table, rows }) => ({ day, table, rows }));
    return { series: begun, afterMs: this.#coarseFromMs(), days };
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
    for (const [metric, { series, askedMs }] of [...this.#metrics]) {
      if (nowMs - askedMs > UNUSED_MS) {
        this.#drop(metric);
        continue;
      }
      for (const each of series.values()) each.age(fineFrom, coarseFrom);
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

function boundsAndIds(metric: Metric, registry: CellRegistry): Pick<TrackedMetric, "bounds" | "newFromId"> {
  const bounds = metric.kind === "observation" ? [...metric.buckets, Number.POSITIVE_INFINITY] : [];
  let newFromId = 0;
  for (const { name, series } of registry.metrics()) {
    if (name !== metric.name) continue;
    const all = series.values();
    for (let next = all.next(); next.done !== true; next = all.next())
      newFromId = Math.max(newFromId, (next.value as Series).seriesId + 1);
  }
  return { bounds: Float64Array.from(bounds), newFromId };
}
