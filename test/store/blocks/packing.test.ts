/** Rows become blocks in one transaction, and everything that reads samples reads both. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Kind, Rows } from "../../../src/model/sample.ts";
import { ClosedSpans } from "../../../src/store/blocks/closed-spans.ts";
import { SPAN_US } from "../../../src/store/blocks/made-blocks.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { compactStore } from "../../../src/store/rewrite/compaction.ts";
import { statement } from "../../../src/store/statements.ts";
import { countSamples } from "../../../src/store/tables/deletion.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { snapshotOf } from "../../totals-snapshots.ts";

const DAY = 20_784; // 2026-11-27
const DAY_US = DAY * 86_400_000_000;
const DAY_END_US = DAY_US + 86_400_000_000;

let folder: string;
let store: DuckDBStore;

const options = () => ({
  path: join(folder, "store.duckdb"),
  memoryLimitBytes: 2 ** 28,
  threads: 2,
  counters: createCounters(),
  temporaryDirectory: join(folder, "tmp"),
});
const open = async () => {
  ({ store } = await openStore(options()));
};

beforeEach(async () => {
  folder = temporaryFolder();
  await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const KINDS: readonly Kind[] = ["gauge", "cumulative", "observation", "delta", "gauge"];

/** Commits a series of each kind, with the ids 1 to 5. */
async function commitSeries(): Promise<void> {
  await store.commit({
    metrics: KINDS.map((kind, at) => ({
      name: `m${at + 1}`,
      kind,
      type: "gauge",
      unit: "",
      help: "",
      buckets: [],
    })),
    series: KINDS.map((kind, at) => ({
      seriesId: at + 1,
      metric: { name: `m${at + 1}`, kind },
      labels: new Map([["host", "h"]]),
      exposed: true,
    })),
    seriesDays: KINDS.map((_, at) => ({ seriesId: at + 1, day: DAY })),
  });
}

type Sample = readonly [seriesId: number, us: number, value: number | null, live?: boolean, task?: string];

function rowsOf(samples: readonly Sample[], day = DAY): Rows {
  const tasks = samples.map(([, , , , task = ""]) => task);
  const ends = [0];
  for (const task of tasks) ends.push(ends.at(-1)! + task.length);
  return {
    day,
    length: samples.length,
    seriesId: Uint32Array.from(samples, ([id]) => id),
    timestampUs: Float64Array.from(samples, ([, us]) => us),
    value: Float64Array.from(samples, ([, , value]) => value ?? 0),
    stale: Uint8Array.from(samples, ([, , value]) => (value === null ? 1 : 0)),
    live: Uint8Array.from(samples, ([, , , live]) => (live === false ? 0 : 1)),
    attributes: tasks.every((task) => task === "")
      ? []
      : [
          {
            name: "task_id",
            offset: Uint32Array.from(tasks, (_, at) => ends[at]!),
            length: Uint32Array.from(tasks, (task) => task.length),
          },
        ],
    text: new TextEncoder().encode(tasks.join("")),
  };
}

const commit = (samples: readonly Sample[]) => store.commit({ rows: [rowsOf(samples)] });
/** Stores a snapshot of the totals: it contains all samples so far. */
const snapshot = () => store.commit({ totals: snapshotOf([]) });
const packAll = () => store.pack({ day: DAY, untilUs: DAY_END_US, isForced: true });

async function query<Row extends Record<string, unknown>>(sql: string, parameters = {}): Promise<Row[]> {
  const reader = await store.reader();
  try {
    return await reader.all<Row>(sql, parameters);
  } finally {
    reader.close();
  }
}

/** Every sample of the day: rows and blocks. */
const everything = async () =>
  (
    await query(
      `WITH asked_blocks AS (FROM weir.blocks WHERE day = ${DAY}), stored AS (
         SELECT series_id, ts, value, live FROM weir.samples_20261127
         UNION ALL SELECT series_id, ts, value, live FROM (${statement("store/unpacked_blocks")})
       ) SELECT series_id, epoch_us(ts)::DOUBLE AS us, value, live FROM stored ORDER BY ALL`,
    )
  ).map(Object.values);
const count = async (table: string) => Number((await query(`SELECT count(*) AS n FROM weir.${table}`))[0]!.n);

/** Samples of five series over five hours, in the order of arrival: some late, some stale, some of events. */
function samplesOfHours(): Sample[] {
  const samples: Sample[] = [];
  for (let at = 0; at < 1_200; at++) {
    const us = DAY_US + at * 15_000_000;
    samples.push([1, us + (at % 3) * 1000, at % 97 === 5 ? null : 20 + Math.round(Math.sin(at) * 100) / 100]);
    samples.push([2, us, 1_000 + at * 3 + (at % 7), at % 2 === 0]);
    samples.push([3, us, at / 7, true, `t${at % 5}`]);
    if (at % 10 === 0) samples.push([5, us + (1_200 - at) * 7_000_000, 1 / (at + 1)]);
  }
  return samples;
}

