/** Days in a folder: files, manifest, late samples, deletions, and what a kill leaves. */
import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DAY_MS, NOON_MS } from "../gateway.ts";
import { ArchivingGateway, DAY, duckdb, HOUR_MS } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const EVENTS = [
  {
    "@timestamp": NOON_MS - 5_000,
    metric_name: "http.request.duration_ms",
    value: 234.5,
    tags: { operation: "get", task_id: "t1" },
  },
  {
    "@timestamp": NOON_MS - 4_000,
    metric_name: "http.request.duration_ms",
    value: 3,
    tags: { operation: "put", task_id: "t2", TS: "x" },
  },
  {
    "@timestamp": NOON_MS - 4_500,
    metric_name: "http.request.duration_ms",
    value: 4,
    tags: { operation: "get" },
  },
  { "@timestamp": NOON_MS - 3_000, metric_name: "jobs", type: "counter", value: 2, tags: { queue: "ü" } },
  { "@timestamp": NOON_MS - 2_000, metric_name: "temperature", type: "gauge", value: -0.5, unit: "celsius" },
  {
    "@timestamp": NOON_MS - 1_000,
    metric_name: "temperature",
    type: "gauge",
    value: "stale",
    unit: "celsius",
  },
];

const parts = (to: string, metric: string) => readdirSync(join(to, "date=2024-10-04", `metric=${metric}`));

test("a day that is over and quiet has a file for each metric and a manifest", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS);
  await gateway.archiveAll();
  const manifest = gateway.manifest();
  expect(manifest).toMatchObject({
    weir_archive: 1,
    date: "2024-10-04",
    rows: 6,
    min_ts: "2024-10-04T11:59:55.000000Z",
    max_ts: "2024-10-04T11:59:59.000000Z",
    schema: { ts: "TIMESTAMP", value: "DOUBLE", series: "UINTEGER" },
    gateway: { external_labels: {} },
  });
  expect(manifest.metrics.map(({ name, kind, type, unit }) => [name, kind, type, unit])).toEqual([
    ["http.request.duration_ms", "observation", "histogram", ""],
    ["jobs", "delta", "counter", ""],
    ["temperature", "gauge", "gauge", "celsius"],
  ]);
  expect(manifest.metrics[0]!.parts[0]).toMatchObject({
    rows: 3,
    stale: 0,
    columns: [
      { name: "TS_2", label: "TS" },
      { name: "operation", label: "operation" },
      { name: "task_id", attribute: "task_id" },
    ],
  });
  expect(manifest.metrics[2]!.parts[0]).toMatchObject({ rows: 2, stale: 1, columns: [] });
  for (const { file, sha256, bytes } of [
    ...manifest.metrics.flatMap((each) => each.parts),
    ...manifest.series,
  ]) {
    const contents = readFileSync(join(gateway.to, "date=2024-10-04", file));
    expect(createHash("sha256").update(contents).digest("hex")).toBe(sha256);
    expect(contents.length).toBe(bytes);
    expect(file).toContain(sha256);
  }
  expect(parts(gateway.to, "http.request.duration_ms")).toHaveLength(1);
  // By series and time: both samples of `get` first.
  expect(
    await duckdb(
      `SELECT metric, date::VARCHAR AS date, epoch_ms(ts)::DOUBLE AS ms, value, operation, task_id, "TS_2" AS tag
       FROM read_parquet('${gateway.to}/date=*/metric=http*/*.parquet', hive_partitioning = true)`,
    ),
  ).toEqual(
    [
      ["get", "t1", null, NOON_MS - 5_000, 234.5],
      ["get", null, null, NOON_MS - 4_500, 4],
      ["put", "t2", "x", NOON_MS - 4_000, 3],
    ].map(([operation, task_id, tag, ms, value]) => ({
      ...{ metric: "http.request.duration_ms", date: "2024-10-04" },
      ...{ ms, value, operation, task_id, tag },
    })),
  );
  expect(
    await duckdb(
      `SELECT metric, kind, labels, exposed FROM '${gateway.to}/date=2024-10-04/series-*.parquet'`,
    ),
  ).toEqual([
    { metric: "http.request.duration_ms", kind: "observation", labels: { operation: "get" }, exposed: true },
    {
      metric: "http.request.duration_ms",
      kind: "observation",
      labels: { TS: "x", operation: "put" },
      exposed: true,
    },
    { metric: "jobs", kind: "delta", labels: { queue: "ü" }, exposed: true },
    { metric: "temperature", kind: "gauge", labels: {}, exposed: true },
  ]);
  const answer = await (await gateway.fetch("/api/v1/archive")).json();
  expect(answer).toMatchObject({
    to: gateway.to,
    days: [{ date: "2024-10-04", rows: 6, state: "archived", archived_rows: 6, files: 4, last_error: null }],
  });
  const metrics = await (await gateway.fetch("/metrics")).text();
  expect(metrics).toContain("\nweir_archive_samples_total 6\n");
  expect(metrics).toContain("\nweir_archive_waiting_days 0\n");
  expect(readdirSync(join(gateway.folder, "archive", "spool"))).toEqual([]);
});

