/** `weir rules check` as a user runs it, and beside promtool on the same files. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();
const SHIPPED = join(import.meta.dir, "../../../scripts/deploy/prometheus/rules");

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const good = file(
  "good.yml",
  "groups: [{name: g, rules: [{record: a, expr: up}, {alert: B, expr: up == 0}]}]\n",
);
const twice = file(
  "twice.yml",
  "groups:\n- name: g\n  rules:\n  - {record: a, expr: up}\n  - {record: a, expr: up}\n",
);
const bad = file(
  "bad.yml",
  `groups:
- name: g
  rules:
  - alert: A
    expr: sum(up
    for: soon
  - alert: B
    expr: up
    annotations:
      text: "{{ $value | humanise }}"
`,
);

async function check(...args: string[]) {
  const { code, out, err } = await weir(["rules", "check", ...args]);
  const short = (text: string) => text.replaceAll(`${folder}/`, "");
  return { code, out: short(out), err: short(err) };
}

describe("weir rules check", () => {
  test("counts the rules of good files", async () => {
    expect(await check(good)).toEqual({ code: 0, out: "good.yml: 2 rules in 1 group\n", err: "" });
  });

  test("checks statements in SQL with the parser of the engine, and accepts tables that do not exist yet", async () => {
    const text = `groups:
- name: g
  rules:
  - {record: a, sql: "SELECT host, max(value) AS value FROM task_ms WHERE ts > $time - INTERVAL 1 HOUR GROUP BY host"}
  - {record: b, sql: "SELECT max(value AS value FROM task_ms"}
  - {record: c, sql: "SELECT getenv('HOME') AS value"}
`;
    const { code, out, err } = await check(file("sql.yml", text));
    expect({ code, out }).toEqual({ code: 1, out: "sql.yml: 2 errors\n" });
    expect(err.split("\n")).toEqual([
      expect.stringMatching(
        /^sql\.yml:5:22: group "g", rule 2, "b": the statement is not accepted: syntax error .* line 1, column /,
      ),
      expect.stringMatching(
        /^sql\.yml:6:22: group "g", rule 3, "c": the statement is not accepted: .*getenv/,
      ),
      "",
    ]);
  });

  test("prints each error with file, line and column, and checks the other files too", async () => {
    const { code, out, err } = await check(bad, good);
    expect({ code, out }).toEqual({ code: 1, out: "bad.yml: 3 errors\ngood.yml: 2 rules in 1 group\n" });
    expect(err.split("\n")).toEqual([
      'bad.yml:5:11: group "g", rule 1, "A": could not parse expression: 1:7: parse error: unclosed left parenthesis',
      'bad.yml:6:10: group "g", rule 1, "A": for: not a valid duration string: "soon", expected one such as 1h30m',
      expect.stringMatching(/^bad\.yml:10:13: group "g", rule 2, "B": annotation "text": .*humanise/),
      "",
    ]);
  });

  test("warns of rules with the same name and labels, and fails for them with --strict", async () => {
    const warning =
      'twice.yml:5:6: warning: group "g", rule 2, "a": duplicate rule: the rule of group "g" in line 4 has the same name and labels. One of them is probably a mistake.\n';
    expect(await check(twice)).toEqual({ code: 0, out: "twice.yml: 2 rules in 1 group\n", err: warning });
    expect(await check("--strict", twice)).toEqual({ code: 1, out: "twice.yml: 1 error\n", err: warning });
  });

  test("warns of rules of two files with the same name and labels, at the second one", async () => {
    const other = file("other.yml", "groups: [{name: h, rules: [{record: a, expr: up}]}]\n");
    const warning =
      'other.yml:1:29: warning: group "h", rule 1, "a": duplicate rule: the rule of group "g" in line 1 of good.yml ' +
      "has the same name and labels. One of them is probably a mistake.\n";
    const out = "good.yml: 2 rules in 1 group\nother.yml: 1 rule in 1 group\n";
    expect(await check(good, other)).toEqual({ code: 0, out, err: warning });
  });

  test("accepts patterns, and reports a file that does not exist and a pattern without files", async () => {
    expect((await check(join(folder, "g*.yml"))).out).toBe("good.yml: 2 rules in 1 group\n");
    expect(await check(join(folder, "missing.yml"))).toEqual({
      code: 1,
      out: "missing.yml: 1 error\n",
      err: "missing.yml:1:1: the file cannot be read: it does not exist\n",
    });
    expect((await check(join(folder, "*.none"))).code).toBe(2);
    expect((await check()).code).toBe(2);
    expect((await weir(["rules", "chek"])).code).toBe(2);
  });
});

test("the rule files that are shipped are good", async () => {
  const paths = readdirSync(SHIPPED).filter((name) => name.endsWith(".rules.yml"));
  expect(paths.length).toBe(3);
  // Each is for another system. Two of them have alerts with the same names, which is a warning.
  for (const path of paths) expect((await check("--strict", join(SHIPPED, path))).code).toBe(0);
});

test.skipIf(Bun.which("promtool") === null)("agrees with promtool on good and bad files", async () => {
  const shipped = readFileSync(join(SHIPPED, "weir.rules.yml"), "utf8");
  /** The shipped file with one mistake each. */
  const mistakes: [string, string][] = [
    ["expr: |", "exprs: |"],
    ["for: 5m", "for: 5 minutes"],
    ["> 0.05\n", "> 0.05)\n"],
    ["humanizePercentage", "humanizePercent"],
    ["$labels.operation", "$label.operation"],
    ["severity: critical", "severity-level: critical"],
    ["summary:", "sum mary:"],
    ["- alert: HighErrorRate", "- alert: HighErrorRate\n        record: high_error_rate"],
    ["- name: weir-gateway", "- name: weir-workers"],
    ["groups:", "group:"],
    ["{{ $value | humanizePercentage }}", "{{ if $value }}"],
    // These are no mistakes.
    ["for: 5m", "for: 1h5m"],
    ["severity: critical", "severity: 1"],
    ["- alert: HighErrorRate", "- alert: High error rate!"],
    ["{{ $value | humanizePercentage }}", "{{ $value | humanizePercentage | toUpper | safeHtml }}"],
  ];
  for (const [at, [from, to]] of mistakes.entries()) {
    expect(shipped).toContain(from);
    const path = file(`mistake-${at}.yml`, shipped.replace(from, to));
    const theirs = Bun.spawnSync(["promtool", "check", "rules", path]).exitCode;
    expect([to, (await check(path)).code]).toEqual([to, theirs]);
  }
});
