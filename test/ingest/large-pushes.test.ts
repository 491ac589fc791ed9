/**
 * A push that arrives while a large one is being stored is acknowledged before it, and is stored whatever becomes of the
 * large one.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { PushOptions } from "../../src/ingest/contract.ts";
import type { Batch } from "../../src/model/sample.ts";
import { batchOf, NOON_MS, openTestGateway, type Sample, TestGateway } from "../gateway.ts";

let subject: TestGateway;
beforeEach(async () => {
  subject = await openTestGateway();
  // The first sample of a day makes its table, and waits for the engine.
  await subject.push([{ metric: "first" }]);
});
afterEach(() => subject.close());

/** More than the samples that are committed together. */
const LARGE = 130_000;
/** Samples of ten series, and some others behind them. */
function large(metric = "large", others: readonly Sample[] = []): Batch {
  const series = Array.from({ length: 10 }, (_, n): Sample => {
    return { metric, kind: "delta", labels: { n: String(n) } };
  });
  const one = batchOf([...series, ...others]);
  const length = LARGE + others.length;
  const indexes = Uint32Array.from({ length }, (_, at) => (at < LARGE ? at % 10 : at - LARGE + 10));
  return {
    ...one,
    length,
    head: indexes,
    timestampUs: Float64Array.from(indexes, (at) => one.timestampUs[at]!),
    value: Float64Array.from(indexes, (at) => one.value[at]!),
    position: Uint32Array.from({ length }, (_, at) => at),
  };
}
const pushLarge = (batch = large(), options?: PushOptions) => subject.gateway.ingest.push(batch, options);
const delta = (value: number): Sample => ({ metric: "d", kind: "delta", value });

/** Notes the order in which pushes settle. */
function orderOf(pushes: Readonly<Record<string, Promise<unknown>>>): {
  order: string[];
  all: Promise<unknown>;
} {
  const order: string[] = [];
  const settled = Object.entries(pushes).map(([name, push]) =>
    push.then(
      () => order.push(name),
      (error: unknown) => order.push(`${name}: ${error}`),
    ),
  );
  return { order, all: Promise.all(settled) };
}

const rowsByMetric = () =>
  subject.query(
    "SELECT metric, count(*)::INTEGER AS rows, sum(value) AS sum FROM weir.samples_20241004 JOIN weir.series USING (series_id) GROUP BY metric ORDER BY metric",
  );

test("a push does not wait for a large one, and both are counted once", async () => {
  await subject.push([delta(1)]);
  const { order, all } = orderOf({
    large: pushLarge(),
    small: subject.push([delta(2), { metric: "new" }]),
    "with a key": subject.push([delta(4)], { idempotency: { scope: "s", key: "k", bodyHash: "h" } }),
    repeat: subject.push([delta(4)], { idempotency: { scope: "s", key: "k", bodyHash: "h" } }),
  });
  await all;
  expect(order.at(-1)).toBe("large");
  expect(await rowsByMetric()).toEqual([
    { metric: "d", rows: 3, sum: 7 },
    { metric: "first", rows: 1, sum: 1 },
    { metric: "large", rows: LARGE, sum: LARGE },
    { metric: "new", rows: 1, sum: 1 },
  ]);
  const exposed = (await subject.exposed()).sort();
  expect(exposed.slice(0, 2)).toEqual(['d_total{instance=""} 7', 'first{instance=""} 1']);
  await subject.reopen();
  expect((await subject.exposed()).sort()).toEqual(exposed);
});

test("a repeat of a large push that is being stored gets its answer, and is not stored again", async () => {
  const key = { idempotency: { scope: "s", key: "k", bodyHash: "h" } };
  const samples = large();
  const [first, again] = await Promise.all([pushLarge(samples, key), pushLarge(samples, key)]);
  expect(first).toMatchObject({ accepted: LARGE });
  expect(again).toMatchObject({ accepted: LARGE, repeated: true });
  expect(await pushLarge(samples, key)).toMatchObject({ repeated: true });
  await subject.reopen();
  expect(await pushLarge(samples, key)).toMatchObject({ repeated: true });
  expect((await rowsByMetric())[1]).toEqual({ metric: "large", rows: LARGE, sum: LARGE });
});

test("a large push that fails leaves no sample, and those that overtook it are stored", async () => {
  const before = NOON_MS - 86_400_000;
  await subject.query("CREATE TABLE weir.samples_20241003 (in_the_way INTEGER)");
  const samples = large("large", [{ metric: "large", kind: "delta", atMs: before, labels: { n: "0" } }]);
  const idempotency = { scope: "s", key: "k", bodyHash: "h" };
  const { order, all } = orderOf({
    large: pushLarge(samples, { idempotency }),
    small: subject.push([delta(1)]),
  });
  await all;
  expect(order).toEqual(["small", "large: Unavailable: the samples could not be stored, send them again"]);
  expect(subject.takeLog().join("")).toContain("a commit of 1 pushes failed");
  expect(await rowsByMetric()).toEqual([
    { metric: "d", rows: 1, sum: 1 },
    { metric: "first", rows: 1, sum: 1 },
  ]);
  expect(subject.gateway.ingest.waiting).toEqual({ samples: 0, bytes: 0, oldestMs: undefined });
  await subject.query("DROP TABLE weir.samples_20241003");
  expect(await pushLarge(samples, { idempotency })).toMatchObject({ accepted: LARGE + 1 });
});

