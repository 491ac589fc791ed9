/** Every summary over a few samples whose answers are worked out by hand, and over an empty store. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RequestError } from "../../src/errors.ts";
import { SqlEngine } from "../../src/query/sql.ts";
import { type Facts, loadSummaries, Summaries, storeFacts } from "../../src/query/summaries.ts";
import { parseSummary } from "../../src/query/summary-file.ts";
import { type Sample, type Samples, storedSamples } from "./stored.ts";

/** The clock of these tests. */
const NOW = Date.parse("2024-01-02T12:00:00Z");

const http = (ts: string, value: number, tags: Record<string, string>): Sample => ({
  metric: "http.request.duration_ms",
  ts: `2024-01-0${ts}Z`,
  value,
  tags,
});
const task = (ts: string, value: number, tags: Record<string, string>): Sample => ({
  metric: "task.duration_ms",
  ts: `2024-01-0${ts}Z`,
  value,
  tags,
});
const upload = (ts: string, value: number, tags: Record<string, string>): Sample => ({
  metric: "upload.bytes",
  ts: `2024-01-0${ts}Z`,
  value,
  tags,
});

const SAMPLES: Sample[] = [
  // Before the last 24 hours.
  http("1T09:00:00", 1000, { operation: "get", status_code: "500", task_id: "t0" }),
  task("1T09:00:00", 60_000, { type: "crawl", domain: "a.com", status: "failed", task_id: "t0" }),
  // Yesterday afternoon.
  http("1T13:00:00", 100, {
    operation: "get",
    status_code: "200",
    task_id: "t1",
    instance: "w1",
    job: "worker",
  }),
  http("1T14:00:00", 200, {
    operation: "get",
    status_code: "404",
    task_id: "t1",
    instance: "w1",
    job: "worker",
  }),
  task("1T14:00:01", 4_000, { type: "crawl", domain: "a.com", status: "success", task_id: "t1" }),
  upload("1T14:00:02", 1_000, { type: "html", task_id: "t1" }),
  // The hour before the last.
  http("2T10:30:00", 300, { operation: "get", status_code: "200", task_id: "t2" }),
  http("2T10:40:00", 10, { operation: "put", status_code: "429", task_id: "t2" }),
  task("2T10:45:00", 9_000, {
    type: "crawl",
    domain: "a.com",
    status: "failed",
    error_type: "timeout",
    task_id: "t2",
  }),
  // The last hour.
  http("2T11:30:00", 400, { operation: "get", status_code: "200", task_id: "t3" }),
  http("2T11:31:00", 20, { operation: "put", status_code: "429", task_id: "t3" }),
  http("2T11:32:00", 30, { operation: "put", status_code: "429", task_id: "t3" }),
  http("2T11:33:00", 40, { operation: "put", status_code: "503", task_id: "t3" }),
  http("2T11:34:00", 50, { operation: "put", status_code: "ECONNRESET", task_id: "t3" }),
  task("2T11:40:00", 12_000, { type: "check", domain: "b.com", status: "success", task_id: "t3" }),
  upload("2T11:41:00", 3_000, { type: "har", status: "failed", task_id: "t3" }),
  upload("2T11:42:00", 2_000, { type: "html", status: "success", task_id: "t3" }),
  {
    metric: "cpu",
    kind: "gauge",
    ts: "2024-01-02T11:35:00Z",
    value: 0.5,
    tags: { task_id: "t3", instance: "w2" },
  },
  // What the gateway, and who evaluates alerts, say of a worker that is silent since yesterday.
  {
    metric: "ALERTS",
    kind: "gauge",
    ts: "2024-01-01T20:00:00Z",
    value: 1,
    tags: { alertname: "WorkerDown", instance: "w1", job: "worker" },
  },
  {
    metric: "weir_last_push_timestamp_seconds",
    kind: "gauge",
    ts: "2024-01-01T20:00:00Z",
    value: Date.parse("2024-01-01T14:00:00Z") / 1000,
    tags: { instance: "w1", job: "worker" },
  },
  // Not before now.
  http("2T12:00:00", 9_999, { operation: "late", status_code: "500", task_id: "t4" }),
];

const FACTS: Facts = {
  file_bytes: 1_000,
  free_bytes: 200,
  log_bytes: 100,
  disk_free_bytes: 8_800,
  stored_samples: 18,
};

