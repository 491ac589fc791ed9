/** Bodies of every protocol that are made to be slow or large, one of a kind per line. */
import zlib from "node:zlib";
import type { Hostile } from "./beside-a-pusher.ts";
import { type Bytes, message, snappy, snappyBomb } from "./messages.ts";

const NOW_MS = Date.now();
const NOW_S = Math.floor(NOW_MS / 1000);
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const MIB = 1_048_576;

const JSON_TYPE = { "content-type": "application/json" };
const PROTOBUF = { "content-type": "application/x-protobuf" };
const WRITE_1 = { ...PROTOBUF, "content-encoding": "snappy" };
const WRITE_2 = {
  "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
  "content-encoding": "snappy",
};
const FAMILIES = {
  "content-type":
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
};
const OPEN_METRICS = { "content-type": "application/openmetrics-text; version=1.0.0" };

const each = (count: number, part: (index: number) => string, separator = "") =>
  Array.from({ length: count }, (_, index) => part(index)).join(separator);
const repeated = (count: number, build: (bytes: Bytes, index: number) => void) =>
  message((bytes) => {
    for (let index = 0; index < count; index++) build(bytes, index);
  });
const pair = (name: string, value: string) => message((bytes) => bytes.field(1, name).field(2, value));
const sample = (atMs = NOW_MS) => message((bytes) => bytes.double(1, 1).number(2, atMs));

type Body = () => Uint8Array | string;
const of =
  (protocol: string, path: string, headers: Readonly<Record<string, string>> = {}) =>
  (name: string, body: Body): Hostile => ({ name: `${protocol}: ${name}`, path, headers, body });

const written = (name: string, build: (bytes: Bytes) => void): Hostile =>
  of("remote_write 1.0", "/api/v1/write", WRITE_1)(name, () => snappy(message(build)));
const written2 = (name: string, build: (bytes: Bytes) => void): Hostile =>
  of("remote_write 2.0", "/api/v1/write", WRITE_2)(name, () => snappy(message(build)));
const series = (build: (bytes: Bytes) => void) => (bytes: Bytes) => bytes.field(1, message(build));

