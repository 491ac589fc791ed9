/**
 * Unmaps pages of machine code that a start has used. They are pages of files, of Bun and of DuckDB's library, and the start
 * touches some 90 MB of them, most of them once. The kernel frees such pages only when memory is scarce, so until then the
 * process looks and counts twice as large as what it works with.
 *
 * Only mappings are touched whose pages are all as in the file, so a page that is needed again is mapped again, usually from
 * the kernel's cache of files. No content can be lost.
 */
import { readFileSync } from "node:fs";

/** madvise(2), as on all 64-bit Linux systems. */
const MADV_DONTNEED = 4;

/** A mapping of code: `from` and `to` are addresses. */
export interface CodeMapping {
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * The mappings of files that can be executed and not written, and of which this process has no pages of its own.
 *
 * @param smaps the text of /proc/PID/smaps: proc_pid_smaps(5)
 */
export function codeMappings(smaps: string): CodeMapping[] {
  const found: CodeMapping[] = [];
  let mapping: CodeMapping | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)(?: |$)/.exec(line);
    if (head !== null) {
      const [, from, to, access, inode] = head;
      const isCode = access === "r-xp" && inode !== "0";
      mapping = isCode ? { from: BigInt(`0x${from}`), to: BigInt(`0x${to}`) } : undefined;
    } else if (mapping !== undefined && /^Anonymous: +0 kB$/.test(line)) found.push(mapping);
  }
  return found;
}

/** Unmaps the pages. Does nothing on other systems than Linux with glibc, and where the kernel does not allow it. */
export async function releaseCodePages(): Promise<void> {
  if (process.platform !== "linux") return;
  const { dlopen } = await import("bun:ffi");
  try {
    const library = dlopen("libc.so.6", { madvise: { args: ["u64", "u64", "i32"], returns: "i32" } });
    for (const { from, to } of codeMappings(readFileSync("/proc/self/smaps", "utf8")))
      library.symbols.madvise(from, to - from, MADV_DONTNEED);
    library.close();
  } catch {
    // Another C library, or no /proc: the pages stay, as they would without this.
  }
}
