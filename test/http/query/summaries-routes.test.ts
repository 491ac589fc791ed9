/** Summaries over HTTP: the list, a run, and errors. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type App, createApp } from "../../../src/http/app.ts";
import { createLog } from "../../../src/log/log.ts";
import { summariesRoutes } from "../../../src/http/query/summaries-routes.ts";
import { createCounters } from "../../../src/model/counters.ts";
import { createFormats } from "../../../src/query/formats/all.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { Summaries, storeFacts } from "../../../src/query/summaries/summaries.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Samples, storedSamples } from "../../query/stored.ts";

let samples: Samples;
let engine: SqlEngine;
let app: App;

beforeAll(async () => {
  samples = await storedSamples([
    {
      metric: "http.request.duration_ms",
      ts: "2024-01-01T10:00:00Z",
      value: 1,
      tags: { status_code: "200" },
    },
    {
      metric: "http.request.duration_ms",
      ts: "2024-01-01T10:00:01Z",
      value: 2,
      tags: { status_code: "503" },
    },
    {
      metric: "http.request.duration_ms",
      ts: "2024-01-02T10:00:00Z",
      value: 3,
      tags: { status_code: "503" },
    },
  ]);
  const { store, registry, folder } = samples;
  engine = new SqlEngine({
    counters: createCounters(),
    store,
    registry,
    timeoutMs: 10_000,
    rowsMax: 1_000,
    textBytesMax: 1_000,
    concurrencyMax: 1,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
  const summaries = new Summaries({ engine, facts: () => storeFacts(store, folder) });
  const formats = createFormats({ directory: join(folder, "answers"), memoryLimitBytes: 64 * 1_048_576 });
  app = createApp([summariesRoutes({ summaries, formats })], {
    log: createLog("error", () => {}),
    counters: createCounters(),
  });
});
afterAll(async () => {
  await engine.close();
  await samples.close();
});

const get = (path: string) => app.fetch(new Request(`http://localhost/api/v1/summaries${path}`));

test("the list has the parameters of each summary", async () => {
  const { summaries } = (await (await get("")).json()) as {
    summaries: { name: string; parameters: unknown[] }[];
  };
  expect(summaries.map(({ name }) => name)).toEqual([
    "anomalies",
    "daily_report",
    "disk_use",
    "duration_by_operation",
    "error_rate",
    "forecast",
    "requests_by_status",
    "service_levels",
    "slow_tasks",
    "storage_by_day",
    "task_failures",
    "task_timeline",
    "tasks_by_domain",
    "traffic",
    "uploads",
    "workers",
  ]);
  expect(summaries.find(({ name }) => name === "task_timeline")).toEqual({
    name: "task_timeline",
    question: "What happened to one task, in order?",
    description:
      "Every sample of every metric that has the id of the task, the oldest first. `status` is the status of a request's answer, or of the task.",
    parameters: [
      { name: "task_id", type: "text", meaning: "the id of the task" },
      { name: "from", type: "time", default: "1970-01-01", meaning: "start of the range" },
      { name: "to", type: "time", default: "+1d", meaning: "end of the range, not included" },
      { name: "task_id_tag", type: "tag", default: "task_id", meaning: "the id of a task" },
      { name: "operation_tag", type: "tag", default: "operation", meaning: "what a request is for" },
      {
        name: "status_code_tag",
        type: "tag",
        default: "status_code",
        meaning: "the status of the answer to a request",
      },
      { name: "http_status_tag", type: "tag", default: "http_status", meaning: "how a task ended" },
    ],
  } as never);
});

test("runs a summary over a range, in any format", async () => {
  const range = "from=2024-01-01&to=2024-01-02T00:00:00Z";
  expect(await (await get(`/requests_by_status?${range}`)).json()).toMatchObject({
    rows: [
      { status_code: "200", requests: 1, percent: 50 },
      { status_code: "503", requests: 1, percent: 50 },
    ],
  });
  expect(await (await get(`/requests_by_status?${range}&format=csv&limit=1`)).text()).toBe(
    "status_code,requests,percent\n200,1,50\n",
  );
});

test("format=lines returns the summary's own sentence per row, in order", async () => {
  const lines = async (path: string) => {
    const response = await get(path);
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    return await response.text();
  };
  const range = "from=2024-01-01&to=2024-01-03T00:00:00Z&format=lines";
  expect(await lines(`/requests_by_status?${range}`)).toBe("      2 503\n      1 200\n");
  // A row without a sentence is omitted.
  expect(await lines(`/uploads?${range}`)).toBe("Total: 0 MB in 0 uploads\n");
  // A summary without sentences returns the cells.
  expect(await lines(`/tasks_by_domain?${range}&tasks_metric=http.request.duration_ms`)).toBe(
    "(none)\t3\t0\t0\t2\t2.9\t3\n",
  );
});

test("names a metric that is not stored in a header, with any characters in its name", async () => {
  const absentIn = async (path: string) => (await get(path)).headers.get("weir-absent-metrics");
  expect(await absentIn("/requests_by_status?from=2024-01-01&to=2024-01-02")).toBeNull();
  expect(await absentIn("/uploads")).toBe("upload.size_bytes; parameter=uploads_metric");
  expect(await absentIn("/requests_by_status?requests_metric=http.requests.duration_ms")).toBe(
    "http.requests.duration_ms; parameter=requests_metric; near=http.request.duration_ms",
  );
  expect(await absentIn("/uploads?uploads_metric=a%0D%0Ab%2C%20%E2%82%AC")).toBe(
    "a%0D%0Ab%2C%20%E2%82%AC; parameter=uploads_metric",
  );
});

test("rejects unknown summaries and invalid parameters with the reason", async () => {
  const failure = async (path: string) => {
    const response = await get(path);
    return [response.status, ((await response.json()) as { error: { message: string } }).error.message];
  };
  expect(await failure("/nothing")).toEqual([404, expect.stringContaining('There is no summary "nothing"')]);
  expect(await failure("/workers?form=now")).toEqual([400, expect.stringContaining('no parameter "form"')]);
  expect(await failure("/workers?from=now&from=now")).toEqual([
    400,
    "from is given twice; expected one value.",
  ]);
  expect(await failure("/workers?format=xml")).toEqual([400, expect.stringContaining("xml")]);
});
