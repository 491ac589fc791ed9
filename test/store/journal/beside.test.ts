/**
 * Small changes are committed while a large change is written or a checkpoint runs. They do not wait for it, and are
 * stored whatever becomes of it.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import { snapshotOf } from "../../totals-snapshots.ts";
import type { Metric, Rows } from "../../../src/model/sample.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DAY = 20_000; // 2024-10-04
const LARGE_ROWS = 150_000;

let folder: string;
let faults: string[];
const opened: DuckDBStore[] = [];

async function open(): Promise<DuckDBStore> {
  const { store } = await openStore({
    counters: createCounters(),
    path: join(folder, "store.duckdb"),
    memoryLimitBytes: 2 ** 28,
    threads: 2,
    temporaryDirectory: join(folder, "tmp"),
    onFault: (message, error) => faults.push(`${message}: ${error}`),
  });
  opened.push(store);
  return store;
}

beforeEach(() => {
  folder = temporaryFolder();
  faults = [];
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(folder, { recursive: true });
  expect(faults).toEqual([]);
});

function rowsOf(series: number, first: number, length: number, day = DAY): Rows {
  return {
    day,
    length,
    seriesId: new Uint32Array(length).fill(series),
    timestampUs: Float64Array.from({ length }, (_, at) => day * 86_400_000_000 + first + at),
    value: Float64Array.from({ length }, (_, at) => first + at),
    live: new Uint8Array(length).fill(1),
    attributes: [],
    text: new Uint8Array(0),
  };
}

/** By series: the values of its rows, in the order of the table. */
async function valuesOf(store: DuckDBStore): Promise<Map<number, number[]>> {
  const values = new Map<number, number[]>();
  await store.replay(({ seriesId, value, length }) => {
    for (let row = 0; row < length; row++)
      values.getOrInsertComputed(seriesId[row]!, () => []).push(value[row]!);
  });
  return values;
}

const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);

test("a change is acknowledged before a large one that was begun before it", async () => {
  const store = await open();
  await store.commit({ rows: [rowsOf(1, 0, 1)] });
  const order: string[] = [];
  const large = store.commitBeside({ rows: [rowsOf(2, 0, LARGE_ROWS)] }).then(() => order.push("large"));
  for (let value = 1; value < 4; value++) {
    await store.commit({ rows: [rowsOf(1, value, 1)] });
    order.push(`small ${value}`);
  }
  await large;
  expect(order).toEqual(["small 1", "small 2", "small 3", "large"]);
  const values = await valuesOf(store);
  expect(values.get(1)).toEqual(numbers(4));
  expect(values.get(2)).toEqual(numbers(LARGE_ROWS));
  expect(store.days()[0]!.rows).toBe(LARGE_ROWS + 4);
});

test("a change with thousands of new series does not wait for a large one", async () => {
  const store = await open();
  const metric: Metric = {
    name: "m",
    prometheusName: "m",
    kind: "gauge",
    type: "gauge",
    unit: "",
    help: "",
    buckets: [],
  };
  await store.commit({ rows: [rowsOf(1, 0, 1)], metrics: [metric] });
  const order: string[] = [];
  const large = store.commitBeside({ rows: [rowsOf(2, 0, LARGE_ROWS)] }).then(() => order.push("large"));
  const seriesIds = Array.from({ length: 4_000 }, (_, at) => at + 10);
  const series = seriesIds.map((seriesId) => {
    return { seriesId, metric, labels: new Map([["id", `s${seriesId}`]]), exposed: true };
  });
  const seriesDays = seriesIds.map((seriesId) => ({ seriesId, day: DAY }));
  await store.commit({ series, seriesDays }).then(() => order.push("series"));
  await large;
  expect(order).toEqual(["series", "large"]);
  const reader = await store.reader();
  const found = await reader.all(
    `SELECT count(*)::INTEGER AS series, bool_and(labels['id'] = 's' || series_id) AS labelled FROM weir.series`,
  );
  const days = await reader.all("SELECT count(*)::INTEGER AS days FROM weir.series_days");
  reader.close();
  expect([...found, ...days]).toEqual([{ series: 4_000, labelled: true }, { days: 4_000 }]);
});

