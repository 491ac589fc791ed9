/**
 * The same series and rules in the gateway and in the real Prometheus 2.42: after each of 61 evaluations, a minute apart,
 * alerts with their states, labels and annotations, and all recorded values are equal.
 *
 * Real time cannot be sped up, so promtool evaluates the rules: it uses Prometheus's own rule manager and storage. What
 * the gateway found is written as expectations of a unit test, one set for each evaluation, and promtool checks them.
 * promtool stops at the first rule that fails, so the rules here do not fail.
 */
import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ALERTS, ALERTS_FOR_STATE } from "../../src/rules/evaluation/rule-evaluation.ts";
import { NOON_MS, openTestGateway, type Sample, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const MINUTE = 60_000;
const EVALUATIONS = 61;
/**
 * Samples are never exactly as old as a range or the look-back: Prometheus 2 counts such a sample, and Prometheus 3 and
 * this gateway do not.
 */
const INTERVAL_MS = 47_000;
const SAMPLES = Math.ceil((EVALUATIONS * MINUTE) / INTERVAL_MS);
const folder = temporaryFolder();

const RULES = `groups:
- name: recorded
  rules:
  - record: job:depth:sum
    expr: sum by (job) (depth)
  - record: job:depth:double
    expr: job:depth:sum * 2
    labels: {unit: items}
  - record: depth:hosts
    expr: count(depth > 2)
    labels: {team: x}
  - record: requests:increase4m
    expr: sum by (job, code) (round(increase(requests_total[4m100ms])))
  - record: constant
    expr: 3
- name: alerts
  rules:
  - alert: Deep
    expr: depth > 5
    for: 3m
    labels: {severity: '{{ if gt $value 8.0 }}page{{ else }}warning{{ end }}'}
    annotations: {summary: "{{ $labels.host }} of {{ $labels.job }} has {{ $value }} items"}
  - alert: DeepAtOnce
    expr: job:depth:sum > 12
    labels: {severity: page}
    annotations: {summary: '{{ $value | humanize }}: {{ range query "sum(depth)" }}{{ .Value }}{{ end }} in all'}
  - alert: Kept
    expr: depth > 6
    for: 1m
    keep_firing_for: 4m
  - alert: NoRequests
    expr: absent(requests_total{job="a"})
    for: 2m
    annotations: {summary: "{{ $labels.job }} is silent"}
  - alert: Errors
    expr: requests:increase4m{code="500"} > 3 unless on (job) ALERTS{alertname="Deep", alertstate="firing"}
    for: 2m
    annotations: {summary: "{{ $value }} errors of {{ $labels.job }}"}
`;

/** A generator of numbers below 1 (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Series {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  /** One per interval. Undefined: no sample. */
  readonly values: readonly (number | undefined)[];
}

/** Gauges that wander, counters, and times without samples. */
function randomSeries(random: () => number): Series[] {
  const indexes = Array.from({ length: SAMPLES }, (_, at) => at);
  const gaps = () => {
    const from = Math.floor(random() * SAMPLES);
    const length = Math.floor(random() * 20);
    return (index: number) => index >= from && index < from + length;
  };
  const gauge = (host: string, job: string): Series => {
    let level = Math.floor(random() * 8);
    const isGap = gaps();
    const values = indexes.map((index) => {
      if (random() < 0.3) level = Math.max(0, Math.min(10, level + Math.floor(random() * 7) - 3));
      return isGap(index) ? undefined : level;
    });
    return { metric: "depth", labels: { host, job }, values };
  };
  const counter = (code: string, job: string): Series => {
    // Far from zero: how far rates are extrapolated towards it differs between Prometheus 2 and 3.
    let total = 1_000;
    const isGap = gaps();
    const values = indexes.map((index) => {
      total += Math.floor(random() * 3);
      return isGap(index) ? undefined : total;
    });
    return { metric: "requests_total", labels: { code, job }, values };
  };
  return [
    ...[gauge("h1", "a"), gauge("h2", "a"), gauge("h3", "b")],
    ...[counter("200", "a"), counter("500", "a"), counter("500", "b")],
  ];
}

let gateway: TestGateway | undefined;
afterAll(() => gateway?.close());

