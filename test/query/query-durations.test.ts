/** The slowest queries of the last hour: counted by text, forgotten after an hour, bounded in number. */
import { describe, expect, test } from "bun:test";
import { QueryDurations, TEXTS_MAX } from "../../src/query/query-durations.ts";

const MINUTE_MS = 60_000;
const BEGIN_MS = Date.UTC(2026, 0, 1);

const clock = () => {
  const time = { ms: BEGIN_MS };
  return { time, durations: new QueryDurations(() => time.ms) };
};
const asked = (text: string, askedMs = BEGIN_MS, more: object = {}) => ({
  ...{ language: "PromQL" as const, text, askedMs, caller: undefined },
  ...more,
});

describe("durations of queries", () => {
  test("are counted by text, with the slowest and its time", () => {
    const { time, durations } = clock();
    durations.note(asked("up"), 10);
    time.ms += 5 * MINUTE_MS;
    durations.note(asked("up", time.ms), 30);
    durations.note(asked("up", time.ms + 1), 20);
    durations.note(asked("fast"), 0.5);
    expect(durations.list()).toEqual([
      {
        ...{ language: "PromQL", text: "up", isOfRule: undefined, caller: undefined, rangeMs: 0 },
        ...{ count: 3, sumMs: 60, slowestMs: 30 },
        ...{ slowestAtMs: BEGIN_MS + 5 * MINUTE_MS, lastAtMs: BEGIN_MS + 5 * MINUTE_MS + 1 },
      },
    ]);
  });

  test("are those of the last hour, or of a shorter time", () => {
    const { time, durations } = clock();
    durations.note(asked("up"), 100);
    time.ms += 59 * MINUTE_MS;
    durations.note(asked("up", time.ms), 10);
    expect(durations.list()[0]).toMatchObject({ count: 2, slowestMs: 100 });
    expect(durations.list(10 * MINUTE_MS)[0]).toMatchObject({ count: 1, slowestMs: 10 });
    time.ms += MINUTE_MS;
    expect(durations.list()[0]).toMatchObject({ count: 1, slowestMs: 10 });
    time.ms += 60 * MINUTE_MS;
    expect(durations.list()).toEqual([]);
  });

  test("differ by language, caller and range", () => {
    const { durations } = clock();
    const range = { startMs: 0, endMs: 3_600_000, stepMs: 1 };
    durations.note(asked("up"), 5);
    durations.note(asked("up", BEGIN_MS, { language: "SQL" }), 5);
    durations.note(asked("up", BEGIN_MS, { range }), 5);
    durations.note(asked("up", BEGIN_MS, { caller: { id: "1", name: "a", isAdmin: false } }), 5);
    durations.note(asked("up", BEGIN_MS, { isOfRule: true }), 5);
    expect(durations.list().map(({ rangeMs }) => rangeMs)).toEqual([0, 0, 3_600_000, 0, 0]);
  });

  test("of many texts keep the slowest ones, and forget those that are too old first", () => {
    const { time, durations } = clock();
    for (let n = 0; n < TEXTS_MAX; n++) durations.note(asked(`q${n}`), 10 + n);
    durations.note(asked("faster"), 9);
    durations.note(asked("as fast"), 10);
    expect(durations.list()).toHaveLength(TEXTS_MAX);
    expect(durations.list().some(({ text }) => text.includes("fast"))).toBe(false);
    durations.note(asked("slower"), 1_000);
    const texts = durations.list().map(({ text }) => text);
    expect([texts.length, texts.includes("slower"), texts.includes("q0"), texts.includes("q1")]).toEqual([
      TEXTS_MAX,
      true,
      false,
      true,
    ]);
    time.ms += 61 * MINUTE_MS;
    durations.note(asked("later", time.ms), 2);
    expect(durations.list().map(({ text }) => text)).toEqual(["later"]);
  });
});
