/** Groups over time: what is stored of them, what they outlive, and the options of pushes. */
import { afterEach, describe, expect, test } from "bun:test";
import { createCounters } from "../../../../src/model/counters.ts";
import { Groups } from "../../../../src/receive/pushgateway/groups/groups.ts";
import { NOON_MS } from "../../../gateway.ts";
import { type GroupsGateway, openGroupsGateway } from "../groups-gateway.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let open: GroupsGateway | undefined;
async function gateway(...settings: string[]): Promise<GroupsGateway> {
  open = await openGroupsGateway(...settings);
  return open;
}
afterEach(async () => {
  await open?.close();
  open = undefined;
});

test("the lists of groups and of the status are JSON that ends with a newline, as every JSON answer", async () => {
  const weir = await gateway();
  for (const groups of [0, 1]) {
    for (const path of ["/api/v1/metrics", "/api/v1/status"]) {
      const answer = await weir.fetch(path);
      const text = await answer.text();
      expect([path, text]).toEqual([path, expect.stringMatching(/\}\n$/)]);
      expect(JSON.parse(text).status).toBe("success");
      if (path === "/api/v1/metrics") expect(JSON.parse(text).data).toHaveLength(groups);
    }
    await weir.ok("PUT /metrics/job/a", "m 1\n");
  }
});

test("lists each group with its last push, its last failure, its expiry and its size", async () => {
  const weir = await gateway();
  const listed = async (query = "") => JSON.parse((await weir.send(`GET /api/v1/groups${query}`))[1]);
  expect(await listed()).toEqual({ total: 0, groups: [] });
  await weir.ok("PUT /metrics/job/a/instance/x?ttl=36h", 'm{p="1"} 1\nm{p="2"} 2\nn 3\n');
  weir.nowMs += 1_000;
  await weir.ok("PUT /metrics/job/b", "m 1\n");
  weir.nowMs += 60_000;
  expect((await weir.send("PUT /metrics/job/b", "# TYPE m gauge\nm 2\n"))[0]).toBe(400);
  const at = (ms: number) => `${new Date(NOON_MS + ms).toISOString().slice(0, -1)}000Z`;
  const a = {
    labels: { instance: "x", job: "a" },
    pushedAt: at(0),
    failedAt: null,
    expiresAt: at(36 * HOUR_MS),
    metrics: 2,
    series: 3,
  };
  expect(await listed()).toEqual({
    total: 2,
    groups: [
      a,
      {
        labels: { job: "b" },
        pushedAt: at(1_000),
        failedAt: at(61_000),
        expiresAt: null,
        metrics: 1,
        series: 1,
      },
    ],
  });
  expect(await listed("?limit=1")).toEqual({ total: 2, groups: [a] });
  expect((await weir.send("GET /api/v1/groups?limit=10001"))[0]).toBe(400);
});

describe("push as history", () => {
  test("stores each push at its time, and ends a removed series with a stale marker", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", 'm{x="1"} 1\nm{x="2"} 2\n');
    weir.nowMs += 60_000;
    await weir.ok("PUT /metrics/job/a", 'm{x="2"} 3\n');
    weir.nowMs += 60_000;
    await weir.ok("DELETE /metrics/job/a");
    expect(await weir.history("m")).toEqual([
      [0, { job: "a", x: "1" }, 1],
      [0, { job: "a", x: "2" }, 2],
      [60, { job: "a", x: "1" }, null],
      [60, { job: "a", x: "2" }, 3],
      [120, { job: "a", x: "2" }, null],
    ]);
    expect(await weir.history("push_time_seconds")).toEqual([
      [0, { job: "a" }, NOON_MS / 1_000],
      [60, { job: "a" }, NOON_MS / 1_000 + 60],
      [120, { job: "a" }, null],
    ]);
    expect(await weir.history("push_failure_time_seconds")).toEqual([
      [0, { job: "a" }, 0],
      [120, { job: "a" }, null],
    ]);
  });

  test("ends only the series that a POST replaces", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", 'm{x="1"} 1\nn 1\n');
    weir.nowMs += 1_000;
    await weir.ok("POST /metrics/job/a", 'm{x="2"} 2\n');
    expect(await weir.history("m")).toEqual([
      [0, { job: "a", x: "1" }, 1],
      [1, { job: "a", x: "1" }, null],
      [1, { job: "a", x: "2" }, 2],
    ]);
    expect(await weir.history("n")).toEqual([[0, { job: "a" }, 1]]);
  });

  test("stores histograms and summaries as series, with bounds as OpenMetrics floats", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", '# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 3\nh_count 2\n');
    expect(await weir.history("h_bucket")).toEqual([
      [0, { job: "a", le: "+Inf" }, 2],
      [0, { job: "a", le: "1.0" }, 1],
    ]);
    expect(await weir.history("h_count")).toEqual([[0, { job: "a" }, 2]]);
  });

  test("stores pushes of one millisecond one after another", async () => {
    const weir = await gateway();
    await Promise.all([1, 2, 3, 4, 5].map((value) => weir.ok("PUT /metrics/job/a", `m ${value}\n`)));
    expect((await weir.history("m")).map(([at, , value]) => [Math.round(at * 1e6), value])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
    ]);
    expect(await weir.exposed()).toEqual(['m{job="a"} 5']);
  });

  test("keeps the newest push exposed when the clock is set back", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", "m 1\n");
    weir.nowMs -= 2 * HOUR_MS;
    await weir.ok("PUT /metrics/job/a", "m 2\n");
    expect(await weir.exposed()).toEqual(['m{job="a"} 2']);
    await weir.reopen();
    expect(await weir.exposed()).toEqual(['m{job="a"} 2']);
    await weir.ok("PUT /metrics/job/a", "m 3\n");
    expect(await weir.exposed()).toEqual(['m{job="a"} 3']);
    expect(weir.takeLog()).toEqual([]);
  });
});

