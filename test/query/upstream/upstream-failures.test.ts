/**
 * An upstream that hangs, breaks off, answers errors or nonsense: a query is answered with what is stored here and says so,
 * one that needs no upstream never waits for it, and no secret is in any text.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { DAY_MS, NOON_MS, type TestGateway } from "../../gateway.ts";
import { until } from "../../until.ts";
import { askGateway, gatewayWith } from "./upstream-gateway.ts";

const closed: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closed.splice(0).reverse()) await close();
});

type Handle = (request: Request) => Response | Promise<Response>;

/** An upstream whose answers the test makes. */
function upstreamOf(handle: Handle): { url: string; asked: string[] } {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      asked.push(new URL(request.url).pathname);
      return handle(request);
    },
  });
  closed.push(() => server.stop(true));
  return { url: server.url.origin, asked };
}

/** A gateway that has the gauge `depth` of the last two days, one sample per hour with the number of the hour. */
async function gatewayFor(toml: string, ...flags: string[]): Promise<TestGateway> {
  const gateway = await gatewayWith(NOON_MS, toml, ...flags);
  closed.push(() => gateway.close());
  await gateway.push(
    Array.from({ length: 48 }, (_, hour) => ({
      metric: "depth",
      atMs: NOON_MS - hour * 3_600_000,
      value: hour,
      labels: { queue: "q" },
    })),
  );
  return gateway;
}

const table = (url: string, more = "") => `[upstream]\nurl = "${url}"\n${more}`;
/** Reads back before what is stored here. */
const OLDER = { query: "count_over_time(depth[6d])", time: NOON_MS / 1000 };
const RECENT = { query: "count_over_time(depth[3h])", time: NOON_MS / 1000 };
const hangs = () => new Promise<Response>(() => {});
const line = (values: readonly (number | null)[], timestamps: readonly number[], metric = {}) =>
  `${JSON.stringify({ metric: { __name__: "depth", queue: "q", ...metric }, values, timestamps })}\n`;

async function own(gateway: TestGateway, name: string): Promise<number> {
  const [, text] = await gateway.send("GET /metrics");
  return Number(
    text
      .split("\n")
      .find((each) => each.startsWith(`${name} `))
      ?.slice(name.length + 1),
  );
}

const value = ({ data }: Awaited<ReturnType<typeof askGateway>>) =>
  data.result.map((each) => each.value?.[1]);

describe("an upstream that hangs", () => {
  test("does not concern a query of what is stored here", async () => {
    const { url, asked } = upstreamOf(hangs);
    const gateway = await gatewayFor(table(url));
    const answer = await askGateway(gateway, "query", RECENT);
    expect([value(answer), answer.warnings, asked]).toEqual([["3"], undefined, []]);
  });

  test("is waited for until the time limit; the answer has what is stored here and names it", async () => {
    const { url } = upstreamOf(hangs);
    const gateway = await gatewayFor(table(url, 'timeout = "100ms"\n'));
    const answer = await askGateway(gateway, "query", OLDER);
    expect(value(answer)).toEqual(["48"]);
    expect(answer.warnings).toEqual([
      `the upstream ${url} did not answer within 100 ms; the result has only what is stored here`,
    ]);
  });

  test("is waited for during half of the time of a query at most", async () => {
    const { url } = upstreamOf(hangs);
    const gateway = await gatewayFor(table(url, 'timeout = "10m"\n'));
    const answer = await askGateway(gateway, "query", { ...OLDER, timeout: "4s" });
    expect(answer.warnings).toEqual([
      expect.stringContaining(
        `the upstream ${url} did not answer within 2000 ms, half of the time of the query`,
      ),
    ]);
  });

  test("is not asked after three failures, until a pause is over; then one answer closes the circuit", async () => {
    let isUp = false;
    const { url, asked } = upstreamOf(() =>
      isUp ? new Response(line([5], [NOON_MS - 5 * DAY_MS])) : new Response("busy", { status: 503 }),
    );
    const gateway = await gatewayFor(table(url, 'protocol = "export"\n'));
    const ask = () =>
      askGateway(gateway, "query", { query: "count_over_time(depth[100h])", time: NOON_MS / 1000 });
    await ask();
    await ask();
    expect(await own(gateway, "weir_upstream_circuit_open")).toBe(0);
    await ask();
    const { length } = asked;
    expect(await own(gateway, "weir_upstream_circuit_open")).toBe(1);
    expect(await own(gateway, "weir_upstream_circuit_opened_total")).toBe(1);
    const skipped = await ask();
    expect(asked.length).toBe(length);
    expect(skipped.warnings).toEqual([
      `the upstream ${url} is not asked at the moment, because it failed: answered 503: "busy"; the result has only what is stored here`,
    ]);
    expect(await own(gateway, 'weir_upstream_requests_total{outcome="skipped"}')).toBeGreaterThan(0);
    expect(gateway.takeLog()).toEqual([expect.stringContaining("upstream_failing")]);
    isUp = true;
    gateway.nowMs += 10_001;
    expect((await ask()).warnings).toBeUndefined();
    expect(await own(gateway, "weir_upstream_circuit_open")).toBe(0);
  });

  test("leaves the place of the query that waits for it to others", async () => {
    const began = Promise.withResolvers<void>();
    const end = Promise.withResolvers<string>();
    const { url } = upstreamOf(() => {
      began.resolve();
      return end.promise.then((text) => new Response(text));
    });
    const gateway = await gatewayFor(
      table(url, 'timeout = "10m"\nprotocol = "export"\n'),
      "--promql-concurrency-max=1",
      "--promql-timeout-ms=20m",
    );
    const waiting = askGateway(gateway, "query", OLDER);
    await began.promise;
    expect(value(await askGateway(gateway, "query", RECENT))).toEqual(["3"]);
    end.resolve(line([1], [NOON_MS - 4 * DAY_MS]));
    expect(value(await waiting)).toEqual(["49"]);
    // The place is taken again, and given back once.
    expect(value(await askGateway(gateway, "query", RECENT))).toEqual(["3"]);
  });
});

