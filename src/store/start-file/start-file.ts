/**
 * The file of what a start reads: all records of the small tables, as of the checkpoint of an orderly stop. A start that finds the
 * tables as they were then asks the engine for none of them, which takes half of the time.
 *
 * It is a copy, and nothing depends on it. It is used only if the database has the very checkpoint that it was made from, and no log
 * with later commits. A checkpoint is recognised by the headers of the file and by all parts of the catalog that are in use
 * (catalog-blocks.ts). A stop gives its checkpoint a random name, which the catalog has, so that two copies of a store which go
 * different ways do not have equal catalogs. A start with another file, a damaged one or none reads the
 * tables.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import manifest from "../../../package.json" with { type: "json" };
import type { TotalsSnapshot } from "../../model/records.ts";
import { readCatalogBlocks } from "../catalog/catalog-blocks.ts";
import type { DiskRoom } from "../disk-room.ts";
import { lastCheckpoint } from "../engine/file-headers.ts";
import type { OpenEngine, OpenEngineOptions } from "../engine/open-engine.ts";
import type { Journal } from "../journal/journal.ts";
import { fileSizesOf } from "../log-size.ts";
import { migrations, statement } from "../statements.ts";
import { type LoadedTables, loadTables } from "../tables/load-tables.ts";
import { StoredTables } from "../tables/stored-tables.ts";
import { decodeTables, encodeTables, PART_COUNT, recordsOf, type StartState } from "./start-records.ts";

const startFileOf = (path: string) => `${path}.start`;

/** Changes with what is in the file. */
const FORMAT = 2;
/** Where each field of the header begins. The parts follow it. */
const HASH_AT = 0;
const FORMAT_AT = 8;
const CHECKPOINT_AT = 16;
const CHECKPOINT_BYTES = 32;
const LENGTHS_AT = CHECKPOINT_AT + CHECKPOINT_BYTES;
const HEADER_BYTES = LENGTHS_AT + 4 * PART_COUNT;
/** Of all small tables. More would delay a stop, and a start takes seconds then in any case. */
const ROWS_MAX = 200_000;
/** Series of a snapshot that is kept in memory: some 10 MB. */
const TOTALS_MAX = 50_000;
/** Texts of records may be long. */
const BYTES_MAX = 64 * 1_048_576;

/** What a stop has left for the next start. */
export interface Kept extends StartState {
  readonly tables: LoadedTables;
}

export class StartFile {
  readonly #path: string;
  /** The stored totals, if they are those of one snapshot, and not many. */
  #totals: TotalsSnapshot | undefined;

  /** What `parse` has found, and the checkpoint that it is of. */
  #parsed: { readonly kept: Kept; readonly checkpoint: Uint8Array } | undefined;

  /** @param path of the database */
  constructor(path: string) {
    this.#path = path;
  }

  /** Reads the file, while the engine still opens the database. Nothing is known about it before `found`. */
  parse(): void {
    this.#parsed = this.#content();
  }

