/**
 * The benchmark of forwarding: what it costs to send samples on by remote_write, how fast a backlog is sent after an outage,
 * and how late new samples are meanwhile. The destination is this process, which counts samples and stores nothing.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { decompressSnappyBlock } from "../../src/wire/compression/snappy.ts";
import { ProtobufReader } from "../../src/wire/protobuf.ts";
import { requests } from "./remote-write-requests.ts";
import { hottest } from "./profile.ts";
import { percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench forward [options] [-- arguments of weir serve]

Stores samples while the destination is away, lets it return, and measures the backlog. Meanwhile, new samples are
pushed at a steady rate, and their delay is measured.

  --samples N        samples of the backlog (default 1000000)
  --series N         series (default 10000)
  --rate N           new samples per second while the backlog is sent, and afterwards (default 10000; 0: none)
  --seconds N        seconds at this rate after the backlog, for the steady cost (default 10)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles the gateway and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    samples: { type: "string", default: "1000000" },
    series: { type: "string", default: "10000" },
    rate: { type: "string", default: "10000" },
    seconds: { type: "string", default: "10" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 2) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(34)} ${text}`);
const HEADERS = {
  "content-encoding": "snappy",
  "content-type": "application/x-protobuf",
  "x-prometheus-remote-write-version": "0.1.0",
};

/** What the destination has got. */
const got = { samples: 0, fresh: 0 };
const delays: number[] = [];

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const [series, samples] = [count(options.series), count(options.samples)];
  const scrapes = Math.max(1, Math.round(samples / series));
  console.log(
    `${series * scrapes} samples of ${series} series; ${cpus().length} cores, load ${fixed(loadavg()[0]!, 1)} before, ` +
      `Bun ${Bun.version}`,
  );
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  const beginMs = Date.now();
  let isAway = true;
  const sink = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = new Uint8Array(await request.arrayBuffer());
      if (isAway) return new Response(null, { status: 503 });
      countSamples(decompressSnappyBlock(body, 100_000_000), beginMs);
      return new Response(null, { status: 204 });
    },
  });
  const config = join(folder, "weir.toml");
  mkdirSync(join(folder, "data"));
  writeFileSync(config, `[[forward]]\nname = "sink"\ntype = "remote_write"\nurl = "${sink.url.href}"\n`);
  const gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--no-sampler", "--config", config, ...serveArgs],
    runtimeArgs: options.profile ? ["--cpu-prof", `--cpu-prof-dir=${folder}`] : [],
  });
  try {
    await backlog(gateway, { series, scrapes, beginMs });
    isAway = false;
    await drain(gateway, series * scrapes);
    await steady(gateway);
  } finally {
    await gateway.stop(options.profile ? "SIGTERM" : "SIGKILL");
    if (options.profile)
      for (const { where, milliseconds } of hottest(folder, 25)) say(`${Math.round(milliseconds)} ms`, where);
    await sink.stop(true);
    rmSync(folder, { recursive: true });
  }
}

async function backlog(
  gateway: GatewayProcess,
  { series, scrapes, beginMs }: { series: number; scrapes: number; beginMs: number },
): Promise<void> {
  const shares = requests({
    ...{ version: "1.0", series, scrapes, connections: 4, samplesPerRequest: 2_500 },
    ...{ intervalMs: 1_000, firstMs: beginMs - scrapes * 1_000 - 1_000 },
  });
  const before = usageOf(gateway.pid);
  await Promise.all(
    shares.map(async (bodies) => {
      for (const body of bodies) await push(gateway, body);
    }),
  );
  const cpu = usageOf(gateway.pid).cpuSeconds - before.cpuSeconds;
  say("stored while it is away", `${fixed((cpu / (series * scrapes)) * 1e6)} CPU-s per million`);
}

async function push(gateway: GatewayProcess, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const answer = await fetch(`${gateway.url}/api/v1/write`, { method: "POST", headers: HEADERS, body });
  if (!answer.ok) throw new Error(await answer.text());
}

/** Sends the backlog, beside new samples. */
async function drain(gateway: GatewayProcess, samples: number): Promise<void> {
  const before = usageOf(gateway.pid);
  const pusher = startPusher(gateway);
  // The first attempt after the outage comes up to 30 seconds after the last.
  while (got.samples === 0) await Bun.sleep(5);
  const begunMs = performance.now();
  while (got.samples - got.fresh < samples) await Bun.sleep(5);
  const seconds = (performance.now() - begunMs) / 1_000;
  const sent = await pusher.stop();
  const after = usageOf(gateway.pid);
  const cpu = after.cpuSeconds - before.cpuSeconds;
  const main = after.mainThreadSeconds - before.mainThreadSeconds;
  const rate = samples / seconds;
  say("backlog", `${fixed(seconds)} s, ${Math.round(rate)} samples/s: ${fixed(rate / 10_000, 1)} x 10,000/s`);
  say(
    "CPU with new samples stored",
    `${fixed((cpu / (samples + sent)) * 1e6)} CPU-s per million (${fixed((main / (samples + sent)) * 1e6)} of the first thread), ${sent} new`,
  );
  sayDelays("delay of new samples beside it");
}

/** New samples at the same rate, without a backlog. */
async function steady(gateway: GatewayProcess): Promise<void> {
  const seconds = count(options.seconds);
  if (count(options.rate) === 0 || seconds === 0) return;
  const wanted = got.samples;
  const before = usageOf(gateway.pid);
  const pusher = startPusher(gateway);
  await Bun.sleep(seconds * 1_000);
  const sent = await pusher.stop();
  while (got.samples < wanted + sent) await Bun.sleep(5);
  const cpu = usageOf(gateway.pid).cpuSeconds - before.cpuSeconds;
  say("stored and sent at this rate", `${fixed((cpu / sent) * 1e6)} CPU-s per million`);
  sayDelays("delay of new samples");
}

function sayDelays(label: string): void {
  if (delays.length === 0) return;
  const text = [0.5, 0.99, 1].map((share) => `${Math.round(percentile(delays, share))} ms`);
  say(label, `${text[0]} median, ${text[1]} p99, ${text[2]} most`);
  delays.length = 0;
}

/** Pushes new samples ten times a second. */
function startPusher(gateway: GatewayProcess) {
  const rate = count(options.rate);
  let sent = 0;
  let stopped = rate === 0;
  const run = async () => {
    const dueMs = performance.now();
    for (let turn = 1; !stopped; turn++) {
      const [[body]] = requests({
        ...{ version: "1.0", series: rate / 10, scrapes: 1, connections: 1, samplesPerRequest: rate },
        ...{ intervalMs: 1, firstMs: Date.now() },
      }) as [[Uint8Array<ArrayBuffer>]];
      await push(gateway, body);
      sent += rate / 10;
      await Bun.sleep(Math.max(0, dueMs + turn * 100 - performance.now()));
    }
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      await running;
      return sent;
    },
  };
}

/** Counts the samples of a message. Those that are newer than the begin are new, and have a delay. */
function countSamples(message: Buffer, beginMs: number): void {
  const reader = new ProtobufReader();
  reader.open(message);
  const nowMs = Date.now();
  while (reader.at < message.length) {
    const tag = reader.uint32();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    const end = reader.length();
    while (reader.at < end) {
      const field = reader.uint32();
      if (field !== 0x12) {
        reader.skip(field);
        continue;
      }
      reader.length();
      reader.at += 10;
      const ms = reader.int64();
      got.samples++;
      if (ms <= beginMs) continue;
      got.fresh++;
      delays.push(nowMs - ms);
    }
  }
}
