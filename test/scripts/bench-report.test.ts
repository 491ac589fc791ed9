/** The report of `scripts/bench all`: medians, ratios, and where another server is ahead. */
import { expect, test } from "bun:test";
import type { Case, Run } from "../../scripts/bench.d/all/measure.ts";
import { plotOf } from "../../scripts/bench.d/all/plot.ts";
import { asJson, asMarkdown, median, ratio } from "../../scripts/bench.d/all/report.ts";

const competitor = (name: string, absent?: string): Case["competitors"][number] => ({
  contender: { name, absent, start: () => Promise.reject(new Error("not started")) },
  note: `is ${name}`,
  work: () => Promise.reject(new Error("not run")),
});

const CASE: Case = {
  id: "events",
  title: "events, 1,000 per push",
  unit: "events",
  competitors: [competitor("weir"), competitor("other"), competitor("third", "not installed")],
};
const RESULTS: ReadonlyMap<string, readonly Run[]> = new Map([
  [
    "weir",
    [
      { perSecond: 100, cpuPerMillion: 2, residentMb: 300 },
      { perSecond: 400, cpuPerMillion: 4, residentMb: 300 },
      { perSecond: 200, cpuPerMillion: 3, residentMb: 300 },
    ],
  ],
  [
    "other",
    [
      { perSecond: 100, cpuPerMillion: 6, residentMb: 100 },
      { perSecond: 100, cpuPerMillion: 9, residentMb: 200 },
    ],
  ],
]);
const ABOUT = {
  ...{ date: "2026-01-02", commit: "abc", cores: 2, memoryGb: 8, loadBefore: 0.1, loadAfter: 1, rounds: 3 },
  versions: { other: "1.2" },
};

test("a median is the middle run, or between the two middle ones", () => {
  expect(median(RESULTS.get("weir")!, "perSecond")).toBe(200);
  expect(median(RESULTS.get("other")!, "cpuPerMillion")).toBe(7.5);
  expect(median(RESULTS.get("other")!, "p99Ms")).toBeUndefined();
});

test("a ratio above 1 means that the gateway is ahead, whether a figure should be large or small", () => {
  expect(ratio(RESULTS, "other", "perSecond")).toBe(2);
  expect(ratio(RESULTS, "other", "cpuPerMillion")).toBe(2.5);
  expect(ratio(RESULTS, "other", "residentMb")).toBe(0.5);
  expect(ratio(RESULTS, "third", "perSecond")).toBeUndefined();
});

test("the report has each median and ratio, and says where another server is ahead, or absent", () => {
  const lines = asMarkdown(ABOUT, [{ case: CASE, results: RESULTS }], ["a.svg"]).split("\n");
  expect(lines).toContain("|  | weir | other | ratio to other |");
  expect(lines).toContain("| events: per second | 200 | 100 | 2 |");
  expect(lines).toContain("| events: resident, MB | 300 | 150 | 0.5 |");
  expect(lines).toContain("- **other is ahead** in: resident, MB (2 times).");
  expect(lines).toContain("- third: not installed.");
  expect(lines).toContain("![a](a.svg)");
});

test("the JSON has every run", () => {
  const json = asJson(ABOUT, [{ case: CASE, results: RESULTS }]) as {
    cases: { servers: { name: string; runs: Run[]; medians: Run; ratios?: Run }[] }[];
  };
  const [own, other, third] = json.cases[0]!.servers;
  expect(own!.runs).toHaveLength(3);
  expect(own!.medians).toEqual({ perSecond: 200, cpuPerMillion: 3, residentMb: 300 });
  expect(other!.ratios).toEqual({ perSecond: 2, cpuPerMillion: 2.5, residentMb: 0.5 });
  expect(third!.runs).toEqual([]);
});

test("a plot has logarithmic axes from power to power of ten", () => {
  const svg = plotOf("a < b", "x", "y", [
    {
      name: "weir",
      points: [
        [10, 1],
        [100, 10],
        [1_000, 100],
      ],
    },
    { name: "none", points: [] },
  ]);
  // Three points on the diagonal of the area from 70,316 to 490,36.
  expect(svg).toContain('d="M70 316L280 176L490 36"');
  expect(svg).toContain("<title>a &#60; b</title>");
  expect(svg).toContain(">1 k</text>");
  expect(svg).not.toContain("none</text>");
});
