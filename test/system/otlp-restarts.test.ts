/**
 * Increments of OpenTelemetry (delta temporality) across restarts: a worker that starts again without an instance, and a
 * gateway that is stopped or killed, lose nothing and count nothing twice.
 */
import { afterEach, expect, test } from "bun:test";
import { GatewayProcess } from "../gateway-process.ts";
import { NODE, type Protocol, runApplication } from "../receive/otlp/sdk-run.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const running: GatewayProcess[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop("SIGKILL");
});

async function start(data: string): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start({
    data,
    args: ["--no-sampler", "--otlp-grpc-listen", "127.0.0.1:0"],
  });
  running.push(gateway);
  return gateway;
}

/** One life of the worker: it counts two completed jobs, one started job and three durations. */
async function work(gateway: GatewayProcess, protocol: Protocol): Promise<void> {
  const grpc = /grpc:(\/\/127\.0\.0\.1:\d+)/.exec(gateway.log.text)![1];
  const endpoint = protocol === "grpc" ? `http:${grpc}` : `${gateway.url}/v1/metrics`;
  const run = { protocol, endpoint, service: "worker", temporality: "delta", args: ["once"] } as const;
  expect(await runApplication(run)).toBe("");
}

/** The counters on /metrics: of durations the last bucket, the sum and the count, and of jobs those of each status. */
async function totals({ url }: GatewayProcess): Promise<string[]> {
  const names = "name[]=jobs_processed_total&name[]=job_duration_seconds";
  const text = await (await fetch(`${url}/metrics?${names}`)).text();
  const series =
    /^(\w+)\{instance="",job="worker",priority="5",service="resize",(.*)worker_id="w-1"(.*)\} (.*)$/gm;
  return [...text.matchAll(series)]
    .filter(([, name, , le]) => !name!.endsWith("_bucket") || le === ',le="+Inf"')
    .map(([, name, status, , value]) => `${name} ${status}${value}`);
}

const want = (lives: number) => [
  `job_duration_seconds_bucket ${3 * lives}`,
  `job_duration_seconds_sum ${45.35 * lives}`,
  `job_duration_seconds_count ${3 * lives}`,
  `jobs_processed_total status="completed",${2 * lives}`,
  `jobs_processed_total status="started",${lives}`,
];

test.skipIf(NODE === undefined)(
  "increments are added up across restarts of the worker and of the gateway",
  async () => {
    const data = temporaryFolder();
    const first = await start(data);
    await work(first, "http/protobuf");
    await work(first, "grpc");
    expect(await totals(first)).toEqual(want(2));
    await first.stop("SIGKILL");

    const second = await start(data);
    expect(await totals(second)).toEqual(want(2));
    await work(second, "http/json");
    expect(await totals(second)).toEqual(want(3));
    expect(await second.stop("SIGTERM")).toBe(0);

    const third = await start(data);
    await work(third, "grpc");
    expect(await totals(third)).toEqual(want(4));
    const sql =
      "SELECT status, sum(value), count(*) FROM jobs_processed_total GROUP BY status ORDER BY status";
    const rows = await fetch(`${third.url}/api/v1/sql?format=csv&q=${encodeURIComponent(sql)}`);
    expect((await rows.text()).trim().split(/\r?\n/).slice(1)).toEqual(["completed,8,4", "started,4,4"]);

    // A minute from now, all increments are in the past. The total of each series is that of /metrics.
    const time = Date.now() / 1_000 + 60;
    const query = 'sum by (status) (jobs_processed_total{job="worker"})';
    const answer = await fetch(`${third.url}/api/v1/query?time=${time}&query=${encodeURIComponent(query)}`);
    const { data: found } = (await answer.json()) as {
      data: { result: { metric: object; value: [number, string] }[] };
    };
    expect(found.result.map(({ metric, value }) => [metric, value[1]])).toEqual([
      [{ status: "completed" }, "8"],
      [{ status: "started" }, "4"],
    ]);
  },
);
