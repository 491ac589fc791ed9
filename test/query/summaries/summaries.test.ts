/** Tests every summary with a few samples, whose answers are worked out by hand, and with an empty store. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import { RequestError } from "../../../src/model/errors.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { type Facts, loadSummaries, Summaries, storeFacts } from "../../../src/query/summaries/summaries.ts";
import { parseSummary } from "../../../src/query/summaries/summary-file.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Sample, type Samples, storedSamples } from "../stored.ts";

/** The clock of these tests. */
const NOW = Date.parse("2024-01-02T12:00:00Z");

const http = (ts: string, value: number, tags: Record<string, string>): Sample => ({
  metric: "http.request.duration_ms",
  ts: `2024-01-0${ts}Z`,
  value,
  tags,
});
const task = (ts: string, value: number, tags: Record<string, string>): Sample => ({
  metric: "task.processing_duration_ms",
  ts: `2024-01-0${ts}Z`,
  value,
  tags,
});
const upload = (ts: string, value: number, tags: Record<string, string>): Sample => ({
  metric: "upload.size_bytes",
  ts: `2024-01-0${ts}Z`,
  value,
  tags,
});

const SAMPLES: Sample[] = [
  // Before the last 24 hours.
  http("1T09:00:00", 1000, { operation: "get_task", status_code: "500", success: "false", task_id: "t0" }),
  task("1T09:00:00", 60_000, { domain: "a.com", method: "GET", http_status: "500", task_id: "t0" }),
  // Yesterday afternoon.
  http("1T13:00:00", 100, {
    operation: "get_task",
    status_code: "200",
    has_task: "true",
    task_id: "t1",
    instance: "w1",
    job: "worker",
  }),
  http("1T14:00:00", 200, {
    operation: "get_task",
    status_code: "404",
    success: "false",
    task_id: "t1",
    instance: "w1",
    job: "worker",
  }),
  task("1T14:00:01", 4_000, { domain: "a.com", method: "GET", http_status: "399", task_id: "t1" }),
  upload("1T14:00:02", 1_000, { upload_type: "direct", task_id: "t1" }),
  // The hour before the last.
  http("2T10:30:00", 300, { operation: "get_task", status_code: "200", has_task: "true", task_id: "t2" }),
  http("2T10:40:00", 10, {
    operation: "upload_result",
    status_code: "429",
    success: "false",
    error_type: "rate_limit",
    task_id: "t2",
  }),
  task("2T10:45:00", 9_000, { domain: "a.com", method: "POST", http_status: "unknown", task_id: "t2" }),
  // The last hour.
  http("2T11:30:00", 400, { operation: "get_task", status_code: "200", has_task: "true", task_id: "t3" }),
  http("2T11:31:00", 20, { operation: "upload_result", status_code: "429", success: "false", task_id: "t3" }),
  http("2T11:32:00", 30, { operation: "upload_result", status_code: "429", success: "false", task_id: "t3" }),
  http("2T11:33:00", 40, { operation: "upload_result", status_code: "503", success: "false", task_id: "t3" }),
  // Without `success` a request has not failed, whatever its status.
  http("2T11:34:00", 50, { operation: "upload_result", status_code: "unknown", task_id: "t3" }),
  // An answer of a target, and therefore not an error of the server.
  http("2T11:35:00", 60, {
    operation: "target_request",
    status_code: "500",
    success: "false",
    task_id: "t3",
  }),
  task("2T11:40:00", 12_000, { domain: "b.com", method: "GET", http_status: "200", task_id: "t3" }),
  upload("2T11:41:00", 512, { upload_type: "inline", task_id: "t3" }),
  upload("2T11:42:00", 3_144_728, { upload_type: "direct", task_id: "t3" }),
  {
    metric: "cpu",
    kind: "gauge",
    ts: "2024-01-02T11:35:00Z",
    value: 0.5,
    tags: { task_id: "t3", instance: "w2" },
  },
  // Metrics of the gateway, of an evaluator of alerts and of a recording rule about a worker that has been silent since yesterday.
  {
    metric: "ALERTS",
    kind: "gauge",
    ts: "2024-01-01T20:00:00Z",
    value: 1,
    tags: { alertname: "WorkerDown", instance: "w1", job: "worker" },
  },
  {
    metric: "job_instance:task_workers:count",
    kind: "gauge",
    ts: "2024-01-01T20:00:00Z",
    value: 1,
    tags: { instance: "w1", job: "worker" },
  },
  {
    metric: "weir_last_push_timestamp_seconds",
    kind: "gauge",
    ts: "2024-01-01T20:00:00Z",
    value: Date.parse("2024-01-01T14:00:00Z") / 1000,
    tags: { instance: "w1", job: "worker" },
  },
  // In the future.
  http("2T12:00:00", 9_999, { operation: "late", status_code: "500", success: "false", task_id: "t4" }),
];

