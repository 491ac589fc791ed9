/**
 * The commit of a group of pushes: looks for duplicates, stores the change, adds it to the running totals, and answers
 * each push. Nothing of a group is stored if its commit fails.
 */
import type { Counters } from "../model/counters.ts";
import { isExposed, type Protocol } from "../model/protocol.ts";
import { type Rows, type Series, slicedRows } from "../model/sample.ts";
import type { Tally } from "../model/metrics/tallies.ts";
import { TimeSlices } from "../model/tasks/time-slices.ts";
import { isNothing, nothingPending } from "../series/pending.ts";
import type { Registry } from "../series/registry.ts";
import type { Change, ImportRecord, Store } from "../store/store.ts";
import { bytesOfLetters } from "./admission/dead-letters.ts";
import { findDuplicates } from "./admission/duplicates.ts";
import type { Echoes } from "./admission/echoes.ts";
import type { Ack, IngestOptions, TotalsSink } from "./contract.ts";
import type { IdempotencyKeys } from "./idempotency.ts";
import type { Imports } from "./imports.ts";
import type { Owners } from "./owners.ts";
import type { TotalsSnapshots } from "./totals-snapshots.ts";
import { ackOf, countByCause, instanceOf, type PushRecords, recordsOf, type Waiting } from "./waiting.ts";

/** Rows that the running totals add without a pause: some 2 ms. */
const ROWS_AT_ONCE = 16_384;

interface GroupCommitParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly totals: TotalsSink;
  readonly keys: IdempotencyKeys;
  readonly imports: Imports;
  readonly echoes: Echoes | undefined;
  readonly owners: Owners;
  readonly snapshots: TotalsSnapshots;
  readonly protocolOf: (name: string) => Protocol;
}

export class GroupCommit {
  readonly #parts: GroupCommitParts;
  readonly #options: IngestOptions;
  readonly #counters: Counters;
  /** Samples that were accepted, by protocol. */
  readonly #accepted = new Map<string, Tally>();
  /** Dead letters stored since the table was last trimmed. */
  #lettersSinceCut = 0;
  #letterBytesSinceCut = 0;

  constructor(parts: GroupCommitParts, options: IngestOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#counters = options.counters;
  }

  readonly #tallyOf = (protocol: string) => this.#counters.samplesAccepted.tally({ protocol });

  /** Commits the series that are new, without samples, and the labels of scrapers that are new. */
  async commitPending(): Promise<void> {
    const { store, registry, echoes } = this.#parts;
    const pending = registry.takePending();
    const scrapers = echoes?.takeUnstored();
    if (isNothing(pending) && scrapers === undefined) return;
    try {
      await store.commit({ ...pending, scrapers });
    } catch (error) {
      registry.restore(pending);
      if (scrapers !== undefined) echoes?.restore();
      throw error;
    }
    await this.#count(pending.series, []);
  }

