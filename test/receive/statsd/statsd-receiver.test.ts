/** StatsD on the real gateway: datagrams of UDP and Unix sockets, read back by SQL and on /metrics. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { sendUnixDatagrams } from "../../unix-datagram-sender.ts";

let gateway: TestGateway;
afterEach(() => gateway.close());

const UDP = "--statsd-listen=127.0.0.1:0";

/** Sends datagrams to the socket of the gateway, and waits until they are stored. */
async function send(...datagrams: string[]): Promise<void> {
  await sendTo(0, datagrams);
}

async function sendTo(listener: number, datagrams: readonly string[]): Promise<void> {
  const { services } = gateway.gateway;
  for (const service of services) {
    await service.start((error) => {
      throw error;
    });
  }
  const url = services.flatMap(({ urls = [] }) => urls)[listener]!;
  if (url.startsWith("unix:")) {
    sendUnixDatagrams(url.slice("unix:".length), datagrams);
  } else {
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
    for (const datagram of datagrams) socket.send(datagram, Number(url.replace(/.*:/, "")), "127.0.0.1");
    socket.close();
  }
  for (const service of services) await service.stop();
}

/** The rows of a query, as a user writes it. */
async function sql(statement: string): Promise<unknown[][]> {
  const response = await gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const answer = (await response.json()) as { rows: Record<string, unknown>[]; error?: unknown };
  if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  return answer.rows.map((row) => Object.values(row));
}

const counted = async (name: string): Promise<string[]> => {
  const [, text] = await gateway.send("GET /metrics");
  return text.split("\n").filter((line) => line.startsWith(name));
};

describe("a metric", () => {
  test("of each type is a table in SQL and a family on /metrics", async () => {
    gateway = await openTestGateway(UDP);
    await send(
      "hits:1|c|#route:/a\nhits:2|c|@0.5|#route:/a",
      "queue.depth:7|g|#queue:mail",
      "api.time:12|ms|@0.5|#route:/a,task_id:t-1",
      "api.time:3:4|ms|#route:/a",
      "users:alice|s\nusers:bob|s\nusers:alice|s",
    );
    expect(await sql("SELECT route, sum(value) FROM hits GROUP BY route")).toEqual([["/a", 5]]);
    expect(await sql("SELECT queue, value FROM queue_depth")).toEqual([["mail", 7]]);
    expect(await sql("SELECT task_id, value FROM api_time ORDER BY value, task_id")).toEqual([
      [null, 3],
      [null, 4],
      ["t-1", 12],
      ["t-1", 12],
    ]);
    expect(await sql("SELECT quantile_cont(value, 0.5) FROM api_time WHERE route = '/a'")).toEqual([[8]]);
    expect(await sql("SELECT count(DISTINCT member), count(*) FROM users")).toEqual([[2, 3]]);
    const exposed = await gateway.exposed();
    expect(exposed.filter((line) => !line.includes("_bucket"))).toEqual([
      'api_time_sum{instance="",route="/a"} 31',
      'api_time_count{instance="",route="/a"} 4',
      'hits_total{instance="",route="/a"} 5',
      'queue_depth{instance="",queue="mail"} 7',
      'users_total{instance=""} 3',
    ]);
    expect(exposed).toContain('api_time_bucket{instance="",route="/a",le="5.0"} 2');
    expect(await counted("weir_samples_accepted_total")).toEqual([
      'weir_samples_accepted_total{protocol="statsd"} 10',
    ]);
    expect(await counted("weir_datagrams_received_total")).toEqual([
      'weir_datagrams_received_total{protocol="statsd"} 5',
    ]);
  });

  test.if(process.platform === "linux")("is received by a Unix socket, too", async () => {
    const path = join(temporaryFolder(), "statsd.sock");
    gateway = await openTestGateway(UDP, `--statsd-listen=unix:${path}`);
    await sendTo(1, ["hits:1|c", "hits:2|c|c:ci-1234"]);
    expect(await gateway.exposed()).toEqual(['hits_total{instance=""} 3']);
  });

  test("named job and instance by its tags counts as a push of that worker", async () => {
    gateway = await openTestGateway(UDP);
    await send("hits:1|c|#job:worker,instance:w-1");
    expect(await counted("weir_last_push")).toContain(
      `weir_last_push_timestamp_seconds{instance="w-1",job="worker"} ${NOON_MS / 1000}`,
    );
  });
});

