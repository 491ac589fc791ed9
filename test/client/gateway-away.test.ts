/**
 * A client in this process, and the real gateway that is stopped, slowed, filled up and started again under it: what it
 * accepted is stored once.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type ClientOptions, type ClientProblem, createWeir } from "../../src/client/index.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { Between, onceEach, rowsOf, storedWork } from "./between.ts";

/** Short times: the tests wait for what happens, not for these. */
const QUICK = {
  flushIntervalMs: 20,
  batchSamples: 100,
  backoffMs: 10,
  backoffMaxMs: 50,
  closeTimeoutMs: 60_000,
  signals: false,
  onProblem: () => undefined,
} as const satisfies Partial<ClientOptions>;

let gateway: GatewayProcess;
let between: Between;
let data: string;
const start = () => GatewayProcess.start({ data, args: ["--no-sampler"] });

beforeAll(async () => {
  data = temporaryFolder();
  gateway = await start();
  between = new Between(gateway.url);
});
afterAll(async () => {
  await between.stop();
  await gateway.stop("SIGTERM");
});

describe("with a spool", () => {
  test("nothing is lost and nothing is stored twice while the gateway is stopped, slow, full and restarted", async () => {
    const spool = temporaryFolder();
    const weir = createWeir({ ...QUICK, url: between.url, spool, worker: "_1", requestTimeoutMs: 2_000 });
    let next = 0;
    const record = (count: number) => {
      for (const end = next + count; next < end; next++)
        weir.observe("work.duration_ms", next, { task_id: `task-${next}` });
    };
    const isStored = async (count: number) => (await storedWork(gateway.url)).count === count;

    record(250);
    await until("the first samples", () => isStored(250));

    // Answers are lost after the commit: the batch is sent again, with its key.
    between.traffic = "lose answers";
    record(250);
    await until("a failed request", () => weir.stats().requestsFailed >= 2);
    between.traffic = "pass";
    await until("the batches whose answers were lost", () => weir.stats().stored === 500);

    // The gateway hangs: batches that wait in requests are in the spool, too.
    between.traffic = "hang";
    record(450);
    await until("a batch in the spool", () => weir.stats().spooled.samples >= 400);
    between.traffic = "pass";
    await until("the batches of the slow gateway", () => weir.stats().stored === 950);

    // Full: 429 and 503 with Retry-After.
    between.traffic = { status: 429, headers: { "retry-after": "0" } };
    record(200);
    await until("a refusal by 429", () => weir.stats().away);
    between.traffic = { status: 503, headers: { "retry-after": "0" } };
    record(200);
    between.traffic = "pass";
    await until("the batches of the full gateway", () => weir.stats().stored === 1_350);

    // Killed, and started again with the same folder at another port.
    record(60);
    await gateway.stop("SIGKILL");
    record(390);
    await until("batches in the spool", () => weir.stats().spooled.samples > 0);
    gateway = await start();
    between.gateway = gateway.url;
    record(200);
    await until("everything", () => isStored(2_000));

    await weir.close();
    expect(await storedWork(gateway.url)).toEqual(onceEach(2_000));
    const stats = weir.stats();
    expect(stats.recorded).toBe(2_000);
    expect(Object.values(stats.lost).every((count) => count === 0)).toBe(true);
    expect(stats.inMemory).toBe(0);
    expect(readdirSync(join(spool, "_1"))).toEqual([]);
    // `instance` is the worker.
    expect(await rowsOf(gateway.url, "SELECT DISTINCT instance FROM work_duration_ms")).toEqual([
      { instance: "_1" },
    ]);
    // Its own counters are pushed. The newest increments go with the next batch, so some may be missing here.
    const [own] = await rowsOf(
      gateway.url,
      "SELECT sum(value) AS stored FROM weir_client_samples_total WHERE outcome = 'stored'",
    );
    expect(Number(own!.stored)).toBeGreaterThanOrEqual(950);
    expect(Number(own!.stored)).toBeLessThanOrEqual(2_000);
    const failed = await rowsOf(
      gateway.url,
      "SELECT sum(value) > 0 AS some FROM weir_client_requests_failed_total",
    );
    expect(failed).toEqual([{ some: true }]);
  });

  test("a gateway that is away from the beginning gets everything when it comes", async () => {
    const spool = temporaryFolder();
    between.traffic = { status: 503 };
    const first = createWeir({ ...QUICK, url: between.url, spool });
    for (let index = 0; index < 300; index++) first.increment("away.requests_total", 1, { step: "first" });
    await first.close();
    expect(first.stats()).toMatchObject({ recorded: 300, stored: 0, inMemory: 0, spooled: { samples: 300 } });

    between.traffic = "pass";
    const second = createWeir({ ...QUICK, url: between.url, spool });
    second.increment("away.requests_total", 5, { step: "second" });
    await until("the backlog of the earlier process", () => second.stats().stored === 301);
    await second.close();
    expect(
      await rowsOf(
        gateway.url,
        "SELECT step, sum(value) AS total FROM away_requests_total GROUP BY step ORDER BY step",
      ),
    ).toEqual([
      { step: "first", total: 300 },
      { step: "second", total: 5 },
    ]);
  });

  test("fresh samples do not wait for the backlog", async () => {
    const spool = temporaryFolder();
    between.traffic = { status: 503 };
    const earlier = createWeir({ ...QUICK, url: between.url, spool, batchSamples: 10 });
    for (let index = 0; index < 200; index++) earlier.observe("backlog.size_bytes", index);
    await earlier.close();
    expect(earlier.stats().spooled.batches).toBe(20);

    between.traffic = "pass";
    between.keys.length = 0;
    const weir = createWeir({ ...QUICK, url: between.url, spool, batchSamples: 10 });
    for (let index = 0; index < 10; index++) weir.observe("fresh.size_bytes", index);
    await weir.flush();
    // The flush did not wait for the 20 batches.
    const [fresh] = await rowsOf(gateway.url, "SELECT count(*) AS count FROM fresh_size_bytes");
    expect(Number(fresh!.count)).toBe(10);
    await until("the backlog", () => weir.stats().stored === 210);
    expect(new Set(between.keys).size).toBeGreaterThanOrEqual(21);
    await weir.close();
  });

  test("two processes that send one file store it once", async () => {
    const spool = temporaryFolder();
    between.traffic = { status: 503 };
    const earlier = createWeir({ ...QUICK, url: between.url, spool });
    for (let index = 0; index < 50; index++) earlier.observe("shared.size_bytes", 1);
    await earlier.close();
    between.traffic = "pass";
    between.keys.length = 0;
    const pair = [0, 1].map(() => createWeir({ ...QUICK, url: between.url, spool }));
    await until(
      "both to find the spool empty",
      () =>
        pair.every((weir) => weir.stats().spooled.batches === 0 && weir.stats().inMemory === 0) &&
        pair.some((weir) => weir.stats().stored > 0),
    );
    await Promise.all(pair.map((weir) => weir.close()));
    const [row] = await rowsOf(gateway.url, "SELECT count(*) AS count FROM shared_size_bytes");
    expect(Number(row!.count)).toBe(50);
  });
});

