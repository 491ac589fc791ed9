/** The state machine of rules, with answers that the test gives: no clock, no store. */
import { describe, expect, test } from "bun:test";
import {
  evaluateGroup,
  type GroupEvaluationContext,
  type GroupStates,
  type RuleOutcome,
} from "../../../src/rules/evaluation/group-evaluation.ts";
import type { RuleSample } from "../../../src/rules/evaluation/rule-state.ts";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import type { ExpansionData, QuerySample } from "../../../src/rules/files/rule-group.ts";
import { labelValuesKey } from "../../../src/rules/label-values.ts";

const MINUTE = 60_000;
/** The first evaluation. */
const START = Date.UTC(2026, 0, 5, 12);

/** `{{ value }}` and `{{ NAME }}` stand for the value and a label; `{{ fail }}` fails. */
const parseTemplate = (text: string) => ({
  expand: async ({ value, labels }: ExpansionData) =>
    text.replace(/\{\{ (\w+) \}\}/g, (_, name: string) => {
      if (name === "fail") throw new Error("it failed");
      return name === "value" ? String(value) : (labels[name] ?? "");
    }),
});

type Answers = Readonly<Record<string, readonly QuerySample[] | Error>>;

class Simulation {
  readonly written: RuleSample[] = [];
  outcomes: RuleOutcome[] = [];
  readonly asked: [string, number][] = [];
  #states: GroupStates = [];
  readonly #group;
  readonly #refused: ReadonlySet<string>;

  /** @param refused metrics of which no sample can be stored */
  constructor(yaml: string, refused: readonly string[] = []) {
    const { groups, errors } = readRuleFile("test.yml", yaml, { parseTemplate });
    expect(errors).toEqual([]);
    this.#group = groups[0]!;
    this.#refused = new Set(refused);
  }

