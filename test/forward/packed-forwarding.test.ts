/** Samples that every destination has become blocks, while others wait. Each is sent once all the same. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dayOf } from "../../src/model/sample.ts";
import { NOON_MS } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

const EARLIER_MS = NOON_MS - 4 * 3_600_000;

let gateway: ForwardingGateway | undefined;
let server: { stop(closes: boolean): Promise<void>; url: URL } | undefined;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await server?.stop(true);
  gateway = server = undefined;
});

async function pack(): Promise<number> {
  await gateway!.gateway.ingest.storeTotals();
  const untilUs = (NOON_MS - 3_600_000) * 1_000;
  return await gateway!.gateway.store.pack({ day: dayOf(NOON_MS * 1_000), untilUs, isForced: true });
}

/** Gauges of some hours ago, with the values from `from` on, and an event beside every fourth one. */
const push = (from: number, count: number) =>
  gateway!.push(
    Array.from({ length: count }, (_, at) => [
      { metric: "level", value: from + at, atMs: EARLIER_MS + (from + at) * 1_000 },
      ...(at % 4 === 0
        ? [{ metric: "step", kind: "observation" as const, value: from + at, atMs: NOON_MS }]
        : []),
    ]).flat(),
  );

/** The values of a metric in the file of a destination, in ascending order. */
function valuesIn(path: string, metric: string): number[] {
  return readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { metric_name: string; value: number })
    .filter(({ metric_name }) => metric_name === metric)
    .map(({ value }) => value)
    .sort((a, b) => a - b);
}

const upTo = (count: number, step = 1) => Array.from({ length: count / step }, (_, at) => at * step);

test("samples are packed when all destinations have them, and what comes later is sent once", async () => {
  let isAway = true;
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(null, { status: isAway ? 503 : 204 }),
  });
  const path = join(temporaryFolder(), "lines.ndjson");
  const tables =
    destinationTable({ name: "file", type: "ndjson", path }) +
    destinationTable({ name: "away", type: "remote_write", url: server.url.href });
  gateway = await ForwardingGateway.openWith(tables);
  await push(0, 40);
  await gateway.sent("file");
  expect(await pack()).toBe(0);
  isAway = false;
  await gateway.sent("away");
  await until("the counters of events to be sent", async () => {
    // They are sent for the instants of a grid.
    gateway!.nowMs += 15_000;
    return (await pack()) === 40;
  });
  expect(gateway.gateway.store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[50, 40]]);

  // Late samples, whose rows have ids that others had before.
  await push(40, 40);
  await gateway.sent("file");
  await gateway.sent("away");
  await gateway.configure(tables);
  await push(80, 20);
  await gateway.sent("file");
  expect(valuesIn(path, "level")).toEqual(upTo(100));
  expect(valuesIn(path, "step")).toEqual(upTo(100, 4));
  const sql = encodeURIComponent("SELECT count(*) AS n, sum(value)::INT AS total FROM level");
  const answer = await gateway.fetch(`/api/v1/sql?q=${sql}`);
  expect(((await answer.json()) as { rows: unknown }).rows).toEqual([{ n: 100, total: 4_950 }]);
});

test("packing while samples are sent loses none of them and sends none twice", async () => {
  const path = join(temporaryFolder(), "lines.ndjson");
  gateway = await ForwardingGateway.openWith(destinationTable({ name: "file", type: "ndjson", path }));
  let packed = 0;
  for (let round = 0; round < 12; round++) {
    await push(round * 100, 50);
    const [more] = await Promise.all([pack(), push(round * 100 + 50, 50), gateway.sent("file")]);
    packed += more;
  }
  await gateway.sent("file");
  // What was sent is known again a moment after the rows got other ids.
  await until("the rest to be packed", async () => {
    packed += await pack();
    return packed >= 1_200;
  });
  expect(packed).toBe(1_200);
  expect(valuesIn(path, "level")).toEqual(upTo(1_200));
  expect(valuesIn(path, "step").length).toBe(12 * 26);
});

test("samples are packed after all destinations were removed, and one that returns is a new one", async () => {
  const path = join(temporaryFolder(), "lines.ndjson");
  const table = destinationTable({ name: "file", type: "ndjson", path });
  gateway = await ForwardingGateway.openWith(table);
  await push(0, 40);
  await gateway.sent("file");
  await gateway.configure("");
  await push(40, 40);
  expect(await pack()).toBe(80);
  expect(gateway.gateway.store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[100, 80]]);
  // A start that has nothing to forget.
  await gateway.configure("");
  await gateway.configure(table);
  await push(80, 20);
  await gateway.sent("file");
  expect(valuesIn(path, "level")).toEqual([...upTo(40), ...upTo(20).map((at) => 80 + at)]);
  expect(await pack()).toBe(20);
});
