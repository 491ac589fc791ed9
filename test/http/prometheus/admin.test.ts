/** Prometheus's admin API with the real gateway: deleted samples are gone, all others stay, also after kills. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { batchOf, openTestGateway, type TestGateway } from "../../gateway.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

/** 2024-10-04 12:00 UTC, the gateway's clock. */
const NOON_S = Date.UTC(2024, 9, 4, 12) / 1000;
const DAY_S = 86_400;
const DELETE = "/api/v1/admin/tsdb/delete_series";
const SNAPSHOT = "/api/v1/admin/tsdb/snapshot";

let subject: TestGateway;
beforeEach(async () => {
  subject = await openTestGateway("--enable-admin-api");
});
afterEach(() => subject.close());

async function admin(path: string, parameters: readonly [string, string][] = [], method = "POST") {
  const request = new Request(`http://localhost${path}?${new URLSearchParams([...parameters])}`, { method });
  const response = await subject.app.fetch(request);
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

interface Event {
  readonly name: string;
  readonly secondsAgo: number;
  readonly value: number;
  readonly type?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

async function push(events: readonly Event[]) {
  const body = events.map(({ name, secondsAgo, ...rest }) => ({
    "@timestamp": (NOON_S - secondsAgo) * 1000,
    metric_name: name,
    ...rest,
  }));
  expect(await subject.post(JSON.stringify(body))).toMatchObject({ status: 200, json: { rejected: 0 } });
}

/** The samples of a metric: seconds before noon, value, a tag. */
const rows = (table: string, tag: string) =>
  subject.query(
    `SELECT (${NOON_S} - epoch(ts))::INTEGER AS ago, value, ${tag} AS tag
     FROM (SELECT s.metric, d.ts, d.value, s.labels FROM (${DAYS.map((day) => `SELECT * FROM weir.${day}`).join(" UNION ALL BY NAME ")}) AS d
           JOIN weir.series AS s USING (series_id))
     WHERE metric = '${table}' ORDER BY ts`,
  );
const DAYS = ["samples_20241003", "samples_20241004"];
const QUEUE = "labels['queue']";
const left = async () => (await rows("depth", QUEUE)).map(({ ago, value, tag }) => [ago, value, tag]);

const depth = (secondsAgo: number, value: number, queue: string): Event => ({
  name: "depth",
  secondsAgo,
  value,
  type: "gauge",
  tags: { queue },
});
const EVENTS = [
  depth(DAY_S, 1, "a"),
  depth(DAY_S - 1, 2, "b"),
  depth(30, 3, "a"),
  depth(20, 4, "a"),
  depth(10, 5, "b"),
];

describe("delete_series", () => {
  test("deletes the samples of the selected series on all days, by POST and by PUT", async () => {
    await push(EVENTS);
    expect(await admin(DELETE, [["match[]", 'depth{queue="a"}']])).toEqual({ status: 204, body: undefined });
    expect(await left()).toEqual([
      [DAY_S - 1, 2, "b"],
      [10, 5, "b"],
    ]);
    expect(await admin(DELETE, [["match[]", "depth"]], "PUT")).toEqual({ status: 204, body: undefined });
    expect(await left()).toEqual([]);
  });

  describe("of all samples of a metric", () => {
    const kindOf = (type: string, tags = {}) =>
      subject.post(
        JSON.stringify([{ "@timestamp": NOON_S * 1000, metric_name: "jobs", value: 3, type, tags }]),
      );
    const values = async () => {
      const sql = `SELECT value FROM weir.samples_20241004 JOIN weir.series USING (series_id)
                   WHERE metric = 'jobs' ORDER BY value`;
      return (await subject.query(sql)).map(({ value }) => value);
    };
    const exposed = async () => {
      const text = await (await subject.fetch("/metrics")).text();
      return text.split("\n").filter((line) => /^(# TYPE )?jobs/.test(line));
    };

    test("forgets its kind, so that another one can be pushed, also after a restart", async () => {
      expect(await kindOf("gauge")).toMatchObject({ json: { accepted: 1, rejected: 0 } });
      const wrong = await kindOf("counter");
      expect(wrong).toMatchObject({ json: { accepted: 0, rejected: 1 } });
      expect(JSON.stringify(wrong.json)).toContain(
        "this sample is counter; use another name, or delete all samples of the metric with",
      );
      expect(await exposed()).toEqual(["# TYPE jobs gauge", 'jobs{instance=""} 3']);
      await admin(DELETE, [["match[]", "jobs"]]);
      expect(await exposed()).toEqual([]);
      expect(await kindOf("counter")).toMatchObject({ json: { accepted: 1, rejected: 0 } });
      expect(await exposed()).toEqual(["# TYPE jobs_total counter", 'jobs_total{instance=""} 3']);
      expect(await values()).toEqual([3]);
      await subject.reopen("--enable-admin-api");
      expect(await kindOf("gauge")).toMatchObject({ json: { rejected: 1 } });
      expect(await kindOf("counter")).toMatchObject({ json: { accepted: 1 } });
      expect(await exposed()).toEqual(["# TYPE jobs_total counter", 'jobs_total{instance=""} 6']);
    });

    test("keeps its kind while a series that was not selected has samples", async () => {
      await kindOf("gauge", { queue: "a" });
      await kindOf("gauge", { queue: "b" });
      await admin(DELETE, [["match[]", 'jobs{queue="a"}']]);
      expect(await kindOf("counter", { queue: "a" })).toMatchObject({ json: { rejected: 1 } });
      expect(await exposed()).toEqual([
        "# TYPE jobs gauge",
        'jobs{instance="",queue="a"} 3',
        'jobs{instance="",queue="b"} 3',
      ]);
      // The first series is empty already, but it is selected again.
      await admin(DELETE, [["match[]", "jobs"]]);
      expect(await kindOf("counter", { queue: "a" })).toMatchObject({ json: { rejected: 0 } });
      expect(await exposed()).toEqual(["# TYPE jobs_total counter", 'jobs_total{instance="",queue="a"} 3']);
    });

    test("keeps its kind and its totals if samples outside of the range are left", async () => {
      await push([{ name: "jobs", secondsAgo: 60, value: 2, type: "counter" }]);
      await kindOf("counter");
      await admin(DELETE, [
        ["match[]", "jobs_total"],
        ["start", String(NOON_S - 30)],
      ]);
      expect(await exposed()).toEqual(["# TYPE jobs_total counter", 'jobs_total{instance=""} 5']);
      expect(await kindOf("gauge")).toMatchObject({ json: { rejected: 1 } });
    });

    test("keeps a metric of a group until its group is deleted", async () => {
      const put = (type: string) =>
        subject.fetch("/metrics/job/batch", { method: "PUT", body: `# TYPE jobs ${type}\njobs 1\n` });
      expect((await put("gauge")).status).toBe(200);
      await admin(DELETE, [["match[]", "jobs"]]);
      expect(await exposed()).toEqual(["# TYPE jobs gauge", 'jobs{instance="",job="batch"} 1']);
      expect(await kindOf("counter")).toMatchObject({ json: { rejected: 1 } });
      await subject.fetch("/metrics/job/batch", { method: "DELETE" });
      await admin(DELETE, [["match[]", "jobs"]]);
      expect(await kindOf("counter")).toMatchObject({ json: { rejected: 0 } });
    });

    test("keeps a series of which a sample waits: it was admitted before the deletion", async () => {
      await kindOf("gauge");
      const { ingest, registry } = subject.gateway;
      const deletion = ingest.deleteSamples({
        seriesIds: Array.from(registry.series(), ({ seriesId }) => seriesId),
        fromUs: Number.NEGATIVE_INFINITY,
        toUs: Number.POSITIVE_INFINITY,
      });
      const waiting = ingest.push(batchOf([{ metric: "jobs", value: 4, atMs: NOON_S * 1000 + 1 }]));
      expect(await deletion).toBe(1);
      expect(await waiting).toMatchObject({ accepted: 1 });
      expect(await values()).toEqual([4]);
      await subject.reopen("--enable-admin-api");
      expect(await values()).toEqual([4]);
      expect(await kindOf("counter")).toMatchObject({ json: { rejected: 1 } });
    });

    test("registers a push that arrives afterwards with a new series", async () => {
      await kindOf("gauge");
      const idsOf = () => Array.from(subject.gateway.registry.series(), ({ seriesId }) => seriesId);
      const before = idsOf();
      await admin(DELETE, [["match[]", "jobs"]]);
      expect(idsOf()).toEqual([]);
      await kindOf("gauge");
      expect(idsOf()).toEqual([Math.max(...before) + 1]);
      expect(await values()).toEqual([3]);
    });
  });

  test("deletes only between start and end, both included, and supports several selectors", async () => {
    await push(EVENTS);
    const range: [string, string][] = [
      ["start", String(NOON_S - 20)],
      ["end", String(NOON_S - 10)],
    ];
    await admin(DELETE, [["match[]", 'depth{queue="a"}'], ["match[]", 'depth{queue="b"}'], ...range]);
    expect(await left()).toEqual([
      [DAY_S, 1, "a"],
      [DAY_S - 1, 2, "b"],
      [30, 3, "a"],
    ]);
    await admin(DELETE, [
      ["match[]", "depth"],
      ["end", String(NOON_S - DAY_S)],
    ]);
    expect(await left()).toEqual([
      [DAY_S - 1, 2, "b"],
      [30, 3, "a"],
    ]);
  });

  test("accepts new samples at the deleted times, and PromQL sees the deletion at once", async () => {
    await push(EVENTS);
    await admin(DELETE, [
      ["match[]", 'depth{queue="a"}'],
      ["start", String(NOON_S - 40)],
    ]);
    const query = new URLSearchParams({ query: "depth", time: String(NOON_S) });
    const ask = async () => {
      const response = await subject.fetch(`/api/v1/query?${query}`);
      const { data } = (await response.json()) as { data: { result: { value: unknown[] }[] } };
      return data.result.map(({ value }) => value[1]);
    };
    expect(await ask()).toEqual(["5"]);
    await push([depth(20, 40, "a")]);
    expect(await ask()).toEqual(["40", "5"]);
  });

  test("keeps columns, order and totals, also after a restart from a snapshot and the rows past it", async () => {
    const took = (secondsAgo: number, value: number, task_id: string, operation = "get"): Event => ({
      name: "took_ms",
      secondsAgo,
      value,
      tags: { operation, task_id },
    });
    await push([took(30, 3, "one"), took(25, 7, "two", "put"), took(20, 30, "three")]);
    await push([{ name: "done", secondsAgo: 20, value: 2, type: "counter" }]);
    await admin(DELETE, [["match[]", 'took_ms{operation="put"}']]);
    await push([took(10, 300, "four"), { name: "done", secondsAgo: 5, value: 3, type: "counter" }]);
    const stored =
      "SELECT value, task_id FROM weir.samples_20241004 WHERE task_id IS NOT NULL ORDER BY rowid";
    const expected = [
      { value: 3, task_id: "one" },
      { value: 30, task_id: "three" },
      { value: 300, task_id: "four" },
    ];
    expect(await subject.query(stored)).toEqual(expected);
    const exposed = await subject.exposed();
    // Deleted samples still count: a counter does not decrease.
    expect(exposed).toContain('took_ms_count{instance="",operation="put"} 1');
    expect(exposed).toContain('took_ms_sum{instance="",operation="get"} 333');
    expect(exposed).toContain('done_total{instance=""} 5');
    await subject.reopen("--enable-admin-api");
    expect(await subject.query(stored)).toEqual(expected);
    expect(await subject.exposed()).toEqual(exposed);
  });

  test("loses no sample that is pushed meanwhile", async () => {
    await push(EVENTS);
    const pushes = Array.from({ length: 20 }, (_, index) => push([depth(9 - index / 10, 100 + index, "c")]));
    const deletions = ["a", "b", "a"].map((queue) => admin(DELETE, [["match[]", `depth{queue="${queue}"}`]]));
    await Promise.all([...pushes, ...deletions]);
    expect((await left()).map(([, value]) => value)).toEqual(Array.from({ length: 20 }, (_, at) => 100 + at));
  });

  test("deletes nothing if it fails, and works again afterwards", async () => {
    await push([...EVENTS, { name: "done", secondsAgo: 20, value: 2, type: "counter" }]);
    await subject.query("ALTER TABLE weir.watermarks RENAME TO hidden");
    expect((await admin(DELETE, [["match[]", "depth"]])).status).toBe(500);
    expect(subject.takeLog()).toEqual([expect.stringContaining("a request failed")]);
    await subject.query("ALTER TABLE weir.hidden RENAME TO watermarks");
    expect(await left()).toHaveLength(5);
    await push([{ name: "done", secondsAgo: 1, value: 2, type: "counter" }]);
    expect((await admin(DELETE, [["match[]", "depth"]])).status).toBe(204);
    expect(await left()).toEqual([]);
    await subject.reopen("--enable-admin-api");
    expect(await subject.exposed()).toContain('done_total{instance=""} 4');
  });

  test("rejects parts of an observation and invalid selectors with the reason", async () => {
    await push([
      { name: "took_ms", secondsAgo: 30, value: 3 },
      { name: "done", secondsAgo: 20, value: 2, type: "counter" },
    ]);
    expect(await admin(DELETE, [["match[]", 'took_ms_bucket{le="5.0"}']])).toEqual({
      status: 400,
      body: {
        status: "error",
        errorType: "bad_data",
        error: "took_ms_bucket is computed from the rows of took_ms: delete those.",
      },
    });
    for (const parameters of [
      [],
      [["match[]", "sum(depth)"]],
      [["match[]", "{}"]],
      [["match[]", 'depth{job="caf\ufffd"}']],
      [
        ["match[]", "depth"],
        ["start", "2024-10-04T12:00:00"],
      ],
      [
        ["match[]", "depth"],
        ["start", "2"],
        ["end", "1"],
      ],
    ] as [string, string][][]) {
      expect((await admin(DELETE, parameters)).status).toBe(400);
    }
    expect((await admin(DELETE, [["match[]", "nobody"]])).status).toBe(204);
    expect(await subject.query("SELECT count(*)::INTEGER AS n FROM weir.samples_20241004")).toEqual([
      { n: 2 },
    ]);
    expect(
      (
        await admin(DELETE, [
          ["match[]", "done_total"],
          ["match[]", '{__name__=~"took_ms.*"}'],
        ])
      ).status,
    ).toBe(204);
    expect(await subject.query("SELECT count(*)::INTEGER AS n FROM weir.samples_20241004")).toEqual([
      { n: 0 },
    ]);
  });

  test("is disabled unless a setting enables it", async () => {
    await push(EVENTS);
    await subject.reopen();
    for (const path of [DELETE, "/api/v1/admin/tsdb/clean_tombstones", SNAPSHOT]) {
      for (const method of ["POST", "PUT"]) {
        expect(await admin(path, [["match[]", "depth"]], method)).toEqual({
          status: 503,
          body: {
            status: "error",
            errorType: "unavailable",
            error: "admin APIs disabled: start the gateway with --enable-admin-api to allow them",
          },
        });
      }
    }
    expect(existsSync(join(subject.folder, "snapshots"))).toBe(false);
    expect(await left()).toHaveLength(5);
  });
});

test("clean_tombstones answers 204 and changes nothing", async () => {
  expect(await admin("/api/v1/admin/tsdb/clean_tombstones", [], "PUT")).toEqual({
    status: 204,
    body: undefined,
  });
});

describe("snapshot", () => {
  test("answers with the name of a folder, by POST and by PUT, with and without the head", async () => {
    await push(EVENTS);
    const names: string[] = [];
    for (const [method, ...parameters] of [
      ["POST"],
      ["PUT", ["skip_head", "true"]],
      ["POST", ["skip_head", "0"]],
    ] as [string, ...[string, string][]][]) {
      const { status, body } = await admin(SNAPSHOT, parameters, method);
      expect({ status, body }).toEqual({
        status: 200,
        body: { status: "success", data: { name: expect.stringMatching(/^20241004T120000Z-[0-9a-f]{16}$/) } },
      });
      names.push(body.data.name);
    }
    expect(readdirSync(join(subject.folder, "snapshots")).sort()).toEqual(names.sort());
  });

  test("rejects a skip_head that is not a boolean", async () => {
    expect(await admin(SNAPSHOT, [["skip_head", "maybe"]])).toEqual({
      status: 400,
      body: {
        status: "error",
        errorType: "bad_data",
        error: 'invalid parameter "skip_head": unable to parse boolean "maybe"',
      },
    });
  });
});

test("a snapshot taken while pushes continue can be served, and has all that was acknowledged before", async () => {
  const data = temporaryFolder();
  const start = (folder: string) =>
    GatewayProcess.start({
      data: folder,
      args: ["--enable-admin-api", "--no-sampler", "--log-level", "error"],
    });
  const count = async ({ url }: GatewayProcess, where = "true") => {
    const sql = `SELECT count(*)::INTEGER AS n, count(DISTINCT task_id)::INTEGER AS tasks FROM took_ms WHERE ${where}`;
    const answer = await fetch(`${url}/api/v1/sql?format=csv&q=${encodeURIComponent(sql)}`);
    return (await answer.text()).trim().split(/\r?\n/)[1];
  };
  const gateway = await start(data);
  let acknowledged = 0;
  const pushTask = async (task: number) => {
    const events = Array.from({ length: 50 }, (_, value) => ({
      metric_name: "took_ms",
      value,
      tags: { task_id: `task-${task}` },
    }));
    const response = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify(events),
    });
    expect(response.status).toBe(200);
    acknowledged = task + 1;
  };
  for (let task = 0; task < 20; task++) await pushTask(task);
  let isDone = false;
  const pushing = (async () => {
    while (!isDone) await pushTask(acknowledged);
  })();
  const snapshots: { name: string; before: number }[] = [];
  for (let round = 0; round < 3; round++) {
    const before = acknowledged;
    const response = await fetch(`${gateway.url}${SNAPSHOT}`, { method: "POST" });
    expect(response.status).toBe(200);
    const { data: answer } = (await response.json()) as { data: { name: string } };
    snapshots.push({ name: answer.name, before });
  }
  isDone = true;
  await pushing;
  // The gateway still has the file to itself.
  const second = await GatewayProcess.startToEnd({ data });
  expect(second.exitCode).not.toBe(0);
  expect(second.log).toEndWith("is open in another process; stop it first, or give --data another folder\n");
  expect(await count(gateway)).toBe(`${acknowledged * 50},${acknowledged}`);
  await gateway.stop("SIGKILL");
  for (const { name, before } of snapshots) {
    const copy = await start(join(data, "snapshots", name));
    const tasks = Array.from({ length: before }, (_, task) => `'task-${task}'`).join(",");
    expect(await count(copy, `task_id IN (${tasks})`)).toBe(`${before * 50},${before}`);
    // The snapshot continues as a store of its own.
    const body = JSON.stringify({ metric_name: "took_ms", value: 1, tags: { task_id: "later" } });
    expect((await fetch(`${copy.url}/api/v1/push`, { method: "POST", body })).status).toBe(200);
    expect(await count(copy, "task_id = 'later'")).toBe("1,1");
    expect(await copy.stop("SIGTERM")).toBe(0);
  }
});

test("a deletion that was answered survives a kill, with the samples pushed before and after it", async () => {
  const data = temporaryFolder();
  const start = () =>
    GatewayProcess.start({ data, args: ["--enable-admin-api", "--no-sampler", "--log-level", "error"] });
  let gateway = await start();
  const send = async (path: string, body?: string) => {
    const response = await fetch(`${gateway.url}${path}`, { method: "POST", body });
    expect(response.ok).toBe(true);
  };
  const event = (value: number, tags: Record<string, string>) =>
    JSON.stringify({ metric_name: "took_ms", value, tags });
  await send("/api/v1/push", event(1, { operation: "get", task_id: "one" }));
  await send("/api/v1/push", event(2, { operation: "put", task_id: "two" }));
  await send(`${DELETE}?match[]=${encodeURIComponent('took_ms{operation="get"}')}`);
  await send("/api/v1/push", event(4, { operation: "put", task_id: "three" }));
  const metrics = async () =>
    (await (await fetch(`${gateway.url}/metrics`)).text())
      .split("\n")
      .filter((line) => /^took_ms_sum/.test(line));
  const before = await metrics();
  expect(before).toEqual([
    'took_ms_sum{instance="",operation="get"} 1',
    'took_ms_sum{instance="",operation="put"} 6',
  ]);
  await gateway.stop("SIGKILL");
  gateway = await start();
  const sql = "SELECT task_id FROM took_ms ORDER BY ts";
  const answer = await fetch(`${gateway.url}/api/v1/sql?format=csv&q=${encodeURIComponent(sql)}`);
  expect((await answer.text()).trim().split(/\r?\n/)).toEqual(["task_id", "two", "three"]);
  expect(await metrics()).toEqual(before);
  await gateway.stop("SIGTERM");
});
