/** The export of series over HTTP, in all formats, and back by the import of VictoriaMetrics. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { DAY_MS, NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
  const line = (metric: Record<string, string>, values: string, timestamps: readonly number[]) =>
    `${JSON.stringify({ metric })}`.slice(0, -1) +
    `,"values":[${values}],"timestamps":[${timestamps.join()}]}\n`;
  await gateway.ok(
    "POST /api/v1/import",
    line({ __name__: "level", job: "a" }, "1,2.5,-0", [NOON_MS - DAY_MS, NOON_MS - 1000, NOON_MS]) +
      line({ __name__: "level", job: 'b,"c' }, "7", [NOON_MS]) +
      line(
        { __name__: "special" },
        'null,1,"NaN","Infinity","-Infinity",2',
        [0, 1, 2, 3, 4, 5].map((ms) => NOON_MS - 10 + ms),
      ),
  );
  await gateway.push([
    { metric: "lat.ms", kind: "observation", value: 5, atMs: NOON_MS - 20_000, labels: { op: "x" } },
    { metric: "lat.ms", kind: "observation", value: 70_000, atMs: NOON_MS - 20_000, labels: { op: "x" } },
    { metric: "hits", kind: "delta", value: 3, atMs: NOON_MS - 20_000 },
  ]);
});
afterAll(() => gateway.close());

const form = (parameters: Record<string, string> | [string, string][]) =>
  new URLSearchParams(parameters).toString();

/** Sends the parameters as a form, and as a query: both must have the same answer. */
async function answerOf(path: string, parameters: Record<string, string>): Promise<[number, string]> {
  const posted = await gateway.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: form(parameters),
  });
  const got = await gateway.fetch(`${path}?${form(parameters)}`);
  const answer: [number, string] = [posted.status, await posted.text()];
  expect([got.status, await got.text()]).toEqual(answer);
  return answer;
}

async function lines(path: string, parameters: Record<string, string>): Promise<string[]> {
  const [status, text] = await answerOf(path, parameters);
  expect(status).toBe(200);
  return text.split("\n").slice(0, -1);
}

const START = String(NOON_MS / 1000 - 60);

describe("JSON lines", () => {
  test("have all samples of a series on one line, a negative zero included", async () => {
    expect(await lines("/api/v1/export", { "match[]": "level" })).toEqual([
      `{"metric":{"__name__":"level","job":"a"},"values":[1,2.5,-0],"timestamps":[${NOON_MS - DAY_MS},${NOON_MS - 1000},${NOON_MS}]}`,
      `{"metric":{"__name__":"level","job":"b,\\"c"},"values":[7],"timestamps":[${NOON_MS}]}`,
    ]);
  });

  test("begin at start and finish at end, both included", async () => {
    const at = new Date(NOON_MS - 1000).toISOString();
    expect(await lines("/api/v1/export", { match: 'level{job="a"}', start: at, end: at })).toEqual([
      `{"metric":{"__name__":"level","job":"a"},"values":[2.5],"timestamps":[${NOON_MS - 1000}]}`,
    ]);
  });

  test("have at most max_rows_per_line samples", async () => {
    const parameters = { "match[]": 'level{job="a"}', max_rows_per_line: "2", reduce_mem_usage: "1" };
    expect(await lines("/api/v1/export", parameters)).toEqual([
      `{"metric":{"__name__":"level","job":"a"},"values":[1,2.5],"timestamps":[${NOON_MS - DAY_MS},${NOON_MS - 1000}]}`,
      `{"metric":{"__name__":"level","job":"a"},"values":[-0],"timestamps":[${NOON_MS}]}`,
    ]);
  });

  test("have values that are no JSON numbers on a line of their own", async () => {
    const at = (ms: number) => NOON_MS - 10 + ms;
    expect(await lines("/api/v1/export", { "match[]": "special" })).toEqual([
      `{"metric":{"__name__":"special"},"values":[1,2],"timestamps":[${at(1)},${at(5)}]}`,
      `{"metric":{"__name__":"special"},"values":[null,"NaN","Infinity","-Infinity"],"timestamps":[${at(0)},${at(2)},${at(3)},${at(4)}]}`,
    ]);
  });

  test("have events as the counters that PromQL sees", async () => {
    // The grid has a step of 15 seconds, and a series begins with 0 one step before its first row.
    const times = `"timestamps":[${NOON_MS - 30_000},${NOON_MS - 15_000},${NOON_MS}]`;
    const parameters = {
      "match[]": '{__name__=~"lat_ms_(bucket|sum|count)|hits.*",le!="1.0"}',
      start: START,
    };
    const found = await lines("/api/v1/export", parameters);
    expect(found).toContain(
      `{"metric":{"__name__":"lat_ms_bucket","le":"5.0","op":"x"},"values":[0,1,1],${times}}`,
    );
    expect(found).toContain(
      `{"metric":{"__name__":"lat_ms_bucket","le":"+Inf","op":"x"},"values":[0,2,2],${times}}`,
    );
    expect(found).toContain(
      `{"metric":{"__name__":"lat_ms_sum","op":"x"},"values":[0,70005,70005],${times}}`,
    );
    expect(found).toContain(`{"metric":{"__name__":"hits_total"},"values":[0,3,3],${times}}`);
    // 15 bounds and +Inf, without that of 1; the sum, the count, and the total. No single value.
    expect(found).toHaveLength(15 + 3);
  });

  test("have the single values of an observation only if it is named", async () => {
    const at = NOON_MS - 20_000;
    expect(await lines("/api/v1/export", { "match[]": "lat_ms", start: START })).toEqual([
      `{"metric":{"__name__":"lat_ms","op":"x"},"values":[5,70000],"timestamps":[${at},${at}]}`,
    ]);
    expect(await lines("/api/v1/export", { "match[]": '{__name__=~"lat_ms"}', start: START })).toEqual([]);
  });

  test("are empty if nothing is found", async () => {
    expect(await lines("/api/v1/export", { "match[]": "nothing" })).toEqual([]);
    expect(await lines("/api/v1/export", { "match[]": "level", end: "5" })).toEqual([]);
  });
});

