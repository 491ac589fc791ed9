/** Rejected samples: what the list shows, and that a replay stores each once, exactly as it was sent. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await openTestGateway("--tags-max=2", "--tag-value-bytes-max=8");
});
afterEach(async () => {
  await gateway.close();
});

interface Listed {
  readonly rejected: readonly Record<string, unknown>[];
  readonly next?: number;
}

async function list(query = ""): Promise<Listed> {
  const response = await gateway.fetch(`/api/v1/rejected${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Listed;
}

async function act(action: "replay" | "clear", query = ""): Promise<Record<string, unknown>> {
  const response = await gateway.fetch(`/api/v1/rejected/${action}${query}`, { method: "POST" });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

/** The rows of a statement, each as its values. */
async function sql(statement: string): Promise<unknown[][]> {
  const response = await gateway.fetch(`/api/v1/sql?q=${encodeURIComponent(statement)}`);
  const { rows } = (await response.json()) as { rows: Record<string, unknown>[] };
  return rows.map((row) => Object.values(row));
}

const push = (...events: Record<string, unknown>[]) => gateway.post(JSON.stringify(events));
const DAY_MS = 86_400_000;
/** Before a retention of 3 days, and within one of 30. */
const OLD_MS = NOON_MS - 10 * DAY_MS;

describe("the list", () => {
  test("has what was rejected, with the sample as far as it is known, the newest first", async () => {
    await push({ metric_name: "jobs.done", value: "seven", tags: { job: "a" } });
    gateway.nowMs += 1_000;
    await push({
      "@timestamp": OLD_MS,
      metric_name: "disk.free",
      type: "gauge",
      value: 2.5,
      tags: { disk: "sda" },
    });
    const { rejected, next } = await list();
    expect(next).toBeUndefined();
    expect(rejected).toEqual([
      {
        id: expect.any(Number),
        receivedAt: "2024-10-04T12:00:01.000Z",
        protocol: "events",
        instance: "",
        cause: "timestamp",
        reason: expect.stringContaining("is before retention"),
        metric: "disk.free",
        labels: { disk: "sda" },
        time: new Date(OLD_MS).toISOString(),
        value: 2.5,
        payload: expect.stringContaining("disk.free"),
        replayable: true,
        event: JSON.stringify(
          {
            "@timestamp": new Date(OLD_MS).toISOString(),
            ...{ metric_name: "disk.free", value: 2.5, type: "gauge", tags: { disk: "sda" } },
          },
          undefined,
          2,
        ),
      },
      {
        id: expect.any(Number),
        receivedAt: "2024-10-04T12:00:00.000Z",
        protocol: "events",
        instance: "",
        cause: "value",
        reason: expect.stringContaining("seven"),
        metric: "jobs.done",
        labels: {},
        payload: '{"metric_name":"jobs.done","value":"seven","tags":{"job":"a"}}',
        replayable: true,
        event: '{"metric_name":"jobs.done","value":"seven","tags":{"job":"a"}}',
      },
    ]);
  });

  test("has the instance of its own labels, also if no event of the push was accepted", async () => {
    const event = (instance: string) => ({
      ...{ "@timestamp": OLD_MS, metric_name: "ms", value: 1, tags: { job: "w", instance } },
    });
    await push(event("i-1"));
    await push(event("i-2"), event("i-3"));
    const { rejected } = await list();
    expect(rejected.map(({ instance }) => instance).sort()).toEqual(["i-1", "i-2", "i-3"]);
  });

  test("is selected by metric, cause, reason, time, labels and id", async () => {
    await push({
      "@timestamp": OLD_MS,
      metric_name: "disk.free",
      type: "gauge",
      value: 1,
      tags: { disk: "a" },
    });
    await push({
      "@timestamp": OLD_MS,
      metric_name: "disk.free",
      type: "gauge",
      value: 2,
      tags: { disk: "b" },
    });
    gateway.nowMs += 60_000;
    await push({ metric_name: "jobs", value: null });
    const metrics = async (query: string) =>
      (await list(query)).rejected.map(({ metric, value }) => [metric, value ?? null]);
    const [a, b, jobs] = [
      ["disk.free", 1],
      ["disk.free", 2],
      ["jobs", null],
    ];
    expect(await metrics("")).toEqual([jobs, b, a]);
    expect(await metrics("?metric=disk.free")).toEqual([b, a]);
    expect(await metrics("?cause=timestamp")).toEqual([b, a]);
    expect(await metrics("?reason=RETENTION")).toEqual([b, a]);
    expect(await metrics("?protocol=otlp")).toEqual([]);
    expect(await metrics(`?from=${NOON_MS + 1}`)).toEqual([jobs]);
    expect(await metrics(`?to=${NOON_MS}`)).toEqual([b, a]);
    expect(await metrics(`?match[]=${encodeURIComponent('disk_free{disk="b"}')}`)).toEqual([b]);
    expect(await metrics(`?match[]=${encodeURIComponent('{"disk.free",disk!="b"}')}`)).toEqual([a]);
    expect(await metrics(`?match[]=${encodeURIComponent('{disk=~"[b-c]",__name__!~"j[^x]*"}')}`)).toEqual([
      b,
    ]);
    const { rejected } = await list("?metric=jobs");
    expect(await metrics(`?id=${rejected[0]!.id}`)).toEqual([jobs]);
  });

  test("has pages", async () => {
    for (let value = 1; value <= 5; value++)
      await push({ "@timestamp": OLD_MS, metric_name: "m", type: "gauge", value });
    const first = await list("?limit=2");
    expect(first.rejected.map(({ value }) => value)).toEqual([5, 4]);
    const second = await list(`?limit=2&before=${first.next}`);
    expect(second.rejected.map(({ value }) => value)).toEqual([3, 2]);
    const third = await list(`?limit=2&before=${second.next}`);
    expect([third.rejected.map(({ value }) => value), third.next]).toEqual([[1], undefined]);
  });

  const bad = (query: string, message: string) =>
    test(`rejects ${query}`, async () => {
      const response = await gateway.fetch(`/api/v1/rejected?${query}`);
      const { error } = (await response.json()) as { error: { message: string } };
      expect([response.status, error.message]).toEqual([400, expect.stringContaining(message)]);
    });
  bad("metrics=a", 'Query parameter "metrics" is unknown');
  bad("limit=1001", 'Query parameter limit is "1001"; expected at most 1000.');
  bad("limit=0", "at least 1");
  bad("before=x", 'Query parameter before is "x"; expected the id of a rejected sample.');
  bad("match[]=%7B", 'invalid parameter "match[]": 1:2: parse error');
  bad("from=2024-10-05&to=2024-10-04", "is after");
});

