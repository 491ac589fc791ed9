/** Groups in PromQL: each value is repeated until it is replaced, deleted or expired, as if it were scraped. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { NOON_MS } from "../../../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../../remote-write/decoded.ts";
import { encodeV1 } from "../../remote-write/messages.ts";
import { type GroupsGateway, openGroupsGateway } from "../groups-gateway.ts";

const HOUR = 3_600;
const DAY = 24 * HOUR;

let gateway: GroupsGateway;
beforeEach(async () => {
  gateway = await openGroupsGateway();
});
afterEach(async () => {
  await gateway.close();
});

/** Sets the clock to this many seconds after noon. */
const at = (seconds: number) => {
  gateway.nowMs = NOON_MS + seconds * 1_000;
};
const push = (path: string, body: string, method = "PUT") =>
  gateway.ok(`${method} /metrics/job/${path}`, `${body}\n`);

interface Result {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: [number, string][];
}

async function ask(path: string, parameters: Record<string, string | number>): Promise<Result[]> {
  const [status, text] = await gateway.send(
    `GET /api/v1/${path}?${new URLSearchParams(parameters as Record<string, string>)}`,
  );
  if (status !== 200) throw new Error(text);
  return (JSON.parse(text) as { data: { result: Result[] } }).data.result;
}
/** Values of an instant query this many seconds after noon, or now. */
async function instant(query: string, seconds = (gateway.nowMs - NOON_MS) / 1_000): Promise<number[]> {
  const result = await ask("query", { query, time: NOON_MS / 1_000 + seconds });
  return result.map(({ value }) => Number(value![1]));
}
/** Seconds after noon and values of one series. */
async function range(query: string, from: number, to: number, step: number): Promise<[number, number][]> {
  const base = NOON_MS / 1_000;
  const result = await ask("query_range", { query, start: base + from, end: base + to, step });
  expect(result.length).toBeLessThanOrEqual(1);
  return (result[0]?.values ?? []).map(([time, value]) => [time - base, Number(value)]);
}

test("returns a value while its group exists, with every kind of query", async () => {
  await push("a", "m 3");
  at(10 * HOUR);
  expect(await instant("m")).toEqual([3]);
  expect(await instant("m", 5 * HOUR)).toEqual([3]);
  expect(await instant("m", -1)).toEqual([]);
  expect(await instant("m offset 5h")).toEqual([3]);
  expect(await instant("m offset 11h")).toEqual([]);
  expect(await instant(`m @ ${NOON_MS / 1_000 + HOUR}`)).toEqual([3]);
  expect(await instant("max_over_time(m[1h:10m])", 3 * HOUR)).toEqual([3]);
  expect(await instant("count_over_time((m > 2)[1h:10m])", 3 * HOUR)).toEqual([6]);
  expect(await instant("sum(sum_over_time(m[1m]))")).toEqual([12]);
  expect(await instant("min_over_time(m[9h])")).toEqual([3]);
  expect(await instant("present_over_time(m[1m])")).toEqual([1]);
  expect(await instant("absent(m)")).toEqual([]);
  expect(await instant("time() - push_time_seconds")).toEqual([10 * HOUR]);
});

test("returns it at each step of a range, from its push until now", async () => {
  at(100);
  await push("a", "m 3");
  at(HOUR);
  const values = await range("m", 0, 2 * HOUR, 60);
  // A query looks back five minutes for a scrape.
  expect(values).toEqual(
    Array.from({ length: 200 }, (_, index): [number, number] => [index * 60, 3]).filter(
      ([time]) => time >= 100 && time < HOUR + 300,
    ),
  );
  expect(await range("m", 2 * HOUR, 3 * HOUR, 60)).toEqual([]);
});

test("keeps a group's counter flat between pushes, with the rate that scrapes would give", async () => {
  await push("a", "# TYPE c_total counter\nc_total 5");
  at(HOUR);
  await push("a", "# TYPE c_total counter\nc_total 9");
  at(2 * HOUR);
  // It was 5 before the hour, so the increase is only in the window with the push.
  expect(await instant("increase(c_total[5m])", HOUR - 60)).toEqual([0]);
  const [increase] = await instant("increase(c_total[10m])", HOUR + 300);
  // The window has 40 samples, 585 s from first to last.
  expect(increase).toBeCloseTo((4 * 600) / 585, 9);
  expect(await instant("rate(c_total[5m])", HOUR + 600)).toEqual([0]);
  expect(await instant("resets(c_total[2h])")).toEqual([0]);
  expect(await instant("changes(c_total[2h])")).toEqual([1]);
});

