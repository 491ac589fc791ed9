/**
 * Binds a Linux library's references to its own symbols, as the linker does with `-Bsymbolic`.
 *
 * DuckDB's library refers to its own functions and tables by name, 41,000 times in data and 24,000 times in calls. The system's
 * loader looks up each name of the data when it loads the library, and each name of a call at the first call, in case another
 * library replaces it. None does. Without the names the library is loaded in 12 instead of 27 ms.
 *
 * Only the targets of relocations change, and no code. Names that another library could define too stay as they are: those of
 * the C++ library, and symbols that must be unique in a process.
 *
 * Formats: System V ABI, chapters 4 and 5; the supplements of its processors for the types of relocations.
 */
import { PT_DYNAMIC, PT_LOAD, readElf, type Segment } from "./elf-file.ts";

interface Relocations {
  /** A symbol's address and an addend. */
  readonly absolute: number;
  /** A symbol's address. */
  readonly globData: number;
  /** The address that a call jumps to. */
  readonly jumpSlot: number;
  /** The library's address and an addend. */
  readonly relative: number;
}

/** By e_machine. */
const RELOCATIONS: Readonly<Record<number, Relocations>> = {
  // x86-64
  62: { absolute: 1, globData: 6, jumpSlot: 7, relative: 8 },
  // AArch64
  183: { absolute: 257, globData: 1025, jumpSlot: 1026, relative: 1027 },
};

/** Names that only DuckDB's library defines: DuckDB's own, and those of its copies of other libraries, with a version in them. */
const OWN_NAME = /duckdb|icu_\d+/;

const [DT_PLTRELSZ, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL] = [2, 5, 6, 7, 8, 23];
/** How many relocations at the beginning have the type `relative`. */
const DT_RELACOUNT = 0x6ffffff9;
const [STB_GLOBAL, STB_WEAK] = [1, 2];
const [STT_OBJECT, STT_FUNC] = [1, 2];
const [DYNAMIC_BYTES, RELOCATION_BYTES, SYMBOL_BYTES] = [16, 24, 24];

/**
 * Changes a library in place. It can be bound again, which changes nothing.
 *
 * @param library an ELF file of 64 bits in little-endian order
 * @returns how many references were bound: those of data, and those of calls
 * @throws Error if it is not such a library, or is for another processor
 */
export function bindOwnSymbols(library: Buffer): { data: number; calls: number } {
  const { machine, segments } = readElf(library);
  const types = RELOCATIONS[machine];
  if (types === undefined) throw new Error(`the processor ${machine} is not known`);
  const { offsetOf, dynamic } = partsOf(library, segments);
  const tables = new Map(dynamic.map(({ tag, value }) => [tag, value]));
  const table = (tag: number) => offsetOf(tables.get(tag)!);
  const [symbols, names] = [table(DT_SYMTAB), table(DT_STRTAB)];

  /** The address of a symbol that the library defines and nobody else. */
  const ownAddress = (symbol: number): number | undefined => {
    const at = symbols + symbol * SYMBOL_BYTES;
    const [binding, type] = [library[at + 4]! >> 4, library[at + 4]! & 15];
    const isDefined = library.readUInt16LE(at + 6) !== 0;
    if (!isDefined || (binding !== STB_GLOBAL && binding !== STB_WEAK)) return undefined;
    if (type !== STT_OBJECT && type !== STT_FUNC) return undefined;
    const from = names + library.readUInt32LE(at);
    if (!OWN_NAME.test(library.toString("latin1", from, library.indexOf(0, from)))) return undefined;
    return Number(library.readBigUInt64LE(at + 8));
  };

  const read = (at: number) => ({
    place: Number(library.readBigUInt64LE(at)),
    type: library.readUInt32LE(at + 8),
    symbol: library.readUInt32LE(at + 12),
    addend: Number(library.readBigInt64LE(at + 16)),
  });

  const from = table(DT_RELA);
  const relocations = [];
  let data = 0;
  for (let at = from; at < from + tables.get(DT_RELASZ)!; at += RELOCATION_BYTES) {
    const found = read(at);
    const isNamed = found.type === types.absolute || found.type === types.globData;
    const address = isNamed ? ownAddress(found.symbol) : undefined;
    if (address === undefined) relocations.push(found);
    else {
      const addend = address + (found.type === types.absolute ? found.addend : 0);
      relocations.push({ place: found.place, type: types.relative, symbol: 0, addend });
      data++;
    }
  }
  // The loader reads the relative ones first, without looking at their types.
  const isRelative = ({ type }: { type: number }) => type === types.relative;
  const relative = relocations.filter(isRelative).sort((a, b) => a.place - b.place);
  let at = from;
  for (const { place, type, symbol, addend } of [
    ...relative,
    ...relocations.filter((each) => !isRelative(each)),
  ]) {
    library.writeBigUInt64LE(BigInt(place), at);
    library.writeUInt32LE(type, at + 8);
    library.writeUInt32LE(symbol, at + 12);
    library.writeBigInt64LE(BigInt(addend), at + 16);
    at += RELOCATION_BYTES;
  }
  const count = dynamic.find(({ tag }) => tag === DT_RELACOUNT);
  if (count !== undefined) library.writeBigUInt64LE(BigInt(relative.length), count.at + 8);

  // The loader adds the library's address to what is in the slot of a call. At first that is the code that looks up the name.
  let calls = 0;
  const callsFrom = table(DT_JMPREL);
  for (let at = callsFrom; at < callsFrom + tables.get(DT_PLTRELSZ)!; at += RELOCATION_BYTES) {
    const { place, type, symbol } = read(at);
    const address = type === types.jumpSlot ? ownAddress(symbol) : undefined;
    if (address === undefined || library.readBigUInt64LE(offsetOf(place)) === BigInt(address)) continue;
    library.writeBigUInt64LE(BigInt(address), offsetOf(place));
    calls++;
  }
  return { data, calls };
}

/** Where addresses of the loaded library are in the file, and the entries of its dynamic section with their places. */
function partsOf(library: Buffer, segments: readonly Segment[]) {
  const loaded = segments.filter(({ type }) => type === PT_LOAD);
  const offsetOf = (address: number): number => {
    const segment = loaded.find((each) => address >= each.address && address < each.address + each.bytes);
    if (segment === undefined) throw new Error(`no segment has the address ${address}`);
    return address - segment.address + segment.offset;
  };
  const { offset, bytes } = segments.find(({ type }) => type === PT_DYNAMIC)!;
  const dynamic = Array.from({ length: bytes / DYNAMIC_BYTES }, (_, index) => {
    const at = offset + index * DYNAMIC_BYTES;
    return { at, tag: Number(library.readBigUInt64LE(at)), value: Number(library.readBigUInt64LE(at + 8)) };
  });
  return { offsetOf, dynamic };
}
