/**
 * A start does not restore what was stored: the first push or question does. Whatever that is, everything is as if the start had
 * restored it.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DAY_MS, openTestGatewayAt, type TestGateway } from "../gateway.ts";

/** 2024-10-04 23:00 UTC. */
const EVENING_MS = Date.UTC(2024, 9, 4, 23);
/** In the next day, of which retention keeps two days more. */
const NIGHT_MS = EVENING_MS + 70 * 60_000;

let gateway: TestGateway;
afterEach(() => gateway.close());

const keyed = (body: string) =>
  gateway.fetch("/api/v1/push", { method: "POST", body, headers: { "Idempotency-Key": "k" } });
const isRestored = () => gateway.gateway.registry.firstUse.isOver;
const idsOf = async (metric: string) =>
  (await gateway.query(`SELECT series_id AS id FROM weir.series WHERE metric = '${metric}' ORDER BY 1`)).map(
    ({ id }) => id as number,
  );

const KEYED = [
  { metric_name: "jobs", type: "counter", value: 2, tags: { w: "a" } },
  { metric_name: "wait_ms", value: 3, tags: { w: "a" } },
  { metric_name: "depth", type: "gauge", value: 7 },
  { metric_name: "old", type: "counter", value: 1, "@timestamp": EVENING_MS - 2 * DAY_MS },
]
  .map((event) => JSON.stringify(event))
  .join("\n");

/** A gateway with samples that was stopped and started again. */
async function started(from: "the start file" | "the tables"): Promise<void> {
  gateway = await openTestGatewayAt(EVENING_MS);
  expect(await (await keyed(KEYED)).json()).toMatchObject({ accepted: 4 });
  await gateway.gateway.close();
  gateway.nowMs = NIGHT_MS;
  if (from === "the tables") rmSync(join(gateway.folder, "store.duckdb.start"));
  await gateway.open([]);
  expect(isRestored()).toBe(false);
}

const BOUNDS =
  "1.0 2.5 5.0 10.0 25.0 50.0 100.0 250.0 500.0 1000.0 2500.0 5000.0 10000.0 30000.0 60000.0".split(" ");
/** The totals of 3 and 0.5 ms. */
const WAIT = [
  ...[...BOUNDS, "+Inf"].map((le, at) => `wait_ms_bucket{instance="",w="a",le="${le}"} ${at < 2 ? 1 : 2}`),
  'wait_ms_sum{instance="",w="a"} 3.5',
  'wait_ms_count{instance="",w="a"} 2',
];

const stored = async (sql: string) => {
  const [status, text] = await gateway.send(`GET /api/v1/sql?format=csv&q=${encodeURIComponent(sql)}`);
  expect([status, text]).toEqual([200, text]);
  return text.split(/\r?\n/).slice(1);
};

/** What can be asked first. They can be in any order. */
const STEPS: Record<string, () => Promise<void>> = {
  "a push": async () => {
    const events = [
      { metric_name: "jobs", type: "counter", value: 3, tags: { w: "a" } },
      { metric_name: "jobs", type: "counter", value: 1, tags: { w: "b" } },
      { metric_name: "wait_ms", value: 0.5, tags: { w: "a" } },
    ];
    expect(await gateway.post(JSON.stringify(events))).toMatchObject({ status: 200, json: { accepted: 3 } });
  },
  "a push that is sent again": async () => {
    const answer = await keyed(KEYED);
    expect([answer.status, answer.headers.get("Weir-Duplicate")]).toEqual([200, "true"]);
    expect(await answer.json()).toMatchObject({ accepted: 4 });
    expect((await keyed("{}")).status).toBe(422);
  },
  "a scrape": async () => {
    const lines = await gateway.exposed();
    expect(lines.find((line) => line.startsWith("wait_ms_count"))).toMatch(
      /^wait_ms_count\{instance="",w="a"\} [12]$/,
    );
  },
  "a query": async () => {
    const [status, text] = await gateway.send(
      `GET /api/v1/query?query=wait_ms_count&time=${EVENING_MS / 1000 + 60}`,
    );
    expect([
      status,
      JSON.parse(text).data.result.map(({ value }: { value: [number, string] }) => value[1]),
    ]).toEqual([200, ["1"]]);
  },
  "a statement": async () => {
    expect(await stored("SELECT w, max(value) FROM wait_ms GROUP BY w")).toEqual(["a,3"]);
  },
  "a drop of days": async () => {
    expect(await gateway.gateway.ingest.prune()).toMatchObject({
      days: [Math.floor(EVENING_MS / DAY_MS) - 2],
      rows: 1,
    });
  },
  "a deletion": async () => {
    const deletion = { seriesIds: await idsOf("depth"), fromUs: -Infinity, toUs: Infinity };
    expect(await gateway.gateway.ingest.deleteSamples(deletion)).toBe(1);
  },
  "a stop": async () => {
    await gateway.reopen();
  },
};

/** The contents after all steps, in whatever order. */
async function expectAll(): Promise<void> {
  expect(await gateway.exposed()).toEqual([
    'jobs_total{instance="",w="a"} 5',
    'jobs_total{instance="",w="b"} 1',
    ...WAIT,
  ]);
  expect(await stored("SELECT metric, value FROM samples ORDER BY ALL")).toEqual([
    ...["jobs,1", "jobs,2", "jobs,3"],
    ...["wait_ms,0.5", "wait_ms,3"],
  ]);
  expect(Array.from(gateway.gateway.registry.metrics(), ({ name }) => name).toSorted()).toEqual([
    "jobs",
    "wait_ms",
  ]);
}

describe.each(["the start file", "the tables"] as const)("after a start from %s", (from) => {
  test.each(Object.keys(STEPS))("%s can be the first", async (first) => {
    await started(from);
    await STEPS[first]!();
    for (const [name, step] of Object.entries(STEPS)) if (name !== first) await step();
    await expectAll();
    await gateway.reopen();
    await expectAll();
  });
});

test("samples of 1970 and before are stored once, also if they are sent again after a start", async () => {
  gateway = await openTestGatewayAt(DAY_MS / 2);
  const events = [
    { metric_name: "depth", type: "gauge", value: 1, "@timestamp": "1970-01-01T00:00:00Z" },
    { metric_name: "height", type: "gauge", value: 2, "@timestamp": "1969-12-31T23:00:00Z" },
  ];
  const push = () => gateway.post(JSON.stringify(events));
  expect(await push()).toMatchObject({ json: { accepted: 2 } });
  await gateway.reopen();
  expect(await push()).toMatchObject({ json: { accepted: 0, duplicates: 2 } });
  expect(await stored("SELECT metric, value FROM samples ORDER BY ALL")).toEqual(["depth,1", "height,2"]);
});