describe("group", () => {
  test("stays on /metrics longer than other gauges", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", "# TYPE m gauge\nm 1\n# TYPE c counter\nc 2\n");
    weir.nowMs += 2 * HOUR_MS;
    expect(await weir.exposed()).toEqual(['c{job="a"} 2', 'm{job="a"} 1']);
  });

  test("survives a restart with its types, failures and consistency checks", async () => {
    const weir = await gateway();
    await weir.ok(
      "PUT /metrics/job/a/x/",
      '# HELP h hi\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 3\nh_count 2\n',
    );
    expect((await weir.send("PUT /metrics/job/a/x/", "m 1 1\n"))[0]).toBe(400);
    const [before, listed] = [await weir.exposed(true), await weir.send("GET /api/v1/metrics")];
    await weir.reopen();
    expect(await weir.exposed(true)).toEqual(before);
    expect(await weir.send("GET /api/v1/metrics")).toEqual(listed);
    expect(await weir.send("PUT /metrics/job/b", "h 1\n")).toEqual([
      400,
      'pushed metrics are invalid or inconsistent with existing metrics: collected metric "h" { ' +
        'label:<name:"instance" value:"" > label:<name:"job" value:"b" > untyped:<value:1 > } is not a HISTOGRAM',
    ]);
    expect((await weir.send("GET /metrics"))[1]).toContain("# HELP h hi\n# TYPE h histogram\n");
  });

  test("stays past retention, and gets a stale marker on the day of its deletion", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", "m 1\n");
    await weir.ok("PUT /metrics/job/b", "m 2\n");
    await weir.ok("DELETE /metrics/job/b");
    weir.nowMs += 10 * DAY_MS;
    await weir.gateway.ingest.prune();
    expect(await weir.query("SELECT count(*)::INTEGER AS n FROM weir.series WHERE metric = 'm'")).toEqual([
      { n: 1 },
    ]);
    await weir.reopen();
    expect(await weir.exposed(true)).toEqual([
      'm{job="a"} 1',
      'push_failure_time_seconds{job="a"} 0',
      `push_time_seconds{job="a"} ${NOON_MS / 1_000}`,
    ]);
    await weir.ok("DELETE /metrics/job/a");
    expect(await weir.exposed(true)).toEqual([]);
    expect(await weir.history("m")).toEqual([[864_000, { job: "a" }, null]]);
  });

  test("is exposed with gauges of the same name that are in no group", async () => {
    const weir = await gateway();
    const event = (name: string) =>
      JSON.stringify({ metric_name: name, type: "gauge", value: 7, tags: { job: "events" } });
    expect((await weir.send("POST /api/v1/push", event("m")))[0]).toBe(200);
    await weir.ok("PUT /metrics/job/a", "# TYPE m gauge\nm 1\n");
    expect(await weir.exposed()).toEqual(['m{job="a"} 1', 'm{job="events"} 7']);
    const [status, text] = await weir.send("PUT /metrics/job/a", "# TYPE m counter\nm 1\n");
    expect([status, text]).toEqual([400, expect.stringContaining("is not a GAUGE")]);
    // When the event's gauge has expired, only the group has the name.
    weir.nowMs += HOUR_MS;
    await weir.ok("PUT /metrics/job/a", "# TYPE m counter\nm 2\n");
    expect(await weir.exposed()).toEqual(['m{job="a"} 2']);
    expect((await weir.send("GET /metrics"))[1]).toContain("# TYPE m counter\n");
  });

  test("cannot use names of the gateway's own metrics", async () => {
    const weir = await gateway();
    const [status, text] = await weir.send("PUT /metrics/job/a", "weir_commit_duration_seconds 1\n");
    expect([status, text]).toEqual([
      400,
      expect.stringContaining("has type UNTYPED but should have HISTOGRAM"),
    ]);
  });

  test("rejects a name that a metric of events has, because no exposition could have both", async () => {
    const weir = await gateway();
    expect((await weir.send("POST /api/v1/push", '{"metric_name": "d", "value": 1}'))[0]).toBe(200);
    for (const body of ["d 1\n", '# TYPE d histogram\nd_bucket{le="+Inf"} 1\n', "d_sum 1\n"]) {
      const [status, text] = await weir.send("PUT /metrics/job/a", body);
      expect([status, text]).toEqual([400, expect.stringContaining("cannot be stored: metric ")]);
    }
  });
});

