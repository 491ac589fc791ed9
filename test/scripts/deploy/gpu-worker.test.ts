/**
 * A GPU worker's metrics (`tops_worker_*`), received in each way: the queries of its documentation, those of the
 * dashboard, and the alerts, with their values over half an hour.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type GpuWorkerState,
  gpuWorker,
  type History,
  historyOf,
  NOW_MS,
  SCRAPED,
  SCRAPED_HERE,
  START_MS,
  STEP,
  STEPS,
  WAYS,
  type Way,
} from "./exporters.ts";
import { alertingRules, byLabels, close, firing, panelQueries, variableQueries } from "./shipped.ts";

// Each history is a hundred pushes, and each of these a commit.
/** Every query of the documentation, word for word, with its value at the end. */
const DOCUMENTED: readonly (readonly [query: string, value: number])[] = [
  // 390 of 400 attempts succeed.
  ["tops_worker_success_rate / 100", 0.975],
  // 390 in 15 s.
  ["rate(tops_worker_successful_attempts_total[1m])", 26],
  // 4 and 3 in 15 s.
  ["rate(tops_worker_gpu_errors_total[5m]) + rate(tops_worker_network_errors_total[5m])", 7 / 15],
  // The 200th of 400 is the 40th of the 80 between 50 and 100 ms.
  ["histogram_quantile(0.5, tops_worker_attempt_duration_ms_bucket)", 75],
  // The 380th is the 10th of the 20 between 500 and 1,000 ms.
  ["histogram_quantile(0.95, tops_worker_attempt_duration_ms_bucket)", 750],
  // Half an hour.
  ["tops_worker_uptime_seconds / 3600", 0.5],
  [
    "rate(tops_worker_successful_attempts_total[5m]) / rate(tops_worker_total_attempts_total[5m]) * 100",
    97.5,
  ],
  ["(rate(tops_worker_failed_attempts_total[5m]) / rate(tops_worker_total_attempts_total[5m])) * 100", 2.5],
  // 20 samples go 0, 1, 2, 3 five times. increase() takes each of the 4 drops for a reset and adds the 3 before it:
  // 3 - 0 + 4 × 3. The first sample is 0, so that nothing is extrapolated.
  ["increase(tops_worker_consecutive_failures[5m])", 15],
];

type Values = Record<string, number>;

/** Bounds as they are stored: in groups as OpenMetrics writes them, by remote_write as the worker exposes them. */
const spelled = (way: Way, values: Values): Values =>
  way === SCRAPED
    ? values
    : Object.fromEntries(
        Object.entries(values).map(([bound, value]) => [bound.replace(/\d$/, "$&.0"), value]),
      );

/** What each query of each panel of the dashboard answers, by the labels beside job and instance. */
const panelsOf = (way: Way): readonly (readonly [panel: string, legend: string, values: Values])[] => [
  ["Success rate", "{{instance}}", { "": 0.975 }],
  // 400 at each of 120 steps.
  ["Attempts", "all", { "": 48_000 }],
  ["Uptime", "{{instance}}", { "": 1800 }],
  ["Throughput", "all", { "": 26 }],
  // 80,000 ms for 400 attempts.
  ["Attempt duration", "average", { "": 200 }],
  ["Attempt duration", "median", { "": 75 }],
  ["Attempt duration", "95th percentile", { "": 750 }],
  // Four steps a minute.
  [
    "Attempt duration, all of it",
    "{{le}}",
    spelled(way, {
      ...{ "le=10": 0, "le=25": 160, "le=50": 640, "le=100": 960, "le=200": 1280 },
      ...{ "le=500": 1480, "le=1000": 1560, "le=2000": 1600, "le=+Inf": 1600 },
    }),
  ],
  // 18,000 ms for 600 requests; the 300th is the 60th of the 120 between 10 and 25 ms, the 570th the 30th of the 60
  // between 100 and 250.
  ["Network latency", "average", { "": 30 }],
  ["Network latency", "median", { "": 17.5 }],
  ["Network latency", "95th percentile", { "": 175 }],
  ["Throughput, by worker", "{{instance}} attempts", { "": 400 / 15 }],
  ["Throughput, by worker", "{{instance}} successful", { "": 26 }],
  ["Errors by type", "gpu", { "": 4 / 15 }],
  ["Errors by type", "network", { "": 3 / 15 }],
  ["Errors by type", "signature", { "": 2 / 15 }],
  ["Errors by type", "validation", { "": 1 / 15 }],
  ["Consecutive failures", "{{instance}}", { "": 3 }],
  ["Failed attempts", "{{instance}}", { "": 0.025 }],
  ["Worker status", "{{instance}}", { "": 1 }],
  ["Last successful attempt", "{{instance}}", { "": 0 }],
  ["Circuit breaker", "{{instance}}", { "": 0 }],
];

