/** Rules on a real gateway: what they store and what the API says of them, at times that the test sets. */
import { afterEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addToken } from "../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const MINUTE = 60_000;
let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

/** Writes a rule file and returns its path. */
function ruleFile(text: string, name = "a.yml", folder = temporaryFolder()): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function open(text: string, ...settings: string[]): Promise<{ gateway: TestGateway; path: string }> {
  const path = ruleFile(text);
  gateway = await openTestGateway(`--rules=${path}`, ...settings);
  await gateway.gateway.rules.reload();
  return { gateway, path };
}

async function json(on: TestGateway, path: string, init?: RequestInit): Promise<unknown> {
  return await (await on.fetch(path, init)).json();
}

async function text(on: TestGateway, path: string): Promise<string> {
  return await (await on.fetch(path)).text();
}

interface Listed {
  readonly state?: string;
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly alerts?: readonly { readonly state: string; readonly activeAt: string; readonly value: string }[];
}

async function rulesOf(on: TestGateway, query = ""): Promise<Listed[]> {
  const { data } = (await json(on, `/api/v1/rules${query}`)) as { data: { groups: { rules: Listed[] }[] } };
  return data.groups.flatMap(({ rules }) => rules);
}

/** The result of a query at the gateway's time: `{labels} value`, sorted. */
async function ask(on: TestGateway, text: string): Promise<string[]> {
  const path = `/api/v1/query?query=${encodeURIComponent(text)}&time=${on.nowMs / 1000}`;
  const { data } = (await json(on, path)) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  const lines = data.result.map(({ metric, value }) => {
    const labels = Object.entries(metric).map(([name, each]) => `${name}=${each}`);
    return `${labels.join(",")} ${value[1]}`;
  });
  return lines.sort();
}

/** Sets the clock, and evaluates all groups. */
async function evaluateAt(on: TestGateway, timeMs: number): Promise<void> {
  on.nowMs = timeMs;
  await on.gateway.rules.evaluate(timeMs);
}

