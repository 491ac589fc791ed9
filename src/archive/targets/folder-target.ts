/** An archive in a folder. A file gets its name when it is whole and synced. */
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ArchiveTarget, SpooledFile } from "./archive-target.ts";
import { hashOfFile } from "./file-hash.ts";

/** The end of the names of files that are not whole. */
const UNFINISHED = ".unfinished";

export class FolderTarget implements ArchiveTarget {
  readonly text: string;
  /** Folders that were synced after a file was added. Those above it are synced once. */
  readonly #made = new Set<string>();

  constructor(folder: string) {
    this.text = folder;
  }

  async list(prefix: string): Promise<Map<string, number>> {
    const files = new Map<string, number>();
    const below = async (folder: string): Promise<void> => {
      const entries = await readdir(join(this.text, folder), { withFileTypes: true }).catch(
        (error: NodeJS.ErrnoException) => {
          if (error.code !== "ENOENT") throw error;
        },
      );
      for (const entry of entries ?? []) {
        const path = `${folder}${entry.name}`;
        const isAsked = path.startsWith(prefix) || prefix.startsWith(`${path}/`);
        if (entry.isDirectory() && isAsked) await below(`${path}/`);
        else if (entry.isFile() && path.startsWith(prefix) && !path.endsWith(UNFINISHED))
          files.set(path, (await stat(join(this.text, path))).size);
      }
    };
    await below("");
    return files;
  }

  async read(path: string): Promise<string | undefined> {
    return await readFile(join(this.text, path), "utf8").catch(noneIfAbsent);
  }

  async hash(path: string): Promise<string> {
    return (await hashOfFile(join(this.text, path))).hash;
  }

  async fetch(path: string, to: string): Promise<void> {
    await copyFile(join(this.text, path), to);
  }

  async put(path: string, { path: from, bytes }: SpooledFile): Promise<void> {
    const to = join(this.text, path);
    await this.#make(dirname(to));
    await sync(from);
    try {
      await rename(from, to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      await copyFile(from, `${to}${UNFINISHED}`);
      await sync(`${to}${UNFINISHED}`);
      await rename(`${to}${UNFINISHED}`, to);
    }
    await sync(dirname(to));
    const { size } = await stat(to);
    if (size !== bytes) throw new Error(`${path} has ${size} bytes, expected ${bytes}`);
  }

  async putText(path: string, text: string): Promise<void> {
    const to = join(this.text, path);
    await this.#make(dirname(to));
    const file = await open(`${to}${UNFINISHED}`, "w");
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${to}${UNFINISHED}`, to);
    await sync(dirname(to));
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.text, path), { force: true });
  }

  /** Creates a folder, and syncs those above it. */
  async #make(folder: string): Promise<void> {
    if (this.#made.has(folder)) return;
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined)
      for (let above = dirname(folder); above.length >= dirname(first).length; above = dirname(above)) {
        await sync(above);
        if (above === dirname(above)) break;
      }
    this.#made.add(folder);
  }
}

function noneIfAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
