/**
 * Runs weir/client for minutes at a constant rate, while the real gateway answers, refuses, hangs, loses answers, and is
 * killed and restarted in turn. Prints the memory of the worker, and exits with 1 if its heap grows or if a sample is not
 * stored exactly once.
 */
import { heapStats } from "bun:jsc";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createWeir } from "../../src/client/index.ts";
import { Between, storedWork, type Traffic } from "../../test/client/between.ts";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { usageOf } from "./usage.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    rate: { type: "string", default: "2000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`usage: scripts/soak-client [--minutes 5] [--rate 2000]

Records samples at a rate, with a spool. Each half minute the gateway answers for 12 s, answers 503, hangs, and stores pushes
without answering, for 4 s each, and is killed and restarted. Prints heap and memory of the worker every 10 s.
Exits with 1 if the heap of the last minute is more than 4 MiB above that of the first, or if a sample was lost or doubled.`);
  process.exit(0);
}
const rate = Number(values.rate);
const endMs = performance.now() + Number(values.minutes) * 60_000;
const folder = mkdtempSync(join(tmpdir(), "weir-soak-"));
const start = () => GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler"] });
let gateway = await start();
const between = new Between(gateway.url);
const weir = createWeir({
  url: between.url,
  spool: join(folder, "spool"),
  worker: "_1",
  requestTimeoutMs: 3_000,
  backoffMaxMs: 2_000,
  closeTimeoutMs: 120_000,
  signals: false,
  onProblem: ({ message }) => console.log(`  problem: ${message}`),
});

/** What the gateway does, and for how many seconds. */
const TURNS: readonly (readonly [Traffic | "restart", number])[] = [
  ["pass", 12],
  [{ status: 503, headers: { "retry-after": "1" } }, 4],
  ["hang", 4],
  ["lose answers", 4],
  ["restart", 6],
];

let next = 0;
const heaps: number[] = [];
async function record(): Promise<void> {
  const started = performance.now();
  while (performance.now() < endMs) {
    const due = ((performance.now() - started) / 1_000) * rate;
    for (; next < due; next++)
      weir.observe("work.duration_ms", next, {
        task_id: `task-${next}`,
        operation: "target_request",
        domain: `app${next % 20}.example.com`,
        status_code: next % 50 === 0 ? "500" : "200",
      });
    await Bun.sleep(10);
  }
}

async function disturb(): Promise<void> {
  for (let turn = 0; performance.now() < endMs; turn++) {
    const [what, seconds] = TURNS[turn % TURNS.length]!;
    between.keys.length = 0;
    if (what === "restart") {
      await gateway.stop("SIGKILL");
      between.traffic = "pass";
      gateway = await start();
      between.gateway = gateway.url;
    } else between.traffic = what;
    await Bun.sleep(Math.max(0, Math.min(seconds * 1_000, endMs - performance.now())));
  }
  between.traffic = "pass";
}

async function watch(): Promise<void> {
  const started = performance.now();
  while (performance.now() < endMs) {
    await Bun.sleep(10_000);
    Bun.gc(true);
    const heap = heapStats().heapSize / 2 ** 20;
    heaps.push(heap);
    const { recorded, stored, inMemory, spooled } = weir.stats();
    const resident = usageOf(process.pid).residentBytes / 2 ** 20;
    console.log(
      `${((performance.now() - started) / 1_000).toFixed(0).padStart(4)} s  heap ${heap.toFixed(1)} MiB, resident ${resident.toFixed(0)} MiB, recorded ${recorded}, stored ${stored}, in memory ${inMemory}, spooled ${spooled.samples}`,
    );
  }
}

try {
  await Promise.all([record(), disturb(), watch()]);
  await weir.flush();
  const deadline = performance.now() + 120_000;
  while (weir.stats().spooled.batches > 0 && performance.now() < deadline) await Bun.sleep(100);
  await weir.close();
  const stats = weir.stats();
  const stored = await storedWork(gateway.url);
  const first = Math.max(...heaps.slice(0, 6));
  const last = Math.max(...heaps.slice(-6));
  const isWhole = stored.count === next && stored.tasks === next && stored.sum === (next * (next - 1)) / 2;
  console.log(
    `recorded ${stats.recorded}; the gateway has ${stored.count} samples of ${stored.tasks} tasks with the sum ${stored.sum}; ${stats.requests} requests, ${stats.requestsFailed} failed`,
  );
  console.log(`largest heap of the first minute ${first.toFixed(1)} MiB, of the last ${last.toFixed(1)} MiB`);
  const isFlat = last <= first + 4;
  console.log(isWhole && isFlat ? "every sample is stored once, and memory is flat" : "FAILED");
  process.exitCode = isWhole && isFlat ? 0 : 1;
} finally {
  await between.stop();
  await gateway.stop("SIGTERM");
  rmSync(folder, { recursive: true });
}
