/** `weir rules test` as a user runs it: what it prints, and its exit code. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { weir } from "../weir.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-rules-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

write(
  "disk.yml",
  `groups:
- name: disk
  rules:
  - alert: DiskFull
    expr: free_bytes < 10
    for: 1m
    labels: { severity: page }
    annotations: { summary: "{{ $labels.disk }} has {{ $value | humanize }} bytes", team: ops }
`,
);

const good = write(
  "good.test.yml",
  `rule_files: [disk.yml]
tests:
- name: it fires
  input_series: [{ series: 'free_bytes{disk="sda"}', values: 5x5 }]
  alert_rule_test:
  - eval_time: 1m
    alertname: DiskFull
    exp_alerts:
    - exp_labels: { disk: sda, severity: page }
      exp_annotations: { summary: sda has 5 bytes, team: ops }
- name: it is quiet
  input_series: [{ series: 'free_bytes{disk="sda"}', values: 50x5 }]
  alert_rule_test: [{ eval_time: 5m, alertname: DiskFull }]
`,
);

const bad = write(
  "bad.test.yml",
  `rule_files: [disk.yml]
tests:
- name: wrong text
  input_series:
  - { series: 'free_bytes{disk="sda"}', values: 5x5 }
  - { series: 'free_bytes{disk="sdb"}', values: 50 5x5 }
  alert_rule_test:
  - eval_time: 1m
    alertname: DiskFull
    exp_alerts:
    - exp_labels: { disk: sda, severity: page }
      exp_annotations: { summary: "sda has 6 bytes", team: ops }
    - exp_labels: { disk: sdb, severity: page }
  - eval_time: 2m
    alertname: DiskFul
    exp_alerts: [{}]
  promql_expr_test:
  - expr: sum(free_bytes)
    eval_time: 2m
    exp_samples: [{ labels: '{}', value: 11 }]
- name: right
  input_series: []
`,
);

describe("weir rules test", () => {
  test("prints one line for a file that passes", async () => {
    expect(await weir(["rules", "test", good])).toEqual({
      code: 0,
      out: `${good}: 2 tests passed\n`,
      err: "",
    });
  });

  test("prints what was expected and what was found, with the lines of the file", async () => {
    expect(await weir(["rules", "test", good, bad])).toEqual({
      code: 1,
      out: `${good}: 2 tests passed
${bad}: 1 of 2 tests failed
  line 8, "wrong text": alert DiskFull at 1m
      {alertname="DiskFull", disk="sda", severity="page"}
    -   summary: "sda has 6 bytes"
    +   summary: "sda has 5 bytes"
    - {alertname="DiskFull", disk="sdb", severity="page"}
        it is pending
  line 14, "wrong text": alert DiskFul at 2m
    - {alertname="DiskFul"}
      no rule file has an alert DiskFul
  line 18, "wrong text": sum(free_bytes) at 2m
    - {} 11
    + {} 10
`,
      err: "",
    });
  });

  test("runs only tests that --run names, and writes JUnit's XML", async () => {
    const junit = join(folder, "junit.xml");
    const { code, out } = await weir([
      "rules",
      "test",
      "--run",
      "^it",
      "--run",
      "wrong",
      "--junit",
      junit,
      good,
      bad,
    ]);
    expect([code, out.split("\n")[1]]).toEqual([1, `${bad}: 1 of 1 test failed`]);
    const xml = readFileSync(junit, "utf8");
    expect(xml).toContain(`<testsuite name="${bad}" tests="1" failures="1">`);
    expect(xml).toContain(`<testcase name="it fires"></testcase>`);
    expect(xml).toContain(`-   summary: &quot;sda has 6 bytes&quot;\n`);
    expect(await weir(["rules", "test", "--run", "^it", good, bad])).toMatchObject({ code: 0 });
  });

  test("names the line of an error in a file of tests or of rules", async () => {
    write("broken.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n");
    const rules = write("rules.test.yml", "rule_files: [broken.yml]\ntests: []\n");
    const field = write("field.test.yml", "tests:\n- interval: 1m\n  input_serie: []\n");
    const missing = join(folder, "missing.yml");
    const { code, out } = await weir(["rules", "test", rules, field, missing]);
    expect(code).toBe(1);
    expect(out.split("\n").slice(0, -1)).toEqual([
      `${rules}: not tested`,
      `  ${join(folder, "broken.yml")}:5:11: group "g", rule 1, "A": could not parse expression: 1:6: parse error: unexpected end of input`,
      `${field}: not tested`,
      `  ${field}:3:3: unknown field "input_serie": did you mean input_series?`,
      `${missing}: not tested`,
      `  ${missing}: there is no such file`,
    ]);
  });

  test("warns of rule files that do not exist", async () => {
    const file = write("none.test.yml", "rule_files: [other*.yml]\n");
    const { code, err } = await weir(["rules", "test", file]);
    expect([code, err]).toEqual([
      0,
      `weir rules: warning: ${file}: no file matches "${join(folder, "other*.yml")}"\n`,
    ]);
  });

  test("rejects arguments that are wrong", async () => {
    expect(await weir(["rules"])).toMatchObject({ code: 2 });
    expect(await weir(["rules", "tets"])).toMatchObject({ code: 2 });
    expect(await weir(["rules", "test"])).toMatchObject({ code: 2 });
    expect(await weir(["rules", "test", "--run", "(", good])).toMatchObject({
      code: 2,
      err: expect.stringContaining('--run is "(": error parsing regexp: missing closing ): `(`.'),
    });
  });
});

test("the unit tests of the rules in this repository pass", async () => {
  const root = join(import.meta.dir, "../../..");
  const files = [...new Bun.Glob("scripts/deploy/prometheus/rules/*.test.yml").scanSync(root)].sort();
  const { code, out } = await weir(["rules", "test", ...files]);
  expect(out.split("\n").filter((line) => !/: \d+ tests passed$/.test(line))).toEqual([""]);
  expect([code, files.length]).toEqual([0, 3]);
});
