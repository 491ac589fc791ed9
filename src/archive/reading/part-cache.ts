/**
 * Copies of files of a bucket on this machine, up to a number of bytes. The ones that were used last stay. Files that a statement
 * reads are not removed while it runs.
 */
import { existsSync, rmSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { ArchivedFile } from "../manifest.ts";
import type { ArchiveTarget } from "../targets/archive-target.ts";
import { hashOfFile } from "../targets/file-hash.ts";

/** Files that are fetched at the same time. */
const FETCHES_MAX = 4;

/** A file of a day. */
export interface CachedFile extends Pick<ArchivedFile, "sha256" | "bytes"> {
  /** Its path below the archive. */
  readonly path: string;
}

export class PartCache {
  readonly #target: ArchiveTarget;
  readonly #folder: string;
  readonly #bytesMax: number;
  /** By hash, the least recently used first. */
  #files: Map<string, { readonly bytes: number; users: number }> | undefined;
  readonly #fetching = new Map<string, Promise<void>>();

  constructor(target: ArchiveTarget, folder: string, bytesMax: number) {
    this.#target = target;
    this.#folder = folder;
    this.#bytesMax = bytesMax;
  }

  /** Where the copy of a file is. */
  pathOf({ sha256 }: Pick<CachedFile, "sha256">): string {
    return join(this.#folder, `${sha256}.parquet`);
  }

  /** Fetches the files that are not here, and keeps all of them until the returned function is called. */
  async hold(files: readonly CachedFile[]): Promise<() => void> {
    const known = await this.#open();
    const held = [...new Map(files.map((file) => [file.sha256, file])).values()];
    for (const { sha256, bytes } of held) {
      const entry = known.get(sha256) ?? { bytes, users: 0 };
      entry.users++;
      known.delete(sha256);
      known.set(sha256, entry);
    }
    const release = () => {
      for (const { sha256 } of held) known.get(sha256)!.users--;
      this.#trim();
    };
    try {
      const waiting = [...held];
      const work = async () => {
        for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await this.#fetch(file);
      };
      await Promise.all(Array.from({ length: FETCHES_MAX }, work));
      return release;
    } catch (error) {
      for (const file of held) {
        const entry = known.get(file.sha256)!;
        entry.users--;
        // What was not fetched takes no room, and must not push out what was.
        const isAwaited = entry.users > 0 || this.#fetching.has(file.sha256);
        if (!isAwaited && !existsSync(this.pathOf(file))) known.delete(file.sha256);
      }
      this.#trim();
      throw error;
    }
  }

  /** Reads what an earlier process left, in the order of its last use. */
  async #open() {
    if (this.#files !== undefined) return this.#files;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#folder);
    const found = await Promise.all(
      names.map(async (name) => ({ name, ...(await stat(join(this.#folder, name))) })),
    );
    this.#files ??= new Map(
      found
        .filter(({ name }) => /^[0-9a-f]{64}\.parquet$/.test(name))
        .sort((a, b) => a.mtimeMs - b.mtimeMs)
        .map(({ name, size }) => [name.slice(0, 64), { bytes: size, users: 0 }]),
    );
    for (const { name } of found)
      if (!/^[0-9a-f]{64}\.parquet$/.test(name)) await rm(join(this.#folder, name), { force: true });
    return this.#files;
  }

  async #fetch(file: CachedFile): Promise<void> {
    const running = this.#fetching.get(file.sha256);
    if (running !== undefined) return await running;
    const fetching = this.#fetchOnce(file).finally(() => this.#fetching.delete(file.sha256));
    this.#fetching.set(file.sha256, fetching);
    await fetching;
  }

  async #fetchOnce(file: CachedFile): Promise<void> {
    const to = this.pathOf(file);
    const found = await stat(to).catch(() => undefined);
    if (found?.size === file.bytes) {
      const now = new Date();
      await utimes(to, now, now);
      return;
    }
    const unfinished = `${to}.unfinished`;
    await this.#target.fetch(file.path, unfinished);
    if ((await hashOfFile(unfinished)).hash !== file.sha256)
      throw new Error(`${file.path} has other contents than were written`);
    await rename(unfinished, to);
  }

  /** Removes the files that were not used for longest, while there are too many bytes. */
  #trim(): void {
    const known = this.#files!;
    let bytes = known.values().reduce((sum, each) => sum + each.bytes, 0);
    for (const [sha256, entry] of [...known]) {
      if (bytes <= this.#bytesMax) return;
      if (entry.users > 0) continue;
      bytes -= entry.bytes;
      known.delete(sha256);
      rmSync(this.pathOf({ sha256 }), { force: true });
    }
  }
}