test("a day is not archived before it is over and quiet", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS);
  const isArchived = () => existsSync(join(gateway!.to, "date=2024-10-04", "manifest.json"));
  gateway.nowMs = (DAY + 1) * DAY_MS + 3 * HOUR_MS - 1;
  await gateway.archive.archiveDue();
  gateway.nowMs += 600_000 - 2;
  await gateway.archive.archiveDue();
  expect(isArchived()).toBe(false);
  // A late sample: ten more minutes.
  await gateway.store([{ ...EVENTS[0]!, value: 7 }]);
  gateway.nowMs += 2;
  await gateway.archive.archiveDue();
  expect(isArchived()).toBe(false);
  gateway.nowMs += 600_000;
  await gateway.archive.archiveDue();
  expect(gateway.manifest().rows).toBe(7);
});

test("late samples make a further file, also if they equal others that were archived", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS.slice(0, 1));
  await gateway.archiveAll();
  const [first] = parts(gateway.to, "http.request.duration_ms");
  await gateway.store(EVENTS.slice(0, 1));
  await gateway.archiveAll();
  await gateway.store(EVENTS.slice(3, 4));
  await gateway.archiveAll();
  expect(parts(gateway.to, "http.request.duration_ms").sort()).toEqual(
    [first!, first!.replace(".parquet", "-2.parquet")].sort(),
  );
  expect(gateway.manifest().metrics.map(({ name, parts }) => [name, parts.map(({ rows }) => rows)])).toEqual([
    ["http.request.duration_ms", [1, 1]],
    ["jobs", [1]],
  ]);
  expect(gateway.archive.reports()[0]).toMatchObject({ rows: 3, archivedRows: 3, state: "archived" });
});

test("a deletion replaces all files of its day", async () => {
  gateway = await ArchivingGateway.openWith(undefined, "--enable-admin-api");
  await gateway.store(EVENTS);
  await gateway.archiveAll();
  const before = gateway.manifest();
  await gateway.fetch(
    `/api/v1/admin/tsdb/delete_series?${new URLSearchParams({ "match[]": '{__name__="http.request.duration_ms",operation="get"}' })}`,
    { method: "POST" },
  );
  expect(gateway.archive.reports()[0]!.rows).toBe(4);
  await gateway.archiveAll();
  expect(gateway.archive.reports()[0]).toMatchObject({ rows: 4, archivedRows: 4, state: "archived" });
  expect(gateway.manifest().rows).toBe(4);
  expect(parts(gateway.to, "http.request.duration_ms")).not.toEqual([
    before.metrics[0]!.parts[0]!.file.split("/")[1]!,
  ]);
  expect(await duckdb(`SELECT value FROM '${gateway.to}/date=*/metric=http*/*.parquet'`)).toEqual([
    { value: 3 },
  ]);
});

