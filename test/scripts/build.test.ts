/**
 * The one file of `scripts/build`: it contains all that the gateway reads, starts its own processes and Workers, and needs
 * neither a home folder nor Bun.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { targetOfMachine } from "../../scripts/build.d/target-packages.ts";
import { PROCESS_TUNING } from "../../src/program/process-tuning.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const ROOT = join(import.meta.dir, "..", "..");
const folder = temporaryFolder();
const program = join(folder, `weir-${targetOfMachine()}`);
const home = join(folder, "home");
/** Nothing of the shell that runs the tests, and no Bun on PATH. */
const env = { HOME: home, PATH: "/usr/bin:/bin", TMPDIR: join(folder, "tmp") };

beforeAll(() => {
  for (const each of [home, env.TMPDIR]) mkdirSync(each);
  const build = Bun.spawnSync([join(ROOT, "scripts/build"), "--out", folder]);
  if (!build.success) throw new Error(build.stderr.toString());
});

/** The file is large, and the other test files still run. */
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(argv: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawnSync([program, ...argv], { cwd: folder, env: { ...env, ...more } });
  return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

test("says its commit and the versions of what is in it", () => {
  const source = Bun.spawnSync([process.execPath, join(ROOT, "src/main.ts"), "--version"]).stdout.toString();
  expect(run(["--version"])).toEqual({ code: 0, out: source, err: "" });
  // Commands that do not need DuckDB do not write its library.
  expect(readdirSync(home)).toEqual([]);
});

test.skipIf(process.platform !== "linux")("has the variables of its start before Bun begins", () => {
  // The C library prints when it is initialised, and when the program begins.
  const counts = (more: Readonly<Record<string, string>>) => {
    const { code, err } = run(["--version"], { ...more, LD_DEBUG: "files" });
    return {
      code,
      loads: err.match(/calling init: \S*\/libc\.so/g)?.length,
      begins: err.match(/transferring control: /g)?.length,
    };
  };
  expect(counts({})).toEqual({ code: 0, loads: 2, begins: 1 });
  expect(counts(PROCESS_TUNING)).toEqual({ code: 0, loads: 1, begins: 1 });
});

test.skipIf(process.platform !== "linux")(
  "a gateway has them, keeps those of its caller, and its name",
  async () => {
    const { UV_THREADPOOL_SIZE: _, ...added } = PROCESS_TUNING;
    // The tests may run with the same variables.
    const unset = Object.keys(added).flatMap((name) => ["-u", name]);
    const gateway = await GatewayProcess.start({
      data: join(folder, "data-tuned"),
      args: ["--no-sampler"],
      cwd: folder,
      by: ["env", ...unset, "UV_THREADPOOL_SIZE=17"],
      program: [program],
      env,
    });
    const proc = `/proc/${gateway.pid}`;
    const variables = readFileSync(join(proc, "environ"), "utf8").split("\0").slice(0, -1);
    expect(variables.slice(-Object.keys(added).length)).toEqual(
      Object.entries(added).map(([name, value]) => `${name}=${value}`),
    );
    expect(variables.filter((line) => line.startsWith("UV_THREADPOOL_SIZE="))).toEqual([
      "UV_THREADPOOL_SIZE=17",
    ]);
    expect(readFileSync(join(proc, "comm"), "utf8")).toBe(`${basename(program)}\n`);
    expect(readFileSync(join(proc, "cmdline"), "utf8")).toStartWith(`${program}\0serve\0`);
    expect(await gateway.stop("SIGTERM")).toBe(0);
  },
);

test("stores, answers SQL and PromQL, and has the page, dashboards, rules, summaries and snapshots", async () => {
  writeFileSync(join(folder, ".env"), "WEIR_RETENTION_DAYS=not-a-number\n");
  const data = join(folder, "data");
  const args = ["--no-sampler", "--default-rules", "--enable-admin-api"];
  await using gateway = await serve(data, args);
  const { url } = gateway;
  const text = async (path: string, init?: RequestInit) => {
    const response = await fetch(url + path, init);
    return { status: response.status, text: await response.text() };
  };
  const push = JSON.stringify([
    { metric_name: "job.duration_ms", value: 250, tags: { task_id: "t1", queue: "mail" } },
    { metric_name: "queue.depth", value: 4, type: "gauge", tags: { queue: "mail" } },
  ]);
  expect(await text("/api/v1/push", { method: "POST", body: push })).toEqual({
    status: 200,
    text: '{"accepted":2,"rejected":0,"errors":[]}\n',
  });
  expect(
    run(["sql", "--url", url, "--format", "csv", "SELECT value, queue, task_id FROM job_duration_ms"]),
  ).toEqual({
    code: 0,
    out: "value,queue,task_id\n250,mail,t1\n",
    err: "",
  });
  // A Worker evaluates it.
  expect(run(["promql", "--url", url, "sum by (queue) (queue_depth) * 2"]).out).toBe(
    'series          value\n{queue="mail"}  8\n',
  );
  const page = await text("/");
  expect(page.text).toContain("<!doctype html>");
  const script = /src="([^"]+\.js)"/.exec(page.text)?.[1] ?? "";
  expect((await text(script.startsWith("/") ? script : `/${script}`)).status).toBe(200);
  const { dashboards } = JSON.parse((await text("/api/v1/dashboards")).text) as {
    dashboards: { name: string }[];
  };
  expect(dashboards.map(({ name }) => name).toSorted()).toEqual(
    readdirSync(join(ROOT, "scripts/deploy/grafana/dashboards"))
      .map((file) => file.replace(/\.json$/, ""))
      .toSorted(),
  );
  expect((await text("/api/v1/rules")).text).toContain("GatewayCommitsFail");
  expect(run(["summary", "--url", url]).out).toContain("slow_tasks");
  // Another process copies the files.
  const snapshot = await text("/api/v1/admin/tsdb/snapshot", { method: "POST" });
  expect(snapshot.status).toBe(200);
  const { name } = (JSON.parse(snapshot.text) as { data: { name: string } }).data;
  expect(statSync(join(data, "snapshots", name, "store.duckdb")).size).toBeGreaterThan(0);
});

