/** OTLP over HTTP on the real gateway: what is stored, and the answer that an OpenTelemetry sender understands. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { attributes, BEGIN_MS, encode, type JsonRequest, nano, read, request } from "./otlp-messages.ts";

const PROTOBUF = "application/x-protobuf";
const JSON_TYPE = "application/json";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGatewayAt(BEGIN_MS + 600_000);
});
afterAll(() => gateway.close());

async function post(
  body: Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string>,
  path = "/v1/metrics",
) {
  const response = await gateway.app.fetch(
    new Request(`http://localhost${path}`, { method: "POST", body, headers }),
  );
  return { response, body: await response.bytes() };
}

async function send(sent: JsonRequest, type = PROTOBUF, path?: string): Promise<Record<string, unknown>> {
  const body = type === PROTOBUF ? new Uint8Array(encode(sent)) : JSON.stringify(sent);
  const answer = await post(body, { "content-type": type }, path);
  expect([answer.response.status, answer.response.headers.get("content-type")]).toEqual([200, type]);
  return type === PROTOBUF
    ? read("ExportMetricsServiceResponse", answer.body)
    : JSON.parse(Buffer.from(answer.body).toString());
}

/** The rows of a query, each as the values of its columns. */
async function sql(statement: string): Promise<unknown[][]> {
  const response = await gateway.app.fetch(
    new Request(`http://localhost/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`),
  );
  const answer = (await response.json()) as { rows: Record<string, unknown>[] };
  expect(response.status).toBe(200);
  return answer.rows.map((row) => Object.values(row));
}

const gauge = (name: string, ...dataPoints: object[]) => ({ name, gauge: { dataPoints } });
const at = (seconds: number, more: object) => ({ timeUnixNano: nano(seconds), ...more });

describe("points", () => {
  test("of protobuf and of JSON are stored alike, and the answer is empty", async () => {
    const metrics = (value: number) => [gauge("temperature", at(value, { asDouble: value }))];
    expect(await send(request(metrics(1), { "service.name": "w" }))).toEqual({ partialSuccess: null });
    expect(await send(request(metrics(2), { "service.name": "w" }), JSON_TYPE)).toEqual({});
    expect(
      await send(request(metrics(3), { "service.name": "w" }), PROTOBUF, "/api/v1/otlp/v1/metrics"),
    ).toEqual({
      partialSuccess: null,
    });
    expect(await sql("SELECT job, value FROM temperature ORDER BY ts")).toEqual([
      ["w", 1],
      ["w", 2],
      ["w", 3],
    ]);
  });

  test("may be compressed with gzip", async () => {
    const body = new Uint8Array(gzipSync(encode(request([gauge("zipped", at(1, { asDouble: 5 }))]))));
    const { response } = await post(body, { "content-type": PROTOBUF, "content-encoding": "gzip" });
    expect(response.status).toBe(200);
    expect(await sql("SELECT value FROM zipped")).toEqual([[5]]);
  });

  test("that are valid are stored, and partial success says how many are not, and why", async () => {
    const metrics = [
      gauge("mixed", at(1, { asDouble: 1 }), at(2, {}), at(3, { asDouble: 3 }), { asDouble: 4 }),
      { name: "rpc", histogram: { dataPoints: [at(1, { count: "1" })] } },
    ];
    const message =
      '3 of 5 data points were rejected: metric "mixed" has neither as_double nor as_int; metric "mixed" has no ' +
      'time: time_unix_nano is 0; metric "rpc": its aggregation_temporality is not set, expected delta (1) or ' +
      "cumulative (2)";
    expect(await send(request(metrics))).toEqual({
      partialSuccess: { rejectedDataPoints: "3", errorMessage: message },
    });
    expect(await send(request(metrics), JSON_TYPE)).toEqual({
      partialSuccess: { rejectedDataPoints: "3", errorMessage: message },
    });
    expect(await sql("SELECT value FROM mixed ORDER BY ts")).toEqual([[1], [3]]);
    expect(
      await gateway.query("SELECT DISTINCT protocol, reason FROM rejected WHERE reason LIKE '%as_int'"),
    ).toEqual([{ protocol: "otlp", reason: 'metric "mixed" has neither as_double nor as_int' }]);
  });

  test("of a histogram count as one rejected point, however many samples they are", async () => {
    const point = { count: "3", sum: 1, bucketCounts: ["1", "1", "1"], explicitBounds: [1, 2] };
    const histogram = {
      name: "h",
      histogram: { aggregationTemporality: 2, dataPoints: [at(-9_999_999, point)] },
    };
    const { partialSuccess } = (await send(request([histogram]))) as {
      partialSuccess: { rejectedDataPoints: string; errorMessage: string };
    };
    expect(partialSuccess.rejectedDataPoints).toBe("1");
    expect(partialSuccess.errorMessage).toStartWith(
      "1 of 1 data points were rejected: time_unix_nano 2023-09-07T06:13:21.000Z is before retention",
    );
  });

  test("that were not stored as they were sent are a warning, with a count of 0", async () => {
    const sum = {
      name: "large",
      sum: {
        isMonotonic: true,
        aggregationTemporality: 2,
        dataPoints: [at(1, { asInt: "9007199254740993" })],
      },
    };
    expect(await send(request([sum]))).toEqual({
      partialSuccess: {
        rejectedDataPoints: "0",
        errorMessage:
          '1 warning: metric "large": value 9007199254740993 was stored as 9007199254740992, the nearest 64-bit float',
      },
    });
    expect(gateway.takeLog().length).toBe(1);
    expect(await sql("SELECT value FROM large_total")).toEqual([[9007199254740992]]);
  });
});

