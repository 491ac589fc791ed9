/**
 * Archives a day: writes its files, and its manifest last. Each step can be repeated, so a process that was killed goes on:
 *
 * 1. What will be written is noted in the store: which rows, and a name of this writing.
 * 2. The files are written here, one after the other, and moved or uploaded. A file that is there already, with the same hash in its
 *    name and the same size, stays.
 * 3. The manifest is written. From then on the day is archived.
 * 4. That is noted in the store. Files of the day that the manifest does not have are removed.
 *
 * A later writing adds the rows that came since. After a deletion of samples, all files of the day are written again, and replace the
 * others. A day that was dropped and has samples again gets further files. Those of before stay, because only the archive has these
 * samples.
 */
import { mkdir } from "node:fs/promises";
import type { ArchivedRows } from "../../model/records.ts";
import { dateText } from "../../model/time.ts";
import { faultOf } from "../../store/engine/faults.ts";
import type { Day, Reader, Store } from "../../store/store.ts";
import {
  ArchiveFault,
  type ArchivedFile,
  type ArchivedMetric,
  type ArchivedPart,
  dayFolder,
  escapedMetric,
  filesOf,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  type Manifest,
  PART_SCHEMA,
  readManifest,
  totalled,
  withAdded,
  writtenBefore,
} from "../manifest.ts";
import type { ArchiveTarget } from "../targets/archive-target.ts";
import type { ArchivedDays } from "./archived-days.ts";
import { DayWriter, discard, type WrittenFile } from "./day-writer.ts";

export interface DayArchiverParts {
  readonly store: Pick<Store, "days" | "reader" | "numbering" | "freeBlocks">;
  readonly target: ArchiveTarget;
  readonly days: ArchivedDays;
  /** A folder for files that are being written. */
  readonly spool: string;
  /** The gateway in manifests. */
  readonly gateway: Manifest["gateway"];
  readonly now: () => number;
  /** Runs an action when every committed row is in its table. */
  readonly atRest: <T>(action: () => T) => Promise<T>;
  /** A file was written to the archive. */
  readonly onFile: (bytes: number) => void;
}

/** Samples of a file: with an id for each, the engine sorts them in some 50 MB. */
const FILE_ROWS_MAX = 700_000;
const FILE_ROWS_MIN = 100_000;

/** Samples of the day were deleted while it was archived. It is archived again. */
export class DayChanged extends Error {
  override readonly name = "DayChanged";
}

/** A stop interrupts the archiving of a day. */
class Stopped extends Error {
  override readonly name = "Stopped";
}

export class DayArchiver {
  readonly #parts: DayArchiverParts;
  #reader: Reader | undefined;
  #isStopped = false;
  readonly #stopped = Promise.withResolvers<never>();
  #fileRowsMax = FILE_ROWS_MAX;

  constructor(parts: DayArchiverParts) {
    this.#parts = parts;
    this.#stopped.promise.catch(() => undefined);
  }

  /** Ends what runs, as soon as possible. */
  stop(): void {
    this.#isStopped = true;
    this.#stopped.reject(new Stopped("the gateway is stopping"));
    this.#reader?.interrupt();
  }

  /** Archives what the archive does not have of a day. Returns the number of samples that were added. */
  async archive(day: number): Promise<number> {
    const { days, target, store, now } = this.#parts;
    const begun = await this.#begin(day);
    const { rows, numbering } = begun;
    const check = () => {
      if (store.numbering !== numbering) throw new DayChanged("samples were deleted meanwhile");
    };
    const folder = dayFolder(day);
    const existing = await this.#orStop(target.list(folder));
    const before = await this.#manifest(folder);
    // A kill came between the manifest and the note of it.
    const isWritten = before !== undefined && before.writing === rows.writing;
    const manifest = isWritten ? before : await this.#writeFitting(begun, existing, before);
    check();
    if (!isWritten)
      await this.#orStop(target.putText(folder + MANIFEST_FILE, `${JSON.stringify(manifest, null, 1)}\n`));
    await days.set(
      day,
      {
        target: target.text,
        archivedEnd: rows.writingEnd!,
        rows: manifest.rows,
        files: filesOf(manifest).length,
        bytes: manifest.bytes,
        archivedAtMs: now(),
        ...(rows.drops === undefined ? {} : { drops: rows.drops }),
      },
      check,
    );
    await this.#removeOthers(folder, manifest);
    const kept = rows.archivedEnd === undefined ? writtenBefore(rows.drops ?? 0, manifest).rows : rows.rows;
    return manifest.rows - kept;
  }

