/**
 * Limits on the real gateway, with the clock of the test: what each protocol answers, what counts, and who is limited.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import snappyjs from "snappyjs";
import { Access } from "../../src/access/access.ts";
import { SCOPES } from "../../src/access/access-token.ts";
import { Gate } from "../../src/access/gate.ts";
import { createCounters } from "../../src/model/counters.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { call, frame } from "../receive/otlp/grpc/grpc-client.ts";
import { encode } from "../receive/otlp/otlp-messages.ts";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { addToken } from "./token-texts.ts";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ofReason = async (gateway: TestGateway, reason: string) => {
  const { values } = await gateway.counters.requestsRefused.get();
  return values.find(({ labels }) => labels.reason === reason)?.value;
};
const events = (count: number) =>
  JSON.stringify(Array.from({ length: count }, (_, at) => ({ metric_name: "limited", value: at })));

describe("a token that sent too much", () => {
  let gateway: TestGateway;
  let token: string;
  beforeAll(async () => {
    const path = join(temporaryFolder(), "tokens.json");
    token = await addToken(path, "all", { scopes: SCOPES });
    gateway = await openTestGateway(
      `--token-file=${path}`,
      "--limit-token=requests=0.5,scrapes=0.1",
      "--otlp-grpc-listen=127.0.0.1:0",
    );
    await gateway.ok("PUT /metrics/job/first", "a 1\n", bearer(token));
  });
  afterAll(() => gateway.close());

  const SENTENCE =
    "This token may send 0.5 requests per second (the setting limitToken); send the request again in 2 s.";
  const written = new Uint8Array(
    snappyjs.compress(
      encodeV1([{ labels: [["__name__", "w"]], samples: [{ value: 1, timestamp: NOON_MS }] }] as never),
    ),
  );
  const V1 = { "content-encoding": "snappy", "content-type": "application/x-protobuf" };
  const JSON_BODY = { "content-type": "application/json" };
  /** A request, and its answer in the form of its protocol. */
  const forms: [
    string,
    string,
    Uint8Array<ArrayBuffer> | string | undefined,
    Record<string, string>,
    number,
    unknown,
  ][] = [
    ["POST", "/api/v1/push", events(1), {}, 429, { error: { code: "rate_limited", message: SENTENCE } }],
    ["POST", "/v1/metrics", '{"resourceMetrics":[]}', JSON_BODY, 429, { code: 14, message: SENTENCE }],
    ["POST", "/write", "m v=1", {}, 429, { error: SENTENCE }],
    ["POST", "/api/v2/write", "m v=1", {}, 429, { code: "too many requests", message: SENTENCE }],
    ["POST", "/datadog/api/v2/series", '{"series":[]}', {}, 429, { errors: [SENTENCE] }],
    ["POST", "/api/v1/import", "x", {}, 429, SENTENCE],
    ["PUT", "/metrics/job/a", "a 1\n", {}, 429, SENTENCE],
    // Prometheus drops what gets 429.
    ["POST", "/api/v1/write", written, V1, 503, SENTENCE],
    [
      "GET",
      "/api/v1/query?query=1",
      undefined,
      {},
      429,
      { status: "error", errorType: "unavailable", error: SENTENCE },
    ],
    ["GET", "/api/v1/sql?q=SELECT+1", undefined, {}, 429, { error: { code: "rate_limited" } }],
    ["GET", "/metrics", undefined, {}, 429, { error: { code: "rate_limited", message: SENTENCE } }],
    ["GET", "/federate?match[]=a", undefined, {}, 429, { error: { code: "rate_limited" } }],
  ];
  test.each(forms)("%s %s", async (method, path, body, headers, status, want) => {
    const answer = await gateway.fetch(path, { method, body, headers: { ...headers, ...bearer(token) } });
    const text = (await answer.text()).trim();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([status, "2"]);
    if (typeof want === "string") expect(text).toBe(want);
    else expect(JSON.parse(text)).toMatchObject(want as object);
  });

  test("gets UNAVAILABLE with a delay by gRPC", async () => {
    const [url] = await gateway.startServices();
    const answer = await call(url!, frame(encode({ resourceMetrics: [] })), { headers: bearer(token) });
    expect([answer.code, answer.message]).toEqual([14, SENTENCE]);
    expect(answer.details!.toString("latin1")).toContain("google.rpc.RetryInfo");
    await gateway.stopServices();
  });

  test("is in the summary of the log with the status that its protocol answers", () => {
    gateway.gateway.summary.flush();
    const lines = gateway.takeLog().map((line) => JSON.parse(line) as Record<string, unknown>);
    const statusOf = (route: string) =>
      lines.find((line) => line.route === route && line.reason === "rate_limited")?.status;
    expect([statusOf("/write"), statusOf("/api/v1/write")]).toEqual([429, 503]);
  });

  test("is counted, and is not limited in what needs no scope or does not exist", async () => {
    expect(await ofReason(gateway, "token_requests")).toBe(forms.length + 1);
    for (let again = 0; again < 3; again++) {
      expect((await gateway.fetch("/-/healthy", { headers: bearer(token) })).status).toBe(200);
      expect((await gateway.fetch("/nothing", { headers: bearer(token) })).status).toBe(404);
      expect((await gateway.fetch("/metrics", { method: "OPTIONS", headers: bearer(token) })).status).toBe(
        204,
      );
      expect((await gateway.fetch("/metrics")).status).toBe(401);
    }
  });

  test("may go on after the time, with a limit of its own for scrapes", async () => {
    const status = async (path: string) => (await gateway.fetch(path, { headers: bearer(token) })).status;
    gateway.nowMs += 2_000;
    expect([await status("/metrics"), await status("/metrics")]).toEqual([200, 429]);
    gateway.nowMs += 2_000;
    const answer = await gateway.fetch("/federate?match[]=a", { headers: bearer(token) });
    expect([answer.status, answer.headers.get("retry-after"), await answer.text()]).toEqual([
      429,
      "8",
      expect.stringContaining("may request /metrics and /federate 0.1 times per second"),
    ]);
    expect(await status("/api/v1/query?query=1")).toBe(200);
    expect(await ofReason(gateway, "token_scrapes")).toBe(1);
  });
});

