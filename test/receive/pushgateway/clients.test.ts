/** Real clients push to the real process: prom-client's Pushgateway class, and curl. */
import { beforeAll, expect, test } from "bun:test";
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Pushgateway,
  Registry,
  Summary,
} from "prom-client";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { Subject } from "./subject.ts";

const folder = temporaryFolder();
let gateway: GatewayProcess;
let subject: Subject;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: folder, args: ["--enable-admin-api", "--enable-lifecycle"] });
  subject = new Subject(gateway.url);
});

function metrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    jobs: new Counter({ name: "jobs_total", help: "Jobs.", labelNames: ["kind"], registers }),
    depth: new Gauge({ name: "depth", help: "Depth.", registers }),
    seconds: new Histogram({ name: "job_seconds", help: "Seconds.", buckets: [1, 2.5], registers }),
    size: new Summary({ name: "job_bytes", help: "Bytes.", percentiles: [0.5], registers }),
  };
}

test("supports push, pushAdd and delete of prom-client", async () => {
  const { registry, jobs, depth, seconds, size } = metrics();
  const client = new Pushgateway(gateway.url, {}, registry);
  jobs.inc({ kind: "a b/c" }, 3);
  depth.set(-1.5);
  seconds.observe(2);
  size.observe(7);
  const group = { jobName: "nightly run", groupings: { instance: "host 1+é" } };
  const pushed = (await client.push(group)) as { body: unknown; resp: { statusCode?: number } };
  expect([pushed.resp.statusCode, pushed.body]).toEqual([200, ""]);
  const labels = 'instance="host 1+é",job="nightly run"';
  const rest = [
    `job_bytes_count{${labels}} 1`,
    `job_bytes_sum{${labels}} 7`,
    `job_bytes{${labels},quantile="0.5"} 7`,
    `job_seconds_bucket{${labels},le="1"} 0`,
    `job_seconds_bucket{${labels},le="2.5"} 1`,
    `job_seconds_bucket{${labels},le="+Inf"} 1`,
    `job_seconds_count{${labels}} 1`,
    `job_seconds_sum{${labels}} 2`,
  ];
  const exposed = async () => (await subject.exposed()).exposed;
  expect(await exposed()).toEqual(
    [...rest, `depth{${labels}} -1.5`, `jobs_total{${labels},kind="a b/c"} 3`].sort(),
  );

  const other = metrics();
  other.jobs.inc({ kind: "d" });
  const only = new Registry();
  only.registerMetric(other.jobs);
  await new Pushgateway(gateway.url, { headers: { "Content-Encoding": "gzip" } }, only).pushAdd(group);
  expect(await exposed()).toEqual(
    [...rest, `depth{${labels}} -1.5`, `jobs_total{${labels},kind="d"} 1`].sort(),
  );

  const deleted = (await client.delete(group)) as { resp: { statusCode?: number } };
  expect(deleted.resp.statusCode).toBe(202);
  expect(await exposed()).toEqual([]);
});

test("exposes prom-client's default metrics of several workers beside the gateway's own", async () => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const client = new Pushgateway(gateway.url, {}, registry);
  for (const instance of ["1", "2"]) await client.push({ jobName: "worker", groupings: { instance } });
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(text.match(/^process_cpu_seconds_total\{.*job="worker"\} /gm)).toHaveLength(2);
  expect(text).toMatch(/^process_cpu_seconds_total [0-9.e-]+$/m);
  expect(text.match(/^# TYPE process_cpu_seconds_total counter$/gm)).toHaveLength(1);
  await client.push({ jobName: "worker", groupings: { instance: "1" } });
  for (const instance of ["1", "2"]) await client.delete({ jobName: "worker", groupings: { instance } });
});

test("reports an error to prom-client", async () => {
  const { registry, depth } = metrics();
  depth.set(1);
  await new Pushgateway(gateway.url, {}, registry).push({ jobName: "a" });
  const other = new Registry();
  new Counter({ name: "depth", help: "Depth.", registers: [other] }).inc();
  const failing = new Pushgateway(gateway.url, {}, other).push({ jobName: "b" });
  expect(await failing.catch((error: Error) => error.message)).toContain(
    "push failed with status 400, pushed metrics are invalid or inconsistent with existing metrics: collected metric",
  );
  expect(await subject.groups()).toEqual({ '{"job":"a"}': 1, '{"job":"b"}': 0 });
});

test("answers curl in text", async () => {
  const curl = async (...args: string[]) => {
    const child = Bun.spawn(["curl", "-sS", "-w", "%{http_code}", ...args], {
      stdin: Buffer.from("some_metric 3.14\n"),
      stdout: "pipe",
    });
    return await new Response(child.stdout).text();
  };
  const url = `${gateway.url}/metrics/job/some_job`;
  expect(await curl("--data-binary", "@-", url)).toBe("200");
  expect(await curl("-T", "-", `${url}/instance/put`)).toBe("200");
  expect(await curl("--data", "some_metric 3.14", url)).toBe(
    "text format parsing error in line 1: unexpected end of input stream\n400",
  );
  expect((await subject.exposed()).exposed.filter((line) => line.startsWith("some_metric"))).toEqual([
    'some_metric{instance="put",job="some_job"} 3.14',
    'some_metric{job="some_job"} 3.14',
  ]);
  expect(await curl("-X", "DELETE", `${url}/instance/put`)).toBe("202");
  expect(await curl("-X", "PUT", `${gateway.url}/api/v1/admin/wipe`)).toBe("202");
  expect(await subject.groups()).toEqual({});
});

test("stores its groups and stops at a quit request", async () => {
  await fetch(`${gateway.url}/metrics/job/last`, { method: "PUT", body: "m 1\n" });
  const answer = await fetch(`${gateway.url}/-/quit`, { method: "POST" });
  expect([answer.status, await answer.text()]).toEqual([200, "Requesting termination... Goodbye!"]);
  expect(await gateway.ended()).toBe(0);
  const again = await GatewayProcess.start({ data: folder, args: ["--no-sampler"] });
  expect((await new Subject(again.url).exposed()).exposed).toEqual(['m{job="last"} 1']);
  expect(await again.stop("SIGTERM")).toBe(0);
});
