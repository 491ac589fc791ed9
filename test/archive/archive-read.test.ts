/** SQL over archived days, as parts of the same tables. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PartCache } from "../../src/archive/reading/part-cache.ts";
import { ReadableArchive } from "../../src/archive/reading/readable-archive.ts";
import { FolderTarget } from "../../src/archive/targets/folder-target.ts";
import { DAY_MS, NOON_MS } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { ArchivingGateway } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;
const never = new AbortController().signal;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const event = (
  atMs: number,
  value: number,
  tags: Record<string, string>,
  metric_name = "http.request_ms",
) => ({
  "@timestamp": atMs,
  ...{ metric_name, value, tags },
});

/** Four days with two samples each. The archive has the first three, of which two are not here any more. */
async function opened(...settings: string[]): Promise<ArchivingGateway> {
  const opened = await ArchivingGateway.openWith(undefined, "--archive-read", ...settings);
  for (let day = 0; day < 4; day++) {
    opened.nowMs = NOON_MS + day * DAY_MS;
    await opened.store([
      event(opened.nowMs - 2_000, 10 * day + 1, { op: "get", task_id: `t${day}` }),
      event(opened.nowMs - 1_000, 10 * day + 2, { op: "put", ...(day === 0 ? { zone: "a" } : {}) }),
      ...(day === 0 ? [event(opened.nowMs, 5, { op: "x" }, "only.old")] : []),
    ]);
    await opened.archiveAll();
    opened.nowMs += DAY_MS / 2;
    await opened.archive.archiveDue();
    opened.nowMs += 600_000;
    await opened.archive.archiveDue();
  }
  opened.nowMs = NOON_MS + 4 * DAY_MS;
  expect((await opened.gateway.ingest.prune()).days).toHaveLength(2);
  return opened;
}

test("a table has archived and local days, each once, with the columns of both", async () => {
  gateway = await opened();
  expect(
    await gateway.ask(
      "SELECT ts::DATE::VARCHAR AS day, value, op, task_id, zone FROM http_request_ms ORDER BY ts",
    ),
  ).toEqual(
    [0, 1, 2, 3].flatMap((day) => {
      const date = `2024-10-0${4 + day}`;
      return [
        { day: date, value: 10 * day + 1, op: "get", task_id: `t${day}`, zone: null },
        { day: date, value: 10 * day + 2, op: "put", task_id: null, zone: day === 0 ? "a" : null },
      ];
    }),
  );
  expect(
    await gateway.ask("SELECT count(*) AS n, sum(value) AS sum FROM http_request_ms WHERE task_id = 't1'"),
  ).toEqual([{ n: 1, sum: 11 }]);
  // A metric of which nothing is here any more.
  expect(await gateway.ask("SELECT value, op FROM only_old")).toEqual([{ value: 5, op: "x" }]);
  expect(
    await gateway.ask(
      "SELECT metric, labels['op'] AS op, count(*) AS n FROM samples WHERE metric <> 'x' GROUP BY ALL ORDER BY ALL",
    ),
  ).toEqual([
    { metric: "http.request_ms", op: "get", n: 4 },
    { metric: "http.request_ms", op: "put", n: 4 },
    { metric: "only.old", op: "x", n: 1 },
  ]);
  const listed = await (await gateway.fetch("/api/v1/tables?format=json")).text();
  expect(listed).toContain("only_old");
});

test("a statement reads only the files that it needs, with parameters too", async () => {
  gateway = await opened();
  const day = join(gateway.to, "date=2024-10-04");
  // Files of the first day that cannot be read.
  for (const metric of ["http.request_ms", "only.old"])
    for (const file of readdirSync(join(day, `metric=${metric}`)))
      writeFileSync(join(day, `metric=${metric}`, file), "no Parquet");
  const count = async (where: string, parameters = "") => {
    const query = new URLSearchParams({
      q: `SELECT count(*) AS n FROM http_request_ms WHERE ${where}`,
      format: "ndjson",
    });
    const answer = await gateway!.fetch(`/api/v1/sql?${query}${parameters}`);
    return { status: answer.status, text: (await answer.text()).trim() };
  };
  expect(await count("ts >= '2024-10-05'")).toEqual({ status: 200, text: '{"n":6}' });
  expect(await count("ts >= '2024-10-05' AND ts < '2024-10-06'")).toEqual({ status: 200, text: '{"n":2}' });
  expect(await count("ts >= TIMESTAMP '2024-10-08' - INTERVAL 3 DAY")).toEqual({
    status: 200,
    text: '{"n":6}',
  });
  expect(await count("ts::DATE = $day::DATE", "&param.day=2024-10-05")).toEqual({
    status: 200,
    text: '{"n":2}',
  });
  expect((await count("true")).status).toBeGreaterThanOrEqual(400);
});

