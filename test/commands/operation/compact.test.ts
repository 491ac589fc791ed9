/**
 * Runs `weir compact` on the folder of a real gateway: rows, totals, groups and keys are the same before and after, and a
 * kill at any moment leaves a whole file.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { smallDisk } from "../../small-disk.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { start, weir } from "../weir.ts";

const DAY_MS = 86_400_000;
const folder = temporaryFolder();
/** What a stopped gateway left: two days, one of them with few rows, and the space of deleted samples. */
const stopped = join(folder, "stopped");
const disk = smallDisk("40m");
const serve = (data: string) =>
  GatewayProcess.start({ data, args: ["--no-sampler", "--enable-admin-api", "--snapshot-rows=1000"] });

const keyed = (index: number) => ({ "Idempotency-Key": `key-${index}` });
const NOW_MS = Date.now();

/** 3,000 events with tags that do not compress well, of today and of yesterday. */
function bodyOf(push: number): string {
  const events = Array.from({ length: 3_000 }, (_, index) => ({
    "@timestamp": NOW_MS - (index % 2) * DAY_MS,
    metric_name: index % 3 > 0 ? "scrap.duration_ms" : "kept.duration_ms",
    value: (index * 7_919) % 1_000,
    tags: { task_id: Bun.hash(`${push}/${index}`).toString(36), operation: `o${index % 5}` },
  }));
  return JSON.stringify(events);
}

async function push(url: string, index: number): Promise<Response> {
  const response = await fetch(`${url}/api/v1/push`, {
    method: "POST",
    headers: keyed(index),
    body: bodyOf(index),
  });
  await response.text();
  return response;
}

