/**
 * Each client as a process, and the real gateway without anything between: it is stopped, full, frozen, killed and started
 * again, always at the same address. Afterwards it has every sample once.
 */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { onceEach, storedWork } from "./between.ts";
import { PYTHON, PythonProcess } from "./python-process.ts";
import { hasRuntime, installWorker, type RuntimeName, WorkerProcess } from "./worker-process.ts";

/** A client that records the samples `from` to `from + count - 1`, whose values are their numbers. */
interface RecordingClient {
  record(from: number, count: number): Promise<void>;
  /** How many requests failed so far. */
  failures(): Promise<number>;
  /** How many samples are in the spool. */
  spooled(): Promise<number>;
  end(): Promise<void>;
}

type StartClient = (url: string, spool: string) => Promise<RecordingClient>;

/** A free port, which the gateway gets again and again. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

/** More than any disk has, so that the gateway is full. */
const FULL = ["--disk-reserve-bytes", String(2 ** 52)];

async function survives(startClient: StartClient): Promise<void> {
  const data = temporaryFolder();
  const spool = join(temporaryFolder(), "spool");
  mkdirSync(spool);
  const port = freePort();
  const start = (args: readonly string[] = []) =>
    GatewayProcess.start({ data, args: ["--no-sampler", "--listen", `127.0.0.1:${port}`, ...args] });
  let gateway = await start();
  const client = await startClient(`http://127.0.0.1:${port}`, spool);
  let recorded = 0;
  const record = async (count: number) => {
    await client.record(recorded, count);
    recorded += count;
  };
  /** The shell sends what waits with the next batch. */
  const everythingIsStored = async () => {
    await record(10);
    await until(`${recorded} samples`, async () => (await storedWork(gateway.url)).count === recorded);
  };
  const failsOnce = async () => {
    const before = await client.failures();
    await record(100);
    await until("a request that fails", async () => (await client.failures()) > before);
  };
  try {
    await record(100);
    await everythingIsStored();

    await gateway.stop("SIGTERM");
    await failsOnce();

    gateway = await start(FULL);
    await failsOnce();
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(Number(/^weir_pushes_disk_full_total (\d+)$/m.exec(metrics)![1])).toBeGreaterThan(0);
    await gateway.stop("SIGKILL");
    gateway = await start();
    await everythingIsStored();

    process.kill(gateway.pid, "SIGSTOP");
    await record(100);
    await until("samples in the spool", async () => (await client.spooled()) > 0);
    process.kill(gateway.pid, "SIGCONT");
    await everythingIsStored();

    await record(1_000);
    await gateway.stop("SIGKILL");
    await record(100);
    gateway = await start();
    await everythingIsStored();
    await client.end();
    expect(await storedWork(gateway.url)).toEqual(onceEach(recorded));
    const left = readdirSync(spool, { recursive: true }).filter((name) => String(name).includes(".ndjson"));
    expect(left).toEqual([]);
  } finally {
    await client.end();
    await gateway.stop("SIGKILL");
  }
}

let installed: string | undefined;

const typescript =
  (runtime: RuntimeName): StartClient =>
  async (url, spool) => {
    installed ??= installWorker();
    const quick = { flushIntervalMs: 20, batchSamples: 50, backoffMs: 10, backoffMaxMs: 50 };
    const options = { ...quick, url, spool, worker: "_1", closeTimeoutMs: 60_000 };
    const worker = await WorkerProcess.start(runtime, installed, { options, metric: "work.duration_ms" });
    const stats = () => worker.ask({ do: "stats" });
    return {
      record: async (from, count) => void (await worker.ask({ do: "record", from, count })),
      failures: async () => (await stats()).requestsFailed,
      spooled: async () => (await stats()).spooled.samples,
      end: async () => {
        worker.endInput();
        await worker.ended();
      },
    };
  };

const python: StartClient = async (url, spool) => {
  const process = new PythonProcess();
  const where = `${JSON.stringify(url)}, spool=${JSON.stringify(spool)}, worker="_1", close_timeout_seconds=60`;
  await process.run(
    `weir = Weir(${where}, flush_interval_seconds=0.02, batch_samples=50, backoff_seconds=0.01, backoff_max_seconds=0.05)`,
  );
  return {
    record: (from, count) =>
      process.run(
        `for i in range(${from}, ${from + count}): weir.observe("work.duration_ms", i, {"task_id": f"task-{i}"})`,
      ),
    failures: () => process.run<number>('result = weir.stats()["requests_failed"]'),
    spooled: () => process.run<number>('result = weir.stats()["spooled"]["samples"]'),
    end: async () => void (await process.end()),
  };
};

/** The function of plain-http.md: a process for each batch, which sends what the ones before could not. */
const shell: StartClient = async (url, spool) => {
  const page = readFileSync(join(import.meta.dir, "../../src/client/plain-http.md"), "utf8");
  const code = `${/```sh\n([\s\S]*?)```/.exec(page)![1]}\nWEIR_TOKEN=\${WEIR_TOKEN-} weir_push`;
  const running = new Set<Promise<unknown>>();
  let failures = 0;
  const push = (events: string) => {
    const child = Bun.spawn(["sh", "-eu", "-c", code], {
      env: { ...process.env, WEIR_URL: url, WEIR_SPOOL: spool },
      stdin: new TextEncoder().encode(events),
      stdout: "ignore",
      stderr: "ignore",
    });
    const ended = child.exited.then((exitCode) => {
      if (exitCode !== 0) failures++;
      running.delete(ended);
    });
    running.add(ended);
  };
  return {
    record: async (from, count) => {
      const events = Array.from({ length: count }, (_, at) => ({
        "@timestamp": Date.now(),
        metric_name: "work.duration_ms",
        value: from + at,
        tags: { task_id: `task-${from + at}` },
      }));
      push(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    },
    failures: async () => failures,
    spooled: async () => readdirSync(spool).filter((name) => name.endsWith(".ndjson")).length,
    end: async () => void (await Promise.all(running)),
  };
};

// At the same time: most of it is waiting, such as for the Retry-After of a full gateway.
describe.concurrent("nothing is lost or doubled by a gateway that is stopped, full, frozen and killed:", () => {
  for (const runtime of ["Bun", "Node", "Deno"] as const)
    test.skipIf(!hasRuntime(runtime))(`the client in ${runtime}`, () => survives(typescript(runtime)));
  test.skipIf(PYTHON === undefined)("the client in Python", () => survives(python));
  test.skipIf(Bun.which("curl") === null)("curl with a spool folder", () => survives(shell));
});