test("gives a counter that is pushed as often as scrapes, or half as often, the rate of its pushes", async () => {
  // Pushes are between the instants of the grid. Both together would look like samples twice as close, and a
  // rate would not extrapolate to the ends of its window.
  const pushers: readonly (readonly [name: string, everySeconds: number, offsetSeconds: number])[] = [
    ["late", 15, 1],
    ["early", 15, 14],
    ["between", 15, 7.5],
    ["drifting", 15.25, 3],
    ["slower", 20, 12],
    ["half", 30, 1],
    ["half_late", 30, 12.5],
    ["faster", 5, 2],
  ];
  const pushes = pushers.flatMap(([name, every, offset]) =>
    Array.from({ length: Math.floor((600 - offset) / every) + 1 }, (_, count) => ({
      name,
      second: offset + count * every,
    })),
  );
  for (const { name, second } of pushes.sort((a, b) => a.second - b.second)) {
    at(second);
    // It increases by one per second.
    await push(name, `# TYPE ${name}_total counter\n${name}_total ${1_000 + second}`);
  }
  at(600);
  for (const [name] of pushers) {
    for (const window of ["1m", "2m", "5m"]) {
      const [rate] = await instant(`rate(${name}_total[${window}])`);
      expect([name, window, rate]).toEqual([name, window, expect.closeTo(1, 6)]);
    }
  }
  // After the last push the value is repeated: 20 instants in 5 minutes.
  at(1_200);
  expect(await instant("count_over_time(early_total[5m])")).toEqual([20]);
  expect(await instant("rate(early_total[5m])")).toEqual([0]);
});

test("does not return a sample with a future timestamp before that time", async () => {
  await push("a", "m 1");
  at(HOUR);
  const path = "/metrics/job/a?honor_timestamps=true";
  await gateway.ok(`POST ${path}`, `m 2 ${NOON_MS + HOUR * 1_000 + 300_000}\n`);
  expect(await range("m", HOUR - 60, HOUR + 600, 60)).toEqual([
    [HOUR - 60, 1],
    [HOUR, 1],
    [HOUR + 60, 1],
    [HOUR + 120, 1],
    [HOUR + 180, 1],
    [HOUR + 240, 1],
    [HOUR + 300, 2],
    [HOUR + 360, 2],
    [HOUR + 420, 2],
    [HOUR + 480, 2],
    [HOUR + 540, 2],
  ]);
  expect(await instant("count_over_time(m[15m])", HOUR + 250)).toEqual([44]);
});

test("ends a value that is replaced, deleted or expired at once, and returns it after a new push", async () => {
  await push("a", "m 1\nn 2");
  await gateway.ok("PUT /metrics/job/b?ttl=20m", "m 5\n");
  at(600);
  await push("a", "n 3");
  expect(await instant("m")).toEqual([5]);
  expect(await instant("n")).toEqual([3]);
  at(1_300);
  await gateway.runServices();
  expect(await instant("m")).toEqual([]);
  at(1_400);
  await gateway.send("DELETE /metrics/job/a");
  at(1_401);
  expect(await instant('{job=~".+"}')).toEqual([]);
  at(5_000);
  await push("a", "m 7");
  at(9_000);
  expect(await instant("m")).toEqual([7]);
  expect(await range("m", 4_900, 5_100, 50)).toEqual([
    [5_000, 7],
    [5_050, 7],
    [5_100, 7],
  ]);
});

test("keeps repeated values in history after the group is deleted", async () => {
  await push("a", "m 1\nn 1");
  await gateway.ok("PUT /metrics/job/b?ttl=2h", "short 5\n");
  at(HOUR);
  await push("a", "m 2");
  at(2 * HOUR);
  const before = await range("m", -60, 2 * HOUR, 60);
  const replaced = await range("n", -60, 2 * HOUR, 60);
  expect(before.length).toBe(121);
  expect(replaced.length).toBe(60);
  await gateway.send("DELETE /metrics/job/a");
  at(2 * HOUR + 1);
  await gateway.runServices();
  at(2 * DAY);
  for (let time = 0; time < 2; time++) {
    expect(await range("m", -60, 3 * HOUR, 60)).toEqual(before.filter(([seconds]) => seconds < 2 * HOUR));
    expect(await range("n", -60, 3 * HOUR, 60)).toEqual(replaced);
    // It ended when its time to live was over.
    expect((await range("short", -60, 3 * HOUR, 60)).length).toBe(120);
    // Also for queries up to a time before the end.
    expect(await instant("m", HOUR - 60)).toEqual([1]);
    expect(await instant("avg_over_time(m[10m])", 1.5 * HOUR)).toEqual([2]);
    expect(await instant("min_over_time(m[3h])", 3 * HOUR)).toEqual([1]);
    expect(await instant("m", 2 * HOUR + 1)).toEqual([]);
    expect(await instant('{job=~".+"}')).toEqual([]);
    // It is not listed a day after it ended.
    const [, series] = await gateway.send(
      `GET /api/v1/series?match[]=${encodeURIComponent('{job="a"}')}&start=${NOON_MS / 1_000 + 1.5 * DAY}`,
    );
    expect(series).toContain('"data":[]');
    await gateway.reopen();
  }
});

