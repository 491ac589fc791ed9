/**
 * Codes of events beside the rows that they are made of: queries over long ranges have the same answers from both, whatever
 * happened to the rows, and the second query reads no rows.
 */
import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { CodeChunks, codeScale } from "../../../../src/query/promql/cells/code-chunks.ts";
import { EventCodes } from "../../../../src/query/promql/cells/event-codes.ts";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { dayOf, type Series } from "../../../../src/model/sample.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { openTestGatewayAt, type Sample, type TestGateway } from "../../../gateway.ts";
import { runs } from "../../../runs.ts";

/** Twenty minutes before midnight. */
const BEGIN_MS = Date.UTC(2024, 9, 4, 23, 40);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const STEP_MS = 15_000;

type Command =
  | { readonly do: "push"; readonly samples: readonly PushedSample[] }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "delete"; readonly op: string; readonly agoMs: number }
  | { readonly do: "prune" | "restart" };

interface PushedSample {
  /** Before now; negative in the future. */
  readonly agoMs: number;
  readonly value: number;
  readonly op: string;
  readonly user: number;
}

const pushed: fc.Arbitrary<PushedSample> = fc.record({
  agoMs: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
    { weight: 3, arbitrary: fc.integer({ min: -5 * MINUTE_MS, max: 30 * HOUR_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 5_760 }).map((steps) => steps * STEP_MS) },
  ),
  value: fc.oneof(
    fc.integer({ min: -4, max: 400 }).map((eighths) => eighths / 8),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 1, 2.5, 60_000, 60_000.5, -0),
  ),
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
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.oneof(
        fc.integer({ min: 1_000, max: 60_000 }),
        fc.constantFrom(STEP_MS, 40 * MINUTE_MS, 13 * HOUR_MS, 40 * HOUR_MS),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      op: fc.constantFrom("a", "b"),
      agoMs: fc.integer({ min: 0, max: 20 * HOUR_MS }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("prune" as const, "restart" as const) }) },
);

const EXPRESSIONS = [
  "task_ms_count",
  "task_ms_bucket{le=~'1.0|100.0|[+]Inf'}",
  "task_ms_bucket{le='5.0'}",
  "rate(task_ms_count[5h])",
  "histogram_quantile(0.9, sum by (le) (rate(task_ms_bucket[3h])))",
  "sum by (le, op) (increase(task_ms_bucket[1d]))",
  "increase(task_ms_bucket{op='a', le=~'2.5|50.0'}[90m])",
  "changes(task_ms_count{op='a'}[4h])",
  "absent(task_ms_count{op='c'} offset 2h)",
  "{__name__=~'task_ms_(count|sum)', op='b'}",
];

/** What a query over the last day returns, as text. */
async function answer(engine: Engine, text: string, timeMs: number, stepMs = 2 * HOUR_MS): Promise<string[]> {
  const { data } = await engine.range(text, timeMs - 22 * HOUR_MS, timeMs, stepMs);
  if (data.type !== "matrix") throw new Error(data.type);
  return data.series.map(
    ({ labels, values, timestampsMs }) =>
      `${labels} ${[...values].map((value, at) => `${value}@${timestampsMs[at]}`).join(" ")}`,
  );
}

