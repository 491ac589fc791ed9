/** SQL of tokens with labels over archived days: their own samples, and nothing of others. */
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { addToken } from "../access/token-texts.ts";
import { DAY_MS, NOON_MS } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { ArchivingGateway } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const event = (atMs: number, value: number, tags: Record<string, string>, metric_name = "work.ms") => ({
  "@timestamp": atMs,
  ...{ metric_name, value, tags },
});

/** Two jobs push on an archived day and on a day that is here. `zebra` has a metric and a tag of its own on both. */
async function opened(more: object[] = [], ...settings: string[]) {
  const path = join(temporaryFolder(), "tokens.json");
  const apple = await addToken(path, "apple", { scopes: ["read", "sql"], labels: { job: "apple" } });
  const free = await addToken(path, "free", { scopes: ["push", "read", "sql", "admin"] });
  gateway = await ArchivingGateway.openWith(undefined, "--archive-read", `--token-file=${path}`, ...settings);
  const push = async (events: object[]) => {
    const answer = await gateway!.fetch("/api/v1/push", {
      method: "POST",
      body: JSON.stringify(events),
      headers: { authorization: `Bearer ${free}` },
    });
    expect(await answer.json()).toMatchObject({ accepted: events.length });
  };
  await push([
    event(NOON_MS - 5_000, 1, { job: "apple", op: "get", task_id: "7" }),
    event(NOON_MS - 4_000, 424242, { job: "zebra", op: "zebra op", task_id: "zebra task", secret: "zebra" }),
    event(NOON_MS - 3_000, 2, { job: "apple", op: "8" }),
    event(NOON_MS - 2_000, 424242, { job: "zebra" }, "zebra.only"),
    ...more,
    // The label of an event that is not of a series of the job.
    event(NOON_MS - 1_000, 424242, { op: "zebra free" }),
  ]);
  await gateway.archiveAll();
  gateway.nowMs = NOON_MS + 4 * DAY_MS;
  expect((await gateway.gateway.ingest.prune()).days).toHaveLength(1);
  await push([
    event(gateway.nowMs - 5_000, 3, { job: "apple", op: "get", task_id: "9" }),
    event(gateway.nowMs - 4_000, 424242, { job: "zebra", op: "zebra op", secret: "zebra" }),
    event(gateway.nowMs - 3_000, 424242, { job: "zebra" }, "zebra.only"),
  ]);
  const ask = async (q: string, token = apple) => {
    const query = new URLSearchParams({ q, format: "ndjson" });
    const answer = await gateway!.fetch(`/api/v1/sql?${query}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return { status: answer.status, text: await answer.text() };
  };
  return Object.assign(ask, { apple });
}

const rows = (...found: object[]) => ({
  status: 200,
  text: found.map((row) => `${JSON.stringify(row)}\n`).join(""),
});

test("have the archived samples of their labels, and no others", async () => {
  const ask = await opened();
  expect(await ask("SELECT value, op, task_id FROM work_ms ORDER BY ts")).toEqual(
    rows(
      { value: 1, op: "get", task_id: "7" },
      { value: 2, op: "8", task_id: null },
      { value: 3, op: "get", task_id: "9" },
    ),
  );
  expect(
    await ask("SELECT metric, labels['op'] AS op, value FROM samples WHERE ts < '2024-10-05' ORDER BY ts"),
  ).toEqual(rows({ metric: "work.ms", op: "get", value: 1 }, { metric: "work.ms", op: "8", value: 2 }));
  expect(await ask("SELECT count(*) AS n FROM work_ms WHERE job = 'zebra'")).toEqual(rows({ n: 0 }));
  const names = await ask("SELECT * FROM work_ms WHERE ts < '2024-10-05' ORDER BY ts LIMIT 1");
  expect(names.text).not.toContain("secret");
});

test("evaluate nothing for samples of others", async () => {
  const ask = await opened();
  // Both would fail for rows of others.
  expect(await ask("SELECT sum(task_id::INTEGER) AS sum FROM work_ms")).toEqual(rows({ sum: 16 }));
  const casts = await ask("SELECT op::INTEGER AS op FROM work_ms WHERE value <> 1 AND value <> 3");
  expect(casts).toEqual(rows({ op: 8 }));
  for (const q of [
    "SELECT * FROM zebra_only",
    "EXPLAIN SELECT * FROM work_ms",
    'SELECT * FROM "own archived 0"',
  ]) {
    const { status, text } = await ask(q);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(text.replaceAll("zebra_only", "")).not.toMatch(/zebra|424242/);
  }
});

test("are not told how many bytes others have", async () => {
  // Each id has 16 bytes that cannot be compressed.
  const idOf = (at: number) => new Bun.CryptoHasher("md5").update(String(at)).digest("hex");
  const many = Array.from({ length: 80_000 }, (_, at) =>
    event(NOON_MS - 2_500, 424242, { job: "zebra", task_id: idOf(at) }),
  );
  const ask = await opened(many, "--archive-cache-bytes=1MiB");
  const { status, text } = await ask("SELECT count(*) AS n FROM work_ms");
  expect(status).toBe(422);
  expect(JSON.parse(text).error.message).toBe(
    "The statement reads more of the archive than a statement may read (archiveCacheBytes); a narrower range of ts may help.",
  );
  const time = String(NOON_MS / 1_000);
  const promql = await gateway!.fetch(
    `/api/v1/query?${new URLSearchParams({ query: "work_ms_count", time })}`,
    { headers: { authorization: `Bearer ${ask.apple}` } },
  );
  expect([promql.status, ((await promql.json()) as { error: string }).error]).toEqual([
    422,
    "the query reads more of the archive than a query may read (archiveCacheBytes): query a shorter range or fewer metrics",
  ]);
});
