/**
 * The archive: writes each day that is over as Parquet files to a folder or a bucket. Nothing that is pushed or asked here waits for
 * it, and an archive that is away loses nothing: days wait in the store.
 */
import { rmSync } from "node:fs";
import type { Log } from "../log/log.ts";
import { DAY_MS } from "../model/duration.ts";
import type { MetricsRegistry } from "../model/metrics-library.ts";
import { repeat, type Service } from "../model/service.ts";
import { dateText } from "../model/time.ts";
import type { Store } from "../store/store.ts";
import { type ArchiveCounters, createArchiveCounters } from "./archive-counters.ts";
import type { ArchivedDayReport } from "./archived-day-report.ts";
import { DayArchiver, type DayArchiverParts, DayChanged, isStop } from "./writing/day-archiver.ts";

/** How often days are looked at. A day is over once in 24 hours. */
const LOOK_INTERVAL_MS = 60_000;
/** How long no sample of a day has arrived when it is archived. */
const QUIET_MS_MAX = 600_000;

export interface ArchiveParts extends Omit<DayArchiverParts, "onFile" | "store"> {
  readonly store: Pick<Store, "days" | "reader" | "numbering" | "moveJournal" | "freeBlocks">;
  /** How long after its end a day is archived. */
  readonly afterMs: number;
  /** Bytes of days past retention that may be kept. */
  readonly holdBytes: number;
  /** Bytes of the file of the store. */
  readonly fileBytes: () => Promise<number>;
  /** Whether samples of a day were restored from an archive, which has them already. */
  readonly isRestored: (day: number) => boolean;
  readonly metrics: MetricsRegistry;
  readonly log: Log;
}

/** When samples of a day arrived, as the looks at the store show it. */
interface Arrivals {
  readonly rows: number;
  readonly sinceMs: number;
  /** Since when there are samples that the archive does not have. */
  readonly waitingSinceMs: number | undefined;
}

export class Archive implements Service {
  readonly #parts: ArchiveParts;
  readonly #counters: ArchiveCounters;
  readonly #archiver: DayArchiver;
  readonly #arrivals = new Map<number, Arrivals>();
  readonly #errors = new Map<number, string>();
  readonly #loop: Service;
  #isStopped = false;
  #writing: number | undefined;
  #isFailing = false;
  #lastSuccessMs: number | undefined;
  /** By day: samples that the archive lacked when retention last looked. */
  readonly #lacking = new Map<number, number>();

