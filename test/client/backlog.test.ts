/** Batches that wait in memory: which are dropped, and which are sent first. */
import { expect, test } from "bun:test";
import { Backlog, NO_ADDRESS } from "../../src/client/backlog.ts";
import { ClientCounts } from "../../src/client/client-counts.ts";
import type { SealedBatch } from "../../src/client/sealed-batch.ts";
import { SpoolFolder } from "../../src/client/spool-folder.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const batch = (createdMs: number, bytes = 10): SealedBatch => ({
  key: String(createdMs),
  createdMs,
  samples: 100,
  body: new Uint8Array(bytes),
  own: [],
});

function opened(memoryBytesMax = 1_000_000) {
  const counts = new ClientCounts(() => undefined);
  return {
    counts,
    backlog: new Backlog({ spool: undefined, memorySamplesMax: 300, memoryBytesMax, counts }),
  };
}

test("the oldest batch is dropped, also if it was taken and failed again", async () => {
  const { counts, backlog } = opened();
  for (const createdMs of [1, 2, 3]) await backlog.put(batch(createdMs));
  const tried = (await backlog.take("oldest"))!;
  await backlog.put(batch(4));
  await backlog.put(tried);
  expect(counts.lost.memory_full).toBe(100);
  expect(backlog.inMemory).toEqual({ samples: 300, bytes: 30 });
  expect(backlog.takeAllInMemory().map(({ createdMs }) => createdMs)).toEqual([2, 3, 4]);
});

test("the newest is taken for a first attempt, the oldest for the rest", async () => {
  const { backlog } = opened();
  for (const createdMs of [1, 2, 3]) await backlog.put(batch(createdMs));
  expect((await backlog.take("newest"))!.createdMs).toBe(3);
  expect((await backlog.take("oldest"))!.createdMs).toBe(1);
  expect((await backlog.take("oldest"))!.createdMs).toBe(2);
  expect(await backlog.take("oldest")).toBeUndefined();
});

test("bytes are bounded, too, and counters in a dropped batch are pushed again", async () => {
  const { counts, backlog } = opened(100);
  counts.requestsFailed = 5;
  const own = counts.takeIncrements();
  expect(own).toEqual([{ name: "weir_client_requests_failed_total", value: 5, tags: {} }]);
  expect(counts.takeIncrements()).toEqual([]);
  await backlog.put({ ...batch(1, 60), own });
  await backlog.put(batch(2, 60));
  expect(backlog.inMemory).toEqual({ samples: 100, bytes: 60 });
  expect(counts.takeIncrements()).toContainEqual(own[0]!);
});

test("a client without an address does not report that the gateway refused samples", async () => {
  const reports: string[] = [];
  const counts = new ClientCounts(({ message }) => reports.push(message));
  const named = { ...batch(Date.now()), key: crypto.randomUUID() };
  const settings = { memorySamplesMax: 300, memoryBytesMax: 1_000, counts };
  const spool = new SpoolFolder({ folder: temporaryFolder(), spoolBytesMax: 1_000, spoolDays: 7, counts });
  await new Backlog({ ...settings, spool: undefined }).refuse(
    batch(1),
    NO_ADDRESS,
    "no address (option url)",
  );
  expect([counts.lost.refused, counts.setAside, reports]).toEqual([100, 0, []]);
  await new Backlog({ ...settings, spool }).refuse(named, NO_ADDRESS, "no address (option url)");
  expect([counts.lost.refused, counts.setAside]).toEqual([100, 100]);
  expect(reports).toEqual(["the spool keeps 100 samples aside: no address (option url)"]);
});