describe("rules", () => {
  test("use what rules before them in their group recorded at the same time", async () => {
    const { gateway: on } = await open(`groups:
- name: chain
  rules:
  - record: depth:sum
    expr: sum(depth)
  - record: depth:double
    expr: depth:sum * 2
    labels: {unit: items}
  - alert: Deep
    expr: depth:double > 10
    for: 1m
    labels: {severity: page}
    annotations: {text: "{{ $value | humanize }} in {{ $labels.unit }}"}
`);
    await on.push([
      { metric: "depth", labels: { host: "a" }, value: 4 },
      { metric: "depth", labels: { host: "b" }, value: 3 },
    ]);
    await evaluateAt(on, NOON_MS + 1_000);
    expect(await ask(on, '{__name__=~"depth:.*"}')).toEqual([
      "__name__=depth:double,unit=items 14",
      "__name__=depth:sum 7",
    ]);
    expect(await ask(on, "ALERTS")).toEqual([
      "__name__=ALERTS,alertname=Deep,alertstate=pending,severity=page,unit=items 1",
    ]);
    await evaluateAt(on, NOON_MS + 61_000);
    expect(await ask(on, "ALERTS")).toEqual([
      "__name__=ALERTS,alertname=Deep,alertstate=firing,severity=page,unit=items 1",
    ]);
    expect(await ask(on, "ALERTS_FOR_STATE")).toEqual([
      `__name__=ALERTS_FOR_STATE,alertname=Deep,severity=page,unit=items ${NOON_MS / 1000 + 1}`,
    ]);
    expect(await json(on, "/api/v1/alerts")).toEqual({
      status: "success",
      data: {
        alerts: [
          {
            labels: { alertname: "Deep", severity: "page", unit: "items" },
            annotations: { text: "14 in items" },
            state: "firing",
            activeAt: "2024-10-04T12:00:01Z",
            value: "1.4e+01",
          },
        ],
      },
    });
    // The condition ends: all series of the alert end at once, not after the look-back.
    await on.push([{ metric: "depth", labels: { host: "a" }, value: 0, atMs: NOON_MS + 90_000 }]);
    await evaluateAt(on, NOON_MS + 121_000);
    expect(await ask(on, "ALERTS or ALERTS_FOR_STATE")).toEqual([]);
    expect(await rulesOf(on)).toMatchObject([
      { name: "depth:sum", health: "ok" },
      { name: "depth:double", health: "ok" },
      { name: "Deep", health: "ok", state: "inactive", alerts: [] },
    ]);
  });

  test("in SQL have a column `value`, and the other columns as labels", async () => {
    const { gateway: on } = await open(`groups:
- name: sql
  rules:
  - record: slow_tasks
    sql: >-
      SELECT task_id, host, max(value) AS value FROM task_ms
      WHERE ts > $time - INTERVAL 5 MINUTE AND ts <= $time GROUP BY ALL HAVING max(value) > 100
  - {record: no_value, sql: SELECT 1 AS n}
  - {record: a_text, sql: "SELECT 'x' AS value"}
  - {record: a_decimal, sql: "SELECT 1.5::DECIMAL(9, 2) AS value, NULL AS gone, true AS yes"}
  - {record: no_column, sql: "SELECT max(valu) AS value FROM task_ms"}
  - {alert: Many, sql: "SELECT count(*) AS value FROM task_ms HAVING count(*) > 1"}
`);
    await json(on, "/api/v1/push", {
      method: "POST",
      body: JSON.stringify([
        {
          "@timestamp": NOON_MS - 1_000,
          metric_name: "task_ms",
          value: 150,
          tags: { host: "a", task_id: "t1" },
        },
        {
          "@timestamp": NOON_MS - 1_000,
          metric_name: "task_ms",
          value: 50,
          tags: { host: "a", task_id: "t2" },
        },
        { "@timestamp": NOON_MS - 9 * MINUTE, metric_name: "task_ms", value: 900, tags: { task_id: "t3" } },
      ]),
    });
    await evaluateAt(on, NOON_MS);
    expect(await ask(on, "slow_tasks or a_decimal")).toEqual([
      "__name__=a_decimal,yes=true 1.5",
      "__name__=slow_tasks,host=a,task_id=t1 150",
    ]);
    expect((await rulesOf(on)).map(({ health, lastError = "" }) => `${health} ${lastError}`)).toEqual([
      "ok ",
      'err the statement returns no column "value", but n',
      'err the column "value" has "x", expected a number',
      "ok ",
      expect.stringMatching(/^err .*valu/),
      "ok ",
    ]);
    expect(await ask(on, "ALERTS")).toEqual(["__name__=ALERTS,alertname=Many,alertstate=firing 1"]);
    expect(on.takeLog()).toHaveLength(3);
  });

  test("in SQL over tables without samples find nothing and are healthy, and a count of nothing is 0", async () => {
    const { gateway: on } = await open(`groups:
- name: sql
  rules:
  - record: slow_tasks
    sql: >-
      SELECT t.task_id, host, max(t.value) AS value FROM task_ms AS t
      WHERE t.ts > $time - INTERVAL 5 MINUTE AND t.ts <= $time GROUP BY ALL
  - alert: NoTasks
    sql: SELECT count(*) AS value FROM task_ms WHERE ts > $time - INTERVAL 5 MINUTE HAVING count(*) = 0
  - {record: joined, sql: "SELECT op, sum(a.value) AS value FROM a_ms AS a JOIN up ON a.op = up.op GROUP BY op"}
  - {record: length_of_number, sql: "SELECT avg(duration) AS value FROM other_ms"}
`);
    await on.push([{ metric: "up", labels: { op: "x" }, atMs: NOON_MS }]);
    await evaluateAt(on, NOON_MS);
    expect((await rulesOf(on)).map(({ name, health }) => `${name} ${health}`)).toEqual([
      "slow_tasks ok",
      "NoTasks ok",
      "joined ok",
      "length_of_number ok",
    ]);
    expect(await ask(on, '{__name__=~"slow_tasks|joined|length_of_number|ALERTS"}')).toEqual([
      "__name__=ALERTS,alertname=NoTasks,alertstate=firing 1",
    ]);
    const atMs = NOON_MS + 30_000;
    await on.push([{ metric: "task_ms", kind: "observation", labels: { host: "a" }, value: 7, atMs }]);
    await evaluateAt(on, NOON_MS + MINUTE);
    // The column task_id comes with the first event that has one.
    expect((await rulesOf(on)).map(({ name, health }) => `${name} ${health}`)).toEqual([
      "slow_tasks err",
      "NoTasks ok",
      "joined ok",
      "length_of_number ok",
    ]);
    await on.post(JSON.stringify({ metric_name: "task_ms", value: 9, tags: { host: "a", task_id: "t1" } }));
    await evaluateAt(on, NOON_MS + MINUTE + 1_000);
    expect(await ask(on, "slow_tasks")).toEqual([
      "__name__=slow_tasks,host=a 7",
      "__name__=slow_tasks,host=a,task_id=t1 9",
    ]);
    expect(await ask(on, "ALERTS")).toEqual([]);
    on.takeLog();
  });

  test("that are doubtful are logged once, and again when another one is", async () => {
    const twice = (name: string) => `{record: ${name}, expr: up}, {record: ${name}, expr: up}`;
    const { gateway: on, path } = await open(`groups: [{name: g, rules: [${twice("a")}]}]`);
    expect(on.takeLog()).toHaveLength(1);
    await on.gateway.rules.reload();
    expect(on.takeLog()).toEqual([]);
    writeFileSync(path, `groups: [{name: g, rules: [${twice("a")}, ${twice("b")}]}]`);
    await on.gateway.rules.reload();
    const logged = on.takeLog();
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('\\"b\\"');
  });

  test("in SQL that does not parse, or that the sandbox forbids, are errors of the file, and the earlier rules go on", async () => {
    const { gateway: on, path } = await open(
      "groups: [{name: g, rules: [{record: a, sql: SELECT 1 AS value}]}]",
    );
    writeFileSync(
      path,
      `groups:
- name: g
  rules:
  - record: a
    sql: SELEC 1 AS value
  - alert: B
    sql: |-
      SELECT 1 AS value
      FROM read_csv('/etc/passwd')
  - {record: c, sql: "SELECT 1 AS value FROM up WHERE ts > $when"}
  - {record: d, sql: "DROP TABLE up"}
  - {record: e, sql: "SELECT value FROM weir.samples_20240101"}
  - {record: f, sql: "SELECT value FROM 'a.csv'"}
`,
    );
    const answer = await on.fetch("/-/reload", { method: "POST" });
    expect(answer.status).toBe(500);
    const problems = on.gateway.rules.problems.map(
      ({ line, column, message }) => `${line}:${column}: ${message}`,
    );
    const is = (place: string, rule: string, reason: string) =>
      expect.stringMatching(
        new RegExp(`^${place}: group "g", rule ${rule}: the statement is not accepted: .*${reason}`),
      );
    expect(problems).toEqual([
      is("5:10", '1, "a"', "syntax error at or near .SELEC. at line 1, column 1"),
      is("7:10", '2, "B"', "read_csv"),
      is("10:22", '3, "c"', "the parameter .\\$when. has no value"),
      is("11:22", '4, "d"', "only one SELECT"),
      is("12:22", '5, "e"', "tables are named without a schema"),
      is("13:22", '6, "f"', "there is no table"),
    ]);
    expect(await answer.text()).toContain(`${path}:5:10: `);
    await evaluateAt(on, NOON_MS);
    expect(await ask(on, "a")).toEqual(["__name__=a 1"]);
    on.takeLog();
  });

  test("keep their state over a restart, and resolve alerts that ended meanwhile", async () => {
    const { gateway: on, path } = await open(
      'groups: [{name: g, rules: [{alert: Down, expr: "up == 0", for: 2m, labels: {severity: page}}]}]',
    );
    const up = (host: string, atMs: number, value = 0) => ({ metric: "up", labels: { host }, atMs, value });
    await on.push([up("a", NOON_MS), up("b", NOON_MS)]);
    await evaluateAt(on, NOON_MS);
    await evaluateAt(on, NOON_MS + MINUTE);
    await on.push([up("c", NOON_MS + 90_000)]);
    await evaluateAt(on, NOON_MS + 2 * MINUTE);
    await on.push([up("b", NOON_MS + 150_000, 1)]);
    await on.reopen(`--rules=${path}`);
    on.nowMs = NOON_MS + 3 * MINUTE;
    await on.gateway.rules.reload();
    await evaluateAt(on, NOON_MS + 3 * MINUTE);
    const [{ states }] = on.gateway.rules.groups;
    const alerts = [...states[0]!.alerts.values()].map(
      ({ labels, state, activeAt, firedAt, resolvedAt }) =>
        `${labels.host} ${state} ${[activeAt, firedAt, resolvedAt].map((ms) => ms && (ms - NOON_MS) / MINUTE)}`,
    );
    // Without the restart it would be the same.
    expect(alerts.sort()).toEqual(["a firing 0,2,", "b inactive 0,2,3", "c pending 2,,"]);
    expect(await ask(on, "ALERTS")).toEqual([
      "__name__=ALERTS,alertname=Down,alertstate=firing,host=a,severity=page 1",
      "__name__=ALERTS,alertname=Down,alertstate=pending,host=c,severity=page 1",
    ]);
  });

  test("get back the time that they were pending after an outage of more than five minutes", async () => {
    const { gateway: on, path } = await open(
      'groups: [{name: g, rules: [{alert: Long, expr: "up == 0", for: 30m}, {alert: Short, expr: "up == 0", for: 5m}]}]',
    );
    const push = (minute: number) => on.push([{ metric: "up", value: 0, atMs: NOON_MS + minute * MINUTE }]);
    for (const minute of [0, 5, 10]) {
      await push(minute);
      await evaluateAt(on, NOON_MS + minute * MINUTE);
    }
    await on.reopen(`--rules=${path}`);
    on.nowMs = NOON_MS + 20 * MINUTE;
    await push(20);
    await on.gateway.rules.reload();
    await evaluateAt(on, NOON_MS + 20 * MINUTE);
    // The state of the long one is in the store, and must not be replaced before it is read.
    expect(await ask(on, "ALERTS_FOR_STATE")).toEqual([
      `__name__=ALERTS_FOR_STATE,alertname=Short ${(NOON_MS + 20 * MINUTE) / 1000}`,
    ]);
    await evaluateAt(on, NOON_MS + 21 * MINUTE);
    await evaluateAt(on, NOON_MS + 22 * MINUTE);
    // It was pending for 10 minutes, and the outage until the second evaluation takes 11 minutes.
    expect(await ask(on, `(ALERTS_FOR_STATE - ${NOON_MS / 1000}) / 60`)).toEqual([
      "alertname=Long 11",
      "alertname=Short 20",
    ]);
  });

  test("that write the same series are reported", async () => {
    const { gateway: on } = await open(`groups:
- {name: one, rules: [{record: r, expr: "vector(1)"}, {record: s, expr: "vector(1)", labels: {a: b}}]}
- {name: two, rules: [{record: r, expr: "vector(2)"}, {record: s, expr: "vector(2)", labels: {a: c}}]}
`);
    on.takeLog();
    // The groups of a file are evaluated at different seconds.
    for (const at of [0, 1_000, MINUTE]) {
      const group = on.gateway.rules.groups[at === 1_000 ? 1 : 0]!;
      await group.evaluate(NOON_MS + at);
    }
    const listed = await rulesOf(on);
    expect(listed.map(({ name, health }) => `${name} ${health}`)).toEqual(["r err", "s ok", "r err", "s ok"]);
    expect(listed[0]!.lastError).toContain('group "two", writes the same series, such as {"__name__":"r"}');
    on.takeLog();
  });

  test("that read many series over different ranges at once do not wait for each other", async () => {
    const ranges = ["1m", "2m", "3m", "4m", "5m", "20m", "30m"];
    const rules = ranges.flatMap((range, at) => [
      `{record: "r${at}", expr: "count(max_over_time(m[${range}]))"}`,
      `{record: "s${at}", expr: "count(m offset ${range}) or vector(0)"}`,
    ]);
    const { gateway: on } = await open(
      `groups: [{name: g, rules: [${rules.join(", ")}]}, {name: h, rules: [${rules.join(", ")}]}]`,
    );
    const samples = Array.from({ length: 600 }, (_, at) => ({
      metric: "m",
      labels: { id: `i${at}` },
      value: at,
      atMs: NOON_MS - 30_000,
    }));
    await on.push(samples);
    on.nowMs = NOON_MS;
    // Together more tasks than can run, and each of them reads so much that it waits for its turn.
    await Promise.all(on.gateway.rules.groups.map((group) => group.evaluate(NOON_MS)));
    expect(await ask(on, '{__name__=~"r[0-9]"}')).toEqual(ranges.map((_, at) => `__name__=r${at} 600`));
    on.takeLog();
  });

  test("whose samples cannot be stored are unhealthy", async () => {
    const { gateway: on } = await open('groups: [{name: g, rules: [{record: task_ms, expr: "vector(1)"}]}]');
    await on.push([{ metric: "task_ms", kind: "observation", value: 1 }]);
    await evaluateAt(on, NOON_MS);
    const [rule] = await rulesOf(on);
    expect(rule).toMatchObject({
      health: "err",
      lastError: expect.stringContaining("1 of 1 samples were not stored"),
    });
    on.takeLog();
  });

  test("with an answer above ruleSeriesMax fail", async () => {
    const { gateway: on } = await open(
      "groups: [{name: g, rules: [{record: r, expr: up}]}]",
      "--rule-series-max=1",
    );
    await on.push([
      { metric: "up", labels: { host: "a" }, value: 1 },
      { metric: "up", labels: { host: "b" }, value: 1 },
    ]);
    await evaluateAt(on, NOON_MS);
    const [rule] = await rulesOf(on);
    expect(rule).toMatchObject({
      health: "err",
      lastError: "the answer has more than 1 series (ruleSeriesMax)",
    });
    on.takeLog();
  });
});

