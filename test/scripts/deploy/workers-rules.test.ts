/**
 * Every alerting rule over workers, evaluated each minute as vmalert would, by a gateway that three workers pushed to for
 * eight hours in which five things went wrong. What each expression gives is worked out from the events; when each
 * alert fires is written down by hand.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Incident } from "../../fixtures/worker-events.ts";
import { increases, type Question, quantiles, ratios } from "../../sql/summaries/arithmetic.ts";
import { openWorld, type World } from "../../sql/summaries/world.ts";

const RULES = join(import.meta.dir, "../../../scripts/deploy/prometheus/rules/weir.rules.yml");
const START_MS = Date.parse("2024-02-28T20:00:00Z");
const MINUTE_MS = 60_000;
const MINUTES = 8 * 60;

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
}
const { groups } = Bun.YAML.parse(readFileSync(RULES, "utf8")) as {
  groups: { name: string; rules: Rule[] }[];
};
const rules = groups.find(({ name }) => name === "weir-workers")!.rules;

const incident = (kind: Incident["kind"], fromMinute: number, toMinute: number): Incident => ({
  kind,
  fromMs: START_MS + fromMinute * MINUTE_MS,
  toMs: START_MS + toMinute * MINUTE_MS,
});
/** Minutes of each incident; the last two are one worker's alone. */
const SERVER_ERRORS = [60, 75] as const;
const RATE_LIMIT = [150, 165] as const;
const SLOW_TARGETS = [240, 275] as const;
const FAILING = [345, 375] as const;
const SILENT = [420, MINUTES] as const;

/** Eight hours of plain tasks with five incidents, and three hours in which every second task is a special one. */
let world: World;
let special: World;
beforeAll(async () => {
  const all = [
    incident("server-errors", ...SERVER_ERRORS),
    incident("rate-limit", ...RATE_LIMIT),
    incident("slow-targets", ...SLOW_TARGETS),
  ];
  // Nothing special happens, so that what fires is what the incidents cause.
  const plain = { specialEvery: 10_000 };
  world = await openWorld(START_MS, MINUTES / 1440, [
    { worker: 0, ...plain, incidents: all },
    { worker: 1, ...plain, incidents: [...all, incident("failing", ...FAILING)] },
    { worker: 2, ...plain, incidents: [...all, incident("silent", ...SILENT)] },
  ]);
  special = await openWorld(
    START_MS,
    1 / 8,
    [0, 1, 2].map((worker) => ({ worker, specialEvery: 2 })),
  );
});
afterAll(async () => {
  await world?.close();
  await special?.close();
});

type Events = World["events"];
type Values = ReadonlyMap<string, number>;
type Tags = Readonly<Record<string, string>>;
const over = (values: Values, limit: number): Map<string, number> =>
  new Map([...values].filter(([, value]) => value > limit));
const where = (values: Values, enough: Values, least: number): Map<string, number> =>
  new Map([...values].filter(([group]) => (enough.get(group) ?? 0) >= least));

