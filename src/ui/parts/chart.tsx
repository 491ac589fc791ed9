/**
 * Lines over time, drawn by uPlot on a canvas. Dragging selects a range, and charts of one group share their crosshair.
 * A table with the same values stands behind it for readers of screens.
 */
import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";
import { formatValue } from "../format/units.ts";
import { formatTime, type Zone } from "../format/times.ts";
import type { ChartLine } from "./chart-lines.ts";

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
  /** Called with the range in seconds that was dragged over. */
  readonly onSelect?: (from: number, to: number) => void;
  /** Called with a clicked line and the time. */
  readonly onPick?: (line: number, time: number) => void;
}

/** Colours that people with any colour vision can tell apart, on a light and on a dark ground (after Okabe and Ito). */
const COLOURS = [
  "#0b84a5",
  "#e69f00",
  "#6f4e9c",
  "#009e73",
  "#d55e00",
  "#8a9a1f",
  "#cc79a7",
  "#5b7fd1",
  "#9c6b30",
  "#5f6b7a",
];

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

/** The lines on top of each other: each is drawn at the sum of those up to it. */
function stacked(lines: readonly ChartLine[]): (number | null)[][] {
  const sums: number[] = [];
  return lines.map(({ values }) =>
    values.map((value, at) => {
      if (value === null) return null;
      sums[at] = (sums[at] ?? 0) + value;
      return sums[at]!;
    }),
  );
}

export function Chart(props: ChartProps) {
  const { label, times, lines, unit = "", height = 220, isStacked = false, zone = "local", group } = props;
  const host = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const id = useId();
  const names = lines.map(({ name }) => name).join("\n");

  const drawn = useRef<uPlot | undefined>(undefined);
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const colour = getComputedStyle(element);
    const muted = colour.getPropertyValue("color");
    const chart = new uPlot(
      {
        width: Math.max(80, element.clientWidth),
        height,
        tzDate: (seconds) =>
          zone === "utc" ? uPlot.tzDate(new Date(seconds * 1000), "UTC") : new Date(seconds * 1000),
        legend: { show: lines.length <= 20, live: true },
        cursor: {
          focus: { prox: 24 },
          drag: { x: props.onSelect !== undefined, y: false, setScale: false },
          sync: group === undefined ? undefined : { key: group },
          bind: {
            click: () => (event: MouseEvent) => {
              const { idx } = chart.cursor;
              const line = chart.series.findIndex(
                (series, at) => at > 0 && (series as { _focus?: boolean })._focus,
              );
              if (idx !== null && idx !== undefined && line > 0)
                latest.current.onPick?.(line - 1, latest.current.times[idx]!);
              event.preventDefault();
              return null;
            },
          },
        },
        focus: { alpha: 0.3 },
        series: [
          { value: (_, seconds) => (seconds === null ? "" : formatTime(seconds * 1000, zone)) },
          ...lines.map(({ name }, at) => ({
            label: name,
            stroke: colourOf(at),
            width: 1.5,
            fill: isStacked ? `${colourOf(at)}40` : undefined,
            points: times.length < 60 ? { show: true } : undefined,
            value: (_: uPlot, value: number | null) =>
              value === null ? "" : formatValue(valueAt(latest.current, at, chart.cursor.idx, value), unit),
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
            size: 72,
            values: (_, values) => values.map((value) => formatValue(value, unit)),
          },
        ],
        hooks: {
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
    const resized = new ResizeObserver(() =>
      chart.setSize({ width: Math.max(80, element.clientWidth), height }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      chart.destroy();
      drawn.current = undefined;
    };
  }, [names, unit, height, isStacked, zone, group]);

  useEffect(() => {
    drawn.current?.setData(dataOf(latest.current));
  }, [times, lines]);

  const last = times.length - 1;
  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption id={id} class="unseen">
        {label}.{" "}
        {lines
          .slice(0, 10)
          .map(
            ({ name, values }) =>
              `${name}: ${values[last] == null ? "no value" : formatValue(values[last]!, unit)}`,
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

/** Of stacked lines the legend shows each value, and not the sum. */
function valueAt(
  { isStacked, lines }: ChartProps,
  line: number,
  at: number | null | undefined,
  value: number,
): number {
  return isStacked && at != null ? (lines[line]?.values[at] ?? value) : value;
}

function dataOf({ times, lines, isStacked = false }: ChartProps): uPlot.AlignedData {
  const values = isStacked ? stacked(lines) : lines.map((line) => line.values);
  return [times, ...values] as unknown as uPlot.AlignedData;
}
