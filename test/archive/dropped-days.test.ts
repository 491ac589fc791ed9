/** A day that was archived and dropped, of which samples come again, because more days are kept now. */
import { afterEach, expect, test } from "bun:test";
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DAY_MS, NOON_MS } from "../gateway.ts";
import { ArchivingGateway, DAY } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const level = (atMs: number, value: number, room: string) => ({
  "@timestamp": atMs,
  ...{ metric_name: "level", type: "gauge", value, tags: { room } },
});
const work = (atMs: number, value: number, op: string) => ({
  "@timestamp": atMs,
  ...{ metric_name: "work.ms", value, tags: { op, task_id: `t${value}` } },
});

/** A gateway that has archived and dropped a day with two samples of each metric, and keeps 30 days now. */
async function opened(): Promise<ArchivingGateway> {
  const opened = await ArchivingGateway.openWith(undefined, "--enable-admin-api");
  await opened.store([
    level(NOON_MS - 4_000, 1, "a"),
    level(NOON_MS - 3_000, 2, "b"),
    work(NOON_MS - 4_000, 10, "get"),
    work(NOON_MS - 3_000, 20, "put"),
  ]);
  await opened.archiveAll();
  opened.nowMs = NOON_MS + 4 * DAY_MS;
  expect((await opened.gateway.ingest.prune()).days).toEqual([DAY]);
  await reopen(opened, 30);
  return opened;
}

async function reopen(of: ArchivingGateway, days: number): Promise<void> {
  const flags = ["--archive-read", `--retention-days=${days}`, "--enable-admin-api"];
  await of.reopen(`--archive-to=${of.to}`, ...flags);
}

/** Samples of series that the archive knows, and of one that it does not know, whose number another one had. */
const LATER = [
  level(NOON_MS - 2_000, 3, "c"),
  level(NOON_MS - 1_000, 4, "a"),
  work(NOON_MS - 3_500, 15, "get"),
];

async function archived(): Promise<void> {
  await gateway!.archive.archiveDue();
  gateway!.nowMs += 600_000;
  await gateway!.archive.archiveDue();
}

async function requireAll(): Promise<void> {
  expect(await gateway!.ask("SELECT value, room FROM level ORDER BY value")).toEqual([
    { value: 1, room: "a" },
    { value: 2, room: "b" },
    { value: 3, room: "c" },
    { value: 4, room: "a" },
  ]);
  expect(await gateway!.ask("SELECT value, op, task_id FROM work_ms ORDER BY ts")).toEqual([
    { value: 10, op: "get", task_id: "t10" },
    { value: 15, op: "get", task_id: "t15" },
    { value: 20, op: "put", task_id: "t20" },
  ]);
  expect(
    await gateway!.ask(
      "SELECT labels['room'] AS room, count(*) AS n FROM samples WHERE metric = 'level' GROUP BY ALL ORDER BY ALL",
    ),
  ).toEqual([
    { room: "a", n: 2 },
    { room: "b", n: 1 },
    { room: "c", n: 1 },
  ]);
  const time = String(NOON_MS / 1_000);
  const asked = new URLSearchParams({ query: "level[10s]", time });
  const answer = (await (await gateway!.fetch(`/api/v1/query?${asked}`)).json()) as {
    readonly warnings?: readonly string[];
    readonly data: { readonly result: { metric: { room: string }; values: [number, string][] }[] };
  };
  expect(answer.warnings).toBeUndefined();
  const values = answer.data.result.map(({ metric, values }) => [
    metric.room,
    ...values.map(([at, value]) => `${value} ${at - NOON_MS / 1_000}`),
  ]);
  const look = async (path: string) => {
    const range = new URLSearchParams({ "match[]": "level", start: String(NOON_MS / 1_000 - 60), end: time });
    return await (await gateway!.fetch(`/api/v1/${path}?${range}`)).json();
  };
  expect(await look("label/room/values")).toEqual({ status: "success", data: ["a", "b", "c"] });
  expect(await look("labels")).toEqual({ status: "success", data: ["__name__", "room"] });
  expect(await look("series")).toMatchObject({ data: ["a", "b", "c"].map((room) => ({ room })) });
  expect(values.sort()).toEqual([
    ["a", "1 -4", "4 -1"],
    ["b", "2 -3"],
    ["c", "3 -2"],
  ]);
}

