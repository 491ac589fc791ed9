/**
 * Snapshots: copies of the store that `weir serve --data SNAPSHOT` opens like any other, each in a folder of
 * its own.
 *
 * - A snapshot has every commit that was made before the request. Commits continue meanwhile.
 * - A snapshot exists whole or not at all. It is made in the folder for temporary files, synced, and then renamed.
 * - One snapshot is made at a time, by a child process: see copy-process.ts.
 */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Busy, Unavailable } from "../../model/errors.ts";
import type { Store } from "../store.ts";
import { writeEmptyJournal } from "../journal/journal-file.ts";
import { syncFolder } from "../sync-folder.ts";
import type { FileCopy } from "./copy-process.ts";

interface SnapshotOptions {
  readonly store: Pick<Store, "whileCopied">;
  /** The folder of the snapshots. Created when needed. */
  readonly directory: string;
  /** The folder in which they are made. It is on the same file system, and cleared at each start. */
  readonly temporaryDirectory: string;
  readonly now: () => number;
}

/** A copy is made again if days were dropped meanwhile (once a day), or if an administrator deleted samples. */
const ATTEMPTS_MAX = 3;

export class Snapshots {
  readonly #options: SnapshotOptions;
  #running: { readonly stop: AbortController; readonly done: Promise<unknown> } | undefined;
  #closed = false;

  constructor(options: SnapshotOptions) {
    this.#options = options;
  }

  /**
   * Makes a snapshot, and returns its name: the time and a random number, as in Prometheus.
   *
   * @param withLog false omits the write-ahead log, that is, commits since the last checkpoint
   * @throws Busy while another one is made; Unavailable if there is no room, or the gateway is stopping
   */
  async take(withLog = true): Promise<string> {
    if (this.#running !== undefined)
      throw new Busy("another snapshot is in progress, and only one can be made at a time");
    if (this.#closed) throw new Unavailable("the gateway is stopping");
    const stop = new AbortController();
    const done = this.#take(withLog, stop.signal);
    this.#running = { stop, done: done.catch(() => undefined) };
    try {
      return await done;
    } finally {
      this.#running = undefined;
    }
  }

  /** Stops the snapshot in progress, and deletes what was written of it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#running?.stop.abort();
    await this.#running?.done;
  }

  async #take(withLog: boolean, signal: AbortSignal): Promise<string> {
    const { store, directory, temporaryDirectory, now } = this.#options;
    const name = nameOf(now());
    const making = join(temporaryDirectory, `snapshot-${name}`);
    try {
      for (let attempt = 1; ; attempt++) {
        mkdirSync(making, { recursive: true, mode: 0o700 });
        const isWhole = await store.whileCopied(async ({ path, fileBytes, logBytes, journalKey }) => {
          const to = join(making, basename(path));
          const copies: FileCopy[] = [{ from: path, to, bytes: fileBytes }];
          if (withLog && logBytes > 0) copies.push({ from: `${path}.wal`, to: `${to}.wal`, bytes: logBytes });
          // Its changes are in the tables.
          if (journalKey !== undefined) writeEmptyJournal(`${to}.journal`, journalKey);
          await copyFiles(copies, signal);
        });
        if (isWhole) break;
        if (attempt === ATTEMPTS_MAX) throw new Unavailable("samples were deleted while a snapshot was made");
        rmSync(making, { recursive: true, force: true });
      }
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      renameSync(making, join(directory, name));
      syncFolder(directory);
      return name;
    } catch (error) {
      rmSync(making, { recursive: true, force: true });
      throw error;
    }
  }
}

/** Copies files in a process of its own. Rejects with `Unavailable` if that fails, or `signal` stops it. */
export async function copyFiles(copies: readonly FileCopy[], signal: AbortSignal): Promise<void> {
  const stopping = new Unavailable("the gateway is stopping");
  if (signal.aborted) throw stopping;
  const program = join(import.meta.dir, "copy-process.ts");
  const child = Bun.spawn([process.execPath, "--no-env-file", program, JSON.stringify(copies)], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env: {},
    signal,
    killSignal: "SIGKILL",
  });
  const [said, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (signal.aborted) throw stopping;
  if (status !== 0)
    throw new Unavailable(`the copy could not be written: ${said.trim() || `status ${status}`}`);
}

/** The name in Prometheus's format: `20171210T211224Z-2be650b6d019eb54`. */
function nameOf(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  return `${time}-${crypto.getRandomValues(Buffer.alloc(8)).toString("hex")}`;
}