const remoteWrite: readonly Hostile[] = [
  written("15,000 new series", (bytes) => {
    for (let i = 0; i < 15_000; i++)
      series((one) =>
        one
          .field(1, pair("__name__", "written"))
          .field(1, pair("id", `s${i}`))
          .field(2, sample()),
      )(bytes);
  }),
  written("the same series again, later", (bytes) => {
    for (let i = 0; i < 15_000; i++)
      series((one) =>
        one
          .field(1, pair("__name__", "written"))
          .field(1, pair("id", `s${i}`))
          .field(2, sample(NOW_MS + 1)),
      )(bytes);
  }),
  written("the same series again, earlier", (bytes) => {
    for (let i = 0; i < 15_000; i++)
      series((one) =>
        one
          .field(1, pair("__name__", "written"))
          .field(1, pair("id", `s${i}`))
          .field(2, sample(NOW_MS - 1)),
      )(bytes);
  }),
  written("a million empty series", (bytes) => {
    for (let i = 0; i < 1_000_000; i++) bytes.raw(Uint8Array.of(10, 0));
  }),
  written(
    "300,000 samples of one series",
    series((one) => {
      one.field(1, pair("__name__", "many_samples"));
      for (let i = 0; i < 300_000; i++) one.field(2, sample(NOW_MS - 300_000 + i));
    }),
  ),
  written(
    "a label of 10 MB",
    series((one) =>
      one
        .field(1, pair("__name__", "long"))
        .field(1, pair("x", "\\\n".repeat(5_000_000)))
        .field(2, sample()),
    ),
  ),
  written(
    "100 samples with a label of 10 MB",
    series((one) => {
      one.field(1, pair("__name__", "long")).field(1, pair("x", "\\\n".repeat(5_000_000)));
      for (let i = 0; i < 100; i++) one.field(2, sample(NOW_MS - i));
    }),
  ),
  written(
    "100,000 labels in any order",
    series((one) => {
      one.field(1, pair("__name__", "labels"));
      for (let i = 0; i < 100_000; i++) one.field(1, pair(`l${(i * 7_919) % 100_003}`, "v"));
      one.field(2, sample());
    }),
  ),
  written("100,000 metadata", (bytes) => {
    for (let i = 0; i < 100_000; i++)
      bytes.field(
        3,
        message((one) => one.number(1, 1).field(2, `family${i}`).field(4, "help")),
      );
  }),
  written(
    "200,000 exemplars",
    series((one) => {
      one.field(1, pair("__name__", "exemplars")).field(2, sample());
      const exemplar = message((own) => own.field(1, pair("trace_id", "abc")).double(2, 1).number(3, NOW_MS));
      for (let i = 0; i < 200_000; i++) one.field(3, exemplar);
    }),
  ),
  written(
    "a histogram of 300,000 spans",
    series((one) => {
      one.field(1, pair("__name__", "spans"));
      one.field(
        4,
        message((histogram) => {
          histogram.number(1, 5).double(3, 1).number(4, 6).number(15, NOW_MS);
          const span = message((own) => own.number(1, 2).number(2, 1));
          for (let i = 0; i < 300_000; i++) histogram.field(11, span);
          histogram.field(12, Buffer.alloc(300_000, 2));
        }),
      );
    }),
  ),
  written("100,000 series without a name", (bytes) => {
    for (let i = 0; i < 100_000; i++)
      series((one) => one.field(1, pair("x", `s${i}`)).field(2, sample()))(bytes);
  }),
  written("labels behind the samples of 10,000 series", (bytes) => {
    for (let i = 0; i < 10_000; i++)
      series((one) => one.field(2, sample()).field(1, pair("__name__", "behind")))(bytes);
  }),
  written("a truncated message of 20 MB", (bytes) => {
    for (let i = 0; i < 1_000_000; i++) bytes.raw(Uint8Array.of(10, 0));
    bytes.raw(Uint8Array.of(10, 100, 1));
  }),
  {
    name: "remote_write 1.0: a bomb of 128 MB",
    path: "/api/v1/write",
    headers: WRITE_1,
    body: () => snappyBomb(128 * MIB),
  },
  {
    name: "remote_write 1.0: a bomb of series",
    path: "/api/v1/write",
    headers: WRITE_1,
    body: () => snappyBomb(100 * MIB, 10),
  },
  {
    name: "remote_write 1.0: a block that announces 4 GB",
    path: "/api/v1/write",
    headers: WRITE_1,
    body: () => Uint8Array.of(255, 255, 255, 255, 15, 0, 0),
  },
  written2("300,000 symbols", (bytes) => {
    bytes.field(4, "");
    for (let i = 0; i < 300_000; i++) bytes.field(4, `s${i}`);
  }),
  written2("10,000 new series", (bytes) => {
    for (const symbol of ["", "__name__", "written2", "id"]) bytes.field(4, symbol);
    for (let i = 0; i < 10_000; i++) bytes.field(4, `s${i}`);
    for (let i = 0; i < 10_000; i++)
      bytes.field(
        5,
        message((one) =>
          one
            .field(
              1,
              message((refs) =>
                refs
                  .varint(1)
                  .varint(2)
                  .varint(3)
                  .varint(4 + i),
              ),
            )
            .field(2, sample()),
        ),
      );
  }),
  written2("a million references", (bytes) => {
    bytes.field(4, "").field(4, "__name__").field(4, "references");
    const refs = repeated(1_000_000, (own, i) => own.varint(1 + (i % 2)));
    bytes.field(
      5,
      message((one) => one.field(1, refs).field(2, sample())),
    );
  }),
  written2("a million empty series", (bytes) => {
    bytes.field(4, "");
    for (let i = 0; i < 1_000_000; i++) bytes.raw(Uint8Array.of(42, 0));
  }),
];

