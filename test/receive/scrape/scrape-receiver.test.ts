/** A gateway that scrapes: what is stored, what the API says about targets, and what is logged. */
import { afterEach, describe, expect, test } from "bun:test";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { type App, createApp } from "../../../src/http/app.ts";
import { Busy } from "../../../src/model/errors.ts";
import type { Service } from "../../../src/model/service.ts";
import type { Clock } from "../../../src/receive/scrape/scrape-loop.ts";
import { openScraper } from "../../../src/receive/scrape/scrape-receiver.ts";
import { BucketLayouts } from "../../../src/wire/bucket-layout.ts";
import { BodyHash } from "../../../src/wire/body-hash.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { type Page, servePages } from "./target-cases.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** The clock of a gateway. A wait lasts until the test steps on, and then takes exactly as long as it should. */
class SteppedClock implements Clock {
  readonly #gateway: TestGateway;
  #waiting = Promise.withResolvers<void>();
  #go = Promise.withResolvers<void>();

  constructor(gateway: TestGateway) {
    this.#gateway = gateway;
  }

  now = () => this.#gateway.nowMs;
  monotonic = () => this.#gateway.nowMs;

  async wait(ms: number, stop: AbortSignal): Promise<void> {
    this.#waiting.resolve();
    if (stop.aborted) return;
    const stopped = Promise.withResolvers<void>();
    stop.addEventListener("abort", () => stopped.resolve());
    await Promise.race([this.#go.promise, stopped.promise]);
    if (!stop.aborted) this.#gateway.nowMs += ms;
  }

  /** Ends the wait, and resolves at the next one: the scrape between is stored. */
  async step(): Promise<void> {
    await this.#waiting.promise;
    this.#waiting = Promise.withResolvers();
    const go = this.#go;
    this.#go = Promise.withResolvers();
    go.resolve();
    await this.#waiting.promise;
  }
}

interface Scraping {
  readonly gateway: TestGateway;
  readonly address: string;
  /** Scrapes once, 15 s after the scrape before, with this answer. Returns its time, in milliseconds. */
  scrape(answer: string | Page | (() => Page | Response | Promise<Page>)): Promise<number>;
  readonly services: readonly Service[];
  readonly api: App;
  /** The result of an instant query now: `name{labels} value`, without the labels `job` and `instance`. */
  query(expression: string, atMs?: number): Promise<string[]>;
  /** Whether ingest rejects pushes as if its queue was full. */
  isFull: boolean;
}

/** A gateway with one target, `job="j"` and `instance="i"`. */
async function open(settings: Record<string, unknown> = {}, ...flags: string[]): Promise<Scraping> {
  let answer: Parameters<Scraping["scrape"]>[0] = "";
  const pages = servePages(() =>
    typeof answer === "function" ? answer() : typeof answer === "string" ? { body: answer } : answer,
  );
  closing.push(pages.stop);
  const gateway = await openTestGateway(...flags);
  closing.push(() => gateway.close());
  const clock = new SteppedClock(gateway);
  const { ingest, log } = gateway.gateway;
  const jobs = readScrapeJobs(
    [
      {
        job_name: "j",
        static_configs: [{ targets: [pages.address], labels: { instance: "i" } }],
        ...settings,
      },
    ],
    "scrape",
  );
  const { routes, services = [] } = await openScraper(
    {
      ingest: {
        bodyHash: new BodyHash(""),
        push: (batch) =>
          scraping.isFull ? Promise.reject(new Busy("the queue is full")) : ingest.push(batch),
        transact: (transaction) => ingest.transact(transaction),
      },
      layouts: new BucketLayouts(),
      counters: gateway.counters,
      log,
      settings: { scrape: jobs },
    },
    clock,
  );
  for (const service of services)
    await service.start((error) => log("service_failed", { error: String(error) }));
  closing.push(() => Promise.all(services.map((service) => service.stop())));
  const scraping: Scraping = {
    gateway,
    address: pages.address,
    services,
    isFull: false,
    api: createApp(routes, { log, counters: gateway.counters }),
    async scrape(next) {
      answer = next;
      await clock.step();
      return gateway.nowMs;
    },
    async query(expression, atMs = gateway.nowMs) {
      const parameters = new URLSearchParams({ query: expression, time: String(atMs / 1_000) });
      const text = await (await gateway.fetch(`/api/v1/query?${parameters}`)).json();
      const { data } = text as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      return data.result
        .map(({ metric: { __name__: name = "", job: _, instance: __, ...labels }, value: [, value] }) => {
          const shown = Object.entries(labels).map(([label, each]) => `${label}="${each}"`);
          return `${name}{${shown.join(",")}} ${value}`;
        })
        .sort();
    },
  };
  return scraping;
}

const targetsOf = async ({ api }: Scraping, query = "") => {
  const answer = await api.fetch(new Request(`http://localhost/api/v1/targets${query}`));
  return ((await answer.json()) as { data: Record<string, unknown> }).data;
};

/** The log lines since the last call: level, message and error. */
const logOf = ({ gateway }: Scraping) =>
  gateway.takeLog().map((line) => {
    const { level, message, error } = JSON.parse(line) as Record<string, string>;
    return [level, message, error];
  });

/** A GPU worker's metrics after a number of scrapes: 30 attempts succeed and 3 fail between two of them. */
const gpuWorker = (at: number) => `# HELP tops_worker_successful_attempts_total Successful attempts
# TYPE tops_worker_successful_attempts_total counter
tops_worker_successful_attempts_total ${1_000 + 30 * at}
# TYPE tops_worker_failed_attempts_total counter
tops_worker_failed_attempts_total ${100 + 3 * at}
# TYPE tops_worker_total_attempts_total counter
tops_worker_total_attempts_total ${1_100 + 33 * at}
# TYPE tops_worker_success_rate gauge
tops_worker_success_rate 9090
# TYPE tops_worker_uptime_seconds gauge
tops_worker_uptime_seconds ${3_600 + 15 * at}
# TYPE tops_worker_attempt_duration_ms histogram
tops_worker_attempt_duration_ms_bucket{le="10"} 0
tops_worker_attempt_duration_ms_bucket{le="25"} 0
tops_worker_attempt_duration_ms_bucket{le="50"} 10
tops_worker_attempt_duration_ms_bucket{le="100"} 60
tops_worker_attempt_duration_ms_bucket{le="200"} 90
tops_worker_attempt_duration_ms_bucket{le="500"} 100
tops_worker_attempt_duration_ms_bucket{le="+Inf"} 100
tops_worker_attempt_duration_ms_sum 9999
tops_worker_attempt_duration_ms_count 100
`;

describe("a GPU worker that only exposes metrics", () => {
  test("answers the queries of its dashboard as if a Prometheus scraped it", async () => {
    const scraping = await open({ metrics_path: "/prometheus" });
    for (let at = 0; at < 5; at++) await scraping.scrape({ body: gpuWorker(at), contentType: "text/plain" });
    const { query } = scraping;
    expect(await query("tops_worker_success_rate / 100")).toEqual(["{} 90.9"]);
    // 90 attempts in 45 s, extrapolated to the minute: 120. Prometheus multiplies by 60 / 45 / 60, which is not exact.
    expect(await query("rate(tops_worker_successful_attempts_total[1m])")).toEqual(["{} 1.9999999999999998"]);
    // 12 failures in the 60 s between the samples, extrapolated by half an interval: 13.5 in 5 minutes.
    expect(await query("rate(tops_worker_failed_attempts_total[5m])")).toEqual(["{} 0.045"]);
    expect(
      await query(
        "round(rate(tops_worker_failed_attempts_total[5m]) / rate(tops_worker_total_attempts_total[5m]) * 100, 0.001)",
      ),
    ).toEqual(["{} 9.091"]);
    // Rank 50 of 100 is 40 into the 50 of (50, 100], and rank 95 is 5 into the 10 of (200, 500].
    expect(await query("histogram_quantile(0.5, tops_worker_attempt_duration_ms_bucket)")).toEqual(["{} 90"]);
    expect(await query("histogram_quantile(0.95, tops_worker_attempt_duration_ms_bucket)")).toEqual([
      "{} 350",
    ]);
    expect(await query("tops_worker_uptime_seconds / 3600")).toEqual([`{} ${3_660 / 3_600}`]);
    expect(await query("tops_worker_uptime_seconds == 0")).toEqual([]);
    expect(await query("up")).toEqual(["up{} 1"]);
  });

  test("can be queried in SQL, with its kinds, types and texts", async () => {
    const scraping = await open();
    await scraping.scrape(gpuWorker(0));
    const beginMs = await scraping.scrape(gpuWorker(1));
    expect(
      await scraping.gateway.query(
        "SELECT metric, kind, type, help FROM metrics WHERE metric LIKE 'tops_worker_s%' OR metric LIKE '%_sum' ORDER BY ALL",
      ),
    ).toEqual([
      { metric: "tops_worker_attempt_duration_ms_sum", kind: "cumulative", type: "histogram", help: "" },
      { metric: "tops_worker_success_rate", kind: "gauge", type: "gauge", help: "" },
      {
        metric: "tops_worker_successful_attempts_total",
        kind: "cumulative",
        type: "counter",
        help: "Successful attempts",
      },
    ]);
    const statement =
      "SELECT epoch_ms(ts) AS ms, value, job, instance FROM tops_worker_successful_attempts_total ORDER BY ts";
    const answer = await scraping.gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
    expect(((await answer.json()) as { rows: object[] }).rows).toEqual([
      { ms: beginMs - 15_000, value: 1_000, job: "j", instance: "i" },
      { ms: beginMs, value: 1_030, job: "j", instance: "i" },
    ]);
  });
});

describe("PromQL", () => {
  test("has a series until the scrape that lacks it, and no longer", async () => {
    const scraping = await open();
    await scraping.scrape("a 1\nb 1\n");
    const lastMs = await scraping.scrape("a 2\nb 2\n");
    const goneMs = await scraping.scrape("a 3\n");
    expect(await scraping.query("b", goneMs - 1)).toEqual(["b{} 2"]);
    expect(await scraping.query("b", goneMs)).toEqual([]);
    expect(await scraping.query("a", goneMs)).toEqual(["a{} 3"]);
    expect(await scraping.query("count_over_time(b[1m])", goneMs)).toEqual(["{} 2"]);
    expect(lastMs).toBe(goneMs - 15_000);
  });

  test("has up 0 and no other series of a target that fails", async () => {
    const scraping = await open();
    await scraping.scrape("a 1\n");
    await scraping.scrape({ body: "a 2\n", status: 500 });
    expect(await scraping.query('{job="j",__name__!="scrape_duration_seconds"}')).toEqual([
      "scrape_samples_post_metric_relabeling{} 0",
      "scrape_samples_scraped{} 0",
      "scrape_series_added{} 0",
      "up{} 0",
    ]);
    await scraping.scrape("a 3\n");
    expect(await scraping.query('{job="j",__name__=~"a|up|scrape_s.*"}')).toEqual([
      "a{} 3",
      "scrape_samples_post_metric_relabeling{} 1",
      "scrape_samples_scraped{} 1",
      "scrape_series_added{} 0",
      "up{} 1",
    ]);
    expect(logOf(scraping)).toEqual([
      [
        "warn",
        "a scraped target is down",
        "the target answered HTTP status 500 Internal Server Error, expected 200",
      ],
    ]);
  });

  test("has the last value of a series with times of its own for five minutes after it vanished", async () => {
    const scraping = await open();
    await scraping.scrape(`a 1 ${NOON_MS}\n`);
    await scraping.scrape("b 1\n");
    expect(await scraping.query("a", NOON_MS + 299_000)).toEqual(["a{} 1"]);
    expect(await scraping.query("a", NOON_MS + 300_000)).toEqual([]);
  });
});

describe("the log", () => {
  test("has one line when a target goes down, whatever the reason of the next failures", async () => {
    const scraping = await open();
    await scraping.scrape("a 1\n");
    expect(logOf(scraping)).toEqual([]);
    await scraping.scrape({ body: "", status: 503 });
    await scraping.scrape("7&-\n");
    await scraping.scrape({ body: "", status: 503 });
    expect(logOf(scraping)).toEqual([
      [
        "warn",
        "a scraped target is down",
        "the target answered HTTP status 503 Service Unavailable, expected 200",
      ],
    ]);
    // The line at the level info is not among warnings.
    await scraping.scrape("a 1\n");
    await scraping.scrape("7&-\n");
    expect(logOf(scraping)).toEqual([
      ["warn", "a scraped target is down", 'line 1: expected a metric name, got "7&-"'],
    ]);
    const { values } = await scraping.gateway.counters.targetScrapesFailed.get();
    expect(values.map(({ labels, value }) => [labels.cause, value])).toEqual([
      ["status", 2],
      ["syntax", 2],
    ]);
  });

  test("counts rejected samples by cause, and the other samples are stored", async () => {
    const scraping = await open();
    await scraping.gateway.post(JSON.stringify({ metric_name: "latency_ms", value: 1, type: "observation" }));
    for (const at of [1, 2]) await scraping.scrape(`latency_ms ${at}\na ${at}\na ${at + 1}\nold 1 1000\n`);
    scraping.gateway.gateway.summary.flush();
    const lines = scraping.gateway.takeLog().map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      {
        event: "samples_rejected",
        protocol: "scrape",
        cause: "kind",
        count: 2,
        instance: "i",
        sample:
          'metric "latency_ms" is stored as observation, this sample is cumulative; use another name, or delete all samples of the metric with "weir delete"',
      },
      { cause: "repeated", count: 2 },
      { cause: "timestamp", count: 2 },
    ]);
    expect(await scraping.query("a")).toEqual(["a{} 2"]);
    expect(await scraping.query("up")).toEqual(["up{} 1"]);
    expect(
      await scraping.gateway.query(
        "SELECT reason, count(*)::INT AS n FROM rejected WHERE protocol = 'scrape' GROUP BY ALL ORDER BY n, reason",
      ),
    ).toMatchObject([
      { n: 1 },
      { n: 1 },
      { n: 2, reason: expect.stringContaining("latency_ms") },
      { n: 2, reason: expect.stringContaining("timestamp") },
    ]);
    await scraping.scrape("a 1\n");
    expect(logOf(scraping)).toEqual([]);
  });
});

