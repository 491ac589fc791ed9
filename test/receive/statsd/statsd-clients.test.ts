/** Real clients of StatsD send to the real process: hot-shots, and Debian's python3-statsd where it is installed. */
import { afterEach, describe, expect, test } from "bun:test";
import { StatsD } from "hot-shots";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";

let gateway: GatewayProcess;
afterEach(() => gateway.stop("SIGKILL"));

async function start(): Promise<number> {
  gateway = await GatewayProcess.start({
    data: temporaryFolder(),
    args: ["--no-sampler", "--statsd-listen=127.0.0.1:0"],
  });
  return Number(/udp:\/\/127\.0\.0\.1:(\d+)/.exec(gateway.log.text)![1]);
}

/** The lines of /metrics that begin so, once `samples` samples are stored. */
async function exposed(samples: number, ...prefixes: string[]): Promise<string[]> {
  let lines: string[] = [];
  await until(`${samples} samples`, async () => {
    lines = (await (await fetch(`${gateway.url}/metrics`)).text()).split("\n");
    return lines.includes(`weir_samples_accepted_total{protocol="statsd"} ${samples}`);
  });
  return lines.filter((line) => prefixes.some((prefix) => line.startsWith(prefix)));
}

async function sql(statement: string): Promise<unknown[][]> {
  const response = await fetch(`${gateway.url}/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const answer = (await response.json()) as { rows: Record<string, unknown>[] };
  return answer.rows.map((row) => Object.values(row));
}

/** Sends with hot-shots, and waits until everything is sent. */
async function withClient(
  options: ConstructorParameters<typeof StatsD>[0],
  send: (client: StatsD) => void,
): Promise<void> {
  const errors: unknown[] = [];
  const client = new StatsD({
    host: "127.0.0.1",
    errorHandler: (error) => void errors.push(error),
    ...options,
  });
  send(client);
  const closed = Promise.withResolvers<void>();
  client.close(() => closed.resolve());
  await closed.promise;
  expect(errors).toEqual([]);
}

describe("hot-shots", () => {
  test("is understood in every type, with tags, times, events and checks", async () => {
    const port = await start();
    // In whole seconds, as StatsD has them.
    const time = new Date(1_000 * Math.floor(Date.now() / 1_000) - 60_000);
    await withClient({ port, globalTags: { job: "worker", instance: "w-1" } }, (client) => {
      client.increment("hits");
      client.increment("hits", 4, { route: "/a" });
      client.gauge("queue", 7);
      client.gaugeDelta("queue", 3);
      client.gaugeDelta("queue", -2);
      client.timing("api.time", 12.5, { route: "/a" });
      client.histogram("size", 100, ["urgent", "team:a"]);
      client.distribution("latency", 0.25);
      client.set("users", "alice");
      client.unique("users", "bob");
      client.gauge("past", 5, { timestamp: time });
      client.event("title", "text");
      client.check("redis", client.CHECKS.OK);
      client.decrement("hits", 1);
    });
    expect(await exposed(11, "hits", "queue", "past", "users", "weir_messages", "weir_samples_rej")).toEqual([
      'hits_total{instance="w-1",job="worker"} 1',
      'hits_total{instance="w-1",job="worker",route="/a"} 4',
      'past{instance="w-1",job="worker"} 5',
      'queue{instance="w-1",job="worker"} 8',
      'users_total{instance="w-1",job="worker"} 2',
      'weir_messages_skipped_total{protocol="statsd",type="event"} 1',
      'weir_messages_skipped_total{protocol="statsd",type="service_check"} 1',
      'weir_samples_rejected_total{cause="value",protocol="statsd"} 1',
    ]);
    expect(await sql("SELECT epoch(ts)::BIGINT, value FROM past")).toEqual([[time.getTime() / 1_000, 5]]);
    expect(await sql("SELECT route, value FROM api_time")).toEqual([["/a", 12.5]]);
    expect(await sql("SELECT urgent, team, value FROM size")).toEqual([["true", "a", 100]]);
    expect(await sql("SELECT value FROM latency")).toEqual([[0.25]]);
    expect(await sql("SELECT list(member ORDER BY member) FROM users")).toEqual([[["alice", "bob"]]]);
  });

  test("loses nothing that it sends in large datagrams", async () => {
    const port = await start();
    await withClient({ port, maxBufferSize: 8_192, bufferFlushInterval: 10 }, (client) => {
      for (let each = 0; each < 5_000; each++) client.timing("t", each, { worker: `w-${each % 10}` });
    });
    await exposed(5_000);
    expect(
      await sql("SELECT count(*), sum(value), quantile_disc(value, 0.5), count(DISTINCT worker) FROM t"),
    ).toEqual([[5_000, 12_497_500, 2_499, 10]]);
  });

  test("with its Telegraf tags is understood", async () => {
    const port = await start();
    await withClient({ port, telegraf: true, globalTags: { env: "production" } }, (client) => {
      client.increment("hits", 2, { route: "a" });
    });
    expect(await exposed(1, "hits")).toEqual(['hits_total{env="production",instance="",route="a"} 2']);
  });
});

const hasPython = Bun.spawnSync(["/usr/bin/python3", "-c", "import statsd"]).success;

test.if(hasPython)("python3-statsd is understood in every type and in a pipeline", async () => {
  const port = await start();
  const program = `
from statsd import StatsClient
client = StatsClient("127.0.0.1", ${port}, prefix="app")
client.incr("hits", 3)
client.gauge("queue", 5)
client.gauge("queue", -2, delta=True)
client.timing("time", 320.5)
client.set("users", "alice")
with client.pipeline() as pipe:
    pipe.incr("hits")
    pipe.timing("time", 1)
`;
  expect(Bun.spawnSync(["/usr/bin/python3", "-c", program]).stderr.toString()).toBe("");
  expect(await exposed(7, "app_hits", "app_queue", "app_users", "app_time_sum")).toEqual([
    'app_hits_total{instance=""} 4',
    'app_queue{instance=""} 3',
    'app_time_sum{instance=""} 321.5',
    'app_users_total{instance=""} 1',
  ]);
});
