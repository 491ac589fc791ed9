/**
 * Pages of other origins, foreign names, and the headers of answers, on the real gateway: every route, without a token and
 * with one, over sockets where a request needs one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SCOPES } from "../../src/access/access-token.ts";
import { type Listener, listen } from "../../src/http/server.ts";
import { openTestGateway, type TestGateway } from "../gateway.ts";
import { exchange } from "../http/raw.ts";
import { call, frame } from "../receive/otlp/grpc/grpc-client.ts";
import { encode } from "../receive/otlp/otlp-messages.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { addToken } from "./token-texts.ts";

const EVIL = "https://evil.example";
const APP = "https://app.example.com";
const FOREIGN_ORIGIN = `Pages of the origin "${EVIL}" may not use this gateway. To allow it, add it to the setting corsOrigins (--cors-origins ${EVIL}).`;
const FOREIGN_LOAD = "A page of another site may not load this address.";
/** A request that arrives by TCP. */
const TCP = { port: 9091 };

let open: TestGateway;
let closed: TestGateway;
let token: string;
let listener: Listener;
beforeAll(async () => {
  const path = join(temporaryFolder(), "tokens.json");
  token = await addToken(path, "all", { scopes: SCOPES });
  open = await openTestGateway(
    "--enable-admin-api",
    "--otlp-listen=127.0.0.1:0",
    "--otlp-grpc-listen=127.0.0.1:0",
  );
  closed = await openTestGateway(`--token-file=${path}`, "--enable-admin-api", `--cors-origins=${APP}`);
  listener = await open.listen();
});
afterAll(() => Promise.all([open.close(), closed.close()]));

