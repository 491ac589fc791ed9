/** The report of `scripts/bench all`: medians, ratios, where another server is ahead, and what README says of it. */
import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, type Run } from "../../scripts/bench.d/all/figures.ts";
import { headlineIn, headlineOf, putHeadline } from "../../scripts/bench.d/all/headline.ts";
import { openKeptRuns } from "../../scripts/bench.d/all/kept-runs.ts";
import { type Case, type Competitor, measure } from "../../scripts/bench.d/all/measure.ts";
import { plotOf } from "../../scripts/bench.d/all/plot.ts";
import { plotsOf } from "../../scripts/bench.d/all/plots.ts";
import { type Report, reportOf } from "../../scripts/bench.d/all/report.ts";
import { asMarkdown } from "../../scripts/bench.d/all/report-markdown.ts";
import type { Timing } from "../../scripts/bench.d/promql-questions.ts";
import { promqlTable } from "../../scripts/bench.d/promql-table.ts";

const ROOT = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "weir-bench-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const competitor = (name: string, absent?: string): Competitor => ({
  contender: { name, absent, start: () => Promise.reject(new Error("it does not start")) },
  note: `is ${name}`,
  work: () => Promise.reject(new Error("not run")),
});

const CASE: Case = {
  id: "events",
  title: "events, 1,000 per push",
  unit: "event",
  open: () => [competitor("weir"), competitor("influxd"), competitor("third", "not installed")],
};
const OWN_RUNS: readonly Run[] = [
  { perSecond: 100, cpuPerMillion: 2, residentMb: 300, othersCores: 0.1 },
  { perSecond: 400, cpuPerMillion: 4, residentMb: 300, othersCores: 0.4 },
  { perSecond: 200, cpuPerMillion: 3, residentMb: 300, othersCores: 0.3 },
];
const OTHER_RUNS: readonly Run[] = [
  { perSecond: 100, cpuPerMillion: 6, residentMb: 100, othersCores: 0 },
  { perSecond: 100, cpuPerMillion: 9, residentMb: 200, othersCores: 0.5 },
];
const EVENTS = reportOf(
  CASE,
  CASE.open(),
  new Map([
    ["weir", { runs: OWN_RUNS, failures: [] }],
    ["influxd", { runs: OTHER_RUNS, failures: ["round 3: it ended\nwith 1"] }],
  ]),
);
const ABOUT: Report["about"] = {
  ...{ date: "2026-01-02", commit: "abc", cores: 2, memoryGb: 8, loadBefore: 0.1, rounds: 3, curveRounds: 1 },
  versions: { influxd: "1.2" },
};
const REPORT: Report = { about: ABOUT, cases: [EVENTS] };

/** A point of a curve. */
function storedAt(value: number, own: number, other: number): Report["cases"][number] {
  const each: Case = { ...CASE, id: "stored", size: { of: "samples stored", value }, unit: "sample" };
  const runs = (rateMs: number) => ({ runs: [{ rateMs }], failures: [] });
  return reportOf(
    each,
    [competitor("weir"), competitor("prometheus")],
    new Map([
      ["weir", runs(own)],
      ["prometheus", runs(other)],
    ]),
  );
}

test("a median is the middle run, or between the two middle ones", () => {
  expect(median(OWN_RUNS, "perSecond")).toBe(200);
  expect(median(OTHER_RUNS, "cpuPerMillion")).toBe(7.5);
  expect(median(OTHER_RUNS, "p99Ms")).toBeUndefined();
});