/** What each expression should give at a time, by the labels (besides job) that it groups by. */
const EXPECTED: Record<string, { by: string[]; at: (atMs: number, events: Events) => Values }> = {
  HighErrorRate: {
    by: ["operation"],
    at(atMs, events) {
      const all = increases(events, requests(atMs, 30, ["operation"]));
      const failed = increases(
        events,
        requests(atMs, 30, ["operation"], (tags) => tags.success === "false"),
      );
      return where(over(ratios(failed, all), 0.05), all, 10);
    },
  },
  ServerErrors: {
    by: ["operation"],
    at: (atMs, events) =>
      over(
        increases(
          events,
          requests(
            atMs,
            10,
            ["operation"],
            (tags) => tags.operation !== "target_request" && tags.status_code!.startsWith("5"),
          ),
        ),
        0,
      ),
  },
  WorkerDown: {
    by: ["instance"],
    at(atMs, events) {
      const silences = ["_1", "_2", "_3"].flatMap((instance): [string, number][] => {
        const last = events.findLast((event) => event.instance === instance && event["@timestamp"] <= atMs);
        if (last === undefined) return [];
        const pushedMs = Math.ceil(last["@timestamp"] / MINUTE_MS) * MINUTE_MS;
        return [[instance, (atMs - pushedMs) / 1000]];
      });
      return over(new Map(silences), 300);
    },
  },
  HighResponseTime: {
    by: ["operation"],
    at: (atMs, events) =>
      where(
        over(quantiles(0.95, events, requests(atMs, 30, ["operation"])), 2_500),
        increases(events, requests(atMs, 30, ["operation"])),
        10,
      ),
  },
  ConsecutiveFailures: {
    by: ["instance"],
    at(atMs, events) {
      const isFailed = ({ http_status: status }: Tags) => status === "unknown" || Number(status) >= 400;
      const failed = increases(events, tasks(atMs, 15, ["instance"], isFailed));
      const succeeded = increases(
        events,
        tasks(atMs, 15, ["instance"], (tags) => !isFailed(tags)),
      );
      return new Map(
        [...failed].filter(([worker, count]) => count >= 5 && !((succeeded.get(worker) ?? 0) > 0)),
      );
    },
  },
  RateLimited: {
    by: ["operation"],
    at(atMs, events) {
      const limited = (at: number) =>
        increases(
          events,
          requests(at, 30, ["operation"], (tags) => tags.status_code === "429"),
        );
      const before = limited(atMs - 30 * MINUTE_MS);
      return new Map(
        [...limited(atMs)].filter(
          ([group, count]) => count >= 5 && !(count <= 2 * (before.get(group) ?? Number.NaN)),
        ),
      );
    },
  },
  HighAverageTaskDuration: {
    by: [],
    at(atMs, events) {
      const sum = increases(events, { ...tasks(atMs, 30, []), adds: "sum" });
      const count = increases(events, tasks(atMs, 30, []));
      return where(over(ratios(sum, count), 10_000), count, 10);
    },
  },
  SlowTasks: {
    by: [],
    at: (atMs, events) =>
      where(
        over(quantiles(0.95, events, tasks(atMs, 30, [])), 10_000),
        increases(events, tasks(atMs, 30, [])),
        10,
      ),
  },
};

function requests(atMs: number, minutes: number, by: string[], only?: (tags: Tags) => boolean): Question {
  return { metric: "http.request.duration_ms", atMs, rangeMs: minutes * MINUTE_MS, by, where: only };
}

function tasks(atMs: number, minutes: number, by: string[], only?: (tags: Tags) => boolean): Question {
  return { ...requests(atMs, minutes, by, only), metric: "task.processing_duration_ms" };
}

/** By minute: what the expression gives, by the labels that it groups by. */
async function evaluate({ expr, alert }: Rule, over = world): Promise<Map<string, number>[]> {
  const answer = (await over.ask("/api/v1/query_range", {
    query: expr,
    start: String(START_MS / 1000),
    end: String(over.endMs / 1000),
    step: "60",
  })) as { data: { result: { metric: Record<string, string>; values: [number, string][] }[] } };
  const length = (over.endMs - START_MS) / MINUTE_MS + 1;
  const minutes = Array.from({ length }, () => new Map<string, number>());
  for (const { metric, values } of answer.data.result) {
    const { job, ...labels } = metric;
    expect(job).toBe("worker");
    const { by } = EXPECTED[alert]!;
    expect(Object.keys(labels).sort()).toEqual(by);
    const group = by.map((label) => labels[label]).join(" ");
    for (const [seconds, value] of values)
      minutes[(seconds * 1000 - START_MS) / MINUTE_MS]!.set(group, Number(value));
  }
  return minutes;
}

/** The spans of minutes in which an alert fires, by its labels: first minute, and the last. */
function firings(minutes: readonly Values[], forMinutes: number): Record<string, [number, number][]> {
  const spans: Record<string, [number, number][]> = {};
  const since = new Map<string, number>();
  minutes.forEach((values, minute) => {
    for (const group of since.keys()) if (!values.has(group)) since.delete(group);
    for (const group of values.keys()) {
      const begun = since.get(group) ?? minute;
      since.set(group, begun);
      if (minute - begun < forMinutes) continue;
      spans[group] ??= [];
      const ours = spans[group];
      if (ours.at(-1)?.[1] === minute - 1) ours.at(-1)![1] = minute;
      else ours.push([minute, minute]);
    }
  });
  return spans;
}

