/** Rules of expectations: promtool evaluates them over hours. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Expectation } from "../../../src/model/alerts/expectation.ts";
import { belongsTo } from "../../../src/rules/evaluation/restored-state.ts";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import { expectationGroup } from "../../../src/rules/generated/expectation-rules.ts";
import { ruleFileText } from "../../../src/rules/generated/rule-source.ts";
import { parseTemplate } from "../../../src/rules/templates/template.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const HOUR_MS = 3_600_000;
const BACKUP: Expectation = {
  job: "backup",
  instance: undefined,
  everyMs: 2 * HOUR_MS,
  learn: false,
  labels: { team: "edge" },
};

/** Times of pushes in seconds after the beginning, as the gateway stores them each minute. */
const PUSHES = {
  // Pushed at 0, then at 1 h, then never again.
  'weir_last_push_timestamp_seconds{job="backup",instance="a"}': "0x59 3600x300",
  // Pushed at 0 only.
  'weir_last_push_timestamp_seconds{job="backup",instance="b"}': "0x360",
  'weir_last_push_timestamp_seconds{job="other",instance="c"}': "0x360",
};

function promtool(expectation: Expectation, series: Record<string, string>, tests: object[]): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "rules.yml"), ruleFileText([expectationGroup(expectation, 1)]));
  const test = {
    rule_files: ["rules.yml"],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: tests,
      },
    ],
  };
  writeFileSync(join(folder, "test.yml"), JSON.stringify(test));
  const { stderr, stdout } = Bun.spawnSync(["promtool", "test", "rules", "test.yml"], { cwd: folder });
  return `${stdout}${stderr}`;
}

const missing = (evalTime: string, ...alerts: [summary: string, labels: Record<string, string>][]) => ({
  eval_time: evalTime,
  alertname: "PushMissing",
  exp_alerts: alerts.map(([summary, labels]) => ({
    exp_labels: { severity: "warning", every: "2h", team: "edge", ...labels },
    exp_annotations: { summary, description: "A push is expected every 2h." },
  })),
});

describe.skipIf(Bun.which("promtool") === null)("evaluated by promtool", () => {
  test("a job is missing when none of its instances pushed for longer than expected", () => {
    const output = promtool(BACKUP, PUSHES, [
      missing("3h"),
      missing("3h1m", ["No push from backup for 2h 1m 0s", { job: "backup" }]),
    ]);
    expect(output).toContain("SUCCESS");
  });

  test("with learn, each instance that pushed once is expected again", () => {
    const output = promtool({ ...BACKUP, job: undefined, learn: true }, PUSHES, [
      missing("2h"),
      missing(
        "2h1m",
        ["No push from backup on b for 2h 1m 0s", { job: "backup", instance: "b" }],
        ["No push from other on c for 2h 1m 0s", { job: "other", instance: "c" }],
      ),
    ]);
    expect(output).toContain("SUCCESS");
  });

  test("pushes without a job are named as such", () => {
    const output = promtool(
      { ...BACKUP, job: undefined, learn: true },
      { weir_last_push_timestamp_seconds: "0x360" },
      [missing("2h1m", ["No push from clients without a job for 2h 1m 0s", {}])],
    );
    expect(output).toContain("SUCCESS");
  });

  test("a job that never pushed is reported after the time in which it should have", () => {
    const never = (evalTime: string, isFiring: boolean) => ({
      eval_time: evalTime,
      alertname: "PushNeverSeen",
      exp_alerts: isFiring
        ? [
            {
              exp_labels: { severity: "warning", every: "2h", team: "edge", job: "backup", instance: "z" },
              exp_annotations: {
                summary: "backup on z has never pushed",
                description: "A push is expected every 2h.",
              },
            },
          ]
        : [],
    });
    const output = promtool({ ...BACKUP, instance: "z" }, PUSHES, [never("1h59m", false), never("2h", true)]);
    expect(output).toContain("SUCCESS");
  });
});

test("two expectations make different alerts: their series and their states do not mix", () => {
  const all: Expectation = { ...BACKUP, job: undefined, everyMs: HOUR_MS, learn: true, labels: {} };
  const text = ruleFileText([
    expectationGroup({ ...BACKUP, labels: {} }, 1),
    expectationGroup({ ...BACKUP, job: "sync", labels: {} }, 2),
    expectationGroup({ ...BACKUP, instance: "a", labels: {} }, 3),
    expectationGroup(all, 4),
  ]);
  const { groups, errors, warnings } = readRuleFile("[[expect]]", text, { parseTemplate });
  expect([errors, warnings]).toEqual([[], []]);
  const alert = (labels: Record<string, string>) => ({ labels, activeAt: 0, seenAt: 0, isFiring: true });
  const ownersOf = (labels: Record<string, string>) =>
    groups
      .filter(({ rules }) => rules.some((rule) => rule.kind === "alerting" && belongsTo(rule, alert(labels))))
      .map(({ name }) => name);
  const silent = { alertname: "PushMissing", severity: "warning", job: "backup" };
  expect(ownersOf({ ...silent, every: "2h" })).toEqual(["expect 1 backup"]);
  expect(ownersOf({ ...silent, every: "1h" })).toEqual(["expect 4"]);
});

test("a job whose name looks like a template is a name", () => {
  const text = ruleFileText([expectationGroup({ ...BACKUP, job: "{{ x" }, 1)]);
  expect(readRuleFile("[[expect]]", text, { parseTemplate }).errors).toEqual([]);
});

test("the interval of the rules follows the expectation, from a second to a minute", () => {
  const interval = (everyMs: number) => expectationGroup({ ...BACKUP, everyMs }, 2).interval;
  expect([1_000, 10_000, 300_000, 86_400_000].map(interval)).toEqual(["1s", "1s", "30s", "1m"]);
});
