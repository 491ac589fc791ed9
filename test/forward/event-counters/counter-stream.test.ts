/** The instants that forwarded counters have, if rows are stored while others are sent. */
import { expect, spyOn, test } from "bun:test";
import { decompressSnappyBlock } from "../../../src/wire/compression/snappy.ts";
import { NOON_MS } from "../../gateway.ts";
import { readV1 } from "../../receive/remote-write/messages.ts";
import { until } from "../../until.ts";
import { destinationTable, ForwardingGateway } from "../forwarding-gateway.ts";

const STEP_MS = 15_000;

test("an event that is stored while others are read counts at the end of its own step", async () => {
  const sent = new Map<number, number>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = decompressSnappyBlock(new Uint8Array(await request.arrayBuffer()), 10_000_000);
      for (const { labels, samples } of readV1(body))
        if (labels.some(([, value]) => value === "jobs_total"))
          for (const [ms, value] of samples) sent.set(Number(ms) - NOON_MS, value);
      return new Response(null, { status: 204 });
    },
  });
  const gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "d", type: "remote_write", url: server.url.href }),
  );
  try {
    const push = (agoMs: number) =>
      gateway.push([{ metric: "jobs", kind: "delta", atMs: NOON_MS + agoMs, value: 1 }]);
    await push(-1_000);
    gateway.nowMs = NOON_MS + STEP_MS;
    await until("the first counter", () => sent.has(STEP_MS));
    const { store } = gateway.gateway;
    const reader = store.reader.bind(store);
    let isLate = false;
    const opened = spyOn(store, "reader").mockImplementation(async () => {
      const found = await reader();
      if (!isLate) return found;
      // Two steps pass while rows are read, and an event of the first of them comes in.
      isLate = false;
      gateway.nowMs = NOON_MS + 4 * STEP_MS;
      await push(3 * STEP_MS - 1_000);
      return found;
    });
    await push(2 * STEP_MS - 1_000);
    isLate = true;
    gateway.nowMs = NOON_MS + 2 * STEP_MS;
    await until("the last counter", () => [...sent.values()].includes(3));
    opened.mockRestore();
    expect(Object.fromEntries(sent)).toMatchObject({
      0: 1,
      [STEP_MS]: 1,
      [2 * STEP_MS]: 2,
      [3 * STEP_MS]: 3,
    });
  } finally {
    await gateway.close();
    await server.stop(true);
  }
});

test("an instant has one value, also if rows get other ids while they are read", async () => {
  const sent: [ms: number, value: number][] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = decompressSnappyBlock(new Uint8Array(await request.arrayBuffer()), 10_000_000);
      for (const { labels, samples } of readV1(body))
        if (labels.some(([, value]) => value === "jobs_total"))
          for (const [ms, value] of samples) sent.push([Number(ms) - NOON_MS, value]);
      return new Response(null, { status: 204 });
    },
  });
  const gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "d", type: "remote_write", url: server.url.href }),
  );
  try {
    const push = (agoMs: number, value: number) =>
      gateway.push([{ metric: "jobs", kind: "delta", atMs: NOON_MS + agoMs, value }]);
    await gateway.push([{ metric: "depth", kind: "gauge", atMs: NOON_MS - 2_000, value: 5 }]);
    await push(-1_000, 1);
    gateway.nowMs = NOON_MS + STEP_MS;
    await until("the first counter", () => sent.some(([ms]) => ms === STEP_MS));
    const { store, registry, ingest } = gateway.gateway;
    const reader = store.reader.bind(store);
    const [gauge] = registry.metric("depth")!.series.values();
    let isDue = false;
    const opened = spyOn(store, "reader").mockImplementation(async () => {
      if (isDue) {
        // A row comes in, and one that was sent is deleted: the new one then has the id of the row that is to be read.
        isDue = false;
        await push(2 * STEP_MS - 500, 10);
        await ingest.deleteSamples({ seriesIds: [gauge!.seriesId], fromUs: 0, toUs: Infinity });
      }
      return await reader();
    });
    await push(2 * STEP_MS - 1_000, 1);
    isDue = true;
    gateway.nowMs = NOON_MS + 2 * STEP_MS;
    await until("the second counter", () => sent.some(([ms]) => ms === 2 * STEP_MS) && !isDue);
    gateway.nowMs = NOON_MS + 3 * STEP_MS;
    await until("the last counter", () => sent.some(([, value]) => value === 12));
    opened.mockRestore();
    const last = new Map<number, number>();
    for (const [ms, value] of sent) expect(value, String(ms)).toBe(last.getOrInsert(ms, value));
    expect([last.get(2 * STEP_MS), last.get(3 * STEP_MS)]).toEqual([2, 12]);
  } finally {
    await gateway.close();
    await server.stop(true);
  }
});