describe("samples and bytes", () => {
  let gateway: TestGateway;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    const path = join(temporaryFolder(), "tokens.json");
    for (const name of ["a", "b", "c", "d", "e", "f", "g", "h"])
      tokens[name] = await addToken(path, name, { scopes: SCOPES });
    tokens.own = await addToken(path, "own", { scopes: ["push"], limits: { samples: 2, bytes: 1e6 } });
    gateway = await openTestGateway(
      `--token-file=${path}`,
      "--limit-token=samples=10,bytes=100kB",
      "--otlp-grpc-listen=127.0.0.1:0",
    );
  });
  afterAll(() => gateway.close());
  const send = async (
    token: string,
    path: string,
    body: Bun.BodyInit,
    headers: Record<string, string> = {},
    method = "POST",
  ) => {
    const sent = { method, body, headers: { ...bearer(tokens[token]!), ...headers } };
    const answer = await gateway.fetch(path, sent);
    return [answer.status, answer.headers.get("retry-after")];
  };
  const stored = async (metric: string) => {
    const headers = bearer(tokens.a!);
    const answer = await gateway.fetch(`/api/v1/sql?q=SELECT+count(*)+AS+n+FROM+${metric}`, { headers });
    return ((await answer.json()) as { rows: [{ n: number }] }).rows[0].n;
  };

  test("a large push is stored as a whole, and the next one waits until its samples have come back", async () => {
    expect(await send("a", "/api/v1/push", events(45))).toEqual([200, null]);
    // 35 are owed, and one must be left: 3.6 s.
    expect(await send("a", "/api/v1/push", events(1))).toEqual([429, "4"]);
    expect(await stored("limited")).toBe(45);
    gateway.nowMs += 3_599;
    expect(await send("a", "/api/v1/push", events(1))).toEqual([429, "1"]);
    gateway.nowMs += 1;
    expect(await send("a", "/api/v1/push", events(1))).toEqual([200, null]);
    expect(await ofReason(gateway, "token_samples")).toBe(2);
  });

  test("count in every protocol, and for each token by itself", async () => {
    const nanos = NOON_MS * 1e6;
    const lines = Array.from({ length: 30 }, (_, at) => `m,n=${at} v=1 ${nanos}`).join("\n");
    expect(await send("b", "/write", lines)).toEqual([204, null]);
    expect(await send("b", "/write", lines)).toEqual([429, "3"]);
    const group = Array.from({ length: 30 }, (_, at) => `g{n="${at}"} 1\n`).join("");
    expect((await send("c", "/metrics/job/a", group, {}, "PUT"))[0]).toBe(200);
    expect((await send("c", "/metrics/job/a", group, {}, "PUT"))[0]).toBe(429);
    // An import in many parts is not cut off.
    const series = Array.from(
      { length: 50 },
      (_, at) => `{"metric":{"__name__":"vm","n":"${at}"},"values":[1],"timestamps":[${NOON_MS}]}\n`,
    );
    const stream = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const line of series) controller.enqueue(Buffer.from(line + " ".repeat(20_000)));
        controller.close();
      },
    });
    expect(await send("d", "/api/v1/import", stream)).toEqual([204, null]);
    expect(await stored("vm")).toBe(50);
    expect((await send("d", "/api/v1/import", series[0]!))[0]).toBe(429);
  });

  test("bytes count as they arrive, compressed", async () => {
    const body = Buffer.from(events(5) + " ".repeat(400_000));
    const small = Bun.gzipSync(body);
    expect(small.length).toBeLessThan(10_000);
    expect(await send("e", "/api/v1/push", small, { "content-encoding": "gzip" })).toEqual([200, null]);
    expect((await send("e", "/api/v1/push", body.subarray()))[0]).toBe(200);
    const before = await ofReason(gateway, "token_bytes");
    expect((await send("e", "/api/v1/sql", "SELECT 1"))[0]).toBe(429);
    expect(await ofReason(gateway, "token_bytes")).toBe(before! + 1);
    gateway.nowMs += 10_000;
    expect((await send("e", "/api/v1/sql", "SELECT 1", { "content-type": "text/plain" }))[0]).toBe(200);
  });

  test("a rejected body counts its bytes and no samples, also one that is too large and not read to its end", async () => {
    expect((await send("f", "/api/v1/push", `[${" ".repeat(150_000)}`))[0]).toBe(400);
    expect((await send("f", "/api/v1/push", events(1)))[0]).toBe(429);
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    });
    expect((await send("g", "/api/v1/push", endless))[0]).toBe(413);
    const [status, seconds] = await send("g", "/api/v1/push", events(1));
    // 32 MiB at 100 kB per second.
    expect([status, Number(seconds) >= 330]).toEqual([429, true]);
  });

  test("a message of gRPC counts its bytes", async () => {
    const [url] = await gateway.startServices();
    const body = frame(new Uint8Array(200_000));
    const code = async () => (await call(url!, body, { headers: bearer(tokens.h!) })).code;
    expect([await code(), await code()]).toEqual([3, 14]);
    await gateway.stopServices();
  });

  test("a token's own limits replace those of the setting", async () => {
    expect((await send("own", "/api/v1/push", events(3)))[0]).toBe(200);
    const headers = bearer(tokens.own!);
    const answer = await gateway.fetch("/api/v1/push", { method: "POST", body: events(1), headers });
    expect([answer.status, await answer.text()]).toEqual([
      429,
      expect.stringContaining("This token may store 2 samples per second (the limit of the token)"),
    ]);
  });
});