describe("a replay", () => {
  test("stores samples of every kind as they were sent, once, after the retention was raised", async () => {
    await push(
      { "@timestamp": OLD_MS, metric_name: "free", type: "gauge", value: -2.5, tags: { disk: "a" } },
      { "@timestamp": OLD_MS + 1, metric_name: "free", type: "gauge", value: "NaN", tags: { disk: "a" } },
      { "@timestamp": OLD_MS, metric_name: "ms", value: 12.5, tags: { op: "x", task_id: "t-1" } },
      { "@timestamp": OLD_MS, metric_name: "hits", type: "counter", value: 3 },
    );
    await gateway.fetch("/api/v1/push?extra_label=job=late", {
      method: "POST",
      body: JSON.stringify({ "@timestamp": OLD_MS, metric_name: "ms", value: 1 }),
    });
    expect(await act("replay")).toMatchObject({ selected: 5, accepted: 0, rejected: 5 });
    const [, metrics] = await gateway.send("GET /metrics?name[]=weir_samples_rejected_total");
    expect(metrics).toContain('weir_samples_rejected_total{cause="timestamp",protocol="events"} 5');
    expect((await list()).rejected).toHaveLength(5);
    await gateway.reopen("--retention-days=30");
    expect(await act("replay", "?dry_run=true")).toMatchObject({ selected: 5, accepted: 0, rejected: 0 });
    expect(await act("replay")).toEqual({
      selected: 5,
      accepted: 5,
      duplicates: 0,
      rejected: 0,
      notReplayable: 0,
      samples: Array.from({ length: 5 }, () => ({ id: expect.any(Number), result: "stored" })),
    });
    expect(await list()).toEqual({ rejected: [] });
    expect(await act("replay")).toMatchObject({ selected: 0, accepted: 0 });
    expect(
      await sql("SELECT metric, epoch_ms(ts), value, labels FROM samples ORDER BY metric, ts, value"),
    ).toEqual([
      ["free", OLD_MS, -2.5, { disk: "a" }],
      ["free", OLD_MS + 1, "NaN", { disk: "a" }],
      ["hits", OLD_MS, 3, {}],
      ["ms", OLD_MS, 1, { job: "late" }],
      ["ms", OLD_MS, 12.5, { op: "x" }],
    ]);
    expect(await sql("SELECT value, task_id FROM ms ORDER BY value")).toEqual([
      [1, null],
      [12.5, "t-1"],
    ]);
  });

  test("decodes an event again that exceeded a limit, with the time of its arrival and the labels of its push", async () => {
    await gateway.fetch("/api/v1/push?extra_label=job=late", {
      method: "POST",
      body: JSON.stringify({ metric_name: "ms", value: 7, tags: { task_id: "longer than 8 bytes" } }),
    });
    gateway.nowMs += 3_600_000;
    expect(await act("replay")).toMatchObject({
      rejected: 1,
      samples: [{ result: "rejected", reason: expect.stringContaining("at most 8 are accepted") }],
    });
    await gateway.reopen();
    expect(await act("replay")).toMatchObject({ selected: 1, accepted: 1 });
    expect(await sql("SELECT epoch_ms(ts), value, task_id, job FROM ms")).toEqual([
      [NOON_MS, 7, "longer than 8 bytes", "late"],
    ]);
  });

  test("reports per sample what cannot be replayed or is rejected again, and leaves it", async () => {
    await push({ metric_name: "m", value: "seven" });
    await push({ metric_name: "long", value: 1, tags: { a: "x".repeat(9_000) } });
    await gateway.send("POST /write", "cpu value=nonsense");
    await gateway.reopen();
    const result = await act("replay");
    expect(result).toMatchObject({ selected: 3, accepted: 0, rejected: 1, notReplayable: 2 });
    expect(result.samples).toEqual([
      { id: expect.any(Number), result: "not_replayable", reason: expect.any(String) },
      { id: expect.any(Number), result: "not_replayable", reason: expect.any(String) },
      { id: expect.any(Number), result: "rejected", reason: expect.stringContaining("seven") },
    ]);
    const { rejected } = await list();
    expect(rejected.map(({ replayable, protocol }) => [replayable, protocol])).toEqual([
      [false, "influx"],
      [true, "events"],
      [true, "events"],
    ]);
  });

  // A worker that is bound to its tenant must not write another's series by way of an administrator's replay.
  test("does not store an event that contradicts the labels of its push", async () => {
    await gateway.fetch("/api/v1/push?extra_label=tenant=a", {
      method: "POST",
      body: JSON.stringify({
        metric_name: "ms",
        value: 7,
        tags: { tenant: "b", task_id: "longer than 8 bytes" },
      }),
    });
    await gateway.reopen();
    expect(await act("replay")).toMatchObject({
      rejected: 1,
      samples: [{ reason: 'tenant is "b", but its push had the label tenant="a"' }],
    });
  });

  test("counts a sample that is stored meanwhile as a duplicate, and removes it", async () => {
    const event = { "@timestamp": OLD_MS, metric_name: "free", type: "gauge", value: 4 };
    await push(event);
    await gateway.reopen("--retention-days=30");
    await push(event);
    expect(await act("replay")).toMatchObject({ accepted: 0, duplicates: 1, rejected: 0 });
    expect((await list()).rejected).toEqual([]);
  });

  test("stores another value of a gauge after the stored one was deleted", async () => {
    const event = { "@timestamp": NOON_MS - 1_000, metric_name: "free", type: "gauge", tags: { disk: "a" } };
    await push({ ...event, value: 4 });
    await push({ ...event, value: 5 });
    expect(await act("replay")).toMatchObject({ rejected: 1 });
    const [{ series_id: id }] = (await gateway.query("SELECT series_id FROM series")) as [
      { series_id: number },
    ];
    await gateway.gateway.ingest.deleteSamples({
      seriesIds: [id],
      fromUs: (NOON_MS - 2_000) * 1_000,
      toUs: NOON_MS * 1_000,
    });
    expect(await act("replay")).toMatchObject({ accepted: 1, rejected: 0 });
    expect(await gateway.query("SELECT value, labels FROM weir.samples_20241004, series")).toMatchObject([
      { value: 5, labels: { disk: "a" } },
    ]);
  });

  test("two at a time store nothing twice", async () => {
    for (let value = 1; value <= 50; value++) await push({ "@timestamp": OLD_MS, metric_name: "ms", value });
    await gateway.reopen("--retention-days=30");
    const results = await Promise.all(Array.from({ length: 4 }, () => act("replay")));
    expect(results.map(({ accepted }) => accepted)).toEqual([50, 0, 0, 0]);
    expect(await gateway.query("SELECT count(*)::INT AS n FROM weir.samples_20240924")).toEqual([{ n: 50 }]);
  });

  test("is no push of the worker", async () => {
    await push({ "@timestamp": OLD_MS, metric_name: "ms", value: 1, tags: { job: "w", instance: "i" } });
    await gateway.reopen("--retention-days=30");
    await act("replay");
    const [, text] = await gateway.send("GET /metrics?name[]=weir_last_push_timestamp_seconds");
    expect(text).not.toContain('job="w"');
  });
});

