/** What the client accepts, what it counts as invalid, and that no call throws. */
import { describe, expect, test } from "bun:test";
import { ClientCounts } from "../../src/client/client-counts.ts";
import { type ClientProblem, createWeir, type SampleTags, type WeirClient } from "../../src/client/index.ts";
import { Recorder, type RecordedSample } from "../../src/client/recorder.ts";

/** The rows of the columns of a batch, as events. */
function eventsOf(text: string): unknown[] {
  const lines = text.trim().split("\n");
  return lines.flatMap((line) => {
    const { metric, type, columns } = JSON.parse(line) as {
      metric: string;
      type?: string;
      columns: Record<string, unknown> & { ts: number[]; value: number[] };
    };
    const { ts, value, ...tags } = columns;
    return ts.map((atMs, row) => ({
      "@timestamp": atMs,
      metric_name: metric,
      value: value[row],
      type: type ?? "observation",
      tags: Object.fromEntries(
        Object.entries(tags).map(([name, cells]) => [name, Array.isArray(cells) ? cells[row] : cells]),
      ),
    }));
  });
}

/** A client whose batches go nowhere, what it has encoded, and its problems. */
function caught(): {
  weir: WeirClient;
  problems: ClientProblem[];
  events(): Promise<unknown[]>;
} {
  const problems: ClientProblem[] = [];
  const bodies: Uint8Array[] = [];
  const weir = createWeir({
    url: "http://127.0.0.1:9091/",
    signals: false,
    labels: { job: "scanner" },
    onProblem: (problem) => problems.push(problem),
    fetch: async (_, { body }) => {
      bodies.push(body as Uint8Array);
      return Response.json({ accepted: 1, rejected: 0, errors: [] });
    },
  });
  const events = async () => {
    await weir.flush();
    return bodies.flatMap((body) =>
      eventsOf(new TextDecoder().decode(Bun.gunzipSync(body as Uint8Array<ArrayBuffer>))),
    );
  };
  return { weir, problems, events };
}

test("the three kinds are events with the labels of the client, and the time of the call", async () => {
  const { weir, events } = caught();
  const beforeMs = Date.now();
  weir.observe("a.duration_ms", 1.5, {
    operation: "get_task",
    status: 200,
    ok: true,
    none: null,
    absent: undefined,
  });
  weir.increment("b_total");
  weir.increment("b_total", 3, { job: "own" });
  weir.set("c.depth", -2);
  const afterMs = Date.now();
  const sent = (await events()) as { "@timestamp": number }[];
  expect(sent.map(({ "@timestamp": _, ...rest }) => rest)).toEqual([
    {
      metric_name: "a.duration_ms",
      value: 1.5,
      type: "observation",
      tags: { job: "scanner", operation: "get_task", status: 200, ok: true },
    },
    { metric_name: "b_total", value: 1, type: "counter", tags: { job: "scanner" } },
    { metric_name: "b_total", value: 3, type: "counter", tags: { job: "own" } },
    { metric_name: "c.depth", value: -2, type: "gauge", tags: { job: "scanner" } },
  ] as unknown as typeof sent);
  for (const { "@timestamp": at } of sent) expect(at >= beforeMs && at <= afterMs).toBe(true);
  await weir.close();
});

