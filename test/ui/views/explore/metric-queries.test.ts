/** The queries that the page suggests for a metric are those of its kind, and can be read by the gateway. */
import { describe, expect, test } from "bun:test";
import { parse } from "../../../../src/query/promql/parse/parse.ts";
import { queriesOf, queryAddress, selectorOf } from "../../../../src/ui/views/explore/metric-queries.ts";

const promql = (metric: string, kind: string, type: string) =>
  queriesOf(metric, kind, type, metric)
    .filter(({ language }) => language === "promql")
    .map(({ text }) => text);

describe("queries of a metric", () => {
  test("an observation is asked as a histogram, with the name that Prometheus sees", () => {
    expect(promql("task.duration_ms", "observation", "")).toEqual([
      "histogram_quantile(0.95, sum by (le) (rate(task_duration_ms_bucket[5m])))",
      "sum(rate(task_duration_ms_count[5m]))",
      "sum(rate(task_duration_ms_sum[5m])) / sum(rate(task_duration_ms_count[5m]))",
    ]);
  });

  test("a counter is asked for its rate, and _total is not doubled", () => {
    expect(promql("task.errors", "delta", "")).toEqual(["sum(rate(task_errors_total[5m]))"]);
    expect(promql("errors_total", "delta", "")).toEqual(["sum(rate(errors_total[5m]))"]);
    expect(promql("http_requests_total", "cumulative", "counter")).toEqual([
      "sum(rate(http_requests_total[5m]))",
    ]);
  });

  test("a gauge is asked for its values", () => {
    expect(promql("queue.depth", "gauge", "gauge")).toEqual(["queue_depth"]);
    expect(promql("9lives", "gauge", "gauge")).toEqual(["_9lives"]);
  });

  test("a table whose name needs quotes has them in SQL", () => {
    const [, rows] = queriesOf('a"b', "gauge", "gauge", 'a"b');
    expect(rows!.text).toStartWith('SELECT * FROM "a""b" WHERE');
  });

  test.each([
    ["job", "worker", 'm_count{job="worker"}'],
    ["host.name", 'a"\\b', 'm_count{"host.name"="a\\"\\\\b"}'],
  ])("a selector of the label %s can be parsed", (label, value, expected) => {
    const text = selectorOf("m", "observation", label, value);
    expect(text).toBe(expected);
    expect(parse(text).type).toBe("vectorSelector");
  });

  test("the address of a query names its language", () => {
    expect(queryAddress({ language: "promql", text: 'a{b="c"}' })).toBe("/query?expr=a%7Bb%3D%22c%22%7D");
    expect(queryAddress({ language: "sql", text: "SELECT 1" })).toBe("/query?sql=SELECT+1");
  });
});
