/** A panel of lines over time: a chart, its legend, and the values at the crosshair. */
import { useMemo, useRef, useState } from "preact/hooks";
import { formatTime } from "../../../format/times.ts";
import type { ChartLine } from "../../../parts/chart-lines.ts";
import { Chart } from "../../../parts/chart.tsx";
import { shownValue } from "../fields/field-values.ts";
import { formatUnit, unitSteps } from "../fields/grafana-units.ts";
import { at, listOf, textOf } from "../grafana/loose-json.ts";
import {
  drawnDots,
  type EventDot,
  isStackedToParts,
  seriesLines,
  type SeriesLines,
} from "../grafana/chart-series.ts";
import { go } from "../../../router.ts";
import type { PanelContentProps } from "./panel-content.ts";
import { SeriesLegend } from "./series-legend.tsx";

/** Height of an item of the legend, and the most that the legend takes of the panel. */
const ITEM_PX = 22;
const LEGEND_PART = 0.35;

export function TimeSeriesPanel(props: PanelContentProps) {
  const { panel, title, fields, answer, size, zone, onRange } = props;
  const drawn = useMemo(() => seriesLines(fields), [fields]);
  const dots = useMemo(() => drawnDots(answer.exemplars, drawn, answer.stepMs), [answer, drawn]);
  /** The lines that the legend singled out. None for all. */
  const [singled, setSingled] = useState<ReadonlySet<string>>(new Set());
  const [hovered, setHovered] = useState<{ readonly at: number; readonly left: number }>();
  const host = useRef<HTMLDivElement>(null);
  const lines = useMemo(
    () => drawn.lines.map((line) => (singled.size === 0 || singled.has(line.name) ? line : hidden(line))),
    [drawn, singled],
  );
  const { options } = panel;
  const hasLegend =
    at(options, "legend.showLegend") !== false && at(options, "legend.displayMode") !== "hidden";
  const isBeside = at(options, "legend.placement") === "right" && size.width > 480;
  const isTable = at(options, "legend.displayMode") === "table";
  const legendPx = hasLegend && !isBeside ? legendHeight(drawn, size, isTable) : 0;
  const first = drawn.settings[drawn.lines.findIndex(({ look }) => look?.axis !== "right")];
  const right = drawn.settings[drawn.lines.findIndex(({ look }) => look?.axis === "right")];
  const isParts = isStackedToParts(drawn);
  const format = (value: number, axis: "left" | "right") => {
    if (isParts) return formatUnit(value, "percentunit", { decimals: 0 });
    const settings = (axis === "left" ? first : right) ?? drawn.settings[0];
    return settings === undefined
      ? String(value)
      : shownValue(value, { ...settings, mappings: [] }, { zone }).text;
  };
  const mode = textOf(at(options, "tooltip.mode"), "multi");
  const [least, most] = [first?.min, isParts ? 1 : first?.max];
  return (
    <div class={isBeside ? "series-panel beside" : "series-panel"}>
      <div ref={host} class="series-chart">
        <Chart
          label={title}
          times={drawn.times}
          lines={lines}
          format={format}
          steps={(axis) => (isParts ? undefined : unitSteps((axis === "left" ? first : right)?.unit ?? ""))}
          height={Math.max(60, size.height - legendPx)}
          zone={zone}
          group="dashboard"
          hasLegend={false}
          marks={drawn.marks}
          dots={dots}
          onDot={(dot) => {
            const address = taskAddress(dots[dot]!);
            if (address !== undefined) go(address);
          }}
          isLogarithmic={at(first?.custom, "scaleDistribution.type") === "log"}
          {...(least === undefined ? {} : { least })}
          {...(most === undefined ? {} : { most })}
          onHover={(at, left) => {
            // The crosshair of another chart moves this one too.
            const isHere = at !== undefined && left >= 0 && host.current?.matches(":hover") === true;
            setHovered(isHere ? { at, left } : undefined);
          }}
          onSelect={(from, to) => onRange(from * 1_000, to * 1_000)}
        />
        {hovered === undefined || mode === "none" ? null : (
          <Tooltip
            exemplars={dots.filter(
              ({ time }) => Math.abs(time - (drawn.times[hovered.at] ?? 0)) * 2_000 <= answer.stepMs,
            )}
            {...{ drawn, lines, zone }}
            sort={textOf(at(options, "tooltip.sort"))}
            {...hovered}
            width={size.width}
          />
        )}
        {drawn.left > 0 ? <p class="note">{drawn.left} more series are not drawn.</p> : null}
      </div>
      {hasLegend ? (
        <SeriesLegend
          drawn={drawn}
          calculations={listOf(at(options, "legend.calcs")).map((name) => textOf(name))}
          isTable={isTable}
          height={isBeside ? size.height : legendPx}
          singled={singled}
          onSingle={setSingled}
          zone={zone}
        />
      ) : null}
    </div>
  );
}

