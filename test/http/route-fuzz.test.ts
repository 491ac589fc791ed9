/**
 * Requests that are drawn at random, for every route: parameters of other routes, bodies of other protocols, changed
 * bytes, headers that do not fit. Whatever is sent, the gateway answers, the answer says what is wrong in one sentence,
 * and the gateway has no fault: nothing is answered with 500, nothing is logged, and a push is stored afterwards.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import type { Route } from "../../src/http/routes.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { runs } from "../runs.ts";

let gateway: TestGateway;
let routes: readonly Route[];
beforeAll(async () => {
  gateway = await openTestGateway();
  // Stops the gateway.
  routes = gateway.app.routes.filter(({ path }) => path !== "/-/quit");
});
afterAll(() => gateway.close());

const encoder = new TextEncoder();
const SECONDS = NOON_MS / 1000;

/** A body of each protocol, each of them valid. */
const BODIES: readonly Uint8Array[] = [
  `[{"name":"requests","type":"counter","value":1,"tags":{"job":"a"}},{"name":"ms","value":2.5}]`,
  `{"metric_name":"http.request.duration_ms","value":12,"@timestamp":${NOON_MS},"tags":{"task_id":"t1","url":"u"}}\n`,
  '# TYPE up gauge\nup{job="a"} 1\nms_bucket{le="+Inf"} 3\nms_sum 4\nms_count 3\n',
  `cpu,host=a usage=1.5,idle=3i,ok=t,name="x" ${NOON_MS}000000\n`,
  `{"metric":{"__name__":"m","job":"a"},"values":[1,2.5,null],"timestamps":[${NOON_MS},${NOON_MS + 1},${NOON_MS + 2}]}\n`,
  `a,1,${SECONDS}\nb,2,${SECONDS}\n`,
  `{"series":[{"metric":"m","points":[[${SECONDS},1]],"type":"count","interval":10,"tags":["a:b"],"host":"h"}]}`,
  `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"aggregationTemporality":1,"isMonotonic":true,` +
    `"dataPoints":[{"asDouble":1,"timeUnixNano":"${NOON_MS}000000"}]}}]}]}]}`,
  "SELECT count(*) FROM samples",
  "query=sum(rate(requests_total[5m]))&start=0&end=60&step=15",
  "match[]=up&time=1",
]
  .map((text) => encoder.encode(text))
  .concat([
    new Uint8Array(
      encodeV1([{ labels: { __name__: "m", job: "a" }, samples: [{ value: 1, timestamp: NOON_MS }] }]),
    ),
  ]);

const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...BODIES) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.constantFrom(...BODIES),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
      )
      .map(([body, changes, end]) => {
        const changed = body.slice(0, end % 3 === 0 ? end % (body.length + 1) : body.length);
        for (const [at, byte] of changes) if (changed.length > 0) changed[at % changed.length] = byte;
        return changed;
      }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.json().map((text) => encoder.encode(text)) },
);

/** What parameters have as values: of many types, right and wrong. */
const values = fc.oneof(
  fc.constantFrom(
    ...[
      "",
      "0",
      "1",
      "-1",
      "60",
      "15s",
      "5m",
      "1y",
      "-1h",
      "1e308",
      "1e400",
      "NaN",
      "Infinity",
      "9".repeat(30),
    ],
    ...[
      "up",
      "requests_total",
      '{job="a"}',
      '{__name__=~".+"}',
      "{",
      "sum(",
      "rate(up[5m])",
      "up[5m:1s]",
      "1/0",
    ],
    ...[
      "2024-10-04T12:00:00Z",
      "2024-10-04",
      "now",
      `${SECONDS}`,
      `${NOON_MS}`,
      "1.5",
      "true",
      "false",
      "null",
    ],
    ...[
      "json",
      "csv",
      "ndjson",
      "parquet",
      "arrow",
      "text",
      "ns",
      "ms",
      "s",
      "u",
      "SELECT 1",
      "SHOW DATABASES",
    ],
    ...[
      "1:metric:m,2:time:unix_s",
      "2:metric:m",
      "job=a",
      "=",
      "a=b=c",
      "%",
      "é\u0000",
      "\ud800",
      "../../etc/passwd",
    ],
  ),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 6 }),
);

const NAMES = [
  ..."query time start end step match[] limit lookback_delta timeout format from to metric name labels".split(
    " ",
  ),
  ..."db rp precision bucket org u p q epoch chunked extra_label extra_filters[] reduce_mem_usage".split(" "),
  ..."max_rows_per_line dry_run scopeFilter state scrapePool stats explain debug type rule_name file".split(
    " ",
  ),
  ..."operation task_id by top p percentile interval attributes offset reason max_lookback api_key".split(
    " ",
  ),
];

