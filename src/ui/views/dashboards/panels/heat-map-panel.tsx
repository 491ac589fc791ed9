/** A panel of the buckets of a histogram over time. */
import { useMemo } from "preact/hooks";
import { heatCells, type PromSeries } from "../../../api/promql-answer.ts";
import { HeatMap } from "../../../parts/heat-map.tsx";
import { Empty } from "../../../parts/states.tsx";
import { formatUnit } from "../fields/grafana-units.ts";
import { namedColour, channels, schemeColour } from "../fields/grafana-colours.ts";
import { at, numberIn, type Loose, textOf } from "../grafana/loose-json.ts";
import type { ShownField } from "../fields/field-settings.ts";
import type { PanelContentProps } from "./panel-content.ts";

/** The line above the cells. */
const CAPTION_PX = 32;

export function HeatMapPanel({ panel, title, fields, size, zone }: PanelContentProps) {
  const { options } = panel;
  const drawn = useMemo(() => cellsOf(fields, options), [fields, options]);
  if (drawn === undefined)
    return <Empty>A heat map needs series that differ in the label le; these do not.</Empty>;
  const unit = textOf(at(options, "yAxis.unit")) || textOf(panel.defaults.unit, "short");
  const decimals = numberIn(at(options, "yAxis.decimals"));
  return (
    <HeatMap
      label={title}
      times={drawn.times}
      heat={drawn.heat}
      unit=""
      format={(bound) => formatUnit(bound, unit, decimals === undefined ? {} : { decimals })}
      height={Math.max(60, size.height - CAPTION_PX)}
      zone={zone}
      {...colourProps(options)}
    />
  );
}

function colourProps(options: Loose) {
  const scheme = schemeColour(textOf(at(options, "color.scheme")));
  const fill = namedColour(textOf(at(options, "color.fill"))) ?? "";
  const colour =
    at(options, "color.mode") === "opacity" && /^#[0-9a-f]{6}$/i.test(fill) ? channels(fill) : scheme;
  return colour === undefined ? {} : { colour };
}

/** The cells by bucket and time, without the buckets that nothing is in. */
function cellsOf(fields: readonly ShownField[], options: Loose) {
  const columns = fields.flatMap(({ frame, field }) => {
    const time = frame.fields.find(({ kind }) => kind === "time");
    return field.kind === "number" && time !== undefined ? [{ field, times: time.values as number[] }] : [];
  });
  const times = [...new Set(columns.flatMap((each) => each.times))]
    .sort((a, b) => a - b)
    .map((ms) => ms / 1_000);
  const series = columns.map(
    ({ field, times: own }): PromSeries => ({
      metric: field.labels,
      values: field.values.map((value, row) => [own[row]! / 1_000, String(value ?? 0)] as const),
    }),
  );
  const step = times.length < 2 ? 1 : times[1]! - times[0]!;
  const heat = heatCells(series, times, step);
  if (heat === undefined) return undefined;
  const least = numberIn(at(options, "filterValues.le")) ?? 0;
  const isUsed = (row: number) => heat.cells[row]!.some((count) => count > least);
  const rows = heat.bounds.map((_, row) => row);
  const [first, last] = [rows.find(isUsed) ?? 0, rows.findLast(isUsed) ?? rows.length - 1];
  return {
    times,
    heat: { ...heat, bounds: heat.bounds.slice(first, last + 1), cells: heat.cells.slice(first, last + 1) },
  };
}
