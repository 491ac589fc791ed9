/** Which series a token with labels reads, where names have several spellings or labels are attributes. */
import { atOnce } from "../../src/model/tasks/time-slices.ts";
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SCOPES } from "../../src/access/access-token.ts";
import { narrowFamilies } from "../../src/exposition/family.ts";
import { labelText } from "../../src/model/spelling.ts";
import { addToken } from "../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

/** A gateway with a token that has all scopes and these labels, and one without labels. */
async function open(labels: Record<string, string>, ...settings: string[]) {
  const path = join(temporaryFolder(), "tokens.json");
  const tokens = {
    bound: await addToken(path, "bound", { scopes: SCOPES, labels }),
    free: await addToken(path, "free", { scopes: SCOPES }),
  };
  gateway = await openTestGateway(`--token-file=${path}`, ...settings);
  const ask = async (who: keyof typeof tokens, path: string, body?: string) => {
    const init = {
      method: body === undefined ? "GET" : "POST",
      body,
      headers: { authorization: `Bearer ${tokens[who]}` },
    };
    return await (await gateway!.fetch(path, init)).text();
  };
  return {
    ask,
    push: async (who: keyof typeof tokens, ...events: object[]) =>
      JSON.parse(
        await ask(
          who,
          "/api/v1/push",
          events.map((event) => JSON.stringify({ "@timestamp": NOON_MS - 1000, ...event })).join("\n"),
        ),
      ) as { accepted: number; errors: { reason: string }[] },
    /** What the bound token reads of a metric, by each kind of reader. */
    readers: async (metric: string) => {
      const sql = async (q: string) => {
        const { rows } = JSON.parse(await ask("bound", `/api/v1/sql?${new URLSearchParams({ q })}`)) as {
          rows?: Record<string, unknown>[];
        };
        return rows?.map((row) => Object.values(row)[0]) ?? [];
      };
      const query = new URLSearchParams({ query: `{__name__="${metric}"}`, time: String(NOON_MS / 1000) });
      const { data } = JSON.parse(await ask("bound", `/api/v1/query?${query}`)) as {
        data: { result: { value: [number, string] }[] };
      };
      const numbers = (values: unknown[]) => values.map(Number).sort((a, b) => a - b);
      const exposed = [...(await ask("bound", "/metrics")).matchAll(/^(\w+)(?:_sum)?(?:\{.*?\})? (\S+)$/gm)];
      return {
        promql: numbers(data.result.map(({ value }) => value[1])),
        sql: numbers(await sql(`SELECT value FROM ${metric}`)),
        samples: numbers(await sql(`SELECT value FROM samples WHERE metric = '${metric}'`)),
        metrics: numbers(exposed.filter(([, name]) => name === metric).map(([, , value]) => value)),
        export: numbers(
          (await ask("bound", `/api/v1/export?metric=${metric}`))
            .split("\n")
            .flatMap((line) =>
              line.startsWith('{"@') ? [(JSON.parse(line) as { value: number }).value] : [],
            ),
        ),
      };
    },
  };
}

const all = (...values: number[]) => ({
  promql: values,
  sql: values,
  samples: values,
  metrics: values,
  export: values,
});

describe("a bound label", () => {
  test("is found under each spelling that Prometheus spells alike, and nowhere else", async () => {
    const { push, readers } = await open({ service_name: "a" });
    const gauge = { metric_name: "depth", type: "gauge" };
    await push("bound", { ...gauge, value: 1 });
    await push(
      "free",
      { ...gauge, value: 2, tags: { "service.name": "a", x: "1" } },
      { ...gauge, value: 3, tags: { "service.name": "b" } },
      { ...gauge, value: 4, tags: { service_name: "b" } },
      { ...gauge, value: 5 },
      { ...gauge, value: 6, tags: { name: 'service_name="a"', other: ',service_name="a",' } },
    );
    expect(await readers("depth")).toEqual(all(1, 2));
  });

  test("cannot be set in another spelling", async () => {
    const { push, readers } = await open({ service_name: "a" });
    const { accepted, errors } = await push("bound", {
      metric_name: "depth",
      type: "gauge",
      value: 1,
      tags: { "service.name": "b" },
    });
    expect([accepted, errors.map(({ reason }) => reason)]).toEqual([
      0,
      ['tags "service.name" and "service_name" are both service_name in Prometheus'],
    ]);
    expect(await readers("depth")).toEqual(all());
  });

  test("that is an attribute is not found in observations, whose series do not have it", async () => {
    const { push, readers } = await open({ task_id: "t1" });
    await push("free", { metric_name: "duration", value: 7, tags: { task_id: "t1" } });
    await push("bound", { metric_name: "duration", value: 8 });
    await push("bound", { metric_name: "depth", value: 9, type: "gauge" });
    expect(await readers("duration")).toEqual(all());
    expect(await readers("depth")).toEqual(all(9));
    // The gateway says why such a token reads nothing.
    expect(gateway!.takeLog().join("")).toContain("token_label_is_attribute");
  });

  test("that became an attribute hides also the series from before, which PromQL joins with others", async () => {
    const { push, readers } = await open({ team: "t0" }, "--label-values-max=2");
    const events = [0, 1].map((n) => ({
      metric_name: "hits",
      type: "counter",
      value: 1,
      tags: { team: `t${n}` },
    }));
    await push("free", ...events);
    expect((await readers("hits")).samples).toEqual([1]);
    await push("free", { metric_name: "hits", type: "counter", value: 1, tags: { team: "t2" } });
    expect(await readers("hits")).toEqual(all());
    expect(await readers("hits_total")).toEqual(all());
  });
});

test("narrowed families contain a pair of a label, and not its text inside of a value", () => {
  const point = (labels: Record<string, string>) => ({
    labels: labelText(new Map(Object.entries(labels)), true),
    value: 1,
  });
  const family = (name: string, ...points: ReturnType<typeof point>[]) =>
    ({ name, help: "", unit: "", type: "gauge", points }) as const;
  const own = [point({ job: "a" }), point({ b: '\\"', job: "a", z: "," }), point({ a: "x,job=", job: "a" })];
  const others = [
    point({ job: "ab" }),
    point({ xjob: "a" }),
    point({ b: 'job="a"' }),
    point({ b: ',job="a",' }),
    point({ b: "\\", c: ',job="a' }),
    point({ b: "job=", c: "a" }),
    point({ b: "\njob=" }),
    point({}),
  ];
  const labels = new Map([["job", "a"]]);
  expect(atOnce(narrowFamilies([family("m", ...own, ...others), family("n", ...others)], labels))).toEqual([
    family("m", ...own),
  ]);
  const quoted = new Map([["job", 'a"\\\n']]);
  const withQuotes = point({ job: 'a"\\\n' });
  expect(atOnce(narrowFamilies([family("m", ...others, withQuotes)], quoted))).toEqual([
    family("m", withQuotes),
  ]);
});
