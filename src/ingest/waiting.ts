/** A push that waits for its commit, what it takes meanwhile, and what becomes of it. */
import type { Batch, Rejection } from "../model/sample.ts";
import type { GroupRecord } from "../store/store.ts";
import type { AdmittedBatch } from "./admission/admission.ts";
import type { Ack, PushOptions, Transaction } from "./contract.ts";
import type { Settled } from "./admission/doubts.ts";

/** What a rejected sample, or a warning, takes until its push is answered: a sentence, and maybe the sample. */
const REJECTION_BYTES = 512;

export interface Waiting {
  batch: AdmittedBatch;
  /** Says what the batch is once it is this push's turn. */
  readonly decide?: Transaction["decide"];
  /** Groups that change with it. */
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
  const told = rejected.length + (warnings?.first.length ?? 0);
  return text.length + length * (32 + 8 * attributes.length) + told * REJECTION_BYTES;
}

/** The batch of a push that is still to be decided. */
export const UNDECIDED: AdmittedBatch = {
  rows: [],
  doubtful: [],
  rejected: [],
  historicalCount: 0,
  exemplars: [],
  sources: [],
};

/** What a push is answered: its samples, without those that turned out to be stored or wrong. */
export function ackOf(batch: AdmittedBatch, late?: Settled): Ack {
  const rejected = [...batch.rejected, ...(late?.rejected ?? [])].sort((a, b) => a.index - b.index);
  const duplicates = late?.duplicates ?? 0;
  let accepted = -duplicates - (late?.rejected.length ?? 0);
  for (const { length } of batch.rows) accepted += length;
  for (const { rows } of batch.doubtful) accepted += rows.length;
  return {
    accepted,
    duplicates,
    exemplars: batch.exemplars.length,
    rejected,
    rejectedCount: rejected.length,
    durability: "committed",
  };
}

/** Whom a dead letter of the push is from. */
export function instanceOf({ batch, options }: Waiting): string {
  return options.extraLabels?.get("instance") ?? batch.sources[0]?.instance ?? "";
}
