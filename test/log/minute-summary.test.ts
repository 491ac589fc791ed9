/** What is counted is logged once, with an example, and nothing else is. */
import { expect, test } from "bun:test";
import type { Log } from "../../src/log/log.ts";
import { MinuteSummary } from "../../src/log/minute-summary.ts";

function open() {
  const lines: unknown[] = [];
  const log: Log = (event, fields) => void lines.push([event, fields]);
  const summary = new MinuteSummary(log);
  return {
    summary,
    flushed: () => {
      summary.flush();
      return lines.splice(0);
    },
  };
}

test("a quiet minute has no line", () => {
  const { flushed } = open();
  expect(flushed()).toEqual([]);
});

test("slow queries are counted by route and outcome, with the slowest one", () => {
  const { summary, flushed } = open();
  const route = "/api/v1/query";
  summary.noteQuery({ route, outcome: "ok", ms: 5_000.4, text: "a" });
  summary.noteQuery({ route, outcome: "ok", ms: 9_000, text: "b" });
  summary.noteQuery({ route, outcome: "ok", ms: 7_000, text: "c" });
  summary.noteQuery({ route, outcome: "timeout", ms: 30_000, text: "x".repeat(400) });
  expect(flushed()).toEqual([
    ["slow_queries", { route, outcome: "ok", count: 3, slowestMs: 9_000, sample: "b" }],
    [
      "slow_queries",
      { route, outcome: "timeout", count: 1, slowestMs: 30_000, sample: `${"x".repeat(300)}…` },
    ],
  ]);
  expect(flushed()).toEqual([]);
});

test("rejections are counted by reason, with the first one", () => {
  const { summary, flushed } = open();
  for (const message of ["first", "second"])
    summary.noteRequest({ route: "/write", status: 400, reason: "bad_input", message });
  const samples = { protocol: "events", instance: "w1" };
  summary.noteSamples({
    ...samples,
    rejected: [
      { cause: "timestamp", reason: "too old" },
      { cause: "name", reason: "too long" },
      { cause: "timestamp", reason: "older" },
    ],
  });
  expect(flushed()).toEqual([
    ["requests_rejected", { route: "/write", status: 400, reason: "bad_input", count: 2, sample: "first" }],
    ["samples_rejected", { ...samples, cause: "timestamp", count: 2, sample: "too old" }],
    ["samples_rejected", { ...samples, cause: "name", count: 1, sample: "too long" }],
  ]);
});

test("a sender that invents reasons gets 20 lines, and one for the rest", () => {
  const { summary, flushed } = open();
  const rejected = Array.from({ length: 1_000 }, (_, index) => ({ cause: `c${index}`, reason: "r" }));
  summary.noteSamples({ protocol: "events", instance: "", rejected });
  const lines = flushed();
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toEqual(["samples_rejected", { cause: "other", count: 980 }]);
});