  /** Evaluates at a minute after the start; `answers` by expression. An absent one is empty. */
  async at(minute: number, answers: Answers = {}): Promise<void> {
    const context: GroupEvaluationContext = {
      queryOffsetMs: 0,
      externalLabels: {},
      externalURL: "",
      answer: async ({ text }, timeMs) => {
        this.asked.push([text, (timeMs - START) / MINUTE]);
        const answer = answers[text] ?? [];
        if (answer instanceof Error) throw answer;
        return answer;
      },
      write: async (samples) => {
        this.written.push(...samples);
        return samples.flatMap(({ labels }, index) =>
          this.#refused.has(labels.__name__!) ? [{ index, reason: "another kind" }] : [],
        );
      },
    };
    this.outcomes = await Array.fromAsync(
      evaluateGroup(this.#group, this.#states, START + minute * MINUTE, context),
    );
    this.#states = this.outcomes.map(({ state }) => state);
  }

  /** The alerts of a rule, as `STATE LABELS since MINUTE`. */
  alerts(rule = 0): string[] {
    return [...this.outcomes[rule]!.state.alerts.values()].map(
      ({ state, labels, activeAt, firedAt, resolvedAt }) => {
        const minute = (ms: number | undefined) => (ms === undefined ? "-" : (ms - START) / MINUTE);
        return `${state} ${labels.host ?? ""} ${minute(activeAt)} ${minute(firedAt)} ${minute(resolvedAt)}`;
      },
    );
  }

  /** What was written since the last call: `NAME{…} VALUE @MINUTE`. */
  take(): string[] {
    return this.written.splice(0).map(({ labels: { __name__, ...labels }, value, timeMs, isStale }) => {
      const text = Object.entries(labels).map(([name, each]) => `${name}=${each}`);
      return `${__name__}{${text}} ${isStale ? "stale" : value} @${(timeMs - START) / MINUTE}`;
    });
  }

  error(rule = 0): string | undefined {
    const { error } = this.outcomes[rule]!;
    return error === undefined ? undefined : (error as Error).message;
  }
}

const on = (host: string, value = 1): QuerySample => ({ labels: { __name__: "up", host }, value });

const alert = (more: string) => `groups: [{name: g, rules: [{alert: Down, expr: down, ${more}}]}]`;

describe("an alerting rule", () => {
  test("is pending for its time, then fires, and is kept for 15 minutes after it was resolved", async () => {
    const rule = new Simulation(alert("for: 2m"));
    await rule.at(0, { down: [on("a")] });
    expect(rule.alerts()).toEqual(["pending a 0 - -"]);
    expect(rule.take()).toEqual([
      "ALERTS{alertname=Down,alertstate=pending,host=a} 1 @0",
      `ALERTS_FOR_STATE{alertname=Down,host=a} ${START / 1000} @0`,
    ]);
    await rule.at(1, { down: [on("a")] });
    expect(rule.alerts()).toEqual(["pending a 0 - -"]);
    rule.take();
    await rule.at(2, { down: [on("a"), on("b")] });
    expect(rule.alerts()).toEqual(["firing a 0 2 -", "pending b 2 - -"]);
    expect(rule.take()).toEqual([
      "ALERTS{alertname=Down,alertstate=firing,host=a} 1 @2",
      `ALERTS_FOR_STATE{alertname=Down,host=a} ${START / 1000} @2`,
      "ALERTS{alertname=Down,alertstate=pending,host=b} 1 @2",
      `ALERTS_FOR_STATE{alertname=Down,host=b} ${START / 1000 + 120} @2`,
      "ALERTS{alertname=Down,alertstate=pending,host=a} stale @2",
    ]);
    await rule.at(3);
    expect(rule.alerts()).toEqual(["inactive a 0 2 3"]);
    expect(rule.take()).toHaveLength(4);
    await rule.at(18);
    expect(rule.alerts()).toEqual(["inactive a 0 2 3"]);
    await rule.at(19);
    expect(rule.alerts()).toEqual([]);
    expect(rule.take()).toEqual([]);
  });

  test("fires at once without a time, and begins anew after it was resolved", async () => {
    const rule = new Simulation(alert("labels: {severity: page}"));
    await rule.at(0, { down: [on("a")] });
    expect(rule.alerts()).toEqual(["firing a 0 0 -"]);
    await rule.at(1);
    await rule.at(2, { down: [on("a")] });
    expect(rule.alerts()).toEqual(["firing a 2 2 -"]);
    expect(rule.take().filter((each) => each.startsWith("ALERTS{"))).toEqual([
      "ALERTS{alertname=Down,alertstate=firing,host=a,severity=page} 1 @0",
      "ALERTS{alertname=Down,alertstate=firing,host=a,severity=page} stale @1",
      "ALERTS{alertname=Down,alertstate=firing,host=a,severity=page} 1 @2",
    ]);
  });

  test("fires for the time of keep_firing_for after its expression ended", async () => {
    const rule = new Simulation(alert("for: 1m, keep_firing_for: 2m"));
    await rule.at(0, { down: [on("a"), on("b")] });
    await rule.at(1, { down: [on("a")] });
    // An alert that is only pending is not kept.
    expect(rule.alerts()).toEqual(["firing a 0 1 -"]);
    await rule.at(2);
    await rule.at(3, { down: [on("a")] });
    await rule.at(4);
    await rule.at(5);
    expect(rule.alerts()).toEqual(["firing a 0 1 -"]);
    await rule.at(6);
    expect(rule.alerts()).toEqual(["inactive a 0 1 6"]);
  });

  test("expands templates in labels and annotations, and updates the annotations only", async () => {
    const rule = new Simulation(
      alert(
        `labels: {zone: "{{ host }}-1", host: ""}, annotations: {text: "{{ value }} of {{ host }}", bad: "{{ fail }}"}`,
      ),
    );
    await rule.at(0, { down: [on("a", 5)] });
    await rule.at(1, { down: [on("a", 7)] });
    const [state] = rule.outcomes[0]!.state.alerts.values();
    expect(state).toMatchObject({
      labels: { alertname: "Down", zone: "a-1" },
      annotations: { text: "7 of a", bad: "<error expanding template: it failed>" },
      value: 7,
      activeAt: START,
    });
    expect(Object.keys(state!.labels)).toEqual(["alertname", "zone"]);
  });

  test("keeps its state if its query fails, and writes nothing", async () => {
    const rule = new Simulation(alert("for: 1m"));
    await rule.at(0, { down: [on("a")] });
    rule.take();
    await rule.at(1, { down: new Error("no memory") });
    expect(rule.error()).toBe("no memory");
    expect(rule.alerts()).toEqual(["pending a 0 - -"]);
    expect(rule.take()).toEqual([]);
    await rule.at(2, { down: [on("a")] });
    expect(rule.alerts()).toEqual(["firing a 0 2 -"]);
  });

  test("fails if two alerts have the same labels", async () => {
    const rule = new Simulation(alert("labels: {host: all}"));
    await rule.at(0, { down: [on("a"), on("b")] });
    expect(rule.error()).toBe("vector contains metrics with the same labelset after applying alert labels");
  });

  test("fails and forgets its alerts above the limit of its group", async () => {
    const rule = new Simulation(
      "groups: [{name: g, limit: 1, rules: [{alert: Down, expr: down}, {record: r, expr: x}]}]",
    );
    await rule.at(0, { down: [on("a")], x: [on("a")] });
    await rule.at(1, { down: [on("a"), on("b")], x: [on("a"), on("b")] });
    expect([rule.error(0), rule.error(1)]).toEqual([
      "exceeded limit of 1 with 2 alerts",
      "exceeded limit of 1 with 2 series",
    ]);
    expect(rule.alerts()).toEqual([]);
  });
});

describe("a recording rule", () => {
  test("writes its result under its name and labels, and ends series that are gone", async () => {
    const rule = new Simulation(
      "groups: [{name: g, labels: {team: x, host: ''}, query_offset: 1m, rules: [{record: r, expr: sum(m), labels: {team: y}}]}]",
    );
    await rule.at(5, {
      "sum(m)": [
        { labels: { host: "a", job: "j" }, value: 2 },
        { labels: { job: "k" }, value: Number.NaN },
      ],
    });
    expect(rule.asked).toEqual([["sum(m)", 4]]);
    expect(rule.take()).toEqual(["r{job=j,team=y} 2 @4", "r{job=k,team=y} NaN @4"]);
    await rule.at(6, { "sum(m)": [{ labels: { job: "j" }, value: 3 }] });
    expect(rule.take()).toEqual(["r{job=j,team=y} 3 @5", "r{job=k,team=y} stale @5"]);
  });

  test("ends its series after a failed evaluation only when one succeeds", async () => {
    const rule = new Simulation("groups: [{name: g, rules: [{record: r, expr: m}]}]");
    await rule.at(0, { m: [on("a")] });
    rule.take();
    await rule.at(1, { m: new Error("late") });
    expect(rule.take()).toEqual([]);
    await rule.at(2);
    expect(rule.take()).toEqual(["r{host=a} stale @2"]);
  });

  test("reports samples that cannot be stored, and does not end series that it never wrote", async () => {
    const rule = new Simulation("groups: [{name: g, rules: [{record: r, expr: m}]}]", ["r"]);
    await rule.at(0, { m: [on("a"), on("b")] });
    expect(rule.error()).toBe("2 of 2 samples were not stored: another kind");
    rule.take();
    await rule.at(1);
    expect(rule.take()).toEqual([]);
  });
});

test("labels have the same key in any order, and empty ones do not count", () => {
  expect(labelValuesKey({ b: "2", a: "1", c: "" })).toBe(labelValuesKey({ a: "1", b: "2" }));
  expect(labelValuesKey({ a: "1,b" })).not.toBe(labelValuesKey({ a: "1", b: "" }));
});
