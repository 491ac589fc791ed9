/**
 * Imports one file: asks how far it came, reads on from there, pushes chunk by chunk in order, and begins again
 * from the stored offset after whatever interrupts it.
 */
import { type Chunk, halve, type Remainder } from "./chunks.ts";
import { EarlierCopy, EventFile, type Progress } from "./event-file.ts";
import type { Counts, Report } from "./report.ts";
import { type ChunkAnswer, ChunkRefused, type ImportTarget, Interrupted } from "./target.ts";

/** Pauses between attempts that got nowhere; a gateway that restarts takes seconds. Then the import gives up. */
const PAUSES_MS = [250, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

/** What became of a file. */
export interface Outcome extends Counts {
  /** Things worth a line that are no failure. */
  readonly notes: readonly string[];
  /** Why it was not read to its end, if so. */
  readonly failure?: string;
}

export interface FileImport {
  readonly path: string;
  readonly target: ImportTarget;
  readonly report: Report;
  /** Called after each chunk, with the bytes of the file that were read from disk. */
  readonly onProgress: (file: EventFile) => Promise<void>;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Imports the file; resolves whatever becomes of it. */
export async function importFile(options: FileImport): Promise<Outcome> {
  const { path } = options;
  const counts: Counts = { stored: 0, duplicates: 0, rejected: 0 };
  const notes: string[] = [];
  let file: EventFile | undefined;
  try {
    file = await EventFile.open(path);
    const identity = await file.identity();
    if (identity === undefined) notes.push(file.bytes === 0 ? "it is empty" : "it has no whole line yet");
    else await readThrough(file, identity, options, counts, notes);
    return { ...counts, notes };
  } catch (error) {
    if (error instanceof EarlierCopy) {
      notes.push(`${error.message}: taken as an earlier copy, nothing was read`);
      return { ...counts, notes };
    }
    return { ...counts, notes, failure: failureText(error) };
  } finally {
    await file?.close();
  }
}

async function readThrough(
  file: EventFile,
  identity: string,
  { path, target, report, onProgress, sleep }: FileImport,
  counts: Counts,
  notes: string[],
): Promise<void> {
  /** The end of what was stored, as far as this import knows. */
  let stored: Progress | undefined;
  let attempts = 0;
  for (;;) {
    const remainders: Remainder[] = [];
    try {
      const from = await target.progress(identity);
      if (stored !== undefined && from !== undefined && from.byteOffset > stored.byteOffset) {
        notes.push(
          `bytes ${stored.byteOffset} to ${from.byteOffset} were stored by a push whose answer was lost, ` +
            "or by another import: their lines are not in the counts",
        );
        attempts = 0;
      }
      stored = from ?? { byteOffset: 0, lastLineHash: "" };
      for await (const chunk of readAhead(file.chunks(from, (remainder) => remainders.push(remainder)))) {
        // Smaller ones where the gateway refuses a chunk whole, down to the line that it refuses it for.
        for (const parts = [chunk]; parts.length > 0; ) {
          const part: Chunk = { ...parts.shift()!, fromOffset: stored.byteOffset };
          let answer: ChunkAnswer;
          try {
            answer = await target.push(identity, part);
          } catch (error) {
            if (!(error instanceof ChunkRefused)) throw error;
            const halves = halve(part);
            parts.unshift(...halves);
            if (halves.length > 0) continue;
            report.addUnread(path, part.toOffset - part.body.length, "refused", error.message);
            counts.rejected += 1;
            continue;
          }
          stored = { byteOffset: part.toOffset, lastLineHash: part.lastLineHash };
          attempts = 0;
          count(counts, answer);
          report.add(path, part, answer);
        }
        await onProgress(file);
      }
      tellRemainders(path, remainders, report, counts, notes);
      return;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      const pauseMs = PAUSES_MS[attempts++];
      if (pauseMs === undefined) {
        const at =
          stored === undefined
            ? ""
            : ` Stopped at byte ${stored.byteOffset}; run it again to go on from there.`;
        throw new Error(`${error.message}${at}`);
      }
      await sleep(Math.max(pauseMs, error.pauseMs ?? 0));
    }
  }
}

function count(counts: Counts, answer: ChunkAnswer): void {
  counts.stored += answer.accepted;
  counts.duplicates += answer.duplicates;
  counts.rejected += answer.rejected;
}

function tellRemainders(
  path: string,
  remainders: readonly Remainder[],
  report: Report,
  counts: Counts,
  notes: string[],
): void {
  for (const { kind, offset, bytes } of remainders) {
    if (kind === "overlong") {
      counts.rejected += 1;
      report.addUnread(path, offset, "overlong", `it has ${bytes} bytes, which no event needs`);
    } else {
      notes.push(`its last line is cut (${bytes} bytes from byte ${offset} on): left for the next import`);
    }
  }
}

/** Reads the next chunk while the one before is pushed. */
async function* readAhead(
  chunks: AsyncGenerator<Chunk, void, undefined>,
): AsyncGenerator<Chunk, void, undefined> {
  let next = chunks.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = chunks.next();
      // If the push fails nobody waits for it any more.
      next.catch(() => undefined);
      yield value;
    }
  } finally {
    await chunks.return();
  }
}

/** One sentence for the system's errors, which name the call and the path too. */
function failureText(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "it may not be read";
  if (code === "EISDIR") return "it is not a file";
  return error instanceof Error ? error.message : String(error);
}