const nameText = (metric: string, labels: Readonly<Record<string, string>>) => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${metric}{${pairs.join(", ")}}`;
};

/** What a query finds at a time, as expectations. */
async function found(on: TestGateway, expression: string, minute: number) {
  const path = `/api/v1/query?query=${encodeURIComponent(expression)}&time=${(NOON_MS + minute * MINUTE) / 1000}`;
  const answer = (await (await on.fetch(path)).json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  const samples = answer.data.result.map(({ metric: { __name__ = "", ...labels }, value }) => ({
    labels: nameText(__name__, labels),
    value: Number(value[1]),
  }));
  return { expr: expression, eval_time: `${minute}m`, exp_samples: samples };
}

interface ListedAlert {
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly state: string;
}

for (const seed of [1]) {
  test.skipIf(Bun.which("promtool") === null)(
    `alerts and recorded values are those of Prometheus at each minute of an hour (seed ${seed})`,
    async () => {
      const series = randomSeries(numbers(seed));
      const path = join(folder, `${seed}.rules.yml`);
      writeFileSync(path, RULES);
      gateway = await openTestGateway(`--rules=${path}`);
      await gateway.gateway.rules.reload();
      const names = [...RULES.matchAll(/alert: (\w+)/g)].map(([, name]) => name!);
      const promql: unknown[] = [];
      const alerts: unknown[] = [];
      let firing = 0;
      for (let minute = 0; minute < EVALUATIONS; minute++) {
        const atMs = NOON_MS + minute * MINUTE;
        gateway.nowMs = atMs;
        const samples = series.flatMap(({ metric, labels, values }): Sample[] =>
          values.flatMap((value, index) => {
            const sampledMs = index * INTERVAL_MS;
            const isNew = sampledMs > (minute - 1) * MINUTE && sampledMs <= minute * MINUTE;
            return isNew && value !== undefined ? [{ metric, labels, atMs: NOON_MS + sampledMs, value }] : [];
          }),
        );
        await gateway.push(samples);
        await gateway.gateway.rules.evaluate(atMs);
        promql.push(await found(gateway, `{__name__=~".*:.*|constant|${ALERTS}"}`, minute));
        // Prometheus begins at the epoch here.
        promql.push(await found(gateway, `${ALERTS_FOR_STATE} - ${NOON_MS / 1000}`, minute));
        const listed = (await (await gateway.fetch("/api/v1/alerts")).json()) as {
          data: { alerts: ListedAlert[] };
        };
        for (const alertname of names) {
          const own = listed.data.alerts.filter(
            ({ labels, state }) => labels.alertname === alertname && state === "firing",
          );
          firing += own.length;
          alerts.push({
            alertname,
            eval_time: `${minute}m`,
            exp_alerts: own.map(({ labels: { alertname: _, ...labels }, annotations }) => ({
              exp_labels: labels,
              exp_annotations: annotations,
            })),
          });
        }
      }
      // The comparison is worth nothing if nothing happens.
      expect(firing).toBeGreaterThan(50);
      const unitTest = {
        rule_files: [path],
        evaluation_interval: "1m",
        // Without it, promtool evaluates groups in any order, and one reads what another records.
        group_eval_order: ["recorded", "alerts"],
        tests: [
          {
            interval: `${INTERVAL_MS / 1000}s`,
            input_series: series.map(({ metric, labels, values }) => ({
              series: nameText(metric, labels),
              values: values.map((value) => value ?? "_").join(" "),
            })),
            promql_expr_test: promql.map((each) => {
              const { expr, ...rest } = each as { expr: string };
              return { expr: expr.replace(` - ${NOON_MS / 1000}`, " - 0"), ...rest };
            }),
            alert_rule_test: alerts,
          },
        ],
      };
      const file = join(folder, `${seed}.test.yml`);
      writeFileSync(file, JSON.stringify(unitTest));
      const { exitCode, stdout, stderr } = Bun.spawnSync(["promtool", "test", "rules", file]);
      const said = `${stdout}${stderr}`;
      expect(said.length > 5_000 ? `${said.slice(0, 5_000)}…` : said).toContain("SUCCESS");
      expect(exitCode).toBe(0);
      gateway.takeLog();
      await gateway.close();
      gateway = undefined;
    },
  );
}
