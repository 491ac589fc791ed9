/**
 * The outbox: which stored rows each destination has received. The rows themselves are those of the store, so there is no
 * second queue on the disk.
 *
 * - A day table is append-only, so what a destination has of a day is a set of ranges of row ids.
 * - An acknowledgement is stored between two commits. If a deletion has renumbered rows since the rows were read, it is
 *   dropped, and the rows are sent again.
 * - A range can be noted before it is sent, with a key. After a kill it is sent again with the same key, so that a
 *   destination that knows keys stores it once.
 */
import type { ForwardedRows, ForwardRecord, OpenRange, RowRange } from "../../model/records.ts";
import { dateText } from "../../model/time.ts";
import { countOf, withRange } from "./row-ranges.ts";

/** What the outbox needs of the store and of ingest. */
export interface OutboxParts {
  /** See `Ingest.storeForwards`. */
  readonly store: (records: () => readonly ForwardRecord[]) => Promise<void>;
  /** Reads the stored records. */
  readonly load: () => Promise<readonly ForwardRecord[]>;
}

/** What an acknowledgement refers to: it is invalid after a deletion. */
export type Epoch = number;

export class Outbox {
  readonly #parts: OutboxParts;
  #records: Map<string, ForwardedRows>;
  #dirty = new Set<string>();
  #storing: Promise<void> | undefined;
  #epoch: Epoch = 0;
  #loading: Promise<void> | undefined;
  /** Whether the records are those of rows as they were before a deletion. */
  #isLost = false;
  /** Resolves at the end of a deletion. */
  #held: PromiseWithResolvers<void> | undefined;

