/**
 * Imports a Parquet file of events, each row once. The file is identified by the hash of its content. The row up to which
 * it was read commits together with the rows before it, so an import that was interrupted continues from there.
 */
import { open, stat } from "node:fs/promises";
import { hashOfFile } from "../../archive/targets/file-hash.ts";
import { ChunkRefused, Interrupted, type PartAnswer } from "../../line-files/line-store.ts";
import { Unreachable } from "../client.ts";
import { failureText, nameOf, type Outcome, PAUSES_MS } from "./import-file.ts";
import type { FileReport } from "./report.ts";
import type { ImportTarget } from "./target.ts";

/** Some 5 MB of JSON. */
const ROWS_AT_ONCE = 20_000;
const MAGIC = "PAR1";
const NOTHING = new Uint8Array(0);

export interface ParquetImportOptions {
  readonly path: string;
  readonly target: ImportTarget;
  readonly report: FileReport;
  /** The query of its pushes: `metric`, `type`, `unit`. */
  readonly fields: readonly (readonly [string, string])[];
  readonly extraLabels: readonly string[];
  readonly as: string | undefined;
  /** Called after each part, with the share of the rows that were read. */
  readonly onProgress: (share: number) => Promise<void>;
  /** Called before a pause, with the reason for it. */
  readonly onWait: (reason: string, waitMs: number) => Promise<void>;
}

/** Whether a file is one of Parquet, by its first bytes. */
export async function isParquet(path: string): Promise<boolean> {
  // A pipe is not opened: what is read of it would be lost.
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  const file = isFile ? await open(path, "r").catch(() => undefined) : undefined;
  if (file === undefined) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    return buffer.toString("latin1", 0, bytesRead) === MAGIC;
  } finally {
    await file.close();
  }
}

/** Imports the file. Resolves also after a failure, but throws `Unreachable` if no gateway answers at all. */
export async function importParquet(options: ParquetImportOptions): Promise<Outcome> {
  const notes: string[] = [];
  let failure: string | undefined;
  try {
    await importRows(options);
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    failure = error instanceof ChunkRefused ? error.message : failureText(error);
  }
  return { ...options.report.counts, notes, failure };
}

async function importRows(options: ParquetImportOptions): Promise<void> {
  const { path, as } = options;
  // Loaded here, so that an import of lines does not load the engine.
  const { ParquetFile } = await import("./parquet-file.ts");
  const { hash } = await hashOfFile(path);
  const name = as === undefined ? `parquet-${hash}` : nameOf(as);
  const file = await ParquetFile.open(path);
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await pushRows(options, file, name, hash);
        return;
      } catch (error) {
        const pauseMs = PAUSES_MS[attempt];
        if (!(error instanceof Interrupted) || pauseMs === undefined) throw error;
        const waitMs = Math.max(pauseMs * (0.5 + Math.random()), error.pauseMs ?? 0);
        await options.onWait(error.message, waitMs);
        await Bun.sleep(waitMs);
      }
    }
  } finally {
    file.close();
  }
}

/** Pushes the rows that are not stored yet. */
async function pushRows(
  { target, report, fields, extraLabels, onProgress }: ParquetImportOptions,
  file: { rows: number; part(from: number, to: number): Promise<{ body: Uint8Array<ArrayBuffer> }> },
  name: string,
  hash: string,
): Promise<void> {
  let stored = (await target.named(name))?.byteOffset ?? 0;
  for (let from = stored; from < file.rows; ) {
    const to = Math.min(from + ROWS_AT_ONCE, file.rows);
    const { body } = await file.part(from, to);
    const part = {
      file: name,
      firstLineHash: undefined,
      fromOffset: stored,
      toOffset: to,
      lastLineHash: hash,
      identity: { hash, marks: "", worker: "", places: [], modifiedMs: 0 },
      firstLine: "",
      isLive: false,
      body,
    };
    const answer = await target.push(part, extraLabels, fields);
    // If no row was stored, the offset does not change, and the next part skips them.
    if (answer.accepted + answer.duplicates > 0) stored = to;
    report.add({ body: NOTHING, toOffset: 0, before: { newlines: 0 } }, placed(answer, from));
    from = to;
    await onProgress(to / file.rows);
  }
}

/** The answer with the rows of the file in its messages. */
function placed(answer: PartAnswer, fromRow: number): PartAnswer {
  return {
    ...answer,
    errors: answer.errors.map((error) => ({
      ...error,
      reason: `row ${fromRow + error.index}: ${error.reason}`,
    })),
    warnings: answer.warnings.map((warning) => ({
      ...warning,
      message: `row ${fromRow + warning.index}: ${warning.message}`,
    })),
  };
}
