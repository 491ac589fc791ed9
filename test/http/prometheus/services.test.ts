/**
 * The paths that dashboards of services request, with the real gateway: a range with an optional step, the list of
 * services of any protocol, and errors as Prometheus answers them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { encodeV1 } from "../../receive/remote-write/messages.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

const NOW = NOW_MS / 1000;

let gateway: TestGateway;

async function send(method: string, path: string, body: string | Uint8Array, headers = {}): Promise<number> {
  const request = new Request(`http://localhost${path}`, {
    method,
    body: body as Uint8Array<ArrayBuffer>,
    headers,
  });
  return (await gateway.app.fetch(request)).status;
}

async function ask(path: string, parameters: Record<string, string | number> = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) query.set(name, String(value));
  const response = await gateway.fetch(`${path}?${query}`);
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    body: (await response.json()) as ReturnType<typeof JSON.parse>,
  };
}

const JSON_TYPE = "application/json; charset=utf-8";

describe("/api/metrics/services", () => {
  beforeAll(async () => {
    gateway = await openTestGatewayAt(NOW_MS);
  });
  afterAll(() => gateway.close());

  test("an unknown path names the routes below or beside it, and a misspelt one the route that was meant", async () => {
    const routes = "/api/metrics/health, /api/metrics/query_range or /api/metrics/services";
    for (const [path, meant] of [
      ["/api/metrics/foo", routes],
      ["/api/metrics", routes],
      ["/api/metrics/helth", "/api/metrics/health"],
      ["/api/metric/services", "/api/metrics/services"],
    ]) {
      const { status, body } = await ask(path!);
      expect([status, JSON.stringify(body)]).toEqual([
        404,
        expect.stringContaining(`did you mean ${meant}?`),
      ]);
    }
    // There are too many routes in this folder to list them.
    expect(JSON.stringify((await ask("/api/v1/nonsense_of_mine")).body)).toContain("lists all routes");
  });

  const services = async () => {
    const { status, type, body } = await ask("/api/metrics/services");
    expect([status, type]).toEqual([200, JSON_TYPE]);
    return body;
  };

  test("is an empty list if nothing was pushed", async () => {
    expect(await services()).toEqual([]);
  });

  test("is a bare sorted list of the services in Python's info metrics, pushed and scraped", async () => {
    // prometheus_client writes an Info as a gauge in text 0.0.4,
    const text = `# HELP asdlc_service_info Service information
# TYPE asdlc_service_info gauge
asdlc_service_info{service="workers",version="1.0.0"} 1.0
`;
    expect(await send("PUT", "/metrics/job/asdlc-workers", text)).toBe(200);
    expect(await services()).toEqual(["workers"]);
    // and as an info in OpenMetrics, where the family's name has no suffix.
    const openMetrics = `# HELP asdlc_service Service information
# TYPE asdlc_service info
asdlc_service_info{service="orchestrator",version="1.0.0"} 1.0
# EOF
`;
    expect(
      await send("PUT", "/metrics/job/asdlc-orchestrator", openMetrics, {
        "content-type": "application/openmetrics-text; version=1.0.0",
      }),
    ).toBe(200);
    expect(await services()).toEqual(["orchestrator", "workers"]);
    const scraped = encodeV1([
      {
        labels: {
          __name__: "asdlc_service_info",
          instance: "review:8080",
          job: "asdlc-review",
          service: "Review",
          version: "1.0.0",
        },
        samples: [{ value: 1, timestamp: NOW_MS - 1000 }],
      },
    ]);
    expect(
      await send("POST", "/api/v1/write", snappyjs.compress(scraped), {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
      }),
    ).toBe(204);
    expect(await services()).toEqual(["Review", "orchestrator", "workers"]);
  });

  test("has services without an info metric, by the label service of other series, each once", async () => {
    const text = `# TYPE asdlc_active_tasks gauge
asdlc_active_tasks{service="scheduler"} 3
asdlc_active_tasks{service="workers"} 4
# TYPE up_to_date gauge
up_to_date{service_name="other"} 1
`;
    expect(await send("PUT", "/metrics/job/asdlc", text)).toBe(200);
    expect(await services()).toEqual(["Review", "orchestrator", "scheduler", "workers"]);
  });
});

describe("/api/metrics/query_range", () => {
  beforeAll(async () => {
    gateway = await openTestGatewayAt(NOW_MS);
    const events = [-60, -30, -15, 0].map((second, value) => ({
      "@timestamp": NOW_MS + second * 1000,
      metric_name: "asdlc_active_tasks",
      type: "gauge",
      value,
      tags: { service: "workers" },
    }));
    expect(await send("POST", "/api/v1/push", JSON.stringify(events))).toBe(200);
  });
  afterAll(() => gateway.close());

  /** Values 0 to 3 at -60, -30, -15 and 0 s, as a step of 15 s finds them. */
  const matrix = {
    status: "success",
    data: {
      resultType: "matrix",
      result: [
        {
          metric: { __name__: "asdlc_active_tasks", service: "workers" },
          values: [
            [NOW - 60, "0"],
            [NOW - 45, "0"],
            [NOW - 30, "1"],
            [NOW - 15, "2"],
            [NOW, "3"],
          ],
        },
      ],
    },
  };
  const query = 'asdlc_active_tasks{service="workers"}';

  test("uses 15 s for a step that is absent or empty, and answers as Prometheus does", async () => {
    const range = { query, start: NOW - 60, end: NOW };
    const want = { status: 200, type: JSON_TYPE, body: matrix };
    expect(await ask("/api/metrics/query_range", range)).toEqual(want);
    expect(await ask("/api/metrics/query_range", { ...range, step: "" })).toEqual(want);
    expect(await ask("/api/v1/query_range", { ...range, step: "15s" })).toEqual(want);
  });

  test("accepts times as RFC 3339, with and without fractions and zones, and as seconds", async () => {
    const times: readonly (readonly [string | number, string | number])[] = [
      ["2024-01-01T00:09:00Z", "2024-01-01T00:10:00Z"],
      ["2024-01-01T00:09:00.000Z", "2024-01-01T02:10:00+02:00"],
      [NOW - 60, `${NOW}.000`],
    ];
    for (const [start, end] of times) {
      expect((await ask("/api/metrics/query_range", { query, start, end })).body).toEqual(matrix);
    }
  });

  test("accepts another step, as a duration or as seconds", async () => {
    for (const step of ["30s", "30", "30000ms"]) {
      const { body } = await ask("/api/metrics/query_range", { query, start: NOW - 60, end: NOW, step });
      expect(body.data.result[0].values).toEqual([
        [NOW - 60, "0"],
        [NOW - 30, "1"],
        [NOW, "3"],
      ]);
    }
  });

  test("accepts a form, as /api/v1/query_range does", async () => {
    const body = new URLSearchParams({ query, start: String(NOW - 60), end: String(NOW) }).toString();
    const response = await gateway.fetch("/api/metrics/query_range", { method: "POST", body });
    expect(await response.json()).toEqual(matrix);
  });

  test("answers errors as Prometheus does, with the field that dashboards of the proxy show", async () => {
    const range = { query, start: NOW - 60, end: NOW };
    const without = (name: keyof typeof range) =>
      Object.fromEntries(Object.entries(range).filter(([key]) => key !== name));
    const bad = (error: string) => ({
      status: 400,
      type: JSON_TYPE,
      body: { detail: error, status: "error", errorType: "bad_data", error },
    });
    const path = "/api/metrics/query_range";
    for (const name of ["query", "start", "end"] as const) {
      const missing = { type: "missing", loc: ["query", name], msg: "Field required", input: null };
      const error = `invalid parameter "${name}": it is missing`;
      expect(await ask(path, without(name))).toEqual({
        status: 422,
        type: JSON_TYPE,
        body: { detail: [missing], status: "error", errorType: "bad_data", error },
      });
    }
    expect((await ask(path, { ...range, query: "sum(" })).status).toBe(400);
    expect(await ask(path, { ...range, step: 0 })).toEqual(
      bad(
        'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
      ),
    );
    expect(await ask(path, { ...range, end: NOW - 61 })).toEqual(
      bad('invalid parameter "end": end timestamp must not be before start time'),
    );
    // 11,000 steps of 15 s are 45 hours and 50 minutes.
    expect(await ask(path, { ...range, start: NOW - 165_001 })).toEqual(
      bad(
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
      ),
    );
    expect((await ask(path, { ...range, start: NOW - 165_000 })).status).toBe(200);
  });
});
