/**
 * Turns a dashboard of Weir's own format (README.md) into one of Grafana, so that there is one kind of dashboards to draw, and
 * so that a small file can be the beginning of a large dashboard. Unknown keys are errors. Pure.
 */
import { parseDurationMs } from "../model/duration.ts";
import type { DashboardJson } from "./dashboard-text.ts";
import { type DashboardKeys, KeyedTable } from "./keyed-table.ts";
import type { TomlPath } from "./toml-lines.ts";

/** Makes the error of a value. */
export type FaultAt = (path: TomlPath, message: string) => Error;

/** Columns of a dashboard, as in Grafana. */
const COLUMNS = 24;
const WIDTH = 12;
/** A unit of height is 30 pixels. */
const HEIGHT = 8;
const SMALL_HEIGHT = 4;
const PANELS_MAX = 500;
const TYPES = [
  ...["timeseries", "stat", "gauge", "bargauge", "table", "heatmap", "state-timeline", "text"],
] as const;
type PanelType = (typeof TYPES)[number];
const SMALL: ReadonlySet<PanelType> = new Set(["stat", "gauge"]);
/** They show one value of each series, so one time is asked for. */
const OF_ONE_TIME: ReadonlySet<PanelType> = new Set(["bargauge", "table"]);
const STYLES = ["lines", "bars", "points"] as const;
const DRAW_STYLES = { lines: "line", bars: "bars", points: "points" } as const;

/** @throws what `faultAt` makes */
export function grafanaDashboard(table: DashboardJson, faultAt: FaultAt): DashboardJson {
  const keys = new KeyedTable(table, [], faultAt);
  const title = keys.text("title") ?? keys.missing("title", 'a text such as "Orders"');
  const panels: DashboardJson[] = [];
  const place = new Flow();
  for (const panel of keys.tables("panel")) panels.push(panelOf(panel, panels.length + 1, place));
  for (const row of keys.tables("row")) {
    const name = row.text("title") ?? row.missing("title", 'a text such as "Errors"');
    const isCollapsed = row.flag("collapsed") ?? false;
    const gridPos = place.row();
    const head = { id: panels.length + 1, type: "row", title: name, collapsed: isCollapsed, gridPos };
    const inside = row.tables("panel").map((panel, at) => panelOf(panel, panels.length + 2 + at, place));
    row.end();
    panels.push(isCollapsed ? { ...head, panels: inside } : { ...head, panels: [] });
    if (!isCollapsed) panels.push(...inside);
  }
  if (panels.length > PANELS_MAX)
    throw faultAt(["panel"], `the dashboard has ${panels.length} panels, expected at most ${PANELS_MAX}`);
  const last = span(keys, "range") ?? "1h";
  const dashboard = {
    title,
    description: keys.text("description"),
    tags: keys.texts("tags") ?? [],
    schemaVersion: 39,
    timezone: keys.word("zone", ["utc", "browser"]) ?? "browser",
    time: { from: `now-${last}`, to: "now" },
    refresh: span(keys, "refresh") ?? "30s",
    templating: { list: keys.tables("variable").map(variableOf) },
    panels,
  };
  keys.end();
  return dashboard;
}

/** Places panels from left to right, and below when a line is full. */
class Flow {
  #x = 0;
  #y = 0;
  #lineHeight = 0;

