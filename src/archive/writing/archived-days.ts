/**
 * What the archive has of each day, as the store keeps it. A deletion of samples changes it in its own transaction, so after one it
 * is read again.
 */
import type { ArchivedRows, ArchiveRecord } from "../../model/records.ts";
import { dateText } from "../../model/time.ts";

/** What it needs of the store and of ingest. */
interface ArchivedDaysParts {
  /** Stores records between two commits. It calls `records` when no deletion can come in between. */
  readonly store: (records: () => readonly ArchiveRecord[]) => Promise<void>;
  /** Reads the stored records. */
  readonly load: () => Promise<readonly ArchiveRecord[]>;
}

export class ArchivedDays {
  readonly #parts: ArchivedDaysParts;
  #records: Map<string, ArchivedRows>;
  /** Whether a deletion has changed what is stored. */
  #isLost = false;

  constructor(stored: readonly ArchiveRecord[], parts: ArchivedDaysParts) {
    this.#parts = parts;
    this.#records = readRecords(stored);
  }

  of(day: number): ArchivedRows | undefined {
    return this.#records.get(dateText(day));
  }

  /** Whether the rows of a day have to keep their ids. */
  holds(day: number): boolean {
    return this.#records.has(dateText(day));
  }

  /** Reads the records again, if samples were deleted. */
  async refresh(): Promise<void> {
    while (this.#isLost) {
      this.#isLost = false;
      this.#records = readRecords(await this.#parts.load());
    }
  }

  /**
   * Replaces the record of a day.
   *
   * @param check is called in the moment in which it is stored, and may throw
   */
  async set(day: number, rows: ArchivedRows, check: () => void): Promise<void> {
    const key = dateText(day);
    await this.#parts.store(() => {
      check();
      return [{ key, definition: JSON.stringify(rows) }];
    });
    this.#records.set(key, rows);
  }

  /** Samples were deleted. */
  forget(): void {
    this.#isLost = true;
  }

  /**
   * How often a day was dropped. Files of the archive that were written after fewer drops have samples that are not here, unless the
   * day was restored.
   */
  dropsOf(day: number, target: string): number {
    const known = this.of(day);
    return known === undefined || known.target !== target
      ? 0
      : (known.drops ?? 0) + (known.gone === true ? 1 : 0);
  }

  /** Days were dropped, and the store has changed their records so (sql/store/note_archives_gone.sql). */
  dropBefore(firstDay: number): void {
    const first = dateText(firstDay);
    for (const [key, record] of [...this.#records]) {
      if (key >= first) continue;
      const { changed: _, writing: _writing, writingEnd: _end, replaces: _replaces, ...kept } = record;
      if (kept.archivedEnd === undefined && kept.drops === undefined) this.#records.delete(key);
      else this.#records.set(key, { ...kept, gone: true });
    }
    // The store may know an earlier state of a day that was being written.
    this.#isLost = true;
  }
}

function readRecords(stored: readonly ArchiveRecord[]): Map<string, ArchivedRows> {
  return new Map(
    stored.flatMap(({ key, definition }): [string, ArchivedRows][] =>
      definition === null ? [] : [[key, JSON.parse(definition) as ArchivedRows]],
    ),
  );
}
