/** What a stop keeps for the next start: used only if the tables are as they were at that stop. */
import { expect, spyOn, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Rows } from "../../../src/model/sample.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { Connection } from "../../../src/store/engine/duckdb.ts";
import { migrations } from "../../../src/store/statements.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { snapshotOf } from "../../totals-snapshots.ts";
import { type PlainStored, plainStored } from "../plain-stored.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = DAY * 86_400_000_000;

const pathOf = (folder: string) => join(folder, "store.duckdb");
const fileOf = (folder: string) => `${pathOf(folder)}.start`;
const optionsOf = (folder: string) => ({
  counters: createCounters(),
  path: pathOf(folder),
  memoryLimitBytes: 2 ** 28,
  threads: 1,
  temporaryDirectory: join(folder, "tmp"),
});

const metric = {
  name: "queue.wait_ms",
  prometheusName: "queue_wait_ms",
  kind: "observation",
  type: "histogram",
  unit: "ms",
  help: "",
  buckets: [1, 2.5],
} as const;

function rowsOf(seriesId: number, ...times: number[]): Rows {
  return {
    day: DAY,
    length: times.length,
    seriesId: new Uint32Array(times.length).fill(seriesId),
    timestampUs: Float64Array.from(times, (us) => DAY_US + us),
    value: Float64Array.from(times),
    stale: new Uint8Array(times.length),
    live: new Uint8Array(times.length).fill(1),
    attributes: [],
    text: new Uint8Array(0),
  };
}

const seriesOf = (seriesId: number, domain: string) => ({
  seriesId,
  metric,
  labels: new Map([
    ["domain", domain],
    ["job", "crawler"],
  ]),
  exposed: true,
});

const domainsOf = ({ series }: PlainStored) => series.map(({ labels }) => labels.get("domain"));

/** A store with a series, a sample and a key, closed in order. */
async function closedStore(): Promise<string> {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.commit({
    metrics: [metric],
    series: [seriesOf(1, "a.example")],
    seriesDays: [{ seriesId: 1, day: DAY }],
    rows: [rowsOf(1, 10, 20)],
    pushes: [{ scope: "", key: "k", bodyHash: "h", receivedAtMs: 5, accepted: 2, answer: '{"accepted":2}' }],
  });
  await store.close();
  return folder;
}

function copied(from: string): string {
  const to = join(temporaryFolder(), "data");
  // Copied by another process, because closing a file here would give up its locks.
  expect(Bun.spawnSync(["cp", "-r", from, to]).exitCode).toBe(0);
  return to;
}

/** Opens a store, and counts its statements. */
async function opened(
  folder: string,
  options: Partial<Parameters<typeof openStore>[0]> = {},
): Promise<{ store: DuckDBStore; stored: PlainStored; statements: number }> {
  const spies = [spyOn(Connection.prototype, "run"), spyOn(Connection.prototype, "all")];
  try {
    const { store, stored } = await openStore({ ...optionsOf(folder), ...options });
    const statements = spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    return { store, stored: plainStored(stored), statements };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** The same, and closes it again without an orderly stop of its copy: the folder stays as it is. */
async function read(folder: string, options: Partial<Parameters<typeof openStore>[0]> = {}) {
  const { store, ...rest } = await opened(copied(folder), options);
  await store.close();
  return rest;
}

/** The settings of the engine are the only statement of a start that reads no table. */
const FROM_FILE = 1;

test("a start after an orderly stop asks for no table, and knows what the tables have", async () => {
  const folder = await closedStore();
  const fromFile = await read(folder);
  expect(fromFile.statements).toBe(FROM_FILE);
  expect(statSync(fileOf(folder)).mode & 0o777).toBe(0o600);
  rmSync(fileOf(folder));
  const fromTables = await read(folder);
  expect(fromTables.statements).toBeGreaterThan(FROM_FILE);
  expect(fromFile.stored).toEqual(fromTables.stored);
  expect(domainsOf(fromFile.stored)).toEqual(["a.example"]);
});

test("every kind of record is the same from the file as from the tables, and so are the next ones", async () => {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  const many = Array.from({ length: 3_000 }, (_, at) => ({
    seriesId: at + 2,
    metric,
    labels: new Map(Array.from({ length: at % 15 }, (_, label) => [`l${label}`, `${at % 7} "ü\u{1f600}`])),
    exposed: at % 3 > 0,
  }));
  await store.commit({
    metrics: [metric],
    series: [seriesOf(1, "a.example"), ...many],
    seriesDays: [4, 5, 9, 1].flatMap((seriesId) => [DAY, DAY - 1].map((day) => ({ seriesId, day }))),
    rows: [rowsOf(1, 1), { ...rowsOf(2, 1), day: DAY - 1, timestampUs: Float64Array.of(DAY_US - 1) }],
    demotions: [{ metric: metric.name, label: "task_id", decidedAtMs: 7 }],
    pushes: [1, 2].map((at) => ({
      ...{
        scope: "s",
        key: `${at}`,
        bodyHash: "h",
        receivedAtMs: at,
        accepted: at,
        answer: `{"accepted":${at}}`,
      },
    })),
    imports: [
      {
        ...{ file: "f", byteOffset: 2 ** 40, lastLineHash: "l", lastDay: undefined, updatedAtMs: 3 },
        ...{ firstLineHash: "x", identity: "i" },
      },
    ],
    groups: [
      { key: "g", definition: "{}" },
      { key: "gone", definition: "{}" },
      { key: "gone", definition: null },
    ],
    notifications: [{ key: "n", definition: '{"a":1}' }],
    forwards: [{ key: "d/s/2024-10-04", definition: "[]" }],
    archives: [{ key: "2024-10-04", definition: "{}" }],
    lastPushes: [{ job: "j", instance: "", pushedAtMs: 4 }],
    scrapers: [new Map([["job", "weir"]])],
    rejected: [{ receivedAtMs: 1, protocol: "events", instance: "", reason: "r", payload: "p" }],
  });
  await store.commit({
    totals: snapshotOf([
      {
        ...{ seriesId: 1, count: 3, sumHigh: Number.POSITIVE_INFINITY, sumLow: Number.NaN, value: null },
        ...{ createdUs: DAY_US, lastUs: DAY_US + 1, arrivedUs: 0, buckets: [1, 0, 2] },
      },
      {
        ...{ seriesId: 2, count: 1, sumHigh: -0, sumLow: 5e-324, value: 0.1 },
        ...{ createdUs: DAY_US, lastUs: DAY_US + 1, arrivedUs: 1.5, buckets: [] },
      },
    ]),
    lastPushes: [],
  });
  await store.close();
  const fromFile = await opened(copied(folder));
  const without = copied(folder);
  rmSync(fileOf(without));
  const fromTables = await opened(without);
  expect(fromFile.statements).toBe(FROM_FILE);
  expect(fromFile.stored).toEqual(fromTables.stored);
  expect(fromFile.stored.totals[0]).toMatchObject({ sumHigh: Number.POSITIVE_INFINITY, sumLow: Number.NaN });
  expect(fromFile.stored.groups.map(({ key }) => key)).toEqual(["g"]);
  expect(fromFile.store.days()).toEqual(fromTables.store.days());
  for (const { store: next } of [fromFile, fromTables]) {
    // The state is the newest of its key, and a sample is behind the watermark.
    await next.commit({ groups: [{ key: "g", definition: '{"next":1}' }], rows: [rowsOf(1, 7)] });
    const values: number[] = [];
    await next.replay((rows) => void values.push(...rows.value.subarray(0, rows.length)));
    expect(values).toEqual([7]);
    const reader = await next.reader();
    expect(await reader.all("SELECT grouping_key, version FROM weir.groups ORDER BY version")).toEqual([
      { grouping_key: "g", version: 1 },
      { grouping_key: "gone", version: 2 },
      { grouping_key: "gone", version: 3 },
      { grouping_key: "g", version: 4 },
    ]);
    reader.close();
    await next.close();
  }
});

test("a file of an earlier stop is not used, whatever has changed since", async () => {
  const folder = await closedStore();
  const earlier = join(temporaryFolder(), "earlier");
  copyFileSync(fileOf(folder), earlier);
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ series: [seriesOf(2, "b.example")], rows: [rowsOf(2, 30)] });
  // A kill before the next move, checkpoint and stop.
  for (const step of [() => store.moveJournal(), () => store.checkpoint(), () => store.close()]) {
    const killed = copied(folder);
    copyFileSync(earlier, fileOf(killed));
    const { stored, store: next } = await opened(killed);
    expect(domainsOf(stored)).toEqual(["a.example", "b.example"]);
    expect(next.days()).toMatchObject([{ day: DAY, rows: 3 }]);
    await next.close();
    await step();
  }
  copyFileSync(earlier, fileOf(folder));
  expect(domainsOf((await read(folder)).stored)).toEqual(["a.example", "b.example"]);
});

