/**
 * Runs every summary on a gateway to which three workers pushed for two days across a leap day. The expected values are
 * computed from the events.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openWorld, type StoredEvent, type World } from "./world.ts";

const START_MS = Date.parse("2024-02-28T12:00:00Z");
const HOUR_MS = 3_600_000;
const DAYS = 2;
const END_MS = START_MS + DAYS * 24 * HOUR_MS;

let world: World;
beforeAll(async () => {
  const workers = [0, 1, 2].map((worker) => ({ worker }));
  world = await openWorld(START_MS, DAYS, workers, HOUR_MS);
});
afterAll(() => world?.close());

type Row = Record<string, unknown>;
const asked = new Set<string>();

/** The rows of a summary; from the start on unless a parameter says otherwise. */
async function summary(name: string, parameters: Record<string, string> = { from: "-48h" }): Promise<Row[]> {
  asked.add(name);
  const { rows } = (await world.ask(`/api/v1/summaries/${name}`, parameters)) as { rows: Row[] };
  return rows;
}

const between = (fromMs: number, toMs: number) =>
  world.events.filter((event) => event["@timestamp"] >= fromMs && event["@timestamp"] < toMs);
const requestsOf = (events: readonly StoredEvent[]) =>
  events.filter(({ metric_name }) => metric_name === "http.request.duration_ms");
const tasksOf = (events: readonly StoredEvent[]) =>
  events.filter(({ metric_name }) => metric_name === "task.processing_duration_ms");
const uploadsOf = (events: readonly StoredEvent[]) =>
  events.filter(({ metric_name }) => metric_name === "upload.size_bytes");
const all = () => between(START_MS, END_MS);
const tag = (name: string) => (event: StoredEvent) => event.tags[name]!;
const valuesOf = (events: readonly StoredEvent[]) => events.map(({ value }) => value);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const isError = ({ tags }: StoredEvent) => tags.success === "false";
const isFailure = ({ tags }: StoredEvent) =>
  tags.http_status === "unknown" || Number(tags.http_status) >= 400;
const codeOf = ({ tags }: StoredEvent) => Number(tags.status_code);

/** Between the two nearest of the sorted values, linearly. */
function quantile(q: number, values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - low);
}

/** As many decimals as the summaries give, within one of the last. */
const about = (value: number) => expect.closeTo(value, 2);

const sorted = (rows: readonly Row[], key: string) =>
  rows.toSorted((a, b) => (String(a[key]) < String(b[key]) ? -1 : 1));

/** A row for each group, in the order of the groups' names. */
function grouped(
  events: readonly StoredEvent[],
  by: (event: StoredEvent) => string,
  row: (group: string, events: readonly StoredEvent[]) => Row,
): Row[] {
  return [...Map.groupBy(events, by)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, own]) => row(group, own));
}

test("duration_by_operation", async () => {
  expect(sorted(await summary("duration_by_operation"), "operation")).toEqual(
    grouped(requestsOf(all()), tag("operation"), (operation, own) => ({
      operation,
      mean_ms: about(mean(valuesOf(own))),
      requests: own.length,
      min_ms: Math.min(...valuesOf(own)),
      max_ms: Math.max(...valuesOf(own)),
      p50_ms: about(quantile(0.5, valuesOf(own))),
      p95_ms: about(quantile(0.95, valuesOf(own))),
      p99_ms: about(quantile(0.99, valuesOf(own))),
    })),
  );
});

test("requests_by_status", async () => {
  const requests = requestsOf(all());
  const rows = await summary("requests_by_status");
  expect(sorted(rows, "status_code")).toEqual(
    grouped(requests, tag("status_code"), (status_code, own) => ({
      status_code,
      requests: own.length,
      percent: about((100 * own.length) / requests.length),
    })),
  );
  expect(rows[0]?.status_code).toBe("200");
  expect(rows.map((row) => row.status_code)).toContain("unknown");
});

test("slow_tasks", async () => {
  const slow = tasksOf(all())
    .filter(({ value }) => value > 5_000)
    .sort((a, b) => b.value - a.value || a["@timestamp"] - b["@timestamp"]);
  // A task of 5,000 ms exactly is not slow.
  expect(tasksOf(all()).some(({ value }) => value === 5_000)).toBe(true);
  expect(await summary("slow_tasks")).toEqual(
    slow.map((event) => ({
      task_id: event.tags.task_id,
      // A thousandth of a value of two decimals has five.
      duration_sec: Number((event.value / 1000).toFixed(5)),
      domain: event.tags.domain,
      http_status: event.tags.http_status,
      method: event.tags.method,
      ts: new Date(event["@timestamp"])
        .toISOString()
        .replace("T", " ")
        .replace(/\.?0*Z$/, ""),
    })),
  );
});

