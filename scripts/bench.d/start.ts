/**
 * How long servers take from the start of their process until they answer, and what they take while nobody asks: resident
 * memory and processor time. Each is started several times, from an empty folder and from one with stored events, in turn.
 * Bun with an open DuckDB file is the least that this gateway can take.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installPeers } from "./all/peers.ts";
import { eventLines, influxdArgs } from "./influx-servers.ts";
import { percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench start [options]

Measures how long servers take until they answer, and what they take while idle: this gateway from the checkout and as one
file (scripts/build), Bun with DuckDB alone, and Debian's VictoriaMetrics and InfluxDB.

  --starts N     starts of each server from each folder (default 5)
  --events N     events in the filled folder (default 1000000)
  --settle S     seconds after which the memory is read (default 5)
  --idle S       seconds over which processor time is counted after that, at the last three starts (default 20)
  --servers L    of bare, checkout, one-file, victoria-metrics, influxd (default: all that are installed)
  --one-file P   the one file (default dist/weir-linux-x64)
  --no-sampler   without the metrics of this machine
  --folder DIR   the folder for temporary data folders (default: the system's)
  --no-install   measures only the servers that are installed
  --help         shows this help
`;

const ROOT = join(import.meta.dir, "..", "..");
const { values: options } = parseArgs({
  options: {
    starts: { type: "string", default: "5" },
    events: { type: "string", default: "1000000" },
    settle: { type: "string", default: "5" },
    idle: { type: "string", default: "20" },
    servers: { type: "string", default: "bare,checkout,one-file,victoria-metrics,influxd" },
    "one-file": { type: "string", default: join(ROOT, "dist/weir-linux-x64") },
    "no-sampler": { type: "boolean", default: false },
    folder: { type: "string", default: tmpdir() },
    "no-install": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

interface Startable {
  /** As --servers names it. */
  readonly id: string;
  readonly name: string;
  readonly program: string;
  /** The path that answers once it is ready. Undefined if it prints a line instead. */
  readonly readyPath?: string;
  /** Where it takes lines of the Influx protocol. Undefined if it stores nothing. */
  readonly writePath?: string;
  args(folder: string, address: string): readonly string[];
}

/** Opens a database, as the gateway does, and stays. */
const BARE = `
  const { default: duckdb } = await import("@duckdb/node-bindings");
  const config = duckdb.create_config();
  duckdb.set_config(config, "threads", "1");
  const connection = await duckdb.connect(await duckdb.open(process.argv[1], config));
  await duckdb.query(connection, "SELECT 1");
  console.log("ready");
  setInterval(() => connection, 1e9);
`;

function weir(id: string, program: string, words: readonly string[] = []): Startable {
  const sampler = options["no-sampler"] ? ["--no-sampler"] : [];
  return {
    ...{ id, name: `weir, ${id.replace("-", " ")}`, program },
    readyPath: "/-/healthy",
    writePath: "/write?db=bench&precision=u",
    args: (folder, address) => [
      ...[...words, "--listen", address, "--data", join(folder, "data"), ...sampler],
    ],
  };
}

const SERVERS: readonly Startable[] = [
  {
    ...{ id: "bare", name: "Bun with DuckDB", program: process.execPath },
    args: (folder) => ["--no-env-file", "-e", BARE, join(folder, "bare.duckdb")],
  },
  weir("checkout", join(ROOT, "scripts/serve")),
  weir("one-file", options["one-file"], ["serve"]),
  {
    ...{ id: "victoria-metrics", name: "victoria-metrics", program: "victoria-metrics" },
    readyPath: "/health",
    writePath: "/write?db=bench&precision=u",
    args: (folder, address) => [
      `-storageDataPath=${join(folder, "data")}`,
      ...[`-httpListenAddr=${address}`, "-loggerLevel=ERROR"],
    ],
  },
  {
    ...{ id: "influxd", name: "influxd", program: "influxd" },
    readyPath: "/ping",
    writePath: "/write?db=bench&precision=u",
    args: influxdArgs,
  },
];

