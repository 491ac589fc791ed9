/** Rules of service levels: promtool evaluates them over hours, with results that are worked out by hand. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BadInput } from "../../../src/model/errors.ts";
import type { ServiceLevel } from "../../../src/model/alerts/service-level.ts";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import { ruleFileText } from "../../../src/rules/generated/rule-source.ts";
import { serviceLevelGroups } from "../../../src/rules/generated/service-level-rules.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DAY_MS = 86_400_000;
const LEVEL: ServiceLevel = {
  name: "tasks",
  objectivePercent: 99.5,
  windowMs: 30 * DAY_MS,
  good: 'requests_total{success="true"}',
  total: "requests_total",
  labels: { team: "edge" },
};

const parseTemplate = () => ({ expand: () => Promise.resolve("") });
const read = (level: ServiceLevel) =>
  readRuleFile("slo.yml", ruleFileText(serviceLevelGroups(level)), { parseTemplate });

/** Rules of a level by the name of the metric or alert, and its window or severity. */
function rulesOf(level: ServiceLevel): Map<string, string> {
  const { groups, errors, warnings } = read(level);
  expect([errors, warnings]).toEqual([[], []]);
  return new Map(
    groups.flatMap(({ rules }) =>
      rules.map(({ name, labels, question }): [string, string] => [
        [name, labels.window ?? labels.severity].filter(Boolean).join(" "),
        question.text,
      ]),
    ),
  );
}

test("a level of 30 days has the alerts of the SRE workbook", () => {
  const rules = rulesOf(LEVEL);
  expect([...rules.keys()]).toEqual([
    ...["slo:good:increase5m", "slo:total:increase5m", "slo:objective:ratio", "slo:window:seconds"],
    ...["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"].map((window) => `slo:errors:ratio ${window}`),
    ...["slo:error_budget:remaining_ratio", "ErrorBudgetBurn page", "ErrorBudgetBurn ticket"],
  ]);
  // 14.4, 6, 3 and 1 times the 0.5 % that are allowed.
  const above = (limit: string, long: string, short: string) =>
    `max without (window) (slo:errors:ratio{slo="tasks",window="${long}"} > ${limit} and ignoring (window) ` +
    `slo:errors:ratio{slo="tasks",window="${short}"} > ${limit})`;
  expect(rules.get("ErrorBudgetBurn page")).toBe(
    `${above("0.072", "1h", "5m")} or ${above("0.03", "6h", "30m")}`,
  );
  expect(rules.get("ErrorBudgetBurn ticket")).toBe(
    `${above("0.015", "1d", "2h")} or ${above("0.005", "3d", "6h")}`,
  );
});

test("a shorter window has fewer times, and limits that use the same part of its budget", () => {
  const rules = rulesOf({ ...LEVEL, windowMs: DAY_MS });
  expect([...rules.keys()].filter((name) => name.startsWith("slo:errors"))).toEqual(
    ["5m", "30m", "1h", "2h", "6h", "1d"].map((window) => `slo:errors:ratio ${window}`),
  );
  // 2 % of the budget of 24 h within 1 h: 0.48 times 0.5 %. 5 % within 6 h: 0.2 times.
  expect(rules.get("ErrorBudgetBurn page")).toContain("> 0.0024 and");
  expect(rules.get("ErrorBudgetBurn page")).toContain("> 0.001 and");
  expect(rules.has("ErrorBudgetBurn ticket")).toBe(false);
});

test("a low objective has no alert at a rate that no errors can reach", () => {
  // 14.4 times 10 % are more than all events.
  const page = rulesOf({ ...LEVEL, objectivePercent: 90 }).get("ErrorBudgetBurn page")!;
  expect(page).not.toContain('window="1h"');
  expect(page).toContain("> 0.6 and");
});

test("good and total may be expressions with $window, or SQL with it", () => {
  const promql = rulesOf({ ...LEVEL, good: "sum(increase(a[$window])) - sum(increase(b[$window]))" });
  expect(promql.get("slo:good:increase5m")).toBe("sum(increase(a[5m])) - sum(increase(b[5m]))");
  expect(promql.get("slo:errors:ratio 1h")).toContain("((sum(increase(a[1h])) - sum(increase(b[1h]))) or");
  const sql = rulesOf({
    ...LEVEL,
    good: `SELECT count(*) AS value FROM "a.b" WHERE ts > $time - $window AND success = 'true'`,
    total: `SELECT count(*) AS value FROM "a.b" WHERE ts > $time - $window`,
  });
  expect(sql.get("slo:total:increase5m")).toBe(
    `SELECT count(*) AS value FROM "a.b" WHERE ts > $time - INTERVAL 300 SECONDS`,
  );
  expect(sql.get("slo:errors:ratio 1h")).toContain('sum_over_time(slo:total:increase5m{slo="tasks"}[1h])');
});

