/** Answers as frames, and the transformations of Grafana over them. */
import { describe, expect, test } from "bun:test";
import { plainName } from "../../../../../src/ui/views/dashboards/fields/field-settings.ts";
import {
  asLines,
  type DataFrame,
  type FrameCell,
  type FrameField,
  promFrames,
  sqlFrame,
} from "../../../../../src/ui/views/dashboards/grafana/frames.ts";
import type { PanelTarget } from "../../../../../src/ui/views/dashboards/grafana/panel-model.ts";
import { reducerOf } from "../../../../../src/ui/views/dashboards/fields/reducers.ts";
import { transformed } from "../../../../../src/ui/views/dashboards/grafana/transformations.ts";

const target = (more: Partial<PanelTarget> = {}): PanelTarget => ({
  ...{ refId: "A", language: "promql", text: "up", legend: "", isInstant: true, isRange: false },
  ...{ format: "time_series", interval: "", hasExemplars: false },
  ...more,
});
const vector = (...series: [Record<string, string>, string][]) => ({
  resultType: "vector" as const,
  result: series.map(([metric, value]) => ({ metric, value: [60, value] as const })),
});
/** The columns of frames by name. */
const columns = (frames: readonly DataFrame[]) =>
  frames.map(({ fields }) => Object.fromEntries(fields.map((field) => [plainName(field), field.values])));
const field = (name: string, kind: FrameField["kind"], ...values: FrameCell[]): FrameField => ({
  ...{ name, kind, values },
  labels: {},
});
const frame = (...fields: FrameField[]): DataFrame => ({ refId: "A", fields });

describe("frames", () => {
  test("of series are named by the legend, by the labels that differ, or by the question", () => {
    const names = (legend: string, ...series: [Record<string, string>, string][]) =>
      promFrames(target({ legend }), vector(...series), true).map(({ fields }) => fields[1]!.legend);
    expect(
      names("{{ job }} on {{instance}}", [{ job: "a", instance: "1" }, "1"], [{ job: "a" }, "2"]),
    ).toEqual(["a on 1", "a on "]);
    expect(names("__auto", [{ job: "a", instance: "1" }, "1"], [{ job: "a", instance: "2" }, "2"])).toEqual([
      'value{instance="1"}'.replace("value", ""),
      '{instance="2"}',
    ]);
    expect(names("", [{}, "1"])).toEqual(["up"]);
  });

  test("of tables have a row for each series", () => {
    const frames = promFrames(
      target({ format: "table" }),
      vector([{ job: "a" }, "1"], [{ job: "b", x: "y" }, "NaN"]),
      false,
    );
    expect(columns(frames)).toEqual([
      { Time: [60_000, 60_000], job: ["a", "b"], x: [null, "y"], "Value #A": [1, Number.NaN] },
    ]);
  });

  test("of SQL have a line for each text and number over time", () => {
    const answer = sqlFrame("A", {
      columns: [
        { name: "ts", type: "TIMESTAMP" },
        { name: "job", type: "VARCHAR" },
        { name: "n", type: "BIGINT" },
      ],
      rows: [
        { ts: "1970-01-01 00:02:00", job: "a", n: "3" },
        { ts: "1970-01-01 00:01:00", job: "a", n: "2" },
        { ts: "1970-01-01 00:01:00", job: "b", n: "5" },
      ],
    });
    expect(columns(asLines(answer, ""))).toEqual([
      { ts: [60_000, 120_000], a: [2, 3] },
      { ts: [60_000], b: [5] },
    ]);
    expect(columns(asLines(answer, "job {{job}}"))[0]).toHaveProperty("job a");
  });
});

