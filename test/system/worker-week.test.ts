/**
 * A week of three workers. Each writes one event per line to its own file, which is rotated at midnight. An import
 * runs now and then while the files grow. One worker also pushes over HTTP and retries. The gateway is stopped or
 * killed each day. Afterwards every question has the answer that plain arithmetic over the events gives.
 *
 * The week ends now, at any hour. Retention covers one day more, so that midnight may pass during the test.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { weir } from "../commands/weir.ts";
import { type WorkerEvent, workerEvents, workerIndex } from "../fixtures/worker-events.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const DAY_MS = 86_400_000;
const nowMs = Date.now();
const startMs = (Math.floor(nowMs / DAY_MS) - 6) * DAY_MS;
const from = ["--from", new Date(startMs).toISOString()];

const folder = temporaryFolder();
/** Workers 0 and 1 write files, worker 2 pushes. */
const workers = [0, 1, 2].map((worker) => [
  ...workerEvents({
    startMs,
    days: (nowMs - startMs) / DAY_MS,
    worker,
    tasksPerDay: 48,
    specialEvery: 3,
    incidents: [{ fromMs: startMs + 2 * DAY_MS, toMs: startMs + 2.5 * DAY_MS, kind: "server-errors" }],
  }),
]);
const all: WorkerEvent[] = workers.flat();
const requests = all.filter(({ metric_name }) => metric_name === "http.request.duration_ms");
const tasks = all.filter(({ metric_name }) => metric_name === "task.processing_duration_ms");
const uploads = all.filter(({ metric_name }) => metric_name === "upload.size_bytes");

