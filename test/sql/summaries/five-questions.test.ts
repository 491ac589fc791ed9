/**
 * Five frequent questions about workers' files, answered by a real gateway after an import of the files, with one
 * `weir summary` command each. The output must agree with the files.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { weir } from "../../commands/weir.ts";
import { type WorkerEvent, workerEvents, workerIndex } from "../../fixtures/worker-events.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const HOUR_MS = 3_600_000;
const folder = temporaryFolder();
// The summaries ask about the last 24 hours: all of these events are of the 20 hours that ended an hour ago.
const startMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 21 * HOUR_MS;
const files = [0, 1, 2].map((worker) => ({
  path: join(folder, `metrics${workerIndex(worker)}.json`),
  events: [...workerEvents({ startMs, days: 20 / 24, worker })],
}));
const events = files.flatMap((file) => file.events);

let gateway: GatewayProcess;
let env: { WEIR_URL: string };
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler"] });
  env = { WEIR_URL: gateway.url };
  for (const { path, events: own } of files)
    writeFileSync(path, own.map((event) => `${JSON.stringify(event)}\n`).join(""));
  const { code, err } = await weir(["import", ...files.map(({ path }) => path)], { env });
  expect([code, err]).toEqual([0, expect.any(String)]);
});
afterAll(async () => {
  await gateway?.stop("SIGTERM");
});

/** What `weir summary NAME --format lines` prints, line by line. */
async function lines(name: string): Promise<string[]> {
  const { code, out, err } = await weir(["summary", name, "--format", "lines"], { env });
  expect([code, err]).toEqual([0, ""]);
  expect(out).toEndWith("\n");
  return out.slice(0, -1).split("\n");
}

const requests = events.filter(({ metric_name }) => metric_name === "http.request.duration_ms");
const byTag = (tag: string) => Map.groupBy(requests, ({ tags }) => tags[tag]!);
const sum = (of: readonly WorkerEvent[]) => of.reduce((total, { value }) => total + value, 0);
/** Six digits, and no zeros behind the point. */
const sixDigits = (value: number) => String(Number(value.toPrecision(6)));

describe("weir summary prints", () => {
  test("the average duration of each operation in milliseconds", async () => {
    expect((await lines("duration_by_operation")).sort()).toEqual(
      [...byTag("operation")]
        .map(([operation, own]) => `${operation}: ${sixDigits(sum(own) / own.length)} ms`)
        .sort(),
    );
  });

  test("how many requests had each status code", async () => {
    const got = await lines("requests_by_status");
    expect(got.toSorted()).toEqual(
      [...byTag("status_code")].map(([code, own]) => `${String(own.length).padStart(7)} ${code}`).sort(),
    );
    expect(got[0]).toEndWith(" 200");
  });

  test("the tasks that took more than 5 seconds, as JSON of three keys", async () => {
    const slow = events
      .filter(({ metric_name, value }) => metric_name === "task.processing_duration_ms" && value > 5_000)
      .sort((a, b) => b.value - a.value || a["@timestamp"] - b["@timestamp"]);
    const top = slow.slice(0, 100);
    const got = await lines("slow_tasks");
    expect(got.length).toBe(top.length);
    expect(got.map((line) => JSON.parse(line) as unknown).sort(byId)).toEqual(
      top
        .map(({ value, tags }) => ({
          task_id: tags.task_id!,
          duration_sec: Number((value / 1000).toFixed(5)),
          domain: tags.domain!,
        }))
        .sort(byId),
    );
    expect(got[0]).toMatch(/^\{"task_id":"[0-9]+_[0-9a-z]+","duration_sec":1[0-9.]+,"domain":"[a-z.]+"\}$/);
  });

  test("the megabytes of all uploads, and how many they were", async () => {
    const uploads = events.filter(({ metric_name }) => metric_name === "upload.size_bytes");
    expect(await lines("uploads")).toEqual([
      `Total: ${sixDigits(sum(uploads) / 1024 / 1024)} MB in ${uploads.length} uploads`,
    ]);
  });

  test("the percentage of each operation's requests that failed", async () => {
    expect((await lines("error_rate")).sort()).toEqual(
      [...byTag("operation")]
        .map(([operation, own]) => {
          const failed = own.filter(({ tags }) => tags.success === "false").length;
          return `${operation}: ${sixDigits((100 * failed) / own.length)}% error rate`;
        })
        .sort(),
    );
  });
});

const byId = (a: unknown, b: unknown) =>
  (a as { task_id: string }).task_id < (b as { task_id: string }).task_id ? -1 : 1;

test("a summary reports a metric that was never pushed, instead of an empty answer", async () => {
  const args = ["summary", "slow_tasks", "--tasks-metric", "task.processing_duration", "--format", "csv"];
  expect(await weir(args, { env })).toEqual({
    code: 0,
    out: "task_id,duration_sec,domain,http_status,method,ts\n",
    err: "weir summary: No metric task.processing_duration is stored; did you mean --tasks-metric task.processing_duration_ms?\n",
  });
  const other = await weir(["summary", "uploads", "--uploads-metric", "sent", "--format", "lines"], { env });
  expect(other).toEqual({
    code: 0,
    out: "Total: 0 MB in 0 uploads\n",
    err: "weir summary: No metric sent is stored; use --uploads-metric for another metric.\n",
  });
});

test("the document of the summaries contains these five commands", () => {
  const documents = readFileSync(join(import.meta.dir, "../../../sql/summaries/README.md"), "utf8");
  const names = [...documents.matchAll(/\| `weir summary (\w+) --format lines` \|/g)].map(([, name]) => name);
  expect(names).toEqual([
    "duration_by_operation",
    "requests_by_status",
    "slow_tasks",
    "uploads",
    "error_rate",
  ]);
});
