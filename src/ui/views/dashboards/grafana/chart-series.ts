/** The columns of a panel of time series as lines of a chart. Pure. */
import type { ChartDot, ChartLine, ChartMark, LineLook } from "../../../parts/chart-lines.ts";
import type { FieldSettings, ShownField } from "../fields/field-settings.ts";
import { namedColour, paletteColour, scaleColour } from "../fields/grafana-colours.ts";
import { at, listOf, numberIn, textOf } from "./loose-json.ts";

export interface SeriesLines {
  /** Seconds since 1970, rising. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
  /** How each line's values are written. */
  readonly settings: readonly FieldSettings[];
  /** Lines that the legend lists. */
  readonly listed: readonly boolean[];
  readonly marks: readonly ChartMark[];
  /** Series that are not drawn. */
  readonly left: number;
}

/** More lines cannot be told apart. */
const LINES_MAX = 200;

export function seriesLines(fields: readonly ShownField[]): SeriesLines {
  const numbers = fields.flatMap((shown) => {
    const time = shown.frame.fields.find(({ kind }) => kind === "time");
    const isHidden = at(shown.settings.custom, "hideFrom.viz") === true;
    return shown.field.kind !== "number" || time === undefined || isHidden
      ? []
      : [{ ...shown, times: time.values as readonly number[] }];
  });
  const drawn = numbers.slice(0, LINES_MAX);
  const times = [...new Set(drawn.flatMap((each) => each.times))].sort((a, b) => a - b);
  const placeOf = new Map(times.map((ms, place) => [ms, place]));
  const units = new Set<string>();
  const lines = drawn.map(({ field, settings, times: own }, index): ChartLine => {
    const values: (number | null)[] = Array(times.length).fill(null);
    const isDown = settings.custom.transform === "negative-Y";
    field.values.forEach((value, row) => {
      if (typeof value === "number" && Number.isFinite(value))
        values[placeOf.get(own[row]!)!] = isDown ? -value : value;
    });
    units.add(settings.unit);
    const isOtherUnit = settings.unit !== drawn[0]!.settings.unit;
    return { name: settings.name, values, look: lookOf(settings, index, isOtherUnit) };
  });
  return {
    times: times.map((ms) => ms / 1_000),
    lines: withParts(
      lines,
      drawn.map(({ settings }) => settings),
    ),
    settings: drawn.map(({ settings }) => settings),
    listed: drawn.map(({ settings }) => at(settings.custom, "hideFrom.legend") !== true),
    marks: marksOf(drawn[0]?.settings),
    left: numbers.length - drawn.length,
  };
}

const DRAWS: Readonly<Record<string, LineLook["draws"]>> = {
  ...{ smooth: "smooth", stepBefore: "step-before", stepAfter: "step-after" },
};

function lookOf(settings: FieldSettings, index: number, isOtherUnit: boolean): LineLook {
  const { custom } = settings;
  const style = textOf(custom.drawStyle, "line");
  const draws = style === "line" ? DRAWS[textOf(custom.lineInterpolation)] : (style as LineLook["draws"]);
  const placement = textOf(custom.axisPlacement, "auto");
  const stacking = textOf(at(custom, "stacking.mode"), "none");
  const group = textOf(at(custom, "stacking.group"), "A");
  const dash = listOf(at(custom, "lineStyle.dash")).flatMap((length) => numberIn(length) ?? []);
  const isDashed = ["dash", "dot"].includes(textOf(at(custom, "lineStyle.fill")));
  const points = textOf(custom.showPoints, "auto");
  const isRight = placement === "right" || (placement === "auto" && isOtherUnit);
  return {
    colour: lineColour(settings, index),
    width: numberIn(custom.lineWidth) ?? 1,
    fill: (numberIn(custom.fillOpacity) ?? 0) / 100,
    axis: isRight ? "right" : "left",
    spansGaps: custom.spanNulls === true || typeof custom.spanNulls === "number",
    ...(draws === undefined ? {} : { draws }),
    ...(style === "points" || points === "always" ? { hasPoints: true } : {}),
    ...(points === "never" && style !== "points" ? { hasPoints: false } : {}),
    ...(isDashed ? { dash: dash.length > 0 ? dash : [8, 6] } : {}),
    ...(stacking === "none" || stacking === "" ? {} : { stack: `${group} ${isRight}` }),
  };
}

/** A line has one colour, so a colour that follows the value is that of the palette. */
function lineColour({ colourMode, fixedColour, name, steps }: FieldSettings, index: number): string {
  if (colourMode === "fixed" || colourMode === "shades")
    return namedColour(fixedColour) ?? paletteColour(index);
  if (colourMode === "thresholds") return namedColour(steps.at(-1)?.colour ?? "") ?? paletteColour(index);
  if (colourMode === "palette-classic-by-name") return paletteColour(index, name);
  return scaleColour(colourMode, 1) ?? paletteColour(index);
}

/** Lines that are stacked to 100 % are shares of the sum at their time. */
function withParts(lines: readonly ChartLine[], settings: readonly FieldSettings[]): readonly ChartLine[] {
  const isPart = (index: number) => at(settings[index]!.custom, "stacking.mode") === "percent";
  if (!lines.some((_, index) => isPart(index))) return lines;
  const sums = lines[0]!.values.map((_, time) =>
    lines.reduce((sum, { values }, index) => sum + (isPart(index) ? Math.abs(values[time] ?? 0) : 0), 0),
  );
  return lines.map((line, index) => {
    if (!isPart(index)) return line;
    const values = line.values.map((value, time) =>
      value === null || sums[time] === 0 ? null : value / sums[time]!,
    );
    return { ...line, values };
  });
}

function marksOf(settings: FieldSettings | undefined): ChartMark[] {
  const mode = textOf(at(settings?.custom, "thresholdsStyle.mode"), "off");
  if (settings === undefined || mode === "off" || mode === "") return [];
  return settings.steps
    .filter(({ value }) => Number.isFinite(value))
    .map(({ value, colour }) => ({
      ...{ value, colour: namedColour(colour) ?? "gray" },
      isDashed: mode.startsWith("dashed"),
    }));
}

/** Whether values of the panel are shares of a whole that is stacked to 100 %. */
export function isStackedToParts({ settings }: SeriesLines): boolean {
  return settings.some(({ custom }) => at(custom, "stacking.mode") === "percent");
}

/** An event behind the lines, with the labels that identify it. */
export interface EventDot extends ChartDot {
  readonly labels: Readonly<Record<string, string>>;
}

/** Of the events of each step, the one with the greatest value that the lines leave room for. */
export function drawnDots(
  events: readonly EventDot[],
  { lines }: SeriesLines,
  stepMs: number,
): readonly EventDot[] {
  const most = lines.reduce(
    (greatest, { values }) => values.reduce<number>((a, b) => Math.max(a, b ?? a), greatest),
    Number.NEGATIVE_INFINITY,
  );
  const byStep = new Map<number, EventDot>();
  for (const event of events) {
    const step = Math.floor((event.time * 1_000) / stepMs);
    if (event.value <= most && event.value > (byStep.get(step)?.value ?? Number.NEGATIVE_INFINITY))
      byStep.set(step, event);
  }
  return [...byStep.values()];
}
