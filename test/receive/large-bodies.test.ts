/**
 * Large bodies are decoded and admitted in slices: what they store is what the same samples store in small bodies, and
 * pushes beside them are stored meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { arrowStream } from "../../scripts/bench.d/arrow-writer.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { type Bytes, message, snappy } from "../system/hostile/messages.ts";

/** Enough for a body of more than 131,072 bytes, and for more series than are admitted at once. */
const COUNT = 5_000;
const SUM = (COUNT * (COUNT - 1)) / 2;
const NS = BigInt(NOON_MS) * 1_000_000n;
const S = NOON_MS / 1000;

const each = (part: (index: number) => string, separator = "") =>
  Array.from({ length: COUNT }, (_, index) => part(index)).join(separator);
const all = <Value>(part: (index: number) => Value) =>
  Array.from({ length: COUNT }, (_, index) => part(index));
const fields = (build: (bytes: Bytes, index: number) => void) =>
  message((bytes) => {
    for (let index = 0; index < COUNT; index++) build(bytes, index);
  });
const pair = (name: string, value: string) => message((bytes) => bytes.field(1, name).field(2, value));
const sample = (value: number) => message((bytes) => bytes.double(1, value).number(2, NOON_MS));
const point = (index: number) =>
  message((bytes) =>
    bytes
      .fixed(3, NS)
      .double(4, index)
      .field(
        7,
        message((attribute) =>
          attribute.field(1, "id").field(
            2,
            message((value) => value.field(1, `series-${index}`)),
          ),
        ),
      ),
  );
const metric = (name: string, points: Uint8Array) =>
  message((bytes) => bytes.field(1, name).field(5, points));
const inScope = (metrics: (bytes: Bytes) => void) =>
  message((bytes) =>
    bytes.field(
      1,
      message((resource) => resource.field(2, message(metrics))),
    ),
  );

interface LargeBody {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** @param metric the name of the metric whose series are `id="series-N"` with the value N */
  readonly body: (metric: string) => Uint8Array | string;
  /** Of a value, if the protocol does not send a double. */
  readonly status?: number;
}