describe("rejects", () => {
  const rejected = (title: string, level: Partial<ServiceLevel>, message: string) =>
    test(title, () => {
      const reading = () => serviceLevelGroups({ ...LEVEL, ...level });
      expect(reading).toThrow(BadInput);
      expect(reading).toThrow(message);
    });
  rejected(
    "an expression without a time",
    { good: "sum(rate(a[5m]))" },
    'good of the slo "tasks" is "sum(rate(a[5m]))": expected a selector of counters, or an expression with $window',
  );
  rejected(
    "a text that closes the brackets of its rule",
    { total: "a[5m])) or sum(increase(b" },
    "total of the slo",
  );
  rejected("SQL without a time", { good: "SELECT 1 AS value" }, "expected SQL with $window");
  rejected("what cannot be parsed", { good: "sum(" }, 'good of the slo "tasks" is "sum("');
});

/** Evaluates the rules with promtool. */
function promtool(series: Record<string, string>, tests: object): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "rules.yml"), ruleFileText(serviceLevelGroups(LEVEL)));
  const test = {
    rule_files: ["rules.yml"],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        ...tests,
      },
    ],
  };
  writeFileSync(join(folder, "test.yml"), JSON.stringify(test));
  const { stderr, stdout } = Bun.spawnSync(["promtool", "test", "rules", "test.yml"], { cwd: folder });
  return `${stdout}${stderr}`;
}

const value = (expr: string, evalTime: string, expected: number) => ({
  expr,
  eval_time: evalTime,
  exp_samples: [{ labels: "{}", value: expected }],
});

describe.skipIf(Bun.which("promtool") === null)("evaluated by promtool", () => {
  /** 90 good requests and `errors` others of each 90 + errors, each minute for seven hours. */
  const requests = (good: number, errors: number) => ({
    'requests_total{success="true"}': `0+${good}x420`,
    'requests_total{success="false"}': `0+${errors}x420`,
  });
  const alert = (severity: string, text: string) => ({
    exp_labels: { severity, slo: "tasks", team: "edge" },
    exp_annotations: {
      summary: "The error budget of tasks burns too fast",
      description: `${text} of the events of tasks are errors. 0.5% are allowed over 30d.`,
    },
  });

  test("10 % of errors page, and use 20 times the budget", () => {
    const output = promtool(requests(90, 10), {
      alert_rule_test: [
        {
          eval_time: "2h",
          alertname: "ErrorBudgetBurn",
          exp_alerts: [alert("page", "10%"), alert("ticket", "10%")],
        },
      ],
      promql_expr_test: [
        value("round(max(slo:total:increase5m))", "1h", 500),
        value("round(max(slo:good:increase5m))", "1h", 450),
        value('round(max(slo:errors:ratio{window="1h"}), 1e-6)', "1h", 0.1),
        value("round(max(slo:error_budget:remaining_ratio), 1e-6)", "2h", -19),
      ],
    });
    expect(output).toContain("SUCCESS");
  });

  test("1 % of errors makes a ticket and does not page", () => {
    const output = promtool(requests(99, 1), {
      alert_rule_test: [
        { eval_time: "6h", alertname: "ErrorBudgetBurn", exp_alerts: [alert("ticket", "1%")] },
      ],
    });
    expect(output).toContain("SUCCESS");
  });

  test("0.4 % of errors are within the objective, and a fifth of the budget is left", () => {
    const output = promtool(requests(249, 1), {
      alert_rule_test: [{ eval_time: "6h", alertname: "ErrorBudgetBurn", exp_alerts: [] }],
      promql_expr_test: [value("round(max(slo:error_budget:remaining_ratio), 1e-6)", "6h", 0.2)],
    });
    expect(output).toContain("SUCCESS");
  });

  test("requests that all fail page, although there is no series of good ones", () => {
    const output = promtool(
      { 'requests_total{success="false"}': "0+10x420" },
      {
        alert_rule_test: [
          {
            eval_time: "1h",
            alertname: "ErrorBudgetBurn",
            exp_alerts: [alert("page", "100%"), alert("ticket", "100%")],
          },
        ],
      },
    );
    expect(output).toContain("SUCCESS");
  });

  test("an hour without requests is no error", () => {
    const output = promtool(
      { 'requests_total{success="true"}': "0x420" },
      {
        alert_rule_test: [{ eval_time: "1h", alertname: "ErrorBudgetBurn", exp_alerts: [] }],
        promql_expr_test: [{ expr: "slo:errors:ratio", eval_time: "1h", exp_samples: [] }],
      },
    );
    expect(output).toContain("SUCCESS");
  });
});
