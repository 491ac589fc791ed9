/**
 * Batches on disk, one file each: `TIME-SAMPLES-BYTES-KEY.ndjson.gz`, with the time in milliseconds since 1970. The name
 * says everything that is needed to send a batch, so nothing else is stored.
 *
 * A file appears under its name when it is complete: it is written under a temporary name, synced, and renamed. It is
 * deleted after the gateway acknowledged it. Since the key is part of the name, several processes may share a folder: a
 * file that two of them send has the same key, so the gateway stores it once. A file that the gateway refused gets the
 * status as a suffix, `….refused-401`, and is not sent again.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, open, opendir, readFile, rename, stat, unlink } from "node:fs/promises";
import type { ClientCounts } from "./client-counts.ts";
import type { SealedBatch } from "./sealed-batch.ts";

export interface SpoolOptions {
  readonly folder: string;
  readonly spoolBytesMax: number;
  readonly spoolDays: number;
  readonly counts: ClientCounts;
}

const NAME = /^(\d{13})-(\d{1,9})-(\d{1,12})-([0-9a-f-]{36})\.ndjson\.gz(\.refused-\d{3})?$/;
const DAY_MS = 86_400_000;
/** A temporary file of this age belongs to a process that was killed. */
const TEMPORARY_MS = 3_600_000;
/** About a week of one batch every 10 s; the names take some 6 MB of memory. */
const FILES_MAX = 60_000;

interface FileFacts {
  readonly createdMs: number;
  readonly samples: number;
  readonly bytes: number;
  readonly key: string;
  readonly isRefused: boolean;
}

export class SpoolFolder {
  readonly #options: SpoolOptions;
  /** The names of batches that wait, oldest first, and of refused ones. */
  #waiting: string[] = [];
  #refused: string[] = [];
  /** Of the batches that wait. */
  #samples = 0;
  /** Of all files. */
  #bytes = 0;
  /** Keys that this process is sending. */
  readonly #held = new Set<string>();
  /** Acknowledged batches whose files could not be deleted: not sent again by this process. */
  readonly #stored = new Set<string>();
  #listing: Promise<void> | undefined;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  get size(): { readonly samples: number; readonly batches: number; readonly bytes: number } {
    return { samples: this.#samples, batches: this.#waiting.length, bytes: this.#bytes };
  }