test("decodes large bodies in Workers", async () => {
  const data = join(folder, "data-workers");
  await using served = await serve(data, ["--no-sampler", "--decode-workers", "2"]);
  const { url } = served;
  const events = Array.from({ length: 2_000 }, (_, at) => ({
    ...{ metric_name: "batch.duration_ms", value: at, tags: { task_id: `t${at}`, queue: "mail" } },
  }));
  const body = JSON.stringify(events);
  const push = async () => {
    const response = await fetch(`${url}/api/v1/push`, { method: "POST", body });
    return await response.json();
  };
  for (let time = 0; time < 3; time++)
    expect(await push()).toEqual({ accepted: 2_000, rejected: 0, errors: [] });
  // 0 + 1 + … + 1,999 = 1,999,000, three times.
  const sql = "SELECT count(*) AS n, sum(value) AS s, count(DISTINCT task_id) AS t FROM batch_duration_ms";
  expect(run(["sql", "--url", url, "--format", "csv", sql]).out).toBe("n,s,t\n6000,5997000,2000\n");
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('weir_bodies_decoded_beside_total{outcome="decoded"} 3\n');
});

test("writes DuckDB's library to the home folder once, for its owner only", async () => {
  const cache = join(home, ".cache/weir");
  rmSync(cache, { recursive: true, force: true });
  const data = join(folder, "data-cache");
  await (await serve(data)).gateway.stop("SIGTERM");
  const [name, ...others] = readdirSync(cache);
  expect(others).toEqual([]);
  expect(name).toMatch(/^duckdb-\d+\.\d+\.\d+-[0-9a-f]{12}$/);
  expect(statSync(join(cache, name!)).mode & 0o077).toBe(0);
  const [library] = readdirSync(join(cache, name!)).filter((each) => each.startsWith("libduckdb"));
  const path = join(cache, name!, library!);
  const { ino } = statSync(path);
  await (await serve(data)).gateway.stop("SIGTERM");
  expect(statSync(path).ino).toBe(ino);
  // A library that was cut off, as by a full disk, is written again.
  writeFileSync(path, "cut");
  await (await serve(data)).gateway.stop("SIGTERM");
  expect(statSync(path).size).toBeGreaterThan(1_000_000);
});

test("starts without a home folder, and leaves nothing in the folder for temporary files", async () => {
  const missing = join(folder, "read-only");
  mkdirSync(missing);
  // For root, who may write everywhere, a file in the way of the folder does the same.
  writeFileSync(join(missing, ".cache"), "");
  chmodSync(missing, 0o500);
  const { gateway } = await serve(join(folder, "data-no-home"), [], { HOME: missing });
  expect(readdirSync(env.TMPDIR)).toEqual([]);
  expect(await gateway.stop("SIGTERM")).toBe(0);
  chmodSync(missing, 0o700);
});

async function serve(
  data: string,
  args: readonly string[] = ["--no-sampler"],
  more: Record<string, string> = {},
) {
  const gateway = await GatewayProcess.start({
    data,
    args,
    cwd: folder,
    program: [program],
    env: { ...env, ...more },
  });
  return {
    gateway,
    url: gateway.url,
    [Symbol.asyncDispose]: async () => void (await gateway.stop("SIGTERM")),
  };
}