async function open(stored: readonly Sample[]) {
  const samples: Samples = await storedSamples(stored);
  const engine = new SqlEngine({
    store: samples.store,
    registry: samples.registry,
    timeoutMs: 20_000,
    rowsMax: 1_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
  });
  const summaries = new Summaries({ engine, facts: async () => FACTS, now: () => NOW });
  const close = async () => {
    await engine.close();
    await samples.close();
  };
  return { samples, engine, summaries, close };
}

async function run(summaries: Summaries, name: string, parameters: Record<string, string> = {}) {
  const result = await summaries.run(name, new Map(Object.entries(parameters)));
  const rows = (await result.next()) ?? [];
  await result.close();
  return rows.map((row) =>
    Object.fromEntries(result.columns.map((column, index) => [column.name, row[index]])),
  );
}

let filled: Awaited<ReturnType<typeof open>>;
beforeAll(async () => {
  filled = await open(SAMPLES);
});
afterAll(() => filled.close());

const of = (name: string, parameters?: Record<string, string>) => run(filled.summaries, name, parameters);

describe("the last 24 hours", () => {
  test("duration_by_operation", async () => {
    // get: 100, 200, 300, 400; of n sorted values percentile p lies at p(n-1): 1.5, 2.85, 2.97.
    // put: 10, 20, 30, 40, 50: at 2, 3.8, 3.96.
    expect(await of("duration_by_operation")).toEqual([
      { operation: "put", count: 5, mean: 30, min: 10, max: 50, p50: 30, p95: 48, p99: 49.6 },
      { operation: "get", count: 4, mean: 250, min: 100, max: 400, p50: 250, p95: 385, p99: 397 },
    ]);
    // Another metric, by its type; named as in Prometheus.
    expect(await of("duration_by_operation", { metric: "task_duration_ms" })).toMatchObject([
      { operation: "crawl", count: 2, mean: 6_500 },
      { operation: "check", count: 1, mean: 12_000 },
    ]);
  });

  test("requests_by_status", async () => {
    expect(await of("requests_by_status")).toEqual([
      { status_code: "200", requests: 3, share: 0.3333 },
      { status_code: "429", requests: 3, share: 0.3333 },
      { status_code: "404", requests: 1, share: 0.1111 },
      { status_code: "503", requests: 1, share: 0.1111 },
      { status_code: "ECONNRESET", requests: 1, share: 0.1111 },
    ]);
  });

  test("slow_tasks", async () => {
    const t3 = {
      ts: "2024-01-02 11:40:00",
      task_id: "t3",
      duration: 12_000,
      operation: "check",
      domain: "b.com",
      status: "success",
      error_type: null,
    };
    const t2 = {
      ts: "2024-01-02 10:45:00",
      task_id: "t2",
      duration: 9_000,
      operation: "crawl",
      domain: "a.com",
      status: "failed",
      error_type: "timeout",
    };
    expect(await of("slow_tasks")).toEqual([t3, t2]);
    expect(await of("slow_tasks", { slower_than: "9000" })).toEqual([t3]);
    expect(await of("slow_tasks", { top: "1" })).toEqual([t3]);
    expect((await of("slow_tasks", { from: "-2d" })).length).toBe(3);
  });

  test("uploads", async () => {
    expect(await of("uploads")).toEqual([
      { type: "har", uploads: 1, bytes: 3_000, mean_bytes: 3_000, max_bytes: 3_000, failed: 1 },
      { type: "html", uploads: 2, bytes: 3_000, mean_bytes: 1_500, max_bytes: 2_000, failed: 0 },
      { type: "(all)", uploads: 3, bytes: 6_000, mean_bytes: 2_000, max_bytes: 3_000, failed: 1 },
    ]);
  });

  test("error_rate", async () => {
    expect(await of("error_rate")).toEqual([
      { operation: "put", requests: 5, errors: 5, client_errors: 3, server_errors: 1, error_rate: 1 },
      { operation: "get", requests: 4, errors: 1, client_errors: 1, server_errors: 0, error_rate: 0.25 },
    ]);
  });

  test("task_timeline", async () => {
    const timeline = await of("task_timeline", { task_id: "t3" });
    expect(timeline.map(({ ts, metric, value }) => [ts, metric, value])).toEqual([
      ["2024-01-02 11:30:00", "http.request.duration_ms", 400],
      ["2024-01-02 11:31:00", "http.request.duration_ms", 20],
      ["2024-01-02 11:32:00", "http.request.duration_ms", 30],
      ["2024-01-02 11:33:00", "http.request.duration_ms", 40],
      ["2024-01-02 11:34:00", "http.request.duration_ms", 50],
      ["2024-01-02 11:35:00", "cpu", 0.5],
      ["2024-01-02 11:40:00", "task.duration_ms", 12_000],
      ["2024-01-02 11:41:00", "upload.bytes", 3_000],
      ["2024-01-02 11:42:00", "upload.bytes", 2_000],
    ]);
    expect(timeline[7]?.labels).toEqual({ status: "failed", type: "har" });
    expect(await of("task_timeline", { task_id: "none" })).toEqual([]);
  });

  test("tasks_by_domain", async () => {
    expect(await of("tasks_by_domain")).toEqual([
      {
        domain: "a.com",
        tasks: 2,
        failed: 1,
        failure_rate: 0.5,
        mean_duration: 6_500,
        p95_duration: 8_750,
        max_duration: 9_000,
      },
      {
        domain: "b.com",
        tasks: 1,
        failed: 0,
        failure_rate: 0,
        mean_duration: 12_000,
        p95_duration: 12_000,
        max_duration: 12_000,
      },
    ]);
  });

  test("daily_report", async () => {
    expect(await of("daily_report")).toEqual([
      {
        day: "2024-01-01",
        requests: 3,
        errors: 2,
        error_rate: 0.6667,
        mean_request: 433.333,
        p95_request: 920,
        tasks: 2,
        failed_tasks: 1,
        mean_task: 32_000,
        uploads: 1,
        uploaded_bytes: 1_000,
      },
      {
        day: "2024-01-02",
        requests: 7,
        errors: 5,
        error_rate: 0.7143,
        mean_request: 121.429,
        p95_request: 370,
        tasks: 2,
        failed_tasks: 1,
        mean_task: 10_500,
        uploads: 2,
        uploaded_bytes: 5_000,
      },
    ]);
  });

  test("workers", async () => {
    expect(await of("workers")).toEqual([
      {
        job: "(none)",
        instance: "(none)",
        first: "2024-01-01 14:00:01",
        last: "2024-01-02 11:42:00",
        samples: 13,
        metrics: 3,
      },
      {
        job: "(none)",
        instance: "w2",
        first: "2024-01-02 11:35:00",
        last: "2024-01-02 11:35:00",
        samples: 1,
        metrics: 1,
      },
      {
        job: "worker",
        instance: "w1",
        first: "2024-01-01 13:00:00",
        last: "2024-01-01 14:00:00",
        samples: 2,
        metrics: 1,
      },
    ]);
  });

  test("disk_use", async () => {
    // 900 bytes for 18 samples are 50 each; 12 samples since the first at 10:30, in 1.5 hours, are 192 a day.
    expect(await of("disk_use", { from: "-2h" })).toEqual([
      {
        file_bytes: 1_000,
        free_in_file_bytes: 200,
        log_bytes: 100,
        disk_free_bytes: 8_800,
        stored_samples: 18,
        bytes_per_sample: 50,
        samples_per_day: 192,
        bytes_per_day: 9_600,
        days_until_full: 0.9,
      },
    ]);
  });

  test("anomalies", async () => {
    expect(await of("anomalies")).toEqual([
      { check: "error_rate", anomalous: true, value: 0.8, before: 0.5, threshold: 0.05 },
      { check: "mean_task_duration", anomalous: true, value: 12_000, before: 9_000, threshold: 10_000 },
      { check: "server_errors", anomalous: true, value: 1, before: 0, threshold: 0 },
      { check: "rising_429s", anomalous: true, value: 2, before: 1, threshold: 1 },
    ]);
    expect(
      await of("anomalies", {
        error_rate_max: "0.8",
        task_duration_max: "12000",
        from: "2024-01-02T10:00:00Z",
        to: "2024-01-02T11:00:00Z",
      }),
    ).toEqual([
      { check: "error_rate", anomalous: false, value: 0.5, before: null, threshold: 0.8 },
      { check: "mean_task_duration", anomalous: false, value: 9_000, before: null, threshold: 12_000 },
      { check: "server_errors", anomalous: false, value: 0, before: 0, threshold: 0 },
      { check: "rising_429s", anomalous: true, value: 1, before: 0, threshold: 0 },
    ]);
  });
});