describe("a failure of the upstream is a warning, and nothing of a broken answer counts", () => {
  const cases: readonly [what: string, handle: Handle, warning: RegExp][] = [
    [
      "a status of 500",
      () => new Response("disk is broken", { status: 500 }),
      /answered 500: "disk is broken"/,
    ],
    [
      "a status of 422 with Prometheus's error",
      () => Response.json({ status: "error", error: "too many samples" }, { status: 422 }),
      /answered 422: "too many samples"/,
    ],
    ["a status of 401", () => new Response("who?", { status: 401 }), /answered 401: "who\?"/],
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/elsewhere"), /answered 302/],
    ["no JSON", () => new Response("<html>"), /sent an answer that cannot be read/],
    [
      "JSON that ends early",
      () => new Response(`${line([1], [NOON_MS - 4 * DAY_MS])}{"metric":{"__na`),
      /sent an answer that cannot be read/,
    ],
  ];
  for (const [what, handle, warning] of cases) {
    test(what, async () => {
      const { url } = upstreamOf(handle);
      const gateway = await gatewayFor(table(url, 'protocol = "export"\n'));
      const answer = await askGateway(gateway, "query", OLDER);
      expect(value(answer)).toEqual(["48"]);
      expect(answer.warnings).toHaveLength(1);
      expect(answer.warnings![0]).toMatch(warning);
      expect(answer.warnings![0]).toContain(url);
      gateway.takeLog();
    });
  }

  test("a connection that breaks in the middle of an answer", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          const text = line([1], [NOON_MS - 4 * DAY_MS]);
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n${text}`);
          socket.flush();
          socket.terminate();
        },
      },
    });
    closed.push(() => server.stop(true));
    const gateway = await gatewayFor(table(`http://127.0.0.1:${server.port}`, 'protocol = "export"\n'));
    const answer = await askGateway(gateway, "query", OLDER);
    expect(value(answer)).toEqual(["48"]);
    expect(answer.warnings).toEqual([
      expect.stringContaining(`http://127.0.0.1:${server.port} is unavailable`),
    ]);
    gateway.takeLog();
  });

  test("no connection", async () => {
    const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const url = probe.url.origin;
    await probe.stop(true);
    const gateway = await gatewayFor(table(url));
    const answer = await askGateway(gateway, "query", OLDER);
    expect(value(answer)).toEqual(["48"]);
    expect(answer.warnings).toEqual([expect.stringContaining(`the upstream ${url} is unavailable`)]);
    gateway.takeLog();
  });
});

test("texts of the upstream are without the token and the password of the requests", async () => {
  const seen: (string | null)[] = [];
  const { url } = upstreamOf((request) => {
    seen.push(request.headers.get("authorization"), request.headers.get("x-scope-orgid"));
    return new Response(`not you: ${request.headers.get("authorization")} ${request.url}`, { status: 403 });
  });
  const gateway = await gatewayFor(
    table(
      `${url}/select?key=hunter22`,
      'protocol = "query"\nbearer_token = "swordfish"\nheaders = { "X-Scope-OrgID" = "a" }\n',
    ),
  );
  const [, text] = await gateway.send(
    `GET /api/v1/query?${new URLSearchParams({ query: "depth offset 6d" })}`,
  );
  expect(seen.slice(0, 2)).toEqual(["Bearer swordfish", "a"]);
  expect(text).toContain("answered 403");
  expect(text).not.toMatch(/swordfish|hunter22/);
  const [, flags] = await gateway.send("GET /api/v1/status/flags");
  expect(flags).toContain(url);
  expect(flags).not.toMatch(/swordfish|hunter22/);
});

