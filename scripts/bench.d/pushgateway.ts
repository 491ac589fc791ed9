/**
 * The Pushgateway benchmark: the same groups pushed to this gateway and to Debian's Pushgateway, in one run. This
 * gateway answers after its commit, synced; Pushgateway keeps groups in memory (and in a file, if it is given one,
 * written every five minutes), which is said beside the figures.
 *
 * Pushgateway checks each push against all that it holds, so that filling it by pushes takes time as the square of
 * its groups: it is filled with its checks off, and started again with them on.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hottest } from "./profile.ts";
import { METRICS, pushGroup, pushgateway } from "./group-pushes.ts";
import { type Contender, type Server, weir } from "./servers.ts";
import { timeScrapes } from "./summaries.ts";
import { folderBytes, percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench pushgateway [options] [-- arguments of weir serve]

Pushes groups of six metrics, one after the other, to this gateway, and to prometheus-pushgateway if it is installed:
new groups, and the same groups again, into an empty server and into one with --groups groups. Then it scrapes.

  --pushes N         pushes of each kind (default 1000)
  --groups N         groups in the filled server (default 10000; up to 98000, or raise --groups-max)
  --peer-groups N    groups in the filled Pushgateway (default 10000, and at most --groups)
  --peer-pushes N    pushes to the filled Pushgateway, which checks all its groups at each push (default 20)
  --rounds N         scrapes; the median is shown (default 7)
  --servers LIST     of weir, pushgateway (default: both, if installed)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles weir and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    pushes: { type: "string", default: "1000" },
    groups: { type: "string", default: "10000" },
    "peer-groups": { type: "string", default: "10000" },
    "peer-pushes": { type: "string", default: "20" },
    rounds: { type: "string", default: "7" },
    servers: { type: "string", default: "weir,pushgateway" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

/** Pushes under way at once while a server is filled, which is not measured. */
const FILLING = 16;

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(28)} ${text}`);

/** What was measured, by what it is of: CPU-ms of the server, or ms of a scrape. */
type Figures = Map<string, number>;

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const [pushes, groups] = [count(options.pushes), count(options.groups)];
  console.log(
    `${pushes} pushes one by one, ${METRICS} metrics each, up to ${groups} groups; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  const named = options.servers.split(",");
  const figures: [string, Figures][] = [];
  if (named.includes("weir")) figures.push(["weir", await measureWeir(pushes, groups)]);
  if (named.includes("pushgateway")) {
    const peer = await measurePeer(pushes, Math.min(groups, count(options["peer-groups"])));
    if (peer !== undefined) figures.push(["pushgateway", peer]);
  }
  const [ours, theirs] = figures;
  if (ours === undefined || theirs === undefined) return;
  console.log("\npushgateway's time over weir's");
  for (const [what, time] of theirs[1]) {
    const own = ours[1].get(what);
    if (own !== undefined) say(what, `${fixed(time / own)}`);
  }
}

async function measureWeir(pushes: number, groups: number): Promise<Figures> {
  console.log("\nweir: each push is committed and synced before it is answered");
  const figures: Figures = new Map();
  const profiles = mkdtempSync(join(options.folder, "weir-profiles-"));
  const runtimeArgs = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  await withServer(weir("", serveArgs, runtimeArgs), async (server, folder) => {
    await timePushes(server, "new", 0, pushes, figures);
    await timePushes(server, "again", 0, pushes, figures);
    // What is pushed first after a start is compiled while it runs.
    await timePushes(server, "new, once warm", pushes, pushes, figures);
    await fill(server, 2 * pushes, groups);
    const next = Math.max(groups, 2 * pushes);
    await timePushes(server, `new, of ${groups}`, next, pushes, figures);
    await timePushes(server, `again, of ${groups}`, next, pushes, figures);
    await timeScrape(server, `scrape of ${groups}`, figures);
    sayMemory(server);
    say("disk", `${fixed(folderBytes(folder) / 1e6, 0)} MB`);
  });
  if (options.profile)
    for (const { where, milliseconds, share } of hottest(profiles, 40))
      console.log(`  ${fixed(100 * share).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`);
  rmSync(profiles, { recursive: true });
  return figures;
}

