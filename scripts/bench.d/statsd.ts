/**
 * The StatsD benchmark: how many datagrams per second are received without a loss, what one costs, and at which rate
 * losses begin. Each rate has a sender of its own, and a pause after it in which everything is committed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { hottest } from "./profile.ts";
import { folderBytes, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench statsd [options] [-- arguments of weir serve]

Sends timers, counters, gauges and histograms of StatsD over UDP, one per datagram of 50 bytes, each with two tags.

  --rates LIST       datagrams per second (default 25000,50000,100000,150000,200000)
  --seconds N        seconds of each rate (default 4)
  --series N         values of a tag (default 100)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles weir and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    rates: { type: "string", default: "25000,50000,100000,150000,200000" },
    seconds: { type: "string", default: "4" },
    series: { type: "string", default: "100" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const POLL_MS = 200;
const fixed = (value: number, digits = 1) => value.toFixed(digits);

interface Sent {
  readonly sent: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Own metrics of the gateway: datagrams that were decoded, samples that were stored, and losses by cause. */
interface Counted {
  readonly received: number;
  readonly stored: number;
  readonly lost: ReadonlyMap<string, number>;
}

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  console.log(`${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`);
  const data = mkdtempSync(join(options.folder, "weir-bench-"));
  const profiles = join(data, "profiles");
  const runtimeArgs = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  try {
    const gateway = await GatewayProcess.start({
      data: join(data, "data"),
      args: ["--no-sampler", "--statsd-listen=127.0.0.1:0", ...serveArgs],
      runtimeArgs,
    });
    let stored = 0;
    try {
      for (const rate of options.rates.split(",").map(Number)) stored = await measure(gateway, rate);
      const { residentBytesPeak } = usageOf(gateway.pid);
      console.log(`  memory: ${fixed(residentBytesPeak / 1e6, 0)} MB at most`);
    } finally {
      await gateway.stop("SIGTERM");
    }
    const bytes = folderBytes(join(data, "data"));
    console.log(`  disk, after the stop: ${fixed(bytes / stored)} bytes per sample`);
    if (options.profile)
      for (const { where, milliseconds, share } of hottest(profiles, 30))
        console.log(
          `  ${fixed(100 * share).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`,
        );
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

/** One rate. Returns how many samples are stored after it. */
async function measure(gateway: GatewayProcess, rate: number): Promise<number> {
  const port = /udp:\/\/127\.0\.0\.1:(\d+)/.exec(gateway.log.text)?.[1];
  const before = { usage: usageOf(gateway.pid), counted: await counted(gateway.url) };
  const sender = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "statsd-sender.ts"),
      ...[port ?? "", `${rate}`, options.seconds, options.series],
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const { sent, seconds, cpuSeconds } = JSON.parse(await new Response(sender.stdout).text()) as Sent;
  let after = await counted(gateway.url);
  for (let last = -1; after.stored !== last; after = await counted(gateway.url)) {
    last = after.stored;
    await Bun.sleep(1_000 + POLL_MS);
  }
  const usage = usageOf(gateway.pid);
  const received = after.received - before.counted.received;
  const lost = [...after.lost]
    .map(([cause, count]) => [cause, count - (before.counted.lost.get(cause) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .map(([cause, count]) => `${cause} ${count} (${fixed((100 * count) / sent, 2)} %)`);
  const perDatagram = (used: number) => fixed((1e6 * used) / received, 2);
  console.log(
    `  ${fixed(sent / seconds, 0).padStart(7)}/s for ${fixed(seconds)} s: received ${received} of ${sent}, ` +
      `stored ${after.stored - before.counted.stored}, lost ${lost.join(", ") || "none"}; ` +
      `CPU-µs per datagram ${perDatagram(usage.cpuSeconds - before.usage.cpuSeconds)} ` +
      `(JavaScript thread ${perDatagram(usage.mainThreadSeconds - before.usage.mainThreadSeconds)}; sender ${perDatagram(cpuSeconds)})`,
  );
  return after.stored;
}

async function counted(url: string): Promise<Counted> {
  const text = await (await fetch(`${url}/metrics?name[]=weir_datagrams_received_total`)).text();
  const all = text.includes("weir_samples") ? text : await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) =>
    Number(new RegExp(`^${name}\\{protocol="statsd"\\} (\\d+)`, "m").exec(all)?.[1] ?? 0);
  const dropped = all.matchAll(/^weir_datagrams_dropped_total\{cause="(\w+)",protocol="statsd"\} (\d+)/gm);
  return {
    received: value("weir_datagrams_received_total"),
    stored: value("weir_samples_accepted_total"),
    lost: new Map([...dropped].map(([, cause, count]) => [cause!, Number(count)])),
  };
}
