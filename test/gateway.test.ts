/** Two gateways in one process: what one of them does leaves no trace in the other. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestGateway, type TestGateway } from "./gateway.ts";

let one: TestGateway;
let other: TestGateway;
beforeAll(async () => {
  [one, other] = await Promise.all([openTestGateway(), openTestGateway("--body-bytes-max=4194304")]);
});
afterAll(async () => {
  await Promise.all([one.close(), other.close()]);
});

const MiB = 2 ** 20;
const EVENT = JSON.stringify({ metric_name: "took_ms", value: 12, label: 1 });

const ask = async (gateway: TestGateway, path: string, init?: RequestInit) => {
  const response = await gateway.app.fetch(new Request(`http://localhost${path}`, init));
  return { status: response.status, text: await response.text() };
};
const push = (gateway: TestGateway, body: Bun.BodyInit = EVENT, headers: Record<string, string> = {}) =>
  ask(gateway, "/api/v1/push", { method: "POST", body, headers });

/** The samples of /metrics, without those that change with each scrape. */
async function exposed(gateway: TestGateway): Promise<string[]> {
  const { text } = await ask(gateway, "/metrics");
  const ofScrape = /^(#|weir_store_disk_free_bytes |weir_http_\w+\{.*route="\/metrics")/;
  return text.split("\n").filter((line) => !ofScrape.test(line));
}

test("/metrics of a gateway counts nothing that another gateway received", async () => {
  const before = await exposed(other);
  expect(await push(one)).toMatchObject({ status: 200 });
  expect(await push(one, "not JSON")).toMatchObject({ status: 400 });
  expect(await ask(one, "/metrics/job/backup", { method: "PUT", body: "b 1\n" })).toMatchObject({
    status: 200,
  });
  expect(await ask(one, "/api/v1/sql?q=SELECT+1")).toMatchObject({ status: 200 });
  expect(await ask(one, "/api/v1/query?query=took_ms")).toMatchObject({ status: 200 });
  expect(await exposed(one)).toEqual(
    expect.arrayContaining([
      'weir_samples_accepted_total{protocol="events"} 1',
      'weir_samples_accepted_total{protocol="pushgateway"} 3',
      'weir_event_warnings_total{field="label"} 1',
      "weir_groups 1",
      'weir_queries_total{outcome="ok"} 1',
      'weir_promql_query_duration_seconds_count{outcome="ok"} 1',
      'weir_http_requests_total{method="POST",route="/api/v1/push",status="400"} 1',
      'took_ms_count{instance=""} 1',
    ]),
  );
  expect(await exposed(other)).toEqual(before);
  // The warning of the event.
  one.takeLog();
});

test("bodies that fill the memory of a gateway do not reject the pushes of another", async () => {
  // 64 bodies of 4 MiB reach the limit of 256 MiB, although none of their bytes has arrived.
  const senders: ReadableStreamDefaultController<Uint8Array>[] = [];
  const bodies = Array.from({ length: 64 }, () =>
    push(other, new ReadableStream({ start: (controller) => void senders.push(controller) }), {
      "content-length": String(4 * MiB),
    }),
  );
  let rejected: { status: number };
  do rejected = await push(other);
  while (rejected.status === 200);
  expect(rejected.status).toBe(429);
  expect((await push(one)).status).toBe(200);

  for (const sender of senders) {
    sender.enqueue(Buffer.from(EVENT));
    sender.close();
  }
  for (const { status } of await Promise.all(bodies)) expect(status).toBe(200);
  expect((await push(other)).status).toBe(200);
  // The warning of the event.
  one.takeLog();
  other.takeLog();
});
