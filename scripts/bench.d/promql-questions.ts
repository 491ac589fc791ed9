/** The queries of the PromQL benchmark, and their duration. */
import { percentile, usageOf } from "./usage.ts";

export interface Question {
  readonly name: string;
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** VictoriaMetrics computes rates in a way of its own, so that its answers are not compared. */
  readonly ownRates?: boolean;
}

export interface Timing {
  /** Of the first run, which may read what the others find in memory: until the last byte, and all threads. */
  readonly firstMs: number;
  readonly firstCpuMs: number;
  readonly medianMs: number;
  readonly maxMs: number;
  /** Of one run: all threads of the server, and its first, which in this gateway runs JavaScript. */
  readonly cpuMs: number;
  readonly mainThreadMs: number;
  /** `data` of the answer. */
  readonly data: unknown;
}

export const STEPS = 241;

/** Questions over the series of promql-load.ts; `lastMs` is the time of the newest sample. */
export function questions(spanMs: number, lastMs: number): Question[] {
  const stepSeconds = Math.max(1, Math.round(spanMs / 1000 / (STEPS - 1)));
  const endSeconds = Math.floor(lastMs / 1000);
  const range = (name: string, query: string): Question => ({
    name,
    ...rangeOf(query, endSeconds, stepSeconds),
    ownRates: true,
  });
  const instant = (name: string, query: string): Question => ({
    name,
    path: "/api/v1/query",
    // VictoriaMetrics would else answer again what it has answered before.
    parameters: { query, time: String(endSeconds), nocache: "1" },
  });
  const start = String(endSeconds - (STEPS - 1) * stepSeconds);
  const values = (name: string, label: string, more: Record<string, string> = {}): Question => ({
    name,
    path: `/api/v1/label/${label}/values`,
    parameters: { start, end: String(endSeconds), ...more },
  });
  return [
    range("sum by (x) (rate(m[5m]))", "sum by (route) (rate(bench_requests_total[5m]))"),
    range("topk(10, rate(m[5m]))", "topk(10, rate(bench_requests_total[5m]))"),
    range(
      "histogram_quantile(0.9, ...)",
      "histogram_quantile(0.9, sum by (le) (rate(bench_latency_seconds_bucket[5m])))",
    ),
    // Windows that overlap by far.
    range("sum by (x) (rate(m[2h]))", "sum by (route) (rate(bench_requests_total[2h]))"),
    range("max_over_time(m[2h])", "max_over_time(bench_temperature_celsius[2h])"),
    instant("instant, all series", '{job="bench"}'),
    instant("max_over_time(m[1d])", "max_over_time(bench_temperature_celsius[1d])"),
    values("names", "__name__"),
    values("label values", "instance"),
    values("label values of m", "route", { "match[]": "bench_requests_total" }),
  ];
}

/** Questions over all samples, to be asked at once. */
export function largeQuestions(spanMs: number, lastMs: number): Question[] {
  const stepSeconds = Math.max(1, Math.round(spanMs / 1000 / (STEPS - 1)));
  const endSeconds = Math.floor(lastMs / 1000);
  return ["sum", "max", "avg", "stddev"].map((name) => {
    const query = `${name} by (rack) ({job="bench"})`;
    return { name: query, ...rangeOf(query, endSeconds, stepSeconds) };
  });
}

/** Questions in SQL over a day of the events of events.ts. */
export function sqlQuestions(): Question[] {
  const sql = (name: string, q: string): Question => ({
    name: `SQL: ${name}`,
    path: "/api/v1/sql",
    parameters: { q, format: "json" },
  });
  return [
    sql(
      "average by operation, a day",
      "SELECT operation, avg(value) FROM http_request_duration_ms WHERE ts > now() - INTERVAL 1 DAY GROUP BY operation",
    ),
    sql(
      "p95 by domain and 5 minutes",
      "SELECT domain, time_bucket(INTERVAL 5 MINUTE, ts) AS at, quantile_cont(value, 0.95) FROM http_request_duration_ms " +
        "WHERE ts > now() - INTERVAL 1 DAY GROUP BY ALL",
    ),
    sql(
      "slow tasks with ids",
      "SELECT ts, task_id, value, domain FROM task_processing_duration_ms WHERE ts > now() - INTERVAL 1 DAY AND value > 9000 " +
        "ORDER BY value DESC LIMIT 100",
    ),
  ];
}

/** Questions over a day of the events of events.ts. */
export function eventQuestions(toMs: number): Question[] {
  const endSeconds = Math.floor(toMs / 1000);
  const p95 = (buckets: string) => `histogram_quantile(0.95, sum by (le, domain) (${buckets}))`;
  return [
    {
      name: "p95 by domain, a day",
      ...rangeOf(p95("rate(http_request_duration_ms_bucket[10m])"), endSeconds, 86_400 / (STEPS - 1)),
    },
    {
      name: "p95 by domain, of a day",
      path: "/api/v1/query",
      parameters: { query: p95("increase(http_request_duration_ms_bucket[1d])"), time: String(endSeconds) },
    },
  ];
}

function rangeOf(query: string, endSeconds: number, stepSeconds: number) {
  const start = String(endSeconds - (STEPS - 1) * stepSeconds);
  const parameters = { query, start, end: String(endSeconds), step: String(stepSeconds), nocache: "1" };
  return { path: "/api/v1/query_range", parameters };
}

/** Asks once to have the answer, then `rounds` times for the time until the last byte of it. */
export async function time(url: string, pid: number, question: Question, rounds: number): Promise<Timing> {
  const target = `${url}${question.path}?${new URLSearchParams(question.parameters)}`;
  const ask = async () => {
    const response = await fetch(target, { headers: { "Accept-Encoding": "identity" } });
    const body = await response.arrayBuffer();
    if (!response.ok)
      throw new Error(
        `${question.name} was answered ${response.status}: ${new TextDecoder().decode(body).slice(0, 500)}`,
      );
    return body;
  };
  const untouched = usageOf(pid);
  const begun = performance.now();
  const first = await ask();
  const firstMs = performance.now() - begun;
  const answer = JSON.parse(new TextDecoder().decode(first)) as { data: unknown };
  const times: number[] = [];
  const before = usageOf(pid);
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await ask();
    times.push(performance.now() - started);
  }
  const after = usageOf(pid);
  return {
    firstMs,
    firstCpuMs: (before.cpuSeconds - untouched.cpuSeconds) * 1000,
    medianMs: percentile(times, 0.5),
    maxMs: percentile(times, 1),
    cpuMs: ((after.cpuSeconds - before.cpuSeconds) / rounds) * 1000,
    mainThreadMs: ((after.mainThreadSeconds - before.mainThreadSeconds) / rounds) * 1000,
    data: answer.data,
  };
}
