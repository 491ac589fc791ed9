/** What a start of the gateway loads. Code that a start does not need costs time and memory each time. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../temporary-folder.ts";

const ROOT = join(import.meta.dir, "..", "..");
/** With room for new parts. A package that only a rare part needs has dozens. */
const MODULES_MAX = 950;

/** Starts a gateway in a process of its own, and prints the paths of all modules that it has loaded by then. */
const PROGRAM = `
  const [, root, data] = process.argv;
  const { startGateway } = await import(root + "/src/commands/serve/serve.ts");
  const { resolveSettings } = await import(root + "/src/config/config.ts");
  const argv = ["--listen", "127.0.0.1:0", "--data", data, "--no-sampler"];
  const gateway = await startGateway(resolveSettings(argv, {}, () => undefined).config, { log: () => {} });
  console.log(JSON.stringify(Object.keys(require.cache)));
  await gateway.stop();
  process.exit();
`;

/** Modules of Node.js that take long to load. src/program/deferred-libraries.ts loads them when they are used. */
const DEFERRED =
  /^import (?!type\b)[^;]*?from "(node:(?:crypto|zlib|http|https|http2|tls|dgram|dns\S*|cluster))";/gm;

async function loadedModules(): Promise<string[]> {
  const child = Bun.spawn([process.execPath, "--no-env-file", "-e", PROGRAM, ROOT, temporaryFolder()], {
    cwd: ROOT,
    stdout: "pipe",
    stderr: "inherit",
  });
  const paths = JSON.parse(await new Response(child.stdout).text()) as string[];
  return paths.filter((path) => path.startsWith(ROOT)).map((path) => path.slice(ROOT.length + 1));
}

test("a start loads only the packages and modules that every gateway uses", async () => {
  const modules = await loadedModules();
  const packages = modules.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  expect([...new Set(packages)].filter((name) => !name.startsWith("@duckdb/node-bindings-")).sort()).toEqual([
    "@duckdb/node-bindings",
    "content-type",
    "detect-libc",
    "memoirist",
    "negotiator",
    "prom-client",
  ]);

  expect(modules.length).toBeLessThan(MODULES_MAX);

  const own = modules.filter((path) => path.startsWith("src/"));
  const imports = own.flatMap((path) =>
    [...readFileSync(join(ROOT, path), "utf8").matchAll(DEFERRED)].map(
      ([, name]) => `${path} imports ${name}`,
    ),
  );
  expect(imports).toEqual([]);
  // It is loaded when the gateway already answers.
  expect(own.filter((path) => path.startsWith("src/sampler/") && !path.endsWith("-protocols.ts"))).toEqual(
    [],
  );
  expect(modules.filter((path) => path.startsWith("node_modules/prom-client/lib/")).length).toBeLessThan(12);
});