describe("a point that admission decides about", () => {
  /** Sends points of one gauge one after the other, and then looks which values are stored. */
  const ok = (name: string, dataPoints: readonly object[], message: string, stored: readonly number[]) =>
    test(name, async () => {
      const metric = `decided_${name.replaceAll(/\W/g, "_")}`;
      const messages: string[] = [];
      for (const point of dataPoints) {
        const { partialSuccess } = (await send(request([gauge(metric, point)]))) as {
          partialSuccess: { errorMessage: string } | null;
        };
        if (partialSuccess !== null) messages.push(partialSuccess.errorMessage);
      }
      expect(messages.join()).toContain(message);
      expect(messages.length).toBe(message === "" ? 0 : 1);
      const rows = stored.length === 0 ? [] : await sql(`SELECT value FROM ${metric} ORDER BY ts`);
      expect(rows.flat()).toEqual([...stored]);
    });
  const one = (more: object, seconds = 1) => at(seconds, { asDouble: 1, ...more });
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`a${index}`, "x"]));
  ok("is out of order", [one({}, 5), one({ asDouble: 2 }, 3)], "", [2, 1]);
  ok("is repeated", [one({}), one({})], "", [1]);
  ok(
    "has another value at the same time",
    [one({}), one({ asDouble: 2 })],
    "1 of 1 data points were rejected",
    [1],
  );
  ok("is before retention", [one({}, -9_000_000)], "is before retention", []);
  ok("is in the future", [one({}, 9_000_000)], "is in the future", []);
  ok(
    "has too many attributes",
    [one({ attributes: attributes(many) })],
    "at most 64 are accepted (tagsMax)",
    [],
  );
  ok(
    "has a name that is too long",
    [one({ attributes: attributes({ ["x".repeat(256)]: "y" }) })],
    "is longer than 255 bytes (nameBytesMax)",
    [],
  );
  ok(
    "has a value that is too long",
    [one({ attributes: attributes({ x: "y".repeat(4_097) }) })],
    "at most 4096 are accepted (tagValueBytesMax)",
    [],
  );
  ok(
    "has an attribute with the name of the metric",
    [one({ attributes: attributes({ __name__: "y" }) })],
    "is reserved for the name of the metric",
    [],
  );

  test("gets the labels of extra_label, and does not count in totals if it is historical", async () => {
    const sent = request([gauge("extra", one({}))]);
    expect(await send(sent, PROTOBUF, "/v1/metrics?extra_label=site=berlin&historical=true")).toEqual({
      partialSuccess: null,
    });
    expect(await sql("SELECT site, value FROM extra")).toEqual([["berlin", 1]]);
    expect((await gateway.exposed()).filter((line) => line.startsWith("extra"))).toEqual([]);
  });

  test("has exemplars that lead to its trace", async () => {
    const exemplars = [
      { timeUnixNano: nano(1), asDouble: 0.25, traceId: "0af7651916cd43dd8448eb211c80319c" },
    ];
    const point = at(1, {
      count: "1",
      sum: 0.25,
      bucketCounts: ["1", "0"],
      explicitBounds: [0.5],
      exemplars,
    });
    await send(request([{ name: "traced", histogram: { aggregationTemporality: 2, dataPoints: [point] } }]));
    const path = "/api/v1/query_exemplars?query=traced_bucket&start=1704067200&end=1704067260";
    expect(await (await gateway.fetch(path)).json()).toEqual({
      status: "success",
      data: [
        {
          seriesLabels: { __name__: "traced_bucket", le: "0.5" },
          exemplars: [
            {
              labels: { trace_id: "0af7651916cd43dd8448eb211c80319c" },
              value: "0.25",
              timestamp: 1_704_067_201,
            },
          ],
        },
      ],
    });
  });
});

