/** Commits and drops that fail: afterwards nothing is lost or stored twice, and the totals equal the rows. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { DAY_MS, NOON_MS, openTestGateway, type Sample, type TestGateway } from "../gateway.ts";

/** Makes commits fail that contain the day's first row, until the returned function is called. The failures are logged. */
async function spoilDay(table: string): Promise<() => Promise<unknown>> {
  await subject.query(`CREATE TABLE weir.${table} (in_the_way INTEGER)`);
  return () => {
    expect(subject.takeLog().join("")).toContain("pushes failed");
    return subject.query(`DROP TABLE weir.${table}`);
  };
}

let subject: TestGateway;
beforeEach(async () => {
  subject = await openTestGateway();
});
afterEach(() => subject.close());

const NOT_STORED = "the samples could not be stored, send them again";
const delta = (value: number, more: Partial<Sample> = {}): Sample => ({
  metric: "d",
  kind: "delta",
  value,
  ...more,
});

test("a failed commit stores nothing, and the same push is accepted afterwards", async () => {
  const mend = await spoilDay("samples_20241004");
  const idempotency = { scope: "s", key: "k", bodyHash: "h" };
  const samples = [delta(1), { metric: "g", atMs: NOON_MS, value: 2 }];
  await expect(subject.push(samples, { idempotency })).rejects.toThrow(NOT_STORED);
  expect(await subject.query("SELECT * FROM weir.series")).toEqual([]);
  await mend();
  expect(await subject.push(samples, { idempotency })).toMatchObject({ accepted: 2, duplicates: 0 });
  await subject.reopen();
  expect((await subject.exposed()).sort()).toEqual(['d_total{instance=""} 1', 'g{instance=""} 2']);
});

// The commit loop would otherwise end without an answer to the pushes that it had taken, and keep their room.
test("a fault beside a commit is logged once, and neither this push nor the next one hangs", async () => {
  await subject.push([delta(1)]);
  const { store } = subject.gateway;
  const { fileSizes, find } = store;
  store.fileSizes = () => Promise.reject(new Error("no sizes"));
  store.find = () => {
    throw new Error("not found");
  };
  const level = { metric: "g", atMs: NOON_MS };
  expect(await subject.push([{ ...level, value: 1 }])).toMatchObject({ accepted: 1 });
  for (let commit = 0; commit < 100; commit++) await subject.push([delta(1)]);
  await expect(subject.push([{ ...level, value: 2 }])).rejects.toThrow(NOT_STORED);
  store.fileSizes = fileSizes;
  store.find = find;
  expect(await subject.push([delta(1)])).toMatchObject({ accepted: 1 });
  expect(subject.gateway.ingest.waiting).toEqual({ samples: 0, bytes: 0, oldestMs: undefined });
  const lines = subject.takeLog().map((line) => JSON.parse(line) as { what: string; error: string });
  expect(lines.filter(({ error }) => error.includes("not found"))).toHaveLength(1);
  const sizes = lines.filter(({ error }) => error.includes("no sizes"));
  expect(sizes.length).toBeGreaterThan(0);
  expect(new Set(sizes.map(({ what }) => what))).toEqual(new Set(["a step between two commits failed"]));
  await subject.reopen();
  expect((await subject.exposed()).sort()).toEqual(['d_total{instance=""} 102', 'g{instance=""} 1']);
});

test("a column that a failed commit added is added again", async () => {
  const labels = { task_id: "a" };
  const before = { atMs: NOON_MS - DAY_MS, labels };
  await subject.push([delta(1, { atMs: NOON_MS - DAY_MS })]);
  const mend = await spoilDay("samples_20241004");
  await expect(subject.push([delta(2, before), delta(4, { labels })])).rejects.toThrow(NOT_STORED);
  await mend();
  await subject.push([delta(8, before), delta(16, { labels })]);
  await subject.reopen();
  await subject.push([delta(32, { labels })]);
  const rows = "SELECT value, task_id FROM samples_20241004 ORDER BY rowid";
  expect(await subject.query(rows.replace("FROM ", "FROM weir."))).toEqual([
    { value: 16, task_id: "a" },
    { value: 32, task_id: "a" },
  ]);
  expect(await subject.exposed()).toEqual(['d_total{instance=""} 48']);
});

test("a chunk of an import is rejected if the chunk before it was not stored", async () => {
  const part = (fromOffset: number, toOffset: number) => ({
    imported: { file: "f", fromOffset, toOffset, lastLineHash: `${toOffset}` },
  });
  const mend = await spoilDay("samples_20241003");
  const first = subject.push([delta(1, { atMs: NOON_MS - DAY_MS })], part(0, 10));
  const second = subject.push([delta(2)], part(10, 20));
  const outcomes = await Promise.allSettled([first, second]);
  expect(outcomes.map((outcome) => String((outcome as PromiseRejectedResult).reason))).toEqual([
    `Unavailable: ${NOT_STORED}`,
    "Conflict: import_from is 10, expected 0: this file was imported up to there",
  ]);
  await mend();
  expect(subject.gateway.ingest.importOffset("f")).toBeUndefined();
  await subject.push([delta(1, { atMs: NOON_MS - DAY_MS })], part(0, 10));
  await subject.push([delta(2)], part(10, 20));
  expect(subject.gateway.ingest.importOffset("f")).toMatchObject({ byteOffset: 20 });
});

test("a failed drop of days loses no totals, and the next drop completes it", async () => {
  await subject.reopen("--snapshot-interval-ms=1s");
  await subject.push([{ metric: "old" }, delta(1)]);
  subject.nowMs += DAY_MS;
  await subject.push([delta(2)]);
  subject.nowMs += 2 * DAY_MS;
  await subject.query("ALTER TABLE weir.watermarks RENAME TO hidden");
  await expect(subject.gateway.ingest.prune()).rejects.toThrow("watermarks");
  await subject.query("ALTER TABLE weir.hidden RENAME TO watermarks");
  // A snapshot that is not whole, then the end without another snapshot.
  subject.nowMs += 2_000;
  await subject.push([{ metric: "g" }]);
  subject.nowMs += 2_000;
  await subject.push([{ metric: "g" }]);
  const totals =
    "SELECT arg_max(count, generation) AS count, arg_max(sum_high, generation) AS sum " +
    "FROM weir.totals JOIN weir.series USING (series_id) WHERE metric = 'd' GROUP BY ALL";
  expect(await subject.query(totals)).toEqual([{ count: 2, sum: 3 }]);
  expect((await subject.gateway.ingest.prune()).days).toHaveLength(1);
  expect(await subject.query("SELECT metric FROM weir.series ORDER BY metric")).toEqual([
    { metric: "d" },
    { metric: "g" },
  ]);
  expect(await subject.query("SELECT metric FROM metrics ORDER BY metric")).toEqual([
    { metric: "d" },
    { metric: "g" },
  ]);
});

test("totals continue from their values after every day was dropped", async () => {
  await subject.push([delta(1)]);
  await subject.reopen("--snapshot-interval-ms=1s");
  await subject.push([delta(2)]);
  subject.nowMs += 3 * DAY_MS;
  // The series is kept because a push to it waits while its only day is dropped.
  const waiting = subject.push([delta(4)]);
  const pruned = subject.gateway.ingest.prune();
  await Promise.all([waiting, pruned]);
  await subject.reopen("--snapshot-interval-ms=1s");
  await subject.push([delta(8)]);
  await subject.reopen();
  expect(await subject.exposed()).toEqual(['d_total{instance=""} 15']);
});
