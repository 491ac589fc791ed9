/** `weir restore --from`: days of an archive in a running gateway and in a stopped data folder, each sample once. */
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import snappyjs from "snappyjs";
import { ArchivingGateway, HOUR_MS } from "../../archive/archiving-gateway.ts";
import { DAY_MS, openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { encodeV1 } from "../../receive/remote-write/messages.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

/** Noon of the day before yesterday, since the command knows the time of this machine. */
const NOON = (Math.floor(Date.now() / DAY_MS) - 2) * DAY_MS + 12 * HOUR_MS;
const DATE = new Date(NOON).toISOString().slice(0, 10);

const gateways: TestGateway[] = [];
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
});

async function source(...settings: string[]): Promise<ArchivingGateway> {
  const gateway = await ArchivingGateway.openAt(NOON, undefined, ...settings);
  gateways.push(gateway);
  return gateway;
}

/** A gateway of another machine, at the time of this one. */
async function other(...settings: string[]): Promise<{ gateway: TestGateway; url: string }> {
  const gateway = await openTestGatewayAt(Date.now(), ...settings);
  gateways.push(gateway);
  return { gateway, url: (await gateway.listen()).urls[0]! };
}

/** Sorted, since samples of one time in different series are restored in another order. */
const exported = async (gateway: TestGateway) =>
  (await (await gateway.fetch("/api/v1/export")).text()).split("\n").sort().join("\n");
const restore = (url: string, ...args: string[]) => weir(["restore", ...args], { env: { WEIR_URL: url } });

/** Samples of all kinds, with what is hard: microseconds, equal times, stale markers, values that JSON lacks, tags that clash. */
const EVENTS = [
  {
    "@timestamp": NOON,
    metric_name: "d.ms",
    value: 1,
    tags: { op: "a", task_id: "t1" },
    unit: "ms",
    help: "Time.",
  },
  { "@timestamp": NOON, metric_name: "d.ms", value: 3, tags: { op: "a", task_id: "t0" } },
  { "@timestamp": NOON, metric_name: "d.ms", value: 2, tags: { op: "a" } },
  {
    "@timestamp": new Date(NOON).toISOString().replace(".000Z", ".000123Z"),
    metric_name: "d.ms",
    value: -0.1,
  },
  {
    "@timestamp": NOON + 1,
    metric_name: "d.ms",
    value: 1e300,
    tags: { Op: "x", "a.b": "y", metric: "m", file_row_number: "f" },
  },
  { "@timestamp": NOON, metric_name: "jobs", type: "counter", value: 2, tags: { queue: "ü \"'\n" } },
  { "@timestamp": NOON, metric_name: "temp", type: "gauge", value: "-0.0", tags: {} },
  { "@timestamp": NOON + 1, metric_name: "temp", type: "gauge", value: "NaN" },
  { "@timestamp": NOON + 2, metric_name: "temp", type: "gauge", value: "-Infinity" },
  { "@timestamp": NOON + 3, metric_name: "temp", type: "gauge", value: "stale" },
  { "@timestamp": NOON + 4, metric_name: "set", value: 1, tags: { op: "a" }, columns: { member: "m1" } },
  {
    "@timestamp": NOON,
    metric_name: "r_total",
    type: "cumulative",
    metadata_type: "counter",
    value: 7,
    exposed: false,
  },
].map((event) => (event.value === "-0.0" ? { ...event, value: -0 } : event));

test("a running gateway has the same samples as the one that archived them, once", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS).replace('"value":0,', '"value":-0.0,'));
  await from.archiveAll();
  await from.store([{ ...EVENTS[0], value: 9 }]);
  await from.archiveAll();
  const { gateway, url } = await other();
  const first = await restore(url, "--from", from.to);
  expect(first).toEqual({ code: 0, out: `${DATE}: 13 samples restored\n`, err: "" });
  expect(await exported(gateway)).toBe(await exported(from));
  const second = await restore(url, "--from", from.to, "--day", DATE);
  expect(second).toEqual({
    code: 0,
    out: `${DATE}: 0 samples restored, 13 were restored before\n`,
    err: "",
  });
  expect(await exported(gateway)).toBe(await exported(from));
  const answer = await (await gateway.fetch("/api/v1/archive")).json();
  expect(answer).toMatchObject({ to: null, days: [{ date: DATE, rows: 13, state: "restored" }] });
  // They are history: no total has them.
  expect(await (await gateway.fetch("/metrics")).text()).not.toContain("jobs_total");
});

