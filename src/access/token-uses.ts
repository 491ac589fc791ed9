/**
 * When each token was last used. The times are written to a file of their own in the data folder, because the file of the
 * tokens may be read-only. At most one write per minute, and one at the end: `weir token list` shows times that are up to
 * a minute old or more, until the next use.
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
  #dirty = false;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  /** @param onFault gets the error of a write. The times are written again later */
  constructor(path: string, onFault: (error: unknown) => void) {
    this.#path = path;
    this.#times = new Map(readTokenUses(path));
    this.#onFault = onFault;
  }

  note(id: string, nowMs: number): void {
    this.#times.set(id, nowMs);
    this.#dirty = true;
    if (Math.abs(nowMs - this.#writtenMs) < WRITE_INTERVAL_MS) return;
    this.#writtenMs = nowMs;
    this.#write();
  }

  /** Forgets the tokens that no longer exist. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#times.keys()) if (!ids.has(id)) this.#times.delete(id);
  }

  /** Writes what was not written yet. */
  async close(): Promise<void> {
    if (this.#dirty) this.#write();
    await this.#writing;
  }

  #write(): void {
    this.#dirty = false;
    const text = `${JSON.stringify(Object.fromEntries([...this.#times].map(([id, ms]) => [id, new Date(ms).toISOString()])))}\n`;
    this.#writing = this.#writing
      .then(() => writeFile(`${this.#path}.new`, text, { mode: 0o600 }))
      .then(() => rename(`${this.#path}.new`, this.#path))
      .catch((error: unknown) => {
        this.#dirty = true;
        this.#onFault(error);
      });
  }
}
