/**
 * Blocks of the catalog that a kill has left half written.
 *
 * A checkpoint of DuckDB 1.5 writes what changed into free parts of the blocks of the last checkpoint's catalog, and each such
 * block in place. Only then it writes the header that says where the new catalog is. So a block that was written in part has the
 * last catalog whole, but a checksum of other bytes, and the engine does not read it.
 *
 * Such a block is recognised by all of this: the log ends with the entry that the engine syncs before it writes these blocks; the
 * header does not have that entry's catalog; the block is one of those that the header's catalog is in.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { blockChecksum } from "../engine/block-checksum.ts";
import { lastCheckpoint } from "../engine/file-headers.ts";
import { checkpointAtEnd } from "../engine/log-check.ts";
import { CHECKSUM_BYTES, readCatalogBlocks } from "./catalog-blocks.ts";
import { readCatalogNote } from "./catalog-note.ts";

/** A block of the catalog whose checksum is not that of its bytes. */
export interface TornBlock {
  readonly block: number;
  /** The byte of the file at which it begins. Its first 8 bytes are the checksum. */
  readonly at: number;
  readonly bytes: number;
  readonly stored: bigint;
  /** The checksum of its bytes. */
  readonly computed: bigint;
  /** Whether its parts in use are those of the last checkpoint. Undefined if no note says what these were. */
  readonly isCatalogWhole: boolean | undefined;
}

/**
 * The blocks of the catalog of the store at `path` that a checkpoint has left half written. Empty if there is no such checkpoint.
 * Do not call it while this process has the file open.
 */
export function findTornBlocks(path: string): TornBlock[] {
  const began = checkpointAtEnd(`${path}.wal`);
  if (began === undefined) return [];
  const file = openSync(path, "r");
  try {
    const header = lastCheckpoint(file);
    // With this catalog in the header, the checkpoint has written everything.
    if (header === undefined || header.metadata === began) return [];
    const noted = readCatalogNote(path, header);
    const torn: TornBlock[] = [];
    for (const { block, at, bytes, used } of readCatalogBlocks(file, header)) {
      const stored = bytes.readBigUInt64LE(0);
      const computed = blockChecksum(bytes.subarray(CHECKSUM_BYTES));
      const isCatalogWhole = noted && noted.get(block) === used;
      if (stored !== computed)
        torn.push({ block, at, bytes: bytes.length, stored, computed, isCatalogWhole });
    }
    return torn;
  } finally {
    closeSync(file);
  }
}

/**
 * Gives blocks the checksum of their bytes. Returns false, and writes nothing, if one of them has changed since it was found.
 * The file is synced then.
 */
export function correctChecksums(path: string, torn: readonly TornBlock[]): boolean {
  const file = openSync(path, "r+");
  try {
    const isSame = ({ at, bytes, stored, computed }: TornBlock) => {
      const block = Buffer.alloc(bytes);
      return (
        readSync(file, block, 0, bytes, at) === bytes &&
        block.readBigUInt64LE(0) === stored &&
        blockChecksum(block.subarray(CHECKSUM_BYTES)) === computed
      );
    };
    if (!torn.every(isSame)) return false;
    for (const { at, computed } of torn) {
      const checksum = Buffer.alloc(CHECKSUM_BYTES);
      checksum.writeBigUInt64LE(computed);
      writeSync(file, checksum, 0, CHECKSUM_BYTES, at);
    }
    fsyncSync(file);
    return true;
  } finally {
    closeSync(file);
  }
}
