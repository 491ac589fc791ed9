/** A listener with the routes of one protocol, on the real gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { BEGIN_MS, encode, nano, read, request } from "./otlp/otlp-messages.ts";

const PROTOBUF = { "content-type": "application/x-protobuf" };

describe("the listener for OTLP/HTTP", () => {
  let gateway: TestGateway;
  let urls: readonly string[];
  const path = join(temporaryFolder(), "otlp.sock");

  beforeAll(async () => {
    gateway = await openTestGatewayAt(
      BEGIN_MS + 600_000,
      "--otlp-listen=127.0.0.1:0",
      "--otlp-listen=127.0.0.1:0",
      `--otlp-listen=unix:${path}`,
    );
    urls = await gateway.startServices();
  });
  afterAll(() => gateway.close());

  const gauge = (value: number) =>
    new Uint8Array(
      encode(
        request([{ name: "room", gauge: { dataPoints: [{ timeUnixNano: nano(value), asDouble: value }] } }]),
      ),
    );

  test("stores metrics on each of its addresses", async () => {
    expect(urls).toHaveLength(3);
    for (const [index, url] of urls.entries()) {
      const at = url.startsWith("unix:") ? "http://localhost" : url;
      const response = await fetch(`${at}/v1/metrics`, {
        method: "POST",
        body: gauge(index + 1),
        headers: PROTOBUF,
        unix: url.startsWith("unix:") ? path : undefined,
      });
      expect([response.status, (await response.bytes()).length]).toEqual([200, 0]);
    }
    const stored = await gateway.fetch("/api/v1/sql?format=json&q=SELECT+value+FROM+room+ORDER+BY+value");
    expect(await stored.json()).toMatchObject({ rows: [{ value: 1 }, { value: 2 }, { value: 3 }] });
  });

  test("answers 404 to what the gateway serves elsewhere, and 405 to another method", async () => {
    const status = async (method: string, route: string) => {
      const response = await fetch(`${urls[0]}${route}`, { method });
      return [response.status, response.headers.get("allow")];
    };
    expect(await status("GET", "/metrics")).toEqual([404, null]);
    expect(await status("GET", "/api/v1/sql?q=SELECT+1")).toEqual([404, null]);
    expect(await status("POST", "/api/v1/push")).toEqual([404, null]);
    expect(await status("DELETE", "/metrics/job/a")).toEqual([404, null]);
    expect(await status("GET", "/v1/metrics")).toEqual([405, "OPTIONS, POST"]);
  });

  test("answers an exporter without the path of metrics in the form of OTLP", async () => {
    const response = await fetch(urls[0]!, { method: "POST", body: gauge(1), headers: PROTOBUF });
    expect([response.status, response.headers.get("content-type")]).toEqual([404, "application/x-protobuf"]);
    expect(read("Status", await response.bytes())).toEqual({
      code: 12,
      message: 'There is no route "/"; src/http/README.md lists all routes.',
    });
  });

  test("has the limits and the counters of the first listener", async () => {
    const large = await fetch(`${urls[0]}/v1/metrics`, {
      method: "POST",
      body: new Uint8Array(33 * 2 ** 20),
      headers: PROTOBUF,
    });
    expect(large.status).toBe(413);
    const [, own] = await gateway.send("GET /metrics?name[]=weir_http_requests_total");
    expect(own).toContain('weir_http_requests_total{method="POST",route="/v1/metrics",status="413"} 1');
  });

  test("does not start at an address in use, and the error names its flag", async () => {
    const address = urls[0]!.slice("http://".length);
    const other = await openTestGatewayAt(BEGIN_MS, `--otlp-listen=${address}`);
    await expect(other.startServices()).rejects.toThrow(
      `Cannot listen on ${address}: another process listens there; stop it, or give --otlp-listen another address.`,
    );
    await other.close();
  });
});
