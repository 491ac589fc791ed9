/** Which rules of a group are asked together: never one that reads what another one of its run writes before it. */
import { expect, test } from "bun:test";
import { runsOf } from "../../../src/rules/evaluation/rule-runs.ts";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";

const parseTemplate = (text: string) => ({ expand: () => Promise.resolve(text) });

/** The runs of rules that are written as `NAME = EXPRESSION`, or `Name = EXPRESSION` for an alert. */
function runs(rules: readonly string[], lengthMax?: number): string[] {
  const entries = rules.map((text) => {
    const [name = "", expr] = text.split(/ = (.*)/);
    const isSql = expr!.startsWith("SELECT");
    return { [/^[A-Z]/.test(name) ? "alert" : "record"]: name, [isSql ? "sql" : "expr"]: expr };
  });
  const file = JSON.stringify({ groups: [{ name: "g", rules: entries }] });
  const { groups, errors } = readRuleFile("f", file, { parseTemplate });
  expect(errors).toEqual([]);
  return runsOf(groups[0]!, lengthMax).map((run) => run.map((at) => rules[at]!.split(" ")[0]!).join(" "));
}

test("rules that do not depend on each other are one run", () => {
  expect(runs(["a = x", "b = sum(x)", "C = y > 1", "D = x"])).toEqual(["a b C D"]);
});

test("a rule that reads what a rule before it records is in a later run, and others are not", () => {
  expect(runs(["a = x", "b = a + 1", "c = y", "d = b", "e = z"])).toEqual(["a c e", "b", "d"]);
  // A metric is found by the name with dots too.
  expect(runs(["a_b = x", 'c = {"a.b"}'])).toEqual(["a_b", "c"]);
});

test("a rule that reads what a later rule records still reads the evaluation before", () => {
  // b reads a, so it is in the second run. c is not before it, because b also reads c.
  expect(runs(["a = x", "b = a + c", "c = y"])).toEqual(["a", "b c"]);
  expect(runs(["a = a + 1"])).toEqual(["a"]);
});

test("a rule that can read everything is between the rules before and after it", () => {
  expect(runs(["a = x", 'b = {__name__=~"x.*"}', "c = y"])).toEqual(["a", "b c"]);
  expect(runs(["a = x", "b = SELECT 1 AS value", "c = y"])).toEqual(["a", "b", "c"]);
});

test("a rule that reads ALERTS waits for the alerts before it only", () => {
  expect(runs(["A = x", "b = count(ALERTS)", "C = y"])).toEqual(["A", "b C"]);
});

test("two rules of one name keep their order", () => {
  expect(runs(["a = x", "b = a", "b = y"])).toEqual(["a", "b b"]);
});

test("a run has at most some rules", () => {
  expect(runs(["a = x", "b = x", "c = x"], 2)).toEqual(["a b", "c"]);
});
