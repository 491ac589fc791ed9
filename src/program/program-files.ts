/**
 * Where the files are that the program reads besides its modules: the statements of sql/, the bundle of the page, dashboards,
 * rules. In a checkout and in an installed package they are below the root. In the one file of `scripts/build` they are
 * embedded under the same paths, and node:fs and Bun.Glob read them there (realpath, watch and other programs do not).
 */
import { join } from "node:path";

/** Whether this process runs from the one file. */
export const isOneFile = Bun.isStandaloneExecutable;

/** Whether the modules are bundled: in the one file, and in the package of `scripts/pack`. */
export const isBundled = import.meta.path.endsWith(".js");

// In the one file, the folder of every module is the root of the embedded files. In a package it is dist/program.
const ROOT = isOneFile ? import.meta.dir : join(import.meta.dir, "..", "..");

/** The module that is the command line. */
export const MAIN_MODULE = isBundled ? join(import.meta.dir, "main.js") : join(ROOT, "src/main.ts");

/** The path of a file or a folder, by its path from the root of the repository: `programPath("sql/schema")`. */
export function programPath(path: string): string {
  return join(ROOT, path);
}
