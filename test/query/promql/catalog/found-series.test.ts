/**
 * Look-ups of series are remembered, here and in Workers: a query through them finds what one without a memory finds,
 * whatever happened to the series meanwhile.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { FoundSeries } from "../../../../src/query/promql/catalog/found-series.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { openTestGatewayAt, type TestGateway } from "../../../gateway.ts";
import { runs } from "../../../runs.ts";

const BEGIN_MS = Date.UTC(2024, 9, 4, 23, 40);
const MINUTE_MS = 60_000;

type Command =
  | { readonly do: "push"; readonly metric: string; readonly op: string; readonly user: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "delete"; readonly op: string }
  | { readonly do: "prune" };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("push" as const),
      metric: fc.constantFrom("depth", "task.ms", "requests"),
      op: fc.constantFrom("a", "b", "c"),
      user: fc.integer({ min: 1, max: 7 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(15_000, 5 * MINUTE_MS, 13 * 60 * MINUTE_MS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("delete" as const), op: fc.constantFrom("a", "b") }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("prune" as const) }) },
);

const TEXTS = [
  "depth",
  '{op=~"a|c", __name__!~"x.*"}',
  'task_ms_count{op!="b"}',
  'task_ms_bucket{le="1.0"}',
  "sum by (user) (requests_total)",
  'depth{op="a"} or absent(depth{op="a"})',
];

async function run(gateway: TestGateway, each: Command): Promise<void> {
  const { ingest, registry } = gateway.gateway;
  switch (each.do) {
    case "push": {
      const { metric, op, user } = each;
      const kind = metric === "depth" ? "gauge" : metric === "requests" ? "delta" : "observation";
      await gateway.push([{ metric, kind, atMs: gateway.nowMs, labels: { op, user: `u${user}` } }]);
      return;
    }
    case "wait":
      gateway.nowMs += each.ms;
      return;
    case "delete": {
      const series = [...registry.series()].filter(({ labels }) => labels.get("op") === each.op);
      const seriesIds = series.map(({ seriesId }) => seriesId);
      await ingest.deleteSamples({ seriesIds, fromUs: 0, toUs: Number.POSITIVE_INFINITY });
      return;
    }
    case "prune":
      await ingest.prune();
  }
}

test("a query finds series that are new, ended, demoted or dropped since the query before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 12 }), async (commands) => {
      const gateway = await openTestGatewayAt(BEGIN_MS, "--label-values-max=5", "--retention-days=2");
      try {
        for (const each of commands) {
          await run(gateway, each);
          const { store, registry } = gateway.gateway;
          const settings = { observationStepMs: 15_000, seriesIdleMs: 86_400_000, now: () => gateway.nowMs };
          const fresh = new Engine(ownStorage({ store, registry, ...settings }), DEFAULTS);
          for (const text of TEXTS) {
            const { data } = await fresh.instant(text, gateway.nowMs);
            if (data.type !== "vector") throw new Error(data.type);
            const want = data.series.map(({ labels, values }) => [labels.toJSON(), String(values[0])]);
            const query = `query=${encodeURIComponent(text)}&time=${gateway.nowMs / 1_000}`;
            const [, body] = await gateway.send(`GET /api/v1/query?${query}`);
            const { result } = JSON.parse(body).data as {
              result: { metric: Record<string, string>; value: [number, string] }[];
            };
            expect(
              result.map(({ metric, value }) => [metric, value[1]]),
              text,
            ).toEqual(want);
          }
        }
      } finally {
        gateway.takeLog();
        await gateway.close();
      }
    }),
    runs(4),
  );
});

test("a result is remembered until series change, and not if they change during the look-up", async () => {
  const registry = { changes: 1 };
  const found = new FoundSeries(registry);
  let lookups = 0;
  const find = async () => {
    lookups++;
    return [];
  };
  const first = await found.find("a", find);
  expect(await found.find("a", find)).toBe(first);
  expect(lookups).toBe(1);
  const number = found.numberOf(first);
  expect(number).toEqual({ generation: 1, number: 1 });
  registry.changes++;
  const second = await found.find("a", find);
  expect([second === first, found.numberOf(first), found.numberOf(second)]).toEqual([
    false,
    undefined,
    { generation: 2, number: 1 },
  ]);
  const changed = await found.find("b", async () => {
    registry.changes++;
    return [];
  });
  expect(found.numberOf(changed)).toBeUndefined();
});