/** The legend has what its items need, up to a part of the panel. */
function legendHeight(
  { lines }: SeriesLines,
  { width, height }: PanelContentProps["size"],
  isTable: boolean,
): number {
  // A letter has some seven pixels, and an item a mark beside its name.
  const widths = lines.map(({ name }) => 34 + 7 * name.length);
  const total = widths.reduce((sum, each) => sum + each, 0);
  const rows = isTable ? lines.length + 1 : Math.ceil((1.15 * total) / Math.max(120, width));
  return Math.max(Math.min(rows * ITEM_PX + 4, Math.floor(height * LEGEND_PART)), ITEM_PX + 4);
}

function hidden(line: ChartLine): ChartLine {
  return { ...line, look: { ...line.look, isHidden: true } };
}

/** The timeline of the task of an exemplar. */
function taskAddress({ labels }: EventDot): string | undefined {
  const { task_id: task } = labels;
  return task === undefined ? undefined : `/tasks?${new URLSearchParams({ task_id: task })}`;
}

interface TooltipProps extends Pick<PanelContentProps, "zone"> {
  readonly drawn: SeriesLines;
  readonly lines: readonly ChartLine[];
  readonly sort: string;
  readonly exemplars: readonly EventDot[];
  readonly at: number;
  readonly left: number;
  readonly width: number;
}

const TOOLTIP_LINES_MAX = 12;
const EXEMPLARS_LISTED = 4;

/** The values of all lines at a time. */
function Tooltip({ drawn, lines, sort, zone, at: place, left, width, exemplars }: TooltipProps) {
  const values = lines.flatMap(({ name, values: all, look }, index) => {
    const value = all[place];
    if (value === null || value === undefined || look?.isHidden) return [];
    const settings = drawn.settings[index]!;
    const isDown = settings.custom.transform === "negative-Y";
    const { text } = shownValue(isDown ? -value : value, settings, { zone });
    return [{ name, value, text, colour: look?.colour }];
  });
  if (sort === "desc") values.sort((a, b) => b.value - a.value);
  if (sort === "asc") values.sort((a, b) => a.value - b.value);
  const isLeft = left < width / 2;
  return (
    <div class="tooltip" style={isLeft ? { left: `${left + 70}px` } : { right: `${width - left - 40}px` }}>
      <strong>{formatTime((drawn.times[place] ?? 0) * 1_000, zone)}</strong>
      <ul>
        {values.slice(0, TOOLTIP_LINES_MAX).map(({ name, text, colour }, index) => (
          <li key={index}>
            <span class="swatch" style={{ background: colour }} />
            <span class="tooltip-name">{name}</span>
            <span class="number">{text}</span>
          </li>
        ))}
      </ul>
      {exemplars.slice(0, EXEMPLARS_LISTED).map(({ value, labels }, index) => (
        <p key={index} class="note exemplar">
          ◆ {shownValue(value, { ...drawn.settings[0]!, mappings: [] }, { zone }).text}{" "}
          {Object.values(labels).join(" ")}
        </p>
      ))}
      {values.length > TOOLTIP_LINES_MAX ? (
        <span class="note">and {values.length - TOOLTIP_LINES_MAX} more</span>
      ) : null}
    </div>
  );
}