describe.each(WAYS)("a GPU worker's metrics, %s", (way) => {
  let history: History;
  beforeAll(async () => {
    history = await historyOf([gpuWorker()], way);
  });
  afterAll(() => history?.close());

  test.each(DOCUMENTED)("answer %s", async (query, value) => {
    const samples = await history.query(query);
    expect(samples).toEqual([
      { labels: { instance: "gpu-1", job: "tops-worker" }, value: expect.closeTo(value, 9) },
    ]);
  });

  test("answer histogram_quantile(0.95, …) > 1000 if it is above, and return nothing if it is not", async () => {
    const query = "histogram_quantile(0.95, tops_worker_attempt_duration_ms_bucket) > 1000";
    expect(await history.query(query)).toEqual([]);
    const slow = await historyOf([gpuWorker({ slow: true })], way);
    try {
      // The 380th of 400 is the 20th of the 40 between 1,000 and 2,000 ms.
      expect(await slow.query(query)).toEqual([
        { labels: { instance: "gpu-1", job: "tops-worker" }, value: expect.closeTo(1500, 9) },
      ]);
    } finally {
      await slow.close();
    }
  });

  test("answer the same over a range", async () => {
    const [series] = await history.range("tops_worker_uptime_seconds");
    expect([...series.values]).toEqual(
      Array.from({ length: (NOW_MS - START_MS) / 1000 / STEP }, (_, index) => [
        index + 1,
        (index + 1) * STEP,
      ]),
    );
  });

  test("answer every query of the dashboard", async () => {
    const answers: [string, string, Record<string, number>][] = [];
    for (const { panel, expression, legend } of panelQueries("gpu-workers")) {
      answers.push([panel, legend, byLabels(await history.query(expression))]);
    }
    const rounded = panelsOf(way).map(([panel, legend, values]) => [panel, legend, close(values)]);
    expect(answers).toEqual(rounded as typeof answers);
  });

  test("have the labels that the dashboard's legends and variables use", async () => {
    for (const { panel, expression, legend } of panelQueries("gpu-workers")) {
      const samples = await history.query(expression);
      for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) {
        expect(samples.filter(({ labels }) => !labels[label]).map(() => panel)).toEqual([]);
      }
    }
    const values: string[] = [];
    for (const { selector, label } of variableQueries("gpu-workers")) {
      values.push(...(await history.query(selector)).map(({ labels }) => labels[label]));
    }
    expect(values).toEqual(["tops-worker", "gpu-1"]);
  });
});

/** Rules as the workers' documentation has them: the names, expressions, times and severities, to the letter. */
const DOCUMENTED_RULES = [
  [
    "HighErrorRate",
    "(rate(tops_worker_failed_attempts_total[5m]) / rate(tops_worker_total_attempts_total[5m])) * 100 > 5",
    "2m",
    "warning",
  ],
  ["WorkerDown", "tops_worker_uptime_seconds == 0", "1m", "critical"],
  [
    "HighResponseTime",
    "histogram_quantile(0.95, tops_worker_attempt_duration_ms_bucket) > 1000",
    "5m",
    "warning",
  ],
  ["ConsecutiveFailures", "tops_worker_consecutive_failures > 10", "1m", "critical"],
];

