/** VictoriaMetrics' import API over HTTP, with values that are read back by SQL. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { Counter, Histogram, Pushgateway, Registry } from "prom-client";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
});
afterAll(() => gateway.close());

const line = (metric: Record<string, string>, values: unknown[], timestamps: number[]) =>
  `${JSON.stringify({ metric, values, timestamps })}\n`;

const sql = async (text: string) => {
  const [, json] = await gateway.send("POST /api/v1/sql", text);
  return (JSON.parse(json) as { rows: Record<string, unknown>[] }).rows;
};

const rows = (metric: string) =>
  sql(
    `SELECT labels::VARCHAR AS labels, epoch_ms(ts) AS ms, value FROM samples WHERE metric = '${metric}' ORDER BY ALL`,
  );

describe("POST /api/v1/import", () => {
  test("stores all samples of all lines before it answers 204", async () => {
    const body =
      line({ __name__: "load", job: "b", host: "a" }, [1, 2], [NOON_MS - 1000, NOON_MS]) +
      line({ __name__: "load", job: "c" }, [3], [NOON_MS]);
    expect(await gateway.send("POST /api/v1/import", body)).toEqual([204, ""]);
    expect(await rows("load")).toEqual([
      { labels: "{host=a, job=b}", ms: NOON_MS - 1000, value: 1 },
      { labels: "{host=a, job=b}", ms: NOON_MS, value: 2 },
      { labels: "{job=c}", ms: NOON_MS, value: 3 },
    ]);
  });

  test("stores the valid lines, and answers 400 with the number and the reasons of the others", async () => {
    const body = `${line({ __name__: "part" }, [1], [NOON_MS])}oops\n${line({ __name__: "part" }, [2, 3], [NOON_MS - 1, 5])}`;
    expect(await gateway.send("POST /api/v1/import", body)).toEqual([
      400,
      '2 of 3 lines were not stored, or only partly. The others are stored. The first: line 2: it has "oops" where an object was expected\n' +
        "line 3: timestamp 1970-01-01T00:00:00.005Z is before retention, which starts at 2024-10-02T00:00:00.000Z (--retention-days 3; 20001 would cover it)" +
        ': {"timestamp":"1970-01-01T00:00:00.005Z","__name__":"part","value":3,"labels":{}}',
    ]);
    expect(await rows("part")).toEqual([
      { labels: "{}", ms: NOON_MS - 1, value: 2 },
      { labels: "{}", ms: NOON_MS, value: 1 },
    ]);
    expect(await sql("SELECT protocol, payload FROM rejected WHERE payload = 'oops'")).toEqual([
      { protocol: "victoria_metrics", payload: "oops" },
    ]);
  });

  test("a body that is sent again is stored once, and another value at a stored time is rejected", async () => {
    const body = line({ __name__: "again" }, [1], [NOON_MS]);
    expect(await gateway.send("POST /api/v1/import", body)).toEqual([204, ""]);
    expect(await gateway.send("POST /api/v1/import", body)).toEqual([204, ""]);
    const [status, text] = await gateway.send(
      "POST /api/v1/import",
      line({ __name__: "again" }, [2], [NOON_MS]),
    );
    expect([status, text.slice(0, 70)]).toEqual([
      400,
      "1 of 1 lines were not stored, or only partly. Nothing was stored. The ",
    ]);
    expect(await rows("again")).toEqual([{ labels: "{}", ms: NOON_MS, value: 1 }]);
  });

  test("of two values at one time the second is rejected, and the answer says so", async () => {
    const body = line({ __name__: "twice" }, [1, 2, 1], [NOON_MS, NOON_MS, NOON_MS]);
    const [status, text] = await gateway.send("POST /api/v1/import", body);
    expect([status, text.slice(0, 80)]).toEqual([
      400,
      "1 of 1 lines were not stored, or only partly. The others are stored. The first: ",
    ]);
    expect(await rows("twice")).toEqual([{ labels: "{}", ms: NOON_MS, value: 1 }]);
  });

  test("lists a line with many wrong samples once", async () => {
    const body =
      line({ __name__: "old" }, [1, 2, 3], [1, 2, 3]) + line({ __name__: "older" }, [1, 2], [NOON_MS, 2]);
    const [status, text] = await gateway.send("POST /api/v1/import", body);
    const reasons = text.split("\n");
    expect([status, reasons.length]).toEqual([400, 2]);
    expect(reasons[0]).toStartWith(
      "2 of 2 lines were not stored, or only partly. The others are stored. The first: line 1: timestamp 1970-01-01T00:00:00.001Z",
    );
    expect(reasons[1]).toStartWith("line 2: timestamp 1970-01-01T00:00:00.002Z");
  });

  test("keeps NaN, infinities, a negative zero and stale markers", async () => {
    const values = ["NaN", 1, "Infinity", "-Infinity", null, "NaN"];
    const times = values.map((_, index) => NOON_MS + index);
    const body = line({ __name__: "special" }, values, times).replace(",1,", ",-0.0,");
    expect(await gateway.send("POST /api/v1/import", body)).toEqual([204, ""]);
    // SQL over HTTP answers a negative zero as 0.
    const found = await gateway.query(
      "SELECT value FROM weir.samples_20241004 WHERE series_id IN " +
        "(SELECT series_id FROM weir.series WHERE metric = 'special') ORDER BY ts",
    );
    expect(found.map(({ value }) => (Object.is(value, -0) ? "-0" : String(value)))).toEqual([
      "NaN",
      "-0",
      "Infinity",
      "-Infinity",
      "null",
      "NaN",
    ]);
  });

  test("reads a compressed body", async () => {
    const answer = await gateway.fetch("/api/v1/import", {
      method: "POST",
      headers: { "content-encoding": "gzip" },
      body: gzipSync(line({ __name__: "zipped" }, [1], [NOON_MS])),
    });
    expect(answer.status).toBe(204);
    expect(await rows("zipped")).toHaveLength(1);
  });

  test("extra_label replaces a label of the lines, as VictoriaMetrics does", async () => {
    const body = line({ __name__: "extra", job: "own" }, [1], [NOON_MS]);
    await gateway.ok("POST /api/v1/import?extra_label=job=set&extra_label=z=1", body);
    await gateway.ok("POST /api/v1/import", body);
    expect((await rows("extra")).map(({ labels }) => labels)).toEqual(["{job=own}", "{job=set, z=1}"]);
  });

  test("an old counter does not look like a burst, and is not exposed", async () => {
    await gateway.ok("POST /api/v1/import", line({ __name__: "old_total" }, [5], [NOON_MS - 7_200_000]));
    expect((await gateway.exposed()).filter((each) => each.startsWith("old_total"))).toEqual([]);
  });

  test("a metric without a type is stored as remote_write stores it", async () => {
    await gateway.ok("POST /api/v1/import", line({ __name__: "untyped" }, [5], [NOON_MS]));
    expect(await sql("SELECT kind, type FROM metrics WHERE metric = 'untyped'")).toEqual([
      { kind: "cumulative", type: "unknown" },
    ]);
  });

  test("an empty body is no error", async () => {
    expect(await gateway.send("POST /api/v1/import")).toEqual([204, ""]);
  });
});

describe("POST /api/v1/import/prometheus", () => {
  test("stores samples with the time of the request, its labels and their types", async () => {
    const body =
      '# TYPE pushed_total counter\npushed_total{a="1"} 5\npushed_total{a="2"} 6 1728043199000\nbad\n';
    const [status, text] = await gateway.send(
      `POST /api/v1/import/prometheus?timestamp=${NOON_MS}&extra_label=z=1`,
      body,
    );
    expect([status, text]).toEqual([
      400,
      "1 of 4 lines were not stored, or only partly. The others are stored. The first: line 4: its value is missing, expected a number that a 64-bit float can hold: bad",
    ]);
    expect(await rows("pushed_total")).toEqual([
      { labels: "{a=1, z=1}", ms: NOON_MS, value: 5 },
      { labels: "{a=2, z=1}", ms: 1728043199000, value: 6 },
    ]);
  });

  test("samples without any time get that of their arrival", async () => {
    await gateway.ok("POST /api/v1/import/prometheus", "arrived 1\n");
    expect(await rows("arrived")).toEqual([{ labels: "{}", ms: NOON_MS, value: 1 }]);
  });

  test("the labels of a path in the form of Pushgateway replace those of the lines", async () => {
    await gateway.ok(
      "PUT /api/v1/import/prometheus/metrics/job/batch/instance@base64/aG9zdC8x/empty@base64/=/a/b%20c/",
      'grouped{job="own",empty="x",other="1"} 1\n',
    );
    await gateway.ok("POST /api/v1/import/prometheus/metrics/job@base64/YQ==", "grouped 2\n");
    expect((await rows("grouped")).map(({ labels }) => labels)).toEqual([
      "{a=b c, instance=host/1, job=batch, other=1}",
      "{job=a}",
    ]);
  });

  const bad = (send: string, status: number, message: string, headers: Record<string, string> = {}) =>
    test(send, async () => expect(await gateway.send(send, "a 1\n", headers)).toEqual([status, message]));

  bad(
    "POST /api/v1/import/prometheus?timestamp=x",
    400,
    'Query parameter timestamp is "x"; expected milliseconds since 1970.',
  );
  bad("POST /api/v1/import/prometheus/metrics/job/a/b", 400, 'odd number of components in label string "/b"');
  bad(
    "POST /api/v1/import/prometheus?extra_label=x",
    400,
    'Query parameter extra_label is "x"; expected NAME=VALUE.',
  );
  bad(
    "POST /api/v1/import/prometheus?extra_lable=a=b",
    400,
    'Query parameter "extra_lable" is unknown; expected extra_label, historical, timestamp.',
  );
  bad(
    "POST /api/v1/import?timestamp=5",
    400,
    'Query parameter "timestamp" is unknown; expected extra_label, historical.',
  );
  bad(
    "POST /api/v1/import/csv",
    400,
    "Query parameter format is missing; expected the columns of the file, such as 1:time:unix_s,2:label:host,3:metric:load.",
  );
  bad(
    "POST /api/v1/import/prometheus?extra_label=format=protobuf",
    415,
    'Content-Type "application/vnd.google.protobuf" is not supported; expected the text format. Clients that push protobuf can push to /metrics/job/JOB.',
    {
      "content-type":
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    },
  );
});

test("the native format is rejected, and the answer names the format that works", async () => {
  expect(await gateway.send("POST /api/v1/import/native", "\u0000")).toEqual([
    415,
    "The native format of VictoriaMetrics is not supported; export JSON lines with /api/v1/export, and send them to /api/v1/import.",
  ]);
});

describe("a client of Pushgateway", () => {
  test("pushes to the path of the import", async () => {
    const registry = new Registry();
    const registers = [registry];
    new Counter({ name: "client_jobs_total", help: "Jobs.", labelNames: ["kind"], registers }).inc(
      { kind: "a b" },
      3,
    );
    new Histogram({ name: "client_seconds", help: "Seconds.", buckets: [1], registers }).observe(2);
    const { urls } = await gateway.listen();
    const client = new Pushgateway(`${urls[0]}/api/v1/import/prometheus`, {}, registry);
    const group = { jobName: "nightly run", groupings: { instance: "host 1+é" } };
    for (const pushed of [await client.push(group), await client.pushAdd(group)])
      expect((pushed as { resp: { statusCode?: number } }).resp.statusCode).toBe(204);
    expect(await rows("client_jobs_total")).toEqual([
      { labels: "{instance=host 1+é, job=nightly run, kind=a b}", ms: NOON_MS, value: 3 },
    ]);
    expect(await rows("client_seconds_bucket")).toEqual([
      { labels: "{instance=host 1+é, job=nightly run, le=+Inf}", ms: NOON_MS, value: 1 },
      { labels: "{instance=host 1+é, job=nightly run, le=1}", ms: NOON_MS, value: 0 },
    ]);
    expect(await sql("SELECT kind, type, help FROM metrics WHERE metric = 'client_seconds_sum'")).toEqual([
      { kind: "cumulative", type: "histogram", help: "Seconds." },
    ]);
  });
});

describe("POST /api/v1/import/csv", () => {
  test("stores the metrics of each line", async () => {
    const format = "2:metric:ask,3:metric:bid,1:label:ticker,4:time:unix_ms";
    await gateway.ok(
      `POST /api/v1/import/csv?format=${format}`,
      `ticker,ask,bid,time\nGOOG,1.23,4.56,${NOON_MS}\n"A,B",2,,${NOON_MS}\n`,
    );
    expect(await rows("ask")).toEqual([
      { labels: "{ticker='A,B'}", ms: NOON_MS, value: 2 },
      { labels: "{ticker=GOOG}", ms: NOON_MS, value: 1.23 },
    ]);
    expect(await rows("bid")).toEqual([{ labels: "{ticker=GOOG}", ms: NOON_MS, value: 4.56 }]);
  });
});

describe("a gateway that exposes imported series", () => {
  test("shows them on /metrics", async () => {
    const exposing = await openTestGateway("--expose-protocols=victoria_metrics");
    try {
      await exposing.ok("POST /api/v1/import/prometheus", "# TYPE shown gauge\nshown 1\n");
      expect(await exposing.exposed()).toEqual(['shown{instance=""} 1']);
    } finally {
      await exposing.close();
    }
  });
});
