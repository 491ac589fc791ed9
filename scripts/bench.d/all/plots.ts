/** The plots of a report: for each curve, one for each figure that is worth a look. */
import { FIGURES, type Figure, isRate } from "./figures.ts";
import { type Line, plotOf } from "./plot.ts";
import { type CaseReport, nameOf } from "./report.ts";

export interface Plot {
  /** The name of its file. */
  readonly name: string;
  readonly title: string;
  /** The curve. */
  readonly of: string;
  readonly svg: string;
}

const PLOTTED: readonly Figure[] = [
  "perSecond",
  "newPerSecond",
  "cpuPerMillion",
  "p99Ms",
  "residentMb",
  "bytesPerUnit",
  "rateMs",
  "allMs",
];

/** The plots of all curves with at least two sizes. */
export function plotsOf(cases: readonly CaseReport[]): Plot[] {
  const curves = Map.groupBy(
    cases.filter(({ size }) => size !== undefined),
    ({ size }) => size!.of,
  );
  return [...curves].flatMap(([of, points]) =>
    PLOTTED.flatMap((figure): Plot[] => {
      const names = [...new Set(points.flatMap(({ servers }) => servers.map(({ name }) => name)))];
      const lines = names.map((name) => ({ name: nameOf(name), points: pointsOf(points, name, figure) }));
      if (lines.every((line) => line.points.length < 2)) return [];
      const label = labelOf(figure, points[0]!.unit);
      const title = `${label}, by ${of}`;
      const name = `${of.replaceAll(" ", "-")}-${figure}.svg`;
      const note = `${isRate(figure) ? "more" : "less"} is better; both axes are logarithmic`;
      return [{ name, title, of, svg: plotOf({ title, note, xName: of }, lines) }];
    }),
  );
}

function pointsOf(points: readonly CaseReport[], name: string, figure: Figure): Line["points"] {
  return points.flatMap(({ size, servers }): [number, number][] => {
    const y = servers.find((server) => server.name === name)?.medians[figure];
    return y === undefined || !(y > 0) ? [] : [[size!.value, y]];
  });
}

/** A figure in words: "events per second", "bytes on disk per event". */
export function labelOf(figure: Figure, unit: string): string {
  const many = unit === "push" ? "pushes" : `${unit}s`;
  switch (figure) {
    case "perSecond":
      return `${many} per second`;
    case "cpuPerMillion":
      return `CPU-s per million ${many}`;
    case "cpuToStopPerMillion":
      return `CPU-s per million ${many}, with the stop`;
    case "bytesPerUnit":
      return `bytes on disk per ${unit}`;
    default:
      return FIGURES[figure];
  }
}
