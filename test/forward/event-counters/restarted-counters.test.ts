/** The counters of events at the seams of a restart: no instant may have two values, and none may fall. */
import { afterEach, expect, test } from "bun:test";
import { decompressSnappyBlock } from "../../../src/wire/compression/snappy.ts";
import { NOON_MS } from "../../gateway.ts";
import { readV1 } from "../../receive/remote-write/messages.ts";
import { until } from "../../until.ts";
import { destinationTable, ForwardingGateway } from "../forwarding-gateway.ts";

let gateway: ForwardingGateway | undefined;
let server: Bun.Server<undefined> | undefined;
/** Values of the counter that the destination got, by their instant relative to noon in seconds, in order. */
let received: [seconds: number, value: number][] = [];
let status = 204;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await server?.stop(true);
  gateway = server = undefined;
});

async function open(): Promise<string> {
  received = [];
  status = 204;
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = decompressSnappyBlock(new Uint8Array(await request.arrayBuffer()), 10_000_000);
      for (const { samples } of readV1(body))
        received.push(...samples.map(([ms, value]): [number, number] => [(ms - NOON_MS) / 1_000, value]));
      return new Response(null, { status });
    },
  });
  const table = destinationTable({
    ...{ name: "d", type: "remote_write", url: server.url.href, shards: 1, timeout: "1s" },
    matchers: ["__name__=done_total"],
  });
  gateway = await ForwardingGateway.openWith(table);
  return table;
}

const push = (atMs: number) =>
  gateway!.post(JSON.stringify([{ "@timestamp": atMs, metric_name: "done", type: "counter", value: 1 }]));

function valuesByInstant(): Map<number, Set<number>> {
  const found = new Map<number, Set<number>>();
  for (const [seconds, value] of received) found.getOrInsertComputed(seconds, () => new Set()).add(value);
  return found;
}

test("a value whose answer was lost is the same after a restart, though more events came for its instant", async () => {
  const table = await open();
  status = 503;
  await push(NOON_MS - 1_000);
  gateway!.nowMs += 15_000;
  await until("the value that has no answer", () => received.some(([seconds]) => seconds === 0));
  await push(NOON_MS - 500);
  await gateway!.configure(table);
  status = 204;
  await until("the value again", async () => {
    gateway!.nowMs += 15_000;
    return received.some(([, value]) => value === 2);
  });
  expect([...valuesByInstant()].filter(([, values]) => values.size > 1)).toEqual([]);
  expect(valuesByInstant().get(0)).toEqual(new Set([1]));
});

test("an event that comes late before a restart does not change an instant for which a value was repeated", async () => {
  const table = await open();
  await push(NOON_MS - 1_000);
  gateway!.nowMs += 15_000;
  await until("the first value", () => received.some(([seconds]) => seconds === 0));
  await until("the repeated value", () => received.some(([seconds]) => seconds === 15));
  // The pass of this instant is over.
  await push(NOON_MS + 14_000);
  await gateway!.configure(table);
  await until("the next value", async () => {
    gateway!.nowMs += 15_000;
    return received.some(([, value]) => value === 2);
  });
  expect([...valuesByInstant()].filter(([, values]) => values.size > 1)).toEqual([]);
  expect(valuesByInstant().get(15)).toEqual(new Set([1]));
});
