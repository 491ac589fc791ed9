/**
 * Snapshots: copies of the store that `weir serve --data SNAPSHOT` opens like any other, each in a folder of
 * its own.
 *
 * - A snapshot has every commit that was made before the request. Commits continue meanwhile.
 * - A snapshot exists whole or not at all. It is made in the folder for temporary files, synced, and then renamed.
 * - One snapshot is made at a time, by a child process: see copy-process.ts.
 * - `weir backup` removes the snapshot that it asked for. If it is killed, the next start or the next backup removes it.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Busy, Unavailable } from "../../model/errors.ts";
import { innerCommand } from "../../program/program-command.ts";
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

/** An empty file in a snapshot that was made for a backup. */
const FOR_BACKUP = "made-for-backup";
/** A backup that still copies such a snapshot after this time would be of a terabyte. */
const BACKUP_MS_MAX = 3_600_000;

interface SnapshotRequest {
  /** False omits the write-ahead log, that is, commits since the last checkpoint. */
  readonly withLog?: boolean;
  /** Whether it is for `weir backup`, which removes it. */
  readonly isForBackup?: boolean;
}

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
   * @throws Busy while another one is made; Unavailable if there is no room, or the gateway is stopping
   */
  async take(request: SnapshotRequest = {}): Promise<string> {
    if (this.#running !== undefined)
      throw new Busy("another snapshot is in progress, and only one can be made at a time");
    if (this.#closed) throw new Unavailable("the gateway is stopping");
    const stop = new AbortController();
    if (request.isForBackup === true) this.removeAbandoned();
    const done = this.#take(request, stop.signal);
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

  /** Removes the snapshots that killed backups have left. */
  removeAbandoned(): void {
    const { directory, now } = this.#options;
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) {
      const madeMs = timeOf(name);
      if (madeMs === undefined || madeMs > now() - BACKUP_MS_MAX) continue;
      const path = join(directory, name);
      if (existsSync(join(path, FOR_BACKUP))) rmSync(path, { recursive: true, force: true });
    }
  }

  async #take(
    { withLog = true, isForBackup = false }: SnapshotRequest,
    signal: AbortSignal,
  ): Promise<string> {
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
      if (isForBackup) writeFileSync(join(making, FOR_BACKUP), "");
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
  const module = join(import.meta.dir, "copy-process.ts");
  const child = Bun.spawn(innerCommand("copy-files", module, JSON.stringify(copies)), {
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

/** The time in such a name, ms since the epoch. Undefined if it is no such name. */
function timeOf(name: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{16}$/.exec(name);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [number, ...number[]];
  return Date.UTC(year, month! - 1, day, hour, minute, second);
}
