/** Files of rules: what is read from them, and where their errors are. promtool accepts and rejects the same files. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const folder = temporaryFolder();

/** Rejects texts with `{{ bad`. */
const parseTemplate = (text: string) => {
  if (text.includes("{{ bad")) throw new Error("unclosed action");
  return { expand: () => Promise.resolve(text) };
};

const read = (text: string) => readRuleFile("f.yml", text, { parseTemplate });

/** The errors, as `LINE:COLUMN: MESSAGE`. */
const errorsIn = (text: string) =>
  read(text).errors.map(({ line, column, message }) => `${line}:${column}: ${message}`);

describe("a rule file", () => {
  test("is read with all fields, and labels of the group are labels of its rules", () => {
    const { groups, errors, warnings } = read(`
groups:
  - name: host
    interval: 1m30s
    query_offset: 10s
    limit: 5
    labels: {team: ops, tier: 1}
    rules:
      - record: job:up:sum
        expr: sum  by(job)( up )
        labels: {team: web}
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1h
        labels: {severity: page, level: 1.50}
        annotations: {summary: "{{ $labels.instance }} is down"}
      - alert: Slow
        sql: SELECT 1 AS value
  - name: empty
`);
    expect([errors, warnings]).toEqual([[], []]);
    expect(groups).toHaveLength(2);
    const { rules, ...group } = groups[0]!;
    expect(group).toEqual({
      file: "f.yml",
      name: "host",
      line: 3,
      intervalMs: 90_000,
      queryOffsetMs: 10_000,
      limit: 5,
    });
    expect(rules).toMatchObject([
      {
        ...{ kind: "recording", name: "job:up:sum", line: 9, column: 9 },
        question: { language: "promql", text: "sum by (job) (up)" },
        labels: { team: "web", tier: "1" },
      },
      {
        ...{ kind: "alerting", name: "Down", line: 12, forMs: 300_000, keepFiringForMs: 3_600_000 },
        labels: { level: "1.50", severity: "page", team: "ops", tier: "1" },
        annotations: { summary: "{{ $labels.instance }} is down" },
      },
      { name: "Slow", question: { language: "sql", text: "SELECT 1 AS value" }, forMs: 0 },
    ]);
    expect(groups[1]).toMatchObject({ name: "empty", intervalMs: undefined, limit: 0, rules: [] });
  });

  test("without rules is not an error", () => {
    for (const text of ["", "# nothing\n", "groups:\n", "groups: []\n", "groups: [{name: g}]\n"])
      expect(errorsIn(text)).toEqual([]);
  });

  test("may use anchors, aliases and merge keys", () => {
    const { groups, errors } = read(`
groups:
  - name: g
    rules:
      - &base
        alert: A
        expr: &expr up == 0
        labels: &labels {severity: page, team: ops}
      - <<: *base
        alert: B
        labels: {<<: *labels, team: web}
      - alert: C
        expr: *expr
`);
    expect(errors).toEqual([]);
    expect(groups[0]!.rules.map(({ name, question, labels }) => [name, question.text, labels])).toEqual([
      ["A", "up == 0", { severity: "page", team: "ops" }],
      ["B", "up == 0", { severity: "page", team: "web" }],
      ["C", "up == 0", {}],
    ]);
  });

  test("cannot take much time with aliases of aliases", () => {
    const aliases = Array.from({ length: 200 }, () => "*r").join(", ");
    const groups = Array.from({ length: 200 }, (_, at) => `  - {name: g${at}, rules: *rules}\n`).join("");
    const text = `x:\n  - &r {record: a, expr: b}\n  - &rules [${aliases}]\ngroups:\n${groups}`;
    expect(errorsIn(text)).toEqual([
      '1:1: unknown field "x": expected one of groups',
      expect.stringMatching(/^3:\d+: the file resolves more than 10000 aliases$/),
    ]);
  });

  test("has its errors at their lines and columns", () => {
    const bad = (text: string, ...errors: string[]) => expect(errorsIn(text)).toEqual(errors);
    bad(
      "groups:\n- name: g\n  rules:\n  - alert: A\n expr: up\n",
      "5:1: the file is not valid YAML: Sequence item without - indicator",
    );
    bad(
      "groups: []\n---\ngroups: []\n",
      "2:1: the file is not valid YAML: expected one document, found a second one",
    );
    bad("- a\n", '1:1: expected the file as "groups: […]", a mapping, got a list');
    bad("group: []\n", '1:1: unknown field "group": did you mean groups?');
    bad("groups: {a: b}\n", '1:9: expected "groups", a list, got a mapping');
    bad("groups: [7]\n", '1:10: expected a group, a mapping, got the text "7"');
    bad("groups: *x\n", '1:9: the alias "*x" has no anchor before it');
    bad("groups: [{name: '', rules: []}]\n", "1:17: Groupname must not be empty");
    bad("groups:\n- rules: []\n", "2:3: Groupname must not be empty");
    bad("groups:\n- name: a\n- name: a\n", '3:9: groupname: "a" is repeated in the same file');
    bad(
      "groups:\n- name: a\n  interval: 5\n  limit: many\n  query_offset: 1h 1m\n  labels: {1: a}\n",
      '3:13: group "a": interval: not a valid duration string: "5", expected one such as 1h30m',
      '4:10: group "a": limit: expected an integer, got "many"',
      '5:17: group "a": query_offset: not a valid duration string: "1h 1m", expected one such as 1h30m',
      '6:12: group "a": invalid label name: 1',
    );
    const rule = (text: string, ...errors: string[]) =>
      bad(`groups:\n- name: g\n  rules:\n  - ${text.replaceAll("\n", "\n    ")}\n`, ...errors);
    rule("expr: up", `4:5: group "g", rule 1, "": one of 'record' or 'alert' must be set`);
    rule(
      "alert: A\nrecord: b\nexpr: up",
      `5:13: group "g", rule 1, "A": only one of 'record' and 'alert' must be set`,
    );
    rule("alert: A", `4:5: group "g", rule 1, "A": field 'expr' must be set in rule`);
    rule(
      "alert: A\nexpr: up\nsql: SELECT 1",
      `6:10: group "g", rule 1, "A": only one of 'expr' and 'sql' must be set`,
    );
    rule(
      "alert: A\nexpr: up +",
      `5:11: group "g", rule 1, "A": could not parse expression: 1:5: parse error: unexpected end of input`,
    );
    rule(
      "record: a b\nexpr: up\nfor: 5m\nkeep_firing_for: 5m\nannotations: {a: b}\nlabels: {__name__: x}",
      `4:13: group "g", rule 1, "a b": invalid recording rule name: a b`,
      `6:10: group "g", rule 1, "a b": invalid field 'for' in recording rule`,
      `7:22: group "g", rule 1, "a b": invalid field 'keep_firing_for' in recording rule`,
      `8:18: group "g", rule 1, "a b": invalid field 'annotations' in recording rule`,
      `9:14: group "g", rule 1, "a b": invalid label name: __name__`,
    );
    rule(
      'alert: A\nexpr: up\nlabels: {x: "{{ bad"}\nannotations: {y-z: b, w: [1]}',
      `6:17: group "g", rule 1, "A": label "x": template: unclosed action`,
      `7:19: group "g", rule 1, "A": invalid annotation name: y-z`,
      `7:30: expected a text for "w", got a list`,
    );
    rule(
      "",
      `4:5: group "g", rule 1, "": one of 'record' or 'alert' must be set`,
      `4:5: group "g", rule 1, "": field 'expr' must be set in rule`,
    );
    rule("alert: A\nexpr: up\nfour: 5m", `6:5: unknown field "four": did you mean for?`);
    rule("alert: A\nexpr: up\nexpr: up", `6:5: the field "expr" is there twice`);
  });

  test("warns of rules with the same name and labels, and of expressions that are no vector", () => {
    const { warnings, errors } = read(`groups:
- name: g
  rules:
  - {record: a, expr: up}
  - {record: a, expr: up, labels: {x: y}}
- name: h
  rules:
  - {record: a, expr: "up[5m]"}
`);
    expect(errors).toEqual([]);
    expect(warnings.map(({ line, column, message }) => `${line}:${column}: ${message}`)).toEqual([
      '8:6: group "h", rule 1, "a": duplicate rule: the rule of group "g" in line 4 has the same name and labels. One of them is probably a mistake.',
      '8:23: group "h", rule 1, "a": each evaluation will fail: the expression is a range vector, expected a vector or a scalar',
    ]);
  });
});