test("a sample that may be in the large push is compared with it, and is stored once", async () => {
  const level = (value: number): Sample => ({ metric: "level", atMs: NOON_MS - 1_000, value });
  const { order, all } = orderOf({
    large: pushLarge(large("large", [level(5)])),
    same: subject.push([level(5)]).then(({ duplicates }) => expect(duplicates).toBe(1)),
    other: subject.push([level(6)]).then(({ rejected }) => expect(rejected).toHaveLength(1)),
    small: subject.push([delta(1)]),
  });
  await all;
  expect(order.slice(0, 2)).toEqual(["small", "large"]);
  expect(order.slice(2).sort()).toEqual(["other", "same"]);
  const levels = await subject.query(
    "SELECT value FROM weir.samples_20241004 JOIN weir.series USING (series_id) WHERE metric = 'level'",
  );
  expect(levels).toEqual([{ value: 5 }]);
});

test("chunks of an import are stored in their order, also behind a large one", async () => {
  const part = (fromOffset: number, toOffset: number) => ({
    imported: { file: "f", fromOffset, toOffset, lastLineHash: `${toOffset}` },
  });
  const { order, all } = orderOf({
    first: pushLarge(large(), part(0, 10)),
    second: subject.push([delta(1)], part(10, 20)),
    small: subject.push([delta(2)]),
  });
  await all;
  expect(order).toEqual(["small", "first", "second"]);
  expect(subject.gateway.ingest.importOffset("f")).toMatchObject({ byteOffset: 20 });
});

test("a deletion waits for the large push, and the next large push waits for the deletion", async () => {
  const { ingest } = subject.gateway;
  const first = pushLarge();
  const deletion = subject.push([{ metric: "seen" }]).then(async () => {
    const seriesIds = [...subject.gateway.registry.series()]
      .filter(({ metric }) => metric.name === "large")
      .map(({ seriesId }) => seriesId);
    return await ingest.deleteSamples({
      seriesIds,
      fromUs: Number.NEGATIVE_INFINITY,
      toUs: Number.POSITIVE_INFINITY,
    });
  });
  const { order, all } = orderOf({ first, deletion, second: pushLarge(large("other")) });
  await all;
  expect(order).toEqual(["first", "deletion", "second"]);
  expect(await deletion).toBe(LARGE);
  const totals = (await subject.exposed()).filter((line) => line.startsWith("large_total")).sort();
  await subject.reopen();
  expect((await subject.exposed()).filter((line) => line.startsWith("large_total")).sort()).toEqual(totals);
});

test("a stop stores the large push and those behind it", async () => {
  const pushes = [pushLarge(), subject.push([delta(1)]), subject.push([delta(2)])];
  await subject.reopen();
  await Promise.all(pushes);
  expect(await rowsByMetric()).toEqual([
    { metric: "d", rows: 2, sum: 3 },
    { metric: "first", rows: 1, sum: 1 },
    { metric: "large", rows: LARGE, sum: LARGE },
  ]);
  expect((await subject.exposed()).sort()[0]).toBe('d_total{instance=""} 3');
});

test("snapshots of the totals lose nothing of the pushes beside them", async () => {
  await subject.reopen("--snapshot-interval-ms=1s");
  let sum = 0;
  for (let value = 1; value <= 30; value++) {
    subject.nowMs += 400;
    await subject.push([delta(value), delta(value)]);
    sum += 2 * value;
    if (value % 10 !== 0) continue;
    // What a kill at this moment would leave. The files are copied by another process, because closing one here would give
    // up its locks.
    const left = new TestGateway(subject.nowMs);
    expect(Bun.spawnSync(["cp", "-r", `${subject.folder}/.`, left.folder]).exitCode).toBe(0);
    await left.open([]);
    const shown = (await left.exposed()).filter((line) => line.startsWith("d_total"));
    await left.close();
    expect(shown).toEqual([`d_total{instance=""} ${sum}`]);
  }
  const [snapshots] = await subject.query("SELECT max(generation) AS n FROM weir.watermarks");
  expect(Number(snapshots!.n)).toBeGreaterThan(2);
});

test("a large push that ends after a later one does not set back when their worker pushed", async () => {
  const labels = { job: "w", instance: "i" };
  const first = pushLarge(large("large", [{ metric: "d", kind: "delta", labels }]));
  subject.nowMs += 60_000;
  const order = orderOf({ small: subject.push([{ ...delta(1), labels }]), large: first });
  await order.all;
  expect(order.order).toEqual(["small", "large"]);
  const pushedAtMs = NOON_MS + 60_000;
  expect(subject.gateway.totals.lastPushRecords().find(({ job }) => job === "w")).toEqual({
    job: "w",
    instance: "i",
    pushedAtMs,
  });
});

test("the labels of a scraper that a large push teaches are stored when it is acknowledged", async () => {
  const [, text] = await subject.send("GET /metrics");
  const [, id] = /^weir_exposition_info\{id="(.*)"\} 1$/m.exec(text)!;
  const labels = { id: id!, job: "weir", instance: "gw" };
  await pushLarge({
    ...large("large", [{ metric: "weir_exposition_info", labels }]),
    protocol: "remote_write",
  });
  expect(await subject.query("SELECT added FROM weir.scrapers")).toEqual([
    { added: JSON.stringify(Object.entries({ instance: "gw", job: "weir" })) },
  ]);
});

test("a group shows what was pushed to it, although a large push before it has a later sample of the series", async () => {
  const labels = { job: "j" };
  const { all } = orderOf({
    large: pushLarge(large("large", [{ metric: "m", labels, atMs: NOON_MS + 1_000, value: 7 }])),
    put: subject.ok("PUT /metrics/job/j", "# TYPE m gauge\nm 5\n"),
  });
  await all;
  const shown = async () => (await subject.exposed()).filter((line) => line.startsWith("m{"));
  expect(await shown()).toEqual(['m{instance="",job="j"} 5']);
  await subject.reopen();
  expect(await shown()).toEqual(['m{instance="",job="j"} 5']);
});
