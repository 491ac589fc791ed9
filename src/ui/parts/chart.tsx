/**
 * Lines over time, drawn by uPlot on a canvas. Dragging selects a range, and so does the wheel with Ctrl. Charts of one
 * group share their crosshair.
 * A table with the same values stands behind it for readers of screens.
 */
import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";
import { stepsOfUnit } from "../format/axis-steps.ts";
import { formatValue } from "../format/units.ts";
import { formatTime, type Zone } from "../format/times.ts";
import { colourOf } from "./chart-colours.ts";
import { focusPlugin, wheelPlugin } from "./chart-pointer.ts";
import {
  type ChartDot,
  type ChartLine,
  type ChartMark,
  type LineLook,
  stackedValues,
} from "./chart-lines.ts";

interface ChartProps {
  /** What is drawn, for readers of screens. */
  readonly label: string;
  /** Seconds since 1970, rising. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly unit?: string;
  readonly height?: number;
  readonly isStacked?: boolean;
  readonly zone?: Zone;
  /** Charts with the same group share their crosshair. */
  readonly group?: string;
  /** How values of the left and the right axis are written, if not in the unit. */
  readonly format?: (value: number, axis: "left" | "right") => string;
  /** Distances between the marks of an axis. By default those of the unit. */
  readonly steps?: (axis: "left" | "right") => number[] | undefined;
  /** The ends of the left axis. By default they depend on the values. */
  readonly least?: number;
  readonly most?: number;
  readonly isLogarithmic?: boolean;
  readonly marks?: readonly ChartMark[];
  /** Values of the left axis that are drawn as single dots. */
  readonly dots?: readonly ChartDot[];
  /** Whether the names are listed below. They are by default, up to 20 lines. */
  readonly hasLegend?: boolean;
  /** Whether the name and the value of the nearest line stand beside the pointer. */
  readonly hasTip?: boolean;
  /** Called with the time that the crosshair is at, and its place in the chart in pixels. */
  readonly onHover?: (at: number | undefined, left: number) => void;
  /** Called with the range in seconds that was dragged over. */
  readonly onSelect?: (from: number, to: number) => void;
  /** Called with a clicked dot. */
  readonly onDot?: (dot: number) => void;
  /** Called with a clicked line and the time. */
  readonly onPick?: (line: number, time: number) => void;
}