const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  [
    "content-type",
    [
      ..."application/json application/x-ndjson text/plain application/x-protobuf application/octet-stream".split(
        " ",
      ),
      "application/x-www-form-urlencoded",
      "application/x-protobuf;proto=io.prometheus.write.v2.Request",
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
      "application/openmetrics-text; version=1.0.0; charset=utf-8",
      "multipart/form-data; boundary=x",
      ";;",
      'a/b; q="',
    ],
  ],
  ["content-encoding", ["gzip", "snappy", "deflate", "br", "zstd", "identity", "gzip, gzip", "x", ""]],
  [
    "accept",
    ["*/*", "application/json", "text/csv", "application/vnd.apache.arrow.stream", "text/html;q=0.1, x", "q"],
  ],
  ["idempotency-key", ["k", "k2", "", "x".repeat(300), "é"]],
  ["authorization", ["Bearer x", "Basic !", "Token a:b", "Basic eDp5", "x"]],
  ["if-none-match", ['"x"', "*"]],
  ["range", ["bytes=0-1", "x"]],
  ["weir-durability", ["queued", "committed", "x"]],
];

interface Drawn {
  readonly route: number;
  readonly method: string | undefined;
  readonly segments: readonly string[];
  readonly parameters: readonly (readonly [string, string])[];
  readonly headers: readonly (readonly [number, number])[];
  readonly body: Uint8Array;
  readonly isGzipped: boolean;
  readonly isForm: boolean;
}

const requests: fc.Arbitrary<Drawn> = fc.record({
  route: fc.nat(),
  method: fc.option(fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), {
    nil: undefined,
    freq: 12,
  }),
  segments: fc.array(
    fc.oneof(
      fc.constantFrom(
        "job",
        "a",
        "instance",
        "b",
        "job@base64",
        "YQ",
        "=",
        "le",
        "1",
        "__name__",
        "requests",
        "..",
        "",
      ),
      fc.string({ maxLength: 6 }),
    ),
    { minLength: 1, maxLength: 5 },
  ),
  parameters: fc.array(fc.tuple(fc.constantFrom(...NAMES), values), { maxLength: 6 }),
  headers: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }),
  body: bytes,
  isGzipped: fc.boolean(),
  isForm: fc.boolean(),
});

/** The request as fetch takes it. */
function requestOf(drawn: Drawn): [string, RequestInit] {
  const { method, path } = routes[drawn.route % routes.length]!;
  let next = 0;
  const segment = () => encodeURIComponent(drawn.segments[next++ % drawn.segments.length]!.toWellFormed());
  const filled = path.replaceAll(/:\w+/g, segment).replace("*", () => drawn.segments.map(segment).join("/"));
  const headers = new Headers();
  for (const [name, value] of drawn.headers) {
    const [header, all] = HEADERS[name % HEADERS.length]!;
    headers.set(header, all[value % all.length]!.replace("é", "\u00e9"));
  }
  const parameters = new URLSearchParams(
    drawn.parameters.map(([name, value]): [string, string] => [name, value.toWellFormed()]),
  );
  const sent = drawn.method ?? method;
  const hasBody = sent !== "GET" && sent !== "HEAD";
  let { body } = drawn;
  if (drawn.isGzipped && headers.get("content-encoding") === "gzip") body = gzipSync(body);
  if (drawn.isForm) headers.set("content-type", "application/x-www-form-urlencoded");
  const form = drawn.isForm && hasBody ? encoder.encode(parameters.toString()) : undefined;
  const query = form === undefined && parameters.size > 0 ? `?${parameters}` : "";
  return [
    `${filled}${query}`,
    { method: sent, headers, body: hasBody ? ((form ?? body) as Uint8Array<ArrayBuffer>) : undefined },
  ];
}

test("each request is answered, and none causes a fault", async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (drawn) => {
      const [path, init] = requestOf(drawn);
      const response = await gateway.fetch(path, init);
      const text = await response.text();
      const sent = `${init.method} ${path}`;
      // A warning may say what was not stored. An error is a fault.
      const log = gateway.takeLog().filter((line) => line.includes('"level":"error"'));
      const isFault = response.status >= 500 && response.status !== 501 && response.status !== 503;
      expect({ sent, log, isFault, text }).toEqual({ sent, log: [], isFault: false, text });
      if (response.status < 400 || init.method === "HEAD") return;
      // Whatever the form of the protocol: there is a text, of one line, that says something.
      expect({ sent, text }).toEqual({ sent, text: expect.stringMatching(/[a-z]{2,}/) });
      if (response.headers.get("content-type")?.startsWith("application/json")) JSON.parse(text);
    }),
    { ...runs(3_000), endOnFailure: false },
  );
  const answer = await gateway.post(`{"name":"after","value":1}`);
  expect(answer).toMatchObject({ status: 200, json: { accepted: 1 } });
  const rows = await gateway.fetch("/api/v1/sql?format=ndjson", {
    method: "POST",
    body: "SELECT value FROM samples WHERE metric = 'after'",
  });
  expect(await rows.text()).toBe('{"value":1}\n');
});
