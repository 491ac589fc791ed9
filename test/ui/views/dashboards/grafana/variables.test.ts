/** The variables of dashboards: what they ask, in which order, and what is chosen. */
import { describe, expect, test } from "bun:test";
import { fixedValue } from "../../../../../src/ui/views/dashboards/grafana/template-text.ts";
import {
  ALL,
  inDependencyOrder,
  matching,
  questionOf,
  resolveVariables,
  splitValues,
  toggled,
  type VariableQuestion,
  variableOf,
} from "../../../../../src/ui/views/dashboards/grafana/variables.ts";

test("questions are those of Grafana's data source", () => {
  const ok = (query: string, want: VariableQuestion) => expect(questionOf(query)).toEqual(want);
  ok("label_values(up, job)", { kind: "label values", label: "job", selector: "up" });
  ok('label_values(up{a=~"x,y",b="f(1)"}, job)', {
    ...{ kind: "label values", label: "job" },
    selector: 'up{a=~"x,y",b="f(1)"}',
  });
  ok("label_values(job)", { kind: "label values", label: "job", selector: undefined });
  ok("label_names()", { kind: "label names", selector: undefined });
  ok("metrics(^node_)", {
    kind: "label values",
    label: "__name__",
    selector: '{__name__=~".*(?:^node_).*"}',
  });
  ok("query_result(topk(3, sum by (job) (up)))", { kind: "result", expr: "topk(3, sum by (job) (up))" });
  expect(() => questionOf("label_values()")).toThrow("label_values() has no label.");
});

test("a pattern selects values, or a part of them", () => {
  expect(matching(["b1", "a", "b2", "b1"], "/^b/")).toEqual([
    { value: "b1", text: "b1" },
    { value: "b2", text: "b2" },
  ]);
  expect(matching(['up{instance="w-1",job="a"} 1 5'], '/instance="([^"]+)"/')).toEqual([
    { value: "w-1", text: "w-1" },
  ]);
  expect(matching(["id=7 name=seven"], "/id=(?<value>\\d+) name=(?<text>\\w+)/")).toEqual([
    { value: "7", text: "seven" },
  ]);
});

test("commas separate values, but for those with a backslash", () => {
  expect(splitValues("a, b\\,c ,,d")).toEqual(["a", "b,c", "d"]);
});

describe("values", () => {
  const job = variableOf({
    name: "job",
    type: "query",
    query: "label_values(up, job)",
    multi: true,
    includeAll: true,
  });
  const instance = variableOf({
    ...{ name: "instance", type: "query", definition: 'label_values(up{job=~"$job"}, instance)' },
    ...{ query: { query: 'label_values(up{job=~"$job"}, instance)' }, sort: 4 },
  });
  const resolve = async (chosen: [string, string[]][], models = [instance, job]) => {
    const asked: VariableQuestion[] = [];
    const resolved = await resolveVariables(models, {
      ...{ chosen: new Map(chosen), builtIn: new Map([["__range", fixedValue("60s")]]), rangeMs: 3_600_000 },
      ask: async (question) => {
        asked.push(question);
        if (question.kind !== "label values") return [];
        if (question.label === "down") throw new Error("The gateway does not answer.");
        return question.label === "job" ? ["a", "b"] : ["9", "10"];
      },
    });
    return { asked, resolved };
  };

  test("of a variable that others depend on are known first, and fill their questions", async () => {
    expect(inDependencyOrder([instance, job]).map(({ name }) => name)).toEqual(["job", "instance"]);
    const { asked, resolved } = await resolve([["job", ["a"]]]);
    expect(asked).toEqual([
      { kind: "label values", label: "job", selector: "up" },
      { kind: "label values", label: "instance", selector: 'up{job=~"a"}' },
    ]);
    // In the order of the file; by number, falling.
    expect(
      resolved.map(({ model, chosen, choices }) => [model.name, chosen, choices.map(({ value }) => value)]),
    ).toEqual([
      ["instance", ["10"], ["10", "9"]],
      ["job", ["a"], ["a", "b"]],
    ]);
  });

  test("all are chosen at first, or those of the file that exist, or the first", async () => {
    const of = async (given: object) =>
      (await resolve([], [variableOf({ ...given, name: "v" })])).resolved[0]!;
    const query = { type: "query", query: "label_values(up, job)" };
    expect((await of({ ...query, includeAll: true })).value).toEqual({
      values: ["a", "b"],
      texts: ["All"],
      isPattern: true,
    });
    expect((await of({ ...query, includeAll: true, allValue: ".*" })).value.allValue).toBe(".*");
    expect((await of({ ...query, current: { value: "b" } })).chosen).toEqual(["b"]);
    expect((await of({ ...query, current: { value: "gone" } })).chosen).toEqual(["a"]);
    expect((await of({ type: "custom", query: "x, y : 2" })).choices).toEqual([
      { value: "x", text: "x" },
      { value: "2", text: "y" },
    ]);
    expect((await of({ type: "textbox", query: "any" })).value.values).toEqual(["any"]);
    expect((await of({ type: "constant", query: "c", current: { value: "old" } })).value.values).toEqual([
      "c",
    ]);
    expect((await of({ type: "interval", query: "1m,5m" })).value.values).toEqual(["1m"]);
    // An hour in 30 parts is 2 minutes.
    expect((await of({ type: "interval", query: "1m,5m", auto: true, auto_count: 30 })).value.values).toEqual(
      ["2m"],
    );
  });

  test("that cannot be asked for say why, and the others are known", async () => {
    const bad = variableOf({ name: "bad", type: "query", query: "label_values(up, down)" });
    const { resolved } = await resolve([], [bad, job]);
    expect(resolved.map(({ error, chosen }) => [error, chosen])).toEqual([
      ["The gateway does not answer.", []],
      [undefined, [ALL]],
    ]);
  });

  test("are switched on and off, and all excludes the others", async () => {
    const [variable] = (await resolve([["job", ["a"]]], [job])).resolved;
    expect(toggled(variable!, "b")).toEqual(["a", "b"]);
    expect(toggled(variable!, "a")).toEqual([ALL]);
    expect(toggled(variable!, ALL)).toEqual([ALL]);
    const [all] = (await resolve([["job", [ALL]]], [job])).resolved;
    expect(toggled(all!, "b")).toEqual(["b"]);
  });
});