  /** Finds the files of earlier processes, and of others. Drops files past `spoolDays`. Never throws. */
  async list(): Promise<void> {
    this.#listing = this.#list().catch((error: unknown) => {
      this.#options.counts.report("spool_unreadable", `the spool cannot be listed: ${String(error)}`);
    });
    await this.#listing;
  }

  async #list(): Promise<void> {
    const before = new Set(this.#waiting);
    const waiting: string[] = [];
    const refused: string[] = [];
    let entries: Awaited<ReturnType<typeof opendir>>;
    try {
      entries = await opendir(this.#options.folder);
    } catch (error) {
      // Nothing was ever spooled here.
      if (isMissing(error)) return;
      throw error;
    }
    for await (const { name } of entries) {
      const facts = factsOf(name);
      if (facts?.isRefused) refused.push(name);
      else if (facts !== undefined) waiting.push(name);
      else if (name.endsWith(".tmp")) await this.#removeAbandoned(name);
    }
    // What this process wrote or deleted while the folder was listed.
    const listed = new Set(waiting);
    const now = new Set(this.#waiting);
    for (const name of now) if (!listed.has(name) && !before.has(name)) waiting.push(name);
    this.#waiting = waiting
      .filter((name) => !this.#stored.has(name) && (now.has(name) || !before.has(name)))
      .sort();
    this.#refused = refused.sort();
    this.#bytes = 0;
    this.#samples = 0;
    for (const name of this.#refused) this.#bytes += factsOf(name)!.bytes;
    for (const name of this.#waiting) {
      const { bytes, samples } = factsOf(name)!;
      this.#bytes += bytes;
      this.#samples += samples;
    }
    await this.#dropExpired();
  }

  /**
   * Writes a batch. The oldest batches are dropped if the spool is full.
   *
   * @returns false if the disk does not take it, or it is larger than the spool
   */
  async put(batch: SealedBatch): Promise<boolean> {
    const { folder, spoolBytesMax } = this.#options;
    if (batch.body.length > spoolBytesMax) return false;
    const name = nameOf(batch);
    const temporary = `${folder}/${name}.tmp`;
    try {
      await this.#listing;
      await this.#makeRoom(batch.body.length);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = await open(temporary, "w", 0o600);
      try {
        await file.writeFile(batch.body);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, `${folder}/${name}`);
    } catch (error) {
      this.#reportUnwritable(error);
      await unlink(temporary).catch(() => undefined);
      return false;
    }
    this.#add(name);
    await syncFolder(folder);
    return true;
  }

  /** As `put`, at the end of a process: without waiting, and past the limit if need be. */
  putSync(batch: SealedBatch): boolean {
    const { folder } = this.#options;
    const name = nameOf(batch);
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(`${folder}/${name}.tmp`, batch.body, { mode: 0o600 });
      renameSync(`${folder}/${name}.tmp`, `${folder}/${name}`);
    } catch (error) {
      this.#reportUnwritable(error);
      return false;
    }
    this.#add(name);
    return true;
  }

  has(batch: SealedBatch): boolean {
    return this.#waiting.includes(nameOf(batch));
  }

  /** Keeps `take` from returning a batch, because this process sends it already. */
  hold(key: string): void {
    this.#held.add(key);
  }

  release(key: string): void {
    this.#held.delete(key);
  }

  /** The oldest or the newest batch that is not held. It is held then. */
  async take(which: "oldest" | "newest"): Promise<SealedBatch | undefined> {
    await this.#listing;
    const isFree = (name: string) => !this.#held.has(factsOf(name)!.key);
    for (;;) {
      const name = which === "oldest" ? this.#waiting.find(isFree) : this.#waiting.findLast(isFree);
      if (name === undefined) return undefined;
      const { key, samples, createdMs, bytes } = factsOf(name)!;
      this.#held.add(key);
      let body: Uint8Array;
      try {
        body = await readFile(`${this.#options.folder}/${name}`);
      } catch (error) {
        this.#forget(name);
        this.#held.delete(key);
        // A missing file was sent by another process.
        if (!isMissing(error)) this.#options.counts.lose("spool_damaged", samples, String(error));
        continue;
      }
      if (body.length === bytes) return { key, samples, createdMs, body, own: [] };
      // A power failure can leave a file without its content.
      await this.#drop(name, "spool_damaged", `${name} has ${body.length} bytes, expected ${bytes}`);
      this.#held.delete(key);
    }
  }

  /** Deletes an acknowledged batch, if it is here. */
  async done(batch: SealedBatch): Promise<void> {
    const name = nameOf(batch);
    if (!this.#waiting.includes(name)) return this.release(batch.key);
    this.#stored.add(name);
    this.#forget(name);
    try {
      await unlink(`${this.#options.folder}/${name}`);
      this.#stored.delete(name);
    } catch (error) {
      if (isMissing(error)) this.#stored.delete(name);
      else
        this.#options.counts.report(
          "spool_unwritable",
          `a batch that was sent cannot be deleted from the spool: ${String(error)}`,
        );
    }
    this.#held.delete(batch.key);
  }

  /** Keeps a refused batch aside. Returns false if it is not here and cannot be written. */
  async setAside(batch: SealedBatch, status: number): Promise<boolean> {
    const name = nameOf(batch);
    // It waits under its first name for a moment, and must not be sent again then.
    this.#held.add(batch.key);
    const isHere = this.#waiting.includes(name) || (await this.put(batch));
    if (!isHere) {
      this.release(batch.key);
      return false;
    }
    const aside = `${name}.refused-${String(status).padStart(3, "0")}`;
    try {
      await rename(`${this.#options.folder}/${name}`, `${this.#options.folder}/${aside}`);
    } catch (error) {
      // The file stays held: it is not sent again by this process.
      this.#reportUnwritable(error);
      return true;
    }
    this.#forget(name);
    this.#refused.push(aside);
    this.#bytes += batch.body.length;
    this.#held.delete(batch.key);
    return true;
  }

  async #makeRoom(bytes: number): Promise<void> {
    const { spoolBytesMax } = this.#options;
    await this.#dropExpired();
    const isFull = () => this.#bytes + bytes > spoolBytesMax || this.#waiting.length >= FILES_MAX;
    const why = `the spool has ${this.#bytes} of ${spoolBytesMax} bytes (spoolBytesMax)`;
    while (isFull() && this.#refused.length > 0) await this.#drop(this.#refused[0]!, "spool_full", why);
    while (isFull() && this.#waiting.length > 0) await this.#drop(this.#waiting[0]!, "spool_full", why);
  }

  async #dropExpired(): Promise<void> {
    const oldestMs = Date.now() - this.#options.spoolDays * DAY_MS;
    const why = `they were in the spool for more than ${this.#options.spoolDays} days (spoolDays)`;
    for (const names of [this.#waiting, this.#refused])
      while (names.length > 0 && factsOf(names[0]!)!.createdMs < oldestMs)
        await this.#drop(names[0]!, "spool_expired", why);
  }

  /** Deletes a file, and counts its samples as lost unless another process deleted it or they were refused before. */
  async #drop(name: string, reason: "spool_full" | "spool_expired" | "spool_damaged", why: string) {
    this.#forget(name);
    try {
      await unlink(`${this.#options.folder}/${name}`);
    } catch (error) {
      if (isMissing(error)) return;
      this.#reportUnwritable(error);
    }
    const { samples, isRefused } = factsOf(name)!;
    if (!isRefused) this.#options.counts.lose(reason, samples, why);
  }

  async #removeAbandoned(name: string): Promise<void> {
    const path = `${this.#options.folder}/${name}`;
    try {
      const { mtimeMs } = await stat(path);
      if (mtimeMs < Date.now() - TEMPORARY_MS) await unlink(path);
    } catch {
      // Its process renamed it.
    }
  }

  #add(name: string): void {
    if (this.#waiting.includes(name)) return;
    const { bytes, samples } = factsOf(name)!;
    // Names begin with their time: a batch that is put is usually the newest.
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]! > name) at--;
    this.#waiting.splice(at, 0, name);
    this.#bytes += bytes;
    this.#samples += samples;
  }

  #forget(name: string): void {
    const { bytes, samples, isRefused } = factsOf(name)!;
    const names = isRefused ? this.#refused : this.#waiting;
    const at = names.indexOf(name);
    if (at < 0) return;
    names.splice(at, 1);
    this.#bytes -= bytes;
    if (!isRefused) this.#samples -= samples;
  }

  #reportUnwritable(error: unknown): void {
    const { folder, counts } = this.#options;
    counts.report("spool_unwritable", `the spool ${folder} cannot be written: ${String(error)}`);
  }
}

function nameOf({ createdMs, samples, body, key }: SealedBatch): string {
  return `${String(createdMs).padStart(13, "0")}-${samples}-${body.length}-${key}.ndjson.gz`;
}

function factsOf(name: string): FileFacts | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, createdMs, samples, bytes, key, refused] = match;
  return {
    createdMs: Number(createdMs),
    samples: Number(samples),
    bytes: Number(bytes),
    key: key!,
    isRefused: refused !== undefined,
  };
}

/** After this the new name survives a power failure, too. Some file systems do not support it. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // The file itself is synced.
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT";
}