describe("a scrape that cannot be stored", () => {
  test("is an error of its target, and the series that it lacks end with the next one", async () => {
    const scraping = await open();
    await scraping.scrape("a 1\nb 1\n");
    scraping.isFull = true;
    await scraping.scrape("a 2\n");
    expect((await targetsOf(scraping)).activeTargets).toMatchObject([
      { health: "down", lastError: "the scrape could not be stored: the queue is full" },
    ]);
    expect(await scraping.query("b")).toEqual(["b{} 1"]);
    scraping.isFull = false;
    await scraping.scrape("a 3\n");
    expect(await scraping.query("b")).toEqual([]);
    expect(await scraping.query("count_over_time(up[1m])")).toEqual(["{} 2"]);
    expect(logOf(scraping)).toEqual([
      ["warn", "a scraped target is down", "the scrape could not be stored: the queue is full"],
    ]);
  });
});

describe("/api/v1/targets", () => {
  test("shows a target before and after its scrapes, as Prometheus does", async () => {
    const scraping = await open({
      scrape_interval: "30s",
      params: { token: "hush" },
      basic_auth: { username: "me", password: "hush" },
    });
    const shown = {
      discoveredLabels: {
        __address__: scraping.address,
        __metrics_path__: "/metrics",
        __scheme__: "http",
        __scrape_interval__: "30s",
        __scrape_timeout__: "10s",
        __param_token: "…",
        job: "j",
        instance: "i",
      },
      labels: { instance: "i", job: "j" },
      scrapePool: "j",
      scrapeUrl: `http://${scraping.address}/metrics?token=…`,
      globalUrl: `http://${scraping.address}/metrics?token=…`,
      scrapeInterval: "30s",
      scrapeTimeout: "10s",
    };
    const data = (target: Record<string, unknown>) => ({
      activeTargets: [target],
      droppedTargets: [],
      droppedTargetCounts: { j: 0 },
    });
    expect(await targetsOf(scraping)).toEqual(
      data({
        ...shown,
        health: "unknown",
        lastError: "",
        lastScrape: "0001-01-01T00:00:00Z",
        lastScrapeDuration: 0,
      }),
    );
    const upMs = await scraping.scrape("a 1\n");
    const time = (ms: number) => new Date(ms).toISOString();
    expect(await targetsOf(scraping)).toEqual(
      data({ ...shown, health: "up", lastError: "", lastScrape: time(upMs), lastScrapeDuration: 0 }),
    );
    const downMs = await scraping.scrape("a\n");
    const lastError = 'line 1: expected a number as the value, got ""';
    expect(await targetsOf(scraping)).toEqual(
      data({ ...shown, health: "down", lastError, lastScrape: time(downMs), lastScrapeDuration: 0 }),
    );
    expect((await targetsOf(scraping, "?state=dropped")).activeTargets).toEqual([]);
    expect((await targetsOf(scraping, "?scrapePool=other")).activeTargets).toEqual([]);
    expect((await targetsOf(scraping, "?state=active&scrapePool=j")).activeTargets).toHaveLength(1);
    const pools = await scraping.api.fetch(new Request("http://localhost/api/v1/scrape_pools"));
    expect(await pools.json()).toEqual({ status: "success", data: { scrapePools: ["j"] } });
    const wrong = await scraping.api.fetch(new Request("http://localhost/api/v1/targets?state=gone"));
    expect([wrong.status, await wrong.json()]).toEqual([
      400,
      {
        status: "error",
        errorType: "bad_data",
        error: 'state is "gone", expected one of active, dropped, any',
      },
    ]);
    scraping.gateway.takeLog();
  });

  test("is an empty list in a gateway without targets", async () => {
    const gateway = await openTestGateway();
    closing.push(() => gateway.close());
    expect(await (await gateway.fetch("/api/v1/targets")).json()).toEqual({
      status: "success",
      data: { activeTargets: [], droppedTargets: [], droppedTargetCounts: {} },
    });
  });
});

