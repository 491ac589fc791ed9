/**
 * Random programs over samples of gauges and counters: pushes, late and future samples, stale markers, deletions, restarts.
 * Tests run them beside readers that keep samples.
 */
import fc from "fast-check";
import type { Engine } from "../../../../src/query/promql/engine.ts";
import { batchOf, type TestGateway } from "../../../gateway.ts";

/** Twenty minutes before midnight. */
export const BEGIN_MS = Date.UTC(2024, 9, 4, 23, 40);
export const MINUTE_MS = 60_000;
export const STEP_MS = 15_000;

export interface PushedSample {
  readonly isCumulative: boolean;
  /** Before now; negative in the future. */
  readonly agoMs: number;
  /** Absent for a stale marker. */
  readonly value: number | undefined;
  readonly op: string;
}

export type Command =
  | { readonly do: "push"; readonly samples: readonly PushedSample[] }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "delete"; readonly op: string; readonly agoMs: number }
  | { readonly do: "prune" | "restart" | "pack" };

const pushed: fc.Arbitrary<PushedSample> = fc.record({
  isCumulative: fc.boolean(),
  agoMs: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
    { weight: 2, arbitrary: fc.integer({ min: -5 * MINUTE_MS, max: 90 * MINUTE_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 26 * 60 * MINUTE_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }).map((steps) => steps * STEP_MS) },
  ),
  value: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 40 }).map((eighths) => eighths / 8) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  op: fc.constantFrom("a", "b", "c"),
});

export const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("push" as const),
      samples: fc.array(pushed, { minLength: 1, maxLength: 20 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.oneof(
        fc.integer({ min: 1_000, max: 60_000 }),
        fc.constantFrom(STEP_MS, 5 * MINUTE_MS, 40 * MINUTE_MS, 13 * 60 * MINUTE_MS),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      op: fc.constantFrom("a", "b"),
      agoMs: fc.integer({ min: 0, max: 60 * MINUTE_MS }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("prune" as const, "restart" as const, "pack" as const) }),
  },
);

export const EXPRESSIONS = [
  "depth",
  "sum by (op) (depth)",
  "timestamp(depth{op='a'})",
  "absent(depth{op='c'})",
  "depth offset 3m",
  "rate(seen_total[5m])",
  "increase(seen_total{op=~'a|b'}[90s])",
  "quantile_over_time(0.5, depth[10m])",
  "changes(depth[8m])",
  "last_over_time(depth[1h])",
  "stddev_over_time(seen_total[70m])",
  "max_over_time(depth[3m])",
  "rate(seen_total[5m] offset 1h)",
  "depth + on (op) seen_total",
];

/** What queries over two minutes and at one time return as text. */
export async function answer(engine: Engine, text: string, timeMs: number): Promise<string[]> {
  const { data: range } = await engine.range(text, timeMs - 2 * MINUTE_MS, timeMs, 40_000);
  const { data: instant } = await engine.instant(text, timeMs);
  if (range.type !== "matrix" || instant.type !== "vector") throw new Error(range.type);
  return [...range.series, ...instant.series].map(
    ({ labels, values, timestampsMs }) =>
      `${labels} ${[...values].map((value, at) => `${value}@${timestampsMs[at]}`).join(" ")}`,
  );
}

export async function push(gateway: TestGateway, samples: readonly PushedSample[]): Promise<void> {
  const batch = batchOf(
    samples.map(({ isCumulative, agoMs, value, op }) => ({
      ...(isCumulative
        ? { metric: "seen_total", kind: "cumulative" as const }
        : { metric: "depth", kind: "gauge" as const }),
      atMs: gateway.nowMs - agoMs,
      value: value ?? Number.NaN,
      labels: { op },
    })),
  );
  const stale = Uint8Array.from(samples, ({ value }) => (value === undefined ? 1 : 0));
  await gateway.gateway.ingest.push({ ...batch, stale });
}

export async function run(gateway: TestGateway, each: Command): Promise<void> {
  const { ingest, registry } = gateway.gateway;
  switch (each.do) {
    case "push":
      await push(gateway, each.samples);
      return;
    case "wait":
      gateway.nowMs += each.ms;
      return;
    case "delete": {
      const series = [...registry.series()].filter(({ labels }) => labels.get("op") === each.op);
      await ingest.deleteSamples({
        seriesIds: series.map(({ seriesId }) => seriesId),
        fromUs: (gateway.nowMs - each.agoMs) * 1_000,
        toUs: Number.POSITIVE_INFINITY,
      });
      return;
    }
    case "prune":
      await ingest.prune();
      return;
    case "pack": {
      // Only rows that a stored snapshot of the totals contains are packed.
      await ingest.storeTotals();
      const untilUs = gateway.nowMs * 1_000;
      for (const { day } of gateway.gateway.store.days())
        await gateway.gateway.store.pack({ day, untilUs, isForced: true });
      return;
    }
    case "restart":
      await gateway.reopen("--retention-days=2");
  }
}
