/**
 * A simulated worker with the TypeScript client: `bun client-worker.ts URL INDEX SPOOL`. It reads steps of work from
 * standard input, one JSON object per line, and ends with its input. It prints `ready`, and at the end how many samples
 * it recorded.
 */
import { createInterface } from "node:readline";
import { createWeir } from "../../client/index.ts";
import { createWorkerMetrics } from "../../client/worker/worker.ts";
import { isBundled } from "../../program/program-files.ts";
import { recordStep } from "./event-lines.ts";
import { FLUSH_INTERVAL_MS } from "./simulated-workers.ts";
import type { WorkStep } from "./task-work.ts";

// Not awaited here, as in main.ts. In a bundle it is a part of main.ts.
if (import.meta.main && !isBundled) void clientWorker(process.argv.slice(2));

/** The program: works until its input ends. */
export async function clientWorker([url, worker, spool]: readonly string[]): Promise<void> {
  const weir = createWeir({
    url: url!,
    worker,
    spool,
    labels: { job: "scanner" },
    flushIntervalMs: FLUSH_INTERVAL_MS,
  });
  const metrics = createWorkerMetrics(weir);
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin }))
    recordStep(metrics, JSON.parse(line) as WorkStep);
  await weir.close();
  console.log(weir.stats().recorded);
}
