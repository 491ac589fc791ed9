/**
 * Memory over time: the resident size of the gateway under the load of a small site, for as long as is wished. The load is
 * constant, so that a size that keeps growing after the first minutes is a leak or a cache without a bound.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { bodies } from "./events.ts";
import { folderBytes, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench soak [options] [-- arguments of weir serve]

Pushes at a constant rate and shows the resident size of the gateway. Per second of the load: 20 pushes of 50 events, each
with an Idempotency-Key; 5 pushes to groups of Pushgateway; one scrape.

  --minutes N        how long (default 60)
  --settle N         the minutes after which growth counts (default 10)
  --every N          seconds between two lines (default 60)
  --speed N          multiplies the load (default 1)
  --groups N         groups that are pushed in turn (default 200)
  --inside           shows what the runtime says of its heap, too
  --keep             keeps the data folder
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    settle: { type: "string", default: "10" },
    every: { type: "string", default: "60" },
    speed: { type: "string", default: "1" },
    groups: { type: "string", default: "200" },
    inside: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const EVENTS_PER_PUSH = 50;
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "weir-soak-"));
  const heapFile = join(folder, "heap.json");
  const runtimeArgs = options.inside ? ["--preload", join(import.meta.dir, "soak-heap.ts")] : [];
  if (options.inside) process.env.WEIR_SOAK_HEAP_FILE = heapFile;
  try {
    const gateway = await GatewayProcess.start({
      data: join(folder, "data"),
      args: ["--sampler", "--log-level=error", ...serveArgs],
      runtimeArgs,
    });
    try {
      await soak(gateway, join(folder, "data"), options.inside ? heapFile : undefined);
    } finally {
      await gateway.stop("SIGTERM");
    }
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

async function soak(gateway: GatewayProcess, data: string, heapFile: string | undefined): Promise<void> {
  const speed = Number(options.speed);
  const endMs = performance.now() + 60_000 * Number(options.minutes);
  const settledMs = performance.now() + 60_000 * Number(options.settle);
  const startMs = performance.now();
  let pushes = 0;
  let events = 0;
  let seed = 1;
  let group = 0;
  let failed: unknown;
  const send = async (path: string, init?: RequestInit) => {
    const response = await fetch(gateway.url + path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${text}`);
  };
  /** Runs a request again and again at a constant rate; a late one is not made up for. */
  const repeat = async (perSecond: number, run: () => Promise<void>) => {
    const intervalMs = 1000 / perSecond;
    for (let due = performance.now(); due < endMs && failed === undefined; ) {
      await run().catch((error) => {
        failed = error;
      });
      due = Math.max(due + intervalMs, performance.now());
      await Bun.sleep(Math.max(0, due - performance.now()));
    }
  };
  const pushEvents = async () => {
    const nowMs = Date.now();
    const [body] = bodies(EVENTS_PER_PUSH, EVENTS_PER_PUSH, { fromMs: nowMs, toMs: nowMs }, seed++);
    const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
    await send("/api/v1/push", { method: "POST", headers, body });
    pushes++;
    events += EVENTS_PER_PUSH;
  };
  const pushGroup = async () => {
    const number = group++ % Number(options.groups);
    const lines = ["# TYPE batch_last_success gauge", `batch_last_success ${Date.now() / 1000}`];
    lines.push("# TYPE batch_records counter", `batch_records{kind="read"} ${group}`, "");
    await send(`/metrics/job/batch/instance/${number}`, { method: "POST", body: lines.join("\n") });
  };
  const sizes: { minute: number; bytes: number }[] = [];
  const show = async () => {
    const { residentBytes, cpuSeconds } = usageOf(gateway.pid);
    const minute = (performance.now() - startMs) / 60_000;
    if (performance.now() >= settledMs) sizes.push({ minute, bytes: residentBytes });
    const inside = heapFile === undefined ? "" : `  ${readFileSync(heapFile, "utf8").trim()}`;
    console.log(
      `${minute.toFixed(1).padStart(6)} min  ${megabytes(residentBytes).padStart(6)} MB resident  ` +
        `${megabytes(folderBytes(data)).padStart(6)} MB on disk  ${events} events  ${cpuSeconds.toFixed(0)} CPU-s${inside}`,
    );
  };
  console.log(`load ${loadavg()[0]!.toFixed(1)} before, Bun ${Bun.version}`);
  await Promise.all([
    ...Array.from({ length: 4 }, () => repeat(5 * speed, pushEvents)),
    repeat(5 * speed, pushGroup),
    repeat(speed, () => send("/metrics")),
    repeat(1 / Number(options.every), show),
  ]);
  if (failed !== undefined) throw failed;
  await show();
  console.log(`${pushes} pushes of ${EVENTS_PER_PUSH} events`);
  if (sizes.length > 2)
    console.log(`growth after ${options.settle} min: ${slope(sizes).toFixed(2)} MB per minute`);
}

/** The slope of the line that fits best, in megabytes per minute. */
function slope(sizes: readonly { minute: number; bytes: number }[]): number {
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanMinute = meanOf(sizes.map(({ minute }) => minute));
  const meanBytes = meanOf(sizes.map(({ bytes }) => bytes));
  let product = 0;
  let square = 0;
  for (const { minute, bytes } of sizes) {
    product += (minute - meanMinute) * (bytes - meanBytes);
    square += (minute - meanMinute) ** 2;
  }
  return product / square / 1e6;
}