describe("a batch that the gateway refuses", () => {
  test("is kept aside in the spool with its status, and what follows is stored", async () => {
    const spool = temporaryFolder();
    const problems: ClientProblem[] = [];
    between.traffic = {
      status: 401,
      body: '{"error":{"code":"unauthorized","message":"The token is unknown."}}',
    };
    between.keys.length = 0;
    const weir = createWeir({ ...QUICK, url: between.url, spool, onProblem: (one) => problems.push(one) });
    weir.observe("refused.size_bytes", 1);
    await until("the batch to be set aside", () => weir.stats().setAside === 1);
    // The client's own counters alone are refused, too. They get no file and are pushed later.
    await until("a third request", () => between.keys.length >= 3);
    between.traffic = "pass";
    weir.observe("refused.size_bytes", 2);
    await until("the next batch", () => weir.stats().stored === 1);
    const counter = "SELECT sum(value) AS sum FROM weir_client_samples_total WHERE outcome = 'set_aside'";
    await until("the counter", async () => (await rowsOf(gateway.url, counter))[0]!.sum === 1);
    await weir.close();
    expect(problems).toEqual([
      {
        kind: "refused_401",
        message: "the gateway refused 1 samples, which the spool keeps aside: 401: The token is unknown.",
      },
    ]);
    const files = readdirSync(join(spool, "worker"));
    expect(files).toHaveLength(1);
    expect(files[0]).toMatch(/^\d{13}-1-\d+-[0-9a-f-]{36}\.ndjson\.gz\.refused-401$/);

    // The documented way to send it after all.
    const path = join(spool, "worker", files[0]!);
    const again = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      headers: {
        "Content-Encoding": "gzip",
        "Idempotency-Key": /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(files[0]!)![0],
      },
      body: await Bun.file(path).bytes(),
    });
    expect(await again.json()).toMatchObject({ accepted: 1, rejected: 0 });
  });

  test("is dropped and counted without a spool", async () => {
    between.traffic = { status: 404 };
    const weir = createWeir({ ...QUICK, url: between.url });
    weir.observe("refused.size_bytes", 1);
    await until("the loss", () => weir.stats().lost.refused === 1);
    between.traffic = "pass";
    weir.observe("refused.size_bytes", 3);
    await until("the next batch", () => weir.stats().stored === 1);
    await weir.close();
    expect(weir.stats()).toMatchObject({ recorded: 2, stored: 1, setAside: 0, inMemory: 0 });
  });

  test("keeps its valid samples: only rejected ones are counted as such", async () => {
    const problems: ClientProblem[] = [];
    between.traffic = "pass";
    const weir = createWeir({ ...QUICK, url: between.url, onProblem: (one) => problems.push(one) });
    weir.observe("partly.size_bytes", 1);
    weir.observe("partly.size_bytes", 2, { le: "reserved" });
    await weir.flush();
    expect(weir.stats()).toMatchObject({ recorded: 2, stored: 1, rejected: 1 });
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).toMatch(/^the gateway rejected 1 samples of a batch: .*"le"/);
    await weir.close();
  });
});

