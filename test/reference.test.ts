/** The model itself, tested with cases worked out by hand, because the server is compared with it. */
import { expect, test } from "bun:test";
import { type Event, Reference, sampleKey } from "./reference.ts";

const NOON = Date.UTC(2024, 0, 10, 12);
const MINUTE = 60_000;
const LIMITS = { retentionDays: 3, labelValuesMax: 2, seriesPerMetricMax: 100 };

const event = (fields: Partial<Event>): Event => ({
  name: "work.seconds",
  type: "observation",
  timestampMs: NOON,
  value: 1,
  tags: {},
  ...fields,
});

test("counts an observation in every bucket whose bound is not below it", () => {
  const reference = new Reference(LIMITS);
  const values = [0.1, 0.2, 2.5, 100];
  reference.push(
    values.map((value) => event({ value, tags: { task_id: "t1", op: "a" } })),
    NOON,
  );
  const { must } = reference.exposition(NOON);
  const bucket = (le: string) => must.get(sampleKey("work_seconds_bucket", { op: "a", le }));
  expect([bucket("0.05"), bucket("0.1"), bucket("0.25"), bucket("2.5"), bucket("60")]).toEqual([
    0, 1, 2, 3, 3,
  ]);
  expect(bucket("Infinity")).toBe(4);
  // 0.1 + 0.2 + 2.5 + 100 in doubles, rounded once.
  expect(must.get(sampleKey("work_seconds_sum", { op: "a" }))).toBe(102.8);
  expect(must.get(sampleKey("work_seconds_count", { op: "a" }))).toBe(4);
  expect(reference.rows[0]).toMatchObject({ labels: { op: "a" }, attributes: { task_id: "t1" }, live: true });
});

test("stores a sample that is an hour old without counting it in totals, and rejects one before retention or far ahead", () => {
  const reference = new Reference(LIMITS);
  const minutesAgo = (minutes: number) =>
    event({ type: "counter", name: "done", timestampMs: NOON - minutes * MINUTE });
  const answer = reference.push([minutesAgo(1), minutesAgo(61), minutesAgo(3 * 1440), minutesAgo(-11)], NOON);
  expect(answer).toEqual({ accepted: 2, duplicates: 0, rejected: [2, 3] });
  expect(reference.exposition(NOON).must).toEqual(new Map([[sampleKey("done_total", {}), 1]]));
});

test("keeps the newer value of a late gauge, drops a duplicate, and rejects another value at the same time", () => {
  const reference = new Reference(LIMITS);
  const gauge = (minutes: number, value: number) =>
    event({ type: "gauge", name: "depth", value, timestampMs: NOON - minutes * MINUTE });
  const answer = reference.push([gauge(1, 5), gauge(2, 7), gauge(1, 5), gauge(1, 6)], NOON);
  expect(answer).toEqual({ accepted: 2, duplicates: 1, rejected: [3] });
  expect(reference.exposition(NOON).must).toEqual(new Map([[sampleKey("depth", {}), 5]]));
  expect(reference.exposition(NOON + 6 * MINUTE).must.size).toBe(0);
});

test("demotes the label with one value too many, and starts the series without it at 0", () => {
  const reference = new Reference(LIMITS);
  const done = (shard: string) => event({ type: "counter", name: "done", tags: { shard, op: "a" } });
  reference.push([done("1"), done("2")], NOON);
  expect(reference.exposition(NOON).must.size).toBe(2);
  reference.push([done("3"), done("1")], NOON);
  expect(reference.demotions("done")).toEqual(["shard"]);
  expect(reference.exposition(NOON).must).toEqual(new Map([[sampleKey("done_total", { op: "a" }), 2]]));
  expect(reference.rows.map(({ labels }) => labels)).toEqual([
    { op: "a", shard: "1" },
    { op: "a", shard: "2" },
    { op: "a" },
    { op: "a" },
  ]);
});

test("drops rows of past days, and a metric's kind with its last row", () => {
  const reference = new Reference(LIMITS);
  const day = 1440 * MINUTE;
  reference.push([event({ name: "a" }), event({ name: "b", timestampMs: NOON - 2 * day })], NOON);
  expect(reference.push([event({ name: "b", type: "gauge" })], NOON).rejected).toEqual([0]);
  reference.prune(NOON + day);
  expect(reference.rows.map(({ metric }) => metric)).toEqual(["a"]);
  expect(reference.push([event({ name: "b", type: "gauge" })], NOON + day).accepted).toBe(1);
});