describe("addresses", () => {
  let gateway: TestGateway;
  afterEach(() => gateway.close());

  /** The status of a request from a local address. */
  const from = async (localAddress: string, headers: string): Promise<number> => {
    const { urls } = await gateway.listen();
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect({ port: Number(new URL(urls[0]!).port), host: "127.0.0.1", localAddress });
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => void parts.push(part));
    socket.on("close", () => resolve(Buffer.concat(parts).toString()));
    socket.write(`GET /api/v1/labels HTTP/1.1\r\nHost: localhost\r\n${headers}Connection: close\r\n\r\n`);
    return Number((await promise).slice(9, 12));
  };

  test("each have their own limit, and who is behind a trusted proxy has one of its own", async () => {
    gateway = await openTestGateway("--limit-address=requests=1", "--trusted-proxies=127.0.0.9");
    expect([await from("127.0.0.1", ""), await from("127.0.0.1", "")]).toEqual([200, 429]);
    expect(await from("127.0.0.2", "")).toBe(200);
    // What a client claims does not help it.
    expect(await from("127.0.0.1", "X-Forwarded-For: 203.0.113.1\r\n")).toBe(429);
    expect(await from("127.0.0.9", "X-Forwarded-For: 203.0.113.1\r\n")).toBe(200);
    expect(await from("127.0.0.9", "X-Forwarded-For: 203.0.113.1\r\n")).toBe(429);
    expect(await from("127.0.0.9", "X-Forwarded-For: 203.0.113.2\r\n")).toBe(200);
    // Neighbours in one network of 64 bits are one client.
    expect(await from("127.0.0.9", "X-Forwarded-For: 2001:db8::1\r\n")).toBe(200);
    expect(await from("127.0.0.9", "X-Forwarded-For: 2001:db8::2\r\n")).toBe(429);
    expect(await ofReason(gateway, "address_requests")).toBe(4);
    gateway.nowMs += 1_000;
    expect(await from("127.0.0.1", "")).toBe(200);
  });

  test("that are a proxy's say which name the client used, if it is trusted", async () => {
    gateway = await openTestGateway("--trusted-proxies=127.0.0.9", "--hosts=weir.example.com");
    const page = "X-Forwarded-Host: weir.example.com\r\nOrigin: https://weir.example.com\r\n";
    expect(await from("127.0.0.9", page)).toBe(200);
    expect(await from("127.0.0.1", page)).toBe(403);
    expect(await from("127.0.0.9", "X-Forwarded-Host: evil.example\r\n")).toBe(403);
    expect(await from("127.0.0.1", "X-Forwarded-Host: evil.example\r\n")).toBe(200);
  });

  test("that send invalid tokens again and again are limited, and those without a token are not", async () => {
    const path = join(temporaryFolder(), "tokens.json");
    const token = await addToken(path, "all", { scopes: SCOPES });
    gateway = await openTestGateway(`--token-file=${path}`, "--limit-address=failures=2");
    const invalid = "Authorization: Bearer weir_x\r\n";
    const valid = `Authorization: Bearer ${token}\r\n`;
    for (let again = 0; again < 5; again++) expect(await from("127.0.0.1", "")).toBe(401);
    expect([await from("127.0.0.1", invalid), await from("127.0.0.1", invalid)]).toEqual([401, 401]);
    // Otherwise a guess would be answered all the same.
    expect([await from("127.0.0.1", invalid), await from("127.0.0.1", valid)]).toEqual([429, 429]);
    expect([await from("127.0.0.1", ""), await from("127.0.0.2", valid)]).toEqual([401, 200]);
    gateway.nowMs += 500;
    expect([await from("127.0.0.1", valid), await from("127.0.0.1", valid)]).toEqual([200, 200]);
    expect(await ofReason(gateway, "address_failures")).toBe(2);
  });
});