  place(w: number, h: number) {
    if (this.#x + w > COLUMNS) this.#newLine();
    const gridPos = { x: this.#x, y: this.#y, w, h };
    this.#x += w;
    this.#lineHeight = Math.max(this.#lineHeight, h);
    return gridPos;
  }

  row() {
    this.#newLine();
    const gridPos = { x: 0, y: this.#y, w: COLUMNS, h: 1 };
    this.#y++;
    return gridPos;
  }

  #newLine(): void {
    this.#y += this.#lineHeight;
    this.#x = 0;
    this.#lineHeight = 0;
  }
}

function panelOf(keys: KeyedTable, id: number, flow: Flow): DashboardJson {
  const type = keys.word("type", TYPES) ?? "timeseries";
  const width = keys.whole("width", 1, COLUMNS) ?? (SMALL.has(type) ? WIDTH / 2 : WIDTH);
  const height = keys.whole("height", 1, 100) ?? (SMALL.has(type) ? SMALL_HEIGHT : HEIGHT);
  const text = keys.text("text");
  if (type === "text" && text === undefined) keys.missing("text", "the text of the panel");
  const targets = type === "text" ? [] : targetsOf(keys, type);
  const panel = {
    id,
    type,
    title: keys.text("title") ?? "",
    description: keys.text("description"),
    gridPos: flow.place(width, height),
    datasource: { type: "prometheus" },
    interval: span(keys, "interval"),
    repeat: keys.text("repeat"),
    targets,
    fieldConfig: { defaults: fieldsOf(keys, type), overrides: [] },
    options: optionsOf(keys, type, text),
  };
  keys.end();
  return panel;
}

function targetsOf(keys: KeyedTable, type: PanelType): DashboardJson[] {
  const given = keys.tables("query");
  const isShort = keys.has("promql") || keys.has("sql");
  if (isShort && given.length > 0)
    throw keys.fault("query", "is given beside promql or sql, expected one of them");
  const queries = isShort ? [keys] : given;
  if (queries.length === 0) keys.missing("promql", "a question in promql or sql, or tables query");
  return queries.map((query, at) => {
    const target = targetOf(query, type, String.fromCharCode(65 + (at % 26)));
    if (query !== keys) query.end();
    return target;
  });
}

function targetOf(keys: KeyedTable, type: PanelType, refId: string): DashboardJson {
  const [promql, sql] = [keys.text("promql"), keys.text("sql")];
  if (promql !== undefined && sql !== undefined)
    throw keys.fault("sql", "and promql are both given, expected one of them");
  const legendFormat = keys.text("legend");
  if (sql !== undefined) return { refId, datasource: { type: "weir-sql" }, rawSql: sql, legendFormat };
  const expr = promql ?? keys.missing("promql", "a question in promql or sql");
  const instant = keys.flag("instant") ?? OF_ONE_TIME.has(type);
  const format = { table: "table", heatmap: "heatmap" }[type as "table" | "heatmap"] ?? "time_series";
  return { refId, expr, legendFormat: legendFormat ?? "__auto", instant, range: !instant, format };
}

function fieldsOf(keys: KeyedTable, type: PanelType): DashboardJson {
  const isStacked = keys.flag("stacked") ?? false;
  const drawStyle = DRAW_STYLES[keys.word("style", STYLES) ?? "lines"];
  const fill = keys.whole("fill", 0, 100) ?? (isStacked ? 40 : drawStyle === "bars" ? 70 : 10);
  const thresholds = keys.tables("thresholds").map((step) => {
    const value = step.number("value") ?? step.missing("value", "a number");
    const color = step.text("color") ?? step.missing("color", "a colour such as red");
    step.end();
    return { color, value };
  });
  const base = keys.text("color");
  const isLines = type === "timeseries";
  return {
    unit: keys.text("unit") ?? "short",
    decimals: keys.whole("decimals", 0, 15),
    min: keys.number("min"),
    max: keys.number("max"),
    noValue: keys.text("no_value"),
    color: base !== undefined && isLines ? { mode: "fixed", fixedColor: base } : { mode: modeOf(type) },
    thresholds: { mode: "absolute", steps: [{ color: base ?? "green", value: null }, ...thresholds] },
    mappings: mappingsOf(keys),
    custom: isLines
      ? {
          drawStyle,
          lineWidth: 1,
          fillOpacity: fill,
          showPoints: "never",
          stacking: { mode: isStacked ? "normal" : "none", group: "A" },
          thresholdsStyle: { mode: thresholds.length > 0 ? "line" : "off" },
        }
      : {},
  };
}

function modeOf(type: PanelType): string {
  return type === "timeseries" ? "palette-classic" : "thresholds";
}

/** `values = { 0 = { text = "down", color = "red" } }` */
function mappingsOf(keys: KeyedTable): DashboardJson[] {
  const options = keys.namedTables("values").map(([value, each], index) => {
    const mapped = { text: each.text("text"), color: each.text("color"), index };
    each.end();
    return [value, mapped] as const;
  });
  return options.length === 0 ? [] : [{ type: "value", options: Object.fromEntries(options) }];
}

function optionsOf(keys: KeyedTable, type: PanelType, text: string | undefined): DashboardJson {
  const reduce = keys.text("reduce");
  if (type === "text") return { mode: "markdown", content: text };
  if (type === "table") return { showHeader: true };
  if (type === "heatmap") return { calculate: false };
  if (type === "timeseries" || type === "state-timeline")
    return { legend: { showLegend: true, displayMode: "list", placement: "bottom" } };
  return {
    orientation: type === "bargauge" ? "horizontal" : "auto",
    displayMode: "gradient",
    graphMode: "none",
    reduceOptions: { calcs: [reduce ?? "lastNotNull"], fields: "", values: false },
  };
}

function variableOf(keys: KeyedTable): DashboardJson {
  const name = keys.text("name") ?? keys.missing("name", "a name of letters, digits and _");
  if (!/^\w+$/.test(name)) throw keys.fault("name", `is "${name}", expected letters, digits and _`);
  const common = { name, label: keys.text("label") ?? name, hide: keys.flag("hidden") ? 2 : 0 };
  const choice = {
    multi: keys.flag("multi") ?? false,
    includeAll: keys.flag("all") ?? false,
    allValue: keys.text("all_value"),
    regex: keys.text("regex") ?? "",
  };
  const initial = keys.textOrTexts("default");
  const current = initial === undefined ? {} : { text: initial, value: initial };
  const kinds: DashboardKeys = {
    query: () => ({ type: "query", query: keys.text("query"), refresh: 2, sort: 1 }),
    values: () => ({ type: "custom", query: keys.texts("values")!.map(escaped).join(",") }),
    intervals: () => ({ type: "interval", query: keys.texts("intervals")!.join(",") }),
    text: () => ({ type: "textbox", query: keys.text("text") }),
    constant: () => ({ type: "constant", query: keys.text("constant"), hide: 2 }),
  };
  const given = Object.keys(kinds).filter((kind) => keys.has(kind));
  if (given.length !== 1)
    throw keys.fault("name", `of a variable needs exactly one of ${Object.keys(kinds).join(", ")} beside it`);
  const variable = { ...common, ...choice, current, ...kinds[given[0]!]!() };
  keys.end();
  return variable;
}

/** Commas separate the values of a variable in Grafana. */
function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll(",", "\\,");
}

/** A duration as Grafana and Prometheus write it. */
function span(keys: KeyedTable, key: string): string | undefined {
  const text = keys.text(key);
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0) throw keys.fault(key, `is "${text}", expected a duration such as 30s`);
  return text;
}
