/** Prometheus's API with the real gateway: the requests of Grafana, and the form of errors. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;

/** Ten events, one per second, of two operations. The last is one second before the clock of the tests. */
const events = Array.from({ length: 10 }, (_, index) => ({
  "@timestamp": NOW_MS - (10 - index) * 1000,
  metric_name: "http.request.duration_ms",
  value: index < 5 ? 4 : 40,
  tags: { operation: index % 2 === 0 ? "get" : "put", task_id: `task-${index}` },
}));
const gauges = [3, 4].map((value, index) => ({
  "@timestamp": NOW_MS - 30_000 + index * 15_000,
  metric_name: "queue_depth",
  type: "gauge",
  help: "Tasks that wait.",
  value,
  tags: { job: "worker", instance: "a" },
}));

beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS, "--retention-days=7");
  const pushed = await gateway.fetch("/api/v1/push", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([...events, ...gauges]),
  });
  expect(pushed.status).toBe(200);
});

afterAll(() => gateway.close());

/** Computes for some seconds: a million steps. */
const HEAVY = "count_over_time(sum_over_time(vector(1)[100s:1s])[10000s:1s])";

/** Any answer: each test states what it expects. */
type Json = ReturnType<typeof JSON.parse>;

type Parameters = Record<string, string | number | readonly string[]>;

function encode(parameters: Parameters): string {
  const encoded = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) encoded.append(name, String(each));
  }
  return encoded.toString();
}

async function ask(path: string, parameters: Parameters = {}) {
  const response = await gateway.fetch(`${path}?${encode(parameters)}`);
  return { status: response.status, body: (await response.json()) as Json };
}

async function data(path: string, parameters: Parameters = {}) {
  const { status, body } = await ask(path, parameters);
  expect(body.status).toBe("success");
  expect(status).toBe(200);
  return body.data;
}

const seconds = NOW_MS / 1000;