/** The status and the text of an answer. */
async function ask(gateway: TestGateway, method: string, path: string, headers: Record<string, string>) {
  const answer = await gateway.app.fetch(
    new Request(`http://localhost:9091${path}`, { method, headers }),
    TCP,
  );
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

async function refusals(gateway: TestGateway, reason: string): Promise<number> {
  const { values } = await gateway.counters.requestsRefused.get();
  return values.find(({ labels }) => labels.reason === reason)?.value ?? Number.NaN;
}

const pathOf = (pattern: string) => pattern.replaceAll(/:\w+|\*/g, "a");

describe("every route", () => {
  test("rejects a page of another origin, without a token and with a valid one", async () => {
    const wrong: string[] = [];
    const before = await refusals(open, "origin");
    const authorization = `Bearer ${token}`;
    for (const { method, path } of open.app.routes) {
      for (const [gateway, more] of [
        [open, {}],
        [closed, { authorization }],
      ] as const) {
        const { status, text } = await ask(gateway, method, pathOf(path), { ...more, origin: EVIL });
        if (status !== 403 || !text.includes("may not use this gateway"))
          wrong.push(`${method} ${path}: ${status}`);
      }
    }
    expect(wrong).toEqual([]);
    expect((await refusals(open, "origin")) - before).toBe(open.app.routes.length);
  });

  test("that returns or changes data rejects a load by a page of another site, and every route answers a link", async () => {
    const wrong: string[] = [];
    const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
    const link = {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    };
    for (const { method, path } of open.app.routes.filter((route) => route.method === "GET")) {
      const loaded = await ask(open, method, pathOf(path), image);
      if (loaded.status !== 403 || !loaded.text.includes(FOREIGN_LOAD))
        wrong.push(`${path}: ${loaded.status}`);
      const followed = await ask(open, method, pathOf(path), link);
      if (followed.text.includes(FOREIGN_LOAD)) wrong.push(`${path} by a link: ${followed.status}`);
    }
    expect(wrong).toEqual([]);
  });

  test("that needs a scope rejects a foreign Host, unless the request has a valid token", async () => {
    const wrong: string[] = [];
    const host = "evil.example:9091";
    for (const { method, path, permission } of open.app.routes) {
      const name = `${method} ${path}`;
      const isNone = permission === "none";
      const without = await ask(open, method, pathOf(path), { host });
      if (without.text.includes("neither an address nor a name") === isNone)
        wrong.push(`${name}: ${without.status}`);
      if (!isNone && without.status !== 403) wrong.push(`${name}: ${without.status}`);
      // A page that was loaded under the foreign name.
      const page = await ask(open, method, pathOf(path), { host, origin: `http://${host}` });
      if (!isNone && page.status !== 403) wrong.push(`${name} with an origin: ${page.status}`);
      const withToken = await ask(closed, method, pathOf(path), { host, authorization: `Bearer ${token}` });
      if (withToken.text.includes("neither an address"))
        wrong.push(`${name} with a token: ${withToken.status}`);
      const withOther = await ask(closed, method, pathOf(path), { host, authorization: "Bearer weir_x" });
      if (!isNone && withOther.status !== 401)
        wrong.push(`${name} with an invalid token: ${withOther.status}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe("over a socket", () => {
  const host = () => new URL(listener.urls[0]!).host;
  const event = JSON.stringify({ metric_name: "from_a_page", value: 1 });
  const push = (headers: string, body = event) =>
    exchange(listener, `POST /api/v1/push HTTP/1.1\r\n${headers}\r\nContent-Length: ${body.length}`, body);

  test("a push, a form and a deletion of another page change nothing", async () => {
    await open.ok("PUT /metrics/job/kept", "kept 1\n");
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/json",
    ])
      expect(await push(`Host: ${host()}\r\nOrigin: ${EVIL}\r\nContent-Type: ${type}`)).toStartWith(
        "HTTP/1.1 403 ",
      );
    // A page in a sandbox, a page of another program on this machine, and one that gave the gateway a name of its own.
    expect(await push(`Host: ${host()}\r\nOrigin: null`)).toStartWith("HTTP/1.1 403 ");
    expect(await push(`Host: ${host()}\r\nOrigin: http://127.0.0.1:3000`)).toStartWith("HTTP/1.1 403 ");
    expect(await push("Host: evil.example:9091\r\nOrigin: http://evil.example:9091")).toStartWith(
      "HTTP/1.1 403 ",
    );
    expect(await push("Host: evil.example:9091")).toStartWith("HTTP/1.1 403 ");
    const deletion = await exchange(
      listener,
      `DELETE /metrics/job/kept HTTP/1.1\r\nHost: ${host()}\r\nOrigin: ${EVIL}`,
    );
    expect(deletion).toStartWith("HTTP/1.1 403 ");
    expect(await open.exposed()).toContain('kept{instance="",job="kept"} 1');
    expect((await open.fetch("/api/v1/query?query=from_a_page")).ok).toBe(true);
    expect(await (await open.fetch("/api/v1/series?match[]=from_a_page")).json()).toEqual({
      status: "success",
      data: [],
    });
  });

  test("the sentences say which setting allows the request", async () => {
    const ask = async (headers: string) => {
      const answer = await exchange(listener, `GET /metrics HTTP/1.1\r\n${headers}`);
      return (JSON.parse(answer.slice(answer.indexOf("{"))) as { error: unknown }).error;
    };
    expect(await ask(`Host: ${host()}\r\nOrigin: ${EVIL}`)).toEqual({
      code: "forbidden",
      message: FOREIGN_ORIGIN,
      field: "Origin",
    });
    expect(await ask("Host: metrics.example.com:9091")).toEqual({
      code: "forbidden",
      message:
        'The Host "metrics.example.com:9091" is neither an address nor a name of this gateway. To allow it, add the name to ' +
        "the setting hosts (--hosts metrics.example.com), or send a token.",
      field: "Host",
    });
    expect(await ask(`Host: ${host()}\r\nOrigin: null`)).toMatchObject({
      message: expect.stringContaining("(--cors-origins '*')"),
    });
    const long = await ask(`Host: ${"a".repeat(2_000)}.example`);
    expect((long as { message: string }).message.length).toBeLessThan(700);
  });

  test("the gateway's own page, other clients, and HTTP/1.0 without a Host are answered", async () => {
    const status = async (text: string) => (await exchange(listener, text)).slice(9, 12);
    const get = (headers: string) => status(`GET /metrics HTTP/1.1\r\n${headers}`);
    expect(await get(`Host: ${host()}\r\nOrigin: http://${host()}`)).toBe("200");
    expect(await get(`Host: localhost\r\nOrigin: https://localhost\r\nSec-Fetch-Site: same-origin`)).toBe(
      "200",
    );
    expect(await get(`Host: ${host()}\r\nUser-Agent: Mozilla/5.0`)).toBe("200");
    expect(await get("Host: 203.0.113.9:9091\r\nUser-Agent: Prometheus/2.53.0")).toBe("200");
    expect(await get("Host: ")).toBe("200");
    expect(await status("GET /metrics HTTP/1.0")).toBe("200");
    expect((await push(`Host: ${host()}\r\nOrigin: http://${host()}`)).slice(9, 12)).toBe("200");
  });

  test("an unknown Host is accepted on a Unix socket, which no browser reaches", async () => {
    const path = join(temporaryFolder(), "weir.sock");
    const unix = await listen(open.app, [{ path }], { log: open.gateway.log });
    const answer = await fetch("http://anything/metrics", { unix: path });
    expect(answer.status).toBe(200);
    expect((await fetch("http://anything/metrics", { unix: path, headers: { origin: EVIL } })).status).toBe(
      403,
    );
    await unix.stop(0);
  });

  test("a Host of few letters is checked like any other", async () => {
    expect(await exchange(listener, "GET /metrics HTTP/1.1\r\nHost: a.b")).toStartWith("HTTP/1.1 403 ");
    expect(await exchange(listener, "HEAD /metrics HTTP/1.1\r\nHost: a.b")).toStartWith("HTTP/1.1 403 ");
    expect(await exchange(listener, "GET //metrics HTTP/1.1\r\nHost: evil.example")).toStartWith(
      "HTTP/1.1 301 ",
    );
    expect(
      await exchange(
        listener,
        "POST //api/v1/push HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2",
        "{}",
      ),
    ).toStartWith("HTTP/1.1 403 ");
  });

  test("the listeners of OTLP reject pages too, by HTTP and by gRPC", async () => {
    const urls = await open.startServices();
    const http = urls.find((url) => url.startsWith("http:"))!;
    const send = async (headers: Record<string, string>) => {
      const body = '{"resourceMetrics":[]}';
      const sent = { "content-type": "application/json", ...headers };
      const answer = await fetch(`${http}/v1/metrics`, { method: "POST", body, headers: sent });
      return [answer.status, await answer.json()];
    };
    expect(await send({})).toEqual([200, {}]);
    expect(await send({ origin: EVIL })).toEqual([403, { code: 7, message: FOREIGN_ORIGIN }]);
    expect(await send({ host: "evil.example" })).toMatchObject([403, { code: 7 }]);
    const grpc = urls.find((url) => url.startsWith("grpc:"))!;
    const body = frame(encode({ resourceMetrics: [] }));
    expect(await call(grpc, body, { headers: { origin: EVIL } })).toMatchObject({
      code: 7,
      message: FOREIGN_ORIGIN,
    });
    expect((await call(grpc, body)).code).toBe(0);
    await open.stopServices();
  });
});

describe("a page of an allowed origin", () => {
  const authorization = () => `Bearer ${token}`;

  test("gets the answer to its preflight, with the methods of the path", async () => {
    const preflight = (path: string) =>
      ask(closed, "OPTIONS", path, {
        origin: APP,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization, content-type, x-trace",
        "access-control-request-private-network": "true",
      });
    const { status, headers } = await preflight("/metrics/job/a");
    expect(status).toBe(204);
    expect(Object.fromEntries([...headers].filter(([name]) => /^access|vary/.test(name)))).toEqual({
      "access-control-allow-origin": APP,
      "access-control-allow-methods": "DELETE, OPTIONS, POST, PUT",
      "access-control-allow-headers":
        "Authorization, X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, *",
      "access-control-expose-headers": expect.stringContaining("Retry-After"),
      "access-control-max-age": "600",
      "access-control-allow-private-network": "true",
      vary: "Origin",
    });
  });

  test("can read answers and errors, and needs a token like everyone", async () => {
    const allowed = await ask(closed, "GET", "/metrics", { origin: APP, authorization: authorization() });
    expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([200, APP]);
    expect(allowed.headers.get("vary")).toBe("Accept, Accept-Encoding, Origin");
    expect(allowed.headers.get("access-control-allow-credentials")).toBeNull();
    for (const [path, status] of [
      ["/metrics", 401],
      ["/nothing", 404],
    ] as const) {
      const without = await ask(closed, "GET", path, { origin: APP });
      expect([without.status, without.headers.get("access-control-allow-origin")]).toEqual([status, APP]);
    }
  });

  test("is the only one: a preflight of another page gets no permission", async () => {
    const { status, headers } = await ask(closed, "OPTIONS", "/metrics/job/a", {
      origin: EVIL,
      "access-control-request-method": "PUT",
    });
    expect(status).toBe(403);
    expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(headers.get("vary")).toBe("Origin");
  });

  test("is any page with a star, and gets no answer with the browser's own passwords", async () => {
    const any = await openTestGateway("--cors-origins=*");
    for (const origin of [EVIL, "null"]) {
      const { status, headers } = await ask(any, "GET", "/metrics", { origin });
      expect([status, headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
    }
    await any.close();
  });

  test("is any page with a star, and cannot push with the sign-in of somebody from another port of the host", async () => {
    const path = join(temporaryFolder(), "tokens.json");
    const text = await addToken(path, "me", { scopes: SCOPES });
    const any = await openTestGateway(`--token-file=${path}`, `--cors-origins=*,${APP}`);
    const cookie = `weir_token_9091=${text}`;
    // The cookie is Strict, but another port of a host is the same site to a browser.
    const status = async (headers: Record<string, string>, method = "PUT") =>
      (await ask(any, method, "/metrics/job/a", { host: "localhost:9091", ...headers })).status;
    const page = "http://localhost:8080";
    expect(await status({ cookie, origin: page })).toBe(401);
    expect(await status({ cookie, origin: page, "sec-fetch-site": "same-site" })).toBe(401);
    expect(await status({ cookie, origin: page }, "DELETE")).toBe(401);
    expect(await status({ cookie, origin: page, authorization: `Bearer ${text}` })).toBe(200);
    // Its own pages can, also behind a proxy that sends another Host, and so can those that the setting names.
    expect(await status({ cookie, origin: "http://localhost:9091" })).toBe(200);
    expect(await status({ cookie, origin: "https://weir.example", "sec-fetch-site": "same-origin" })).toBe(
      200,
    );
    expect(await status({ cookie, origin: APP })).toBe(200);
    expect(await status({ cookie })).toBe(200);
    await any.close();
  });
});

test("every answer has the headers that restrict browsers, and no other one changes", async () => {
  const security = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy":
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  };
  for (const [method, path] of [
    ["GET", "/metrics"],
    ["GET", "/-/healthy"],
    ["GET", "/nothing"],
    ["PATCH", "/metrics"],
    ["OPTIONS", "/metrics"],
    ["GET", "//metrics"],
    ["GET", "/api/v1/query?query=1"],
    ["GET", "/api/v1/sql?q=SELECT+1"],
    ["GET", "/api/v1/export?match[]=up"],
    ["POST", "/write"],
  ] as const) {
    const { headers } = await ask(open, method, path, {});
    expect([path, Object.fromEntries(headers)]).toEqual([path, expect.objectContaining(security)]);
    expect([...headers.keys()].filter((name) => /^access|^vary$|transport/.test(name))).toEqual(
      path === "/metrics" && method === "GET" ? ["vary"] : expect.any(Array),
    );
  }
  expect((await ask(open, "GET", "/-/healthy", {})).headers.get("vary")).toBeNull();
});

test("tokens that are missing, invalid or without the scope are counted, and so are the other reasons from the start", async () => {
  const fresh = await openTestGateway(`--token-file=${join(closed.folder, "absent.json")}`);
  const counted = async (gateway: TestGateway) => {
    const { values } = await gateway.counters.requestsRefused.get();
    return Object.fromEntries(values.map(({ labels, value }) => [labels.reason, value]));
  };
  expect(await counted(fresh)).toMatchObject({ origin: 0, host: 0, unauthenticated: 0, permission: 0 });
  await fresh.close();
  const before = await counted(closed);
  const push = await addToken(join(temporaryFolder(), "tokens.json"), "x", { scopes: ["push"] });
  await ask(closed, "GET", "/metrics", {});
  await ask(closed, "GET", "/metrics", { authorization: `Bearer ${push}` });
  await ask(closed, "POST", "/api/v1/sql?q=DROP+TABLE+a", { authorization: `Bearer ${token}` });
  const after = await counted(closed);
  expect([after.unauthenticated! - before.unauthenticated!, after.permission! - before.permission!]).toEqual([
    2, 0,
  ]);
});
