/** Plays the work of a simulated worker in real time. */
import type { WorkStep } from "./task-work.ts";

/** Timers cannot wait longer than this, and no step is this far away. */
const WAIT_MS_MAX = 60_000;

/** Steps that are later than this are left out: the machine slept meanwhile. */
const LATE_MS = 60_000;

/**
 * Passes each step on when it is due.
 *
 * @returns stops it; no step is passed on afterwards
 */
export function play(steps: Generator<WorkStep, never>, record: (step: WorkStep) => void): () => void {
  let timer: Timer | undefined;
  let next = steps.next().value;
  const turn = () => {
    for (; next.atMs <= Date.now(); next = steps.next().value)
      if (Date.now() - next.atMs < LATE_MS) record(next);
    timer = setTimeout(turn, Math.min(WAIT_MS_MAX, Math.max(1, next.atMs - Date.now())));
  };
  turn();
  return () => clearTimeout(timer);
}
