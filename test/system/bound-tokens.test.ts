/**
 * Tokens with labels: what one worker can learn about others. Two gateways get the same pushes of the job `apple`. In one
 * of them, the job `zebra` and a token without labels push too: before, between and after, into the same metrics and into
 * others. The reader of `apple` sends the same requests to both, and must get the same answers, byte by byte. So no name,
 * value, exemplar, count, error or suggestion depends on what others pushed. Everything of others also has the word
 * "zebra" or the number 424242 in it, which no answer may contain.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SCOPES } from "../../src/access/access-token.ts";
import type { Route } from "../../src/http/routes.ts";
import { addToken } from "../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** With `zebra`, and without. */
let shared: TestGateway;
let alone: TestGateway;
let apple: string;
let zebra: string;
let free: string;

const SECRET = /zebra|424242/i;
const SECONDS = NOON_MS / 1000;

beforeAll(async () => {
  const path = join(temporaryFolder(), "tokens.json");
  apple = await addToken(path, "apple", { scopes: SCOPES, labels: { job: "apple" } });
  zebra = await addToken(path, "zebra", { scopes: SCOPES, labels: { job: "zebra" } });
  free = await addToken(path, "free", { scopes: SCOPES });
  const rules = join(temporaryFolder(), "tenants.yml");
  writeFileSync(rules, RULES);
  const settings = [`--token-file=${path}`, "--enable-admin-api", `--rules=${rules}`];
  const target = (job: string) => `--scrape=http://127.0.0.1:9/${job},job=${job}`;
  shared = await openTestGateway(...settings, target("apple"), target("zebra"));
  alone = await openTestGateway(...settings, target("apple"));
  const at = (ms: number) => {
    shared.nowMs = alone.nowMs = NOON_MS + ms;
  };
  at(-30_000);
  await pushOthers(0);
  at(-20_000);
  await pushApple();
  at(-10_000);
  await pushOthers(1);
  at(0);
  for (const gateway of [shared, alone]) {
    await gateway.gateway.rules.reload();
    await gateway.gateway.rules.evaluate(NOON_MS);
  }
});
afterAll(async () => {
  // The rule that fails on purpose.
  expect(shared.takeLog().every((line) => line.includes("rule_failed"))).toBe(true);
  await Promise.all([shared.close(), alone.close()]);
});

/** Alerts of both jobs, one of the other job alone, and values without a job. */
const RULES = `groups:
- name: tenants
  rules:
  - {alert: Deep, expr: depth > 0, annotations: {value: "{{ $value }} in {{ $labels.job }}"}}
  - {alert: Other, expr: 'depth{job="zebra"} > 0'}
  - {record: depth:sum, expr: sum(depth)}
- name: others
  rules:
  - {alert: Fails, expr: 'depth * on () group_left () depth{job="zebra"}'}
`;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function send(
  gateway: TestGateway,
  token: string,
  what: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const [method, path = ""] = what.split(" ");
  const answer = await gateway.fetch(path, { method, body, headers: { ...headers, ...bearer(token) } });
  const text = await answer.text();
  if (answer.status > 204 || text.includes('"rejected":1'))
    throw new Error(`${what}: ${answer.status} ${text}`);
}

const OPEN_METRICS = { "content-type": "application/openmetrics-text; version=1.0.0" };
const withExemplar = (trace: string, value: number) =>
  `# TYPE hits counter\nhits_total ${value} # {trace_id="${trace}"} ${value}\n# EOF\n`;

const lines = (events: readonly object[]) => events.map((event) => JSON.stringify(event)).join("\n");