describe("increments with exemplars", () => {
  const exemplar = (seconds: number, asDouble: number) => ({
    timeUnixNano: nano(seconds),
    asDouble,
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    filteredAttributes: attributes({ task_id: "t-7" }),
  });
  const labels = {
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span_id: "b7ad6b7169203331",
    task_id: "t-7",
  };
  const found = async (query: string) => {
    const path = `/api/v1/query_exemplars?query=${encodeURIComponent(query)}&start=1704067200&end=1704067260`;
    return ((await (await gateway.fetch(path)).json()) as { data: unknown }).data;
  };

  test("lead from the buckets of a histogram and from a counter to a trace", async () => {
    const point = at(3, {
      count: "2",
      sum: 1.25,
      bucketCounts: ["1", "1"],
      explicitBounds: [0.5],
      exemplars: [exemplar(2, 0.25), exemplar(3, 1)],
    });
    const counted = at(3, { asInt: "1", exemplars: [exemplar(3, 1)] });
    await send(
      request([
        { name: "steps", unit: "s", histogram: { aggregationTemporality: 1, dataPoints: [point] } },
        { name: "stepped", sum: { isMonotonic: true, aggregationTemporality: 1, dataPoints: [counted] } },
      ]),
    );
    const bucket = (le: string, value: string, timestamp: number) => ({
      seriesLabels: { __name__: "steps_seconds_bucket", le },
      exemplars: [{ labels, value, timestamp }],
    });
    expect(await found("histogram_quantile(0.9, rate(steps_seconds_bucket[5m]))")).toEqual([
      bucket("+Inf", "1", 1_704_067_203),
      bucket("0.5", "0.25", 1_704_067_202),
    ]);
    expect(await found("stepped_total")).toEqual([
      {
        seriesLabels: { __name__: "stepped_total" },
        exemplars: [{ labels, value: "1", timestamp: 1_704_067_203 }],
      },
    ]);
  });
});

describe("a running total", () => {
  test("counts from 0 at its start, and a restart is seen although the new total is larger", async () => {
    const total = (start: number, seconds: number, value: string) => ({
      name: "restarts",
      sum: {
        isMonotonic: true,
        aggregationTemporality: 2,
        dataPoints: [at(seconds, { startTimeUnixNano: nano(start), asInt: value })],
      },
    });
    for (const [start, seconds, value] of [
      [10, 20, "5"],
      [10, 30, "6"],
      [35, 40, "7"],
    ] as const)
      expect(await send(request([total(start, seconds, value)]))).toEqual({ partialSuccess: null });
    expect((await sql("SELECT value FROM restarts_total ORDER BY ts")).flat()).toEqual([0, 5, 6, 0, 7]);
    const query = "/api/v1/query?time=1704067241&query=resets(restarts_total[40s])";
    const { data } = (await (await gateway.fetch(query)).json()) as {
      data: { result: { value: [number, string] }[] };
    };
    expect(data.result[0]?.value[1]).toBe("1");
  });
});

