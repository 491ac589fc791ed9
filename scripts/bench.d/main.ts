/**
 * The benchmark: the rate of durable pushes of events, their cost, and the duration of the summaries over a day of
 * events. It starts the real gateway as a separate process on a temporary folder. It is not part of the tests.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { bodies, type Span } from "./events.ts";
import { type Beside, type IngestFigures, ingest } from "./ingest.ts";
import { hottest } from "./profile.ts";
import { timeScrapes, timeSummaries } from "./summaries.ts";
import { folderBytes, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench [options] [-- arguments of weir serve]

Measures the gateway on generated events: 4 requests, 1 upload and 1 duration per task.
\`scripts/bench all --help\`: all comparisons with other servers in one run, with a report and plots.
\`scripts/bench remote-write --help\`: the same for remote_write, compared with other servers.
\`scripts/bench columns --help\`: the same events as tables: JSON columns and Arrow streams.
\`scripts/bench otlp --help\`: the same for metrics of OpenTelemetry.
\`scripts/bench statsd --help\`: datagrams of StatsD, and at which rate losses begin.
\`scripts/bench influx --help\`: the same for the Influx line protocol, compared with InfluxDB.
\`scripts/bench import --help\`: imports and exports of series, compared with VictoriaMetrics.
\`scripts/bench promql --help\`: the duration of PromQL queries, compared with other servers.
\`scripts/bench pushgateway --help\`: groups, compared with Debian's Pushgateway.
\`scripts/bench client --help\`: what a call of the client costs a worker.
\`scripts/bench soak --help\`: memory over time, under a constant load.
\`scripts/bench forward --help\`: what it costs to send samples on, and how fast a backlog is sent.
\`scripts/bench archive --help\`: how long a day takes to become Parquet, and how much memory.
\`scripts/bench hub --help\`: what a fleet of gateways costs the hub that they send to.
\`scripts/bench start --help\`: how long a start takes, and what an idle gateway takes.
\`scripts/bench rules --help\`: what many rules take of a processor.
\`scripts/bench page --help\`: the page in a browser: first paint, frames per second, and what an open tab costs.
\`scripts/bench fairness --help\`: how long pushes wait beside hostile requests.

  --events N         events to push in each phase (default 2000000)
  --batch N          events per push (default 1000)
  --connections N    concurrent pushes (default 4)
  --phases LIST      phases to run (default all). ingest: pushes of current events with the sampler off. sampled:
                     the same with the sampler on. asked: the same with one scrape and ten summaries per second.
                     summaries: pushes spread over 24 hours, then every summary over them
  --rounds N         runs of each summary and scrape; the median is shown (default 7)
  --seed N           the seed of the generated events (default 1)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles the server in the ingest phase and shows the functions that took most time
  --keep             keeps the data folders
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    events: { type: "string", default: "2000000" },
    batch: { type: "string", default: "1000" },
    connections: { type: "string", default: "4" },
    phases: { type: "string", default: "ingest,sampled,asked,summaries" },
    rounds: { type: "string", default: "7" },
    seed: { type: "string", default: "1" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const DAY_MS = 86_400_000;
const count = (value: string) => Number(value.replaceAll("_", ""));
const events = count(options.events);
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const megabytes = (bytes: number) => `${fixed(bytes / 1e6, 0)} MB`;
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);

/** A Prometheus with a short scrape interval, and a user of a dashboard. */
const SCRAPES = { intervalMs: 1_000, run: (url: string) => discard(`${url}/metrics`) };
const QUESTIONS = {
  intervalMs: 100,
  run: (url: string) => discard(`${url}/api/v1/summaries/duration_by_operation?from=-1h`),
};

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  console.log(
    `${events} events a phase, ${options.batch} a push, ${options.connections} connections; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  const phases = options.phases.split(",");
  if (phases.includes("ingest"))
    await measure({ title: "ingest, sampler off", span: momentary(), profiled: options.profile });
  if (phases.includes("sampled"))
    await measure({ title: "ingest, sampler on", span: momentary(), sampled: true });
  if (phases.includes("asked"))
    await measure({
      title: "ingest, scraped and asked beside",
      span: momentary(),
      beside: [SCRAPES, QUESTIONS],
    });
  if (phases.includes("summaries")) {
    const span = { fromMs: Date.now() - DAY_MS + 60_000, toMs: Date.now() };
    const ask = async (url: string) => {
      for (const { name, medianMs, maxMs, rows } of await timeSummaries(url, span, count(options.rounds)))
        say(
          name,
          `median ${fixed(medianMs, 0).padStart(5)} ms, max ${fixed(maxMs, 0).padStart(5)} ms, ${rows} rows`,
        );
    };
    await measure({ title: "summaries over 24 hours", span, ask });
  }
}

async function discard(url: string): Promise<void> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} was answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

/** All events have the current time, as when workers push during their work. */
function momentary(): Span {
  return { fromMs: Date.now(), toMs: Date.now() };
}

interface Phase {
  readonly title: string;
  readonly span: Span;
  readonly sampled?: boolean;
  readonly profiled?: boolean;
  /** What goes on while events are pushed. */
  readonly beside?: readonly Beside[];
  /** What is asked once they are stored. */
  readonly ask?: (url: string) => Promise<void>;
}

/** One phase, on a gateway and a folder of its own. */
async function measure({ title, span, sampled, profiled, beside, ask }: Phase): Promise<void> {
  const serialized = [...bodies(events, count(options.batch), span, count(options.seed))];
  const data = mkdtempSync(join(options.folder, "weir-bench-"));
  const profiles = join(data, "profiles");
  const runtimeArgs = profiled ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  try {
    console.log(`\n${title}`);
    const gateway = await GatewayProcess.start({
      data: join(data, "data"),
      args: [sampled ? "--sampler" : "--no-sampler", ...serveArgs],
      runtimeArgs,
    });
    try {
      showIngest(await ingest(gateway, serialized, count(options.connections), beside));
      const scrape = await timeScrapes(gateway.url, count(options.rounds));
      say("scrape", `median ${fixed(scrape.medianMs)} ms, ${fixed(scrape.bytes / 1000, 0)} kB`);
      await ask?.(gateway.url);
      const { residentBytes, residentBytesPeak } = usageOf(gateway.pid);
      say("memory", `${megabytes(residentBytesPeak)} at most, ${megabytes(residentBytes)} at the end`);
      const stopping = performance.now();
      const exitCode = await gateway.stop("SIGTERM");
      const bytes = folderBytes(join(data, "data"));
      say("stop", `${fixed((performance.now() - stopping) / 1000)} s, exit code ${exitCode}`);
      say("disk, after the stop", `${fixed(bytes / events)} bytes per event, ${megabytes(bytes)}`);
    } finally {
      await gateway.stop("SIGKILL");
    }
    if (profiled)
      for (const { where, milliseconds, share } of hottest(profiles, 30))
        console.log(
          `  ${fixed(100 * share).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`,
        );
  } finally {
    if (options.keep) say("kept", data);
    else rmSync(data, { recursive: true, force: true });
  }
}

function showIngest(figures: IngestFigures): void {
  const perMillion = (seconds: number) => fixed((seconds / figures.events) * 1e6, 2);
  say(
    "events/s",
    `${Math.round(figures.events / figures.seconds)} (${figures.events} in ${fixed(figures.seconds)} s)`,
  );
  say(
    "CPU-s a million events",
    `${perMillion(figures.serverCpuSeconds)} (JavaScript thread ${perMillion(figures.serverMainThreadSeconds)}; ` +
      `the client beside it ${perMillion(figures.clientCpuSeconds)})`,
  );
  say(
    "push",
    `p50 ${fixed(figures.p50Ms)} ms, p99 ${fixed(figures.p99Ms)} ms, max ${fixed(figures.maxMs)} ms`,
  );
  say("worst stall", `${fixed(figures.stallMs)} ms until /-/healthy answered`);
  if (figures.turnedAway) say("pushes rejected with 429", `${figures.turnedAway}`);
}
