/**
 * When each token was last used. The times are written to a file of their own in the data folder, because the file of the
 * tokens may be read-only. The first use of a token is written at once, and later uses within a minute: `weir token list`
 * shows times that are at most a minute too old.
 */
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";

const WRITE_INTERVAL_MS = 60_000;

/** The times of the last uses in a file, by id of the token. Empty if there is no such file, or it is damaged. */
export function readTokenUses(path: string): ReadonlyMap<string, number> {
  try {
    const entries = Object.entries(JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>);
    return new Map(
      entries.flatMap(([id, time]): [string, number][] => {
        const ms = Date.parse(String(time));
        return Number.isNaN(ms) ? [] : [[id, ms]];
      }),
    );
  } catch {
    return new Map();
  }
}

export class TokenUses {
  readonly #path: string;
  readonly #times: Map<string, number>;
  readonly #onFault: (error: unknown) => void;
  readonly #writeIntervalMs: number;
  #dirty = false;
  /** Set while uses wait to be written. */
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param onFault gets the error of a write. The times are written again later
   * @param writeIntervalMs how long the time of a use can wait until it is written
   */
  constructor(path: string, onFault: (error: unknown) => void, writeIntervalMs = WRITE_INTERVAL_MS) {
    this.#path = path;
    this.#times = new Map(readTokenUses(path));
    this.#onFault = onFault;
    this.#writeIntervalMs = writeIntervalMs;
  }

  note(id: string, nowMs: number): void {
    const isFirst = !this.#times.has(id);
    this.#times.set(id, nowMs);
    this.#dirty = true;
    if (isFirst) this.#write();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#write(), this.#writeIntervalMs);
      this.#timer.unref();
    }
  }

  lastMs(id: string): number | undefined {
    return this.#times.get(id);
  }

  /** Forgets the tokens that no longer exist. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#times.keys()) if (!ids.has(id)) this.#times.delete(id);
  }

  /** Writes what was not written yet. */
  async close(): Promise<void> {
    this.#write();
    await this.#writing;
  }

  /** Writes after the write in progress, if that one did not write everything. */
  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#writeTimes());
  }

  async #writeTimes(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    const times = [...this.#times].map(([id, ms]) => [id, new Date(ms).toISOString()]);
    try {
      await writeFile(`${this.#path}.new`, `${JSON.stringify(Object.fromEntries(times))}\n`, { mode: 0o600 });
      await rename(`${this.#path}.new`, this.#path);
    } catch (error) {
      this.#dirty = true;
      this.#onFault(error);
    }
  }
}