describe("an empty store", () => {
  test("fails no summary", async () => {
    const empty = await open([]);
    try {
      for (const { name, parameters } of empty.summaries.list()) {
        const needed = parameters.filter((parameter) => parameter.default === undefined);
        const given = Object.fromEntries(needed.map((parameter) => [parameter.name, "x"]));
        const rows = await run(empty.summaries, name, given);
        const singles = ["anomalies", "disk_use", "uploads"];
        if (!singles.includes(name)) expect([name, rows]).toEqual([name, []]);
      }
      expect((await run(empty.summaries, "anomalies")).map(({ anomalous }) => anomalous)).toEqual([
        false,
        false,
        false,
        false,
      ]);
      expect(await run(empty.summaries, "uploads")).toMatchObject([{ type: "(all)", uploads: 0, bytes: 0 }]);
      expect(await run(empty.summaries, "disk_use")).toMatchObject([{ days_until_full: null }]);
    } finally {
      await empty.close();
    }
  });
  test("a metric that lacks every tag fails no summary", async () => {
    const bare = await open(
      ["http.request.duration_ms", "task.duration_ms", "upload.bytes"].map((metric) => ({
        metric,
        kind: "gauge",
        ts: NOW - 1_000,
        value: 1,
      })),
    );
    try {
      for (const { name } of bare.summaries.list())
        await run(bare.summaries, name, name === "task_timeline" ? { task_id: "x" } : {});
      expect(await run(bare.summaries, "requests_by_status")).toEqual([
        { status_code: "(none)", requests: 1, share: 1 },
      ]);
      expect(await run(bare.summaries, "error_rate")).toMatchObject([
        { operation: "(none)", errors: 0, error_rate: 0 },
      ]);
    } finally {
      await bare.close();
    }
  });
});