describe("a reload", () => {
  const group = (...rules: string[]) => `groups: [{name: g, rules: [${rules.join(", ")}]}]`;
  const UP = '{record: up:sum, expr: "sum(up)"}';
  const DOWN = '{alert: Down, expr: "up == 0", for: 5m}';

  test("keeps the old rules if a file has an error, and says so", async () => {
    const { gateway: on, path } = await open(group(UP));
    writeFileSync(path, group('{record: x, expr: "sum("}'));
    const answer = await on.fetch("/-/reload", { method: "POST" });
    expect(answer.status).toBe(500);
    const problem = `${path}:1:46: group "g", rule 1, "x": could not parse expression: 1:5: parse error: unclosed left parenthesis`;
    expect(await answer.json()).toMatchObject({
      error: `the rules have errors, so the earlier ones go on: ${problem}`,
    });
    expect(on.takeLog()).toEqual([expect.stringContaining("rule files have errors")]);
    const listed = (await json(on, "/api/v1/rules")) as { warnings: string[] };
    expect(listed.warnings).toEqual(["the rules have errors, so the earlier ones run", problem]);
    expect((await rulesOf(on)).map(({ name }) => name)).toEqual(["up:sum"]);
    expect(await text(on, "/metrics")).toContain("weir_rules_last_reload_successful 0\n");
    writeFileSync(path, group(UP));
    expect((await on.fetch("/-/reload", { method: "PUT" })).status).toBe(200);
    expect(await text(on, "/metrics")).toContain("weir_rules_last_reload_successful 1\n");
    expect(await json(on, "/api/v1/rules")).not.toHaveProperty("warnings");
  });

  test("keeps the state of groups and rules that did not change", async () => {
    const { gateway: on, path } = await open(group(UP, DOWN));
    await on.push([{ metric: "up", value: 0 }]);
    await evaluateAt(on, NOON_MS);
    const [before] = on.gateway.rules.groups;
    await on.gateway.rules.reload();
    expect(on.gateway.rules.groups[0]).toBe(before!);
    writeFileSync(path, group('{record: new, expr: "vector(1)"}', DOWN));
    await on.gateway.rules.reload();
    await evaluateAt(on, NOON_MS + MINUTE);
    const [, down] = await rulesOf(on);
    expect(down?.alerts).toMatchObject([{ state: "pending", activeAt: "2024-10-04T12:00:00Z" }]);
  });

  test("continues alerts of a group with another name", async () => {
    const { gateway: on, path } = await open(group(DOWN));
    await on.push([{ metric: "up", value: 0 }]);
    await evaluateAt(on, NOON_MS);
    on.nowMs = NOON_MS + MINUTE;
    writeFileSync(path, group(DOWN).replace("name: g", "name: h"));
    await on.gateway.rules.reload();
    await evaluateAt(on, NOON_MS + MINUTE);
    expect((await rulesOf(on))[0]?.alerts).toMatchObject([{ activeAt: "2024-10-04T12:00:00Z" }]);
  });

  test("reports a file that does not exist", async () => {
    const { gateway: on, path } = await open(group(UP));
    rmSync(path);
    expect(on.gateway.rules.reload()).rejects.toThrow(
      `${path}:1:1: the file cannot be read: it does not exist`,
    );
    await on.gateway.rules.reload().catch(() => undefined);
    expect((await rulesOf(on)).map(({ name }) => name)).toEqual(["up:sum"]);
    on.takeLog();
  });
});

