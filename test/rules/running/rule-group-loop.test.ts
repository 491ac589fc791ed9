/** The loop of a rule group, with answers and a clock that the test gives: late runs, cancelled rules, what is sent. */
import { describe, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import type { Alert } from "../../../src/rules/alert.ts";
import { readRuleFile } from "../../../src/rules/files/rule-file.ts";
import type { RuleGroup } from "../../../src/rules/files/rule-group.ts";
import { QuestionAnswers, type RuleQueries } from "../../../src/rules/running/question-answers.ts";
import { RuleCounters } from "../../../src/rules/running/rule-counters.ts";
import {
  evaluationTime,
  type GroupLoopOptions,
  RuleGroupLoop,
} from "../../../src/rules/running/rule-group-loop.ts";
import { parseTemplate } from "../../../src/rules/templates/template.ts";

const MINUTE = 60_000;
const NOON = Date.UTC(2026, 0, 5, 12);

function groupOf(text: string): RuleGroup {
  const { groups, errors } = readRuleFile("f.yml", text, { parseTemplate });
  expect(errors).toEqual([]);
  return groups[0]!;
}

/** The text of an answer with one series for each host. */
const vector = (hosts: readonly string[]) => ({
  data: {
    resultType: "vector",
    result: hosts.map((host) => ({ metric: { host }, value: [0, "1"] })),
  },
});

/** Queries whose answers are hosts by expression. `hang` is not answered before it is cancelled. */
function queriesOf(hosts: Map<string, readonly string[]>, asked: string[][] = []): RuleQueries {
  const hang = (signal: AbortSignal | undefined) =>
    new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(new Error("canceled"))));
  const encoded = (value: unknown) => new Uint8Array(Buffer.from(JSON.stringify(value)));
  const answer = (pieces: (() => Promise<Uint8Array<ArrayBuffer>>)[]) => ({
    next: async () => await pieces.shift()?.(),
    cancel: () => {},
  });
  return {
    promql: async (text, _, { signal }) => {
      asked.push([text]);
      if (text === "hang") await hang(signal);
      return answer([async () => encoded(vector(hosts.get(text) ?? []))]);
    },
    promqlBatch: async (texts, _, { signal }) => {
      asked.push([...texts]);
      const ready = texts.flatMap((text, at) =>
        text === "hang" ? [] : [async () => encoded({ at, answer: vector(hosts.get(text) ?? []) })],
      );
      return answer(texts.includes("hang") ? [...ready, () => hang(signal)] : ready);
    },
    sql: () => Promise.reject(new Error("no SQL here")),
  };
}

function loopOf(text: string, queries: RuleQueries, options: Partial<GroupLoopOptions> = {}) {
  const counters = createCounters();
  const sent: (readonly Alert[])[] = [];
  const group = groupOf(text);
  const loop = new RuleGroupLoop(group, {
    answers: new QuestionAnswers({ queries, seriesMax: 100 }),
    store: { push: () => Promise.resolve({ rejected: [] }) },
    receiver: { receive: async (alerts) => void sent.push(alerts) },
    counters: new RuleCounters(counters),
    intervalMs: MINUTE,
    queryOffsetMs: 0,
    resendDelayMs: 2 * MINUTE,
    externalLabels: { site: "x" },
    externalURL: "http://weir",
    pageOf: () => "http://weir/page",
    inspect: () => undefined,
    onFault: () => {},
    onTemplateFault: () => {},
    now: () => NOON,
    ...options,
  });
  const counted = async (
    name: "ruleEvaluationsCancelled" | "ruleGroupIterationsMissed" | "ruleTemplateFailures",
  ) => (await counters[name].get()).values[0]?.value ?? 0;
  return { loop, sent, counted };
}