async function measurePeer(pushes: number, groups: number): Promise<Figures | undefined> {
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  const file = join(folder, "groups");
  const checked = pushgateway([]);
  console.log(
    `\npushgateway: checks on, in memory${checked.absent === undefined ? "" : `: ${checked.absent}`}`,
  );
  if (checked.absent !== undefined) return undefined;
  const figures: Figures = new Map();
  try {
    await withServer(checked, async (server) => {
      await timePushes(server, "new", 0, pushes, figures);
      await timePushes(server, "again", 0, pushes, figures);
      await timePushes(server, "new, once warm", pushes, pushes, figures);
    });
    await withServer(
      pushgateway(["--push.disable-consistency-check", `--persistence.file=${file}`]),
      (server) => fill(server, 0, groups),
    );
    await withServer(pushgateway([`--persistence.file=${file}`]), async (server) => {
      const some = Math.min(pushes, count(options["peer-pushes"]));
      await timePushes(server, `new, of ${groups}`, groups, some, figures);
      await timePushes(server, `again, of ${groups}`, groups, some, figures);
      await timeScrape(server, `scrape of ${groups}`, figures);
      sayMemory(server);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return figures;
}

/** Runs a server on a folder of its own for as long as it is used. */
async function withServer(
  contender: Contender,
  use: (server: Server, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  try {
    const server = await contender.start(folder);
    try {
      await use(server, folder);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Pushes groups one after the other. */
async function timePushes(
  server: Server,
  what: string,
  first: number,
  pushes: number,
  figures: Figures,
): Promise<void> {
  const latencies: number[] = [];
  const before = usageOf(server.pid);
  for (let group = first; group < first + pushes; group++) {
    const started = performance.now();
    await pushGroup(server, group);
    latencies.push(performance.now() - started);
  }
  const after = usageOf(server.pid);
  const cpuMs = ((after.cpuSeconds - before.cpuSeconds) / pushes) * 1_000;
  figures.set(what, cpuMs);
  say(
    what,
    `${fixed(cpuMs, 2)} CPU-ms a push; p50 ${fixed(percentile(latencies, 0.5), 2)} ms, ` +
      `p99 ${fixed(percentile(latencies, 0.99))} ms, max ${fixed(percentile(latencies, 1))} ms`,
  );
}

/** Pushes the groups from `first` to before `end`, several at a time. */
async function fill(server: Server, first: number, end: number): Promise<void> {
  let next = first;
  const started = performance.now();
  const before = usageOf(server.pid);
  const one = async () => {
    while (next < end) await pushGroup(server, next++);
  };
  await Promise.all(Array.from({ length: FILLING }, one));
  if (first >= end) return;
  const cpuMs = ((usageOf(server.pid).cpuSeconds - before.cpuSeconds) / (end - first)) * 1_000;
  say(
    `filled up to ${end}`,
    `in ${fixed((performance.now() - started) / 1_000)} s, ${FILLING} at once, ${fixed(cpuMs, 2)} CPU-ms a push`,
  );
}

async function timeScrape(server: Server, what: string, figures: Figures): Promise<void> {
  const rounds = count(options.rounds);
  const before = usageOf(server.pid);
  const { medianMs, bytes } = await timeScrapes(server.url, rounds);
  const cpuMs = ((usageOf(server.pid).cpuSeconds - before.cpuSeconds) / rounds) * 1_000;
  figures.set(what, medianMs);
  say(what, `median ${fixed(medianMs, 0)} ms, ${fixed(cpuMs, 0)} CPU-ms, ${fixed(bytes / 1e6)} MB`);
}

function sayMemory({ pid }: Server): void {
  const { residentBytes, residentBytesPeak } = usageOf(pid);
  say(
    "memory",
    `${fixed(residentBytesPeak / 1e6, 0)} MB at most, ${fixed(residentBytes / 1e6, 0)} MB at the end`,
  );
}
