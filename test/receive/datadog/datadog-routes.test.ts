/** Datadog's API on the real gateway: what is stored, and the answers that Agents and clients act on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import {
  BadInput,
  Busy,
  type RequestError,
  Timeout,
  TooLarge,
  Unavailable,
  Unprocessable,
  Unsupported,
} from "../../../src/model/errors.ts";
import { errorAnswer } from "../../../src/receive/datadog/datadog-answers.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { binOf, encodeSeries, encodeSketches } from "./agent-payload.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
});
afterAll(() => gateway.close());

/** A time of the last minute, in seconds. */
const NOW = NOON_MS / 1000 - 60;
const PROTOBUF = { "content-type": "application/x-protobuf" };

async function post(
  path: string,
  body: object | string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<[status: number, answer: unknown]> {
  const sent = body instanceof Uint8Array || typeof body === "string" ? body : JSON.stringify(body);
  const answer = await gateway.fetch(`/datadog${path}`, { method: "POST", body: sent, headers });
  return [answer.status, await answer.json()];
}

const v1 = (...series: readonly unknown[]) => post("/api/v1/series", { series });
const v2 = (...series: readonly unknown[]) => post("/api/v2/series", { series });
const agent = (...series: readonly object[]) => post("/api/v2/series", encodeSeries(...series), PROTOBUF);
const distribution = (...series: readonly object[]) => post("/api/v1/distribution_points", { series });
const sketches = (...sent: readonly object[]) =>
  post("/api/beta/sketches", encodeSketches(...sent), PROTOBUF);

async function sql(statement: string): Promise<unknown[][]> {
  const answer = await gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const { rows, error } = (await answer.json()) as { rows: Record<string, unknown>[]; error?: unknown };
  expect(error).toBeUndefined();
  return rows.map((row) => Object.values(row));
}

/** Kind, value and labels of the rows of a metric, in the order of time. */
const stored = (metric: string) =>
  sql(
    `SELECT kind, value, labels::VARCHAR FROM samples JOIN metrics USING (metric)
     WHERE metric = '${metric}' ORDER BY ts, value`,
  );

async function exposed(name: string): Promise<string[]> {
  const text = await (await gateway.fetch("/metrics")).text();
  return text.split("\n").filter((line) => line.startsWith(name));
}

const OK_V1: [number, unknown] = [202, { status: "ok" }];
const OK_V2: [number, unknown] = [202, { errors: [] }];
const DROPPED = (count: number, of: number, ...reasons: string[]) => [
  `${count} of ${of} points were rejected`,
  ...reasons,
];

describe("series", () => {
  test("of both versions and of protobuf are stored alike", async () => {
    const points = [
      [NOW, 1.5],
      [NOW + 10, 2],
    ];
    const objects = points.map(([timestamp, value]) => ({ timestamp, value }));
    const resources = [
      { type: "host", name: "web-1" },
      { type: "device", name: "eth0" },
    ];
    const tags = ["env:prod", "url:http://a:80/b", "urgent", "empty:", ""];
    const one = { points, host: "web-1", device: "eth0", tags, type: "gauge", source_type_name: "System" };
    expect(await v1({ metric: "net.v1", ...one })).toEqual(OK_V1);
    const two = { points: objects, resources, tags, type: 3, unit: "byte", source_type_name: "System" };
    const metadata = { origin: { metric_type: 1, product: 10, service: 3 } };
    expect(await v2({ metric: "net.v2", ...two, metadata })).toEqual(OK_V2);
    expect(
      await agent({ metric: "net.agent", ...two, metadata: { origin: new Uint8Array([8, 1]) } }),
    ).toEqual(OK_V2);
    const labels = "{device=eth0, env=prod, host=web-1, urgent=true, url='http://a:80/b'}";
    for (const metric of ["net.v1", "net.v2", "net.agent"])
      expect([metric, await stored(metric)]).toEqual([
        metric,
        [
          ["gauge", 1.5, labels],
          ["gauge", 2, labels],
        ],
      ]);
    expect(await sql("SELECT epoch(ts), value, host FROM net_agent ORDER BY ts")).toEqual([
      [NOW, 1.5, "web-1"],
      [NOW + 10, 2, "web-1"],
    ]);
    expect(await sql("SELECT unit FROM metrics WHERE metric LIKE 'net.%' ORDER BY metric")).toEqual([
      ["byte"],
      [""],
      ["byte"],
    ]);
  });

  test("have names with underscores on /metrics", async () => {
    await v1({ metric: "app.queue.size", points: [[NOW, 7]], host: "h", type: "gauge" });
    expect(await exposed("app_queue_size")).toEqual(['app_queue_size{host="h",instance=""} 7']);
  });

  test("of counts are increments, which add up", async () => {
    await v1({ metric: "jobs.done", points: [[NOW, 3]], type: "count", interval: 10, tags: ["q:a"] });
    await v2({ metric: "jobs.done", points: [{ timestamp: NOW + 1, value: 4 }], type: 1, tags: ["q:a"] });
    await agent({ metric: "jobs.done", points: [{ timestamp: NOW + 2, value: 5 }], type: 1, tags: ["q:a"] });
    expect((await stored("jobs.done")).map(([kind, value]) => [kind, value])).toEqual([
      ["delta", 3],
      ["delta", 4],
      ["delta", 5],
    ]);
    expect(await exposed("jobs_done_total")).toEqual(['jobs_done_total{instance="",q="a"} 12']);
  });

  test("of rates are the increments of their interval", async () => {
    const rates = [0.1, 0.3, 0.7, 2.25];
    await v1({
      metric: "hits",
      points: rates.map((rate, at) => [NOW + at, rate]),
      type: "rate",
      interval: 10,
    });
    const third = 7 / 3;
    await agent({ metric: "hits", points: [{ timestamp: NOW + 9, value: third }], type: 2, interval: 3 });
    expect((await stored("hits")).map(([kind, value]) => [kind, value])).toEqual([
      ["delta", 1],
      ["delta", 3],
      ["delta", 7],
      ["delta", 22.5],
      ["delta", 7],
    ]);
  });

  test("of rates without an interval are levels, because nothing says how long they lasted", async () => {
    expect(await v1({ metric: "speed", points: [[NOW, 2.5]], type: "rate" })).toEqual(OK_V1);
    expect(
      await v2({ metric: "speed", points: [{ timestamp: NOW + 1, value: 3 }], type: 2, interval: 0 }),
    ).toEqual(OK_V2);
    expect(await stored("speed")).toEqual([
      ["gauge", 2.5, "{}"],
      ["gauge", 3, "{}"],
    ]);
  });

  test("without a type are gauges", async () => {
    await v1(
      { metric: "untyped", points: [[NOW, 1]] },
      { metric: "untyped", points: [[NOW + 1, 2]], type: "" },
    );
    await v2({ metric: "untyped", points: [{ timestamp: NOW + 2, value: 3 }] });
    await v2({ metric: "untyped", points: [{ timestamp: NOW + 3, value: 4 }], type: 0 });
    await agent({ metric: "untyped", points: [{ timestamp: NOW + 4, value: 5 }] });
    expect(await stored("untyped")).toEqual([1, 2, 3, 4, 5].map((value) => ["gauge", value, "{}"]));
  });

  test("may have a fraction in their times, several values for a tag, and null where nothing is", async () => {
    const series = { metric: "odd", points: [[NOW + 0.25, 1]], tags: ["a:2", "a:1", "a:2"] };
    expect(await v1({ ...series, host: null, device: null, interval: null, type: null })).toEqual(OK_V1);
    expect(await sql("SELECT epoch(ts), a FROM odd")).toEqual([[NOW + 0.25, "2,1"]]);
    expect(await v1({ metric: "odd.none", points: [], tags: null })).toEqual(OK_V1);
  });

  test("get the host of their resource, and the answer says that a tag was replaced", async () => {
    const message = 'metric "twohosts": a tag "host" was replaced by the resource "host", "a"';
    const series = { metric: "twohosts", points: [[NOW, 1]], host: "a", tags: ["host:b"] };
    expect(await v1(series)).toEqual([202, { status: "ok", errors: [message] }]);
    expect(await sql("SELECT host FROM twohosts")).toEqual([["a"]]);
    expect(gateway.takeLog()).toEqual([expect.stringContaining("was accepted with a warning")]);
  });

  test("have the tags of one event as columns of increments", async () => {
    await v1({ metric: "calls", points: [[NOW, 1]], type: "count", tags: ["task_id:t-1", "op:get"] });
    expect(await sql("SELECT task_id, op, value FROM calls")).toEqual([["t-1", "get", 1]]);
    expect(await exposed("calls_total")).toEqual(['calls_total{instance="",op="get"} 1']);
  });

  test("are repeated without being added twice, and without a rejection", async () => {
    const sent = { metric: "once", points: [[NOW, 2]], type: "count" };
    for (let times = 0; times < 3; times++) expect(await v1(sent)).toEqual(OK_V1);
    const level = { metric: "once.level", points: [[NOW, 2]] };
    for (let times = 0; times < 2; times++) expect(await v1(level)).toEqual(OK_V1);
    expect(await sql("SELECT count(*), sum(value) FROM once")).toEqual([[1, 2]]);
    expect(await sql("SELECT count(*) FROM once_level")).toEqual([[1]]);
  });

  test("may be compressed as the API and the Agent do", async () => {
    const body = (value: number) =>
      Buffer.from(JSON.stringify({ series: [{ metric: "packed", points: [[NOW + value, value]] }] }));
    const encodings = {
      deflate: deflateSync,
      gzip: gzipSync,
      zstd: zstdCompressSync,
      zstd1: zstdCompressSync,
    };
    let value = 0;
    for (const [encoding, compress] of Object.entries(encodings)) {
      value += 1;
      const packed = new Uint8Array(compress(body(value)));
      expect(await post("/api/v1/series", packed, { "content-encoding": encoding })).toEqual(OK_V1);
    }
    const agentBody = zstdCompressSync(
      encodeSeries({ metric: "packed", points: [{ timestamp: NOW, value: 9 }] }),
    );
    const headers = { ...PROTOBUF, "content-encoding": "zstd" };
    expect(await post("/api/v2/series", new Uint8Array(agentBody), headers)).toEqual(OK_V2);
    expect(await sql("SELECT value FROM packed ORDER BY value")).toEqual([[1], [2], [3], [4], [9]]);
  });
});

describe("distributions", () => {
  test("of points are observations, one per value", async () => {
    const series = { metric: "took_ms", points: [[NOW, [5, 7, 300]]], tags: ["op:get"], host: "h" };
    expect(await distribution({ ...series, type: "distribution" })).toEqual(OK_V1);
    expect(
      await sql("SELECT op, value, quantile_cont(value, 0.5) OVER () FROM took_ms ORDER BY value"),
    ).toEqual([
      ["get", 5, 7],
      ["get", 7, 7],
      ["get", 300, 7],
    ]);
    expect(await exposed("took_ms_count")).toEqual(['took_ms_count{host="h",instance="",op="get"} 3']);
  });

  test("of an Agent are increments of a histogram", async () => {
    // 2 of 4 ms, 3 of 40 ms and 1 of 90 s, which is above the last bound.
    const flush = (ts: number) => ({
      ts,
      cnt: 6,
      min: 4,
      max: 90_000,
      avg: 15_021.3,
      sum: 90_128,
      k: [binOf(4), binOf(40), binOf(90_000)],
      n: [2, 3, 1],
    });
    const sketch = {
      metric: "lat_ms",
      host: "h",
      tags: ["op:get"],
      dogsketches: [flush(NOW), flush(NOW + 10)],
    };
    expect(await sketches(sketch)).toEqual(OK_V1);
    expect(await exposed("lat_ms")).toEqual(
      [
        ...[
          [1, 0],
          [2.5, 0],
          [5, 4],
          [10, 4],
          [25, 4],
          [50, 10],
          [100, 10],
          [250, 10],
          [500, 10],
          [1000, 10],
        ],
        ...[
          [2500, 10],
          [5000, 10],
          [10_000, 10],
          [30_000, 10],
          [60_000, 10],
        ],
      ]
        .map(([le, count]) => `lat_ms_bucket{host="h",instance="",op="get",le="${le!.toFixed(1)}"} ${count}`)
        .concat(
          'lat_ms_bucket{host="h",instance="",op="get",le="+Inf"} 12',
          'lat_ms_sum{host="h",instance="",op="get"} 180256',
          'lat_ms_count{host="h",instance="",op="get"} 12',
        ),
    );
    // 6 of 12 are at a third of the bucket from 25 to 50, which has the observations 5 to 10.
    const query = encodeURIComponent("histogram_quantile(0.5, lat_ms_bucket)");
    const answer = await gateway.fetch(`/api/v1/query?query=${query}&time=${NOW + 30}`);
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    expect(data.result.map(({ value }) => Number(value[1]).toFixed(3))).toEqual(["33.333"]);
    // A request that is repeated adds nothing.
    expect(await sketches(sketch)).toEqual(OK_V1);
    expect(await sql("SELECT sum(value) FROM lat_ms_count")).toEqual([[12]]);
  });

  test("with values of 0 and below are in the lowest buckets, without a sum that decreases", async () => {
    const sketch = { ts: NOW, cnt: 4, sum: -7, k: [-binOf(8), 0, binOf(0.5)], n: [1, 1, 2] };
    const warning = 'metric "balance": the sum -7 of a distribution was not stored, because it is negative';
    expect(await sketches({ metric: "balance", dogsketches: [sketch] })).toEqual([
      202,
      { status: "ok", errors: [warning] },
    ]);
    gateway.takeLog();
    expect(await sql("SELECT value FROM balance_bucket WHERE le IN ('0.25', '0.5') ORDER BY le")).toEqual([
      [2],
      [4],
    ]);
    expect(await sql("SELECT count(*) FROM balance_count")).toEqual([[1]]);
  });
});

describe("an Agent", () => {
  test("finds its key valid, whatever it is", async () => {
    const answer = await gateway.fetch("/datadog/api/v1/validate?api_key=x", {
      headers: { "DD-API-KEY": "x" },
    });
    expect([answer.status, await answer.json()]).toEqual([200, { valid: true }]);
  });

  test("gets 202 for what is not stored, which is counted by type and logged once", async () => {
    const sent = [
      "/intake/",
      "/api/v1/check_run",
      "/api/v1/metadata",
      "/api/v2/host_metadata",
      "/api/v1/events",
    ];
    for (const path of sent.concat(sent)) expect(await post(`${path}?api_key=x`, "[]")).toEqual(OK_V1);
    const { values } = await gateway.counters.messagesSkipped.get();
    expect(values.map(({ labels, value }) => [labels.protocol, labels.type, value])).toEqual([
      ["datadog", "intake", 2],
      ["datadog", "check_run", 2],
      ["datadog", "metadata", 4],
      ["datadog", "event", 2],
    ]);
    expect(gateway.takeLog().length).toBe(4);
  });

  test("gets 400 at an unknown path, because it would repeat a 404 forever", async () => {
    const [status, answer] = await post("/api/v3/series", "{}");
    const { errors } = answer as { errors: string[] };
    expect([status, errors.length]).toEqual([400, 1]);
    expect(errors[0]).toStartWith(
      'The path "/datadog/api/v3/series" is not supported; metrics are accepted at ',
    );
  });

  test("sends the aggregates of a DogStatsD timer, which are stored beside each other", async () => {
    const one = (suffix: string, value: number, type = 3) => ({
      metric: `render.time.${suffix}`,
      type,
      interval: 10,
      points: [{ timestamp: NOW, value }],
    });
    const gauges = { avg: 20, max: 40, median: 15, "95percentile": 39, min: 5, sum: 60 };
    const sent = Object.entries(gauges).map(([suffix, value]) => one(suffix, value));
    expect(await agent(one("count", 0.3, 2), ...sent)).toEqual(OK_V2);
    expect(await exposed("render_time")).toEqual([
      'render_time_95percentile{instance=""} 39',
      'render_time_avg{instance=""} 20',
      'render_time_count_total{instance=""} 3',
      'render_time_max{instance=""} 40',
      'render_time_median{instance=""} 15',
      'render_time_min{instance=""} 5',
      'render_time_sum{instance=""} 60',
    ]);
  });

  test("may send its key as a parameter or a header, and no log has it", async () => {
    const body = { series: [{ metric: "keyed", points: [[NOW, 1]], type: "count" }] };
    const path = "/api/v1/series?api_key=SECRET&application_key=OTHER";
    expect(await post(path, body, { "DD-API-KEY": "SECRET" })).toEqual(OK_V1);
    // With another key it is the same request.
    expect(await post("/api/v1/series?api_key=ROTATED", body)).toEqual(OK_V1);
    expect(await sql("SELECT count(*) FROM keyed")).toEqual([[1]]);
    const [status, answer] = await post("/api/v1/series?api_key=SECRET", "{");
    expect(status).toBe(400);
    expect(JSON.stringify([answer, gateway.takeLog()])).not.toContain("SECRET");
  });

  test("sends its host as extra labels if the query says so", async () => {
    const body = { series: [{ metric: "labelled", points: [[NOW, 1]] }] };
    expect(await post("/api/v1/series?extra_label=instance=w-1&api_key=x", body)).toEqual(OK_V1);
    expect(await sql("SELECT instance FROM labelled")).toEqual([["w-1"]]);
  });
});

describe("bad input", () => {
  const point = [[NOW, 1]];
  /** The other series of the request is stored. */
  const bad = async (series: object, reason: string) => {
    const [status, answer] = await v1({ metric: "good", points: [[NOW, 1]] }, series);
    const { status: word, errors } = answer as { status: string; errors: string[] };
    expect([status, word, errors[0]]).toEqual([202, "ok", "1 of 2 points were rejected"]);
    expect(errors[1]).toStartWith(reason);
  };

  test("of a point or a series is rejected alone, with a reason", async () => {
    const cases: [object, string][] = [
      [{ metric: "b", points: [[NOW, null]] }, `metric "b" has the value null at ${NOW}, expected a number`],
      [{ metric: "b", points: [[NOW, "1"]] }, `metric "b" has the value "1" at ${NOW}, expected a number`],
      [
        { metric: "b", points: [["now", 1]] },
        'metric "b" has the timestamp "now", expected seconds since 1970',
      ],
      [
        { metric: "b", points: [[null, 1]] },
        'metric "b" has the timestamp null, expected seconds since 1970',
      ],
      [{ metric: "b", points: [[NOW]] }, `metric "b" has the point [${NOW}], expected [TIMESTAMP, VALUE]`],
      [{ metric: "b", points: [7] }, 'metric "b" has the point 7, expected [TIMESTAMP, VALUE]'],
      [{ metric: "b", points: [[0, 1]] }, "timestamp 1970-01-01T00:00:00.000Z is before retention"],
      [{ metric: "b", points: [[NOW * 1000, 1]] }, "timestamp +056729-07-05T07:20:00.000Z is in the future"],
      [
        { metric: "b", points: point, type: "set" },
        'type of metric "b" is "set", expected count, rate or gauge',
      ],
      [
        { metric: "b", points: point, tags: "a:b" },
        'tags of metric "b" is "a:b", expected an array of strings',
      ],
      [{ metric: "b", points: point, tags: [1] }, 'tags of metric "b" is [1], expected an array of strings'],
      [{ metric: "b", points: point, host: 5 }, 'host of metric "b" is 5, expected a string'],
      [{ metric: "b", points: point, interval: -1 }, 'interval of metric "b" is -1, expected seconds'],
      [{ metric: "", points: point }, "metric is empty, expected a name"],
      [{ points: point }, "metric is undefined, expected a name"],
      [{ metric: "b" }, 'points of metric "b" are undefined, expected an array'],
      [{ metric: "b", points: point, tags: [":v"] }, 'tag "" has an empty name'],
      [{ metric: "b", points: point, tags: ["x".repeat(300)] }, 'tag "xxx'],
      [
        { metric: "b", points: point, tags: Array.from({ length: 65 }, (_, at) => `t${at}:v`) },
        "the sample has 65 tags, at most 64 are accepted (tagsMax)",
      ],
      [
        { metric: "b", points: [[NOW, -1]], type: "count" },
        'metric "b" has the value -1, expected a finite increment of 0 or more: ' +
          `{"timestamp":${NOW},"metric":"b","value":-1,"tags":{}}`,
      ],
    ];
    for (const [series, reason] of cases) await bad(series, reason);
  });

  test("of version 2 is reported in errors", async () => {
    const good = { metric: "good.2", points: [{ timestamp: NOW, value: 1 }] };
    const points = [{ timestamp: NOW, value: 1 }];
    const cases: [object, string][] = [
      [{ metric: "c", points, type: 4 }, 'type of metric "c" is 4, expected 0 (unspecified), 1 (count)'],
      [{ metric: "c", points: [[NOW, 1]] }, `metric "c" has the point [${NOW},1], expected an object`],
      [{ metric: "c", points: [{ value: 1 }] }, 'metric "c" has the timestamp undefined, expected seconds'],
      [{ metric: "c", points: [{ timestamp: NOW }] }, `metric "c" has the value undefined at ${NOW}`],
      [
        { metric: "c", points, resources: [{ type: "host" }] },
        'resources of metric "c" is [{"type":"host"}]',
      ],
      [{ metric: "c", points, unit: 5 }, 'unit of metric "c" is 5, expected a string'],
    ];
    for (const [series, reason] of cases) {
      const [status, answer] = await v2(good, series);
      const { errors } = answer as { errors: string[] };
      expect([status, errors[0]]).toEqual([202, "1 of 2 points were rejected"]);
      expect(errors[1]).toStartWith(reason);
    }
  });

  test("in protobuf is rejected by series and by point", async () => {
    const good = { metric: "good.3", points: [{ timestamp: NOW, value: 1 }] };
    const cases: [object, string][] = [
      [
        { metric: "d", points: [{ timestamp: NOW, value: 1 }], type: 9 },
        'type of metric "d" is 9, expected 0',
      ],
      [{ metric: "d", points: [{ value: 1 }] }, "timestamp 1970-01-01T00:00:00.000Z is before retention"],
      [
        { metric: "d", points: [{ timestamp: NOW, value: Number.NaN }], type: 1, tags: ["queue:mail"] },
        'metric "d" has the value NaN, expected a finite increment of 0 or more: ' +
          `{"timestamp":${NOW},"metric":"d","value":"NaN","tags":{"queue":"mail"}}`,
      ],
      [{ points: [{ timestamp: NOW, value: 1 }] }, "metric is empty, expected a name"],
    ];
    for (const [series, reason] of cases) {
      const [status, answer] = await agent(good, series);
      const { errors } = answer as { errors: string[] };
      expect([status, errors[0]]).toEqual([202, "1 of 2 points were rejected"]);
      expect(errors[1]).toStartWith(reason);
    }
    // NaN and infinities are values of a gauge.
    expect(await agent({ metric: "nan", points: [{ timestamp: NOW, value: Number.NaN }], type: 3 })).toEqual(
      OK_V2,
    );
  });

  test("in sketches is rejected by sketch", async () => {
    const cases: [object, string][] = [
      [
        { dogsketches: [{ ts: NOW, cnt: 2, k: [1338], n: [1] }] },
        "with 1 observations in its bins, and cnt 2",
      ],
      [{ dogsketches: [{ ts: NOW, cnt: 1, k: [1, 2], n: [1] }] }, "with 2 bins and 1 counts"],
      [{ dogsketches: [{ ts: NOW, cnt: 0, sum: Number.NaN }] }, "with the sum NaN, expected a finite number"],
      [{ distributions: [{ ts: NOW, cnt: 1 }] }, "of an older form, expected a dogsketch"],
    ];
    for (const [sketch, reason] of cases) {
      const [status, answer] = await sketches({ metric: "e", ...sketch });
      const { errors } = answer as { errors: string[] };
      expect([status, errors[0]]).toEqual([400, "1 of 1 points were rejected"]);
      expect(errors[1]).toBe(`metric "e" has a sketch ${reason}`);
    }
  });

  test("of distributions is rejected by point", async () => {
    for (const [value, reason] of [
      [5, `metric "f" has the values 5 at ${NOW}, expected an array of numbers`],
      [[], `metric "f" has the values [] at ${NOW}, expected an array of numbers`],
      [[1, "x"], `metric "f" has the values [1,"x"] at ${NOW}, expected an array of numbers`],
    ] as const)
      expect(await distribution({ metric: "f", points: [[NOW, value]] })).toEqual([
        400,
        { errors: DROPPED(1, 1, `${reason}: {"metric":"f","points":[[${NOW},${JSON.stringify(value)}]]}`) },
      ]);
  });

  test("of which nothing can be stored gets a status after which an Agent does not repeat it", async () => {
    const series = JSON.stringify({ series: [] });
    const cases: [string, string | Uint8Array<ArrayBuffer>, Record<string, string>, string][] = [
      ["v1", "", {}, "the body is empty, expected a JSON object"],
      ["v1", "[]", {}, 'the body is [], expected {"series": […]}'],
      ["v1", "{}", {}, "series is undefined, expected an array"],
      ["v1", '{"series": {}}', {}, "series is {}, expected an array"],
      [
        "v2",
        '[{"metric_name": "a", "value": 1}]',
        {},
        'the body is [{"metric_name":"a","value":1}], expected {"series": […]}. The body looks like JSON events: push',
      ],
      [
        "v2",
        new Uint8Array(gzipSync(series)),
        {},
        'byte 1 of the body is 0x8b, which is not valid UTF-8. The body looks compressed with gzip: send the header "Con',
      ],
      [
        "v1",
        '{"series": [{"metric": "a", "points": [[1, NaN]]}]}',
        {},
        "the body is not JSON: byte 43 has NaN",
      ],
      ["v1", new Uint8Array([123, 255]), {}, "byte 1 of the body is 0xff, which is not valid UTF-8"],
      ["v1", series, { "content-encoding": "lz4" }, 'Content-Encoding "lz4" is not supported'],
      ["v1", series, { "content-encoding": "gzip" }, "The body is not complete gzip data"],
      ["v2", new Uint8Array([10, 99]), PROTOBUF, "the body is not a protobuf message: a field of 99 bytes"],
    ];
    for (const [version, body, headers, message] of cases) {
      const [status, answer] = await post(`/api/${version}/series`, body, headers);
      const { errors } = answer as { errors: string[] };
      expect([status, errors.length]).toEqual([400, 1]);
      expect(errors[0]).toStartWith(message);
    }
    const [status, answer] = await post("/api/v1/series?historic=true", series);
    expect([status, JSON.stringify(answer)]).toEqual([400, expect.stringContaining("historic")]);
  });

  test("is a number that is too large for a 64-bit float; another one that it does not hold is a warning", async () => {
    const warning = (value: string, stored: string) =>
      `metric "large": value ${value} was stored as ${stored}, the nearest 64-bit float`;
    const send = (value: string, rest = "") =>
      post("/api/v1/series", `{"series":[{"metric":"large","points":[[${NOW},${value}]]${rest}}]}`);
    expect(await send("9007199254740993")).toEqual([
      202,
      { status: "ok", errors: [warning("9007199254740993", "9007199254740992")] },
    ]);
    expect(gateway.takeLog().length).toBe(1);
    expect(await sql("SELECT value FROM large")).toEqual([[9007199254740992]]);
    const [status, answer] = await send("1e400");
    expect(status).toBe(400);
    expect((answer as { errors: string[] }).errors[1]).toStartWith(
      `metric "large" has the value 1e400 at ${NOW}, expected a number`,
    );
    const [, rate] = await send("1e308", ',"type":"rate","interval":10');
    expect((rate as { errors: string[] }).errors[1]).toStartWith(
      'metric "large" has the value 1e+308, expected a finite increment of 0 or more',
    );
    const [, values] = await post(
      "/api/v1/distribution_points",
      `{"series":[{"metric":"large.d","points":[[${NOW},[9007199254740993]]]}]}`,
    );
    expect(values).toEqual({
      status: "ok",
      errors: [warning("9007199254740993", "9007199254740992").replace("large", "large.d")],
    });
  });

  test("is a time in another unit, and the reason says which one it looks like", async () => {
    for (const [factor, unit] of [
      [1e3, "milliseconds"],
      [1e6, "microseconds"],
      [1e9, "nanoseconds"],
    ] as const) {
      const [status, answer] = await v1({ metric: "unit", points: [[NOW * factor, 1]] });
      expect(status).toBe(400);
      expect((answer as { errors: string[] }).errors[1]).toContain(`this one looks like ${unit}`);
    }
  });

  test("in a body that is too large is 413", async () => {
    const small = await openTestGateway("--body-bytes-max=1KiB");
    const answer = await small.fetch("/datadog/api/v1/series", { method: "POST", body: " ".repeat(1_025) });
    expect([answer.status, Object.keys((await answer.json()) as object)]).toEqual([413, ["errors"]]);
    await small.close();
  });

  test("has a final status, and what may pass has one after which an Agent repeats the request", async () => {
    const statuses: [RequestError, number, string | null][] = [
      [new BadInput("a"), 400, null],
      [new Unsupported("a"), 400, null],
      [new Unprocessable("a"), 400, null],
      [new TooLarge("a"), 413, null],
      [new Timeout("a"), 408, null],
      [new Busy("a", 2), 429, "2"],
      [new Unavailable("a"), 503, "1"],
    ];
    for (const [error, status, retryAfter] of statuses) {
      const answer = errorAnswer(error);
      const body = await answer.json();
      expect([answer.status, answer.headers.get("retry-after"), body]).toEqual([
        status,
        retryAfter,
        { errors: ["a"] },
      ]);
    }
  });
});
