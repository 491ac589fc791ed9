/** `/api/v1/fleet/*` with three real gateways, one of which is down: joined answers, limits, errors, and who may ask. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { addToken } from "../../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";

const SECONDS = NOON_MS / 1000;
const closed: (() => unknown)[] = [];

let berlin: TestGateway;
let paris: TestGateway;
let urls: { berlin: string; paris: string; rome: string };
let parisToken: string;
let parisTokenFile: string;
/** Asks berlin and paris, and rome, which is down. */
let front: TestGateway;

async function push(gateway: TestGateway, values: readonly (readonly [number, object])[], headers = {}) {
  const events = values.map(([value, tags]) => ({
    ...{ "@timestamp": NOON_MS - 1_000, type: "gauge", metric_name: "depth" },
    ...{ value, tags },
  }));
  const answer = await gateway.fetch("/api/v1/push", {
    method: "POST",
    headers,
    body: JSON.stringify(events),
  });
  expect(answer.status).toBe(200);
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function opened(...settings: string[]): Promise<TestGateway> {
  const gateway = await openTestGateway(...settings);
  closed.push(() => gateway.close());
  return gateway;
}

/** A gateway with a file of settings. */
async function frontWith(toml: string, ...flags: string[]): Promise<TestGateway> {
  const path = join(temporaryFolder(), "weir.toml");
  writeFileSync(path, toml);
  return await opened(`--config=${path}`, ...flags);
}

const table = (name: string, url: string, more = "") =>
  `[[peers]]\nname = "${name}"\nurl = "${url}"\n${more}\n`;

beforeAll(async () => {
  const tokens = join(temporaryFolder(), "tokens.json");
  parisToken = await addToken(tokens, "front", { scopes: ["read", "sql", "push"] });
  parisTokenFile = join(temporaryFolder(), "paris-token");
  writeFileSync(parisTokenFile, `${parisToken}\n`);
  berlin = await opened();
  paris = await opened(`--token-file=${tokens}`);
  const rome = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  urls = {
    berlin: (await berlin.listen()).urls[0]!,
    paris: (await paris.listen()).urls[0]!,
    rome: rome.url.origin,
  };
  await rome.stop(true);
  await push(berlin, [
    [3, { queue: "a" }],
    [4.5, { queue: "b" }],
  ]);
  await push(paris, [[7, { queue: "a", gateway: "old" }]], bearer(parisToken));
  front = await frontWith(
    table("berlin", urls.berlin) +
      table("paris", urls.paris, `bearer_token_file = "${parisTokenFile}"`) +
      table("rome", urls.rome),
  );
});
afterAll(async () => {
  for (const close of closed.reverse()) await close();
});

async function ask(gateway: TestGateway, what: string, parameters: Record<string, string>, headers = {}) {
  const path = `/api/v1/fleet/${what}?${new URLSearchParams(parameters)}`;
  const answer = await gateway.fetch(path, { headers });
  return { status: answer.status, body: JSON.parse(await answer.text()) };
}

const romeIsMissing = () => `rome (${urls.rome}) is missing: the gateway is unavailable: connection refused`;
const reports = () => [
  { gateway: "berlin", url: urls.berlin, status: "ok" },
  { gateway: "paris", url: urls.paris, status: "ok" },
  {
    gateway: "rome",
    url: urls.rome,
    status: "failed",
    error: romeIsMissing().split(": ").slice(1).join(": "),
  },
];

test("PromQL has the series of all gateways, each with its gateway; one that is down is named", async () => {
  expect(await ask(front, "query", { query: "depth" })).toEqual({
    status: 200,
    body: {
      status: "success",
      data: {
        resultType: "vector",
        result: [
          { metric: { __name__: "depth", queue: "a", gateway: "berlin" }, value: [SECONDS, "3"] },
          { metric: { __name__: "depth", queue: "b", gateway: "berlin" }, value: [SECONDS, "4.5"] },
          {
            metric: { __name__: "depth", queue: "a", exported_gateway: "old", gateway: "paris" },
            value: [SECONDS, "7"],
          },
        ],
      },
      warnings: [romeIsMissing()],
      peers: reports(),
    },
  });
});

test("a range vector at one time is a matrix, as of one gateway", async () => {
  const gateway = await frontWith(table("berlin", urls.berlin));
  const { body } = await ask(gateway, "query", { query: 'depth{queue="b"}[1m]' });
  expect(body.data).toEqual({
    resultType: "matrix",
    result: [
      { metric: { __name__: "depth", queue: "b", gateway: "berlin" }, values: [[SECONDS - 1, "4.5"]] },
    ],
  });
});

test("series that have both labels stay apart", async () => {
  const gateway = await opened();
  await push(gateway, [
    [1, { gateway: "a", exported_gateway: "x" }],
    [2, { gateway: "a", exported_gateway: "y" }],
  ]);
  const url = (await gateway.listen()).urls[0]!;
  const { body } = await ask(await frontWith("", `--peers=p=${url}`), "query", { query: "depth" });
  const metric = { __name__: "depth", gateway: "p", exported_exported_gateway: "a" };
  expect(body.data.result.map((each: { metric: object }) => each.metric)).toEqual([
    { ...metric, exported_gateway: "x" },
    { ...metric, exported_gateway: "y" },
  ]);
});

test("a range, as a form, is one of each gateway", async () => {
  const answer = await front.fetch("/api/v1/fleet/query_range", {
    method: "POST",
    body: new URLSearchParams({
      query: "sum(depth)",
      start: `${SECONDS}`,
      end: `${SECONDS + 60}`,
      step: "60",
    }),
  });
  const { data } = (await answer.json()) as { data: unknown };
  const points = (value: string) => [
    [SECONDS, value],
    [SECONDS + 60, value],
  ];
  expect(data).toEqual({
    resultType: "matrix",
    result: [
      { metric: { gateway: "berlin" }, values: points("7.5") },
      { metric: { gateway: "paris" }, values: points("7") },
    ],
  });
});

test("SQL has the rows of all gateways, with NULL in columns that a gateway does not have", async () => {
  const sql = "SELECT * EXCLUDE (ts) FROM depth WHERE value > $least ORDER BY value";
  const answer = await front.fetch("/api/v1/fleet/sql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql, params: { least: 3.5 } }),
  });
  expect([answer.status, await answer.json()]).toEqual([
    200,
    {
      columns: [
        { name: "fleet_gateway", type: "VARCHAR" },
        { name: "value", type: "DOUBLE" },
        { name: "queue", type: "VARCHAR" },
        { name: "gateway", type: "VARCHAR" },
      ],
      rows: [
        { fleet_gateway: "berlin", value: 4.5, queue: "b", gateway: null },
        { fleet_gateway: "paris", value: 7, queue: "a", gateway: "old" },
      ],
      truncated: false,
      warnings: [romeIsMissing()],
      peers: reports(),
    },
  ]);
  const { body } = await ask(front, "sql", { q: "SELECT count(*)::INT AS n FROM depth" });
  expect(body.rows).toEqual([
    { gateway: "berlin", n: 2 },
    { gateway: "paris", n: 1 },
  ]);
});

