/** Dashboards as texts: what Grafana's files and Weir's own format say, and where their errors are. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  DashboardFault,
  panelCount,
  readJsonDashboard,
  readTomlDashboard,
} from "../../src/dashboards/dashboard-text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function faultOf(read: (bytes: Uint8Array) => unknown, text: string): string {
  try {
    read(bytes(text));
  } catch (error) {
    if (error instanceof DashboardFault) return `${error.line}:${error.column}: ${error.message}`;
    throw error;
  }
  return "no fault";
}

describe("JSON", () => {
  const ok = (text: string, want: object) => expect(readJsonDashboard(bytes(text)) as object).toEqual(want);
  const bad = (text: string, want: string) => expect(faultOf(readJsonDashboard, text)).toBe(want);

  test("a dashboard is read as it stands, and out of what exports put around it", () => {
    ok('{"title":"A","panels":[]}', { title: "A", panels: [] });
    ok('\ufeff{"panels":[]}', { panels: [] });
    // The answer of Grafana's API, and a resource of Kubernetes.
    ok('{"dashboard":{"panels":[]},"meta":{}}', { panels: [] });
    ok('{"kind":"Dashboard","apiVersion":"dashboard.grafana.app/v1beta1","spec":{"panels":[]}}', {
      panels: [],
    });
    // Before Grafana 5.
    ok('{"rows":[{"panels":[]}]}', { rows: [{ panels: [] }] });
  });

  test("what is no dashboard has a line, a column and a reason", () => {
    bad(
      '{"title": "A",\n  "panels": [,]}',
      '2:14: the file is not JSON: this position has ",]}" where a JSON value was expected',
    );
    // Columns are of characters, and not of bytes.
    bad(
      '{"é": "ü", x}',
      '1:12: the file is not JSON: this position has "x}" where a name in quotation marks was expected',
    );
    bad(
      '{"panels": []',
      "1:14: the file is not JSON: this position is the end, where a comma or } was expected",
    );
    bad("[1]", "1:1: the file is [1], expected an object");
    bad(
      '{"groups": []}',
      "1:1: the file is not a dashboard of Grafana, expected an object with a list panels",
    );
    bad(
      '{"panels": {}}',
      "1:1: the file is not a dashboard of Grafana, expected an object with a list panels",
    );
    bad(
      '{"kind":"Dashboard","spec":{"elements":{}}}',
      "1:1: the dashboard has the schema v2 of Grafana, expected the classic one; Grafana exports that too",
    );
  });

  test("rows are no panels, and panels of collapsed rows are", () => {
    const count = (text: string) => panelCount(readJsonDashboard(bytes(text)));
    expect(count('{"panels":[{"type":"row","panels":[{},{}]},{"type":"stat"}]}')).toBe(3);
    expect(count('{"rows":[{"panels":[{},{}]},{}]}')).toBe(2);
  });
});

describe("TOML", () => {
  const bad = (text: string, want: string) => expect(faultOf(readTomlDashboard, text)).toBe(want);
  const panelsOf = (text: string) =>
    readTomlDashboard(bytes(text)).panels as {
      readonly title: string;
      readonly type: string;
      readonly gridPos: object;
      readonly targets: readonly object[];
      readonly fieldConfig: { readonly defaults: object };
      readonly options: object;
      readonly panels?: readonly { readonly title: string }[];
    }[];

  test("panels stand from left to right, and rows begin anew", () => {
    const panels = panelsOf(`title = "Shop"
[[panel]]
type = "stat"
promql = "a"
[[panel]]
width = 20
promql = "b"
[[row]]
title = "Errors"
[[row.panel]]
promql = "c"
[[row]]
title = "Hidden"
collapsed = true
[[row.panel]]
title = "inside"
promql = "d"
`);
    expect(panels.map(({ type, gridPos }) => [type, gridPos])).toEqual([
      ["stat", { x: 0, y: 0, w: 6, h: 4 }],
      // 6 and 20 are more than 24.
      ["timeseries", { x: 0, y: 4, w: 20, h: 8 }],
      ["row", { x: 0, y: 12, w: 24, h: 1 }],
      ["timeseries", { x: 0, y: 13, w: 12, h: 8 }],
      ["row", { x: 0, y: 21, w: 24, h: 1 }],
    ]);
    expect(panels.at(-1)!.panels!.map(({ title }) => title)).toEqual(["inside"]);
  });

  test("a panel has the questions, the unit, the thresholds and the texts of values that the file says", () => {
    const [panel, table] = panelsOf(`title = "Shop"
[[panel]]
title = "Up"
type = "stat"
unit = "percentunit"
min = 0
promql = 'up{job="a"}'
legend = "{{instance}}"
thresholds = [{ value = 0.9, color = "orange" }]
values = { 0 = { text = "down", color = "red" } }
reduce = "mean"
[[panel]]
type = "table"
[[panel.query]]
promql = "b"
[[panel.query]]
sql = "SELECT 1"
`);
    expect(panel!.targets).toEqual([
      {
        ...{ refId: "A", expr: 'up{job="a"}', legendFormat: "{{instance}}" },
        ...{ instant: false, range: true, format: "time_series" },
      },
    ]);
    expect(panel!.fieldConfig.defaults).toMatchObject({
      ...{ unit: "percentunit", min: 0 },
      thresholds: {
        steps: [
          { color: "green", value: null },
          { color: "orange", value: 0.9 },
        ],
      },
      mappings: [{ type: "value", options: { "0": { text: "down", color: "red", index: 0 } } }],
    });
    expect(panel!.options).toMatchObject({ reduceOptions: { calcs: ["mean"] } });
    expect(table!.targets).toEqual([
      { refId: "A", expr: "b", legendFormat: "__auto", instant: true, range: false, format: "table" },
      { refId: "B", datasource: { type: "weir-sql" }, rawSql: "SELECT 1", legendFormat: undefined },
    ]);
  });

  test("the example of README.md is a dashboard", () => {
    const document = readFileSync(join(import.meta.dir, "../../src/dashboards/README.md"), "utf8");
    const example = /```toml\n([\s\S]*?)```/.exec(document)![1]!;
    expect(panelsOf(example).map(({ type }) => type)).toEqual(["stat", "row", "timeseries", "table"]);
  });

  test("variables are those of Grafana", () => {
    const { templating, time, refresh } = readTomlDashboard(
      bytes(`title = "Shop"
range = "6h"
[[variable]]
name = "job"
query = "label_values(up, job)"
multi = true
all = true
[[variable]]
name = "place"
values = ["a,b", "c"]
default = "c"
[[variable]]
name = "step"
intervals = ["1m", "5m"]
`),
    );
    expect([time, refresh]).toEqual([{ from: "now-6h", to: "now" }, "30s"]);
    const { list } = templating as { list: object[] };
    expect(list).toMatchObject([
      {
        name: "job",
        label: "job",
        type: "query",
        query: "label_values(up, job)",
        multi: true,
        includeAll: true,
      },
      // A comma separates values in Grafana.
      { name: "place", type: "custom", query: "a\\,b,c", current: { value: "c" }, multi: false },
      { name: "step", type: "interval", query: "1m,5m" },
    ]);
  });

  test("an error has the line of its key", () => {
    bad("title = ", "1:9: the file is not TOML: invalid value");
    bad("[[panel]]\npromql = 'a'", '1:1: title is missing, expected a text such as "Orders"');
    bad(
      `title = "A"
[[panel]]
promql = """
width = 1
"""
widht = 3`,
      "6:1: widht is not known here; did you mean width?",
    );
    bad(
      `title = "A"
[[row]]
title = "R"
[[row.panel]]
promql = "a"
[[row]]
title = "S"
[[row.panel]]
promql = "b"
[[row.panel]]
width = 25
promql = "c"`,
      "11:1: width is 25, expected a whole number from 1 to 24",
    );
    bad(
      'title = "A"\n[[panel]]\nwidth = 3',
      "2:1: promql is missing, expected a question in promql or sql, or tables query",
    );
    bad(
      'title = "A"\n[[panel]]\ntype = "pie"\npromql = "a"',
      '3:1: type is "pie", expected one of timeseries, stat, gauge, bargauge, table, heatmap, state-timeline, text',
    );
    bad(
      'title = "A"\n[[panel]]\npromql = "a"\nsql = "b"',
      "4:1: sql and promql are both given, expected one of them",
    );
    bad(
      'title = "A"\n[[panel]]\npromql = "a"\nthresholds = [{ value = 1 }]',
      "4:1: color is missing, expected a colour such as red",
    );
    bad(
      'title = "A"\n\n[[variable]]\nname = "a"',
      "4:1: name of a variable needs exactly one of query, values, intervals, text, constant beside it",
    );
    bad('title = "A"\nrange = "day"', '2:1: range is "day", expected a duration such as 30s');
  });
});