test.skipIf(Bun.which("promtool") === null)("promtool accepts and rejects the same files", () => {
  const rule = (text: string) => `groups: [{name: g, rules: [{${text}}]}]`;
  const texts = [
    "",
    "groups:",
    "groups: [{name: g, interval: 0s, limit: -1, rules: []}]",
    "groups: [{name: g, interval: 0, limit: 0, rules: null}]",
    "groups: [{name: g, interval: -1s}]",
    "groups: [{name: g, interval: 1.5h}]",
    "groups: [{name: g, interval: 1m1h}]",
    "groups: [{name: ''}]",
    "groups: [{name: a}, {name: a}]",
    "groups: [{name: a, extra: 1}]",
    "rules: []",
    rule("record: a, expr: 1"),
    rule("record: a, expr: '\"text\"'"),
    rule("record: 'a:b', expr: 'up[5m]'"),
    rule("record: 'a-b', expr: up"),
    rule("record: a, expr: up, for: 0s, annotations: {}"),
    rule("record: a, expr: up, for: 1s"),
    rule("record: a, expr: up, labels: {a: 1, b: true, c: null, d: 1.5}"),
    rule("record: a, expr: up, labels: {a: [1]}"),
    rule("record: a, expr: up, labels: [a]"),
    rule("alert: 'a b é', expr: up, for: 1d, labels: {a: '{{ $value }}'}"),
    rule("alert: a, expr: up, labels: {'a.b': c}"),
    rule("alert: a, expr: up, annotations: {'a b': c}"),
    rule("alert: a, expr: 'sum(up'"),
    rule("alert: a, expr: ''"),
    rule("alert: a, expr: up, record: b"),
    rule("alert: '', record: '', expr: up"),
    rule("alert: a, expr: up, summary: x"),
    rule("alert: a, expr: up, annotations: {a: '{{ bad'}"),
    "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]",
  ];
  const paths = texts.map((text, at) => {
    const path = join(folder, `${String(at).padStart(2, "0")}.yml`);
    writeFileSync(path, `${text}\n`);
    return path;
  });
  const accepted = texts.filter(
    (_, at) => Bun.spawnSync(["promtool", "check", "rules", paths[at]!]).exitCode === 0,
  );
  expect(texts.filter((text) => errorsIn(text).length === 0)).toEqual(accepted);
  expect(accepted.length).toBeGreaterThan(10);
});