test("a question that all gateways refuse is wrong, and one that none answers is unavailable", async () => {
  const gateway = await frontWith(table("berlin", urls.berlin));
  const refused = await ask(gateway, "query", { query: "sum(" });
  expect([refused.status, refused.body.errorType]).toEqual([400, "bad_data"]);
  expect(refused.body.error).toContain("berlin: the gateway answered 400: ");
  const sql = await ask(gateway, "sql", { q: "SELECT nothing" });
  expect([sql.status, sql.body.error]).toEqual([400, expect.stringContaining("nothing")]);
  const alone = await frontWith("", `--peers=rome=${urls.rome}`);
  const away = await ask(alone, "query", { query: "depth" });
  expect([away.status, away.body.errorType]).toEqual([503, "unavailable"]);
  expect(away.body.error).toContain("rome: the gateway is unavailable: connection refused");
  const [, flags] = await front.send("GET /api/v1/status/flags");
  expect(flags).toContain(`berlin=${urls.berlin},paris=${urls.paris}`);
  expect(flags).not.toContain(parisToken);
});

test("without peers there is no fleet", async () => {
  const { status, body } = await ask(berlin, "query", { query: "depth" });
  expect([status, body.error]).toEqual([404, "this gateway has no fleet: set --peers"]);
});

describe("a caller", () => {
  test("whose token has labels does not reach the peers, which know nothing of its labels", async () => {
    const tokens = join(temporaryFolder(), "tokens.json");
    const narrow = await addToken(tokens, "narrow", { scopes: ["read", "sql"], labels: { queue: "a" } });
    const reader = await addToken(tokens, "reader", { scopes: ["read", "scrape"] });
    const gateway = await frontWith(table("berlin", urls.berlin), `--token-file=${tokens}`);
    for (const [what, parameters] of Object.entries(QUESTIONS)) {
      expect((await ask(gateway, what, parameters)).status).toBe(401);
      expect((await ask(gateway, what, parameters, bearer(narrow))).status).toBe(403);
      expect((await ask(gateway, what, parameters, bearer(reader))).status).toBe(what === "sql" ? 403 : 200);
    }
    const [, text] = await gateway.send("GET /metrics", "", bearer(reader));
    expect(text).toContain('weir_fleet_requests_total{outcome="ok",peer="berlin"} 2');
  });
});