test("gauges that are blocks are archived with the same values, and rows after it stay rows", async () => {
  gateway = await ArchivingGateway.openWith();
  const samples = Array.from({ length: 1_200 }, (_, at) => ({
    metric: "level",
    kind: "gauge" as const,
    atMs: NOON_MS - 12 * HOUR_MS + at * 30_000,
    value: Math.sin(at) * 100,
    labels: { at: at % 2 === 0 ? "a" : "b" },
  }));
  await gateway.push(samples);
  await gateway.gateway.ingest.storeTotals();
  const { store } = gateway.gateway;
  expect(await store.pack({ day: DAY, untilUs: NOON_MS * 1000, isForced: true })).toBe(1_200);
  await gateway.archiveAll();
  const sum = samples.reduce((total, { value }) => total + value, 0);
  const [found] = await duckdb(
    `SELECT count(*) AS rows, count(DISTINCT ts) AS times, sum(value) AS sum FROM '${gateway.to}/date=*/metric=level/*.parquet'`,
  );
  expect(found).toMatchObject({ rows: 1_200, times: 1_200 });
  expect(found!.sum as number).toBeCloseTo(sum, 6);
  await gateway.push(samples.map((sample) => ({ ...sample, atMs: sample.atMs! + 1 })));
  expect(await store.pack({ day: DAY, untilUs: NOON_MS * 1000, isForced: true })).toBe(0);
  await gateway.archiveAll();
  expect(gateway.manifest().metrics[0]!.parts.map(({ rows }) => rows)).toEqual([1_200, 1_200]);
});

test("an archived day is packed after the archive left the settings, and archived again when it returns", async () => {
  gateway = await ArchivingGateway.openWith();
  const samples = Array.from({ length: 1_200 }, (_, at) => ({
    metric: "level",
    kind: "gauge" as const,
    atMs: NOON_MS - 12 * HOUR_MS + at * 30_000,
    value: at,
  }));
  await gateway.push(samples);
  await gateway.archiveAll();
  const pack = async () => {
    await gateway!.gateway.ingest.storeTotals();
    return await gateway!.gateway.store.pack({ day: DAY, untilUs: NOON_MS * 1000, isForced: true });
  };
  expect(await pack()).toBe(0);
  await gateway.reopen();
  const late = { metric: "late", kind: "gauge" as const, atMs: NOON_MS, value: 5 };
  await gateway.push([late]);
  expect(await pack()).toBe(1_200);
  await gateway.reopen(`--archive-to=${gateway.to}`);
  expect(gateway.archive.reports()[0]).toMatchObject({ state: "changed" });
  await gateway.push([{ ...late, atMs: NOON_MS + 1 }]);
  await gateway.archiveAll();
  expect(gateway.archive.reports()[0]).toMatchObject({ state: "archived", archivedRows: 1_202 });
  expect(
    await duckdb(
      `SELECT metric, count(*)::INT AS n, count(DISTINCT value)::INT AS different FROM '${gateway.to}/date=*/metric=*/*.parquet' GROUP BY ALL ORDER BY ALL`,
    ),
  ).toEqual([
    { metric: "late", n: 2, different: 1 },
    { metric: "level", n: 1_200, different: 1_200 },
  ]);
});

test("an archive that cannot be written is tried again, and the error is listed and logged once", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS);
  rmSync(gateway.to, { recursive: true });
  writeFileSync(gateway.to, "no folder");
  await gateway.archiveAll();
  await gateway.archiveAll();
  const [report] = gateway.archive.reports();
  expect(report).toMatchObject({ state: "waiting", archivedRows: 0 });
  expect(report!.lastError).toContain("ENOTDIR");
  expect(gateway.takeLog().filter((line) => line.includes("archive_failing"))).toHaveLength(1);
  expect(await (await gateway.fetch("/metrics")).text()).toContain("\nweir_archive_failing 1\n");
  rmSync(gateway.to);
  await gateway.archiveAll();
  expect(gateway.archive.reports()[0]).toMatchObject({
    state: "archived",
    archivedRows: 6,
    lastError: undefined,
  });
});

