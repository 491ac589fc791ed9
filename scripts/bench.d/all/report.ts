/**
 * The report: medians, and the ratio of each server to this gateway. A ratio above 1 means that the gateway is ahead. Where
 * another server is ahead, the report says so.
 */
import { type Case, FIGURES, type Figure, type Results, type Run } from "./measure.ts";

export interface Measured {
  readonly case: Case;
  readonly results: Results;
}

/** The machine and the programs that the figures are of. */
export interface About {
  readonly date: string;
  readonly commit: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly rounds: number;
  readonly versions: Readonly<Record<string, string>>;
}

const OWN = "weir";
/** Differences below this share are noise. */
const AHEAD_BY = 0.03;

/** The median of one figure. Undefined if no run has it. */
export function median(runs: readonly Run[], figure: Figure): number | undefined {
  const values = runs
    .flatMap((run) => (run[figure] === undefined ? [] : [run[figure]]))
    .sort((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle] : (values[middle - 1]! + values[middle]!) / 2;
}

/** How far the gateway is ahead in a figure: 2 is twice as good. Undefined if one of both is not measured. */
export function ratio(results: Results, other: string, figure: Figure): number | undefined {
  const own = median(results.get(OWN) ?? [], figure);
  const theirs = median(results.get(other) ?? [], figure);
  if (own === undefined || theirs === undefined || own === 0 || theirs === 0) return undefined;
  return figure === "perSecond" ? own / theirs : theirs / own;
}

/** All figures of all runs, with medians and ratios. */
export function asJson(about: About, measured: readonly Measured[]): unknown {
  return {
    about,
    cases: measured.map(({ case: { id, title, unit, size, competitors }, results }) => ({
      ...{ id, title, unit, size },
      servers: competitors.map(({ contender: { name, absent }, note }) => {
        const runs = results.get(name) ?? [];
        const figures = figuresOf(runs);
        const of = (value: (figure: Figure) => number | undefined) =>
          Object.fromEntries(figures.map((figure) => [figure, value(figure)]));
        return {
          ...{ name, note, absent, runs },
          medians: of((figure) => median(runs, figure)),
          ratios: name === OWN ? undefined : of((figure) => ratio(results, name, figure)),
        };
      }),
    })),
  };
}

/**
 * The report as Markdown.
 *
 * @param plots names of files beside it, which it shows
 */
export function asMarkdown(about: About, measured: readonly Measured[], plots: readonly string[]): string {
  const { date, commit, cores, memoryGb, loadBefore, loadAfter, rounds } = about;
  const lines = [
    "# Benchmarks",
    "",
    `Measured on ${date} at the commit \`${commit}\`, on ${cores} cores and ${memoryGb} GB of memory, with the client on the ` +
      `same machine. The load of other programs was ${loadBefore} before and ${loadAfter} after. Figures are medians of ` +
      `${rounds} ${rounds === 1 ? "round" : "rounds"}, in which the servers were measured in turn. A ratio above 1 means that Weir is ahead.`,
    "",
    `Versions: ${Object.entries(about.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
  ];
  for (const one of measured) if (one.case.size === undefined) lines.push("", ...sectionOf(one));
  const curves = Map.groupBy(
    measured.filter((one) => one.case.size !== undefined),
    (one) => one.case.size!.of,
  );
  for (const [of, points] of curves) lines.push("", ...curveOf(of, points));
  for (const plot of plots) lines.push("", `![${plot.replace(/\.svg$/, "")}](${plot})`);
  return `${lines.join("\n")}\n`;
}

function sectionOf({ case: { title, unit, competitors }, results }: Measured): string[] {
  const present = competitors.filter(({ contender: { name } }) => results.has(name));
  const names = present.map(({ contender: { name } }) => name);
  const others = names.filter((name) => name !== OWN);
  const head = ["", ...names, ...others.map((name) => `ratio to ${name}`)];
  const rows = figuresOf([...results.values()].flat()).map((figure) => [
    `${unit}: ${labelOf(figure)}`,
    ...names.map((name) => numberText(median(results.get(name)!, figure))),
    ...others.map((name) => numberText(ratio(results, name, figure))),
  ]);
  const absent = competitors.filter(({ contender: { name } }) => !results.has(name));
  return [
    `## ${title}`,
    "",
    ...tableOf([head, ...rows]),
    "",
    ...present.flatMap(({ contender: { name }, note }) => (note === undefined ? [] : [`- ${name} ${note}.`])),
    ...absent.map(({ contender: { name, absent: why } }) => `- ${name}: ${why ?? "no run succeeded"}.`),
    ...aheadOf(results, others),
  ];
}

function curveOf(of: string, points: readonly Measured[]): string[] {
  const names = [...new Set(points.flatMap(({ results }) => [...results.keys()]))];
  const figures = [
    "perSecond",
    "cpuPerMillion",
    "p99Ms",
    "maxMs",
    "residentMb",
    "bytesPerUnit",
    "rateQueryMs",
    "labelValuesMs",
  ];
  const lines = [`## Cost by ${of}`];
  for (const figure of figures) {
    const rows = points.map(({ case: { size }, results }) => [
      numberText(size!.value),
      ...names.map((name) => numberText(median(results.get(name) ?? [], figure))),
    ]);
    if (rows.every((row) => row.slice(1).every((text) => text === ""))) continue;
    lines.push("", `${labelOf(figure)}:`, "", ...tableOf([[of, ...names], ...rows]));
  }
  for (const { case: each, results } of points) {
    const ahead = aheadOf(
      results,
      names.filter((name) => name !== OWN),
    );
    if (ahead.length > 0) lines.push("", `At ${numberText(each.size!.value)}:`, "", ...ahead);
  }
  return lines;
}

/** A line for each server that is ahead of the gateway in something. */
function aheadOf(results: Results, others: readonly string[]): string[] {
  return others.flatMap((name) => {
    const ahead = figuresOf(results.get(name) ?? []).flatMap((figure) => {
      const by = ratio(results, name, figure);
      return by === undefined || by >= 1 - AHEAD_BY
        ? []
        : [`${labelOf(figure)} (${numberText(1 / by)} times)`];
    });
    return ahead.length === 0 ? [] : [`- **${name} is ahead** in: ${ahead.join(", ")}.`];
  });
}

function figuresOf(runs: readonly Run[]): Figure[] {
  const names = new Set<Figure>(Object.keys(FIGURES));
  for (const run of runs) for (const name of Object.keys(run)) names.add(name);
  return [...names].filter((name) => runs.some((run) => run[name] !== undefined && !Number.isNaN(run[name])));
}

export function labelOf(figure: Figure): string {
  const more: Record<string, string> = {
    rateQueryMs: "rate over an hour, ms",
    labelValuesMs: "values of a label, ms",
  };
  return (FIGURES as Record<string, string>)[figure] ?? more[figure] ?? figure;
}

function tableOf([head, ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head!), `|${"---|".repeat(head!.length)}`, ...rows.map(line)];
}

/** Three digits, or all of a large number. Empty if there is none. */
export function numberText(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "";
  return Math.abs(value) >= 100
    ? Math.round(value).toLocaleString("en-US")
    : String(Number(value.toPrecision(3)));
}
