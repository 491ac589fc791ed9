/** The files of the spool: whole or not there, bounded by bytes and days, and found again by the next process. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClientCounts } from "../../src/client/client-counts.ts";
import type { SealedBatch } from "../../src/client/sealed-batch.ts";
import { SpoolFolder } from "../../src/client/spool-folder.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const DAY_MS = 86_400_000;
let keys = 0;
function batch(more: Partial<SealedBatch> = {}): SealedBatch {
  const key = `00000000-0000-4000-8000-${String(keys++).padStart(12, "0")}`;
  return {
    key,
    createdMs: Date.now() + keys,
    samples: 10,
    body: new Uint8Array(100).fill(7),
    own: [],
    ...more,
  };
}

function opened(
  folder = join(temporaryFolder(), "_1"),
  more: { spoolBytesMax?: number; spoolDays?: number } = {},
) {
  const counts = new ClientCounts(() => undefined);
  const spool = new SpoolFolder({ folder, spoolBytesMax: 1_000, spoolDays: 7, counts, ...more });
  return { folder, spool, counts };
}

test("a batch is a file with its key, readable by its owner only", async () => {
  const { folder, spool } = opened();
  const one = batch({ createdMs: 1_704_067_200_000 });
  expect(await spool.put(one)).toBe(true);
  const name = `1704067200000-10-100-${one.key}.ndjson.gz`;
  expect(readdirSync(folder)).toEqual([name]);
  expect([...readFileSync(join(folder, name))]).toEqual([...one.body]);
  expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test("another process finds them, oldest first, with the same keys", async () => {
  const { folder, spool } = opened();
  const [one, two, three] = [2, 1, 3].map((ms) => batch({ createdMs: Date.now() - 10 + ms })) as [
    SealedBatch,
    SealedBatch,
    SealedBatch,
  ];
  for (const each of [one, two, three]) await spool.put(each);
  const { spool: next } = opened(folder);
  await next.list();
  expect(next.size).toEqual({ samples: 30, batches: 3, bytes: 300 });
  expect((await next.take("oldest"))!.key).toBe(two.key);
  expect((await next.take("newest"))!.key).toBe(three.key);
  expect((await next.take("newest"))!.key).toBe(one.key);
});

test("a batch is taken once, until it is released or done", async () => {
  const { folder, spool } = opened();
  const one = batch();
  await spool.put(one);
  expect(await spool.take("oldest")).toEqual({ ...one, body: Buffer.from(one.body) });
  expect(await spool.take("oldest")).toBeUndefined();
  spool.release(one.key);
  expect((await spool.take("newest"))?.key).toBe(one.key);
  await spool.done(one);
  expect(readdirSync(folder)).toEqual([]);
  expect(spool.size).toEqual({ samples: 0, batches: 0, bytes: 0 });
});

describe("bounds", () => {
  test("a full spool drops its oldest batches, and counts their samples", async () => {
    const { spool, counts } = opened();
    const batches = Array.from({ length: 12 }, () => batch());
    for (const each of batches) expect(await spool.put(each)).toBe(true);
    expect(spool.size).toEqual({ samples: 100, batches: 10, bytes: 1_000 });
    expect(counts.lost.spool_full).toBe(20);
    expect((await spool.take("oldest"))!.key).toBe(batches[2]!.key);
  });

  test("refused batches are dropped before others, and are not counted twice", async () => {
    const { folder, spool, counts } = opened();
    const [first, refused] = [batch(), batch()];
    await spool.put(first);
    await spool.put(refused);
    expect(await spool.setAside(refused, 401)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith(".refused-401"))).toHaveLength(1);
    for (let index = 0; index < 9; index++) await spool.put(batch());
    expect(readdirSync(folder).filter((name) => name.endsWith(".refused-401"))).toEqual([]);
    expect(spool.size.batches).toBe(10);
    expect(counts.lost.spool_full).toBe(0);
  });

  test("a refused batch cannot be taken while it is written", async () => {
    const { folder, spool } = opened();
    for (let round = 0; round < 50; round++) {
      let isAside = false;
      const aside = spool.setAside(batch(), 401).finally(() => {
        isAside = true;
      });
      while (!isAside) {
        expect(await spool.take("oldest")).toBeUndefined();
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await aside).toBe(true);
    }
    expect(readdirSync(folder).every((name) => name.endsWith(".refused-401"))).toBe(true);
  });

  test("a batch that is larger than the spool is not accepted", async () => {
    const { spool } = opened();
    expect(await spool.put(batch({ body: new Uint8Array(1_001) }))).toBe(false);
  });

  test("batches past spoolDays are dropped, and counted", async () => {
    const { folder, spool } = opened(undefined, { spoolDays: 8 });
    await spool.put(batch({ createdMs: Date.now() - 7 * DAY_MS - 1_000 }));
    await spool.put(batch({ createdMs: Date.now() - 6 * DAY_MS }));
    const { spool: next, counts } = opened(folder, { spoolDays: 7 });
    await next.list();
    expect(counts.lost.spool_expired).toBe(10);
    expect(next.size.batches).toBe(1);
  });
});

describe("files that are not batches", () => {
  test("a file without its content, as a power failure leaves it, is dropped and counted", async () => {
    const { folder, spool, counts } = opened();
    const [damaged, whole] = [batch(), batch()];
    await spool.put(damaged);
    await spool.put(whole);
    writeFileSync(join(folder, readdirSync(folder).sort()[0]!), "");
    expect((await spool.take("oldest"))!.key).toBe(whole.key);
    expect(counts.lost.spool_damaged).toBe(10);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  test("half-written files of killed processes are never sent, and are deleted after an hour", async () => {
    const { folder, spool } = opened();
    await spool.put(batch());
    const name = readdirSync(folder)[0]!;
    for (const [suffix, ageMs] of [
      ["a", 2 * 3_600_000],
      ["b", 0],
    ] as const) {
      const path = join(folder, `${suffix}${name}.tmp`);
      writeFileSync(path, "half");
      utimesSync(path, new Date(), new Date(Date.now() - ageMs));
    }
    writeFileSync(join(folder, "notes.txt"), "of the operator");
    const { spool: next } = opened(folder);
    await next.list();
    expect(next.size.batches).toBe(1);
    expect(readdirSync(folder).toSorted()).toEqual([name, `b${name}.tmp`, "notes.txt"].toSorted());
  });

  test("a batch that another process sent meanwhile is skipped, and is no loss", async () => {
    const { folder, spool: mine, counts } = opened();
    await mine.put(batch());
    const { spool: other } = opened(folder);
    await other.list();
    await other.done((await other.take("oldest"))!);
    expect(await mine.take("oldest")).toBeUndefined();
    expect(Object.values(counts.lost).every((count) => count === 0)).toBe(true);
  });

  test("a folder that cannot be written is reported", async () => {
    const { folder, spool, counts } = opened();
    mkdirSync(join(folder, ".."), { recursive: true });
    writeFileSync(folder, "a file");
    expect(await spool.put(batch())).toBe(false);
    expect(spool.putSync(batch())).toBe(false);
    expect(counts.lastProblem?.kind).toBe("spool_unwritable");
  });
});
