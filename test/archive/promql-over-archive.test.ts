/** PromQL over archived days, as one with the local ones: compared with a gateway that keeps all days. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import S3rver from "s3rver";
import { ReadableArchive } from "../../src/archive/reading/readable-archive.ts";
import { FolderTarget } from "../../src/archive/targets/folder-target.ts";
import { ArchiveQuery } from "../../src/query/promql/archived/archive-query.ts";
import { matcher } from "../../src/query/promql/matchers.ts";
import { addToken } from "../access/token-texts.ts";
import { DAY_MS, NOON_MS, openTestGatewayAt, type Sample, type TestGateway } from "../gateway.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { ArchivingGateway } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;
let whole: TestGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  await whole?.close();
  gateway = undefined;
  whole = undefined;
});

/** The first day, whose archive is read, begins here. */
const BEGIN_MS = NOON_MS - DAY_MS / 2;
const DAYS = 5;
const STEP_MS = 3_600_000;

/** Samples each hour over five days, in the shapes that PromQL knows. */
function samplesOf(day: number): Sample[] {
  return Array.from({ length: DAY_MS / STEP_MS }, (_, at) => {
    const n = day * (DAY_MS / STEP_MS) + at;
    const atMs = BEGIN_MS + n * STEP_MS + 60_000;
    const job = { job: "api" };
    return [
      { metric: "depth", kind: "gauge", atMs, value: Math.sin(n) * 10, labels: { ...job, queue: "a" } },
      // Of a series that ended on the third day, and of one that nobody has any more.
      ...(n < 55 ? [{ metric: "depth", kind: "gauge", atMs, value: n, labels: { ...job, queue: "b" } }] : []),
      ...(n === 55
        ? [{ metric: "depth", kind: "gauge", atMs, value: Number.NaN, labels: { ...job, queue: "b" } }]
        : []),
      ...(n < 15 ? [{ metric: "gone", kind: "gauge", atMs, value: n, labels: job }] : []),
      // A counter that is reset each fifty samples.
      { metric: "reads_total", kind: "cumulative", atMs, value: (n % 50) * 3 + 1, labels: job },
      { metric: "work.ms", kind: "observation", atMs, value: (n * 37) % 900, labels: { "op.name": "get" } },
      { metric: "work.ms", kind: "observation", atMs: atMs + 1, value: n % 7, labels: { "op.name": "put" } },
      { metric: "jobs", kind: "delta", atMs, value: 1 + (n % 3), labels: { state: `s${n % 2}` } },
    ] as Sample[];
  }).flat();
}

const FLAGS = ["--observation-step-ms=60000", "--series-idle-ms=3600000"];

/** Two gateways with the same samples: one keeps all days, and the other three days and an archive. */
async function opened(...settings: string[]): Promise<void> {
  gateway = await ArchivingGateway.openAt(BEGIN_MS, undefined, "--archive-read", ...FLAGS, ...settings);
  whole = await openTestGatewayAt(BEGIN_MS, "--retention-days=3650", ...FLAGS);
  for (let day = 0; day < DAYS; day++) {
    whole.nowMs = BEGIN_MS + (day + 1) * DAY_MS - 60_000;
    await whole.push(samplesOf(day));
  }
  await fill(gateway);
}

/** Days are archived when they are over. The last three are here, and all but one of these are in the archive too. */
async function fill(of: ArchivingGateway): Promise<void> {
  for (let day = 0; day < DAYS; day++) {
    of.nowMs = BEGIN_MS + (day + 1) * DAY_MS - 60_000;
    await of.push(samplesOf(day));
    if (day === DAYS - 1) break;
    of.nowMs += 4 * 3_600_000;
    await of.archive.archiveDue();
    of.nowMs += 600_000;
    await of.archive.archiveDue();
  }
  of.nowMs = BEGIN_MS + DAYS * DAY_MS - 60_000;
  await of.gateway.ingest.prune();
  expect(of.gateway.store.days().map(({ day }) => day - of.day)).toEqual([2, 3, 4]);
}

