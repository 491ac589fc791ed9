/**
 * The real process, killed and stopped while workers push: every acknowledged event is stored once, and the counters
 * of /metrics equal the rows. The moments of the kills are drawn from a seed.
 */
import { expect, test } from "bun:test";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const KILLS = runs(6).numRuns;
const SEED = 20_240_105;
const WORKERS = 4;
const BATCH = 200;

// Snapshots of the totals and checkpoints are so frequent that kills interrupt them too.
const options = (data: string) => ({
  data,
  args: ["--no-sampler", "--snapshot-rows=1000", "--checkpoint-log-bytes=1MiB"],
});
const start = (data: string) => GatewayProcess.start(options(data));

/** One push of a worker: its name is its idempotency key and the beginning of the task_id of its events. */
interface Push {
  readonly name: string;
  readonly body: string;
}

function makePush(worker: number, number: number): Push {
  const name = `w${worker}-${number}`;
  const events = Array.from({ length: BATCH }, (_, index) => ({
    "@timestamp": Date.now(),
    metric_name: index % 2 === 0 ? "kill.duration_ms" : "kill.done",
    ...(index % 2 === 1 && { type: "counter" }),
    value: index + 1,
    tags: { task_id: `${name}-${index}`, worker: `w${worker}` },
  }));
  return { name, body: JSON.stringify(events) };
}

/** Sends a push. Undefined if no answer arrived. */
async function send(url: string, push: Push): Promise<Response | undefined> {
  try {
    const response = await fetch(`${url}/api/v1/push`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": push.name },
      body: push.body,
    });
    await response.text();
    return response;
  } catch {
    return undefined;
  }
}

/** A worker that sends one push after the other, and repeats unanswered ones with the same key. */
class Worker {
  /** Names of the pushes that were answered with 200. */
  readonly acknowledged: string[] = [];
  unanswered: Push | undefined;
  private readonly worker: number;
  private number = 0;

  constructor(worker: number) {
    this.worker = worker;
  }

  /** Pushes until no answer arrives, or `pushesMax` pushes were answered. */
  async run(url: string, pushesMax: number): Promise<void> {
    for (let answered = 0; answered < pushesMax; answered++) {
      const push: Push = this.unanswered ?? makePush(this.worker, this.number++);
      this.unanswered = push;
      const response = await send(url, push);
      if (!response || response.status === 503) return;
      expect(response.status).toBe(200);
      this.acknowledged.push(push.name);
      this.unanswered = undefined;
    }
  }
}

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  const response = await fetch(`${url}/api/v1/sql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sql, limit: 100_000 }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${sql} was answered ${response.status}: ${text}`);
  return (JSON.parse(text) as { rows: Row[] }).rows;
}

