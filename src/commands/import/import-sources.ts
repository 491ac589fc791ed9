/**
 * Resolves the arguments of `weir import` to files, pipes, the event files of folders, and standard input. Also reads
 * the worker from a file's name.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Io } from "../command.ts";
import { EventFile } from "./event-file.ts";

interface Source {
  /** The path as it was given, or as it was found in a given folder. */
  readonly path: string;
  /** Bytes on disk, for a progress bar; 0 if unknown. */
  readonly bytes: number;
  /** The worker in the file's name; empty if there is none. */
  readonly worker: string;
  readonly open: () => Promise<EventFile>;
}

interface Sources {
  readonly sources: readonly Source[];
  /** One sentence per folder that has files that are not read, or no files that are read. */
  readonly notes: readonly string[];
}

/** `metrics_1.json`, also rotated and compressed. `.ndjson` and `.jsonl` are accepted too. */
const EVENT_FILE = /^[^.].*\.(json|ndjson|jsonl)([.-].*)?$/;
const SKIPPED_SHOWN_MAX = 3;

/** The sources in the order of the arguments. Those of a folder are in the order of names, rotated files first. */
export async function findSources(paths: readonly string[], io: Pick<Io, "stdin">): Promise<Sources> {
  const sources: Source[] = [];
  const notes: string[] = [];
  for (const path of paths) {
    if (path === "-") {
      sources.push({ path, bytes: 0, worker: "", open: () => EventFile.spool(io.stdin()) });
      continue;
    }
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) {
      sources.push(await sourceAt(path));
      continue;
    }
    const entries = await readdir(path, { withFileTypes: true });
    // A link counts as its target.
    const isFile = await Promise.all(
      entries.map(async (entry) =>
        entry.isSymbolicLink()
          ? await stat(join(path, entry.name)).then(
              (each) => each.isFile(),
              () => false,
            )
          : entry.isFile(),
      ),
    );
    const files = entries.filter((_, index) => isFile[index]).map(({ name }) => name);
    const events = files.filter((name) => EVENT_FILE.test(name)).sort(byAge);
    for (const name of events) sources.push(await sourceAt(join(path, name)));
    const skipped = files.filter((name) => !EVENT_FILE.test(name));
    if (events.length === 0)
      notes.push(`${path}: no file in this folder is named *.json, *.ndjson or *.jsonl`);
    if (skipped.length > 0) {
      const shown = skipped.slice(0, SKIPPED_SHOWN_MAX).join(", ");
      const more = skipped.length > SKIPPED_SHOWN_MAX ? ", …" : "";
      const count = skipped.length === 1 ? "1 other file was" : `${skipped.length} other files were`;
      notes.push(`${path}: ${count} not read (${shown}${more})`);
    }
  }
  return { sources, notes };
}

async function sourceAt(path: string): Promise<Source> {
  const bytes = await stat(path).then(
    (each) => each.size,
    () => 0,
  );
  return { path, bytes, worker: workerOf(path), open: () => EventFile.open(path) };
}

/**
 * The worker of a file: the part of its name between "metrics" and ".json", without a leading "_" or "-". It is "prod"
 * for `metrics_prod.json` and "1" for `metrics_1.json.2024-01-15.gz`. Other names contain no worker.
 */
export function workerOf(path: string): string {
  return /^metrics[_-]*([^._-].*?)\.(?:json|ndjson|jsonl)(?:[.-].*)?$/.exec(basename(path))?.[1] ?? "";
}

/** `metrics_1.json.2024-01-15` before `metrics_1.json`, which is newer. */
function byAge(a: string, b: string): number {
  if (a.startsWith(`${b}.`)) return -1;
  if (b.startsWith(`${a}.`)) return 1;
  return a < b ? -1 : 1;
}