test("is read as one with its archive, before and after it is archived again", async () => {
  gateway = await opened();
  await gateway.store(LATER);
  await requireAll();
  expect(gateway.archive.reports().at(-1)).toMatchObject({ state: "partial", rows: 3, archivedRows: 4 });
  await archived();
  expect(gateway.archive.reports().at(-1)).toMatchObject({
    ...{ state: "partial", rows: 3, archivedRows: 7, lastError: undefined },
  });
  const manifest = gateway.manifest(DAY);
  expect(manifest.rows).toBe(7);
  expect(manifest.metrics.map(({ parts }) => parts.map(({ rows, drops }) => [rows, drops]))).toEqual([
    [
      [2, undefined],
      [2, 1],
    ],
    [
      [2, undefined],
      [1, 1],
    ],
  ]);
  expect(await (await gateway.fetch("/metrics")).text()).toContain("\nweir_archive_samples_total 3\n");
  await requireAll();
  await reopen(gateway, 30);
  await requireAll();
  // Dropped again: all of it is in the archive only.
  await reopen(gateway, 3);
  expect((await gateway.gateway.ingest.prune()).days).toEqual([DAY]);
  await requireAll();
  await reopen(gateway, 30);
  await gateway.store([level(NOON_MS - 500, 5, "d")]);
  expect(await gateway.ask("SELECT count(*) AS n, sum(value) AS sum FROM level")).toEqual([
    { n: 5, sum: 15 },
  ]);
  await archived();
  expect(gateway.manifest(DAY).rows).toBe(8);
  expect(await gateway.ask("SELECT count(*) AS n, sum(value) AS sum FROM level")).toEqual([
    { n: 5, sum: 15 },
  ]);
});

test("is read with its archive also if it was dropped while it was archived again", async () => {
  gateway = await opened();
  await gateway.store(LATER);
  renameSync(gateway.to, `${gateway.to}-away`);
  writeFileSync(gateway.to, "no folder");
  await archived();
  expect(gateway.archive.reports().at(-1)!.lastError).toContain("ENOTDIR");
  // Earlier states of the days are deleted when there are many.
  const other = JSON.stringify({ target: "elsewhere", rows: 0, files: 0, bytes: 0 });
  const archives = Array.from({ length: 20_000 }, () => ({ key: "9999-12-30", definition: other }));
  for (const records of [archives, archives.slice(0, 1)])
    await gateway.gateway.ingest.storeForwards(() => ({ archives: records }));
  expect(await gateway.query("SELECT count(*)::INT AS n FROM weir.archives")).toEqual([{ n: 3 }]);
  await reopen(gateway, 3);
  expect((await gateway.gateway.ingest.prune()).days).toEqual([DAY]);
  expect(await (await gateway.fetch("/metrics")).text()).toContain(
    "\nweir_archive_dropped_samples_total 3\n",
  );
  rmSync(gateway.to);
  renameSync(`${gateway.to}-away`, gateway.to);
  await reopen(gateway, 30);
  expect(gateway.takeLog().join("")).toContain("archive_failing");
  await gateway.store([level(NOON_MS - 500, 5, "d")]);
  const levels = "SELECT value, room FROM level ORDER BY value";
  const all = [
    { value: 1, room: "a" },
    { value: 2, room: "b" },
    { value: 5, room: "d" },
  ];
  expect(await gateway.ask(levels)).toEqual(all);
  await archived();
  expect(gateway.manifest(DAY).rows).toBe(5);
  expect(await gateway.ask(levels)).toEqual(all);
});

test("keeps the files of before if samples are deleted", async () => {
  gateway = await opened();
  await gateway.store(LATER);
  await archived();
  const asked = new URLSearchParams({ "match[]": '{__name__="level",room="c"}' });
  await gateway.fetch(`/api/v1/admin/tsdb/delete_series?${asked}`, { method: "POST" });
  await archived();
  expect(gateway.manifest(DAY)).toMatchObject({ rows: 6 });
  expect(await gateway.ask("SELECT value FROM level ORDER BY value")).toEqual([
    { value: 1 },
    { value: 2 },
    { value: 4 },
  ]);
  const folder = join(gateway.to, "date=2024-10-04", "metric=level");
  expect(readdirSync(folder)).toHaveLength(2);
});

test("has late samples in further files", async () => {
  gateway = await opened();
  await gateway.store(LATER.slice(1));
  await archived();
  await gateway.store(LATER.slice(0, 1));
  await requireAll();
  await archived();
  expect(gateway.manifest(DAY).metrics[0]!.parts.map(({ rows, drops }) => [rows, drops])).toEqual([
    [2, undefined],
    [1, 1],
    [1, 1],
  ]);
  await requireAll();
});
