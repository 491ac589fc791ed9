/**
 * What the process of the one file needs from its start. It imports nothing: on macOS the process replaces itself before it loads
 * any other module. On Linux it has these variables before Bun begins (scripts/build.d/entry/tuned-entry.ts).
 */

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
  BUN_IDLE_GC_SECONDS: "60,60,480",
  BUN_GC_TIMER_INTERVAL: "60000",
};

/**
 * Replaces the process of the one file by itself with the tuning in its environment. The process keeps its number,
 * its descriptors and its parent. Returns if there is nothing to replace.
 *
 * @param env the environment; what it sets of the tuning is kept
 */
export function tuneProcess(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): void {
  if (Object.keys(PROCESS_TUNING).every((name) => env[name] !== undefined)) return;
  // An executable that was replaced meanwhile cannot be started: the gateway then runs without.
  try {
    process.execve?.(process.execPath, [process.execPath, ...argv], {
      ...PROCESS_TUNING,
      ...env,
    } as NodeJS.ProcessEnv);
  } catch {
    return;
  }
}
