/**
 * How a worker with the client ends, under Bun, Node and Deno: by a signal, by itself, by `process.exit`, by an error, and
 * by kill -9. The gateway is the real one.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { ClientOptions } from "../../src/client/index.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { Between, onceEach, rowsOf, storedWork } from "./between.ts";
import { hasRuntime, installWorker, type RuntimeName, WorkerProcess } from "./worker-process.ts";

let folder: string;
beforeAll(() => {
  folder = installWorker();
});

const spoolFiles = (spool: string) => readdirSync(join(spool, "_1"));

describe.each(["Bun", "Node", "Deno"] as const satisfies RuntimeName[])("a worker in %s", (runtime) => {
  const testHere = test.skipIf(!hasRuntime(runtime));
  let gateway: GatewayProcess;
  let between: Between;
  /** Nothing is sent before the end, unless a test asks for it. */
  const options = (more: Partial<ClientOptions> = {}): ClientOptions => ({
    url: between.url,
    worker: "_1",
    flushIntervalMs: 3_600_000,
    batchSamples: 100,
    backoffMs: 10,
    backoffMaxMs: 50,
    closeTimeoutMs: 30_000,
    ...more,
  });
  const start = (more: Partial<ClientOptions> = {}, handler?: "on" | "once") =>
    WorkerProcess.start(runtime, folder, { options: options(more), metric: metric(), handler });

  beforeAll(async () => {
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    between = new Between(gateway.url);
  });
  afterAll(async () => {
    await between.stop();
    await gateway.stop("SIGTERM");
  });
  /** Each test has a metric of its own. */
  let tests = 0;
  const metric = () => `work${tests}.duration_ms`;
  const stored = () => storedWork(gateway.url, `work${tests}_duration_ms`);
  beforeEach(() => {
    tests++;
    between.traffic = "pass";
    between.keys.length = 0;
  });

  testHere.each(["SIGTERM", "SIGINT"] as const)("sends what it has at %s, and dies by it", async (signal) => {
    const worker = await start();
    await worker.ask({ do: "record", from: 0, count: 42 });
    await worker.ask({ do: "upload", bytes: 500 + tests });
    worker.signal(signal);
    expect((await worker.ended()).by).toBe(signal);
    expect(await stored()).toEqual(onceEach(42));
    expect(
      await rowsOf(
        gateway.url,
        `SELECT value, upload_type, task_id, instance FROM upload_size_bytes WHERE value = ${500 + tests}`,
      ),
    ).toEqual([{ value: 500 + tests, upload_type: "inline", task_id: "none", instance: "_1" }]);
  });

  testHere.each(["on", "once"] as const)("leaves its end to its own listener (%s)", async (handler) => {
    const worker = await start({ spool: temporaryFolder() }, handler);
    await worker.ask({ do: "record", from: 0, count: 1_000 });
    worker.signal("SIGTERM");
    // The listener records sample 1000 and exits with 7.
    expect((await worker.ended()).by).toBe(7);
    expect(await stored()).toEqual(onceEach(1_001));
  });

  testHere(
    "ends within the stated time at SIGTERM while the gateway hangs, and spools the rest",
    async () => {
      between.traffic = "hang";
      const spool = temporaryFolder();
      const worker = await start({ spool, closeTimeoutMs: 50 });
      await worker.ask({ do: "record", from: 0, count: 150 });
      worker.signal("SIGTERM");
      expect((await worker.ended()).by).toBe("SIGTERM");
      // Two batches: the full one was in a request, the other one waited.
      expect(spoolFiles(spool)).toHaveLength(2);
      between.traffic = "pass";
      const next = await start({ spool });
      await until("the spool", async () => (await next.ask({ do: "stats" })).stored === 150);
      next.signal("SIGTERM");
      await next.ended();
      expect(await stored()).toEqual(onceEach(150));
    },
  );

  testHere("ends at once at a second SIGTERM, and spools what is not sent", async () => {
    between.traffic = "hang";
    const spool = temporaryFolder();
    const worker = await start({ spool, closeTimeoutMs: 3_600_000 });
    await worker.ask({ do: "record", from: 0, count: 20 });
    worker.signal("SIGTERM");
    await until("the request", () => between.keys.length > 0);
    worker.signal("SIGTERM");
    expect((await worker.ended()).by).toBe("SIGTERM");
    expect(spoolFiles(spool)).toHaveLength(1);
  });

  testHere("sends what it has when it has nothing left to do", async () => {
    const worker = await start();
    await worker.ask({ do: "record", from: 0, count: 33 });
    worker.endInput();
    expect(await worker.ended()).toEqual({ by: 0, errors: "" });
    expect(await stored()).toEqual(onceEach(33));
  });

  testHere("ends by itself while the gateway is away, and spools the rest", async () => {
    between.traffic = { status: 503 };
    const spool = temporaryFolder();
    const worker = await start({ spool });
    await worker.ask({ do: "record", from: 0, count: 33 });
    worker.endInput();
    expect((await worker.ended()).by).toBe(0);
    expect(spoolFiles(spool)).toHaveLength(1);
  });

  testHere("ends by itself without a spool, too, after one attempt", async () => {
    between.traffic = { status: 503 };
    const worker = await start();
    await worker.ask({ do: "record", from: 0, count: 33 });
    worker.endInput();
    const { by, errors } = await worker.ended();
    expect(by).toBe(0);
    expect(errors).toContain("weir client: 33 samples were dropped: the client was closed");
  });

  testHere.each([
    ["process.exit(3)", { do: "exit", code: 3 }, 3],
    ["an error that nobody catches", { do: "fail" }, 1],
  ] as const)("spools what it has at %s", async (_, action, code) => {
    const spool = temporaryFolder();
    const worker = await start({ spool });
    await worker.ask({ do: "record", from: 0, count: 70 });
    worker.send(action);
    expect((await worker.ended()).by).toBe(code);
    const next = await start({ spool });
    await until("the spool", async () => (await next.ask({ do: "stats" })).stored === 70);
    await next.ask({ do: "close" });
    next.endInput();
    expect((await next.ended()).by).toBe(0);
    expect(await stored()).toEqual(onceEach(70));
    expect(spoolFiles(spool)).toEqual([]);
  });

  testHere("loses at kill -9 only what was in memory: what was spooled is stored once", async () => {
    // The gateway stores the batches and their answers are lost, so that each is sent at least twice.
    between.traffic = "lose answers";
    const spool = temporaryFolder();
    const worker = await start({ spool });
    await worker.ask({ do: "record", from: 0, count: 700 });
    await until("7 batches in the spool", async () => {
      const { spooled, inMemory } = await worker.ask({ do: "stats" });
      return spooled.batches === 7 && inMemory === 0;
    });
    // Less than a batch: this is what a kill loses.
    const { inMemory } = await worker.ask({ do: "record", from: 700, count: 30 });
    expect(inMemory).toBe(30);
    worker.signal("SIGKILL");
    expect((await worker.ended()).by).toBe("SIGKILL");
    between.traffic = "pass";
    const next = await start({ spool });
    await until("the spool", async () => (await next.ask({ do: "stats" })).stored === 700);
    await next.ask({ do: "close" });
    next.signal("SIGTERM");
    await next.ended();
    expect(await stored()).toEqual(onceEach(700));
  });
});
