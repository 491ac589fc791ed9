/**
 * The OTLP benchmark: the rate and the cost of metrics of OpenTelemetry as protobuf over HTTP, each request answered
 * after its commit, for two mixes of points. A histogram is one point, and becomes 13 samples here. Each mix has a server
 * of its own, which gets some requests before the measurement: the compiler of JavaScript then has done most of its work.
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

Sends metrics of OpenTelemetry by OTLP/HTTP: per worker ten counters and ten gauges (the mix "plain"), or ten counters,
eight gauges and two histograms with 10 bounds ("histograms"), each with the same label sets.

  --mix NAME         plain or histograms (default: one after the other)
  --points N         data points that are measured (default 1000000)
  --warm-up N        data points that are sent before them (default 300000)
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
    mix: { type: "string", default: "plain,histograms" },
    points: { type: "string", default: "1000000" },
    "warm-up": { type: "string", default: "300000" },
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
else for (const mix of options.mix.split(",")) await run(mix);

async function run(mix: string): Promise<void> {
  const plan: OtlpLoad = {
    workers: count(options.workers),
    labelSets: count(options["label-sets"]),
    workersPerRequest: count(options.batch),
    connections: count(options.connections),
    exports: 1,
    firstMs: 0,
    intervalMs: INTERVAL_MS,
    temporality: options.delta ? "delta" : "cumulative",
    hasHistograms: mix === "histograms",
  };
  const exportsOf = (points: string) => Math.round(count(points) / pointsPerExport(plan));
  const [measured, before] = [Math.max(1, exportsOf(options.points)), exportsOf(options["warm-up"])];
  const exports = measured + before;
  const load = { ...plan, exports, firstMs: Date.now() - exports * INTERVAL_MS };
  const points = measured * pointsPerExport(load);
  console.log(
    `${mix}: ${points} points, ${fixed(samplesPerPoint(load))} samples per point, ${load.temporality}, ${load.connections} connections; ` +
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
      const first = bodies.map((share) => Math.round((share.length * before) / exports));
      await send(
        server.url,
        bodies.map((share, index) => share.slice(0, first[index])),
      );
      const rest = bodies.map((share, index) => share.slice(first[index]));
      await measure(server, rest, points, samplesPerPoint(load));
    } finally {
      await server.stop();
    }
    const bytes = folderBytes(folder);
    const all = exports * pointsPerExport(load);
    say("disk, after the stop", `${fixed(bytes / all)} bytes per point, ${fixed(bytes / 1e6, 0)} MB`);
    if (options.profile) showProfile(profiles);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(profiles, { recursive: true });
  }
}

type Share = readonly Uint8Array<ArrayBuffer>[];

/** Sends the requests of each connection one after the other. */
async function send(url: string, shares: readonly Share[]): Promise<{ latencies: number[]; busy: number }> {
  const latencies: number[] = [];
  let busy = 0;
  const headers: Record<string, string> = { "content-type": "application/x-protobuf" };
  if (options.gzip) headers["content-encoding"] = "gzip";
  const connection = async (bodies: Share) => {
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
  await Promise.all(shares.map(connection));
  return { latencies, busy };
}

async function measure(
  { url, pid }: { readonly url: string; readonly pid: number },
  shares: readonly Share[],
  points: number,
  samplesEach: number,
): Promise<void> {
  const before = usageOf(pid);
  const started = performance.now();
  const { latencies, busy } = await send(url, shares);
  const seconds = (performance.now() - started) / 1_000;
  const after = usageOf(pid);
  const perMillion = (used: number) => fixed((used / points) * 1e6, 2);
  const cpu = after.cpuSeconds - before.cpuSeconds;
  const main = after.mainThreadSeconds - before.mainThreadSeconds;
  say("points/s", `${Math.round(points / seconds)} (${points} in ${fixed(seconds)} s)`);
  say("samples/s", `${Math.round((points * samplesEach) / seconds)}`);
  say("CPU-s per million points", `${perMillion(cpu)} (first thread ${perMillion(main)})`);
  say("CPU-s per million samples", perMillion(cpu / samplesEach));
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