test("uploads", async () => {
  const row = (upload_type: string, own: readonly StoredEvent[]) => ({
    upload_type,
    mb: about(sum(valuesOf(own)) / 1024 / 1024),
    uploads: own.length,
    bytes: sum(valuesOf(own)),
    mean_bytes: Math.round(mean(valuesOf(own))),
    max_bytes: Math.max(...valuesOf(own)),
  });
  const uploads = uploadsOf(all());
  expect(await summary("uploads")).toEqual([
    ...grouped(uploads, tag("upload_type"), row),
    row("(all)", uploads),
  ]);
});

test("error_rate counts success=false, out of all requests of the operation", async () => {
  const rows = await summary("error_rate");
  expect(sorted(rows, "operation")).toEqual(
    grouped(requestsOf(all()), tag("operation"), (operation, own) => ({
      operation,
      error_percent: about((100 * own.filter(isError).length) / own.length),
      requests: own.length,
      errors: own.filter(isError).length,
      client_errors: own.filter((event) => codeOf(event) >= 400 && codeOf(event) < 500).length,
      server_errors: own.filter((event) => codeOf(event) >= 500).length,
      unanswered: own.filter(({ tags }) => tags.status_code === "unknown").length,
    })),
  );
  // A poll without an answer has no `success`, and counts as one that did not fail.
  const polls = rows.find(({ operation }) => operation === "get_task") as Record<string, number>;
  expect(polls.errors).toBe(polls.client_errors! + polls.server_errors!);
  expect(polls.unanswered).toBeGreaterThan(0);
});

test("tasks_by_domain", async () => {
  const rows = await summary("tasks_by_domain");
  expect(sorted(rows, "domain")).toEqual(
    grouped(tasksOf(all()), tag("domain"), (domain, own) => ({
      domain,
      tasks: own.length,
      failed: own.filter(isFailure).length,
      failed_percent: about((100 * own.filter(isFailure).length) / own.length),
      mean_ms: about(mean(valuesOf(own))),
      p95_ms: about(quantile(0.95, valuesOf(own))),
      max_ms: Math.max(...valuesOf(own)),
    })),
  );
  const invalid = rows.find(({ domain }) => domain === "unknown");
  expect([invalid?.failed, invalid?.failed_percent]).toEqual([invalid?.tasks, 100]);
});

test("task_timeline", async () => {
  const limited = requestsOf(all()).find(({ tags }) => tags.error_type === "rate_limit")!;
  const task_id = limited.tags.task_id!;
  const rows = await summary("task_timeline", { task_id });
  expect(rows.map(({ metric, operation, status }) => [metric, operation, status])).toEqual(
    world.events
      .filter(({ tags }) => tags.task_id === task_id)
      // Of equal times the name of the metric decides.
      .sort((a, b) => a["@timestamp"] - b["@timestamp"] || (a.metric_name < b.metric_name ? -1 : 1))
      .map(({ metric_name, tags }) => [
        metric_name,
        tags.operation ?? null,
        tags.status_code ?? tags.http_status ?? null,
      ]),
  );
  expect(rows.map(({ status }) => status)).toContain("429");
});

test("workers", async () => {
  expect(sorted(await summary("workers"), "instance")).toEqual(
    ["_1", "_2", "_3"].map((instance) => {
      const own = all().filter((event) => event.instance === instance);
      const at = (event: StoredEvent) => expect.stringContaining(iso(event["@timestamp"]));
      return {
        job: "worker",
        instance,
        first: at(own[0]!),
        last: at(own.at(-1)!),
        samples: own.length,
        metrics: 3,
      };
    }),
  );
});

const iso = (ms: number) => new Date(ms).toISOString().replace("T", " ").slice(0, 19);

test("daily_report has the leap day between two halves", async () => {
  const rows = await summary("daily_report");
  expect(rows).toEqual(
    grouped(
      all(),
      (event) => iso(event["@timestamp"]).slice(0, 10),
      (day, own) => {
        const [requests, tasks, uploads] = [requestsOf(own), tasksOf(own), uploadsOf(own)];
        return {
          day,
          requests: requests.length,
          errors: requests.filter(isError).length,
          error_percent: about((100 * requests.filter(isError).length) / requests.length),
          mean_request_ms: about(mean(valuesOf(requests))),
          p95_request_ms: about(quantile(0.95, valuesOf(requests))),
          tasks: tasks.length,
          failed_tasks: tasks.filter(isFailure).length,
          mean_task_ms: about(mean(valuesOf(tasks))),
          uploads: uploads.length,
          uploaded_bytes: sum(valuesOf(uploads)),
        };
      },
    ),
  );
  expect(rows.map(({ day }) => day)).toEqual(["2024-02-28", "2024-02-29", "2024-03-01"]);
});