async function pushApple(): Promise<void> {
  const at = (n: number) => ({ "@timestamp": NOON_MS - 60_000 + n * 1_000 });
  const events = [
    ...[1, 2, 3].map((n) => ({
      ...at(n),
      metric_name: "http.request.duration_ms",
      value: n * 10,
      tags: { operation: "get", status_code: "200", success: "true", task_id: `apple-${n}` },
      help: "How long requests take.",
    })),
    {
      ...at(4),
      metric_name: "task.processing_duration_ms",
      value: 5,
      tags: { domain: "a", task_id: "apple-9" },
    },
    { ...at(5), metric_name: "upload.size_bytes", value: 7, tags: {} },
    { ...at(6), metric_name: "Jobs", value: 2, type: "counter", tags: { service: "fruit" } },
    { ...at(7), metric_name: "depth", value: 3, type: "gauge", tags: { instance: "i1", service: "fruit" } },
  ];
  for (const gateway of [alone, shared]) {
    await send(gateway, apple, "POST /api/v1/push", lines(events));
    await send(
      gateway,
      apple,
      "PUT /metrics/job/apple/instance/i2",
      '# TYPE grouped gauge\ngrouped{a="b"} 4\n',
    );
    await send(gateway, apple, "PUT /metrics/job/apple/instance/i3", withExemplar("apple", 8), OPEN_METRICS);
    await send(gateway, apple, "POST /api/v1/import/prometheus", `written_total 6 ${NOON_MS - 1_000}\n`);
  }
}

/** Pushes of `zebra`, and of a token without labels. Their series differ by round. */
async function pushOthers(round: number): Promise<void> {
  const at = (n: number) => ({ "@timestamp": NOON_MS - 80_000 + (round * 60 + n) * 1_000 });
  const events = (job: string) => [
    ...[1, 2, 3, 4, 5].map((n) => ({
      ...at(n),
      metric_name: "http.request.duration_ms",
      value: 424_242,
      tags: {
        operation: "zebra_op",
        status_code: "zebra",
        task_id: `zebra-${round}-${n}`,
        zebra_tag: "zebra",
      },
    })),
    {
      ...at(6),
      metric_name: `zebra.only_${round}_${job}`,
      value: 424_242,
      help: "zebra",
      tags: { service: "zebra" },
    },
    { ...at(7), metric_name: "depth", value: 424_242, type: "gauge", tags: { instance: `zebra${round}` } },
    { ...at(8), metric_name: "Jobs", value: 424_242, type: "counter", tags: { zebra_label: "zebra" } },
    { ...at(9), metric_name: "jobs", value: 424_242, type: "counter", tags: { zebra_label: "zebra" } },
    {
      ...at(10),
      metric_name: "task.processing_duration_ms",
      value: 424_242,
      tags: { domain: "zebra", task_id: "zebra" },
    },
    {
      ...at(11),
      metric_name: "upload.size_bytes",
      value: 424_242,
      tags: { zebra_tag: 'job="apple",job=apple' },
    },
  ];
  for (const [token, job] of [
    [zebra, "zebra"],
    [free, "none"],
  ] as const) {
    await send(shared, token, "POST /api/v1/push", lines(events(job)));
    await send(
      shared,
      token,
      `PUT /metrics/job/zebra/instance/zebra-${round}-${job}`,
      `# TYPE grouped gauge\ngrouped{a="zebra"} 424242\n# TYPE zebra_grouped gauge\nzebra_grouped 424242\n`,
    );
    const group = `PUT /metrics/job/zebra/instance/hits-${round}-${job}`;
    await send(shared, token, group, withExemplar("zebra", 424_242), OPEN_METRICS);
    const metric = `zebra_written{zebra_label="zebra",round="${round}${job}"} 424242 ${NOON_MS - 2_000 + round}\n`;
    await send(shared, token, "POST /api/v1/import/prometheus", metric);
  }
  // Rejected samples are stored with their payload.
  await shared.fetch("/api/v1/push", {
    method: "POST",
    body: JSON.stringify({ metric_name: "depth", value: "zebra" }),
    headers: bearer(zebra),
  });
}

/** The random number of a page. */
const NONCE = /(?<=nonce-|content=")[0-9a-f]{32}/g;

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly text: string;
}