describe("an exponential histogram", () => {
  test("keeps the bounds of its metric when the gateway restarts", async () => {
    const own = await openTestGatewayAt(BEGIN_MS + 600_000);
    const push = async (seconds: number, offset: number) => {
      const dataPoints = [
        at(seconds, { count: "1", sum: 1, scale: 0, positive: { offset, bucketCounts: ["1"] } }),
      ];
      const metric = { name: "spread", exponentialHistogram: { aggregationTemporality: 2, dataPoints } };
      const body = new Uint8Array(encode(request([metric])));
      expect(
        (await own.fetch("/v1/metrics", { method: "POST", body, headers: { "content-type": PROTOBUF } }))
          .status,
      ).toBe(200);
    };
    await push(1, 0);
    await own.reopen();
    await push(2, 2);
    expect(await own.exposed()).toEqual([
      'spread_bucket{instance="",le="1.0"} 0',
      'spread_bucket{instance="",le="2.0"} 0',
      'spread_bucket{instance="",le="4.0"} 0',
      'spread_bucket{instance="",le="8.0"} 1',
      'spread_bucket{instance="",le="+Inf"} 1',
      'spread_sum{instance=""} 1',
      'spread_count{instance=""} 1',
    ]);
    await own.close();
  });
});

describe("increments", () => {
  const sum = (name: string, aggregationTemporality: number, ...dataPoints: object[]) => ({
    name,
    sum: { isMonotonic: true, aggregationTemporality, dataPoints },
  });

  test("are added up, without an instance, and stored once if a request is repeated", async () => {
    const first = request([sum("jobs", 1, at(1, { asInt: "3" }))], { "service.name": "w" });
    const second = request([sum("jobs", 1, at(2, { asInt: "4" }))], { "service.name": "w" });
    for (const sent of [first, second, first, second]) await send(sent);
    expect(await sql("SELECT sum(value), count(*) FROM jobs_total")).toEqual([[7, 2]]);
    const metrics = await gateway.app.fetch(new Request("http://localhost/metrics?name[]=jobs_total"));
    expect(await metrics.text()).toContain('\njobs_total{instance="",job="w"} 7\n');
  });

  test("are stored once if a request is repeated after a restart", async () => {
    const own = await openTestGatewayAt(BEGIN_MS + 600_000);
    const body = new Uint8Array(encode(request([sum("again", 1, at(1, { asInt: "3" }), at(2, {}))])));
    const answers: string[] = [];
    for (let time = 0; time < 2; time++) {
      const response = await own.fetch("/v1/metrics", {
        method: "POST",
        body,
        headers: { "content-type": PROTOBUF },
      });
      answers.push(Buffer.from(await response.bytes()).toString("latin1"));
      await own.reopen();
    }
    expect(answers[1]).toBe(answers[0]!);
    expect(answers[0]).toContain("1 of 2 data points were rejected");
    expect(await own.exposed()).toEqual(['again_total{instance=""} 3']);
    await own.close();
  });

  test("are stored beside target_info, which is the same in several requests of one time", async () => {
    const resource = { "service.name": "w", "service.instance.id": "i", "machine.id": "m" };
    for (const value of ["1", "2"])
      await send(request([sum("beside", 1, at(1, { asInt: value }))], resource));
    await send(request([sum("beside", 1, at(2, { asInt: "4" }))], resource));
    expect(await sql("SELECT value FROM beside_total ORDER BY value")).toEqual([[1], [2], [4]]);
    expect(await sql("SELECT count(*) FROM target_info WHERE instance = 'i'")).toEqual([[2]]);
  });

  test("have the attributes of one event as columns", async () => {
    const point = at(1, { asInt: "1", attributes: attributes({ task_id: "t-1", operation: "get" }) });
    await send(request([sum("calls", 1, point)]));
    expect(await sql("SELECT task_id, operation, value FROM calls_total")).toEqual([["t-1", "get", 1]]);
  });

  test("of a metric with running totals are rejected", async () => {
    await send(request([sum("both", 2, at(1, { asInt: "3" }))]));
    expect(await send(request([sum("both", 1, at(2, { asInt: "4" }))]))).toEqual({
      partialSuccess: {
        rejectedDataPoints: "1",
        errorMessage: expect.stringContaining(
          'metric "both_total" is stored as cumulative, this sample is delta',
        ),
      },
    });
  });
});

