/**
 * The metrics of services (`asdlc_*`), received in each way: every query of their dashboard, with its values over half an
 * hour of two services, and their alerts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type History,
  historyOf,
  orchestrator,
  SCRAPED,
  SCRAPED_HERE,
  type ServiceState,
  STEPS,
  WAYS,
  type Way,
  workers,
} from "./exporters.ts";
import { alertingRules, byLabels, close, firing, panelQueries, variableQueries } from "./shipped.ts";

// Each history is a hundred pushes, and each of these a commit.
const GET = "endpoint=/api/tasks method=GET service=orchestrator";
const POST = "endpoint=/api/tasks method=POST service=orchestrator";

/** What each query of each panel of the dashboard answers, by the labels beside job and instance. */
const PANELS: readonly (readonly [panel: string, legend: string, values: Record<string, number>])[] = [
  [
    "Services",
    "{{service}} {{version}}",
    { "service=orchestrator version=1.2.0": 1, "service=workers version=1.3.0": 1 },
  ],
  // 75 in 15 s, 3 of them 500.
  ["Requests", "all", { "": 5 }],
  ["Requests that fail", "all", { "": 0.04 }],
  ["Active tasks", "all", { "": 10 }],
  ["Redis", "{{service}}", { "service=orchestrator": 1, "service=workers": 1 }],
  ["Requests, by endpoint", "{{service}} {{method}} {{endpoint}}", { [GET]: 4, [POST]: 1 }],
  ["Answers, by status", "{{status}}", { "status=200": 3.8, "status=201": 1, "status=500": 0.2 }],
  ["Requests that fail, by service", "{{service}}", { "service=orchestrator": 0.04 }],
  // 7.5 s for 75 requests.
  ["Latency", "average", { "": 0.1 }],
  // Of 75 requests 36 take up to 0.1 s and 69 up to 0.25, 73 up to 0.5, all up to 1.
  ["Latency", "median", { "": 0.1 + 0.15 * (1.5 / 33) }],
  ["Latency", "95th percentile", { "": 0.25 + 0.25 * (2.25 / 4) }],
  ["Latency", "99th percentile", { "": 0.5 + 0.5 * (1.25 / 2) }],
  // The 57th of 60 is the 3rd of 4 between 0.25 and 0.5 s; of 15, 2.25 of 3 between 0.1 and 0.25.
  ["Latency, by endpoint", "{{service}} {{method}} {{endpoint}}", { [GET]: 0.4375, [POST]: 0.2125 }],
  // Four steps a minute.
  [
    "Latency, all of it",
    "{{le}}",
    {
      ...{ "le=0.005": 0, "le=0.01": 0, "le=0.025": 24, "le=0.05": 72, "le=0.1": 144, "le=0.25": 276 },
      ...{ "le=0.5": 292, "le=1.0": 300, "le=2.5": 300, "le=5.0": 300, "le=10.0": 300, "le=+Inf": 300 },
    },
  ],
  [
    "Events processed, by type",
    "{{service}} {{event_type}} {{status}}",
    {
      "event_type=task.created service=workers status=success": 20 / 15,
      "event_type=task.done service=workers status=success": 8 / 15,
      "event_type=task.done service=workers status=failed": 2 / 15,
    },
  ],
  ["Active tasks, by service", "{{service}}", { "service=orchestrator": 4, "service=workers": 6 }],
  ["Active workers, by service", "{{service}}", { "service=workers": 8 }],
  [
    "Redis operations",
    "{{service}} {{operation}}",
    { "operation=xadd service=orchestrator": 8, "operation=xreadgroup service=workers": 8 },
  ],
  // The 114th of 120 is the 4th of 8 between 0.01 and 0.025 s.
  [
    "Redis latency",
    "{{service}} {{operation}}",
    { "operation=xadd service=orchestrator": 0.0175, "operation=xreadgroup service=workers": 0.0175 },
  ],
  [
    "Memory, by service",
    "{{service}} {{type}}",
    {
      "service=orchestrator type=rss": 120e6,
      "service=orchestrator type=vms": 480e6,
      "service=workers type=rss": 240e6,
      "service=workers type=vms": 960e6,
    },
  ],
];

describe.each(WAYS)("the metrics of services, %s", (way) => {
  let history: History;
  beforeAll(async () => {
    history = await historyOf([orchestrator(), workers()], way);
  });
  afterAll(() => history?.close());

  test("answer every query of the dashboard", async () => {
    const answers: [string, string, Record<string, number>][] = [];
    for (const { panel, expression, legend } of panelQueries("services")) {
      answers.push([panel, legend, byLabels(await history.query(expression))]);
    }
    const expected = PANELS.map(([panel, legend, values]) => [panel, legend, close(values)]);
    expect(answers).toEqual(expected as typeof answers);
  });

  test("have the label that the dashboard's variable uses", async () => {
    const [{ selector, label }, ...others] = variableQueries("services");
    const samples = await history.query(selector);
    expect(samples.map(({ labels }) => labels[label]).sort()).toEqual(["orchestrator", "workers"]);
    expect(others).toEqual([]);
  });

  test("answer the documented query for the services", async () => {
    const samples = await history.query("group by (service) (asdlc_service_info)");
    expect(byLabels(samples)).toEqual({ "service=orchestrator": 1, "service=workers": 1 });
  });

  test("contain the names of the services for /api/metrics/services", async () => {
    const response = await history.gateway.fetch("/api/metrics/services");
    expect(await response.json()).toEqual(["orchestrator", "workers"]);
  });
});

test("the dashboard shows 0 if no request failed, and not an empty panel", async () => {
  const history = await historyOf([orchestrator({ failedRequests: 0 })], SCRAPED);
  const answers = [];
  for (const { panel, expression } of panelQueries("services")) {
    if (panel.startsWith("Requests that fail")) answers.push(byLabels(await history.query(expression)));
  }
  await history.close();
  expect(answers).toEqual([{ "": 0 }, { "service=orchestrator": 0 }]);
});

describe("the alerting rules of services", () => {
  const rules = alertingRules("services");

  /** What fires at some steps, the last if none is given, over the two services in some state. */
  async function alertsOf(
    way: Way,
    states: { orchestrator?: ServiceState; workers?: ServiceState },
    ...steps: number[]
  ): Promise<string[][]> {
    const history = await historyOf([orchestrator(states.orchestrator), workers(states.workers)], way);
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

    test("fire if requests or events fail or are slow, or if Redis is down", async () => {
      // 4 of 75 are more than 5%; 4 of 30 more than a tenth.
      expect(
        await alertsOf(way, {
          orchestrator: { failedRequests: 4, slow: true },
          workers: { failedEvents: 4, redisUp: false },
        }),
      ).toEqual([
        [
          "ServiceHighErrorRate orchestrator",
          "ServiceSlow orchestrator",
          "ServiceEventsFail workers",
          "ServiceRedisDown workers",
        ],
      ]);
    });

    test("fire for a dead service, and for no other", async () => {
      const states = { workers: { lastStep: 60 } };
      // A push a second before step 60 is more than 300 s old at step 80; a scrape that fails ends the series at step 61.
      const [alert, since] =
        way === "pushed" ? (["ServiceSilent", 80] as const) : (["ServiceAbsent", 61] as const);
      expect(await alertsOf(way, states, since + 3, since + 4)).toEqual([[], [`${alert} workers`]]);
    });

    test("NoServices fires if there was never a service", async () => {
      const states = { orchestrator: { lastStep: 0 }, workers: { lastStep: 0 } };
      expect(await alertsOf(way, states)).toEqual([["NoServices"]]);
    });
  });
});
