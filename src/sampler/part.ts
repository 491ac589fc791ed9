/** What the sampler's loop asks of a part: host, process, disks, network, containers, gpu. */
import type { Reading } from "./batch.ts";

/** The parts that there are, by the names that settings and `weir_sampler_…{part}` use. */
export const PART_NAMES = ["host", "process", "disks", "network", "containers", "gpu"] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface Part {
  readonly name: string;
  /** Time from one run to the next. */
  readonly intervalMs: number;
  /** After this a run is aborted and counted as hanging; 10 s, or the interval where that is shorter. */
  readonly timeoutMs?: number;
  /**
   * Adds what is to be seen now. Resolves without a sample where the part does not exist on this machine (no
   * GPU, no container engine): that is no failure. Rejects where it exists and cannot be read; what was added
   * before is stored all the same. When `signal` aborts it ends its children and settles as soon as it can.
   */
  collect(reading: Reading, signal: AbortSignal): Promise<void>;
}

/** What a factory of a part takes, beside what is its own. */
export interface PartOptions {
  readonly intervalMs: number;
}

/** Rejects with the signal's reason when it aborts, at once if it has. */
export function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