describe("/metrics of the gateway", () => {
  const page = "# TYPE a_total counter\na_total 5\n";

  test("does not have scraped series, but /federate does, and no job counts as pushed", async () => {
    const scraping = await open();
    const ms = await scraping.scrape(page);
    expect(await scraping.gateway.exposed()).toEqual([]);
    const federated = await scraping.gateway.fetch("/federate?match[]=a_total");
    expect(await federated.text()).toBe(`# TYPE a_total untyped\na_total{instance="i",job="j"} 5 ${ms}\n`);
    expect(await (await scraping.gateway.fetch("/metrics")).text()).not.toContain(
      "weir_last_push_timestamp_seconds{",
    );
  });

  test("has them if exposeProtocols names scrape", async () => {
    const scraping = await open({}, "--expose-protocols=scrape");
    await scraping.scrape(page);
    expect(await scraping.gateway.exposed()).toContain('a_total{instance="i",job="j"} 5');
  });

  test("can be scraped by the gateway itself, without repeating what it stores", async () => {
    const scraping = await open();
    await scraping.gateway.post(
      JSON.stringify({ metric_name: "pushed", value: 7, type: "gauge", tags: { job: "w" } }),
    );
    const metrics = async () => ({ body: await (await scraping.gateway.fetch("/metrics")).text() });
    for (let at = 0; at < 2; at++) await scraping.scrape(metrics);
    expect(await scraping.gateway.query("SELECT metric, labels FROM series WHERE metric = 'pushed'")).toEqual(
      [{ metric: "pushed", labels: { job: "w" } }],
    );
    expect(await scraping.query("up")).toEqual(["up{} 1"]);
  });
});