describe("a histogram of increments", () => {
  const point = (seconds: number, counts: readonly number[], total: number) =>
    at(seconds, {
      count: String(counts.reduce((a, b) => a + b, 0)),
      sum: total,
      bucketCounts: counts.map(String),
      explicitBounds: [1, 2],
      attributes: attributes({ op: "get" }),
    });
  const histogram = (...dataPoints: object[]) =>
    request([
      {
        name: "wait",
        unit: "s",
        description: "Waiting.",
        histogram: { aggregationTemporality: 1, dataPoints },
      },
    ]);

  test("is one histogram on /metrics, for workers that restart and for a gateway that restarts", async () => {
    const own = await openTestGatewayAt(BEGIN_MS + 600_000);
    const push = async (sent: JsonRequest) => {
      const init = {
        method: "POST",
        body: new Uint8Array(encode(sent)),
        headers: { "content-type": PROTOBUF },
      };
      expect((await own.fetch("/v1/metrics", init)).status).toBe(200);
    };
    const exposed = async () => (await own.exposed()).filter((line) => line.startsWith("wait"));
    await push(histogram(point(1, [1, 2, 0], 3.5)));
    await push(histogram(point(2, [0, 1, 1], 7)));
    const want = [
      'wait_seconds_bucket{instance="",op="get",le="1.0"} 1',
      'wait_seconds_bucket{instance="",op="get",le="2.0"} 4',
      'wait_seconds_bucket{instance="",op="get",le="+Inf"} 5',
      'wait_seconds_sum{instance="",op="get"} 10.5',
      'wait_seconds_count{instance="",op="get"} 5',
    ];
    expect(await exposed()).toEqual(want);
    await own.reopen();
    expect(await exposed()).toEqual(want);
    await push(histogram(point(3, [1, 0, 0], 0.5)));
    expect((await exposed()).map((line) => Number(line.split(" ")[1]))).toEqual([2, 5, 6, 11, 6]);
    const text = await (await own.fetch("/metrics?name[]=wait_seconds")).text();
    expect(text).toContain("# HELP wait_seconds Waiting.\n# TYPE wait_seconds histogram\n");
    const openMetrics = await own.fetch("/metrics?name[]=wait_seconds", {
      headers: { accept: "application/openmetrics-text; version=1.0.0" },
    });
    expect(await openMetrics.text()).toContain('wait_seconds_created{instance="",op="get"} 1704067201');

    const ask = async (path: string) => ((await (await own.fetch(path)).json()) as { data: unknown }).data;
    const query = (text: string) => ask(`/api/v1/query?time=1704067260&query=${encodeURIComponent(text)}`);
    const vector = async (text: string) =>
      ((await query(text)) as { result: { value: [number, string] }[] }).result.map(({ value }) =>
        Number(value[1]),
      );
    expect(await vector("sum by (le) (increase(wait_seconds_bucket[5m]))")).toHaveLength(3);
    // Half of six observations are in (1, 2]: the third is one past the two of the first bucket, of three in this one.
    expect(await vector("histogram_quantile(0.5, sum by (le) (wait_seconds_bucket))")).toEqual([1 + 1 / 3]);
    expect(await vector("wait_seconds_sum / wait_seconds_count")).toEqual([11 / 6]);
    expect(await query("wait_seconds_bucket_total")).toEqual({ resultType: "vector", result: [] });
    expect(await ask("/api/v1/metadata?metric=wait_seconds")).toEqual({
      wait_seconds: [{ type: "histogram", help: "Waiting.", unit: "seconds" }],
    });
    await own.close();
  });

  test("counts as one series per label set for the guard, and all of its parts lose the same label", async () => {
    const own = await openTestGatewayAt(BEGIN_MS + 600_000, "--series-per-metric-max=3");
    const push = async (op: string) => {
      const body = new Uint8Array(
        encode(histogram({ ...point(1, [1, 1, 1], 4), attributes: attributes({ op, kind: "k" }) })),
      );
      const init = { method: "POST", body, headers: { "content-type": PROTOBUF } };
      expect((await own.fetch("/v1/metrics", init)).status).toBe(200);
    };
    const demoted = () => own.query("SELECT metric, label FROM weir.demotions ORDER BY metric");
    for (const op of ["a", "b", "c"]) await push(op);
    expect(await demoted()).toEqual([]);
    await push("d");
    expect(await demoted()).toEqual([
      { metric: "wait_seconds_bucket", label: "op" },
      { metric: "wait_seconds_count", label: "op" },
      { metric: "wait_seconds_sum", label: "op" },
    ]);
    expect((await own.exposed()).filter((line) => line.includes("_count"))).toEqual([
      'wait_seconds_count{instance="",kind="k"} 3',
    ]);
    await own.close();
  });

  test("can be summed in SQL by bucket", async () => {
    await send(histogram(point(1, [1, 2, 0], 3.5), point(2, [0, 1, 1], 7)));
    expect(await sql("SELECT le, sum(value) FROM wait_seconds_bucket GROUP BY le ORDER BY 2")).toEqual([
      ["1.0", 1],
      ["2.0", 4],
      ["+Inf", 5],
    ]);
  });
});

