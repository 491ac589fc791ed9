/** Debian's promtool expands every template of the table to the text that the table has. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canRun } from "../../real-servers.ts";
import { ALERT_LABELS, EXTERNAL_LABELS, EXTERNAL_URL, QUERIED, TEMPLATE_CASES } from "./template-cases.ts";

test.skipIf(!canRun("promtool"))("promtool agrees with the table of templates", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-templates-"));
  const rules = TEMPLATE_CASES.map(({ template, value = "1234.5678" }, at) => ({
    alert: `T${at}`,
    expr: `metric * 0 + (${value})`,
    annotations: { text: template },
  }));
  const labels = Object.entries(ALERT_LABELS).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const cases = TEMPLATE_CASES.map(({ text }, at) => ({
    eval_time: "0m",
    alertname: `T${at}`,
    exp_alerts: [
      {
        exp_labels: ALERT_LABELS,
        exp_annotations: { text: text.replaceAll(/__alert_T\d+/g, `__alert_T${at}`) },
      },
    ],
  }));
  const queried = QUERIED.map((each) => ({
    series: `queue{shard="${each.labels.shard}"}`,
    values: `${each.value}x2`,
  }));
  // YAML contains JSON.
  writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "all", rules }] }));
  const input_series = [{ series: `metric{${labels.join(",")}}`, values: "1x2" }, ...queried];
  const unit = {
    rule_files: ["rules.yml"],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        external_labels: EXTERNAL_LABELS,
        external_url: EXTERNAL_URL,
        input_series,
        alert_rule_test: cases,
      },
    ],
  };
  writeFileSync(join(folder, "test.yml"), JSON.stringify(unit));
  const child = Bun.spawn(["promtool", "test", "rules", join(folder, "test.yml")], { stderr: "pipe" });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  rmSync(folder, { recursive: true });
  expect((output + errors).split("\n").filter((line) => /alertname:|Annotations|error/.test(line))).toEqual(
    [],
  );
  expect(await child.exited).toBe(0);
});
