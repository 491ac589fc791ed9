/**
 * Samples that queries keep in shared memory: answers are those from rows and blocks, bit for bit, whatever happens to the rows
 * meanwhile, and what is asked for again is not read again.
 */
import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import type { SharedAnswer } from "../../../../src/query/promql/shared/shared-samples.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { openTestGatewayAt, type TestGateway } from "../../../gateway.ts";
import { runs } from "../../../runs.ts";
import {
  answer,
  BEGIN_MS,
  command,
  EXPRESSIONS,
  MINUTE_MS,
  push,
  run,
  STEP_MS,
} from "../cells/sample-programs.ts";

/** An engine that reads rows and blocks, and one that keeps what it read. */
function enginesOf({ gateway, nowMs }: TestGateway): readonly [Engine, Engine] {
  const { store, registry, cells } = gateway;
  const own = { store, registry, observationStepMs: STEP_MS, seriesIdleMs: 86_400_000, now: () => nowMs };
  return [new Engine(ownStorage(own), DEFAULTS), new Engine(ownStorage({ ...own, cells }), DEFAULTS)];
}

const TEXTS = [
  ...EXPRESSIONS,
  "max_over_time(depth[1d])",
  "min_over_time(seen_total[30h] offset 20m)",
  "count_over_time(depth[26h])",
  "increase(seen_total[3h])",
  "resets(seen_total[5h])",
  "sum by (op) (rate(seen_total[20m]))",
  "depth @ end() - depth @ start()",
];

test("answers from shared memory are those from rows: late samples, stale markers, deletions, blocks, restarts", async () => {
  let shared = 0;
  const scenarios = fc.record({
    commands: fc.array(command, { minLength: 6, maxLength: 16 }),
    texts: fc.shuffledSubarray(TEXTS, { minLength: 6, maxLength: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(scenarios, async ({ commands, texts }) => {
      const gateway = await openTestGatewayAt(BEGIN_MS, "--retention-days=2");
      try {
        for (const each of commands) {
          await run(gateway, each);
          const [rows, kept] = enginesOf(gateway);
          const reads = spyOn(gateway.gateway.cells.shared, "read");
          for (const text of texts) {
            const want = await answer(rows, text, gateway.nowMs);
            expect(await answer(kept, text, gateway.nowMs), text).toEqual(want);
          }
          shared += reads.mock.results.filter(({ value }) => (value as SharedAnswer).parts.length > 0).length;
          reads.mockRestore();
          gateway.nowMs += 1_500;
        }
      } finally {
        gateway.takeLog();
        await gateway.close();
      }
    }),
    runs(6),
  );
  // Otherwise rows were compared with rows.
  expect(shared).toBeGreaterThan(150);
});

/** The values of an instant query, and whether it read rows. */
async function asked(gateway: TestGateway, text: string): Promise<[values: string, readRows: boolean]> {
  const opened = spyOn(gateway.gateway.store, "reader");
  const query = encodeURIComponent(text);
  const [, body] = await gateway.send(`GET /api/v1/query?time=${gateway.nowMs / 1_000}&query=${query}`);
  const readRows = opened.mock.calls.length > 0;
  opened.mockRestore();
  const result = JSON.parse(body).data.result as { value: [number, string] }[];
  return [result.map(({ value }) => value[1]).join(), readRows];
}

const depth = (gateway: TestGateway, value: number | undefined, op = "a", agoMs = 0) =>
  push(gateway, [{ isCumulative: false, agoMs, value, op }]);

test("the second query reads no rows, and has the samples that came meanwhile: new ones, late ones, those of new series", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    await depth(gateway, 1, "a", 40 * MINUTE_MS);
    await depth(gateway, 2, "a", 10 * MINUTE_MS);
    // Otherwise all of them would be in the head.
    await gateway.reopen();
    expect(await asked(gateway, "count_over_time(depth{op='a'}[1h]) + 0")).toEqual(["2", true]);
    expect(await asked(gateway, "quantile_over_time(0, depth[1h])")).toEqual(["1", true]);
    gateway.nowMs += STEP_MS;
    await depth(gateway, 5);
    await depth(gateway, 0, "a", 20 * MINUTE_MS);
    await depth(gateway, 7, "b");
    expect(await asked(gateway, "quantile_over_time(0, depth[1h])")).toEqual(["0,7", false]);
    expect(await asked(gateway, "changes(depth[1h])")).toEqual(["3,0", false]);
    expect(await asked(gateway, "depth")).toEqual(["5,7", false]);
    // An exposed series with a stale marker may be of a group that was deleted, so it is read.
    await depth(gateway, undefined, "b", -1_000);
    gateway.nowMs += STEP_MS;
    expect((await asked(gateway, "depth"))[0]).toBe("5");
    expect(await asked(gateway, "depth{op='a'}")).toEqual(["5", false]);
    // A range that begins earlier is read once.
    expect(await asked(gateway, "last_over_time(depth{op='a'}[3h])")).toEqual(["5", true]);
    expect(await asked(gateway, "last_over_time(depth{op='a'}[3h])")).toEqual(["5", false]);
    expect(await asked(gateway, "last_over_time(depth{op='a'}[1h])")).toEqual(["5", false]);
  } finally {
    await gateway.close();
  }
});

test("what a query could not read from the journal is in the next answer", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    await depth(gateway, 1, "a", 4 * MINUTE_MS);
    await gateway.reopen();
    await depth(gateway, 2, "a", 2 * MINUTE_MS);
    // As on a full disk: the second sample stays in the journal, and a reader does not see it.
    const moving = spyOn(gateway.gateway.store, "moveJournal").mockRejectedValue(new Error("disk full"));
    for (let round = 0; round < 2; round++)
      expect((await asked(gateway, "count_over_time(depth[5m]) + 0"))[0]).toBe("1");
    moving.mockRestore();
    gateway.takeLog();
    expect((await asked(gateway, "count_over_time(depth[5m]) + 0"))[0]).toBe("2");
    expect(await asked(gateway, "count_over_time(depth[5m]) + 0")).toEqual(["2", false]);
  } finally {
    await gateway.close();
  }
});