/** The answer, without what differs between two gateways at any time. */
async function ask(gateway: TestGateway, what: string, body?: string, token = apple): Promise<Answer> {
  const [method = "", path = ""] = what.split(/ (.*)/s);
  const headers: Record<string, string> = bearer(token);
  // Only this form of /metrics has exemplars.
  if (path.includes("name[]=http_request_duration_ms"))
    headers.accept = "application/openmetrics-text; version=1.0.0";
  if (body !== undefined) headers["content-type"] = "application/x-www-form-urlencoded";
  const answer = await gateway.fetch(path, { method, headers, body });
  // The series of an export are in the order in which their metrics came first.
  const order = (lines: string) => (path.includes("/export") ? lines.split("\n").sort().join("\n") : lines);
  const text = order(await answer.text())
    // How long it took.
    .replace(/"evaluationTime":[^,}]+/g, '"evaluationTime":0')
    .replace(/^weir_exposition_info\{.*$/gm, "weir_exposition_info")
    .replace(/"evalTotalTime".*?\}/gs, "")
    .replace(/"timings":\{.*?\}/gs, "")
    .replace(NONCE, "nonce");
  const pairs = JSON.stringify([...answer.headers].sort()).replace(NONCE, "nonce");
  return { status: answer.status, headers: pairs, text };
}

/** Sends a request to both gateways. Returns what differs, or what contains a secret. */
async function leakOf(what: string, body?: string): Promise<string[]> {
  const [among, own] = [await ask(shared, what, body), await ask(alone, what, body)];
  const found: string[] = [];
  const [a, b] = [JSON.stringify(among), JSON.stringify(own)];
  if (a !== b) {
    const at = [...a].findIndex((character, index) => character !== b[index]);
    found.push(
      `${what}\n  ${a.slice(Math.max(0, at - 40), at + 160)}\n  ${b.slice(Math.max(0, at - 40), at + 160)}`,
    );
  }
  // What the request itself names may be quoted.
  if (!SECRET.test(what + (body ?? "")) && SECRET.test(among.text + among.headers))
    found.push(`${what} contains ${SECRET.exec(among.text + among.headers)?.[0]}`);
  return found;
}

const form = (parameters: Record<string, string>) => `?${new URLSearchParams(parameters)}`;
const range = { start: String(SECONDS - 600), end: String(SECONDS), step: "15" };
const EXPRESSIONS = [
  '{__name__=~".+"}',
  "depth",
  'depth{job="zebra"}',
  'depth{job=~".*"}',
  'depth{job!="apple"}',
  "sum(Jobs_total)",
  "count({__name__!=''})",
  "sum by (job, operation, zebra_tag) (http_request_duration_ms_count)",
  "rate(http_request_duration_ms_sum[5m])",
  "max_over_time(depth[1h:1m])",
  "http_request_duration_ms[10m]",
  "histogram_quantile(0.9, sum by (le) (http_request_duration_ms_bucket))",
  "absent(zebra_only_0_none)",
  "absent_over_time(zebra_written[10m])",
  "zebra_written or depth",
  "depth * on(job) group_right zebra_written",
  "label_replace(depth, 'job', 'zebra', '', '')",
  "topk(100, {__name__=~'zebra.*'})",
  "weir_last_push_timestamp_seconds",
  "up",
  "grouped",
  "hits_total",
  "time() - push_time_seconds",
  "count_values('v', depth)",
  "scalar(sum(depth))",
  "depth offset 1m",
  "depth @ end()",
  "quantile_over_time(0.5, http_request_duration_ms[10m])",
  "sum(count_over_time({__name__=~'.+'}[1h]))",
];
const MATCHES = [
  '{__name__=~".+"}',
  "depth",
  'depth{job="zebra"}',
  "zebra_written",
  '{job!="apple"}',
  '{job=~".*"}',
];
const SEARCHES: Record<string, string>[] = [
  ...["", "e", "zebra", "dep"].map((term) => ({ "search[]": term })),
  { "search[]": "dpth", sort_by: "score" },
  { "search[]": "zebar", fuzz_alg: "jarowinkler", fuzz_threshold: "50", case_sensitive: "false" },
  { "match[]": 'depth{job="zebra"}' },
  { limit: "1" },
];
const SUMMARIES = [
  "anomalies",
  "daily_report",
  "disk_use",
  "duration_by_operation",
  "error_rate",
  "requests_by_status",
  "slow_tasks",
  "task_failures",
  "task_timeline",
  "tasks_by_domain",
  "uploads",
  "storage_by_day",
  "traffic",
  "workers",
];
const summaryTimes = {
  from: new Date(NOON_MS - 3_600_000).toISOString(),
  to: new Date(NOON_MS + 1_000).toISOString(),
};

