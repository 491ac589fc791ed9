/** JSON columns, pushed to the real gateway: what is stored, and what is rejected. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ColumnsGateway, ELEVEN_MS, openColumnsGateway } from "./columns-gateway.ts";

let gateway: ColumnsGateway;
beforeAll(async () => {
  gateway = await openColumnsGateway();
});
afterAll(() => gateway.close());

const accepted = (count: number) => ({ accepted: count, rejected: 0, errors: [] });
const push = (body: unknown, query = "", headers: Record<string, string> = {}) =>
  gateway.push(typeof body === "string" ? body : JSON.stringify(body), query, headers);
let names = 0;
/** A metric that no other test has. */
const fresh = () => `json.metric_${++names}`;
const [A, B, C] = [ELEVEN_MS, ELEVEN_MS + 1_000, ELEVEN_MS + 2_000];

describe("stores", () => {
  const ok = (name: string, body: (metric: string) => unknown, want: unknown[], query = "") =>
    test(name, async () => {
      const metric = fresh();
      expect((await push(body(metric), query)).body).toEqual(accepted(want.length));
      expect(await gateway.stored(metric)).toEqual(want);
    });
  ok(
    "arrays, and one value for all rows",
    (metric) => ({
      metric,
      columns: { ts: [A, B], value: [1.5, -2e3], job: "mail", ok: true, code: 200, task_id: ["a", "b"] },
    }),
    [
      [0, 1.5, { code: "200", job: "mail", ok: "true" }, "a"],
      [1_000, -2_000, { code: "200", job: "mail", ok: "true" }, "b"],
    ],
  );
  ok(
    "cells of each type of a tag, and none where there is null or an empty text",
    (metric) =>
      `{"metric":"${metric}","columns":{"ts":[${[A, A, A, A, A, A, A].join()}],"value":[1,2,3,4,5,6,7],
        "tag":["\\u00e9\\n","",null,1.50,true,1e5,738529527931269425]}}`,
    [
      [0, 1, { tag: "é\n" }],
      [0, 2, {}],
      [0, 3, {}],
      [0, 4, { tag: "1.5" }],
      [0, 5, { tag: "true" }],
      [0, 6, { tag: "100000" }],
      [0, 7, { tag: "738529527931269425" }],
    ],
  );
  ok(
    "times as milliseconds and as texts, and the time of arrival where there is none",
    (metric) => ({
      metric,
      columns: { "@timestamp": [A + 0.5, "2024-10-04T13:00:01+02:00", null], value: [1, 2, 3] },
    }),
    [
      [0.5, 1, {}],
      [1_000, 2, {}],
      [3_600_000, 3, {}],
    ],
  );
  ok("rows without any time", (metric) => ({ metric, columns: { value: [1, 2] } }), [
    [3_600_000, 1, {}],
    [3_600_000, 2, {}],
  ]);
  ok(
    "an attribute that all rows have",
    (metric) => ({ metric, columns: { ts: [A, B], value: [1, 2], task_id: "all" } }),
    [
      [0, 1, {}, "all"],
      [1_000, 2, {}, "all"],
    ],
  );
  ok(
    "several objects in an array",
    (metric) => [
      { metric, columns: { ts: [A], value: [1], job: ["a"] } },
      { metric, columns: { ts: [B, C], value: [2, 3], task_id: ["x", "y"] } },
    ],
    [
      [0, 1, { job: "a" }],
      [1_000, 2, {}, "x"],
      [2_000, 3, {}, "y"],
    ],
  );
  ok(
    "several objects in lines, also if one has no array",
    (metric) =>
      `\ufeff{"metric":"${metric}","columns":{"ts":[${A}],"value":[1]}}\n\n ` +
      `{"metric_name":"${metric}","columns":{"ts":${B},"value":2}}\n`,
    [
      [0, 1, {}],
      [1_000, 2, {}],
    ],
  );
  test("the metric of the query, beside which a name is a tag", async () => {
    const columns = { ts: [A], value: [7], name: "pod" };
    expect((await push({ columns }, "?metric=asked")).body).toEqual(accepted(1));
    expect(await gateway.stored("asked")).toEqual([[0, 7, { name: "pod" }]]);
  });

  test("a column of metrics, and an attribute of each", async () => {
    const [one, two] = [fresh(), fresh()];
    const columns = { ts: [A, B, C], metric: [one, two, one], value: [1, 2, 3], task_id: ["a", null, "c"] };
    expect((await push({ columns })).body).toEqual(accepted(3));
    expect(await gateway.stored(one)).toEqual([
      [0, 1, {}, "a"],
      [2_000, 3, {}, "c"],
    ]);
    expect(await gateway.stored(two)).toEqual([[1_000, 2, {}]]);
  });

  test("the type, the unit and the help of the object", async () => {
    const metric = fresh();
    const body = { metric, type: "gauge", unit: "jobs", help: "Jobs", columns: { ts: [A], value: ["NaN"] } };
    expect((await push(body)).body).toEqual(accepted(1));
    expect(await gateway.metric(metric)).toEqual({ kind: "gauge", unit: "jobs", help: "Jobs" });
    expect(await gateway.stored(metric)).toEqual([[0, "NaN", {}]]);
  });

  test("infinities and the stale marker of a gauge, whose attributes are labels", async () => {
    const metric = fresh();
    const columns = { ts: [A, B, C], value: ["+Inf", "-Inf", "stale"], task_id: "1" };
    expect((await push({ metric, type: "gauge", columns })).body).toEqual(accepted(3));
    expect(await gateway.stored(metric)).toEqual([
      [0, "Infinity", { task_id: "1" }],
      [1_000, "-Infinity", { task_id: "1" }],
      [2_000, null, { task_id: "1" }],
    ]);
  });

  test("an event whose columns are texts, which is no object of columns", async () => {
    const metric = fresh();
    const event = { columns: { member: "m" }, metric_name: metric, value: 1, "@timestamp": A };
    expect((await push(event)).body).toEqual(accepted(1));
    expect(await gateway.stored(metric, "member")).toEqual([[0, 1, {}, "m"]]);
  });
});