test("every rule over workers has an expectation", () => {
  expect(rules.map(({ alert }) => alert).sort()).toEqual(Object.keys(EXPECTED).sort());
});

describe.each(["incidents", "special tasks"])("each minute of the %s", (name) => {
  test.each(rules)("$alert returns the values computed from the events", async (rule) => {
    const asked = name === "incidents" ? world : special;
    const minutes = await evaluate(rule, asked);
    for (const [minute, got] of minutes.entries()) {
      const want = EXPECTED[rule.alert]!.at(START_MS + minute * MINUTE_MS, asked.events);
      expect([minute, ...[...got.keys()].sort()]).toEqual([minute, ...[...want.keys()].sort()]);
      for (const [group, value] of got)
        expect([minute, group, value / want.get(group)!]).toEqual([minute, group, expect.closeTo(1, 9)]);
    }
  });
});

/**
 * When each alert should fire: between which minutes it starts to, and between which it fires last. Each worker has a
 * task every 86 s, so that all three together have two per minute.
 */
const FIRES: Record<string, Record<string, { starts: [number, number]; ends: [number, number] }>> = {
  HighErrorRate: {
    // 4 failures of 66 are 6%: after 2 minutes, and it waits for 5. The last are in the range for 30 minutes.
    upload_result: { starts: [60 + 6, 60 + 9], ends: [165 + 25, 165 + 31] },
    // One worker of three: after 4 of its tasks.
    target_request: { starts: [345 + 8, 345 + 13], ends: [375 + 20, 375 + 31] },
  },
  // At once, and until the last error is 10 minutes old.
  ServerErrors: { upload_result: { starts: [60, 60 + 2], ends: [75 + 8, 75 + 11] } },
  // After 5 minutes of silence and one more.
  WorkerDown: { _3: { starts: [420 + 6, 420 + 9], ends: [480, 480] } },
  // 5% are slow after 2 minutes, and it waits for 10.
  HighResponseTime: { target_request: { starts: [240 + 11, 240 + 15], ends: [275 + 25, 275 + 31] } },
  // The last success has to be 15 minutes old.
  ConsecutiveFailures: { _2: { starts: [345 + 15, 345 + 19], ends: [375, 375 + 2] } },
  // 5 are there after 3 minutes, and it waits for 5. Half of them are in the 30 minutes before after 20 more.
  RateLimited: { upload_result: { starts: [150 + 7, 150 + 10], ends: [150 + 30, 150 + 40] } },
  // From 1.2 s to 15 s: two thirds of 30 minutes have to be slow.
  HighAverageTaskDuration: { "": { starts: [240 + 19, 240 + 27], ends: [275 + 8, 275 + 12] } },
  SlowTasks: { "": { starts: [240 + 6, 240 + 10], ends: [275 + 25, 275 + 31] } },
};

describe("with five incidents", () => {
  test.each(rules)("$alert fires only for its own incident", async (rule) => {
    const found = firings(await evaluate(rule), Number(/^(\d+)m$/.exec(rule.for)![1]));
    const wanted = FIRES[rule.alert]!;
    expect(Object.keys(found).sort()).toEqual(Object.keys(wanted).sort());
    for (const [group, spans] of Object.entries(found)) {
      const { starts, ends } = wanted[group]!;
      const [first, last] = [spans[0]![0], spans.at(-1)![1]];
      expect(first, `${rule.alert} ${group} starts at minute ${first}`).toBeWithin(starts[0], starts[1] + 1);
      expect(last, `${rule.alert} ${group} ends at minute ${last}`).toBeWithin(ends[0], ends[1] + 1);
      // Results fail twice: when the server has errors, and when it limits rates.
      const times = rule.alert === "HighErrorRate" && group === "upload_result" ? 2 : 1;
      expect([rule.alert, group, spans.length]).toEqual([rule.alert, group, times]);
    }
  });
});
