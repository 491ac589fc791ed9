/**
 * Retention drops what is too old: days past retention with their series and totals, idempotency keys, dead letters. It
 * also forgets the metrics that a deletion has emptied.
 *
 * Nothing here may run while a commit is in progress. A drop that fails loses nothing: the series and metrics that it
 * took out of the registry end in the store with the next drop. After a failed drop the next snapshot of the totals
 * must be a whole one.
 */

import { DAY_MS } from "../model/duration.ts";
import type { Registry } from "../series/registry.ts";
import type { Dropped, Ended, Store } from "../store/store.ts";
import { countSamples } from "../store/tables/deletion.ts";
import type { NewestTimes } from "./admission/newest-times.ts";
import type { IngestOptions, SeriesOwner, TotalsSink } from "./contract.ts";
import type { IdempotencyKeys } from "./idempotency.ts";
import type { Imports } from "./imports.ts";

const NOTHING: Ended = { seriesIds: [], metrics: [] };

export interface RetentionParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly totals: TotalsSink;
  readonly keys: IdempotencyKeys;
  readonly imports: Imports;
  /** Retention keeps the series that it holds. */
  readonly owners: Pick<SeriesOwner, "holds">;
}

export class Retention {
  readonly #parts: RetentionParts;
  readonly #newest: NewestTimes;
  readonly #options: IngestOptions;
  /** The series and metrics of drops that failed. */
  #undropped = NOTHING;

  constructor(parts: RetentionParts, newest: NewestTimes, options: IngestOptions) {
    this.#parts = parts;
    this.#newest = newest;
    this.#options = options;
  }

  /** The first day that is kept. `retentionDays` includes today. */
  get firstDay(): number {
    return Math.floor(this.#options.now() / DAY_MS) - this.#options.retentionDays + 1;
  }

  /** Drops the days past retention, and the oldest ones while the file is larger than allowed. */
  async dropDays(): Promise<Dropped> {
    const { store } = this.#parts;
    const { retentionBytes } = this.#options;
    const days: number[] = [];
    let rows = 0;
    const drop = async (firstDay: number) => {
      const hasEarlier = () => store.days().some(({ day }) => day < firstDay);
      const had = hasEarlier();
      try {
        const dropped = await this.#dropBefore(firstDay);
        days.push(...dropped.days);
        rows += dropped.rows;
      } finally {
        // At once, and also if a step after the commit failed: the next call finds no such day.
        if (had && !hasEarlier()) this.#options.follower?.dropBefore(firstDay);
      }
    };
    const keptFrom = (await this.#options.heldFrom?.(this.firstDay)) ?? this.firstDay;
    if (store.days().some(({ day }) => day < keptFrom)) await drop(keptFrom);
    while (retentionBytes > 0 && store.days().length > 1) {
      const size = await store.size();
      if (size.fileBytes + size.logBytes - size.freeBytes <= retentionBytes) break;
      await drop(store.days()[0]!.day + 1);
      // Without a checkpoint the file does not show the space that a drop freed, and the next drop would be
      // unnecessary.
      if (!(await store.checkpoint())) break;
    }
    return { days, rows };
  }

  /** Deletes idempotency keys past their time, and keys and dead letters past their limits. */
  async forgetRecords(): Promise<void> {
    const { now, idempotencyTtlMs, rejectedMax, rejectedBytesMax } = this.#options;
    await this.#parts.store.forget(this.#parts.keys.forgetBefore(now() - idempotencyTtlMs), {
      beforeMs: this.firstDay * 86_400_000,
      max: rejectedMax,
      bytesMax: rejectedBytesMax,
    });
  }

  /**
   * Forgets the metrics of which a deletion has left no sample, so that another kind can be pushed under their names. A
   * metric is kept if one of its series was not selected, is owned by a group, or has samples that wait. Nothing else may
   * be written meanwhile.
   *
   * @param seriesIds all series of the deletion
   * @param waitingOf returns those of some series that have samples that wait
   */
  async forgetEmptied(
    seriesIds: readonly number[],
    waitingOf: (seriesIds: ReadonlySet<number>) => ReadonlySet<number>,
  ): Promise<void> {
    const { store, registry, owners } = this.#parts;
    const selected = new Set(seriesIds);
    const names = new Set(seriesIds.map((id) => registry.seriesById(id)?.metric.name ?? ""));
    const idsOf = (name: string) => Array.from(registry.metric(name)?.series ?? [], (each) => each.seriesId);
    const chosen = [...names].filter((name) =>
      idsOf(name).every((id) => selected.has(id) && !owners.holds(id)),
    );
    if (chosen.length === 0) return;
    const all = { seriesIds: chosen.flatMap(idsOf), fromUs: -Infinity, toUs: Infinity };
    const counts = await countSamples(store, all);
    // Pushes that came meanwhile were admitted to these series.
    const waiting = waitingOf(new Set(all.seriesIds));
    const emptied = chosen.filter((name) =>
      idsOf(name).every((id) => selected.has(id) && !counts.has(id) && !waiting.has(id) && !owners.holds(id)),
    );
    const ended = registry.forgetMetrics(emptied);
    // No day is dropped.
    if (ended.metrics.length > 0) await this.#drop(store.days()[0]?.day ?? this.firstDay, ended);
  }

  async #dropBefore(firstDay: number): Promise<Dropped> {
    const { registry, imports, owners } = this.#parts;
    const dropped = await this.#drop(
      firstDay,
      registry.forgetDaysBefore(firstDay, (id) => owners.holds(id)),
    );
    imports.forgetBefore(firstDay);
    return dropped;
  }

  /** Drops days, with the series and metrics that the registry has forgotten. */
  async #drop(firstDay: number, { seriesIds, metrics }: Ended): Promise<Dropped> {
    const { store, registry, totals } = this.#parts;
    for (const seriesId of seriesIds) totals.forget(seriesId);
    this.#newest.forget(seriesIds);
    const undropped = this.#undropped;
    const ended = {
      seriesIds: [...undropped.seriesIds, ...seriesIds],
      // A metric that has returned since then is kept.
      metrics: [...undropped.metrics.filter((name) => registry.metric(name) === undefined), ...metrics],
    };
    this.#undropped = ended;
    const dropped = await store.dropDaysBefore(firstDay, ended, totals.snapshot(true));
    this.#undropped = NOTHING;
    return dropped;
  }
}
