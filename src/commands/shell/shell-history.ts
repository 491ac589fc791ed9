/** The lines of earlier sessions, the newest first, in a file that only its owner can read. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const LINES_MAX = 1_000;

/** Where it is: below $XDG_STATE_HOME or ~/.local/state. Undefined without a home folder. */
export function historyPath(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const state = env.XDG_STATE_HOME || (env.HOME ? join(env.HOME, ".local/state") : undefined);
  return state === undefined ? undefined : join(state, "weir/sql-history");
}

export function readHistory(path: string | undefined): string[] {
  if (path === undefined) return [];
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean).reverse().slice(0, LINES_MAX);
  } catch {
    return [];
  }
}

/** Replaces the file. A history that cannot be written is no fault of the session. */
export function writeHistory(path: string | undefined, lines: readonly string[]): void {
  if (path === undefined) return;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, `${lines.slice(0, LINES_MAX).toReversed().join("\n")}\n`, { mode: 0o600 });
    renameSync(fresh, path);
  } catch {
    return;
  }
}
