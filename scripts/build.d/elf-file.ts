/**
 * The headers of a program or library of Linux: what of the file is loaded to which address.
 *
 * Format: System V ABI, chapters 4 (ELF header) and 5 (program header).
 */

/** Types of program headers. */
export const [PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE] = [1, 2, 3, 4];

const HEADER_BYTES = 56;

export interface Segment {
  /** Where its header is in the file. */
  readonly at: number;
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly alignment: number;
}

/** An ELF file of 64 bits in little-endian order. */
export interface ElfFile {
  /** The processor: e_machine. */
  readonly machine: number;
  readonly entry: number;
  /** In the order of their headers. */
  readonly segments: readonly Segment[];
}

/** @throws Error if it is not such a file */
export function readElf(file: Buffer): ElfFile {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new Error("not an ELF file of 64 bits in little-endian order");
  const number = (at: number) => Number(file.readBigUInt64LE(at));
  const segments = Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = number(32) + index * HEADER_BYTES;
    return {
      at,
      type: file.readUInt32LE(at),
      offset: number(at + 8),
      address: number(at + 16),
      bytes: number(at + 32),
      memoryBytes: number(at + 40),
      alignment: number(at + 48),
    };
  });
  return { machine: file.readUInt16LE(18), entry: number(24), segments };
}