async function ask(of: TestGateway, path: string, parameters: Record<string, string | number>) {
  const query = new URLSearchParams(
    Object.entries(parameters).map(([name, value]): [string, string] => [name, `${value}`]),
  );
  const answer = await of.fetch(`/api/v1/${path}?${query}`);
  return (await answer.json()) as {
    status: string;
    error?: string;
    warnings?: string[];
    data: { result: { metric: Record<string, string>; value?: unknown; values?: [number, string][] }[] };
  };
}

const EXPRESSIONS = [
  "depth",
  '{__name__=~"dep.*|gon.", job="api", queue!~"a.+"}',
  "rate(reads_total[3h])",
  "sum_over_time(depth[1d]) - depth offset 1d",
  "max_over_time(depth[2d])",
  "work_ms",
  "work_ms_sum",
  // Two views of the same series.
  '{__name__=~"work_ms_(count|sum)"}',
  "histogram_quantile(0.9, sum by (le) (rate(work_ms_bucket[6h])))",
  'increase(work_ms_count{op_name="get"}[1d])',
  'work_ms_bucket{le="100"}',
  "sum by (state) (increase(jobs_total[1d]))",
  "absent(gone)",
  "max_over_time(rate(reads_total[2h])[1d:30m])",
];
const SEAM = BEGIN_MS / 1000 + 2 * 86_400;
const END = BEGIN_MS / 1000 + DAYS * 86_400 - 3_600;

test("each expression over the seam has the values of a gateway that keeps all days", async () => {
  await opened();
  for (const query of EXPRESSIONS) {
    for (const range of [
      { start: BEGIN_MS / 1000 + 3_600, end: END, step: 25_000 },
      { start: SEAM - 7_200, end: SEAM + 3_600, step: 600 },
    ]) {
      const expected = await ask(whole!, "query_range", { query, ...range });
      expect(expected.status).toBe("success");
      const found = await ask(gateway!, "query_range", { query, ...range });
      expect({ query, ...found }).toEqual({ query, ...expected } as never);
    }
  }
  // A range of archived days alone.
  const query = "count_over_time(gone[1d])";
  const found = await ask(gateway!, "query", { query, time: SEAM - 86_400 });
  expect(found).toEqual(await ask(whole!, "query", { query, time: SEAM - 86_400 }));
  expect(found.data.result.map(({ value }) => value)).toEqual([[SEAM - 86_400, "15"]]);
});

/** The lines of an export of series, in the order of their texts. */
async function exported(of: TestGateway, path: string, parameters: Record<string, string>) {
  const answer = await of.fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
  return { status: answer.status, lines: (await answer.text()).split("\n").sort() };
}

test("exports of series have archived days, and fail as a whole if the archive is away", async () => {
  await opened();
  const format = "__name__,queue,le,__value__,__timestamp__:unix_ms";
  const start = `${BEGIN_MS / 1000 + 7_200}`;
  for (const [path, parameters] of [
    ["export", { "match[]": '{__name__!=""}' }],
    ["export", { "match[]": '{job="api"}', start, end: `${SEAM + 7_200}` }],
    ["export", { "match[]": "work_ms_bucket", start: `${SEAM + 3_600}`, totals_from: start }],
    ["export", { "match[]": "work_ms" }],
    ["export", { "match[]": "depth", format: "prometheus" }],
    ["export/csv", { "match[]": '{__name__=~"depth|work_ms_bucket"}', format }],
  ] as const) {
    const found = await exported(gateway!, path, parameters);
    expect(found.lines.length).toBeGreaterThan(1);
    expect(found).toEqual(await exported(whole!, path, parameters));
  }
  // The first hour of the metric that only the archive has.
  const [, only] = (await exported(gateway!, "export", { "match[]": "gone" })).lines;
  expect(JSON.parse(only!)).toMatchObject({ metric: { __name__: "gone", job: "api" } });
  expect((JSON.parse(only!) as { values: number[] }).values).toEqual(Array.from({ length: 15 }, (_, n) => n));
  const { to } = gateway!;
  renameSync(to, `${to}-away`);
  writeFileSync(to, "no folder");
  const away = await exported(gateway!, "export", { "match[]": "depth" });
  expect(away.status).toBe(503);
  expect(away.lines.join()).toContain("the archive cannot be read: ");
  // Days that are here need no archive.
  const recent = { "match[]": "depth", start: `${SEAM + 10_000}` };
  expect(await exported(gateway!, "export", recent)).toEqual(await exported(whole!, "export", recent));
  rmSync(to);
  renameSync(`${to}-away`, to);
});

