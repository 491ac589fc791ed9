/** Ingest with a real store: what is accepted, that it is stored once, the limits, and what counts in the totals. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { PushOptions } from "../../src/ingest/contract.ts";
import type { Kind } from "../../src/model/sample.ts";
import { batchOf, DAY_MS, NOON_MS, openTestGateway, type Sample, type TestGateway } from "../gateway.ts";

const HOUR_MS = 3_600_000;

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await openTestGateway();
});
afterEach(() => gateway.close());

const push = (samples: readonly Sample[], options?: PushOptions) => gateway.push(samples, options);

async function stored(): Promise<unknown[]> {
  const days = gateway.gateway.store.days();
  const rows = await Promise.all(
    days.map(({ table }) =>
      gateway.query(
        `SELECT s.metric, epoch_ms(d.ts) AS ms, d.value FROM weir.${table} AS d JOIN weir.series AS s USING (series_id)`,
      ),
    ),
  );
  return rows
    .flat()
    .map(({ metric, ms, value }) => `${metric} ${(ms as number) - NOON_MS} ${value}`)
    .sort();
}

describe("duplicates", () => {
  test("a gauge's sample is stored once: the same value is a duplicate, another value is rejected", async () => {
    const sample = { metric: "g", atMs: NOON_MS - 1000, value: 1 };
    expect(await push([sample])).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(await push([sample])).toMatchObject({ accepted: 0, duplicates: 1, rejected: [] });
    const ack = await push([
      { ...sample, value: 2 },
      { ...sample, atMs: NOON_MS - 2000 },
    ]);
    expect(ack).toMatchObject({ accepted: 1, duplicates: 0, rejectedCount: 1 });
    expect(ack.rejected[0]!.reason).toBe(
      'value 2 of "g" differs from 1, which is already stored for this series and time',
    );
    expect(await stored()).toEqual(["g -1000 1", "g -2000 1"]);
  });

  test("duplicates are found within one batch and after a restart", async () => {
    const sample = { metric: "g", atMs: NOON_MS, value: 1 };
    expect(await push([sample, sample, { ...sample, value: 2 }])).toMatchObject({
      accepted: 1,
      duplicates: 1,
      rejectedCount: 1,
    });
    await gateway.reopen();
    expect(await push([sample])).toMatchObject({ accepted: 0, duplicates: 1 });
    expect(await push([{ ...sample, atMs: NOON_MS + 1 }])).toMatchObject({ accepted: 1 });
  });

  test("NaN is a duplicate of NaN and differs from numbers", async () => {
    const sample = { metric: "g", atMs: NOON_MS, value: Number.NaN };
    await push([sample]);
    expect(await push([sample])).toMatchObject({ duplicates: 1 });
    expect(await push([{ ...sample, value: 1 }])).toMatchObject({ rejectedCount: 1 });
  });

  test("equal observations are no duplicates: each counts", async () => {
    const sample: Sample = { metric: "o", kind: "observation", atMs: NOON_MS, value: 1 };
    expect(await push([sample, sample])).toMatchObject({ accepted: 2, duplicates: 0 });
  });

  test("two pushes with one key in one commit are stored once", async () => {
    const idempotency = { scope: "s", key: "k", bodyHash: "h" };
    const acks = await Promise.all(
      [1, 2, 3].map(() => push([{ metric: "d", kind: "delta", value: 1 }], { idempotency })),
    );
    expect(acks.map(({ repeated }) => repeated ?? false)).toEqual([false, true, true]);
    await gateway.reopen();
    const ack = await push([{ metric: "d", kind: "delta", value: 1 }], { idempotency });
    expect(ack).toMatchObject({ accepted: 1, repeated: true });
    expect(await stored()).toEqual(["d 0 1"]);
    const other = push([{ metric: "d", kind: "delta", value: 1 }], {
      idempotency: { ...idempotency, bodyHash: "x" },
    });
    await expect(other).rejects.toThrow('Idempotency-Key "k" was already used with another body');
  });

  test("a key is forgotten after idempotencyTtlMs and can be used again", async () => {
    const idempotency = { scope: "s", key: "k", bodyHash: "h" };
    await push([{ metric: "d", kind: "delta", value: 1 }], { idempotency });
    gateway.nowMs += DAY_MS + 1;
    await gateway.gateway.ingest.prune();
    expect(
      (await push([{ metric: "d", kind: "delta", value: 1 }], { idempotency })).repeated,
    ).toBeUndefined();
  });
});

test("two gateways that get one batch each find their own series for its heads", async () => {
  const other = await openTestGateway();
  try {
    await push([{ metric: "first", value: 1 }]);
    const batch = batchOf([{ metric: "m", value: 2 }]);
    batch.heads.forEach(Object.freeze);
    for (const each of [gateway, other, gateway]) await each.gateway.ingest.push(batch);
    const ids = [gateway, other].map(({ gateway: { registry } }) =>
      [...registry.series()].map(({ seriesId, metric }) => `${metric.name} ${seriesId}`),
    );
    expect(ids).toEqual([["first 1", "m 2"], ["m 1"]]);
    expect(await stored()).toEqual(["first 0 1", "m 0 2"]);
  } finally {
    await other.close();
  }
});

describe("time", () => {
  test("samples are accepted from the first day of retention to ten minutes ahead", async () => {
    const firstMs = Date.UTC(2024, 9, 2);
    const times = [firstMs - 1, firstMs, NOON_MS + 600_000, NOON_MS + 600_001];
    const ack = await push(times.map((atMs, index) => ({ metric: `m${index}`, atMs, value: 1 })));
    expect(ack.accepted).toBe(2);
    expect(ack.rejected.map(({ index, reason }) => [index, reason])).toEqual([
      [
        0,
        "@timestamp 2024-10-01T23:59:59.999Z is before retention, which starts at 2024-10-02T00:00:00.000Z " +
          "(--retention-days 3; 4 would cover it)",
      ],
      [
        3,
        "@timestamp 2024-10-04T12:10:00.001Z is in the future, at most 2024-10-04T12:10:00.000Z is accepted now (futureMs)",
      ],
    ]);
  });

  test("a sample without a time gets the time of arrival, each time that its batch is pushed", async () => {
    const batch = batchOf([
      { metric: "m", kind: "delta", atMs: NOON_MS - 1, value: 1 },
      { metric: "m", kind: "delta", value: 2 },
    ]);
    await gateway.gateway.ingest.push(batch);
    gateway.nowMs += 5;
    await gateway.gateway.ingest.push(batch);
    expect(await stored()).toEqual(["m -1 1", "m -1 1", "m 0 2", "m 5 2"]);
    expect(batch.timestampUs[1]).toBeNaN();
  });

  test("a rejected time in seconds is reported as such", async () => {
    const { rejected } = await push([{ metric: "m", atMs: NOON_MS / 1_000, value: 1 }]);
    expect(rejected[0]!.reason).toBe(
      "@timestamp 1970-01-21T00:00:43.200Z is before retention, which starts at 2024-10-02T00:00:00.000Z " +
        "(a number is milliseconds; this one looks like seconds)",
    );
  });

  test("a time in seconds is reported as such, also if it is before retention as seconds", async () => {
    const { rejected } = await push([{ metric: "m", atMs: Date.UTC(2024, 0, 1) / 1_000, value: 1 }]);
    expect(rejected[0]!.reason).toEndWith("(a number is milliseconds; this one looks like seconds)");
  });

  test("a time in microseconds or nanoseconds is reported as such", async () => {
    const reasons = async (atMs: number) =>
      (await push([{ metric: "m", atMs, value: 1 }])).rejected.map(({ reason }) => reason);
    expect(await reasons(NOON_MS * 1e3)).toEqual([
      expect.stringMatching(
        /is in the future, .* \(a number is milliseconds; this one looks like microseconds\)$/,
      ),
    ]);
    expect(await reasons(NOON_MS * 1e6)).toEqual([
      expect.stringMatching(
        /is in the future, .* \(a number is milliseconds; this one looks like nanoseconds\)$/,
      ),
    ]);
    expect(await reasons(Date.UTC(2100, 0, 1))).toEqual([
      expect.stringMatching(/ is accepted now \(futureMs\)$/),
    ]);
  });

  test("late and historical samples are stored and not counted in the totals", async () => {
    const at = (atMs: number): Sample => ({ metric: "d", kind: "delta", atMs, value: 1 });
    await push([at(NOON_MS), at(NOON_MS - HOUR_MS), at(NOON_MS - HOUR_MS + 1), at(NOON_MS - DAY_MS)]);
    await push([at(NOON_MS)], { historical: true });
    expect(await stored()).toHaveLength(5);
    expect(await gateway.exposed()).toEqual(['d_total{instance=""} 2']);
  });

  test("days past retention are dropped with their series, and a series that returns starts from zero", async () => {
    const delta = (value: number): Sample[] => [{ metric: "d", kind: "delta", value }];
    await push([...delta(5), { metric: "g", value: 1 }]);
    gateway.nowMs += DAY_MS;
    await push([{ metric: "g", value: 2 }]);
    gateway.nowMs += 2 * DAY_MS;
    expect(await gateway.gateway.ingest.prune()).toEqual({ days: [NOON_MS / DAY_MS - 0.5], rows: 2 });
    expect(await gateway.query("SELECT metric FROM series")).toEqual([{ metric: "g" }]);
    expect(await gateway.query("SELECT metric FROM metrics")).toEqual([{ metric: "g" }]);
    await push([...delta(3), { metric: "g", value: 3 }]);
    await gateway.reopen();
    expect((await gateway.exposed()).sort()).toEqual(['d_total{instance=""} 3', 'g{instance=""} 3']);
  });
});

describe("names", () => {
  const refused = async (...samples: Sample[]) => (await push(samples)).rejected.map(({ reason }) => reason);

  test("rejects a sample whose kind differs from its metric's", async () => {
    expect(await refused({ metric: "m", value: 1 }, { metric: "m", kind: "delta", value: 1 })).toEqual([
      'metric "m" is stored as gauge, this sample is counter; use another name, or delete all samples of the metric with "weir delete"',
    ]);
  });

  test("names with the same spelling in Prometheus share a family only if their kinds agree", async () => {
    expect(await refused({ metric: "a.b", value: 1 }, { metric: "a-b", value: 1 })).toEqual([]);
    expect(await refused({ metric: "a_b", kind: "cumulative", value: 1 })).toEqual([
      'metric "a_b" (cumulative) would share the name a_b in Prometheus with metric "a.b" (gauge)',
    ]);
  });

  test("rejects a metric whose name overlaps another family, in either order", async () => {
    await push([
      { metric: "x", kind: "observation", value: 1 },
      { metric: "y_count", value: 1 },
    ]);
    expect(
      await refused({ metric: "x_sum", value: 1 }, { metric: "y", kind: "observation", value: 1 }),
    ).toEqual([
      'metric "x_sum" (gauge) would share the name x_sum in Prometheus with metric "x" (observation)',
      'metric "y" (observation) would share the name y_count in Prometheus with metric "y_count" (gauge)',
    ]);
  });

  test("rejects reserved labels, and labels that are equal in Prometheus", async () => {
    const labels = (kind: Kind, each: Record<string, string>) =>
      refused({ metric: `m.${kind}`, kind, value: 1, labels: each });
    expect(await labels("observation", { le: "1" })).toEqual([
      'tag "le" is reserved for the buckets of an observation',
    ]);
    expect(await labels("gauge", { __name__: "x" })).toEqual([
      'tag "__name__" is reserved for the name of the metric',
    ]);
    expect(await labels("gauge", { "..name__": "x" })).toEqual([
      'tag "..name__" is __name__ in Prometheus, which is reserved for the name of the metric',
    ]);
    expect(await labels("gauge", { "a.b": "x", a_b: "y" })).toEqual([
      'tags "a.b" and "a_b" are both a_b in Prometheus',
    ]);
    expect(await refused({ metric: "", value: 1 })).toEqual(["metric_name is empty, expected a name"]);
  });
});

describe("the guard", () => {
  const event = (url: string, value = 1): Sample => ({
    metric: "d",
    kind: "delta",
    value,
    labels: { url, op: "a" },
  });

  test("a label with too many values becomes an attribute, and the exposed counter does not decrease", async () => {
    await gateway.reopen("--label-values-max=3");
    await push([{ metric: "d", kind: "delta", value: 10, labels: { op: "a" } }]);
    await push(["1", "2", "3"].map((url) => event(url)));
    expect(await gateway.exposed()).toHaveLength(4);
    await push([event("4"), event("1", 5)]);
    expect(await gateway.exposed()).toEqual(['d_total{instance="",op="a"} 16']);
    const rows = "SELECT value, url FROM weir.samples_20241004 WHERE url IS NOT NULL ORDER BY rowid";
    expect(await gateway.query(rows)).toEqual([
      { value: 1, url: "4" },
      { value: 5, url: "1" },
    ]);
    await gateway.reopen("--label-values-max=3");
    await push([event("5")]);
    expect(await gateway.exposed()).toEqual(['d_total{instance="",op="a"} 17']);
  });

  test("past seriesPerMetricMax the label with the most values is demoted, and never job or instance", async () => {
    await gateway.reopen("--series-per-metric-max=4");
    const of = (instance: string, url: string): Sample => ({
      metric: "d",
      kind: "delta",
      value: 1,
      labels: { instance, url },
    });
    await push([of("a", "1"), of("b", "1"), of("c", "1"), of("d", "2"), of("e", "2")]);
    expect((await gateway.exposed()).sort()).toEqual(
      ["a", "b", "c", "d", "e"].map((each) => `d_total{instance="${each}"} 1`),
    );
  });
});

describe("bounds", () => {
  test("a full queue rejects pushes, and accepts them again once it is empty", async () => {
    await gateway.reopen("--queue-samples-max=2");
    const two: Sample[] = [
      { metric: "d", kind: "delta", value: 1 },
      { metric: "d", kind: "delta", value: 1 },
    ];
    const first = push(two);
    await expect(push(two)).rejects.toThrow("the queue is full");
    await first;
    expect(await push(two)).toMatchObject({ accepted: 2 });
  });

  test("an import continues only where it was left", async () => {
    const chunk = (fromOffset: number, toOffset: number) => ({
      imported: { file: "f", fromOffset, toOffset, lastLineHash: `${toOffset}` },
    });
    const sample: Sample[] = [{ metric: "d", kind: "delta", value: 1 }];
    await push(sample, chunk(0, 10));
    await expect(push(sample, chunk(0, 10))).rejects.toThrow("import_from is 0, expected 10");
    await gateway.reopen();
    expect(gateway.gateway.ingest.importOffset("f")).toMatchObject({ byteOffset: 10, lastLineHash: "10" });
    await push(sample, chunk(10, 20));
    expect(gateway.gateway.ingest.importOffset("f")).toMatchObject({ byteOffset: 20 });
    expect(await gateway.exposed()).toEqual([]);
  });

  test("rejected samples are in the table rejected", async () => {
    await push([{ metric: "", value: 1 }]);
    expect(await gateway.query("SELECT protocol, reason FROM rejected")).toEqual([
      { protocol: "events", reason: "metric_name is empty, expected a name" },
    ]);
  });

  test("rejects pushes after stop", async () => {
    await gateway.gateway.ingest.stop();
    await expect(push([{ metric: "g", value: 1 }])).rejects.toThrow("the gateway is stopping");
  });
});

test("a retention by size drops the oldest days", async () => {
  await gateway.reopen("--retention-bytes=1");
  await push([
    { metric: "g", atMs: NOON_MS - DAY_MS, value: 1 },
    { metric: "g", atMs: NOON_MS, value: 1 },
  ]);
  const { days } = await gateway.gateway.ingest.prune();
  expect(days).toEqual([Math.floor(NOON_MS / DAY_MS) - 1]);
  expect(await stored()).toEqual(["g 0 1"]);
});

test("a body of many series causes no snapshot of the totals by itself", async () => {
  await gateway.reopen("--snapshot-interval-ms=1s");
  const generations = () => gateway.query("SELECT count(*)::INTEGER AS count FROM weir.totals");
  await push(
    Array.from({ length: 20_001 }, (_, at) => ({
      metric: "many",
      kind: "gauge",
      value: 2,
      labels: { id: `s${at}` },
    })),
  );
  gateway.nowMs += 2_000;
  await push([{ metric: "few", kind: "delta", value: 3, labels: { job: "j" } }]);
  await gateway.gateway.ingest.probe();
  gateway.nowMs += 2_000;
  await push([{ metric: "few", kind: "delta", value: 3, labels: { job: "j" } }]);
  // What is stored beside the pushes is stored before this.
  await gateway.gateway.ingest.probe();
  expect(await generations()).toEqual([{ count: 0 }]);
  // What a scrape shows of the last pushes does not wait for it.
  const lastPushes = "SELECT job, epoch_ms(pushed_at)::DOUBLE AS ms FROM weir.last_pushes WHERE job = 'j'";
  expect(await gateway.query(lastPushes)).toEqual([{ job: "j", ms: NOON_MS + 2_000 }]);
});
