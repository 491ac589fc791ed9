/** What a panel of Grafana says. Panels of types that Grafana replaced become those that replaced them. Pure. */
import {
  at,
  isObject,
  type Loose,
  listOf,
  numberIn,
  objectOf,
  objectsOf,
  textOf,
  withValue,
} from "./loose-json.ts";
import type { VariableValues } from "./template-text.ts";

export interface PanelPlace {
  readonly x: number;
  /** Undefined if the file gives the panel no place. */
  readonly y: number | undefined;
  readonly w: number;
  readonly h: number;
}

export type TargetFormat = "time_series" | "table" | "heatmap";

/** A question of a panel. */
export interface PanelTarget {
  readonly refId: string;
  readonly language: "promql" | "sql";
  readonly text: string;
  readonly legend: string;
  readonly isInstant: boolean;
  readonly isRange: boolean;
  readonly format: TargetFormat;
  /** The least time between two points, such as `1m`. */
  readonly interval: string;
  /** Whether events behind the series are drawn too. */
  readonly hasExemplars: boolean;
}

export interface PanelModel {
  /** Distinguishes a panel from its repetitions. */
  readonly key: string;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly place: PanelPlace;
  readonly targets: readonly PanelTarget[];
  readonly options: Loose;
  /** What holds for all values, before `overrides`. */
  readonly defaults: Loose;
  readonly overrides: readonly Loose[];
  readonly transformations: readonly Loose[];
  readonly interval: string;
  readonly pointsMax: number | undefined;
  readonly timeFrom: string;
  readonly timeShift: string;
  readonly repeat: string | undefined;
  readonly repeatDirection: "h" | "v";
  readonly repeatsPerLine: number;
  /** The values of repeated variables for this panel. */
  readonly scope: VariableValues;
  /** Why the panel cannot be drawn, as sentences. */
  readonly faults: readonly string[];
  /** What is drawn without, as sentences. */
  readonly notes: readonly string[];
}

const WIDTH = 12;
const HEIGHT = 8;

export function panelOf(given: Loose): PanelModel {
  const { panel, notes } = modern(given);
  const faults: string[] = [];
  if (isObject(panel.libraryPanel) && panel.type === undefined)
    faults.push("It is a library panel, and the file does not contain what it shows.");
  const targets = objectsOf(panel.targets)
    .filter(({ hide }) => hide !== true)
    .flatMap((target, index) => targetOf(target, panel, index, faults));
  const place = objectOf(panel.gridPos);
  return {
    key: String(numberIn(panel.id) ?? ""),
    type: textOf(panel.type, "timeseries"),
    title: textOf(panel.title),
    description: textOf(panel.description),
    place: {
      x: numberIn(place.x) ?? 0,
      y: numberIn(place.y),
      w: Math.min(24, numberIn(place.w) ?? WIDTH),
      h: numberIn(place.h) ?? HEIGHT,
    },
    targets,
    options: objectOf(panel.options),
    defaults: objectOf(at(panel, "fieldConfig.defaults")),
    overrides: objectsOf(at(panel, "fieldConfig.overrides")),
    transformations: objectsOf(panel.transformations).filter(({ disabled }) => disabled !== true),
    interval: textOf(panel.interval),
    pointsMax: numberIn(panel.maxDataPoints),
    timeFrom: textOf(panel.timeFrom),
    timeShift: textOf(panel.timeShift),
    repeat: textOf(panel.repeat) || undefined,
    repeatDirection: panel.repeatDirection === "v" ? "v" : "h",
    repeatsPerLine: numberIn(panel.maxPerRow) ?? 4,
    scope: new Map(),
    faults,
    notes,
  };
}

function targetOf(target: Loose, panel: Loose, index: number, faults: string[]): PanelTarget[] {
  const refId = textOf(target.refId, String.fromCharCode(65 + (index % 26)));
  const fault =
    sourceFault(target.datasource) ?? (isMixed(panel) ? undefined : sourceFault(panel.datasource));
  if (fault !== undefined) {
    if (!faults.includes(fault)) faults.push(fault);
    return [];
  }
  const sql = textOf(target.rawSql);
  const text = sql === "" ? textOf(target.expr) : sql;
  if (text.trim() === "") {
    if (target.type !== undefined || target.query !== undefined)
      faults.push(`The question ${refId} is in no language that the gateway answers.`);
    return [];
  }
  const isInstant = target.instant === true;
  const formats: readonly TargetFormat[] = ["table", "heatmap"];
  return [
    {
      ...{ refId, text, isInstant, language: sql === "" ? "promql" : "sql" },
      legend: textOf(target.legendFormat),
      isRange: target.range === true || !isInstant,
      format: formats.find((each) => each === target.format) ?? "time_series",
      interval: textOf(target.interval),
      hasExemplars: target.exemplar === true && sql === "",
    },
  ];
}

function isMixed(panel: Loose): boolean {
  return at(panel, "datasource.uid") === "-- Mixed --" || panel.datasource === "-- Mixed --";
}

/** Kinds of data sources whose questions the gateway answers. `weir-sql` is our own. */
const SOURCES = /^(?:prometheus|victoria\w+-(?:metrics-)?datasource|weir-sql)$/;

/** Why the gateway cannot answer for a data source. Old files have its name only, or a variable. */
function sourceFault(source: unknown): string | undefined {
  const type = isObject(source) ? textOf(source.type) : "";
  const uid = isObject(source) ? textOf(source.uid) : textOf(source);
  if (uid === "-- Dashboard --") return "It shows the answer of another panel, which is not supported.";
  if (uid === "-- Grafana --" || type === "grafana") return "It asks Grafana itself.";
  if (type === "" || type === "datasource" || type.startsWith("$") || SOURCES.test(type)) return undefined;
  return `Its data source is of the type ${type}, which the gateway does not answer for.`;
}