const WRITE = { "content-encoding": "snappy", "content-type": "application/x-protobuf" };
const PROTOBUF = { "content-type": "application/x-protobuf" };
const bodies: Record<string, LargeBody> = {
  "events in an array": {
    path: "/api/v1/push",
    body: (name) =>
      `[ ${each((i) => `{"metric_name":"${name}","type":"gauge","@timestamp":${NOON_MS},"value":${i},"tags":{"id":"series-${i}"}}`, " ,\n")} ] `,
  },
  "events in lines": {
    path: "/api/v1/push",
    body: (name) =>
      each(
        (i) =>
          `{"metric_name":"${name}","type":"gauge","@timestamp":${NOON_MS},"value":${i},"tags":{"id":"series-${i}"}}\n\n`,
      ),
  },
  "columns of JSON": {
    path: "/api/v1/push",
    body: (name) =>
      JSON.stringify({
        metric: name,
        type: "gauge",
        columns: { ts: all(() => NOON_MS), value: all((i) => i), id: all((i) => `series-${i}`) },
      }),
  },
  "an Arrow stream": {
    path: "/api/v1/push?type=gauge",
    body: (name) =>
      arrowStream([
        { name: "ts", is: "time", values: Float64Array.from(all(() => NOON_MS)) },
        { name: "value", is: "number", values: Float64Array.from(all((i) => i)) },
        { name: "metric", is: "dictionary", values: all(() => name) },
        { name: "id", is: "text", values: all((i) => `series-${i}`) },
      ]),
  },
  "remote_write 1.0": {
    path: "/api/v1/write",
    headers: WRITE,
    body: (name) =>
      snappy(
        fields((bytes, i) =>
          bytes.field(
            1,
            message((series) =>
              series
                .field(1, pair("__name__", name))
                .field(1, pair("id", `series-${i}`))
                .field(2, sample(i)),
            ),
          ),
        ),
      ),
  },
  "remote_write 1.0 with labels behind samples": {
    path: "/api/v1/write",
    headers: WRITE,
    body: (name) =>
      snappy(
        fields((bytes, i) =>
          bytes.field(
            1,
            message((series) =>
              series
                .field(2, sample(i))
                .field(1, pair("__name__", name))
                .field(1, pair("id", `series-${i}`)),
            ),
          ),
        ),
      ),
  },
  "remote_write 2.0": {
    path: "/api/v1/write",
    headers: { ...WRITE, "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request" },
    body: (name) =>
      snappy(
        message((bytes) => {
          for (const symbol of ["", "__name__", name, "id"]) bytes.field(4, symbol);
          for (let i = 0; i < COUNT; i++) bytes.field(4, `series-${i}`);
          for (let i = 0; i < COUNT; i++) {
            const refs = message((each) =>
              each
                .varint(1)
                .varint(2)
                .varint(3)
                .varint(4 + i),
            );
            bytes.field(
              5,
              message((series) => series.field(1, refs).field(2, sample(i))),
            );
          }
        }),
      ),
  },
  "OTLP, one metric": {
    path: "/v1/metrics",
    headers: PROTOBUF,
    body: (name) =>
      inScope((scope) =>
        scope.field(
          2,
          metric(
            name,
            fields((bytes, i) => bytes.field(1, point(i))),
          ),
        ),
      ),
  },
  "OTLP, a metric for each point": {
    path: "/v1/metrics",
    headers: PROTOBUF,
    body: (name) =>
      inScope((scope) => {
        for (let i = 0; i < COUNT; i++)
          scope.field(
            2,
            metric(
              name,
              message((bytes) => bytes.field(1, point(i))),
            ),
          );
      }),
  },
  "OTLP in JSON": {
    path: "/v1/metrics",
    headers: { "content-type": "application/json" },
    body: (name) =>
      `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"${name}","gauge":{"dataPoints":[ ${each(
        (i) =>
          `{"timeUnixNano":"${NS}","asDouble":${i},"attributes":[{"key":"id","value":{"stringValue":"series-${i}"}}]}`,
        " , ",
      )} ]}}]}]}], "unknown": [1, {}] }`,
  },
  "lines of InfluxDB": {
    path: "/write?precision=ms",
    body: (name) => each((i) => `${name},id=series-${i} value=${i} ${NOON_MS}\n`),
  },
  "Datadog's series 1": {
    path: "/datadog/api/v1/series",
    body: (name) =>
      `{"series":[${each((i) => `{"metric":"${name}","points":[[${S},${i}]],"type":"gauge","tags":["id:series-${i}"]}`, ", ")}]}`,
  },
  "Datadog's series 2": {
    path: "/datadog/api/v2/series",
    body: (name) =>
      `{"series":[${each((i) => `{"metric":"${name}","points":[{"timestamp":${S},"value":${i}}],"type":3,"tags":["id:series-${i}"]}`, ", ")}]}`,
  },
  "Datadog's series 2 in protobuf": {
    path: "/datadog/api/v2/series",
    headers: PROTOBUF,
    body: (name) =>
      fields((bytes, i) =>
        bytes.field(
          1,
          message((series) =>
            series
              .field(2, name)
              .field(3, `id:series-${i}`)
              .number(5, 3)
              .field(
                4,
                message((value) => value.double(1, i).number(2, S)),
              ),
          ),
        ),
      ),
  },
  "Prometheus text in a group": {
    path: "/metrics/job/text",
    body: (name) => each((i) => `${name}{id="series-${i}"} ${i}\n`),
  },
  "OpenMetrics in a group": {
    path: "/metrics/job/open",
    headers: { "content-type": "application/openmetrics-text" },
    body: (name) => `# TYPE ${name} gauge\n${each((i) => `${name}{id="series-${i}"} ${i}\n`)}# EOF\n`,
  },
  "protobuf in a group": {
    path: "/metrics/job/protobuf",
    headers: {
      "content-type":
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    },
    body: (name) =>
      message((bytes) => {
        const family = message((all) => {
          all.field(1, name).number(3, 1);
          for (let i = 0; i < COUNT; i++)
            all.field(
              4,
              message((one) =>
                one.field(1, pair("id", `series-${i}`)).field(
                  2,
                  message((gauge) => gauge.double(1, i)),
                ),
              ),
            );
        });
        bytes.varint(family.length).raw(family);
      }),
  },
  "JSON lines of VictoriaMetrics": {
    path: "/api/v1/import",
    body: (name) =>
      each(
        (i) =>
          `{"metric":{"__name__":"${name}","id":"series-${i}"},"values":[${i}],"timestamps":[${NOON_MS}]}\n`,
      ),
  },
};

let subject: TestGateway;
beforeAll(async () => {
  subject = await openTestGateway();
});
afterAll(() => subject.close());

/** The rows of a statement. */
async function rowsOf(sql: string): Promise<unknown> {
  const response = await subject.fetch(`/api/v1/sql?q=${encodeURIComponent(sql)}`);
  return ((await response.json()) as { rows: unknown }).rows;
}

describe("a large body stores each of its samples once, and pushes beside it are stored", () => {
  for (const [title, { path, headers, body }] of Object.entries(bodies)) {
    test(title, async () => {
      const name = `large_${title.replaceAll(/\W+/g, "_").toLowerCase()}`;
      const bytes = body(name);
      expect(bytes.length).toBeGreaterThan(131_072);
      let isAnswered = false;
      const large = subject.fetch(path, { method: "POST", headers, body: bytes }).then((response) => {
        isAnswered = true;
        return response;
      });
      let beside = 0;
      while (!isAnswered) {
        const { status } = await subject.post(
          JSON.stringify([
            { metric_name: `${name}_beside`, type: "counter", value: 1, tags: { id: "series-1" } },
            { metric_name: `${name}_beside`, type: "counter", value: 1, tags: { other: "x" } },
          ]),
        );
        expect(status).toBe(200);
        beside += 2;
        await Bun.sleep(0);
      }
      const response = await large;
      expect(await response.text()).toSatisfy(
        (text) => !/error|reject/i.test(text) || /"errors":\[\]|"rejected":0/.test(text),
      );
      expect([200, 202, 204]).toContain(response.status);
      const [stored] = (await rowsOf(
        `SELECT count(*)::INTEGER AS n, sum(value) AS sum, count(DISTINCT labels['id'])::INTEGER AS ids,
         count_if(labels['id'] = 'series-' || value::INTEGER)::INTEGER AS matching
         FROM samples WHERE replace(metric, '_value', '') = '${name}'`,
      )) as unknown[];
      expect(stored).toEqual({ n: COUNT, sum: SUM, ids: COUNT, matching: COUNT });
      const [small] = (await rowsOf(
        `SELECT count(*)::INTEGER AS n FROM samples WHERE metric = '${name}_beside'`,
      )) as unknown[];
      expect(small).toEqual({ n: beside });
    });
  }
});

