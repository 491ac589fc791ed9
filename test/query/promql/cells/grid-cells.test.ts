/**
 * Cells of events beside the rows that they are made of: queries have the same answers from both, whatever happened to
 * the rows, and the second query of a rule reads no rows.
 */
import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { GridCells } from "../../../../src/query/promql/cells/grid-cells.ts";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import type { Reader } from "../../../../src/store/store.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { openTestGatewayAt, type Sample, type TestGateway } from "../../../gateway.ts";
import { runs } from "../../../runs.ts";

/** Twenty minutes before midnight. */
const BEGIN_MS = Date.UTC(2024, 9, 4, 23, 40);
const MINUTE_MS = 60_000;
const STEP_MS = 15_000;

type Command =
  | { readonly do: "push"; readonly samples: readonly PushedSample[] }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "delete"; readonly op: string; readonly agoMs: number }
  | { readonly do: "prune" | "restart" };

interface PushedSample {
  readonly isDelta: boolean;
  /** Before now; negative in the future. */
  readonly agoMs: number;
  readonly value: number;
  readonly op: string;
  readonly user: number;
}

const pushed: fc.Arbitrary<PushedSample> = fc.record({
  isDelta: fc.boolean(),
  agoMs: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
    { weight: 2, arbitrary: fc.integer({ min: -5 * MINUTE_MS, max: 90 * MINUTE_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 26 * 60 * MINUTE_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }).map((steps) => steps * STEP_MS) },
  ),
  // Sums of eighths are exact.
  value: fc.integer({ min: 0, max: 40 }).map((eighths) => eighths / 8),
  op: fc.constantFrom("a", "b", "c"),
  user: fc.integer({ min: 1, max: 7 }),
});

const command: fc.Arbitrary<Command> = fc.oneof(
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
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("prune" as const, "restart" as const) }) },
);

const EXPRESSIONS = [
  "task_ms_count",
  "task_ms_sum",
  "task_ms_bucket{le=~'1.0|100.0|[+]Inf'}",
  "requests_total",
  "rate(task_ms_count[5m])",
  "increase(task_ms_sum[90s])",
  "histogram_quantile(0.9, sum by (le) (rate(task_ms_bucket[10m])))",
  "sum by (op) (increase(requests_total[2m]))",
  "changes(task_ms_count{op='a'}[15m])",
  "count_over_time(requests_total[20m])",
  "task_ms_count offset 3m",
  "absent(task_ms_count{op='c'})",
  "rate(task_ms_count[5m] offset 1h)",
];

/** What a query returns as text. */
async function answer(engine: Engine, text: string, timeMs: number): Promise<string[]> {
  const { data } = await engine.range(text, timeMs - 2 * MINUTE_MS, timeMs, 40_000);
  if (data.type !== "matrix") throw new Error(data.type);
  return data.series.map(
    ({ labels, values, timestampsMs }) =>
      `${labels} ${[...values].map((value, at) => `${value}@${timestampsMs[at]}`).join(" ")}`,
  );
}

/** An engine that reads rows only, and one that reads cells where there are some. */
function enginesOf({ gateway, nowMs }: TestGateway, seriesIdleMs: number): readonly [Engine, Engine] {
  const { store, registry, cells } = gateway;
  const own = { store, registry, observationStepMs: STEP_MS, seriesIdleMs, now: () => nowMs };
  return [new Engine(ownStorage(own), DEFAULTS), new Engine(ownStorage({ ...own, cells }), DEFAULTS)];
}

async function run(gateway: TestGateway, each: Command, settings: readonly string[]): Promise<void> {
  const { ingest, registry } = gateway.gateway;
  switch (each.do) {
    case "push":
      await gateway.push(
        each.samples.map(
          ({ isDelta, agoMs, value, op, user }): Sample => ({
            ...(isDelta ? { metric: "requests", kind: "delta" } : { metric: "task.ms", kind: "observation" }),
            atMs: gateway.nowMs - agoMs,
            value,
            // The label `user` is demoted when it has its sixth value.
            labels: { op, user: `u${user}` },
          }),
        ),
      );
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
    case "restart":
      await gateway.reopen(...settings);
  }
}

