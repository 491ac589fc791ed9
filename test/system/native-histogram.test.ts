/**
 * Native histograms through a stop, a kill and a new start of the real process: their buckets go on with the bounds
 * that they had, and PromQL sees neither a bucket vanish nor a counter go back.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import snappyjs from "snappyjs";
import { STALE_STAND_IN, withStaleMarkers } from "../decode/remote-write/decoded.ts";
import { encodeV1, encodeV2, type HistogramMessage, type Series } from "../decode/remote-write/messages.ts";
import { GatewayProcess } from "./process.ts";

setDefaultTimeout(60_000);

/** A minute and a half ago, on a whole second. */
const BEGIN_MS = Math.floor(Date.now() / 1000) * 1000 - 90_000;
let data: string;
let gateway: GatewayProcess;
const start = async () => {
  gateway = await GatewayProcess.start({ data, args: ["--no-sampler", "--log-level=error"] });
};
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "weir-native-"));
  await start();
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
  await rm(data, { recursive: true });
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

/** Counts by the exponent of a bucket's upper bound, so many seconds after the beginning. */
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

/** An instant query so many seconds after the beginning: value by `le`, or by nothing. */
async function promql(query: string, seconds: number): Promise<Record<string, number>> {
  const parameters = new URLSearchParams({ query, time: String(BEGIN_MS / 1000 + seconds) });
  const response = await fetch(`${gateway.url}/api/v1/query?${parameters}`);
  const { data: answer } = (await response.json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return Object.fromEntries(answer.result.map(({ metric, value }) => [metric.le ?? "", Number(value[1])]));
}

test("buckets go on with their bounds, whatever is in them after a restart", async () => {
  await write([
    // It began with zeros alone, then times of 0.25 to 4 s.
    of("latency", histogram(0, {}, 1), histogram(10, { "-1": 2, 2: 3 }, 1)),
    // Of a gauge: what is in it now.
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
  // From 10 to 40 s all that was added is up to 0.5, or up to 4: no reset, no bucket without a rate.
  const grown = await promql("last_over_time(latency_bucket[5m]) - min_over_time(latency_bucket[35s])", 40);
  expect(grown).toEqual({ [zero]: 0, 0.25: 0, 0.5: 38, "1.0": 38, "2.0": 38, "4.0": 75, "+Inf": 75 });
  expect(await promql("resets(latency_bucket[5m])", 40)).toEqual(
    Object.fromEntries(Object.keys(latency).map((edge) => [edge, 0])),
  );
  expect(Object.keys(await promql("rate(latency_bucket[5m])", 40)).sort()).toEqual(
    Object.keys(latency).sort(),
  );
});

test("one that ends after a restart ends whole", async () => {
  await write([of("ending", histogram(0, { 1: 1, 3: 1 }))]);
  await gateway.stop("SIGTERM");
  await start();
  expect(Object.keys(await promql("ending_bucket", 5))).toHaveLength(5);
  await write([of("ending", { timestamp: BEGIN_MS + 10_000, sum: STALE_STAND_IN })]);
  expect(await promql("ending_bucket", 10)).toEqual({});
  expect(await promql("ending_count", 10)).toEqual({});
});

test("an exemplar that comes before any histogram is kept, and hinders none", async () => {
  const exemplar = { value: 1.5, timestamp: BEGIN_MS, labels: { trace_id: "early" } };
  await write([{ labels: { __name__: "early", job: "x" }, exemplars: [exemplar] }]);
  await write([of("early", histogram(0, { 1: 1 }))]);
  expect(await promql("early_bucket", 0)).toEqual({ "1.0": 0, "2.0": 1, "+Inf": 1 });
});
