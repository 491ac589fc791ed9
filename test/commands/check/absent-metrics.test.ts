/** Runs `weir check --rules` with a real gateway: rules that can never fire, and files that are not rule files. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--no-sampler", "--log-level", "error"],
  });
  const events = [
    { metric_name: "queue_depth", type: "gauge", value: 3, tags: { job: "worker", instance: "a" } },
    { metric_name: "http.request.duration_ms", value: 12, tags: { operation: "get" } },
    { metric_name: "jobs.done", type: "counter", value: 1, tags: { job: "worker" } },
  ];
  const pushed = await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
  expect(await pushed.json()).toMatchObject({ accepted: 3 });
});
afterAll(async () => {
  await gateway?.stop("SIGTERM");
});

/** Writes a file of rules and returns its path. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A file with one group of alerts. */
const alerts = (rules: Record<string, string>) =>
  JSON.stringify({
    groups: [{ name: "g", rules: Object.entries(rules).map(([alert, expr]) => ({ alert, expr })) }],
  });

async function check(...args: string[]) {
  const { code, out, err } = await weir(["check", ...args, "--url", gateway.url]);
  const short = (text: string) => text.replaceAll(`${folder}/`, "");
  return { code, out: short(out), err: short(err) };
}

describe("weir check --rules", () => {
  test("reports no rule if every metric has series, also for histograms, counters and raw values", async () => {
    const path = file(
      "good.yml",
      `groups:
  - name: g
    interval: 30s
    rules:
      - record: job:depth
        expr: sum by (job) (queue_depth)
      - alert: Deep
        expr: job:depth > 10 or max_over_time(queue_depth{job=~"work.*"}[5m]) > 20
        for: 5m
        labels: { severity: warning }
      - alert: Slow
        expr: |
          histogram_quantile(0.9, sum by (le) (rate(http_request_duration_ms_bucket[5m]))) > 2
            and rate(http_request_duration_ms_count[5m] offset 1h) > 0
            and {"http.request.duration_ms"} > 1
      - alert: Idle
        expr: increase(jobs_done_total[1h]) == 0 unless ALERTS{alertname="Slow"}
      - alert: Always
        expr: vector(1)
`,
    );
    expect(await check("--rules", path)).toEqual({
      code: 0,
      out: "5 rules: every metric has series\n",
      err: "",
    });
  });

  test("prints one line per rule whose metric has no series, with a similar name", async () => {
    const path = file(
      "misspelled.yml",
      alerts({
        Deep: "queue_depht > 10",
        Fine: "queue_depth > 10",
        Absent: "absent(heartbeat) or absent_over_time(heartbeat[5m])",
        Two: "rate(zzz_total[5m]) / rate(yyy_total[5m]) > queue_depth",
        Pattern: '{__name__=~"nobody_.*"} > 1 or {__name__="queue_dept"}',
      }),
    );
    expect(await check("--rules", path)).toEqual({
      code: 1,
      out: [
        "misspelled.yml: g: Deep: no series of queue_depht (did you mean queue_depth?)",
        "misspelled.yml: g: Absent: no series of heartbeat",
        "misspelled.yml: g: Two: no series of zzz_total, yyy_total",
        'misspelled.yml: g: Pattern: no series of {__name__=~"nobody_.*"}, queue_dept (did you mean queue_depth?)',
        "",
      ].join("\n"),
      err: "weir check: rules that select a metric without series: 4 of 5.\n",
    });
  });

  test("warns of a selector that matches none of the series of its metric", async () => {
    const path = file(
      "labels.yml",
      alerts({ Deep: 'queue_depth{job="wroker"} > 1', Ok: 'queue_depth{job!="x",instance="a"} > 1' }),
    );
    expect(await check(`--rules=${path}`)).toEqual({
      code: 0,
      out: "2 rules: every metric has series\n",
      err: 'weir check: warning: labels.yml: g: Deep: no series matches queue_depth{job="wroker"}, though the metric has series\n',
    });
  });

  test("reports file, group and rule of an expression that is not PromQL, and checks the other rules", async () => {
    const path = file(
      "syntax.yml",
      alerts({ Open: "sum(queue_depth", Other: "nobody > 1", Scalar: "rate(queue_depth)" }),
    );
    const { code, out, err } = await check("--rules", path);
    expect({ code, out }).toEqual({ code: 1, out: "syntax.yml: g: Other: no series of nobody\n" });
    const lines = err.split("\n");
    expect(lines[0]).toStartWith(
      'weir check: syntax.yml:1:56: group "g", rule 1, "Open": could not parse expression: 1:16: parse error',
    );
    expect(lines[1]).toStartWith(
      'weir check: syntax.yml:1:138: group "g", rule 3, "Scalar": could not parse expression: 1:6: parse error',
    );
    expect(lines.slice(2)).toEqual(["weir check: rules that select a metric without series: 1 of 1.", ""]);
  });

  test("reports the errors of files with their lines, and does not check metrics of rules in SQL", async () => {
    const path = file(
      "bad.yml",
      "groups:\n- name: g\n  rules:\n  - {alert: A}\n  - {alert: B, sql: SELECT 1 AS value}\n  - {record: c, expr: nobody, for: 1m}\n",
    );
    expect(await check("--rules", path)).toEqual({
      code: 1,
      out: "",
      err:
        `weir check: bad.yml:4:5: group "g", rule 1, "A": field 'expr' must be set in rule\n` +
        `weir check: bad.yml:6:36: group "g", rule 3, "c": invalid field 'for' in recording rule\n`,
    });
    expect(await check("--rules", file("empty.yml", "# nothing yet\n"))).toMatchObject({
      code: 0,
      out: "0 rules: every metric has series\n",
    });
  });

  test("accepts several files and patterns, and reads each file once", async () => {
    mkdirSync(join(folder, "rules"), { recursive: true });
    const one = file("rules/one.rules.yml", alerts({ One: "nobody_1" }));
    file("rules/two.rules.yml", alerts({ Two: "nobody_2" }));
    file("rules/other.txt", "no rules");
    const { code, out } = await check("--rules", one, "--rules", join(folder, "rules/*.rules.yml"));
    expect({ code, out }).toEqual({
      code: 1,
      out: "rules/one.rules.yml: g: One: no series of nobody_1\nrules/two.rules.yml: g: Two: no series of nobody_2\n",
    });
  });

  test("exits with 2 if a file does not exist, and with 1 if there is no gateway", async () => {
    const missing = join(folder, "missing.yml");
    expect(await weir(["check", "--rules", missing])).toEqual({
      code: 2,
      out: "",
      err: `weir check: --rules is "${missing}", which matches no file.\nRun "weir check --help" for its usage.\n`,
    });
    const pattern = join(folder, "*.nothing");
    expect((await weir(["check", "--rules", pattern])).err).toStartWith(
      `weir check: --rules is "${pattern}", which matches no file.`,
    );
    expect((await weir(["check", "--rules", folder])).err).toStartWith(
      `weir check: --rules is "${folder}", which cannot be read: EISDIR`,
    );
    const path = file("rule.yml", alerts({ A: "queue_depth" }));
    const { code, err } = await weir(["check", "--rules", path, "--url", "http://127.0.0.1:1"]);
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringContaining("Cannot reach a gateway at http://127.0.0.1:1"),
    });
  });
});
