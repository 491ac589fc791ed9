/**
 * Native histograms through a stop, a kill and a restart of the real process: their buckets keep their bounds, no
 * bucket disappears in PromQL, and no counter decreases.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import protobuf from "protobufjs";
import snappyjs from "snappyjs";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, startPrometheus } from "../real-servers.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../receive/remote-write/decoded.ts";
import { encodeV1, encodeV2, type HistogramMessage, type Series } from "../receive/remote-write/messages.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

/** A minute and a half ago, on a whole second. */
const BEGIN_MS = Math.floor(Date.now() / 1000) * 1000 - 90_000;
let data: string;
let gateway: GatewayProcess;
const start = async () => {
  gateway = await GatewayProcess.start({ data, args: ["--no-sampler", "--log-level=error"] });
};
beforeAll(async () => {
  data = temporaryFolder();
  await start();
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
});

const V1 = "application/x-protobuf";
const V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
async function write(series: readonly Series[], type = V2): Promise<void> {
  const message = type === V1 ? encodeV1(series) : encodeV2(series);
  const response = await fetch(`${gateway.url}/api/v1/write?extra_label=site=north`, {
    method: "POST",
    body: new Uint8Array(snappyjs.compress(withStaleMarkers(message))),
    headers: { "content-encoding": "snappy", "content-type": type },
  });
  expect([response.status, await response.text()]).toEqual([204, ""]);
}

/** Counts by the exponent of a bucket's upper bound, at a number of seconds after the beginning. */
function histogram(seconds: number, counts: Record<number, number>, zeros = 0): HistogramMessage {
  const buckets = Object.entries(counts).map(([exponent, count]) => ({ exponent: Number(exponent), count }));
  buckets.sort((a, b) => a.exponent - b.exponent);
  return {
    timestamp: BEGIN_MS + seconds * 1000,
    countInt: buckets.reduce((sum, { count }) => sum + count, zeros),
    sum: seconds,
    schema: 0,
    zeroThreshold: 2 ** -128,
    zeroCountInt: zeros,
    positiveSpans: buckets.map(({ exponent }, at) => ({
      offset: at === 0 ? exponent : exponent - buckets[at - 1]!.exponent - 1,
      length: 1,
    })),
    positiveDeltas: buckets.map(({ count }, at) => count - (buckets[at - 1]?.count ?? 0)),
  };
}
const of = (name: string, ...histograms: HistogramMessage[]): Series => ({
  labels: { __name__: name, job: "x" },
  histograms,
});

