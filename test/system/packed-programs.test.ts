/**
 * Random programs on two gateways: one packs after each step, the other one never. After each step all answers are the same,
 * bit for bit: /metrics, PromQL, exports, SQL. `WEIR_TEST_FACTOR` sets more programs.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import snappyjs from "snappyjs";
import { createCounters } from "../../src/model/counters.ts";
import { compactStore } from "../../src/store/rewrite/compaction.ts";
import { openTestGateway, type TestGateway } from "../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../receive/remote-write/decoded.ts";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { runs } from "../runs.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SETTINGS = ["--enable-admin-api"];

interface Written {
  readonly series: number;
  readonly agoMs: number;
  readonly stepMs: number;
  readonly jitter: boolean;
  readonly values: readonly (number | "stale")[];
}

type Command =
  | { readonly do: "write"; readonly writes: readonly Written[] }
  | { readonly do: "again"; readonly isOther: boolean }
  | { readonly do: "events"; readonly events: readonly { agoMs: number; value: number; worker: number }[] }
  | {
      readonly do: "group";
      readonly group: number;
      readonly value: number;
      readonly how: "PUT" | "POST" | "DELETE";
    }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "delete"; readonly series: number; readonly fromAgoMs: number; readonly toAgoMs: number }
  | { readonly do: "prune" | "restart" | "compact" | "checkpoint" };

const special = fc.constantFrom<number | "stale">(
  ...["stale" as const, "stale" as const],
  ...[-0, 0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ...[
    2 ** 53,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
    2 ** 51,
    2 ** 51 + 1,
    1e300,
    5e-324,
    0.1,
    0.3,
    1e-6,
    1.0000001,
    123456.789,
  ],
);
const value = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: -50, max: 1_000 }) },
  { weight: 3, arbitrary: fc.integer({ min: -500, max: 10_000 }).map((cents) => cents / 100) },
  { weight: 2, arbitrary: special },
  { weight: 1, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.bigInt(-(2n ** 53n), 2n ** 53n).map(Number) },
);
const values = fc.oneof(
  fc.array(value, { minLength: 1, maxLength: 40 }),
  fc
    .tuple(
      fc.integer({ min: 0, max: 1e6 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 2, max: 1_100 }),
    )
    .map(([base, slope, length]) => Array.from({ length }, (_, at) => base + slope * at)),
);
const written: fc.Arbitrary<Written> = fc.record({
  series: fc.integer({ min: 0, max: 7 }),
  agoMs: fc.oneof(
    fc.integer({ min: 0, max: 10 * MINUTE_MS }),
    fc.integer({ min: 0, max: 30 * HOUR_MS }),
    fc.integer({ min: 0, max: 15 }).map((spans) => spans * 2 * HOUR_MS),
  ),
  stepMs: fc.constantFrom(1, 1_000, 15_000, 15_000, 60_000, 7_001),
  jitter: fc.boolean(),
  values,
});
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      writes: fc.array(written, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("again" as const), isOther: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("events" as const),
      events: fc.array(
        fc.record({
          agoMs: fc.integer({ min: 0, max: 20 * HOUR_MS }),
          value: fc.integer({ min: 0, max: 800 }),
          worker: fc.integer({ min: 0, max: 3 }),
        }),
        { minLength: 1, maxLength: 30 },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("group" as const),
      group: fc.integer({ min: 0, max: 1 }),
      value: fc.integer({ min: 0, max: 9 }),
      how: fc.constantFrom("PUT" as const, "POST" as const, "DELETE" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.oneof(
        fc.integer({ min: 1_000, max: HOUR_MS }),
        fc.constantFrom(15_000, 2 * HOUR_MS, 13 * HOUR_MS),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      series: fc.integer({ min: 0, max: 8 }),
      fromAgoMs: fc.integer({ min: 0, max: 30 * HOUR_MS }),
      toAgoMs: fc.integer({ min: 0, max: 10 * HOUR_MS }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("prune" as const, "restart" as const, "compact" as const, "checkpoint" as const),
    }),
  },
);

const nameOf = (series: number) => (series % 2 === 0 ? "room_temperature" : "jobs_total");

/** A gateway with the name of its part. */
interface Twin {
  readonly gateway: TestGateway;
  readonly isPacked: boolean;
}

