/**
 * Builds the one file with `bun build --compile`: all modules as bytecode, the Workers, and the files that programPath()
 * names. ../build says what the arguments are.
 *
 * DuckDB is not what Bun's loader of native modules expects: a binding that loads a second library from its own folder. So
 * the package that selects a binding is replaced by src/program/engine-library.ts.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { BunPlugin } from "bun";
import manifest from "../../package.json" with { type: "json" };
import { PROCESS_TUNING } from "../../src/program/process-tuning.ts";
import { isSignatureValid, signedAdHoc } from "./macos-signature.ts";
import { bindOwnSymbols } from "./bind-library.ts";
import { withTunedEntry } from "./entry/tuned-entry.ts";
import { BUNDLING, buildPage, fail, ROOT, stageProgramFiles, workers } from "./program-bundle.ts";
import { foreignPackage, type Target, TARGETS, targetOfMachine } from "./target-packages.ts";

/** Of DuckDB's 70 MB, level 3 makes 22 MB in 0.4 s of CPU time, level 12 19.7 MB in 5 s, and level 19 17.7 MB in 54 s. */
const ZSTD_LEVEL = 3;

/** Parts with less source are joined with a part that is loaded whenever they are. Each part takes 0.2 ms of a start. */
const MIN_CHUNK_BYTES = 1_000_000;

const engineLibrary: BunPlugin = {
  name: "engine library",
  setup(build) {
    build.onResolve({ filter: /^@duckdb\/node-bindings$/ }, () => ({
      path: "library",
      namespace: "weir-engine",
    }));
    build.onLoad({ filter: /.*/, namespace: "weir-engine" }, () => ({
      contents: `
        import { loadEngineLibrary } from ${JSON.stringify(join(ROOT, "src/program/engine-library.ts"))};
        export default loadEngineLibrary();
      `,
      loader: "js",
      resolveDir: ROOT,
    }));
  },
};

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    all: { type: "boolean" },
    beside: { type: "boolean" },
    out: { type: "string", default: join(ROOT, "dist") },
  },
});
const targets = values.all ? TARGETS : (values.target ?? [targetOfMachine()]).map(targetOf);
mkdirSync(values.out, { recursive: true });
buildPage("--if-stale");
for (const target of targets) await build(target, values.out, values.beside === true);

function targetOf(text: string): Target {
  const target = TARGETS.find((each) => each === text);
  if (target === undefined)
    fail(`--target is ${JSON.stringify(text)}, expected one of ${TARGETS.join(", ")}.`);
  return target;
}

async function build(target: Target, out: string, isBeside: boolean): Promise<void> {
  const stage = mkdtempSync(join(out, "stage-"));
  try {
    const folder = isBeside ? join(out, `weir-${target}.d`) : out;
    mkdirSync(folder, { recursive: true });
    const path = join(folder, isBeside ? "weir" : `weir-${target}`);
    const library = foreignPackage(ROOT, "@duckdb/node-bindings", target);
    stageProgramFiles(stage);
    const files = libraryFiles(library);
    if (isBeside)
      for (const { name, content } of files) writeFileSync(join(folder, name), content, { mode: 0o755 });
    else await embedLibrary(files, stage);
    await compile(target, path, stage);
    if (target.startsWith("darwin-")) sign(path);
    else writeFileSync(path, withTunedEntry(readFileSync(path), PROCESS_TUNING));
    process.stdout.write(`${path} ${statSync(path).size}\n`);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** Bun's signature of the file for Intel's processors does not match what is added to it. */
function sign(path: string): void {
  const file = readFileSync(path);
  if (!isSignatureValid(file)) writeFileSync(path, signedAdHoc(file, "weir"));
}

interface LibraryFile {
  readonly name: string;
  readonly content: Buffer;
}

/** The files of DuckDB's library, by name. A library of Linux is bound, so that it is loaded sooner. */
function libraryFiles(folder: string): LibraryFile[] {
  const names = readdirSync(folder).filter((name) => /\.(node|so|dylib)$/.test(name));
  return names.sort().map((name) => {
    const content = readFileSync(join(folder, name));
    if (name.endsWith(".so")) bindOwnSymbols(content);
    return { name, content };
  });
}

/** Writes the files, compressed, and a list of them, where engine-library.ts reads them. */
async function embedLibrary(library: readonly LibraryFile[], stage: string): Promise<void> {
  const engine = join(stage, "engine");
  mkdirSync(engine);
  const hash = createHash("sha256");
  const files: { name: string; bytes: number }[] = [];
  for (const { name, content } of library) {
    hash.update(name).update(content);
    files.push({ name, bytes: content.length });
    writeFileSync(join(engine, `${name}.zst`), await Bun.zstdCompress(content, { level: ZSTD_LEVEL }));
  }
  const version = manifest.dependencies["@duckdb/node-bindings"].replace(/-.*$/, "");
  const name = `duckdb-${version}-${hash.digest("hex").slice(0, 12)}`;
  writeFileSync(join(engine, "engine.json"), JSON.stringify({ name, files }));
}

async function compile(target: Target, path: string, stage: string): Promise<void> {
  const { success, logs } = await Bun.build({
    entrypoints: [join(ROOT, "scripts/build.d/launch.ts"), ...workers()],
    ...BUNDLING,
    bytecode: true,
    minChunkSize: MIN_CHUNK_BYTES,
    plugins: [engineLibrary],
    compile: {
      target: `bun-${target}`,
      executablePath: join(foreignPackage(ROOT, "@oven/bun", target), "bin/bun"),
      outfile: path,
      assets: readdirSync(stage).map((name) => join(stage, name)),
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  if (!success) fail(logs.map(String).join("\n"));
}