test("packed samples are the same samples, and events stay rows", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  const before = await everything();
  expect(await packAll()).toBe(1_200 + 1_200 + 120);
  expect(await count("samples_20261127")).toBe(1_200);
  expect(await count("made_blocks")).toBe(0);
  expect(await everything()).toEqual(before);
  expect(store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[3_720, 2_520]]);
  expect(await query("SELECT DISTINCT series_id FROM weir.samples_20261127")).toEqual([{ series_id: 3 }]);
  expect(await query("SELECT task_id, value FROM weir.samples_20261127 WHERE rowid = 3")).toEqual([
    { task_id: "t3", value: 3 / 7 },
  ]);
  // Again: nothing is left to pack.
  expect(await packAll()).toBe(0);
  await store.close();
  await open();
  expect(store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[3_720, 2_520]]);
  expect(await everything()).toEqual(before);
});

test("blocks have the samples of one span", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  await packAll();
  const spans =
    await query(`SELECT series_id, live, first_us // ${SPAN_US} - ${DAY_US / SPAN_US} AS first_span,
    last_us // ${SPAN_US} - ${DAY_US / SPAN_US} AS last_span, samples FROM weir.blocks WHERE series_id <= 2 ORDER BY ALL`);
  expect(spans.map(Object.values)).toEqual([
    [1, true, 0, 0, 480],
    [1, true, 1, 1, 480],
    [1, true, 2, 2, 240],
    [2, false, 0, 0, 240],
    [2, false, 1, 1, 240],
    [2, false, 2, 2, 120],
    [2, true, 0, 0, 240],
    [2, true, 1, 1, 240],
    [2, true, 2, 2, 120],
  ]);
});

test("only samples before a time are packed, and only those that a stored snapshot contains", async () => {
  await commitSeries();
  const samples = samplesOfHours();
  await commit(samples.slice(0, 2_000));
  expect(await packAll()).toBe(0);
  await snapshot();
  await commit(samples.slice(2_000));
  const before = await everything();
  const packable = (until: number, from = 0) =>
    samples.slice(0, 2_000).filter(([id, us]) => id !== 3 && us < until && us >= from).length;
  const untilUs = DAY_US + SPAN_US;
  expect(await store.pack({ day: DAY, untilUs, isForced: true })).toBe(packable(untilUs));
  expect(await everything()).toEqual(before);
  expect(await packAll()).toBe(packable(DAY_END_US, untilUs));
  expect(await everything()).toEqual(before);
});

test("a start replays each sample behind the snapshot once", async () => {
  await commitSeries();
  const samples = samplesOfHours();
  await commit(samples.slice(0, 3_000));
  await snapshot();
  await commit(samples.slice(3_000));
  await packAll();
  const replayed = async () => {
    const found: unknown[] = [];
    await store.replay(({ length, seriesId, timestampUs, value }) => {
      for (let row = 0; row < length; row++) found.push([seriesId[row], timestampUs[row], value[row]]);
    });
    return found;
  };
  const want = samples.slice(3_000).map(([id, us, value]) => [id, us, value ?? 0]);
  const known = (all: readonly unknown[]) => all.filter((_, at) => samples[3_000 + at]![2] !== null);
  for (let start = 0; start < 2; start++) {
    expect(known(await replayed())).toEqual(known(want));
    await store.close();
    await open();
  }
  // A snapshot after packing contains all, and nothing is replayed.
  await snapshot();
  await store.close();
  await open();
  expect(await replayed()).toEqual([]);
  await commit([[1, DAY_END_US - 1_000_000, 7]]);
  expect(await replayed()).toEqual([[1, DAY_END_US - 1_000_000, 7]]);
});

test("late samples stay rows beside the blocks until they are packed too", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  await packAll();
  await commit([
    [1, DAY_US + 1, 99],
    [1, DAY_US + 7_000_001, null],
  ]);
  await snapshot();
  const before = await everything();
  expect(before.length).toBe(3_722);
  // Two samples are not worth it.
  expect(await store.pack({ day: DAY, untilUs: DAY_END_US })).toBe(0);
  expect(await packAll()).toBe(2);
  expect(await everything()).toEqual(before);
});