/** An engine that reads rows only, and one that reads codes. */
function enginesOf({ gateway, nowMs }: TestGateway, seriesIdleMs = DAY_MS): readonly [Engine, Engine] {
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
          ({ agoMs, value, op, user }): Sample => ({
            ...{ metric: "task.ms", kind: "observation", value },
            atMs: gateway.nowMs - agoMs,
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

test("answers from codes are those from rows: late and future samples, deletions, restarts, demoted labels", async () => {
  let fromCodes = 0;
  const scenarios = fc.record({
    commands: fc.array(command, { minLength: 5, maxLength: 12 }),
    texts: fc.shuffledSubarray(EXPRESSIONS, { minLength: 5, maxLength: 5 }),
    idle: fc.constantFrom("1d", "10m", "5h"),
  });
  await fc.assert(
    fc.asyncProperty(scenarios, async ({ commands, texts, idle }) => {
      const idleMs = idle === "1d" ? DAY_MS : idle === "5h" ? 5 * HOUR_MS : 10 * MINUTE_MS;
      const settings = [`--series-idle-ms=${idle}`, "--label-values-max=5", "--retention-days=2"];
      const gateway = await openTestGatewayAt(BEGIN_MS, ...settings);
      try {
        for (const each of commands) {
          await run(gateway, each, settings);
          const [rows, kept] = enginesOf(gateway, idleMs);
          const reads = spyOn(gateway.gateway.cells.codes, "read");
          for (const text of texts) {
            const want = await answer(rows, text, gateway.nowMs);
            expect(await answer(kept, text, gateway.nowMs), text).toEqual(want);
          }
          for (const { value } of reads.mock.results) if ((await value) !== undefined) fromCodes++;
          reads.mockRestore();
        }
      } finally {
        gateway.takeLog();
        await gateway.close();
      }
    }),
    runs(3),
  );
  // Otherwise rows were compared with rows.
  expect(fromCodes).toBeGreaterThan(15);
});

/** A gateway with events of op a every minute of the last ten hours, and the queries of a dashboard. */
async function withEvents() {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  const push = (count: number, agoMs: number, op = "a") =>
    gateway.push(
      Array.from(
        { length: count },
        (_, at): Sample => ({
          ...{ metric: "task.ms", kind: "observation", value: 3 },
          atMs: gateway.nowMs - agoMs - at * MINUTE_MS,
          labels: { op },
        }),
      ),
    );
  await push(600, 20_000);
  const { store } = gateway.gateway;
  const reader = store.reader.bind(store);
  let reads = 0;
  spyOn(store, "reader").mockImplementation(() => {
    reads++;
    return reader();
  });
  /** The number of events of the last day, and how many readers were opened for it. */
  const ask = async (text = "sum(task_ms_count)"): Promise<[value: number, reads: number]> => {
    reads = 0;
    const lines = await answer(enginesOf(gateway)[1], text, gateway.nowMs, 22 * HOUR_MS);
    return [Number(/([\d.]+)@\d+$/.exec(lines[0]!)![1]), reads];
  };
  return { gateway, push, ask };
}

test("the second query over a day reads no rows, and counts those that came meanwhile", async () => {
  const { gateway, push, ask } = await withEvents();
  try {
    // The range of the first query begins five hours earlier.
    const [increase, reads] = await ask("sum(increase(task_ms_bucket{le='5.0'}[5h]))");
    expect(increase).toBeCloseTo(300.25, 2);
    expect(reads).toBe(1);
    expect(await ask()).toEqual([600, 0]);
    gateway.nowMs += STEP_MS;
    // Late, and out of order.
    await push(7, 9 * HOUR_MS);
    expect(await ask()).toEqual([607, 0]);
    // Only the rows of a series that is new are read.
    await push(2, 20_000, "b");
    expect(await ask()).toEqual([609, 1]);
    await push(3, 20_000, "b");
    expect(await ask()).toEqual([612, 0]);
  } finally {
    await gateway.close();
  }
});

test("rows are read again after samples were deleted", async () => {
  const { gateway, ask } = await withEvents();
  try {
    const { ingest, registry, cells } = gateway.gateway;
    expect(await ask()).toEqual([600, 1]);
    const seriesIds = [...registry.series()].map(({ seriesId }) => seriesId);
    await ingest.deleteSamples({
      seriesIds,
      fromUs: (gateway.nowMs - HOUR_MS) * 1_000,
      toUs: Number.POSITIVE_INFINITY,
    });
    expect(cells.codes.bytes).toBe(0);
    expect(await ask()).toEqual([540, 1]);
    expect(await ask()).toEqual([540, 0]);
  } finally {
    await gateway.close();
  }
});

test("rows that are committed while the stored ones are read count once", async () => {
  const { gateway, push, ask } = await withEvents();
  try {
    const { store } = gateway.gateway;
    const reader = store.reader.bind(store);
    spyOn(store, "reader").mockImplementationOnce(async () => {
      await push(4, 2 * HOUR_MS);
      return await reader();
    });
    expect((await ask())[0]).toBe(604);
    expect((await ask())[0]).toBe(604);
  } finally {
    await gateway.close();
  }
});

test("codes that do not fit are not kept, and metrics that were not asked for the longest make room", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const { store, registry, ingest } = gateway.gateway;
    const options = {
      ...{ store, registry, observationStepMs: STEP_MS, now: () => gateway.nowMs },
      atRest: <T>(action: () => T) => ingest.atRest(action),
    };
    for (const metric of ["a.ms", "b.ms"]) {
      await gateway.push(
        Array.from({ length: 10 }, (): Sample => ({ metric, kind: "observation", atMs: BEGIN_MS - 1_000 })),
      );
    }
    await store.moveJournal();
    const idsOf = (metric: string) =>
      [...registry.series()]
        .filter((series) => series.metric.name === metric)
        .map(({ seriesId }) => seriesId);
    const asked = { afterMs: BEGIN_MS - DAY_MS };
    // 20 rows are stored, and 4 bytes each could be needed.
    const small = new EventCodes({ ...options, codeBytesMax: 79 });
    expect(await small.read(idsOf("a.ms"), asked)).toBeUndefined();
    const codes = new EventCodes({ ...options, codeBytesMax: 80 });
    const [chunk] = (await codes.read(idsOf("a.ms"), asked))!.chunks;
    expect(chunk!.codes.length).toBe(10);
    expect(codes.bytes).toBe(40);
    await codes.read(idsOf("b.ms"), asked);
    expect(codes.bytes).toBe(80);
    gateway.nowMs += 1_000;
    expect((await codes.read(idsOf("a.ms"), asked))!.chunks.length).toBe(1);
    codes.add({
      ...{ day: 0, length: 1, arrivals: undefined, attributes: new Map() },
      seriesId: Uint32Array.from(idsOf("a.ms")),
      timestampUs: Float64Array.of(BEGIN_MS * 1_000),
      value: Float64Array.of(1),
    } as unknown as Parameters<typeof codes.add>[0]);
    // The room for added codes is more than is left: metric b makes room, and then a does not fit either.
    expect(codes.bytes).toBe(0);
    await codes.close();
  } finally {
    await gateway.close();
  }
});

test("codes of a series are complete in however many chunks they came", () => {
  const chunks = new CodeChunks();
  const expected = new Map<number, number[]>();
  for (let at = 0; at < 5_000; at++) {
    const id = (at * 7) % 13;
    chunks.add(id, at);
    expected.getOrInsertComputed(id, () => []).push(at);
    if (at % 37 === 0) chunks.read();
  }
  const found = new Map<number, number[]>();
  const read = chunks.read();
  for (const { seriesIds, begins, lengths, codes } of read) {
    for (const [slot, id] of seriesIds.entries())
      found
        .getOrInsertComputed(id, () => [])
        .push(...codes.subarray(begins[slot], begins[slot]! + lengths[slot]!));
  }
  for (const list of found.values()) list.sort((a, b) => a - b);
  expect(found).toEqual(expected);
  // Chunks of like sizes are joined.
  expect(read.length).toBeLessThan(14);
});

test("a code has the step and the bucket of its row, if both fit", () => {
  const bounds = Float64Array.of(1, 2.5, Number.POSITIVE_INFINITY);
  const scale = codeScale(3, STEP_MS, BEGIN_MS)!;
  const { baseStep, bits } = scale.columns;
  expect(bits).toBe(2);
  const step = BEGIN_MS / STEP_MS;
  const codes = [1, 1.5, 2.5, 3, Number.NaN].map((value) => scale.codeOf(step, bounds, value)!);
  expect(codes.map((code) => [(code >>> bits) + baseStep, code & 3])).toEqual([
    [step, 0],
    [step, 1],
    [step, 1],
    [step, 2],
    [step, 2],
  ]);
  expect(scale.codeOf(baseStep - 1, bounds, 1)).toBeUndefined();
  // One step per millisecond, 50 buckets: 100 days do not fit into 26 bits.
  expect(codeScale(50, 1, BEGIN_MS)).toBeUndefined();
});

test("a metric that is read again 70,000 times keeps getting the rows that are committed", async () => {
  const metric = { name: "task.ms", kind: "observation", buckets: [1] };
  const series = { seriesId: 1, metric } as never as Series;
  const nowMs = Date.UTC(2024, 9, 4, 12);
  const codes = new EventCodes({
    store: {
      days: () => [],
      numbering: 0,
      incompleteReaders: 0,
      reader: async () => ({ close() {} }) as never,
    },
    registry: { seriesById: () => series },
    atRest: async (action) => action(),
    observationStepMs: STEP_MS,
    now: () => nowMs,
  });
  // An earlier range reads the series again.
  for (let time = 1; time <= 70_000; time++) await codes.read([1], { afterMs: nowMs - time * STEP_MS });
  const rows = { day: dayOf(nowMs * 1_000), length: 1, attributes: [], text: new Uint8Array(0) };
  codes.add({
    ...rows,
    ...{
      seriesId: Uint32Array.of(1),
      timestampUs: Float64Array.of(nowMs * 1_000),
      value: Float64Array.of(0.5),
    },
    ...{ stale: Uint8Array.of(0), live: Uint8Array.of(1) },
  });
  const read = await codes.read([1], { afterMs: nowMs - STEP_MS });
  expect(read!.chunks.map(({ seriesIds, lengths }) => [...seriesIds, ...lengths])).toEqual([[1, 1]]);
  await codes.close();
});