describe("a stop", () => {
  test("ends the request in progress, and stores neither up nor stale markers", async () => {
    const scraping = await open();
    await scraping.scrape("a 1\n");
    const arrived = Promise.withResolvers<void>();
    const scrape = scraping.scrape(() => {
      arrived.resolve();
      return Promise.withResolvers<Page>().promise;
    });
    await arrived.promise;
    await Promise.all(scraping.services.map((service) => service.stop()));
    void scrape;
    expect(await scraping.query("count_over_time(up[1h])")).toEqual(["{} 1"]);
    expect(await scraping.query("a")).toEqual(["a{} 1"]);
  });
});

test("weir serve scrapes its targets, shows no password, and stops while a target does not answer", async () => {
  const asked: string[] = [];
  const pages = servePages((request) => {
    asked.push(request.headers.get("authorization") ?? "");
    return new URL(request.url).pathname === "/hangs"
      ? Promise.withResolvers<Page>().promise
      : { body: "a 1\n" };
  });
  closing.push(pages.stop);
  const gateway = await GatewayProcess.start({
    data: temporaryFolder(),
    args: [
      "--no-sampler",
      `--scrape=http://me:hush-hush@${pages.address}/,job=here,instance=i,interval=1s`,
      `--scrape=http://${pages.address}/hangs,job=hangs,interval=30s,timeout=30s,labels.zone=eu`,
      "--scrape=http://127.0.0.1:1,job=gone,interval=1s",
    ],
  });
  const get = async (path: string) => await (await fetch(`${gateway.url}${path}`)).text();
  await until("a scrape of each target", async () => {
    const { data } = JSON.parse(await get("/api/v1/targets")) as {
      data: { activeTargets: { health: string }[] };
    };
    const [here, , gone] = data.activeTargets;
    return here?.health === "up" && gone?.health === "down";
  });
  const { data } = JSON.parse(await get("/api/v1/query?query=a")) as {
    data: { result: { metric: object }[] };
  };
  expect(data.result.map(({ metric }) => metric)).toEqual([{ __name__: "a", instance: "i", job: "here" }]);
  expect(asked).toContain(`Basic ${Buffer.from("me:hush-hush").toString("base64")}`);
  const flags = await get("/api/v1/status/flags");
  expect(flags).toContain(`http://${pages.address}/metrics,job=here,instance=i,interval=1s`);
  const [targets, status] = [await get("/api/v1/targets"), await get("/api/v1/status")];
  expect(await gateway.stop("SIGTERM")).toBe(0);
  for (const text of [flags, targets, status, gateway.log.text]) expect(text).not.toContain("hush-hush");
  expect(gateway.log.text.match(/a scraped target is down/g)).toHaveLength(1);
});