describe("query", () => {
  test("returns vectors, scalars, strings and matrices", async () => {
    expect(await data("/api/v1/query", { query: "queue_depth", time: seconds })).toEqual({
      resultType: "vector",
      result: [
        {
          metric: { __name__: "queue_depth", instance: "a", job: "worker" },
          value: [seconds, "4"],
        },
      ],
    });
    expect(await data("/api/v1/query", { query: "1+1", time: "1970-01-01T00:00:00Z" })).toEqual({
      resultType: "scalar",
      result: [0, "2"],
    });
    expect(await data("/api/v1/query", { query: '"a b"', time: 1.5 })).toEqual({
      resultType: "string",
      result: [1.5, "a b"],
    });
    expect(await data("/api/v1/query", { query: "queue_depth[1m]", time: seconds })).toEqual({
      resultType: "matrix",
      result: [
        {
          metric: { __name__: "queue_depth", instance: "a", job: "worker" },
          values: [
            [seconds - 30, "3"],
            [seconds - 15, "4"],
          ],
        },
      ],
    });
  });

  test("uses the gateway's clock if time is absent", async () => {
    const { result } = await data("/api/v1/query", { query: "time()" });
    expect(result).toEqual([seconds, String(seconds)]);
  });

  test("writes NaN and infinities as Prometheus does", async () => {
    const value = async (query: string) => (await data("/api/v1/query", { query })).result[1];
    expect(await value("1/0")).toBe("+Inf");
    expect(await value("-1/0")).toBe("-Inf");
    expect(await value("0/0")).toBe("NaN");
    expect(await value("1e21")).toBe("1e+21");
    expect(await value("0.000001")).toBe("0.000001");
  });

  test("accepts a form by POST, with parameters in the query string too", async () => {
    const response = await gateway.fetch(`/api/v1/query?time=${seconds}`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: encode({ query: "queue_depth * 2" }),
    });
    expect(((await response.json()) as Json).data.result).toEqual([
      { metric: { instance: "a", job: "worker" }, value: [seconds, "8"] },
    ]);
  });

  test("reads events as a histogram, and their exact values as raw samples", async () => {
    const count = await data("/api/v1/query", {
      query: "sum by (operation) (http_request_duration_ms_count)",
      time: seconds + 15,
    });
    expect(count.result.map(({ metric, value }: Json) => [metric.operation, value[1]])).toEqual([
      ["get", "5"],
      ["put", "5"],
    ]);
    // The values are five times 4 and five times 40, in buckets 5 and 50 of the layout for milliseconds.
    const p90 = await data("/api/v1/query", {
      query: "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_ms_bucket[5m])))",
      time: seconds + 15,
    });
    // Rank 9 of 10 is the fourth of the five between 25 and 50.
    expect(Number(p90.result[0].value[1])).toBeCloseTo(45, 9);
    const exact = await data("/api/v1/query", {
      query: "quantile(0.9, quantile_over_time(0.9, http_request_duration_ms[5m]))",
      time: seconds,
    });
    expect(exact.result[0].value[1]).toBe("40");
  });

  test("returns warnings and infos, statistics and the plan", async () => {
    const { body } = await ask("/api/v1/query", {
      query: "rate(queue_depth[1m])",
      time: seconds,
      stats: "all",
      explain: "true",
    });
    expect(body.infos).toEqual([
      'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "queue_depth" (1:6)',
    ]);
    expect(body.data.stats.samples.totalQueryableSamples).toBe(2);
    expect(body.data.explain.plan).toEqual([
      "call: rate(queue_depth[1m])",
      "  matrixSelector: queue_depth[1m]",
      "    vectorSelector: queue_depth",
    ]);
    expect(body.data.explain.reads[0]).toMatchObject({ selector: "queue_depth", series: 1, storedSeries: 1 });
    expect(body.data.explain.reads[0].statements[0]).toInclude("samples_20240101");
  });

  test("explains which statement reads samples: ordered for events, unordered for totals", async () => {
    const statements = async (query: string) => {
      const { explain } = await data("/api/v1/query", { query, time: seconds, explain: "true" });
      return explain.reads[0].statements.map((text: string) => [
        text.includes("AS arrivals"),
        text.includes("AS row_count"),
      ]);
    };
    expect(await statements("queue_depth")).toEqual([[false, false]]);
    expect(await statements("http_request_duration_ms")).toEqual([[true, false]]);
    expect(await statements("http_request_duration_ms_count")).toEqual([
      [false, false],
      [false, true],
    ]);
  });

  test("truncates a result at its limit with a warning", async () => {
    const { body } = await ask("/api/v1/query", {
      query: "http_request_duration_ms_count",
      time: seconds + 15,
      limit: 1,
    });
    expect(body.data.result).toHaveLength(1);
    expect(body.warnings).toEqual(["results truncated due to limit"]);
  });
});

describe("query_range", () => {
  test("returns a value per step", async () => {
    expect(
      await data("/api/v1/query_range", {
        query: "queue_depth",
        start: seconds - 45,
        end: seconds,
        step: "15s",
      }),
    ).toEqual({
      resultType: "matrix",
      result: [
        {
          metric: { __name__: "queue_depth", instance: "a", job: "worker" },
          values: [
            [seconds - 30, "3"],
            [seconds - 15, "4"],
            [seconds, "4"],
          ],
        },
      ],
    });
  });
});

