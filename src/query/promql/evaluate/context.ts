/** What all operators of one evaluation share. */
import type { Storage } from "../storage.ts";
import type { Annotations } from "./annotations.ts";
import type { Budget } from "./budget.ts";

export interface Context {
  /** How far back an instant selector looks for a series' latest sample. */
  readonly lookbackMs: number;
  /** The step of subqueries without one. */
  readonly subqueryStepMs: number;
  readonly storage: Storage;
  readonly budget: Budget;
  readonly annotations: Annotations;
  /** See Selection.totalsAfterMs. */
  readonly totalsAfterMs: number;
}
