/**
 * Keeps the rows of events as codes, so that a query over a day of them does not read them again. A code is the step of the
 * grid at which a row counts, and the bucket of its value: 4 bytes per row. Counts and buckets need nothing else. The codes
 * of a series are in no particular order.
 *
 * The series of a metric are read when they are first asked for, up to a moment between two commits. From that moment each
 * committed row is added, whatever its time is, before its push is answered. So the codes are those of exactly the rows that
 * are stored. If rows are deleted, or may have been missed, everything is forgotten and read again when it is asked for.
 * Nothing of it is stored.
 */
import { dayOf, type Metric, type Rows, type Series } from "../../../model/sample.ts";
import { faultOf } from "../../../store/engine/faults.ts";
import { statement } from "../../../store/statements.ts";
import type { Reader, Store } from "../../../store/store.ts";
import { Slices } from "../catalog/slices.ts";
import { rangesOf } from "./cell-build.ts";
import { CodeChunks, type CodeColumns, codeScale, type CodeScale } from "./code-chunks.ts";

/** What codes need of the registry (src/series/registry.ts). */
interface CodeRegistry {
  seriesById(seriesId: number): Series | undefined;
}

export interface EventCodesOptions {
  readonly store: Pick<Store, "reader" | "days" | "numbering" | "incompleteReaders">;
  readonly registry: CodeRegistry;
  /**
   * Runs an action between two commits, when all committed rows are in the tables.
   *
   * @throws if they cannot be moved there
   */
  readonly atRest: <T>(action: () => T) => Promise<T>;
  readonly observationStepMs: number;
  readonly now: () => number;
  readonly onFault?: (error: unknown) => void;
  /** Memory of all codes. */
  readonly codeBytesMax?: number;
}

/** What is asked for: the rows after a time, which is a multiple of the step. */
export interface CodesAsked {
  readonly afterMs: number;
}

/** 16 million rows: eight days of 2 million. */
const BYTES_MAX = 64 * 1_048_576;
const BYTES_PER_ROW = 4;
/** Metrics that were not asked for are forgotten after this time. */
const UNUSED_MS = 15 * 60_000;
const AGE_INTERVAL_MS = 60_000;
/** After a fault rows are read for this time. */
const AFTER_FAULT_MS = 60_000;
/** Slots of metrics are in pages by the id of a series: ids of one store can be years apart. */
const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;
/** The slot of series that are not kept. */
const NONE = 0;
const SLOTS_MAX = 65_536;

interface KeptMetric {
  readonly slot: number;
  readonly scale: CodeScale;
  /** Ascending, with +Inf. */
  readonly bounds: Float64Array;
  /** Rows at this step and before it are not kept. */
  readonly afterStep: number;
  readonly series: Set<number>;
  readonly codes: CodeChunks;
  askedMs: number;
}