test("a stopped data folder gets them, whatever its retention is, and says which retention keeps them", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await from.archiveAll();
  const data = temporaryFolder();
  const args = ["--from", from.to, "--data", data, "--retention-days", "1", "--no-sampler"];
  const { code, out } = await weir(["restore", ...args]);
  expect({ code, out }).toEqual({
    code: 0,
    out: `${DATE}: 12 samples restored\nServe this folder with --retention-days 3 or more: with 1, the gateway drops the restored days.\n`,
  });
  const again = await weir(["restore", ...args]);
  expect(again.out).toStartWith(`${DATE}: 0 samples restored, 12 were restored before\n`);
  const { out: lines } = await weir([
    "sql",
    "--data",
    data,
    "--format",
    "csv",
    "SELECT count(*) AS n FROM samples",
  ]);
  expect(lines).toContain("12");
  rmSync(data, { recursive: true });
});

test("a gateway that archives samples of the day itself does not get those of another one", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await from.archiveAll();
  const { gateway, url } = await other(`--archive-to=${temporaryFolder()}`);
  await gateway.post(JSON.stringify([{ ...EVENTS[0], value: 9 }]));
  // The day would count as restored, and its own sample would never be archived.
  expect(await restore(url, "--from", from.to)).toEqual({
    code: 1,
    out: "",
    err: `${DATE}: not restored: the gateway has 1 sample of this day that it did not restore, and archives it in a day of its own; restore to another folder with --data\n`,
  });
  expect(await (await gateway.fetch("/api/v1/archive")).json()).toMatchObject({
    days: [{ date: DATE, rows: 1, state: "waiting" }],
  });
});

/** A trace beside samples: what stands for a bucket as its sender spells it, and what no sender of milliseconds can say. */
async function storeExemplars(gateway: ArchivingGateway): Promise<void> {
  const message = encodeV1([
    {
      labels: { __name__: "api_seconds_bucket", le: "0.50" },
      samples: [{ value: 7, timestamp: NOON + 100 }],
      exemplars: [
        { value: 0.4, timestamp: NOON + 50, labels: { trace_id: "abc", "span ü": '"\n' } },
        { value: -0, timestamp: NOON + 60, labels: { trace_id: "def" } },
      ],
    },
  ]);
  const written = await gateway.fetch("/api/v1/write", {
    method: "POST",
    headers: { "content-encoding": "snappy", "content-type": "application/x-protobuf" },
    body: new Uint8Array(snappyjs.compress(message)),
  });
  expect(written.status).toBe(204);
  const exemplar = (head: number, us: number, value: number, trace: string) => ({
    ...{ head, timestampUs: NOON * 1_000 + us, value },
    labels: new Map([["trace_id", trace]]),
  });
  const ack = await gateway.gateway.ingest.push({
    ...{ protocol: "events", length: 0, attributes: [], rejected: [] },
    ...{ head: new Uint32Array(0), position: new Uint32Array(0), text: new Uint8Array(0) },
    ...{ timestampUs: new Float64Array(0), value: new Float64Array(0) },
    heads: [
      { metric: "d.ms", kind: "observation", labels: new Map([["op", "a"]]) },
      { metric: "lag", kind: "gauge", unit: "s", help: "Not sampled that day.", labels: new Map() },
    ],
    exemplars: [
      exemplar(0, 123, 1e300, "t1"),
      exemplar(0, 124, Number.NaN, "t2"),
      exemplar(1, 1, Number.NEGATIVE_INFINITY, "t3"),
    ],
  });
  expect(ack.exemplars).toBe(3);
}

const EXEMPLARS = `SELECT epoch_us(ts) - ${NOON * 1_000} AS us, metric, CAST(labels AS VARCHAR) AS labels, CAST(value AS VARCHAR) AS value, CAST(exemplar AS VARCHAR) AS exemplar
FROM exemplars ORDER BY metric, us`;
const STORED_EXEMPLARS = [
  ["api_seconds_bucket", 50_000, "{le=0.50}", "0.4", `{span ü='"\n', trace_id=abc}`],
  ["api_seconds_bucket", 60_000, "{le=0.50}", "-0.0", "{trace_id=def}"],
  ["d.ms", 123, "{op=a}", "1e+300", "{trace_id=t1}"],
  ["d.ms", 124, "{op=a}", "nan", "{trace_id=t2}"],
  ["lag", 1, "{}", "-inf", "{trace_id=t3}"],
].map(([metric, us, labels, value, exemplar]) => ({ us, metric, labels, value, exemplar }));

