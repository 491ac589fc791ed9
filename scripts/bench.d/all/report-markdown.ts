/** The report as Markdown. Where another server is ahead, it says so. */
import { type Figure, figuresOf, median, numberText } from "./figures.ts";
import { labelOf, plotsOf } from "./plots.ts";
import { type About, type CaseReport, nameOf, OWN, type Report, type ServerReport } from "./report.ts";

/** Differences below this share are noise. */
const AHEAD_BY = 0.03;

/** The report as Markdown, made from the JSON alone. The plots are files beside it. */
export function asMarkdown({ about, cases }: Report): string {
  const { date, commit, before, cores, memoryGb, rounds, curveRounds } = about;
  const roundsText = (count: number) => `${count} ${count === 1 ? "round" : "rounds"}`;
  const lines = [
    "# Weir beside other servers, in one run",
    "",
    `\`scripts/bench all\` measured this on ${date} at the commit \`${commit}\`, on a machine with ${cores} cores and ${memoryGb} GB of ` +
      "memory. The client ran on the same cores. In each round the servers had the same work in turn, each in a new folder. " +
      `Figures are medians of ${roundsText(rounds)}, and those by size of ${roundsText(curveRounds)}. ${othersText(about, cases)}`,
    "",
    ...(before === undefined
      ? []
      : [
          `\`${nameOf(`weir ${before}`)}\` is an earlier commit of the same gateway, measured in the same rounds.`,
          "",
        ]),
    "A ratio above 1 means that Weir is ahead: by its rate, or because it takes less. Work that is not measured comes first in each run, " +
      "since code is compiled meanwhile. `With the stop` adds the processor time until the process has ended, because servers write " +
      "a part of the work later. Resident memory is that at the end of the work, with mapped files.",
    "",
    `Versions: ${Object.entries(about.versions)
      .map(([name, version]) => `${nameOf(name)} ${version}`)
      .join(", ")}.`,
  ];
  for (const one of cases) if (one.size === undefined) lines.push("", ...sectionOf(one));
  const plots = plotsOf(cases);
  for (const [of, points] of byCurve(cases)) {
    lines.push("", ...curveOf(of, points));
    const own = plots.filter((plot) => plot.of === of);
    if (own.length > 0) lines.push("", ...own.map(({ name, title }) => `![${title}](${name})`));
  }
  return `${lines.join("\n")}\n`;
}

function byCurve(cases: readonly CaseReport[]): Map<string, CaseReport[]> {
  return Map.groupBy(
    cases.filter(({ size }) => size !== undefined),
    ({ size }) => size!.of,
  );
}

/** Others on the machine would make figures worse, for whoever had the bad luck. */
function othersText({ loadBefore }: About, cases: readonly CaseReport[]): string {
  const runs = cases.flatMap(({ servers }) => servers.flatMap((server) => server.runs));
  const typical = median(runs, "othersCores") ?? 0;
  const most = Math.max(0, ...runs.map(({ othersCores }) => othersCores ?? 0));
  return (
    `The load average was ${loadBefore} before. Meanwhile other programs used ${typical.toFixed(2)} cores in the median run, and ` +
    `${most.toFixed(2)} in the worst.`
  );
}

function sectionOf({ title, unit, servers }: CaseReport): string[] {
  const present = servers.filter(({ runs }) => runs.length > 0);
  const others = present.filter(({ name }) => name !== OWN);
  const head = [
    "",
    ...present.map(({ name }) => nameOf(name)),
    ...others.map(({ name }) => `ratio to ${nameOf(name)}`),
  ];
  const rows = figuresOf(servers.flatMap(({ runs }) => runs)).map((figure) => [
    labelOf(figure, unit),
    ...present.map(({ medians }) => numberText(medians[figure])),
    ...others.map(({ ratios }) => numberText(ratios?.[figure])),
  ]);
  return [
    `## ${title}`,
    "",
    ...tableOf([head, ...rows]),
    "",
    ...present.flatMap(({ name, note }) => (note === undefined ? [] : [`- ${nameOf(name)} ${note}.`])),
    ...missingOf(servers),
    ...aheadOf(others, unit),
  ];
}

/** The figures of a curve that get a table. */
const CURVE_FIGURES: readonly Figure[] = [
  "perSecond",
  "newPerSecond",
  "cpuPerMillion",
  "cpuToStopPerMillion",
  "p50Ms",
  "p99Ms",
  "maxMs",
  "residentMb",
  "bytesPerUnit",
  "rateMs",
  "rateCpuMs",
  "allMs",
  "labelValuesMs",
];

function curveOf(of: string, points: readonly CaseReport[]): string[] {
  const names = [...new Set(points.flatMap(({ servers }) => servers.map(({ name }) => name)))];
  const unit = points[0]!.unit;
  const lines = [`## Cost by ${of}`];
  for (const figure of CURVE_FIGURES) {
    const rows = points.map(({ size, servers }) => [
      numberText(size!.value),
      ...names.map((name) => numberText(servers.find((server) => server.name === name)?.medians[figure])),
    ]);
    if (rows.every((row) => row.slice(1).every((text) => text === ""))) continue;
    lines.push("", `${labelOf(figure, unit)}:`, "", ...tableOf([[of, ...names.map(nameOf)], ...rows]));
  }
  for (const { size, servers } of points) {
    const said = [
      ...missingOf(servers),
      ...aheadOf(
        servers.filter(({ name }) => name !== OWN),
        unit,
      ),
    ];
    if (said.length > 0) lines.push("", `At ${numberText(size!.value)}:`, "", ...said);
  }
  return lines;
}

/** A line for each server without a figure, and for each run that failed. */
function missingOf(servers: readonly ServerReport[]): string[] {
  return servers.flatMap(({ name, absent, runs, failures }) => [
    ...(runs.length === 0 ? [`- ${nameOf(name)} was not measured: ${absent ?? "no run succeeded"}.`] : []),
    ...failures.map((failure) => `- ${nameOf(name)} failed in ${failure.replaceAll("\n", " ")}.`),
  ]);
}

/** A line for each server that is ahead of the gateway in something. */
function aheadOf(others: readonly ServerReport[], unit: string): string[] {
  return others.flatMap(({ name, ratios = {} }) => {
    const ahead = (Object.entries(ratios) as [Figure, number][])
      .filter(([, ratio]) => ratio < 1 - AHEAD_BY)
      .map(([figure, ratio]) => `${labelOf(figure, unit)} (${numberText(1 / ratio)} times)`);
    return ahead.length === 0 ? [] : [`- **${nameOf(name)} is ahead** in: ${ahead.join("; ")}.`];
  });
}

/** A table of Markdown. The first row is its head. */
export function tableOf([head, ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head!), `|${"---|".repeat(head!.length)}`, ...rows.map(line)];
}
