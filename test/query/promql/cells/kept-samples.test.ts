/**
 * Samples that are kept in memory beside the rows that they are copies of: queries have the same answers from both,
 * whatever happened to the rows, and the third query of a rule reads no rows.
 */
import { expect, spyOn, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { Slices } from "../../../../src/query/promql/catalog/slices.ts";
import { TrackedSamples } from "../../../../src/query/promql/cells/tracked-samples.ts";
import { Engine } from "../../../../src/query/promql/engine.ts";
import { OwnRows, ownStorage } from "../../../../src/query/promql/store/own-rows.ts";
import { StoreStorage } from "../../../../src/query/promql/store/store-storage.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { openTestGatewayAt, type TestGateway } from "../../../gateway.ts";
import { runs } from "../../../runs.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { answer, BEGIN_MS, command, EXPRESSIONS, MINUTE_MS, push, run, STEP_MS } from "./sample-programs.ts";

/** An engine that reads rows only, and one that uses the samples that are kept for rules. */
function enginesOf({ gateway, nowMs }: TestGateway): readonly [Engine, Engine] {
  const { store, registry, cells } = gateway;
  const own = { store, registry, observationStepMs: STEP_MS, seriesIdleMs: 86_400_000, now: () => nowMs };
  const rows = new OwnRows({ ...own, cells }).repeated();
  return [new Engine(ownStorage(own), DEFAULTS), new Engine(new StoreStorage({ ...own, rows }), DEFAULTS)];
}

test("answers from kept samples are those from rows: late and future samples, stale markers, deletions, restarts", async () => {
  let kept = 0;
  const scenarios = fc.record({
    commands: fc.array(command, { minLength: 6, maxLength: 16 }),
    texts: fc.shuffledSubarray(EXPRESSIONS, { minLength: 5, maxLength: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(scenarios, async ({ commands, texts }) => {
      const gateway = await openTestGatewayAt(BEGIN_MS, "--retention-days=2");
      try {
        for (const each of commands) {
          await run(gateway, each);
          const [rows, recent] = enginesOf(gateway);
          const reads = spyOn(gateway.gateway.cells, "samples");
          for (const text of texts) {
            const want = await answer(rows, text, gateway.nowMs);
            expect(await answer(recent, text, gateway.nowMs), text).toEqual(want);
          }
          kept += reads.mock.results.filter(({ value }) => value !== undefined).length;
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
  expect(kept).toBeGreaterThan(100);
});

/** Counts the statements over rows that a query needs. */
function statementsOf(gateway: TestGateway): () => number {
  const opened = spyOn(gateway.gateway.store, "reader");
  return () => {
    const { length } = opened.mock.calls;
    opened.mockClear();
    return length;
  };
}

async function ask(gateway: TestGateway, text: string): Promise<string[]> {
  const query = encodeURIComponent(text);
  const [, body] = await gateway.send(`GET /api/v1/query?time=${gateway.nowMs / 1_000}&query=${query}`);
  await gateway.gateway.cells.settled();
  return JSON.parse(body).data.result.map((each: { value: [number, string] }) => each.value[1]);
}

test("the third query of a gauge reads no rows, and a longer range is kept when it is asked for", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const depth = (value: number | undefined, op = "a", agoMs = 0) =>
      push(gateway, [{ isCumulative: false, agoMs, value, op }]);
    await depth(1, "a", 30 * MINUTE_MS);
    await depth(2);
    // Otherwise all of them would be in the head.
    await gateway.reopen();
    const opened = statementsOf(gateway);
    expect(await ask(gateway, "depth")).toEqual(["2"]);
    gateway.nowMs += STEP_MS;
    await depth(3);
    expect(await ask(gateway, "depth")).toEqual(["3"]);
    opened();
    gateway.nowMs += STEP_MS;
    await depth(4);
    // All rows of a new series come from now on, so that none has to be read.
    await depth(7, "b");
    expect(await ask(gateway, "depth")).toEqual(["4", "7"]);
    expect(opened()).toBe(0);
    gateway.nowMs += 1_000;
    await depth(undefined, "b");
    expect(await ask(gateway, "depth")).toEqual(["4"]);
    expect(await ask(gateway, "sum_over_time(depth{op='a'}[5m])")).toEqual(["9"]);
    expect(await ask(gateway, "depth offset 5m")).toEqual([]);
    gateway.nowMs += STEP_MS;
    expect(await ask(gateway, "depth")).toEqual(["4"]);
    // Neither does one that is asked for the first time, if its samples are kept.
    expect(await ask(gateway, "quantile_over_time(1, depth{op='a'}[5m])")).toEqual(["4"]);
    for (const reads of [true, false, false]) {
      opened();
      expect(await ask(gateway, "quantile_over_time(0, depth{op='a'}[40m])")).toEqual(["1"]);
      expect(opened() > 0).toBe(reads);
      gateway.nowMs += 2_000;
    }
  } finally {
    await gateway.close();
  }
});

test("the first evaluation of a rule waits for its rows to be kept, so that they are read once", async () => {
  const path = join(temporaryFolder(), "a.rules.yml");
  const rules = ["sum(depth)", "rate(seen_total[5m])", "sum(task_ms_count)"];
  const listed = rules.map((expr, at) => ({ record: `r${at}`, expr }));
  writeFileSync(path, JSON.stringify({ groups: [{ name: "g", rules: listed }] }));
  const gateway = await openTestGatewayAt(BEGIN_MS, `--rules=${path}`);
  try {
    await push(gateway, [
      { isCumulative: false, agoMs: 5_000, value: 2, op: "a" },
      { isCumulative: true, agoMs: 65_000, value: 10, op: "a" },
      { isCumulative: true, agoMs: 5_000, value: 16, op: "a" },
    ]);
    await gateway.push([{ metric: "task.ms", kind: "observation", atMs: BEGIN_MS - 20_000 }]);
    await gateway.gateway.rules.reload();
    const { cells } = gateway.gateway;
    const waits = spyOn(cells, "whenKept");
    const asked = [spyOn(cells, "samples"), spyOn(cells, "read")] as const;
    const opened = statementsOf(gateway);
    await gateway.gateway.rules.evaluate(BEGIN_MS);
    // Rules that ask at once are answered together, so the three are asked in two or three calls. The last argument says
    // that a caller asks again.
    expect(waits.mock.calls.length).toBeGreaterThanOrEqual(2);
    const [sampled, counted] = asked.map(
      ({ mock }) => new Set(mock.calls.flatMap(([ids, , isRepeated]) => (isRepeated ? [...ids] : []))),
    );
    expect([sampled!.size, counted!.size]).toEqual([2, 1]);
    // Each of them reads rows into memory, and none for an answer.
    expect(opened()).toBeLessThanOrEqual(3);
    expect(await ask(gateway, "r0")).toEqual(["2"]);
    expect(await ask(gateway, "r2")).toEqual(["1"]);
  } finally {
    await gateway.close();
  }
});

/** Counts the calls of a method between pauses, with a clock by which each slice is over when it is first read. */
async function mostBetweenPauses(
  method: "add" | "sort",
  isCounted: (tracked: TrackedSamples) => boolean,
  work: () => Promise<unknown>,
): Promise<{ readonly most: number; readonly total: number }> {
  let [since, most, total] = [0, 0, 0];
  const { prototype } = TrackedSamples;
  const { [method]: called } = prototype;
  const counted = spyOn(prototype, method).mockImplementation(function (
    this: TrackedSamples,
    ...given: unknown[]
  ) {
    if (isCounted(this)) {
      since++;
      total++;
      most = Math.max(most, since);
    }
    return Reflect.apply(called, this, given);
  });
  const { pause } = Slices.prototype;
  const paused = spyOn(Slices.prototype, "pause").mockImplementation(function (this: Slices) {
    since = 0;
    return pause.call(this);
  });
  const begunMs = performance.now();
  let reads = 0;
  const clock = spyOn(performance, "now").mockImplementation(() => begunMs + ++reads * 10);
  try {
    await work();
  } finally {
    for (const each of [counted, paused, clock]) each.mockRestore();
  }
  return { most, total };
}

test("samples of many series are read and sorted in slices: an unsorted series takes as long as many others", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const series = Array.from({ length: 1_000 }, (_, at) => `s${at}`);
    const pushAll = (agosMs: readonly number[]) =>
      push(
        gateway,
        series.flatMap((op) =>
          agosMs.map((agoMs, at) => ({ isCumulative: false, agoMs, value: at % 2, op })),
        ),
      );
    await pushAll([90_000, 75_000, 60_000, 45_000, 30_000, 15_000]);
    const [, recent] = enginesOf(gateway);
    const asked = async () => {
      const { data } = await recent.instant("sum(changes(depth[5m]))", gateway.nowMs);
      await gateway.gateway.cells.settled();
      return data.type === "vector" ? data.series[0]?.values[0] : undefined;
    };
    // A chunk of the engine has 2,048 rows.
    const built = await mostBetweenPauses("add", () => true, asked);
    expect(built.total).toBe(6_000);
    expect(built.most).toBeLessThanOrEqual(2_048);
    expect(await asked()).toBe(5_000);
    // After 90 s, and with the same value: one more change if it is taken for the last.
    await pushAll([80_000]);
    const isLate = (tracked: TrackedSamples) => !tracked.isSorted;
    const sorted = await mostBetweenPauses("sort", isLate, async () => expect(await asked()).toBe(5_000));
    expect(sorted.total).toBe(1_000);
    expect(sorted.most).toBeLessThanOrEqual(64);
  } finally {
    await gateway.close();
  }
});

test("a series of a Pushgateway group has the same answers from kept samples as from rows", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS);
  try {
    const texts = ["size", "count_over_time(size[2m])", "changes(size[8m])", "size offset 4m"];
    const put = (value: number) => gateway.ok("PUT /metrics/job/backup", `size ${value}\n`);
    const steps = [
      () => put(1),
      () => put(2),
      async () => {},
      () => put(3),
      () => gateway.ok("DELETE /metrics/job/backup"),
      () => put(4),
    ];
    let fromMemory = 0;
    for (const step of steps) {
      await step();
      for (let seconds = 0; seconds < 120; seconds += 40) {
        gateway.nowMs += 40_000;
        for (const text of texts) {
          const { cells } = gateway.gateway;
          const none = spyOn(cells, "samples").mockReturnValue(undefined);
          const want = await ask(gateway, text);
          none.mockRestore();
          const own = spyOn(cells, "samples");
          expect(await ask(gateway, text), text).toEqual(want);
          fromMemory += own.mock.results.filter(({ value }) => value !== undefined).length;
          own.mockRestore();
        }
      }
    }
    expect(fromMemory).toBeGreaterThan(40);
    expect(await ask(gateway, "size")).toEqual(["4"]);
  } finally {
    await gateway.close();
  }
});