describe("a large body that is wrong at its end stores nothing", () => {
  const wrong: Record<
    string,
    [path: string, headers: Record<string, string>, cut: (body: Uint8Array | string) => Uint8Array | string]
  > = {
    "events in an array": ["/api/v1/push", {}, (body) => `${String(body).trimEnd().slice(0, -1)} {`],
    "columns of JSON": ["/api/v1/push", {}, (body) => `${String(body).slice(0, -1)}x`],
    "an Arrow stream": ["/api/v1/push?type=gauge", {}, (body) => body.slice(0, -99)],
    "remote_write 1.0": ["/api/v1/write", WRITE, (body) => body.slice(0, -3)],
    "OTLP, one metric": ["/v1/metrics", PROTOBUF, (body) => body.slice(0, -3)],
    "OTLP in JSON": [
      "/v1/metrics",
      { "content-type": "application/json" },
      (body) => String(body).replace(', "unknown"', ' "unknown"'),
    ],
    "Datadog's series 1": ["/datadog/api/v1/series", {}, (body) => `${body},`],
    "Prometheus text in a group": ["/metrics/job/wrong", {}, (body) => `${body}x{\n`],
  };
  for (const [title, [path, headers, cut]] of Object.entries(wrong)) {
    test(title, async () => {
      const name = `wrong_${title.replaceAll(/\W+/g, "_").toLowerCase()}`;
      const response = await subject.fetch(path, {
        method: "POST",
        headers,
        body: cut(bodies[title]!.body(name)),
      });
      expect(response.status).toBe(400);
      const [stored] = (await rowsOf(
        `SELECT count(*)::INTEGER AS n FROM samples WHERE metric LIKE '${name}%'`,
      )) as unknown[];
      expect(stored).toEqual({ n: 0 });
    });
  }
});

test("a series with more labels than are read is rejected, and the others are stored", async () => {
  const many = message((series) => {
    series.field(1, pair("__name__", "many_labels"));
    for (let i = 0; i < 2_000; i++) series.field(1, pair(`l${i}`, "v"));
    series.field(2, sample(1));
  });
  const few = message((series) => series.field(1, pair("__name__", "few_labels")).field(2, sample(2)));
  const response = await subject.fetch("/api/v1/write", {
    method: "POST",
    headers: WRITE,
    body: snappy(message((bytes) => bytes.field(1, many).field(1, few))),
  });
  expect([response.status, await response.text()]).toEqual([
    400,
    "1 of 2 samples were not stored; the first: a series has more than 1024 labels\n",
  ]);
  expect(await rowsOf("SELECT value FROM samples WHERE metric = 'few_labels'")).toEqual([{ value: 2 }]);
});

test("invalid lines past the most events of a body are an error, and not a million reasons", async () => {
  const response = await subject.fetch("/api/v1/push", {
    method: "POST",
    body: `{"metric_name":"lines","value":1}\n${"x\n".repeat(500_000)}`,
  });
  expect(response.status).toBe(413);
  expect(await response.text()).toContain("more than 500000 events (eventsMax)");
});

test("an event of more than a mebibyte is rejected alone", async () => {
  const { status, json } = await subject.post(
    `[{"metric_name":"long","value":1,"tags":{"x":"${"\\u0041".repeat(200_000)}"}},{"metric_name":"short","value":1}]`,
  );
  expect(status).toBe(200);
  expect(json).toMatchObject({
    accepted: 1,
    errors: [{ index: 0, reason: "the event has 1200048 bytes, at most 1048576 are accepted" }],
  });
});

test("a line of more than a mebibyte is rejected, and the lines around it are stored", async () => {
  const response = await subject.fetch("/write?precision=ms", {
    method: "POST",
    body: `around,id=1 value=1 ${NOON_MS}\nlong,id=${"a".repeat(1_100_000)} value=1 ${NOON_MS}\naround,id=2 value=1 ${NOON_MS}\n`,
  });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain("the line has more than 1048576 bytes");
  expect(
    await rowsOf("SELECT labels['id'] AS id FROM samples WHERE metric LIKE 'around%' ORDER BY 1"),
  ).toEqual([{ id: "1" }, { id: "2" }]);
});