test("rejects names and labels in Pushgateway's words, without those of events", async () => {
  const weir = await gateway();
  const many = Array.from({ length: 64 }, (_, n) => `l${n}="x"`).join(",");
  for (const [body, reason] of [
    [`m{${many}} 1\n`, "the sample has 65 labels, at most 64 are accepted (tagsMax)"],
    [
      `m{a="${"x".repeat(5_000)}"} 1\n`,
      'the value of label "a" is 5000 bytes long, at most 4096 are accepted',
    ],
    [`m{${"l".repeat(256)}="x"} 1\n`, `label "${"l".repeat(119)}… is longer than 255 bytes (nameBytesMax)`],
    [`${"m".repeat(256)} 1\n`, `metric name "${"m".repeat(119)}… is longer than 255 bytes (nameBytesMax)`],
  ] as const) {
    const [status, text] = await weir.send("PUT /metrics/job/a", body);
    expect([status, text]).toEqual([400, expect.stringContaining(`cannot be stored: ${reason}`)]);
  }
});

test("rejects a histogram in a group with a label le, because its buckets would have it twice", async () => {
  const weir = await gateway();
  const histogram = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 3\nh_count 2\n';
  const [status, text] = await weir.send("PUT /metrics/job/a/le/1", histogram);
  expect([status, text]).toEqual([400, expect.stringContaining('must not have an explicit "le" label')]);
  await weir.ok("PUT /metrics/job/a/le/1", "m 1\n");
  expect(await weir.exposed()).toEqual(['m{job="a",le="1"} 1']);
});

test("accepts le and quantile as ordinary labels outside distributions, before and after a restart", async () => {
  const weir = await gateway();
  await weir.ok("PUT /metrics/job/a", '# TYPE g gauge\ng{le="1"} 1\ng{le="1.0"} 2\nu{quantile="5e-1"} 3\n');
  await weir.ok("PUT /metrics/job/b/le/1", "# TYPE c counter\nc 4\nu 5\n");
  const exposed = [
    'c{job="b",le="1"} 4',
    'g{job="a",le="1"} 1',
    'g{job="a",le="1.0"} 2',
    'u{job="a",quantile="5e-1"} 3',
    'u{job="b",le="1"} 5',
  ];
  expect(await weir.exposed()).toEqual(exposed);
  await weir.reopen();
  expect(await weir.exposed()).toEqual(exposed);
  // They are the same series, so no new history begins.
  await weir.ok("PUT /metrics/job/b/le/1", "# TYPE c counter\nc 6\nu 5\n");
  expect(await weir.history("c")).toEqual([
    [0.000001, { job: "b", le: "1" }, 4],
    [0.000002, { job: "b", le: "1" }, 6],
  ]);
});

test("lists each group once, also one that changes while groups are listed", async () => {
  const weir = await gateway();
  const { registry, totals } = weir.gateway;
  const groups = new Groups(
    {
      series: registry,
      totals,
      ownMetricType: () => undefined,
      isReturnedExposed: false,
      counters: createCounters(),
    },
    { groupsMax: 10, groupTtlMs: 0, groupSumGauges: "last" },
  );
  const times = {
    nowUs: NOON_MS * 1_000,
    firstUs: 0,
    lastUs: Number.POSITIVE_INFINITY,
    newestUs: () => Number.NEGATIVE_INFINITY,
  };
  const push = async (job: string, name: string) => {
    const family = { name, type: "gauge" as const, help: "", unit: "" };
    const families = [{ ...family, metrics: [{ labels: new Map<string, string>(), value: 1 }] }];
    await groups.push({ labels: new Map([["job", job]]), families, replace: true }, times);
    groups.committed();
  };
  for (const job of ["a", "b"]) await push(job, "m");
  const [json, sizes] = [groups.json(), groups.times(10)];
  // Both are at the first group.
  json.next();
  sizes.next();
  await push("a", "n");
  const ended = <Result>(task: Generator<void, Result>): Result => {
    for (;;) {
      const { done, value } = task.next();
      if (done === true) return value;
    }
  };
  expect(ended(json).map((text) => JSON.parse(text).labels.job)).toEqual(["a", "b"]);
  const listed = ended(sizes);
  expect([listed.total, listed.groups.length]).toEqual([2, 2]);
});