describe("without a spool", () => {
  test("memory keeps the newest samples, and counts those that it dropped", async () => {
    between.traffic = { status: 503 };
    const weir = createWeir({ ...QUICK, url: between.url, memorySamplesMax: 500 });
    for (let index = 0; index < 1_000; index++) {
      weir.observe("ring.size_bytes", index);
      // Each batch of 100 reaches the ring before the next one.
      if (index % 100 === 99) await until("a settled batch", () => weir.stats().inMemory <= 500);
    }
    await until("the losses", () => weir.stats().lost.memory_full === 500);
    between.traffic = "pass";
    await until("the rest", () => weir.stats().stored === 500);
    await weir.close();
    const [row] = await rowsOf(
      gateway.url,
      "SELECT count(*) AS count, min(value) AS first, max(value) AS last FROM ring_size_bytes",
    );
    expect(row).toEqual({ count: 500, first: 500, last: 999 });
    const [own] = await rowsOf(
      gateway.url,
      "SELECT sum(value) AS lost FROM weir_client_samples_lost_total WHERE reason = 'memory_full'",
    );
    expect(own).toEqual({ lost: 500 });
  });

  test("a burst without a turn of the event loop stays within the bound", async () => {
    between.traffic = "pass";
    const weir = createWeir({ ...QUICK, url: between.url, memorySamplesMax: 1_000 });
    for (let index = 0; index < 5_000; index++) weir.observe("burst.size_bytes", index);
    expect(weir.stats()).toMatchObject({ recorded: 5_000, inMemory: 1_000, lost: { memory_full: 4_000 } });
    await weir.close();
    expect(weir.stats()).toMatchObject({ stored: 1_000, inMemory: 0 });
  });

  test("close sends what is in memory, although the gateway was away", async () => {
    between.traffic = { status: 503 };
    const weir = createWeir({ ...QUICK, url: between.url, backoffMs: 1_000_000, backoffMaxMs: 1_000_000 });
    weir.observe("late.size_bytes", 7);
    await until("a failed request", () => weir.stats().away);
    between.traffic = "pass";
    await weir.close();
    expect(weir.stats()).toMatchObject({ recorded: 1, stored: 1, inMemory: 0 });
  });

  test("a folder that cannot be written is reported, and memory is used", async () => {
    const problems: string[] = [];
    between.traffic = { status: 503 };
    const file = join(temporaryFolder(), "file");
    await Bun.write(file, "");
    const weir = createWeir({
      ...QUICK,
      url: between.url,
      spool: file,
      onProblem: ({ kind }) => problems.push(kind),
    });
    weir.observe("unwritable.size_bytes", 1);
    await until("a failed request", () => weir.stats().away && problems.includes("spool_unwritable"));
    between.traffic = "pass";
    await until("the sample", () => weir.stats().stored === 1);
    await weir.close();
  });
});

test("a real gateway that limits samples is obeyed, and gets everything", async () => {
  const limited = await GatewayProcess.start({
    data: temporaryFolder(),
    args: ["--no-sampler", "--limit-address", "samples=2000"],
  });
  const weir = createWeir({ ...QUICK, url: limited.url, spool: temporaryFolder(), batchSamples: 1_000 });
  for (let index = 0; index < 4_000; index++)
    weir.observe("work.duration_ms", index, { task_id: `task-${index}` });
  await until("everything", () => weir.stats().stored === 4_000);
  expect(weir.stats().requestsFailed).toBeGreaterThan(0);
  await weir.close();
  expect(await storedWork(limited.url)).toEqual(onceEach(4_000));
  await limited.stop("SIGTERM");
});

test("the times are those of the calls, and each value of a gauge is stored", async () => {
  between.traffic = "pass";
  const weir = createWeir({ ...QUICK, url: between.url, labels: { job: "scanner" } });
  const beforeMs = Date.now();
  for (let level = 0; level < 100; level++) weir.set("level.items", level, { queue: "a" });
  const afterMs = Date.now();
  await weir.flush();
  await weir.close();
  expect(weir.stats()).toMatchObject({ stored: 100, rejected: 0 });
  const rows = await rowsOf(
    gateway.url,
    "SELECT job, count(*) AS count, last(value ORDER BY ts) AS last, epoch_us(min(ts)) AS first_us, epoch_us(max(ts)) AS last_us FROM level_items GROUP BY job",
  );
  expect(rows).toMatchObject([{ job: "scanner", count: 100, last: 99 }]);
  expect(Number(rows[0]!.first_us)).toBeGreaterThanOrEqual(beforeMs * 1_000);
  expect(Number(rows[0]!.last_us)).toBeLessThanOrEqual(afterMs * 1_000 + 999);
});
