/**
 * All comparisons with other servers in one run: the same work for each of them and this gateway in turn, several rounds,
 * and how costs grow with size. Writes a report as Markdown and JSON, with plots.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { comparisons, curves, peersFolder } from "./all/cases.ts";
import { headlineOf, putHeadline } from "./all/headline.ts";
import { openKeptRuns } from "./all/kept-runs.ts";
import { measure } from "./all/measure.ts";
import { installPeers, versions } from "./all/peers.ts";
import { plotsOf } from "./all/plots.ts";
import { type About, type CaseReport, type Report, reportOf } from "./all/report.ts";
import { asMarkdown } from "./all/report-markdown.ts";
import { type Earlier, openEarlier } from "./earlier.ts";

const HELP = `Usage: scripts/bench all [options]

Measures this gateway and other servers on the same work, in turn. Needs an idle machine, and takes about 25 minutes with the
default sizes on two cores. Missing servers are downloaded as packages of Debian and unpacked into the folder for temporary
files. Each run is kept: after a failure or Ctrl-C, the same command with --resume continues.

  --rounds N           rounds of each comparison, at least 5 for figures that are published (default 5)
  --curve-rounds N     rounds of each point of a curve (default 3)
  --cases LIST         of events, remote-write, single, groups, stored, series, connections (default: all)
  --events N           events of a comparison (default 2000000)
  --samples N          samples of remote_write (default 2000000)
  --pushes N           pushes of one event (default 5000)
  --groups N           groups (default 10000)
  --before COMMIT      an earlier commit of the gateway does the same work, as one more server. Its checkout is made in
                       --folder and stays there. COMMIT can be a folder with a checkout, too
  --stored LIST        samples stored (default 1000000,10000000)
  --large              also 100 million stored samples, in one round: 12 minutes more
  --series LIST        series (default 1000,10000,100000,1000000)
  --connections LIST   connections (default 1,10,100,1000)
  --run-limit S        seconds after which a run has failed, and its server is killed (default 600)
  --resume             continues the run whose report is in the folder of --out
  --out DIR            where the report is written (default: bench-results in the current folder)
  --publish            also writes the report to scripts/bench.d/results, and its headline to README.md
  --render             measures nothing: writes the published report and the headline again from the published JSON
  --folder DIR         the folder for temporary data folders (default: the system's)
  --no-install         measures only the servers that are installed
  --help               shows this help
`;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    "curve-rounds": { type: "string", default: "3" },
    cases: { type: "string", default: "events,remote-write,single,groups,stored,series,connections" },
    events: { type: "string", default: "2000000" },
    samples: { type: "string", default: "2000000" },
    pushes: { type: "string", default: "5000" },
    groups: { type: "string", default: "10000" },
    stored: { type: "string", default: "1000000,10000000" },
    large: { type: "boolean", default: false },
    series: { type: "string", default: "1000,10000,100000,1000000" },
    connections: { type: "string", default: "1,10,100,1000" },
    before: { type: "string" },
    "run-limit": { type: "string", default: "600" },
    resume: { type: "boolean", default: false },
    out: { type: "string", default: "bench-results" },
    publish: { type: "boolean", default: false },
    render: { type: "boolean", default: false },
    folder: { type: "string", default: tmpdir() },
    "no-install": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const ROOT = join(import.meta.dir, "..", "..");
const PUBLISHED = "scripts/bench.d/results";
const LARGE = 100_000_000;

const count = (value: string) => Number(value.replaceAll("_", ""));
const counts = (value: string) => value.split(",").filter(Boolean).map(count);

// scripts/bench sets it for the client, which else has at most 256 connections. The gateway has its own default.
delete process.env.BUN_CONFIG_MAX_HTTP_REQUESTS;

if (options.help) console.log(HELP);
else if (options.render)
  publish(JSON.parse(readFileSync(join(ROOT, PUBLISHED, "results.json"), "utf8")) as Report);
else process.exitCode = await main();

/** Resolves to the exit code: 1 if a run failed. */
async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => stop.abort(new Error(`it was stopped by ${signal}`)));
  const earlier =
    options.before === undefined ? undefined : await openEarlier(options.before, options.folder);
  const about = await describe(earlier?.commit);
  const stored = counts(options.stored);
  const cases = casesOf(options.large && !stored.includes(LARGE) ? [...stored, LARGE] : stored, earlier);
  const { commit, cores, versions } = about;
  const beside = earlier === undefined ? "" : ` beside ${earlier.commit}`;
  const of = `commit ${commit}${beside}, ${cores} cores, ${JSON.stringify(versions)}`;
  const kept = openKeptRuns(join(options.out, "runs.jsonl"), of, options.resume);
  const reports: CaseReport[] = [];
  const began = performance.now();
  for (const each of cases) {
    console.log(`\n${minutesSince(began)}  ${each.title}`);
    const competitors = each.open();
    try {
      const results = await measure(competitors, {
        rounds: roundsOf(each.size),
        folder: options.folder,
        runLimitMs: 1_000 * count(options["run-limit"]),
        signal: stop.signal,
        say: (line) => console.log(line),
        earlier: (server, round) => kept.get(`${each.id}: ${each.title}`, server, round),
        keep: (server, round, run) => kept.put(`${each.id}: ${each.title}`, server, round, run),
      });
      reports.push(reportOf(each, competitors, results));
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      console.log(`\n${stop.signal.reason.message}; what was measured is kept: --resume continues.`);
      return 130;
    }
    // After each case, so that a run that is stopped has a report too.
    write(options.out, { about, cases: reports });
  }
  console.log(`\n${minutesSince(began)}  The report is in ${join(options.out, "results.md")}.`);
  if (options.publish) publish({ about, cases: reports });
  const failed = reports.flatMap(({ servers }) => servers.flatMap(({ failures }) => failures));
  if (failed.length > 0) console.log(`${failed.length} runs failed; --resume tries them again.`);
  return failed.length > 0 ? 1 : 0;
}

