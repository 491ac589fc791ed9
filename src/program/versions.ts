/** The versions of the program and of what it runs on. `weir --version` prints them. */
import { existsSync, readFileSync } from "node:fs";
import manifest from "../../package.json" with { type: "json" };
import { programPath } from "./program-files.ts";

export interface ProgramVersions {
  readonly weir: string;
  /** The commit, in full. Undefined in a copy of the repository without its history. */
  readonly commit: string | undefined;
  readonly bun: string;
  readonly duckdb: string;
}

/** Reads the commit from git in a checkout, and elsewhere from the file that the build wrote. */
export function programVersions(): ProgramVersions {
  return {
    weir: manifest.version,
    commit: commitOf(),
    bun: Bun.version,
    // The packages of the driver have the version of DuckDB, with a suffix of their own.
    duckdb: manifest.dependencies["@duckdb/node-bindings"].replace(/-.*$/, ""),
  };
}

/** One line: `weir 0.1.0 (commit 0123456789ab, Bun 1.4.5, DuckDB 1.5.6)`. */
export function versionText({ weir, commit, bun, duckdb }: ProgramVersions): string {
  return `weir ${weir} (commit ${commit?.slice(0, 12) ?? "unknown"}, Bun ${bun}, DuckDB ${duckdb})`;
}

/** Written by scripts/build and when a package is packed: `{"commit": "…"}`. */
const BUILD_FILE = "dist/build.json";

function commitOf(): string | undefined {
  if (existsSync(programPath(".git"))) {
    const git = Bun.which("git");
    if (git === null) return undefined;
    const { success, stdout } = Bun.spawnSync([git, "-C", programPath("."), "rev-parse", "HEAD"], {
      stderr: "ignore",
    });
    return success ? stdout.toString().trim() : undefined;
  }
  try {
    return (JSON.parse(readFileSync(programPath(BUILD_FILE), "utf8")) as { commit?: string }).commit;
  } catch {
    return undefined;
  }
}