const bodyOf = (writes: readonly Written[], nowMs: number, isOther = false) =>
  snappyjs.compress(
    withStaleMarkers(
      encodeV1(
        writes.map(({ series, agoMs, stepMs, jitter, values }) => ({
          labels: [
            ["__name__", nameOf(series)],
            ["at", `s${series}`],
          ],
          samples: values.map((value, at) => ({
            timestamp: Math.min(
              nowMs,
              Math.max(
                nowMs - 40 * HOUR_MS,
                nowMs - agoMs - (values.length - at) * stepMs + (jitter ? (at * 7) % 5 : 0),
              ),
            ),
            value: value === "stale" ? STALE_STAND_IN : isOther ? value + 1 : value,
          })),
        })),
      ),
    ) as Buffer,
  ) as Uint8Array;

async function pack({ gateway: { ingest, store } }: TestGateway, nowMs: number): Promise<void> {
  await ingest.storeTotals();
  const untilUs = Math.floor(nowMs / (2 * HOUR_MS)) * 2 * HOUR_MS * 1_000;
  for (const { day } of store.days()) await store.pack({ day, untilUs, isForced: true, rowsAtOnce: 5 });
}

interface State {
  last: { readonly writes: readonly Written[]; readonly nowMs: number } | undefined;
}

async function run({ gateway, isPacked }: Twin, each: Command, state: State): Promise<string> {
  const write = async (body: Uint8Array) => {
    const answer = await gateway.fetch("/api/v1/write", {
      method: "POST",
      body,
      headers: {
        "content-encoding": "snappy",
        "content-type": "application/x-protobuf",
        "x-prometheus-remote-write-version": "0.1.0",
      },
    });
    return `${answer.status} ${await answer.text()}`;
  };
  switch (each.do) {
    case "write":
      return await write(bodyOf(each.writes, gateway.nowMs));
    case "again":
      if (state.last === undefined) return "";
      return await write(bodyOf(state.last.writes, state.last.nowMs, each.isOther));
    case "events": {
      const body = each.events.map(({ agoMs, value, worker }) => ({
        ...{ metric_name: "task.ms", value, "@timestamp": gateway.nowMs - agoMs },
        tags: { worker: `w${worker}`, task_id: `t${value}` },
      }));
      return String((await gateway.post(JSON.stringify(body))).status);
    }
    case "group": {
      const body = each.how === "DELETE" ? "" : `batch_size ${each.value}\n`;
      return (await gateway.send(`${each.how} /metrics/job/batch${each.group}`, body)).join(" ");
    }
    case "wait":
      gateway.nowMs += each.ms;
      return "";
    case "delete": {
      const query = new URLSearchParams({
        "match[]": each.series === 8 ? "room_temperature" : `${nameOf(each.series)}{at="s${each.series}"}`,
        start: String((gateway.nowMs - each.fromAgoMs) / 1000),
        end: String((gateway.nowMs - each.toAgoMs) / 1000),
      });
      const answer = await gateway.fetch(`/api/v1/admin/tsdb/delete_series?${query}`, { method: "POST" });
      return `${answer.status} ${answer.headers.get("weir-deleted-samples")}`;
    }
    case "prune": {
      const { rows } = await gateway.gateway.ingest.prune();
      return String(rows);
    }
    case "restart":
      await gateway.reopen(...SETTINGS);
      return "";
    case "compact": {
      await gateway.gateway.close();
      const options = {
        ...{ path: join(gateway.folder, "store.duckdb"), memoryLimitBytes: 2 ** 28, threads: 2 },
        ...{ counters: createCounters(), temporaryDirectory: join(gateway.folder, "tmp") },
      };
      const untilUs = Math.floor(gateway.nowMs / (2 * HOUR_MS)) * 2 * HOUR_MS * 1_000;
      const { rows } = await compactStore(options, isPacked ? untilUs : undefined);
      await gateway.open(SETTINGS);
      return String(rows);
    }
    case "checkpoint":
      await gateway.gateway.store.checkpoint();
      return "";
  }
}

const get = (path: string, parameters: Record<string, string>) =>
  `${path}?${new URLSearchParams(parameters)}`;
const all = "{__name__=~'room_temperature|jobs_total|task_ms.*|batch_size'}";

