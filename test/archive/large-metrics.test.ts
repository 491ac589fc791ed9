/** A metric with more samples than a file may have: several files, each sorted, with all samples once. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { DayWriter, type WrittenPart } from "../../src/archive/writing/day-writer.ts";
import { NOON_MS } from "../gateway.ts";
import { ArchivingGateway, duckdb } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

test("slices of series, and of minutes of one series, have each sample once", async () => {
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
  const { store } = gateway.gateway;
  const spool = `${gateway.folder}/archive/spool`;
  mkdirSync(spool, { recursive: true });
  const reader = await store.reader();
  const parts: WrittenPart[] = [];
  try {
    const rows = { firstRow: 0, endRow: 400, withBlocks: true, fileRowsMax: 20 };
    for await (const part of new DayWriter(reader, store.days()[0]!, rows, spool).parts()) parts.push(part);
  } finally {
    reader.close();
  }
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
