/**
 * Keeps the file unchanged while another process copies it. Only a checkpoint overwrites what the file and its
 * log say together: a commit appends to the log, and writes to blocks that neither of them uses. So there is no
 * checkpoint during a copy. Blocks of rows that only the log refers to are used again as soon as their table is
 * dropped. The copy is then unusable.
 */
import type { StoreFiles } from "../store.ts";

export class Copying {
  #underWay = 0;
  #rewrites = 0;

  /** Whether a copy is in progress, so that no checkpoint may run. */
  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /** Records that tables were dropped. */
  noteRewrite(): void {
    this.#rewrites++;
  }

  /**
   * Runs `copy` with the files as they are between two commits. Returns false if tables were dropped meanwhile.
   *
   * @param files measures the files between two commits
   */
  async hold(files: () => Promise<StoreFiles>, copy: (files: StoreFiles) => Promise<void>): Promise<boolean> {
    // Before `files`: the operation queued in front of it may be a checkpoint, and none may follow it.
    this.#underWay++;
    try {
      const found = await files();
      const rewrites = this.#rewrites;
      await copy(found);
      return rewrites === this.#rewrites;
    } finally {
      this.#underWay--;
    }
  }
}
