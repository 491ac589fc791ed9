/**
 * How the program starts itself once more, as another process, and what its process needs from the start.
 */
import { isBundled, isOneFile, MAIN_MODULE } from "./program-files.ts";

/**
 * Commands that are no part of the command line: other processes of the program. Each value is its module, from the root of
 * the repository.
 */
export type InnerCommand = "copy-files" | "demo-worker";

/** The words that start `weir` with these arguments. Neither reads a .env of the working directory. */
export function programCommand(...argv: readonly string[]): string[] {
  return isOneFile ? [process.execPath, ...argv] : [process.execPath, "--no-env-file", MAIN_MODULE, ...argv];
}

/** The words that start an inner command: its module by itself, or the bundled program with the command's name. */
export function innerCommand(name: InnerCommand, module: string, ...argv: readonly string[]): string[] {
  return isBundled
    ? programCommand(innerName(name), ...argv)
    : [process.execPath, "--no-env-file", module, ...argv];
}

/** How the bundled program is asked for an inner command. No command of `weir` begins so. */
export function innerName(name: InnerCommand): string {
  return `:${name}`;
}

/**
 * The variables that Bun, JavaScript's collector and compilers, and the C library read when a process starts. `scripts/bun.sh`
 * sets the same, and says why each has its value.
 */
export const PROCESS_TUNING: Readonly<Record<string, string>> = {
  UV_THREADPOOL_SIZE: "16",
  BUN_JSC_forceRAMSize: "2147483648",
  MALLOC_ARENA_MAX: "1",
  MIMALLOC_PURGE_DELAY: "1000",
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "256000",
};

/**
 * Replaces this process, if it is the one file, by itself with the tuning in its environment. The process keeps its number,
 * its descriptors and its parent. Returns if there is nothing to replace.
 *
 * @param env the environment; what it sets of the tuning is kept
 */
export function tuneProcess(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): void {
  if (!isOneFile || Object.keys(PROCESS_TUNING).every((name) => env[name] !== undefined)) return;
  // Absent on Windows. An executable that was replaced meanwhile cannot be started: the gateway then runs without.
  try {
    process.execve?.(process.execPath, [process.execPath, ...argv], {
      ...PROCESS_TUNING,
      ...env,
    } as NodeJS.ProcessEnv);
  } catch {
    return;
  }
}
