/** A push that waits for its commit: its size, and its answer. */
import type { GroupRecord } from "../model/records.ts";
import type { Batch, Rejection } from "../model/sample.ts";
import type { PushRecord, RejectedRecord } from "../store/store.ts";
import type { AdmittedBatch } from "./admission/admission.ts";
import { deadLetters } from "./admission/dead-letters.ts";
import type { Checked } from "./admission/duplicates.ts";
import type { Ack, Idempotency, PushOptions, Transaction } from "./contract.ts";

/**
 * Bytes of a rejected sample or a warning until its push is answered: a sentence, and possibly the sample. Past the first
 * ones of a body, decoders keep no texts.
 */
const REJECTION_BYTES = 512;
const DESCRIBED_MAX = 10_000;
const COUNTED_REJECTION_BYTES = 64;

export interface Waiting {
  batch: AdmittedBatch;
  /** Decides the batch when the writer takes the push from the queue. */
  readonly decide?: Transaction["decide"];
  /** Groups that change with the push. */
  groups?: readonly GroupRecord[];
  readonly protocol: string;
  readonly samples: number;
  readonly bytes: number;
  readonly arrivedMs: number;
  readonly options: PushOptions;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes that a batch takes while it waits. */
export function sizeOf(
  { length, text, attributes, warnings }: Batch,
  rejected: readonly Rejection[],
): number {
  const described = Math.min(rejected.length, DESCRIBED_MAX);
  const reasons = described + (warnings?.first.length ?? 0);
  return (
    text.length +
    length * (32 + 8 * attributes.length) +
    reasons * REJECTION_BYTES +
    (rejected.length - described) * COUNTED_REJECTION_BYTES
  );
}

const NONE: readonly Rejection[] = [];

/** The batch of a push that is not decided yet. */
export const UNDECIDED: AdmittedBatch = {
  rows: [],
  unchecked: [],
  rejected: [],
  historicalCount: 0,
  exemplars: [],
  sources: [],
};

/**
 * The answer to a push. Accepted are the admitted samples, without duplicates and those rejected by the check for
 * duplicates.
 */
export function ackOf(batch: AdmittedBatch, late?: Checked): Ack {
  const others = late?.rejected ?? NONE;
  const rejected =
    batch.rejected.length + others.length === 0
      ? NONE
      : [...batch.rejected, ...others].sort((a, b) => a.index - b.index);
  const duplicates = late?.duplicates ?? 0;
  let accepted = -duplicates - (late?.rejected.length ?? 0);
  for (const { length } of batch.rows) accepted += length;
  for (const { rows } of batch.unchecked) accepted += rows.length;
  return {
    accepted,
    duplicates,
    exemplars: batch.exemplars.length,
    rejected,
    rejectedCount: rejected.length,
    durability: "committed",
  };
}

/** The instance of a push's dead letters. */
export function instanceOf({ batch, options }: Waiting): string {
  return options.extraLabels?.get("instance") ?? batch.sources[0]?.instance ?? "";
}

/** Rejections by cause. A counter takes a microsecond for each call, and a body can have a million. */
export function countByCause(rejected: readonly Rejection[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { cause } of rejected) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  return counts;
}

/** What a commit stores of its pushes beside their rows. Most pushes have nothing of it, so nothing is made for them. */
export interface PushRecords {
  readonly rejected: RejectedRecord[];
  readonly replayed: number[];
  readonly pushes: PushRecord[];
  readonly groups: GroupRecord[];
  readonly exemplars: AdmittedBatch["exemplars"][number][];
}

/**
 * The records of the pushes of a commit.
 *
 * @param acks by push
 * @param keyRecord makes the record of an idempotency key
 */
export function recordsOf(
  group: readonly Waiting[],
  acks: readonly Ack[],
  keyRecord: (idempotency: Idempotency, ack: Ack, arrivedMs: number) => PushRecord,
): PushRecords {
  const records: PushRecords = { rejected: [], replayed: [], pushes: [], groups: [], exemplars: [] };
  for (let index = 0; index < group.length; index++) {
    const waiting = group[index]!;
    const ack = acks[index]!;
    const { protocol, options, batch, arrivedMs } = waiting;
    const { idempotency, replayed, extraLabels } = options;
    // Samples that are rejected again are in the table already.
    if (replayed !== undefined) for (const id of storedOf(replayed, ack)) records.replayed.push(id);
    else if (ack.rejected.length > 0) {
      const from = { protocol, arrivedMs, instance: instanceOf(waiting), extraLabels };
      for (const letter of deadLetters(ack.rejected, from)) records.rejected.push(letter);
    }
    if (idempotency !== undefined) records.pushes.push(keyRecord(idempotency, ack, arrivedMs));
    if (waiting.groups !== undefined) for (const each of waiting.groups) records.groups.push(each);
    for (const each of batch.exemplars) records.exemplars.push(each);
  }
  return records;
}

/** The ids of the samples of a push of rejected samples that were not rejected again. */
function storedOf(replayed: PushOptions["replayed"], { rejected }: Ack): number[] {
  if (replayed === undefined) return [];
  const again = new Set(rejected.map(({ index }) => index));
  return replayed.filter((_, position) => !again.has(position));
}
