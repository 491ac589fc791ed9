/**
 * A list of heads that a decoder repeats is admitted as a whole. What changes in between is seen: the day, the labels that a
 * request adds, demotions, and metrics that were forgotten.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Batch, SeriesHead } from "../../../src/model/sample.ts";
import { batchOf, DAY_MS, NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await openTestGateway("--label-values-max=25");
});
afterEach(() => gateway.close());

const OPERATIONS = Array.from({ length: 20 }, (_, index) => `op${index}`);
const made = batchOf(OPERATIONS.map((op) => ({ metric: "jobs", kind: "delta", labels: { op } })));
/** The list of heads of all batches. */
const HEADS: readonly SeriesHead[] = made.heads;

const at = (ms: number, value = 1, heads = HEADS): Batch => ({
  ...made,
  heads,
  timestampUs: new Float64Array(heads.length).fill(ms * 1000),
  value: new Float64Array(heads.length).fill(value),
});
const push = (
  batch: Batch,
  extra: Readonly<Record<string, string>> = {},
  extraLabels = new Map(Object.entries(extra)),
) => gateway.gateway.ingest.push(batch, extraLabels.size === 0 ? {} : { extraLabels });

async function sql(statement: string): Promise<unknown[][]> {
  const answer = await gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const { rows } = (await answer.json()) as { rows: Record<string, unknown>[] };
  return rows.map((row) => Object.values(row));
}

test("each push counts, under the series of its labels", async () => {
  for (const value of [1, 2, 3]) await push(at(NOON_MS, value));
  expect(await sql("SELECT count(*)::INTEGER, count(DISTINCT op)::INTEGER, sum(value) FROM jobs")).toEqual([
    [60, 20, 120],
  ]);
  expect(await gateway.exposed()).toContain('jobs_total{instance="",op="op7"} 6');
});

test("a gauge whose samples are not newer is looked up, and a duplicate is dropped", async () => {
  const heads = HEADS.map((head) => ({ ...head, metric: "level", kind: "gauge" as const }));
  await push(at(NOON_MS, 1, heads));
  const { accepted, duplicates } = await push(at(NOON_MS, 1, heads));
  expect([accepted, duplicates]).toEqual([0, 20]);
  const { rejected } = await push(at(NOON_MS, 2, heads));
  expect(rejected.length).toBe(20);
});

test("labels that a request adds make other series, and the same labels the same", async () => {
  const [a, b] = [new Map([["site", "a"]]), new Map([["site", "b"]])];
  for (const extra of [a, b, a, b, a]) await push(at(NOON_MS), {}, extra);
  await push(at(NOON_MS));
  expect(
    await sql("SELECT site, count(*)::INTEGER FROM jobs GROUP BY site ORDER BY site NULLS LAST"),
  ).toEqual([
    ["a", 60],
    ["b", 40],
    [null, 20],
  ]);
});

test("a time that is not accepted rejects its samples only", async () => {
  await push(at(NOON_MS));
  const { accepted, rejected } = await push(at(NOON_MS - 30 * DAY_MS));
  expect([Math.abs(accepted), rejected.length]).toEqual([0, 20]);
  const mixed = at(NOON_MS);
  const timestampUs = mixed.timestampUs.slice();
  timestampUs[4] = (NOON_MS + DAY_MS) * 1000;
  expect((await push({ ...mixed, timestampUs })).rejected.map(({ index }) => index)).toEqual([4]);
  expect((await push(at(NOON_MS))).accepted).toBe(20);
});

test("a label that was demoted in between becomes a column", async () => {
  for (let time = 0; time < 2; time++) await push(at(NOON_MS));
  const others = batchOf(
    Array.from({ length: 30 }, (_, index) => ({
      metric: "jobs",
      kind: "delta",
      labels: { op: `other${index}` },
    })),
  );
  await push({ ...others, timestampUs: new Float64Array(30).fill(NOON_MS * 1000) });
  for (let time = 0; time < 2; time++) await push(at(NOON_MS));
  expect(await sql("SELECT op, count(*)::INTEGER FROM jobs WHERE op = 'op3' GROUP BY op")).toEqual([
    ["op3", 4],
  ]);
  // The series without the label has everything since.
  expect(await gateway.exposed()).toContain('jobs_total{instance=""} 70');
});

test("series have samples in each day of their pushes, also after the first day was dropped", async () => {
  await push(at(NOON_MS));
  for (const days of [1, 2, 3, 4]) {
    gateway.nowMs = NOON_MS + days * DAY_MS;
    for (let time = 0; time < 2; time++) await push(at(gateway.nowMs));
    await gateway.gateway.ingest.prune();
  }
  const days = await gateway.query(
    "SELECT day::VARCHAR AS day, count(*)::INTEGER AS series FROM weir.series_days GROUP BY day ORDER BY day",
  );
  expect(days.at(-1)).toEqual({ day: "2024-10-08", series: 20 });
  await gateway.reopen();
  expect(await sql("SELECT count(DISTINCT op)::INTEGER, count(*)::INTEGER >= 80 FROM jobs")).toEqual([
    [20, true],
  ]);
});

test("a metric that was forgotten is registered again", async () => {
  for (let time = 0; time < 2; time++) await push(at(NOON_MS));
  gateway.nowMs = NOON_MS + 10 * DAY_MS;
  await gateway.gateway.ingest.prune();
  for (let time = 0; time < 2; time++) expect((await push(at(gateway.nowMs))).accepted).toBe(20);
  expect(await sql("SELECT count(*)::INTEGER FROM jobs")).toEqual([[40]]);
});