test("the text format has one line per sample, and no stale markers", async () => {
  expect(await lines("/api/v1/export", { "match[]": '{job!=""}', format: "prometheus" })).toEqual([
    `level{job="a"} 1 ${NOON_MS - DAY_MS}`,
    `level{job="a"} 2.5 ${NOON_MS - 1000}`,
    `level{job="a"} -0 ${NOON_MS}`,
    `level{job="b,\\"c"} 7 ${NOON_MS}`,
  ]);
  expect(
    (await lines("/api/v1/export", { "match[]": "special", format: "prometheus" })).map(
      (line) => line.split(" ")[1],
    ),
  ).toEqual(["1", "NaN", "+Inf", "-Inf", "2"]);
});

test("CSV has the columns of the format", async () => {
  const format = "__timestamp__:rfc3339,job,__value__,__name__,__timestamp__:unix_ns,__timestamp__";
  expect(await lines("/api/v1/export/csv", { "match[]": "level", format, start: START })).toEqual([
    `2024-10-04T11:59:59Z,a,2.5,level,${NOON_MS - 1000}000000,${NOON_MS / 1000 - 1}`,
    `2024-10-04T12:00:00Z,a,-0,level,${NOON_MS}000000,${NOON_MS / 1000}`,
    `2024-10-04T12:00:00Z,"b,""c",7,level,${NOON_MS}000000,${NOON_MS / 1000}`,
  ]);
  const special = await lines("/api/v1/export/csv", { "match[]": "special", format: "__value__,job" });
  expect(special).toEqual([",", "1,", "NaN,", "+Inf,", "-Inf,", "2,"]);
});

describe("are rejected:", () => {
  const bad = (path: string, parameters: Record<string, string>, message: string) =>
    test(message, async () => {
      const [status, text] = await answerOf(path, parameters);
      expect([status, (JSON.parse(text) as { error: { message: string } }).error.message]).toEqual([
        400,
        message,
      ]);
    });
  const selected = { "match[]": "level" };
  bad(
    "/api/v1/export/csv",
    { format: "__value__" },
    'Query parameter match[] is missing; expected a selector such as up{job="node"}.',
  );
  bad(
    "/api/v1/export",
    { "match[]": "a b" },
    'invalid parameter "match[]": 1:3: parse error: unexpected identifier "b"',
  );
  bad(
    "/api/v1/export",
    { ...selected, format: "promapi" },
    'Query parameter format is "promapi"; expected json or prometheus. /api/v1/query returns a matrix.',
  );
  bad(
    "/api/v1/export",
    { ...selected, max_rows_per_line: "0" },
    'max_rows_per_line is "0"; expected a whole number of at least 1.',
  );
  bad(
    "/api/v1/export",
    { ...selected, start: "2", end: "1" },
    'invalid parameter "end": end timestamp must not be before start time',
  );
  bad(
    "/api/v1/export",
    { ...selected, start: String(NOON_MS) },
    `invalid parameter "start": "${NOON_MS}" looks like milliseconds, expected seconds since 1970 or RFC 3339`,
  );
  bad(
    "/api/v1/export",
    { ...selected, extra: "1" },
    'Query parameter "extra" is unknown; expected match[], match, start, end, format, max_rows_per_line, reduce_mem_usage, totals_from.',
  );
  bad(
    "/api/v1/export/csv",
    selected,
    "Query parameter format is missing; expected columns such as __name__,__value__,__timestamp__:unix_ms,job.",
  );
  bad(
    "/api/v1/export/csv",
    { ...selected, format: "__timestamp__:iso" },
    'Query parameter format has the entry "__timestamp__:iso"; expected __name__, __value__, the name of a label, __timestamp__:unix_s, __timestamp__:unix_ms, __timestamp__:unix_ns or __timestamp__:rfc3339.',
  );
});

test("the native format is rejected, and the answer names the format that works", async () => {
  const [status, text] = await answerOf("/api/v1/export/native", { "match[]": "level" });
  expect([status, (JSON.parse(text) as { error: { message: string } }).error.message]).toEqual([
    404,
    "The native format is not supported; /api/v1/export returns JSON lines.",
  ]);
});

test("what is exported can be imported by another gateway, and is the same there", async () => {
  const parameters = { "match[]": '{__name__!~"lat.*|hits.*"}' };
  const exported = await lines("/api/v1/export", parameters);
  const other = await openTestGateway();
  try {
    await other.ok("POST /api/v1/import", exported.map((line) => `${line}\n`).join(""));
    const [, again] = await other.send(`GET /api/v1/export?${form(parameters)}`);
    expect(again.split("\n").sort()).toEqual([...exported].sort());
  } finally {
    await other.close();
  }
});
