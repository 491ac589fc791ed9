/** The decision about a head: the series of its samples, or the reason why they are rejected. */
import type { Kind } from "../model/sample.ts";

/** The series of a head's samples, or the reason why they are rejected. */
export type Admission = Admitted | Refused;

export interface Admitted {
  readonly seriesId: number;
  readonly kind: Kind;
  /** Attributes that were sent as labels: equal for all samples of the head. */
  readonly attributes: readonly (readonly [name: string, value: string])[];
  readonly job: string;
  readonly instance: string;
}

export interface Refused {
  readonly refused: string;
  readonly cause: string;
}
