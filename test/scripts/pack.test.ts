/**
 * The npm package of `scripts/pack`, installed as npm does it: beside the packages that it depends on, in a folder of a
 * project, with a link to its command. npm itself is not used, so no registry is needed.
 */
import { beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { foreignPackage, targetOfMachine } from "../../scripts/build.d/target-packages.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const ROOT = join(import.meta.dir, "..", "..");
const folder = temporaryFolder();
const modules = join(folder, "node_modules");
const program = join(modules, ".bin/weir");
/** No Bun on PATH. */
const env = { HOME: folder, PATH: "/usr/bin:/bin" };

beforeAll(() => {
  const packed = Bun.spawnSync([join(ROOT, "scripts/pack"), folder]);
  if (!packed.success) throw new Error(packed.stderr.toString());
  mkdirSync(join(modules, ".bin"), { recursive: true });
  const tarball = join(folder, `weir-${manifest.version}.tgz`);
  const untar = Bun.spawnSync(["tar", "-xzf", tarball, "-C", modules]);
  if (!untar.success) throw new Error(untar.stderr.toString());
  symlinkSync(join(modules, "package"), join(modules, "weir"));
  symlinkSync("../weir/bin/weir", program);
  const target = targetOfMachine();
  for (const [name, from] of [
    ["@duckdb/node-bindings", join(ROOT, "node_modules/@duckdb/node-bindings")],
    [`@duckdb/node-bindings-${target}`, foreignPackage(ROOT, "@duckdb/node-bindings", target)],
    [`@oven/bun-${target.replace("arm64", "aarch64")}`, foreignPackage(ROOT, "@oven/bun", target)],
  ] as const) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(from, join(modules, name));
  }
});

function run(command: readonly string[]) {
  const child = Bun.spawnSync([...command], { cwd: folder, env });
  return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

test("depends on DuckDB and on a Bun for each system, in the pinned versions", () => {
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(modules, "weir/package.json"), "utf8"),
  ) as Record<string, Record<string, string>>;
  expect(dependencies).toEqual({ "@duckdb/node-bindings": manifest.dependencies["@duckdb/node-bindings"] });
  expect(new Set(Object.values(optionalDependencies!))).toEqual(
    new Set([manifest.packageManager.replace("bun@", "")]),
  );
});

test("has no path of the machine that made it", () => {
  const packed = join(modules, "weir/dist");
  const files = [...new Bun.Glob("{program,serve}/*.js").scanSync(packed)];
  expect(files).toContain("serve/main.js");
  expect(files.filter((file) => readFileSync(join(packed, file), "utf8").includes(ROOT))).toEqual([]);
});

test("starts a gateway that stores, answers SQL and PromQL, copies its store, and has the page", async () => {
  const source = run([process.execPath, join(ROOT, "src/main.ts"), "--version"]);
  expect(run([program, "--version"])).toEqual(source);
  const gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--no-sampler", "--enable-admin-api"],
    cwd: folder,
    program: [program],
    env,
  });
  const { url } = gateway;
  const push = JSON.stringify([{ metric_name: "queue.depth", value: 4, type: "gauge" }]);
  const pushed = await fetch(`${url}/api/v1/push`, { method: "POST", body: push });
  expect(await pushed.json()).toEqual({ accepted: 1, rejected: 0, errors: [] });
  expect(run([program, "sql", "--url", url, "--format", "csv", "SELECT value FROM queue_depth"]).out).toBe(
    "value\n4\n",
  );
  expect(run([program, "promql", "--url", url, "queue_depth + 1"]).out).toContain("5\n");
  expect((await fetch(`${url}/api/v1/admin/tsdb/snapshot`, { method: "POST" })).status).toBe(200);
  expect(await (await fetch(url)).text()).toContain("<!doctype html>");
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

test.skipIf(Bun.which("node") === null)("Node imports weir/client", () => {
  const script = join(folder, "worker.mjs");
  writeFileSync(
    script,
    `import { createWeir } from "weir/client";
     import { createWorkerMetrics } from "weir/client/worker";
     console.log(typeof createWeir, typeof createWorkerMetrics);`,
  );
  expect(run([Bun.which("node")!, script])).toEqual({ code: 0, out: "function function\n", err: "" });
});