describe("an error", () => {
  const bad = (
    name: string,
    body: string,
    headers: Record<string, string>,
    status: number,
    message: string,
    path?: string,
  ) =>
    test(name, async () => {
      const answer = await post(body, headers, path);
      const isProtobuf = headers["content-type"] === PROTOBUF;
      expect(answer.response.status).toBe(status);
      expect(answer.response.headers.get("content-type")).toBe(isProtobuf ? PROTOBUF : JSON_TYPE);
      const said = isProtobuf ? read("Status", answer.body) : JSON.parse(Buffer.from(answer.body).toString());
      expect(said.message).toContain(message);
      expect(answer.response.headers.has("retry-after")).toBe(status === 429 || status === 503);
    });

  bad(
    "names the byte of a body that is no protobuf",
    "\u0007",
    { "content-type": PROTOBUF },
    400,
    "the body is not a protobuf message",
  );
  bad(
    "names the byte of a body that is no JSON",
    '{"a":',
    { "content-type": JSON_TYPE },
    400,
    "the body is not JSON: byte 5 is the end, where a JSON value was expected",
  );
  bad(
    "says that a body of JSON is empty",
    "",
    { "content-type": JSON_TYPE },
    400,
    "the body is empty, expected a JSON object",
  );
  bad(
    "names a Content-Type that is not supported",
    "",
    { "content-type": "text/plain" },
    415,
    'Content-Type "text/plain" is not supported; expected application/x-protobuf or application/json.',
  );
  bad(
    "names an encoding that is not supported",
    "",
    { "content-type": PROTOBUF, "content-encoding": "lz4" },
    415,
    'Content-Encoding "lz4" is not supported',
  );
  bad(
    "names a parameter that is unknown",
    "",
    { "content-type": PROTOBUF },
    400,
    'Query parameter "x" is unknown',
    "/v1/metrics?x=1",
  );
  bad(
    "says that traces are not stored",
    "",
    { "content-type": PROTOBUF },
    404,
    "Weir stores metrics only, not traces: set OTEL_TRACES_EXPORTER=none",
    "/v1/traces",
  );
  bad(
    "says that logs are not stored",
    "{}",
    { "content-type": JSON_TYPE },
    404,
    "Weir stores metrics only, not logs: set OTEL_LOGS_EXPORTER=none",
    "/v1/logs",
  );
  bad(
    "names the encoding of a body that is compressed without a header",
    "\u001f\u008b",
    { "content-type": JSON_TYPE },
    400,
    "the body is not JSON",
  );
  bad(
    "names the route of JSON events",
    '[{"metric_name":"x","value":1}]',
    { "content-type": JSON_TYPE },
    400,
    "The body looks like JSON events: push them to /api/v1/push.",
  );
  bad(
    "names a field of traces",
    '{"resourceSpans":[]}',
    { "content-type": JSON_TYPE },
    400,
    'the body has no field "resourceMetrics", it has "resourceSpans"',
  );
  // Spans and records of logs have names too, and must not be taken for events.
  for (const [field, signal] of [
    ["resourceSpans", "traces"],
    ["resource_logs", "logs"],
  ])
    bad(
      `says that Weir does not store the ${signal} of a body with ${field}`,
      `{"${field}":[{"scope":{"name":"x"}}]}`,
      { "content-type": JSON_TYPE },
      400,
      `with names in lowerCamelCase. The body looks like ${signal} of OpenTelemetry: Weir stores metrics only.`,
    );

  test("gives no hint to another route for metrics with names in snake_case", async () => {
    const body = '{"resource_metrics":[{"scope_metrics":[{"metrics":[{"name":"x"}]}]}]}';
    const answer = await post(body, { "content-type": JSON_TYPE });
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual({
      code: 3,
      message:
        'the body has no field "resourceMetrics", it has "resource_metrics"; expected an ExportMetricsServiceRequest ' +
        "with names in lowerCamelCase",
    });
  });

  const field = (path: string, sent: object, message: string) =>
    bad(`names ${path}`, JSON.stringify(sent), { "content-type": JSON_TYPE }, 400, `${path} is ${message}`);
  const point = (value: object) => request([gauge("x", value)]);
  const own = "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0]";
  field("resourceMetrics", { resourceMetrics: 1 }, "1, expected an array");
  field("resourceMetrics[0]", { resourceMetrics: ["x"] }, '"x", expected an object');
  field(
    `${own}.timeUnixNano`,
    point({ timeUnixNano: "x" }),
    '"x", expected a whole number from 0 to 18446744073709551615',
  );
  field(`${own}.timeUnixNano`, point({ timeUnixNano: -1 }), "-1, expected a whole number from 0");
  field(`${own}.asInt`, point({ asInt: 1.5 }), "1.5, expected a whole number from -9223372036854775808");
  field(`${own}.asInt`, point({ asInt: "9223372036854775808" }), '"9223372036854775808", expected');
  field(
    `${own}.asDouble`,
    point({ asDouble: "many" }),
    '"many", expected a number, "NaN", "Infinity" or "-Infinity"',
  );
  field(
    `${own}.attributes[0].value.boolValue`,
    point({ attributes: [{ value: { boolValue: 1 } }] }),
    "1, expected true or false",
  );
  field(`${own}.attributes[0].key`, point({ attributes: [{ key: 1 }] }), "1, expected a text");
  field(
    `${own}.exemplars[0].traceId`,
    point({ exemplars: [{ traceId: "0g" }] }),
    '"0g", expected an even number of hexadecimal digits',
  );
  field(
    "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality",
    request([{ sum: { aggregationTemporality: "AGGREGATION_TEMPORALITY_DELTA" } }]),
    '"AGGREGATION_TEMPORALITY_DELTA", expected a whole number from 0',
  );
});