test("rules, exports and federation read what is stored here, and never wait for the upstream", async () => {
  const { url, asked } = upstreamOf(hangs);
  const gateway = await gatewayFor(table(url));
  await gateway.send("GET /federate?match[]=nothing_here");
  await gateway.send("GET /api/v1/export?match[]=nothing_here&start=0");
  const { queries } = { queries: gateway.gateway.rules };
  await queries.reload();
  await queries.evaluate(NOON_MS);
  expect(asked).toEqual([]);
});

test("/api/metrics/query_range answers 503 with a sentence if it needs the upstream and that is away", async () => {
  const { url } = upstreamOf(() => new Response("", { status: 502 }));
  const gateway = await gatewayFor(table(url, 'protocol = "query"\n'));
  const range = (from: number) =>
    `GET /api/metrics/query_range?${new URLSearchParams({ query: "depth", start: `${from / 1000}`, end: `${NOON_MS / 1000}`, step: "3600" })}`;
  const [status, text] = await gateway.send(range(NOON_MS - 5 * DAY_MS));
  const sentence = `the upstream ${url} answered 502`;
  expect([status, JSON.parse(text)]).toEqual([
    503,
    { detail: sentence, status: "error", errorType: "unavailable", error: sentence },
  ]);
  expect((await gateway.send(range(NOON_MS - 3_600_000)))[0]).toBe(200);
  gateway.takeLog();
});

test("/api/metrics/health is degraded while the upstream is away, and healthy when it answers", async () => {
  let status = 500;
  const { url } = upstreamOf(() => new Response("", { status }));
  const gateway = await gatewayFor(table(url));
  expect(await gateway.send("GET /api/metrics/health")).toEqual([
    200,
    JSON.stringify({ status: "degraded", error: "the upstream answered 500" }),
  ]);
  status = 200;
  gateway.nowMs += 1_000;
  expect(await gateway.send("GET /api/metrics/health")).toEqual([200, JSON.stringify({ status: "healthy" })]);
});

test("/api/metrics/health asks the upstream once per second, and requests at once share the answer", async () => {
  const answer = Promise.withResolvers<Response>();
  let isFirst = true;
  const { url, asked } = upstreamOf(() => {
    if (!isFirst) return new Response("", { status: 500 });
    isFirst = false;
    return answer.promise;
  });
  const gateway = await gatewayFor(table(url));
  const health = async () => (await gateway.send("GET /api/metrics/health"))[1];
  const atOnce = Array.from({ length: 20 }, health);
  await until("the upstream to be asked", () => asked.length === 1);
  answer.resolve(new Response("ok"));
  const healthy = JSON.stringify({ status: "healthy" });
  expect(new Set(await Promise.all(atOnce))).toEqual(new Set([healthy]));
  gateway.nowMs += 999;
  expect(await health()).toBe(healthy);
  expect(asked.length).toBe(1);
  gateway.nowMs += 1;
  const degraded = JSON.stringify({ status: "degraded", error: "the upstream answered 500" });
  expect(await health()).toBe(degraded);
  expect(await health()).toBe(degraded);
  expect(asked.length).toBe(2);
});

describe("a long range", () => {
  const range = { query: "sum_over_time(depth[31d])", time: NOON_MS / 1000 };
  const spanOf = async (request: Request) => {
    const form = new URLSearchParams(await request.text());
    return ["start", "end"].map((name) => Math.round(Number(form.get(name)) * 1000)) as [number, number];
  };

  test("is read in few requests, without a gap or an overlap", async () => {
    const spans: [number, number][] = [];
    const { url } = upstreamOf(async (request) => {
      spans.push(await spanOf(request));
      return new Response("");
    });
    const gateway = await gatewayFor(table(url, 'protocol = "export"\n'));
    expect((await askGateway(gateway, "query", range)).warnings).toBeUndefined();
    // 1, 8, and the rest up to the end of the first stored day.
    expect(spans.length).toBe(3);
    expect(spans[0]![0]).toBe(NOON_MS - 31 * DAY_MS + 1);
    expect(spans.slice(1).map(([start], at) => start - spans[at]![1])).toEqual([1, 1]);
    expect(spans.at(-1)![1]).toBe(Math.floor((NOON_MS - 47 * 3_600_000) / DAY_MS + 1) * DAY_MS - 1);
  });

  test("is read day by day where the server refuses more", async () => {
    let refused = 0;
    const { url } = upstreamOf(async (request) => {
      const [start, end] = await spanOf(request);
      if (end - start >= DAY_MS) {
        refused++;
        return Response.json({ error: "exceeded sample limit" }, { status: 400 });
      }
      return new Response(line([1], [end]));
    });
    const gateway = await gatewayFor(table(url, 'protocol = "export"\n'));
    const answer = await askGateway(gateway, "query", range);
    expect(answer.warnings).toBeUndefined();
    // The ends of 3 September to 1 October with 1 each, and 0 to 47 of the stored hours.
    expect(value(answer)).toEqual([String(29 + (47 * 48) / 2)]);
    expect(refused).toBeGreaterThan(0);
  });
});