/** A panel of today's type and fields. */
function modern(given: Loose): { readonly panel: Loose; readonly notes: readonly string[] } {
  const panel = withFields(given);
  if (panel.type === "graph") return fromGraph(panel);
  if (panel.type === "singlestat") return { panel: fromSinglestat(panel), notes: [] };
  if (panel.type === "table-old") return { panel: { ...panel, type: "table" }, notes: [] };
  if (panel.type === "grafana-piechart-panel") return { panel: { ...panel, type: "piechart" }, notes: [] };
  return { panel, notes: [] };
}

/** In Grafana 6, the fields were among the options. */
function withFields(panel: Loose): Loose {
  const fields = at(panel, "options.fieldOptions");
  if (panel.fieldConfig !== undefined || !isObject(fields)) return panel;
  const reduceOptions = { calcs: fields.calcs, values: fields.values };
  return {
    ...panel,
    fieldConfig: { defaults: fields.defaults, overrides: [] },
    options: { reduceOptions, ...objectOf(panel.options) },
  };
}

function fromGraph(panel: Loose): { readonly panel: Loose; readonly notes: readonly string[] } {
  const [left = {}] = objectsOf(panel.yaxes);
  const isBars = panel.bars === true && panel.lines !== true;
  const fill = numberIn(panel.fill) ?? 1;
  const thresholds = objectsOf(panel.thresholds).filter(({ line }) => line !== false);
  const custom = {
    drawStyle: isBars ? "bars" : panel.lines === false && panel.points === true ? "points" : "line",
    lineWidth: numberIn(panel.linewidth) ?? 1,
    fillOpacity: isBars ? 70 : 10 * fill,
    showPoints: panel.points === true ? "always" : "never",
    lineInterpolation: panel.steppedLine === true ? "stepAfter" : "linear",
    spanNulls: panel.nullPointMode === "connected",
    axisLabel: textOf(left.label),
    scaleDistribution: (numberIn(left.logBase) ?? 1) > 1 ? { type: "log" } : { type: "linear" },
    stacking: {
      mode: panel.stack === true ? (panel.percentage === true ? "percent" : "normal") : "none",
      group: "A",
    },
    thresholdsStyle: { mode: thresholds.length > 0 ? "line" : "off" },
  };
  const defaults = {
    unit: textOf(left.format, "short"),
    min: numberIn(left.min),
    max: numberIn(left.max),
    decimals: numberIn(panel.decimals),
    color: { mode: "palette-classic" },
    thresholds: {
      mode: "absolute",
      steps: [
        { color: "transparent", value: null },
        ...thresholds.map(({ value, colorMode }) => ({
          value: numberIn(value) ?? 0,
          color: { critical: "red", warning: "orange", ok: "green" }[textOf(colorMode)] ?? "red",
        })),
      ],
    },
    custom,
  };
  const legend = objectOf(panel.legend);
  const calcs = Object.entries({ min: "min", max: "max", avg: "mean", current: "lastNotNull", total: "sum" })
    .filter(([name]) => legend[name] === true)
    .map(([, calc]) => calc);
  const options = {
    legend: {
      ...{ showLegend: legend.show !== false, calcs },
      displayMode: legend.alignAsTable === true ? "table" : "list",
      placement: legend.rightSide === true ? "right" : "bottom",
    },
    tooltip: { mode: at(panel, "tooltip.shared") === false ? "single" : "multi" },
  };
  const overridden = listOf(panel.seriesOverrides).length;
  const notes =
    overridden === 0 ? [] : [`${overridden} overrides of an old panel of the type graph are ignored.`];
  const fieldConfig = { defaults, overrides: [] };
  return { panel: { ...panel, type: "timeseries", options, fieldConfig }, notes };
}

const VALUE_NAMES: Readonly<Record<string, string>> = {
  ...{ avg: "mean", current: "lastNotNull", total: "sum", name: "lastNotNull" },
};

function fromSinglestat(panel: Loose): Loose {
  const name = textOf(panel.valueName, "avg");
  const colours = listOf(panel.colors).map((colour) => textOf(colour));
  const limits = textOf(panel.thresholds)
    .split(",")
    .flatMap((text) => numberIn(text) ?? []);
  const steps = [null, ...limits].map((value, index) => ({ value, color: colours[index] || "green" }));
  const suffix = textOf(panel.postfix);
  const unit = textOf(panel.format, "none");
  const mappings = objectsOf(panel.valueMaps).map(({ value, text }) => ({
    ...(value === "null"
      ? { type: "special", options: { match: "null", result: { text } } }
      : { type: "value", options: { [textOf(value)]: { text } } }),
  }));
  const isGauge = at(panel, "gauge.show") === true;
  const defaults = {
    unit: unit === "none" && suffix !== "" ? `suffix:${suffix}` : unit,
    decimals: numberIn(panel.decimals),
    min: numberIn(at(panel, "gauge.minValue")),
    max: numberIn(at(panel, "gauge.maxValue")),
    noValue: textOf(panel.nullText) || undefined,
    thresholds: { mode: "absolute", steps },
    mappings,
  };
  const hasColour = panel.colorValue === true || panel.colorBackground === true;
  const options = {
    reduceOptions: { calcs: [VALUE_NAMES[name] ?? name], fields: "", values: false },
    colorMode: panel.colorBackground === true ? "background" : hasColour ? "value" : "none",
    graphMode: at(panel, "sparkline.show") === true ? "area" : "none",
    textMode: name === "name" ? "name" : "auto",
  };
  const typed = withValue(panel, "type", isGauge ? "gauge" : "stat");
  return { ...typed, options, fieldConfig: { defaults, overrides: [] } };
}
