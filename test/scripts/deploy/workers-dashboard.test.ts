/**
 * Runs every query of the dashboard Workers on a gateway to which three workers pushed for six hours. The expected values
 * are computed from the events.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  EDGES_MS,
  each,
  increases,
  type Question,
  quantiles,
  rates,
  ratios,
} from "../../sql/summaries/arithmetic.ts";
import { openWorld, type World } from "../../sql/summaries/world.ts";

const DASHBOARD = join(import.meta.dir, "../../../scripts/deploy/grafana/dashboards/workers.json");
const START_MS = Date.parse("2024-02-28T21:00:00Z");
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** `$__range` of a dashboard that shows the last three hours. */
const RANGE_MS = 3 * HOUR_MS;

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly interval?: string;
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
  }[];
}
const { panels } = JSON.parse(readFileSync(DASHBOARD, "utf8")) as { panels: readonly Panel[] };

/** Grafana's `$__rate_interval`: the step and a scrape interval of 15 s more, and at least four of these. */
const rateMsOf = (panel: Panel) => (panel.interval === "2m" ? 2 * MINUTE_MS + 15_000 : MINUTE_MS);

let world: World;
beforeAll(async () => {
  // The third worker stops two hours before the end; the second reaches no target in its last half hour.
  const end = START_MS + 6 * HOUR_MS;
  const endless = end + HOUR_MS;
  world = await openWorld(START_MS, 0.25, [
    { worker: 0, specialEvery: 2 },
    {
      worker: 1,
      specialEvery: 2,
      incidents: [{ fromMs: end - HOUR_MS / 2, toMs: endless, kind: "failing" }],
    },
    {
      worker: 2,
      specialEvery: 2,
      incidents: [{ fromMs: end - 2 * HOUR_MS, toMs: endless, kind: "silent" }],
    },
  ]);
});
afterAll(() => world?.close());

type Values = ReadonlyMap<string, number>;
const one = (value: number): Values => new Map([["", value]]);
const soleOf = (values: Values) => values.get("") ?? Number.NaN;
const isFailed = ({ http_status: status }: Readonly<Record<string, string>>) =>
  status === "unknown" || Number(status) >= 400;

type Expectations = Record<string, { readonly by: string[]; readonly values: Values }>;
const known = new Map<string, Expectations>();

/** By title and refId: what each query should answer at a time, by the labels that it groups by. */
function expectations(atMs: number, rateMs: number): Expectations {
  const key = `${atMs} ${rateMs}`;
  const found = known.get(key) ?? workOut(atMs, rateMs);
  known.set(key, found);
  return found;
}