test("checks a large push again if other pushes registered series meanwhile", async () => {
  const weir = await gateway();
  const { registry, totals } = weir.gateway;
  const groups = new Groups(
    {
      series: registry,
      totals,
      ownMetricType: () => undefined,
      isReturnedExposed: false,
      counters: createCounters(),
    },
    { groupsMax: 10, groupTtlMs: 0, groupSumGauges: "last" },
  );
  const gauge = (name: string, length: number) => ({
    name,
    type: "gauge" as const,
    help: "",
    unit: "",
    metrics: Array.from({ length }, (_, at) => ({ labels: new Map([["x", String(at)]]), value: at })),
  });
  const times = {
    nowUs: NOON_MS * 1_000,
    firstUs: 0,
    lastUs: Number.POSITIVE_INFINITY,
    newestUs: () => Number.NEGATIVE_INFINITY,
  };
  const families = [gauge("f", 1), gauge("m", 1), gauge("g", 20_000)];
  const deciding = groups.push({ labels: new Map([["job", "a"]]), families, replace: true }, times);
  registry.admit({ metric: "m", kind: "observation", labels: new Map() });
  const { batch } = await deciding;
  expect(batch.rejected.map(({ reason }) => reason)).toEqual([
    expect.stringContaining('metric "m" is stored as observation, this sample is gauge'),
  ]);
  // The push was rejected as a whole, and nothing of it was registered.
  expect([registry.metric("f"), registry.metric("g")]).toEqual([undefined, undefined]);
});

describe("failed commit", () => {
  test("leaves the groups as they were, and the next push succeeds", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", "m 1\nn 1\n");
    // The next day's table cannot be created.
    await weir.query("CREATE TABLE weir.samples_20241005 (in_the_way INTEGER)");
    weir.nowMs += DAY_MS;
    const answers = await Promise.all([
      weir.send("PUT /metrics/job/a", "# TYPE m counter\nm 2\n"),
      weir.send("PUT /metrics/job/b", "n 3\n"),
      weir.send("DELETE /metrics/job/a"),
    ]);
    expect(answers.map(([status]) => status)).toEqual([503, 503, 503]);
    expect(weir.takeLog().join("")).toContain("pushes failed");
    expect(await weir.exposed()).toEqual(['m{job="a"} 1', 'n{job="a"} 1']);
    expect(await weir.send("GET /api/v1/metrics")).toEqual([200, expect.not.stringContaining('"job":"b"')]);
    await weir.query("DROP TABLE weir.samples_20241005");
    await weir.ok("PUT /metrics/job/b", "# TYPE n untyped\nn 4\n");
    await weir.ok("POST /metrics/job/a", "# TYPE m gauge\nm 5\n");
    expect(await weir.exposed()).toEqual(['m{job="a"} 5', 'n{job="a"} 1', 'n{job="b"} 4']);
    await weir.reopen();
    expect(await weir.exposed()).toEqual(['m{job="a"} 5', 'n{job="a"} 1', 'n{job="b"} 4']);
  });
});

