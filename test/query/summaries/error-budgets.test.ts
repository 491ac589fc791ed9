/** The summary `service_levels`, with counts whose budgets are worked out by hand. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Sample } from "../stored.ts";
import { openSummaries } from "./stored-summaries.ts";

const NOW = Date.parse("2024-02-01T00:00:00Z");
const HOUR_MS = 3_600_000;

const recorded = (metric: string, slo: string, hoursAgo: number, value: number): Sample => ({
  metric,
  kind: "gauge",
  ts: NOW - hoursAgo * HOUR_MS,
  value,
  tags: { slo },
});
const level = (slo: string, objective: number, days: number) => [
  // It was stricter before.
  recorded("slo:objective:ratio", slo, 100, 0.9999),
  recorded("slo:objective:ratio", slo, 0.02, objective),
  recorded("slo:window:seconds", slo, 0.02, days * 86_400),
];
const counted = (slo: string, hoursAgo: number, total: number, good: number) => [
  recorded("slo:total:increase5m", slo, hoursAgo, total),
  recorded("slo:good:increase5m", slo, hoursAgo, good),
];

const SAMPLES: Sample[] = [
  ...level("tasks", 0.99, 30),
  // 1,000 events with 4 errors, 1 of them among the 200 of the last hour. A tenth of a percent is 1.
  ...counted("tasks", 50, 800, 797),
  ...counted("tasks", 0.5, 200, 199),
  // Before the range.
  ...counted("tasks", 31 * 24 - 1, 1_000, 0),
  ...level("uploads", 0.9, 7),
  // Nothing was good: ten times the budget.
  recorded("slo:total:increase5m", "uploads", 0.5, 10),
  ...level("quiet", 0.999, 30),
  recorded("slo:total:increase5m", "quiet", 0.5, 0),
];

let summaries: Awaited<ReturnType<typeof openSummaries>>;
beforeAll(async () => {
  summaries = await openSummaries(SAMPLES, NOW);
});
afterAll(() => summaries.close());

const levels = (parameters?: Record<string, string>) => summaries.run("service_levels", parameters);

test("the worst level comes first, with the part of its budget that is left", async () => {
  expect(await levels()).toEqual([
    {
      slo: "uploads",
      objective_percent: 90,
      window_days: 7,
      events: 10,
      good_percent: 0,
      budget_left_percent: -900,
      burn_rate: 10,
      days_left: 0,
    },
    {
      slo: "tasks",
      objective_percent: 99,
      window_days: 30,
      events: 1_000,
      good_percent: 99.6,
      // 4 of the 10 errors that are allowed.
      budget_left_percent: 60,
      // 0.5 % in the last hour, where 1 % would use the budget in just 30 days.
      burn_rate: 0.5,
      // 60 % of 30 days at half of the rate.
      days_left: 36,
    },
    {
      slo: "quiet",
      objective_percent: 99.9,
      window_days: 30,
      events: 0,
      good_percent: null,
      // Nothing used it.
      budget_left_percent: 100,
      burn_rate: 0,
      days_left: null,
    },
  ]);
});

test("a month has a report of its own", async () => {
  const rows = await levels({ from: "2024-01-30T00:00:00Z", to: "2024-01-31T00:00:00Z" });
  expect(rows).toEqual([]);
  const month = await levels({ from: "2024-01-01T00:00:00Z", to: "2024-02-01T00:00:00Z" });
  expect(month.map(({ slo, events }) => [slo, events])).toEqual([
    ["tasks", 2_000],
    ["uploads", 10],
    ["quiet", 0],
  ]);
});
