/** A metric with more samples than a file may have: several files, each sorted, with all samples once. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { DayWriter, type WrittenPart, type WrittenRows } from "../../src/archive/writing/day-writer.ts";
import { NOON_MS } from "../gateway.ts";
import { ArchivingGateway, DAY, duckdb, HOUR_MS } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

/** Writes the rows of the only day. Their files are in the folder of the gateway. */
async function written(archiving: ArchivingGateway, rows: WrittenRows): Promise<WrittenPart[]> {
  const { store } = archiving.gateway;
  const spool = `${archiving.folder}/archive/spool`;
  mkdirSync(spool, { recursive: true });
  const reader = await store.reader();
  const parts: WrittenPart[] = [];
  try {
    const writer = new DayWriter(reader, store.days()[0]!, rows, spool, () => store.freeBlocks(1));
    for await (const part of writer.parts()) parts.push(part);
  } finally {
    reader.close();
  }
  return parts;
}

test("slices of minutes, and of series of one minute, have each sample once", async () => {
  gateway = await ArchivingGateway.openWith();
  // Series of two metrics in turn, so that ranges of ids have both. One series of `a` has most samples.
  const samples = Array.from({ length: 400 }, (_, at) => ({
    metric: at % 2 === 0 ? "a" : "b",
    kind: "observation" as const,
    atMs: NOON_MS - 400_000 + at * 1_000,
    value: at,
    labels: { op: at % 8 === 0 ? "many" : `op${at % 5}` },
  }));
  await gateway.push(samples);
  const rows = { firstRow: 0, endRow: 400, withBlocks: true, fileRowsMax: 20 };
  const parts = await written(gateway, rows);
  const names = [...new Set(parts.map(({ metric }) => metric.name))];
  expect(names).toEqual(["a", "b"]);
  for (const { part } of parts) expect(part.rows).toBeLessThanOrEqual(30);
  expect(parts.length).toBeGreaterThan(20);
  for (const [name, first] of [
    ["a", 0],
    ["b", 1],
  ] as const) {
    const paths = parts.filter(({ metric }) => metric.name === name).map(({ file }) => `'${file.path}'`);
    const values = samples.map(({ value }) => value).filter((value) => value % 2 === first);
    const [found] = await duckdb(
      `SELECT count(*) AS rows, count(DISTINCT value) AS values, sum(value) AS sum FROM read_parquet([${paths.join(",")}])`,
    );
    expect(found).toEqual({
      rows: values.length,
      values: values.length,
      sum: values.reduce((sum, value) => sum + value, 0),
    });
  }
  for (const { file, part } of parts) {
    const rows = await duckdb(`SELECT series, epoch_us(ts)::DOUBLE AS us FROM '${file.path}'`);
    expect(rows).toHaveLength(part.rows);
    expect(rows).toEqual(
      rows.toSorted(
        (a, b) => (a.series as number) - (b.series as number) || (a.us as number) - (b.us as number),
      ),
    );
  }
});

test("blocks are divided by series, and a series by minutes", async () => {
  gateway = await ArchivingGateway.openWith();
  const samples = Array.from({ length: 1_200 }, (_, at) => ({
    metric: "level",
    kind: "gauge" as const,
    atMs: NOON_MS - 12 * HOUR_MS + at * 30_000,
    value: at,
    labels: { at: at % 3 === 0 ? "a" : "b" },
  }));
  await gateway.push(samples);
  await gateway.gateway.ingest.storeTotals();
  const { store } = gateway.gateway;
  expect(await store.pack({ day: DAY, untilUs: NOON_MS * 1000, isForced: true })).toBe(1_200);
  // Of three samples, which take 1.5 minutes, one is of series a, and two are of b.
  const parts = await written(gateway, { firstRow: 0, endRow: 0, withBlocks: true, fileRowsMax: 500 });
  expect(parts.map(({ part }) => part.rows)).toEqual([400, 500, 300]);
  for (const { file, part } of parts) {
    const [found] = await duckdb(`SELECT count(*) AS rows, count(DISTINCT series) AS series,
  count(DISTINCT value) AS values, arg_min(ts, file_row_number) = min(ts) AS "isSorted"
FROM read_parquet('${file.path}', file_row_number = true)`);
    expect(found).toEqual({ rows: part.rows, values: part.rows, isSorted: true, series: 1 });
  }
});

test("a file of many rows has the labels of their series, and the order of arrival", async () => {
  gateway = await ArchivingGateway.openWith();
  // From 11:16:40, ten samples at each second, in two series. The tag zone is a label of one of them, and task_id an attribute.
  const samples = Array.from({ length: 26_000 }, (_, at) => ({
    metric: "work",
    kind: "observation" as const,
    atMs: NOON_MS - 2_600_000 + Math.floor(at / 10) * 1_000,
    value: at,
    labels: {
      ...(at % 2 === 0 ? { op: "get", zone: "ü'" } : { op: "put" }),
      ...(at % 4 === 0 ? { task_id: `t${at}` } : {}),
    } as Record<string, string>,
  }));
  await gateway.push(samples);
  const rows = { firstRow: 0, endRow: 26_000, withBlocks: true, fileRowsMax: 21_500 };
  const parts = await written(gateway, rows);
  // 20 seconds, and 35 minutes.
  expect(parts.map(({ part }) => part.rows)).toEqual([21_200, 4_800]);
  expect(parts[0]!.part.columns.map(({ name }) => name)).toEqual(["op", "task_id", "zone"]);
  const paths = parts.map(({ file }) => `'${file.path}'`).join(", ");
  const [found] = await duckdb(`
SELECT count(*) AS rows, count(DISTINCT value) AS values, sum(value) AS sum,
  count_if(op = if(value % 2 = 0, 'get', 'put')) AS ops,
  count_if(zone IS NOT DISTINCT FROM if(value % 2 = 0, 'ü' || chr(39), NULL)) AS zones,
  count_if(task_id IS NOT DISTINCT FROM if(value % 4 = 0, 't' || value::INTEGER, NULL)) AS tasks
FROM read_parquet([${paths}])`);
  const all = { rows: 26_000, values: 26_000, ops: 26_000, zones: 26_000, tasks: 26_000 };
  expect(found).toEqual({ ...all, sum: (25_999 * 26_000) / 2 });
  for (const { file, part } of parts) {
    // Each value of a series is two more than that of the row above.
    const [steps] = await duckdb(`
SELECT count_if(value - above = 2) AS steps, count_if(series > series_above) AS ends
FROM (
  SELECT series, value, lag(value) OVER (ORDER BY file_row_number) AS above,
    lag(series) OVER (ORDER BY file_row_number) AS series_above
  FROM read_parquet('${file.path}', file_row_number = true)
)`);
    expect(steps).toEqual({ steps: part.rows - 2, ends: 1 });
  }
});
