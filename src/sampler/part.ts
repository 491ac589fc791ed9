/** The interface of a part of the sampler: host, process, disks, network, containers, gpu. */
import type { Reading } from "./batch.ts";

/** The names of all parts, for settings and for `weir_sampler_…{part}`. */
export const PART_NAMES = ["host", "process", "disks", "network", "containers", "gpu"] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface Part {
  readonly name: string;
  /** The time between two runs. */
  readonly intervalMs: number;
  /**
   * Whether it only reads a few files of the kernel. Such parts run at the same time, so that an idle gateway is woken once
   * for all of them. The others are shifted against each other.
   */
  readonly isQuick?: boolean;
  /**
   * A run is aborted after this time, and counted as a timeout. The default is 10 s, or the interval if it is
   * shorter.
   */
  readonly timeoutMs?: number;
  /**
   * Adds the current values. Resolves without a sample if the part does not exist on this machine (no GPU, no
   * container engine), which is not a failure. Rejects if it exists and cannot be read. Samples that were added
   * before are stored all the same. When `signal` aborts, it ends its child processes and settles as soon as
   * possible.
   */
  collect(reading: Reading, signal: AbortSignal): Promise<void>;
}

/** Options that every part has. */
export interface PartOptions {
  readonly intervalMs: number;
}

/** Rejects with the signal's reason when it aborts, or at once if it has aborted. */
export function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