test("samples are found by their time, in rows and in blocks", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  const keys = {
    length: 5,
    seriesId: Uint32Array.of(1, 2, 2, 3, 5),
    timestampUs: Float64Array.of(
      DAY_US + 5 * 15_000_000 + 2_000,
      DAY_US + 30_000_000,
      DAY_US + 30_000_001,
      DAY_US + 15_000_000,
      DAY_US + 1_200 * 7_000_000,
    ),
  };
  const find = async () => {
    const found: unknown[] = [];
    await store.find(DAY, keys, (...sample) => found.push(sample));
    return found.sort();
  };
  const want = [
    [1, keys.timestampUs[0], null],
    [2, keys.timestampUs[1], 1_008],
    [3, keys.timestampUs[3], 1 / 7],
    [5, keys.timestampUs[4], 1],
  ];
  expect(await find()).toEqual(want);
  await packAll();
  expect(await find()).toEqual(want);
});

test("a deletion of a part of a span deletes exactly that part", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  await packAll();
  const before = await everything();
  const deletion = { seriesIds: [1, 3], fromUs: DAY_US + 100_000_000, toUs: DAY_US + 500_000_000 };
  const isDeleted = ([id, us]: unknown[]) =>
    deletion.seriesIds.includes(id as number) &&
    (us as number) >= deletion.fromUs &&
    (us as number) <= deletion.toUs;
  const deleted = before.filter(isDeleted).length;
  const counted = await countSamples(store, deletion);
  expect(counted.values().reduce((sum, each) => sum + each, 0)).toBe(deleted);
  expect(await store.deleteSamples(deletion, snapshotOf([]))).toBe(deleted);
  const after = await everything();
  expect(after).toEqual(before.filter((sample) => !isDeleted(sample)));
  // The rest of the span is rows again. It is packed with the next ones.
  expect(store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[3_720 - deleted, 2_520 - 480]]);
  expect(await packAll()).toBe(480 - before.filter((each) => isDeleted(each) && each[0] === 1).length);
  expect(await everything()).toEqual(after);
  await store.close();
  await open();
  expect(await everything()).toEqual(after);
});

test("retention drops the blocks of a day", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  await packAll();
  await store.dropDaysBefore(DAY + 1, { seriesIds: [], metrics: [] }, snapshotOf([]));
  expect(await count("blocks")).toBe(0);
  expect(store.days()).toEqual([]);
});

test("a held day is not packed, and nothing is while there are records of forwarding that nobody follows", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  let isHeld = true;
  store.holdRows((day) => isHeld && day === DAY);
  store.holdRows(() => false);
  expect(await packAll()).toBe(0);
  isHeld = false;
  await store.commit({ forwards: [{ key: "central/samples/2026-11-27", definition: '{"sent":[[0,10]]}' }] });
  expect(await packAll()).toBe(0);
  await store.commit({ forwards: [{ key: "central/samples/2026-11-27", definition: null }] });
  expect(await packAll()).toBe(2_520);
});

test("a day that is changed while its blocks are made is packed another time", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  const before = await everything();
  const deletion = { seriesIds: [2], fromUs: DAY_US, toUs: DAY_US };
  const [packed, deleted] = await Promise.all([packAll(), store.deleteSamples(deletion, snapshotOf([]))]);
  expect(deleted).toBe(1);
  const left = before.filter(([id, us]) => id !== 2 || us !== DAY_US);
  expect(await everything()).toEqual(left);
  expect(packed === 0 || packed === 2_520).toBe(true);
  await packAll();
  expect(await everything()).toEqual(left);
});

test("two days that are packed at once lose no sample", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  const later = DAY + 1;
  const ofLaterDay = (sample: Sample): Sample =>
    [sample[0], sample[1] + 86_400_000_000, ...sample.slice(2)] as never;
  await store.commit({ rows: [rowsOf(samplesOfHours().map(ofLaterDay), later)] });
  await snapshot();
  const pack = (day: number) => store.pack({ day, untilUs: (day + 1) * 86_400_000_000, isForced: true });
  const stored = () =>
    query(
      `WITH asked_blocks AS (FROM weir.blocks), stored AS (
         SELECT series_id, ts, value FROM weir.samples_20261127
         UNION ALL SELECT series_id, ts, value FROM weir.samples_20261128
         UNION ALL SELECT series_id, ts, value FROM (${statement("store/unpacked_blocks")})
       ) SELECT series_id, epoch_us(ts)::DOUBLE AS us, value FROM stored ORDER BY ALL`,
    );
  const before = await stored();
  await Promise.all([pack(DAY), pack(later)]);
  expect(await stored()).toEqual(before);
  expect([await pack(DAY), await pack(later)].every((samples) => samples === 0 || samples === 2_520)).toBe(
    true,
  );
  expect(store.days().map(({ packed }) => packed)).toEqual([2_520, 2_520]);
  expect(await stored()).toEqual(before);
});

