/** Tallies must read as prom-client's own metrics do. */
import { expect, test } from "bun:test";
import { Counter, Histogram, Registry } from "prom-client";
import { TalliedCounter, TalliedHistogram } from "../../../src/model/metrics/tallies.ts";

const BUCKETS = [0.001, 0.1, 2.5];

test("a histogram of tallies reads as one of prom-client with the same observations", async () => {
  const [own, theirs] = [new Registry(), new Registry()];
  const config = { name: "seconds", help: "Time.", labelNames: ["route"] as const, buckets: BUCKETS };
  const tallied = new TalliedHistogram({ ...config, registers: [own] });
  const usual = new Histogram({ ...config, registers: [theirs] });
  for (const [route, value] of [
    ["/a", 0.001],
    ["/a", 0.0010001],
    ["/b", 2.5],
    ["/b", 3],
    ["/a", 0],
  ] as const) {
    tallied.of({ route }).observe(value);
    usual.observe({ route }, value);
  }
  const [{ values }] = (await own.getMetricsAsJSON()) as unknown as [{ values: unknown[] }];
  const [{ values: expected }] = (await theirs.getMetricsAsJSON()) as unknown as [{ values: unknown[] }];
  expect(values.length).toBe(2 * (BUCKETS.length + 3));
  expect(new Set(values.map((each) => JSON.stringify(each)))).toEqual(
    new Set(
      (expected as { value: number; metricName: string; labels: object }[]).map(
        ({ value, metricName, labels }) => JSON.stringify({ metricName, labels, value }),
      ),
    ),
  );
});

test("a counter adds what its tallies counted since the last read, once", async () => {
  const registry = new Registry();
  const config = { name: "requests_total", help: "Requests.", labelNames: ["route"], registers: [registry] };
  const counter = new TalliedCounter(config);
  expect(counter).toBeInstanceOf(Counter);
  const tally = counter.tally({ route: "/a" });
  // The same labels have the same tally.
  expect(counter.tally({ route: "/a" })).toBe(tally);
  const read = async () => (await counter.get()).values.map(({ labels, value }) => [labels.route, value]);
  expect(await read()).toEqual([["/a", 0]]);
  tally.add(2);
  expect(await read()).toEqual([["/a", 2]]);
  expect(await read()).toEqual([["/a", 2]]);
  tally.add(1);
  counter.inc({ route: "/a" }, 10);
  counter.tally({ route: "/b" }).add(1);
  expect(await read()).toEqual([
    ["/a", 13],
    ["/b", 1],
  ]);
});

test("a histogram goes on counting beyond 32 bits", async () => {
  const histogram = new TalliedHistogram({ name: "seconds", help: "Time.", buckets: BUCKETS });
  const observations = histogram.of({});
  observations.counts[0] = 2 ** 32 - 1;
  observations.observe(0);
  const count = (await histogram.get()).values.find(({ metricName }) => metricName === "seconds_count");
  expect(count?.value).toBe(2 ** 32);
});
