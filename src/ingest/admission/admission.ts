/**
 * Admission decides which samples of a batch are stored, under which series, in which day, and whether they count in
 * running totals.
 *
 * The common batch keeps its columns as they are: every head is known, all samples are of one day, none is rejected
 * and none can be stored already. Any other batch is gathered row by row.
 */
import type { Counters } from "../../model/counters.ts";
import { quote } from "../../model/errors.ts";
import type { SenderTerms } from "../../model/protocol.ts";
import {
  type AttributeColumn,
  type Batch,
  dayOf,
  type Labels,
  type Rejection,
  type Rows,
  type SeriesHead,
} from "../../model/sample.ts";
import { unitHintOfUs } from "../../model/time.ts";
import type { Admission, Admitted } from "../../series/admitted.ts";
import type { Registry } from "../../series/registry.ts";
import type { ExemplarRecord } from "../../store/tables/exemplar-rows.ts";
import { LETTERS_PER_PUSH_MAX } from "./dead-letters.ts";
import { type HeadNote, LIST_LENGTH_MIN } from "./head-notes.ts";
import type { NewestTimes } from "./newest-times.ts";
import { rejectedSampleText } from "./rejected-sample.ts";
import { pick, withConstants } from "./row-columns.ts";

export interface AdmissionOptions {
  /** Samples before this are rejected: the start of retention, µs. */
  readonly firstUs: number;
  /** Samples after this are rejected, µs. */
  readonly lastUs: number;
  readonly nowUs: number;
  /** Samples that arrive later than this after their time are historical: stored, not counted in totals. */
  readonly totalsLateUs: number;
  /** No sample of the batch counts in totals. */
  readonly historical: boolean;
  readonly retentionDays: number;
  /**
   * Whether the owner of another protocol has a series. Samples of such a series are historical: a group exposes what
   * was pushed to it. Otherwise a Prometheus that scrapes the group here and writes its samples back would end the
   * series when one scrape failed.
   */
  readonly isHeld?: (seriesId: number) => boolean;
  /** Whether new series of the batch are exposed on /metrics. */
  readonly exposed: boolean;
  /** Whether `le` and `quantile` are stored as they were sent. */
  readonly keepsBoundText: boolean;
  /** The words for reasons and for the samples that are quoted. */
  readonly terms: SenderTerms;
  readonly counters: Counters;
}

/** The admitted and the rejected samples of a batch. */
export interface AdmittedBatch {
  readonly rows: Rows[];
  /**
   * Samples of gauges and cumulative series that are no newer than the newest sample of their series. They may be
   * stored already, and are checked before the commit (src/ingest/admission/duplicates.ts). `position` is their
   * index in the body.
   */
  readonly unchecked: { readonly rows: Rows; readonly position: Uint32Array }[];
  readonly rejected: Rejection[];
  /** Samples in `rows` and `unchecked` that are not live. */
  readonly historicalCount: number;
  readonly exemplars: readonly ExemplarRecord[];
  /** The job and instance of each worker that the samples name. */
  readonly sources: readonly { readonly job: string; readonly instance: string }[];
}

/** The decision about a head, valid while the epoch of the registry is the same. */
export interface AdmissionDecision {
  readonly epoch: number;
  readonly extra: Labels;
  readonly admission: Admission;
  /** The job and instance as one text, by which the sources of a batch are compared. */
  readonly source: string;
}

/** The decisions about the heads of a batch. */
interface ListDecision {
  /** By head. */
  readonly admissions: readonly Admission[];
  readonly sources: AdmittedBatch["sources"];
  /** Whether all heads are admitted, and none has attributes that are equal for all of its samples. */
  readonly plain: boolean;
  /** Whether a head is a gauge or cumulative. */
  readonly hasLevels: boolean;
}

/** The same about a list of heads that a decoder repeats, if all of them are plain. */
interface KnownList extends ListDecision {
  readonly epoch: number;
  readonly extra: Labels;
  /** By head: the id of its series. */
  readonly seriesIds: Uint32Array;
  /** The day in which all series are known to have samples. */
  day: number;
}

const NO_LABELS: Labels = new Map();
/** The decision about a head without any sample in the accepted time. Each of its samples is rejected for its own time. */
const OUT_OF_TIME: AdmissionDecision = {
  epoch: -1,
  extra: NO_LABELS,
  admission: { refused: "the sample's time is not accepted", cause: "timestamp" },
  source: "",
};
/** Heads that are decided without a pause: some 100 µs for new series. */
const HEADS_AT_ONCE = 16;
/** Texts of jobs with their instances that are kept. */
const SOURCES_MAX = 10_000;