test("a compacted store has the same samples", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  await packAll();
  const before = await everything();
  await store.close();
  const compacted = await compactStore(options());
  expect(compacted.rows).toBe(3_720);
  await open();
  expect(await everything()).toEqual(before);
});

test("compaction packs the spans before a time, however few samples they have", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  const before = await everything();
  await store.close();
  const compacted = await compactStore(options(), DAY_US + SPAN_US);
  expect(compacted.rows).toBe(3_720);
  await open();
  expect(await query("SELECT sum(samples)::INTEGER AS samples FROM weir.blocks")).toEqual([
    { samples: before.filter(([id, us]) => id !== 3 && (us as number) < DAY_US + SPAN_US).length },
  ]);
  expect(await everything()).toEqual(before);
});

test("a day of few samples is packed when it has been over for the time of the setting", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  const before = await everything();
  const hourMs = 3_600_000;
  const spans = new ClosedSpans(store, 2 * hourMs);
  const pack = (hour: number) => spans.pack(DAY_US / 1_000 + hour * hourMs);
  // Too few while the day goes on, and not over for two hours.
  expect([await pack(6), await pack(25.9)]).toEqual([0, 0]);
  expect(await pack(26)).toBe(2_520);
  expect(await pack(30)).toBe(0);
  expect(await everything()).toEqual(before);
});

test("a day that is over is looked at again if its rows could not be packed, although no rows come in", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  const spans = new ClosedSpans(store, 0);
  let isHeld = true;
  store.holdRows(() => isHeld);
  const pack = () => spans.pack(DAY_END_US / 1_000 + 1);
  // Held, as by a destination that is behind; then without a snapshot of the totals.
  expect(await pack()).toBe(0);
  isHeld = false;
  expect(await pack()).toBe(0);
  await snapshot();
  expect(await pack()).toBe(2_520);
});

test("a stop ends packing between two slices, and changes nothing", async () => {
  await commitSeries();
  await commit(samplesOfHours());
  await snapshot();
  const before = await everything();
  expect(await store.pack({ day: DAY, untilUs: DAY_END_US, isForced: true, isStopped: () => true })).toBe(0);
  expect(await count("blocks")).toBe(0);
  expect(await everything()).toEqual(before);
});

/** Everything of the day's table in the order of its ids, which are 0, 1, 2 … */
async function rowsInOrder(): Promise<unknown[][]> {
  const rows = await query(
    "SELECT rowid::INTEGER AS id, series_id, epoch_us(ts)::DOUBLE AS us, value, task_id FROM weir.samples_20261127 ORDER BY rowid",
  );
  expect(rows.map(({ id }) => id)).toEqual(rows.map((_, at) => at));
  return rows.map(({ id: _, ...row }) => Object.values(row));
}

/** Events of tasks and samples of a gauge in turns: one of these after so many events. */
const mixed = (length: number, eventsPerSample: number): Sample[] =>
  Array.from({ length }, (_, at): Sample => {
    const us = DAY_US + ((at * 7_919) % 86_000) * 1_000_000 + at;
    return at % (eventsPerSample + 1) === 0 ? [1, us, at] : [3, us, at, true, `t${at}`];
  });

test("the rows that stay are copied in parts, in their order, with those that come meanwhile", async () => {
  await commitSeries();
  await commit(mixed(3_000, 9));
  await snapshot();
  await commit([[1, DAY_US + 5, -1]]);
  const before = await rowsInOrder();
  const late: Sample[] = [
    [3, DAY_US + 9, 70_000, true, "late"],
    [1, DAY_US + 8, 70_001],
  ];
  let parts = 0;
  const packed = await store.pack({
    day: DAY,
    untilUs: DAY_END_US,
    isForced: true,
    rowsAtOnce: 500,
    isStopped: () => {
      // One of the slices that are encoded, and then one for each part.
      if (++parts === 20) void commit(late);
      return false;
    },
  });
  expect(packed).toBe(300);
  // 12 spans, and 2,700 events in parts of 500.
  expect(parts).toBe(12 + 6);
  await commit(late.map(([id, us, value, live, task]) => [id, us + 1, value, live, task]));
  const expected = before.filter(([id, us]) => id !== 1 || us === DAY_US + 5);
  const arrived = late.map(([id, us, value, , task]) => [id, us + 1, value, task ?? null]);
  expect(await rowsInOrder()).toEqual([...expected, ...arrived]);
  expect(await query("SELECT sum(samples)::INTEGER AS samples FROM weir.blocks")).toEqual([{ samples: 300 }]);
  // A start replays what the snapshot lacks: that gauge, and what came after it.
  await store.close();
  await open();
  const replayed: number[] = [];
  await store.replay(({ value }) => {
    replayed.push(...value);
  });
  expect(replayed).toEqual([-1, 70_000, 70_001]);
});

