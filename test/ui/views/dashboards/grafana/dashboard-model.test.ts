/** Dashboards of all versions of Grafana in one form: rows, places, old types of panels, and what cannot be drawn. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: dashboards write variables so
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  readDashboard,
  repeatedSections,
} from "../../../../../src/ui/views/dashboards/grafana/dashboard-model.ts";
import { overrideNotes } from "../../../../../src/ui/views/dashboards/fields/field-settings.ts";
import { panelFaults } from "../../../../../src/ui/views/dashboards/grafana/panel-faults.ts";
import { transformed } from "../../../../../src/ui/views/dashboards/grafana/transformations.ts";
import { variableNotes } from "../../../../../src/ui/views/dashboards/grafana/variables.ts";

const SHIPPED = join(import.meta.dir, "../../../../../scripts/deploy/grafana/dashboards");
const read = (json: object) => readDashboard(json, Date.UTC(2026, 10, 26));
const panelsOf = (json: object) => read(json).sections.flatMap(({ panels }) => panels);

describe("the dashboards that come with Weir", () => {
  for (const file of readdirSync(SHIPPED)) {
    test(`${file} is drawn whole`, () => {
      const json = JSON.parse(readFileSync(join(SHIPPED, file), "utf8")) as { panels: { type: string }[] };
      const model = read(json);
      const panels = model.sections.flatMap((section) => section.panels);
      expect(panels.length).toBe(json.panels.filter(({ type }) => type !== "row").length);
      const faults = panels.flatMap((panel) => [
        ...panelFaults(panel),
        ...panel.notes,
        ...overrideNotes(panel),
      ]);
      expect([...faults, ...model.notes, ...variableNotes(model.variables)]).toEqual([]);
      // Throws if one is unknown.
      for (const panel of panels) transformed([], panel.transformations);
      expect(model.range).toEqual({ lastMs: 3 * 3_600_000 });
      expect(model.refreshMs).toBe(30_000);
    });
  }
});

test("panels belong to the row above them, and those of a closed row to it", () => {
  const { sections } = read({
    panels: [
      { type: "stat", title: "below", gridPos: { x: 0, y: 5, w: 4, h: 4 } },
      { type: "row", title: "Row", gridPos: { x: 0, y: 4, w: 24, h: 1 }, collapsed: false, panels: [] },
      { type: "stat", title: "above", gridPos: { x: 0, y: 0, w: 4, h: 4 } },
      {
        ...{ type: "row", title: "Closed", gridPos: { x: 0, y: 9, w: 24, h: 1 }, collapsed: true },
        panels: [{ type: "stat", title: "inside", gridPos: { x: 0, y: 10, w: 4, h: 4 } }],
      },
    ],
  });
  expect(
    sections.map(({ title, isCollapsed, panels }) => [
      title,
      isCollapsed,
      panels.map((panel) => panel.title),
    ]),
  ).toEqual([
    [undefined, false, ["above"]],
    ["Row", false, ["below"]],
    ["Closed", true, ["inside"]],
  ]);
});

test("a short dashboard without places, fields and options is drawn as written", () => {
  const panels = panelsOf({
    dashboard: {
      title: "gpu metrics",
      panels: [
        {
          title: "Success",
          type: "gauge",
          targets: [{ expr: "success / 100", legendFormat: "Success (%)" }],
        },
        { title: "Throughput", type: "graph", targets: [{ expr: "rate(a_total[1m])" }] },
        { title: "Time", type: "graph", targets: [{ expr: "histogram_quantile(0.5, b_bucket)" }] },
      ],
    },
  });
  expect(panels.map(({ title, type, place, targets }) => [title, type, place, targets[0]!.text])).toEqual([
    ["Success", "gauge", { x: 0, y: 0, w: 12, h: 8 }, "success / 100"],
    ["Throughput", "timeseries", { x: 12, y: 0, w: 12, h: 8 }, "rate(a_total[1m])"],
    ["Time", "timeseries", { x: 0, y: 8, w: 12, h: 8 }, "histogram_quantile(0.5, b_bucket)"],
  ]);
  expect(panels.flatMap(panelFaults)).toEqual([]);
});

test("panels of replaced types become those that replaced them", () => {
  const [graph, stat, gauge] = panelsOf({
    rows: [
      {
        height: "304px",
        panels: [
          {
            ...{ type: "graph", span: 6, stack: true, fill: 3, linewidth: 2, seriesOverrides: [{}] },
            ...{ yaxes: [{ format: "bytes", min: "0" }], targets: [{ expr: "a" }] },
            thresholds: [{ value: 5, colorMode: "critical", line: true }],
            legend: { show: true, avg: true, alignAsTable: true, rightSide: true },
          },
          {
            ...{ type: "singlestat", span: 3, format: "ms", valueName: "current", thresholds: "1,2" },
            ...{ colors: ["green", "orange", "red"], colorValue: true, targets: [{ expr: "b" }] },
            valueMaps: [{ value: "0", text: "none" }],
          },
          {
            type: "singlestat",
            span: 3,
            gauge: { show: true, minValue: 0, maxValue: 9 },
            targets: [{ expr: "c" }],
          },
        ],
      },
    ],
  });
  expect([graph!.type, graph!.place]).toEqual(["timeseries", { x: 0, y: 0, w: 12, h: 8 }]);
  expect(graph!.defaults).toMatchObject({
    ...{ unit: "bytes", min: 0 },
    custom: {
      fillOpacity: 30,
      lineWidth: 2,
      stacking: { mode: "normal" },
      thresholdsStyle: { mode: "line" },
    },
  });
  expect(graph!.options).toMatchObject({
    legend: { displayMode: "table", placement: "right", calcs: ["mean"] },
  });
  expect(graph!.notes).toEqual(["1 overrides of an old panel of the type graph are ignored."]);
  expect([stat!.type, stat!.place]).toEqual(["stat", { x: 12, y: 0, w: 6, h: 8 }]);
  expect(stat!.options).toMatchObject({ reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "value" });
  expect(stat!.defaults).toMatchObject({
    thresholds: {
      steps: [
        { value: null, color: "green" },
        { value: 1, color: "orange" },
        { value: 2, color: "red" },
      ],
    },
    mappings: [{ type: "value", options: { "0": { text: "none" } } }],
  });
  expect([gauge!.type, gauge!.defaults.max]).toEqual(["gauge", 9]);
});

test("what a panel cannot draw, it says", () => {
  const faults = (panel: object) => panelFaults(panelsOf({ panels: [panel] })[0]!);
  const targets = [{ expr: "up" }];
  expect(faults({ type: "piechart", targets })).toEqual([
    "It is of the type piechart, which is not supported.",
  ]);
  expect(faults({ type: "stat", targets, datasource: { type: "loki" } })).toEqual([
    "Its data source is of the type loki, which the gateway does not answer for.",
  ]);
  expect(
    faults({ type: "stat", targets, datasource: { uid: "-- Dashboard --", type: "datasource" } }),
  ).toEqual(["It shows the answer of another panel, which is not supported."]);
  expect(faults({ type: "stat", targets: [{ expr: "up", hide: true }] })).toEqual(["It has no question."]);
  expect(faults({ type: "heatmap", targets, options: { calculate: true } })).toEqual([
    "It computes its buckets from plain series, which is not supported.",
  ]);
  expect(faults({ type: "stat", targets, options: { reduceOptions: { calcs: ["magic"] } } })).toEqual([
    "It needs the calculation magic, which is not supported.",
  ]);
  expect(faults({ libraryPanel: { uid: "a" } })).toEqual([
    "It is a library panel, and the file does not contain what it shows.",
  ]);
  // Names and variables of data sources are as good as Prometheus.
  for (const datasource of [
    undefined,
    null,
    "Prometheus",
    "${DS_PROMETHEUS}",
    { type: "prometheus", uid: "$ds" },
  ])
    expect(faults({ type: "stat", targets, datasource })).toEqual([]);
  // Of a mixed panel each question has its own.
  const mixed = {
    type: "stat",
    datasource: { uid: "-- Mixed --" },
    targets: [{ expr: "up", datasource: { type: "prometheus" } }],
  };
  expect(faults(mixed)).toEqual([]);
  const { notes, variables } = read({
    panels: [],
    annotations: { list: [{ builtIn: 1, name: "Own" }, { name: "Deploys" }] },
    templating: { list: [{ name: "filters", type: "adhoc" }] },
  });
  expect([...notes, ...variableNotes(variables)]).toEqual([
    "Annotations are not drawn: Deploys.",
    "The variable filters is of the type adhoc, which is not supported.",
  ]);
});

test("panels and rows are repeated for the values of a variable", () => {
  const { sections } = read({
    panels: [
      { type: "row", title: "Row $job", repeat: "job", gridPos: { x: 0, y: 0, w: 24, h: 1 } },
      {
        ...{ type: "stat", title: "$instance", repeat: "instance", maxPerRow: 2 },
        gridPos: { x: 0, y: 1, w: 24, h: 4 },
      },
    ],
  });
  const pattern = (...values: string[]) => ({ values, texts: values, isPattern: true });
  const repeated = repeatedSections(
    sections,
    new Map([
      ["job", pattern("a", "b")],
      ["instance", pattern("1", "2", "3")],
    ]),
  );
  expect(repeated.length).toBe(2);
  expect(
    repeated[1]!.panels.map(({ place, scope }) => [
      place,
      scope.get("job")!.values,
      scope.get("instance")!.values,
    ]),
  ).toEqual([
    [{ x: 0, y: 1, w: 12, h: 4 }, ["b"], ["1"]],
    [{ x: 12, y: 1, w: 12, h: 4 }, ["b"], ["2"]],
    [{ x: 0, y: 5, w: 12, h: 4 }, ["b"], ["3"]],
  ]);
});