/** What is sent to each route: the queries after its path, or the whole path and query for variable ones. */
const QUERIES: Readonly<Record<string, readonly string[]>> = {
  "/api/v1/query": EXPRESSIONS.flatMap((query) => [
    form({ query, time: String(SECONDS) }),
    form({ query, time: String(SECONDS), stats: "all" }),
    form({ query, explain: "true" }),
  ]),
  "/api/v1/query_range": EXPRESSIONS.map((query) => form({ query, ...range })),
  "/api/metrics/query_range": EXPRESSIONS.map((query) => form({ query, ...range })),
  "/api/v1/query_exemplars": EXPRESSIONS.map((query) => form({ query, ...range })),
  "/api/v1/rules": [
    "",
    ...["type=alert", "type=record", "rule_name[]=Deep", "rule_group[]=others", "exclude_alerts=true"].map(
      (query) => `?${query}`,
    ),
    "?group_limit=1",
    form({ "match[]": '{severity!="x"}' }),
  ],
  "/api/v1/alerts": [""],
  "/api/v1/series": MATCHES.map((match) => form({ "match[]": match })),
  "/api/v1/labels": ["", ...MATCHES.map((match) => form({ "match[]": match }))],
  "/api/v1/label/:name/values": [
    "__name__",
    "job",
    "instance",
    "zebra_label",
    "le",
    "operation",
    "service",
  ].flatMap((name) =>
    ["", ...MATCHES.map((match) => form({ "match[]": match }))].map(
      (query) => `/api/v1/label/${name}/values${query}`,
    ),
  ),
  "/api/v1/search/metric_names": ["", ...SEARCHES.map((each) => form({ ...each, include_metadata: "true" }))],
  "/api/v1/search/label_names": ["", ...SEARCHES.map((each) => form({ ...each, include_score: "true" }))],
  "/api/v1/search/label_values": ["__name__", "job", "instance", "zebra_label", "le", "service"].flatMap(
    (label) => [{}, ...SEARCHES].map((each) => form({ ...each, label })),
  ),
  "/api/v1/metadata": ["", "?metric=depth", "?metric=zebra_written", "?limit=2"],
  "/api/v1/status/tsdb": ["", "?limit=1000"],
  // What they list depends on what ran before: test/http/operation compares callers.
  "/api/v1/status/active_queries": [""],
  "/api/v1/status/active_queries/:id/cancel": ["/api/v1/status/active_queries/1/cancel"],
  "/api/v1/status/top_queries": ["?topN=0"],
  "/api/v1/targets": ["", "?state=active", "?scrapePool=zebra", "?state=dropped"],
  "/api/v1/scrape_pools": [""],
  "/api/metrics/services": [""],
  "/api/v1/metrics": [""],
  "/api/v1/groups": ["", "?limit=1"],
  "/metrics": [
    "",
    "?name[]=http_request_duration_ms&name[]=hits",
    "?name[]=depth",
    "?name[]=zebra_written",
    "?name[]=weir_http_requests_total",
  ],
  "/prometheus": [""],
  "/federate": MATCHES.map((match) => form({ "match[]": match })),
  "/api/v1/export": [
    "",
    "?metric=depth",
    "?metric=zebra.only_0_none",
    "?metric=zebra_written",
    ...MATCHES.map((match) => form({ "match[]": match })),
    ...MATCHES.map((match) => form({ "match[]": match, format: "prometheus" })),
  ],
  "/api/v1/export/csv": MATCHES.map((match) =>
    form({ "match[]": match, format: "__name__,job,zebra_label,__value__,__timestamp__:unix_ms" }),
  ),
  "/api/v1/tables": ["", "?match=zebra", "?format=csv"],
  "/api/v1/summaries/:name": SUMMARIES.flatMap((name) =>
    [{}, { tasks_metric: "zebra.only_0_none" }, { requests_metric: "zebra_written" }].map(
      (more) =>
        `/api/v1/summaries/${name}?${new URLSearchParams({ ...summaryTimes, ...(name === "task_timeline" ? { task_id: "zebra" } : more) } as never)}`,
    ),
  ),
  "/api/v1/sql": [
    // What the tables contain.
    "SELECT * FROM samples ORDER BY ALL",
    "SELECT * FROM series ORDER BY ALL",
    "SELECT * FROM metrics ORDER BY ALL",
    "SELECT * FROM exemplars ORDER BY ALL",
    "SELECT * FROM rejected",
    "SELECT * FROM http_request_duration_ms ORDER BY ALL",
    'SELECT * FROM "Jobs"',
    "SELECT * FROM jobs",
    "SELECT * FROM Jobs_2",
    "SELECT * FROM jobs_2",
    "SELECT * FROM zebra_written",
    "SELECT * FROM zebra_only_0_none",
    "SELECT * FROM depth",
    "SELECT * FROM Depth WHERE job = 'zebra'",
    "SELECT * FROM upload_size_bytes",
    "SELECT count(*), min(ts), max(ts), sum(value) FROM samples",
    "SELECT count(*) FROM series",
    "SELECT metric, count(*) FROM samples GROUP BY ALL ORDER BY ALL",
    "SELECT approx_count_distinct(task_id), approx_count_distinct(metric) FROM samples",
    "SELECT * FROM samples USING SAMPLE 100 ROWS (reservoir, 7)",
    "SELECT zebra_tag FROM http_request_duration_ms",
    "SELECT zebra_label FROM samples",
    "SELECT labels['zebra_label'] FROM samples ORDER BY ALL",
    // Names and schemas.
    "SELECT * FROM main.samples",
    "SELECT * FROM main.series",
    "SELECT * FROM weir.series",
    "SELECT * FROM weir.samples_20241004",
    "SELECT * FROM store.weir.series",
    "SELECT * FROM temp.samples",
    'SELECT * FROM "own series"',
    'SELECT * FROM "own series of samples"',
    'SELECT * FROM "weir.series"',
    "SELECT * FROM 'weir.series'",
    "FROM samples_20241004",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "DESCRIBE samples",
    "DESCRIBE http_request_duration_ms",
    "SUMMARIZE samples",
    "SUMMARIZE http_request_duration_ms",
    "SUMMARIZE SELECT task_id FROM samples",
    "SELECT * FROM information_schema.tables ORDER BY ALL",
    "SELECT * FROM information_schema.columns ORDER BY ALL",
    "SELECT * FROM information_schema.schemata",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_columns()",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM pragma_table_info('weir.series')",
    "SELECT * FROM pragma_storage_info('weir.series')",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM query('SELECT * FROM weir.series')",
    "SELECT * FROM query_table('series')",
    "SELECT * FROM weir.series.query_table()",
    "PRAGMA show_tables",
    "CALL pragma_version()",
    "SELECT current_setting('data_directory')",
    "SELECT getvariable('a')",
    "COPY (SELECT 1) TO '/dev/null'",
    "ATTACH 'store.duckdb'",
    "SELECT 1; SELECT * FROM weir.series",
    // Names that hide others.
    "WITH series AS (SELECT 1 AS a) SELECT * FROM series",
    "WITH s AS (SELECT * FROM series) SELECT count(*) FROM s",
    "WITH samples AS (SELECT * FROM samples) SELECT count(*) FROM samples",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT count(*) FROM series)) SELECT count(*) FROM r",
    "SELECT (SELECT count(*) FROM weir.series)",
    "SELECT EXISTS (SELECT 1 FROM samples WHERE metric LIKE 'zebra%')",
    "SELECT * FROM depth AS series JOIN series AS depth ON true",
    // Errors that quote a value, and plans that move conditions.
    "SELECT * FROM http_request_duration_ms WHERE CAST(task_id AS INTEGER) = 1",
    "SELECT * FROM samples WHERE CAST(task_id AS INTEGER) = 1",
    "SELECT count(*) FROM samples WHERE metric::INTEGER > 0",
    "SELECT * FROM series WHERE metric::INTEGER > 0",
    "SELECT * FROM series WHERE labels['job']::INTEGER > 0",
    "SELECT * FROM exemplars WHERE exemplar['task_id']::INTEGER > 0",
    "SELECT * FROM http_request_duration_ms WHERE status_code = 200",
    "SELECT * FROM http_request_duration_ms WHERE status_code::INTEGER = 200",
    "SELECT CAST(status_code AS INTEGER) FROM http_request_duration_ms ORDER BY ts LIMIT 1",
    "SELECT sum(CAST(status_code AS INTEGER)) FROM http_request_duration_ms",
    "SELECT any_value(ts) FROM http_request_duration_ms GROUP BY CAST(status_code AS INTEGER)",
    "SELECT row_number() OVER (PARTITION BY CAST(status_code AS INTEGER)) FROM http_request_duration_ms",
    "SELECT * FROM http_request_duration_ms QUALIFY row_number() OVER (ORDER BY CAST(status_code AS INTEGER)) = 1",
    "SELECT * FROM http_request_duration_ms a JOIN http_request_duration_ms b ON CAST(a.status_code AS INTEGER) = CAST(b.status_code AS INTEGER)",
    "SELECT * FROM depth d WHERE EXISTS (SELECT 1 FROM http_request_duration_ms h WHERE CAST(h.status_code AS INTEGER) = d.value)",
    "SELECT * FROM depth d, LATERAL (SELECT CAST(status_code AS INTEGER) + d.value FROM http_request_duration_ms) l",
    "SELECT CASE WHEN operation = 'zebra_op' THEN CAST('x' AS INTEGER) END FROM http_request_duration_ms",
    "SELECT 1 / (CASE WHEN task_id LIKE 'zebra%' THEN CAST(task_id AS INTEGER) ELSE 1 END) FROM samples",
    "SELECT * FROM samples WHERE value = 424242 AND CAST(metric AS INTEGER) = 1",
    "SELECT strptime(max(task_id), '%Y') FROM samples",
    "SELECT * FROM http_request_duration_ms WHERE ts > now() - INTERVAL 1 DAY AND value > 0",
    "PIVOT http_request_duration_ms ON status_code USING count(*) ORDER BY ALL",
    "PIVOT samples ON metric USING count(*) ORDER BY ALL",
    "UNPIVOT depth ON value",
    // Plans have estimates and counts.
    "EXPLAIN SELECT * FROM samples",
    "EXPLAIN SELECT * FROM zebra_written",
    "EXPLAIN SELECT * FROM series",
    "SELECT * FROM zebra",
    "SELECT nothing FROM samples",
    "SELECT * FROM http_request",
  ].map((q) => form({ q })),
  "/api/v1/admin/tsdb/delete_series": [],
};

