/** Queries that run: who sees them, who may cancel them, and what their clients get; and the slowest ones. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { addToken } from "../../access/token-texts.ts";
import { openTestGateway, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

let gateway: TestGateway;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  const path = join(temporaryFolder(), "tokens.json");
  tokens.ann = await addToken(path, "ann", { scopes: ["read", "sql", "push"] });
  tokens.bob = await addToken(path, "bob", { scopes: ["read", "sql"], labels: { job: "a" } });
  tokens.root = await addToken(path, "root", { scopes: ["read", "admin"] });
  tokens.writer = await addToken(path, "writer", { scopes: ["push"] });
  gateway = await openTestGateway(`--token-file=${path}`, "--queries-per-token-max=1");
});
afterAll(() => gateway.close());

const send = (path: string, name: string, init: RequestInit = {}) =>
  gateway.fetch(path, { ...init, headers: { authorization: `Bearer ${tokens[name]}` } });

interface Listed {
  readonly id: string;
  readonly query: string;
  readonly language: string;
  readonly caller: string | null;
  readonly state: string;
  readonly asked: string;
  readonly duration: string;
}
async function running(name: string): Promise<Listed[]> {
  // Requests without a socket never wait: without this, no message of a Worker would arrive.
  await setImmediate();
  const answer = await send("/api/v1/status/active_queries", name);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { data: Listed[] }).data;
}
const cancel = (id: string, name: string) =>
  send(`/api/v1/status/active_queries/${id}/cancel`, name, { method: "POST" });

/** Computes for half a minute: a billion steps. */
const HEAVY = "count_over_time(quantile_over_time(0.5, vector(1)[1000s:1s])[1000000s:1s])";
const promql = (query: string) => `/api/v1/query?${new URLSearchParams({ query })}`;
const sql = (q: string) => `/api/v1/sql?${new URLSearchParams({ q })}`;
/** Many rows of nothing, and a sum over all pairs of them. */
const HEAVY_SQL =
  "WITH n AS (SELECT * FROM range(100000)) SELECT sum(a.range * b.range) FROM n a, n b, range(100) c";

describe("a query that runs", () => {
  test.each([
    ["PromQL", promql(HEAVY), HEAVY, 503],
    ["SQL", sql(HEAVY_SQL), HEAVY_SQL, 422],
  ])(
    "in %s is listed with its text and its caller, and ends when its caller cancels it",
    async (language, path, text, status) => {
      const answer = Promise.resolve(send(path, "ann"));
      const [query] = await untilRunning("ann");
      expect(query).toMatchObject({ language, query: text, caller: "ann", state: "running" });
      expect(query!.duration).toMatch(/^\d+\.\d{3}s$/);
      expect(query!.asked).toBe(new Date(gateway.nowMs).toISOString());
      // An admin sees it, and another token does not.
      expect((await running("root")).map(({ id }) => id)).toEqual([query!.id]);
      expect(await running("bob")).toEqual([]);
      expect((await cancel(query!.id, "bob")).status).toBe(404);
      // The only place of the token is taken, and it may still look and cancel.
      expect((await send(promql("1"), "ann")).status).toBe(429);
      expect((await cancel(query!.id, "ann")).status).toBe(200);
      const canceled = await answer;
      expect(canceled.status).toBe(status);
      expect(await canceled.text()).toMatch(/cancell?ed/);
      await untilNone();
      expect((await cancel(query!.id, "ann")).status).toBe(404);
    },
  );

  test("of another token is cancelled by an admin", async () => {
    const answer = Promise.resolve(send(promql(HEAVY), "bob"));
    const [query] = await untilRunning("root");
    expect(query).toMatchObject({ caller: "bob" });
    expect((await cancel(query!.id, "root")).status).toBe(200);
    expect((await answer).status).toBe(503);
    await untilNone();
  });

  test("is in no list of a token without the scope read", async () => {
    expect((await send("/api/v1/status/active_queries", "writer")).status).toBe(403);
    expect((await cancel("1", "writer")).status).toBe(403);
    expect((await send("/api/v1/status/top_queries", "writer")).status).toBe(403);
  });

  /** Its thread or its connection is free a little later. */
  async function untilNone(): Promise<void> {
    for (let found = await running("root"); found.length > 0; found = await running("root"))
      expect(found.map(({ state }) => state)).toEqual(["ending"]);
  }

  /** The event loop of this test is that of the gateway, so a query has begun a few requests later. */
  async function untilRunning(name: string): Promise<Listed[]> {
    for (;;) {
      const found = await running(name);
      if (found.some(({ state }) => state === "running")) return found;
    }
  }
});

describe("the slowest queries", () => {
  interface Timed {
    readonly query: string;
    readonly count: number;
    readonly caller: string;
    readonly timeRangeSeconds: number;
    readonly maxDurationSeconds: number;
    readonly sumDurationSeconds: number;
  }
  const top = async (name: string, parameters = "") => {
    const answer = await send(`/api/v1/status/top_queries${parameters}`, name);
    return (await answer.json()) as Record<
      "topByCount" | "topByAvgDuration" | "topBySumDuration" | "topByMaxDuration",
      Timed[]
    >;
  };
  const range = (query: string) =>
    `/api/v1/query_range?${new URLSearchParams({ query, start: "0", end: "3600", step: "60" })}`;

  test("are counted by text and range, and each token sees its own", async () => {
    const slow = "sum_over_time(vector(1)[20000s:1s])";
    for (const path of [promql(slow), promql(slow), range(slow)])
      expect((await send(path, "ann")).status).toBe(200);
    const own = (await top("ann")).topByCount.filter(({ query }) => query === slow);
    expect(own.map(({ count, timeRangeSeconds, caller }) => [count, timeRangeSeconds, caller])).toEqual([
      [2, 0, "ann"],
      [1, 3600, "ann"],
    ]);
    for (const each of own) expect(each.sumDurationSeconds).toBeGreaterThanOrEqual(each.maxDurationSeconds);
    expect((await top("bob")).topByCount.some(({ query }) => query === slow)).toBe(false);
    expect((await top("root")).topByCount.some(({ query }) => query === slow)).toBe(true);
    // The cancelled ones took the longest or not; each list has at most as many as are asked for.
    expect((await top("root", "?topN=1")).topByMaxDuration).toHaveLength(1);
  });

  test.each([
    ["?topN=0", 'topN is "0"; expected a whole number of at least 1.'],
    ["?topN=501", 'Query parameter topN is "501"; expected at most 500.'],
    ["?maxLifetime=2h", 'Query parameter maxLifetime is "2h"; expected a duration such as 10m, up to 1h.'],
    ["?n=1", 'Query parameter "n" is unknown; expected topN, maxLifetime.'],
  ])("%p is rejected", async (parameters, message) => {
    const answer = await send(`/api/v1/status/top_queries${parameters}`, "root");
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { error: { message: string } }).error.message).toBe(message);
  });
});
