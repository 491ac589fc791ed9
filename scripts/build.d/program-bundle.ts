/** What the one file and the npm package have in common: the files that the program reads, and how its modules are bundled. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export const ROOT = join(import.meta.dir, "..", "..");

/** What programPath() names, by the paths of the repository. */
const EMBEDDED = [
  "sql",
  "dist/ui",
  "scripts/deploy/systemd/weir.service",
  "scripts/deploy/grafana/dashboards",
  "src/rules/default-rules",
  "src/commands/demo/worker.py",
  "src/client/python/weir.py",
];

/** Options of Bun.build. */
export const BUNDLING = {
  root: join(ROOT, "src"),
  // Every Worker is then beside the other modules, where its URL says: names of modules are unique.
  naming: { entry: "[name].[ext]" },
  target: "bun",
  format: "esm",
  // Each command is loaded by itself.
  splitting: true,
  // The names of functions stay for stack traces.
  minify: { whitespace: true, syntax: true, identifiers: true, keepNames: true },
  sourcemap: "none",
  define: { "process.env.NODE_ENV": '"production"' },
} as const;

export function fail(message: string): never {
  process.stderr.write(`scripts/${basename(process.argv[1] ?? "build", ".ts")}: ${message}\n`);
  process.exit(1);
}

/** Bundles the page into dist/ui. */
export function buildPage(...argv: readonly string[]): void {
  const { success } = Bun.spawnSync([join(ROOT, "scripts/build-page"), ...argv], {
    stdout: "inherit",
    stderr: "inherit",
  });
  if (!success) fail("the page could not be bundled.");
}

/** Copies the files to a folder under the paths that programPath() has for them, with the commit. */
export function stageProgramFiles(stage: string): void {
  for (const path of EMBEDDED) {
    const to = join(stage, path);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(join(ROOT, path), to, { recursive: true });
  }
  mkdirSync(join(stage, "dist"), { recursive: true });
  writeFileSync(join(stage, "dist/build.json"), JSON.stringify({ commit: commit() }));
}

/** The commit of the checkout. A copy without its history may have the file of an earlier build. */
function commit(): string | undefined {
  const { success, stdout } = Bun.spawnSync(["git", "-C", ROOT, "rev-parse", "HEAD"], { stderr: "ignore" });
  return success ? stdout.toString().trim() : undefined;
}

/** The modules that run as Workers. */
export function workers(): string[] {
  return [...new Bun.Glob("**/*.ts").scanSync({ cwd: join(ROOT, "src"), absolute: true })].flatMap((module) =>
    [
      ...readFileSync(module, "utf8").matchAll(
        /new Worker\(new URL\("\.\/([\w-]+\.ts)", import\.meta\.url\)/g,
      ),
    ].map(([, name]) => join(dirname(module), name!)),
  );
}