test("a checkpoint removes the file, so that it does not keep what was deleted", async () => {
  const folder = await closedStore();
  const { store } = await openStore(optionsOf(folder));
  expect(existsSync(fileOf(folder))).toBe(true);
  await store.checkpoint();
  expect(existsSync(fileOf(folder))).toBe(false);
  await store.close();
});

test("of two copies of a store that went different ways, none takes the file of the other", async () => {
  const one = await closedStore();
  const other = copied(one);
  // Nothing of this is in the statistics that a catalog has: the least and the greatest values are the same.
  const added = (middle: string) => ({
    series: ["a.example", middle, "c.example"].map((domain, at) => seriesOf(at + 2, domain)),
  });
  for (const [folder, middle] of [
    [one, "b.example"],
    [other, "B.example"],
  ] as const) {
    const { store } = await openStore(optionsOf(folder));
    await store.commit(added(middle));
    await store.close();
  }
  for (const folder of [one, other]) expect((await read(folder)).statements).toBe(FROM_FILE);
  copyFileSync(fileOf(one), fileOf(other));
  const { stored, statements } = await read(other);
  expect(statements).toBeGreaterThan(FROM_FILE);
  expect(domainsOf(stored)).toEqual(["a.example", "a.example", "B.example", "c.example"]);
});

test("a damaged file is not used, wherever it is damaged", async () => {
  const folder = await closedStore();
  const bytes = readFileSync(fileOf(folder));
  for (const damage of [
    bytes.subarray(0, 0),
    bytes.subarray(0, 20),
    bytes.subarray(0, bytes.length - 1),
    ...[0, 9, 13, 20, 60, bytes.length - 2].map((at) => {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      return changed;
    }),
  ]) {
    writeFileSync(fileOf(folder), damage);
    const { stored, statements } = await read(folder);
    expect(statements).toBeGreaterThan(FROM_FILE);
    expect(domainsOf(stored)).toEqual(["a.example"]);
  }
});

test("a program with a newer schema runs its migrations", async () => {
  const folder = await closedStore();
  const known = migrations();
  const next = {
    ...{ version: known.at(-1)!.version + 1, name: "next", rewritesData: false },
    sql: "CREATE TABLE weir.next (id INTEGER);",
  };
  const { store, statements } = await opened(folder, { migrations: [...known, next] });
  expect(statements).toBeGreaterThan(FROM_FILE);
  const reader = await store.reader();
  expect(await reader.all("SELECT count(*)::INTEGER AS rows FROM weir.next")).toEqual([{ rows: 0 }]);
  reader.close();
  await store.close();
});