  constructor(stored: readonly ForwardRecord[], parts: OutboxParts) {
    this.#parts = parts;
    this.#records = readRecords(stored);
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** Resolves when the records are those of the rows that are stored now. */
  async ready(): Promise<void> {
    while (this.#isLost || this.#held !== undefined) {
      await this.#held?.promise;
      this.#loading ??= this.#load().finally(() => {
        this.#loading = undefined;
      });
      await this.#loading;
    }
  }

  /**
   * Samples will be deleted. Nothing is read or sent by the records until `forget`: the rows get other ids before anyone can
   * say so.
   */
  hold(): void {
    this.#epoch++;
    this.#held ??= Promise.withResolvers();
  }

  /** As `hold`. Resolves when no record is being stored either. */
  async holdStill(): Promise<void> {
    this.hold();
    // Its acknowledgements were noted before, and the records that are renumbered include them, or they are repeated.
    await this.#storing?.catch(() => undefined);
  }

  /** Up to which row a stream has all rows of a day, and no request is under way. 0 while rows get other ids. */
  receivedBefore(stream: string, day: number): number {
    if (this.#isLost || this.#held !== undefined) return 0;
    const { sent, open = [] } = this.of(stream, day);
    const end = sent[0]?.[0] === 0 ? sent[0][1] : 0;
    return Math.min(end, ...open.map(([from]) => from));
  }

  /** Samples were deleted: the stored records were renumbered, and are read again. */
  forget(): void {
    this.#epoch++;
    this.#dirty.clear();
    this.#isLost = true;
    this.#held?.resolve();
    this.#held = undefined;
  }

  async #load(): Promise<void> {
    const epoch = this.#epoch;
    const stored = await this.#parts.load();
    if (epoch !== this.#epoch) return;
    this.#records = readRecords(stored);
    this.#isLost = false;
  }

  /** The names of destinations that have a record. */
  names(): Set<string> {
    return new Set([...this.#records.keys()].map((key) => key.split("/")[0]!));
  }

  of(stream: string, day: number): ForwardedRows {
    return this.#records.get(keyOf(stream, day)) ?? NOTHING;
  }

  sentRows(stream: string, day: number): number {
    return countOf(this.of(stream, day).sent);
  }

  /** Marks rows as sent, and ends requests with them that were noted. Resolves when that is stored. */
  async acknowledge(
    stream: string,
    day: number,
    range: RowRange,
    epoch: Epoch,
    more: Partial<ForwardedRows> = {},
  ): Promise<void> {
    await this.#change(stream, day, epoch, ({ sent, open = [], ...rest }) => ({
      ...rest,
      ...more,
      sent: withRange(sent, range),
      open: open.filter(([from, to]) => from < range[0] || to > range[1]),
    }));
  }

  /** Notes a request before it is sent. Resolves when that is stored. */
  async begin(stream: string, day: number, request: OpenRange, epoch: Epoch): Promise<void> {
    await this.#change(stream, day, epoch, ({ open = [], ...rest }) => ({
      ...rest,
      open: [...open, request],
    }));
  }

  /** Replaces a request that was noted by requests for its parts. Resolves when that is stored. */
  async divide(
    stream: string,
    day: number,
    [begin, end]: RowRange,
    parts: readonly OpenRange[],
    epoch: Epoch,
  ): Promise<void> {
    await this.#change(stream, day, epoch, ({ open = [], ...rest }) => ({
      ...rest,
      open: [...open.filter(([from, to]) => from !== begin || to !== end), ...parts],
    }));
  }

  async #change(
    stream: string,
    day: number,
    epoch: Epoch,
    next: (rows: ForwardedRows) => ForwardedRows,
  ): Promise<void> {
    if (epoch !== this.#epoch || this.#isLost) throw new RowsRenumbered();
    const key = keyOf(stream, day);
    this.#records.set(key, next(this.#records.get(key) ?? NOTHING));
    this.#dirty.add(key);
    await this.#store();
    if (epoch !== this.#epoch) throw new RowsRenumbered();
  }

  /** Stores what changed. Changes that come meanwhile are stored together. */
  async #store(): Promise<void> {
    while (this.#dirty.size > 0) {
      // Records that are stored while rows get other ids would replace the renumbered ones. `forget` drops them.
      await this.#held?.promise;
      if (this.#dirty.size === 0) return;
      this.#storing ??= this.#storeOnce().finally(() => {
        this.#storing = undefined;
      });
      await this.#storing;
    }
  }

  async #storeOnce(): Promise<void> {
    let keys: string[] = [];
    try {
      await this.#parts.store(() => {
        if (this.#held !== undefined) return [];
        // A deletion empties it, since its own records count.
        keys = [...this.#dirty];
        this.#dirty.clear();
        return keys.map((key) => ({ key, definition: textOf(this.#records.get(key)) }));
      });
    } catch (error) {
      for (const key of keys) this.#dirty.add(key);
      throw error;
    }
  }

  /** Forgets days that were dropped. The records are deleted with the next acknowledgement. */
  dropBefore(firstDay: number): void {
    const first = dateText(firstDay);
    for (const key of [...this.#records.keys()]) if (dateOf(key) < first) this.#forgetKey(key);
  }

  /** Forgets destinations that the settings do not have any more. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const key of [...this.#records.keys()]) if (!names.has(key.split("/")[0]!)) this.#forgetKey(key);
  }

  #forgetKey(key: string): void {
    this.#records.delete(key);
    this.#dirty.add(key);
  }
}

/** A deletion has renumbered rows since they were read. They have to be read again. */
export class RowsRenumbered extends Error {
  override readonly name = "RowsRenumbered";
}

const NOTHING: ForwardedRows = { sent: [] };

function keyOf(stream: string, day: number): string {
  return `${stream}/${dateText(day)}`;
}

function dateOf(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

function textOf(rows: ForwardedRows | undefined): string | null {
  return rows === undefined ? null : JSON.stringify(rows);
}

function readRecords(stored: readonly ForwardRecord[]): Map<string, ForwardedRows> {
  return new Map(
    stored.flatMap(({ key, definition }): [string, ForwardedRows][] =>
      definition === null ? [] : [[key, JSON.parse(definition) as ForwardedRows]],
    ),
  );
}