test("conditions on tags and values find archived samples, whatever the values are", async () => {
  gateway = await ArchivingGateway.openWith(undefined, "--archive-read");
  const at = gateway.nowMs - 10_000;
  await gateway.store([
    event(at, 1, { host: "zeus" }),
    event(at + 1, 2, { host: "été" }),
    event(at + 2, 3, { host: "日本" }),
    event(at + 3, 4, {}),
    { ...event(at + 4, 5, {}, "temp"), type: "gauge", value: "Infinity" },
    { ...event(at + 5, 5, {}, "temp"), type: "gauge", value: "stale" },
    // A column of its file has the name that the labels of a sample have in the table `samples`.
    event(at + 5, 6, { labels: "x", ts: "y" }, "odd"),
  ]);
  await gateway.archiveAll();
  gateway.nowMs = NOON_MS + 4 * DAY_MS;
  expect((await gateway.gateway.ingest.prune()).days).toHaveLength(1);
  const found = async (where: string) =>
    (await gateway!.ask(`SELECT value FROM http_request_ms WHERE ${where}`)).map(
      (row) => (row as { value: unknown }).value,
    );
  expect(await found("host = 'zeus'")).toEqual([1]);
  expect(await found("host LIKE 'ze%'")).toEqual([1]);
  expect(await found("host = 'été'")).toEqual([2]);
  expect(await found("host > 'zz' AND host > 'é'")).toEqual([2, 3]);
  expect(await found("host IS NULL")).toEqual([4]);
  expect(await gateway.ask("SELECT count(*) AS n FROM temp WHERE value > 1e308")).toEqual([{ n: 1 }]);
  expect(await gateway.ask("SELECT metric FROM samples WHERE value IS NULL")).toEqual([{ metric: "temp" }]);
  // A text that looks like the number of a file.
  expect(await found("host = 'archived_part = 99999' OR value = 1")).toEqual([1]);
  expect(await gateway.ask("SELECT metric, labels FROM samples WHERE labels['host'] = 'zeus'")).toEqual([
    { metric: "http.request_ms", labels: { host: "zeus" } },
  ]);
  expect(await gateway.ask("SELECT metric, labels, value FROM samples WHERE metric = 'odd'")).toEqual([
    { metric: "odd", labels: { labels: "x", ts: "y" }, value: 6 },
  ]);
});

test("an archive that is away fails only the statements that may need it", async () => {
  gateway = await opened();
  await gateway.store([event(gateway.nowMs, 1, {}, "new.metric")]);
  renameSync(gateway.to, `${gateway.to}-away`);
  writeFileSync(gateway.to, "no folder");
  await gateway.reopen(`--archive-to=${gateway.to}`, "--archive-read");
  const status = async (q: string) => {
    const answer = await gateway!.fetch(`/api/v1/sql?${new URLSearchParams({ q })}`);
    return [answer.status, await answer.text()] as const;
  };
  const [away, text] = await status("SELECT count(*) AS n FROM new_metric");
  expect(away).toBe(503);
  expect(text).toContain("the archive cannot be read: ");
  expect(await gateway.ask("SELECT count(*) AS n FROM new_metric WHERE ts > '2024-10-07'")).toEqual([
    { n: 1 },
  ]);
  rmSync(gateway.to);
  renameSync(`${gateway.to}-away`, gateway.to);
  gateway.nowMs += 5_000;
  expect(await gateway.ask("SELECT count(*) AS n FROM new_metric")).toEqual([{ n: 1 }]);
});

test("a statement may read a number of bytes, and copies of files are kept up to it", async () => {
  gateway = await opened();
  const folder = temporaryFolder();
  const target = new FolderTarget(gateway.to);
  const parts = async (bytesMax: number) => {
    const cache = new PartCache(target, folder, bytesMax);
    const archive = new ReadableArchive({
      target,
      cache,
      bytesMax,
      days: () => [],
      now: () => gateway!.nowMs,
    });
    await archive.ready(never);
    return { archive, parts: archive.metrics.get("http.request_ms")!.parts };
  };
  const { archive, parts: all } = await parts(1e6);
  expect(all.map(({ first }) => first.slice(0, 10))).toEqual(["2024-10-04", "2024-10-05", "2024-10-06"]);
  const held = await archive.fetch(all, true, never);
  expect(all.map((part) => existsSync(held.path(part)))).toEqual([true, true, true]);
  held.release();
  const [first, second] = [all[0]!, all[1]!];
  const small = await parts(first.bytes + second.bytes);
  await expect(small.archive.fetch(all, false, never)).rejects.toThrow(
    `may read ${first.bytes + second.bytes} (archiveCacheBytes); a narrower range of ts may help`,
  );
  (await small.archive.fetch(all.slice(0, 2), false, never)).release();
  expect(readdirSync(folder).sort()).toEqual([first, second].map((part) => basename(held.path(part))).sort());
  rmSync(folder, { recursive: true });
});

test("a file that cannot be fetched does not push copies of others out", async () => {
  const folder = temporaryFolder();
  const target = new FolderTarget(temporaryFolder());
  const fileOf = (name: string, bytes: number) => {
    const sha256 = new Bun.CryptoHasher("sha256").update("x".repeat(bytes)).digest("hex");
    return { path: name, sha256, bytes };
  };
  const [small, large, other] = [fileOf("small", 10), fileOf("large", 95), fileOf("other", 20)];
  writeFileSync(join(target.text, "small"), "x".repeat(10));
  writeFileSync(join(target.text, "other"), "x".repeat(20));
  const cache = new PartCache(target, folder, 100);
  (await cache.hold([small])).call(undefined);
  await expect(cache.hold([large])).rejects.toThrow("ENOENT");
  (await cache.hold([other])).call(undefined);
  expect(readdirSync(folder).sort()).toEqual(
    [small, other].map((file) => basename(cache.pathOf(file))).sort(),
  );
  rmSync(folder, { recursive: true });
  rmSync(target.text, { recursive: true });
});