test("a gateway does not write into the days of another one", async () => {
  gateway = await ArchivingGateway.openWith();
  const other = await ArchivingGateway.openWith(gateway.to);
  await gateway.store(EVENTS.slice(0, 1));
  await gateway.archiveAll();
  await other.store(EVENTS.slice(3, 4));
  await other.archiveAll();
  expect(other.archive.reports()[0]!.lastError).toMatch(
    /^date=2024-10-04\/manifest.json is of another gateway \([0-9a-f]{32}\); give each gateway a folder or a prefix of its own$/,
  );
  other.takeLog();
  expect(gateway.manifest().rows).toBe(1);
  await other.close();
});

test("retention waits for the archive, up to a number of bytes, and what it drops is counted", async () => {
  gateway = await ArchivingGateway.openWith(undefined, "--archive-hold-bytes=1GiB");
  await gateway.store(EVENTS);
  gateway.nowMs += 10 * DAY_MS;
  expect((await gateway.gateway.ingest.prune()).days).toEqual([]);
  await gateway.archiveAll();
  expect((await gateway.gateway.ingest.prune()).days).toEqual([DAY]);
  expect(await (await gateway.fetch("/metrics")).text()).toContain(
    "\nweir_archive_dropped_samples_total 0\n",
  );
  await gateway.reopen(`--archive-to=${gateway.to}`);
  gateway.nowMs = NOON_MS;
  await gateway.store(EVENTS);
  gateway.nowMs += 10 * DAY_MS;
  expect((await gateway.gateway.ingest.prune()).days).toEqual([DAY]);
  expect(await (await gateway.fetch("/metrics")).text()).toContain(
    "\nweir_archive_dropped_samples_total 6\n",
  );
  expect(gateway.takeLog().filter((line) => line.includes("archive_missed"))).toHaveLength(1);
});

test("a day whose manifest was written before a kill is not written again", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS);
  await gateway.archiveAll();
  const manifest = gateway.manifest();
  // As a kill between the manifest and its note leaves it.
  await gateway.gateway.ingest.storeForwards(() => ({
    archives: [
      {
        key: "2024-10-04",
        definition: JSON.stringify({
          ...{ target: gateway!.to, writingEnd: 6, writing: manifest.writing },
          ...{ rows: 0, files: 0, bytes: 0, replaces: false },
        }),
      },
    ],
  }));
  await gateway.reopen(`--archive-to=${gateway.to}`);
  expect(gateway.archive.reports()[0]).toMatchObject({ state: "waiting" });
  await gateway.archive.archiveDue();
  expect(gateway.archive.reports()[0]).toMatchObject({ state: "archived", archivedRows: 6 });
  expect(gateway.manifest()).toEqual(manifest);
});

test("files that a kill left without a manifest are used, and those of other writings are removed", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS);
  await gateway.archiveAll();
  const path = join(gateway.to, "date=2024-10-04");
  const left = join(path, "metric=jobs", `part-${"0".repeat(64)}.parquet`);
  writeFileSync(left, "of a writing that was given up");
  rmSync(join(path, "manifest.json"));
  const { definition } = { definition: null };
  await gateway.gateway.ingest.storeForwards(() => ({ archives: [{ key: "2024-10-04", definition }] }));
  await gateway.reopen(`--archive-to=${gateway.to}`);
  await gateway.archiveAll();
  expect(gateway.manifest().rows).toBe(6);
  expect(existsSync(left)).toBe(false);
  expect(await (await gateway.fetch("/metrics")).text()).toContain("\nweir_archive_files_total 0\n");
});

test("a store that does not know a day of its archive does not replace other samples of it", async () => {
  gateway = await ArchivingGateway.openWith();
  await gateway.store(EVENTS);
  await gateway.archiveAll();
  await gateway.store([{ ...EVENTS[0]!, value: 1 }]);
  await gateway.gateway.ingest.storeForwards(() => ({ archives: [{ key: "2024-10-04", definition: null }] }));
  await gateway.reopen(`--archive-to=${gateway.to}`);
  await gateway.archiveAll();
  expect(gateway.archive.reports()[0]!.lastError).toBe(
    "the archive has other samples of 2024-10-04 than this store, in 1 of its files; move the folder date=2024-10-04/ of the archive away to write it again",
  );
  expect(gateway.manifest().rows).toBe(6);
  gateway.takeLog();
});