describe("parameters", () => {
  const bad = (
    name: string,
    summary: string,
    parameters: Record<string, string>,
    status: number,
    part: string,
  ) =>
    test(name, async () => {
      const error = await of(summary, parameters).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(RequestError);
      expect((error as RequestError).status).toBe(status);
      expect((error as RequestError).message).toContain(part);
    });
  bad("no such summary", "durations", {}, 404, "there are anomalies, daily_report");
  bad(
    "unknown",
    "slow_tasks",
    { operation: "get" },
    400,
    'no parameter "operation"; it takes from, to, slower_than',
  );
  bad("missing", "task_timeline", {}, 400, "task_id is missing: the task's id");
  bad("no number", "slow_tasks", { slower_than: "slow" }, 400, 'slower_than is "slow"; expected a number');
  bad("no time", "slow_tasks", { from: "yesterday" }, 400, 'from is "yesterday"');
  bad(
    "a range that ends before it begins",
    "slow_tasks",
    { from: "now", to: "-1h" },
    400,
    "expected a time before to",
  );
  test("values are bound: they are never read as SQL", async () => {
    expect(await of("task_timeline", { task_id: "' OR true --" })).toEqual([]);
    expect(await of("requests_by_status", { metric: `"; DROP TABLE weir.series; --` })).toEqual([]);
  });
});

test("a new file is a new summary", async () => {
  const { engine } = filled;
  const own = parseSummary(
    "own",
    "-- How many?\n-- parameter m metric: which\n-- table t of $m:\nSELECT count(*) AS n FROM t",
  );
  const summaries = new Summaries({ engine, facts: async () => FACTS, summaries: [...loadSummaries(), own] });
  expect(summaries.list().at(-1)?.question).toBe("How many?");
  expect(await run(summaries, "own", { m: "cpu" })).toEqual([{ n: 1 }]);
});

test("the gateway knows its file and its disk", async () => {
  const facts = await storeFacts(filled.samples.store, filled.samples.folder);
  expect(facts.stored_samples).toBe(SAMPLES.length);
  expect(facts.file_bytes + facts.log_bytes).toBeGreaterThan(0);
  expect(facts.disk_free_bytes).toBeGreaterThan(0);
});