describe("ttl", () => {
  const minutes = 60_000;

  test("expires a group after its last push, with stale markers", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a?ttl=10m", "m 1\n");
    await weir.ok("PUT /metrics/job/b", "m 2\n");
    weir.nowMs += 6 * minutes;
    await weir.ok("POST /metrics/job/a?ttl=10m", "");
    weir.nowMs += 6 * minutes;
    await weir.runServices();
    expect(await weir.exposed()).toEqual(['m{job="a"} 1', 'm{job="b"} 2']);
    weir.nowMs += 4 * minutes;
    await weir.reopen();
    await weir.runServices();
    expect(await weir.exposed(true)).toEqual(
      expect.not.arrayContaining([expect.stringContaining('job="a"')]),
    );
    expect(await weir.history("m")).toEqual([
      [0, { job: "a" }, 1],
      [0.000001, { job: "b" }, 2],
      [960, { job: "a" }, null],
    ]);
    await weir.reopen();
    expect(await weir.exposed()).toEqual(['m{job="b"} 2']);
  });

  test("is set by a setting, which a push overrides, and applies to groups with failures only", async () => {
    const weir = await gateway("--group-ttl=1m");
    await weir.ok("PUT /metrics/job/a", "m 1\n");
    await weir.ok("PUT /metrics/job/b?ttl=1h", "m 2\n");
    expect((await weir.send("PUT /metrics/job/c", "m 3 3\n"))[0]).toBe(400);
    weir.nowMs += 61_000;
    await weir.runServices();
    expect(await weir.exposed()).toEqual(['m{job="b"} 2']);
    expect((await weir.send("GET /api/v1/metrics"))[1]).not.toContain('"job":"c"');
  });

  test("keeps a group that gets a push before its expiry is decided", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a?ttl=10m", "m 1\n");
    weir.nowMs += 11 * minutes;
    await Promise.all([weir.ok("PUT /metrics/job/a?ttl=10m", "m 2\n"), weir.runServices()]);
    expect(await weir.exposed()).toEqual(['m{job="a"} 2']);
  });

  test("rejects an invalid ttl with a reason", async () => {
    const weir = await gateway();
    for (const ttl of ["", "10", "x", "-1s", "30m1h", "101y", "10ms", "99999d"]) {
      const [status, text] = await weir.send(`PUT /metrics/job/a?ttl=${ttl}`, "m 1\n");
      expect([status, text]).toEqual([
        400,
        expect.stringContaining(`Query parameter ttl is "${ttl}"; expected a duration`),
      ]);
    }
    await weir.ok("PUT /metrics/job/a?ttl=1h30m", "m 1\n");
  });
});

describe("honor_timestamps", () => {
  const at = (ms: number) => NOON_MS + ms;

  test("stores samples at their own times, and exposes the last one without a timestamp", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a?honor_timestamps=true", `m 1 ${at(-2 * HOUR_MS)}\nn 2\n`);
    await weir.ok("PUT /metrics/job/a?honor_timestamps=true", `m 3 ${at(-HOUR_MS)}\nn 2\n`);
    expect(await weir.history("m")).toEqual([
      [-7_200, { job: "a" }, 1],
      [-3_600, { job: "a" }, 3],
    ]);
    expect(await weir.exposed()).toEqual(['m{job="a"} 3', 'n{job="a"} 2']);
  });

  test("ignores a repeated sample, and rejects another value or an older time", async () => {
    const weir = await gateway();
    const push = (value: number, ms: number) =>
      weir.send("POST /metrics/job/a?honor_timestamps=true", `m ${value} ${at(ms)}\n`);
    expect(await push(1, -1_000)).toEqual([200, ""]);
    expect(await push(1, -1_000)).toEqual([200, ""]);
    expect(await push(2, -1_000)).toEqual([
      400,
      expect.stringContaining("expected a time after 2024-10-04T11:59:59.000Z"),
    ]);
    expect(await push(2, -2_000)).toEqual([
      400,
      expect.stringContaining("has the time 2024-10-04T11:59:58.000Z"),
    ]);
    expect(await push(2, 3 * HOUR_MS)).toEqual([400, expect.stringContaining("in the future")]);
    expect(await push(2, -9 * DAY_MS)).toEqual([400, expect.stringContaining("before retention")]);
    expect(await weir.history("m")).toEqual([[-1, { job: "a" }, 1]]);
  });

  test("stores a push without timestamps after one that was ahead of the clock", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a?honor_timestamps=true", `m 1 ${at(300_000)}\n`);
    await weir.ok("PUT /metrics/job/a", "m 2\n");
    expect(await weir.exposed()).toEqual(['m{job="a"} 2']);
    expect(await weir.history("m")).toEqual([
      [300, { job: "a" }, 1],
      [300.000001, { job: "a" }, 2],
    ]);
  });
});

