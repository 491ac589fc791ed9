/**
 * Gives a Linux program variables of the environment that it reads when it starts, by machine code that runs before it: start-x64.s
 * or start-arm64.s. If one of the variables is missing, the code replaces the process by the same program with them. This takes 5 ms;
 * after the beginning of Bun and of JavaScript it takes 27.
 *
 * The code and the variables are appended to the file, and the entry of the program is the address of the code. They need a
 * program header of their own, and there is no room for another one: behind the last one stands what it loads. So the header of
 * the notes becomes theirs. The notes themselves stay in the file, where their section names them. They are the program's build
 * identifier and the oldest kernel that it runs on. Only tools for crashes and profiles read them in memory.
 *
 * Formats: System V ABI, chapters 4 and 5; its supplements for x86-64 and AArch64.
 */
import { PT_INTERP, PT_LOAD, PT_NOTE, readElf } from "../elf-file.ts";
import { START_ARM64 } from "./start-arm64-code.ts";
import { START_X64 } from "./start-x64-code.ts";

/** By e_machine. */
const CODES: Readonly<Record<number, string>> = { 62: START_X64, 183: START_ARM64 };

const [PF_X, PF_R] = [1, 4];
const ENTRY_AT = 24;
/** In front of the variables, the code expects the distance from there to the program's own beginning. */
const DISTANCE_BYTES = 8;
/** A multiple of what the code is aligned to. */
const CODE_ALIGNMENT = 16;

/**
 * A program that runs with these variables. Those that its caller has set keep their values, and come first.
 *
 * @param program a program that the loader of the system starts
 * @throws Error if the program has another layout than this module expects: then it has to be changed
 */
export function withTunedEntry(program: Buffer, variables: Readonly<Record<string, string>>): Buffer {
  const { machine, entry, segments } = readElf(program);
  const code = Buffer.from(CODES[machine] ?? "", "base64");
  if (code.length === 0) throw new Error(`there is no code for the processor ${machine}`);
  if (!segments.some(({ type }) => type === PT_INTERP))
    throw new Error("the program is static: it has no PT_INTERP header");
  // Headers of PT_LOAD are in the order of their addresses, and the new one is above all others.
  const loaded = segments.filter(({ type }) => type === PT_LOAD);
  const notes = segments.findLast(({ type }) => type === PT_NOTE);
  if (loaded.length === 0 || notes === undefined || notes.at < loaded.at(-1)!.at)
    throw new Error(
      "no PT_NOTE header follows the PT_LOAD headers: nothing can become the header of the code",
    );

  const offset = roundedUp(program.length, CODE_ALIGNMENT);
  // The system maps whole pages, so that the address must be as far from the beginning of a page as the offset.
  const alignment = Math.max(...loaded.map((each) => each.alignment));
  const end = Math.max(...loaded.map((each) => each.address + each.memoryBytes));
  const address = roundedUp(end, alignment) + (offset % alignment);

  const distance = Buffer.alloc(DISTANCE_BYTES);
  distance.writeBigInt64LE(BigInt(entry - (address + code.length)));
  const appended = Buffer.concat([code, distance, Buffer.from(listed(variables))]);

  const tuned = Buffer.concat([program, Buffer.alloc(offset - program.length), appended]);
  tuned.writeBigUInt64LE(BigInt(address), ENTRY_AT);
  tuned.writeUInt32LE(PT_LOAD, notes.at);
  tuned.writeUInt32LE(PF_R | PF_X, notes.at + 4);
  const { length } = appended;
  // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
  for (const [index, value] of [offset, address, address, length, length, alignment].entries())
    tuned.writeBigUInt64LE(BigInt(value), notes.at + 8 + 8 * index);
  return tuned;
}

/** "NAME=value" with a zero behind each, and a zero behind all. The code adds the last one first. */
function listed(variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\0`);
  return `${lines.toReversed().join("")}\0`;
}

function roundedUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
