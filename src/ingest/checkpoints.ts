/** Decides when the write-ahead log has grown enough for a checkpoint, and takes it beside the next commits. */
import type { Store } from "../store/store.ts";
import type { IngestOptions } from "./contract.ts";

/** After commits of this many samples the size of the log is checked again. They add a few megabytes to it at most. */
const SAMPLES_BETWEEN = 10_000;
/**
 * After this many small commits it is checked, too: they add 5 MB at most (src/store/journal/journal.ts). A check
 * takes 0.06 ms, half as long as such a commit.
 */
const COMMITS_BETWEEN = 32;

export class Checkpoints {
  readonly #store: Store;
  readonly #options: IngestOptions;
  #samples = 0;
  /** The first commit after a start checks the log, because the process before may have left a long one. */
  #commits = COMMITS_BETWEEN;
  #running: Promise<unknown> | undefined;

  constructor(store: Store, options: IngestOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Call after each commit, with its number of samples. Begins a checkpoint if one is due. */
  async committed(samples: number): Promise<void> {
    this.#samples += samples;
    if (++this.#commits < COMMITS_BETWEEN && this.#samples < SAMPLES_BETWEEN) return;
    this.#commits = 0;
    this.#samples = 0;
    const { logBytes } = await this.#store.fileSizes();
    if (logBytes < this.#options.checkpointLogBytes && !this.#store.isCheckpointDue(logBytes)) return;
    this.#running ??= this.#store
      .checkpoint()
      .catch((error: unknown) => this.#options.onFault("a checkpoint failed and will be retried", error))
      .finally(() => {
        this.#running = undefined;
      });
  }
}