test("anomalies", async () => {
  const now = between(END_MS - 6 * HOUR_MS, END_MS);
  const before = between(END_MS - 12 * HOUR_MS, END_MS - 6 * HOUR_MS);
  const errors = (events: readonly StoredEvent[]) =>
    (100 * requestsOf(events).filter(isError).length) / requestsOf(events).length;
  const server = (events: readonly StoredEvent[]) =>
    requestsOf(events).filter((event) => event.tags.operation !== "target_request" && codeOf(event) >= 500)
      .length;
  const limited = (events: readonly StoredEvent[]) =>
    requestsOf(events).filter((event) => codeOf(event) === 429).length;
  const check = (name: string, of: (events: readonly StoredEvent[]) => number, threshold: number) => ({
    check: name,
    anomalous: of(now) > threshold,
    value: about(of(now)),
    before: about(of(before)),
    threshold,
  });
  expect(await summary("anomalies", { from: "-6h", error_percent_max: "1" })).toEqual([
    check("error_percent", errors, 1),
    check("mean_task_duration_ms", (events) => mean(valuesOf(tasksOf(events))), 10_000),
    check("server_errors", server, 0),
    check("rising_429s", limited, limited(before)),
  ]);
  expect(errors(now)).toBeGreaterThan(1);
});

test("disk_use", async () => {
  const [row] = await summary("disk_use");
  // Beside the events the time of each worker's last push, once per hour.
  const samples = world.events.length + 48 * 3;
  expect(row).toMatchObject({ stored_samples: samples });
  const first = Math.min(...world.events.map((event) => event["@timestamp"]));
  const perDay = samples / ((END_MS - first) / (24 * HOUR_MS));
  expect(Math.abs((row!.samples_per_day as number) - perDay)).toBeLessThan(2);
});

test("traffic", async () => {
  const rows = await summary("traffic");
  expect(rows.map(({ metric, kind, samples }) => `${samples} ${kind} ${metric}`).toSorted()).toEqual(
    [requestsOf, tasksOf, uploadsOf]
      .map((of) => of(all()))
      .map((events) => `${events.length} observation ${events[0]!.metric_name}`)
      .toSorted(),
  );
  const seconds = (END_MS - START_MS) / 1_000;
  const tasks = tasksOf(all());
  const failed = tasks.filter(isFailure).length;
  const row = rows.find(({ metric }) => metric === "task.processing_duration_ms")!;
  expect(row).toMatchObject({
    per_second: expect.closeTo(tasks.length / seconds, 3),
    failed,
    failed_percent: expect.closeTo((100 * failed) / tasks.length, 3),
    p50: about(quantile(0.5, valuesOf(tasks))),
    p95: about(quantile(0.95, valuesOf(tasks))),
    p99: about(quantile(0.99, valuesOf(tasks))),
  });
  // Uploads have no status.
  expect(rows.find(({ metric }) => metric === "upload.size_bytes")).toMatchObject({
    failed: null,
    failed_percent: null,
  });
  const parts = row.parts as { part: number; samples: number; failed: number }[];
  const length = (END_MS - START_MS) / 30;
  const partsOf = (events: readonly StoredEvent[]) =>
    Object.entries(Object.groupBy(events, (event) => Math.floor((event["@timestamp"] - START_MS) / length)));
  expect(parts.map(({ part, samples }) => [part, samples])).toEqual(
    partsOf(tasks).map(([part, events]) => [Number(part), events!.length]),
  );
  expect(sum(parts.map((part) => part.failed))).toBe(failed);
});

test("task_failures", async () => {
  const rows = await summary("task_failures");
  const ofTasks = tasksOf(all()).filter(isFailure);
  const ofRequests = requestsOf(all()).filter(isError);
  const count = (step: (row: Row) => boolean) => sum(rows.filter(step).map(({ failed }) => failed as number));
  expect(count(({ step }) => step === "task")).toBe(ofTasks.length);
  expect(count(({ step }) => step !== "task")).toBe(ofRequests.length);
  const key = (status: string, domain: string) => `${status} ${domain}`;
  const newest = new Map(
    ofTasks.map((event) => [key(event.tags.http_status!, event.tags.domain!), event.tags.task_id]),
  );
  for (const { step, status, domain, task_id } of rows)
    if (step === "task") expect(task_id).toBe(newest.get(key(status as string, domain as string)));
});

test("storage_by_day", async () => {
  const rows = await summary("storage_by_day", {});
  const days = ["2024-02-28", "2024-02-29", "2024-03-01"];
  expect(rows.map(({ day }) => String(day).slice(0, 10))).toEqual(days);
  expect(sum(rows.map(({ samples }) => samples as number))).toBe(world.events.length + 48 * 3);
});

test("every summary has a test", async () => {
  // Tested with lines and budgets that are worked out by hand, in test/query/summaries.
  const others = ["forecast", "service_levels"];
  const { summaries } = (await world.ask("/api/v1/summaries", {})) as { summaries: { name: string }[] };
  expect(summaries.map(({ name }) => name)).toEqual([...asked, ...others].sort());
});
