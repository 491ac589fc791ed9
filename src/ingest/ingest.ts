/**
 * Ingest stores all samples: `push(batch)` admits a batch at once, queues it, and resolves after the commit that
 * contains it.
 *
 * One writer takes all pushes that wait and commits them in one transaction (group commit without a timer). While a
 * commit is in progress, the next group gathers. If a commit fails, all pushes of its group are rejected, and nothing
 * of them is stored. The queue is bounded in samples and bytes. A push that exceeds a bound is rejected with Busy.
 * The running totals add the rows of a group after its commit, in the order of the rows.
 *
 * A large push, or a snapshot of the totals, is stored beside such commits, so that nobody waits for it.
 */
import type { Counters } from "../model/counters.ts";
import { RequestError, Unavailable } from "../model/errors.ts";
import { isExposed, type Protocol } from "../model/protocol.ts";
import type { Batch } from "../model/sample.ts";
import { inSlices, TimeSlices } from "../model/tasks/time-slices.ts";
import type { Registry } from "../series/registry.ts";
import { DiskFull } from "../store/disk-room.ts";
import type { Change, Deletion, Dropped, ImportRecord, Store } from "../store/store.ts";
import { type AdmissionOptions, SampleAdmission } from "./admission/admission.ts";
import { BoundLabels } from "./admission/bound-labels.ts";
import type { Echoes } from "./admission/echoes.ts";
import { type HeadNote, HeadNotes } from "./admission/head-notes.ts";
import { NewestTimes } from "./admission/newest-times.ts";
import { Actions } from "./actions.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { Ack, IngestOptions, PushOptions, TotalsSink, Transaction } from "./contract.ts";
import { GroupCommit } from "./group-commit.ts";
import type { IdempotencyKeys } from "./idempotency.ts";
import type { Imports } from "./imports.ts";
import { Owners } from "./owners.ts";
import { GROUP_SAMPLES_MAX, PushQueue } from "./queue.ts";
import { Retention, type RetentionParts } from "./retention.ts";
import { TotalsSnapshots } from "./totals-snapshots.ts";
import { ackOf, sizeOf, UNDECIDED, type Waiting } from "./waiting.ts";

/** Series of a batch up to which it is admitted without a pause: some 10 ms if all of them are new. */
const LARGE_HEADS_MIN = 2_048;
/** New series that a commit stores at most while a large batch is admitted: some 20 ms. */
const PENDING_SERIES_MAX = 1_024;
/** Bytes of a sample of a transaction, with its labels, until the transaction is decided. */
const UNDECIDED_SAMPLE_BYTES = 500;

export class Ingest {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #totals: TotalsSink;
  readonly #options: IngestOptions;
  readonly #counters: Counters;
  readonly #newest: NewestTimes;
  readonly #admission: SampleAdmission;
  readonly #notes = new HeadNotes();
  readonly #keys: IdempotencyKeys;
  readonly #imports: Imports;
  readonly #owners: Owners;
  readonly #echoes: Echoes | undefined;
  readonly #protocols: ReadonlyMap<string, Protocol>;
  readonly #retention: Retention;
  readonly #snapshots: TotalsSnapshots;
  readonly #checkpoints: Checkpoints;
  readonly #groups: GroupCommit;
  /** Actions that wait to run between two commits. */
  readonly #actions = new Actions();
  readonly #queue: PushQueue;
  /** Pushes of the commit in progress. */
  #committing: readonly Waiting[] = [];
  #running: Promise<void> | undefined;
  /** What is being stored beside the commits: a large push, or a snapshot of the totals. One at a time. */
  #beside: { readonly pushes: readonly Waiting[]; readonly ended: Promise<void> } | undefined;
  #stopping = false;
  /** True if the last commit failed. */
  #failing = false;
  readonly #bound: BoundLabels;

