/**
 * Tokens on the real gateway: every route asked with every kind of token, the forms of errors, where clients put a token,
 * the labels of a token, and idempotency keys.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import snappyjs from "snappyjs";
import { SCOPES, type TokenScope } from "../../src/access/access-token.ts";
import { addToken } from "../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { call, frame } from "../receive/otlp/grpc/grpc-client.ts";
import { encode } from "../receive/otlp/otlp-messages.ts";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const snappy = (message: Buffer) => new Uint8Array(snappyjs.compress(message));
const V1 = {
  "content-encoding": "snappy",
  "content-type": "application/x-protobuf",
  "x-prometheus-remote-write-version": "0.1.0",
};

let gateway: TestGateway;
const tokens = {} as Record<TokenScope | "all" | "expired" | "bound" | "other", string>;
beforeAll(async () => {
  const path = join(temporaryFolder(), "tokens.json");
  for (const scope of SCOPES) tokens[scope] = await addToken(path, scope, { scopes: [scope] });
  tokens.all = await addToken(path, "all", { scopes: SCOPES });
  tokens.expired = await addToken(path, "expired", { scopes: SCOPES, expiresMs: NOON_MS });
  tokens.bound = await addToken(path, "bound", { scopes: SCOPES, labels: { job: "ci" } });
  tokens.other = await addToken(path, "other", { scopes: ["push"] });
  gateway = await openTestGateway(
    `--token-file=${path}`,
    "--enable-admin-api",
    "--otlp-listen=127.0.0.1:0",
    "--otlp-grpc-listen=127.0.0.1:0",
  );
});
afterAll(() => gateway.close());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const NO_TOKEN = "needs a token with the scope";
const INVALID = "The token is not valid: it is unknown, revoked or expired.";

/** The outcome for a token: what the guard says, or `admitted`. */
async function outcome(method: string, path: string, headers: Record<string, string>): Promise<string> {
  const answer = await gateway.fetch(path, { method, headers });
  const text = await answer.text();
  if (answer.status === 401 && (text.includes(NO_TOKEN) || text.includes(INVALID))) {
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="weir", Basic realm="weir"');
    return "401";
  }
  const missing = /The token does not have the scope (\w+)/.exec(text)?.[1];
  if (missing !== undefined) return `${answer.status} ${missing}`;
  return text.includes("this route does not support such a token") ? `${answer.status} labels` : "admitted";
}

describe("every route", () => {
  test("is answered by the scope that it declares, and by no other token", async () => {
    const wrong: string[] = [];
    const expectOutcome = async (
      route: string,
      kind: string,
      headers: Record<string, string>,
      want: string,
    ) => {
      const [method = "", path = ""] = route.split(" ");
      const is = await outcome(method, path, headers);
      if (is !== want) wrong.push(`${route} with ${kind}: ${is}, expected ${want}`);
    };
    for (const { method, path, permission, bound } of gateway.app.routes) {
      const route = `${method} ${path.replaceAll(/:\w+|\*/g, "a")}`;
      const isNone = permission === "none";
      await expectOutcome(route, "no token", {}, isNone ? "admitted" : "401");
      await expectOutcome(route, "an unknown token", bearer("weir_x"), isNone ? "admitted" : "401");
      await expectOutcome(route, "an expired token", bearer(tokens.expired), isNone ? "admitted" : "401");
      for (const scope of SCOPES) {
        const want = isNone || scope === permission ? "admitted" : `403 ${permission}`;
        await expectOutcome(route, scope, bearer(tokens[scope]), want);
      }
      const want = isNone || bound !== undefined ? "admitted" : "403 labels";
      await expectOutcome(route, "labels", bearer(tokens.bound), want);
    }
    expect(wrong).toEqual([]);
  });

  test("needs its token for HEAD too, also with slashes before and behind the path", async () => {
    const status = async (method: string, path: string, headers = {}) =>
      (await gateway.fetch(path, { method, headers })).status;
    expect(await status("HEAD", "/metrics")).toBe(401);
    expect(await status("HEAD", "/metrics", bearer(tokens.scrape))).toBe(200);
    expect(await status("GET", "/metrics/")).toBe(401);
    expect(await status("POST", "//api/v1/push")).toBe(401);
    expect(await status("GET", "/api/v1/query/?query=1")).toBe(401);
    expect(await status("OPTIONS", "/metrics")).toBe(204);
  });
});

