/**
 * Runs `weir backup` and `weir restore` as processes: beside a gateway under load, and on the folder that a kill left.
 * A restored gateway is compared with what was acknowledged before the backup began.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const WORKERS = 3;
const BATCH = 120;

const folder = temporaryFolder();
const data = join(folder, "data");
const backup = join(folder, "backup");
const restored = join(folder, "restored");
const start = (of: string) =>
  GatewayProcess.start({
    data: of,
    args: ["--no-sampler", "--enable-admin-api", "--snapshot-rows=1000", "--checkpoint-log-bytes=1MiB"],
  });

const bodies = new Map<string, string>();

async function push(url: string, key: string, body: string): Promise<Response> {
  const response = await fetch(`${url}/api/v1/push`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body,
  });
  await response.text();
  return response;
}

function bodyOf(key: string): string {
  const events = Array.from({ length: BATCH }, (_, index) => ({
    "@timestamp": Date.now(),
    metric_name: index % 2 === 0 ? "load.duration_ms" : "load.done",
    ...(index % 2 === 1 && { type: "counter" }),
    value: index + 1,
    tags: { task_id: `${key}-${index}`, push: key.split("-")[0] },
  }));
  return JSON.stringify(events);
}

/** One worker: events with a key, and a group whose gauge counts its pushes, one after the other. */
class Worker {
  readonly name: string;
  readonly acknowledged: string[] = [];
  grouped = 0;
  isStopped = false;

  constructor(name: string) {
    this.name = name;
  }

  async run(url: string): Promise<void> {
    for (let number = 0; !this.isStopped; number++) {
      const key = `${this.name}-${number}`;
      bodies.set(key, bodyOf(key));
      const response = await push(url, key, bodies.get(key)!);
      expect(response.status).toBe(200);
      this.acknowledged.push(key);
      const put = await fetch(`${url}/metrics/job/load/worker/${this.name}`, {
        method: "PUT",
        body: `# TYPE load_pushes gauge\nload_pushes ${number + 1}\n`,
      });
      expect(put.status).toBe(200);
      this.grouped = number + 1;
    }
  }
}

const workers = Array.from({ length: WORKERS }, (_, worker) => new Worker(`w${worker}`));
/** What was acknowledged when the backup began. */
let before: { keys: string[]; grouped: number[] };
let backedUp: Awaited<ReturnType<typeof weir>>;
let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await start(data);
  const running = Promise.all(workers.map((worker) => worker.run(gateway.url)));
  while (workers.some(({ acknowledged }) => acknowledged.length < 8)) await Bun.sleep(1);
  before = {
    keys: workers.flatMap(({ acknowledged }) => acknowledged),
    grouped: workers.map(({ grouped }) => grouped),
  };
  backedUp = await weir(["backup", backup, "--data", data, "--url", gateway.url]);
  for (const worker of workers) worker.isStopped = true;
  await running;
  await gateway.stop("SIGKILL");
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
});

