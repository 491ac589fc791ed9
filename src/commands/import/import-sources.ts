/**
 * Resolves the arguments of `weir import` to files, pipes, the event files of folders, and standard input.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Io } from "../command.ts";
import { EventFile } from "../../line-files/event-file.ts";
import { EVENT_LINES, type LineSyntax } from "../../line-files/line-syntax.ts";
import { byAge, EVENT_ENDINGS, filesWithEndings, workerOf } from "../../line-files/file-names.ts";

interface Source {
  /** The path as it was given, or as it was found in a given folder. */
  readonly path: string;
  /** Bytes on disk, for a progress bar; 0 if unknown. */
  readonly bytes: number;
  /** The worker in the file's name; empty if there is none. */
  readonly worker: string;
  readonly open: () => Promise<EventFile>;
}

/** What is read of a folder, and how. */
interface SoughtFiles {
  /** The endings of the names of its files. */
  readonly endings: readonly string[];
  readonly syntax: LineSyntax;
}

const EVENT_FILES: SoughtFiles = { endings: EVENT_ENDINGS, syntax: EVENT_LINES };

interface Sources {
  readonly sources: readonly Source[];
  /** One sentence per folder that has files that are not read, or no files that are read. */
  readonly notes: readonly string[];
}

const SKIPPED_SHOWN_MAX = 3;

/** The sources in the order of the arguments. Those of a folder are in the order of names, rotated files first. */
export async function findSources(
  paths: readonly string[],
  io: Pick<Io, "stdin">,
  { endings, syntax }: SoughtFiles = EVENT_FILES,
): Promise<Sources> {
  const sought = filesWithEndings(endings);
  const sources: Source[] = [];
  const notes: string[] = [];
  for (const path of paths) {
    if (path === "-") {
      sources.push({ path, bytes: 0, worker: "", open: () => EventFile.spool(io.stdin(), syntax) });
      continue;
    }
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) {
      sources.push(await sourceAt(path, syntax));
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
    const events = files.filter((name) => sought.test(name)).sort(byAge);
    for (const name of events) sources.push(await sourceAt(join(path, name), syntax));
    const skipped = files.filter((name) => !sought.test(name));
    if (events.length === 0) notes.push(`${path}: no file in this folder is named ${namesText(endings)}`);
    if (skipped.length > 0) {
      const shown = skipped.slice(0, SKIPPED_SHOWN_MAX).join(", ");
      const more = skipped.length > SKIPPED_SHOWN_MAX ? ", …" : "";
      const count = skipped.length === 1 ? "1 other file was" : `${skipped.length} other files were`;
      notes.push(`${path}: ${count} not read (${shown}${more})`);
    }
  }
  return { sources, notes };
}

async function sourceAt(path: string, syntax: LineSyntax): Promise<Source> {
  const bytes = await stat(path).then(
    (each) => each.size,
    () => 0,
  );
  return { path, bytes, worker: workerOf(path), open: () => EventFile.open(path, syntax) };
}

/** `*.json, *.ndjson or *.jsonl` */
function namesText(endings: readonly string[]): string {
  const names = endings.map((ending) => `*.${ending}`);
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
