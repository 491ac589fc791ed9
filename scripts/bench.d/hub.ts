/**
 * The benchmark of a fleet: what it costs a gateway to send events on, by type of destination, and what it costs a hub to store
 * the requests of many gateways. Destinations other than the hub are this process, which stores nothing.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { bodies } from "./events.ts";
import { folderBytes, percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench hub [options] [-- arguments of weir serve]

Stores events while a destination is away, lets it return, and measures what the backlog costs the gateway, and the hub if the
destination is one. Then many senders push small requests to a hub at a steady rate, as their gateways would.

  --events N         events of the backlog (default 300000)
  --types LIST       types of destinations of events (default weir,elasticsearch)
  --gateways N       senders to the hub (default 200; 0: none)
  --rate N           events per second and sender, in one request (default 20)
  --seconds N        seconds at this rate (default 15)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    events: { type: "string", default: "300000" },
    types: { type: "string", default: "weir,elasticsearch" },
    gateways: { type: "string", default: "200" },
    rate: { type: "string", default: "20" },
    seconds: { type: "string", default: "15" },
    folder: { type: "string", default: tmpdir() },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 2) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(30)} ${text}`);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  console.log(
    `${options.events} events; ${cpus().length} cores, load ${fixed(loadavg()[0]!, 1)} before, Bun ${Bun.version}`,
  );
  for (const type of options.types.split(",").filter((each) => each !== "")) await backlog(type);
  if (count(options.gateways) > 0) await fleet();
}

/** A folder, and what runs on it until the end of `run`. */
async function within(run: (folder: string, started: GatewayProcess[]) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  const started: GatewayProcess[] = [];
  try {
    await run(folder, started);
  } finally {
    for (const each of started) await each.stop("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

async function backlog(type: string): Promise<void> {
  await within(async (folder, started) => {
    let hub: GatewayProcess | undefined;
    let isAway = true;
    const destination = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        if (isAway) return new Response(null, { status: 503, headers: { "retry-after": "0" } });
        if (hub !== undefined)
          return await fetch(`${hub.url}/api/v1/push`, {
            ...{ method: "POST", headers: request.headers, body: await request.arrayBuffer() },
          });
        const bytes = new Uint8Array(await request.arrayBuffer());
        if (type !== "elasticsearch") return new Response(null);
        const lines = new TextDecoder().decode(Bun.gunzipSync(bytes)).split("\n").length - 1;
        return Response.json({
          items: Array.from({ length: lines / 2 }, () => ({ create: { status: 201 } })),
        });
      },
    });
    const config = join(folder, "weir.toml");
    mkdirSync(join(folder, "data"));
    writeFileSync(config, `[[forward]]\nname = "d"\ntype = "${type}"\nurl = "${destination.url.href}"\n`);
    const start = async (data: string, ...args: string[]) => {
      const process = await GatewayProcess.start({
        data: join(folder, data),
        args: ["--no-sampler", ...args],
      });
      started.push(process);
      return process;
    };
    const gateway = await start("data", "--config", config, ...serveArgs);
    if (type === "weir") hub = await start("hub");
    const nowMs = Date.now();
    for (const body of bodies(count(options.events), 1_000, { fromMs: nowMs - 60_000, toMs: nowMs }, 1)) {
      const answer = await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body });
      if (!answer.ok) throw new Error(await answer.text());
    }
    const before = [gateway, hub].map((each) => (each === undefined ? 0 : usageOf(each.pid).cpuSeconds));
    isAway = false;
    const beginMs = performance.now();
    for (;;) {
      const answer = await fetch(`${gateway.url}/api/v1/forward`);
      const { destinations } = (await answer.json()) as {
        destinations: [{ lag_samples: number; sent_bytes: number }];
      };
      const [{ lag_samples: lag, sent_bytes: bytes }] = destinations;
      if (lag > 0) {
        await Bun.sleep(250);
        continue;
      }
      const seconds = (performance.now() - beginMs) / 1_000;
      const millions = count(options.events) / 1e6;
      const [own, others] = [gateway, hub].map((each, at) =>
        each === undefined ? undefined : (usageOf(each.pid).cpuSeconds - before[at]!) / millions,
      );
      say(
        type,
        `${fixed(own!)} CPU-s per million events${others === undefined ? "" : `, the hub ${fixed(others)}`}; ` +
          `${fixed(bytes / count(options.events), 1)} bytes per event; ${fixed(seconds)} s`,
      );
      break;
    }
    await destination.stop(true);
  });
}

async function fleet(): Promise<void> {
  const [gateways, rate, seconds] = [count(options.gateways), count(options.rate), count(options.seconds)];
  await within(async (folder, started) => {
    mkdirSync(join(folder, "hub"));
    const hub = await GatewayProcess.start({
      data: join(folder, "hub"),
      args: ["--no-sampler", ...serveArgs],
    });
    started.push(hub);
    const latencies: number[] = [];
    // One event of each gateway, so that all series are known.
    await Promise.all(Array.from({ length: gateways }, (_, index) => send(hub, index, 0, 12)));
    const before = usageOf(hub.pid);
    const bytesBefore = folderBytes(join(folder, "hub"));
    let events = 0;
    const beginMs = performance.now();
    await Promise.all(
      Array.from({ length: gateways }, async (_, index) => {
        // Gateways are not in step with each other.
        await Bun.sleep((index / gateways) * 1_000);
        for (let second = 1; second <= seconds; second++) {
          const sentMs = performance.now();
          await send(hub, index, second, rate);
          latencies.push(performance.now() - sentMs);
          events += rate;
          await Bun.sleep(Math.max(0, beginMs + (index / gateways + second) * 1_000 - performance.now()));
        }
      }),
    );
    const wallSeconds = (performance.now() - beginMs) / 1_000;
    const after = usageOf(hub.pid);
    const cpu = after.cpuSeconds - before.cpuSeconds;
    const requests = gateways * seconds;
    say(
      `${gateways} gateways, ${rate} events/s`,
      `${fixed((cpu / wallSeconds) * 100, 1)} % of a core: ${fixed((cpu / requests) * 1_000)} CPU-ms per request, ` +
        `${fixed((cpu / events) * 1e6)} CPU-s per million events`,
    );
    say(
      "",
      `answers ${fixed(percentile(latencies, 0.5), 1)} ms median, ${fixed(percentile(latencies, 0.99), 1)} ms p99; ` +
        `${fixed(after.residentBytes / 1e6, 0)} MB, ${fixed((folderBytes(join(folder, "hub")) - bytesBefore) / events, 1)} bytes on disk per event`,
    );
  });
}

/** One request of a gateway, as it sends its new events. */
async function send(hub: GatewayProcess, index: number, second: number, rate: number): Promise<void> {
  const nowMs = Date.now();
  const [body] = bodies(rate, rate, { fromMs: nowMs - 900, toMs: nowMs }, index * 1_000 + second);
  const lines = (JSON.parse(new TextDecoder().decode(body)) as { tags: object }[])
    .map((event) => `${JSON.stringify({ ...event, tags: { ...event.tags, gateway: `g${index}` } })}\n`)
    .join("");
  const answer = await fetch(`${hub.url}/api/v1/push`, {
    method: "POST",
    headers: {
      ...{ "content-type": "application/x-ndjson", "content-encoding": "zstd" },
      "idempotency-key": `hub/${index}/${second}/${crypto.randomUUID()}`,
    },
    body: Bun.zstdCompressSync(lines),
  });
  if (!answer.ok) throw new Error(await answer.text());
}