describe("a rule group", () => {
  test("cancels rules that take longer than its interval, and keeps the answers of the others", async () => {
    const asked: string[][] = [];
    const hosts = new Map([
      ["a", ["h"]],
      ["b", ["h"]],
    ]);
    const { loop, counted } = loopOf(
      "groups: [{name: g, interval: 500ms, rules: [{record: x, expr: a}, {record: y, expr: hang}, {record: z, expr: b}]}]",
      queriesOf(hosts, asked),
    );
    const health = () => loop.healths.map((each) => `${each.health} ${each.lastError}`);
    const want = ["ok ", "err the rule took longer than the interval of its group, 500 ms", "ok "];
    await loop.evaluate(NOON);
    expect(health()).toEqual(want);
    expect(await counted("ruleEvaluationsCancelled")).toBe(1);
    // Soon it is alone, so that it cannot delay the others.
    await loop.evaluate(NOON + 500);
    expect(health()).toEqual(want);
    expect(asked).toEqual([["a", "hang", "b"], ["a"], ["hang"], ["b"]]);
  });

  test("counts each text whose template fails, and logs a rule once until its texts are right again", async () => {
    const hosts = new Map([["a", ["h", "i"]]]);
    const faults: string[] = [];
    const { loop, counted } = loopOf(
      `groups: [{name: g, rules: [{alert: A, expr: a, annotations: {
        s: '{{ if eq $labels.host "i" }}{{ if gt $value 5 }}x{{ end }}{{ end }}', t: '{{ $labels.host }}'}}]}]`,
      queriesOf(hosts),
      { onTemplateFault: (_, rule, error) => void faults.push(`${rule.name} ${error.message}`) },
    );
    expect(await counted("ruleTemplateFailures")).toBe(0);
    await loop.evaluate(NOON);
    await loop.evaluate(NOON + MINUTE);
    expect(await counted("ruleTemplateFailures")).toBe(2);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain("error calling gt: incompatible types for comparison");
    // The alert is there, with the error as its text, and the rule is healthy.
    expect(loop.healths.map(({ health }) => health)).toEqual(["ok"]);
    expect([...loop.states[0]!.alerts.values()].map(({ annotations }) => annotations.t)).toEqual(["h", "i"]);
    hosts.set("a", ["h"]);
    await loop.evaluate(NOON + 2 * MINUTE);
    hosts.set("a", ["h", "i"]);
    await loop.evaluate(NOON + 3 * MINUTE);
    expect(await counted("ruleTemplateFailures")).toBe(3);
    expect(faults).toHaveLength(2);
  });

  test("skips evaluations that are late, and counts them", async () => {
    let nowMs = NOON;
    const evaluated = Promise.withResolvers<void>();
    const { loop, counted } = loopOf(
      "groups: [{name: g, interval: 100ms, rules: [{record: x, expr: a}]}]",
      queriesOf(new Map()),
      {
        now: () => nowMs,
        inspect: () => {
          evaluated.resolve();
          return undefined;
        },
      },
    );
    const first = evaluationTime(loop.group, 100, NOON) + 100;
    loop.start();
    // When the timer fires, three further evaluations were due.
    nowMs = first + 350;
    await evaluated.promise;
    await loop.finish();
    expect(await counted("ruleGroupIterationsMissed")).toBe(3);
    expect(loop.last.evaluatedAtMs).toBe(first + 300);
  });

  test("may have an interval that exceeds the range of a timer", async () => {
    const queries = queriesOf(new Map([["a", ["h"]]]));
    const { promise, resolve } = Promise.withResolvers<void>();
    const { loop } = loopOf(
      "groups: [{name: g, interval: 30d, rules: [{record: x, expr: a}, {record: y, expr: a}]}]",
      {
        ...queries,
        promqlBatch: async (...asked) => {
          // A timer of 30 days would fire before this one.
          setTimeout(resolve, 5);
          await promise;
          asked[2].signal?.throwIfAborted();
          return await queries.promqlBatch(...asked);
        },
      },
    );
    await loop.evaluate(NOON);
    expect(loop.healths.map((each) => `${each.health} ${each.lastError}`)).toEqual(["ok ", "ok "]);
    loop.start();
    await loop.stop();
    expect(loop.last.evaluatedAtMs).toBe(NOON);
  });

  test("is cancelled by a stop, and its rules keep their states", async () => {
    const { loop, sent } = loopOf(
      "groups: [{name: g, rules: [{alert: A, expr: hang}]}]",
      queriesOf(new Map()),
    );
    const evaluation = loop.evaluate(NOON);
    await loop.stop();
    await evaluation;
    expect(loop.healths[0]!.health).toBe("unknown");
    expect(sent).toEqual([]);
  });

  test("runs at whole seconds that depend on its name and file, and at the same times after a restart", () => {
    const at = (name: string, nowMs: number) => evaluationTime({ file: "f.yml", name }, 15_000, nowMs);
    const offsets = new Set<number>();
    for (let group = 0; group < 50; group++) {
      const time = at(`g${group}`, NOON + 7_123);
      expect(time).toBeLessThanOrEqual(NOON + 7_123);
      expect(time).toBeGreaterThan(NOON + 7_123 - 15_000);
      expect(at(`g${group}`, NOON + 7_123 + 150_000)).toBe(time + 150_000);
      offsets.add(time % 15_000);
    }
    expect([...offsets].every((offset) => offset % 1_000 === 0)).toBe(true);
    expect(offsets.size).toBeGreaterThan(8);
  });
});

describe("alerts", () => {
  const RULE =
    "groups: [{name: g, interval: 1m, rules: [{alert: A, expr: a, for: 1m, annotations: {t: u}}]}]";

  test("are sent when they fire, again after the delay, and when they are resolved", async () => {
    const hosts = new Map([["a", ["h"]]]);
    const { loop, sent } = loopOf(RULE, queriesOf(hosts));
    const at = async (minute: number) => {
      await loop.evaluate(NOON + minute * MINUTE);
      return sent.splice(0).flat();
    };
    expect(await at(0)).toEqual([]);
    const alert = (startMinute: number, endMinute: number) => ({
      labels: { alertname: "A", host: "h", site: "x" },
      annotations: { t: "u" },
      startsAt: NOON + startMinute * MINUTE,
      endsAt: NOON + endMinute * MINUTE,
      generatorURL: "http://weir/page",
    });
    // Four times the delay, which is longer than the interval.
    expect(await at(1)).toEqual([alert(1, 9)]);
    expect([await at(2), await at(3)]).toEqual([[], []]);
    expect(await at(4)).toEqual([alert(1, 12)]);
    hosts.set("a", []);
    expect(await at(5)).toEqual([alert(1, 5)]);
    expect([await at(6), await at(7)]).toEqual([[], []]);
    expect(await at(8)).toEqual([alert(1, 5)]);
    expect(await at(20)).toEqual([alert(1, 5)]);
    // Fifteen minutes after it was resolved it is forgotten.
    expect(await at(21)).toEqual([]);
  });

  test("are sent again at the next evaluation if nobody could take them", async () => {
    const hosts = new Map([["a", ["h"]]]);
    let isDown = true;
    const sent: Alert[] = [];
    const faults: string[] = [];
    const { loop } = loopOf(RULE, queriesOf(hosts), {
      receiver: {
        receive: async (alerts) => {
          if (isDown) throw new Error("the disk is full");
          sent.push(...alerts);
        },
      },
      onFault: (_, rule, error) => void faults.push(`${rule?.name} ${(error as Error).message}`),
    });
    await loop.evaluate(NOON);
    await loop.evaluate(NOON + MINUTE);
    expect(faults).toEqual(["A the disk is full"]);
    isDown = false;
    await loop.evaluate(NOON + 2 * MINUTE);
    expect(sent).toHaveLength(1);
  });
});