describe("errors", () => {
  const bad = async (
    path: string,
    parameters: Parameters,
    status: number,
    errorType: string,
    error: string,
  ) => {
    const answer = await ask(path, parameters);
    expect(answer.body).toEqual({ status: "error", errorType, error });
    expect(answer.status).toBe(status);
  };

  test("have upstream's wording", async () => {
    for (const path of ["query", "format_query", "parse_query", "query_exemplars"]) {
      await bad(
        `/api/v1/${path}`,
        {},
        400,
        "bad_data",
        'invalid parameter "query": 1:1: parse error: no expression found in input',
      );
    }
    await bad(
      "/api/v1/query",
      { query: "sum(up" },
      400,
      "bad_data",
      'invalid parameter "query": 1:7: parse error: unclosed left parenthesis',
    );
    await bad(
      "/api/v1/query",
      { query: "nope(up)" },
      400,
      "bad_data",
      'invalid parameter "query": 1:1: parse error: unknown function with name "nope"',
    );
    await bad(
      "/api/v1/query",
      { query: "up", time: "noon" },
      400,
      "bad_data",
      'invalid parameter "time": cannot parse "noon" to a valid timestamp',
    );
    await bad(
      "/api/v1/query",
      { query: "up", time: "2024-01-01T00:00:00" },
      400,
      "bad_data",
      'invalid parameter "time": cannot parse "2024-01-01T00:00:00" to a valid timestamp',
    );
    await bad(
      "/api/v1/query_range",
      { query: "up", start: 1, end: 0, step: 1 },
      400,
      "bad_data",
      'invalid parameter "end": end timestamp must not be before start time',
    );
    await bad(
      "/api/v1/query_range",
      { query: "up", start: 0, end: 11_001, step: 1 },
      400,
      "bad_data",
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
    // A tenth of a millisecond is a valid step, but too small for this range.
    await bad(
      "/api/v1/query_range",
      { query: "up", start: 0, end: 2, step: 0.0001 },
      400,
      "bad_data",
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
    await bad(
      "/api/v1/query_range",
      { query: "up", start: 0, end: 2, step: "1e300" },
      400,
      "bad_data",
      'invalid parameter "step": cannot parse "1e300" to a valid duration. It overflows int64',
    );
    await bad("/api/v1/series", {}, 400, "bad_data", "no match[] parameter provided");
    await bad(
      "/api/v1/series",
      { "match[]": "" },
      400,
      "bad_data",
      'invalid parameter "match[]": 1:1: parse error: no expression found in input',
    );
    await bad("/api/v1/label/U__/values", {}, 400, "bad_data", 'invalid label name: "U__"');
    // A percent sign, which is a name as any other, is not decoded again.
    expect(await data("/api/v1/label/%25/values")).toEqual([]);
    await bad("/api/v1/metadata", { limit: "x" }, 400, "bad_data", "limit must be a number");
  });

  test("of a timeout name the setting if the request asked for more time, however much", async () => {
    // 30 days in milliseconds exceed the range of a timer.
    expect((await ask("/api/v1/query", { query: "1", timeout: "30d" })).body.status).toBe("success");
    const hasty = await openTestGatewayAt(NOW_MS, "--promql-timeout-ms=1");
    // It takes far longer than the limit on any machine.
    const query = HEAVY.replace("10000s", "200000s");
    const asked = encode({ query, time: NOW_MS / 1000, timeout: "1h" });
    const response = await hasty.fetch(`/api/v1/query?${asked}`);
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 503,
      body: {
        status: "error",
        errorType: "timeout",
        error: "the query took longer than 1 ms (promqlTimeoutMs)",
      },
    });
    await hasty.close();
  });

  test("of a timeout have upstream's status", async () => {
    const { status, body } = await ask("/api/v1/query_range", {
      query: "quantile_over_time(0.5, http_request_duration_ms_bucket[1h:1s])",
      start: seconds,
      end: seconds + 1_000,
      step: 1,
      timeout: "0.0001",
    });
    expect({ status, errorType: body.errorType }).toEqual({ status: 503, errorType: "timeout" });
  });

  test("of the data, and of unsupported features, are 422", async () => {
    await bad(
      "/api/v1/query",
      {
        query: "http_request_duration_ms_count + on () http_request_duration_ms_count",
        time: seconds + 15,
      },
      422,
      "execution",
      "found duplicate series for the match group {} on the right hand-side of the operation: " +
        '[{__name__="http_request_duration_ms_count", operation="get"}, ' +
        '{__name__="http_request_duration_ms_count", operation="put"}];' +
        "many-to-many matching not allowed: matching labels must be unique on one side",
    );
    for (const query of ["limitk(1, up)", "mad_over_time(up[5m])", "step()", "max_of(1, 2)"]) {
      const { status, body } = await ask("/api/v1/query", { query });
      expect(status).toBe(422);
      expect(body.error).toInclude(`${query.slice(0, query.indexOf("("))}() is experimental`);
    }
    expect((await ask("/api/v1/query", { query: "info(up)" })).status).toBe(422);
    expect((await ask("/api/v1/query", { query: "histogram_count(up)" })).status).toBe(422);
  });
});