/** The requests of a route. */
function requestsOf({ path }: Route): string[] {
  return (QUERIES[path] ?? [""]).map((query) =>
    query.startsWith("/") ? query : path.replaceAll(/:\w+|\*/g, "a") + query,
  );
}

describe("an answer to a token with labels does not depend on what others pushed", () => {
  test("for every route", async () => {
    const routes = shared.app.routes;
    const narrowing = routes.filter(({ bound }) => bound === "narrows");
    const untested = new Set(narrowing.map(({ path }) => path).filter((path) => QUERIES[path] === undefined));
    expect([...untested], "a route that narrows needs queries in this test").toEqual([]);
    const leaks: string[] = [];
    let asked = 0;
    for (const route of routes) {
      // Deletions are below. Pushes change the gateway, and have tests of their own.
      if (route.permission === "admin" || (route.permission === "push" && route.bound === "adds")) continue;
      const isRepeated =
        route.method === "POST" && routes.some((each) => each.path === route.path && each.method === "GET");
      for (const request of requestsOf(route).slice(0, isRepeated ? 3 : undefined)) {
        const [path = "", query] = request.split("?");
        // A POST sends a form, as clients do when a query is long.
        const isForm = route.method === "POST" && query !== undefined;
        leaks.push(
          ...(await leakOf(`${route.method} ${isForm ? path : request}`, isForm ? query : undefined)),
        );
        asked++;
      }
    }
    expect(leaks).toEqual([]);
    expect(asked).toBeGreaterThan(300);
  });

  test("and the other token gets its own series from the same routes", async () => {
    const text = async (path: string) => (await ask(shared, `GET ${path}`, undefined, zebra)).text;
    for (const path of [
      `/api/v1/query${form({ query: "depth", time: String(SECONDS) })}`,
      "/api/v1/labels",
      "/api/v1/label/job/values",
      "/api/v1/search/metric_names",
      "/api/v1/search/label_names",
      "/api/v1/search/label_values?label=job",
      "/api/v1/metadata",
      "/api/v1/status/tsdb",
      "/api/v1/targets",
      "/api/v1/scrape_pools",
      "/api/metrics/services",
      "/api/v1/metrics",
      "/api/v1/groups",
      "/metrics",
      "/metrics?name[]=http_request_duration_ms",
      `/federate${form({ "match[]": "depth" })}`,
      "/api/v1/export",
      "/api/v1/rules",
      "/api/v1/alerts",
      "/api/v1/tables",
      `/api/v1/summaries/slow_tasks${form(summaryTimes)}`,
      `/api/v1/query_exemplars${form({ query: "http_request_duration_ms_bucket", ...range })}`,
      `/api/v1/sql${form({ q: "SELECT * FROM samples" })}`,
    ]) {
      const found = await text(path);
      expect(found, path).toMatch(SECRET);
      // A label of others contains this word.
      expect(found.replaceAll('job=\\"apple\\",job=apple', ""), path).not.toContain("apple");
    }
  });
});

