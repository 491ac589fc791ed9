/** Unit tests of rules fail and pass as promtool says, and failures are readable. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import { parseTemplate } from "../../../src/rules/templates/template.ts";
import { runUnitTest } from "../../../src/rules/unit-tests/run-unit-tests.ts";
import { readUnitTestFile } from "../../../src/rules/unit-tests/unit-test-file.ts";
import { canRun } from "../../real-servers.ts";
import { RULES, UNIT_TEST_CASES, UNUSABLE_CASES } from "./unit-test-cases.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-unit-tests-"));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "rules.yml"), RULES);
const { groups } = readRuleFile("rules.yml", RULES, { parseTemplate });

/** The subjects that fail. */
async function failuresOf(text: string): Promise<string[]> {
  const { file, errors } = readUnitTestFile(text);
  expect(errors).toEqual([]);
  const subjects: string[] = [];
  for (const each of file.tests) {
    const failures = await runUnitTest(each, file.ruleFiles.length > 0 ? groups : [], file);
    subjects.push(...failures.map(({ subject }) => subject.replace(/^the (rule \w+) \(.*\)/, "$1")));
  }
  return subjects;
}

/** What Debian's promtool says of a file: its exit code and the subjects that fail. */
async function promtool(text: string): Promise<{ code: number; failures: string[]; output: string }> {
  const path = join(folder, "case.test.yaml");
  writeFileSync(path, text);
  const child = Bun.spawn(["promtool", "test", "rules", path], { stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const failures = [
    ...err.matchAll(/^ +(alertname: (.*?)|rule: (.*?)|expr: ("(?:[^"\\]|\\.)*")), time: (\w+)/gm),
  ].map(([, , alert, rule, expr, time]) => {
    const subject = alert ? `alert ${alert}` : rule ? `rule ${rule}` : (JSON.parse(expr) as string);
    return `${subject} at ${time.replace(/m0s$/, "m")}`;
  });
  return { code, failures, output: out + err };
}

describe("a file of unit tests with", () => {
  for (const [name, file, failures] of UNIT_TEST_CASES) {
    test(`${name} has the expected failures`, async () =>
      expect(await failuresOf(file)).toEqual([...failures]));
    test.skipIf(!canRun("promtool"))(`${name} has the same failures in promtool`, async () => {
      const real = await promtool(file);
      expect({ code: real.code, failures: real.failures }).toEqual({
        code: failures.length > 0 ? 1 : 0,
        failures: [...failures],
      });
    });
  }
});

describe("a file that cannot be used is reported with its place:", () => {
  for (const [name, file, message] of UNUSABLE_CASES) {
    test(name, () => {
      const { errors } = readUnitTestFile(file);
      expect(errors.map(({ line, column, message: text }) => `${line}:${column}: ${text}`)).toEqual([
        message,
      ]);
    });
    test.skipIf(!canRun("promtool"))(`${name}, in promtool too`, async () =>
      expect((await promtool(file)).code).toBe(1),
    );
  }
});

const exprTest = (more: string, expr: string) => `tests:
- input_series: [{ series: m, values: 1+1x5 }]
  promql_expr_test: [${expr}]
${more}`;

test("a fuzzy comparison accepts the neighbour of a number, and not the one after it", async () => {
  const expected = (value: string) =>
    `{ expr: 0.1 + 0.2, eval_time: 1m, exp_samples: [{ labels: "{}", value: ${value} }] }`;
  expect(await failuresOf(exprTest("", expected("0.3")))).toEqual(["0.1 + 0.2 at 1m"]);
  expect(await failuresOf(exprTest("fuzzy_compare: true", expected("0.3")))).toEqual([]);
  expect(await failuresOf(exprTest("fuzzy_compare: true", expected("0.2999999999999999")))).toEqual([
    "0.1 + 0.2 at 1m",
  ]);
});

test("NaN equals NaN, and the interval of series is that of evaluations if it is not given", async () => {
  const nan = `{ expr: m * NaN, eval_time: 3m, exp_samples: [{ labels: "{}", value: .nan }] }`;
  const four = `{ expr: m, eval_time: 90s, exp_samples: [{ labels: m, value: 4 }] }`;
  expect(await failuresOf(exprTest("evaluation_interval: 30s", `${nan}, ${four}`))).toEqual([]);
});

test("a test can begin at a time", async () => {
  const at = `{ expr: time(), eval_time: 1m, exp_samples: [{ labels: "{}", value: 1705307460 }] }`;
  const value = `{ expr: m, eval_time: 2m, exp_samples: [{ labels: m, value: 3 }] }`;
  expect(await failuresOf(exprTest("  start_timestamp: 2024-01-15T08:30:00Z", `${at}, ${value}`))).toEqual(
    [],
  );
  expect(await failuresOf(exprTest("  start_timestamp: 1705307400", `${at}, ${value}`))).toEqual([]);
});

test("a test that would take years is rejected at once", async () => {
  const { file } = readUnitTestFile(exprTest("evaluation_interval: 1s", "{ expr: m, eval_time: 10y }"));
  expect(await runUnitTest(file.tests[0], [], file)).toEqual([
    {
      line: 2,
      subject: "the test",
      details: ["315360000 evaluations are needed; at most 1000000 are supported"],
    },
  ]);
});

test("a rule in SQL is an error of its first evaluation", async () => {
  const text = "groups: [{ name: g, rules: [{ record: a, sql: SELECT 1 AS value }] }]";
  const rules = readRuleFile("r.yml", text, { parseTemplate });
  const { file } = readUnitTestFile(exprTest("", "{ expr: m, eval_time: 5m }"));
  expect(await runUnitTest(file.tests[0], rules.groups, file)).toEqual([
    {
      line: 2,
      subject: "the rule a (r.yml:1) at 0s",
      details: ["rules with sql cannot be tested: they need a store, and a test has only series"],
    },
  ]);
});