let gateway: GatewayProcess;
const open = async () => {
  gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--metricsRetentionDays", "8", "--no-sampler", "--log-level", "warn"],
  });
};
const ask = async (...args: string[]) => {
  const { code, out, err } = await weir([...args, "--url", gateway.url]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return out;
};
const fileOf = (worker: number) => join(folder, `metrics${workerIndex(worker)}.json`);
const dayName = (day: number) => new Date(startMs + day * DAY_MS).toISOString().slice(0, 10);

/** Pushes events over HTTP with a key, and repeats the push, as a client that missed the answer does. */
async function pushTwice(events: readonly WorkerEvent[], key: string, between: () => Promise<void>) {
  const send = () =>
    fetch(`${gateway.url}/api/v1/push?extra_label=instance=3&historical=true`, {
      method: "POST",
      headers: { "idempotency-key": key },
      body: JSON.stringify(events),
    });
  const counts = { accepted: events.length, rejected: 0, errors: [] };
  expect(await (await send()).json()).toEqual(counts);
  await between();
  const again = await send();
  expect([again.headers.get("weir-duplicate"), await again.json()]).toEqual(["true", counts]);
}

beforeAll(async () => {
  await open();
  const written = [0, 1].map((worker) => workers[worker]!.map((event) => `${JSON.stringify(event)}\n`));
  for (let day = 0; day < 7; day++) {
    const isOfDay = (event: WorkerEvent) => Math.floor((event["@timestamp"] - startMs) / DAY_MS) === day;
    // The morning's lines, the last of them truncated as a flush may leave it, then the rest of the day's.
    for (const worker of [0, 1]) {
      const text = written[worker]!.filter((_, at) => isOfDay(workers[worker]![at]!)).join("");
      const cut = Math.floor(text.length / 2);
      appendFileSync(fileOf(worker), text.slice(0, cut));
      await weir(["import", "--url", gateway.url, fileOf(worker)]);
      appendFileSync(fileOf(worker), text.slice(cut));
      // Every other day no import runs before the rotation.
      if (day % 2 === 0) await weir(["import", "--url", gateway.url, fileOf(worker)]);
    }
    await pushTwice(workers[2]!.filter(isOfDay), `worker-3-${dayName(day)}`, async () => {
      await gateway.stop(day % 2 === 0 ? "SIGTERM" : "SIGKILL");
      await open();
    });
    if (day === 6) break;
    for (const worker of [0, 1]) renameSync(fileOf(worker), `${fileOf(worker)}.${dayName(day)}`);
  }
  const files = [0, 1].flatMap((worker) => [
    ...Array.from({ length: 6 }, (_, day) => `${fileOf(worker)}.${dayName(day)}`),
    fileOf(worker),
  ]);
  // Twice: for the second import everything is already stored.
  for (let round = 0; round < 2; round++)
    expect((await weir(["import", "--url", gateway.url, ...files])).code).toBe(0);
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const rowsOf = async (sql: string) =>
  (await ask("sql", "--format", "ndjson", sql))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const summary = async (name: string, ...args: string[]) =>
  (await ask("summary", name, ...from, "--format", "ndjson", ...args))
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
/** Rounded to microseconds, as in the summaries. */
const rounded = (value: number, decimals: number) => Number(value.toFixed(decimals));
const by = <T>(items: readonly T[], key: (item: T) => string): [string, T[]][] =>
  [...Map.groupBy(items, key)].sort(([a], [b]) => (a < b ? -1 : 1));

test("stores each event once, under the worker that its file or its push names", async () => {
  expect(
    await rowsOf(
      "SELECT labels['instance'] AS instance, count(*) AS n FROM samples GROUP BY ALL ORDER BY ALL",
    ),
  ).toEqual(workers.map((events, worker) => ({ instance: String(worker + 1), n: events.length })));
});

test("stores each event in its UTC day", async () => {
  expect(
    await rowsOf(
      "SELECT strftime(ts, '%Y-%m-%d') AS day, count(*) AS n FROM samples GROUP BY ALL ORDER BY ALL",
    ),
  ).toEqual(
    by(all, (event) => new Date(event["@timestamp"]).toISOString().slice(0, 10)).map(([day, events]) => ({
      day,
      n: events.length,
    })),
  );
});

describe("the five common questions", () => {
  const lines = async (name: string) =>
    (await ask("summary", name, ...from, "--format", "lines")).trimEnd().split("\n");
  /**
   * Compares lines but for the sixth digit of the number in each: which events the week has depends on the time of day,
   * and a number may lie at the edge of two roundings.
   */
  const expectLines = (
    got: readonly string[],
    want: readonly (readonly [text: string, number: number])[],
  ) => {
    const number = /-?\d+(?:\.\d+)?(?:e[+-]\d+)?(?= (?:ms|MB)|%)/;
    expect(got.map((line) => line.replace(number, "N"))).toEqual(want.map(([text]) => text));
    got.forEach((line, at) => {
      const value = want[at]![1];
      expect(Math.abs(Number(number.exec(line)![0]) - value)).toBeLessThanOrEqual(Math.abs(value) * 1e-5);
    });
  };
  const operations = by(requests, ({ tags }) => tags.operation!);

  test("average duration by operation", async () => {
    expectLines(
      (await lines("duration_by_operation")).sort(),
      operations.map(([operation, events]) => [
        `${operation}: N ms`,
        sum(events.map(({ value }) => value)) / events.length,
      ]),
    );
  });
  test("requests by status code", async () => {
    const want = by(requests, ({ tags }) => tags.status_code!).map(
      ([code, events]) => `${String(events.length).padStart(7)} ${code}`,
    );
    expect((await lines("requests_by_status")).sort()).toEqual(want.sort());
  });
  test("tasks of more than 5 seconds", async () => {
    const want = tasks
      .filter(({ value }) => value > 5_000)
      .map(({ value, tags }) =>
        JSON.stringify({
          task_id: tags.task_id,
          duration_sec: rounded(value / 1000, 6),
          domain: tags.domain,
        }),
      );
    const text = (
      await ask("summary", "slow_tasks", ...from, "--format", "lines", "--top", "1000")
    ).trimEnd();
    expect(text.split("\n").sort()).toEqual(want.sort());
  });
  test("uploads", async () => {
    const megabytes = sum(uploads.map(({ value }) => value)) / 1024 / 1024;
    expectLines(await lines("uploads"), [[`Total: N MB in ${uploads.length} uploads`, megabytes]]);
  });
  test("error rate by operation", async () => {
    expectLines(
      (await lines("error_rate")).sort(),
      operations.map(([operation, events]) => {
        const failed = events.filter(({ tags }) => tags.success === "false").length;
        return [`${operation}: N% error rate`, (failed / events.length) * 100];
      }),
    );
  });
});

test("the other summaries agree with the events", async () => {
  const isFailed = ({ tags }: WorkerEvent) => !(Number(tags.http_status) < 400);
  const domains = by(tasks, ({ tags }) => tags.domain!).map(([domain, events]) => ({
    domain,
    tasks: events.length,
    failed: events.filter(isFailed).length,
  }));
  const found = (await summary("tasks_by_domain")).map(({ domain, tasks, failed }) => ({
    domain,
    tasks,
    failed,
  }));
  expect(found.sort((a, b) => (String(a.domain) < String(b.domain) ? -1 : 1))).toEqual(domains);

  const report = (await summary("daily_report")).map(({ requests, tasks, uploads }) => [
    requests,
    tasks,
    uploads,
  ]);
  const ofDay = (events: readonly WorkerEvent[]) =>
    by(events, (event) => new Date(event["@timestamp"]).toISOString().slice(0, 10)).map(
      ([, each]) => each.length,
    );
  const [ofRequests, ofTasks, ofUploads] = [ofDay(requests), ofDay(tasks), ofDay(uploads)];
  const want = ofRequests.map((n, day) => [n, ofTasks[day] ?? 0, ofUploads[day] ?? 0]);
  expect(report.sort()).toEqual(want.sort());

  expect((await summary("workers")).map(({ instance, samples }) => [instance, samples]).sort()).toEqual(
    workers.map((events, worker) => [String(worker + 1), events.length]),
  );
});

test("follows one task through every metric, in order", async () => {
  const task = tasks.find(({ tags, value }) => tags.http_status === "200" && value > 5_000)!;
  const events = all.filter(({ tags }) => tags.task_id === task.tags.task_id);
  const timeline = await summary("task_timeline", "--task-id", task.tags.task_id!);
  expect(
    timeline.map(({ metric, value, operation, status }) => ({ metric, value, operation, status })),
  ).toEqual(
    events
      .toSorted((a, b) => a["@timestamp"] - b["@timestamp"])
      .map(({ metric_name, value, tags }) => ({
        metric: metric_name,
        value,
        operation: tags.operation ?? null,
        status: tags.status_code ?? tags.http_status ?? null,
      })),
  );
});

test("PromQL counts the same events", async () => {
  const expression = "sum by (operation) (count_over_time(http_request_duration_ms[8d]))";
  const response = await fetch(`${gateway.url}/api/v1/query?query=${encodeURIComponent(expression)}`);
  const { data } = (await response.json()) as {
    data: { result: { metric: { operation: string }; value: [number, string] }[] };
  };
  expect(data.result.map(({ metric, value }) => [metric.operation, Number(value[1])]).sort()).toEqual(
    by(requests, ({ tags }) => tags.operation!).map(([operation, events]) => [operation, events.length]),
  );
});

test("exports exactly the events that were sent", async () => {
  const exported = (await ask("export", ...from)).split("\n").filter(Boolean);
  const key = (event: WorkerEvent) =>
    `${event["@timestamp"]} ${event.metric_name} ${event.value} ${event.tags.task_id} ${event.tags.operation ?? ""}`;
  const got = exported
    .map((line) => JSON.parse(line) as WorkerEvent)
    .map((event) => ({
      ...event,
      "@timestamp": new Date(event["@timestamp"]).getTime(),
    }));
  expect(got.map(key).sort()).toEqual(all.map(key).sort());
});
