/** The merge of families: one name once, a fixed order, and conflicts left out and counted. */

import { expect, test } from "bun:test";
import { type Family, mergeFamilies, selectFamilies } from "../../src/exposition/family.ts";
import { atOnce } from "../../src/model/tasks/time-slices.ts";

function values(
  type: "counter" | "gauge" | "unknown",
  name: string,
  points: Record<string, number>,
  help = "",
): Family {
  return {
    name,
    type,
    help,
    unit: "",
    points: Object.entries(points).map(([labels, value]) => ({ labels, value })),
  };
}

function histogram(name: string): Family {
  return {
    name,
    type: "histogram",
    help: "",
    unit: "",
    points: [{ labels: "", edges: ["+Inf"], values: [1], sum: 2, count: 1 }],
  };
}

test("sorts families by name and series by labels, regardless of the order of the sources", () => {
  const { families, conflicts } = atOnce(
    mergeFamilies([
      [values("gauge", "b", { 'x="2"': 2 }), values("gauge", "c", { "": 1 })],
      [values("gauge", "a", { "": 0 }), values("gauge", "b", { 'x="1"': 1 })],
    ]),
  );
  expect(families).toEqual([
    values("gauge", "a", { "": 0 }),
    values("gauge", "b", { 'x="1"': 1, 'x="2"': 2 }),
    values("gauge", "c", { "": 1 }),
  ]);
  expect(conflicts).toBe(0);
});

test("keeps the first help of a name that is not empty", () => {
  const { families } = atOnce(
    mergeFamilies([
      [values("gauge", "a", { 'x="1"': 1 })],
      [values("gauge", "a", { 'x="2"': 1 }, "Second.")],
      [values("gauge", "a", { 'x="3"': 1 }, "Third.")],
    ]),
  );
  expect(families.map(({ help }) => help)).toEqual(["Second."]);
});

test("keeps the earlier source's value of a repeated series, and counts it", () => {
  const { families, conflicts } = atOnce(
    mergeFamilies([
      [values("gauge", "a", { 'x="1"': 1 })],
      [values("gauge", "a", { 'x="1"': 2, 'x="2"': 3 })],
    ]),
  );
  expect(families).toEqual([values("gauge", "a", { 'x="1"': 1, 'x="2"': 3 })]);
  expect(conflicts).toBe(1);
});

test("leaves out and counts a later family that takes a name of an earlier one", () => {
  const clash = (first: Family, second: Family) => {
    const { families, conflicts } = atOnce(mergeFamilies([[first], [second]]));
    expect(families, `${first.name} and ${second.name}`).toEqual([first]);
    expect(conflicts).toBe(1);
  };
  clash(values("gauge", "a", { "": 1 }), values("counter", "a", { "": 1 }));
  clash(histogram("a"), values("gauge", "a_sum", { "": 1 }));
  clash(values("gauge", "a_bucket", { "": 1 }), histogram("a"));
});

test("keeps families that conflict only in OpenMetrics", () => {
  const families = [
    values("gauge", "a", { "": 1 }),
    values("gauge", "a_created", { "": 1 }),
    values("counter", "a_total", { "": 1 }),
    histogram("b"),
    values("gauge", "b_created", { "": 1 }),
  ];
  expect(atOnce(mergeFamilies([families]))).toEqual({ families, conflicts: 0 });
});

test("does not write families without a series", () => {
  expect(atOnce(mergeFamilies([[values("gauge", "a", {})]])).families).toEqual([]);
});

test("selects a family by the name in either format, and by the names of its samples", () => {
  const families = [values("counter", "a_total", { "": 1 }), histogram("b")];
  const selected = (...names: string[]) => selectFamilies(families, new Set(names)).map(({ name }) => name);
  expect(selected("a_total")).toEqual(["a_total"]);
  expect(selected("a")).toEqual(["a_total"]);
  expect(selected("b_bucket")).toEqual(["b"]);
  expect(selected("b", "a")).toEqual(["a_total", "b"]);
  expect(selected("c")).toEqual([]);
});
