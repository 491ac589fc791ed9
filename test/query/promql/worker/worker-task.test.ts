/**
 * PromQL in Workers: a query that computes for long delays nobody, ends at its deadline or with its client, and what
 * would take too much time or memory is refused before it is computed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openTestGatewayAt, type TestGateway } from "../../../gateway.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);
const NOW = NOW_MS / 1000;
const HOSTS = 40;

/** Sorts a million samples at each of a thousand steps, without a pause: minutes. */
const ENDLESS = {
  query: "quantile_over_time(0.5, vector(time())[1000s:1ms])",
  start: NOW - 1000,
  end: NOW,
  step: 1,
};

type Parameters = Readonly<Record<string, string | number | readonly string[]>>;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS, "--retention-days=7", "--promql-memory-bytes-max=64MiB");
  await gateway.push(
    Array.from({ length: HOSTS }, (_, host) => [
      { metric: "level", kind: "gauge" as const, value: host, atMs: NOW_MS - 2_000, labels: labelsOf(host) },
      {
        metric: "level",
        kind: "gauge" as const,
        value: host + 1,
        atMs: NOW_MS - 1_000,
        labels: labelsOf(host),
      },
    ]).flat(),
  );
});
afterAll(() => gateway.close());

function labelsOf(host: number): Record<string, string> {
  return { host: `host-${host}`, zone: `z${host % 4}` };
}

async function ask(path: string, parameters: Parameters, signal?: AbortSignal) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const each of [value].flat()) form.append(name, String(each));
  const response = await gateway.fetch(`/api/v1/${path}`, { method: "POST", body: form, signal });
  return { status: response.status, body: (await response.json()) as ReturnType<typeof JSON.parse> };
}

const instant = (query: string, more: Parameters = {}) => ask("query", { query, time: NOW, ...more });

/** The status, the type of the error, and its text. */
async function refusal(asked: ReturnType<typeof ask>): Promise<[number, string, string]> {
  const { status, body } = await asked;
  return [status, body.errorType, body.error];
}

const nested = (times: number, wrap: (inner: string) => string, inner: string): string =>
  times === 0 ? inner : nested(times - 1, wrap, wrap(inner));
const list = (length: number, each: (at: number) => string) => Array.from({ length }, (_, at) => each(at));

async function workers(): Promise<number> {
  const { values } = await gateway.counters.promqlWorkers.get();
  return values[0]?.value ?? 0;
}

