/**
 * The benchmark of the Influx line protocol: the same lines to this gateway and to Debian's InfluxDB, one after the
 * other, in one run. Each line is an event with tags, one number, and a task_id of its own as a string field. Both
 * servers answer after the points are in a log on the disk.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { hottest } from "./profile.ts";
import { eventLines, lineServers } from "./influx-servers.ts";
import type { Server } from "./servers.ts";
import { folderBytes, percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench influx [options] [-- arguments of weir serve]

Sends events as lines to this gateway, and to influxd if it is installed.

  --points N         points per server and round (default 1000000)
  --batch N          points per request (default 1000)
  --connections N    concurrent requests (default 4)
  --levels           sends lines of ten numbers without a task_id instead, as Telegraf does
  --rounds N         rounds in which each server is measured once (default 2)
  --gzip             compresses the requests, as Telegraf does by default
  --servers LIST     of weir, influxd (default: all that are installed)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles weir and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    points: { type: "string", default: "1000000" },
    batch: { type: "string", default: "1000" },
    connections: { type: "string", default: "4" },
    levels: { type: "boolean", default: false },
    rounds: { type: "string", default: "2" },
    gzip: { type: "boolean", default: false },
    servers: { type: "string", default: "weir,influxd" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const LEVELS_PER_LINE = 10;
const LEVEL_SERIES = 1_000;

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const points = count(options.points);
  const connections = count(options.connections);
  console.log(
    `${points} points, ${options.batch} per request, ${connections} connections; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  const profiles = mkdtempSync(join(options.folder, "weir-profiles-"));
  const runtimeArgs = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  for (let round = 1; round <= count(options.rounds); round++) {
    // The times are those of the round, so that they count in totals.
    const sent = [...(options.levels ? levels : eventLines)(points, count(options.batch))].map((text) =>
      options.gzip ? new Uint8Array(gzipSync(text)) : new TextEncoder().encode(text),
    );
    for (const contender of lineServers(serveArgs, runtimeArgs)) {
      if (!options.servers.split(",").includes(contender.name)) continue;
      console.log(`\n${contender.name}, round ${round}${contender.absent ? `: ${contender.absent}` : ""}`);
      if (contender.absent) continue;
      const folder = mkdtempSync(join(options.folder, "weir-bench-"));
      try {
        const server = await contender.start(folder);
        try {
          await measure(server, sent, points, connections);
        } finally {
          await server.stop();
        }
        const bytes = folderBytes(folder);
        say("disk, after the stop", `${fixed(bytes / points)} bytes per point, ${fixed(bytes / 1e6, 0)} MB`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      if (options.profile && contender.name === "weir") showProfile(profiles);
    }
  }
  rmSync(profiles, { recursive: true });
}

/** Lines of ten numbers each, of a thousand hosts and cores. */
function* levels(points: number, batch: number): Generator<string> {
  let us = Date.now() * 1_000 - points;
  let lines: string[] = [];
  for (let line = 0; line < points / LEVELS_PER_LINE; line++) {
    const series = line % LEVEL_SERIES;
    const fields = Array.from(
      { length: LEVELS_PER_LINE },
      (_, field) => `usage_${field}=${((line * 7 + field) % 1_000) / 10}`,
    );
    lines.push(`cpu,host=host-${series >> 3},cpu=cpu${series & 7} ${fields.join(",")} ${us++}`);
    if (lines.length * LEVELS_PER_LINE >= batch) {
      yield lines.join("\n");
      lines = [];
    }
  }
  if (lines.length > 0) yield lines.join("\n");
}

async function measure(
  { url, pid }: Server,
  sent: readonly Uint8Array<ArrayBuffer>[],
  points: number,
  connections: number,
): Promise<void> {
  const latencies: number[] = [];
  const headers: Record<string, string> = options.gzip ? { "content-encoding": "gzip" } : {};
  let next = 0;
  let busy = 0;
  const send = async () => {
    for (let body = sent[next++]; body; body = sent[next++]) {
      const started = performance.now();
      for (;;) {
        const response = await fetch(url, { method: "POST", headers, body });
        if (response.status === 204) break;
        const text = await response.text();
        if (response.status !== 429) throw new Error(`A request was answered ${response.status}: ${text}`);
        busy++;
        await Bun.sleep(1_000 * Number(response.headers.get("retry-after") ?? 1));
      }
      latencies.push(performance.now() - started);
    }
  };
  const before = usageOf(pid);
  const started = performance.now();
  await Promise.all(Array.from({ length: connections }, send));
  const seconds = (performance.now() - started) / 1_000;
  const after = usageOf(pid);
  const perMillion = (used: number) => fixed((used / points) * 1e6, 2);
  say("points/s", `${Math.round(points / seconds)} (${points} in ${fixed(seconds)} s)`);
  say(
    "CPU-s per million",
    `${perMillion(after.cpuSeconds - before.cpuSeconds)} (first thread ${perMillion(after.mainThreadSeconds - before.mainThreadSeconds)})`,
  );
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