export class EventCodes {
  readonly #options: EventCodesOptions;
  readonly #stepUs: number;
  readonly #kept = new Map<Metric, KeptMetric>();
  /** By slot. */
  #metrics: (Metric | undefined)[] = [undefined];
  /** Slots of metrics that are not kept any more. A metric that is read again and again must not use up the numbers. */
  #freeSlots: number[] = [];
  #pages: (Uint16Array | undefined)[] = [];
  /** Series are read for one query at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #reader: Reader | undefined;
  /** Changes when everything is forgotten. */
  #epoch = 0;
  #agedMs = 0;
  #faultMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: EventCodesOptions) {
    this.#options = options;
    this.#stepUs = options.observationStepMs * 1_000;
  }

  /** Bytes of all codes. */
  get bytes(): number {
    return this.#kept.values().reduce((sum, { codes }) => sum + codes.bytes, 0);
  }

  /** The codes of series of observations; undefined if their rows have to be read. */
  async read(seriesIds: Iterable<number>, { afterMs }: CodesAsked): Promise<CodeColumns | undefined> {
    const { now, observationStepMs, store, codeBytesMax: most = BYTES_MAX } = this.#options;
    const asked = new Map<Metric, number[]>();
    for (const id of seriesIds) {
      const metric = this.#options.registry.seriesById(id)?.metric;
      if (metric?.kind !== "observation") return undefined;
      asked.getOrInsertComputed(metric, () => []).push(id);
    }
    const afterStep = Math.floor(afterMs / observationStepMs);
    const known = this.#known(asked, afterStep);
    if (known !== undefined) return known;
    const firstDay = dayOf(afterMs * 1_000);
    const rows = store
      .days()
      .reduce((sum, { day, rows, packed }) => sum + (day >= firstDay ? rows - packed : 0), 0);
    if (rows * BYTES_PER_ROW > most || now() - this.#faultMs < AFTER_FAULT_MS) return undefined;
    const turn = this.#turn.then(async () => {
      for (const [metric, ids] of asked) await this.#keep(metric, ids, afterStep);
      return this.#known(asked, afterStep);
    });
    this.#turn = turn.catch(() => {});
    try {
      return await turn;
    } catch (error) {
      if (!this.#isClosed) this.#options.onFault?.(error);
      this.#faultMs = now();
      return undefined;
    } finally {
      this.#makeRoom();
    }
  }

  /** Adds rows that were committed, before anyone learns that they were. */
  add({ length, seriesId, timestampUs, value, stale }: Rows): void {
    if (this.#kept.size === 0) return;
    for (let row = 0; row < length; row++) {
      const id = seriesId[row]!;
      const slot = this.#pages[id >>> PAGE_BITS]?.[id & (PAGE_IDS - 1)] ?? NONE;
      if (slot === NONE || stale?.[row] === 1) continue;
      const metric = this.#metrics[slot]!;
      const kept = this.#kept.get(metric)!;
      const step = Math.ceil(timestampUs[row]! / this.#stepUs);
      if (step <= kept.afterStep) continue;
      const code = kept.scale.codeOf(step, kept.bounds, value[row]!);
      if (code === undefined) this.#drop(metric);
      else kept.codes.add(id, code);
    }
    this.#age();
    this.#makeRoom();
  }

  /** Rows were deleted, or may have been missed: everything is forgotten. */
  forget(): void {
    this.#epoch++;
    this.#reader?.interrupt();
    this.#kept.clear();
    this.#metrics = [undefined];
    this.#freeSlots = [];
    this.#pages = [];
  }

  /** The days before `firstDay` were dropped. Codes that can be of rows of them are forgotten. */
  dropBefore(firstDay: number): void {
    const { observationStepMs: stepMs } = this.#options;
    if (this.#kept.values().some(({ afterStep }) => dayOf(afterStep * stepMs * 1_000) < firstDay))
      this.forget();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.forget();
    await this.#turn;
  }

  /** The codes of series if all of them are kept since a step. */
  #known(asked: ReadonlyMap<Metric, readonly number[]>, afterStep: number): CodeColumns | undefined {
    const chunks: CodeColumns["chunks"][number][] = [];
    const nowMs = this.#options.now();
    for (const [metric, ids] of asked) {
      const kept = this.#kept.get(metric);
      if (kept === undefined || kept.afterStep > afterStep) return undefined;
      if (!ids.every((id) => kept.series.has(id))) return undefined;
      kept.askedMs = nowMs;
      for (const chunk of kept.codes.read()) chunks.push({ ...chunk, ...kept.scale.columns });
    }
    return { chunks };
  }

  /** Reads the series that are not kept. */
  async #keep(metric: Metric, seriesIds: readonly number[], afterStep: number): Promise<void> {
    const known = this.#kept.get(metric);
    const isEarlier = known !== undefined && afterStep < known.afterStep;
    if (known !== undefined && !isEarlier) {
      const missing = seriesIds.filter((id) => !known.series.has(id));
      if (missing.length > 0) await this.#readInto(metric, missing, () => this.#kept.get(metric));
      return;
    }
    const { observationStepMs, now } = this.#options;
    const bounds = Float64Array.from([...metric.buckets, Number.POSITIVE_INFINITY]);
    const scale = codeScale(bounds.length, observationStepMs, now());
    if (scale === undefined || afterStep < scale.baseStep) return;
    const all = new Set([...(known?.series ?? []), ...seriesIds]);
    this.#drop(metric);
    await this.#readInto(metric, [...all], () => {
      const slot = this.#freeSlots.pop() ?? this.#metrics.length;
      if (slot >= SLOTS_MAX) return undefined;
      this.#metrics[slot] = metric;
      const kept = {
        ...{ slot, scale, bounds, afterStep },
        series: new Set<number>(),
        codes: new CodeChunks(),
        askedMs: now(),
      };
      this.#kept.set(metric, kept);
      return kept;
    });
  }

  /** Reads the rows of some series of a metric into what `begin` returns. It is called between two commits. */
  async #readInto(
    metric: Metric,
    seriesIds: readonly number[],
    begin: () => KeptMetric | undefined,
  ): Promise<void> {
    const { store, atRest, observationStepMs } = this.#options;
    const epoch = this.#epoch;
    const begun = await atRest(() => {
      if (this.#isClosed || epoch !== this.#epoch) return undefined;
      const kept = begin();
      // From here on their rows are added as they are committed.
      if (kept !== undefined) for (const id of seriesIds) this.#setSlot(id, kept.slot);
      // Samples in blocks are not in the tables of days.
      const days = store.days().map(({ day, table, rows, packed }) => ({ day, table, rows: rows - packed }));
      return kept && { kept, days, numbering: store.numbering };
    });
    if (begun === undefined) return;
    const { kept, days, numbering } = begun;
    const isCurrent = () => this.#kept.get(metric) === kept;
    const slices = new Slices();
    try {
      const reader = await store.reader();
      this.#reader = reader;
      try {
        const afterMs = kept.afterStep * observationStepMs;
        for (const day of days) {
          for (const range of rangesOf(day, afterMs)) {
            if (!isCurrent()) return;
            await this.#readDay(reader, day, range, seriesIds, kept, slices);
          }
        }
      } finally {
        this.#reader = undefined;
        reader.close();
      }
      if (!isCurrent()) return;
      // Rows became blocks meanwhile, so the numbers of rows are those of other rows.
      if (store.numbering !== numbering) this.#drop(metric);
      else for (const id of seriesIds) kept.series.add(id);
    } catch (error) {
      // A part of the series would be without their rows.
      if (!isCurrent()) return;
      this.#drop(metric);
      if (faultOf(error) !== "day dropped") throw error;
    }
  }

  async #readDay(
    reader: Reader,
    { table, rows }: { readonly table: string; readonly rows: number },
    { afterMs, toMs }: { readonly afterMs: number; readonly toMs: number },
    seriesIds: readonly number[],
    { scale, bounds, codes }: KeptMetric,
    slices: Slices,
  ): Promise<void> {
    const parameters = {
      ...{ rows, stepUs: this.#stepUs, baseStep: scale.baseStep },
      afterUs: afterMs * 1_000,
      toUs: toMs * 1_000,
      seriesIds: `[${seriesIds.join(",")}]`,
    };
    const sql = statement("query/promql_event_steps", { table });
    await reader.scanLists(sql, parameters, async (keys, begins, lengths, lists) => {
      const [steps, values] = lists as readonly [Uint32Array, Float64Array];
      const made = new Uint32Array(new SharedArrayBuffer(values.length * BYTES_PER_ROW));
      for (let at = 0; at < made.length; at++) {
        made[at] = scale.codeFrom(steps[at]!, bounds, values[at]!);
        if (slices.isDue) await slices.pause();
      }
      codes.addChunk({ seriesIds: keys, begins, lengths, codes: made });
    });
  }

  #setSlot(seriesId: number, slot: number): void {
    const at = seriesId >>> PAGE_BITS;
    this.#pages[at] ??= new Uint16Array(PAGE_IDS);
    this.#pages[at]![seriesId & (PAGE_IDS - 1)] = slot;
  }

  #age(): void {
    const nowMs = this.#options.now();
    if (Math.abs(nowMs - this.#agedMs) < AGE_INTERVAL_MS) return;
    this.#agedMs = nowMs;
    for (const [metric, { askedMs }] of [...this.#kept]) if (nowMs - askedMs > UNUSED_MS) this.#drop(metric);
  }

  /** Forgets the metrics that were not asked for the longest, until the others fit. */
  #makeRoom(): void {
    const { codeBytesMax: most = BYTES_MAX } = this.#options;
    while (this.bytes > most) {
      const [oldest] = [...this.#kept].sort(([, a], [, b]) => a.askedMs - b.askedMs);
      if (oldest === undefined) return;
      this.#drop(oldest[0]);
    }
  }

  #drop(metric: Metric): void {
    const kept = this.#kept.get(metric);
    if (kept === undefined) return;
    this.#kept.delete(metric);
    this.#metrics[kept.slot] = undefined;
    this.#freeSlots.push(kept.slot);
    for (const page of this.#pages) {
      if (page === undefined) continue;
      for (let at = 0; at < PAGE_IDS; at++) if (page[at] === kept.slot) page[at] = NONE;
    }
  }
}
