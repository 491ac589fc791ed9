/**
 * What keeps the file as it is while another process copies it. A checkpoint is all that writes over what the file
 * and its log say together: commits go to the end of the log, and into blocks that neither of them uses. So none is
 * made meanwhile. Blocks of rows that only the log names are used again as soon as their table is dropped: then the
 * copy is worth nothing.
 */
import type { StoreFiles } from "../store.ts";

export class Copying {
  #underWay = 0;
  #rewrites = 0;

  /** Whether no checkpoint may be made. */
  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /** Notes that tables are dropped. */
  noteRewrite(): void {
    this.#rewrites++;
  }

  /**
   * Runs `copy` with the files as they are between two commits; false when tables were dropped under it.
   *
   * @param files looks at them between two commits
   */
  async hold(files: () => Promise<StoreFiles>, copy: (files: StoreFiles) => Promise<void>): Promise<boolean> {
    // Before the look: what waits in front of it may be a checkpoint, and what comes after may not.
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
