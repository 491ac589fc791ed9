/** The default rules: their unit tests, what the gateway makes of them, and their table. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readRuleFile } from "../../src/rules/files/rule-file.ts";
import { parseTemplate } from "../../src/rules/templates/template.ts";
import { runUnitTest } from "../../src/rules/unit-tests/run-unit-tests.ts";
import { readUnitTestFile } from "../../src/rules/unit-tests/unit-test-file.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { canRun } from "../real-servers.ts";

const FOLDER = join(import.meta.dir, "../../src/rules/default-rules");
const read = (name: string) => readFileSync(join(FOLDER, name), "utf8");
const FILES = ["gateway", "gpu", "host", "task-workers"];

const rulesOf = (name: string) =>
  readRuleFile(`${name}.rules.yml`, read(`${name}.rules.yml`), { parseTemplate });
const testsOf = (name: string) => readUnitTestFile(read(`${name}.rules.test.yml`));

describe.each(FILES)("%s.rules.yml", (name) => {
  const { groups, errors, warnings } = rulesOf(name);
  const unitTests = testsOf(name);

  test("has no errors and no warnings", () =>
    expect([...errors, ...warnings, ...unitTests.errors]).toEqual([]));

  for (const each of unitTests.file.tests) {
    test(each.name, async () => expect(await runUnitTest(each, groups, unitTests.file)).toEqual([]));
  }

  test("has a unit test of each alert that sees it firing", () => {
    const alerts = groups.flatMap(({ rules }) => rules.filter(({ kind }) => kind === "alerting"));
    const tested = unitTests.file.tests.flatMap((each) => each.alerts);
    const firing = new Set(tested.filter((each) => each.alerts.length > 0).map(({ alert }) => alert));
    expect(alerts.map((rule) => rule.name).filter((alert) => !firing.has(alert))).toEqual([]);
  });

  test("has a row for each alert in the README, with its severity", () => {
    const section = read("README.md").split(`## [${name}.rules.yml]`)[1]!.split("\n## ")[0];
    const rows = [...section.matchAll(/^\| `(\w+)` \|.*\| (\w+) \|$/gm)].map(([, alert, severity]) => [
      alert,
      severity,
    ]);
    const alerts = groups.flatMap(({ rules }) => rules.filter(({ kind }) => kind === "alerting"));
    expect(rows).toEqual(alerts.map((rule) => [rule.name, rule.labels.severity]));
  });

  test.skipIf(!canRun("promtool"))("is accepted by promtool, unit tests included", async () => {
    const run = async (...args: string[]) => {
      const child = Bun.spawn(["promtool", ...args], { stderr: "pipe" });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      return [await child.exited, /FAILED/.test(out + err) ? out + err : ""];
    };
    expect(await run("check", "rules", join(FOLDER, `${name}.rules.yml`))).toEqual([0, ""]);
    expect(await run("test", "rules", join(FOLDER, `${name}.rules.test.yml`))).toEqual([0, ""]);
  });
});

test("no alert has the name of one that GPU workers suggest: both would write the same series, and fail", () => {
  const names = FILES.flatMap((name) =>
    rulesOf(name).groups.flatMap(({ rules }) => rules.map((rule) => rule.name)),
  );
  for (const suggested of ["HighErrorRate", "WorkerDown", "HighResponseTime", "ConsecutiveFailures"])
    expect(names).not.toContain(suggested);
});

test("alerts of all files have names of their own, because they are one pack", () => {
  const names = FILES.flatMap((name) =>
    rulesOf(name).groups.flatMap(({ rules }) => rules.map((rule) => rule.name)),
  );
  expect(names.length).toBe(new Set(names).size);
});

describe("a gateway with --default-rules", () => {
  let gateway: TestGateway | undefined;
  afterAll(() => gateway?.close());

  interface ListedRule {
    readonly name: string;
    readonly health: string;
    readonly state?: string;
    readonly lastError?: string;
    readonly alerts?: readonly {
      readonly labels: Record<string, string>;
      readonly annotations: Record<string, string>;
    }[];
  }
  const rulesNow = async (on: TestGateway): Promise<ListedRule[]> => {
    const answer = (await (await on.fetch("/api/v1/rules")).json()) as {
      data: { groups: { rules: ListedRule[] }[] };
    };
    return answer.data.groups.flatMap(({ rules }) => rules);
  };

  test("evaluates each rule over the events of workers, and fires where they fail", async () => {
    gateway = await openTestGateway("--default-rules");
    await gateway.gateway.rules.reload();
    const event = (metric_name: string, minute: number, value: number, tags: Record<string, string>) => ({
      "@timestamp": NOON_MS + minute * 60_000 - 10_000,
      metric_name,
      value,
      tags: { job: "w", instance: "i", task_id: `t${minute}`, ...tags },
    });
    for (let minute = 0; minute <= 40; minute++) {
      gateway.nowMs = NOON_MS + minute * 60_000;
      const failed = minute % 5 === 0;
      const events = [
        event("http.request.duration_ms", minute, 800, {
          ...{ operation: "get_task", method: "GET", status_code: failed ? "503" : "200" },
          success: String(!failed),
        }),
        event("task.processing_duration_ms", minute, 15_000, { method: "GET", http_status: "200" }),
      ];
      expect(await gateway.post(JSON.stringify(events))).toMatchObject({
        status: 200,
        json: { rejected: 0 },
      });
      await gateway.gateway.rules.evaluate(gateway.nowMs);
    }
    const rules = await rulesNow(gateway);
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    const firing = rules.filter(({ state }) => state === "firing");
    expect(firing.map(({ name }) => name).sort()).toEqual([
      "ServerAnswers5xx",
      "TaskErrorRate",
      "TasksTakeLong",
    ]);
    const rate = firing.find(({ name }) => name === "TaskErrorRate")!.alerts![0]!;
    expect(rate.labels).toEqual({
      alertname: "TaskErrorRate",
      job: "w",
      operation: "get_task",
      severity: "critical",
    });
    // Six of the thirty requests of the last half hour.
    expect(rate.annotations.summary).toBe("20% of the requests get_task of w fail");
  });
});