describe("rejects rows by their index among all objects, with the reasons of events", () => {
  const rejects = (name: string, body: (metric: string) => unknown, want: [number, string][], query = "") =>
    test(name, async () => {
      const metric = fresh();
      const { body: answer } = await push(body(metric), query);
      expect(answer.errors?.map(({ index, reason }): [number, string] => [index, reason])).toEqual(want);
      expect(answer.rejected).toBe(want.length);
    });
  rejects(
    "values that are no finite number",
    (metric) => ({ metric, columns: { ts: [A, A, A, A, A], value: [1, null, "7", true, "NaN"] } }),
    [
      [1, "value is null, expected a finite number"],
      [2, 'value is "7", expected a finite number'],
      [3, "value is true, expected a finite number"],
      [4, 'value is "NaN", expected a finite number'],
    ],
  );
  rejects(
    "increments below 0",
    (metric) => ({ metric, type: "counter", columns: { ts: [A, A], value: [-1, 1] } }),
    [[0, "value is -1, expected no less than 0 for a counter"]],
  );
  rejects(
    "times in another unit, without a zone, and before retention",
    (metric) => ({
      metric,
      columns: { ts: [A / 1000, A * 1e6, "2024-10-04T11:00:00", true, A], value: [1, 2, 3, 4, 5] },
    }),
    [
      [
        0,
        "@timestamp 1970-01-21T00:00:39.600Z is before retention, which starts at 2024-10-02T00:00:00.000Z (a number is milliseconds; this one looks like seconds)",
      ],
      [
        1,
        `ts is ${A * 1e6}, expected milliseconds since 1970 or an RFC 3339 time (a number is milliseconds; this one looks like nanoseconds)`,
      ],
      [
        2,
        'ts is "2024-10-04T11:00:00", expected milliseconds since 1970 or an RFC 3339 time (this one has no zone, such as the Z in 2024-10-04T11:00:00Z)',
      ],
      [3, "ts is true, expected milliseconds since 1970 or an RFC 3339 time"],
    ],
  );
  rejects(
    "tags that are no texts, and halves of characters",
    (metric) =>
      `{"metric":"${metric}","columns":{"ts":[${A},${A},${A}],"value":[1,2,3],"a":[{},"x",null],"task_id":["t","\\ud800","u"]}}`,
    [
      [0, "tags.a is {}, expected a string, a number or a boolean"],
      [1, "tags.task_id contains half of a surrogate pair, which is not a character"],
    ],
  );
  rejects(
    "half of a character in a tag of all rows",
    (metric) => [
      { metric, columns: { ts: [A, A], value: [1, 2], job: "\ud800" } },
      { metric, columns: { ts: [A], value: [3] } },
    ],
    [
      [0, "tags.job contains half of a surrogate pair, which is not a character"],
      [1, "tags.job contains half of a surrogate pair, which is not a character"],
    ],
  );
  rejects(
    "attributes that are too long or have a NUL character",
    (metric) =>
      `{"metric":"${metric}","columns":{"ts":[${A},${A},${A}],"value":[1,2,3],"task_id":["${"x".repeat(5_000)}","a\\u0000","b"]}}`,
    [
      [0, "tags.task_id is 5000 bytes long, at most 4096 are accepted (tagValueBytesMax)"],
      [1, "tags.task_id contains a NUL character"],
    ],
  );
  rejects(
    "rows without a metric, in the second object",
    (metric) => [
      { metric, columns: { ts: [A], value: [1] } },
      { columns: { ts: [A, A], metric: [null, metric], value: [2, 3] } },
    ],
    [[1, "metric is missing, expected a name"]],
  );
  rejects(
    "whole numbers that no float represents, if nothing may be lost",
    (metric) => `{"metric":"${metric}","columns":{"ts":[${A},${A}],"value":[9007199254740993,1]}}`,
    [[0, "value is 9007199254740993, which no 64-bit float holds; the nearest is 9007199254740992"]],
    "?strict=true",
  );

  test("too many tags in one row, by the number of those that it has", async () => {
    const tags = Object.fromEntries(
      Array.from({ length: 65 }, (_, tag) => [`t${tag}`, ["x", tag ? "x" : null]]),
    );
    const { body } = await push({ metric: fresh(), columns: { ts: [A, A], value: [1, 2], ...tags } });
    expect(body.errors).toEqual([
      { index: 0, reason: "the event has 65 tags, at most 64 are accepted (tagsMax)" },
    ]);
    expect(body.accepted).toBe(1);
  });

  test("and keeps them, so that they can be pushed again", async () => {
    const metric = fresh();
    const columns = { ts: [A], value: [-3], job: ["mail"], task_id: "t" };
    expect((await push({ metric, type: "counter", columns })).status).toBe(400);
    const kept = await gateway.gateway.query(`SELECT payload FROM rejected WHERE metric = '${metric}'`);
    expect(kept.map(({ payload }) => JSON.parse(payload as string) as unknown)).toEqual([
      {
        "@timestamp": A,
        metric_name: metric,
        value: -3,
        type: "counter",
        tags: { job: "mail", task_id: "t" },
      },
    ]);
  });
});

