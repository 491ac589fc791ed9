/**
 * Measures weir/client in this process: what `observe` costs the worker, while the gateway answers, while it hangs, and
 * while nothing listens. Each run records at a steady pace and times each call by itself.
 *
 * usage: scripts/bench client [--seconds 8] [--rate 5000]
 */
import { createServer, type Server } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { heapStats } from "bun:jsc";
import { parseArgs } from "node:util";
import { createWeir, type WeirClient } from "../../src/client/index.ts";
import { Recorder } from "../../src/client/recorder.ts";
import { ClientCounts } from "../../src/client/client-counts.ts";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { percentile } from "./usage.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "8" },
    rate: { type: "string", default: "5000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`usage: scripts/bench client [--seconds 8] [--rate 5000]

Measures weir/client in one process: the mean cost of observe, the heap of a sample, and the time of each call while
samples are recorded at a rate, for each state of the gateway: it answers, it hangs, nothing listens.`);
  process.exit(0);
}
const seconds = Number(values.seconds);
const rate = Number(values.rate);

const TAGS = {
  task_id: "1704067200_abc123",
  operation: "target_request",
  url: "https://api.code.example/repos/one/issues",
  domain: "api.code.example",
  method: "GET",
  status_code: "200",
  success: "true",
};

/** The mean of a call, without the timer around it, and without what sends: the batches are dropped. */
function meanOfCalls(): void {
  const calls = 1_000_000;
  const recorder = new Recorder({
    batchSamples: 1_000,
    batchBytes: 2 ** 20,
    counts: new ClientCounts(() => undefined),
    onFull: () => undefined,
  });
  const run = () => {
    for (let index = 0; index < calls; index++)
      recorder.record("observation", "http.request.duration_ms", index, TAGS);
  };
  const empty = () => {
    const kept: object[] = [];
    for (let index = 0; index < calls; index++) {
      if (kept.length === 1_000) kept.length = 0;
      kept.push({
        name: "http.request.duration_ms",
        value: index,
        atMs: Date.now(),
        kind: "o",
        tags: { ...TAGS },
      });
    }
  };
  const nanosecondsOf = (loop: () => void) => {
    loop();
    const started = Bun.nanoseconds();
    loop();
    return (Bun.nanoseconds() - started) / calls;
  };
  console.log(
    `observe with 7 tags: ${nanosecondsOf(run).toFixed(0)} ns a call; a copy of the sample alone: ${nanosecondsOf(empty).toFixed(0)} ns`,
  );
}

/** Bytes of the heap that one recorded sample takes. */
function heapOfSamples(): void {
  const samples = 100_000;
  const heap = (record: (index: number) => void) => {
    Bun.gc(true);
    const before = heapStats().heapSize;
    for (let index = 0; index < samples; index++) record(index);
    Bun.gc(true);
    return (heapStats().heapSize - before) / samples;
  };
  const kept: object[] = [];
  const recorder = new Recorder({
    batchSamples: samples + 1,
    batchBytes: Number.MAX_SAFE_INTEGER,
    counts: new ClientCounts(() => undefined),
    onFull: () => undefined,
  });
  const sample = heap((index) =>
    kept.push({
      name: "http.request.duration_ms",
      value: index,
      atMs: Date.now(),
      kind: "o",
      tags: { ...TAGS },
    }),
  );
  const recorded = heap((index) => recorder.record("observation", "http.request.duration_ms", index, TAGS));
  console.log(
    `heap for a recorded sample: ${recorded.toFixed(0)} bytes; for a copy of the sample alone: ${sample.toFixed(0)} bytes (${kept.length + recorder.length} kept)`,
  );
}

async function latencies(title: string, weir: WeirClient): Promise<void> {
  const took: number[] = [];
  const perTurn = Math.ceil(rate / 200);
  const endMs = performance.now() + seconds * 1_000;
  while (performance.now() < endMs) {
    for (let index = 0; index < perTurn; index++) {
      const started = Bun.nanoseconds();
      weir.observe("http.request.duration_ms", index, TAGS);
      took.push(Bun.nanoseconds() - started);
    }
    await Bun.sleep(5);
  }
  const { recorded, stored, inMemory, spooled } = weir.stats();
  const at = (share: number) => (percentile(took, share) / 1_000).toFixed(2).padStart(8);
  console.log(
    `${title.padEnd(20)} p50 ${at(0.5)}  p99 ${at(0.99)}  p99.9 ${at(0.999)}  max ${at(1)} µs   recorded ${recorded}, stored ${stored}, in memory ${inMemory}, spooled ${spooled.samples}`,
  );
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

meanOfCalls();
heapOfSamples();
await withFolder(async (folder) => {
  const gateway = await GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler"] });
  const quiet = { closeTimeoutMs: 500, signals: false, onProblem: () => undefined };
  const spool = join(folder, "spool");
  const answering = createWeir({ ...quiet, url: gateway.url, spool, worker: "answers" });
  await latencies("the gateway answers", answering);
  await answering.close();
  await gateway.stop("SIGTERM");

  const hanging = await listening(createServer(() => undefined));
  const waiting = createWeir({ ...quiet, url: hanging.url, spool, worker: "hangs" });
  await latencies("the gateway hangs", waiting);
  await waiting.close();

  const refused = createWeir({ ...quiet, url: "http://127.0.0.1:9", spool, worker: "away" });
  await latencies("nothing listens", refused);
  await refused.close();

  const memory = createWeir({ ...quiet, url: hanging.url });
  await latencies("hangs, no spool", memory);
  await memory.close();
  hanging.server.close();
});
process.exit(0);

async function listening(server: Server): Promise<{ readonly server: Server; readonly url: string }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server, url: `http://127.0.0.1:${address.port}` };
}