describe("the alerting rules of GPU workers", () => {
  const rules = alertingRules("gpu-worker");

  test("begin with the documented ones, unchanged", () => {
    expect(
      rules.slice(0, 4).map(({ alert, expr, for: time, labels }) => [alert, expr, time, labels.severity]),
    ).toEqual(DOCUMENTED_RULES);
    expect(rules.slice(4).map(({ alert }) => alert)).toEqual(["WorkerAbsent", "NoWorkers"]);
  });

  /** What fires at some steps, the last if none is given, over a worker in some state. */
  async function alertsOf(way: Way, state: GpuWorkerState, ...steps: number[]): Promise<string[][]> {
    const history = await historyOf([gpuWorker(state)], way);
    try {
      return await firing(history, rules, steps.length > 0 ? steps : [STEPS]);
    } finally {
      await history.close();
    }
  }

  describe.each(["pushed", SCRAPED, SCRAPED_HERE] as const)("over what was %s", (way) => {
    test("do not fire without a failure", async () => {
      expect(await alertsOf(way, {})).toEqual([[]]);
    });

    test("do not fire at their thresholds", async () => {
      expect(await alertsOf(way, { failed: 20, consecutiveFailures: () => 10 })).toEqual([[]]);
    });

    test("HighErrorRate fires if more than 5% of the attempts fail, after 2 minutes", async () => {
      // Two samples make a rate, at step 2.
      expect(await alertsOf(way, { failed: 21 }, 9, 10, STEPS)).toEqual([
        [],
        ["HighErrorRate gpu-1"],
        ["HighErrorRate gpu-1"],
      ]);
    });

    test("WorkerDown fires if the worker reports an uptime of 0 seconds", async () => {
      // An uptime that stands is one of a worker that does nothing.
      expect(await alertsOf(way, { uptime: () => 0 })).toEqual([["WorkerDown gpu-1", "WorkerAbsent gpu-1"]]);
    });

    test("HighResponseTime fires if one attempt of 20 takes more than a second, after 5 minutes", async () => {
      expect(await alertsOf(way, { slow: true }, 20, 21, STEPS)).toEqual([
        [],
        ["HighResponseTime gpu-1"],
        ["HighResponseTime gpu-1"],
      ]);
    });

    test("ConsecutiveFailures fires above 10, after a minute", async () => {
      const state = { consecutiveFailures: (step: number) => Math.max(0, step - 100) };
      expect(await alertsOf(way, state, 114, 115)).toEqual([[], ["ConsecutiveFailures gpu-1"]]);
    });

    test("WorkerAbsent fires for a dead worker, which WorkerDown does not detect", async () => {
      // The last report is of step 60, and so the last growth in 5 minutes is seen before step 79.
      expect(await alertsOf(way, { lastStep: 60 }, 78, 90, STEPS)).toEqual([
        [],
        ["WorkerAbsent gpu-1"],
        // What was pushed is exposed on: the metric is there, though no worker is.
        way === "pushed" ? ["WorkerAbsent gpu-1"] : ["WorkerAbsent gpu-1", "NoWorkers"],
      ]);
    });

    test("NoWorkers fires if there was never a worker", async () => {
      expect(await alertsOf(way, { lastStep: 0 })).toEqual([["NoWorkers"]]);
    });
  });

  test("the dashboard shows a dead worker as down, and when it last succeeded", async () => {
    for (const way of WAYS) {
      const history = await historyOf([gpuWorker({ lastStep: 60 })], way);
      const value = async (title: string) => {
        const query = panelQueries("gpu-workers").find(({ panel }) => panel === title)!;
        return byLabels(await history.query(query.expression));
      };
      expect(await value("Worker status")).toEqual({ "": 0 });
      // The last report was 60 steps ago.
      expect(await value("Last successful attempt")).toEqual({ "": 900 });
      await history.close();
    }
  });
});