describe("the sign-in of the page", () => {
  const session = async (gateway: TestGateway, headers: Record<string, string>, token?: string) => {
    const body = token === undefined ? undefined : JSON.stringify({ token });
    const method = body === undefined ? "GET" : "POST";
    const request = new Request("http://localhost:9091/api/v1/session", { method, headers, body });
    const socket = { port: 9091, requestIP: () => ({ address: "192.0.2.1" }) };
    const answer = await gateway.app.fetch(request, socket);
    return [answer.status, ((await answer.json()) as { name?: string }).name ?? null];
  };

  test("counts wrong tokens in a header and in a body as guesses, and answers no further one", async () => {
    const path = join(temporaryFolder(), "tokens.json");
    const token = await addToken(path, "all", { scopes: SCOPES });
    const gateway = await openTestGateway(`--token-file=${path}`, "--limit-address=failures=2");
    expect(await session(gateway, {})).toEqual([200, null]);
    expect(await session(gateway, { authorization: "Bearer weir_x" })).toEqual([200, null]);
    expect(await session(gateway, {}, "weir_y")).toEqual([401, null]);
    expect(await session(gateway, {}, token)).toEqual([429, null]);
    expect(await session(gateway, { authorization: `Bearer ${token}` })).toEqual([429, null]);
    expect([await ofReason(gateway, "address_failures"), await ofReason(gateway, "unauthenticated")]).toEqual(
      [2, 1],
    );
    gateway.nowMs += 1_000;
    expect(await session(gateway, {}, token)).toEqual([200, "all"]);
    await gateway.close();
  });

  test("knows a user of web.yml at the first request, limits wrong passwords, and takes no token on a user's word", async () => {
    const file = join(temporaryFolder(), "web.yml");
    const hash = await Bun.password.hash("right", { algorithm: "bcrypt", cost: 4 });
    await Bun.write(file, `basic_auth_users:\n  alice: ${hash}\n`);
    const gateway = await openTestGateway(`--web-config-file=${file}`, "--limit-address=failures=2");
    const alice = (password: string) => ({ authorization: `Basic ${btoa(`alice:${password}`)}` });
    expect(await session(gateway, alice("right"))).toEqual([200, "alice"]);
    expect(await session(gateway, alice("right"), "weir_x")).toEqual([401, null]);
    expect(await session(gateway, alice("wrong"))).toEqual([200, null]);
    expect(await session(gateway, alice("right"))).toEqual([429, null]);
    await gateway.close();
  });
});

