/**
 * Makes the npm package in a folder: the program in modules that are bundled, the files that it reads, the client, and a
 * launcher that finds the Bun which npm has installed beside it. ../pack packs the folder.
 */
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { BUNDLING, buildPage, fail, ROOT, stageProgramFiles, workers } from "./program-bundle.ts";
import { bundleServe } from "./serve-bundle.ts";
import { TARGETS } from "./target-packages.ts";

const out = process.argv[2] ?? join(ROOT, "dist/npm");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
buildPage("--best");
stageProgramFiles(out);

const program = join(out, "dist/program");
const { success, logs } = await Bun.build({
  entrypoints: [join(ROOT, "src/main.ts"), ...workers()],
  ...BUNDLING,
  // A library of DuckDB for each system: npm installs one of them.
  external: ["@duckdb/node-bindings"],
  outdir: program,
});
if (!success) fail(logs.map(String).join("\n"));
// The URL of a Worker ends in .ts, as in the sources.
for (const worker of workers()) {
  const name = basename(worker, ".ts");
  writeFileSync(join(program, `${name}.ts`), `import "./${name}.js";\n`);
}

await bundleServe(join(out, "dist/serve"));

const client = Bun.spawnSync([join(ROOT, "scripts/build-client"), join(out, "dist/client")], {
  stderr: "inherit",
});
if (!client.success) fail("the client could not be built.");
rmSync(join(out, "dist/client/package.json"));
cpSync(join(ROOT, "scripts/build.d/npm-launcher"), join(out, "bin/weir"));
chmodSync(join(out, "bin/weir"), 0o755);
for (const name of ["LICENSE", "CHANGELOG.md"]) cpSync(join(ROOT, name), join(out, name));

const { name, version, description, license, type } = manifest;
const bun = manifest.packageManager.replace("bun@", "");
const types = (path: string) => ({
  types: `./dist/client/${path}.d.ts`,
  default: `./dist/client/${path}.js`,
});
const packed = {
  ...{ name, version, description, license, type },
  bin: { weir: "bin/weir" },
  exports: {
    "./client": types("index"),
    "./client/worker": types("worker/worker"),
    "./package.json": "./package.json",
  },
  dependencies: { "@duckdb/node-bindings": manifest.dependencies["@duckdb/node-bindings"] },
  // npm installs the one for its system.
  optionalDependencies: Object.fromEntries(
    TARGETS.map((target) => [`@oven/bun-${target.replace("arm64", "aarch64")}`, bun]),
  ),
};
writeFileSync(join(out, "README.md"), readmeText());
writeFileSync(join(out, "package.json"), `${JSON.stringify(packed, null, 2)}\n`);

function readmeText(): string {
  return `# Weir

${description}.

\`\`\`
npx weir serve     # starts the gateway on 127.0.0.1:9091, with its data in ./data
npx weir demo      # starts a gateway with simulated workers, and asks it questions
npx weir help
\`\`\`

Bun comes with the package. Workers import \`weir/client\` in Node.js, Bun or Deno:
[dist/client/README.md](dist/client/README.md).
`;
}
