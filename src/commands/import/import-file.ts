/**
 * Imports one file: asks how far it came, reads on from there, pushes chunk by chunk in order, and begins again
 * from the stored offset after whatever interrupts it.
 */
import { Unreachable } from "../client.ts";
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

export interface FileImportOptions {
  readonly path: string;
  readonly target: ImportTarget;
  readonly report: Report;
  /** Called after each chunk. */
  readonly onProgress: (file: EventFile) => Promise<void>;
}

/** Imports the file; resolves whatever becomes of it, but throws `Unreachable` when there is no gateway at all. */
export async function importFile(options: FileImportOptions): Promise<Outcome> {
  const work = new FileImport(options);
  let failure: string | undefined;
  let file: EventFile | undefined;
  try {
    file = await EventFile.open(options.path);
    const identity = await file.identity();
    if (identity === undefined)
      work.notes.push(file.bytes === 0 ? "it is empty" : "it has no whole line yet");
    else await work.run(file, identity);
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    if (error instanceof EarlierCopy) {
      work.notes.push(`${error.message}: taken as an earlier copy, nothing was read`);
    } else {
      failure = failureText(error);
    }
  } finally {
    await file?.close();
  }
  return { ...work.counts, notes: work.notes, failure };
}

class FileImport {
  readonly counts: Counts = { stored: 0, duplicates: 0, rejected: 0 };
  readonly notes: string[] = [];
  readonly #options: FileImportOptions;
  /** The end of what is stored, as far as this import knows; undefined before it asked. */
  #stored: Progress | undefined;
  #remainders: Remainder[] = [];
  #attempts = 0;

  constructor(options: FileImportOptions) {
    this.#options = options;
  }

  async run(file: EventFile, identity: string): Promise<void> {
    for (;;) {
      try {
        await this.#runOnce(file, identity);
        break;
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        const pauseMs = PAUSES_MS[this.#attempts++];
        if (pauseMs === undefined) throw new Error(`${error.message} ${this.#placeText()}`.trimEnd());
        await Bun.sleep(Math.max(pauseMs, error.pauseMs ?? 0));
      }
    }
    for (const { kind, offset, bytes } of this.#remainders) {
      if (kind === "overlong")
        this.#countUnread(offset, "overlong", `it has ${bytes} bytes, which no event needs`);
      else
        this.notes.push(
          `its last line is cut (${bytes} bytes from byte ${offset} on): left for the next import`,
        );
    }
  }

  async #runOnce(file: EventFile, identity: string): Promise<void> {
    const { target, onProgress } = this.#options;
    const from = await target.progress(identity);
    this.#noteUncounted(from);
    this.#stored = from;
    this.#remainders = [];
    for await (const chunk of readAhead(file.chunks(from, (remainder) => this.#remainders.push(remainder)))) {
      await this.#push(identity, chunk);
      await onProgress(file);
    }
  }

  /** Pushes a chunk; in smaller ones where the gateway refuses it whole, down to the line that it is refused for. */
  async #push(identity: string, chunk: Chunk): Promise<void> {
    // A line before it that was refused is passed over: the offset goes on from what is stored.
    const due = { ...chunk, fromOffset: this.#stored?.byteOffset ?? 0 };
    let answer: ChunkAnswer;
    try {
      answer = await this.#options.target.push(identity, due);
    } catch (error) {
      if (!(error instanceof ChunkRefused)) throw error;
      const halves = halve(chunk);
      for (const half of halves) await this.#push(identity, half);
      if (halves.length === 0)
        this.#countUnread(chunk.toOffset - chunk.body.length, "refused", error.message);
      return;
    }
    this.#stored = { byteOffset: due.toOffset, lastLineHash: due.lastLineHash };
    this.#attempts = 0;
    this.counts.stored += answer.accepted;
    this.counts.duplicates += answer.duplicates;
    this.counts.rejected += answer.rejected;
    this.#options.report.add(this.#options.path, due, answer);
  }

  #countUnread(offset: number, cause: string, what: string): void {
    this.counts.rejected += 1;
    this.#options.report.addUnread(this.#options.path, offset, cause, what);
  }

  /** A push whose answer was lost was stored all the same, or somebody else imports the same file. */
  #noteUncounted(from: Progress | undefined): void {
    if (this.#attempts === 0 || from === undefined) return;
    const knownOffset = this.#stored?.byteOffset ?? 0;
    if (from.byteOffset <= knownOffset) return;
    this.#attempts = 0;
    this.notes.push(
      `bytes ${knownOffset} to ${from.byteOffset} were stored by a push whose answer was lost, or by another ` +
        "import: their lines are not in these counts",
    );
  }

  #placeText(): string {
    if (this.#stored === undefined) return "";
    return `Stopped at byte ${this.#stored.byteOffset}; run it again to go on from there.`;
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