function workOut(atMs: number, rateMs: number): Expectations {
  const { events } = world;
  const requests = (more: Partial<Question> = {}): Question => ({
    metric: "http.request.duration_ms",
    rangeMs: rateMs,
    atMs,
    ...more,
  });
  const tasks = (more: Partial<Question> = {}): Question => ({
    ...requests(more),
    metric: "task.processing_duration_ms",
  });
  const uploads = (more: Partial<Question> = {}): Question => ({
    ...requests(more),
    metric: "upload.size_bytes",
  });
  const failedIn = (rangeMs: number) =>
    increases(events, tasks({ where: isFailed, by: ["instance"], rangeMs }));
  const succeeded = increases(
    events,
    tasks({ where: (tags) => !isFailed(tags), by: ["instance"], rangeMs: 15 * MINUTE_MS }),
  );
  const tasksIn15Minutes = increases(events, tasks({ by: ["instance"], rangeMs: 15 * MINUTE_MS }));
  const inARow = new Map([...failedIn(15 * MINUTE_MS)].filter(([worker]) => !(succeeded.get(worker)! > 0)));
  /** The last minute at whose end the worker pushed. */
  const lastPushMs = (worker: string, byMs: number) => {
    const ours = events.filter((event) => event.instance === worker && event["@timestamp"] <= byMs);
    const lastMs = ours.at(-1)?.["@timestamp"];
    return lastMs === undefined ? undefined : Math.ceil(lastMs / MINUTE_MS) * MINUTE_MS;
  };
  const workers = ["_1", "_2", "_3"];
  const isPushing = (worker: string, byMs: number) => {
    const pushedMs = lastPushMs(worker, byMs);
    return pushedMs === undefined ? undefined : Number((byMs - pushedMs) / 1000 < 300);
  };
  const uptime = (worker: string) => {
    const minutes = Array.from({ length: RANGE_MS / MINUTE_MS }, (_, minute) => atMs - minute * MINUTE_MS);
    const values = minutes.flatMap((minute) => isPushing(worker, minute) ?? []);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const share = (question: Question, where: Question["where"]) =>
    1 - (increases(events, { ...question, where }).get("") ?? 0) / soleOf(increases(events, question));
  const byWorker = (value: (worker: string) => number): Values =>
    new Map(workers.map((worker) => [worker, value(worker)]));
  const latency = (q: number) => ({ by: [], values: quantiles(q, events, requests()) });
  const duration = (q: number) => ({ by: [], values: quantiles(q, events, tasks()) });
  const unsuccessful = (tags: Readonly<Record<string, string>>) => tags.success === "false";
  const perOperation = requests({ by: ["operation"] });
  const failedRates = rates(events, { ...perOperation, where: unsuccessful });
  const domains = [...quantiles(0.95, events, tasks({ by: ["domain"] }))];
  return {
    "Tasks that succeed A": { by: [], values: one(share(tasks({ rangeMs: RANGE_MS }), isFailed)) },
    "Requests that succeed A": { by: [], values: one(share(requests({ rangeMs: RANGE_MS }), unsuccessful)) },
    "Workers that push A": {
      by: [],
      values: one(workers.reduce((sum, worker) => sum + isPushing(worker, atMs)!, 0)),
    },
    "Requests A": { by: [], values: rates(events, requests()) },
    "Failures in a row A (stat)": { by: [], values: one(Math.max(0, ...inARow.values())) },
    "Rate limited A": {
      by: [],
      values: increases(events, requests({ where: (tags) => tags.status_code === "429", rangeMs: RANGE_MS })),
    },
    "Throughput, by operation A": { by: ["operation"], values: rates(events, perOperation) },
    "Answers, by status A": { by: ["status_code"], values: rates(events, requests({ by: ["status_code"] })) },
    "Errors, by operation A": {
      by: ["operation"],
      values: new Map(
        [...rates(events, perOperation)].map(([operation, all]) => [
          operation,
          (failedRates.get(operation) ?? 0) / all,
        ]),
      ),
    },
    "Latency A": latency(0.5),
    "Latency B": latency(0.95),
    "Latency C": latency(0.99),
    "Latency, by operation A": { by: ["operation"], values: quantiles(0.95, events, perOperation) },
    "Latency, all of it A": {
      by: ["le"],
      values: new Map(
        EDGES_MS.map((le) => [edgeText(le), soleOf(increases(events, requests({ adds: { le } })))]),
      ),
    },
    "Tasks, by HTTP status A": {
      by: ["http_status"],
      values: rates(events, tasks({ by: ["http_status"] })),
    },
    "Failed uploads of results, by type of error A": {
      by: ["error_type"],
      values: increases(
        events,
        requests({
          by: ["error_type"],
          where: (tags) => tags.operation === "upload_result" && tags.error_type !== undefined,
        }),
      ),
    },
    "Failures in a row A": {
      by: ["instance"],
      values: new Map([...each(tasksIn15Minutes, () => 0), ...inARow]),
    },
    "Duration A": duration(0.5),
    "Duration B": duration(0.95),
    "Duration C": duration(0.99),
    "Duration, of the ten slowest domains A": { by: ["domain"], values: new Map(domains) },
    "Tasks over 10 s, by worker A": {
      by: ["instance"],
      values: each(
        ratios(
          rates(events, tasks({ by: ["instance"], adds: { le: 10_000 } })),
          rates(events, tasks({ by: ["instance"] })),
        ),
        (ratio) => 1 - ratio,
      ),
    },
    "Bytes, by type A": {
      by: ["upload_type"],
      values: rates(events, uploads({ by: ["upload_type"], adds: "sum" })),
    },
    "Uploads, by type A": { by: ["upload_type"], values: rates(events, uploads({ by: ["upload_type"] })) },
    "Pushing A": { by: ["instance"], values: byWorker((worker) => isPushing(worker, atMs)!) },
    "Last push and uptime A": {
      by: ["instance"],
      values: byWorker((worker) => (atMs - lastPushMs(worker, atMs)!) / 1000),
    },
    "Last push and uptime B": { by: ["instance"], values: byWorker(uptime) },
    "Last push and uptime C": {
      by: ["instance"],
      values: increases(events, requests({ by: ["instance"], rangeMs: RANGE_MS })),
    },
  };
}

const edgeText = (le: number) => (le === Infinity ? "+Inf" : Number.isInteger(le) ? `${le}.0` : `${le}`);

async function ask(expr: string, rateMs: number, atMs: number, by: readonly string[]): Promise<Values> {
  const variables: Record<string, string> = { __rate_interval: `${rateMs}ms`, __range: `${RANGE_MS}ms` };
  const query = expr.replace(/\$(\w+)/g, (_, name: string) => variables[name] ?? ".*");
  const answer = (await world.ask("/api/v1/query", { query, time: String(atMs / 1000) })) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return new Map(
    answer.data.result.map(({ metric, value: [, text] }) => [
      by.map((label) => metric[label] ?? "").join(" "),
      Number(text.replace("Inf", "Infinity")),
    ]),
  );
}

const queries = panels.flatMap((panel) =>
  (panel.targets ?? []).map(({ refId, expr }) => ({
    // Two panels have one title: the number, and its history.
    name: `${panel.title} ${refId}${panel.type === "stat" && panel.title === "Failures in a row" ? " (stat)" : ""}`,
    expr,
    rateMs: rateMsOf(panel),
  })),
);

/** Hours after the start: while all work, while one fails and one is silent, and at the end. */
const MOMENTS = { "in the third hour": 3, "in the last half hour": 5.75, "at the end": 6 } as const;

describe.each(Object.entries(MOMENTS))("%s", (_, hours) => {
  const atMs = START_MS + hours * HOUR_MS;

  test("every query has an expectation", () => {
    expect(queries.map(({ name }) => name).sort()).toEqual(Object.keys(expectations(atMs, MINUTE_MS)).sort());
  });

  test.each(queries)("$name", async ({ name, expr, rateMs }) => {
    const { by, values } = expectations(atMs, rateMs)[name]!;
    const got = await ask(expr, rateMs, atMs, by);
    expect([...got.keys()].sort()).toEqual([...values.keys()].sort());
    for (const [group, value] of got) {
      const want = values.get(group)!;
      if (Number.isNaN(want)) expect([group, value]).toEqual([group, Number.NaN]);
      else expect([group, value / (want || 1)]).toEqual([group, expect.closeTo(want === 0 ? 0 : 1, 9)]);
    }
    expect(got.size).toBeGreaterThan(0);
  });
});

test("the expectations at the end show what went wrong: ten tasks in a row, and a silent worker", () => {
  const end = expectations(START_MS + 6 * HOUR_MS, MINUTE_MS);
  const { values } = end["Failures in a row A"]!;
  expect([values.get("_1"), values.get("_3")]).toEqual([0, 0]);
  expect(values.get("_2")).toBeCloseTo(10.5, 0);
  expect(end["Workers that push A"]!.values).toEqual(one(2));
});