/** An instant query at a number of seconds after the beginning: values by `le`, or without a label. */
async function promql(query: string, seconds: number): Promise<Record<string, number>> {
  const parameters = new URLSearchParams({ query, time: String(BEGIN_MS / 1000 + seconds) });
  const response = await fetch(`${gateway.url}/api/v1/query?${parameters}`);
  const { data: answer } = (await response.json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return Object.fromEntries(answer.result.map(({ metric, value }) => [metric.le ?? "", Number(value[1])]));
}

test("buckets keep their bounds after a restart, whatever they contain", async () => {
  await write([
    // It begins with zeros only, then has times of 0.25 to 4 s.
    of("latency", histogram(0, {}, 1), histogram(10, { "-1": 2, 2: 3 }, 1)),
    // A gauge histogram: its current contents.
    of("depth", histogram(0, { 1: 4 }), histogram(10, { 4: 2 })),
  ]);
  const [latency, depth] = [await promql("latency_bucket", 10), await promql("depth_bucket", 10)];
  const zero = String(2 ** -128);
  expect(latency).toEqual({ [zero]: 1, 0.25: 1, 0.5: 3, "1.0": 3, "2.0": 3, "4.0": 6, "+Inf": 6 });
  expect(depth).toEqual({ "1.0": 0, "2.0": 0, "8.0": 0, "16.0": 2, "+Inf": 2 });
  for (const [signal, from, type] of [
    ["SIGTERM", 20, V2],
    ["SIGKILL", 40, V1],
  ] as const) {
    await gateway.stop(signal);
    await start();
    await write(
      [
        of("latency", histogram(from, { "-1": from, 2: from }, 1)),
        of("depth", histogram(from, { 1: 1 })),
        of("depth", histogram(from + 10, {})),
      ],
      type,
    );
    expect(Object.keys(await promql("latency_bucket", from)).sort()).toEqual(Object.keys(latency).sort());
    expect(await promql("depth_bucket", from)).toEqual({
      ...{ "1.0": 0, "2.0": 1, "8.0": 1, "16.0": 1, "+Inf": 1 },
    });
    expect(await promql("depth_bucket", from + 10)).toEqual({
      ...{ "1.0": 0, "2.0": 0, "8.0": 0, "16.0": 0, "+Inf": 0 },
    });
  }
  // From 10 to 40 s all added values are up to 0.5, or up to 4: no reset, and no bucket without a rate.
  const grown = await promql("last_over_time(latency_bucket[5m]) - min_over_time(latency_bucket[35s])", 40);
  expect(grown).toEqual({ [zero]: 0, 0.25: 0, 0.5: 38, "1.0": 38, "2.0": 38, "4.0": 75, "+Inf": 75 });
  expect(await promql("resets(latency_bucket[5m])", 40)).toEqual(
    Object.fromEntries(Object.keys(latency).map((edge) => [edge, 0])),
  );
  expect(Object.keys(await promql("rate(latency_bucket[5m])", 40)).sort()).toEqual(
    Object.keys(latency).sort(),
  );
});

test("a histogram that ends after a restart ends with all of its buckets", async () => {
  await write([of("ending", histogram(0, { 1: 1, 3: 1 }))]);
  await gateway.stop("SIGTERM");
  await start();
  expect(Object.keys(await promql("ending_bucket", 5))).toHaveLength(5);
  await write([of("ending", { timestamp: BEGIN_MS + 10_000, sum: STALE_STAND_IN })]);
  expect(await promql("ending_bucket", 10)).toEqual({});
  expect(await promql("ending_count", 10)).toEqual({});
});

test("an exemplar that arrives before its histogram is stored, and the histogram is too", async () => {
  const exemplar = { value: 1.5, timestamp: BEGIN_MS, labels: { trace_id: "early" } };
  await write([{ labels: { __name__: "early", job: "x" }, exemplars: [exemplar] }]);
  await write([of("early", histogram(0, { 1: 1 }))]);
  expect(await promql("early_bucket", 0)).toEqual({ "1.0": 0, "2.0": 1, "+Inf": 1 });
});

/** A native histogram of a target (io.prometheus.client), with the field numbers of its messages. */
const MetricFamily = protobuf
  .parse(`syntax = "proto2"; package io.prometheus.client;
  message BucketSpan { optional sint32 offset = 1; optional uint32 length = 2; }
  message Histogram {
    optional uint64 sample_count = 1; optional double sample_sum = 2; optional sint32 schema = 5;
    optional double zero_threshold = 6; optional uint64 zero_count = 7;
    repeated BucketSpan positive_span = 12; repeated sint64 positive_delta = 13;
  }
  message Metric { optional Histogram histogram = 7; }
  message MetricFamily {
    optional string name = 1; optional string help = 2; optional int32 type = 3; repeated Metric metric = 4;
  }`)
  .root.lookupType("io.prometheus.client.MetricFamily");

test.if(canRun("prometheus"))("Prometheus writes the native histograms that it scrapes", async () => {
  let [scrapes, emptyScrapes, shows] = [0, 0, true];
  const target = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => {
      scrapes++;
      if (!shows) emptyScrapes++;
      // Schema 1: buckets 1 and 2 are (1,1.41] and (1.41,2], bucket 4 is (2.83,4]. The first grows.
      const histogram = {
        sampleCount: scrapes + 3,
        sampleSum: 7,
        schema: 1,
        zeroThreshold: 2 ** -128,
        zeroCount: 0,
        positiveSpan: [
          { offset: 1, length: 2 },
          { offset: 1, length: 1 },
        ],
        positiveDelta: [scrapes, 2 - scrapes, -1],
      };
      const family = { name: "scraped_seconds", help: "Native.", type: 4, metric: [{ histogram }] };
      const body = shows
        ? MetricFamily.encodeDelimited(MetricFamily.create(family)).finish()
        : new Uint8Array();
      return new Response(new Uint8Array(body), {
        headers: {
          "content-type":
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
        },
      });
    },
  });
  const prometheus = await startPrometheus(
    `global: { scrape_interval: 500ms, scrape_timeout: 500ms }
scrape_configs: [{ job_name: native, static_configs: [{ targets: ["127.0.0.1:${target.port}"] }] }]
remote_write:
  - url: ${gateway.url}/api/v1/write
    send_native_histograms: true
    queue_config: { max_shards: 1, batch_send_deadline: 250ms, min_backoff: 30ms, max_backoff: 250ms }
`,
    "--enable-feature=native-histograms",
  );
  try {
    const buckets = async () => {
      const response = await fetch(`${gateway.url}/api/v1/sql?format=json`, {
        method: "POST",
        body: "SELECT labels['le'] AS le, value FROM samples WHERE metric = 'scraped_seconds_bucket' ORDER BY ts",
      });
      const { rows } = (await response.json()) as { rows: { le: string; value: number | null }[] };
      const found: Record<string, (number | null)[]> = {};
      for (const { le, value } of rows) {
        found[le] ??= [];
        found[le].push(value);
      }
      return found;
    };
    const isSample = (value: number | null) => value !== null;
    await until("three scrapes", async () => ((await buckets())["+Inf"]?.filter(isSample).length ?? 0) >= 3);
    shows = false;
    await until("the end", async () => emptyScrapes > 1 && (await buckets())["+Inf"]?.at(-1) === null);
    const found = await buckets();
    expect(Object.keys(found).sort()).toEqual(["+Inf", "1.0", "2.0", "4.0"]);
    for (const values of Object.values(found)) expect(values.at(-1)).toBeNull();
    // A scrape that takes too long, on a busy machine, ends the series until the next one.
    const rows: unknown[] = found["2.0"]!.map((_, at) => ["1.0", "4.0", "+Inf"].map((le) => found[le]![at]!));
    expect(rows).toEqual(
      found["2.0"]!.map((value) => (value === null ? [value, value, value] : [0, value + 1, value + 1])),
    );
    const counts = found["2.0"]!.filter(isSample);
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a! - b!));
  } finally {
    await prometheus.stop();
    await target.stop(true);
  }
});