async function sql<Row>(url: string, statement: string): Promise<Row[]> {
  const response = await fetch(`${url}/api/v1/sql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sql: statement, limit: 100_000 }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return (JSON.parse(text) as { rows: Row[] }).rows;
}

async function exposed(url: string, name: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at))];
    }),
  );
}

const sum = (values: Map<string, number>) => values.values().reduce((total, value) => total + value, 0);

/** Rows, totals, groups and keys of a gateway contain all of `keys`, and no push partially or twice. */
async function verify(url: string, keys: readonly string[], grouped: readonly number[]): Promise<void> {
  const stored = await sql<{ name: string; events: number; ids: number }>(
    url,
    `SELECT regexp_extract(task_id, '^w[0-9]+-[0-9]+') AS name, count(*)::INT AS events,
       count(DISTINCT task_id)::INT AS ids
     FROM samples WHERE metric LIKE 'load.%' GROUP BY name`,
  );
  expect(stored.filter(({ events, ids }) => events !== BATCH || ids !== BATCH)).toEqual([]);
  const names = new Set(stored.map(({ name }) => name));
  expect(keys.filter((key) => !names.has(key))).toEqual([]);

  // Of 120 events, 60 have the odd values 1 to 119 (their sum is 3,600) and 60 the even values 2 to 120 (3,660).
  expect(sum(await exposed(url, "load_duration_ms_count"))).toBe(60 * names.size);
  expect(sum(await exposed(url, "load_duration_ms_sum"))).toBe(3_600 * names.size);
  expect(sum(await exposed(url, "load_done_total"))).toBe(3_660 * names.size);

  const groups = await exposed(url, "load_pushes");
  for (const [worker, least] of grouped.entries()) {
    const series = [...groups].find(([labels]) => labels.includes(`worker="w${worker}"`));
    expect(series?.[1]).toBeGreaterThanOrEqual(least);
  }

  for (const key of keys)
    expect((await push(url, key, bodies.get(key)!)).headers.get("Weir-Duplicate")).toBe("true");
  const [count] = await sql<{ rows: number }>(
    url,
    "SELECT count(*)::INT AS rows FROM samples WHERE metric LIKE 'load.%' AND metric <> 'load_pushes'",
  );
  expect(count!.rows).toBe(BATCH * names.size);
}

test("a backup taken under load, restored, has everything that was acknowledged before it began", async () => {
  expect(backedUp).toMatchObject({ code: 0, err: "" });
  expect(backedUp.out).toMatch(/^Backup of the running gateway .*: \d+ samples of [12] days?, schema \d+, /);
  expect(readdirSync(join(data, "snapshots"))).toEqual([]);
  const result = await weir(["restore", backup, "--data", restored]);
  expect({ code: result.code, err: result.err }).toEqual({ code: 0, err: "" });
  expect(result.out).toStartWith(`Restored ${backup} to ${restored}: `);
  const again = await start(restored);
  await verify(again.url, before.keys, before.grouped);
  expect(await again.stop("SIGTERM")).toBe(0);
});

test("a backup of the folder that a kill left has everything that was acknowledged, and changes nothing", async () => {
  const contents = () =>
    readdirSync(data)
      .filter((name) => name.startsWith("store.duckdb"))
      .map((name) => [name, Bun.hash(readFileSync(join(data, name)))]);
  const found = contents();
  const dest = join(folder, "of-killed");
  const result = await weir(["backup", dest, "--data", data]);
  expect({ code: result.code, err: result.err }).toEqual({ code: 0, err: "" });
  expect(result.out).toStartWith(`Backup of the data folder ${data} to ${dest}: `);
  expect(contents()).toEqual(found);
  const to = join(folder, "restored-of-killed");
  // An empty folder, such as a mounted volume.
  mkdirSync(to);
  expect((await weir(["restore", dest], { env: { WEIR_DATA: to } })).code).toBe(0);
  const again = await start(to);
  await verify(
    again.url,
    workers.flatMap(({ acknowledged }) => acknowledged),
    workers.map(({ grouped }) => grouped),
  );
  expect(await again.stop("SIGTERM")).toBe(0);
});

test("removes what killed backups to the same folder left, and nothing of those in progress", async () => {
  const to = join(folder, "again");
  const host = hostname();
  const ended = Bun.spawn(["true"]);
  await ended.exited;
  const left = {
    killed: `.again.part-${host}-${ended.pid}-01234567`,
    inProgress: `.again.part-${host}-${process.pid}-01234567`,
    elsewhere: `.again.part-other-1-01234567`,
    old: ".again.part-01234567",
    foreign: `.other.part-${host}-${ended.pid}-01234567`,
  };
  const now = Date.now() / 1000;
  for (const name of Object.values(left)) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "store.duckdb"), "");
    // The clock of the files need not be that of the processes (`scripts/test --clock`).
    for (const path of [join(folder, name, "store.duckdb"), join(folder, name)]) utimesSync(path, now, now);
  }
  const twoDaysAgo = now - 2 * 86_400;
  for (const path of [join(folder, left.old, "store.duckdb"), join(folder, left.old)])
    utimesSync(path, twoDaysAgo, twoDaysAgo);
  expect((await weir(["restore", backup, "--data", to])).code).toBe(0);
  expect(
    readdirSync(folder)
      .filter((name) => name.includes(".part-"))
      .sort(),
  ).toEqual([left.elsewhere, left.inProgress, left.foreign].sort());
  for (const name of Object.values(left)) rmSync(join(folder, name), { recursive: true, force: true });
});

test("rejects a folder that is not empty, a folder without a store, and wrong arguments", async () => {
  const used = join(folder, "used");
  mkdirSync(used);
  writeFileSync(join(used, "notes.txt"), "");
  const inUse = `${used} is not empty (it has "notes.txt"), expected a folder that is empty or does not exist.\n`;
  expect(await weir(["backup", used, "--data", data])).toEqual({
    code: 1,
    out: "",
    err: `weir backup: ${inUse}`,
  });
  expect(await weir(["restore", backup, "--data", used])).toEqual({
    code: 1,
    out: "",
    err: `weir restore: ${inUse}`,
  });
  const none = join(folder, "none");
  expect(await weir(["restore", used, "--data", none])).toEqual({
    code: 1,
    out: "",
    err: `weir restore: There is no store in ${used}: it has no file store.duckdb.\n`,
  });
  for (const args of [
    ["backup"],
    ["backup", "a", "b"],
    ["restore"],
    ["restore", "a", "b"],
    ["restore", "a", "--x"],
  ])
    expect((await weir(args)).code).toBe(2);
  expect(existsSync(none)).toBe(false);
  expect(readdirSync(used)).toEqual(["notes.txt"]);
});

test("restores nothing of a damaged backup, of a newer one, and of another database", async () => {
  const to = join(folder, "never");
  const restore = async (change: (from: string) => Promise<void> | void) => {
    const from = join(temporaryFolder(), "backup");
    expect(Bun.spawnSync(["cp", "-r", backup, from]).exitCode).toBe(0);
    await change(from);
    const { code, err } = await weir(["restore", from, "--data", to]);
    expect(code).toBe(1);
    expect(existsSync(to)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes(".part"))).toEqual([]);
    return err;
  };
  const database = (from: string) =>
    Database.open(join(from, "store.duckdb"), {
      memoryLimitBytes: 2 ** 28,
      threads: 1,
      temporaryDirectory: from,
    });
  const log = await restore((from) => {
    const path = join(from, "store.duckdb.wal");
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    // A checksum, where the log is not empty: its header is at most 64 bytes long.
    bytes[64]! ^= 1;
    writeFileSync(path, bytes.length > 0 ? bytes : "not a log");
  });
  expect(log).toContain("store.duckdb is damaged, or is not a store of Weir: ");
  const newer = await restore(async (from) => {
    const opened = await database(from);
    const connection = await opened.connect();
    await connection.run(
      "INSERT INTO weir.migrations (version, name, applied_at) VALUES (999, 'later', now())",
    );
    connection.close();
    opened.close();
  });
  expect(newer).toMatch(
    /^weir restore: \/.+\/store\.duckdb has schema 999, but this version of Weir supports schemas up to \d+; use the newer version\n$/,
  );
  const other = await restore(async (from) => {
    for (const name of readdirSync(from)) await Bun.file(join(from, name)).delete();
    const opened = await database(from);
    opened.close();
  });
  expect(other).toContain("is a database of something else, and not a store of Weir");
});

test("says which option is missing when the gateway does not allow snapshots, or is another one", async () => {
  const own = join(folder, "own");
  const dest = join(folder, "unused");
  const closed = await GatewayProcess.start({ data: own, args: ["--no-sampler"] });
  const other = await start(join(folder, "other"));
  const refused = await weir(["backup", dest, "--data", own, "--url", closed.url]);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.err).toContain("start the gateway with --enable-admin-api");
  const foreign = await weir(["backup", dest, "--data", own, "--url", other.url]);
  expect(foreign).toMatchObject({ code: 1 });
  expect(foreign.err).toContain(
    "give --data the data folder of the gateway, or --url the gateway of that folder",
  );
  expect(existsSync(dest)).toBe(false);
  await Promise.all([closed.stop("SIGTERM"), other.stop("SIGTERM")]);
});