test("a query reads only the files that it needs, and one that cannot be read adds nothing", async () => {
  await opened();
  const query = "count_over_time(depth[4d])";
  const all = await ask(gateway!, "query", { query, time: END });
  expect(all.warnings).toBeUndefined();
  const folder = join(gateway!.to, "date=2024-10-04");
  const damage = (metric: string) => {
    for (const file of readdirSync(join(folder, `metric=${metric}`)))
      writeFileSync(join(folder, `metric=${metric}`, file), "no Parquet");
  };
  damage("gone");
  damage("work.ms");
  expect(await ask(gateway!, "query", { query, time: END })).toEqual(all);
  damage("depth");
  const part = await ask(gateway!, "query", { query, time: END });
  expect(part.warnings).toEqual([
    "the archive cannot be read: a file of 2024-10-04 cannot be read; the result has nothing of the archive",
  ]);
  // The samples of the days that are here: those of the archived day that can be read do not count.
  expect(part.data.result.map(({ metric, value }) => [metric.queue, value])).toEqual([
    ["a", [END, "71"]],
    ["b", [END, "8"]],
  ]);
});

test("an archive that is away leaves what is here, with a warning, and does not matter to queries of days here", async () => {
  await opened();
  const { to } = gateway!;
  renameSync(to, `${to}-away`);
  writeFileSync(to, "no folder");
  await gateway!.reopen(`--archive-to=${to}`, "--archive-read", ...FLAGS);
  const older = await ask(gateway!, "query", { query: "count_over_time(depth[5d])", time: END });
  expect(older.data.result.map(({ value }) => value)).toEqual([
    [END, "71"],
    [END, "8"],
  ]);
  expect(older.warnings).toHaveLength(1);
  expect(older.warnings![0]).toStartWith("the archive cannot be read: ");
  expect(older.warnings![0]).toEndWith("; the result has nothing of the archive");
  const recent = await ask(gateway!, "query", { query: "count_over_time(depth[1d])", time: END });
  expect(recent.warnings).toBeUndefined();
  rmSync(to);
  renameSync(`${to}-away`, to);
  gateway!.nowMs += 5_000;
  const again = await ask(gateway!, "query", { query: "count_over_time(depth[5d])", time: END });
  expect(again.warnings).toBeUndefined();
  expect(again.data.result.map(({ value }) => value)).toEqual([
    [END, "119"],
    [END, "56"],
  ]);
});

/** What a query asks of the archive in a folder. */
function queryOf(bytesMax: number, promqlSeriesMax = 100): ArchiveQuery {
  const { to, gateway: parts, nowMs } = gateway!;
  const days = () => parts.store.days();
  const archive = new ReadableArchive({
    ...{ target: new FolderTarget(to), cache: undefined, bytesMax, days },
    now: () => nowMs,
  });
  const { store, registry } = parts;
  return new ArchiveQuery({ archive, store, registry, promqlSeriesMax, waitMs: 60_000, own: [] });
}