/** Values of /metrics: the sum over the series of a name. */
async function scraped(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** Every acknowledged event is stored, none twice, no push partially, and /metrics counts the same as SQL. */
async function verify(url: string, workers: readonly Worker[]): Promise<void> {
  const pushes = await query<{ name: string; events: number | string; ids: number | string }>(
    url,
    `SELECT split_part(task_id, '-', 1) || '-' || split_part(task_id, '-', 2) AS name,
       count(*) AS events, count(DISTINCT task_id) AS ids
     FROM samples WHERE metric LIKE 'kill.%' GROUP BY name`,
  );
  expect(pushes.filter(({ events, ids }) => Number(events) !== BATCH || Number(ids) !== BATCH)).toEqual([]);
  const stored = new Set(pushes.map(({ name }) => name));
  expect(workers.flatMap(({ acknowledged }) => acknowledged).filter((name) => !stored.has(name))).toEqual([]);

  const [{ observations, duration, done }] = await query<Record<string, number | string>>(
    url,
    `SELECT count(*) FILTER (metric = 'kill.duration_ms') AS observations,
       coalesce(sum(value) FILTER (metric = 'kill.duration_ms'), 0) AS duration,
       coalesce(sum(value) FILTER (metric = 'kill.done'), 0) AS done FROM samples`,
  );
  // Whole values far below 2^53: sums are exact in any order.
  expect(await scraped(url, "kill_duration_ms_count")).toBe(Number(observations));
  expect(await scraped(url, "kill_duration_ms_sum")).toBe(Number(duration));
  expect(await scraped(url, "kill_done_total")).toBe(Number(done));
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test(`acknowledged events survive ${KILLS} kills, and are stored once`, async () => {
  const next = random(SEED);
  const data = temporaryFolder();
  const workers = Array.from({ length: WORKERS }, (_, worker) => new Worker(worker));
  for (let round = 0; round < KILLS; round++) {
    const gateway = await start(data);
    if (round > 0) await verify(gateway.url, workers);
    const pushing = Promise.all(workers.map((worker) => worker.run(gateway.url, Number.POSITIVE_INFINITY)));
    // The kill follows a drawn number of acknowledgements and a drawn fraction of a millisecond.
    const acknowledged = () => workers.reduce((sum, worker) => sum + worker.acknowledged.length, 0);
    const enough = acknowledged() + 5 + 60 * next();
    while (acknowledged() < enough) await Bun.sleep(1);
    await Bun.sleep(5 * next());
    await gateway.stop("SIGKILL");
    await pushing;
    // Every other time the next start is killed too, while it opens the file and replays rows that no snapshot
    // contains.
    if (round % 2 === 1) await GatewayProcess.startAndKill(options(data), 50 + 300 * next());
  }
  const gateway = await start(data);
  // Unanswered pushes are sent again with their key, twice, and are stored once.
  for (const worker of workers) {
    const { unanswered } = worker;
    await worker.run(gateway.url, 1);
    if (unanswered) expect((await send(gateway.url, unanswered))?.headers.get("Weir-Duplicate")).toBe("true");
  }
  await verify(gateway.url, workers);
  expect(await gateway.stop("SIGTERM")).toBe(0);
  const again = await start(data);
  await verify(again.url, workers);
  expect(await again.stop("SIGTERM")).toBe(0);
});

for (const signal of ["SIGTERM", "SIGINT"] as const)
  test(`${signal} answers the pushes in progress, keeps acknowledged events and exits with 0`, async () => {
    const data = temporaryFolder();
    const gateway = await start(data);
    const workers = Array.from({ length: WORKERS }, (_, worker) => new Worker(worker));
    const pushing = Promise.all(workers.map((worker) => worker.run(gateway.url, Number.POSITIVE_INFINITY)));
    while (workers.some((worker) => worker.acknowledged.length < 2)) await Bun.sleep(1);
    const stopped = gateway.stop(signal);
    expect(await stopped).toBe(0);
    await pushing;

    const again = await start(data);
    await verify(again.url, workers);
    await again.stop("SIGTERM");
  });

test("a push whose body arrived partially before SIGTERM is answered and stored", async () => {
  const data = temporaryFolder();
  const gateway = await start(data);
  const push = makePush(0, 0);
  const answer = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(gateway.url).port),
    socket: {
      data: (_, bytes) => answer.resolve(bytes.toString()),
      close: () => answer.resolve("closed without an answer"),
    },
  });
  const half = push.body.length >> 1;
  socket.write(
    `POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${push.body.length}\r\n\r\n${push.body.slice(0, half)}`,
  );
  // The answer to a later request shows that the bytes before it were read.
  await (await fetch(`${gateway.url}/-/healthy`)).text();
  const stopped = gateway.stop("SIGTERM");
  await until("the listeners to close", async () => !(await accepts(gateway.url)));
  socket.write(push.body.slice(half));
  expect(await answer.promise).toStartWith("HTTP/1.1 200 ");
  expect(await stopped).toBe(0);

  const again = await start(data);
  const worker = new Worker(0);
  worker.acknowledged.push(push.name);
  await verify(again.url, [worker]);
  await again.stop("SIGTERM");
});

/** Whether a new connection gets the answer that the gateway is ready. */
async function accepts(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/-/ready`, { headers: { Connection: "close" } });
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}

test("a second process on the same folder exits with the reason", async () => {
  const data = temporaryFolder();
  const gateway = await start(data);
  const second = await GatewayProcess.startToEnd(options(data));
  expect(second.exitCode).toBe(1);
  expect(second.log).toMatch(/another process/i);
  // The first process continues.
  const worker = new Worker(0);
  await worker.run(gateway.url, 1);
  await verify(gateway.url, [worker]);
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

test("a journal of another store ends the start with the reason, and is kept", async () => {
  const data = temporaryFolder();
  const gateway = await start(data);
  const worker = new Worker(0);
  await worker.run(gateway.url, 3);
  await gateway.stop("SIGKILL");
  const journal = join(data, "store.duckdb.journal");
  const bytes = readFileSync(journal);
  expect(bytes.length).toBeGreaterThan(0);
  // A store that was made later, and one that was made earlier, than the store of the journal.
  for (const end of ["", ".wal"]) renameSync(join(data, `store.duckdb${end}`), join(data, `kept${end}`));
  const later = Buffer.from(bytes);
  // The sequences of all records are an hour later. The first begins behind the header page.
  for (let at = 4_096; at < later.length; ) {
    const end = at + 32 + later.readUInt32LE(at);
    later.writeDoubleLE(later.readDoubleLE(at + 8) + 3.6e9, at + 8);
    later.writeUInt32LE(Bun.hash.crc32(later.subarray(at + 8, end)), at + 4);
    at = end;
  }
  writeFileSync(journal, later);
  const refused = await GatewayProcess.startToEnd(options(data));
  expect(refused.exitCode).toBe(1);
  expect(refused.log).toMatch(
    /^weir serve: .*store\.duckdb\.journal continues from change .* or move the journal to another folder, run "weir doctor --repair --data .*", and lose its changes\n$/,
  );
  expect(readFileSync(journal)).toEqual(later);
  // With its own store, all events are there.
  for (const end of ["", ".wal"]) renameSync(join(data, `kept${end}`), join(data, `store.duckdb${end}`));
  writeFileSync(journal, bytes);
  const again = await start(data);
  await verify(again.url, [worker]);
  expect(await again.stop("SIGTERM")).toBe(0);
});