const event = of("events", "/api/v1/push", JSON_TYPE);
const events: readonly Hostile[] = [
  event(
    "10,000 new gauges",
    () =>
      `[${each(10_000, (i) => `{"metric_name":"gauges","type":"gauge","value":1,"tags":{"id":"s${i}"}}`, ",")}]`,
  ),
  event(
    "100,000 observations",
    () =>
      `[${each(100_000, (i) => `{"metric_name":"observed","value":1,"tags":{"op":"s${i % 100}","task_id":"t${i}"}}`, ",")}]`,
  ),
  event(
    "10,000 observations that demote labels",
    () =>
      `[${each(10_000, (i) => `{"metric_name":"demoted","value":1,"tags":{"a":"s${i}","b":"q${i}","c":"z${i}"}}`, ",")}]`,
  ),
  event("3,000 metrics", () => `[${each(3_000, (i) => `{"metric_name":"name_${i}","value":1}`, ",")}]`),
  event(
    "a tag of 10 MB of escapes",
    () => `{"metric_name":"e","value":1,"tags":{"x":"${"\\u0041".repeat(1_700_000)}"}}`,
  ),
  event(
    "an unknown field of 20 MB",
    () => `{"metric_name":"e","value":1,"other":"${"\\n".repeat(10_000_000)}"}`,
  ),
  event("a number of 10 million digits", () => `{"metric_name":"e","value":${"9".repeat(10_000_000)}}`),
  event("lists in lists, 10 million deep", () => "[".repeat(10_000_000)),
  event("objects in objects, 2 million deep", () => '{"a":'.repeat(2_000_000)),
  event(
    "10,000 tags",
    () => `{"metric_name":"e","value":1,"tags":{${each(10_000, (i) => `"t${i}":"v"`, ",")}}}`,
  ),
  event(
    "a list of 3 million numbers as a tag",
    () => `{"metric_name":"e","value":1,"tags":{"x":[${"0,".repeat(3_000_000)}0]}}`,
  ),
  event("10 million numbers", () => `[${"0,".repeat(10_000_000)}0]`),
  event("5 million empty objects", () => `[${"{},".repeat(5_000_000)}{}]`),
  event("a list that never ends", () => `[${'{"metric_name":"e","value":1},'.repeat(100_000)}`),
  event("a syntax error after 5 MB", () => `[${'{"metric_name":"e","value":1},'.repeat(110_000)}}]`),
  event(
    "3 million lines that are not JSON",
    () => `{"metric_name":"e","value":1}\n${"x\n".repeat(3_000_000)}`,
  ),
  event(
    "100,000 lines that begin an event",
    () => `{"metric_name":"e","value":1}\n${'{"metric_name":"\n'.repeat(100_000)}`,
  ),
  event("30 MB of white space", () => " ".repeat(30_000_000)),
  event(
    "white space between events",
    () => `[${`{"metric_name":"e","value":1}${" ".repeat(300_000)},`.repeat(50)}0]`,
  ),
  event("a byte that is not UTF-8 behind 50,000 events", () =>
    Buffer.concat([Buffer.from(`[${'{"metric_name":"e","value":1},'.repeat(10_000)}0]`), Uint8Array.of(255)]),
  ),
  event(
    "escapes in the names of fields",
    () => `[${'{"metric_n\\u0061me":"e","value":1},'.repeat(10_000)}0]`,
  ),
  event(
    "events with 20 fields that are not stored",
    () => `[${`{"metric_name":"e","value":1,${each(20, (i) => `"x${i}":1`, ",")}},`.repeat(10_000)}0]`,
  ),
  event("30 MB of NUL", () => Buffer.alloc(30_000_000)),
  event("UTF-16", () => Buffer.from(`[${'{"metric_name":"e","value":1},'.repeat(10_000)}]`, "utf16le")),
  {
    name: "events: queued, 10,000 new series",
    path: "/api/v1/push",
    headers: { "weir-durability": "queued" },
    body: () =>
      `[${each(10_000, (i) => `{"metric_name":"queued","type":"gauge","value":1,"tags":{"id":"s${i}"}}`, ",")}]`,
  },
  {
    name: "events: a key with a body of 20 MB",
    path: "/api/v1/push",
    headers: { "idempotency-key": "hostile" },
    body: () => `[${'{"metric_name":"keyed","value":1},'.repeat(300_000)}0]`.padEnd(20_000_000),
  },
];