  /**
   * What `parse` has read. Undefined if there was no file, if it is not of the checkpoint that the database has now, or if there is
   * a log.
   *
   * @param database a descriptor of the database, which the engine has opened
   * @param schema the newest one that this program knows
   */
  found(database: number, schema: number): Kept | undefined {
    const parsed = this.#parsed;
    this.#parsed = undefined;
    try {
      if (parsed === undefined || parsed.kept.schema !== schema) return undefined;
      if (fileSizesOf(this.#path).logBytes > 0) return undefined;
      return checkpointOf(database)?.equals(parsed.checkpoint) === true ? parsed.kept : undefined;
    } catch {
      return undefined;
    }
  }

  #content(): { readonly kept: Kept; readonly checkpoint: Uint8Array } | undefined {
    let file: number | undefined;
    try {
      file = openSync(startFileOf(this.#path), "r");
      const header = readAt(file, HEADER_BYTES, 0);
      if (header.readUInt32LE(FORMAT_AT) !== FORMAT) return undefined;
      const lengths = Array.from({ length: PART_COUNT }, (_, part) =>
        header.readUInt32LE(LENGTHS_AT + 4 * part),
      );
      let end = HEADER_BYTES;
      for (const length of lengths) end += length;
      if (end > BYTES_MAX || end !== fstatSync(file).size) return undefined;
      // Each part has memory of its own, which is free once it was decoded.
      let at = HEADER_BYTES;
      const parts = lengths.map((length) => {
        at += length;
        return readAt(file!, length, at - length);
      });
      if (header.readBigUInt64LE(HASH_AT) !== hashOf(header, parts)) return undefined;
      return {
        kept: decodeTables(parts),
        checkpoint: header.subarray(CHECKPOINT_AT, LENGTHS_AT),
      };
    } catch {
      return undefined;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  /** Call it before the last checkpoint. Returns false if the disk has no room: the file must not be kept then. */
  async nameCheckpoint(
    { writer }: Pick<OpenEngine, "writer">,
    inTransaction: (write: () => Promise<void>) => Promise<unknown>,
  ): Promise<boolean> {
    try {
      await inTransaction(() =>
        writer.run(statement("store/name_checkpoint", { name: crypto.randomUUID() })),
      );
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Keeps what the next start reads, unless that is much. Call it after the last checkpoint, when the journal is empty.
   *
   * An error ends nothing: the next start reads the tables.
   */
  async keep(
    { writer, catalog }: Pick<OpenEngine, "writer" | "catalog">,
    { migrations: known = migrations() }: Pick<OpenEngineOptions, "migrations">,
    {
      journal,
      room,
    }: { readonly journal: Pick<Journal, "forgotten">; readonly room: Pick<DiskRoom, "bytesInside"> },
  ): Promise<void> {
    try {
      if (journal.forgotten === undefined) return;
      const inFile = await StoredTables.read(writer);
      if (inFile.rows > ROWS_MAX) return;
      const tables = await loadTables(writer, { inFile, totals: this.#totals && recordsOf(this.#totals) });
      const { bytesInside } = room;
      const kept = { journal: journal.forgotten, bytesInside, schema: known.at(-1)!.version, tables };
      if (fileSizesOf(this.#path).logBytes === 0) this.#write(catalog.file, kept);
    } catch {
      // The disk has no room, or fails. A part of the file has another hash.
    }
  }

  /** Call it when a snapshot of the totals is committed, and with undefined before one is. */
  noteTotals(totals: TotalsSnapshot | undefined): void {
    const isKept = totals?.whole === true && totals.length <= TOTALS_MAX;
    this.#totals = isKept ? totals : undefined;
  }

  /** It does not have to survive a loss of power: a part of it has another hash. */
  #write(database: number, kept: Kept): void {
    const checkpoint = checkpointOf(database);
    if (checkpoint === undefined) return;
    const parts = encodeTables(kept);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(FORMAT, FORMAT_AT);
    checkpoint.copy(header, CHECKPOINT_AT);
    parts.forEach(({ length }, part) => void header.writeUInt32LE(length, LENGTHS_AT + 4 * part));
    header.writeBigUInt64LE(hashOf(header, parts), HASH_AT);
    const bytes = Buffer.concat([header, ...parts]);
    if (bytes.length > BYTES_MAX) return;
    writeFileSync(startFileOf(this.#path), bytes, { mode: 0o600 });
  }

  /** Removes the file. Call it before a checkpoint. One that cannot be removed is recognised as of another checkpoint. */
  remove(): void {
    try {
      rmSync(startFileOf(this.#path), { force: true });
    } catch {
      return;
    }
  }
}

/** Throws if the file is shorter. */
function readAt(file: number, length: number, at: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  if (readSync(file, bytes, 0, length, at) !== length) throw new Error("the file is shorter");
  return bytes;
}

/** The hash of everything behind the hash itself. */
function hashOf(header: Buffer, parts: readonly Uint8Array[]): bigint {
  let hash = Bun.hash.xxHash64(header.subarray(FORMAT_AT));
  for (const part of parts) hash = Bun.hash.xxHash64(part, hash);
  return hash;
}

/** Identifies the last checkpoint of an open file, and the version that can read its records. Undefined if there is none, or if a header is damaged. */
function checkpointOf(file: number): Buffer | undefined {
  const header = lastCheckpoint(file);
  if (header === undefined) return undefined;
  const hash = new Bun.CryptoHasher("sha256");
  const main = Buffer.alloc(MAIN_BYTES);
  readSync(file, main, 0, MAIN_BYTES, 0);
  hash.update(main);
  hash.update(manifest.version);
  hash.update(
    `${header.iteration} ${header.metadata} ${header.freeList} ${header.blocks} ${header.blockBytes}`,
  );
  let blocks = 0;
  for (const { block, used } of readCatalogBlocks(file, header)) {
    blocks++;
    hash.update(` ${block} ${used}`);
  }
  return blocks === 0 ? undefined : hash.digest();
}

/** The header that says what the file is. */
const MAIN_BYTES = 4_096;
