/** The store over a real DuckDB file: what a commit stores, what a start reads, what a drop leaves. */

import { snapshotOf } from "../totals-snapshots.ts";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import type { TotalsRecord } from "../../src/model/records.ts";
import type { Metric, Rows, Series } from "../../src/model/sample.ts";
import type { DuckDBStore } from "../../src/store/duckdb-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { StoreLocked } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type PlainStored, plainStored } from "./plain-stored.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = DAY * 86_400_000_000;

let folder: string;
let store: DuckDBStore;

const open = async (): Promise<PlainStored> => {
  const options = { path: join(folder, "store.duckdb"), memoryLimitBytes: 2 ** 28, threads: 2 };
  const opened = await openStore({
    ...options,
    counters: createCounters(),
    temporaryDirectory: join(folder, "tmp"),
  });
  store = opened.store;
  return plainStored(opened.stored);
};
/** Opens it from the tables, and from the file that a stop has left: both have the same. */
const reopen = async (): Promise<PlainStored> => {
  await store.close();
  const kept = await open();
  await store.close();
  rmSync(join(folder, "store.duckdb.start"));
  const stored = await open();
  expect(stored).toEqual(kept);
  return stored;
};

beforeEach(async () => {
  folder = temporaryFolder();
  await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const metric: Metric = {
  name: "http.request.duration_ms",
  prometheusName: "http_request_duration_ms",
  kind: "observation",
  type: "histogram",
  unit: "ms",
  help: 'It\'s "quoted"',
  buckets: [1, 2.5, 5],
};

interface Sample {
  readonly seriesId?: number;
  readonly us: number;
  readonly value: number | null;
  readonly live?: boolean;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Rows of one day from a list of samples. */
function rowsOf(samples: readonly Sample[], day = DAY): Rows {
  const texts: Uint8Array[] = [];
  let end = 0;
  const names = [...new Set(samples.flatMap(({ attributes = {} }) => Object.keys(attributes)))];
  const attributes = names.map((name) => {
    const offset = new Uint32Array(samples.length);
    const length = new Uint32Array(samples.length);
    samples.forEach((sample, row) => {
      const bytes = new TextEncoder().encode(sample.attributes?.[name] ?? "");
      offset[row] = end;
      length[row] = bytes.length;
      end += bytes.length;
      texts.push(bytes);
    });
    return { name, offset, length };
  });
  return {
    day,
    length: samples.length,
    seriesId: Uint32Array.from(samples, ({ seriesId }) => seriesId ?? 1),
    timestampUs: Float64Array.from(samples, ({ us }) => us),
    value: Float64Array.from(samples, ({ value }) => value ?? 0),
    stale: Uint8Array.from(samples, ({ value }) => (value === null ? 1 : 0)),
    live: Uint8Array.from(samples, ({ live }) => (live === false ? 0 : 1)),
    attributes,
    text: new Uint8Array(Buffer.concat(texts)),
  };
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const reader = await store.reader();
  try {
    return await reader.all(sql);
  } finally {
    reader.close();
  }
}

const totals = (seriesId: number, more: Partial<TotalsRecord> = {}): TotalsRecord => ({
  seriesId,
  count: 3,
  sumHigh: 0.30000000000000004,
  sumLow: -2.7755575615628914e-17,
  value: null,
  createdUs: DAY_US,
  lastUs: DAY_US + 1,
  arrivedUs: DAY_US + 2,
  buckets: [1, 0, 2, 0],
  ...more,
});

describe("commit", () => {
  test("keeps times, values and strings of every length", async () => {
    const strings = [
      "",
      "a",
      "twelve bytes",
      "thirteen byte",
      "ünïcödé ✓ 日本語",
      "x".repeat(4096),
      "0\t\"'\\",
    ];
    const samples = strings.map((task_id, index) => ({
      us: DAY_US + index,
      value: [0.1, -0, Number.MAX_VALUE, Number.MIN_VALUE, 1e-300, 123456789.123, -1][index]!,
      attributes: { task_id },
    }));
    await store.commit({ rows: [rowsOf(samples)] });
    const rows = await query(
      "SELECT epoch_us(ts) AS us, value, task_id FROM weir.samples_20241004 ORDER BY rowid",
    );
    expect(rows).toEqual(
      samples.map(({ us, value, attributes }) => ({ us, value, task_id: attributes.task_id || null })),
    );
  });

  test("keeps the order of more rows than a chunk has, and their absent attributes", async () => {
    const samples: Sample[] = Array.from({ length: 5_000 }, (_, index) => ({
      us: DAY_US + index,
      value: index % 97 === 0 ? null : index,
      attributes: index % 3 === 0 ? undefined : { task_id: `1704067200_${index}` },
    }));
    await store.commit({ rows: [rowsOf(samples.slice(0, 3_000)), rowsOf(samples.slice(3_000))] });
    const rows = await query("SELECT value, task_id FROM weir.samples_20241004 ORDER BY rowid");
    expect(rows).toEqual(
      samples.map(({ value, attributes }) => ({ value, task_id: attributes?.task_id ?? null })),
    );
    expect(store.days()).toMatchObject([{ day: DAY, rows: 5_000 }]);
  });

  test("keeps the order of a commit with few rows, and a start reads them", async () => {
    const values = [
      0.1,
      -0,
      null,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      1e300,
      3,
      null,
    ];
    const samples = values.map((value, index) => ({ us: DAY_US + 7 * index, value, live: index % 2 === 0 }));
    // The first commit creates the day, with a column that the rows of the others do not have.
    await store.commit({ rows: [rowsOf([{ us: DAY_US, value: 9, attributes: { task_id: "t" } }])] });
    await store.commit({ rows: [rowsOf(samples.slice(0, 4)), rowsOf(samples.slice(4, 6))], series: [] });
    await store.commit({ rows: [rowsOf(samples.slice(6))] });
    await expect(
      store.commit({ rows: [{ ...rowsOf(samples), value: undefined } as unknown as Rows] }),
    ).rejects.toThrow();
    await reopen();
    expect(store.days()).toMatchObject([{ day: DAY, rows: 10 }]);
    const replayed: Sample[] = [];
    await store.replay((rows) => {
      for (let row = 0; row < rows.length; row++) {
        const value = rows.stale![row] === 1 ? null : rows.value[row]!;
        replayed.push({ us: rows.timestampUs[row]!, value, live: rows.live[row] === 1 });
      }
    });
    expect(replayed).toEqual([{ us: DAY_US, value: 9, live: true }, ...samples]);
  });

  test("puts changes of up to a row group into the journal, and larger ones into their tables", async () => {
    let next = 0;
    const commit = (length: number) =>
      store.commit({
        rows: [rowsOf(Array.from({ length }, () => ({ us: DAY_US + next, value: next++ })))],
      });
    const journal = join(folder, "store.duckdb.journal");
    const rows = () => store.days()[0]!.rows;
    await commit(10);
    // Its header alone.
    expect(statSync(journal).size).toBe(4_096);
    expect(rows()).toBe(10);
    for (const length of [257, 1_024, 20_000]) await commit(length);
    expect(statSync(journal).size).toBeGreaterThan(21_281 * 21);
    expect(rows()).toBe(10);
    // With these rows, 122,880 are in the journal, and move. The rest of the change stays.
    await commit(102_000);
    await commit(1);
    await store.find(
      DAY - 1,
      { length: 0, seriesId: new Uint32Array(0), timestampUs: new Float64Array(0) },
      () => {},
    );
    expect(rows()).toBe(next);
    await commit(122_881);
    expect(rows()).toBe(next);
    await reopen();
    expect(store.days()).toMatchObject([{ day: DAY, rows: next }]);
    const [order] = await query(
      "SELECT count(*)::INTEGER AS rows, bool_and(value = rowid) AS same FROM weir.samples_20241004",
    );
    expect(order).toEqual({ rows: next, same: true });
  });

  test("stores nothing when it fails, and the next commit succeeds", async () => {
    const broken = {
      ...rowsOf([{ us: DAY_US, value: 1, attributes: { trace_id: "t" } }]),
      seriesId: undefined,
    };
    await expect(store.commit({ rows: [broken as unknown as Rows] })).rejects.toThrow();
    expect(store.days()).toEqual([]);
    await store.commit({ rows: [rowsOf([{ us: DAY_US, value: 2, attributes: { trace_id: "t" } }])] });
    expect(await query("SELECT value, trace_id FROM weir.samples_20241004")).toEqual([
      { value: 2, trace_id: "t" },
    ]);
  });

  test("adds a column for a new attribute, under a name that is free regardless of case", async () => {
    const attributes = { Task_ID: "upper", task_id: "lower", value: "taken" };
    await store.commit({ rows: [rowsOf([{ us: DAY_US, value: 1, attributes }])] });
    const columns = [
      { name: "Task_ID", column: "Task_ID" },
      { name: "task_id", column: "task_id_2" },
      { name: "value", column: "value_2" },
    ];
    expect(store.days()[0]!.attributes).toEqual(columns);
    await reopen();
    expect(store.days()[0]!.attributes).toEqual(columns);
    // Another day gets the same columns, in any order.
    const next = rowsOf([{ us: DAY_US + 86_400_000_000, value: 1, attributes: { task_id: "a" } }], DAY + 1);
    await store.commit({ rows: [next] });
    expect(store.days()[1]!.attributes).toEqual([{ name: "task_id", column: "task_id_2" }]);
  });

  test("stores further attributes in one JSON column after 64 attribute columns", async () => {
    const attributes = Object.fromEntries(Array.from({ length: 67 }, (_, n) => [`a${n}`, `v"${n}`]));
    await store.commit({
      rows: [
        rowsOf([
          { us: DAY_US, value: 1, attributes },
          { us: DAY_US + 1, value: 2 },
        ]),
      ],
    });
    const rows = await query("SELECT a63, more_attributes FROM weir.samples_20241004 ORDER BY rowid");
    expect(rows).toEqual([
      { a63: 'v"63', more_attributes: '{"a64":"v\\"64","a65":"v\\"65","a66":"v\\"66"}' },
      { a63: null, more_attributes: null },
    ]);
  });
});

test("reads committed records at a start", async () => {
  const series: Series[] = [
    {
      seriesId: 1,
      metric,
      labels: new Map([
        ["operation", "get ünïcode"],
        ["url", "u".repeat(300)],
      ]),
      exposed: true,
    },
    { seriesId: 2, metric, labels: new Map(), exposed: false },
  ];
  const push = {
    scope: "POST /x",
    key: "k",
    bodyHash: "h",
    receivedAtMs: 1_728_000_000_123,
    accepted: 2,
    answer: "{}",
  };
  const file = {
    file: "f",
    byteOffset: 2 ** 40,
    lastLineHash: "l",
    lastDay: DAY,
    updatedAtMs: 1_728_000_000_000,
    firstLineHash: "first",
    identity: '{"hash":"a"}',
  };
  await store.commit({
    metrics: [metric],
    series,
    seriesDays: [{ seriesId: 1, day: DAY }],
    pushes: [push],
    imports: [{ ...file, byteOffset: 1 }],
    demotions: [{ metric: "m", label: "url", decidedAtMs: 1_728_000_000_000 }],
    totals: snapshotOf([totals(1), totals(2, { value: -0.5, buckets: [] })], true),
    lastPushes: [{ job: "old", instance: "", pushedAtMs: 1 }],
    groups: [
      { key: "b", definition: "1" },
      { key: "a", definition: "1" },
      { key: "c", definition: "1" },
    ],
    notifications: [
      { key: "silence/a", definition: "1" },
      { key: "silence/b", definition: "1" },
    ],
    forwards: [
      { key: "a/samples/2024-10-04", definition: "1" },
      { key: "b/samples/2024-10-04", definition: "1" },
    ],
  });
  const lastPushes = [{ job: "j", instance: "", pushedAtMs: 1_728_000_000_123 }];
  const scrapers = [
    new Map([
      ["__replica__", "r1"],
      ["job", "weir"],
    ]),
    new Map([["cluster", 'a "b"']]),
  ];
  await store.commit({ scrapers: [new Map([["gone", "x"]])] });
  await store.commit({
    imports: [file],
    lastPushes,
    scrapers,
    totals: snapshotOf([totals(1, { count: 9 })], false),
    groups: [
      { key: "b", definition: "2" },
      { key: "c", definition: null },
      { key: "b", definition: "3" },
    ],
    notifications: [
      { key: "silence/b", definition: null },
      { key: "sent/n/{}", definition: "2" },
    ],
    archives: [
      { key: "2024-10-04", definition: "1" },
      { key: "2024-10-03", definition: "2" },
      { key: "2024-10-03", definition: null },
    ],
    forwards: [
      { key: "b/samples/2024-10-04", definition: "2" },
      { key: "a/samples/2024-10-04", definition: null },
    ],
  });
  const { prometheusName: _, ...metricRecord } = metric;
  expect(await reopen()).toEqual({
    metrics: [metricRecord],
    series: series.map(({ seriesId, labels, exposed }) => ({
      seriesId,
      metric: metric.name,
      labels,
      exposed,
    })),
    seriesDays: [{ seriesId: 1, day: DAY }],
    nextSeriesId: 3,
    demotions: [{ metric: "m", label: "url", decidedAtMs: 1_728_000_000_000 }],
    pushes: [push],
    imports: [file],
    lastPushes,
    scrapers,
    bodyHashSeed: expect.stringMatching(/^[0-9a-f-]{36}$/),
    notifications: [
      { key: "silence/a", definition: "1" },
      { key: "sent/n/{}", definition: "2" },
    ],
    archives: [{ key: "2024-10-04", definition: "1" }],
    forwards: [{ key: "b/samples/2024-10-04", definition: "2" }],
    groups: [
      { key: "a", definition: "1" },
      { key: "b", definition: "3" },
    ],
    totals: expect.arrayContaining([totals(1, { count: 9 }), totals(2, { value: -0.5, buckets: [] })]),
  });
});

test("texts and bounds are read at a start as they were written, whatever they contain", async () => {
  const texts = ['"', "\\", "a,b]", "\u0000", "\u001f\n", "ünï😀", "__proto__", "1", " "];
  const bounds = [5e-324, 0.1, 0.1 + 0.2, 1e21, 1.7976931348623157e308];
  const odd: Metric = { ...metric, name: 'odd "name"', help: texts.join(), unit: "\u0001", buckets: bounds };
  // More labels than a compact map has, in no order.
  const many = new Map(Array.from({ length: 20 }, (_, at) => [`l${(at * 7) % 20}`, `v${at}`]));
  const labels = new Map(texts.map((text, at) => [`${text}${9 - at}`, text]));
  const key = {
    ...{ scope: "/api/v1/push", key: 'k"\\', bodyHash: "h", receivedAtMs: 1_728_000_000_000 },
    ...{ accepted: 1, answer: '{"a":"\\""}' },
  };
  await store.commit({
    metrics: [odd],
    series: [many, labels].map((each, at) => ({
      seriesId: at + 1,
      metric: odd,
      labels: each,
      exposed: true,
    })),
    pushes: [key],
    groups: texts.map((text) => ({ key: text, definition: JSON.stringify(texts) })),
  });
  const stored = await reopen();

  expect(stored.metrics).toEqual([{ ...odd, prometheusName: undefined } as never]);
  const sorted = (map: Map<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  expect(stored.series.map((each) => [...each.labels])).toEqual([sorted(many), sorted(labels)]);
  expect(stored.pushes).toEqual([key]);
  expect(stored.groups).toEqual(texts.map((text) => ({ key: text, definition: JSON.stringify(texts) })));
});

test("replaces a stored list by an empty one", async () => {
  const lastPushes = [{ job: "j", instance: "", pushedAtMs: 1_728_000_000_123 }];
  await store.commit({ scrapers: [new Map([["job", "weir"]])], lastPushes });
  await store.commit({ scrapers: [], rows: [rowsOf([{ us: DAY_US, value: 1 }])] });
  expect(await reopen()).toMatchObject({ scrapers: [], lastPushes });
  await store.commit({ lastPushes: [] });
  expect(await reopen()).toMatchObject({ scrapers: [], lastPushes: [] });
});

test("replays the rows past the newest snapshot in row order, with stale markers and historical rows", async () => {
  await store.commit({ rows: [rowsOf([{ us: DAY_US, value: 1 }])] });
  await store.commit({
    totals: snapshotOf([totals(1)], false),
    rows: [
      rowsOf([
        { us: DAY_US + 3, value: 2 },
        { us: DAY_US + 1, value: null },
        { us: DAY_US + 2, value: 3, live: false },
      ]),
    ],
  });
  await reopen();
  const replayed: unknown[] = [];
  await store.replay((rows) => {
    for (let row = 0; row < rows.length; row++) {
      replayed.push([
        rows.timestampUs[row]! - DAY_US,
        rows.stale?.[row] === 1 ? null : rows.value[row],
        rows.live[row],
      ]);
    }
  });
  expect(replayed).toEqual([
    [3, 2, 1],
    [1, null, 1],
    [2, 3, 0],
  ]);
});

test("finds the samples stored at a series and time, in row order", async () => {
  await store.commit({
    rows: [
      rowsOf([
        { us: DAY_US, value: 1 },
        { us: DAY_US, value: 2 },
        { us: DAY_US + 5, value: null, seriesId: 7 },
        { us: DAY_US + 6, value: Number.NaN, seriesId: 7 },
        { us: DAY_US + 7, value: 3, seriesId: 8 },
      ]),
    ],
  });
  const find = async (day: number, ids: number[], times: number[]) => {
    const found: unknown[] = [];
    const keys = {
      length: ids.length,
      seriesId: Uint32Array.from(ids),
      timestampUs: Float64Array.from(times),
    };
    await store.find(day, keys, (seriesId, us, value) => found.push([seriesId, us - DAY_US, value]));
    return found;
  };
  expect(await find(DAY, [7, 1, 7, 7, 8], [DAY_US + 5, DAY_US, DAY_US, DAY_US + 6, DAY_US + 6])).toEqual([
    [1, 0, 1],
    [1, 0, 2],
    [7, 5, null],
    [7, 6, Number.NaN],
  ]);
  expect(await find(DAY, [8], [DAY_US + 7])).toEqual([[8, 7, 3]]);
  expect(await find(DAY, [], [])).toEqual([]);
  expect(await find(DAY + 1, [1], [DAY_US])).toEqual([]);
});

test("frees the memory of lookups", async () => {
  const keys = {
    length: 2_000,
    seriesId: Uint32Array.from({ length: 2_000 }, (_, index) => index),
    timestampUs: new Float64Array(2_000).fill(DAY_US),
  };
  await store.commit({ rows: [rowsOf([{ us: DAY_US, value: 1 }])] });
  for (let time = 0; time < 100; time++) await store.find(DAY, keys, () => {});
  const reader = await store.reader();
  const [used] = await reader.all<{ bytes: number }>(
    "SELECT memory_usage_bytes AS bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'",
  );
  reader.close();
  // A hundred lists would take 2.4 MB.
  expect(used!.bytes).toBeLessThan(1_000_000);
});

test("stores each exemplar once, and keeps the newest hundred thousand", async () => {
  const exemplars = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({
      seriesId: 1,
      timestampUs: DAY_US + from + index,
      value: from + index,
      labels: new Map([["trace_id", `t${from + index}`]]),
    }));
  const reader = await store.reader();
  const stored = () =>
    reader.all("SELECT count(*) AS n, min(value) AS first, max(value) AS last FROM weir.exemplars");
  await store.commit({ exemplars: [...exemplars(0, 3), ...exemplars(1, 2)] });
  await store.commit({ exemplars: exemplars(2, 4) });
  expect(await stored()).toEqual([{ n: 4, first: 0, last: 3 }]);
  await store.commit({ exemplars: exemplars(4, 110_000) });
  expect(await stored()).toEqual([{ n: 100_000, first: 10_000, last: 109_999 }]);
  reader.close();
});

test("drops what ended with the dropped days, and keeps the rest through a restart", async () => {
  const both: Series[] = [1, 2].map((seriesId) => ({ seriesId, metric, labels: new Map(), exposed: true }));
  await store.commit({
    metrics: [metric],
    series: both,
    seriesDays: [
      { seriesId: 1, day: DAY },
      { seriesId: 2, day: DAY + 1 },
    ],
    imports: [
      {
        file: "old",
        firstLineHash: "old",
        identity: "",
        byteOffset: 1,
        lastLineHash: "",
        lastDay: DAY,
        updatedAtMs: 0,
      },
    ],
    rows: [
      rowsOf([{ us: DAY_US, value: 1 }]),
      rowsOf([{ us: DAY_US + 86_400_000_000, value: 2, seriesId: 2 }], DAY + 1),
    ],
    totals: snapshotOf([totals(1), totals(2)], true),
  });
  const dropped = await store.dropDaysBefore(
    DAY + 1,
    { seriesIds: [1], metrics: [] },
    snapshotOf([totals(2)], true),
  );
  expect(dropped).toEqual({ days: [DAY], rows: 1 });
  const stored = await reopen();
  expect(store.days().map(({ day, rows }) => [day, rows])).toEqual([[DAY + 1, 1]]);
  expect(stored.series.map(({ seriesId }) => seriesId)).toEqual([2]);
  expect(stored.seriesDays).toEqual([{ seriesId: 2, day: DAY + 1 }]);
  expect(stored.imports).toEqual([]);
  expect(stored.totals).toEqual([totals(2)]);
  let replayed = 0;
  await store.replay((rows) => {
    replayed += rows.length;
  });
  expect(replayed).toBe(0);
});

test("deletes the oldest idempotency keys and rejected samples first", async () => {
  const letter = (receivedAtMs: number) => ({
    receivedAtMs,
    protocol: "events",
    instance: "",
    reason: "r",
    payload: "p",
  });
  const push = (key: string, receivedAtMs: number) => ({
    scope: "s",
    key,
    bodyHash: "",
    receivedAtMs,
    accepted: 0,
    answer: "{}",
  });
  await store.commit({ rejected: [letter(1), letter(3), letter(2)], pushes: [push("a", 10), push("b", 20)] });
  await store.forget(20, { beforeMs: 0, max: 2, bytesMax: 1_000 });
  expect(await query("SELECT epoch_ms(received_at) AS ms FROM rejected ORDER BY ms")).toEqual([
    { ms: 2 },
    { ms: 3 },
  ]);
  expect((await reopen()).pushes.map(({ key }) => key)).toEqual(["b"]);
});

test("keeps every idempotency key of a commit with rows, however many keys it has", async () => {
  const key = (name: string, receivedAtMs: number) => ({
    scope: "/write",
    key: name,
    bodyHash: "hash of 'it'",
    receivedAtMs,
    accepted: 1_000,
    answer: '{"accepted":1000,"rejected":[]}',
  });
  // One, three and four keys. Each commit makes a table for its day, so none goes to the journal, and a statement that
  // was prepared before has to be right after it.
  const commits = [
    [key("a", 1_728_000_000_001)],
    [key("b", 1_728_000_000_002), key("c ünïcödé $1", 1_728_000_000_003), key("d", 1_728_000_000_004)],
    [5, 6, 7, 8].map((ms) => key(`e${ms}`, 1_728_000_000_000 + ms)),
    [key("f", 1_728_000_000_009)],
  ];
  for (const [index, pushes] of commits.entries()) {
    const day = DAY + index;
    const rows = rowsOf([{ us: day * 86_400_000_000, value: 1, attributes: { [`t${index}`]: "x" } }], day);
    await store.commit({ rows: [rows], pushes });
  }
  expect((await reopen()).pushes).toEqual(commits.flat());
  // The connection of the reopened store prepares the statement again.
  await store.commit({
    rows: [rowsOf([{ us: 0, value: 1 }], DAY - 1)],
    pushes: [key("g", 1_728_000_000_010)],
  });
  expect((await reopen()).pushes).toEqual([...commits.flat(), key("g", 1_728_000_000_010)]);
});

test("stores no idempotency key if the rows of its commit fail", async () => {
  const pushes = [
    { scope: "s", key: "lost", bodyHash: "h", receivedAtMs: 1_728_000_000_000, accepted: 1, answer: "{}" },
  ];
  const broken = { ...rowsOf([{ us: DAY_US, value: 1 }]), seriesId: undefined as unknown as Uint32Array };
  await expect(store.commit({ rows: [broken], pushes })).rejects.toThrow();
  expect((await reopen()).pushes).toEqual([]);
});

test("lets only one store open a file", async () => {
  const options = { path: join(folder, "store.duckdb"), memoryLimitBytes: 2 ** 28, threads: 1 };
  const second = openStore({
    ...options,
    counters: createCounters(),
    temporaryDirectory: join(folder, "tmp"),
  });
  await expect(second).rejects.toThrow(StoreLocked);
});

test("blocks access to external files, and still checkpoints", async () => {
  await expect(query("SELECT * FROM read_text('/etc/hostname')")).rejects.toThrow(/disabled/);
  await expect(query("SET enable_external_access = true")).rejects.toThrow();
  await expect(query("SET threads = 8")).rejects.toThrow(/locked/);
  await store.commit({ rows: [rowsOf([{ us: DAY_US, value: 1 }])] });
  expect(await store.checkpoint()).toBe(true);
  expect((await store.fileSizes()).logBytes).toBe(0);
});

test("renumbers what destinations have received when samples before it are deleted", async () => {
  await store.commit({ rows: [rowsOf(Array.from({ length: 10 }, (_, row) => sampleOf(row)))] });
  // Of the other day nothing is deleted.
  await store.commit({ rows: [rowsOf([{ us: DAY_US + 86_400_000_000, value: 1 }], DAY + 1)] });
  const record = (sent: number[][], open: (number | string)[][], date = "2024-10-04") => ({
    key: `hub/samples/${date}`,
    definition: JSON.stringify({ sent, open }),
  });
  const before = [
    [0, 2],
    [4, 8],
  ];
  await store.commit({
    forwards: [
      record(before, [
        [3, 4, "k"],
        [7, 9, "l"],
      ]),
      record([[0, 1]], [], "2024-10-05"),
    ],
  });
  // Rows 1, 3, 5, 7 and 9.
  const deletion = { seriesIds: [2], fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY };
  expect(await store.deleteSamples(deletion, snapshotOf([], true))).toBe(5);
  // Row 0 is row 0; rows 4, 6 and 8 are rows 2, 3 and 4; the request with row 3 has no row left.
  const sent = [
    [0, 1],
    [2, 4],
  ];
  const after = [record(sent, [[4, 5, "l"]]), record([[0, 1]], [], "2024-10-05")];
  const stored = await reopen();
  expect(stored.forwards.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual(after);
  // Later states count as usual.
  await store.commit({ forwards: [record([[0, 5]], [])] });
  expect((await reopen()).forwards).toContainEqual(record([[0, 5]], []));
});

/** The n-th of some samples of series 1 and 2 in turn. */
function sampleOf(row: number): Sample {
  return { seriesId: 1 + (row % 2), us: DAY_US + row * 1_000_000, value: row };
}