async function describe(before: string | undefined): Promise<About> {
  const loadBefore = Math.round(loadavg()[0]! * 10) / 10;
  if (!options["no-install"]) await installPeers(peersFolder(options.folder), (line) => console.log(line));
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: await commit(),
    ...(before !== undefined && { before }),
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    loadBefore,
    rounds: count(options.rounds),
    curveRounds: count(options["curve-rounds"]),
    versions: { ...(await versions()), Bun: Bun.version },
  };
}

function casesOf(stored: readonly number[], earlier: Earlier | undefined) {
  const sizes = {
    events: count(options.events),
    samples: count(options.samples),
    pushes: count(options.pushes),
    groups: count(options.groups),
    stored,
    series: counts(options.series),
    connections: counts(options.connections),
    earlier,
  };
  const named = options.cases.split(",");
  return [...comparisons(sizes), ...curves(sizes)].filter(({ id }) => named.includes(id));
}

function roundsOf(size: { readonly value: number } | undefined): number {
  if (size === undefined) return count(options.rounds);
  return size.value >= LARGE ? 1 : count(options["curve-rounds"]);
}

function write(folder: string, report: Report): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name.endsWith(".svg")) rmSync(join(folder, name));
  for (const { name, svg } of plotsOf(report.cases)) writeFileSync(join(folder, name), svg);
  writeFileSync(join(folder, "results.json"), `${JSON.stringify(report, undefined, 1)}\n`);
  writeFileSync(join(folder, "results.md"), asMarkdown(report));
}

/** Makes a report the one that README cites. */
function publish(report: Report): void {
  write(join(ROOT, PUBLISHED), report);
  putHeadline(join(ROOT, "README.md"), headlineOf(report, PUBLISHED));
  console.log(
    `It is also in ${relative(process.cwd(), join(ROOT, PUBLISHED))}, and its headline in README.md.`,
  );
}

function minutesSince(beganMs: number): string {
  const seconds = Math.round((performance.now() - beganMs) / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

async function commit(): Promise<string> {
  const git = Bun.spawn(["git", "describe", "--always", "--dirty", "--exclude=*"], {
    cwd: import.meta.dir,
    stdout: "pipe",
    stderr: "ignore",
  });
  return (await new Response(git.stdout).text()).trim() || "unknown";
}