function questions(nowMs: number): string[] {
  const at = (agoMs: number) => String((nowMs - agoMs) / 1000);
  const instant = (query: string, agoMs = 0) => get("/api/v1/query", { query, time: at(agoMs) });
  const range = (query: string, agoMs: number, step: number) =>
    get("/api/v1/query_range", { query, start: at(agoMs), end: at(0), step: String(step) });
  const sql = (q: string) => get("/api/v1/sql", { format: "csv", q });
  return [
    instant(all),
    instant(all, 3 * HOUR_MS + 1),
    instant("room_temperature[40h]"),
    instant("{__name__=~'jobs_total|batch_size'}[40h]"),
    instant("room_temperature[70m]"),
    instant("max_over_time(room_temperature[40h])"),
    instant("min_over_time(room_temperature[9h])"),
    instant("sum_over_time(jobs_total[40h])"),
    instant("avg_over_time(room_temperature[40h])"),
    instant("count_over_time({__name__=~'room_temperature|jobs_total'}[40h])"),
    instant("last_over_time(room_temperature[40h])"),
    instant("quantile_over_time(0.3, room_temperature[20h])"),
    instant("stddev_over_time(room_temperature[20h])"),
    instant("present_over_time(room_temperature[40h])"),
    instant("changes(jobs_total[20h])"),
    instant("max_over_time(jobs_total[3h])"),
    range("rate(jobs_total[10m])", 40 * HOUR_MS, 900),
    range("sum(increase(jobs_total[5h]))", 40 * HOUR_MS, 3_600),
    range("avg by (at) (room_temperature)", 30 * HOUR_MS, 300),
    range("max by (at) (max_over_time(room_temperature[2h]))", 30 * HOUR_MS, 1_800),
    range("jobs_total", 70 * MINUTE_MS, 15),
    range("histogram_quantile(0.9, sum by (le) (rate(task_ms_bucket[2h])))", 20 * HOUR_MS, 1_800),
    range("{__name__=~'task_ms_(count|sum)'}", 20 * HOUR_MS, 1_800),
    get("/federate", { "match[]": '{__name__=~".+"}' }),
    get("/api/v1/export", { from: String(nowMs - 44 * HOUR_MS), to: String(nowMs + HOUR_MS) }),
    get("/api/v1/export", { "match[]": all }),
    get("/api/v1/series", { "match[]": all, start: at(40 * HOUR_MS), end: at(0) }),
    "/api/v1/tables",
    sql("SELECT metric, labels, ts, value FROM samples ORDER BY ALL"),
    sql(
      "SELECT metric, labels, count(*), max(ts), max_by(value, ts), min(value) FROM samples GROUP BY ALL ORDER BY ALL",
    ),
  ];
}

async function answer(gateway: TestGateway, path: string): Promise<string> {
  const response = await gateway.fetch(path);
  const text = await response.text();
  return `${response.status} ${text.replaceAll(/"(elapsed\w*|duration\w*|\w*Bytes)":[\d.]+/g, "").replaceAll(/^(weir|process)_.*$/gm, "")}`;
}

test(
  "a gateway that packs after each step answers as one that never does",
  async () => {
    const { numRuns, seed } = runs(1);
    for (let at = 0; at < numRuns; at++) {
      const programs = fc.array(command, { minLength: 6, maxLength: 10, size: "max" });
      const [program = []] = fc.sample(programs, { seed: seed * 1_000 + at, numRuns: 1 });
      const twins: Twin[] = [
        { gateway: await openTestGateway(...SETTINGS), isPacked: false },
        { gateway: await openTestGateway(...SETTINGS), isPacked: true },
      ];
      const state: State = { last: undefined };
      const done: string[] = [];
      try {
        for (const each of program) {
          const answers: string[] = [];
          for (const twin of twins) answers.push(await run(twin, each, state));
          if (each.do === "write") state.last = { writes: each.writes, nowMs: twins[0]!.gateway.nowMs };
          done.push(`${each.do} ${answers[0]!.slice(0, 60)}`);
          const what = `program ${at} of seed ${seed}: ${done.join("; ")}`;
          expect(answers[1], what).toBe(answers[0]!);
          await pack(twins[1]!.gateway, twins[1]!.gateway.nowMs);
          expect(await twins[1]!.gateway.exposed(), what).toEqual(await twins[0]!.gateway.exposed());
          if (["wait", "group"].includes(each.do)) continue;
          for (const path of questions(twins[0]!.gateway.nowMs)) {
            const [want, found] = await Promise.all(twins.map(({ gateway }) => answer(gateway, path)));
            if (found !== want) expect(found, `${what}: ${path}`).toBe(want!);
          }
        }
      } finally {
        for (const { gateway } of twins) {
          gateway.takeLog();
          await gateway.close();
        }
      }
    }
  },
  { timeout: 600_000 },
);