  /**
   * Commits pushes, and answers them.
   *
   * @param imports how far the files are imported that they contain
   * @param isBeside whether later commits do not wait. `commitPending` must have stored all series of the pushes
   */
  async commit(
    group: readonly Waiting[],
    {
      nowMs,
      imports,
      isBeside,
    }: { readonly nowMs: number; readonly imports: readonly ImportRecord[]; readonly isBeside: boolean },
  ): Promise<void> {
    const { store, echoes } = this.#parts;
    const { rows, acks, records } = await this.#check(group);
    const { rejected, replayed, pushes, groups, exemplars } = records;
    const pending = isBeside ? nothingPending() : this.#parts.registry.takePending();
    const { metrics, series, seriesDays, demotions } = pending;
    const scrapers = isBeside ? undefined : echoes?.takeUnstored();
    // Written out: to copy the fields of three objects takes a twentieth of the time of a small push.
    const change: Change = {
      metrics,
      series,
      seriesDays,
      demotions,
      rows,
      imports,
      rejected,
      replayed,
      pushes,
      groups,
      exemplars,
      scrapers,
    };
    try {
      if (isBeside) await store.commitBeside(change);
      else await store.commit(change);
    } catch (error) {
      this.#parts.registry.restore(pending);
      if (scrapers !== undefined) echoes?.restore();
      throw error;
    }
    this.#lettersSinceCut += rejected.length;
    this.#letterBytesSinceCut += bytesOfLetters(rejected);
    // From here on the rows are stored, so the pushes must be acknowledged, whatever fails.
    // Later pushes may have been counted while these were stored. What they have noted as the newest stays so.
    const arrivedMs = isBeside ? undefined : nowMs;
    try {
      await this.#count(pending.series, rows, arrivedMs);
    } catch (error) {
      this.#options.follower?.forget();
      this.#options.onFault(
        "stored rows could not be counted; the totals are right again after a restart",
        error,
      );
    }
    // What is stored beside commits was decided by nobody.
    if (!isBeside) this.#parts.owners.committed();
    group.forEach((waiting, index) => {
      this.#finish(waiting, acks[index]!, arrivedMs ?? this.#options.now());
    });
  }

  /** Looks for samples that are stored already. Returns what is to be stored, and the answers. */
  async #check(
    group: readonly Waiting[],
  ): Promise<{ readonly records: PushRecords; readonly rows: Rows[]; readonly acks: Ack[] }> {
    const { store, registry, keys, protocolOf } = this.#parts;
    const rows: Rows[] = [];
    const checked = await findDuplicates(
      group.map(({ batch: { rows, unchecked }, protocol }) => {
        return { rows, unchecked, terms: protocolOf(protocol).terms };
      }),
      store,
      (id) => registry.seriesById(id),
    );
    const acks = group.map(({ batch }, index) => {
      const late = checked[index]!;
      rows.push(...batch.rows, ...late.rows);
      return ackOf(batch, late);
    });
    const records = recordsOf(group, acks, (idempotency, ack, arrivedMs) =>
      keys.record(idempotency, ack, arrivedMs),
    );
    return { rows, acks, records };
  }

  /**
   * Applies what was committed to the running totals: many rows in slices.
   *
   * @param arrivedMs when the rows arrived. Without it they count as arrived when they are applied
   */
  async #count(series: readonly Series[], rows: readonly Rows[], arrivedMs?: number): Promise<void> {
    const { registry, totals, snapshots } = this.#parts;
    for (const each of series) this.define(each);
    for (const seriesId of registry.takeEnded()) totals.end(seriesId);
    const slices = new TimeSlices();
    for (const segment of rows) {
      for (let from = 0; from < segment.length; from += ROWS_AT_ONCE) {
        if (from > 0 && slices.isOver) await slices.next();
        const to = Math.min(from + ROWS_AT_ONCE, segment.length);
        const part = slicedRows(segment, from, to);
        totals.apply(part, (arrivedMs ?? this.#options.now()) * 1000);
        this.#options.follower?.add(part);
      }
      snapshots.addRows(segment.length);
    }
  }

  #finish(waiting: Waiting, ack: Ack, nowMs: number): void {
    const { protocolOf, totals, imports } = this.#parts;
    const { protocol, batch, options } = waiting;
    this.#accepted.getOrInsertComputed(protocol, this.#tallyOf).add(ack.accepted);
    if (ack.duplicates > 0) this.#counters.samplesDuplicate.inc({ protocol }, ack.duplicates);
    if (batch.historicalCount > 0) this.#counters.historySamples.inc(batch.historicalCount);
    // A sample that is rejected again was counted the first time.
    if (ack.rejected.length > 0 && options.replayed === undefined) {
      for (const [cause, count] of countByCause(ack.rejected))
        this.#counters.samplesRejected.inc({ protocol, cause }, count);
      this.#options.onRejected?.({ protocol, instance: instanceOf(waiting), rejected: ack.rejected });
    }
    const declared = protocolOf(protocol);
    const isPush =
      declared.countsAsPush === "always" ||
      (declared.countsAsPush === "if exposed" && isExposed(declared, this.#options.exposeProtocols));
    const isImport = options.imported !== undefined && options.historical !== false;
    if (isPush && !isImport && options.replayed === undefined) {
      for (const { job, instance } of batch.sources) totals.noteLastPush(job, instance, nowMs);
      this.#parts.snapshots.notePush();
    }
    if (options.imported !== undefined) imports.commit(options.imported);
    waiting.resolve(ack);
  }

  /**
   * Defines a series in the totals, and returns whether it is exposed. The totals also keep track of series that are
   * not.
   */
  define(series: Series, exposedBefore: number = this.#parts.totals.exposedSeries): boolean {
    const { registry, totals, owners } = this.#parts;
    totals.define(series, owners.holds(series.seriesId));
    const isForMetrics = series.exposed && !registry.isEnded(series);
    if (isForMetrics && exposedBefore < this.#options.seriesMax) return true;
    if (isForMetrics) this.#counters.seriesUnexposed.inc();
    totals.end(series.seriesId);
    return false;
  }

  /** Whether the stored rejected samples exceed their limits, so that the oldest should be deleted. True once per excess. */
  takeCutDue(): boolean {
    const { rejectedMax, rejectedBytesMax } = this.#options;
    if (this.#lettersSinceCut <= rejectedMax && this.#letterBytesSinceCut <= rejectedBytesMax) return false;
    this.#lettersSinceCut = 0;
    this.#letterBytesSinceCut = 0;
    return true;
  }
}