const QUESTIONS: Readonly<Record<string, Record<string, string>>> = {
  query: { query: "depth" },
  query_range: { query: "depth", start: `${SECONDS}`, end: `${SECONDS}`, step: "1" },
  sql: { q: "SELECT 1 AS one" },
};

describe("a gateway that hangs", () => {
  const hanging = () => {
    const asked = Promise.withResolvers<void>();
    let count = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => {
        count++;
        asked.resolve();
        return new Promise<Response>(() => {});
      },
    });
    closed.push(() => server.stop(true));
    return { url: server.url.origin, asked: asked.promise, count: () => count };
  };

  test("is left out at its time limit, or at that of the question, and is not asked after three failures", async () => {
    const { url, count } = hanging();
    const gateway = await frontWith(table("berlin", urls.berlin) + table("slow", url, 'timeout = "100ms"'));
    const question = { query: "count(depth)" };
    const missing = `slow (${url}) is missing: the gateway`;
    const first = await ask(gateway, "query", question);
    expect(first.body.warnings).toEqual([`${missing} did not answer within 100 ms`]);
    expect(first.body.data.result).toEqual([{ metric: { gateway: "berlin" }, value: [SECONDS, "2"] }]);
    await ask(gateway, "query", question);
    await ask(gateway, "query", question);
    expect(count()).toBe(3);
    expect((await ask(gateway, "query", question)).body.warnings).toEqual([
      `${missing} is not asked at the moment, because it failed: did not answer within 100 ms`,
    ]);
    expect(count()).toBe(3);
    const patient = await frontWith(table("berlin", urls.berlin) + table("slow", url, 'timeout = "10m"'));
    const { body } = await ask(patient, "query", { ...question, timeout: "300ms" });
    expect(body.warnings).toEqual([`${missing} was not waited for`]);
    expect(body.data.result.length).toBe(1);
  });

  test("holds four questions at most; the store of this gateway is asked meanwhile", async () => {
    const { url, count } = hanging();
    const gateway = await frontWith(table("slow", url, 'timeout = "10m"'));
    await push(gateway, [[5, { queue: "a" }]]);
    const end = new AbortController();
    const waiting = Array.from({ length: 4 }, () =>
      gateway.fetch("/api/v1/fleet/query?query=depth", { signal: end.signal }),
    );
    await until("four questions to wait", () => count() === 4);
    expect((await ask(gateway, "query", { query: "depth" })).status).toBe(503);
    const [status] = await gateway.send("GET /api/v1/query?query=depth");
    expect(status).toBe(200);
    end.abort();
    await Promise.all(waiting);
    expect((await ask(gateway, "query", { query: "depth", timeout: "50ms" })).body.error).toContain(
      "slow: the gateway was not waited for",
    );
  });
});

test("an answer that is too long, is not JSON or has another form is left out", async () => {
  const odd = (text: string) => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(text) });
    closed.push(() => server.stop(true));
    return server.url.origin;
  };
  const gateway = await frontWith(
    table("berlin", urls.berlin) +
      table("long", odd(`"${"x".repeat(2 * 1_048_576)}"`)) +
      table("text", odd("<html>")) +
      table("other", odd('{"data":{"resultType":"vector","result":[1]}}')),
  );
  const { body } = await ask(gateway, "query", { query: "depth" });
  expect(body.data.result.length).toBe(2);
  expect(body.warnings.map((each: string) => each.split(" is missing: ")[1])).toEqual([
    "the gateway has an answer of more than 2097152 bytes: select fewer series",
    "the gateway answered with a text that is not JSON",
    "the gateway sent an answer of another form",
  ]);
});
