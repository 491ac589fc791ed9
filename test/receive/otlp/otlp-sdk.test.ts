/**
 * The OpenTelemetry SDK for JavaScript with its three exporters, configured by variables as its users do it, against the
 * real listeners: the same worker stores the same rows, whatever carries its metrics.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Unavailable } from "../../../src/model/errors.ts";
import { DAY_MS, openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { serveGrpc } from "./grpc/grpc-server.ts";
import { NODE, type Protocol, runApplication } from "./sdk-run.ts";

const PROTOCOLS = ["http/protobuf", "http/json", "grpc"] as const;

const RESOURCE =
  "service.namespace=emp,service.instance.id=worker-1,machine.id=m-1,deployment.environment=staging";

class Server {
  gateway!: TestGateway;
  #http = "";
  #grpc = "";

  async open(settings: readonly string[] = [], nowMs = Date.now()): Promise<this> {
    this.gateway = await openTestGatewayAt(
      nowMs,
      "--otlp-listen=127.0.0.1:0",
      "--otlp-grpc-listen=127.0.0.1:0",
      ...settings,
    );
    for (const url of await this.gateway.startServices()) {
      if (url.startsWith("grpc:")) this.#grpc = url.replace("grpc:", "http:");
      else this.#http = url;
    }
    return this;
  }

  endpoint(protocol: Protocol): string {
    // The variables of users have this name. Node tries all of its addresses.
    const url = protocol === "grpc" ? this.#grpc : `${this.#http}/v1/metrics`;
    return url.replace("127.0.0.1", "localhost");
  }

  async rows(sql: string): Promise<unknown[][]> {
    const response = await this.gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(sql)}`);
    const answer = (await response.json()) as { rows: Record<string, unknown>[]; error?: unknown };
    expect(answer.error).toBeUndefined();
    return answer.rows.map((row) => Object.values(row));
  }

  /** Values of an instant query 200 s after the gateway was opened, by the text of their labels. */
  async promql(query: string): Promise<Record<string, number>> {
    const time = this.gateway.nowMs / 1_000 + 200;
    const response = await this.gateway.fetch(
      `/api/v1/query?time=${time}&query=${encodeURIComponent(query)}`,
    );
    const { data } = (await response.json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return Object.fromEntries(
      data.result.map(({ metric, value }) => [JSON.stringify(metric), Number(value[1])]),
    );
  }
}

describe.skipIf(NODE === undefined).each(["delta", "cumulative"] as const)(
  "a worker with %s temporality",
  (temporality) => {
    let server: Server;
    beforeAll(async () => {
      server = await new Server().open([
        "--otlp-promote-resource-attributes=machine.id,deployment.environment",
      ]);
    });
    afterAll(() => server.gateway.close());

    test("exports without an error by each protocol", async () => {
      for (const protocol of PROTOCOLS) {
        const run = {
          protocol,
          endpoint: server.endpoint(protocol),
          service: protocol,
          temporality,
          resource: RESOURCE,
        };
        expect(await runApplication(run)).toBe("");
      }
    });

    /** The same rows for the job of each protocol. `JOB` stands for it. */
    const rows = (name: string, sql: string, want: unknown[][]) =>
      test(name, async () => {
        for (const protocol of PROTOCOLS)
          expect([protocol, await server.rows(sql.replace("JOB", `emp/${protocol}`))]).toEqual([
            protocol,
            want,
          ]);
      });
    const value = (name: string, query: string, want: Record<string, number>) =>
      test(name, async () => {
        for (const protocol of PROTOCOLS)
          expect([protocol, await server.promql(query.replaceAll("JOB", `emp/${protocol}`))]).toEqual([
            protocol,
            want,
          ]);
      });
    const isDelta = temporality === "delta";
    const total = isDelta ? "sum" : "max";

    rows(
      "counts jobs by status",
      `SELECT status, service, priority, worker_id, instance, machine_id, deployment_environment, ${total}(value)
       FROM jobs_processed_total WHERE job = 'JOB' GROUP BY ALL ORDER BY status`,
      [
        ["completed", "resize", "5", "w-1", "worker-1", "m-1", "staging", 5],
        ["started", "resize", "5", "w-1", "worker-1", "m-1", "staging", 1],
      ],
    );
    rows(
      "has the attributes of HTTP as columns",
      `SELECT http_method, http_status_code, ${total}(value) FROM http_requests_total WHERE job = 'JOB' GROUP BY ALL`,
      [["GET", "200", 4]],
    );
    rows(
      "has levels at both times",
      "SELECT a.value AS active, q.value AS waiting FROM jobs_active a JOIN queue_size_ratio q USING (ts, job) WHERE job = 'JOB' ORDER BY ts",
      [
        [2, 7],
        [1, 4],
      ],
    );
    rows(
      "has a gauge of each GPU",
      "SELECT gpu_index, max(value), count(*) FROM gpu_utilization_percent WHERE job = 'JOB' GROUP BY 1 ORDER BY 1",
      [
        ["0", 75, 2],
        ["1", 12.5, 2],
      ],
    );
    rows(
      "has an observed total",
      `SELECT ${total}(value) FROM process_uptime_seconds_total WHERE job = 'JOB'`,
      [[25]],
    );
    rows(
      "has its own buckets of durations",
      `SELECT le, ${total}(value) FROM job_duration_seconds_bucket WHERE job = 'JOB' GROUP BY le
       ORDER BY try_cast(le AS DOUBLE)`,
      [
        ["0.1", 1],
        ["0.5", 3],
        ["1.0", 3],
        ["5.0", 3],
        ["30.0", 3],
        ["60.0", 4],
        ["+Inf", 4],
      ],
    );

    const labels = '"deployment_environment":"staging","instance":"worker-1"';
    value(
      "has its totals in PromQL",
      'sum by (status, instance, deployment_environment) (jobs_processed_total{job="JOB"})',
      { [`{${labels},"status":"completed"}`]: 5, [`{${labels},"status":"started"}`]: 1 },
    );
    value(
      "has the mean of durations in PromQL",
      'sum by (service) (job_duration_seconds_sum{job="JOB"}) / sum by (service) (job_duration_seconds_count{job="JOB"})',
      { '{"service":"resize"}': (0.05 + 0.3 + 45 + 0.3) / 4 },
    );
    value(
      // One of four observations is up to 0.1 and two are up to 0.5: half of four is halfway between these bounds.
      "has quantiles of durations in PromQL",
      'histogram_quantile(0.5, sum by (le) (job_duration_seconds_bucket{job="JOB"}))',
      { "{}": 0.1 + 0.4 / 2 },
    );
    value(
      "has an exponential histogram as buckets in PromQL",
      'sum by (q) (label_replace(job_output_size_bytes_count{job="JOB"}, "q", "count", "", "") or ' +
        'label_replace(job_output_size_bytes_sum{job="JOB"}, "q", "sum", "", "") or ' +
        'label_replace(job_output_size_bytes_bucket{job="JOB",le="4096.0"}, "q", "le4096", "", ""))',
      { '{"q":"count"}': 3, '{"q":"sum"}': 104_000, '{"q":"le4096"}': 2 },
    );
    value(
      "has the last levels in PromQL",
      'sum by (q) (label_replace(queue_size_ratio{job="JOB"}, "q", "queue", "", "") or ' +
        'label_replace(jobs_active{job="JOB"}, "q", "active", "", ""))',
      { '{"q":"queue"}': 4, '{"q":"active"}': 1 },
    );
    value(
      "has its resource in target_info",
      'sum by (machine_id, instance, deployment_environment, service_name) (target_info{job="JOB"})',
      { [`{${labels},"machine_id":"m-1"}`]: 1 },
    );
  },
);