export class SampleAdmission {
  readonly #registry: Registry;
  readonly #newest: NewestTimes;
  /** One text per job and instance. Equal ones are the same object, so that they are compared quickly. */
  readonly #sources = new Map<string, string>();
  /** By the notes of a list of heads. */
  readonly #lists = new WeakMap<readonly HeadNote[], KnownList>();

  constructor(registry: Registry, newest: NewestTimes) {
    this.#registry = registry;
    this.#newest = newest;
  }

  /**
   * Decides about every sample of a batch.
   *
   * @param known the notes of the heads, where decisions are kept; or by head its series, which is registered
   */
  admit(
    sent: Batch,
    extra: Labels = NO_LABELS,
    options: AdmissionOptions,
    known: { readonly notes: readonly HeadNote[] } | { readonly seriesIds: readonly number[] },
  ): AdmittedBatch {
    const registry = this.#registry;
    const batch = withTimes(sent, options.nowUs);
    const { earliest, latest } = range(batch);
    const inTime = earliest >= options.firstUs && latest <= options.lastUs;
    const list = inTime && "notes" in known ? this.#knownList(extra, known.notes) : undefined;
    const decision = list ?? this.#decideAll(batch, extra, options, known, inTime);
    const { admissions, sources, plain, hasLevels } = decision;
    const outcome = {
      sources,
      rejected: [...batch.rejected],
      exemplars: exemplarsOf(batch, admissions, options),
    };
    const day = dayOf(earliest);
    if (plain && batch.length > 0 && inTime && day === dayOf(latest)) {
      const ids = list?.seriesIds ?? idsOf(admissions as readonly Admitted[]);
      const seriesId = seriesIdsOf(batch, ids);
      // Samples that can be merged need not be newer than others of their series. In a mixed batch they mostly are.
      if (!hasLevels || this.#newest.advance(seriesId, batch.timestampUs, batch.length)) {
        if (list?.day !== day) for (const id of ids) registry.touch(id, day);
        if ("notes" in known) this.#remember(list, decision, ids, extra, known.notes, day);
        const rows = wholeBatch(batch, seriesId, day, options);
        return { ...outcome, rows: [rows], unchecked: [], historicalCount: countHistorical(rows) };
      }
    }
    return {
      ...outcome,
      ...gather(batch, admissions, registry, this.#newest, outcome.rejected, options, extra),
    };
  }

  /**
   * Makes the decisions about the heads of a large batch in advance, so that `admit` finds them, mostly as one list. It
   * yields after every few heads: the caller may pause there, and store the new series so far.
   *
   * @param notes of the heads
   */
  *prepare(
    sent: Batch,
    extra: Labels = NO_LABELS,
    options: AdmissionOptions,
    notes: readonly HeadNote[],
  ): Generator<void, void> {
    const registry = this.#registry;
    const batch = withTimes(sent, options.nowUs);
    const { earliest, latest } = range(batch);
    const inTime = earliest >= options.firstUs && latest <= options.lastUs;
    const hasSample = inTime ? undefined : headsInTime(batch, options);
    const day = dayOf(earliest) === dayOf(latest) ? dayOf(earliest) : undefined;
    const { epoch } = registry;
    const admissions: Admission[] = [];
    const found = new Sources();
    const seriesIds = new Uint32Array(batch.heads.length);
    let [plain, hasLevels] = [inTime, false];
    for (let index = 0; index < batch.heads.length; index++) {
      if (index % HEADS_AT_ONCE === 0) yield;
      if (hasSample?.[index] === 0) continue;
      const { admission, source } = this.#decide(batch.heads[index]!, extra, options, notes[index]!);
      admissions.push(admission);
      if ("refused" in admission || admission.attributes.length > 0) plain = false;
      if ("refused" in admission) continue;
      seriesIds[index] = admission.seriesId;
      found.add(source, admission);
      if (isLevel(admission)) hasLevels = true;
      if (inTime && day !== undefined) registry.touch(admission.seriesId, day);
    }
    // Otherwise a label was demoted meanwhile, and `admit` decides again.
    if (!plain || day === undefined || registry.epoch !== epoch) return;
    const sources = found.list();
    this.#lists.set(notes, { epoch, extra, admissions, sources, plain, hasLevels, seriesIds, day });
  }

  /** The decisions about a list of heads that was admitted before, as long as they are valid. */
  #knownList(extra: Labels, notes: readonly HeadNote[]): KnownList | undefined {
    const list = this.#lists.get(notes);
    return list?.epoch === this.#registry.epoch && list.extra === extra ? list : undefined;
  }