test("does not repeat the last sample of a series that was received by remote_write and ended", async () => {
  const labels = { __name__: "scraped", job: "x" };
  const samples = [
    { value: 1, timestamp: NOON_MS },
    { value: STALE_STAND_IN, timestamp: NOON_MS + HOUR * 1_000 },
  ];
  at(HOUR);
  const body = new Uint8Array(snappyjs.compress(withStaleMarkers(encodeV1([{ labels, samples }]))));
  const request = new Request("http://localhost/api/v1/write", { method: "POST", body });
  expect((await gateway.app.fetch(request)).status).toBe(204);
  expect(await instant("scraped", 60)).toEqual([1]);
  expect(await instant("scraped", HOUR / 2)).toEqual([]);
});

test("keeps a value after its row was dropped, and after a restart", async () => {
  await push("a", "m 3");
  at(4 * DAY);
  await push("b", "other 1");
  at(4.5 * DAY);
  expect(await instant("m")).toEqual([3]);
  await gateway.reopen();
  expect(await instant("m")).toEqual([3]);
  at(5 * DAY);
  await gateway.gateway.ingest.prune();
  expect(gateway.gateway.store.days().length).toBe(1);
  for (let time = 0; time < 2; time++) {
    expect(await gateway.exposed()).toContain('m{job="a"} 3');
    expect(await instant("m")).toEqual([3]);
    expect(await instant("time() - push_time_seconds{job='a'}")).toEqual([5 * DAY]);
    expect(await instant("m", 4 * DAY)).toEqual([3]);
    const matching = await gateway.send(
      `GET /api/v1/series?match[]=m&start=${NOON_MS / 1_000 + 5 * DAY - HOUR}`,
    );
    expect(matching[1]).toContain('"job":"a"');
    await gateway.reopen();
  }
});

test("returns the value to a Prometheus that federates", async () => {
  await push("a", "m 3");
  at(HOUR);
  const [status, text] = await gateway.send(`GET /federate?match[]=${encodeURIComponent('{job="a"}')}`);
  expect(status).toBe(200);
  expect(text).toContain('m{instance="",job="a"} 3');
});

test("stores samples of a group's series from other protocols as history, and exposes the pushed value", async () => {
  const write = async (value: number) => {
    const timestamp = gateway.nowMs;
    const message = encodeV1([
      { labels: { __name__: "m", job: "a" }, samples: [{ value, timestamp }] },
      { labels: { __name__: "c", job: "a" }, samples: [{ value, timestamp }] },
    ]);
    const request = new Request("http://localhost/api/v1/write", {
      method: "POST",
      body: new Uint8Array(snappyjs.compress(withStaleMarkers(message))),
      headers: { "content-encoding": "snappy", "content-type": "application/x-protobuf" },
    });
    expect((await gateway.app.fetch(request)).status).toBe(204);
  };
  const add = () => push("a?mode=sum", "# TYPE c counter\nc 5", "POST");
  await push("a", "# TYPE m gauge\nm 3");
  await add();
  // As from a Prometheus that scrapes this gateway and writes to it, and failed to scrape once.
  at(15);
  await write(99);
  at(30);
  await write(STALE_STAND_IN);
  const shown = ['c{job="a"} 5', 'm{job="a"} 3'];
  expect(await gateway.exposed()).toEqual(shown);
  expect((await gateway.send("GET /api/v1/metrics"))[1]).toContain('"value":"3"');
  at(HOUR);
  expect(await instant("m")).toEqual([3]);
  await gateway.reopen();
  expect(await gateway.exposed()).toEqual(shown);
  expect(await instant("m")).toEqual([3]);
  const event = JSON.stringify({ name: "m", type: "gauge", value: 7, tags: { job: "a" } });
  expect(await gateway.send("POST /api/v1/push", event)).toEqual([
    200,
    expect.stringContaining('"accepted":1'),
  ]);
  await add();
  expect(await gateway.exposed()).toEqual(['c{job="a"} 10', 'm{job="a"} 3']);
  expect((await gateway.history("m")).map(([, , value]) => value)).toEqual([3, 99, null, 7]);
});

test("lists metadata by family, not by its parts", async () => {
  const body =
    '# HELP h Took.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n' +
    "# TYPE s summary\ns_sum 1\ns_count 1\n# TYPE x_count gauge\nx_count 3\n" +
    '# TYPE leaky_bucket summary\nleaky_bucket{quantile="0.5"} 1\nleaky_bucket_sum 1\nleaky_bucket_count 1';
  await push("a", body);
  const [, text] = await gateway.send("GET /api/v1/metadata");
  const { data } = JSON.parse(text) as { data: Record<string, unknown> };
  expect(data).toMatchObject({
    h: [{ type: "histogram", help: "Took.", unit: "" }],
    s: [{ type: "summary", help: "", unit: "" }],
    x_count: [{ type: "gauge", help: "", unit: "" }],
  });
  expect(Object.keys(data).sort()).toEqual([
    "h",
    "leaky_bucket",
    "push_failure_time_seconds",
    "push_time_seconds",
    "s",
    "x_count",
  ]);
  const [, one] = await gateway.send("GET /api/v1/metadata?metric=h");
  expect(Object.keys((JSON.parse(one) as { data: object }).data)).toEqual(["h"]);
});
