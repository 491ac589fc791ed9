/**
 * Bundles `weir serve` with bytecode, so that a start compiles nothing: one module for the gateway and one for each Worker. The
 * npm package has it, and `scripts/serve` of a checkout uses it while it is as new as the sources (scripts/bun.sh).
 *
 *   bun serve-bundle.ts DIR    writes the modules to DIR, a folder of node_modules, and prints the files of packages in them
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { BunPlugin } from "bun";
import { BUNDLING, fail, ROOT, workers } from "./program-bundle.ts";

const SERVE = join(ROOT, "src/commands/serve/serve-command.ts");

/** Other commands start from the sources, or from their own modules. */
const serveAlone: BunPlugin = {
  name: "serve alone",
  setup(build) {
    build.onLoad({ filter: /[/\\]commands[/\\]all-commands\.ts$/ }, () => ({
      contents: `export const COMMANDS = { serve: () => import(${JSON.stringify(SERVE)}) };`,
      loader: "ts",
    }));
  },
};

/** The URL of a Worker. Nothing else needs the URL of a module. */
const ownUrl: BunPlugin = {
  name: "own URL",
  setup(build) {
    build.onLoad({ filter: /[/\\]src[/\\].*[/\\](worker-pool|decode-workers)\.ts$/ }, async ({ path }) => ({
      contents: (await Bun.file(path).text()).replaceAll("import.meta.url", "Bun.pathToFileURL(__weirFile)"),
      loader: "ts",
    }));
  },
};

/**
 * Where a module is, as CommonJS knows it when it runs. Without this, Bun writes the paths of this machine into the bundle, and
 * it would not run in another place.
 */
const OWN_PATHS = {
  "import.meta.dir": "module.path",
  "import.meta.path": "module.filename",
  __weirFile: "module.filename",
};

/**
 * Writes the bundle. Its folder has to be two levels below the root of the files that the program reads (program-files.ts).
 *
 * @param external packages that are not bundled, beside the binding of DuckDB
 * @returns the files of packages that are in it, by their paths from the root of the repository
 */
export async function bundleServe(out: string, external: readonly string[] = []): Promise<string[]> {
  const { success, logs, metafile } = await Bun.build({
    entrypoints: [join(ROOT, "src/main.ts"), ...workers()],
    ...BUNDLING,
    // Bun makes bytecode of modules of their own for CommonJS only, which has no parts that are loaded later.
    ...{ format: "cjs", splitting: false, bytecode: true, metafile: true },
    external: ["@duckdb/node-bindings", ...external],
    define: { ...BUNDLING.define, ...OWN_PATHS },
    plugins: [serveAlone, ownUrl],
    outdir: out,
  });
  if (!success) fail(logs.map(String).join("\n"));
  for (const name of new Bun.Glob("*.js").scanSync(out))
    if (readFileSync(join(out, name), "utf8").includes(ROOT))
      fail(`${name} has the path ${ROOT} in it: it would not run in another place`);
  // The URL of a Worker ends in .ts, as in the sources.
  for (const worker of workers()) {
    const name = basename(worker, ".ts");
    writeFileSync(join(out, `${name}.ts`), `import "./${name}.js";\n`);
  }
  return Object.keys(metafile!.inputs).filter((path) => path.startsWith("node_modules/"));
}

/** What a start does not load (src/program/deferred-libraries.ts, src/store/engine/driver/rare-cells.ts). In a checkout it is loaded from its package. */
const DEFERRED = ["@duckdb/node-api", "nodemailer", "re2js", "smol-toml", "snappyjs", "yaml"];

if (import.meta.main) {
  const files = await bundleServe(process.argv[2]!, DEFERRED);
  process.stdout.write(files.map((path) => `${path}\n`).join(""));
}
