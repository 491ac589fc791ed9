/**
 * Blocks of the file that the engine keeps in memory. It keeps those that it wrote as well as those that it read, until
 * they fill its limit. While nothing is read they help nobody, and the gateway would grow for hours. So they are freed
 * between two operations on the tables, once nothing was read for a while.
 */

import type { Connection } from "./engine/duckdb.ts";
import { statement } from "./statements.ts";

/** The panels of a dashboard that is open read again within this time. */
const UNREAD_MS_MIN = 60_000;
/** To find out how much there is takes 0.3 ms. */
const INTERVAL_MS = 10_000;
/** More than this is freed, down to `KEPT_MIB`. */
const BYTES_MAX = 32 * 1_048_576;
const KEPT_MIB = 16;

export class CachedBlocks {
  readonly #settings: Connection;
  readonly #limitBytes: number;
  readonly #now: () => number;
  #readMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #freeing: Promise<void> | undefined;

  /**
   * @param settings a connection that runs short statements only
   * @param limitBytes the limit of the engine's memory
   * @param now milliseconds of a clock that never goes back
   */
  constructor(settings: Connection, limitBytes: number, now: () => number = () => performance.now()) {
    this.#settings = settings;
    this.#limitBytes = limitBytes;
    this.#now = now;
  }

  /** Call when a reader opens and when it closes. */
  noteRead(): void {
    this.#readMs = this.#now();
  }

  /** Resolves when a reader may open: the limit is low for a moment, and a query would fail. */
  async settled(): Promise<void> {
    await this.#freeing;
  }

  /**
   * Frees the blocks if they are many and nothing was read for a while. Call it when no transaction is open.
   *
   * @param readers how many readers are open or being opened
   */
  async free(readers: number): Promise<void> {
    const nowMs = this.#now();
    if (readers > 0 || nowMs < this.#readMs + UNREAD_MS_MIN || nowMs < this.#triedMs + INTERVAL_MS) return;
    this.#triedMs = nowMs;
    this.#freeing = this.#free().finally(() => {
      this.#freeing = undefined;
    });
    await this.#freeing;
  }

  /**
   * Frees all blocks, as far as possible. For the end of a start, and for the archive, which reads a day once. Call it when no
   * transaction is open, and no statement of a reader runs.
   */
  async freeAll(): Promise<void> {
    this.#freeing = this.#limit(1).finally(() => {
      this.#freeing = undefined;
    });
    await this.#freeing;
  }

  async #free(): Promise<void> {
    const [used] = await this.#settings.all<{ bytes: number }>(statement("store/memory_used"));
    if (used!.bytes > BYTES_MAX) await this.#limit(KEPT_MIB);
  }

  /** Lowers the limit of the engine's memory for a moment. */
  async #limit(keptMib: number): Promise<void> {
    const set = (mebibytes: number) =>
      this.#settings.run(statement("store/set_memory_limit", { limit: `${mebibytes}MiB` }));
    // Fails if more is in use than blocks of the file, such as rows of the log. Then what could be freed is freed.
    await set(keptMib).catch(() => undefined);
    await set(Math.floor(this.#limitBytes / 1_048_576));
  }
}