test("a query that needs more than archiveCacheBytes or promqlSeriesMax fails, and says what it needs", async () => {
  await opened();
  const named = (name: string) => [matcher("__name__", "=", name)];
  const [first, last] = [gateway!.day, gateway!.day + 1];
  const sizes = [first, last].map((day) => {
    const { series, metrics } = gateway!.manifest(day);
    const parts = metrics.find(({ name }) => name === "depth")!.parts;
    return [...series, ...parts].reduce((sum, { bytes }) => sum + bytes, 0);
  });
  const bytes = sizes[0]! + sizes[1]!;
  const enough = queryOf(bytes);
  await enough.open(first, last);
  expect(
    (await enough.find(named("depth"), first, last)).map(({ labels }) => labels.get("queue")).sort(),
  ).toEqual(["a", "b"]);
  const small = queryOf(bytes - 1);
  await small.open(first, last);
  await expect(small.find(named("depth"), first, last)).rejects.toThrow(
    `the query reads ${bytes} bytes of the archive, and may read ${bytes - 1} (archiveCacheBytes): query a shorter range or fewer metrics`,
  );
  const few = queryOf(1e9, 1);
  await few.open(first, last);
  await expect(few.find(named("depth"), first, last)).rejects.toThrow(
    "the metrics of the query have more than 1 series in the archive (promqlSeriesMax)",
  );
  expect(await few.find([...named("depth"), matcher("queue", "=", "b")], first, last)).toHaveLength(1);
});

test("a token with labels finds only its own series in the archive", async () => {
  const path = join(temporaryFolder(), "tokens.json");
  const a = await addToken(path, "a", { scopes: ["read"], labels: { queue: "a" } });
  await opened(`--token-file=${path}`);
  const query = new URLSearchParams({ query: 'count_over_time({__name__=~".+_?.*"}[5d])', time: `${END}` });
  const answer = await gateway!.fetch(`/api/v1/query?${query}`, {
    headers: { authorization: `Bearer ${a}` },
  });
  const { data } = (await answer.json()) as Awaited<ReturnType<typeof ask>>;
  expect(data.result.map(({ metric, value }) => [metric, value])).toEqual([
    [{ job: "api", queue: "a" }, [END, "119"]],
  ]);
});