test("clear deletes what is selected, and only that", async () => {
  await push({ "@timestamp": OLD_MS, metric_name: "a", value: 1 });
  await push({ "@timestamp": OLD_MS, metric_name: "b", value: 1 });
  expect(await act("clear", "?metric=a&dry_run=true")).toEqual({ selected: 1, deleted: 0 });
  expect(await act("clear", "?metric=a")).toEqual({ selected: 1, deleted: 1 });
  expect((await list()).rejected.map(({ metric }) => metric)).toEqual(["b"]);
});

describe("the table", () => {
  test("keeps the newest rows within its bounds", async () => {
    await gateway.reopen("--rejected-max=3", "--rejected-bytes-max=10MiB");
    for (let value = 1; value <= 6; value++) await push({ "@timestamp": OLD_MS, metric_name: "m", value });
    await gateway.gateway.ingest.prune();
    expect((await list()).rejected.map(({ value }) => value)).toEqual([6, 5, 4]);
  });

  test("keeps no more bytes than it may", async () => {
    await gateway.reopen("--rejected-bytes-max=2KiB");
    for (let value = 1; value <= 30; value++) await push({ "@timestamp": OLD_MS, metric_name: "m", value });
    await gateway.gateway.ingest.prune();
    const values = (await list()).rejected.map(({ value }) => value as number);
    expect(values[0]).toBe(30);
    expect(values.length).toBeGreaterThan(1);
    expect(values.length).toBeLessThan(10);
  });

  test("drops rows that are older than the retention", async () => {
    await push({ metric_name: "m", value: "x" });
    gateway.nowMs += 4 * DAY_MS;
    await gateway.gateway.ingest.prune();
    expect((await list()).rejected).toEqual([]);
  });
});

