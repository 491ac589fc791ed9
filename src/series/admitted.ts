/** What becomes of a head: the series that its samples belong to, or why they are rejected. */
import type { Kind } from "../model/sample.ts";

/** Where a head's samples go, or why they cannot. */
export type Admission = Admitted | Refused;

export interface Admitted {
  readonly seriesId: number;
  readonly kind: Kind;
  /** Tags that are columns though they came as labels: the same for each sample of the head. */
  readonly attributes: readonly (readonly [name: string, value: string])[];
  readonly job: string;
  readonly instance: string;
}

export interface Refused {
  readonly refused: string;
  readonly cause: string;
}