beforeAll(async () => {
  let gateway = await serve(stopped);
  for (let index = 0; index < 8; index++) expect((await push(gateway.url, index)).status).toBe(200);
  const group = await fetch(`${gateway.url}/metrics/job/compact/instance/a`, {
    method: "PUT",
    body: "kept_gauge 41.5\n",
  });
  expect(group.status).toBe(200);
  // The stop writes all rows to the file. Deleted ones leave free blocks in it.
  expect(await gateway.stop("SIGTERM")).toBe(0);
  gateway = await serve(stopped);
  const deleted = await fetch(
    `${gateway.url}/api/v1/admin/tsdb/delete_series?match[]=${encodeURIComponent('{"scrap.duration_ms"}')}`,
    { method: "POST" },
  );
  expect(deleted.headers.get("Weir-Deleted-Samples")).toBe("16000");
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

afterAll(() => expect(readdirSync(folder).filter((name) => name.includes("part"))).toEqual([]));

function copied(to = join(temporaryFolder(), "data")): string {
  expect(Bun.spawnSync(["cp", "-r", stopped, to]).exitCode).toBe(0);
  return to;
}

/** Every row of every table, in the order of the rows, with the row ids of the day tables. */
async function contents(data: string): Promise<Record<string, string>> {
  const database = await Database.open(join(data, "store.duckdb"), {
    memoryLimitBytes: 2 ** 28,
    threads: 1,
    temporaryDirectory: join(data, "tmp"),
    isReadOnly: true,
  });
  const connection = await database.connect();
  const tables = await connection.all<{ name: string }>(
    "SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'weir' ORDER BY name",
  );
  const found: Record<string, string> = {};
  for (const { name } of tables) {
    const id = name.startsWith("samples_") ? "rowid," : "";
    found[name] = JSON.stringify(await connection.all(`SELECT ${id} * FROM weir.${name}`));
  }
  found.objects = JSON.stringify(
    await connection.all(
      "SELECT view_name AS name, sql FROM duckdb_views() WHERE NOT internal UNION ALL " +
        "SELECT function_name, macro_definition FROM duckdb_functions() WHERE NOT internal UNION ALL " +
        "SELECT table_name, regexp_replace(sql, '^CREATE TABLE [a-z.]*', '') FROM duckdb_tables() " +
        "WHERE NOT starts_with(table_name, 'samples_') ORDER BY ALL",
    ),
  );
  connection.close();
  database.close();
  return found;
}

/** Two, or three if the day ended while the samples were pushed. */
const daysIn = (tables: Readonly<Record<string, string>>) =>
  Object.keys(tables).filter((name) => name.startsWith("samples_")).length;

async function exposed(url: string): Promise<string[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text.split("\n").filter((line) => /^(kept|scrap)_/.test(line));
}

test("rewrites the file smaller with the same rows in the same order, totals, groups and keys", async () => {
  const data = copied();
  const file = join(data, "store.duckdb");
  const before = await contents(data);
  const bytes = statSync(file).size;
  expect(daysIn(before)).toBeGreaterThanOrEqual(2);
  const { code, out, err } = await weir(["compact", "--data", data]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  // 24,000 events without the 16,000 deleted ones, and three samples of the group.
  expect(out).toMatch(
    /^Compacted .*store\.duckdb from \d+\.\d MB to \d+\.\d MB: 8003 samples of 2 days\.\n$/,
  );
  expect(await contents(data)).toEqual(before);
  expect(statSync(file).size).toBeLessThan(bytes);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(data, "tmp"))).toEqual([]);
  // Again, there is nothing to free.
  expect((await weir(["compact", "--data", data])).out).toMatch(
    /has no space to free: 8003 samples of 2 days, /,
  );

  const original = await serve(stopped);
  const compacted = await serve(data);
  const lines = await exposed(original.url);
  expect(lines.length).toBeGreaterThan(20);
  expect(await exposed(compacted.url)).toEqual(lines);
  expect((await push(compacted.url, 3)).headers.get("Weir-Duplicate")).toBe("true");
  expect((await push(compacted.url, 9)).headers.get("Weir-Duplicate")).toBeNull();
  expect(await compacted.stop("SIGTERM")).toBe(0);
  expect(await original.stop("SIGTERM")).toBe(0);
});

test("a kill at any moment leaves the old file or the new one, and the next run completes it", async () => {
  const data = copied();
  const before = await contents(data);
  for (const afterMs of [400, 550, 700]) {
    const child = start(["compact", "--data", data]);
    const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
    await child.exited;
    clearTimeout(timer);
    expect(await contents(data)).toEqual(before);
  }
  expect((await weir(["compact", "--data", data])).code).toBe(0);
  expect(await contents(data)).toEqual(before);
});

test("moves the journal and the log of a killed gateway first", async () => {
  const data = copied();
  const gateway = await serve(data);
  expect((await push(gateway.url, 20)).status).toBe(200);
  const small = await fetch(`${gateway.url}/api/v1/push`, {
    method: "POST",
    body: JSON.stringify({ metric_name: "kept.small", value: 1 }),
  });
  expect(small.status).toBe(200);
  const refused = await weir(["compact", "--data", data]);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("the gateway must not run while its file is compacted");
  await gateway.stop("SIGKILL");
  expect((await weir(["compact", "--data", data])).out).toContain(
    `: 11004 samples of ${daysIn(await contents(data))} days.`,
  );
});

test.skipIf(!disk.isMounted)(
  "changes nothing if the disk has no room for a second file (needs root)",
  async () => {
    const data = copied(join(disk.path, "data"));
    const before = await contents(data);
    const { bavail, bsize } = statfsSync(disk.path);
    writeFileSync(join(disk.path, "filler"), new Uint8Array(Math.max(0, bavail * bsize - 2 ** 20)));
    const { code, err } = await weir(["compact", "--data", data]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^weir compact: disk full: \d+ bytes are free in .*, and \d+ are needed for the new file\n$/,
    );
    expect(await contents(data)).toEqual(before);
  },
);

test("rejects a folder without a store, and arguments", async () => {
  const none = join(folder, "none");
  expect(await weir(["compact", "--data", none])).toEqual({
    code: 1,
    out: "",
    err: `weir compact: There is no store in ${none}: it has no file store.duckdb.\n`,
  });
  expect(existsSync(none)).toBe(false);
  expect((await weir(["compact", "x"])).code).toBe(2);
});
