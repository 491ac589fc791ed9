/** The text and the colour of a value: units, mappings, thresholds, and overrides for some columns. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: dashboards write variables so
import { expect, test } from "bun:test";
import { drawnDots, seriesLines } from "../../../../../src/ui/views/dashboards/grafana/chart-series.ts";
import { readDashboard } from "../../../../../src/ui/views/dashboards/grafana/dashboard-model.ts";
import { shownFields } from "../../../../../src/ui/views/dashboards/fields/field-settings.ts";
import { shownValue } from "../../../../../src/ui/views/dashboards/fields/field-values.ts";
import type { DataFrame, FrameCell } from "../../../../../src/ui/views/dashboards/grafana/frames.ts";
import { stackedValues } from "../../../../../src/ui/parts/chart-lines.ts";

const panelOf = (fieldConfig: object) =>
  readDashboard({ panels: [{ type: "stat", fieldConfig, targets: [{ expr: "a" }] }] }, 0).sections[0]!
    .panels[0]!;
const series = (name: string, ...values: FrameCell[]): DataFrame => ({
  refId: "A",
  fields: [
    { name: "Time", kind: "time", labels: {}, values: values.map((_, index) => 1_000 * index) },
    { name: "Value", kind: "number", labels: { job: name }, values, legend: name },
  ],
});
const settingsOf = (fieldConfig: object, name = "a") =>
  shownFields(panelOf(fieldConfig), [series(name, 1)])[1]!.settings;
const GREEN = "#73bf69";
const RED = "#f2495c";

test("thresholds give the colour from their value on", () => {
  const steps = [
    { color: "green", value: null },
    { color: "red", value: 80 },
  ];
  const settings = settingsOf({ defaults: { unit: "percent", thresholds: { mode: "absolute", steps } } });
  const shown = (value: FrameCell) => {
    const { text, colour } = shownValue(value, settings, { zone: "utc" });
    return [text, colour];
  };
  expect(shown(79.9)).toEqual(["79.9 %", GREEN]);
  expect(shown(80)).toEqual(["80 %", RED]);
  expect(shown(-5)).toEqual(["−5 %", GREEN]);
  expect(shown(null)).toEqual(["–", undefined]);
  const parts = settingsOf({ defaults: { min: 0, max: 10, thresholds: { mode: "percentage", steps } } });
  expect([7, 8].map((value) => shownValue(value, parts, { zone: "utc" }).colour)).toEqual([GREEN, RED]);
});

test("mappings give texts and colours", () => {
  const mappings = [
    { type: "value", options: { "0": { text: "down", color: "red" }, "1": { text: "up" } } },
    { type: "range", options: { from: 5, to: null, result: { text: "many" } } },
    { type: "special", options: { match: "null+nan", result: { text: "unknown", color: "#112233" } } },
    { type: "regex", options: { pattern: "^v(.*)$", result: { text: "version $1" } } },
  ];
  const settings = settingsOf({ defaults: { mappings, color: { mode: "fixed", fixedColor: "blue" } } });
  const shown = (value: FrameCell) => {
    const { text, colour } = shownValue(value, settings, { zone: "utc" });
    return [text, colour];
  };
  expect(shown(0)).toEqual(["down", RED]);
  expect(shown(1)).toEqual(["up", "#5794f2"]);
  expect(shown(7)[0]).toBe("many");
  expect(shown(3)[0]).toBe("3");
  expect(shown(null)).toEqual(["unknown", "#112233"]);
  expect(shown("v1.2")[0]).toBe("version 1.2");
  // Of Grafana 7 and older.
  const old = settingsOf({
    defaults: {
      mappings: [
        { type: 1, value: "0", text: "no" },
        { type: 2, from: "1", to: "9", text: "some" },
      ],
    },
  });
  expect([0, 4].map((value) => shownValue(value, old, { zone: "utc" }).text)).toEqual(["no", "some"]);
});

test("overrides change the columns that they match", () => {
  const fieldConfig = {
    defaults: { unit: "s" },
    overrides: [
      {
        matcher: { id: "byName", options: "b" },
        properties: [
          { id: "unit", value: "bytes" },
          { id: "custom.axisPlacement", value: "right" },
        ],
      },
      {
        matcher: { id: "byRegexp", options: "/^c/" },
        properties: [{ id: "displayName", value: "${__field.labels.job}!" }],
      },
      { matcher: { id: "byType", options: "time" }, properties: [{ id: "unit", value: "time:x" }] },
    ],
  };
  expect(
    [settingsOf(fieldConfig, "a"), settingsOf(fieldConfig, "b"), settingsOf(fieldConfig, "c1")].map(
      ({ name, unit }) => [name, unit],
    ),
  ).toEqual([
    ["a", "s"],
    ["b", "bytes"],
    ["c1!", "s"],
  ]);
});

test("series are lines over all of their times, with their colours, axes and stacks", () => {
  const panel = panelOf({
    defaults: {
      ...{ unit: "s", color: { mode: "palette-classic" }, min: 0 },
      custom: {
        fillOpacity: 40,
        lineWidth: 2,
        stacking: { mode: "normal", group: "A" },
        thresholdsStyle: { mode: "line" },
      },
      thresholds: {
        steps: [
          { color: "green", value: null },
          { color: "red", value: 3 },
        ],
      },
    },
    overrides: [
      { matcher: { id: "byName", options: "c" }, properties: [{ id: "unit", value: "bytes" }] },
      {
        matcher: { id: "byName", options: "d" },
        properties: [{ id: "custom.hideFrom", value: { viz: true } }],
      },
    ],
  });
  const frames = [series("a", 1, 2), series("b", 10, null, 30), series("c", 5), series("d", 1)];
  const drawn = seriesLines(shownFields(panel, frames));
  expect(drawn.times).toEqual([0, 1, 2]);
  expect(
    drawn.lines.map(({ name, values, look }) => [name, values, look!.axis, look!.fill, look!.width]),
  ).toEqual([
    ["a", [1, 2, null], "left", 0.4, 2],
    ["b", [10, null, 30], "left", 0.4, 2],
    // Another unit has an axis of its own.
    ["c", [5, null, null], "right", 0.4, 2],
  ]);
  expect(drawn.marks).toEqual([{ value: 3, colour: RED, isDashed: false }]);
  expect(stackedValues(drawn.lines, ({ look }) => look?.stack)).toEqual([
    [1, 2, null],
    [11, null, 30],
    [5, null, null],
  ]);
});

test("values below zero are stacked below it", () => {
  const lines = [3, -2, 4, -5].map((value, index) => ({
    name: String(index),
    values: [value],
    look: { stack: "A" },
  }));
  expect(stackedValues(lines, ({ look }) => look?.stack)).toEqual([[3], [-2], [7], [-7]]);
});

test("lines that are stacked to 100 % are shares", () => {
  const panel = panelOf({ defaults: { custom: { stacking: { mode: "percent" } } } });
  const { lines } = seriesLines(shownFields(panel, [series("a", 1, 0), series("b", 3, 0)]));
  expect(lines.map(({ values }) => values)).toEqual([
    [0.25, null],
    [0.75, null],
  ]);
});

test("of the events behind lines, the greatest of each step that fits is drawn", () => {
  const drawn = seriesLines(shownFields(panelOf({ defaults: {} }), [series("a", 10, 20)]));
  const event = (time: number, value: number) => ({ time, value, labels: { task_id: String(time) } });
  const events = [event(1, 5), event(2, 15), event(3, 25), event(61, 3)];
  expect(drawnDots(events, drawn, 60_000).map(({ labels }) => labels.task_id)).toEqual(["2", "61"]);
});
