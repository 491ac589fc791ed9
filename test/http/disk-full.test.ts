/** The answers of each family of routes on a full disk, simulated by a reserve that is larger than any disk. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS, "--disk-reserve-bytes=8000TiB");
});
afterAll(() => gateway.close().catch((error) => expect(String(error)).toContain("disk full")));

const send = (method: string, path: string, body?: string, headers?: Record<string, string>) =>
  gateway.fetch(path, { method, body, headers });

const message =
  /disk full: \d+ bytes are free on the disk of the data folder, and the disk of \d+ bytes is smaller than diskReserveBytes \(8796093022208000\): give a smaller --disk-reserve-bytes/;

test("a push of events is 503 with the code disk_full and Retry-After", async () => {
  const answer = await send("POST", "/api/v1/push", JSON.stringify({ metric_name: "m", value: 1 }));
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "10"]);
  expect(await answer.json()).toEqual({
    error: { code: "disk_full", message: expect.stringMatching(message) },
  });
});

test("pushing and deleting a group are 503 with a line of text", async () => {
  for (const [method, body] of [
    ["PUT", "g 1\n"],
    ["POST", "g 1\n"],
    ["DELETE", undefined],
  ] as const) {
    const answer = await send(method, "/metrics/job/j", body);
    expect([method, answer.status]).toEqual([method, 503]);
    expect(await answer.text()).toMatch(message);
  }
});

test("remote_write is 503, so that senders retry", async () => {
  // One series with one sample: {__name__="m"} 1.
  const label = [0x0a, 0x0d, 0x0a, 0x08, ...new TextEncoder().encode("__name__"), 0x12, 0x01, 0x6d];
  const timestamp: number[] = [];
  for (let rest = BigInt(NOW_MS); ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    if (rest >> 7n === 0n) {
      timestamp.push(low);
      break;
    }
    timestamp.push(low | 0x80);
  }
  const sample = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, ...timestamp];
  const series = [...label, 0x12, sample.length, ...sample];
  const answer = await gateway.fetch("/api/v1/write", {
    method: "POST",
    body: Uint8Array.from([0x0a, series.length, ...series]),
    headers: { "content-type": "application/x-protobuf", "content-encoding": "identity" },
  });
  expect([answer.status, answer.headers.has("retry-after")]).toEqual([503, true]);
  expect(await answer.text()).toMatch(message);
});

test("readiness is 503 with the reason; the process is healthy", async () => {
  const ready = await send("GET", "/-/ready");
  expect(ready.status).toBe(503);
  expect(await ready.text()).toMatch(message);
  expect((await send("GET", "/-/healthy")).status).toBe(200);
});

test("queries and scrapes work, and the scrape reports the full disk", async () => {
  expect((await send("GET", "/api/v1/sql?q=SELECT+1")).status).toBe(200);
  expect((await send("GET", "/api/v1/query?query=vector(1)")).status).toBe(200);
  const scrape = await send("GET", "/metrics");
  expect(scrape.status).toBe(200);
  const text = await scrape.text();
  expect(text).toMatch(/^weir_store_disk_full 1$/m);
  expect(Number(/^weir_store_disk_free_bytes (\S+)$/m.exec(text)![1])).toBeGreaterThan(0);
});
