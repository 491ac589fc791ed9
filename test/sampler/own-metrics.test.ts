/** The gateway's own metrics as samples: each series of its registry once, with its name on /metrics. */
import { expect, test } from "bun:test";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { Heads } from "../../src/sampler/batch.ts";
import { gatewayPart } from "../../src/sampler/own-metrics.ts";

test("stores counters, gauges, the parts of histograms, and the last pushes as series", async () => {
  const registry = new Registry();
  const registers = [registry];
  const counter = new Counter({ name: "c_total", help: "C.", labelNames: ["b", "a"], registers });
  counter.inc({ b: "2", a: "1" }, 3);
  new Gauge({ name: "g_bytes", help: "G.", registers }).set(-1);
  new Histogram({ name: "h_seconds", help: "H.", buckets: [0.5, 2], registers }).observe(1);
  const lastPushes = () => [{ job: "j", instance: "", pushedAtMs: 1_500 }];
  const part = gatewayPart({ intervalMs: 1_000, registry, lastPushes });
  const heads = new Heads();
  const reading = heads.read(7_000_000);
  await part.collect(reading, new AbortController().signal);
  const batch = reading.seal();
  const seen = Array.from({ length: batch.length }, (_, index) => {
    const { metric, kind, labels } = batch.heads[batch.head[index]!]!;
    return [metric, kind, Object.fromEntries(labels), batch.value[index]];
  });
  expect(seen).toEqual([
    ["c_total", "cumulative", { a: "1", b: "2" }, 3],
    ["g_bytes", "gauge", {}, -1],
    ["h_seconds_bucket", "cumulative", { le: "0.5" }, 0],
    ["h_seconds_bucket", "cumulative", { le: "2.0" }, 1],
    ["h_seconds_bucket", "cumulative", { le: "+Inf" }, 1],
    ["h_seconds_sum", "cumulative", {}, 1],
    ["h_seconds_count", "cumulative", {}, 1],
    ["weir_last_push_timestamp_seconds", "gauge", { job: "j" }, 1.5],
  ]);

  // The next reading has the same heads, so that admission looks nothing up.
  const again = heads.read(8_000_000);
  await part.collect(again, new AbortController().signal);
  expect(again.seal().heads).toBe(batch.heads);

  // Series of a metric that are others than before have their own labels.
  counter.reset();
  counter.inc({ b: "4" }, 5);
  counter.inc({ b: "2", a: "1" }, 6);
  const changed = heads.read(9_000_000);
  await part.collect(changed, new AbortController().signal);
  const { heads: changedHeads, value } = changed.seal();
  expect(changedHeads.slice(0, 3).map(({ metric, labels }) => [metric, Object.fromEntries(labels)])).toEqual([
    ["c_total", { b: "4" }],
    ["c_total", { a: "1", b: "2" }],
    ["g_bytes", {}],
  ]);
  expect([...value.slice(0, 3)]).toEqual([5, 6, -1]);
});
