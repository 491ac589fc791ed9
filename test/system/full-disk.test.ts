/**
 * A disk that fills up, by pushes or by another program: pushes are rejected with the reason, queries continue,
 * acknowledged samples stay, and the same process accepts pushes again once there is room. Only root can mount the
 * small disks.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import { openGateway } from "../../src/gateway.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { smallDisk } from "../small-disk.ts";

const MiB = 2 ** 20;
const disks = { "12m": smallDisk("12m"), "24m": smallDisk("24m"), "48m": smallDisk("48m") };
const canMount = disks["24m"].isMounted;
const running: GatewayProcess[] = [];
let folders = 0;

afterAll(async () => {
  for (const each of running) await each.stop("SIGKILL");
});

/** A disk with another program that fills it. */
class Disk {
  readonly #path: string;
  /** A data folder that no other test uses. */
  readonly data: string;

  constructor(size: keyof typeof disks) {
    this.#path = disks[size].path;
    this.data = join(this.#path, `data-${++folders}`);
  }

  get free(): number {
    const { bavail, bsize } = statfsSync(this.#path);
    return bavail * bsize;
  }

  fill(leaveBytes: number): void {
    const path = join(this.#path, "filler");
    if (!existsSync(path)) writeFileSync(path, "");
    // The gateway writes at the same time, so not all of the data may fit.
    try {
      writeFileSync(path, new Uint8Array(Math.max(0, this.free - leaveBytes)), { flag: "a" });
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOSPC") throw error;
    }
  }

  empty(): void {
    rmSync(join(this.#path, "filler"), { force: true });
  }

  async start(...args: string[]): Promise<GatewayProcess> {
    const gateway = await GatewayProcess.start({ data: this.data, args: ["--no-sampler", ...args] });
    running.push(gateway);
    return gateway;
  }

  /** Frees the disk for the next test. */
  async clear(gateway: GatewayProcess): Promise<void> {
    expect(await gateway.stop("SIGTERM")).toBe(0);
    this.empty();
    rmSync(this.data, { recursive: true });
  }
}

const events = (name: string, count: number) =>
  JSON.stringify(
    Array.from({ length: count }, (_, n) => ({
      metric_name: name,
      value: 1,
      tags: { task_id: `${name}-${n}-${n * n}` },
    })),
  );
const FEW = events("few", 3);
const MANY = events("many", 1_000);

const push = (gateway: GatewayProcess, body: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/api/v1/push`, { method: "POST", body, headers });

/** Rows of both metrics, by SQL. */
async function rows(gateway: GatewayProcess): Promise<{ few: number; many: number }> {
  const sql = `SELECT (SELECT count(*) FROM few) AS few, (SELECT count(*) FROM many) AS many`;
  const answer = await fetch(`${gateway.url}/api/v1/sql?q=${encodeURIComponent(sql)}`);
  const { rows: found } = (await answer.json()) as { rows: [{ few: number; many: number }] };
  return found[0];
}

/** Values of the exposition by name, summed over their series. */
async function exposed(gateway: GatewayProcess): Promise<(name: string) => number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return (name) =>
    text
      .split("\n")
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

test.skipIf(!canMount)("the reserve stays free, and the answers report it (needs root)", async () => {
  const disk = new Disk("24m");
  const gateway = await disk.start("--disk-reserve-bytes=2MiB");
  const keyed = { "Idempotency-Key": "first" };
  expect((await push(gateway, FEW, keyed)).status).toBe(200);
  disk.fill(8 * MiB);
  let many = 0;
  let refused: Response;
  for (;;) {
    refused = await push(gateway, MANY);
    if (refused.status !== 200) break;
    many += 1_000;
  }
  expect(many).toBeGreaterThan(0);
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("10");
  const { error } = (await refused.json()) as { error: { code: string; message: string } };
  expect(error.code).toBe("disk_full");
  const said =
    /^disk full: (\d+) bytes are free on the disk of the data folder, and pushes are accepted again when 2097152 bytes are free \(diskReserveBytes\)$/;
  expect(Number(said.exec(error.message)![1])).toBeLessThan(2 * MiB);
  // A quarter of the reserve stays free even if the file has free blocks. A commit in progress may use some of it.
  expect(disk.free).toBeGreaterThan(0);
  const group = await fetch(`${gateway.url}/metrics/job/j`, { method: "PUT", body: "g 1\n" });
  expect(group.status).toBe(503);
  expect(await group.text()).toContain("disk full: ");
  const ready = await fetch(`${gateway.url}/-/ready`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain("Not ready: disk full: ");

  // Everything that only reads continues, and so do answers to pushes that are already stored.
  expect(await rows(gateway)).toEqual({ few: 3, many });
  const repeat = await push(gateway, FEW, keyed);
  expect([repeat.status, repeat.headers.get("weir-duplicate")]).toEqual([200, "true"]);
  const full = await exposed(gateway);
  expect(full("weir_store_disk_full")).toBe(1);
  expect(full("weir_store_disk_free_bytes")).toBeLessThan(2 * MiB);
  expect(full("weir_pushes_disk_full_total")).toBe(2);
  expect(full("many_count")).toBe(many);

  disk.empty();
  while ((await push(gateway, MANY)).status !== 200);
  expect((await fetch(`${gateway.url}/-/ready`)).status).toBe(200);
  expect((await exposed(gateway))("weir_store_disk_full")).toBe(0);
  expect(await rows(gateway)).toEqual({ few: 3, many: many + 1_000 });
  expect(gateway.log.text.match(/ event=disk_full /g)).toHaveLength(1);
  expect(gateway.log.text.match(/ event=disk_has_room /g)).toHaveLength(1);
  await disk.clear(gateway);
});

const TIMES = runs(2).numRuns;
const filled: [keyof typeof disks, string, number, number][] = [
  // Size, reserve, the bytes that the other program leaves free, repetitions.
  ["12m", "0", 0, TIMES],
  ["12m", "512KiB", 0, TIMES],
  ["24m", "0", 300_000, TIMES],
  ["24m", "1MiB", 0, TIMES],
  ["24m", "1MiB", 700_000, TIMES],
  ["48m", "4MiB", 2 * MiB, TIMES],
];
test.skipIf(!canMount).each(filled)(
  "a disk of %s with a reserve of %s that another program fills but for %d bytes, %d times, loses nothing (needs root)",
  async (size, reserve, leave, times) => {
    const disk = new Disk(size);
    const args = [`--disk-reserve-bytes=${reserve}`, "--checkpoint-log-bytes=1MiB"];
    const gateway = await disk.start(...args);
    const acknowledged = { few: 0, many: 0 };
    const groups = new Map<string, number>();
    let isOver = false;
    /** Resolve at the next push that is rejected, and at the next that is accepted. */
    let refused = Promise.withResolvers<void>();
    let accepted = Promise.withResolvers<void>();
    const unexpected: string[] = [];
    const send = async (name: "few" | "many", body: string, count: number) => {
      while (!isOver) {
        const answer = await push(gateway, body);
        const text = await answer.text();
        if (answer.status === 200) {
          acknowledged[name] += count;
          accepted.resolve();
        } else {
          if (answer.status !== 503 || !text.includes('"disk_full"')) unexpected.push(text);
          refused.resolve();
          // A client waits. Without a pause, refusals alone would keep the machine busy.
          await Bun.sleep(10);
        }
      }
    };
    const group = async () => {
      for (let value = 0; !isOver; value++) {
        const job = `j${value % 10}`;
        const answer = await fetch(`${gateway.url}/metrics/job/${job}`, {
          method: "PUT",
          body: `g ${value}\n`,
        });
        await answer.text();
        if (answer.status === 200) groups.set(job, value);
        else if (answer.status !== 503) unexpected.push(`group: ${answer.status}`);
      }
    };
    const paths = ["/metrics", "/api/v1/query?query=many_count", "/api/v1/sql?q=SELECT+count(*)+FROM+many"];
    const read = async () => {
      while (!isOver) {
        for (const path of paths) {
          const answer = await fetch(gateway.url + path);
          const text = await answer.text();
          // While the engine reopens its file, queries get an answer that asks for a retry.
          const isReopening = answer.status === 503 && text.includes("the store is being opened again");
          if (answer.status !== 200 && !isReopening) unexpected.push(`${path}: ${text}`);
        }
      }
    };
    while ((await push(gateway, FEW)).status !== 200);
    acknowledged.few += 3;
    expect((await push(gateway, MANY)).status).toBe(200);
    acknowledged.many += 1_000;
    const all = Promise.all([send("few", FEW, 3), send("many", MANY, 1_000), group(), read()]);
    for (let time = 0; time < times; time++) {
      refused = Promise.withResolvers();
      disk.fill(leave);
      await refused.promise;
      accepted = Promise.withResolvers();
      disk.empty();
      await accepted.promise;
    }
    isOver = true;
    await all;
    expect(unexpected).toEqual([]);
    while ((await push(gateway, FEW)).status !== 200);
    acknowledged.few += 3;
    const check = async (of: GatewayProcess) => {
      expect(await rows(of)).toEqual(acknowledged);
      const value = await exposed(of);
      expect([value("few_count"), value("many_count")]).toEqual([acknowledged.few, acknowledged.many]);
      for (const [job, last] of groups) {
        const answer = await fetch(`${of.url}/api/v1/query?query=g{job="${job}"}`);
        const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
        expect(data.result[0]?.value[1]).toBe(String(last));
      }
    };
    await check(gateway);
    expect((await fetch(`${gateway.url}/-/ready`)).status).toBe(200);
    await gateway.stop("SIGKILL");
    const again = await disk.start(...args);
    await check(again);
    await disk.clear(again);
  },
);

test.skipIf(!canMount)(
  "a start on a full disk reads what was acknowledged, and stores once there is room (needs root)",
  async () => {
    const disk = new Disk("24m");
    const gateway = await disk.start();
    // The contents of the log and of the journal.
    const reserve = "--disk-reserve-bytes=1MiB";
    await gateway.stop("SIGTERM");
    const begun = await disk.start(reserve);
    expect((await push(begun, MANY)).status).toBe(200);
    expect((await push(begun, FEW)).status).toBe(200);
    const put = await fetch(`${begun.url}/metrics/job/j`, { method: "PUT", body: "g 42\n" });
    expect(put.status).toBe(200);
    await begun.stop("SIGKILL");
    disk.fill(0);

    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const full = await disk.start(reserve);
      const refused = await push(full, FEW);
      expect(refused.status).toBe(503);
      // A start may free a block: it empties the folder for temporary files.
      expect(await refused.text()).toMatch(/disk full: (0|4096) bytes are free/);
      expect((await fetch(`${full.url}/-/ready`)).status).toBe(503);
      expect((await rows(full)).many).toBe(1_000);
      const value = await exposed(full);
      expect([value("few_count"), value("many_count"), value("g")]).toEqual([3, 1_000, 42]);
      const code = await full.stop(signal);
      if (signal === "SIGTERM") expect(code).toBe(0);
    }

    const full = await disk.start(reserve);
    expect((await push(full, FEW)).status).toBe(503);
    disk.empty();
    while ((await push(full, FEW)).status !== 200);
    expect(await rows(full)).toEqual({ few: 6, many: 1_000 });
    expect((await fetch(`${full.url}/-/ready`)).status).toBe(200);
    await full.stop("SIGKILL");
    const again = await disk.start(reserve);
    expect(await rows(again)).toEqual({ few: 6, many: 1_000 });
    const value = await exposed(again);
    expect([value("few_count"), value("many_count"), value("g")]).toEqual([6, 1_000, 42]);
    await disk.clear(again);
  },
);

test.skipIf(!canMount)("the first start on a full disk ends with one sentence (needs root)", async () => {
  const disk = new Disk("24m");
  mkdirSync(disk.data);
  disk.fill(0);
  const { exitCode, log } = await GatewayProcess.startToEnd({ data: disk.data, args: ["--no-sampler"] });
  expect(exitCode).toBe(1);
  expect(log).toBe(`weir serve: disk full: 0 bytes are free in ${disk.data}; the store needs more to open\n`);
  disk.empty();
});

test.skipIf(!canMount)(
  "days that are dropped make room in a file that fills the disk (needs root)",
  async () => {
    const disk = new Disk("12m");
    let nowMs = Date.UTC(2024, 1, 27, 12);
    const silent = () => undefined;
    const flags = [`--data=${disk.data}`, "--disk-reserve-bytes=4MiB", "--retention-days=2"];
    const gateway = await openGateway(
      loadConfig(flags, {}, () => undefined),
      { log: silent, now: () => nowMs },
    );
    const post = async () => {
      const request = new Request("http://localhost/api/v1/push", {
        method: "POST",
        body: events("old", 20_000),
      });
      return (await gateway.app.fetch(request)).status;
    };
    while ((await post()) === 200);
    const { freeBytes } = gateway.store.room();
    expect(freeBytes).toBeLessThan(4 * MiB);
    // Two days later, across a leap day.
    nowMs = Date.UTC(2024, 1, 29, 12);
    expect((await gateway.ingest.prune()).days).toEqual([Date.UTC(2024, 1, 27) / 86_400_000]);
    expect(await post()).toBe(200);
    expect((await gateway.app.fetch(new Request("http://localhost/-/ready"))).status).toBe(200);
    await gateway.close();
    expect(readFileSync(join(disk.data, "store.duckdb")).length).toBeGreaterThan(MiB);
  },
);