describe("a token with labels changes only its own series", () => {
  const jobsOf = async (metric: string) => {
    const query = form({ query: `count by (job) ({__name__="${metric}"})`, time: String(SECONDS) });
    const { text } = await ask(shared, `GET /api/v1/query${query}`, undefined, free);
    const { data } = JSON.parse(text) as { data: { result: { metric: { job?: string } }[] } };
    return data.result.map(({ metric: { job = "" } }) => job).toSorted();
  };

  test("when it deletes series", async () => {
    const path = "/api/v1/admin/tsdb/delete_series";
    const dry = await ask(shared, `POST ${path}${form({ "match[]": '{__name__=~".+"}', dry_run: "true" })}`);
    expect(dry.text).not.toMatch(SECRET);
    expect(JSON.parse(dry.text)).toMatchObject({ status: "success", data: { metrics: expect.any(Array) } });
    expect(await ask(shared, `POST ${path}${form({ "match[]": 'depth{job="zebra"}' })}`)).toMatchObject({
      status: 204,
      headers: expect.stringContaining('["weir-deleted-samples","0"]'),
    });
    expect(await jobsOf("depth")).toEqual(["", "apple", "zebra"]);
    expect(await ask(shared, `POST ${path}${form({ "match[]": "depth" })}`)).toMatchObject({
      status: 204,
      headers: expect.stringContaining('["weir-deleted-samples","1"]'),
    });
    expect(await jobsOf("depth")).toEqual(["", "zebra"]);
  });

  test("when it deletes groups by a selector", async () => {
    const { status, text } = await ask(shared, `DELETE /metrics${form({ "match[]": '{instance=~".+"}' })}`);
    expect([status, JSON.parse(text)]).toEqual([
      202,
      {
        status: "success",
        data: {
          dryRun: false,
          selected: 2,
          deleted: 2,
          groups: [
            { labels: { instance: "i2", job: "apple" } },
            { labels: { instance: "i3", job: "apple" } },
          ],
        },
      },
    ]);
    expect(await jobsOf("grouped")).toEqual(["zebra"]);
  });

  test("and can neither copy the store nor delete all groups", async () => {
    for (const what of ["POST /api/v1/admin/tsdb/snapshot", "PUT /api/v1/admin/wipe", "POST /-/quit"])
      expect([what, (await ask(shared, what)).status]).toEqual([what, 403]);
  });
});
