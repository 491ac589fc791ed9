/**
 * The headers of a database file of DuckDB 1.5: three blocks of 4 KiB at its beginning, each with a checksum. The first says what
 * the file is. The other two belong to the last two checkpoints; the one with the higher iteration counts. The engine reads no
 * file with a damaged header, although one of them is enough.
 *
 * Repairs are only for copies: nothing here changes the file of a store.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { blockChecksum } from "./block-checksum.ts";

const HEADER_BYTES = 4_096;
const CHECKSUM_BYTES = 8;
const MAGIC_AT = 8;
const MAGIC = "DUCK";
const NO_BLOCK = 0xffff_ffff_ffff_ffffn;

/** The fields of a checkpoint's header, each of 64 bits: iteration, its metadata, free list, blocks, size of a block and of a vector. */
const FIELDS = { iteration: 0, metadata: 1, freeList: 2, blocks: 3, blockBytes: 4, vectorRows: 5 } as const;
const VECTOR_ROWS = 2_048n;

/** What a salvage can do with the headers of a copy. */
export type HeaderRepair =
  /** They are used as they are. */
  | "none"
  /** A damaged header gets a new checksum, if its fields are possible. */
  | "new checksum"
  /** The header of the last checkpoint is replaced by that of the one before. */
  | "previous checkpoint";

/** What the header of the last checkpoint says. A pointer is a block, and in its upper 8 bits a part of the block. */
export interface CheckpointHeader {
  readonly iteration: bigint;
  /** The pointer to the catalog. */
  readonly metadata: bigint;
  /** The pointer to the list of free blocks. */
  readonly freeList: bigint;
  readonly blocks: number;
  readonly blockBytes: number;
}

/** The header of the last checkpoint of an open file. Undefined if a header is damaged, or if there was no checkpoint. */
export function lastCheckpoint(file: number): CheckpointHeader | undefined {
  const headers = headersOf(file);
  if (!headers.every(isWhole)) return undefined;
  const [last] = headers
    .slice(1)
    .toSorted((a, b) => Number(field(b, "iteration") - field(a, "iteration"))) as [Buffer];
  if (!isPossible(last) || field(last, "metadata") === NO_BLOCK) return undefined;
  return {
    iteration: field(last, "iteration"),
    metadata: field(last, "metadata"),
    freeList: field(last, "freeList"),
    blocks: Number(field(last, "blocks")),
    blockBytes: Number(field(last, "blockBytes")),
  };
}

/** Whether a header has a wrong checksum. */
export function hasDamagedHeader(path: string): boolean {
  return readHeaders(path).some((header) => !isWhole(header));
}

/**
 * Repairs the headers of a copy. Returns false if that cannot help: nothing was written then.
 *
 * @param template a file that this engine has made, whose first header replaces a damaged one
 */
export function repairHeaders(copy: string, repair: HeaderRepair, template: string): boolean {
  if (repair === "none") return true;
  const [main, ...checkpoints] = readHeaders(copy) as [Buffer, Buffer, Buffer];
  const repairedMain = isWhole(main)
    ? main
    : main.toString("latin1", MAGIC_AT, MAGIC_AT + MAGIC.length) === MAGIC
      ? withChecksum(main)
      : readHeaders(template)[0]!;
  const whole = checkpoints.filter(isWhole);
  let repaired: Buffer[];
  if (repair === "new checksum") {
    if (isWhole(main) && whole.length === 2) return false;
    repaired = checkpoints.map((header) => (isWhole(header) ? header : withChecksum(header)));
    if (!repaired.every(isPossible)) return false;
  } else {
    const [oldest] = whole.toSorted((a, b) => Number(field(a, "iteration") - field(b, "iteration")));
    if (oldest === undefined || field(oldest, "metadata") === NO_BLOCK) return false;
    repaired = [oldest, oldest];
  }
  const file = openSync(copy, "r+");
  try {
    for (const [index, header] of [repairedMain, ...repaired].entries())
      writeSync(file, header, 0, HEADER_BYTES, index * HEADER_BYTES);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return true;
}

function readHeaders(path: string): Buffer[] {
  const file = openSync(path, "r");
  try {
    return headersOf(file);
  } finally {
    closeSync(file);
  }
}

function headersOf(file: number): Buffer[] {
  return [0, 1, 2].map((index) => {
    const header = Buffer.alloc(HEADER_BYTES);
    readSync(file, header, 0, HEADER_BYTES, index * HEADER_BYTES);
    return header;
  });
}

function isWhole(header: Buffer): boolean {
  return header.readBigUInt64LE(0) === blockChecksum(header.subarray(CHECKSUM_BYTES));
}

function withChecksum(header: Buffer): Buffer {
  const changed = Buffer.from(header);
  changed.writeBigUInt64LE(blockChecksum(changed.subarray(CHECKSUM_BYTES)), 0);
  return changed;
}

const field = (header: Buffer, name: keyof typeof FIELDS) =>
  header.readBigUInt64LE(CHECKSUM_BYTES + FIELDS[name] * 8);

/** Whether the fields are those of a checkpoint: a wrong one would send the engine to a wrong place. */
function isPossible(header: Buffer): boolean {
  const metadata = field(header, "metadata");
  // The upper 8 bits of the pointer are a position in the block.
  const block = metadata & 0x00ff_ffff_ffff_ffffn;
  const blockBytes = field(header, "blockBytes");
  return (
    field(header, "vectorRows") === VECTOR_ROWS &&
    blockBytes >= 16_384n &&
    (blockBytes & (blockBytes - 1n)) === 0n &&
    (metadata === NO_BLOCK || block < field(header, "blocks"))
  );
}
