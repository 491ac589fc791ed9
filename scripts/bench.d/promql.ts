/**
 * The PromQL benchmark: the same series and the same queries in this gateway and in alternative servers, one server after
 * the other. Then a day of raw events in this gateway alone. Answers are compared.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Earlier, earlierWeir, openEarlier } from "./earlier.ts";
import { bodies, type Span } from "./events.ts";
import { ingest } from "./ingest.ts";
import { hottest } from "./profile.ts";
import { difference } from "./promql-agree.ts";
import { SERIES_PER_INSTANCE, send } from "./promql-load.ts";
import {
  eventQuestions,
  largeQuestions,
  type Question,
  questions,
  STEPS,
  sqlQuestions,
  type Timing,
  time,
} from "./promql-questions.ts";
import { promqlTable, type Timings } from "./promql-table.ts";
import { type Contender, contenders } from "./remote-write-servers.ts";
import { type Contender as Started, weir } from "./servers.ts";
import { usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench promql [options] [-- arguments of weir serve]

Runs PromQL queries on this gateway, and on victoria-metrics and prometheus if they are installed, over the same
series: counters, a histogram of twelve buckets, and gauges. Then it runs queries on this gateway over a day of
events, in PromQL and SQL. It shows median times until the last byte (without the first run), CPU time, both of the first
run, ratios of medians and of CPU time, whether the answers agree to 1e-9, and the peak memory of each server.

  --samples N        samples in total, one per series every 14.4 s (default 10000000: 4 hours)
  --series N         series (default 10000)
  --events N         events of a day (default 2000000); 0 skips them
  --rounds N         runs of each query; the median is shown (default 7)
  --age HOURS        how long ago the newest sample is (default 0). From 4 on all samples are old enough for blocks
  --packed           packs what is old enough into blocks before the queries (weir compact)
  --large            then asks four queries over all samples at once, for their memory
  --only TEXT        only queries whose name contains this text
  --servers LIST     of weir, victoria-metrics, prometheus (default: all that are installed)
  --before COMMIT    an earlier commit of this gateway answers, too, as one more server. Its checkout is made in --folder and
                     stays there. COMMIT can be a folder with a checkout, too
  --out FILE         also writes the figures as a table of Markdown
  --folder DIR       the folder for temporary data folders (default: the system's)
  --profile          profiles weir during the queries and shows the functions that took most time
  --keep             keeps the data folders
  --help             shows this
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    samples: { type: "string", default: "10000000" },
    series: { type: "string", default: "10000" },
    events: { type: "string", default: "2000000" },
    rounds: { type: "string", default: "7" },
    age: { type: "string", default: "0" },
    packed: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    servers: { type: "string", default: "weir,victoria-metrics,prometheus" },
    before: { type: "string" },
    out: { type: "string" },
    folder: { type: "string", default: tmpdir() },
    profile: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

/** A multiple of 200 ms: with times that end in 137, 337, ..., no sample lies on the edge of a window. */
const INTERVAL_MS = 14_400;
const OFF_THE_EDGE_MS = 137;
/** VictoriaMetrics does not answer for the last 30 s; and clocks go on while servers are loaded. */
const AGE_MS = 60_000;
const DAY_MS = 86_400_000;
const CONNECTIONS = 4;
const SAMPLES_PER_REQUEST = 1_250;
const EVENTS_PER_PUSH = 1_000;

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const megabytes = (bytes: number) => `${fixed(bytes / 1e6, 0)} MB`;
const say = (label: string, text: string) => console.log(`  ${label.padEnd(30)} ${text}`);
const wanted = ({ name }: Question) => name.includes(options.only);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const series = Math.ceil(count(options.series) / SERIES_PER_INSTANCE) * SERIES_PER_INSTANCE;
  const scrapes = Math.max(2, Math.round(count(options.samples) / series));
  const spanMs = scrapes * INTERVAL_MS;
  console.log(
    `${series} series, ${series * scrapes} samples over ${fixed(spanMs / 3_600_000)} h, ranges of ${STEPS} steps; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  const ageMs = Math.max(AGE_MS, 3_600_000 * Number(options.age));
  const firstMs = Math.floor((Date.now() - ageMs - spanMs) / 1000) * 1000 + OFF_THE_EDGE_MS;
  const load = {
    series,
    scrapes,
    samplesPerRequest: SAMPLES_PER_REQUEST,
    connections: CONNECTIONS,
    firstMs,
    intervalMs: INTERVAL_MS,
  };
  const lastMs = firstMs + (scrapes - 1) * INTERVAL_MS;
  const asked = questions(spanMs, lastMs).filter(wanted);
  const large = options.large ? largeQuestions(spanMs, lastMs) : [];
  const named = options.servers.split(",");
  const timings = new Map<string, Timings>();
  const earlier =
    options.before === undefined ? undefined : await openEarlier(options.before, options.folder);
  if (earlier !== undefined) named.push(`weir ${earlier.commit}`);
  for (const contender of contenders(serveArgs, [], { earlier })) {
    const { name, absent } = contender;
    if (!named.includes(name) || asked.length === 0) continue;
    console.log(`\n${name}${absent ? `: ${absent}` : ""}`);
    if (!absent) await kept(timings, name, measure(contender, load, asked, large));
  }
  compare(asked, timings);
  if (count(options.events) > 0) await compareEvents(timings, earlier);
  if (options.out !== undefined) writeFileSync(options.out, promqlTable(timings));
}

/** Adds what was measured. If it fails, the others are measured nevertheless. */
async function kept(timings: Map<string, Timings>, name: string, measured: Promise<Timings>): Promise<void> {
  try {
    timings.set(name, new Map([...(timings.get(name) ?? []), ...(await measured)]));
  } catch (error) {
    say("failed", String(error));
    process.exitCode = 1;
  }
}

/** Loads a server and asks it everything. */
async function measure(
  contender: Contender,
  load: Parameters<typeof send>[1],
  asked: readonly Question[],
  large: readonly Question[],
): Promise<Timings> {
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  const isProfiled = options.profile && contender.name === "weir";
  let server = await contender.start(folder);
  try {
    const started = performance.now();
    await send(server.url, load);
    say("loaded", `in ${fixed((performance.now() - started) / 1000)} s, ${peak(server.pid)} at most`);
    if (options.packed && contender.name === "weir") {
      await server.stop();
      await compacted(folder);
      server = await contender.start(folder);
    }
    if (isProfiled) {
      // Only what is asked is to be in the profile.
      await server.stop();
      server = await profiled(folder).start(folder);
    }
    const { origin } = new URL(server.url);
    // What came last would else be seen only after a while.
    if (contender.name === "victoria-metrics") await fetch(`${origin}/internal/force_flush`);
    const timings = await ask(origin, server.pid, asked);
    if (large.length > 0) {
      const begun = performance.now();
      await Promise.all(large.map((question) => time(origin, server.pid, question, 0)));
      const lasted = performance.now() - begun;
      say("four large queries at once", `${fixed(lasted, 0)} ms, ${peak(server.pid)}`);
    }
    return timings;
  } finally {
    await server.stop();
    if (isProfiled) showProfile(profilesIn(folder));
    clear(folder);
  }
}

async function ask(url: string, pid: number, asked: readonly Question[]): Promise<Timings> {
  const timings = new Map<string, Timing>();
  for (const question of asked) {
    const timing = await time(url, pid, question, count(options.rounds));
    timings.set(question.name, timing);
    say(
      question.name,
      `median ${fixed(timing.medianMs).padStart(7)} ms, max ${fixed(timing.maxMs).padStart(7)} ms, ` +
        `CPU ${fixed(timing.cpuMs, 0).padStart(5)} ms (first thread ${fixed(timing.mainThreadMs, 0)}), ` +
        `first ${fixed(timing.firstMs, 0)} ms and CPU ${fixed(timing.firstCpuMs, 0)}, ${peak(pid)}`,
    );
  }
  return timings;
}

/** This gateway beside each of the others. */
function compare(asked: readonly Question[], timings: ReadonlyMap<string, Timings>): void {
  const own = timings.get("weir");
  const others = [...timings].filter(([name]) => name !== "weir");
  if (own === undefined || others.length === 0) return;
  console.log("\nweir's medians, and as multiples of the others'");
  for (const question of asked) {
    const mine = own.get(question.name);
    if (mine === undefined) continue;
    const beside = others.flatMap(([name, theirs]) => {
      const other = theirs.get(question.name);
      if (other === undefined) return [];
      const cpu = other.cpuMs > 0 ? `, CPU ${fixed(mine.cpuMs / other.cpuMs, 2)}` : "";
      return (
        `${fixed(mine.medianMs / other.medianMs, 2).padStart(6)} x ${name}${cpu} ` +
        `(${verdict(question, name, mine, other)})`
      );
    });
    say(question.name, `${fixed(mine.medianMs).padStart(7)} ms, ${beside.join(", ")}`);
  }
}

function verdict({ ownRates }: Question, name: string, mine: Timing, other: Timing): string {
  if (ownRates && name === "victoria-metrics") return "rates of its own";
  // Those in SQL have rows.
  if (mine.data === undefined || other.data === undefined) return "answers not compared";
  const differs = difference(mine.data, other.data);
  return differs === undefined ? "agrees" : `DIFFERS: ${differs.slice(0, 200)}`;
}

/** Asks about events: this gateway, and the earlier one. */
async function compareEvents(timings: Map<string, Timings>, earlier: Earlier | undefined): Promise<void> {
  const span = { fromMs: Date.now() - DAY_MS + 60_000, toMs: Date.now() };
  const asked = [...eventQuestions(span.toMs), ...sqlQuestions()].filter(wanted);
  if (asked.length === 0) return;
  const gateway = (runtimeArgs: readonly string[]) => weir("", serveArgs, runtimeArgs);
  await kept(timings, "weir", measureEvents(gateway, span, asked));
  if (earlier === undefined) return;
  const before = (runtimeArgs: readonly string[]) => earlierWeir(earlier, "", serveArgs, runtimeArgs);
  await kept(timings, `weir ${earlier.commit}`, measureEvents(before, span, asked));
  compare(asked, new Map([...timings].filter(([name]) => name.startsWith("weir"))));
}

/** Pushes a day of events to a gateway and asks. */
async function measureEvents(
  gatewayOf: (runtimeArgs: readonly string[]) => Started,
  span: Span,
  asked: readonly Question[],
): Promise<Timings> {
  const events = count(options.events);
  console.log(`\n${gatewayOf([]).name}, ${events} events over 24 h`);
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  let server = await gatewayOf([]).start(folder);
  try {
    const serialized = [...bodies(events, EVENTS_PER_PUSH, span, 1)];
    const { seconds } = await ingest(server, serialized, CONNECTIONS);
    say("loaded", `in ${fixed(seconds)} s, ${peak(server.pid)} at most`);
    if (options.profile) {
      await server.stop();
      server = await gatewayOf(profilingInto(profilesIn(folder))).start(folder);
    }
    return await ask(server.url, server.pid, asked);
  } finally {
    await server.stop();
    if (options.profile) showProfile(profilesIn(folder));
    clear(folder);
  }
}

/** Runs `weir compact` on the data of a folder. */
async function compacted(folder: string): Promise<void> {
  const program = join(import.meta.dir, "../weir");
  const child = Bun.spawn([program, "compact", "--data", join(folder, "data")], { stdout: "ignore" });
  if ((await child.exited) !== 0) throw new Error("weir compact has failed");
}

function clear(folder: string): void {
  if (options.keep) say("kept", folder);
  else rmSync(folder, { recursive: true, force: true });
}

function peak(pid: number): string {
  return megabytes(usageOf(pid).residentBytesPeak);
}

function profilesIn(folder: string): string {
  return join(folder, "profiles");
}

function profilingInto(folder: string): string[] {
  return ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}

/** This gateway on a folder, profiled. */
function profiled(folder: string): Contender {
  return contenders(serveArgs, profilingInto(profilesIn(folder))).find(({ name }) => name === "weir")!;
}

function showProfile(folder: string): void {
  for (const { where, milliseconds, share } of hottest(folder, 25))
    console.log(`  ${fixed(100 * share).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`);
}
