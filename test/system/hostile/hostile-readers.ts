/** Questions that are made to be slow or large, one of a kind per line. */
import type { Hostile } from "./beside-a-pusher.ts";

const asked = (parameters: Readonly<Record<string, string | readonly string[]>>) =>
  new URLSearchParams(
    Object.entries(parameters).flatMap(([name, value]) =>
      (typeof value === "string" ? [value] : value).map((each): [string, string] => [name, each]),
    ),
  ).toString();
const ALL = '{__name__=~".+"}';
const NOW_S = Math.floor(Date.now() / 1000);

/** Statements are ended after this time. */
const SQL_TIMEOUT_MS = 300;
const sql = (statement: string, format = "json"): Hostile => ({
  name: `SQL in ${format}: ${statement.slice(0, 80)}`,
  path: `/api/v1/sql?${asked({ format, timeoutMs: String(SQL_TIMEOUT_MS), limit: "100000", q: statement })}`,
});
const statements: readonly Hostile[] = [
  sql("SELECT count(*) FROM samples a, samples b, samples c WHERE a.value * b.value + c.value < -1"),
  sql("SELECT a.ts FROM samples a, samples b ORDER BY random() LIMIT 10"),
  sql("SELECT repeat('a', 2000000000)"),
  sql("SELECT list_sort(range(300000000))"),
  sql("SELECT unnest(range(100000000))"),
  sql("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"),
  sql("SELECT * FROM range(10000000000)"),
  sql("SELECT regexp_matches(repeat('a', 30), '(a*)*b')"),
  sql(`SELECT ${"(".repeat(2_000)}1${")".repeat(2_000)}`),
  sql(`SELECT ${"1+".repeat(2_000)}1`),
  sql(`SELECT 1 WHERE 1 IN (${"1,".repeat(3_000)}1)`),
  sql("SELECT string_agg(repeat('x', 1000)) FROM samples"),
  sql("SELECT list(labels) FROM samples"),
  sql("PIVOT samples ON labels['id'] USING sum(value)"),
  sql("SELECT * FROM samples ORDER BY labels"),
  sql("SELECT quantile_cont(value, 0.5) OVER (ORDER BY ts ROWS 100000 PRECEDING) FROM samples"),
  sql("SELECT * FROM samples"),
  sql("SELECT * FROM samples", "ndjson"),
  sql("SELECT * FROM samples", "csv"),
  sql("SELECT * FROM samples", "table"),
  sql("SELECT * FROM samples", "parquet"),
  sql("SELECT *, labels AS a, labels AS b, labels AS c FROM samples"),
  { ...sql("SELECT * FROM samples"), name: "SQL: ten large answers", times: 10 },
  { ...sql("SELECT * FROM samples"), name: "SQL: a client that stops reading", readsBytes: 1, times: 5 },
];

const get = (
  name: string,
  path: string,
  parameters: Parameters<typeof asked>[0] = {},
  more: Partial<Hostile> = {},
): Hostile => ({
  name,
  path: `${path}?${asked(parameters)}`,
  ...more,
});
const looks: readonly Hostile[] = [
  get("all series", "/api/v1/series", { "match[]": ALL }),
  get("all series by 50 selectors", "/api/v1/series", { "match[]": Array(50).fill(ALL) }),
  get("names of labels", "/api/v1/labels"),
  get("values of a label", "/api/v1/label/id/values"),
  get("values of a label by a selector", "/api/v1/label/id/values", { "match[]": '{id=~"s.*1"}' }),
  get("values of names", "/api/v1/label/__name__/values"),
  get("statistics", "/api/v1/status/tsdb", { limit: "10000" }),
  get("metadata", "/api/v1/metadata"),
  get("tables", "/api/v1/tables"),
  get("tables by a pattern", "/api/v1/tables", { match: "*a*a*a*a*a*a*a*a*b" }),
  get("functions", "/api/v1/sql/functions"),
  get("services", "/api/metrics/services"),
  get("groups", "/api/v1/metrics"),
  get("targets", "/api/v1/targets"),
  get("exemplars", "/api/v1/query_exemplars", {
    query: "observed_bucket",
    start: String(NOW_S - 3_600),
    end: String(NOW_S),
  }),
  get("summaries", "/api/v1/summaries"),
  ...["average_duration", "status_counts", "slow_tasks", "daily_report", "workers", "error_rate"].map(
    (name) => get(`summary ${name}`, `/api/v1/summaries/${name}`),
  ),
  get("federation of everything", "/federate", { "match[]": ALL }),
  get("federation by 50 selectors", "/federate", { "match[]": Array(50).fill(ALL) }),
  get("federation, 20 times at once", "/federate", { "match[]": ALL }, { times: 20 }),
];

