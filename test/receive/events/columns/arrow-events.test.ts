/** Arrow streams as pandas, polars, DuckDB and pyarrow write them, pushed to the real gateway: what is stored. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import zlib from "node:zlib";
import {
  ARROW,
  arrowFixture,
  type ColumnsGateway,
  ELEVEN_MS,
  openColumnsGateway,
} from "./columns-gateway.ts";

let gateway: ColumnsGateway;
beforeAll(async () => {
  gateway = await openColumnsGateway();
});
afterAll(() => gateway.close());

const accepted = (count: number) => ({ accepted: count, rejected: 0, errors: [] });

describe("stores a frame of", () => {
  test("pandas, with its categories, and without the cells that are missing", async () => {
    const { status, body } = await gateway.push(arrowFixture("pandas.arrows"), "", ARROW);
    expect(body).toEqual(accepted(3));
    expect(status).toBe(200);
    expect(await gateway.stored("pandas.duration_ms")).toEqual([
      [0, 1, { job: "mail", ok: "true", status_code: "200" }, "1_a"],
      [1_000, 2, { job: "scan", ok: "true" }],
      [2_000, 3, { job: "mail", ok: "false", status_code: "503" }, "3_c"],
    ]);
  });

  test("pandas, with its times as the index", async () => {
    const query = "?metric=pandas.index&type=gauge&unit=ms&help=A%20help";
    expect((await gateway.push(arrowFixture("pandas-index.arrows"), query, ARROW)).body).toEqual(accepted(3));
    expect(await gateway.stored("pandas.index")).toEqual([
      [0, 1, { job: "mail" }],
      [1_000, 2, { job: "scan" }],
      [2_000, 3, { job: "mail" }],
    ]);
    expect(await gateway.metric("pandas.index")).toEqual({ kind: "gauge", unit: "ms", help: "A help" });
  });

  test("polars, with its views of texts", async () => {
    expect((await gateway.push(arrowFixture("polars.arrows"), "", ARROW)).body).toEqual(accepted(3));
    expect(await gateway.stored("polars.depth")).toEqual([
      [0, 0.5, { job: "mail", url: "https://app.example.com/api/get-task" }, "1704067200_abc123"],
      [1_000, 1.5, { url: "short" }, "1704067200_abc124"],
      [2_000, 2.5, { job: "scan" }],
    ]);
  });

  test("DuckDB, with decimals as values", async () => {
    expect((await gateway.push(arrowFixture("duckdb.arrows"), "", ARROW)).body).toEqual(accepted(3));
    expect(await gateway.stored("duckdb.cost")).toEqual([
      [0, 0, { level: "low", size: "0" }],
      [1_000, 1.25, { level: "high", size: "10" }],
      [2_000, 2.5, { level: "low", size: "20" }],
    ]);
  });

  test("several record batches, with dictionaries that grow and are replaced, in each compression", async () => {
    for (const name of ["batches", "batches-lz4", "batches-zstd"]) {
      const body = arrowFixture(`${name}.arrows`);
      expect((await gateway.push(body, `?metric=${name}`, ARROW)).body).toEqual(accepted(6));
      expect(await gateway.stored(name)).toEqual([
        [0, 0, { job: "mail" }, "task_0_0"],
        [0, 1, { job: "scan" }, "task_0_1"],
        [1_000, 10, { job: "mail" }, "task_1_0"],
        [1_000, 11, { job: "scan" }, "task_1_1"],
        [1_000, 12, { job: "sync" }, "task_1_2"],
        [2_000, 20, { job: "other" }, "task_2_0"],
      ]);
    }
  });

  test("a file of Arrow, and a stream without a content type", async () => {
    const headers = { "content-type": "application/vnd.apache.arrow.file" };
    expect((await gateway.push(arrowFixture("file.arrow"), "?metric=file", headers)).body).toEqual(
      accepted(2),
    );
    expect((await gateway.push(arrowFixture("file.arrow"), "?metric=plain")).body).toEqual(accepted(2));
    expect((await gateway.push(arrowFixture("batches.arrows"), "?metric=sniffed")).body).toEqual(accepted(6));
    expect(await gateway.stored("file")).toEqual([
      [0, 0, { job: "mail" }, "task_0_0"],
      [0, 1, { job: "scan" }, "task_0_1"],
    ]);
  });

  test("a body that is compressed as a whole", async () => {
    const body = zlib.gzipSync(arrowFixture("batches.arrows"));
    const headers = { ...ARROW, "content-encoding": "gzip" };
    expect((await gateway.push(body, "?metric=gzip", headers)).body).toEqual(accepted(6));
  });
});

test("each type of a tag becomes the text that JSON events have", async () => {
  expect((await gateway.push(arrowFixture("types.arrows"), "?metric=types", ARROW)).body).toEqual(
    accepted(2),
  );
  expect(await gateway.stored("types")).toEqual([
    [
      0.001,
      1,
      {
        at: "2024-10-04T11:00:00Z",
        bool: "true",
        date32: "2024-02-29",
        date64: "2024-02-29",
        decimal: "12.3",
        dictionary: "one",
        float32: "0.1",
        float64: "1.5",
        int16: "-16",
        int32: "-32",
        int64: "-738529527931269425",
        int8: "-8",
        large_dictionary: "two",
        large_utf8: "large",
        numbers: "7",
        uint16: "60000",
        uint32: "4000000000",
        uint64: "18446744073709551615",
        uint8: "200",
        utf8: "é",
        utf8_view: "a view of more than twelve bytes",
      },
    ],
    // A nanosecond before 11:00 is in the microsecond before it.
    [-0.001, 2, {}],
  ]);
});

test("each type of a number is a value", async () => {
  const values = {
    int8: -8,
    uint16: 60_000,
    int64: -5,
    uint64: 1_099_511_627_777,
    float32: 0.25,
    decimal32: -0.5,
    decimal256: 1.2345678901234568e29,
    dictionary: 9.5,
  };
  for (const [type, value] of Object.entries(values)) {
    const body = arrowFixture(`value-${type}.arrows`);
    expect((await gateway.push(body, `?metric=value.${type}`, ARROW)).body).toEqual(accepted(1));
    expect(await gateway.stored(`value.${type}`)).toEqual([[0, value, {}]]);
  }
});

test("each type of a time is a time, in UTC if it has no zone", async () => {
  const midnight = -11 * 3_600_000;
  const times = {
    s: 0,
    ms: 0,
    ns: 0,
    date: midnight,
    date64: midnight,
    integer: 0,
    float: 0.5,
    text: 0,
    dictionary: 0,
  };
  for (const [type, ms] of Object.entries(times)) {
    const body = arrowFixture(`time-${type}.arrows`);
    expect((await gateway.push(body, `?metric=time.${type}`, ARROW)).body).toEqual(accepted(1));
    expect(await gateway.stored(`time.${type}`)).toEqual([[ms, 1, {}]]);
  }
});

describe("rejects a whole table that cannot be stored, and names the column:", () => {
  const bad = (fixture: string, query: string, message: string) =>
    test(message, async () => {
      const { status, body } = await gateway.push(arrowFixture(fixture), query, ARROW);
      expect(body.error).toMatchObject({ code: "bad_input", message });
      expect(status).toBe(400);
    });
  const EXPECTED = "expected numbers, texts, booleans, times or a dictionary of them";
  bad("list.arrows", "?metric=m", `the column "tags" has the type list, ${EXPECTED}`);
  bad("struct.arrows", "?metric=m", `the column "labels" has the type struct, ${EXPECTED}`);
  bad("duration.arrows", "?metric=m", `the column "value" has the type duration, ${EXPECTED}`);
  bad("binary.arrows", "?metric=m", `the column "id" has the type binary, ${EXPECTED}`);
  bad("bool-value.arrows", "?metric=m", 'the column "value" has the type bool, expected numbers');
  bad(
    "batches.arrows",
    "",
    'the table has no column "metric" or "name", and the query has no parameter metric; its columns are "ts", "value", "job", "task_id"',
  );
  bad(
    "pandas.arrows",
    "?metric=m",
    'the query has the parameter metric, and the table has the column "metric", expected one of them',
  );
  bad(
    "pandas-row-numbers.arrows",
    "",
    'the column "__index_level_0__" is the index of a pandas frame, expected a frame without it (preserve_index=False, or reset_index)',
  );
  bad(
    "batches.arrows",
    "?metric=m&type=timer",
    'Query parameter type is "timer"; expected observation, counter, gauge or cumulative.',
  );
});

test("a name beside a metric is a tag", async () => {
  expect((await gateway.push(arrowFixture("duckdb.arrows"), "?metric=named", ARROW)).body).toEqual(
    accepted(3),
  );
  expect(await gateway.stored("named")).toContainEqual([
    1_000,
    1.25,
    { level: "high", name: "duckdb.cost", size: "10" },
  ]);
});

test("an idempotency key makes a repeat store nothing, and rejects another body", async () => {
  const headers = { ...ARROW, "idempotency-key": "once" };
  const send = (name: string) => gateway.push(arrowFixture(name), "?metric=once", headers);
  expect((await send("batches.arrows")).headers.get("weir-duplicate")).toBeNull();
  const { body, headers: answered } = await send("batches.arrows");
  expect(body).toEqual(accepted(6));
  expect(answered.get("weir-duplicate")).toBe("true");
  expect((await send("file.arrow")).status).toBe(422);
  expect(await gateway.stored("once")).toHaveLength(6);
});

test("extra labels are added to rows without such a tag", async () => {
  const query = "?metric=extra&extra_label=job=none&extra_label=instance=w1";
  expect((await gateway.push(arrowFixture("pandas-index.arrows"), query, ARROW)).body).toEqual(accepted(3));
  expect(await gateway.stored("extra")).toContainEqual([0, 1, { instance: "w1", job: "mail" }]);
});

test("parameters of columns are rejected beside JSON events", async () => {
  const event = { metric_name: "m", value: 1, "@timestamp": ELEVEN_MS };
  const { status, body } = await gateway.push(JSON.stringify(event), "?metric=other");
  expect(status).toBe(400);
  expect(body.error).toMatchObject({ field: "metric" });
});

test("a body with more rows than eventsMax is rejected as a whole", async () => {
  const small = await openColumnsGateway("--events-max=5");
  try {
    const { status, body } = await small.push(arrowFixture("batches.arrows"), "?metric=m", ARROW);
    expect(status).toBe(413);
    expect(body.error?.message).toBe("the body has more than 5 events (eventsMax), send it in parts");
  } finally {
    await small.close();
  }
});