describe("the report", () => {
  test("has a ratio above 1 where the gateway is ahead, whether a figure should be large or small", () => {
    const [own, other, third] = EVENTS.servers;
    expect(own!.runs).toHaveLength(3);
    expect(own!.medians).toEqual({ perSecond: 200, cpuPerMillion: 3, residentMb: 300 });
    expect(own!.ratios).toBeUndefined();
    expect(other!.ratios).toEqual({ perSecond: 2, cpuPerMillion: 2.5, residentMb: 0.5 });
    expect(third).toMatchObject({ absent: "not installed", runs: [], ratios: {} });
  });

  test("says where another server is ahead, which run failed, which server is absent, and what ran beside it", () => {
    const lines = asMarkdown(REPORT).split("\n");
    expect(lines).toContain("|  | Weir | InfluxDB | ratio to InfluxDB |");
    expect(lines).toContain("| events per second | 200 | 100 | 2 |");
    expect(lines).toContain("| resident memory, MB | 300 | 150 | 0.5 |");
    expect(lines).toContain("- **InfluxDB is ahead** in: resident memory, MB (2 times).");
    expect(lines).toContain("- InfluxDB failed in round 3: it ended with 1.");
    expect(lines).toContain("- third was not measured: not installed.");
    // Of 0, 0.1, 0.3, 0.4 and 0.5.
    expect(lines.join("\n")).toContain(
      "other programs used 0.30 cores in the median run, and 0.50 in the worst",
    );
  });

  test("has a table and a plot for each figure of a curve", () => {
    const report = { about: ABOUT, cases: [storedAt(1e6, 20, 5), storedAt(1e7, 40, 50)] };
    const text = asMarkdown(report);
    expect(text).toContain("| 1,000,000 | 20 | 5 |\n| 10,000,000 | 40 | 50 |");
    expect(text).toContain("At 1,000,000:\n\n- **Prometheus is ahead** in: rate over an hour, ms (4 times).");
    expect(text).not.toContain("At 10,000,000:");
    const [plot] = plotsOf(report.cases);
    expect(plot!.name).toBe("samples-stored-rateMs.svg");
    expect(text).toContain("![rate over an hour, ms, by samples stored](samples-stored-rateMs.svg)");
    expect(plot!.svg).toContain("less is better");
  });

  test("has an earlier commit of the gateway as a server of its own, with ratios, and the headline does not", () => {
    const each = {
      ...CASE,
      open: () => [competitor("weir"), competitor("weir 1234abcd"), competitor("influxd")],
    };
    const before = reportOf(
      each,
      each.open(),
      new Map([
        ["weir", { runs: OWN_RUNS, failures: [] }],
        ["weir 1234abcd", { runs: [{ perSecond: 50, cpuPerMillion: 6, residentMb: 270 }], failures: [] }],
        ["influxd", { runs: OTHER_RUNS, failures: [] }],
      ]),
    );
    const report = { about: { ...ABOUT, before: "1234abcd" }, cases: [before] };
    const lines = asMarkdown(report).split("\n");
    expect(lines).toContain(
      "|  | Weir | Weir, 1234abcd | InfluxDB | ratio to Weir, 1234abcd | ratio to InfluxDB |",
    );
    expect(lines).toContain("| events per second | 200 | 50 | 100 | 4 | 2 |");
    expect(lines).toContain("- **Weir, 1234abcd is ahead** in: resident memory, MB (1.11 times).");
    expect(lines).toContain(
      "`Weir, 1234abcd` is an earlier commit of the same gateway, measured in the same rounds.",
    );
    expect(headlineOf(report, "r")).toContain("| 200 | InfluxDB 100 (2) |");
    expect(headlineOf(report, "r")).not.toContain("1234abcd");
  });

  test("is the same when it is read from its JSON", () => {
    const report = { about: ABOUT, cases: [EVENTS, storedAt(1e6, 20, 5)] };
    expect(asMarkdown(JSON.parse(JSON.stringify(report)))).toBe(asMarkdown(report));
  });
});

describe("a plot", () => {
  const labels = { title: "a < b", note: "note", xName: "x" };

  test("has a tick per power of ten if values span many", () => {
    const svg = plotOf(labels, [
      {
        name: "weir",
        points: [
          [10, 1],
          [1_000, 100],
          [100_000, 10_000],
        ],
      },
      { name: "none", points: [] },
    ]);
    // Three points on the diagonal of the area from 60,312 to 490,52.
    expect(svg).toContain('d="M60 312L275 182L490 52"');
    expect(svg).toContain("<title>a &#60; b</title>");
    for (const tick of ["10", "100", "1 k", "10 k", "100 k"]) expect(svg).toContain(`>${tick}</text>`);
    expect(svg).not.toContain("none</text>");
  });

  test("has ticks at 1, 2 and 5 if values are close", () => {
    const svg = plotOf(labels, [
      {
        name: "weir",
        points: [
          [1_000, 30],
          [4_000, 70],
        ],
      },
    ]);
    const ticks = [...svg.matchAll(/>([\d.]+(?: k)?)<\/text>/g)].map(([, tick]) => tick);
    expect(ticks).toEqual(["1 k", "2 k", "5 k", "20", "50", "100"]);
  });
});

describe("runs that are kept", () => {
  const path = join(folder, "runs.jsonl");

  test("are known again with --resume, except for a line that is incomplete", () => {
    const first = openKeptRuns(path, "commit a", false);
    first.put("events: 1", "weir", 0, { perSecond: 1 });
    first.put("events: 1", "weir", 1, { perSecond: 2 });
    appendFileSync(path, '{"case":"events: 1","server":"weir","round":2,"run":{"perS');
    const second = openKeptRuns(path, "commit a", true);
    expect(second.get("events: 1", "weir", 1)).toEqual({ perSecond: 2 });
    expect(second.get("events: 1", "weir", 2)).toBeUndefined();
    second.put("events: 1", "weir", 2, { perSecond: 3 });
    const third = openKeptRuns(path, "commit a", true);
    expect([0, 1, 2].map((round) => third.get("events: 1", "weir", round)?.perSecond)).toEqual([1, 2, 3]);
    expect(third.get("events: 2", "weir", 0)).toBeUndefined();
  });

  test("of another commit are not mixed with new ones", () => {
    expect(() => openKeptRuns(path, "commit b", true)).toThrow("of commit a, not of commit b");
    openKeptRuns(path, "commit b", false);
    expect(readFileSync(path, "utf8")).toBe('{"about":"commit b"}\n');
  });

  test("are not measured again, and a server that does not start does not end the others' rounds", async () => {
    const said: string[] = [];
    const results = await measure(CASE.open(), {
      ...{ rounds: 2, folder, runLimitMs: 10_000, signal: new AbortController().signal },
      say: (line) => said.push(line),
      earlier: (server, round) => (server === "weir" && round === 0 ? OWN_RUNS[0] : undefined),
      keep: () => expect.unreachable(),
    });
    expect(results.get("weir")).toEqual({ runs: [OWN_RUNS[0]!], failures: ["round 2: it does not start"] });
    expect(results.get("influxd")!.failures).toHaveLength(2);
    expect(results.has("third")).toBe(false);
    expect(said).toHaveLength(4);
  });
});