test("look-ups find series of archived days, and a token's labels narrow them", async () => {
  const path = join(temporaryFolder(), "tokens.json");
  const b = await addToken(path, "b", { scopes: ["read"], labels: { queue: "b" } });
  const all = await addToken(path, "all", { scopes: ["read"] });
  await opened(`--token-file=${path}`);
  const look = async (token: string, what: string, more: Record<string, string> = {}) => {
    const answer = await gateway!.fetch(`/api/v1/${what}?${new URLSearchParams(more)}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await answer.json()) as { data: unknown; warnings?: string[] };
  };
  const ofFirst = { start: `${BEGIN_MS / 1_000}`, end: `${BEGIN_MS / 1_000 + 86_399}` };
  // Nobody has it any more.
  expect((await look(all, "series", { "match[]": "gone" })).data).toEqual([{ __name__: "gone", job: "api" }]);
  const ofWhole = await whole!.fetch(`/api/v1/label/__name__/values?${new URLSearchParams(ofFirst)}`);
  const names = ((await ofWhole.json()) as { data: string[] }).data;
  expect(names).toContain("gone");
  expect((await look(all, "label/__name__/values", ofFirst)).data).toEqual(names);
  expect((await look(all, "label/queue/values", { ...ofFirst, "match[]": "depth" })).data).toEqual([
    "a",
    "b",
  ]);
  expect((await look(b, "label/__name__/values", ofFirst)).data).toEqual(["depth"]);
  expect((await look(b, "series", { ...ofFirst, "match[]": "{job=~'.+'}" })).data).toEqual([
    { __name__: "depth", job: "api", queue: "b" },
  ]);
  expect((await look(b, "labels", ofFirst)).data).toEqual(["__name__", "job", "queue"]);
  renameSync(gateway!.to, `${gateway!.to}-away`);
  writeFileSync(gateway!.to, "no folder");
  const away = await look(all, "series", { "match[]": "gone" });
  expect(away.data).toEqual([]);
  expect(away.warnings).toHaveLength(1);
  expect(away.warnings![0]).toEndWith("; the result has nothing of the archive");
  rmSync(gateway!.to);
  renameSync(`${gateway!.to}-away`, gateway!.to);
});

test("an upstream is asked only for what is neither here nor in the archive", async () => {
  let asked = 0;
  const upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked++;
      return new Response("", { status: 200 });
    },
  });
  try {
    await opened(`--upstream=${upstream.url.origin}`);
    const counts = async (range: string) =>
      (await ask(gateway!, "query", { query: `count_over_time(depth{queue="a"}[${range}])`, time: END })).data
        .result;
    expect((await counts("4d")).map(({ value }) => value)).toEqual([[END, "96"]]);
    expect(asked).toBe(0);
    expect((await counts("9d")).map(({ value }) => value)).toEqual([[END, "119"]]);
    expect(asked).toBeGreaterThan(0);
  } finally {
    await upstream.stop(true);
  }
});

test("a bucket is read through the cache, and leaves a warning while it is away", async () => {
  const folder = temporaryFolder();
  const server = new S3rver({
    ...{ address: "127.0.0.1", port: 0, silent: true, directory: join(folder, "s3") },
    configureBuckets: [{ name: "fleet" }],
  });
  const { port } = await server.run();
  const data = join(folder, "data");
  const start = (...args: readonly string[]) =>
    GatewayProcess.start({
      data,
      args: ["--no-sampler", "--archive-to=s3://fleet/one", "--archive-after-ms=0", ...args],
      env: {
        S3_ENDPOINT: `http://127.0.0.1:${port}`,
        ...{ S3_ACCESS_KEY_ID: "S3RVER", S3_SECRET_ACCESS_KEY: "S3RVER" },
      },
    });
  let running = await start();
  try {
    // Three days ago, at noon.
    const noonMs = (Math.floor(Date.now() / DAY_MS) - 3) * DAY_MS + DAY_MS / 2;
    const events = ["a", "b"].flatMap((metric_name) => [
      { "@timestamp": noonMs, metric_name, value: 1, type: "gauge" },
      { "@timestamp": noonMs + 60_000, metric_name, value: 2, type: "gauge" },
      { "@timestamp": Date.now(), metric_name, value: 4, type: "gauge" },
    ]);
    const pushed = await fetch(`${running.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify(events),
    });
    expect(await pushed.json()).toMatchObject({ accepted: 6 });
    // A day is archived when no sample of it has arrived for a while, or at a start.
    await running.stop("SIGTERM");
    running = await start();
    const days = async () => {
      const answer = await fetch(`${running.url}/api/v1/archive`);
      return ((await answer.json()) as { days: { state: string }[] }).days;
    };
    await until("the day is archived", async () => (await days()).some(({ state }) => state === "archived"));
    await running.stop("SIGTERM");
    running = await start("--retention-days=1", "--archive-read");
    const sum = async (metric: string) => {
      const query = new URLSearchParams({ query: `sum_over_time(${metric}[5d])` });
      const answer = await fetch(`${running.url}/api/v1/query?${query}`);
      const { data: found, warnings } = (await answer.json()) as Awaited<ReturnType<typeof ask>>;
      return { values: found.result.map(({ value }) => (value as [number, string])[1]), warnings };
    };
    const cached = () => {
      const cache = join(data, "archive/cache");
      return existsSync(cache) ? readdirSync(cache) : [];
    };
    // As soon as retention has dropped the day.
    await until("the day is read from the bucket", async () => {
      expect(await sum("a")).toEqual({ values: ["7"], warnings: undefined });
      return cached().length > 0;
    });
    // The series of the day, and one of two metrics.
    expect(cached()).toHaveLength(2);
    await server.close();
    expect(await sum("a")).toEqual({ values: ["7"], warnings: undefined });
    const { values, warnings } = await sum("b");
    expect(values).toEqual(["4"]);
    expect(warnings).toHaveLength(1);
    expect(warnings![0]).toStartWith("the archive cannot be read: ");
    expect(JSON.stringify(warnings)).not.toContain("S3RVER");
  } finally {
    await running.stop("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
});