const attribute = (key: string, value: string) =>
  message((bytes) =>
    bytes.field(1, key).field(
      2,
      message((any) => any.field(1, value)),
    ),
  );
const point = (build: (bytes: Bytes) => void = () => undefined) =>
  message((bytes) => {
    bytes.fixed(3, NOW_NS).double(4, 1);
    build(bytes);
  });
const gauge = (name: string, points: (bytes: Bytes) => void) =>
  message((bytes) => bytes.field(1, name).field(5, message(points)));
const exported = (scope: (bytes: Bytes) => void, resource?: (bytes: Bytes) => void) =>
  message((bytes) =>
    bytes.field(
      1,
      message((own) => {
        if (resource !== undefined) own.field(1, message(resource));
        own.field(2, message(scope));
      }),
    ),
  );
const otlpOf = of("OTLP", "/v1/metrics", PROTOBUF);
const otlpJson = of("OTLP in JSON", "/v1/metrics", JSON_TYPE);
const inMetrics = (metrics: string) => `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[${metrics}]}]}]}`;
const otlp: readonly Hostile[] = [
  otlpOf("100,000 attributes of a point", () =>
    exported((scope) =>
      scope.field(
        2,
        gauge("attributes", (points) =>
          points.field(
            1,
            point((own) => {
              for (let i = 0; i < 100_000; i++) own.field(7, attribute(`a${i}`, "v"));
            }),
          ),
        ),
      ),
    ),
  ),
  otlpOf("100,000 attributes of a resource", () =>
    exported(
      (scope) =>
        scope.field(
          2,
          gauge("resource", (points) => points.field(1, point())),
        ),
      (own) => {
        for (let i = 0; i < 100_000; i++) own.field(1, attribute(`a${i}`, "v"));
      },
    ),
  ),
  otlpOf("lists in lists, 5,000 deep", () => {
    let value = message((any) => any.field(1, "x"));
    for (let i = 0; i < 5_000; i++) {
      const inner = value;
      value = message((any) =>
        any.field(
          5,
          message((list) => list.field(1, inner)),
        ),
      );
    }
    return exported((scope) =>
      scope.field(
        2,
        gauge("deep", (points) =>
          points.field(
            1,
            point((own) =>
              own.field(
                7,
                message((kv) => kv.field(1, "k").field(2, value)),
              ),
            ),
          ),
        ),
      ),
    );
  }),
  otlpOf("a list of 500,000 values as an attribute", () => {
    const item = message((any) => any.field(1, "x"));
    const list = message((any) =>
      any.field(
        5,
        repeated(500_000, (own) => own.field(1, item)),
      ),
    );
    return exported((scope) =>
      scope.field(
        2,
        gauge("list", (points) =>
          points.field(
            1,
            point((own) =>
              own.field(
                7,
                message((kv) => kv.field(1, "k").field(2, list)),
              ),
            ),
          ),
        ),
      ),
    );
  }),
  otlpOf("10,000 new series", () =>
    exported((scope) =>
      scope.field(
        2,
        gauge("exported", (points) => {
          for (let i = 0; i < 10_000; i++)
            points.field(
              1,
              point((own) => own.field(7, attribute("id", `s${i}`))),
            );
        }),
      ),
    ),
  ),
  otlpOf("a million empty resources", () => repeated(1_000_000, (own) => own.raw(Uint8Array.of(10, 0)))),
  otlpOf("a million empty scopes", () =>
    message((bytes) =>
      bytes.field(
        1,
        repeated(1_000_000, (own) => own.raw(Uint8Array.of(18, 0))),
      ),
    ),
  ),
  otlpOf("a million empty metrics", () =>
    exported((scope) => {
      for (let i = 0; i < 1_000_000; i++) scope.raw(Uint8Array.of(18, 0));
    }),
  ),
  otlpOf("a million empty points", () =>
    exported((scope) =>
      scope.field(
        2,
        gauge("empty", (points) => {
          for (let i = 0; i < 1_000_000; i++) points.raw(Uint8Array.of(10, 0));
        }),
      ),
    ),
  ),
  otlpOf("a histogram of 300,000 bounds", () =>
    exported((scope) =>
      scope.field(
        2,
        message((own) =>
          own.field(1, "bounds").field(
            9,
            message((data) =>
              data.number(2, 2).field(
                1,
                message((one) =>
                  one
                    .fixed(3, NOW_NS)
                    .fixed(4, 1n)
                    .field(7, Buffer.alloc(2_400_000))
                    .field(6, Buffer.alloc(2_400_008)),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  ),
  otlpOf("exponential histograms of 1,600 buckets", () =>
    exported((scope) =>
      scope.field(
        2,
        message((own) =>
          own.field(1, "exponential").field(
            10,
            message((data) => {
              data.number(2, 2);
              for (let i = 0; i < 500; i++)
                data.field(
                  1,
                  message((one) =>
                    one
                      .field(1, attribute("id", `s${i}`))
                      .fixed(3, NOW_NS)
                      .fixed(4, 1_600n)
                      .number(6, 0)
                      .field(
                        8,
                        message((buckets) => buckets.field(2, Buffer.alloc(1_600, 1))),
                      ),
                  ),
                );
            }),
          ),
        ),
      ),
    ),
  ),
  otlpOf("a metric with a name of 10 MB", () =>
    exported((scope) =>
      scope.field(
        2,
        gauge("n".repeat(10_000_000), (points) => points.field(1, point())),
      ),
    ),
  ),
  otlpJson("10,000 points", () =>
    inMetrics(
      `{"name":"json","gauge":{"dataPoints":[${each(10_000, (i) => `{"timeUnixNano":"${NOW_NS}","asDouble":1,"attributes":[{"key":"id","value":{"stringValue":"s${i}"}}]}`, ",")}]}}`,
    ),
  ),
  otlpJson("lists in lists, 5 million deep", () => `{"resourceMetrics":${"[".repeat(5_000_000)}`),
  otlpJson("a million empty resources", () => `{"resourceMetrics":[${"{},".repeat(1_000_000)}{}]}`),
  otlpJson(
    "a text of 10 MB of escapes",
    () => `{"resourceMetrics":[{"x":"${"\\u0041".repeat(1_700_000)}"}]}`,
  ),
  otlpJson("a syntax error behind 6 MB", () => `{"resourceMetrics":[${"{},".repeat(2_000_000)}{]}`),
  otlpJson("10,000 attributes of a point", () =>
    inMetrics(
      `{"name":"json","gauge":{"dataPoints":[{"timeUnixNano":"${NOW_NS}","asDouble":1,"attributes":[${each(10_000, (i) => `{"key":"a${i}","value":{"stringValue":"v"}}`, ",")}]}]}}`,
    ),
  ),
];

const line = of("InfluxDB", "/write");
const influx: readonly Hostile[] = [
  line("a line of 20 MB", () => `m,x=${"a".repeat(20_000_000)} v=1`),
  line("a line of a million fields", () => `m ${each(1_000_000, (i) => `f${i}=1`, ",")}`),
  line("a line of 5,000 fields", () => `m ${each(5_000, (i) => `f${i}=1`, ",")}`),
  line("10,000 new series", () => each(10_000, (i) => `lines,id=s${i} v=1`, "\n")),
  line("a line of 100,000 tags", () => `m,${each(100_000, (i) => `t${i}=v`, ",")} v=1`),
  line("5 million invalid lines", () => "x\n".repeat(5_000_000)),
  line("10 MB of escapes", () => `m,x=${"\\ ".repeat(5_000_000)} v=1`),
  line("a text of 20 MB", () => `m v="${'\\"'.repeat(10_000_000)}"`),
  line("texts that never end", () => `${`m v="a\n`.repeat(50_000)}`),
  line("100,000 observations", () => each(100_000, (i) => `observed,op=s${i % 50} duration=1.5`, "\n")),
  line("20 MB of comments", () => "#\n".repeat(10_000_000)),
  line("20 MB of line ends", () => "\r\n".repeat(10_000_000)),
];

const group = (path: string, headers = {}) => of("Pushgateway", `/metrics/job/${path}`, headers);
const pushgateway: readonly Hostile[] = [
  group("families")("10,000 families", () => each(10_000, (i) => `# TYPE p_${i} gauge\np_${i} 1\n`)),
  group("series")("10,000 series", () => each(10_000, (i) => `p_series{id="s${i}"} 1\n`)),
  group("labels")("10,000 labels", () => `p_labels{${each(10_000, (i) => `l${i}="v"`, ",")}} 1\n`),
  group("escapes")("a label of 10 MB of escapes", () => `p_escapes{x="${"\\n".repeat(5_000_000)}"} 1\n`),
  group("comments")("20 MB of comments", () => "#\n".repeat(10_000_000)),
  group("help")("a help of 10 MB of escapes", () => `# HELP p_help ${"\\n".repeat(5_000_000)}\np_help 1\n`),
  group(`path${"/a/b".repeat(2_000)}`)("a path of 2,000 labels", () => "p 1\n"),
  group("protobuf", FAMILIES)("10,000 families in protobuf", () =>
    repeated(10_000, (bytes, i) => {
      const family = message((own) =>
        own
          .field(1, `q_${i}`)
          .number(3, 1)
          .field(
            4,
            message((one) =>
              one.field(
                2,
                message((value) => value.double(1, 1)),
              ),
            ),
          ),
      );
      bytes.varint(family.length).raw(family);
    }),
  ),
  group("metrics", FAMILIES)("10,000 series in protobuf", () =>
    message((bytes) => {
      const family = message((own) => {
        own.field(1, "q_series").number(3, 1);
        for (let i = 0; i < 10_000; i++)
          own.field(
            4,
            message((one) =>
              one.field(1, pair("id", `s${i}`)).field(
                2,
                message((value) => value.double(1, 1)),
              ),
            ),
          );
      });
      bytes.varint(family.length).raw(family);
    }),
  ),
  group("open", OPEN_METRICS)(
    "10,000 series in OpenMetrics",
    () => `# TYPE o gauge\n${each(10_000, (i) => `o{id="s${i}"} 1\n`)}# EOF\n`,
  ),
  group("line", OPEN_METRICS)(
    "a line of 10 MB in OpenMetrics",
    () => `# TYPE o2 gauge\no2{id="${"\\n".repeat(5_000_000)}"} 1\n# EOF\n`,
  ),
  group("frames", { "content-encoding": "snappy" })("frames of snappy that are none", () =>
    Buffer.alloc(5_000_000, 255),
  ),
];

const imported = of("import", "/api/v1/import");
const imports: readonly Hostile[] = [
  imported(
    "a line of 200,000 values",
    () =>
      `{"metric":{"__name__":"one_line"},"values":[${"1,".repeat(199_999)}1],"timestamps":[${each(200_000, (i) => String(NOW_MS - 200_000 + i), ",")}]}\n`,
  ),
  imported("10,000 new series", () =>
    each(
      20_000,
      (i) => `{"metric":{"__name__":"imported","id":"s${i}"},"values":[1],"timestamps":[${NOW_MS}]}`,
      "\n",
    ),
  ),
  imported(
    "10,000 labels",
    () =>
      `{"metric":{"__name__":"i",${each(10_000, (i) => `"l${i}":"v"`, ",")}},"values":[1],"timestamps":[${NOW_MS}]}\n`,
  ),
  imported(
    "a label of 10 MB of escapes",
    () =>
      `{"metric":{"__name__":"i","x":"${"\\u0041".repeat(1_700_000)}"},"values":[1],"timestamps":[${NOW_MS}]}\n`,
  ),
  imported("a million lines that are not JSON", () => "x\n".repeat(1_000_000)),
  of("import of CSV", "/api/v1/import/csv?format=1:metric:csv_a,2:time:unix_s")(
    "5 million columns",
    () => `${"1,".repeat(5_000_000)}\n`,
  ),
  of("import of CSV", "/api/v1/import/csv?format=1:metric:csv_b,2:label:id,3:time:unix_ms")(
    "200,000 lines",
    () => each(200_000, (i) => `1,s${i % 100},${NOW_MS - i}`, "\n"),
  ),
  of("import of text", "/api/v1/import/prometheus")("10,000 series", () =>
    each(10_000, (i) => `text_series{id="s${i}"} 1\n`),
  ),
  of("import of text", "/api/v1/import/prometheus")(
    "a line of 20 MB",
    () => `t{id="${"a".repeat(20_000_000)}"} 1\n`,
  ),
];

const datadog: readonly Hostile[] = [
  of("Datadog", "/datadog/api/v1/series")(
    "10,000 series",
    () =>
      `{"series":[${each(10_000, (i) => `{"metric":"dd","points":[[${NOW_S},1]],"type":"gauge","tags":["id:s${i}"]}`, ",")}]}`,
  ),
  of("Datadog", "/datadog/api/v1/series")(
    "300,000 points",
    () =>
      `{"series":[{"metric":"dd_points","type":"gauge","points":[${each(300_000, (i) => `[${NOW_S - (i % 3_000)},1]`, ",")}]}]}`,
  ),
  of("Datadog", "/datadog/api/v2/series")(
    "100,000 tags",
    () =>
      `{"series":[{"metric":"dd_tags","type":3,"points":[{"timestamp":${NOW_S},"value":1}],"tags":[${each(100_000, (i) => `"t${i}:v"`, ",")}]}]}`,
  ),
  of("Datadog", "/datadog/api/v1/series")(
    "2 million empty series",
    () => `{"series":[${"{},".repeat(2_000_000)}{}]}`,
  ),
  of("Datadog", "/datadog/api/v1/series")("lists in lists", () => `{"series":[${"[".repeat(5_000_000)}`),
  of(
    "Datadog",
    "/datadog/api/v2/series",
    PROTOBUF,
  )("10,000 series in protobuf", () =>
    repeated(10_000, (bytes, i) =>
      bytes.field(
        1,
        message((own) =>
          own
            .field(2, "ddp")
            .field(3, `id:s${i}`)
            .number(5, 3)
            .field(
              4,
              message((value) => value.double(1, 1).number(2, NOW_S)),
            ),
        ),
      ),
    ),
  ),
  of(
    "Datadog",
    "/datadog/api/beta/sketches",
    PROTOBUF,
  )("a sketch of 500,000 bins", () =>
    message((bytes) =>
      bytes.field(
        1,
        message((own) =>
          own.field(1, "dd_sketch").field(
            7,
            message((sketch) =>
              sketch
                .number(1, NOW_S)
                .number(2, 500_000)
                .double(3, 1)
                .double(4, 2)
                .double(5, 1.5)
                .double(6, 1)
                .field(7, Buffer.alloc(500_000, 2))
                .field(8, Buffer.alloc(500_000, 1)),
            ),
          ),
        ),
      ),
    ),
  ),
  of("Datadog", "/datadog/api/v1/distribution_points")(
    "300,000 values of a distribution",
    () => `{"series":[{"metric":"dd_distribution","points":[[${NOW_S},[${"1.5,".repeat(300_000)}1]]]}]}`,
  ),
];

/** Made once, because it takes a second: white space that inflates to more than is accepted, or to an empty body. */
function once(encode: (bytes: Buffer) => Uint8Array, bytes: number): Body {
  let encoded: Uint8Array | undefined;
  return () => {
    encoded ??= encode(Buffer.alloc(bytes, 32));
    return encoded;
  };
}

const BOMBS: readonly (readonly [encoding: string, what: string, body: Body])[] = [
  ["gzip", "60 MB of white space in gzip", once((bytes) => zlib.gzipSync(bytes, { level: 1 }), 60 * MIB)],
  ["zstd", "150 MB in zstd", once((bytes) => zlib.zstdCompressSync(bytes), 150 * MIB)],
  [
    "gzip, gzip",
    "150 MB in gzip twice",
    once((bytes) => zlib.gzipSync(zlib.gzipSync(bytes, { level: 1 })), 150 * MIB),
  ],
];

/** Data that inflates to more than is accepted, or to a body of which nothing is valid. */
const bombs: readonly Hostile[] = [
  "/api/v1/push",
  "/write",
  "/v1/metrics",
  "/metrics/job/bomb",
  "/api/v1/import",
  "/datadog/api/v1/series",
].flatMap((path) =>
  BOMBS.map(([encoding, what, body]) => ({
    name: `${path}: ${what}`,
    path,
    headers: { ...(path === "/v1/metrics" ? JSON_TYPE : {}), "content-encoding": encoding },
    body,
  })),
);

/** Queries of a request, headers and paths that are as long as they may be. */
const requests: readonly Hostile[] = [
  {
    name: "500 extra labels",
    path: `/api/v1/push?${each(500, (i) => `extra_label=a${i}=b`, "&")}`,
    body: () => '{"metric_name":"e","value":1}',
  },
  { name: "a query of 15 kB", path: `/api/v1/push?${"x=".repeat(7_000)}`, body: () => "{}" },
  {
    name: "90 headers",
    path: "/api/v1/push",
    headers: Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`x-h${i}`, "v".repeat(80)])),
    body: () => '{"metric_name":"e","value":1}',
  },
  { name: "a path of 10 kB", path: `/api/v1/${"a/".repeat(5_000)}` },
  { name: "a path of slashes", path: "/".repeat(8_000) },
  {
    name: "200 selectors of groups to delete",
    method: "DELETE",
    path: `/metrics?dryRun=true&${each(200, (i) => `match[]=%7Bjob=~%22(a%7Cb)*${i}%22%7D`, "&")}`,
  },
  {
    name: "a selector that backtracks",
    method: "DELETE",
    path: `/metrics?dryRun=true&match[]=%7Bjob=~%22(a*)*b%22%7D`,
  },
  {
    name: "100 selectors of series to delete",
    method: "POST",
    path: `/api/v1/admin/tsdb/delete_series?dry_run=true&${each(100, (i) => `match[]=written%7Bid=~%22(a%7Cb)*${i}%22%7D`, "&")}`,
  },
  {
    name: "a form of 5 MB for the Influx query",
    path: "/query",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: () => "a=b&".repeat(1_210_000),
  },
  {
    name: "a form of 5 MB for SQL",
    path: "/api/v1/sql",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: () => "a=b&".repeat(1_210_000),
  },
  {
    name: "SQL of 5 MB",
    path: "/api/v1/sql",
    headers: { "content-type": "text/plain" },
    body: () => `SELECT ${"1+".repeat(2_500_000)}1`,
  },
  {
    name: "JSON of 5 MB for SQL",
    path: "/api/v1/sql",
    headers: JSON_TYPE,
    body: () => `{"sql":"SELECT 1","params":[${"1,".repeat(2_500_000)}1]}`,
  },
];

export const HOSTILE_BODIES: readonly (readonly Hostile[])[] = [
  remoteWrite,
  events,
  otlp,
  influx,
  pushgateway,
  imports,
  datadog,
  bombs,
  requests,
];