describe("invalid input", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const huge = "x".repeat(5_000_000);
  const many = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`tag${index}`, "v"]));
  const throwing = {
    get tag(): string {
      throw new Error("the worker's getter has a fault");
    },
  };
  /** [what it is, the call, the kinds that are counted, the tags of the event; undefined if there is no event] */
  const cases: [string, (weir: WeirClient) => void, Record<string, number>, SampleTags | undefined][] = [
    ["NaN", (w) => w.observe("m", Number.NaN), { value: 1 }, undefined],
    ["Infinity", (w) => w.set("m", Infinity), { value: 1 }, undefined],
    ["a text as value", (w) => w.observe("m", "1" as never), { value: 1 }, undefined],
    ["a bigint as value", (w) => w.observe("m", 1n as never), { value: 1 }, undefined],
    ["no value", (w) => w.observe("m", undefined as never), { value: 1 }, undefined],
    ["an object as value", (w) => w.observe("m", cyclic as never), { value: 1 }, undefined],
    ["a symbol as value", (w) => w.increment("m", Symbol("s") as never), { value: 1 }, undefined],
    ["no name", (w) => w.observe("", 1), { name: 1 }, undefined],
    ["an object as name", (w) => w.observe({} as never, 1), { name: 1 }, undefined],
    ["an object without prototype as name", (w) => w.observe(Object.create(null), 1), { name: 1 }, undefined],
    ["a long name", (w) => w.observe("n".repeat(256), 1), { name: 1 }, undefined],
    ["a text as tags", (w) => w.observe("m", 1, "tag" as never), { tags: 1 }, {}],
    ["an array as tags", (w) => w.observe("m", 1, ["a"] as never), { tags: 1 }, {}],
    ["null as tags", (w) => w.observe("m", 1, null as never), {}, {}],
    ["a getter that throws", (w) => w.observe("m", 1, throwing), { tags: 1 }, undefined],
    ["a cyclic tag", (w) => w.observe("m", 1, { a: "b", c: cyclic as never }), { tag_value: 1 }, { a: "b" }],
    ["a bigint tag", (w) => w.observe("m", 1, { a: "b", c: 1n as never }), { tag_value: 1 }, { a: "b" }],
    ["a function as tag", (w) => w.observe("m", 1, { toJSON: (() => 1) as never }), { tag_value: 1 }, {}],
    ["a NaN tag", (w) => w.observe("m", 1, { c: Number.NaN, a: 1 }), { tag_value: 1 }, { a: 1 }],
    [
      "a huge tag",
      (w) => w.observe("m", 1, { a: huge, b: "c" }),
      { tag_too_long: 1 },
      { a: "x".repeat(1_024), b: "c" },
    ],
    ["a huge name of a tag", (w) => w.observe("m", 1, { [huge]: "a", b: "c" }), { tag_value: 1 }, { b: "c" }],
    [
      "70 tags",
      (w) => w.observe("m", 1, many),
      { tag_count: 1 },
      Object.fromEntries(Object.entries(many).slice(0, 64)),
    ],
  ];

  test.each(cases)("%s is counted, reported once, and never throws", async (_, call, counted, tags) => {
    const { weir, problems, events } = caught();
    call(weir);
    call(weir);
    const { invalid, recorded } = weir.stats();
    const nonzero = Object.fromEntries(Object.entries(invalid).filter(([, count]) => count > 0));
    expect(nonzero).toEqual(Object.fromEntries(Object.entries(counted).map(([kind, n]) => [kind, 2 * n])));
    expect(recorded).toBe(tags === undefined ? 0 : 2);
    expect(problems.map(({ kind }) => kind)).toEqual(Object.keys(counted).map((kind) => `invalid_${kind}`));
    for (const { message } of problems) expect(message.length).toBeLessThan(400);
    if (tags !== undefined) {
      const sent = (await events()) as { tags: SampleTags; metric_name: string }[];
      const own = sent.filter(({ metric_name }) => metric_name === "m");
      expect(own.map((each) => each.tags)).toEqual([tags, tags].map((each) => ({ job: "scanner", ...each })));
    }
    await weir.close();
  });

  test("is pushed as a counter, also if nothing valid is recorded", async () => {
    const { weir, events } = caught();
    weir.observe("m", Number.NaN);
    expect(await events()).toMatchObject([
      {
        metric_name: "weir_client_invalid_input_total",
        value: 1,
        type: "counter",
        tags: { job: "scanner", input: "value" },
      },
    ]);
    await weir.close();
  });

  test("an onProblem that throws does not reach the worker", () => {
    const weir = createWeir({
      url: "http://127.0.0.1:1",
      signals: false,
      onProblem: () => {
        throw new Error("the worker's function has a fault");
      },
    });
    weir.observe("m", Number.NaN);
    expect(weir.stats().lastProblem?.kind).toBe("invalid_value");
  });
});

test("the worker may change its object after the call", async () => {
  const { weir, events } = caught();
  const tags: Record<string, string> = { task_id: "one" };
  weir.observe("m", 1, tags);
  tags.task_id = "two";
  expect(await events()).toMatchObject([{ tags: { task_id: "one" } }]);
  await weir.close();
});

