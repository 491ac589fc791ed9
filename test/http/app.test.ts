/** Behaviour of all routes: 404, 405 with Allow, HEAD, errors in JSON, counters, and any Host. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createApp } from "../../src/http/app.ts";
import { createLog } from "../../src/log/log.ts";
import { Routes, RouteTable } from "../../src/http/routes.ts";
import { type Listener, listen } from "../../src/http/server.ts";
import { lineStream, streamResponse } from "../../src/http/stream.ts";
import { createCounters } from "../../src/model/counters.ts";
import * as errors from "../../src/model/errors.ts";
import { exchange } from "./raw.ts";

const lines: string[] = [];
const log = createLog("info", (line) => lines.push(line), { format: "json" });

const family = new Routes()
  .on("GET", "/things", "none", "", (request) => new Response(`things of ${request.headers.get("host")}`))
  .on("POST", "/things", "none", "", async (request) => new Response(await request.text()))
  .on("GET", "/things/:id/parts", "none", "", (_, params) => Response.json(params))
  .on("DELETE", "/groups/*", "none", "", (_, params) => Response.json(params))
  .on(
    "GET",
    "/endless",
    "none",
    "",
    () => new Response(new ReadableStream({ pull: (to) => to.enqueue("x") })),
  )
  .on("GET", "/throw/:name", "none", "", (_, { name }) => {
    if (name === "busy") throw new errors.Busy("The queue is full.", 2.5);
    if (name === "unavailable") throw new errors.Unavailable("The gateway is stopping.");
    if (name === "slow") throw new errors.Timeout("Too slow.");
    if (name === "field") throw new errors.BadInput("It is wrong.", "from");
    throw new Error(`secret of ${name}`);
  });
family.on("GET", "/broken", "read", "", async () =>
  streamResponse(await lineStream(brokenLines(), 60_000), {}),
);
const counters = createCounters();
const app = createApp([family], { log, counters });

async function* brokenLines() {
  yield "first\n";
  throw new Error("the disk is on fire");
}

describe("the methods that a path supports", () => {
  const table = new RouteTable([
    ...app.routes,
    { method: "GET", path: "/things/all/parts" },
    { method: "GET", path: "/" },
  ]);
  const is = (path: string, method: string, pattern: string | undefined, allow: string) =>
    test(`${method} ${path}`, () => {
      const match = table.match(path, method);
      expect(match.pattern).toBe(pattern);
      expect(table.match(path, "BREW").allow.join()).toBe(allow);
      expect(match.allow.includes(method)).toBe(allow.split(",").includes(method));
    });
  is("/things", "GET", "/things", "GET,HEAD,OPTIONS,POST");
  is("/things/", "POST", "/things", "GET,HEAD,OPTIONS,POST");
  is("/things", "PUT", "/things", "GET,HEAD,OPTIONS,POST");
  is("/things/1/parts", "GET", "/things/:id/parts", "GET,HEAD,OPTIONS");
  is("/things/1/parts", "DELETE", "/things/:id/parts", "GET,HEAD,OPTIONS");
  is("/things/all/parts", "GET", "/things/all/parts", "GET,HEAD,OPTIONS");
  is("/things//parts", "GET", undefined, "");
  is("/things/1/2/parts", "GET", undefined, "");
  is("/groups/job/a/instance/b", "DELETE", "/groups/*", "DELETE,OPTIONS");
  is("/groups", "DELETE", undefined, "");
  is("/", "GET", "/", "GET,HEAD,OPTIONS");
  is("/thing", "GET", undefined, "");
  is("/things.x", "GET", undefined, "");
});

describe("answers", () => {
  const ask = async (method: string, path: string) => {
    const response = await app.fetch(new Request(`http://localhost:9091${path}`, { method }));
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  };
  const fails = (method: string, path: string, status: number, error: unknown) =>
    test(`${method} ${path} fails with ${status}`, async () => {
      const answer = await ask(method, path);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
      expect(JSON.parse(answer.text)).toEqual({ error });
    });

  fails("GET", "/nothing?q=1", 404, {
    code: "not_found",
    message: 'There is no route "/nothing"; src/http/README.md lists all routes.',
  });
  fails("GET", "/thing", 404, {
    code: "not_found",
    message: 'There is no route "/thing"; did you mean /things?',
  });
  fails("GET", "/thinks/7/part", 404, {
    code: "not_found",
    message: 'There is no route "/thinks/7/part"; did you mean /things/ID/parts?',
  });
  fails("DELETE", "/group/job/a", 404, {
    code: "not_found",
    message: 'There is no route "/group/job/a"; did you mean /groups/…?',
  });
  fails("GET", "/parts", 404, {
    code: "not_found",
    message: 'There is no route "/parts"; did you mean /things/ID/parts?',
  });
  for (const [method, path] of [
    ["GET", "/group/job/a"],
    ["POST", "/thinks/7/part"],
    ["PUT", "/thing"],
  ] as const)
    fails(method, path, 404, {
      code: "not_found",
      message: `There is no route "${path}"; src/http/README.md lists all routes.`,
    });
  test("HEAD and OPTIONS of a misspelt path name the route, which answers them", async () => {
    expect((await ask("HEAD", "/thing")).status).toBe(404);
    expect((await ask("OPTIONS", "/thing")).text).toContain("did you mean /things?");
  });
  fails("PUT", "/things", 405, {
    code: "method_not_allowed",
    message: '"/things" does not support "PUT"; it supports GET, HEAD, OPTIONS, POST.',
  });
  fails("GET", "/throw/field", 400, { code: "bad_input", message: "It is wrong.", field: "from" });
  fails("GET", "/throw/busy", 429, { code: "busy", message: "The queue is full." });
  fails("GET", "/throw/other", 500, {
    code: "internal",
    message: "The gateway failed on this request; its log says why.",
  });

  test("an error of the wrong route names the route that accepts the format of the body", async () => {
    const hint = async (method: string, path: string, body: string) => {
      const response = await app.fetch(new Request(`http://localhost:9091${path}`, { method, body }));
      const { error } = (await response.json()) as { error: { message: string } };
      return [response.status, error.message.replace(/^.*?(?=The body|$)/, "")];
    };
    const PROMETHEUS = "The body looks like Prometheus text: push it to /metrics/job/NAME.";
    const EVENTS = "The body looks like JSON events: push them to /api/v1/push.";
    expect(await hint("POST", "/nothing", "# TYPE a counter\na_total 1\n")).toEqual([404, PROMETHEUS]);
    expect(await hint("POST", "/nothing", 'a{b="c d",e="}"} 1.5e3 1704067200000\n')).toEqual([
      404,
      PROMETHEUS,
    ]);
    expect(await hint("PUT", "/things", "up 1\n")).toEqual([405, PROMETHEUS]);
    expect(await hint("POST", "/nothing", '{"metric_name":"a","value":1}')).toEqual([404, EVENTS]);
    expect(await hint("POST", "/nothing", '[\n {"@timestamp":1,"value":1}]')).toEqual([404, EVENTS]);
    expect(await hint("POST", "/nothing", "cpu,host=a usage=0.5 1704067200000000000\n")).toEqual([
      404,
      "The body looks like InfluxDB line protocol: send it to /write.",
    ]);
    expect(await hint("POST", "/nothing", "SELECT 1")).toEqual([
      404,
      "The body looks like SQL: send it to /api/v1/sql.",
    ]);
    expect(await hint("POST", "/nothing", '{"resourceMetrics":[{"scopeMetrics":[]}]}')).toEqual([
      404,
      "The body looks like metrics of OpenTelemetry: send them to /v1/metrics.",
    ]);
    expect(await hint("POST", "/nothing", '{"resource_metrics":[{"scope_metrics":[]}]}')).toEqual([
      404,
      "The body looks like metrics of OpenTelemetry: send them to /v1/metrics.",
    ]);
    const series = (points: string) => `{"series": [{"metric": "a", "tags": ["b:c"], "points": ${points}}]}`;
    expect(await hint("POST", "/nothing", series("[[1, 2]]"))).toEqual([
      404,
      "The body looks like series of Datadog: send them to /datadog/api/v1/series.",
    ]);
    expect(await hint("POST", "/nothing", series('[{"timestamp": 1, "value": 2}]'))).toEqual([
      404,
      "The body looks like series of Datadog: send them to /datadog/api/v2/series.",
    ]);
    expect(
      await hint("POST", "/nothing", '{"metric":{"__name__":"a"},"values":[1],"timestamps":[2]}'),
    ).toEqual([404, "The body looks like JSON lines of VictoriaMetrics: send them to /api/v1/import."]);
    expect(await hint("POST", "/nothing", "<html>")).toEqual([404, ""]);
    expect(await hint("POST", "/nothing", "")).toEqual([404, ""]);
  });

  test("answers 404 without waiting for the end of the body", async () => {
    const body = new ReadableStream({ start: (to) => to.enqueue(new TextEncoder().encode("up 1\n")) });
    const request = new Request("http://localhost:9091/nothing", { method: "POST", body });
    expect((await app.fetch(request)).status).toBe(404);
  });

  test("redirects a path with several slashes in a row to the clean path, with its query", async () => {
    const redirected = async (path: string) => {
      const { status, headers } = await ask("GET", path);
      return [status, headers.get("location")];
    };
    expect(await redirected("//things?x=//y")).toEqual([301, "/things?x=//y"]);
    expect(await redirected("///things//7///parts")).toEqual([301, "/things/7/parts"]);
    expect((await ask("HEAD", "//things")).status).toBe(301);
    // No route has these paths: the answer is no redirect, least of all to another host.
    expect(await redirected("//example.com/things")).toEqual([404, null]);
  });

  test("answers a push to a base address that ends in a slash, without a redirect", async () => {
    const request = new Request("http://localhost:9091//things?x=1", { method: "POST", body: "12345" });
    const response = await app.fetch(request);
    expect([response.status, await response.text()]).toEqual([200, "12345"]);
    // Inside a path two slashes may mean an empty value, which the route decides.
    expect((await ask("DELETE", "//groups/job//a")).text).toBe('{"*":"job//a"}');
  });

  test("405 and OPTIONS list the supported methods", async () => {
    expect((await ask("PATCH", "/things/7/parts")).headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    const options = await ask("OPTIONS", "/groups/job/a");
    expect(options.status).toBe(204);
    expect(options.headers.get("allow")).toBe("DELETE, OPTIONS");
    expect((await ask("OPTIONS", "/nothing")).status).toBe(404);
  });

  test("errors that can be retried have Retry-After, and a timeout closes the connection", async () => {
    expect((await ask("GET", "/throw/busy")).headers.get("retry-after")).toBe("3");
    expect((await ask("GET", "/throw/unavailable")).headers.get("retry-after")).toBe("1");
    expect((await ask("GET", "/throw/slow")).headers.get("connection")).toBe("close");
  });

  test("a failure in the middle of an answer is logged once, and breaks the answer", async () => {
    lines.length = 0;
    const response = await app.fetch(new Request("http://localhost:9091/broken?token=abc"));
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow("the disk is on fire");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({
        event: "request_failed",
        method: "GET",
        path: "/broken",
        error: expect.stringContaining("Error: the disk is on fire\n"),
      }),
    ]);
  });

  test("logs an internal fault once, without the query", async () => {
    lines.length = 0;
    await ask("GET", "/throw/log?token=abc");
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0]);
    expect(line).toMatchObject({
      level: "error",
      message: "a request failed",
      method: "GET",
      path: "/throw/log",
    });
    expect(line.error).toContain("secret of log");
    expect(lines[0]).not.toContain("abc");
    expect(lines[0].endsWith("}\n")).toBe(true);
  });

  test("every answer has a content type", async () => {
    expect((await ask("GET", "/things")).headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect((await ask("GET", "/things/7/parts")).headers.get("content-type")).toMatch(/^application\/json/);
  });

  test("counts requests by pattern, never by path or unknown method", async () => {
    await ask("GET", "/things/12345/parts");
    await ask("MKCOL", "/unheard-of");
    const text = await counters.registry.getSingleMetricAsString("weir_http_requests_total");
    expect(text).toContain('{route="/things/:id/parts",method="GET",status="200"}');
    expect(text).toContain('{route="none",method="other",status="404"}');
    expect(text).not.toContain("12345");
    expect(text).not.toContain("unheard-of");
    expect(await counters.registry.getSingleMetricAsString("weir_http_request_duration_seconds")).toContain(
      'weir_http_request_duration_seconds_count{route="none"}',
    );
  });
});

describe("over a socket", () => {
  let listener: Listener;
  beforeAll(async () => {
    listener = await listen(app, [{ hostname: "127.0.0.1", port: 0 }], { log });
  });
  afterAll(async () => {
    await listener.stop(1_000);
  });

  for (const host of ["a", "ab", "abc", "abcd", "localhost:9091", "[::1]:9091", ""]) {
    test(`Host ${JSON.stringify(host)} reaches the route, and the handler sees the header`, async () => {
      const answer = await exchange(listener, `GET /things?x=/y HTTP/1.1\r\nHost: ${host}`);
      expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(answer).toEndWith(`\r\n\r\nthings of ${host}`);
    });
  }

  test("HTTP/1.0 needs no Host", async () => {
    expect(await exchange(listener, "GET /things HTTP/1.0")).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("reads the body of a request with a short Host", async () => {
    const head = "POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 5";
    expect(await exchange(listener, head, "12345")).toEndWith("\r\n\r\n12345");
  });

  test("HEAD is GET without the body, also if the body never ends", async () => {
    const head = await exchange(listener, "HEAD /things HTTP/1.1\r\nHost: abcd");
    expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(head.toLowerCase()).toContain("content-length: 14\r\n");
    expect(head.toLowerCase()).toContain("content-type: text/plain; charset=utf-8\r\n");
    expect(head).toEndWith("\r\n\r\n");
    expect(await exchange(listener, "HEAD /endless HTTP/1.1\r\nHost: abcd")).toEndWith("\r\n\r\n");
    expect(await exchange(listener, "HEAD /groups/x HTTP/1.1\r\nHost: abcd")).toStartWith("HTTP/1.1 405 ");
  });
});
