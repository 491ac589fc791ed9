/**
 * Ingest stores all samples: `push(batch)` admits a batch at once, queues it, and resolves after the commit that
 * contains it.
 *
 * One writer takes all pushes that wait and commits them in one transaction (group commit without a timer). While a
 * commit is in progress, the next group gathers. If a commit fails, all pushes of its group are rejected, and nothing
 * of them is stored. The queue is bounded in samples and bytes. A push that exceeds a bound is rejected with Busy.
 * The running totals add the rows of a group after its commit, in the order of the rows.
 */
import type { Counters } from "../model/counters.ts";
import { RequestError, Unavailable } from "../model/errors.ts";
import { isExposed, type Protocol } from "../model/protocol.ts";
import { type Batch, type Rows, type Series, slicedRows } from "../model/sample.ts";
import { inSlices, TimeSlices } from "../model/tasks/time-slices.ts";
import type { Registry } from "../series/registry.ts";
import { DiskFull } from "../store/disk-room.ts";
import type { Deletion, Dropped, ImportRecord, Store } from "../store/store.ts";
import { type AdmissionOptions, SampleAdmission } from "./admission/admission.ts";
import { BoundLabels } from "./admission/bound-labels.ts";
import { bytesOfLetters, deadLetters } from "./admission/dead-letters.ts";
import { findDuplicates } from "./admission/duplicates.ts";
import type { Echoes } from "./admission/echoes.ts";
import { type HeadNote, HeadNotes } from "./admission/head-notes.ts";
import { NewestTimes } from "./admission/newest-times.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { Ack, IngestOptions, PushOptions, TotalsSink, Transaction } from "./contract.ts";
import type { IdempotencyKeys } from "./idempotency.ts";
import type { Imports } from "./imports.ts";
import { Owners } from "./owners.ts";
import { PushQueue } from "./queue.ts";
import { Retention, type RetentionParts } from "./retention.ts";
import { TotalsSnapshots } from "./totals-snapshots.ts";
import { ackOf, countByCause, instanceOf, sizeOf, storedOf, UNDECIDED, type Waiting } from "./waiting.ts";

/** Series of a batch up to which it is admitted without a pause: some 10 ms if all of them are new. */
const LARGE_HEADS_MIN = 2_048;
/** New series that a commit stores at most while a large batch is admitted: some 20 ms. */
const PENDING_SERIES_MAX = 1_024;
/** Rows that the running totals add without a pause: some 2 ms. */
const ROWS_AT_ONCE = 16_384;
/** Bytes of a sample of a transaction, with its labels, until the transaction is decided. */
const UNDECIDED_SAMPLE_BYTES = 500;