test("an address that sent too many wrong passwords gets no further comparison, and every other address does", async () => {
  const folder = temporaryFolder();
  const compared: string[] = [];
  const access = new Access({
    path: join(folder, "tokens.json"),
    usesPath: join(folder, "token-uses.json"),
    passwords: {
      hasUsers: true,
      verifiesClients: false,
      checkPassword(_, password) {
        // The second call for a password has the result.
        if (compared.includes(password)) return false;
        compared.push(password);
        return Promise.resolve(false);
      },
    },
    mayBeOpen: true,
    now: () => NOON_MS,
    log: () => undefined,
  });
  const settings = { hosts: [], corsOrigins: [], trustedProxies: [], ownNames: [], isShared: false };
  const limits = { limitToken: {}, limitAddress: { failures: 2 }, queriesPerTokenMax: 20 };
  const gate = new Gate(
    { ...settings, ...limits },
    { access, counters: createCounters(), elapsedMs: () => 0 },
  );
  const guess = async (address: string, password: string): Promise<number> => {
    const headers = new Headers({ authorization: `Basic ${btoa(`ops:${password}`)}` });
    const request = { headers, url: "/metrics", method: "GET" };
    const route = { permission: "scrape" } as const;
    const arrival = gate.receive(request, { port: 9091, requestIP: () => ({ address }) });
    try {
      await gate.prepare(request, route, arrival);
      gate.admit(request, route, () => undefined, arrival);
      return 200;
    } catch (error) {
      return (error as { status: number }).status;
    }
  };
  expect([await guess("192.0.2.1", "a"), await guess("192.0.2.1", "b")]).toEqual([401, 401]);
  expect([await guess("192.0.2.1", "c"), await guess("192.0.2.1", "d")]).toEqual([429, 429]);
  expect(await guess("192.0.2.2", "e")).toBe(401);
  expect(compared).toEqual(["a", "b", "e"]);
});

describe("queries of a token", () => {
  test("are counted until their answer was sent, and others of the same token get 429 meanwhile", async () => {
    const path = join(temporaryFolder(), "tokens.json");
    const [token, other] = [
      await addToken(path, "a", { scopes: SCOPES }),
      await addToken(path, "b", { scopes: SCOPES }),
    ];
    const gateway = await openTestGateway(`--token-file=${path}`, "--queries-per-token-max=2");
    const ask = (path: string, of = token) => gateway.fetch(path, { headers: bearer(of) });
    const long = "/api/v1/sql?format=csv&q=SELECT+range+FROM+range(90000)";
    const [first, second] = [await ask(long), await ask(long)];
    expect([first.status, second.status]).toEqual([200, 200]);
    for (const route of ["/api/v1/sql?q=SELECT+1", "/api/v1/query?query=1", "/api/v1/labels"]) {
      const third = await ask(route);
      expect([third.status, third.headers.get("retry-after")]).toEqual([429, "1"]);
      expect(await third.text()).toContain(
        "This token may run 2 queries at a time (the setting queriesPerTokenMax); send the request again when one has ended.",
      );
    }
    expect((await ask("/metrics")).status).toBe(200);
    expect((await ask("/api/v1/query?query=1", other)).status).toBe(200);
    // One answer is read to its end, and the client of the other one leaves.
    expect((await first.text()).split("\n").length).toBe(90_002);
    expect((await ask("/api/v1/query?query=1")).status).toBe(200);
    await second.body!.cancel();
    const held = await ask(long);
    expect((await ask("/api/v1/query?query=1")).status).toBe(200);
    expect((await ask("/api/v1/query?query=nonsense(")).status).toBe(400);
    expect((await ask("/api/v1/sql?q=nonsense")).status).toBe(400);
    expect((await ask("/api/v1/query?query=1")).status).toBe(200);
    await held.body!.cancel();
    expect(await ofReason(gateway, "token_queries")).toBe(3);
    await gateway.close();
  });
});