describe("mode=sum", () => {
  const sum = "POST /metrics/job/a?mode=sum";

  test("adds counters, histograms, and the sums and counts of summaries, and creates new series", async () => {
    const weir = await gateway();
    const body = (value: number) =>
      `# TYPE c counter\nc{x="${value}"} ${value}\nc 1\n# TYPE h histogram\nh_bucket{le="1"} ${value}\nh_sum 0.5\nh_count ${2 * value}\n` +
      `# TYPE s summary\ns{quantile="0.5"} ${value}\ns_sum ${value}\ns_count 1\n# TYPE g gauge\ng ${value}\nu ${value}\n`;
    await Promise.all([1, 3, 2].map((value) => weir.ok(sum, body(value))));
    expect(await weir.exposed()).toEqual([
      'c{job="a"} 3',
      'c{job="a",x="1"} 1',
      'c{job="a",x="2"} 2',
      'c{job="a",x="3"} 3',
      'g{job="a"} 2',
      'h_bucket{job="a",le="1.0"} 6',
      'h_bucket{job="a",le="+Inf"} 12',
      'h_sum{job="a"} 1.5',
      'h_count{job="a"} 12',
      's{job="a",quantile="0.5"} 2',
      's_sum{job="a"} 6',
      's_count{job="a"} 3',
      'u{job="a"} 2',
    ]);
    expect(
      (await weir.history("c")).filter(([, labels]) => labels.x === undefined).map(([, , value]) => value),
    ).toEqual([1, 2, 3]);
    await weir.reopen();
    await weir.ok(sum, "# TYPE c counter\nc 10\n");
    expect(await weir.exposed()).toContain('c{job="a"} 13');
  });

  test("keeps the largest or smallest gauge by setting, never the sum", async () => {
    const weir = await gateway("--group-sum-gauges=max");
    for (const value of [1, 3, 2]) await weir.ok(sum, `# TYPE g gauge\ng ${value}\n`);
    expect(await weir.exposed()).toEqual(['g{job="a"} 3']);
    await weir.reopen("--group-sum-gauges=min");
    for (const value of [2, 5]) await weir.ok(sum, `# TYPE g gauge\ng ${value}\n`);
    expect(await weir.exposed()).toEqual(['g{job="a"} 2']);
  });

  test("does not add a repeated push with the same idempotency key", async () => {
    const weir = await gateway();
    const headers = { "idempotency-key": "run-1" };
    await weir.ok(sum, "# TYPE c counter\nc 1\n", headers);
    await weir.reopen();
    await Promise.all([1, 2].map(() => weir.ok(sum, "# TYPE c counter\nc 1\n", headers)));
    expect(await weir.exposed()).toEqual(['c{job="a"} 1']);
    expect((await weir.send(sum, "# TYPE c counter\nc 2\n", headers))[0]).toBe(422);
  });

  test("rejects what cannot be added", async () => {
    const weir = await gateway();
    await weir.ok(sum, '# TYPE c counter\nc 1\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 2\n');
    const refused = async (send: string, body: string, message: string) =>
      expect(await weir.send(send, body)).toEqual([400, expect.stringContaining(message)]);
    await refused(sum, "# TYPE c gauge\nc 1\n", "is not a COUNTER, the type of the stored metric");
    await refused(
      sum,
      '# TYPE h histogram\nh_bucket{le="2"} 1\nh_count 2\n',
      "has buckets 2.0 +Inf, which cannot be added to those of 1.0 +Inf",
    );
    // It is unknown whether the observation above 1 was above 2.
    await refused(
      sum,
      '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="2"} 1\nh_count 2\n',
      "has buckets 1.0 2.0 +Inf, which cannot be added to those of 1.0 +Inf",
    );
    // Otherwise the counter would decrease, or stay NaN.
    for (const value of ["-1", "NaN", "+Inf"]) {
      await refused(
        sum,
        `# TYPE c counter\nc ${value}\n`,
        "and a counter can grow only by a finite value that is not negative",
      );
      await refused(
        sum,
        `# TYPE d counter\nd ${value}\n`,
        "and a counter can grow only by a finite value that is not negative",
      );
    }
    await refused("PUT /metrics/job/a?mode=sum", "c 1\n", "expected POST");
    await refused(
      "POST /metrics/job/a?mode=average",
      "c 1\n",
      'Query parameter mode is "average"; expected sum',
    );
    await refused(`${sum}&honor_timestamps=true`, "c 1\n", "does not support honor_timestamps");
    expect(await weir.exposed()).toContain('c{job="a"} 1');
  });
});

