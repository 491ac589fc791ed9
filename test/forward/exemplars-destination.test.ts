/** Exemplars by remote_write: those that were sent with a series, and the newest event of a bucket. */
import { afterEach, expect, test } from "bun:test";
import { snappy } from "../../src/program/deferred-libraries.ts";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { until } from "../until.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

let other: TestGateway | undefined;
let gateway: ForwardingGateway | undefined;
let server: RealServer | undefined;

afterEach(async () => {
  await gateway?.close();
  await other?.close();
  await server?.stop();
  gateway = other = undefined;
  server = undefined;
});

// Prometheus accepts samples of the last hours only, by its own clock.
const nowMs = Math.floor(Date.now() / 60_000) * 60_000 - 60_000;

async function pushBoth(): Promise<void> {
  await gateway!.post(
    JSON.stringify(
      [3, 4, 234.5].map((value, at) => ({
        ...{ "@timestamp": nowMs - 3_000 + at, metric_name: "wait_ms", value },
        tags: { queue: "q", task_id: `task-${value}` },
      })),
    ),
  );
  const exemplars = [{ labels: { trace_id: "abc" }, value: 0.5, timestamp: nowMs - 1_500 }];
  const body = encodeV1([
    {
      labels: { __name__: "served_total", job: "x" },
      samples: [{ value: 7, timestamp: nowMs - 1_000 }],
      exemplars,
    },
  ]);
  const answer = await gateway!.fetch("/api/v1/write", {
    method: "POST",
    headers: { "content-encoding": "snappy", "content-type": "application/x-protobuf" },
    body: snappy().compress(body) as Uint8Array<ArrayBuffer>,
  });
  expect(answer.status).toBe(204);
  gateway!.nowMs += 15_000;
}

/** `series ms labels value`, in order. The event 3 is older than 4 in its bucket. */
const EXPECTED = [
  `served_total{job=x} ${nowMs - 1_500} trace_id=abc 0.5`,
  `wait_ms_bucket{le=250.0,queue=q} ${nowMs - 2_998} task_id=task-234.5 234.5`,
  `wait_ms_bucket{le=5.0,queue=q} ${nowMs - 2_999} task_id=task-4 4`,
];

const textOf = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join();

for (const version of [1, 2]) {
  test(`a second gateway has them, also after a restart of the first (version ${version})`, async () => {
    other = await openTestGatewayAt(nowMs);
    const { urls } = await other.listen();
    const table = destinationTable({
      ...{ name: "d", type: "remote_write", url: `${urls[0]}/api/v1/write`, version },
    });
    gateway = await ForwardingGateway.openWith(table, { nowMs });
    await pushBoth();
    const stored = async () => {
      const rows = await other!.query(
        "SELECT s.metric, s.labels, epoch_ms(e.ts)::DOUBLE AS ms, e.labels AS exemplar, e.value FROM weir.exemplars e JOIN weir.series s USING (series_id)",
      );
      return rows
        .map((row) => {
          const { metric, labels, ms, exemplar, value } = row as Record<string, never>;
          return `${metric}{${textOf(labels)}} ${ms} ${textOf(exemplar)} ${value}`;
        })
        .sort();
    };
    await until("the exemplars", async () => (await stored()).length === 3);
    expect(await stored()).toEqual(EXPECTED);
    await gateway.configure(table);
    gateway.nowMs += 15_000;
    await gateway.post(
      JSON.stringify([
        {
          "@timestamp": nowMs + 16_000,
          metric_name: "wait_ms",
          value: 4.5,
          tags: { queue: "q", task_id: "later" },
        },
      ]),
    );
    gateway.nowMs += 15_000;
    await until("the next one", async () => (await stored()).length === 4);
    expect((await stored())[3]).toBe(`wait_ms_bucket{le=5.0,queue=q} ${nowMs + 16_000} task_id=later 4.5`);
  });
}

test.skipIf(!canRun("prometheus"))("a real Prometheus has them", async () => {
  server = await startPrometheus("global: {}\n", "--enable-feature=exemplar-storage");
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "d", type: "remote_write", url: `${server.url}/api/v1/write` }),
    { nowMs },
  );
  await pushBoth();
  const found = async () => {
    const query = '{__name__=~"served_total|wait_ms_bucket"}';
    const parameters = new URLSearchParams({
      query,
      start: String(nowMs / 1_000 - 60),
      end: String(nowMs / 1_000 + 60),
    });
    const answer = await fetch(`${server!.url}/api/v1/query_exemplars?${parameters}`);
    const { data } = (await answer.json()) as {
      data: {
        seriesLabels: Record<string, string>;
        exemplars: { labels: Record<string, string>; value: string; timestamp: number }[];
      }[];
    };
    return data
      .flatMap(({ seriesLabels: { __name__: name, ...labels }, exemplars }) =>
        exemplars.map(
          ({ labels: own, value, timestamp }) =>
            `${name}{${textOf(labels)}} ${Math.round(timestamp * 1_000)} ${textOf(own)} ${value}`,
        ),
      )
      .sort();
  };
  await until("the exemplars", async () => (await found()).length === 3);
  expect(await found()).toEqual(EXPECTED);
});