describe("the API", () => {
  const FILES = `groups:
- {name: b, interval: 30s, limit: 9, rules: [{record: r, expr: "vector(1)", labels: {team: x}}]}
- {name: a, rules: [{alert: A, expr: "up == 0", for: 1m, keep_firing_for: 2m, labels: {team: y}, annotations: {t: "{{ $value }}"}}]}
`;

  test("lists groups and rules in the form of Prometheus", async () => {
    const { gateway: on, path } = await open(FILES);
    await on.push([{ metric: "up", labels: { host: "a" }, value: 0 }]);
    await evaluateAt(on, NOON_MS);
    const listed = (await json(on, "/api/v1/rules")) as { data: unknown };
    const times = { evaluationTime: expect.any(Number), lastEvaluation: "2024-10-04T12:00:00Z" };
    expect(listed.data).toEqual({
      groups: [
        {
          name: "a",
          file: path,
          rules: [
            {
              state: "pending",
              name: "A",
              query: "up == 0",
              duration: 60,
              keepFiringFor: 120,
              labels: { team: "y" },
              annotations: { t: "{{ $value }}" },
              alerts: [
                {
                  labels: { alertname: "A", host: "a", team: "y" },
                  annotations: { t: "0" },
                  state: "pending",
                  activeAt: "2024-10-04T12:00:00Z",
                  value: "0e+00",
                },
              ],
              health: "ok",
              ...times,
              type: "alerting",
            },
          ],
          interval: 60,
          limit: 0,
          ...times,
        },
        {
          name: "b",
          file: path,
          rules: [
            {
              name: "r",
              query: "vector(1)",
              labels: { team: "x" },
              health: "ok",
              ...times,
              type: "recording",
            },
          ],
          interval: 30,
          limit: 9,
          ...times,
        },
      ],
    });
  });

  test("filters rules, and returns them in pages", async () => {
    const { gateway: on } = await open(FILES);
    const names = async (query: string) => (await rulesOf(on, query)).map(({ name }) => name);
    expect(await names("?type=alert")).toEqual(["A"]);
    expect(await names("?type=record")).toEqual(["r"]);
    expect(await names("?rule_name[]=r&rule_name[]=x")).toEqual(["r"]);
    expect(await names("?rule_group[]=a")).toEqual(["A"]);
    expect(await names("?file[]=other.yml")).toEqual([]);
    expect(await names(`?match[]=${encodeURIComponent('{team="x"}')}`)).toEqual(["r"]);
    expect(await names(`?match[]=${encodeURIComponent('{team=~"[yz]"}')}`)).toEqual(["A"]);
    expect((await rulesOf(on, "?exclude_alerts=true"))[0]).toMatchObject({ alerts: null });
    const page = async (token: string) =>
      (await json(on, `/api/v1/rules?group_limit=1&group_next_token=${token}`)) as {
        data: { groups: { name: string }[]; groupNextToken?: string };
      };
    const first = await page("");
    expect(first.data.groups.map(({ name }) => name)).toEqual(["a"]);
    const second = await page(first.data.groupNextToken!);
    expect(second.data.groups.map(({ name }) => name)).toEqual(["b"]);
    expect(second.data.groupNextToken).toBeUndefined();
    const error = async (query: string) => {
      const answer = await on.fetch(`/api/v1/rules?${query}`);
      expect(answer.status).toBe(400);
      return ((await answer.json()) as { error: string }).error;
    };
    expect(await error("type=all")).toBe('invalid parameter "type": not supported value "all"');
    expect(await error("group_next_token=x")).toContain("group_limit needs to be present");
    expect(await error("group_limit=0")).toContain("group_limit needs to be greater than 0");
    expect(await error("group_limit=x")).toContain("group_limit needs to be a valid number");
    expect(await error("group_limit=1&group_next_token=x")).toContain("were rule groups changed?");
    expect(await error("exclude_alerts=maybe")).toContain("expected true or false");
    expect(await error("match[]=1%2B")).toContain('invalid parameter "match[]"');
  });

  test("shows a token with labels only the alerts that have them", async () => {
    const tokens = join(temporaryFolder(), "tokens.json");
    const own = await addToken(tokens, "own", { scopes: ["read"], labels: { host: "a" } });
    const all = await addToken(tokens, "all", { scopes: ["read"] });
    const { gateway: on } = await open(
      'groups: [{name: g, rules: [{alert: A, expr: "up == 0"}, {alert: B, expr: "up == 1"}, {record: r, expr: up}]}]',
      `--token-file=${tokens}`,
    );
    await on.push([
      { metric: "up", labels: { host: "a" }, value: 0 },
      { metric: "up", labels: { host: "b" }, value: 0 },
      { metric: "up", labels: { host: "c" }, value: 1 },
    ]);
    await evaluateAt(on, NOON_MS);
    const hosts = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await json(on, "/api/v1/alerts", { headers });
      const listed = (await json(on, "/api/v1/rules", { headers })) as {
        data: { groups: { rules: Listed[] }[] };
      };
      return [
        (answer as { data: { alerts: { labels: { host: string } }[] } }).data.alerts.map(
          ({ labels }) => labels.host,
        ),
        listed.data.groups.flatMap(({ rules }) =>
          rules.map(({ name, alerts }) => `${name} ${alerts?.length}`),
        ),
      ];
    };
    expect(await hosts(all)).toEqual([
      ["a", "b", "c"],
      ["A 2", "B 1", "r undefined"],
    ]);
    expect(await hosts(own)).toEqual([["a"], ["A 1"]]);
  });
});