/**
 * A proxy that loses the answer to the first request: the gateway stores it, and the SDK gets a status that is worth a
 * retry.
 */
function lossyProxy(target: string) {
  const answers: number[] = [];
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { headers } = request;
      headers.delete("host");
      const answer = await fetch(target, { method: "POST", headers, body: await request.bytes() });
      answers.push(answer.status);
      if (answers.length > 1) return answer;
      return new Response("", { status: 503, headers: { "retry-after": "1" } });
    },
  });
  return { endpoint: `${proxy.url}v1/metrics`, answers, proxy };
}

describe.skipIf(NODE === undefined)("a worker whose clock is wrong", () => {
  test.each(PROTOCOLS)("gets the number of rejected points and the reason by %s", async (protocol) => {
    const server = await new Server().open([], Date.now() + 30 * DAY_MS);
    const run = { protocol, endpoint: server.endpoint(protocol), service: "w", args: ["once"] } as const;
    const log = await runApplication({ ...run, temporality: "delta" });
    expect(log).toContain("Received Partial Success response");
    const time = String.raw`time_unix_nano \d{4}-\d\d-\d\dT[\d:.]+Z`;
    const reason = `${time} is before retention, which starts at [-\\dT:.Z]+ \\(--retention-days 3; 31 would cover it\\)`;
    expect(log).toMatch(new RegExp(`10 of 10 data points were rejected: ${reason}: `));
    // All points have the same reason, which is reported once.
    expect(log.match(/is before retention/g)).toHaveLength(1);
    await server.gateway.close();
  });
});

describe.skipIf(NODE === undefined)("a request that is sent again", () => {
  test.each(["http/protobuf", "http/json"] as const)(
    "by %s is stored once, also if it was stored before",
    async (protocol) => {
      const server = await new Server().open();
      const { endpoint, answers, proxy } = lossyProxy(server.endpoint(protocol));
      const run = { protocol, endpoint, service: "worker", temporality: "delta", args: ["once"] } as const;
      expect(await runApplication(run)).toBe("");
      expect(answers).toEqual([200, 200]);
      const sql =
        "SELECT status, sum(value), count(*) FROM jobs_processed_total GROUP BY status ORDER BY status";
      expect(await server.rows(sql)).toEqual([
        ["completed", 2, 1],
        ["started", 1, 1],
      ]);
      expect(await server.rows("SELECT sum(value) FROM job_duration_seconds_count")).toEqual([[3]]);
      expect(await server.rows("SELECT value FROM jobs_active")).toEqual([[2]]);
      await proxy.stop(true);
      await server.gateway.close();
    },
  );
});

test.skipIf(NODE === undefined)(
  "the gRPC exporter reports a status with its message, and sends nothing again",
  async () => {
    let requests = 0;
    const { service, url } = await serveGrpc(() => {
      requests++;
      return Promise.reject(new Unavailable("Zurück in 5 s."));
    });
    const endpoint = url.replace("grpc:", "http:");
    const run = {
      protocol: "grpc",
      endpoint,
      service: "worker",
      temporality: "delta",
      args: ["once"],
    } as const;
    expect(await runApplication(run)).toContain("14 UNAVAILABLE: Zurück in 5 s.");
    expect(requests).toBe(1);
    await service.stop();
  },
);