test("a reduction over a long range is computed by the engine once, and then from memory", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    await depth(gateway, 3, "a", 60 * MINUTE_MS);
    await depth(gateway, 2);
    await gateway.reopen();
    const reads: boolean[] = [];
    for (let round = 0; round < 4; round++) {
      const [values, readRows] = await asked(gateway, "max_over_time(depth[1d])");
      expect(values).toBe("3");
      reads.push(readRows);
    }
    expect(reads).toEqual([true, true, false, false]);
  } finally {
    await gateway.close();
  }
});

test("what was committed since the start is not read: a first query finds it in memory, with late samples", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    await depth(gateway, 1, "a", 40 * MINUTE_MS);
    expect(await asked(gateway, "count_over_time(depth[2h]) + 0")).toEqual(["1", false]);
    await gateway.reopen();
    // What is stored of "a" is not in memory, and all of "b" is.
    await depth(gateway, 2, "a", 3 * MINUTE_MS);
    await depth(gateway, 3, "a", 2 * MINUTE_MS);
    await depth(gateway, 5, "b", 3 * MINUTE_MS);
    await depth(gateway, 4, "b", 20 * MINUTE_MS);
    expect(await asked(gateway, "sum_over_time(depth{op='b'}[3h]) + 0")).toEqual(["9", false]);
    expect(await asked(gateway, "sum_over_time(depth{op='a'}[170s]) + 0")).toEqual(["3", false]);
    expect(await asked(gateway, "sum_over_time(depth{op='a'}[3h]) + 0")).toEqual(["6", true]);
  } finally {
    await gateway.close();
  }
});

test("samples are read again after a deletion", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    await depth(gateway, 3, "a", 4 * MINUTE_MS);
    await depth(gateway, 2, "a", MINUTE_MS);
    expect((await asked(gateway, "quantile_over_time(1, depth[5m])"))[0]).toBe("3");
    await run(gateway, { do: "delete", op: "a", agoMs: 2 * MINUTE_MS });
    expect(await asked(gateway, "quantile_over_time(0, depth[5m])")).toEqual(["3", true]);
  } finally {
    await gateway.close();
  }
});

test("a tail that became long is joined with the samples before it, and samples that nobody needs are dropped", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const { shared } = gateway.gateway.cells;
    const ops = Array.from({ length: 500 }, (_, at) => `op${at}`);
    const scrape = async () => {
      gateway.nowMs += STEP_MS;
      const atSecond = Math.round((gateway.nowMs - BEGIN_MS) / 1_000);
      await push(
        gateway,
        ops.map((op, at) => ({ isCumulative: true, agoMs: at % 3, value: atSecond * (at + 1), op })),
      );
    };
    for (let round = 0; round < 24; round++) await scrape();
    const settled = spyOn(shared, "settle");
    const rates = async () => {
      const [rows, kept] = enginesOf(gateway);
      for (const text of ["sum(rate(seen_total[5m]))", "increase(seen_total[4m])"])
        expect(await answer(kept, text, gateway.nowMs)).toEqual(await answer(rows, text, gateway.nowMs));
    };
    await rates();
    const before = shared.bytes;
    for (let round = 0; round < 45; round++) {
      await scrape();
      if (round % 5 === 0) await rates();
    }
    await rates();
    const rewritten = settled.mock.calls.flatMap(([, result]) =>
      typeof result === "string" || result.tailLength === 0 ? [] : [result],
    );
    expect(rewritten.length).toBeGreaterThan(0);
    // It keeps the range that was asked for, and not three times as much.
    const kept = rewritten.at(-1)!.chunks.reduce((sum, { values }) => sum + values.length, 0);
    expect(kept).toBeLessThan(500 * 40);
    expect(shared.bytes).toBeLessThan(3 * before);
  } finally {
    await gateway.close();
  }
});

test("samples that do not fit are not kept, and those that were not asked for the longest make room", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    for (let minute = 60; minute > 0; minute--)
      await push(
        gateway,
        ["a", "b", "c"].map((op) => ({ isCumulative: false, agoMs: minute * MINUTE_MS, value: minute, op })),
      );
    const { cells, registry, store } = gateway.gateway;
    const { SharedSamples } = await import("../../../../src/query/promql/shared/shared-samples.ts");
    const small = new SharedSamples({ store, registry, now: () => gateway.nowMs, sharedBytesMax: 1_900 });
    const rows = { ...cells, shared: small } as typeof cells;
    const own = { store, registry, cells: rows, now: () => gateway.nowMs };
    const engine = new Engine(
      ownStorage({ ...own, observationStepMs: STEP_MS, seriesIdleMs: 86_400_000 }),
      DEFAULTS,
    );
    const reads = spyOn(small, "read");
    const isKept = async (op: string) => {
      reads.mockClear();
      await engine.instant(`quantile_over_time(0.5, depth{op=~"${op}"}[1h])`, gateway.nowMs);
      return !(reads.mock.results[0]!.value as SharedAnswer).partOf.includes(0);
    };
    const fits: boolean[] = [];
    for (const op of ["a", "a", "b", "b", "a", "c", "b", "a|b|c", "a|b|c"]) {
      fits.push(await isKept(op));
      gateway.nowMs += 1;
    }
    expect(fits).toEqual([false, true, false, true, false, false, false, false, false]);
    expect(small.bytes).toBeLessThanOrEqual(1_900);
  } finally {
    await gateway.close();
  }
});