test("what is recorded after close is counted, and close may be called twice", async () => {
  const { weir } = caught();
  await Promise.all([weir.close(), weir.close()]);
  weir.observe("m", 1);
  expect(weir.stats()).toMatchObject({ recorded: 0, invalid: { closed: 1 } });
});

describe("time", () => {
  test("returns what the function returns, and passes its error on", async () => {
    const { weir, events } = caught();
    const failure = new Error("the work failed");
    const fails = () => {
      throw failure;
    };
    expect(weir.time("a_ms", { a: "1" }, () => 3)).toBe(3);
    expect(() => weir.time("b_ms", {}, fails)).toThrow(failure);
    expect(await weir.time("c_ms", {}, async () => 4)).toBe(4);
    const rejected = weir.time("d_seconds", {}, () => Promise.reject(failure));
    expect(await rejected.catch((error: unknown) => [error])).toEqual([failure]);
    const names = ((await events()) as { metric_name: string }[]).map(({ metric_name }) => metric_name);
    expect(names).toEqual(["a_ms", "b_ms", "c_ms", "d_seconds"]);
    await weir.close();
  });
});

describe("gauges", () => {
  function recorded(nowMs: readonly number[]): readonly number[] {
    const samples: RecordedSample[] = [];
    let turn = 0;
    const recorder = new Recorder({
      batchSamples: 1_000_000,
      batchBytes: Number.MAX_SAFE_INTEGER,
      counts: new ClientCounts(() => undefined),
      onFull: (batch) => void samples.push(...batch),
      now: () => nowMs[turn++]!,
    });
    for (const _ of nowMs) recorder.record("gauge", "level", 1, undefined);
    recorder.cut();
    return samples.map(({ atMs }) => atMs);
  }

  test("of one millisecond get times of their own", () => {
    const now = 1_704_067_200_000;
    expect(recorded([now, now, now, now + 1, now + 1])).toEqual([
      now,
      now + 0.001,
      now + 0.002,
      now + 1,
      now + 1.001,
    ]);
    // As the gateway rounds them, to microseconds.
    const many = recorded(Array.from({ length: 3_000 }, () => now)).map((ms) => Math.round(ms * 1_000));
    expect(new Set(many).size).toBe(3_000);
    expect(many.at(-1)).toBe((now + 2) * 1_000 + 999);
  });

  test("follow a clock that is set back", () => {
    const now = 1_704_067_200_000;
    expect(recorded([now, now - 500, now - 3_600_000])).toEqual([now, now + 0.001, now - 3_600_000]);
  });
});

test("options that cannot be used are reported, and createWeir does not throw", async () => {
  for (const options of [undefined, null, {}, { url: "nowhere" }, { url: "ftp://a" }, { url: {} }, "text"]) {
    const problems: string[] = [];
    const given = typeof options === "object" && options !== null ? options : undefined;
    const weir = createWeir(
      given === undefined
        ? (options as never)
        : ({
            ...given,
            signals: false,
            onProblem: ({ kind }: ClientProblem) => problems.push(kind),
          } as never),
    );
    weir.observe("m", 1);
    await weir.close();
    expect(weir.pushUrl).toBeUndefined();
    expect(weir.stats()).toMatchObject({ recorded: 1, stored: 0, lost: { refused: 1 } });
    if (given !== undefined) expect(problems).toContain("invalid_option");
  }
  const problems: ClientProblem[] = [];
  const weir = createWeir({
    url: "http://127.0.0.1:1/proxy/",
    batchSamples: -1,
    flushIntervalMs: "soon" as never,
    token: "a secret\n",
    spool: 5 as never,
    labels: { bad: {} as never },
    signals: false,
    onProblem: (problem) => problems.push(problem),
  });
  expect(weir.pushUrl).toBe("http://127.0.0.1:1/proxy/api/v1/push");
  expect(problems).toHaveLength(1);
  expect(JSON.stringify([problems, weir.stats().lastProblem])).not.toContain("secret");
  await weir.close();
});