/** Each gathers the families of all series in one piece: 1 s of processor time for 200,000 exposed series. */
const scrapes: readonly Hostile[] = [
  get("a scrape", "/metrics"),
  get(
    "a scrape in OpenMetrics",
    "/metrics",
    {},
    { headers: { accept: "application/openmetrics-text; version=1.0.0" } },
  ),
  get("a compressed scrape", "/metrics", {}, { headers: { "accept-encoding": "gzip" } }),
  get("8 scrapes at once", "/metrics", {}, { times: 8 }),
  get("a scrape of 1,000 names", "/metrics", {
    "name[]": Array.from({ length: 500 }, (_, i) => `written_${i}`),
  }),
  get("readiness, 20 times at once", "/-/ready", {}, { times: 20 }),
];

const exports_: readonly Hostile[] = [
  get("an export of everything in JSON", "/api/v1/export", { "match[]": ALL }),
  get("an export of everything in CSV", "/api/v1/export/csv", {
    "match[]": ALL,
    format: "__name__,id,__value__,__timestamp__:rfc3339",
  }),
  get("an export of everything in text", "/api/v1/export", { "match[]": ALL, format: "prometheus" }),
  get("an export of events", "/api/v1/export"),
  get("12 exports at once", "/api/v1/export", { "match[]": ALL }, { times: 12 }),
  get("12 exports of events at once", "/api/v1/export", {}, { times: 12 }),
  get("30 exports that nobody reads", "/api/v1/export", { "match[]": ALL }, { times: 30, readsBytes: 1 }),
  get("an export of a line for each sample", "/api/v1/export", { "match[]": ALL, max_rows_per_line: "1" }),
];

const query = (text: string): Hostile =>
  get(`PromQL: ${text.slice(0, 80)}`, "/api/v1/query", { query: text, timeout: "1s" });
const range = (text: string, parameters: Readonly<Record<string, string>> = {}): Hostile =>
  get(`PromQL over a range: ${text.slice(0, 80)}`, "/api/v1/query_range", {
    query: text,
    start: String(NOW_S - 11_000),
    end: String(NOW_S),
    step: "1",
    timeout: "1s",
    ...parameters,
  });
const promql: readonly Hostile[] = [
  query("count_over_time(vector(time())[6d:1ms])"),
  query("sum_over_time(hour()[2d:1ms])"),
  query("max_over_time(max_over_time(vector(time())[1d:1s])[1d:1s])"),
  query(`${"label_join(".repeat(26)}written${', "x", "", "x", "x", "id")'.repeat(26)}`),
  query('label_join(written, "x", "", "id", "id", "id", "id", "id", "id", "id", "id")'),
  query(`label_replace(written, "x", "$1", "id", "${"(.*)".repeat(300)}")`),
  query('label_replace(written, "x", "$1", "id", "((a*)*)*b")'),
  query(`written{${Array(300).fill('id=~"s.*"').join(",")}}`),
  query('written{id=~"(s|t)*(1|2)*(3|4)*x"}'),
  query(`written{id=~"${"(a|b)?".repeat(1_000)}"}`),
  query(`${"(".repeat(5_000)}1${")".repeat(5_000)}`),
  query("{".repeat(5_000)),
  query(`1${" + 1".repeat(2_500)}`),
  query(`${"-".repeat(5_000)}1`),
  query("topk(1e9, written)"),
  query('count_values("v", {__name__=~".+"})'),
  query("written * on(id) group_left() written"),
  query("sort(written) or sort_desc(written) or written"),
  query("quantile by (id) (0.5, written)"),
  query("absent(written)"),
  query("histogram_quantile(0.99, observed_bucket)"),
  query("rate(written[10y])"),
  range(ALL),
  range("sum by (id) (written)"),
  range("rate(written[1h])"),
  range("topk(1000, written)"),
  range('count_values("v", written)'),
  range("written", { end: "1e300", step: "1e-9" }),
  range("1", { start: "-1e15", end: "1e15", step: "0.001" }),
  {
    name: "PromQL: 5,000 match[] in a form",
    path: "/api/v1/series",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: () => asked({ "match[]": Array(5_000).fill("written") }),
  },
  {
    name: "PromQL: a query of 5 MB",
    path: "/api/v1/query",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: () => asked({ query: "1+".repeat(2_500_000) }),
  },
  get("PromQL: formats 5,000 parentheses", "/api/v1/format_query", {
    query: `${"(".repeat(5_000)}1${")".repeat(5_000)}`,
  }),
  get("PromQL: parses 5,000 braces", "/api/v1/parse_query", { query: "{".repeat(5_000) }),
  { ...range(ALL), name: "PromQL: 30 ranges at once", times: 30 },
];

export const HOSTILE_READERS = { statements, looks, scrapes, exports: exports_, promql };