describe("a sender of the metrics track", () => {
  test("finds its metrics and attributes under the names that Prometheus gives them", async () => {
    const counter = (name: string, value: number, plain: Record<string, string>) => ({
      name,
      unit: "1",
      description: "Total number of jobs processed",
      sum: {
        isMonotonic: true,
        aggregationTemporality: 2,
        dataPoints: [at(5, { asDouble: value, attributes: attributes(plain) })],
      },
    });
    const labels = { service: "comfy", priority: "5", worker_id: "w-1" };
    const bounds = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 600];
    const metrics = [
      counter("jobs_processed_total", 2, { ...labels, status: "started" }),
      counter("errors_total", 1, { ...labels, error_type: "timeout", error_name: "Error" }),
      {
        name: "jobs_active",
        unit: "1",
        sum: {
          isMonotonic: false,
          aggregationTemporality: 2,
          dataPoints: [at(5, { asInt: "1", attributes: attributes(labels) })],
        },
      },
      { ...gauge("queue_size", at(5, { asDouble: 3 })), unit: "1" },
      gauge("gpu_utilization_percent", at(5, { asDouble: 75, attributes: attributes({ gpu_index: "0" }) })),
      {
        name: "job_duration_seconds",
        unit: "s",
        histogram: {
          aggregationTemporality: 2,
          dataPoints: [
            at(5, {
              count: "1",
              sum: 3,
              bucketCounts: bounds.map((bound) => (bound === 5 ? "1" : "0")).concat("0"),
              explicitBounds: bounds,
              attributes: attributes(labels),
            }),
          ],
        },
      },
      {
        ...gauge(
          "system.cpu.utilization",
          at(5, { asDouble: 0.5, attributes: attributes({ cpu: "cpu0", state: "user" }) }),
        ),
        unit: "1",
      },
      {
        name: "system.disk.io",
        unit: "By",
        sum: {
          isMonotonic: true,
          aggregationTemporality: 2,
          dataPoints: [
            at(5, { asInt: "4096", attributes: attributes({ device: "sda", direction: "read" }) }),
          ],
        },
      },
    ];
    const resource = {
      "service.name": "emp-job-queue",
      "machine.id": "m-1",
      "deployment.environment": "production",
    };
    expect(await send(request(metrics, resource))).toEqual({ partialSuccess: null });
    expect(await sql("SELECT service, priority, worker_id, status, value FROM jobs_processed_total")).toEqual(
      [["comfy", "5", "w-1", "started", 2]],
    );
    expect(await sql("SELECT error_type, error_name, value FROM errors_total")).toEqual([
      ["timeout", "Error", 1],
    ]);
    expect(await sql("SELECT worker_id, value FROM jobs_active")).toEqual([["w-1", 1]]);
    expect(await sql("SELECT value FROM queue_size_ratio")).toEqual([[3]]);
    expect(await sql("SELECT gpu_index, value FROM gpu_utilization_percent")).toEqual([["0", 75]]);
    expect(await sql("SELECT cpu, state, value FROM system_cpu_utilization_ratio")).toEqual([
      ["cpu0", "user", 0.5],
    ]);
    expect(await sql("SELECT device, direction, value FROM system_disk_io_bytes_total")).toEqual([
      ["sda", "read", 4096],
    ]);
    expect(
      await sql("SELECT deployment_environment, machine_id, job FROM target_info WHERE machine_id = 'm-1'"),
    ).toEqual([["production", "m-1", "emp-job-queue"]]);
    const query = "histogram_quantile(0.5, sum by (le) (job_duration_seconds_bucket))";
    const response = await gateway.app.fetch(
      new Request(`http://localhost/api/v1/query?time=1704067210&query=${encodeURIComponent(query)}`),
    );
    const answer = (await response.json()) as { data: { result: { value: [number, string] }[] } };
    // The only observation is in (2, 5]: the middle of that bucket.
    expect(answer.data.result[0]?.value[1]).toBe("3.5");
  });
});