export class Ingest {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #totals: TotalsSink;
  readonly #options: IngestOptions;
  readonly #counters: Counters;
  readonly #newest = new NewestTimes();
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
  /** Actions that wait to run between two commits. */
  readonly #actions: (() => Promise<void>)[] = [];
  readonly #queue: PushQueue;
  /** Pushes of the commit in progress. */
  #committing: readonly Waiting[] = [];
  #running: Promise<void> | undefined;
  #stopping = false;
  /** True if the last commit failed. */
  #failing = false;
  readonly #bound: BoundLabels;
  /** Dead letters stored since the table was last trimmed. */
  #lettersSinceCut = 0;
  #letterBytesSinceCut = 0;

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
    let exposed = 0;
    for (const series of parts.registry.series()) {
      if (this.#define(series, exposed)) exposed++;
      this.#newest.set(series.seriesId, parts.totals.lastUs(series.seriesId));
    }
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
        await this.#between(() => this.#commitPending());
      if (slices.isOver) await slices.next();
    }
  }

  /** Commits the series that are new, without samples. */
  async #commitPending(): Promise<void> {
    const pending = this.#registry.takePending();
    try {
      await this.#store.commit(pending);
    } catch (error) {
      this.#registry.restore(pending);
      throw error;
    }
    await this.#count(pending.series, [], this.#options.now());
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
    await this.#between(() => this.#store.commit({ replayed: ids }));
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
    return { samples, bytes, oldestMs: (this.#committing[0] ?? oldest)?.arrivedMs };
  }

  /**
   * Commits an empty transaction, to check readiness. After a failed commit it writes something, because an empty
   * transaction succeeds on a full disk.
   */
  async ready(): Promise<void> {
    if (this.#stopping) throw new Unavailable("the gateway is stopping");
    await this.#store.commit(this.#failing ? { lastPushes: this.#totals.lastPushRecords() } : {});
    this.#failing = false;
  }

  /** Settles after an empty commit that took its turn among the others. Shows that commits do not hang. */
  async probe(): Promise<void> {
    await this.#between(() => this.#store.commit({}));
  }

  /**
   * Drops the days past retention, and the oldest ones while the file is larger than allowed. Deletes old idempotency
   * keys and dead letters. Runs between two commits, as everything that writes.
   */
  async prune(): Promise<Dropped> {
    return await this.#between(async () => {
      const dropped = await this.#retention.dropDays();
      await this.#retention.forgetRecords();
      return dropped;
    });
  }

  /**
   * Deletes stored samples between two commits. The running totals keep what they added. Returns the number of
   * deleted samples.
   */
  async deleteSamples(deletion: Deletion): Promise<number> {
    if (this.#stopping) throw new Unavailable("the gateway is stopping");
    return await this.#between(() => this.#store.deleteSamples(deletion, this.#totals.snapshot(true)));
  }

  /** Commits all pushes that wait, then a whole snapshot of the totals. Pushes are rejected as soon as it is called. */
  async stop(): Promise<void> {
    this.#stopping = true;
    while (this.#running !== undefined) await this.#running;
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
        if (this.#queue.length > 0 || this.#actions.length > 0) this.#start();
      });
  }

  /** After a fault beside a commit: the pushes that were taken and not answered are rejected, and their room is free. */
  #recover(error: unknown): void {
    this.#options.onFault("a step between two commits failed", error);
    const left = this.#committing;
    this.#committing = [];
    this.#queue.release(left);
    // Those that were answered stay so.
    for (const waiting of left)
      this.#reject(waiting, new Unavailable("the samples could not be stored, send them again"));
  }

  /** Runs an action between two commits, while pushes gather. An action that fails may have lost a snapshot. */
  #between<T>(action: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    promise.catch(() => this.#snapshots.fail());
    this.#actions.push(() => Promise.try(action).then(resolve, reject));
    this.#start();
    return promise;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 || this.#actions.length > 0) {
      // Actions and commits alternate: pushes arrive during every commit, so the queue may never be empty.
      const action = this.#actions.shift();
      if (action !== undefined) await action();
      await this.#commitNext();
    }
  }

  async #commitNext(): Promise<void> {
    if (this.#queue.length === 0) return;
    const taken = this.#queue.take();
    this.#committing = taken;
    const nowMs = this.#options.now();
    const imports = new Map<string, ImportRecord>();
    const group: Waiting[] = [];
    for (const waiting of taken) {
      if (waiting.decide !== undefined && !(await this.#isDecided(waiting, waiting.decide))) continue;
      if (this.#follows(waiting, nowMs, imports)) group.push(waiting);
    }
    try {
      this.#store.requireRoom("commit");
      await this.#commitGroup(group, nowMs, [...imports.values()]);
      this.#failing = false;
    } catch (error) {
      // A commit that was not attempted, because the disk is full, is not counted as a failure. A full disk is logged
      // once, elsewhere.
      if (!(error instanceof DiskFull) || error.cause !== undefined) this.#counters.commitFailures.inc();
      if (!(error instanceof DiskFull))
        this.#options.onFault(`a commit of ${group.length} pushes failed`, error);
      this.#failing = true;
      const answer =
        error instanceof DiskFull
          ? error
          : new Unavailable("the samples could not be stored, send them again");
      if (answer instanceof DiskFull) this.#counters.pushesDiskFull.inc(group.length);
      for (const waiting of group) this.#reject(waiting, answer);
      this.#owners.failed();
    }
    this.#committing = [];
    this.#queue.release(taken);
    await this.#checkpoints.committed(taken.reduce((sum, { samples }) => sum + samples, 0));
    await this.#cutIfDue();
  }

  /** Lets a transaction decide what it stores. Rejects it and returns false if it throws. */
  async #isDecided(waiting: Waiting, decide: Transaction["decide"]): Promise<boolean> {
    const { protocol, options } = waiting;
    try {
      const times = this.#admissionOptions(protocol, options);
      const { batch, seriesIds, groups } = await decide(times);
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

  async #commitGroup(
    group: readonly Waiting[],
    nowMs: number,
    imports: readonly ImportRecord[],
  ): Promise<void> {
    const rows: Rows[] = [];
    const checked = await findDuplicates(
      group.map(({ batch: { rows, unchecked }, protocol }) => {
        return { rows, unchecked, terms: this.#protocolOf(protocol).terms };
      }),
      this.#store,
      (id) => this.#registry.seriesById(id),
    );
    const acks = group.map(({ batch }, index) => {
      const late = checked[index]!;
      rows.push(...batch.rows, ...late.rows);
      return ackOf(batch, late);
    });
    const rejected = group.flatMap((waiting, index) =>
      // Samples that are rejected again are in the table already.
      waiting.options.replayed === undefined
        ? deadLetters(acks[index]!.rejected, {
            ...waiting,
            instance: instanceOf(waiting),
            extraLabels: waiting.options.extraLabels,
          })
        : [],
    );
    const replayed = group.flatMap(({ options }, index) => storedOf(options.replayed, acks[index]!));
    const pending = this.#registry.takePending();
    const snapshot = this.#snapshots.take(nowMs);
    const scrapers = this.#echoes?.takeUnstored();
    try {
      await this.#store.commit({
        ...pending,
        rows,
        ...snapshot,
        pushes: group.flatMap(({ options, arrivedMs }, index) =>
          options.idempotency === undefined
            ? []
            : [this.#keys.record(options.idempotency, acks[index]!, arrivedMs)],
        ),
        imports,
        rejected,
        replayed,
        groups: group.flatMap(({ groups = [] }) => groups),
        exemplars: group.flatMap(({ batch }) => batch.exemplars),
        scrapers,
      });
    } catch (error) {
      this.#registry.restore(pending);
      if (scrapers !== undefined) this.#echoes?.restore();
      if (snapshot.totals !== undefined) this.#snapshots.fail();
      throw error;
    }
    this.#lettersSinceCut += rejected.length;
    this.#letterBytesSinceCut += bytesOfLetters(rejected);
    // From here on the rows are stored, so the pushes must be acknowledged, whatever fails.
    try {
      await this.#count(pending.series, rows, nowMs);
    } catch (error) {
      this.#options.onFault(
        "stored rows could not be counted; the totals are right again after a restart",
        error,
      );
    }
    this.#owners.committed();
    group.forEach((waiting, index) => {
      this.#finish(waiting, acks[index]!, nowMs);
    });
  }

  /** Applies what was committed to the running totals: many rows in slices. */
  async #count(series: readonly Series[], rows: readonly Rows[], nowMs: number): Promise<void> {
    for (const each of series) this.#define(each);
    for (const seriesId of this.#registry.takeEnded()) this.#totals.end(seriesId);
    const slices = new TimeSlices();
    for (const segment of rows) {
      for (let from = 0; from < segment.length; from += ROWS_AT_ONCE) {
        if (from > 0 && slices.isOver) await slices.next();
        const to = Math.min(from + ROWS_AT_ONCE, segment.length);
        this.#totals.apply(slicedRows(segment, from, to), nowMs * 1000);
      }
      this.#snapshots.addRows(segment.length);
    }
  }

  #finish(waiting: Waiting, ack: Ack, nowMs: number): void {
    const { protocol, batch, options } = waiting;
    this.#counters.samplesAccepted.inc({ protocol }, ack.accepted);
    if (ack.duplicates > 0) this.#counters.samplesDuplicate.inc({ protocol }, ack.duplicates);
    if (batch.historicalCount > 0) this.#counters.historySamples.inc(batch.historicalCount);
    // A sample that is rejected again was counted the first time.
    if (ack.rejected.length > 0 && options.replayed === undefined) {
      for (const [cause, count] of countByCause(ack.rejected))
        this.#counters.samplesRejected.inc({ protocol, cause }, count);
      this.#options.onRejected?.({ protocol, instance: instanceOf(waiting), rejected: ack.rejected });
    }
    const declared = this.#protocolOf(protocol);
    const isPush =
      declared.countsAsPush === "always" ||
      (declared.countsAsPush === "if exposed" && isExposed(declared, this.#options.exposeProtocols));
    const isImport = options.imported !== undefined && options.historical !== false;
    if (isPush && !isImport && options.replayed === undefined) {
      for (const { job, instance } of batch.sources) this.#totals.noteLastPush(job, instance, nowMs);
    }
    if (options.imported !== undefined) this.#imports.commit(options.imported);
    waiting.resolve(ack);
  }

  /**
   * Defines a series in the totals, and returns whether it is exposed. The totals also keep track of series that are
   * not.
   */
  #define(series: Series, exposedBefore = this.#totals.exposedSeries): boolean {
    this.#totals.define(series);
    const isForMetrics = series.exposed && !this.#registry.isEnded(series);
    if (isForMetrics && exposedBefore < this.#options.seriesMax) return true;
    if (isForMetrics) this.#counters.seriesUnexposed.inc();
    this.#totals.end(series.seriesId);
    return false;
  }

  /** Pruning runs once an hour. Until then dead letters and keys could fill the disk. */
  async #cutIfDue(): Promise<void> {
    const { rejectedMax, rejectedBytesMax } = this.#options;
    const areLettersDue = this.#lettersSinceCut > rejectedMax || this.#letterBytesSinceCut > rejectedBytesMax;
    if (!areLettersDue && !this.#keys.isCutDue) return;
    this.#lettersSinceCut = 0;
    this.#letterBytesSinceCut = 0;
    await this.#retention
      .forgetRecords()
      .catch((error: unknown) =>
        this.#options.onFault("old records could not be deleted; this will be retried", error),
      );
  }
}

function isEmpty({ length, rejected, exemplars = [] }: Batch): boolean {
  return length === 0 && rejected.length === 0 && exemplars.length === 0;
}
