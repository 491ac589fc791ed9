/** How the program starts itself once more, as another process. */
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