  /** Keeps the decisions about a list of heads. `HeadNotes` has lists of them only if they are long. */
  #remember(
    list: KnownList | undefined,
    decision: ListDecision,
    seriesIds: Uint32Array,
    extra: Labels,
    notes: readonly HeadNote[],
    day: number,
  ): void {
    if (list !== undefined) list.day = day;
    else if (notes.length >= LIST_LENGTH_MIN)
      this.#lists.set(notes, { ...decision, epoch: this.#registry.epoch, extra, seriesIds, day });
  }

  /** Decides about each head of a batch. */
  #decideAll(
    batch: Batch,
    extra: Labels,
    options: AdmissionOptions,
    known: { readonly notes: readonly HeadNote[] } | { readonly seriesIds: readonly number[] },
    inTime: boolean,
  ): ListDecision {
    const registry = this.#registry;
    const hasSample = inTime ? undefined : headsInTime(batch, options);
    const admissions: Admission[] = [];
    let found = new Sources();
    let plain = true;
    let hasLevels = false;
    // A head that is admitted may demote a label of a head that was admitted before it: then all are admitted again.
    for (let epoch = -1; epoch !== registry.epoch; ) {
      epoch = registry.epoch;
      plain = true;
      hasLevels = false;
      found = new Sources();
      for (let index = 0; index < batch.heads.length; index++) {
        const { admission, source } =
          hasSample?.[index] === 0
            ? OUT_OF_TIME
            : "notes" in known
              ? this.#decide(batch.heads[index]!, extra, options, known.notes[index]!)
              : this.#decision(extra, registry.admitKnown(batch.heads[index]!, known.seriesIds[index]!));
        admissions[index] = admission;
        if ("refused" in admission || admission.attributes.length > 0) plain = false;
        if ("refused" in admission) continue;
        found.add(source, admission);
        if (isLevel(admission)) hasLevels = true;
      }
    }
    return { admissions, sources: found.list(), plain, hasLevels };
  }

  #decide(head: SeriesHead, extra: Labels, options: AdmissionOptions, note: HeadNote): AdmissionDecision {
    const registry = this.#registry;
    const known = note.admission;
    if (known !== undefined && known.epoch === registry.epoch && known.extra === extra) return known;
    const decision = this.#decision(extra, registry.admit(head, extra, options));
    note.admission = decision;
    return decision;
  }

  #decision(extra: Labels, admission: Admission): AdmissionDecision {
    return { epoch: this.#registry.epoch, extra, admission, source: this.#sourceOf(admission) };
  }

  #sourceOf(admission: Admission): string {
    if ("refused" in admission) return "";
    const source = `${admission.job}\u0000${admission.instance}`;
    const known = this.#sources.get(source);
    if (known !== undefined) return known;
    if (this.#sources.size >= SOURCES_MAX) this.#sources.clear();
    this.#sources.set(source, source);
    return source;
  }
}

/** The batch with the time of arrival for each sample without a time. */
function withTimes(batch: Batch, nowUs: number): Batch {
  const { length } = batch;
  for (let index = 0; index < length; index++) {
    if (!Number.isNaN(batch.timestampUs[index]!)) continue;
    const timestampUs = batch.timestampUs.slice(0, length);
    for (; index < length; index++) if (Number.isNaN(timestampUs[index]!)) timestampUs[index] = nowUs;
    return { ...batch, timestampUs };
  }
  return batch;
}

/** The times of the first and of the last sample of a batch. */
function range({ timestampUs, length }: Batch): { earliest: number; latest: number } {
  let earliest = Number.POSITIVE_INFINITY;
  let latest = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < length; index++) {
    const us = timestampUs[index]!;
    if (us < earliest) earliest = us;
    if (us > latest) latest = us;
  }
  return { earliest, latest };
}

/**
 * By head: 1 if one of its samples has an accepted time. Other heads must not be admitted: a rejected sample claims
 * no name, makes no series and demotes no label.
 */