describe("transformations", () => {
  const apply = (frames: readonly DataFrame[], id: string, options: object = {}) =>
    columns(transformed(frames, [{ id, options }]));
  const a = frame(field("job", "text", "x", "y"), field("Value #A", "number", 1, 2));
  const b = { ...frame(field("job", "text", "y", "z"), field("Value #B", "number", 20, 30)), refId: "B" };

  test("merge makes rows of what is equal in the columns that all have", () => {
    expect(apply([a, b], "merge")).toEqual([
      { job: ["x", "y", "z"], "Value #A": [1, 2, null], "Value #B": [null, 20, 30] },
    ]);
  });

  test("organize renames, orders and leaves out columns", () => {
    const options = {
      excludeByName: {},
      indexByName: { "Value #A": 0, job: 1 },
      renameByName: { "Value #A": "Last" },
    };
    expect(transformed([a], [{ id: "organize", options }])[0]!.fields.map(plainName)).toEqual([
      "Last",
      "job",
    ]);
    expect(apply([a], "organize", { excludeByName: { job: true } })).toEqual([{ "Value #A": [1, 2] }]);
  });

  test("joinByField has a row for each value of a column", () => {
    expect(apply([a, b], "joinByField", { byField: "job", mode: "outer" })).toEqual([
      { job: ["x", "y", "z"], "Value #A": [1, 2, null], "Value #B": [null, 20, 30] },
    ]);
    expect(apply([a, b], "joinByField", { byField: "job", mode: "inner" })).toEqual([
      { job: ["y"], "Value #A": [2], "Value #B": [20] },
    ]);
  });

  test("reduce, groupBy, sortBy, limit and filters work on rows", () => {
    expect(apply([a], "reduce", { reducers: ["max", "mean"] })).toEqual([
      { Field: ["Value #A"], Max: [2], Mean: [1.5] },
    ]);
    const sales = frame(field("job", "text", "x", "y", "x"), field("n", "number", 1, 2, 4));
    const groups = { job: { operation: "groupby" }, n: { operation: "aggregate", aggregations: ["sum"] } };
    expect(apply([sales], "groupBy", { fields: groups })).toEqual([{ job: ["x", "y"], "n (sum)": [5, 2] }]);
    expect(apply([sales], "sortBy", { sort: [{ field: "n", desc: true }] })).toEqual([
      { job: ["x", "y", "x"], n: [4, 2, 1] },
    ]);
    expect(apply([sales], "limit", { limitField: 1 })).toEqual([{ job: ["x"], n: [1] }]);
    const filters = [{ fieldName: "n", config: { id: "greater", options: { value: 1 } } }];
    expect(apply([sales], "filterByValue", { type: "include", match: "all", filters })).toEqual([
      { job: ["y", "x"], n: [2, 4] },
    ]);
    expect(apply([a, b], "filterByRefId", { include: "B" })).toEqual([
      { job: ["y", "z"], "Value #B": [20, 30] },
    ]);
    expect(apply([sales], "filterFieldsByName", { include: { names: ["n"] } })).toEqual([{ n: [1, 2, 4] }]);
  });

  test("calculateField adds a column", () => {
    const binary = { left: "Value #A", operator: "*", right: "10" };
    expect(apply([a], "calculateField", { mode: "binary", binary, alias: "ten" })).toEqual([
      { job: ["x", "y"], "Value #A": [1, 2], ten: [10, 20] },
    ]);
  });

  test("labels become columns, and names change by a pattern", () => {
    const series = frame(field("Time", "time", 1), { ...field("Value", "number", 5), labels: { job: "x" } });
    expect(apply([series], "labelsToFields")).toEqual([{ Time: [1], job: ["x"], Value: [5] }]);
    const renamed = transformed(
      [a],
      [{ id: "renameByRegex", options: { regex: "Value #(.*)", renamePattern: "Query $1" } }],
    );
    expect(renamed[0]!.fields.map(plainName)).toEqual(["job", "Query A"]);
  });

  test("an unknown one says so", () => {
    expect(() => apply([a], "partitionByValues")).toThrow(
      "It needs the transformation partitionByValues, which is not supported.",
    );
  });
});

test("calculations leave out what is no value", () => {
  const values = [null, 4, 1, Number.NaN, 3, null];
  const of = (name: string) => reducerOf(name)!.reduce(values);
  expect(
    ["lastNotNull", "firstNotNull", "min", "max", "mean", "sum", "range", "median", "diff"].map(of),
  ).toEqual([...[3, 4, 1, 4, 8 / 3, 8, 3, 3, -1]]);
  // 4 → 1 is a reset of the counter.
  expect([of("delta"), of("count"), of("last"), of("p50")]).toEqual([3, 6, null, 3]);
  expect(reducerOf("max")!.reduce([null])).toBeNull();
  expect(reducerOf("magic")).toBeUndefined();
});
