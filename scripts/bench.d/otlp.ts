/**
 * The OTLP benchmark: the rate and the cost of metrics of OpenTelemetry as protobuf over HTTP, each request answered
 * after its commit. A histogram is one point, and becomes 13 samples here.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { type OtlpLoad, pointsPerExport, requests, samplesPerPoint } from "./otlp-requests.ts";
import { hottest } from "./profile.ts";
import { weir } from "./servers.ts";
import { folderBytes, percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench otlp [options] [-- arguments of weir serve]

Sends metrics of OpenTelemetry by OTLP/HTTP: per worker ten counters, eight gauges and two histograms with 10 bounds,
each with the same label sets.

  --points N         data points in total (default 1000000)
  --workers N        workers, each a resource of its own (default 40)
  --label-sets N     label sets per metric and worker (default 5)
  --batch N          workers per request (default 10: 1,000 points with the default of --label-sets)
  --connections N    concurrent requests, each with its own workers (default 4)
  --delta            increments instead of running totals
  --gzip             compresses the requests, as a Collector does by default
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles weir and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    points: { type: "string", default: "1000000" },
    workers: { type: "string", default: "40" },
    "label-sets": { type: "string", default: "5" },
    batch: { type: "string", default: "10" },
    connections: { type: "string", default: "4" },
    delta: { type: "boolean", default: false },
    gzip: { type: "boolean", default: false },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const INTERVAL_MS = 1_000;

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const plan: OtlpLoad = {
    workers: count(options.workers),
    labelSets: count(options["label-sets"]),
    workersPerRequest: count(options.batch),
    connections: count(options.connections),
    exports: 1,
    firstMs: 0,
    intervalMs: INTERVAL_MS,
    temporality: options.delta ? "delta" : "cumulative",
  };
  const exports = Math.max(1, Math.round(count(options.points) / pointsPerExport(plan)));
  const load = { ...plan, exports, firstMs: Date.now() - exports * INTERVAL_MS };
  const points = exports * pointsPerExport(load);
  console.log(
    `${points} points, ${fixed(samplesPerPoint)} samples per point, ${load.temporality}, ${load.connections} connections; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  const shares = requests(load);
  const bodies = options.gzip
    ? shares.map((share) => share.map((body) => new Uint8Array(gzipSync(body))))
    : shares;
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  const profiles = mkdtempSync(join(options.folder, "weir-profiles-"));
  const runtimeArgs = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  try {
    const server = await weir("/v1/metrics", serveArgs, runtimeArgs).start(folder);
    try {
      await measure(server, bodies, points);
    } finally {
      await server.stop();
    }
    const bytes = folderBytes(folder);
    say("disk, after the stop", `${fixed(bytes / points)} bytes per point, ${fixed(bytes / 1e6, 0)} MB`);
    if (options.profile) showProfile(profiles);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(profiles, { recursive: true });
  }
}

async function measure(
  { url, pid }: { readonly url: string; readonly pid: number },
  shares: readonly (readonly Uint8Array<ArrayBuffer>[])[],
  points: number,
): Promise<void> {
  const latencies: number[] = [];
  let busy = 0;
  const headers: Record<string, string> = { "content-type": "application/x-protobuf" };
  if (options.gzip) headers["content-encoding"] = "gzip";
  const send = async (bodies: readonly Uint8Array<ArrayBuffer>[]) => {
    for (const body of bodies) {
      const started = performance.now();
      for (;;) {
        const response = await fetch(url, { method: "POST", headers, body });
        const answer = await response.text();
        if (response.ok && answer === "") break;
        if (response.status !== 429) throw new Error(`A request was answered ${response.status}: ${answer}`);
        busy++;
        await Bun.sleep(1_000 * Number(response.headers.get("retry-after") ?? 1));
      }
      latencies.push(performance.now() - started);
    }
  };
  const before = usageOf(pid);
  const started = performance.now();
  await Promise.all(shares.map(send));
  const seconds = (performance.now() - started) / 1_000;
  const after = usageOf(pid);
  const perMillion = (used: number) => fixed((used / points) * 1e6, 2);
  const cpu = after.cpuSeconds - before.cpuSeconds;
  const main = after.mainThreadSeconds - before.mainThreadSeconds;
  say("points/s", `${Math.round(points / seconds)} (${points} in ${fixed(seconds)} s)`);
  say("samples/s", `${Math.round((points * samplesPerPoint) / seconds)}`);
  say("CPU-s per million points", `${perMillion(cpu)} (first thread ${perMillion(main)})`);
  say("CPU-s per million samples", perMillion(cpu / samplesPerPoint));
  say(
    "request",
    `p50 ${fixed(percentile(latencies, 0.5))} ms, p99 ${fixed(percentile(latencies, 0.99))} ms, max ${fixed(percentile(latencies, 1))} ms`,
  );
  say("memory", `${fixed(after.residentBytesPeak / 1e6, 0)} MB at most`);
  if (busy > 0) say("rejected with 429", `${busy}`);
}

function showProfile(folder: string): void {
  for (const { where, milliseconds, share } of hottest(folder, 30))
    console.log(`  ${fixed(100 * share).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`);
}