test("answers from cells are those from rows: late and future samples, deletions, restarts, demoted labels", async () => {
  let fromCells = 0;
  const scenarios = fc.record({
    commands: fc.array(command, { minLength: 6, maxLength: 16 }),
    texts: fc.shuffledSubarray(EXPRESSIONS, { minLength: 5, maxLength: 5 }),
    idle: fc.constantFrom("1d", "10m"),
  });
  await fc.assert(
    fc.asyncProperty(scenarios, async ({ commands, texts, idle }) => {
      const settings = [`--series-idle-ms=${idle}`, "--label-values-max=5", "--retention-days=2"];
      const gateway = await openTestGatewayAt(BEGIN_MS, ...settings);
      try {
        for (const each of commands) {
          await run(gateway, each, settings);
          const [rows, cells] = enginesOf(gateway, idle === "1d" ? 86_400_000 : 10 * MINUTE_MS);
          const reads = spyOn(gateway.gateway.cells, "read");
          for (const text of texts) {
            const want = await answer(rows, text, gateway.nowMs);
            expect(await answer(cells, text, gateway.nowMs), text).toEqual(want);
          }
          fromCells += reads.mock.results.filter(({ value }) => value !== undefined).length;
          reads.mockRestore();
          gateway.nowMs += 1_500;
          await gateway.gateway.cells.settled();
        }
      } finally {
        gateway.takeLog();
        await gateway.close();
      }
    }),
    runs(12),
  );
  // Otherwise rows were compared with rows.
  expect(fromCells).toBeGreaterThan(100);
});

test("sums of any numbers differ by no more than the order of the additions, and NaN is in the last bucket", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const values = [1e300, 1e300, -1e300, 0.1, 0.2, 0.3, 1e-9, 12_345.678, -7, Number.NaN];
    for (const [at, value] of values.entries()) {
      const labels = { op: at < 3 ? "large" : at < 9 ? "small" : "none" };
      const sample = {
        metric: "task.ms",
        kind: "observation",
        atMs: BEGIN_MS + at * 3_000,
        value,
        labels,
      } as const;
      await gateway.push([sample]);
    }
    gateway.nowMs = BEGIN_MS + MINUTE_MS;
    await keep(gateway, "task_ms_count");
    const [rows, cells] = enginesOf(gateway, 86_400_000);
    for (const text of ["task_ms_sum", "task_ms_bucket{le='+Inf'}", "task_ms_bucket{le='5.0'}"]) {
      const digits = (lines: string[]) => lines.map((line) => line.replace(/(\.\d{9})\d+/g, "$1"));
      expect(digits(await answer(cells, text, gateway.nowMs)), text).toEqual(
        digits(await answer(rows, text, gateway.nowMs)),
      );
    }
  } finally {
    await gateway.close();
  }
});

test("the third evaluation of a rule reads no rows, and counts those that came meanwhile", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const { store, cells, ingest, registry } = gateway.gateway;
    let rowsRead = 0;
    const reader = store.reader.bind(store);
    const count = (rows: number) => {
      rowsRead += rows;
    };
    spyOn(store, "reader").mockImplementation(async () => countingReader(await reader(), count));
    const ask = async (text = "sum(task_ms_count)") => {
      rowsRead = 0;
      const query = encodeURIComponent(text);
      const [, body] = await gateway.send(`GET /api/v1/query?time=${gateway.nowMs / 1_000}&query=${query}`);
      await cells.settled();
      return Number(JSON.parse(body).data.result[0].value[1]);
    };
    const push = (rows: number, op = "a") =>
      gateway.push(
        Array.from({ length: rows }, () => ({
          ...{ metric: "task.ms", kind: "observation" as const },
          ...{ atMs: gateway.nowMs - 20_000, value: 3, labels: { op } },
        })),
      );
    await push(5);
    expect(await ask()).toBe(5);
    expect(rowsRead).toBe(5);
    gateway.nowMs += STEP_MS;
    await push(7);
    expect(await ask()).toBe(12);
    // The rows are read for the answer, and once more for the cells.
    expect(rowsRead).toBe(12 + 12);
    gateway.nowMs += STEP_MS;
    await push(8);
    // All rows of a new series come from now on, so that none has to be read.
    await push(2, "b");
    expect(await ask()).toBe(22);
    expect(rowsRead).toBe(0);
    // All values are 3: the median is in the middle of the bucket from 2.5 to 5.
    expect(await ask("histogram_quantile(0.5, sum by (le) (rate(task_ms_bucket[5m])))")).toBe(3.75);
    expect(rowsRead).toBe(0);
    const [series] = [...registry.series()].filter(({ labels }) => labels.get("op") === "a");
    await ingest.deleteSamples({ seriesIds: [series!.seriesId], fromUs: 0, toUs: Infinity });
    expect(await ask()).toBe(2);
  } finally {
    await gateway.close();
  }
});

