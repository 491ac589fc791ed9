/**
 * The remote_write benchmark: the same requests to this gateway and to alternative servers, in one run.
 * This gateway answers after its commit; the others before anything is safe on disk (VictoriaMetrics keeps a
 * second in memory, Prometheus does not sync its log), which is said beside the figures.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hottest } from "./profile.ts";
import { requests, type Version } from "./remote-write-requests.ts";
import { contenders, type Server } from "./remote-write-servers.ts";
import { folderBytes, percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench remote-write [options] [-- arguments of weir serve]

Sends remote_write requests of version 1.0 to this gateway, and to victoria-metrics and prometheus if they are
installed. Sends the same samples in version 2.0 to a new gateway (weir-v2).

  --series N         series (default 10000)
  --samples N        samples in total (default 2000000)
  --batch N          samples per request (default 1250)
  --connections N    concurrent requests, each with its own series (default 4)
  --again            sends everything a second time, like a sender that got no answer
  --mixed            two senders of the same series, whose samples are out of order relative to each other
  --servers LIST     of weir, weir-v2, victoria-metrics, prometheus (default: all that are installed)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles weir and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    series: { type: "string", default: "10000" },
    samples: { type: "string", default: "2000000" },
    batch: { type: "string", default: "1250" },
    connections: { type: "string", default: "4" },
    again: { type: "boolean", default: false },
    mixed: { type: "boolean", default: false },
    servers: { type: "string", default: "weir,weir-v2,victoria-metrics,prometheus" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const HEADERS = {
  "1.0": {
    "content-encoding": "snappy",
    "content-type": "application/x-protobuf",
    "x-prometheus-remote-write-version": "0.1.0",
  },
  "2.0": {
    "content-encoding": "snappy",
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "x-prometheus-remote-write-version": "2.0.0",
  },
};
const INTERVAL_MS = 1_000;

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const [series, connections] = [count(options.series), count(options.connections)];
  const scrapes = Math.max(1, Math.round(count(options.samples) / series));
  console.log(
    `${series} series, ${series * scrapes} samples, ${options.batch} a request, ${connections} connections; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  const load = { series, scrapes, samplesPerRequest: count(options.batch), intervalMs: INTERVAL_MS };
  const firstMs = Date.now() - scrapes * INTERVAL_MS;
  const sharesOf = (version: Version) => [
    ...requests({ ...load, version, connections, firstMs }),
    // The other sender is half an interval off: each of its samples is older than one that was sent before.
    ...(options.mixed ? requests({ ...load, version, connections, firstMs: firstMs - INTERVAL_MS / 2 }) : []),
  ];
  const samples = series * scrapes * (options.mixed ? 2 : 1);
  const named = options.servers.split(",");
  const profiles = mkdtempSync(join(options.folder, "weir-profiles-"));
  const runtimeArgs = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  for (const contender of contenders(serveArgs, runtimeArgs)) {
    if (!named.includes(contender.name)) continue;
    console.log(`\n${contender.name}${contender.absent ? `: ${contender.absent}` : ""}`);
    if (contender.absent) continue;
    const shares = sharesOf(contender.version);
    const bytes = shares.flat().reduce((sum, { length }) => sum + length, 0);
    say("requests", `version ${contender.version}, ${fixed(bytes / samples)} bytes per sample`);
    const folder = mkdtempSync(join(options.folder, "weir-bench-"));
    try {
      const server = await contender.start(folder);
      try {
        await phase("", server, contender.version, shares, samples);
        if (options.again) await phase("again: ", server, contender.version, shares, samples);
      } finally {
        await server.stop();
      }
      const stored = folderBytes(folder);
      say(
        "disk, after the stop",
        `${fixed(stored / samples)} bytes per sample, ${fixed(stored / 1e6, 0)} MB`,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    if (options.profile && contender.name.startsWith("weir")) showProfile(profiles);
  }
  rmSync(profiles, { recursive: true });
}

async function phase(
  prefix: string,
  server: Server,
  version: Version,
  shares: readonly (readonly Uint8Array<ArrayBuffer>[])[],
  samples: number,
): Promise<void> {
  const latencies: number[] = [];
  let retried = 0;
  const send = async (bodies: readonly Uint8Array<ArrayBuffer>[]) => {
    for (const body of bodies) {
      const started = performance.now();
      for (;;) {
        const response = await fetch(server.url, { method: "POST", headers: HEADERS[version], body });
        const text = await response.text();
        if (response.ok) break;
        if (response.status !== 503) throw new Error(`A request was answered ${response.status}: ${text}`);
        retried++;
        await Bun.sleep(1_000 * Number(response.headers.get("retry-after") ?? 1));
      }
      latencies.push(performance.now() - started);
    }
  };
  const before = usageOf(server.pid);
  const started = performance.now();
  await Promise.all(shares.map(send));
  const seconds = (performance.now() - started) / 1_000;
  const after = usageOf(server.pid);
  const cpu = ((after.cpuSeconds - before.cpuSeconds) / samples) * 1e6;
  const main = ((after.mainThreadSeconds - before.mainThreadSeconds) / samples) * 1e6;
  say(`${prefix}samples/s`, `${Math.round(samples / seconds)} (${samples} in ${fixed(seconds)} s)`);
  say(`${prefix}CPU-s per million`, `${fixed(cpu, 2)} (first thread ${fixed(main, 2)})`);
  say(
    `${prefix}request`,
    `p50 ${fixed(percentile(latencies, 0.5))} ms, p99 ${fixed(percentile(latencies, 0.99))} ms, max ${fixed(percentile(latencies, 1))} ms`,
  );
  say(`${prefix}memory`, `${fixed(after.residentBytesPeak / 1e6, 0)} MB at most`);
  if (retried > 0) say(`${prefix}retried after 503`, `${retried}`);
}

function showProfile(folder: string): void {
  for (const { where, milliseconds, share } of hottest(folder, 30))
    console.log(`  ${fixed(100 * share).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`);
}