/** Between two questions whether a server is ready. A figure is too high by half of it. */
const POLL_MS = 2;
/** A server is first asked after this share of its shortest start. */
const EARLIEST_SHARE = 0.7;
/** The last starts, in which processor time is counted. It depends on when the next run of a sampler is due. */
const IDLE_STARTS = 3;
const no = () => false;
const count = (value: string) => Number(value.replaceAll("_", ""));

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  if (!options["no-install"])
    await installPeers(join(options.folder, "weir-bench-peers"), (line) => console.log(line));
  console.log(
    `${options.starts} starts, ${options.events} events; ${cpus().length} cores, ` +
      `load ${loadavg()[0]!.toFixed(1)} before, Bun ${Bun.version}\n`,
  );
  console.log(
    "| server | folder | ready, ms (median, max) | resident, MB | idle, % of a core (median, max) |",
  );
  console.log("|---|---|---|---|---|");
  makeBundle();
  for (const server of SERVERS) {
    if (!options.servers.split(",").includes(server.id)) continue;
    if (Bun.which(server.program, { PATH: process.env.PATH ?? "" }) === null) continue;
    const folder = mkdtempSync(join(options.folder, "weir-start-"));
    try {
      const filled = join(folder, "filled");
      if (server.writePath !== undefined) await fill(server, filled);
      for (const from of server.writePath === undefined ? ["empty"] : ["empty", "filled"])
        await measure(server, folder, from);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** A start of the checkout makes it for the next one, beside the first seconds of the gateway. */
function makeBundle(): void {
  const script = '. "$(dirname "$self")/bun.sh"; need_bun; find_bundle || make_bundle';
  Bun.spawnSync(["sh", "-c", script], {
    env: { ...process.env, self: join(ROOT, "scripts/serve"), script: "serve" },
  });
}

async function measure(server: Startable, folder: string, from: string): Promise<void> {
  const readyMs: number[] = [];
  const resident: number[] = [];
  const idle: number[] = [];
  const starts = count(options.starts);
  for (let at = 0; at < starts; at++) {
    const own = join(folder, `${from}-${at}`);
    if (from === "filled") cpSync(join(folder, "filled"), own, { recursive: true });
    else mkdirSync(own);
    // Questions take time of a processor that a start uses. It is asked when it may be ready.
    const earliestMs = readyMs.length === 0 ? 0 : EARLIEST_SHARE * Math.min(...readyMs);
    const running = await start(server, own, earliestMs);
    readyMs.push(running.readyMs);
    await Bun.sleep(1_000 * count(options.settle));
    resident.push(usageOf(running.pid).residentBytes / 1e6);
    if (at >= starts - IDLE_STARTS) {
      const before = usageOf(running.pid).cpuSeconds;
      await Bun.sleep(1_000 * count(options.idle));
      idle.push((100 * (usageOf(running.pid).cpuSeconds - before)) / count(options.idle));
    }
    await running.stop();
    rmSync(own, { recursive: true, force: true });
  }
  const ms = `${percentile(readyMs, 0.5).toFixed(0)}, ${percentile(readyMs, 1).toFixed(0)}`;
  const used = `${percentile(idle, 0.5).toFixed(2)}, ${percentile(idle, 1).toFixed(2)}`;
  console.log(`| ${server.name} | ${from} | ${ms} | ${percentile(resident, 0.5).toFixed(0)} | ${used} |`);
}

/**
 * Starts a server, and resolves when it answers.
 *
 * @param earliestMs when it is first asked; at once if no start is known
 */
async function start({ program, args, readyPath }: Startable, folder: string, earliestMs = 0) {
  mkdirSync(folder, { recursive: true });
  const address = `127.0.0.1:${await freePort()}`;
  const words = [program, ...args(folder, address)];
  const begin = performance.now();
  const child = Bun.spawn(words, { cwd: ROOT, stdout: "pipe", stderr: "ignore" });
  if (readyPath === undefined) await child.stdout.getReader().read();
  else {
    await Bun.sleep(earliestMs);
    while (!(await fetch(`http://${address}${readyPath}`).then(({ ok }) => ok, no))) {
      if (child.exitCode !== null) throw new Error(`${words[0]} ended with ${child.exitCode}`);
      // A question takes the other core some 0.3 ms, and a start uses both.
      await Bun.sleep(POLL_MS);
    }
  }
  return {
    readyMs: performance.now() - begin,
    pid: child.pid,
    url: `http://${address}`,
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** Stores events, and stops the server in order. */
async function fill(server: Startable, folder: string): Promise<void> {
  const { url, stop } = await start(server, folder);
  if (server.name === "influxd") await fetch(`${url}/query?q=CREATE+DATABASE+bench`, { method: "POST" });
  for (const body of eventLines(count(options.events), 1_000)) {
    const response = await fetch(`${url}${server.writePath}`, { method: "POST", body });
    if (!response.ok) throw new Error(`${server.name} answered ${response.status}: ${await response.text()}`);
  }
  await stop();
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer();
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return await promise;
}