test("rows that come while the stored ones are read count once", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const { store, cells } = gateway.gateway;
    const push = async (rows: number) => {
      const sample = {
        metric: "task.ms",
        kind: "observation",
        atMs: BEGIN_MS - 20_000,
        labels: { op: "a" },
      } as const;
      await gateway.push(Array.from({ length: rows }, () => sample));
    };
    await push(3);
    await answer(enginesOf(gateway, 86_400_000)[1], "task_ms_count", gateway.nowMs);
    gateway.nowMs += 2_000;
    // The build reads when four more rows are committed, and in the tables.
    const reader = store.reader.bind(store);
    const pushed = spyOn(store, "reader");
    pushed.mockImplementation(async () => {
      pushed.mockRestore();
      await push(4);
      return await reader();
    });
    cells.read(seriesIds(gateway), { earlierMs: 0, baseMs: BEGIN_MS, toMs: BEGIN_MS });
    await cells.settled();
    const [rows, kept] = enginesOf(gateway, 86_400_000);
    const want = await answer(rows, "task_ms_count", gateway.nowMs);
    expect(want[0]).toContain(" 7@");
    const reads = spyOn(cells, "read");
    expect(await answer(kept, "task_ms_count", gateway.nowMs)).toEqual(want);
    expect(reads.mock.results[0]!.value).toBeDefined();
  } finally {
    await gateway.close();
  }
});

test("metrics that do not fit are forgotten, those first that were not asked for the longest", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const { store, registry, ingest } = gateway.gateway;
    const cells = new GridCells({
      ...{ store, registry, observationStepMs: STEP_MS, seriesIdleMs: 86_400_000, now: () => gateway.nowMs },
      atRest: (action) => ingest.atRest(action),
      // Two series of eight cells with 16 buckets fit, and not three.
      bytesMax: 2 * 8 * (4 * 8 + 17 * 4) + 100,
    });
    const asked = {
      earlierMs: BEGIN_MS - 48 * 60 * MINUTE_MS,
      baseMs: BEGIN_MS - 5 * MINUTE_MS,
      toMs: BEGIN_MS,
    };
    const isKept = (metric: string) => cells.read(seriesIds(gateway, metric), asked) !== undefined;
    for (const metric of ["a.ms", "b.ms", "c.ms"]) {
      await gateway.push([{ metric, kind: "observation", atMs: BEGIN_MS - 1_000 }]);
      expect(isKept(metric)).toBe(false);
      gateway.nowMs += 2_000;
      isKept(metric);
      await cells.settled();
      if (metric !== "c.ms") expect(isKept(metric)).toBe(true);
    }
    expect(["a.ms", "b.ms", "c.ms"].map(isKept)).toEqual([false, true, true]);
    expect(cells.bytes).toBeLessThanOrEqual(2 * 8 * (4 * 8 + 17 * 4) + 100);
    await cells.close();
    expect(cells.bytes).toBe(0);
  } finally {
    await gateway.close();
  }
});

/** The stored series of a metric, or of all. */
function seriesIds({ gateway }: TestGateway, metric?: string): number[] {
  return [...gateway.registry.series()]
    .filter((series) => metric === undefined || series.metric.name === metric)
    .map(({ seriesId }) => seriesId);
}

/** Asks twice, so that the series have cells. */
async function keep(gateway: TestGateway, text: string): Promise<void> {
  for (let asked = 0; asked < 2; asked++) {
    await answer(enginesOf(gateway, 86_400_000)[1], text, gateway.nowMs);
    gateway.nowMs += 2_000;
  }
  await gateway.gateway.cells.settled();
}

/** A reader that reports the rows that it reads. */
function countingReader(reader: Reader, count: (rows: number) => void): Reader {
  return {
    all: reader.all,
    run: reader.run,
    stream: reader.stream,
    scan: (sql, parameters, nullable, visit) =>
      reader.scan(sql, parameters, nullable, (columns, rows, isNull) => {
        count(rows);
        return visit(columns, rows, isNull);
      }),
    scanLists: (sql, parameters, visit) =>
      reader.scanLists(sql, parameters, (keys, begins, lengths, lists, isNull) => {
        count(lists[0]!.length);
        return visit(keys, begins, lengths, lists, isNull);
      }),
    scanBlocks: reader.scanBlocks,
    interrupt: reader.interrupt,
    close: reader.close,
  };
}
