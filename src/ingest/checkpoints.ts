/** When the write-ahead log has grown enough to be moved into the file. */
import type { Store } from "../store/store.ts";
import type { IngestOptions } from "./contract.ts";

/** Samples of commits after which the log is looked at again: a megabyte of it, or a few. */
const SAMPLES_BETWEEN = 10_000;
/** Commits, where they are small: 5 MB at most (src/store/journal/journal.ts). A look takes 0.06 ms, half of such a commit. */
const COMMITS_BETWEEN = 32;

export class Checkpoints {
  readonly #store: Store;
  readonly #options: IngestOptions;
  #samples = 0;
  /** The first commit of a run looks: an earlier one may have left a long log. */
  #commits = COMMITS_BETWEEN;

  constructor(store: Store, options: IngestOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** After a commit of so many samples: takes a checkpoint if one is due. */
  async committed(samples: number): Promise<void> {
    this.#samples += samples;
    if (++this.#commits < COMMITS_BETWEEN && this.#samples < SAMPLES_BETWEEN) return;
    this.#commits = 0;
    this.#samples = 0;
    const { logBytes } = await this.#store.fileSizes();
    if (logBytes < this.#options.checkpointLogBytes && !this.#store.isCheckpointDue(logBytes)) return;
    await this.#store
      .checkpoint()
      .catch((error: unknown) => this.#options.onFault("a checkpoint failed, it is tried again", error));
  }
}