test("a value that no float represents is a warning", async () => {
  const metric = fresh();
  const { body } = await push(
    `{"metric":"${metric}","columns":{"ts":[${A},${A}],"value":[9007199254740993,1]}}`,
  );
  expect(body).toEqual({
    ...accepted(2),
    warnings: [
      {
        index: 0,
        field: "value",
        message: "value 9007199254740993 was stored as 9007199254740992, the nearest 64-bit float",
      },
    ],
  });
  expect(gateway.gateway.takeLog()).toHaveLength(1);
});

describe("rejects a whole body of which it is not clear what is meant:", () => {
  const bad = (body: unknown, message: string) =>
    test(message, async () => {
      const { status, body: answer } = await push(body);
      expect(answer.error).toMatchObject({ code: "bad_input", message });
      expect(status).toBe(400);
    });
  bad(
    { metric: "m", columns: { ts: [A], value: [1, 2] } },
    'the column "value" has 2 values, and "ts" has 1',
  );
  bad({ metric: "m", columns: { ts: [A] } }, 'the columns have no "value"');
  bad(
    { columns: { value: [1] } },
    'the object has no "metric", and no column of that name, expected one of them',
  );
  bad(
    { metric: "m", columns: { metric: ["n"], value: [1] } },
    'the object has a metric and a column "metric", expected one of them',
  );
  bad(
    { metric: "m", columns: { ts: [A], time: [A], value: [1] } },
    'the columns "ts" and "time" are both the time of a row, expected one of them',
  );
  bad(
    { metric: "m", tags: { job: "a" }, columns: { value: [1] } },
    'the field "tags" is unknown, expected metric, type, unit, help or columns',
  );
  bad(
    { metric: "m", labels: { job: "a" }, columns: { value: [1] } },
    'the field "labels" is unknown, expected metric, type, unit, help or columns',
  );
  bad(
    { metric: "m", columns: { value: [1], job: { a: 1 } } },
    'the column "job" is an object, expected an array or one value',
  );
  bad(
    '{"metric":"m","columns":{"value":[1],"value":[2]}}',
    'the column "value" appears twice, expected once',
  );
  bad(
    '[{"metric":"m","columns":{"value":[1]}},{"metric":"m"}]',
    'the object has no "columns" (object 1 of the body)',
  );
  bad(
    { metric: "m", type: "timer", columns: { value: [1] } },
    'type is "timer", expected observation, counter, gauge or cumulative',
  );
  bad(
    '{"metric":"m","columns":{"value":[1,}}',
    'the body is not JSON: byte 36 has "}}" where a JSON value was expected',
  );
});

test("a body with bytes that are not UTF-8 is rejected as a whole", async () => {
  const body = Buffer.from(`{"metric":"m","columns":{"value":[1],"job":["a\u00e9"]}}`, "latin1");
  const { status, body: answer } = await gateway.push(body);
  expect(status).toBe(400);
  expect(answer.error?.message).toBe("byte 46 of the body is 0xe9, which is not valid UTF-8");
});

test("a label with too many values becomes a column, and rows of the same body keep their values", async () => {
  const metric = fresh();
  const users = Array.from({ length: 1_500 }, (_, user) => `user_${user}`);
  const body = {
    metric,
    columns: { ts: users.map(() => A), value: users.map((_, user) => user), user: users },
  };
  expect((await push(body)).body).toEqual(accepted(1_500));
  expect((await push(body)).body).toEqual(accepted(1_500));
  const stored = await gateway.stored(metric, "user");
  expect(stored).toHaveLength(3_000);
  expect(stored[1_499]).toEqual([0, 1_499, {}, "user_1499"]);
  expect(stored[2_000]).toEqual([0, 500, {}, "user_500"]);
});