  constructor(parts: ArchiveParts) {
    this.#parts = parts;
    this.#counters = createArchiveCounters(parts.metrics, () => ({
      waiting: () => this.#waiting(),
      isFailing: this.#isFailing,
      lastSuccessMs: this.#lastSuccessMs,
    }));
    this.#archiver = new DayArchiver({
      ...parts,
      onFile: (bytes) => {
        this.#counters.files.inc();
        this.#counters.bytes.inc(bytes);
      },
    });
    this.#loop = repeat(LOOK_INTERVAL_MS, () => this.archiveDue());
  }

  start(onFault: (error: unknown) => void): void | Promise<void> {
    const { spool } = this.#parts;
    // Files of a process that was killed.
    rmSync(spool, { recursive: true, force: true });
    return this.#loop.start(onFault);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#archiver.stop();
    await this.#loop.stop();
  }

  /** Archives the days that are over and quiet, the oldest first: it is dropped first. */
  async archiveDue(): Promise<void> {
    const { store, days } = this.#parts;
    await days.refresh();
    // A disk that is full has no room for that. What is in tables is archived all the same.
    await store.moveJournal().catch(() => undefined);
    for (const { day, rows } of store.days()) {
      if (this.#isStopped) return;
      this.#noteRows(day, rows);
      if (this.#isDue(day)) await this.#archive(day);
    }
  }

  #noteRows(day: number, rows: number): void {
    const nowMs = this.#parts.now();
    const known = this.#arrivals.get(day);
    if (known?.rows === rows) return;
    const waitingSinceMs = this.#unarchived(day) > 0 ? (known?.waitingSinceMs ?? nowMs) : undefined;
    this.#arrivals.set(day, { rows, sinceMs: nowMs, waitingSinceMs });
  }

  #isDue(day: number): boolean {
    const { now, afterMs, days } = this.#parts;
    if (this.#stateOf(day) === "restored" || now() < (day + 1) * DAY_MS + afterMs) return false;
    const known = days.of(day);
    const isBegun = known?.writingEnd !== undefined || known?.changed === true;
    if (isBegun && known.target === this.#parts.target.text) return true;
    if (this.#unarchived(day) === 0) return false;
    const { sinceMs, waitingSinceMs = sinceMs } = this.#arrivals.get(day)!;
    const isFirst = known?.archivedEnd === undefined;
    const isQuiet = now() - sinceMs >= Math.min(QUIET_MS_MAX, afterMs);
    return isQuiet || (!isFirst && now() - waitingSinceMs >= afterMs);
  }

  async #archive(day: number): Promise<void> {
    const { log, now } = this.#parts;
    const date = dateText(day);
    this.#writing = day;
    const end = this.#counters.seconds.startTimer();
    try {
      const samples = await this.#archiver.archive(day);
      const seconds = end();
      const { files, bytes } = this.#parts.days.of(day)!;
      this.#counters.samples.inc(samples);
      this.#errors.delete(day);
      this.#arrivals.delete(day);
      this.#lastSuccessMs = now();
      this.#isFailing = false;
      log("day_archived", { date, samples, files, bytes, seconds: Math.round(seconds * 10) / 10 });
    } catch (error) {
      if (isStop(error) || this.#isStopped) return;
      const text = error instanceof Error ? error.message : String(error);
      // It is archived again, at the next look.
      if (error instanceof DayChanged) return;
      this.#counters.failures.inc();
      this.#isFailing = true;
      if (this.#errors.get(day) !== text) log("archive_failing", { date, error: text });
      this.#errors.set(day, text);
    } finally {
      this.#writing = undefined;
    }
  }

  /** Samples of a day that the archive does not have. Those of a day that changed are all. */
  #unarchived(day: number): number {
    const { store, days, target } = this.#parts;
    const table = store.days().find((each) => each.day === day);
    if (table === undefined) return 0;
    const known = days.of(day);
    const isNone = known?.archivedEnd === undefined || known.gone === true;
    if (isNone || known.changed === true || known.target !== target.text) return table.rows;
    return Math.max(0, table.rows - table.packed - known.archivedEnd);
  }

  #isOver(day: number): boolean {
    return this.#parts.now() >= (day + 1) * DAY_MS;
  }

  #waiting(): { days: number; samples: number } {
    const waiting = this.#parts.store
      .days()
      .filter(({ day }) => this.#isOver(day) && this.#stateOf(day) !== "restored")
      .map(({ day }) => this.#unarchived(day))
      .filter((samples) => samples > 0);
    return { days: waiting.length, samples: waiting.reduce((sum, samples) => sum + samples, 0) };
  }

  #stateOf(day: number): ArchivedDayReport["state"] {
    const { days, target, isRestored } = this.#parts;
    if (this.#writing === day) return "writing";
    const known = days.of(day);
    if ((known === undefined || known.gone === true) && isRestored(day)) return "restored";
    if (days.dropsOf(day, target.text) > 0) return "partial";
    if (known?.archivedEnd !== undefined && known.target === target.text) {
      if (known.changed === true) return "changed";
      return this.#unarchived(day) > 0 ? "late" : "archived";
    }
    return this.#isOver(day) ? "waiting" : "open";
  }

  /** The days that are here, the newest first. */
  reports(): ArchivedDayReport[] {
    const { store, days, target } = this.#parts;
    return store
      .days()
      .map(({ day, rows }): ArchivedDayReport => {
        const known = days.of(day);
        const isHere = known?.target === target.text;
        return {
          date: dateText(day),
          rows,
          state: this.#stateOf(day),
          archivedRows: isHere ? known.rows : 0,
          files: isHere ? known.files : 0,
          bytes: isHere ? known.bytes : 0,
          archivedAtMs: isHere ? known.archivedAtMs : undefined,
          lastError: this.#errors.get(day),
        };
      })
      .toReversed();
  }

  /**
   * The first day that is kept, for a first day that retention keeps: days before it are held while the archive does not have them,
   * the newest first, up to `holdBytes`.
   */
  async heldFrom(firstDay: number): Promise<number> {
    const { store, holdBytes, fileBytes } = this.#parts;
    const days = store.days();
    this.#lacking.clear();
    for (const { day } of days)
      this.#lacking.set(day, this.#stateOf(day) === "restored" ? 0 : this.#unarchived(day));
    const rows = days.reduce((sum, each) => sum + each.rows, 0);
    if (holdBytes === 0 || rows === 0) return firstDay;
    const bytesPerRow = (await fileBytes()) / rows;
    let [held, bytes] = [firstDay, 0];
    for (const each of days.filter(({ day }) => day < firstDay).toReversed()) {
      bytes += each.rows * bytesPerRow;
      if (bytes > holdBytes) break;
      if ((this.#lacking.get(each.day) ?? 0) > 0) held = each.day;
    }
    return held;
  }

  /** Samples were deleted. */
  forget(): void {
    this.#parts.days.forget();
  }

  /** Days were dropped. What the archive does not have of them is counted. */
  dropBefore(firstDay: number): void {
    for (const [day, lacking] of this.#lacking) {
      if (day >= firstDay) continue;
      this.#lacking.delete(day);
      if (lacking === 0) continue;
      this.#counters.dropped.inc(lacking);
      this.#parts.log("archive_missed", { date: dateText(day), samples: lacking });
    }
    for (const day of [...this.#arrivals.keys()]) if (day < firstDay) this.#arrivals.delete(day);
    for (const day of [...this.#errors.keys()]) if (day < firstDay) this.#errors.delete(day);
    this.#parts.days.dropBefore(firstDay);
    if (this.#errors.size === 0) this.#isFailing = false;
  }
}