test("supports what Prometheus 3.14 made stable", async () => {
  const { status, body } = await ask("/api/v1/query", {
    query: "first_over_time(vector(time())[max_of(step(), 1m * 2):1m] offset (30s - 30s))",
    time: "600",
  });
  expect(status).toBe(200);
  // (480 s, 600 s], each minute.
  expect(body.data.result).toEqual([{ metric: {}, value: [600, "540"] }]);
  const parsed = await data("/api/v1/parse_query", { query: "up[-(step()) * 2]" });
  const step = { type: "durationExpr", op: "step", lhs: null, rhs: null, wrapped: true };
  expect(parsed).toMatchObject({
    type: "matrixSelector",
    range: 0,
    rangeExpr: {
      type: "durationExpr",
      op: "*",
      lhs: { type: "durationExpr", op: "-", lhs: null, rhs: step, wrapped: false },
      rhs: { type: "numberLiteral", val: "2", duration: false },
    },
  });
  const printed = "foo[200 - min_of(step() + 10s, -max_of(step() ^ 2, 3))] offset (5m)";
  expect(await data("/api/v1/format_query", { query: printed })).toBe(printed);
});

describe("discovery", () => {
  test("returns series, labels and values", async () => {
    expect(await data("/api/v1/series", { "match[]": ["queue_depth", '{job="nobody"}'] })).toEqual([
      { __name__: "queue_depth", instance: "a", job: "worker" },
    ]);
    expect(await data("/api/v1/labels")).toEqual(["__name__", "instance", "job", "le", "operation"]);
    expect(await data("/api/v1/label/operation/values")).toEqual(["get", "put"]);
    expect(await data("/api/v1/label/__name__/values")).toEqual([
      "http_request_duration_ms",
      "http_request_duration_ms_bucket",
      "http_request_duration_ms_count",
      "http_request_duration_ms_sum",
      "queue_depth",
    ]);
    expect(
      await data("/api/v1/label/le/values", { "match[]": 'http_request_duration_ms_bucket{le=~".*5.0"}' }),
    ).toEqual(["25.0", "5.0"]);
    // Whole days count: the days before have no samples.
    expect(await data("/api/v1/label/job/values", { start: 0, end: seconds - 86_400 })).toEqual([]);
  });

  test("finds labels by their pushed names, and by upstream's escape for them", async () => {
    const pushed = await gateway.fetch("/api/v1/push", {
      method: "POST",
      body: JSON.stringify({
        "@timestamp": NOW_MS,
        metric_name: "jobs.open",
        type: "gauge",
        value: 1,
        tags: { "queue.name": "a" },
      }),
    });
    expect(pushed.status).toBe(200);
    for (const name of ["queue_name", "queue.name", "U__queue_2e_name"]) {
      expect(await data(`/api/v1/label/${name}/values`)).toEqual(["a"]);
      expect(await data(`/api/v1/label/${name}/values`, { "match[]": '{"jobs.open"}' })).toEqual(["a"]);
    }
    expect(await data("/api/v1/labels", { "match[]": "jobs_open" })).toEqual(["__name__", "queue_name"]);
  });

  test("accepts the ends of time as clients write them", async () => {
    const always = { start: "-292273086-05-16T16:47:06Z", end: "292277025-08-18T07:12:54.999999999Z" };
    expect(await data("/api/v1/label/job/values", always)).toEqual(["worker"]);
    expect(await data("/api/v1/series", { "match[]": "queue_depth", ...always })).toHaveLength(1);
  });

  test("returns metadata", async () => {
    const all = await data("/api/v1/metadata");
    expect(all.queue_depth).toEqual([{ type: "gauge", help: "Tasks that wait.", unit: "" }]);
    expect(all.http_request_duration_ms[0].type).toBe("histogram");
    expect(Object.keys(await data("/api/v1/metadata", { metric: "queue_depth" }))).toEqual(["queue_depth"]);
    expect(Object.keys(await data("/api/v1/metadata", { limit: 1 }))).toHaveLength(1);
    expect(await data("/api/v1/metadata", { limit: 0 })).toEqual({});
    expect(await data("/api/v1/metadata", { limit: -1, limit_per_metric: 0 })).toEqual(all);
  });

  test("formats expressions, and returns their syntax trees", async () => {
    expect(await data("/api/v1/format_query", { query: "sum( rate(a{b='c'}[5m]) )by(x)" })).toBe(
      'sum by (x) (rate(a{b="c"}[5m]))',
    );
    expect(await data("/api/v1/parse_query", { query: "-a" })).toEqual({
      type: "unaryExpr",
      op: "-",
      expr: {
        type: "vectorSelector",
        name: "a",
        matchers: [{ name: "__name__", value: "a", type: "=" }],
        offset: 0,
        timestamp: null,
        startOrEnd: null,
      },
    });
  });

  test("returns the status endpoints", async () => {
    expect((await data("/api/v1/status/buildinfo")).version).toMatch(/^3\.\d+\.\d+$/);
    expect((await data("/api/v1/status/flags"))["retention-days"]).toBe("7");
    const { settings } = await data("/api/v1/status/settings");
    expect(settings.find(({ name }: { name: string }) => name === "retentionDays")).toEqual({
      name: "retentionDays",
      flag: "--retention-days",
      variable: "WEIR_RETENTION_DAYS",
      value: "7",
      default: "7",
      origin: "--retention-days",
      what: expect.any(String),
      why: expect.any(String),
    });
    expect(settings.find(({ name }: { name: string }) => name === "data").origin).toBe("--data");
    const tsdb = await data("/api/v1/status/tsdb");
    expect(tsdb.headStats.numSeries).toBe(4);
    // Two operations with sixteen buckets and three more series each, and two gauges.
    expect(tsdb.seriesCountByMetricName).toEqual([
      { name: "http_request_duration_ms_bucket", value: 32 },
      { name: "http_request_duration_ms", value: 2 },
      { name: "http_request_duration_ms_count", value: 2 },
      { name: "http_request_duration_ms_sum", value: 2 },
      { name: "jobs_open", value: 1 },
      { name: "queue_depth", value: 1 },
    ]);
    expect(tsdb.seriesCountByLabelValuePair.slice(0, 4)).toEqual([
      { name: "__name__=http_request_duration_ms_bucket", value: 32 },
      { name: "operation=get", value: 19 },
      { name: "operation=put", value: 19 },
      { name: "__name__=http_request_duration_ms", value: 2 },
    ]);
    const [labels] = [(await data("/api/v1/status/tsdb", { limit: 1 })).labelValueCountByLabelName];
    expect(labels).toEqual([{ name: "le", value: 16 }]);
    expect((await data("/api/v1/status/runtimeinfo")).storageRetention).toBe("7d");
    expect((await data("/api/v1/status/config")).yaml).toBeString();
    expect(await data("/api/v1/rules")).toEqual({ groups: [] });
    expect(await data("/api/v1/alerts")).toEqual({ alerts: [] });
  });
});

test("a large result is streamed in pieces and complete", async () => {
  const { result } = await data("/api/v1/query_range", {
    query: 'label_replace(vector(time()), "x", "y", "", "") or http_request_duration_ms_bucket',
    start: seconds - 10_000,
    end: seconds,
    step: 1,
  });
  expect(result.at(-1).metric).toEqual({ x: "y" });
  expect(result.at(-1).values).toHaveLength(10_001);
  expect(result).toHaveLength(33);
});