test("exemplars come back with their traces, times and series, once", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await storeExemplars(from);
  await from.archiveAll();
  expect(await from.ask(EXEMPLARS)).toEqual(STORED_EXEMPLARS);
  const { gateway, url } = await other();
  const asked = async () => {
    const answer = await gateway.fetch(
      `/api/v1/sql?${new URLSearchParams({ q: EXEMPLARS, format: "json" })}`,
    );
    return ((await answer.json()) as { rows: unknown[] }).rows;
  };
  expect(await restore(url, "--from", from.to)).toEqual({
    code: 0,
    out: `${DATE}: 13 samples restored, 5 exemplars restored\n`,
    err: "",
  });
  expect(await asked()).toEqual(STORED_EXEMPLARS);
  expect((await restore(url, "--from", from.to)).out).toBe(
    `${DATE}: 0 samples restored, 13 were restored before\n`,
  );
  expect(await asked()).toEqual(STORED_EXEMPLARS);
  expect(await (await gateway.fetch("/metrics")).text()).toContain("\nweir_exemplars_dropped_total 0\n");
});

test("a stopped data folder gets the exemplars too", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await storeExemplars(from);
  await from.archiveAll();
  const data = temporaryFolder();
  expect((await weir(["restore", "--from", from.to, "--data", data, "--no-sampler"])).out).toBe(
    `${DATE}: 13 samples restored, 5 exemplars restored\n`,
  );
  const { out } = await weir(["sql", "--data", data, "--format", "ndjson", EXEMPLARS]);
  expect(
    out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(STORED_EXEMPLARS);
  rmSync(data, { recursive: true });
});

test("the gateway that archived a day skips it while it has the day, and gets it back after it was dropped", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await from.archiveAll();
  const before = await exported(from);
  const { urls } = await from.listen();
  expect(await restore(urls[0]!, "--from", from.to)).toEqual({
    code: 0,
    out: `${DATE}: its 12 samples are here\n`,
    err: "",
  });
  from.nowMs = NOON + 4 * DAY_MS;
  expect((await from.gateway.ingest.prune()).days).toHaveLength(1);
  from.nowMs = Date.now();
  expect((await restore(urls[0]!, "--from", from.to)).out).toBe(`${DATE}: 12 samples restored\n`);
  expect(await exported(from)).toBe(before);
  // It is in the archive, so it is not archived again.
  await from.archiveAll();
  expect(from.archive.reports()[0]).toMatchObject({ state: "restored", archivedRows: 12 });
  expect(await (await from.fetch("/metrics")).text()).toContain("\nweir_archive_waiting_days 0\n");
});

test("samples of a day that the archive may have too are not doubled", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await from.archiveAll();
  // As a kill before the note of the manifest, or an earlier copy of the store.
  await from.gateway.ingest.storeForwards(() => ({ archives: [{ key: DATE, definition: null }] }));
  await from.reopen(`--archive-to=${from.to}`);
  const { urls } = await from.listen();
  expect(await restore(urls[0]!, "--from", from.to)).toEqual({
    code: 1,
    out: "",
    err: `${DATE}: not restored: the gateway has 12 samples of this day that it did not restore, and the archive may have the same\n`,
  });
});

test("says what a gateway does not keep, and which file is damaged", async () => {
  const from = await source();
  await from.post(JSON.stringify(EVENTS));
  await from.archiveAll();
  const { url } = await other("--retention-days=1");
  expect((await restore(url, "--from", from.to)).err).toBe(
    `weir restore: ${DATE} is older than what the gateway keeps (--retention-days 1); start it with --retention-days 3, or restore to a folder of its own with --data\n`,
  );
  const { url: fresh } = await other();
  const { file } = from.manifest().metrics[0]!.parts[0]!;
  appendFileSync(join(from.to, `date=${DATE}`, file), "x");
  const { code, err } = await restore(fresh, "--from", from.to);
  expect({ code, err }).toEqual({
    code: 1,
    err: `weir restore: date=${DATE}/${file} has other contents than were written (${from.manifest().metrics[0]!.parts[0]!.bytes} bytes)\n`,
  });
});