describe("DELETE by matcher", () => {
  test("deletes the selected groups, or only lists them", async () => {
    const weir = await gateway();
    for (const path of ["a", "a/instance/i1", "a/instance/i2", "b/instance/i1"])
      await weir.ok(`PUT /metrics/job/${path}`, "m 1\n");
    const remove = (selector: string, more = "") =>
      weir.send(`DELETE /metrics?match[]=${encodeURIComponent(selector)}${more}`);
    const [status, answer] = await remove('{job="a",instance=~"i.*"}', "&dryRun=true");
    expect([status, JSON.parse(answer)]).toEqual([
      200,
      {
        status: "success",
        data: {
          dryRun: true,
          selected: 2,
          deleted: 0,
          groups: [{ labels: { job: "a", instance: "i1" } }, { labels: { job: "a", instance: "i2" } }],
        },
      },
    ]);
    expect((await weir.exposed()).length).toBe(4);
    expect((await remove('{job="a",instance=~"i.*"}'))[0]).toBe(202);
    expect(await weir.exposed()).toEqual(['m{job="a"} 1', 'm{instance="i1",job="b"} 1']);
    const [, both] = await remove('{job="b"}', `&match[]=${encodeURIComponent('{instance="",job=~"a|b"}')}`);
    expect(JSON.parse(both).data.deleted).toBe(2);
    expect(await weir.exposed()).toEqual([]);
    await weir.reopen();
    expect(await weir.exposed(true)).toEqual([]);
  });

  test("deletes nothing for an invalid or too broad selector", async () => {
    const weir = await gateway();
    await weir.ok("PUT /metrics/job/a", "m 1\n");
    const refused = async (query: string, message: string) =>
      expect(await weir.send(`DELETE /metrics${query}`)).toEqual([400, expect.stringContaining(message)]);
    await refused("", "expected match[]");
    await refused("?match[]=%7B%7D", "at least one non-empty matcher");
    await refused("?match[]=m", "names a metric");
    await refused("?match[]=sum(x)", "expected a selector");
    for (const modifier of ["offset 5m", "offset step()", "@ 1"])
      await refused(`?match[]=${encodeURIComponent(`{job="a"} ${modifier}`)}`, "expected a selector");
    await refused("?match[]=%7Bjob%3D", "parse error");
    await refused("?match[]=%7Bjob%3D%22a%22%7D&dryRun=perhaps", "dryRun");
    await refused("?match[]=%7Bjob%3D%22a%22%7D&dryrun=true", 'Query parameter "dryrun" is unknown');
    expect(await weir.exposed()).toEqual(['m{job="a"} 1']);
  });
});

test("rejects new groups above the limit, and accepts pushes to existing ones", async () => {
  const weir = await gateway("--groups-max=2");
  await weir.ok("PUT /metrics/job/a", "m 1\n");
  await weir.ok("PUT /metrics/job/b", "m 1\n");
  expect(await weir.send("PUT /metrics/job/c", "m 1\n")).toEqual([
    400,
    expect.stringContaining("there are already 2 groups"),
  ]);
  await weir.ok("PUT /metrics/job/b", "m 2\n");
  await weir.ok("DELETE /metrics/job/a");
  await weir.ok("PUT /metrics/job/c", "m 3\n");
  expect(await weir.exposed()).toEqual(['m{job="b"} 2', 'm{job="c"} 3']);
});

test("rejects a group that differs from another only in labels with empty values, and leaves nothing", async () => {
  const weir = await gateway();
  await weir.ok("PUT /metrics/job/a", "m 1\n");
  expect(await weir.send("PUT /metrics/job/a/x/", "m 2\n")).toEqual([
    400,
    expect.stringContaining("only in labels with empty values"),
  ]);
  expect(await weir.exposed(true)).toHaveLength(3);
  await weir.ok("PUT /metrics/job/b/x/", "m 2\n");
  expect(await weir.exposed()).toEqual(['m{job="a"} 1', 'm{job="b"} 2']);
});

test("rejects wipe and quit unless settings allow them", async () => {
  const weir = await gateway();
  const [status, text] = await weir.send("PUT /api/v1/admin/wipe");
  expect(status).toBe(404);
  expect(text).toContain("--enable-admin-api");
  expect(await weir.send("POST /-/quit")).toEqual([
    403,
    "Lifecycle API is not enabled. Start the gateway with --enable-lifecycle to allow it.",
  ]);
});

test("rejects one of two simultaneous pushes that conflict", async () => {
  const weir = await gateway();
  const answers = await Promise.all(
    ["gauge", "counter"].map((type, at) =>
      weir.send(`PUT /metrics/job/j${at}`, `# TYPE m ${type}\nm ${at}\n`),
    ),
  );
  expect(answers.map(([status]) => status)).toEqual([200, 400]);
  const series = await Promise.all(
    ["a", "a/instance/i"].map((path) => weir.send(`PUT /metrics/job/${path}`, 'n{instance="i"} 1\n')),
  );
  expect(series.map(([status]) => status)).toEqual([200, 400]);
  expect(await weir.exposed()).toEqual(['m{job="j0"} 0', 'n{instance="i",job="a"} 1']);
  expect((await weir.send("GET /metrics"))[1]).toContain("\nweir_groups 4\n");
});