describe("a query that computes for long", () => {
  test("does not delay a push, a look-up or another query", async () => {
    const client = new AbortController();
    let isDone = false;
    const endless = ask("query_range", ENDLESS, client.signal).finally(() => {
      isDone = true;
    });
    await gateway.push([{ metric: "beside", value: 1, atMs: NOW_MS }]);
    const { body } = await instant("count(level)");
    expect(body.data.result).toEqual([{ metric: {}, value: [NOW, String(HOSTS)] }]);
    const found = await ask("series", { "match[]": ['level{host=~"host-(1|2)[0-9]", zone="z1"}'] });
    expect(found.body.data.map(({ host }: { host: string }) => host)).toEqual([
      "host-13",
      "host-17",
      "host-21",
      "host-25",
      "host-29",
    ]);
    expect(isDone).toBe(false);
    client.abort();
    expect(await refusal(endless)).toEqual([503, "canceled", "the query was canceled"]);
  });

  test("ends at its deadline with 503, and its thread with it", async () => {
    const before = await workers();
    expect(await refusal(ask("query_range", { ...ENDLESS, timeout: "0.2" }))).toEqual([
      503,
      "timeout",
      "the query took longer than 200 ms (promqlTimeoutMs)",
    ]);
    expect((await instant("1 + 1")).body.data.result[1]).toBe("2");
    expect(await workers()).toBeLessThanOrEqual(Math.max(1, before));
  });

  test("ends when the memory of the process has grown too far", async () => {
    const small = await openTestGatewayAt(NOW_MS, "--promql-memory-growth-bytes-max=64MiB");
    try {
      const query = "quantile_over_time(0.5, vector(time())[7000s:1ms])";
      const form = new URLSearchParams({ query, start: String(NOW - 1000), end: String(NOW), step: "1" });
      const response = await small.fetch("/api/v1/query_range", { method: "POST", body: form });
      expect(response.status).toBe(422);
      expect((await response.json()) as object).toEqual({
        status: "error",
        errorType: "execution",
        error:
          "the query was stopped, because the memory of the gateway grew by more than 67108864 bytes while it ran " +
          "(promqlMemoryGrowthBytesMax): query fewer series or a shorter range",
      });
    } finally {
      await small.close();
    }
  });

  test("ends when the gateway stops", async () => {
    const stopped = await openTestGatewayAt(NOW_MS);
    const form = new URLSearchParams(
      Object.entries(ENDLESS).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const endless = stopped.fetch("/api/v1/query_range", { method: "POST", body: form });
    // The query runs when another that was sent later is answered.
    await stopped.fetch("/api/v1/query?query=1");
    await stopped.gateway.stopQueries();
    const answer = await endless;
    expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([
      503,
      "the gateway is stopping",
    ]);
    await stopped.close();
  });
});

test("queries one after the other use one thread, which ends with the gateway", async () => {
  const own = await openTestGatewayAt(NOW_MS);
  const count = async () => (await own.counters.promqlWorkers.get()).values[0]?.value ?? 0;
  expect(await count()).toBe(0);
  for (const query of ["1", "2", "vector(3)"])
    expect((await own.fetch(`/api/v1/query?query=${query}`)).status).toBe(200);
  expect(await count()).toBe(1);
  await own.close();
  expect(await count()).toBe(0);
});

describe("before it is computed", () => {
  const memory = /more than 67108864 bytes .*\(promqlMemoryBytesMax\)/;

  test("a subquery with too many steps is refused", async () => {
    for (const query of [
      "vector(time())[6d:1ms]",
      "hour()[2d:1ms]",
      "sum_over_time(vector(time())[30d:1ms])",
      "max_over_time(level[1h:1ms] @ 1700000000)[9d:1ms]",
      "count_over_time((level > 3)[365d:1s])",
    ]) {
      const [status, type, text] = await refusal(instant(query));
      expect([query, status, type]).toEqual([query, 422, "execution"]);
      expect(text).toMatch(memory);
    }
    expect((await instant("sum_over_time(vector(2)[1d:1s])")).body.data.result[0].value[1]).toBe("172800");
  });

  test("labels that grow are refused", async () => {
    const value = /label "a" would have more than 1048576 characters/;
    const doubled = nested(
      26,
      (inner) => `label_join(${inner}, "a", "", "a", "a")`,
      'label_replace(vector(1), "a", "aaaa", "", "")',
    );
    const eightfold = nested(
      10,
      (inner) => `label_replace(${inner}, "a", "$1$1$1$1$1$1$1$1", "a", "(.*)")`,
      'label_replace(vector(1), "a", "aaaa", "", "")',
    );
    const template = `label_replace(level, "a", "${"$1".repeat(60_000)}", "host", "(.*)(.*)")`;
    for (const query of [
      doubled,
      eightfold,
      template.replace(
        "level",
        nested(3, (inner) => `label_join(${inner}, "host", "", "host", "host")`, "level"),
      ),
    ]) {
      const [status, type, text] = await refusal(instant(query));
      expect([status, type]).toEqual([422, "execution"]);
      expect(text).toMatch(value);
    }
    // 512 KiB in each of 40 series.
    const wide = nested(
      16,
      (inner) => `label_join(${inner}, "a", "", "a", "a")`,
      'label_join(level, "a", "", "host")',
    );
    expect((await refusal(instant(wide)))[2]).toMatch(memory);
    // One series has the label, and 40 get it.
    const joined = nested(
      17,
      (inner) => `label_join(${inner}, "a", "", "a", "a")`,
      'label_join(level{host="host-0"}, "a", "", "host")',
    );
    expect((await refusal(instant(`level * on() group_left(a) ${joined}`)))[2]).toMatch(memory);
    const answer = await instant('label_replace(level{host="host-7"}, "n", "$1-$1", "host", "host-(.*)")');
    expect(answer.body.data.result[0].metric).toEqual({ __name__: "level", ...labelsOf(7), n: "7-7" });
  });

  test("a regular expression with too many groups is refused", async () => {
    const replaced = (groups: number) =>
      instant(`label_replace(level{host="host-7"}, "a", "$1", "host", "${"(.?)".repeat(groups)}.*")`);
    expect(await refusal(replaced(300))).toEqual([
      422,
      "execution",
      "the regular expression in label_replace() has 300 groups, at most 100 are accepted: use fewer, or (?:…) for " +
        "groups that are not referred to",
    ]);
    expect((await replaced(100)).body.data.result[0].metric.a).toBe("h");
  });

  test("too many matchers, selectors and match[] are refused", async () => {
    const matchers = (count: number) =>
      `level{${list(count, (at) => `host=~".*[${at % 10}].*|x{${at}}"`).join()}}`;
    const matchersText = /a selector of the query has 301 matchers, at most 100 are accepted/;
    expect((await refusal(instant(matchers(300))))[2]).toMatch(matchersText);
    expect((await refusal(ask("series", { "match[]": [matchers(300)] })))[2]).toMatch(matchersText);
    const selectors = nested(9, (inner) => `(${inner} or ${inner})`, "level");
    expect(await refusal(instant(selectors))).toEqual([
      422,
      "execution",
      "the query has 512 selectors, at most 500 are accepted: send several queries",
    ]);
    const form = { method: "POST", body: "match[]=up&".repeat(80_000) };
    form.body = form.body.slice(0, -1);
    const flooded = await gateway.fetch("/api/v1/series", {
      ...form,
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    expect([flooded.status, ((await flooded.json()) as { error: string }).error]).toEqual([
      400,
      "The request has more than 2000 parameters; send several requests.",
    ]);
    const many = list(1_000, (at) => `level{host=~".*${at}"}`);
    for (const path of ["series", "labels"]) {
      expect(await refusal(ask(path, { "match[]": many }))).toEqual([
        400,
        "bad_data",
        "1000 selectors (match[]) were sent, at most 500 are accepted: send several requests.",
      ]);
    }
    const some = await ask("series", { "match[]": many.slice(0, 500) });
    expect(some.body.data.length).toBe(HOSTS);
  });

  test("a text that is nested too deeply is refused", async () => {
    for (const [query, why] of [
      [`${"(".repeat(20_000)}1${")".repeat(20_000)}`, "expressions may be nested 200 deep at most"],
      [`${"-".repeat(100_000)}1`, "expressions may be nested 200 deep at most"],
      ["{".repeat(100_000), "unexpected left brace '{'"],
      ["[".repeat(100_000), 'unexpected "["'],
      [`sum(${"sum(".repeat(20_000)}`, "expressions may be nested 200 deep at most"],
      [list(20_000, () => "1").join("+"), "expressions may be nested 200 deep at most"],
    ] as const) {
      const [status, type, text] = await refusal(instant(query));
      expect([query.slice(0, 9), status, type]).toEqual([query.slice(0, 9), 400, "bad_data"]);
      expect(text).toContain(why);
    }
    for (const path of ["format_query", "parse_query"]) {
      const [status, , text] = await refusal(ask(path, { query: "(".repeat(20_000) }));
      expect([status, text]).toEqual([
        400,
        expect.stringContaining("expressions may be nested 200 deep at most"),
      ]);
    }
  });

  test("samples of a range selector that is the result count as memory", async () => {
    const tight = await openTestGatewayAt(NOW_MS, "--promql-memory-bytes-max=1MiB");
    try {
      const path = `/api/v1/query?time=${NOW}&query=`;
      const refused = await tight.fetch(`${path}vector(1)[60s:1ms]`);
      expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([
        422,
        expect.stringContaining("more than 1048576 bytes for its results (promqlMemoryBytesMax)"),
      ]);
      expect((await tight.fetch(`${path}vector(1)[30s:1ms]`)).status).toBe(200);
    } finally {
      await tight.close();
    }
  });
});

test("ranges that end far outside of all data find what is stored, and never fail", async () => {
  for (const [start, end, step] of [
    ["-8640000000000", "8640000000000", "2e9"],
    ["0", "8640000000000", "8000000000"],
    ["-1e300", "1e300", "9e9"],
    ["-292273086-05-16T16:47:06Z", "9999-12-31T23:59:59Z", "9000000000"],
  ] as const) {
    const { status, body } = await ask("query_range", { query: "count(level[292y])", start, end, step });
    expect([start, end, status, body.errorType]).toEqual([start, end, 400, "bad_data"]);
    const far = await ask("query_range", { query: "count(last_over_time(level[292y]))", start, end, step });
    expect([start, end, far.status, far.body.error]).toEqual([start, end, 200, undefined]);
  }
  const late = await ask("query", { query: "sum(last_over_time(level[292y]))", time: "9e9" });
  expect(late.body.data.result[0].value).toEqual([9_000_000_000, String((HOSTS * (HOSTS + 1)) / 2)]);
  const early = await ask("query", { query: "level offset -292y", time: "-8640000000000" });
  expect(early.body.data.result).toEqual([]);
});

test("expressions that only a Worker evaluates find the same as those that need no engine", async () => {
  const hosts = async (matcher: string) => {
    const { body } = await instant(`sort({${matcher}})`);
    expect(body.error).toBeUndefined();
    return body.data.result.map(({ metric }: { metric: { host: string } }) => metric.host);
  };
  const want = list(10, (at) => `host-${at + 10}`);
  expect(await hosts('__name__="level", host=~"host-1.+"')).toEqual(want);
  expect(await hosts('__name__="level", host=~"host-1[0-9]"')).toEqual(want);
  expect(await hosts('__name__="level", host!~"host-([^1].*|.)"')).toEqual(want);
  expect(await hosts('__name__=~"le(v|w)el", host=~"host-1[0-9]", zone=~"z[^13]"')).toEqual([
    "host-10",
    "host-12",
    "host-14",
    "host-16",
    "host-18",
  ]);
  const named = await gateway.fetch(
    `/api/v1/label/host/values?${new URLSearchParams({ "match[]": 'level{host=~"[a-z]+-1[0-9]"}' })}`,
  );
  expect(((await named.json()) as { data: string[] }).data).toEqual(want);
});

test("a large answer is the same in pieces", async () => {
  const range = { start: NOW - 9_000, end: NOW, step: 1 };
  const whole = await ask("query_range", { query: "vector(time())", ...range });
  expect(whole.body.data.result[0].values.length).toBe(9_001);
  const query = `label_replace(vector(time()), "a", "$1", "", "") or on(a) label_replace(vector(time()), "a", "b", "", "")`;
  const both = await ask("query_range", { query, ...range });
  expect(both.body.data.result.map(({ values }: { values: unknown[] }) => values.length)).toEqual([
    9_001, 9_001,
  ]);
  expect(both.body.data.result[1].values.at(-1)).toEqual([NOW, String(NOW)]);
});