describe("a gauge", () => {
  test("with a sign changes the level that the store has, also after a restart", async () => {
    gateway = await openTestGateway(UDP);
    await send("queue:10|g\nqueue:+3|g", "queue:-1|g");
    await send("queue:+5|g|#queue:other", "queue:+1|g");
    expect(await gateway.exposed()).toEqual(['queue{instance=""} 13', 'queue{instance="",queue="other"} 5']);
    gateway.nowMs += 1_000;
    await gateway.reopen(UDP);
    await send("queue:-3|g");
    expect(await gateway.exposed()).toEqual(['queue{instance=""} 10', 'queue{instance="",queue="other"} 5']);
    expect(await sql("SELECT value FROM queue WHERE queue IS NULL ORDER BY ts")).toEqual([
      [10],
      [13],
      [12],
      [13],
      [10],
    ]);
  });
});

describe("a line that is rejected", () => {
  test("is counted by its cause and stored with its reason, and one log line counts all of them", async () => {
    gateway = await openTestGateway(UDP);
    await send(
      "x:1|c\nx:1|g\nx:1",
      "x:2|c|#a:b,a.b:c,a_b:d",
      "old:1|c|T1\nsoon:1|c|T9999999999",
      `${"n".repeat(300)}:1|c`,
      "_e{1,1}:a|b",
    );
    expect(await sql("SELECT protocol, reason FROM rejected ORDER BY reason")).toEqual([
      [
        "statsd",
        'metric "x" is stored as counter, this sample is gauge; use another name, or delete all samples of the metric with "weir delete"',
      ],
      ["statsd", expect.stringMatching(/^name "n+…? is longer than 255 bytes \(nameBytesMax\)$/)],
      ["statsd", 'tags "a.b" and "a_b" are both a_b in Prometheus'],
      ["statsd", 'the line is "x:1", expected NAME:VALUE|TYPE'],
      ["statsd", expect.stringMatching(/^time 1970-01-01T00:00:01\.000Z is before retention/)],
      ["statsd", expect.stringMatching(/^time 2286-11-20T17:46:39\.000Z is in the future/)],
    ]);
    expect(await counted("weir_samples_rejected_total")).toEqual([
      'weir_samples_rejected_total{cause="kind",protocol="statsd"} 1',
      'weir_samples_rejected_total{cause="labels",protocol="statsd"} 1',
      'weir_samples_rejected_total{cause="name",protocol="statsd"} 1',
      'weir_samples_rejected_total{cause="syntax",protocol="statsd"} 1',
      'weir_samples_rejected_total{cause="timestamp",protocol="statsd"} 2',
    ]);
    expect(await counted("weir_messages_skipped_total")).toEqual([
      'weir_messages_skipped_total{protocol="statsd",type="event"} 1',
    ]);
    expect(await sql("SELECT sum(value) FROM x")).toEqual([[1]]);
    gateway.gateway.summary.flush();
    const lines = gateway.takeLog().map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ event, protocol, cause, count }) => [event, protocol, cause, count]).sort()).toEqual(
      [
        ["kind", 1],
        ["labels", 1],
        ["name", 1],
        ["syntax", 1],
        ["timestamp", 2],
      ].map((each) => ["samples_rejected", "statsd", ...each]),
    );
  });
});

describe("a tag with a new value per event", () => {
  test("becomes a column, and the lines before are not read as before", async () => {
    gateway = await openTestGateway(UDP, "--label-values-max=3");
    const line = (index: number) => `t:${index}|ms|#user_id:u${index},a:b`;
    await send(...Array.from({ length: 6 }, (_, index) => line(index)));
    await send(...Array.from({ length: 6 }, (_, index) => line(index)));
    expect(await sql("SELECT user_id, count(*), sum(value) FROM t GROUP BY 1 ORDER BY 1")).toEqual(
      Array.from({ length: 6 }, (_, index) => [`u${index}`, 2, 2 * index]),
    );
    expect((await gateway.exposed()).filter((each) => each.startsWith("t_count"))).toEqual([
      't_count{a="b",instance=""} 12',
    ]);
  });
});