describe("formats", () => {
  /** Pushes a body of delimited MetricFamily messages. */
  const putProtobuf = (weir: GroupsGateway, job: string, hex: string, method = "PUT") =>
    weir.fetch(`/metrics/job/${job}`, {
      method,
      body: Buffer.from(hex, "hex"),
      headers: {
        "content-type":
          "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
      },
    });

  // Native histograms h: one observation up to 0.5, two up to 2, one up to 4; one up to 8.
  const upTo4 = "280a0168180422213a1f0804110000000000001a402800620408011001620408021002680268026801";
  const upTo8 = "1e0a0168180422173a15080111000000000000144028006204080610016802";
  const bucketsOf = async (weir: GroupsGateway, job: string) =>
    (await weir.exposed())
      .filter((line) => line.startsWith("h") && line.includes(`job="${job}"`))
      .map((line) => line.replace(/^h(_\w+)\{.*?(?:,le="(.+)")?\} /, "$1 $2 ").replace("_bucket ", ""));

  test("gives native histograms the buckets of all pushed ones of their metric", async () => {
    const weir = await gateway();
    expect((await putProtobuf(weir, "a", upTo4)).status).toBe(200);
    const first = ["0.25 0", "0.5 1", "1.0 1", "2.0 3", "4.0 4", "+Inf 4", "_sum  6.5", "_count  4"];
    expect(await bucketsOf(weir, "a")).toEqual(first);
    expect((await putProtobuf(weir, "b", upTo8)).status).toBe(200);
    expect(await bucketsOf(weir, "b")).toEqual([
      ...["0.25 0", "0.5 0", "1.0 0", "2.0 0", "4.0 0", "8.0 1", "+Inf 1", "_sum  5", "_count  1"],
    ]);
    expect((await putProtobuf(weir, "a", upTo4)).status).toBe(200);
    expect(await bucketsOf(weir, "a")).toEqual(first.toSpliced(5, 0, "8.0 4"));
  });

  test("adds native histograms although they get more buckets", async () => {
    const weir = await gateway();
    const add = async (hex: string) => {
      const response = await putProtobuf(weir, "a?mode=sum", hex, "POST");
      expect([response.status, await response.text()]).toEqual([200, ""]);
    };
    await add(upTo4);
    await add(upTo8);
    expect(await bucketsOf(weir, "a")).toEqual([
      ...["0.25 0", "0.5 1", "1.0 1", "2.0 3", "4.0 4", "8.0 5", "+Inf 5", "_sum  11.5", "_count  5"],
    ]);
    await add(upTo4);
    expect(await bucketsOf(weir, "a")).toEqual([
      ...["0.25 0", "0.5 2", "1.0 2", "2.0 6", "4.0 8", "8.0 9", "+Inf 9", "_sum  18", "_count  9"],
    ]);
  });

  test("rejects delimited protobuf with an invalid name", async () => {
    const weir = await gateway();
    // A MetricFamily with the name 1m.
    const response = await putProtobuf(weir, "a", "130a02316d1801220b120909000000000000f83f");
    expect([response.status, await response.text()]).toEqual([
      400,
      'pushed metrics are invalid or inconsistent with existing metrics: invalid metric name "1m"\n',
    ]);
    expect(await weir.exposed(true)).toContain('push_time_seconds{job="a"} 0');
  });

  test("accepts OpenMetrics by content type, and exposes it in both formats", async () => {
    const weir = await gateway();
    const body = "# TYPE c counter\n# UNIT c seconds\n# EOF\n";
    const headers = { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" };
    await weir.ok(
      "PUT /metrics/job/a",
      `# TYPE c counter\n# HELP c Jobs.\nc_total{x="1"} 3\n# TYPE i info\ni_info{v="2"} 1\n# EOF\n`,
      headers,
    );
    expect(await weir.exposed()).toEqual(['c_total{job="a",x="1"} 3', 'i_info{job="a",v="2"} 1']);
    const accept = { accept: "application/openmetrics-text" };
    expect((await weir.send("GET /metrics", "", accept))[1]).toContain(
      '# HELP c Jobs.\n# TYPE c counter\nc_total{instance="",job="a",x="1"} 3\n',
    );
    expect(await weir.send("PUT /metrics/job/b", body, headers)).toEqual([
      400,
      'OpenMetrics parsing error in line 2: unit "seconds" is not the end of the name "c"',
    ]);
  });

  test("rejects a body that is too large or has an unknown encoding in one line of text", async () => {
    const weir = await gateway("--body-bytes-max=2KiB", "--inflated-bytes-max=4KiB");
    const [large, answer] = await weir.send("PUT /metrics/job/a", "m 1\n".repeat(1_000));
    expect([large, answer]).toEqual([413, expect.stringContaining("bodyBytesMax")]);
    const [unknown, why] = await weir.send("PUT /metrics/job/a", "m 1\n", { "content-encoding": "lz4" });
    expect([unknown, why]).toEqual([415, expect.stringContaining('Content-Encoding "lz4" is not supported')]);
    expect(await weir.exposed(true)).toEqual([]);
  });
});