export function Chart(props: ChartProps) {
  const { label, times, lines, unit = "", height = 220, isStacked = false, zone = "local", group } = props;
  const host = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const id = useId();
  const names = lines.map(({ name }) => name).join("\n");
  /** What cannot change without drawing anew. */
  const looks = JSON.stringify([lines.map(({ look }) => look), props.least, props.most, props.marks]);
  const { hasLegend = lines.length <= 20, isLogarithmic = false } = props;

  const drawn = useRef<uPlot | undefined>(undefined);
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const colour = getComputedStyle(element);
    const muted = colour.getPropertyValue("color");
    const text = (value: number, axis: "left" | "right") =>
      latest.current.format?.(value, axis) ?? formatValue(value, unit);
    const hasRight = lines.some(({ look }) => look?.axis === "right");
    const chart = new uPlot(
      {
        width: Math.max(80, element.clientWidth),
        height,
        tzDate: (seconds) =>
          zone === "utc" ? uPlot.tzDate(new Date(seconds * 1000), "UTC") : new Date(seconds * 1000),
        legend: { show: hasLegend, live: true },
        bands: bandsOf(lines, isStacked),
        scales: scalesOf(props, isLogarithmic),
        cursor: {
          focus: { prox: 24 },
          drag: { x: props.onSelect !== undefined, y: false, setScale: false },
          sync: group === undefined ? undefined : { key: group },
        },
        // Without it, all lines would be drawn again whenever the pointer comes near to another one.
        focus: { alpha: 1 },
        plugins: [
          focusPlugin({
            value: (line, at, value) => {
              const { look } = latest.current.lines[line] ?? {};
              return text(valueAt(latest.current, line, at, value), look?.axis ?? "left");
            },
            time: (seconds) => formatTime(seconds * 1_000, zone),
            isLine: (line) => !/^(?:bars|points)$/.test(latest.current.lines[line]?.look?.draws ?? ""),
            hasTip: () => latest.current.hasTip === true,
          }),
          ...(props.onSelect === undefined
            ? []
            : [wheelPlugin((from, to) => latest.current.onSelect?.(from, to))]),
        ],
        series: [
          { value: (_, seconds) => (seconds === null ? "" : formatTime(seconds * 1000, zone)) },
          ...lines.map(({ name, look = {} }, at) => ({
            ...appearanceOf(look, look.colour ?? colourOf(at), isStacked, lines.length),
            label: name,
            scale: look.axis === "right" ? "right" : "y",
            points:
              look.hasPoints === undefined && times.length >= 60
                ? undefined
                : { show: look.hasPoints ?? true },
            value: (_: uPlot, value: number | null) =>
              value === null
                ? ""
                : text(valueAt(latest.current, at, chart.cursor.idx, value), look.axis ?? "left"),
          })),
        ],
        axes: [
          {
            stroke: muted,
            grid: { stroke: grey },
            ticks: { stroke: grey },
            values: (_, splits, __, ___, increment) => axisTimes(splits, increment, zone),
          },
          {
            stroke: muted,
            grid: { stroke: grey },
            ticks: { stroke: grey },
            size: (_, values) => axisSize(values, latest.current.format === undefined ? 72 : 40),
            incrs: props.steps === undefined ? stepsOfUnit(unit) : props.steps("left"),
            values: (_, values) => values.map((value) => (value === null ? "" : text(value, "left"))),
          },
          ...(hasRight
            ? [
                {
                  ...{ stroke: muted, scale: "right", side: 1, incrs: props.steps?.("right") },
                  size: (_: uPlot, values: string[]) => axisSize(values, 40),
                  grid: { show: false },
                  ticks: { stroke: grey },
                  values: (_: uPlot, values: readonly (number | null)[]) =>
                    values.map((value) => (value === null ? "" : text(value, "right"))),
                },
              ]
            : []),
        ],
        hooks: {
          draw: [
            (self) => drawMarks(self, latest.current.marks ?? []),
            (self) => drawDots(self, latest.current.dots ?? []),
          ],
          setCursor: [
            (self) => latest.current.onHover?.(self.cursor.idx ?? undefined, self.cursor.left ?? -1),
          ],
          setSelect: [
            (self) => {
              const { left, width } = self.select;
              if (width < 4) return;
              latest.current.onSelect?.(self.posToVal(left, "x"), self.posToVal(left + width, "x"));
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      dataOf(latest.current),
      element,
    );
    drawn.current = chart;
    // After a drag, uPlot stops the event.
    chart.over.addEventListener("click", () => {
      const dot = dotAt(chart, latest.current.dots ?? []);
      if (dot !== undefined && latest.current.onDot !== undefined) {
        latest.current.onDot(dot);
        return;
      }
      const { idx } = chart.cursor;
      const line = chart.series.findIndex((series, at) => at > 0 && (series as { _focus?: boolean })._focus);
      if (idx !== null && idx !== undefined && line > 0)
        latest.current.onPick?.(line - 1, latest.current.times[idx]!);
    });
    const resized = new ResizeObserver(() =>
      chart.setSize({ width: Math.max(80, element.clientWidth), height }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      chart.destroy();
      drawn.current = undefined;
    };
  }, [names, looks, unit, height, isStacked, zone, group, hasLegend, isLogarithmic]);

  useEffect(() => {
    drawn.current?.setData(dataOf(latest.current));
  }, [times, lines, props.dots]);

  const last = times.length - 1;
  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption id={id} class="unseen">
        {label}.{" "}
        {lines
          .slice(0, 10)
          .map(
            ({ name, values }) =>
              `${name}: ${values[last] == null ? "no value" : (props.format?.(values[last]!, "left") ?? formatValue(values[last]!, unit))}`,
          )
          .join("; ")}
      </figcaption>
      <div ref={host} style={{ minHeight: `${height}px` }} />
    </figure>
  );
}

/** The times of an axis on a clock of 24 hours. The date stands under the first one, and where a day begins. */
function axisTimes(splits: readonly number[], increment: number, zone: Zone): string[] {
  let day = "";
  return splits.map((seconds) => {
    const [date = "", time = ""] = formatTime(seconds * 1_000, zone).split(" ");
    if (increment >= 86_400) return date.slice(5);
    const shown = increment < 60 ? time : time.slice(0, 5);
    const text = date === day ? shown : `${shown}\n${date.slice(5)}`;
    day = date;
    return text;
  });
}

const grey = "#88888833";

/** The width of an axis with its texts. A character of the axis has some seven pixels. */
function axisSize(values: readonly string[] | null, least: number): number {
  const longest = (values ?? []).reduce((most, text) => Math.max(most, text.length), 0);
  return Math.max(least, 20 + 7 * longest);
}

function scalesOf({ least, most }: Pick<ChartProps, "least" | "most">, isLogarithmic: boolean): uPlot.Scales {
  const range = (_: uPlot, from: number | null, to: number | null): uPlot.Range.MinMax => {
    // Without a value, or with one alone, there is room around it.
    const low = least ?? Math.min(from ?? 0, 0);
    const high = most ?? to ?? 1;
    const [lowest, highest] = uPlot.rangeNum(low, high > low ? high : low + 1, 0.05, true);
    return [least ?? lowest ?? low, most ?? highest ?? high];
  };
  if (isLogarithmic) return { y: { distr: 3 } };
  return least === undefined && most === undefined ? {} : { y: { range } };
}

/** Of more lines, each is thinner: one of 1 pixel is drawn several times as fast. */
const LINES_THICK_MAX = 20;

function appearanceOf(look: LineLook, colour: string, isStacked: boolean, lines: number): uPlot.Series {
  const {
    width = lines > LINES_THICK_MAX ? 1 : 1.5,
    fill = isStacked ? 0.25 : 0,
    draws = "line",
    dash,
    spansGaps = false,
  } = look;
  const { linear, spline, stepped, bars } = uPlot.paths;
  const paths = {
    line: linear,
    smooth: spline,
    "step-before": () => stepped!({ align: -1 }),
    "step-after": () => stepped!({ align: 1 }),
    bars: () => bars!({ size: [0.8, 60] }),
    points: () => () => null,
  }[draws];
  return {
    stroke: colour,
    width,
    fill: fill > 0 ? withOpacity(colour, fill) : undefined,
    dash: dash === undefined ? undefined : [...dash],
    spanGaps: spansGaps,
    show: look.isHidden !== true,
    paths: paths?.(),
  };
}

/** Any colour of CSS with an opacity. */
function withOpacity(colour: string, opacity: number): string {
  if (/^#[0-9a-f]{6}$/i.test(colour)) {
    const alpha = Math.round(opacity * 255);
    return colour + alpha.toString(16).padStart(2, "0");
  }
  return `color-mix(in srgb, ${colour} ${Math.round(opacity * 100)}%, transparent)`;
}

/** Lines at the marked values of the left axis. */
function drawMarks({ ctx, bbox, valToPos }: uPlot, marks: readonly ChartMark[]): void {
  for (const { value, colour, isDashed = false } of marks) {
    const y = Math.round(valToPos(value, "y", true));
    if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = Math.max(1, devicePixelRatio);
    if (isDashed) ctx.setLineDash([8, 6]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }
}

const DOT_COLOUR = "#7a5af5";
/** Half the width of a dot, and how near a click must be, in pixels. */
const DOT_PX = 4;
const CLICK_PX = 8;

/** A rhombus for each dot within the ends of the axes. */
function drawDots({ ctx, bbox, valToPos }: uPlot, dots: readonly ChartDot[]): void {
  const size = DOT_PX * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = DOT_COLOUR;
  for (const { time, value } of dots) {
    const [x, y] = [valToPos(time, "x", true), valToPos(value, "y", true)];
    const isWithin =
      x >= bbox.left && x <= bbox.left + bbox.width && y >= bbox.top && y <= bbox.top + bbox.height;
    if (!isWithin) continue;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.fill();
  }
  ctx.restore();
}

/** The dot at the crosshair. */
function dotAt({ cursor, valToPos }: uPlot, dots: readonly ChartDot[]): number | undefined {
  const { left = -1, top = -1 } = cursor;
  const distances = dots.map(({ time, value }) =>
    Math.hypot(valToPos(time, "x") - left, valToPos(value, "y") - top),
  );
  const nearest = Math.min(...distances);
  return nearest <= CLICK_PX ? distances.indexOf(nearest) : undefined;
}

/** The areas between lines of one stack, so that each is filled down to the line below it. */
function bandsOf(lines: readonly ChartLine[], isStacked: boolean): uPlot.Band[] {
  const below = new Map<string, number>();
  return lines.flatMap((line, index) => {
    const stack = stackOf(line, isStacked);
    if (stack === undefined || line.look?.isHidden) return [];
    const isDown = line.values.some((value) => value !== null && value < 0);
    const key = `${stack} ${isDown}`;
    const lower = below.get(key);
    below.set(key, index);
    // The first series of a chart is that of the times.
    return lower === undefined ? [] : [{ series: [index + 1, lower + 1], dir: isDown ? 1 : -1 }];
  });
}

/** The group in which a line is stacked. */
function stackOf({ look }: ChartLine, isStacked: boolean): string | undefined {
  return look?.stack ?? (isStacked ? "" : undefined);
}

/** Of stacked lines the legend shows each value, and not the sum. */
function valueAt(
  { isStacked = false, lines }: ChartProps,
  line: number,
  at: number | null | undefined,
  value: number,
): number {
  const isSum = at != null && lines[line] !== undefined && stackOf(lines[line], isStacked) !== undefined;
  return isSum ? (lines[line]!.values[at] ?? value) : value;
}

function dataOf({ times, lines, isStacked = false }: ChartProps): uPlot.AlignedData {
  return [times, ...stackedValues(lines, (line) => stackOf(line, isStacked))] as unknown as uPlot.AlignedData;
}