  /** Notes what is written, unless a process that was killed has done so. */
  async #begin(day: number) {
    const { days, target, store, atRest } = this.#parts;
    await days.refresh();
    const { table, numbering } = await atRest(() => ({
      table: store.days().find((each) => each.day === day),
      numbering: store.numbering,
    }));
    if (table === undefined) throw new ArchiveFault(`${dateText(day)} was dropped`);
    const known = days.of(day);
    const isHere = known?.target === target.text;
    if (known?.writingEnd !== undefined && isHere && known.changed !== true)
      return { table, rows: known, numbering };
    const isAdded =
      known?.archivedEnd !== undefined && isHere && known.changed !== true && known.gone !== true;
    const drops = days.dropsOf(day, target.text);
    const rows: ArchivedRows = {
      target: target.text,
      writingEnd: table.rows - table.packed,
      writing: crypto.randomUUID(),
      ...(isAdded
        ? { archivedEnd: known.archivedEnd, rows: known.rows, files: known.files, bytes: known.bytes }
        : { rows: 0, files: 0, bytes: 0, replaces: isHere }),
      ...(drops === 0 ? {} : { drops }),
    };
    await days.set(day, rows, () => {
      if (store.numbering !== numbering) throw new DayChanged("samples were deleted meanwhile");
    });
    return { table, rows, numbering };
  }

  async #manifest(folder: string): Promise<Manifest | undefined> {
    const { target, gateway } = this.#parts;
    const text = await this.#orStop(target.read(folder + MANIFEST_FILE));
    if (text === undefined) return undefined;
    const manifest = readManifest(text, folder + MANIFEST_FILE);
    if (manifest.gateway.id === gateway.id) return manifest;
    throw new ArchiveFault(
      `${folder}${MANIFEST_FILE} is of another gateway (${manifest.gateway.id}); give each gateway a folder or a prefix of its own`,
    );
  }

  /** Writes the files. If the memory of the engine is too small for one, all are written again, smaller. */
  async #writeFitting(
    ...day: [
      begun: { readonly table: Day; readonly rows: ArchivedRows },
      existing: ReadonlyMap<string, number>,
      before: Manifest | undefined,
    ]
  ): Promise<Manifest> {
    for (;;) {
      const rowsMax = this.#fileRowsMax;
      try {
        return await this.#write(...day);
      } catch (error) {
        if (this.#fileRowsMax === rowsMax) throw error;
      }
    }
  }

  async #write(
    { table, rows }: { readonly table: Day; readonly rows: ArchivedRows },
    existing: ReadonlyMap<string, number>,
    before: Manifest | undefined,
  ): Promise<Manifest> {
    const { store, spool, gateway, now } = this.#parts;
    // Without the files that it had, the day is written as a whole.
    const isAdded = rows.archivedEnd !== undefined && before !== undefined;
    if (isAdded && before.rows !== rows.rows)
      throw new ArchiveFault(
        `${dayFolder(table.day)}${MANIFEST_FILE} has ${before.rows} samples, and this gateway has archived ${rows.rows}`,
      );
    await mkdir(spool, { recursive: true, mode: 0o700 });
    const reader = await store.reader();
    this.#reader = reader;
    try {
      this.#requireRunning();
      const firstRow = isAdded ? rows.archivedEnd! : 0;
      const drops = rows.drops ?? 0;
      // The store had these samples before it dropped the day.
      const earlier = drops === 0 || before === undefined ? undefined : writtenBefore(drops, before);
      const range = {
        ...{ firstRow, endRow: rows.writingEnd!, withBlocks: !isAdded },
        fileRowsMax: this.#fileRowsMax,
      };
      // Its own reader is idle between two statements.
      const writer = new DayWriter(reader, table, range, spool, () => store.freeBlocks(1));
      const kept = isAdded ? before : earlier;
      const taken = new Set(kept === undefined ? [] : filesOf(kept).map(({ file }) => file));
      const place = async (folder: string, kind: string, written: WrittenFile): Promise<ArchivedFile> => {
        const file = await this.#place(dayFolder(table.day), folder, kind, written, { existing, taken });
        return drops === 0 ? file : { ...file, drops };
      };
      const metrics = new Map<string, ArchivedMetric>();
      for await (const { metric, part, file } of writer.parts()) {
        this.#requireRunning();
        const placed = await place(`metric=${escapedMetric(metric.name)}/`, "part", file);
        const whole: ArchivedPart = { ...part, ...placed };
        const parts = [...(metrics.get(metric.name)?.parts ?? []), whole];
        metrics.set(metric.name, { ...metric, parts });
      }
      const series = [await place("", "series", await writer.series())];
      const found = await writer.exemplars();
      const exemplars = found === undefined ? [] : [await place("", "exemplars", found)];
      const made = totalled({
        weir_archive: MANIFEST_VERSION,
        date: dateText(table.day),
        gateway,
        writing: rows.writing!,
        written_at: new Date(now()).toISOString(),
        ...{ rows: 0, bytes: 0, min_ts: null, max_ts: null },
        schema: PART_SCHEMA,
        ...{ metrics: [...metrics.values()], series, exemplars },
      });
      const expected = rows.writingEnd! - firstRow + (isAdded ? 0 : table.packed);
      if (made.rows !== expected)
        throw new Error(`the files of ${made.date} have ${made.rows} samples, and the store has ${expected}`);
      if (isAdded) return withAdded(before, made, drops);
      if (earlier !== undefined) return withAdded(earlier, made, drops);
      if (before !== undefined && rows.replaces !== true) requireSame(before, made);
      return made;
    } catch (error) {
      // Other queries use the memory too.
      if (faultOf(error) === "out of memory")
        this.#fileRowsMax = Math.max(FILE_ROWS_MIN, Math.floor(this.#fileRowsMax / 2));
      throw error;
    } finally {
      this.#reader = undefined;
      reader.close();
    }
  }

  /** Puts a file in its place. */
  async #place(
    day: string,
    folder: string,
    kind: string,
    written: WrittenFile,
    { existing, taken }: { readonly existing: ReadonlyMap<string, number>; readonly taken: Set<string> },
  ): Promise<ArchivedFile> {
    const { target, onFile } = this.#parts;
    const { sha256, bytes, rows } = written;
    let file = `${folder}${kind}-${sha256}.parquet`;
    // Late samples can be the same as others that were archived: two events of one time and value.
    for (let n = 2; kind === "part" && taken.has(file); n++) file = `${folder}${kind}-${sha256}-${n}.parquet`;
    taken.add(file);
    if (existing.get(day + file) !== bytes) {
      await this.#orStop(target.put(day + file, written));
      onFile(bytes);
    }
    await discard(written);
    return { file, sha256, bytes, rows };
  }

  /** Removes files of the day that the manifest does not have: of writings that were given up, or that were replaced. */
  async #removeOthers(folder: string, manifest: Manifest): Promise<void> {
    const had = new Set(filesOf(manifest).map(({ file }) => folder + file));
    const ours = /\/(part|series|exemplars)-[0-9a-f]{64}(-\d+)?\.parquet$/;
    // Listed again: attempts that failed have written files too.
    for (const path of (await this.#parts.target.list(folder)).keys())
      if (!had.has(path) && ours.test(path)) await this.#orStop(this.#parts.target.remove(path));
  }

  /** The answer of the target, unless the gateway stops before: a bucket may not answer for minutes. */
  async #orStop<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return await Promise.race([answer, this.#stopped.promise]);
  }

  #requireRunning(): void {
    if (this.#isStopped) throw new Stopped("the gateway is stopping");
  }
}

/** Whether an error says that the gateway stops. */
export function isStop(error: unknown): boolean {
  return error instanceof Stopped;
}

/**
 * The archive has a manifest of the day, and the store does not know it: it is a copy of another store, or an earlier copy of this
 * one. If the archive has other files than the store would write, writing would lose them.
 */
function requireSame(before: Manifest, made: Manifest): void {
  const files = new Set(made.metrics.flatMap(({ parts }) => parts.map(({ file }) => file)));
  const others = before.metrics.flatMap(({ parts }) => parts).filter(({ file }) => !files.has(file));
  if (others.length > 0)
    throw new ArchiveFault(
      `the archive has other samples of ${before.date} than this store, in ${others.length} of its files; move the folder date=${before.date}/ of the archive away to write it again`,
    );
}
