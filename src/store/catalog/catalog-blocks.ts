/**
 * The blocks of a database file of DuckDB 1.5 that have the catalog, and what describes the tables' own blocks. Each is divided
 * into 64 parts. A checkpoint writes into parts that the one before does not use, and each changed block in place.
 */
import { readSync } from "node:fs";
import type { CheckpointHeader } from "../engine/file-headers.ts";

const BLOCKS_AT = 3 * 4_096;
export const CHECKSUM_BYTES = 8;
const POINTER_BYTES = 8;
/** Each part begins with a pointer to the next one. */
const PARTS = 64;
const NO_POINTER = 0xffff_ffff_ffff_ffffn;
const BLOCK_MASK = 0x00ff_ffff_ffff_ffffn;

export interface CatalogBlock {
  readonly block: number;
  /** The byte of the file at which it begins. Its first 8 bytes are the checksum. */
  readonly at: number;
  readonly bytes: Buffer;
  /** A hash of the parts that the last checkpoint uses. */
  readonly used: string;
}

const partBytesOf = ({ blockBytes }: CheckpointHeader) =>
  Math.floor((blockBytes - CHECKSUM_BYTES) / PARTS / 8) * 8;

/**
 * Reads the blocks that the catalog of the last checkpoint is in. The end of its list of free blocks names them. That list has
 * free blocks, then blocks with several users and how many these are, then the blocks of the catalog, each with a bit for each of
 * its free parts. Empty if the list makes no sense.
 */
export function* readCatalogBlocks(file: number, header: CheckpointHeader): Iterable<CatalogBlock> {
  const list = readChain(file, header.freeList, header);
  let at = 0;
  /** Where the next entries begin, each of this many bytes, and how many they are. */
  const entries = (entryBytes: number): { from: number; count: number } => {
    if (at + 8 > list.length) return { from: at, count: 0 };
    const count = Number(list.readBigUInt64LE(at));
    const from = at + 8;
    if (count > (list.length - from) / entryBytes) return { from, count: 0 };
    at = from + count * entryBytes;
    return { from, count };
  };
  entries(8);
  entries(12);
  const { from, count } = entries(16);
  const blocks = Array.from({ length: count }, (_, index) => ({
    block: Number(list.readBigUInt64LE(from + index * 16)),
    free: list.readBigUInt64LE(from + index * 16 + 8),
  }));
  // The catalog's own beginning is in one of them.
  const root = Number(header.metadata & BLOCK_MASK);
  if (!blocks.every(({ block }) => block < header.blocks) || !blocks.some(({ block }) => block === root))
    return;
  for (const { block, free } of blocks) {
    const bytes = Buffer.alloc(header.blockBytes);
    const start = BLOCKS_AT + block * header.blockBytes;
    readSync(file, bytes, 0, bytes.length, start);
    yield { block, at: start, bytes, used: hashOfUsed(bytes, free, header) };
  }
}

function hashOfUsed(bytes: Buffer, free: bigint, header: CheckpointHeader): string {
  const hash = new Bun.CryptoHasher("sha256");
  const partBytes = partBytesOf(header);
  for (let part = 0; part < PARTS; part++) {
    if (((free >> BigInt(part)) & 1n) === 1n) continue;
    hash.update(bytes.subarray(CHECKSUM_BYTES + part * partBytes, CHECKSUM_BYTES + (part + 1) * partBytes));
  }
  return hash.digest("hex");
}

/** What is in a chain of parts of blocks, without their pointers. Empty if it does not end. */
function readChain(file: number, first: bigint, header: CheckpointHeader): Buffer {
  const partBytes = partBytesOf(header);
  const parts: Buffer[] = [];
  const seen = new Set<bigint>();
  for (let pointer = first; pointer !== NO_POINTER; ) {
    const block = Number(pointer & BLOCK_MASK);
    const part = Number(pointer >> 56n);
    if (seen.has(pointer) || block >= header.blocks || part >= PARTS) return Buffer.alloc(0);
    seen.add(pointer);
    const read = Buffer.alloc(partBytes);
    const at = BLOCKS_AT + block * header.blockBytes + CHECKSUM_BYTES + part * partBytes;
    readSync(file, read, 0, partBytes, at);
    pointer = read.readBigUInt64LE(0);
    parts.push(read.subarray(POINTER_BYTES));
  }
  return Buffer.concat(parts);
}
