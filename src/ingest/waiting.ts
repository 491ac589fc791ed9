/** A push that waits for its commit, and what it takes meanwhile. */
import type { Batch, Rejection } from "../sample.ts";
import type { AdmittedBatch } from "./admission.ts";
import type { Ack, PushOptions } from "./contract.ts";

/** What a sample that was turned away takes until its push is answered: its reason, and maybe itself. */
const REJECTION_BYTES = 512;

export interface Waiting {
  readonly batch: AdmittedBatch;
  readonly protocol: string;
  readonly samples: number;
  readonly bytes: number;
  readonly arrivedMs: number;
  readonly options: PushOptions;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes that a batch takes while it waits. */
export function sizeOf({ length, text, attributes }: Batch, rejected: readonly Rejection[]): number {
  return text.length + length * (32 + 8 * attributes.length) + rejected.length * REJECTION_BYTES;
}

/** Whom a dead letter of the push is from. */
export function instanceOf({ batch, options }: Waiting): string {
  return options.extraLabels?.get("instance") ?? batch.sources[0]?.instance ?? "";
}