function headsInTime(batch: Batch, { firstUs, lastUs }: AdmissionOptions): Uint8Array {
  const hasSample = new Uint8Array(batch.heads.length);
  for (let index = 0; index < batch.length; index++) {
    const us = batch.timestampUs[index]!;
    if (us >= firstUs && us <= lastUs) hasSample[batch.head[index]!] = 1;
  }
  for (const { head, timestampUs } of batch.exemplars ?? []) {
    if (timestampUs >= firstUs && timestampUs <= lastUs) hasSample[head] = 1;
  }
  return hasSample;
}

/** Gauges and cumulative series have one value per timestamp. */
function isLevel({ kind }: Admitted): boolean {
  return kind === "gauge" || kind === "cumulative";
}

/** The job and instance pairs of a batch's admitted heads. Consecutive heads mostly have the same pair. */
class Sources {
  /** Undefined as long as there is one pair. */
  #found: Map<string, Admitted> | undefined;
  #first: { readonly source: string; readonly admission: Admitted } | undefined;
  #last: string | undefined;

  add(source: string, admission: Admitted): void {
    if (source === this.#last) return;
    this.#last = source;
    if (this.#first === undefined) {
      this.#first = { source, admission };
      return;
    }
    this.#found ??= new Map([[this.#first.source, this.#first.admission]]);
    this.#found.set(source, admission);
  }

  list(): AdmittedBatch["sources"] {
    if (this.#found !== undefined) return [...this.#found.values()];
    return this.#first === undefined ? [] : [this.#first.admission];
  }
}

/** The exemplars of admitted series with accepted times. Other exemplars are dropped and counted. */
function exemplarsOf(
  { exemplars = [] }: Batch,
  admissions: readonly Admission[],
  { firstUs, lastUs, counters }: AdmissionOptions,
): ExemplarRecord[] {
  const accepted = exemplars.flatMap(({ head, timestampUs, value, labels }) => {
    const admission = admissions[head]!;
    const isTaken = !("refused" in admission) && timestampUs >= firstUs && timestampUs <= lastUs;
    return isTaken ? [{ seriesId: admission.seriesId, timestampUs, value, labels }] : [];
  });
  if (accepted.length < exemplars.length) counters.exemplarsDropped.inc(exemplars.length - accepted.length);
  return accepted;
}

function idsOf(admissions: readonly Admitted[]): Uint32Array {
  const ids = new Uint32Array(admissions.length);
  for (let index = 0; index < ids.length; index++) ids[index] = admissions[index]!.seriesId;
  return ids;
}

/** By sample: the id of its series. */
function seriesIdsOf({ head, length }: Batch, ids: Uint32Array): Uint32Array {
  const seriesId = new Uint32Array(length);
  for (let index = 0; index < length; index++) seriesId[index] = ids[head[index]!]!;
  return seriesId;
}

function wholeBatch(batch: Batch, seriesId: Uint32Array, day: number, options: AdmissionOptions): Rows {
  const { length } = batch;
  return {
    day,
    length,
    seriesId,
    timestampUs: batch.timestampUs,
    value: batch.value,
    stale: batch.stale,
    live: liveOf(seriesId, batch.timestampUs, options),
    attributes: batch.attributes,
    text: batch.text,
  };
}

/** The indexes of the samples that go to one day. `unchecked` are those that may be stored there already. */
interface DayIndexes {
  readonly fresh: number[];
  readonly unchecked: number[];
}

function gather(
  batch: Batch,
  admissions: readonly Admission[],
  registry: Registry,
  newest: NewestTimes,
  rejected: Rejection[],
  options: AdmissionOptions,
  extra: Labels,
): Pick<AdmittedBatch, "rows" | "unchecked" | "historicalCount"> {
  const { terms } = options;
  const context = { extra, historical: options.historical };
  const hint = (us: number) => (terms.timeUnit === undefined ? "" : unitHintOfUs(us, terms.timeUnit));
  const days = new Map<number, DayIndexes>();
  for (let index = 0; index < batch.length; index++) {
    const admission = admissions[batch.head[index]!]!;
    const us = batch.timestampUs[index]!;
    const reject = (cause: string, reason: string) =>
      rejected.push({
        index: batch.position[index]!,
        cause,
        reason,
        ...(rejected.length < LETTERS_PER_PUSH_MAX
          ? {
              payload: describe(batch, index, terms),
              metric: batch.heads[batch.head[index]!]!.metric,
              labels: batch.heads[batch.head[index]!]!.labels,
              sample: rejectedSampleText(batch, index, context),
            }
          : { payload: "" }),
      });
    if (us < options.firstUs) {
      const days = dayOf(options.nowUs) - dayOf(us) + 1;
      reject(
        "timestamp",
        `${terms.time} ${iso(us)} is before retention, which starts at ${iso(options.firstUs)}` +
          (hint(us) || ` (--retention-days ${options.retentionDays}; ${days} would cover it)`),
      );
      continue;
    }
    if (us > options.lastUs) {
      reject(
        "timestamp",
        `${terms.time} ${iso(us)} is in the future, at most ${iso(options.lastUs)} is accepted now (futureMs)` +
          hint(us),
      );
      continue;
    }
    if ("refused" in admission) {
      reject(admission.cause, admission.refused);
      continue;
    }
    const day = dayOf(us);
    let indexes = days.get(day);
    if (indexes === undefined) {
      indexes = { fresh: [], unchecked: [] };
      days.set(day, indexes);
    }
    if (!isLevel(admission)) {
      indexes.fresh.push(index);
    } else if (us > newest.get(admission.seriesId)) {
      newest.set(admission.seriesId, us);
      indexes.fresh.push(index);
    } else {
      indexes.unchecked.push(index);
    }
  }
  const columns = withConstants(batch, admissions);
  const rows: Rows[] = [];
  const unchecked: AdmittedBatch["unchecked"] = [];
  let historicalCount = 0;
  const select = (day: number, indexes: readonly number[]) => {
    const selected = selectRows(batch, admissions as Admitted[], columns, day, indexes, options);
    for (const id of selected.seriesId) registry.touch(id, day);
    historicalCount += countHistorical(selected);
    return selected;
  };
  for (const [day, indexes] of days) {
    if (indexes.fresh.length > 0) rows.push(select(day, indexes.fresh));
    if (indexes.unchecked.length > 0) {
      const position = Uint32Array.from(indexes.unchecked, (index) => batch.position[index]!);
      unchecked.push({ rows: select(day, indexes.unchecked), position });
    }
  }
  return { rows, unchecked, historicalCount };
}

function selectRows(
  batch: Batch,
  admissions: readonly Admitted[],
  columns: { attributes: readonly AttributeColumn[]; text: Uint8Array },
  day: number,
  indexes: readonly number[],
  options: AdmissionOptions,
): Rows {
  const length = indexes.length;
  const seriesId = new Uint32Array(length);
  const timestampUs = new Float64Array(length);
  const value = new Float64Array(length);
  for (let row = 0; row < length; row++) {
    const index = indexes[row]!;
    seriesId[row] = admissions[batch.head[index]!]!.seriesId;
    timestampUs[row] = batch.timestampUs[index]!;
    value[row] = batch.value[index]!;
  }
  const stale = batch.stale === undefined ? undefined : pick(batch.stale, indexes);
  const attributes = columns.attributes.map(({ name, offset, length: lengths }) => ({
    name,
    offset: pick(offset, indexes),
    length: pick(lengths, indexes),
  }));
  const live = liveOf(seriesId, timestampUs, options);
  return { day, length, seriesId, timestampUs, value, stale, live, attributes, text: columns.text };
}

/** By sample: 1 if it counts in running totals. */
function liveOf(
  seriesId: Uint32Array,
  timestampUs: Readonly<Float64Array>,
  { historical, nowUs, totalsLateUs, isHeld }: AdmissionOptions,
): Uint8Array {
  const { length } = seriesId;
  const live = new Uint8Array(length);
  if (historical) return live;
  const liveAfterUs = nowUs - totalsLateUs;
  for (let index = 0; index < length; index++) live[index] = timestampUs[index]! > liveAfterUs ? 1 : 0;
  if (isHeld === undefined) return live;
  for (let index = 0; index < length; index++) if (isHeld(seriesId[index]!)) live[index] = 0;
  return live;
}

function countHistorical(rows: Rows): number {
  let live = 0;
  for (let row = 0; row < rows.length; row++) live += rows.live[row]!;
  return rows.length - live;
}

/** A sample as its sender may recognise it, for the table `rejected`. */
export function describe(batch: Batch, index: number, terms: SenderTerms): string {
  const head = batch.heads[batch.head[index]!]!;
  return quote({
    [terms.time]: iso(batch.timestampUs[index]!),
    [terms.metric]: head.metric,
    value: batch.value[index]!,
    [`${terms.label}s`]: Object.fromEntries(head.labels),
  });
}

function iso(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? `${us} µs` : date.toISOString();
}