test("a large change that fails leaves nothing, and the changes beside it are stored", async () => {
  const store = await open();
  await store.commit({ rows: [rowsOf(1, 0, 1)] });
  const other = DAY + 1;
  const reader = await store.reader();
  await reader.run(`CREATE TABLE weir.samples_20241005 (in_the_way INTEGER)`);
  reader.close();
  const large = store.commitBeside({ rows: [rowsOf(2, 0, LARGE_ROWS), rowsOf(2, 0, 1, other)] });
  const failure = large.then(
    () => "stored",
    (error: unknown) => String(error),
  );
  await store.commit({ rows: [rowsOf(1, 1, 1)] });
  expect(await failure).toContain("samples_20241005");
  expect(await valuesOf(store)).toEqual(new Map([[1, [0, 1]]]));
});

test("a snapshot of the totals counts the rows that were committed when it was taken, and no later ones", async () => {
  const store = await open();
  await store.commit({ rows: [rowsOf(1, 0, 3)] });
  const record = { seriesId: 1, count: 4, sumHigh: 6, sumLow: 0, value: null };
  const totals = snapshotOf([{ ...record, createdUs: 0, lastUs: 3, arrivedUs: 0, buckets: [] }]);
  // This row is in the journal when the snapshot is taken.
  await store.commit({ rows: [rowsOf(1, 3, 1)] });
  const snapshot = store.commitBeside({ totals });
  await store.commit({ rows: [rowsOf(1, 4, 2)] });
  await snapshot;
  expect(await valuesOf(store)).toEqual(new Map([[1, [4, 5]]]));
  const large = store.commitBeside({ rows: [rowsOf(2, 0, LARGE_ROWS)] });
  await expect(store.commit({ totals })).rejects.toThrow(
    "a snapshot of the totals was taken while rows were written",
  );
  await large;
  await store.commit({ totals });
  expect(await valuesOf(store)).toEqual(new Map());
});

/** Runs killed-beside.ts until it is killed. Returns the last number of each kind of line. */
async function run(scenario: string, killAfterMs?: number): Promise<Record<string, number>> {
  const program = join(import.meta.dir, "killed-beside.ts");
  const writer = Bun.spawn([process.execPath, program, join(folder, "store.duckdb"), scenario], {
    stdout: "pipe",
    stderr: "inherit",
  });
  let said = "";
  const decoder = new TextDecoder();
  for await (const bytes of writer.stdout) {
    if (said === "" && killAfterMs !== undefined) setTimeout(() => writer.kill("SIGKILL"), killAfterMs);
    said += decoder.decode(bytes, { stream: true });
  }
  await writer.exited;
  // The last line may be cut.
  const lines = said.slice(0, said.lastIndexOf("\n")).split("\n");
  return Object.fromEntries(lines.map((line) => line.split(" ")).map(([kind, last]) => [kind, Number(last)]));
}

test("a kill during a large change keeps the change that was acknowledged meanwhile", async () => {
  expect((await run("large")).small).toBe(2);
  const values = await valuesOf(await open());
  expect(values.get(1)).toEqual(numbers(2));
  // The kill is in the middle of it, or behind it.
  expect(values.get(2) ?? []).toEqual(numbers(values.has(2) ? LARGE_ROWS : 0));
});

test("a change is acknowledged during a checkpoint, and a kill then keeps it", async () => {
  expect(await run("checkpoint")).toEqual({ small: 2, large: LARGE_ROWS, checkpoint: 0 });
  const values = await valuesOf(await open());
  expect(values.get(1)).toEqual(numbers(2));
  expect(values.get(2)).toEqual(numbers(LARGE_ROWS));
});

test("the log that a checkpoint has ended is not missed by changes that were appended during it", async () => {
  expect(await run("after")).toEqual({ small: 2, large: LARGE_ROWS, checkpoint: 0, done: 1 });
  const values = await valuesOf(await open());
  expect(values.get(1)).toEqual(numbers(2));
  expect(values.get(2)).toEqual(numbers(LARGE_ROWS));
});

test("kills at drawn moments leave every acknowledged row once", async () => {
  let state = 20_241_126;
  for (let kill = 0; kill < 2; kill++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const { small = 0, large = 0 } = await run("endless", (1_000 * state) / 2 ** 32);
    const store = await open();
    const values = await valuesOf(store);
    const kept = { small: values.get(1)?.length ?? 0, large: values.get(2)?.length ?? 0 };
    expect(kept.small).toBeGreaterThanOrEqual(small);
    expect(kept.large).toBeGreaterThanOrEqual(large);
    expect(kept.large % LARGE_ROWS).toBe(0);
    expect(values.get(1)).toEqual(numbers(kept.small));
    expect(values.get(2) ?? []).toEqual(numbers(kept.large));
    await store.close();
  }
});