describe("a sample that was mended", () => {
  const replayAs = async (id: unknown, event: unknown, more: Record<string, string> = {}) => {
    const response = await gateway.fetch("/api/v1/rejected/replay", {
      method: "POST",
      body: new URLSearchParams({ id: String(id), event: JSON.stringify(event), ...more }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const first = async () => (await list()).rejected[0]!;

  test("is stored in the place of what was sent, with the labels that its push added", async () => {
    const event = { metric_name: "jobs.done", value: "seven", tags: { kind: "a" } };
    await gateway.fetch("/api/v1/push?extra_label=job=ci", { method: "POST", body: JSON.stringify(event) });
    const { id } = await first();
    const { body } = await replayAs(id, { ...event, value: 7 });
    expect(body).toMatchObject({ selected: 1, accepted: 1, samples: [{ id, result: "stored" }] });
    expect(await sql("SELECT value, kind, job FROM jobs_done")).toEqual([[7, "a", "ci"]]);
    expect((await list()).rejected).toEqual([]);
    // It is gone, so that a repetition stores nothing.
    expect((await replayAs(id, { ...event, value: 7 })).body).toMatchObject({ selected: 0, samples: [] });
    expect(await sql("SELECT count(*) FROM jobs_done")).toEqual([[1]]);
  });

  test("keeps its kind, its unit and its attributes if only its time is mended", async () => {
    const tags = { disk: "sda", task_id: "t1" };
    const sent = { "@timestamp": OLD_MS, metric_name: "disk.left", value: 2.5, unit: "bytes", tags };
    await push(sent);
    await push({ ...sent, metric_name: "hits", type: "counter", tags: {} });
    for (const { id, event } of (await list()).rejected) {
      const mended = { ...JSON.parse(event as string), "@timestamp": NOON_MS };
      expect((await replayAs(id, mended)).body).toMatchObject({ accepted: 1 });
    }
    expect(await sql("SELECT value, disk, task_id, ts FROM disk_left")).toEqual([
      [2.5, "sda", "t1", "2024-10-04 12:00:00"],
    ]);
    const metrics = await sql("SELECT metric, kind, unit FROM metrics ORDER BY metric");
    expect(metrics).toEqual([
      ["disk.left", "observation", "bytes"],
      ["hits", "delta", "bytes"],
    ]);
  });

  test("stays as it was if the event is rejected, too", async () => {
    await push({ metric_name: "jobs.done", value: "seven" });
    const before = await first();
    const { body } = await replayAs(before.id, { metric_name: "jobs.done", value: "eight" });
    expect(body).toMatchObject({
      accepted: 0,
      rejected: 1,
      samples: [{ result: "rejected", reason: expect.stringContaining("eight") }],
    });
    const broken = await gateway.fetch("/api/v1/rejected/replay", {
      method: "POST",
      body: new URLSearchParams({ id: String(before.id), event: "{" }),
    });
    expect(await broken.json()).toMatchObject({ rejected: 1, accepted: 0 });
    expect(await first()).toEqual(before);
  });

  test.each<[string, string]>([
    ["event={}", "event replaces one sample; expected one id with it."],
    ["event={}&id=1&id=2", "event replaces one sample; expected one id with it."],
    ["event={}&id=1&metric=a", 'Query parameter "metric" is unknown; expected id, event.'],
    ["event={}&id=x", 'Query parameter id is "x"; expected the id of a rejected sample.'],
  ])("needs one id and no other filter: %s", async (query, message) => {
    const response = await gateway.fetch(`/api/v1/rejected/replay?${query}`, { method: "POST" });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: { message: string } }).error.message).toBe(message);
  });
});