  /**
   * @param parts `owners` are the receivers with series of their own. `echoes` recognises samples that were scraped
   *   here: without it all samples are stored. `protocols` declares the policy of each protocol. A batch of any other
   *   protocol is a fault of ours
   */
  constructor(
    parts: Omit<RetentionParts, "owners"> & {
      readonly owners?: Owners;
      readonly echoes?: Echoes;
      readonly protocols: readonly Protocol[];
    },
    options: IngestOptions,
  ) {
    this.#protocols = new Map(parts.protocols.map((protocol) => [protocol.name, protocol]));
    this.#store = parts.store;
    this.#registry = parts.registry;
    // The totals say 0 for none. A stored series may have samples of 1970 and before, which must be looked up.
    const { nextId: firstNewId } = parts.registry;
    this.#newest = new NewestTimes((seriesId) =>
      seriesId < firstNewId ? parts.totals.lastUs(seriesId) : Number.NEGATIVE_INFINITY,
    );
    this.#admission = new SampleAdmission(parts.registry, this.#newest);
    this.#totals = parts.totals;
    this.#keys = parts.keys;
    this.#imports = parts.imports;
    this.#owners = parts.owners ?? new Owners();
    this.#echoes = parts.echoes;
    this.#retention = new Retention({ ...parts, owners: this.#owners }, this.#newest, options);
    this.#options = options;
    this.#counters = options.counters;
    this.#bound = new BoundLabels(options.counters);
    this.#queue = new PushQueue(options);
    this.#snapshots = new TotalsSnapshots(parts.totals, options);
    this.#checkpoints = new Checkpoints(parts.store, options);
    this.#groups = new GroupCommit(
      {
        ...parts,
        owners: this.#owners,
        echoes: parts.echoes,
        snapshots: this.#snapshots,
        protocolOf: (name) => this.#protocolOf(name),
      },
      options,
    );
    parts.registry.firstUse.before(() => {
      let exposed = 0;
      for (const series of parts.registry.series()) if (this.#groups.define(series, exposed)) exposed++;
    });
  }

  /**
   * Stores the accepted samples of a batch. Samples that were scraped from /metrics here and are written back are
   * dropped, because they are stored already.
   *
   * @throws Busy if the queue is full, Unprocessable if the idempotency key was used with another body, Conflict if
   *   an import does not continue where the file was left, DiskFull if the disk has no room, Unavailable while
   *   stopping or if the commit failed
   */
  async push(sent: Batch, asked: PushOptions = {}): Promise<Ack> {
    this.#counters.work.begin();
    const { batch, options } = this.#bound.apply(sent, asked, this.#protocolOf(sent.protocol).terms);
    if (batch.heads.length > LARGE_HEADS_MIN) await this.#prepare(batch, options);
    const echoes = this.#echoes;
    const notes = this.#notes.of(batch.heads);
    const rest = this.#protocolOf(batch.protocol).returnsEchoes
      ? echoes?.drop(batch, options.extraLabels, notes)
      : undefined;
    if (rest === undefined) return await this.#pushAll(batch, notes, options);
    // Otherwise a Prometheus that scrapes only this gateway would cause an empty commit with each request.
    const isStored = isEmpty(rest.batch) && echoes!.isStored;
    const ack = isStored
      ? ackOf(UNDECIDED)
      : await this.#pushAll(rest.batch, this.#notes.of(rest.batch.heads), options);
    this.#counters.echoesDropped.inc(rest.sampleCount);
    return { ...ack, exemplars: ack.exemplars + rest.exemplarCount };
  }

  /**
   * Admits the heads of a large batch in slices, and stores its new series in commits of their own. Its samples are then
   * admitted and committed as those of any other batch, with all of its series known.
   */
  async #prepare(batch: Batch, options: PushOptions): Promise<void> {
    if (this.#repeatOf(options) !== undefined) return;
    if (options.imported !== undefined) this.#imports.check(options.imported);
    this.#requireDisk();
    this.#queue.requireRoom(batch.length, sizeOf(batch, batch.rejected));
    const admissionOptions = this.#admissionOptions(batch.protocol, options);
    const notes = await inSlices(this.#notes.ofMany(batch.heads));
    if (this.#protocolOf(batch.protocol).returnsEchoes && this.#echoes !== undefined)
      await inSlices(this.#echoes.prepare(batch, options.extraLabels, notes));
    const heads = this.#admission.prepare(batch, options.extraLabels, admissionOptions, notes);
    const slices = new TimeSlices();
    while (!heads.next().done) {
      if (this.#registry.pendingSeries >= PENDING_SERIES_MAX)
        await this.#between(() => this.#groups.commitPending());
      if (slices.isOver) await slices.next();
    }
  }

  /**
   * Pushes rejected samples again. They are no echoes, and no token adds labels to them.
   *
   * @param replayed by position in the batch, the id of the rejected sample
   */
  async replay(
    batch: Batch,
    replayed: readonly number[],
    options: Pick<PushOptions, "extraLabels" | "historical">,
  ): Promise<Ack> {
    return await this.#pushAll(batch, this.#notes.of(batch.heads), { ...options, replayed });
  }

  /** Deletes rejected samples, between two commits. */
  async forgetRejected(ids: readonly number[]): Promise<void> {
    if (this.#stopping) throw new Unavailable("the gateway is stopping");
    await this.#alone(() => this.#store.commit({ replayed: ids }));
  }

  async #pushAll(batch: Batch, notes: readonly HeadNote[], options: PushOptions): Promise<Ack> {
    const repeat = this.#repeatOf(options);
    if (repeat !== undefined) return await repeat;
    if (options.imported !== undefined) this.#imports.check(options.imported);
    this.#requireDisk();
    this.#queue.requireRoom(batch.length, sizeOf(batch, batch.rejected));
    const admissionOptions = this.#admissionOptions(batch.protocol, options);
    const admitted = this.#admission.admit(batch, options.extraLabels, admissionOptions, { notes });
    if (options.imported !== undefined) this.#imports.begin(options.imported);
    const committed = this.#enqueue({
      batch: admitted,
      protocol: batch.protocol,
      samples: batch.length,
      bytes: sizeOf(batch, admitted.rejected),
      options,
    });
    if (options.durability !== "queued") return await committed;
    committed.catch(() => undefined);
    return { ...ackOf(admitted), durability: "queued" };
  }

  /**
   * Stores what a transaction decides when the writer takes it from the queue, with the groups that change. Throws as
   * `push` does.
   */
  async transact(
    { protocol, samples, decide }: Transaction,
    options: Pick<PushOptions, "idempotency"> = {},
  ): Promise<Ack> {
    const repeat = this.#repeatOf(options);
    if (repeat !== undefined) return await repeat;
    this.#requireDisk();
    const bytes = samples * UNDECIDED_SAMPLE_BYTES;
    this.#queue.requireRoom(samples, bytes);
    return await this.#enqueue({ batch: UNDECIDED, decide, protocol, samples, bytes, options });
  }

  /** Checked before anything is admitted: pushes must not use the reserve of the disk. */
  #requireDisk(): void {
    try {
      this.#store.requireRoom();
    } catch (error) {
      this.#counters.pushesDiskFull.inc();
      throw error;
    }
  }

  /** The answer of an earlier push with the same key, if there was one. */
  #repeatOf({ idempotency }: PushOptions): Promise<Ack> | undefined {
    if (this.#stopping) throw new Unavailable("the gateway is stopping, send the request again in a moment");
    const repeat = idempotency === undefined ? undefined : this.#keys.find(idempotency);
    return repeat?.then((ack) => {
      this.#counters.pushesDuplicate.inc();
      return { ...ack, repeated: true };
    });
  }

  #enqueue(push: Omit<Waiting, "arrivedMs" | "resolve" | "reject">): Promise<Ack> {
    const committed = this.#queue.add(push);
    if (push.options.idempotency !== undefined) this.#keys.begin(push.options.idempotency, committed);
    this.#start();
    return committed;
  }

  /** How far a file was imported, or undefined if it never was. */
  importOffset(file: string): ImportRecord | undefined {
    return this.#imports.find(file);
  }

  /** How far the files were imported whose first line has this hash. */
  importsWithFirstLine(hash: string): ImportRecord[] {
    return this.#imports.withFirstLine(hash);
  }

  /** The samples and bytes that wait or are being committed, and when the oldest push arrived. */
  get waiting(): { samples: number; bytes: number; oldestMs: number | undefined } {
    const { samples, bytes, oldest } = this.#queue;
    return {
      samples,
      bytes,
      oldestMs: (this.#beside?.pushes[0] ?? this.#committing[0] ?? oldest)?.arrivedMs,
    };
  }

  /**
   * Commits an empty transaction, to check readiness. After a failed commit it writes something, because an empty
   * transaction succeeds on a full disk.
   */
  async ready(): Promise<void> {
    if (this.#stopping) throw new Unavailable("the gateway is stopping");
    await this.#store.commitBeside(this.#failing ? { lastPushes: this.#totals.lastPushRecords() } : {});
    this.#failing = false;
  }

  /** Settles after an empty commit that took its turn among the others. Shows that commits do not hang. */
  async probe(): Promise<void> {
    await this.#between(async () => {});
    await this.#store.commitBeside({});
  }

  /**
   * Runs an action when nothing is stored beside it, and every committed row is in its table.
   *
   * @throws DiskFull if there is no room to move rows to their tables
   */
  async atRest<T>(action: () => T): Promise<T> {
    if (this.#stopping) throw new Unavailable("the gateway is stopping");
    const result = this.#actions.add(async () => {
      await this.#store.moveJournal();
      return action();
    }, true);
    this.#start();
    return await result;
  }

  /** No stored sample of a gauge or a cumulative series is newer: µs. -Infinity if it is new and has none. */
  newestUs(seriesId: number): number {
    return this.#newest.get(seriesId);
  }

  /**
   * Stores what destinations have received, what they do not take, and what the archive has, between two commits.
   *
   * @param change returns what is stored. It is called in a moment in which no deletion can change the ids of rows
   */
  async storeForwards(change: () => Pick<Change, "forwards" | "rejected" | "archives">): Promise<void> {
    await this.#between(() => this.#store.commit(change()));
  }

  /**
   * Drops the days past retention, and the oldest ones while the file is larger than allowed. Deletes old idempotency
   * keys and dead letters. Runs between two commits, as everything that writes.
   */
  async prune(): Promise<Dropped> {
    return await this.#alone(async () => {
      const dropped = await this.#retention.dropDays();
      await this.#retention.forgetRecords();
      return dropped;
    });
  }

  /**
   * Deletes stored samples between two commits. The running totals keep what they added, unless no sample of a metric is
   * left: then the metric is forgotten. Returns the number of deleted samples.
   */
  async deleteSamples(deletion: Deletion): Promise<number> {
    if (this.#stopping) throw new Unavailable("the gateway is stopping");
    return await this.#alone(async () => {
      try {
        this.#options.follower?.expectDeletion?.();
        const deleted = await this.#store.deleteSamples(deletion, this.#totals.snapshot(true));
        await this.#retention.forgetEmptied(deletion.seriesIds, (ids) => this.#queue.waitingOf(ids));
        return deleted;
      } finally {
        this.#options.follower?.forget();
      }
    });
  }

  /** Stores a whole snapshot of the totals, between two commits. All samples until then can become blocks. */
  async storeTotals(): Promise<void> {
    await this.#alone(() => this.#store.commit({ totals: this.#totals.snapshot(true) }));
  }

  /** Commits all pushes that wait, then a whole snapshot of the totals. Pushes are rejected as soon as it is called. */
  async stop(): Promise<void> {
    this.#stopping = true;
    while (this.#running !== undefined || this.#beside !== undefined)
      await (this.#running ?? this.#beside?.ended);
    await this.#store.commit({
      totals: this.#totals.snapshot(true),
      lastPushes: this.#totals.lastPushRecords(),
    });
  }

  #admissionOptions(protocol: string, { imported, historical }: PushOptions): AdmissionOptions {
    const { futureMs, totalsLateMs, retentionDays, now } = this.#options;
    const nowMs = now();
    const declared = this.#protocolOf(protocol);
    return {
      nowUs: nowMs * 1000,
      firstUs: this.#retention.firstDay * 86_400_000_000,
      lastUs: (nowMs + futureMs) * 1000,
      totalsLateUs: totalsLateMs * 1000,
      historical: historical ?? imported !== undefined,
      retentionDays,
      isHeld: this.#owners.heldByOthers(protocol),
      exposed: isExposed(declared, this.#options.exposeProtocols),
      keepsBoundText: declared.keepsBoundText,
      terms: declared.terms,
      counters: this.#counters,
    };
  }

  #protocolOf(name: string): Protocol {
    const protocol = this.#protocols.get(name);
    if (protocol === undefined) throw new Error(`no protocol "${name}" is declared`);
    return protocol;
  }

  #start(): void {
    this.#running ??= this.#drain()
      .catch((error: unknown) => this.#recover(error))
      .finally(() => {
        this.#running = undefined;
        if (this.#hasWork) this.#start();
      });
  }

  /** Whether anything waits that does not have to wait longer. */
  get #hasWork(): boolean {
    const isFree = this.#beside === undefined;
    return this.#queue.hasNext(isFree) || this.#actions.hasNext(isFree);
  }

  /** After a fault beside a commit: the pushes that were taken and not answered are rejected, and their room is free. */
  #recover(error: unknown): void {
    this.#options.onFault("a step between two commits failed", error);
    const left = this.#committing;
    this.#committing = [];
    this.#queue.release(left);
    // Those that were answered stay so.
    for (const waiting of left) this.#reject(waiting, notStored());
  }

  /** Runs an action between two commits, while pushes gather. */
  #between<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#actions.add(action, false);
    this.#start();
    return result;
  }

  /** Runs an action when nothing is stored beside it. One that fails may have lost a snapshot. */
  #alone<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#actions.add(action, true);
    result.catch(() => this.#snapshots.fail());
    this.#start();
    return result;
  }

  async #drain(): Promise<void> {
    while (this.#hasWork) {
      // Actions and commits alternate: pushes arrive during every commit, so the queue may never be empty.
      const action = this.#actions.take(this.#beside === undefined);
      if (action !== undefined) await action();
      await this.#commitNext();
    }
  }

  async #commitNext(): Promise<void> {
    const nowMs = this.#options.now();
    if (this.#beside === undefined && this.#queue.length > 0) this.#snapshot(nowMs);
    const taken = this.#queue.take(this.#beside === undefined);
    if (taken.length === 0) return;
    this.#committing = taken;
    // A large push is stored beside the commits of others. They may need its new series, so these are stored before.
    if (isLarge(taken) && (await this.#arePendingStored())) {
      this.#committing = [];
      this.#storeBeside(taken, () => this.#commitTaken(taken, nowMs, true));
      return;
    }
    await this.#commitTaken(taken, nowMs, false);
    this.#committing = [];
    this.#queue.release(taken);
    await this.#checkpoints.committed(countSamples(taken));
    this.#cutIfDue();
  }

  /** Stores the series that are new. If that fails, they are committed with the next pushes, as usual. */
  async #arePendingStored(): Promise<boolean> {
    return await this.#groups.commitPending().then(
      () => true,
      () => false,
    );
  }

  /** Stores something that takes long, while commits go on. */
  #storeBeside(pushes: readonly Waiting[], store: () => Promise<void>): void {
    const ended = store()
      .catch((error: unknown) => {
        this.#options.onFault("a step beside a commit failed", error);
        for (const waiting of pushes) this.#reject(waiting, notStored());
      })
      .then(async () => {
        this.#queue.release(pushes);
        this.#beside = undefined;
        this.#start();
        await this.#checkpoints.committed(countSamples(pushes));
      })
      // Nobody may wait for the end, and a stop waits for it.
      .catch((error: unknown) => this.#options.onFault("a step after a commit failed", error));
    this.#beside = { pushes, ended };
  }

  /** Begins to store a snapshot of the totals, if one is due. All rows that were committed are in the totals. */
  #snapshot(nowMs: number): void {
    const due = this.#snapshots.take(nowMs);
    if (due === undefined) return;
    this.#storeBeside([], async () => {
      try {
        await this.#store.commitBeside(due);
      } catch (error) {
        this.#snapshots.fail();
        // A full disk is logged once, elsewhere.
        if (!(error instanceof DiskFull)) throw error;
      }
    });
  }

  /** Stores pushes. Rejects those that cannot be stored. */
  async #commitTaken(taken: readonly Waiting[], nowMs: number, isBeside: boolean): Promise<void> {
    const imports = new Map<string, ImportRecord>();
    const group: Waiting[] = [];
    for (const waiting of taken) {
      if (waiting.decide !== undefined && !(await this.#isDecided(waiting, waiting.decide))) continue;
      if (this.#follows(waiting, nowMs, imports)) group.push(waiting);
    }
    try {
      this.#store.requireRoom("commit");
      await this.#groups.commit(group, { nowMs, imports: [...imports.values()], isBeside });
      this.#failing = false;
    } catch (error) {
      // A commit that was not attempted, because the disk is full, is not counted as a failure. A full disk is logged
      // once, elsewhere.
      if (!(error instanceof DiskFull) || error.cause !== undefined) this.#counters.commitFailures.inc();
      if (!(error instanceof DiskFull))
        this.#options.onFault(`a commit of ${group.length} pushes failed`, error);
      this.#failing = true;
      const answer = error instanceof DiskFull ? error : notStored();
      if (answer instanceof DiskFull) this.#counters.pushesDiskFull.inc(group.length);
      for (const waiting of group) this.#reject(waiting, answer);
      // What is stored beside commits was decided by nobody.
      if (!isBeside) this.#owners.failed();
    }
  }

  /** Lets a transaction decide what it stores. Rejects it and returns false if it throws. */
  async #isDecided(waiting: Waiting, decide: Transaction["decide"]): Promise<boolean> {
    const { protocol, options } = waiting;
    try {
      const times = this.#admissionOptions(protocol, options);
      const newestUs = (seriesId: number) => this.#newest.get(seriesId);
      const { batch, seriesIds, groups } = await decide({ ...times, newestUs });
      // The transaction has checked the times itself, and all of its values count in totals.
      const all = { ...times, lastUs: Number.POSITIVE_INFINITY, totalsLateUs: Number.POSITIVE_INFINITY };
      waiting.batch = this.#admission.admit(batch, undefined, all, { seriesIds });
      waiting.groups = groups;
      return true;
    } catch (error) {
      if (!(error instanceof RequestError)) this.#options.onFault("a push could not be decided", error);
      waiting.reject(error);
      return false;
    }
  }

  /** Notes the offset that an import reaches. Rejects the push and returns false if an earlier chunk was not stored. */
  #follows(waiting: Waiting, nowMs: number, imports: Map<string, ImportRecord>): boolean {
    const { imported } = waiting.options;
    if (imported === undefined) return true;
    try {
      const record = this.#imports.record(imported, waiting.batch, nowMs);
      if (record !== undefined) imports.set(imported.file, record);
      return true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.#reject(waiting, error);
      return false;
    }
  }

  #reject({ options, reject }: Waiting, error: RequestError): void {
    if (options.imported !== undefined) this.#imports.fail(options.imported);
    reject(error);
  }

  /** Pruning runs once an hour. Until then dead letters and keys could fill the disk. */
  #cutIfDue(): void {
    const areLettersDue = this.#groups.takeCutDue();
    if (!areLettersDue && !this.#keys.isCutDue) return;
    void this.#retention
      .forgetRecords()
      .catch((error: unknown) =>
        this.#options.onFault("old records could not be deleted; this will be retried", error),
      );
  }
}

function isEmpty({ length, rejected, exemplars = [] }: Batch): boolean {
  return length === 0 && rejected.length === 0 && exemplars.length === 0;
}

/** Whether pushes are one that is larger than others may be together. */
function isLarge(taken: readonly Waiting[]): boolean {
  return countSamples(taken) > GROUP_SAMPLES_MAX && taken[0]!.decide === undefined;
}

function countSamples(pushes: readonly Waiting[]): number {
  return pushes.reduce((sum, { samples }) => sum + samples, 0);
}

function notStored(): Unavailable {
  return new Unavailable("the samples could not be stored, send them again");
}
