/**
 * Imports one file. It identifies the file and the offset up to which it was imported, reads from there, and pushes
 * chunk by chunk in order. After an interruption it continues from the stored offset.
 */
import { Unreachable } from "../client.ts";
import { type FileChunk, halve, type Remainder } from "../../line-files/chunks.ts";
import type { EventFile } from "../../line-files/event-file.ts";
import type { Fingerprint } from "../../line-files/fingerprint.ts";
import { freeName, identify, identityOf, type KnownFile, type Verdict } from "../../line-files/identity.ts";
import type { Counts, FileReport } from "./report.ts";
import type { LineConversion } from "../../line-formats/converted-lines.ts";
import { TooManyEvents } from "../../line-formats/line-converter.ts";
import { ChunkRefused, Interrupted, type LineStore, type PartAnswer } from "../../line-files/line-store.ts";

/** Pauses between failed attempts, in ms: a restart of the gateway takes seconds. After the last, the import fails. */
export const PAUSES_MS = [250, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

/** Pauses of at least this length are reported. */
const REPORTED_PAUSE_MS = 4_000;

/** The result of the import of a file. */
export interface Outcome extends Counts {
  /** Notes that are not failures. */
  readonly notes: readonly string[];
  /** Why it was not read to its end; undefined if it was. */
  readonly failure?: string;
}

export interface FileImportOptions {
  readonly open: () => Promise<EventFile>;
  readonly target: LineStore;
  /** The format of lines that are not events. */
  readonly format?: { readonly key: string; readonly lines: LineConversion };
  readonly report: FileReport;
  /** The worker in the labels; empty if there is none. */
  readonly worker: string;
  /** `NAME=VALUE`, added to each event that has no such tag of its own. */
  readonly extraLabels: readonly string[];
  /** A name that the user gave the import. With a name, the file is not compared with other files. */
  readonly as: string | undefined;
  /** Called after each chunk. */
  readonly onProgress: (file: EventFile) => Promise<void>;
  /** Called before a long pause, with the reason for it. */
  readonly onWait: (reason: string, waitMs: number) => Promise<void>;
}

/** Imports the file. Resolves also after a failure, but throws `Unreachable` if no gateway answers at all. */
export async function importFile(options: FileImportOptions): Promise<Outcome> {
  const work = new FileImport(options);
  let failure: string | undefined;
  let file: EventFile | undefined;
  try {
    file = await options.open();
    const firstLineHash = await file.firstLineHash();
    if (firstLineHash === undefined)
      work.notes.push(file.bytes === 0 ? "it is empty" : "it has no whole line yet");
    else await work.run(file, firstLineHash);
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    failure = failureText(error);
  } finally {
    await file?.close();
  }
  return { ...options.report.counts, notes: work.notes, failure };
}

class FileImport {
  readonly notes: string[] = [];
  readonly #options: FileImportOptions;
  #firstLineHash = "";
  /** The name of the import of a pipe whose content is new each time. */
  #pipeName: string | undefined;
  /** The name of the file's import, and its stored state. */
  #name = "";
  #known: KnownFile | undefined;
  /** The stored offset, as far as this import knows; undefined before its first query. */
  #storedOffset: number | undefined;
  #remainders: Remainder[] = [];
  #attempts = 0;

  constructor(options: FileImportOptions) {
    this.#options = options;
  }

  async run(file: EventFile, firstLineHash: string): Promise<void> {
    this.#firstLineHash = firstLineHash;
    // Events of a pipe without a time happen when they arrive: equal content later is other events.
    if (this.#options.as === undefined && file.isPiped && !(await file.hasTimes()))
      this.#pipeName = `pipe-${crypto.randomUUID()}`;
    for (;;) {
      try {
        await this.#runOnce(file);
        break;
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        const pauseMs = PAUSES_MS[this.#attempts++];
        if (pauseMs === undefined) throw new Error(`${error.message} ${this.#placeText()}`.trimEnd());
        // Imports of files with the same first line can use one name at the same time. Random pauses separate them.
        const waitMs = Math.max(pauseMs * (0.5 + Math.random()), error.pauseMs ?? 0);
        if (waitMs >= REPORTED_PAUSE_MS) await this.#options.onWait(error.message, waitMs);
        await Bun.sleep(waitMs);
      }
    }
    for (const remainder of this.#remainders) {
      const { kind, bytes } = remainder;
      if (kind === "overlong")
        this.#options.report.addUnread(
          remainder.offset,
          "overlong",
          `it has ${bytes} bytes, more than an event can have`,
        );
      else if (kind === "nul") this.notes.push(`it ends in ${bytes} NUL bytes, which were skipped`);
      else
        this.notes.push(
          `its last line is cut (${bytes} bytes from byte ${remainder.offset} on): left for the next import`,
        );
    }
  }

  async #runOnce(file: EventFile): Promise<void> {
    this.#remainders = [];
    const from = await this.#begin(file);
    if (from === undefined) return;
    for await (const chunk of readAhead(file.chunks(from, (remainder) => this.#remainders.push(remainder)))) {
      await this.#push(file, chunk);
      await this.#options.onProgress(file);
    }
  }

  /** Identifies the file. Returns the fingerprint of the content that was imported, or undefined if all of it was. */
  async #begin(file: EventFile): Promise<Fingerprint | undefined> {
    const { target, worker, as } = this.#options;
    const named = as === undefined ? this.#pipeName : nameOf(as);
    const known =
      named === undefined
        ? await target.withFirstLine(this.#firstLineHash)
        : await target.named(named).then((each) => (each === undefined ? [] : [each]));
    // Its own import, by the user's name or from a previous attempt: equal content is enough.
    const own = known.find((each) => each.file === (named ?? this.#name));
    let verdict: Verdict | undefined;
    if (own !== undefined) verdict = await identify(file, [own], "", true);
    if (verdict === undefined || (verdict.kind !== "known" && named === undefined)) {
      verdict = await identify(file, known, worker);
    }
    switch (verdict.kind) {
      case "known":
        this.#noteUncounted(verdict.known.byteOffset);
        this.#noteOtherFormat(verdict.known);
        this.#known = verdict.known;
        this.#name = verdict.known.file;
        this.#storedOffset = verdict.known.byteOffset;
        return verdict.from;
      case "new":
        if (named !== undefined && known.length > 0)
          throw new Error(
            `another file was imported as ${JSON.stringify(as)} up to byte ${known[0]!.byteOffset}; give this one another name`,
          );
        this.#known = undefined;
        this.#name = named ?? freeName(this.#firstLineHash, known);
        this.#storedOffset = 0;
        return file.beginning();
      case "earlier":
        this.notes.push(
          `it ends at byte ${verdict.bytes}, and a file that begins with the same lines was imported up to byte ` +
            `${verdict.known.byteOffset}: it was treated as an earlier copy, and nothing was read. If it is another ` +
            "file, import it with --as NAME",
        );
        return undefined;
      case "unclear":
        throw new Error(
          `${verdict.message}; nothing was read, and --as NAME imports all of it as a file of its own`,
        );
    }
  }

  /** Pushes a chunk. If the gateway rejects it as a whole, halves it, down to the line that is at fault. */
  async #push(file: EventFile, chunk: FileChunk): Promise<void> {
    const { target, report, worker, extraLabels, format } = this.#options;
    // Rejected lines before it are skipped: the chunk continues from the stored offset.
    const due = { ...chunk, fromOffset: this.#storedOffset ?? 0 };
    const identity = identityOf(chunk.after, file.traces, worker, this.#known?.identity, format?.key);
    const firstLineHash = this.#pipeName === undefined ? this.#firstLineHash : undefined;
    let answer: PartAnswer;
    try {
      const { firstLine } = file;
      const part = { ...due, file: this.#name, firstLineHash, identity, firstLine, isLive: false };
      const push = target.push.bind(target);
      answer = await (format === undefined
        ? push(part, extraLabels)
        : format.lines.push(part, extraLabels, push));
    } catch (error) {
      if (!(error instanceof ChunkRefused || error instanceof TooManyEvents)) throw error;
      const halves = halve(chunk);
      for (const half of halves) await this.#push(file, half);
      if (halves.length === 0) report.addUnread(chunk.toOffset - chunk.body.length, "refused", error.message);
      return;
    }
    // If no line was stored, the offset does not change, and the next chunk skips them.
    if (answer.accepted + answer.duplicates > 0) this.#storedOffset = due.toOffset;
    this.#attempts = 0;
    report.add(due, answer);
  }

  /** Notes lines that were stored by a push whose answer was lost, or by another import of the same file. */
  #noteUncounted(byteOffset: number): void {
    if (this.#attempts === 0) return;
    const knownOffset = this.#storedOffset ?? 0;
    if (byteOffset <= knownOffset) return;
    this.#attempts = 0;
    this.notes.push(
      `bytes ${knownOffset} to ${byteOffset} were stored by a push whose answer was lost, or by another ` +
        "import: their lines are not in these counts",
    );
  }

  /** Notes that lines were imported with another format or mapping. They keep the events that they became. */
  #noteOtherFormat({ byteOffset, identity }: KnownFile): void {
    const { format } = this.#options;
    if (identity === undefined || identity.format === format?.key || this.#attempts > 0) return;
    this.notes.push(
      `its lines up to byte ${byteOffset} were imported with another --format or --map, and keep their events; ` +
        "--as NAME imports all of its lines with this one",
    );
  }

  #placeText(): string {
    if (!this.#storedOffset) return "";
    return `Stopped at byte ${this.#storedOffset}; run it again to continue from there.`;
  }
}

/** The stored name of an import that the user named. */
export function nameOf(as: string): string {
  return `as-${new Bun.CryptoHasher("sha256").update(as).digest("hex")}`;
}

/** Reads the next chunk while the previous one is pushed. */
async function* readAhead(
  chunks: AsyncGenerator<FileChunk, void, undefined>,
): AsyncGenerator<FileChunk, void, undefined> {
  let next = chunks.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = chunks.next();
      // If the push fails, no caller awaits the next chunk any more.
      next.catch(() => undefined);
      yield value;
    }
  } finally {
    await chunks.return();
  }
}

/** One sentence for an error of the system, whose own message also names the call and the path. */
export function failureText(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "it may not be read";
  if (code === "EISDIR") return "it is not a file";
  if (code === "ENOSPC") return "the folder for temporary files has no room for it";
  return error instanceof Error ? error.message : String(error);
}