test("the rows that stay keep their order if several threads copy them", async () => {
  await commitSeries();
  // Three row groups, and a third of a fourth: the first part has rows of three.
  const samples = mixed(400_000, 9);
  for (let at = 0; at < samples.length; at += 50_000) await commit(samples.slice(at, at + 50_000));
  await snapshot();
  // What no snapshot contains.
  await commit([[3, DAY_US + 9, -1, true, "last"]]);
  expect(await packAll()).toBe(40_000);
  const rows = await query(
    `SELECT count(*)::INTEGER AS rows, (count(*) FILTER (value < before))::INTEGER AS moved
     FROM (SELECT value, lag(value) OVER (ORDER BY rowid) AS before FROM weir.samples_20261127 WHERE value >= 0)`,
  );
  expect(rows).toEqual([{ rows: 360_000, moved: 0 }]);
  const replayed: number[] = [];
  await store.close();
  await open();
  await store.replay(({ value }) => void replayed.push(...value));
  expect(replayed).toEqual([-1]);
});

test("a day with 20 times as many events is packed when it is over, and not before", async () => {
  await commitSeries();
  await commit(mixed(63_000, 20));
  await snapshot();
  const before = await everything();
  expect(await store.pack({ day: DAY, untilUs: DAY_END_US - SPAN_US })).toBe(0);
  expect(await store.pack({ day: DAY, untilUs: DAY_END_US, rowsAtOnce: 20_000 })).toBe(3_000);
  expect(await everything()).toEqual(before);
  expect(store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[63_000, 3_000]]);
});

test("a day with more events than that stays rows", async () => {
  await commitSeries();
  await commit(mixed(66_000, 21));
  await snapshot();
  expect(await store.pack({ day: DAY, untilUs: DAY_END_US })).toBe(0);
});

test("copied rows of a day that changed are dropped, and so are those that a kill left", async () => {
  await commitSeries();
  await commit(mixed(3_000, 9));
  await snapshot();
  const copies = () => query("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'made_rows%'");
  let seen: unknown[] = [];
  let deletion: Promise<number> | undefined;
  const isStopped = () => {
    // Behind the last slice, between two parts.
    if (seen.length === 0) void copies().then((found) => (seen = found));
    else
      deletion ??= store.deleteSamples(
        { seriesIds: [3], fromUs: DAY_US, toUs: DAY_US + 1e9 },
        snapshotOf([]),
      );
    return false;
  };
  const request = { day: DAY, untilUs: DAY_END_US, isForced: true, rowsAtOnce: 100, isStopped };
  expect(await store.pack(request)).toBe(0);
  expect(seen.length).toBe(1);
  await deletion;
  expect(await copies()).toEqual([]);
  const left = await everything();
  expect(await packAll()).toBe(300);
  expect(await everything()).toEqual(left);
  await store.close();
  const database = await Database.open(options().path, options());
  const connection = await database.connect();
  await connection.run("CREATE TABLE weir.made_rows_7 AS FROM weir.samples_20261127 LIMIT 5");
  connection.close();
  database.close();
  await open();
  expect(await copies()).toEqual([]);
  expect(await everything()).toEqual(left);
});

test("a day that gets a column between two parts is packed another time", async () => {
  await commitSeries();
  await commit(mixed(3_000, 9));
  await snapshot();
  let asked = 0;
  let added: Promise<unknown> | undefined;
  let postponed = 0;
  const isStopped = () => {
    // Behind 12 slices and the first parts.
    if (++asked === 15) {
      const rows = rowsOf([[3, DAY_US + 9, 1, true, "z"]]);
      added = store.commit({ rows: [{ ...rows, attributes: [{ ...rows.attributes[0]!, name: "zone" }] }] });
    }
    return false;
  };
  const request = { day: DAY, untilUs: DAY_END_US, isForced: true, rowsAtOnce: 500, isStopped };
  const packed = await store
    .pack({ ...request, onPostponed: () => postponed++ })
    .then((samples) => samples, String);
  await added;
  expect(packed).toBe(0);
  expect(postponed).toBe(1);
  expect(await query("SELECT 1 FROM duckdb_tables() WHERE table_name LIKE 'made_rows%'")).toEqual([]);
  expect(await packAll()).toBe(300);
});