const FACTS: Facts = {
  file_bytes: 1_000,
  free_bytes: 200,
  log_bytes: 100,
  disk_free_bytes: 8_800,
  stored_samples: 20,
  stored_days: "2024-01-14=5,2024-01-15=15",
};

async function open(stored: readonly Sample[]) {
  const samples: Samples = await storedSamples(stored);
  const engine = new SqlEngine({
    counters: createCounters(),
    store: samples.store,
    registry: samples.registry,
    timeoutMs: 20_000,
    rowsMax: 1_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
  const summaries = new Summaries({ engine, facts: async () => FACTS, now: () => NOW });
  const close = async () => {
    await engine.close();
    await samples.close();
  };
  return { samples, engine, summaries, close };
}

async function run(summaries: Summaries, name: string, parameters: Record<string, string> = {}) {
  const { result } = await summaries.run(name, new Map(Object.entries(parameters)));
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
    // Percentile p of n sorted values is at position p(n-1).
    // get_task: 100, 200, 300, 400 at 1.5, 2.85 and 2.97. upload_result: 10, 20, 30, 40, 50 at 2, 3.8 and 3.96.
    const get = { operation: "get_task", mean_ms: 250, requests: 4, min_ms: 100, max_ms: 400 };
    const put = { operation: "upload_result", mean_ms: 30, requests: 5, min_ms: 10, max_ms: 50 };
    const target = { operation: "target_request", mean_ms: 60, requests: 1, min_ms: 60, max_ms: 60 };
    expect(await of("duration_by_operation")).toEqual([
      { ...put, p50_ms: 30, p95_ms: 48, p99_ms: 49.6 },
      { ...get, p50_ms: 250, p95_ms: 385, p99_ms: 397 },
      { ...target, p50_ms: 60, p95_ms: 60, p99_ms: 60 },
    ]);
    // Another metric with another tag and another unit, named as in Prometheus.
    expect(
      await of("duration_by_operation", {
        requests_metric: "task_processing_duration_ms",
        operation_tag: "domain",
        unit_ms: "1000",
      }),
    ).toMatchObject([
      { operation: "a.com", requests: 2, mean_ms: 6_500_000 },
      { operation: "b.com", requests: 1, mean_ms: 12_000_000, p95_ms: 12_000_000 },
    ]);
  });

  test("requests_by_status", async () => {
    expect(await of("requests_by_status")).toEqual([
      { status_code: "200", requests: 3, percent: 30 },
      { status_code: "429", requests: 3, percent: 30 },
      { status_code: "404", requests: 1, percent: 10 },
      { status_code: "500", requests: 1, percent: 10 },
      { status_code: "503", requests: 1, percent: 10 },
      { status_code: "unknown", requests: 1, percent: 10 },
    ]);
    expect(
      await of("requests_by_status", {
        requests_metric: "task.processing_duration_ms",
        status_code_tag: "http_status",
      }),
    ).toMatchObject([
      { status_code: "200", requests: 1 },
      { status_code: "399", requests: 1 },
      { status_code: "unknown", requests: 1 },
    ]);
  });

  test("slow_tasks", async () => {
    const t3 = {
      task_id: "t3",
      duration_sec: 12,
      domain: "b.com",
      http_status: "200",
      method: "GET",
      ts: "2024-01-02 11:40:00",
    };
    const t2 = {
      task_id: "t2",
      duration_sec: 9,
      domain: "a.com",
      http_status: "unknown",
      method: "POST",
      ts: "2024-01-02 10:45:00",
    };
    expect(await of("slow_tasks")).toEqual([t3, t2]);
    expect(await of("slow_tasks", { slower_than_ms: "9000" })).toEqual([t3]);
    expect(await of("slow_tasks", { top: "1" })).toEqual([t3]);
    expect((await of("slow_tasks", { from: "-2d" })).length).toBe(3);
    // If the metric is in seconds, 12,000 of them are 12,000,000 ms.
    expect(await of("slow_tasks", { unit_ms: "1000", slower_than_ms: "9000000" })).toEqual([
      { ...t3, duration_sec: 12_000 },
    ]);
  });

  test("uploads", async () => {
    const direct = { upload_type: "direct", uploads: 2, bytes: 3_145_728, mb: 3 };
    const inline = { upload_type: "inline", uploads: 1, bytes: 512, mb: 0.000488 };
    expect(await of("uploads")).toEqual([
      { ...direct, mean_bytes: 1_572_864, max_bytes: 3_144_728 },
      { ...inline, mean_bytes: 512, max_bytes: 512 },
      {
        upload_type: "(all)",
        uploads: 3,
        bytes: 3_146_240,
        mb: 3.000488,
        mean_bytes: 1_048_747,
        max_bytes: 3_144_728,
      },
    ]);
  });

  test("error_rate", async () => {
    const none = { errors: 0, client_errors: 0, server_errors: 0, unanswered: 0 };
    expect(await of("error_rate")).toEqual([
      { ...none, operation: "target_request", error_percent: 100, requests: 1, errors: 1, server_errors: 1 },
      {
        operation: "upload_result",
        error_percent: 80,
        requests: 5,
        errors: 4,
        client_errors: 3,
        server_errors: 1,
        unanswered: 1,
      },
      { ...none, operation: "get_task", error_percent: 25, requests: 4, errors: 1, client_errors: 1 },
    ]);
    expect(await of("error_rate", { success_tag: "has_task" })).toMatchObject(
      ["upload_result", "get_task", "target_request"].map((operation) => ({ operation, errors: 0 })),
    );
  });

  test("task_timeline", async () => {
    const timeline = await of("task_timeline", { task_id: "t3" });
    const request = "http.request.duration_ms";
    expect(
      timeline.map(({ ts, metric, operation, status, value }) => [ts, metric, operation, status, value]),
    ).toEqual([
      ["2024-01-02 11:30:00", request, "get_task", "200", 400],
      ["2024-01-02 11:31:00", request, "upload_result", "429", 20],
      ["2024-01-02 11:32:00", request, "upload_result", "429", 30],
      ["2024-01-02 11:33:00", request, "upload_result", "503", 40],
      ["2024-01-02 11:34:00", request, "upload_result", "unknown", 50],
      ["2024-01-02 11:35:00", "cpu", null, null, 0.5],
      ["2024-01-02 11:35:00", request, "target_request", "500", 60],
      ["2024-01-02 11:40:00", "task.processing_duration_ms", null, "200", 12_000],
      ["2024-01-02 11:41:00", "upload.size_bytes", null, null, 512],
      ["2024-01-02 11:42:00", "upload.size_bytes", null, null, 3_144_728],
    ]);
    expect(timeline[7]?.labels).toEqual({ domain: "b.com", http_status: "200", method: "GET" });
    expect(await of("task_timeline", { task_id: "none" })).toEqual([]);
    // By a label instead of the id, and with the status of another tag.
    expect(
      await of("task_timeline", {
        task_id: "w1",
        task_id_tag: "instance",
        operation_tag: "has_task",
        to: "2024-01-01T14:00:00Z",
      }),
    ).toMatchObject([{ operation: "true", status: "200", value: 100 }]);
  });

  test("tasks_by_domain", async () => {
    expect(await of("tasks_by_domain")).toEqual([
      {
        domain: "a.com",
        tasks: 2,
        failed: 1,
        failed_percent: 50,
        mean_ms: 6_500,
        p95_ms: 8_750,
        max_ms: 9_000,
      },
      {
        domain: "b.com",
        tasks: 1,
        failed: 0,
        failed_percent: 0,
        mean_ms: 12_000,
        p95_ms: 12_000,
        max_ms: 12_000,
      },
    ]);
  });

  test("daily_report", async () => {
    expect(await of("daily_report")).toEqual([
      {
        day: "2024-01-01",
        requests: 3,
        errors: 2,
        error_percent: 66.6667,
        mean_request_ms: 433.333,
        p95_request_ms: 920,
        tasks: 2,
        failed_tasks: 1,
        mean_task_ms: 32_000,
        uploads: 1,
        uploaded_bytes: 1_000,
      },
      {
        day: "2024-01-02",
        requests: 8,
        errors: 5,
        error_percent: 62.5,
        mean_request_ms: 113.75,
        p95_request_ms: 365,
        tasks: 2,
        failed_tasks: 1,
        mean_task_ms: 10_500,
        uploads: 2,
        uploaded_bytes: 3_145_240,
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
        samples: 14,
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

  test("storage_by_day", async () => {
    // 900 bytes for 20 samples are 45 each.
    expect(await of("storage_by_day")).toEqual([
      { day: expect.anything(), samples: 5, bytes: 225 },
      { day: expect.anything(), samples: 15, bytes: 675 },
    ]);
  });

  test("disk_use", async () => {
    // 900 bytes for 20 samples are 45 each. 13 samples in the 1.5 hours since the first, at 10:30, are 208 per day.
    expect(await of("disk_use", { from: "-2h" })).toEqual([
      {
        file_bytes: 1_000,
        free_in_file_bytes: 200,
        log_bytes: 100,
        disk_free_bytes: 8_800,
        stored_samples: 20,
        bytes_per_sample: 45,
        samples_per_day: 208,
        bytes_per_day: 9_360,
        days_until_full: 1,
      },
    ]);
  });

  test("anomalies", async () => {
    // 4 of 6 requests failed in the last hour, and 1 of 2 in the hour before.
    expect(await of("anomalies")).toEqual([
      { check: "error_percent", anomalous: true, value: 66.6667, before: 50, threshold: 5 },
      { check: "mean_task_duration_ms", anomalous: true, value: 12_000, before: 9_000, threshold: 10_000 },
      { check: "server_errors", anomalous: true, value: 1, before: 0, threshold: 0 },
      { check: "rising_429s", anomalous: true, value: 2, before: 1, threshold: 1 },
    ]);
    expect(
      await of("anomalies", {
        error_percent_max: "50",
        task_duration_ms_max: "12000",
        from: "2024-01-02T10:00:00Z",
        to: "2024-01-02T11:00:00Z",
      }),
    ).toEqual([
      { check: "error_percent", anomalous: false, value: 50, before: null, threshold: 50 },
      { check: "mean_task_duration_ms", anomalous: false, value: 9_000, before: null, threshold: 12_000 },
      { check: "server_errors", anomalous: false, value: 0, before: null, threshold: 0 },
      { check: "rising_429s", anomalous: true, value: 1, before: null, threshold: 0 },
    ]);
    // Errors of targets count as errors of the server if a parameter names another operation as the targets' operation.
    expect(await of("anomalies", { target_operation: "upload_result" })).toMatchObject([
      {},
      {},
      { check: "server_errors", value: 1 },
      {},
    ]);
  });
});

describe("metrics with other names, and other tags", () => {
  test("are read if parameters name them", async () => {
    const own = await open([
      {
        metric: "job.seconds",
        ts: NOW - 3_600_000,
        value: 7,
        tags: { "job.status": "failed", host: "a.com", id: "j1", http_status: "200" },
      },
      {
        metric: "job.seconds",
        ts: NOW - 1_800_000,
        value: 1,
        tags: { "job.status": "success", host: "a.com" },
      },
      { metric: "sent.bytes", ts: NOW - 1_000, value: 2 ** 20, tags: { type: "har" } },
    ]);
    try {
      const tasks = { tasks_metric: "job.seconds", unit_ms: "1000", domain_tag: "host" };
      expect(
        await run(own.summaries, "slow_tasks", {
          ...tasks,
          task_id_tag: "id",
          http_status_tag: "job.status",
        }),
      ).toEqual([
        {
          task_id: "j1",
          duration_sec: 7,
          domain: "a.com",
          http_status: "failed",
          method: null,
          ts: "2024-01-02 11:00:00",
        },
      ]);
      // As pushed, or by the column's name.
      for (const http_status_tag of ["job.status", "job_status", "JOB_STATUS"])
        expect(await run(own.summaries, "tasks_by_domain", { ...tasks, http_status_tag })).toMatchObject([
          { domain: "a.com", tasks: 2, failed: 1, failed_percent: 50, mean_ms: 4_000 },
        ]);
      expect(
        await run(own.summaries, "uploads", { uploads_metric: "sent.bytes", upload_type_tag: "type" }),
      ).toMatchObject([
        { upload_type: "har", mb: 1, uploads: 1 },
        { upload_type: "(all)", mb: 1, uploads: 1 },
      ]);
    } finally {
      await own.close();
    }
  });

  test("are reported as absent, with a stored metric of a similar name", async () => {
    const absentOf = async (name: string, parameters: Record<string, string>) => {
      const { result, absent } = await filled.summaries.run(name, new Map(Object.entries(parameters)));
      await result.close();
      return absent;
    };
    expect(await absentOf("daily_report", {})).toEqual([]);
    expect(
      await absentOf("daily_report", { tasks_metric: "task.processing.duration", uploads_metric: "sent" }),
    ).toEqual([
      {
        metric: "task.processing.duration",
        parameter: "tasks_metric",
        near: "task.processing_duration_ms",
      },
      { metric: "sent", parameter: "uploads_metric", near: undefined },
    ]);
    // `samples` always exists.
    expect(await absentOf("task_timeline", { task_id: "t1" })).toEqual([]);
  });

  test("a parameter has one name in every summary, one meaning and one default", () => {
    const meanings = new Map<string, Set<string>>();
    for (const { parameters } of filled.summaries.list()) {
      for (const { name, type, default: value } of parameters) {
        if (type === "time" || type === "number") continue;
        meanings.set(name, (meanings.get(name) ?? new Set()).add(`${type} ${value}`));
      }
    }
    expect([...meanings].map(([name, each]) => [name, ...each]).sort()).toEqual([
      ["domain_tag", "tag domain"],
      ["good_metric", "metric slo:good:increase5m"],
      ["http_status_tag", "tag http_status"],
      ["metric", "metric undefined"],
      ["objective_metric", "metric slo:objective:ratio"],
      ["operation_tag", "tag operation"],
      ["requests_metric", "metric http.request.duration_ms"],
      ["status_code_tag", "tag status_code"],
      ["success_tag", "tag success"],
      ["target_operation", "text target_request"],
      ["task_id", "text undefined"],
      ["task_id_tag", "tag task_id"],
      ["tasks_metric", "metric task.processing_duration_ms"],
      ["total_metric", "metric slo:total:increase5m"],
      ["upload_type_tag", "tag upload_type"],
      ["uploads_metric", "metric upload.size_bytes"],
      ["window_metric", "metric slo:window:seconds"],
    ]);
  });
});

test("a total past 2^53 does not lose small sizes", async () => {
  const large = await open([
    upload("2T11:00:00", 2 ** 53, {}),
    upload("2T11:00:01", 1, {}),
    upload("2T11:00:02", 1, {}),
  ]);
  try {
    // Added one by one, the two single bytes would be lost to rounding.
    expect(await run(large.summaries, "uploads")).toMatchObject([
      { upload_type: "(none)", uploads: 3, bytes: "9007199254740994" },
      { upload_type: "(all)", uploads: 3, bytes: "9007199254740994" },
    ]);
  } finally {
    await large.close();
  }
});

describe("an empty store", () => {
  test("fails no summary", async () => {
    const empty = await open([]);
    try {
      for (const { name, parameters } of empty.summaries.list()) {
        const needed = parameters.filter((parameter) => parameter.default === undefined);
        const given = Object.fromEntries(
          needed.map(({ name: of, type }) => [of, type === "number" ? "1" : "x"]),
        );
        const rows = await run(empty.summaries, name, given);
        const singles = ["anomalies", "disk_use", "storage_by_day", "uploads"];
        if (!singles.includes(name)) expect([name, rows]).toEqual([name, []]);
      }
      // An empty check does not mean that nothing is wrong.
      expect((await run(empty.summaries, "anomalies")).map(({ anomalous }) => anomalous)).toEqual([
        null,
        null,
        null,
        null,
      ]);
      expect(await run(empty.summaries, "uploads")).toMatchObject([
        { upload_type: "(all)", uploads: 0, bytes: 0, mb: 0 },
      ]);
      expect(await run(empty.summaries, "disk_use")).toMatchObject([{ days_until_full: null }]);
    } finally {
      await empty.close();
    }
  });
  test("a metric that lacks every tag fails no summary", async () => {
    const bare = await open(
      ["http.request.duration_ms", "task.processing_duration_ms", "upload.size_bytes"].map((metric) => ({
        metric,
        kind: "gauge",
        ts: NOW - 1_000,
        value: 1,
      })),
    );
    try {
      const needed: Record<string, Record<string, string>> = {
        task_timeline: { task_id: "x" },
        forecast: { metric: "upload.size_bytes", reaches: "1" },
      };
      for (const { name } of bare.summaries.list()) await run(bare.summaries, name, needed[name]);
      expect(await run(bare.summaries, "requests_by_status")).toEqual([
        { status_code: "(none)", requests: 1, percent: 100 },
      ]);
      expect(await run(bare.summaries, "error_rate")).toMatchObject([
        { operation: "(none)", errors: 0, error_percent: 0 },
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
  bad("an unknown summary", "durations", {}, 404, "there are anomalies, daily_report");
  bad(
    "an unknown parameter",
    "slow_tasks",
    { operation: "get" },
    400,
    'no parameter "operation"; it takes from, to, slower_than_ms',
  );
  bad("a missing parameter", "task_timeline", {}, 400, "task_id is missing: the id of the task");
  bad(
    "a malformed number",
    "slow_tasks",
    { slower_than_ms: "slow" },
    400,
    'slower_than_ms is "slow"; expected a number',
  );
  bad("a malformed time", "slow_tasks", { from: "yesterday" }, 400, 'from is "yesterday"');
  bad(
    "a range that ends before it begins",
    "slow_tasks",
    { from: "now", to: "-1h" },
    400,
    "expected a time before to",
  );
  test("values are bound, never read as SQL", async () => {
    expect(await of("task_timeline", { task_id: "' OR true --" })).toEqual([]);
    expect(await of("requests_by_status", { requests_metric: `"; DROP TABLE weir.series; --` })).toEqual([]);
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

test("the facts have the sizes of the gateway's file and disk", async () => {
  const facts = await storeFacts(filled.samples.store, filled.samples.folder);
  expect(facts.stored_samples).toBe(SAMPLES.length);
  const days = facts.stored_days.split(",").map((text) => text.split("="));
  expect(days.reduce((sum, [, rows]) => sum + Number(rows), 0)).toBe(SAMPLES.length);
  expect(days.every(([day]) => /^\d{4}-\d\d-\d\d$/.test(day!))).toBe(true);
  expect(facts.file_bytes + facts.log_bytes).toBeGreaterThan(0);
  expect(facts.disk_free_bytes).toBeGreaterThan(0);
});
