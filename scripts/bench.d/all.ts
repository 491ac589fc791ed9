/**
 * All comparisons with other servers in one run: the same work for each of them and this gateway in turn, several rounds,
 * and how costs grow with size. Writes a report as Markdown and JSON, with plots.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { comparisons, curves, peersFolder } from "./all/cases.ts";
import { type Case, type Figure, measure } from "./all/measure.ts";
import { installPeers, versions } from "./all/peers.ts";
import { type Line, plotOf } from "./all/plot.ts";
import { asJson, asMarkdown, labelOf, type Measured, median } from "./all/report.ts";

const HELP = `Usage: scripts/bench all [options]

Measures this gateway and other servers on the same work, in turn. Needs an idle machine, and takes some hours with the
default sizes. Missing servers are downloaded as packages of Debian and unpacked into the folder for temporary files.

  --rounds N           rounds of each comparison, at least 5 for figures that are published (default 5)
  --curve-rounds N     rounds of each point of a curve (default 1)
  --cases LIST         of events, remote-write, single, groups, stored, series, connections (default: all)
  --events N           events of a comparison (default 2000000)
  --samples N          samples of remote_write (default 2000000)
  --pushes N           pushes of one event (default 5000)
  --groups N           groups (default 10000)
  --stored LIST        samples stored (default 1000000,10000000,100000000)
  --series LIST        series (default 1000,10000,100000,1000000)
  --connections LIST   connections (default 1,10,100,1000)
  --out DIR            where the report is written (default: bench-results in the current folder)
  --folder DIR         the folder for temporary data folders (default: the system's)
  --no-install         measures only the servers that are installed
  --help               shows this help
`;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    "curve-rounds": { type: "string", default: "1" },
    cases: { type: "string", default: "events,remote-write,single,groups,stored,series,connections" },
    events: { type: "string", default: "2000000" },
    samples: { type: "string", default: "2000000" },
    pushes: { type: "string", default: "5000" },
    groups: { type: "string", default: "10000" },
    stored: { type: "string", default: "1000000,10000000,100000000" },
    series: { type: "string", default: "1000,10000,100000,1000000" },
    connections: { type: "string", default: "1,10,100,1000" },
    out: { type: "string", default: "bench-results" },
    folder: { type: "string", default: tmpdir() },
    "no-install": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** The figures of which each curve gets a plot. */
const PLOTTED: readonly Figure[] = [
  "perSecond",
  "cpuPerMillion",
  "p99Ms",
  "residentMb",
  "bytesPerUnit",
  "rateQueryMs",
];

const count = (value: string) => Number(value.replaceAll("_", ""));
const counts = (value: string) => value.split(",").filter(Boolean).map(count);
const load = () => Math.round(loadavg()[0]! * 10) / 10;

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const loadBefore = load();
  if (!options["no-install"]) await installPeers(peersFolder(options.folder), (line) => console.log(line));
  const sizes = {
    events: count(options.events),
    samples: count(options.samples),
    pushes: count(options.pushes),
    groups: count(options.groups),
    stored: counts(options.stored),
    series: counts(options.series),
    connections: counts(options.connections),
  };
  const named = options.cases.split(",");
  const cases = [...comparisons(sizes), ...curves(sizes)].filter(({ id }) => named.includes(id));
  const about = {
    date: new Date().toISOString().slice(0, 10),
    commit: await commit(),
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    loadBefore,
    rounds: count(options.rounds),
    versions: { ...(await versions()), bun: Bun.version },
  };
  const measured: Measured[] = [];
  for (const each of cases) {
    console.log(`\n${each.title}`);
    const rounds = count(each.size === undefined ? options.rounds : options["curve-rounds"]);
    const results = await measure(each, rounds, options.folder, (line) => console.log(line));
    measured.push({ case: each, results });
    // After each case, so that a run that is stopped has a report too.
    write({ ...about, loadAfter: load() }, measured);
  }
  console.log(`\nThe report is in ${join(options.out, "results.md")}.`);
}

function write(about: Parameters<typeof asJson>[0], measured: readonly Measured[]): void {
  mkdirSync(options.out, { recursive: true });
  const put = (name: string, text: string) => writeFileSync(join(options.out, name), text);
  const plots = plotsOf(measured);
  for (const [name, svg] of plots) put(name, svg);
  put("results.json", `${JSON.stringify(asJson(about, measured), undefined, 2)}\n`);
  put(
    "results.md",
    asMarkdown(
      about,
      measured,
      plots.map(([name]) => name),
    ),
  );
}

/** A plot for each figure of each curve: its name and its text. */
function plotsOf(measured: readonly Measured[]): [string, string][] {
  const byName = Map.groupBy(
    measured.filter((one) => one.case.size !== undefined),
    (one) => one.case.size!.of,
  );
  return [...byName].flatMap(([of, points]) =>
    PLOTTED.flatMap((figure): [string, string][] => {
      const names = [...new Set(points.flatMap(({ results }) => [...results.keys()]))];
      const lines = names.map((name) => ({ name, points: pointsOf(points, name, figure) }));
      if (lines.every((line) => line.points.length < 2)) return [];
      const title = `${labelOf(figure)} by ${of}`;
      return [[`${of.replaceAll(" ", "-")}-${figure}.svg`, plotOf(title, of, labelOf(figure), lines)]];
    }),
  );
}

function pointsOf(measured: readonly Measured[], name: string, figure: Figure): Line["points"] {
  return measured.flatMap(({ case: { size }, results }): [number, number][] => {
    const y = median(results.get(name) ?? [], figure);
    return y === undefined || !(y > 0) ? [] : [[(size as NonNullable<Case["size"]>).value, y]];
  });
}

async function commit(): Promise<string> {
  const text = await new Response(
    Bun.spawn(["git", "rev-parse", "--short", "HEAD"], {
      cwd: import.meta.dir,
      stdout: "pipe",
      stderr: "ignore",
    }).stdout,
  ).text();
  return text.trim() || "unknown";
}