test("errors have the form of the protocol, and never quote the token", async () => {
  const forms: [string, string, unknown, unknown][] = [
    [
      "POST",
      "/api/v1/push",
      { error: { code: "unauthenticated", message: INVALID } },
      { error: { code: "forbidden" } },
    ],
    ["POST", "/api/v2/write", { code: "unauthorized", message: INVALID }, { code: "forbidden" }],
    ["POST", "/write", { error: INVALID }, {}],
    ["POST", "/datadog/api/v2/series", { errors: [INVALID] }, {}],
    ["GET", "/api/v1/query?query=1", { status: "error", error: INVALID }, { status: "error" }],
  ];
  for (const [method, path, unauthenticated, forbidden] of forms) {
    const without = await gateway.fetch(path, { method, headers: bearer("weir_secret") });
    const text = await without.text();
    expect([without.status, JSON.parse(text)]).toMatchObject([401, unauthenticated]);
    expect(text).not.toContain("weir_secret");
    const answer = await gateway.fetch(path, { method, headers: bearer(tokens.scrape) });
    expect([answer.status, await answer.json()]).toMatchObject([403, forbidden]);
  }
  for (const path of ["/api/v1/write", "/metrics/job/a", "/api/v1/import"])
    expect(await gateway.send(`POST ${path}`, "x", bearer("weir_secret"))).toEqual([401, INVALID]);
  const otlp = await gateway.fetch("/v1/metrics", {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  expect([otlp.status, await otlp.json()]).toMatchObject([401, { code: 16 }]);
});

describe("clients put a token", () => {
  const basic = (token: string) => ({
    authorization: `Basic ${Buffer.from(`weir:${token}`).toString("base64")}`,
  });

  test("into Authorization or X-API-Key, on every route", async () => {
    for (const headers of [
      bearer(tokens.scrape),
      { authorization: `Token ${tokens.scrape}` },
      basic(tokens.scrape),
      { "x-api-key": tokens.scrape },
    ])
      expect((await gateway.fetch("/metrics", { headers })).status).toBe(200);
    expect((await gateway.fetch(`/metrics?api_key=${tokens.scrape}&p=${tokens.scrape}`)).status).toBe(401);
  });

  test("where their protocol has it", async () => {
    const { push } = tokens;
    const series = JSON.stringify({
      series: [{ metric: "dd", points: [[NOON_MS / 1000, 1]], type: "gauge" }],
    });
    const datadog = async (query: string, headers: Record<string, string>) =>
      (await gateway.fetch(`/datadog/api/v1/series${query}`, { method: "POST", body: series, headers }))
        .status;
    expect(await datadog("", { "dd-api-key": push })).toBe(202);
    expect(await datadog(`?api_key=${push}`, {})).toBe(202);
    expect(await datadog("", { "dd-api-key": "0123456789" })).toBe(401);
    const line = `cpu value=1 ${NOON_MS * 1e6}`;
    expect((await gateway.send(`POST /write?db=a&u=weir&p=${push}`, line))[0]).toBe(204);
    expect((await gateway.send("POST /write?db=a&u=weir&p=other", line))[0]).toBe(401);
    expect((await gateway.send(`GET /query?q=SHOW+DATABASES&u=weir&p=${push}`))[0]).toBe(200);
    expect((await gateway.send("POST /api/v2/write", line, { authorization: `Token ${push}` }))[0]).toBe(204);
  });

  test("into the metadata of gRPC, and a message without one is not read", async () => {
    const urls = await gateway.startServices();
    const grpc = urls.find((url) => url.startsWith("grpc:"))!;
    const body = frame(encode({ resourceMetrics: [] }));
    const code = async (headers: Record<string, string>) => (await call(grpc, body, { headers })).code;
    expect(await code(bearer(tokens.push))).toBe(0);
    expect(await code({})).toBe(16);
    expect(await code(bearer("weir_x"))).toBe(16);
    expect(await code(bearer(tokens.read))).toBe(7);
    const open = await call(grpc, body.subarray(0, 3), { isOpen: true });
    expect([open.code, open.message]).toEqual([16, expect.stringContaining("needs a token")]);
    const http = urls.find((url) => url.startsWith("http:"))!;
    const post = async (headers: Record<string, string>) =>
      (
        await fetch(`${http}/v1/metrics`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: '{"resourceMetrics":[]}',
        })
      ).status;
    expect([await post({}), await post(bearer(tokens.push))]).toEqual([401, 200]);
    await gateway.stopServices();
  });
});

test("an idempotency key of one token is not recognised for another", async () => {
  const body = JSON.stringify({ metric_name: "keyed", value: 1 });
  const push = async (token: string) => {
    const headers = { ...bearer(token), "idempotency-key": "k" };
    const answer = await gateway.fetch("/api/v1/push", { method: "POST", body, headers });
    return [answer.status, answer.headers.get("weir-duplicate")];
  };
  expect(await push(tokens.push)).toEqual([200, null]);
  expect(await push(tokens.other)).toEqual([200, null]);
  expect(await push(tokens.push)).toEqual([200, "true"]);
  const stored = await gateway.fetch("/api/v1/sql?q=SELECT+count(*)+AS+n+FROM+keyed", {
    headers: bearer(tokens.sql),
  });
  expect(await stored.json()).toMatchObject({ rows: [{ n: 2 }] });
});

describe("the labels of a token", () => {
  /** The values of a label of a metric, by PromQL. */
  const jobsOf = async (metric: string): Promise<string[]> => {
    const answer = await gateway.fetch(`/api/v1/series?match[]=${metric}`, { headers: bearer(tokens.read) });
    const { data } = (await answer.json()) as { data: { job?: string }[] };
    return data.map(({ job = "" }) => job).toSorted();
  };
  const headers = () => bearer(tokens.bound);

  test("are added to events, and an event with another value is rejected with the reason", async () => {
    const events = [
      { metric_name: "bound_events", value: 1, type: "gauge" },
      { metric_name: "bound_events", value: 2, type: "gauge", tags: { job: "ci", host: "a" } },
      { metric_name: "bound_events", value: 3, type: "gauge", tags: { job: "other" } },
    ];
    const answer = await gateway.fetch("/api/v1/push", {
      method: "POST",
      body: JSON.stringify(events),
      headers: headers(),
    });
    const json = (await answer.json()) as object;
    expect(json).toMatchObject({
      accepted: 2,
      rejected: 1,
      errors: [{ index: 2, reason: 'tag job is "other", but the token has the label job="ci"' }],
    });
    expect(await jobsOf("bound_events")).toEqual(["ci", "ci"]);
  });

  test("reject an extra label with another value", async () => {
    const answer = await gateway.fetch("/api/v1/push?extra_label=job=other", {
      method: "POST",
      body: '{"metric_name":"bound_extra","value":1}',
      headers: headers(),
    });
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      { error: { message: 'job is "other", but the token has the label job="ci".' } },
    ]);
  });

  test("are those of every protocol", async () => {
    const at = String(NOON_MS);
    const send = (path: string, body: string | Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) =>
      gateway.fetch(path, { method: "POST", body, headers: { ...headers(), ...more } });
    const written = (job?: string) =>
      snappy(
        encodeV1([
          {
            labels: [
              ["__name__", "bound_written"],
              ...(job === undefined ? [] : [["job", job] as [string, string]]),
            ],
            samples: [{ value: 1, timestamp: NOON_MS }],
          },
        ] as never),
      );
    expect((await send("/api/v1/write", written(), V1)).status).toBe(204);
    expect((await send("/api/v1/write", written("other"), V1)).status).toBe(400);
    expect((await send("/write", `bound_line,job=other value=1 ${NOON_MS * 1e6}`)).status).toBe(400);
    expect((await send("/write", `bound_line value=1 ${NOON_MS * 1e6}`)).status).toBe(204);
    const text = `bound_text 1 ${at}\nbound_text{job="other"} 1 ${at}\n`;
    await send("/api/v1/import/prometheus", text);
    const points = JSON.stringify({
      series: [{ metric: "bound_dd", points: [[NOON_MS / 1000, 1]], type: "gauge", tags: ["job:other"] }],
    });
    expect((await send("/datadog/api/v1/series", points)).status).toBe(400);
    const resource = (job: string) => ({
      resource: { attributes: [{ key: "service.name", value: { stringValue: job } }] },
      scopeMetrics: [
        {
          metrics: [
            {
              name: "bound_otlp",
              gauge: { dataPoints: [{ asDouble: 1, timeUnixNano: `${NOON_MS}000000` }] },
            },
          ],
        },
      ],
    });
    const otlp = JSON.stringify({ resourceMetrics: [resource("other"), resource("ci")] });
    const answer = await send("/v1/metrics", otlp, { "content-type": "application/json" });
    expect(await answer.json()).toMatchObject({ partialSuccess: { rejectedDataPoints: "1" } });
    for (const metric of ["bound_written", "bound_line_value", "bound_text", "bound_otlp"])
      expect([metric, await jobsOf(metric)]).toEqual([metric, ["ci"]]);
    expect(await jobsOf("bound_dd")).toEqual([]);
  });

  test("are in the path of its groups, also when it deletes", async () => {
    await gateway.ok("PUT /metrics/job/other", "bound_group 1\n", bearer(tokens.push));
    const conflict = 'the label job of the path is "other", but the token has the label job="ci"';
    expect(await gateway.send("PUT /metrics/job/other", "bound_group 2\n", headers())).toEqual([
      403,
      conflict,
    ]);
    expect(await gateway.send("DELETE /metrics/job/other", "", headers())).toEqual([403, conflict]);
    await gateway.ok("PUT /metrics/job/ci", 'bound_group{job="other"} 3\n', headers());
    expect(await jobsOf("bound_group")).toEqual(["ci", "other"]);
    await gateway.ok("DELETE /metrics/job/ci", "", headers());
    const groups = await gateway.fetch("/api/v1/metrics", { headers: bearer(tokens.read) });
    expect(await groups.json()).toMatchObject({ data: [{ labels: { job: "other" } }] });
  });

  test("do not open imports of files, which all tokens share", async () => {
    const hash = "0".repeat(64);
    const path = `/api/v1/push?import_file=${hash}&import_from=0&import_to=30&import_line=${hash}`;
    const answer = await gateway.fetch(path, {
      method: "POST",
      body: '{"metric_name":"a","value":1}\n',
      headers: headers(),
    });
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      { error: { message: "The token has labels, and such a token cannot import files." } },
    ]);
  });
});