describe("the headline", () => {
  test("has the medians of one report, with ratios", () => {
    const groups = {
      ...EVENTS,
      id: "groups",
      title: "10,000 groups of 6 metrics, one push each, 16 at once",
    };
    const text = headlineOf(
      { about: ABOUT, cases: [EVENTS, groups, storedAt(1e6, 9, 5), storedAt(1e7, 40, 50)] },
      "r",
    );
    expect(text).toContain(
      "| events with a `task_id`, 1,000 per push: per second | 200 | InfluxDB 100 (2) |\n" +
        "| … CPU-seconds per million | 3 | InfluxDB 7.5 (2.5) |\n",
    );
    expect(text).toContain(
      "| 10,000 groups of 6 metrics: resident memory, MB | 300 | InfluxDB 150 (0.5) |\n",
    );
    expect(text).toContain("With 10,000,000 stored samples");
    expect(text).toContain("takes 40 ms in Weir and 50 ms in Prometheus.");
    expect(text).toContain("Medians of 3 rounds");
  });

  test("replaces the one before, and nothing else", () => {
    const path = join(folder, "README.md");
    writeFileSync(path, "# A\n\n<!-- benchmark -->\n<!-- /benchmark -->\n\nB\n");
    expect(headlineIn(readFileSync(path, "utf8"))).toBe("");
    putHeadline(path, "first");
    putHeadline(path, "second");
    expect(readFileSync(path, "utf8")).toBe("# A\n\n<!-- benchmark -->\nsecond\n<!-- /benchmark -->\n\nB\n");
  });

  test("README's is that of the report which is checked in, and so are its document and its plots", () => {
    const results = join(ROOT, "scripts/bench.d/results");
    const stands = headlineIn(readFileSync(join(ROOT, "README.md"), "utf8"));
    if (!existsSync(join(results, "results.json"))) {
      // No figures without the report that they are from.
      expect(stands).toBe("");
      return;
    }
    const report = JSON.parse(readFileSync(join(results, "results.json"), "utf8")) as Report;
    expect(stands).toBe(headlineOf(report, "scripts/bench.d/results"));
    expect(readFileSync(join(results, "results.md"), "utf8")).toBe(asMarkdown(report));
    for (const { name, svg } of plotsOf(report.cases))
      expect(readFileSync(join(results, name), "utf8")).toBe(svg);
    // At least five rounds of each comparison, none of them failed.
    for (const { size, servers } of report.cases.filter((each) => each.size === undefined))
      for (const { absent, runs, failures } of servers)
        expect({ size, absent, runs: runs.length >= 5, failures }).toEqual({
          ...{ size, absent: undefined, runs: true, failures: [] },
        });
  });
});

test("the table of PromQL has each server's times, and this gateway's as multiples of the others'", () => {
  const timing = (medianMs: number): Timing => ({
    ...{ medianMs, cpuMs: 2 * medianMs, firstMs: 10 * medianMs },
    ...{ firstCpuMs: 0, maxMs: 0, mainThreadMs: 0, data: undefined },
  });
  const text = promqlTable(
    new Map([
      [
        "weir",
        new Map([
          ["rate", timing(5)],
          ["p95", timing(40)],
        ]),
      ],
      [
        "weir 1234abcd",
        new Map([
          ["rate", timing(20)],
          ["p95", timing(50)],
        ]),
      ],
      ["prometheus", new Map([["rate", timing(10)]])],
    ]),
  );
  const [head, , ...rows] = text.trim().split("\n");
  expect(head).toEndWith(
    "| Weir | Weir, 1234abcd | Prometheus | Weir's time × Weir, 1234abcd's | Weir's time × Prometheus's |",
  );
  expect(rows).toEqual([
    "| `rate` | 5 ms, 10 CPU-ms (50 ms) | 20 ms, 40 CPU-ms (200 ms) | 10 ms, 20 CPU-ms (100 ms) | 0.25 | 0.50 |",
    "| `p95` | 40 ms, 80 CPU-ms (400 ms) | 50 ms, 100 CPU-ms (500 ms) |  | 0.80 |  |",
  ]);
});
