/** The address of the view of queries, and the answers that it draws. */
import { describe, expect, test } from "bun:test";
import {
  eventMetric,
  heatCells,
  inOrderOfBounds,
  linesOf,
  type PromSeries,
  shortNames,
  timesOf,
} from "../../../../src/ui/api/promql-answer.ts";
import { addressOfState, readState, stepOf } from "../../../../src/ui/views/query/query-address.ts";

const read = (query: string) => readState(new URLSearchParams(query));

describe("an address", () => {
  test("carries queries of both languages in their order, and all that the view shows", () => {
    const state = read(
      "expr=a&sql=SELECT+1&expr=b&tab=tree&range=2d&step=1m&zone=utc&refresh=5s&stacked=true",
    );
    expect(state).toEqual({
      queries: [
        { language: "promql", text: "a" },
        { language: "sql", text: "SELECT 1" },
        { language: "promql", text: "b" },
      ],
      tab: "tree",
      range: { lastMs: 172_800_000 },
      stepMs: 60_000,
      zone: "utc",
      refreshMs: 5_000,
      isStacked: true,
    });
    expect(read(addressOfState(state).slice("/query?".length))).toEqual(state);
  });

  test("of a new view is short, and what it cannot mean is as usual", () => {
    expect(addressOfState(read(""))).toBe("/query?expr=");
    expect(addressOfState(read("expr=up&tab=x&range=y&zone=z"))).toBe("/query?expr=up");
  });
});

test("the step is a round number that gives at most 250 points", () => {
  const step = (spanMs: number) => stepOf({ stepMs: undefined }, spanMs);
  expect([300_000, 3_600_000, 86_400_000, 30 * 86_400_000].map(step)).toEqual([2, 15, 600, 21_600]);
  expect(stepOf({ stepMs: 7_000 }, 3_600_000)).toBe(7);
});

describe("answers", () => {
  const series = (metric: Record<string, string>, ...values: [number, string][]) => ({ metric, values });

  test("have names without the labels that all series share", () => {
    const two = [series({ __name__: "m", job: "a", op: "x" }), series({ __name__: "m", job: "a", op: "y" })];
    expect(shortNames(two)).toEqual(['{op="x"}', '{op="y"}']);
    expect(shortNames([two[0]!])).toEqual(['m{job="a", op="x"}']);
    expect(shortNames([series({})])).toEqual(["value"]);
  });

  test("have gaps where a series has no value, or none that can be drawn", () => {
    const times = timesOf(60, 180, 60);
    expect(times).toEqual([60, 120, 180]);
    expect(linesOf([series({ a: "b" }, [60, "1.5"], [180, "NaN"])], times, 60)).toEqual([
      { name: '{a="b"}', values: [1.5, null, null] },
    ]);
  });

  test("of buckets are a heat map of what each bucket has alone", () => {
    const times = [0, 60];
    const cells = heatCells(
      [
        series({ le: "+Inf" }, [0, "5"], [60, "9"]),
        series({ le: "1" }, [0, "2"], [60, "2"]),
        series({ le: "10" }, [0, "5"], [60, "4"]),
      ],
      times,
      60,
    );
    expect(cells).toEqual({
      bounds: [1, 10, Number.POSITIVE_INFINITY],
      cells: [
        [2, 2],
        [3, 2],
        [0, 5],
      ],
      most: 5,
    });
    expect(heatCells([series({ le: "1" }), series({ op: "a" })], times, 60)).toBeUndefined();
  });

  test("of buckets are in the order of their bounds, not of their texts", () => {
    const les = (some: readonly PromSeries[]) => some.map(({ metric: { le, op } }) => `${op} ${le}`);
    const buckets = ["a 1", "a 10", "a 2.5", "a +Inf", "b 10", "b 2"].map((text) => {
      const [op = "", le = ""] = text.split(" ");
      return series({ op, le });
    });
    expect(les(inOrderOfBounds(buckets))).toEqual(["a 1", "a 2.5", "a 10", "a +Inf", "b 2", "b 10"]);
    const mixed = [series({ op: "z" }), series({ op: "a", le: "1" })];
    expect(inOrderOfBounds(mixed)).toEqual(mixed);
  });

  test("belong to the events of a metric", () => {
    expect(eventMetric("sum by (le) (rate(http_request_duration_ms_bucket[5m]))")).toBe(
      "http_request_duration_ms",
    );
    expect(eventMetric("rate(tasks_done_total[1m])")).toBe("tasks_done");
    expect(eventMetric("up")).toBeUndefined();
  });
});
