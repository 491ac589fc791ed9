/** Lines over HTTP with the real gateway: what is stored, and the answers that clients of each version understand. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { createApp } from "../../../src/http/app.ts";
import { BodiesInProgress } from "../../../src/http/body.ts";
import { createLog } from "../../../src/log/log.ts";
import { createCounters } from "../../../src/model/counters.ts";
import { Busy, Timeout, Unavailable } from "../../../src/model/errors.ts";
import { BodyDecoder } from "../../../src/receive/body-decoder.ts";
import { influxWriteRoutes } from "../../../src/receive/influx/influx-writes.ts";
import { BodyHash } from "../../../src/wire/body-hash.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { decoderOf } from "./decoded-lines.ts";

const V1 = "/write?db=d&rp=autogen&u=me&p=secret";
const V2 = "/api/v2/write?org=o&bucket=b";
const V3 = "/api/v3/write_lp?db=d";
/** Nanoseconds of noon. */
const NOON_NS = `${NOON_MS}000000`;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway("--influx-events", "declared");
});
afterEach(() => void gateway.takeLog());
afterAll(() => gateway.close());

interface Answer {
  readonly status: number;
  readonly json: unknown;
  readonly headers: Headers;
}

async function write(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await gateway.fetch(path, { method: "POST", body, headers });
  const text = await response.text();
  return {
    status: response.status,
    json: text === "" ? undefined : JSON.parse(text),
    headers: response.headers,
  };
}

/** The rows of a metric's table, as the values of some columns. */
async function rows(columns: string, table: string): Promise<unknown[][]> {
  const q = `SELECT ${columns} FROM ${table} ORDER BY ALL`;
  const response = await gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(q)}`);
  const answer = (await response.json()) as { rows: Record<string, unknown>[] };
  expect(response.status).toBe(200);
  return answer.rows.map((row) => Object.values(row));
}

let names = 0;
/** A measurement that no other test uses. */
const fresh = () => `m${++names}`;

describe("stores", () => {
  for (const [version, path] of [
    ["1", V1],
    ["2", V2],
    ["3", V3],
  ] as const) {
    test(`the fields of lines by the API of version ${version}, and answers 204 without a body`, async () => {
      const name = fresh();
      const body = `${name},host=a usage=1.5,count=2i,up=true ${NOON_NS}\n${name},host=b usage=3 ${NOON_NS}\n`;
      const { status, json, headers } = await write(path, body);
      expect([status, json, headers.get("weir-warnings")]).toEqual([204, undefined, null]);
      expect(await rows("host, epoch_ms(ts)::DOUBLE AS ms, value", `${name}_usage`)).toEqual([
        ["a", NOON_MS, 1.5],
        ["b", NOON_MS, 3],
      ]);
      expect(await rows("value", `${name}_count`)).toEqual([[2]]);
      expect(await rows("value", `${name}_up`)).toEqual([[1]]);
    });
  }

  test("compressed bodies", async () => {
    const name = fresh();
    const body = gzipSync(`${name} f=1`);
    expect((await write(V2, body, { "content-encoding": "gzip" })).status).toBe(204);
    expect(await rows("value", `${name}_f`)).toEqual([[1]]);
  });

  test("times in every unit, and lines without a time at the time of arrival", async () => {
    const name = fresh();
    const seconds = NOON_MS / 1000;
    const send = async (path: string, field: string, time: number | string) =>
      expect((await write(path, `${name} ${field}=1 ${time}`)).status).toBe(204);
    await send(`${V1}&precision=n`, "f1", NOON_NS);
    await send(`${V1}&precision=u`, "f2", NOON_MS * 1000);
    await send(`${V1}&precision=ms`, "f3", NOON_MS);
    await send(`${V1}&precision=s`, "f4", seconds);
    await send(`${V1}&precision=m`, "f5", seconds / 60);
    await send(`${V1}&precision=h`, "f6", seconds / 3600);
    await send(V1, "f7", "");
    await send(`${V2}&precision=us`, "f8", NOON_MS * 1000);
    await send(V3, "f9", seconds);
    await send(`${V3}&precision=millisecond`, "f10", NOON_MS);
    const times = await rows(
      "metric, epoch_ms(ts)::DOUBLE AS ms",
      `samples WHERE metric LIKE '${name}\\_%' ESCAPE '\\'`,
    );
    expect(times.map(([, ms]) => ms)).toEqual(Array(10).fill(NOON_MS));
  });

  test("a gauge as such on /metrics, an event as a histogram with task_id as a column", async () => {
    const name = fresh();
    const body = `${name},op=get d=2,task_id="t1"\n${name},op=get d=3,task_id="t2"\n${name}_level,op=get x=7`;
    expect((await write(V1, body)).status).toBe(204);
    expect(await rows("op, task_id, value", `${name}_d`)).toEqual([
      ["get", "t1", 2],
      ["get", "t2", 3],
    ]);
    const [, text] = await gateway.send(`GET /metrics?name[]=${name}_d&name[]=${name}_level_x`);
    const lines = text.split("\n");
    expect(lines).toContain(`# TYPE ${name}_level_x gauge`);
    expect(lines).toContain(`${name}_level_x{instance="",op="get"} 7`);
    expect(lines).toContain(`# TYPE ${name}_d histogram`);
    expect(lines).toContain(`${name}_d_sum{instance="",op="get"} 5`);
    expect(lines).toContain(`${name}_d_count{instance="",op="get"} 2`);
  });

  test("events of a field value in buckets by the unit of the measurement", async () => {
    const name = `${fresh()}_ms`;
    await write(V1, `${name} value=3,task_id="t"`);
    const [, text] = await gateway.send(`GET /metrics?name[]=${name}_value`);
    const bounds = [...text.matchAll(/le="([^"]*)"/g)].map(([, bound]) => bound);
    expect(bounds.slice(0, 3)).toEqual(["1.0", "2.5", "5.0"]);
    expect(bounds.length).toBe(16);
  });

  test("two events of one time and one task", async () => {
    const name = fresh();
    await write(V1, `${name} d=1,task_id="t" ${NOON_NS}\n${name} d=1,task_id="t" ${NOON_NS}`);
    expect(await rows("value", `${name}_d`)).toEqual([[1], [1]]);
  });

  test("the strings of declared events as labels", async () => {
    expect((await write(V1, 'declared,a=1 d=1,s="x"')).status).toBe(204);
    expect(await rows("a, s, value", "declared_d")).toEqual([["1", "x", 1]]);
  });

  test("extra labels, and a database as one of them", async () => {
    const name = fresh();
    expect((await write(`${V1}&extra_label=db=d&extra_label=job=j`, `${name} f=1`)).status).toBe(204);
    expect(await rows("db, job, value", `${name}_f`)).toEqual([["d", "j", 1]]);
  });
});

describe("a body that is sent again", () => {
  test("stores events with times once, also under another version's route", async () => {
    const name = fresh();
    const body = `${name} d=1,task_id="t" ${NOON_NS}`;
    expect((await write(V1, body)).headers.get("weir-duplicate")).toBe(null);
    const repeated = await write(V2, body);
    expect([repeated.status, repeated.headers.get("weir-duplicate")]).toEqual([204, "true"]);
    expect(await rows("value", `${name}_d`)).toEqual([[1]]);
  });

  test("stores events with times once, also after a restart", async () => {
    const name = fresh();
    const body = `${name} d=1,task_id="t" ${NOON_NS}`;
    await write(V1, body);
    await gateway.reopen("--influx-events", "declared");
    expect((await write(V1, body)).headers.get("weir-duplicate")).toBe("true");
    expect(await rows("value", `${name}_d`)).toEqual([[1]]);
  });

  test("stores events without times again, unless they have an idempotency key", async () => {
    const name = fresh();
    const body = `${name} d=1,task_id="t"`;
    await write(V1, body);
    await write(V1, body);
    const key = { "idempotency-key": `k-${name}` };
    await write(V1, body, key);
    await write(V1, body, key);
    expect(await rows("value", `${name}_d`)).toEqual([[1], [1], [1]]);
  });

  test("drops gauges of the same time and value, and rejects another value", async () => {
    const name = fresh();
    expect((await write(V1, `${name} f=1 ${NOON_NS}`)).status).toBe(204);
    expect((await write(V1, `${name} f=1 ${NOON_NS}`)).status).toBe(204);
    expect(await write(V1, `${name} f=2 ${NOON_NS}`)).toMatchObject({
      status: 400,
      json: {
        error: `partial write: value 2 of "${name}_f" differs from 1, which is already stored for this series and time dropped=1`,
      },
    });
    expect(await rows("value", `${name}_f`)).toEqual([[1]]);
  });

  test("gets the same answer if lines were rejected", async () => {
    const name = fresh();
    const body = `${name} d=1,task_id="t" ${NOON_NS}\n${name} bad ${NOON_NS}`;
    const first = await write(V3, body);
    const second = await write(V3, body);
    expect([second.status, second.json]).toEqual([first.status, first.json]);
    expect(first.json).toMatchObject({ data: [{ line_number: 2 }] });
  });
});

describe("rejected lines", () => {
  test("are counted in the answer of version 1, and the others are stored", async () => {
    const name = fresh();
    const { status, json, headers } = await write(
      V1,
      `${name} f=1\n# comment\n${name} bad\n${name},t= f=2\n`,
    );
    expect(status).toBe(400);
    const error = `partial write: unable to parse '${name} bad': invalid field format\nunable to parse '${name},t= f=2': missing tag value dropped=2`;
    expect(json).toEqual({ error });
    expect(headers.get("x-influxdb-error")).toBe(error.replace("\n", " "));
    expect(await rows("value", `${name}_f`)).toEqual([[1]]);
  });

  test("are an error without a partial write if no line could be read", async () => {
    expect(await write(V1, "m bad")).toMatchObject({
      status: 400,
      json: { error: "unable to parse 'm bad': invalid field format" },
    });
  });

  test("of another format get a hint about the route that accepts it, or about the encoding", async () => {
    const hintOf = async (body: string | Uint8Array<ArrayBuffer>) =>
      ((await write(V1, body)).json as { error: string }).error.split(". ").slice(1).join(". ");
    expect(await hintOf('{"metric_name":"m","value":1}')).toBe(
      "The body looks like JSON events: push them to /api/v1/push.",
    );
    expect(await hintOf('# TYPE m counter\nm_total{a="b"} 1\n')).toContain(
      "The body looks like Prometheus text",
    );
    expect((await write(V1, gzipSync("m f=1"))).json).toMatchObject({
      error: expect.stringContaining('send the header "Content-Encoding: gzip" with it.'),
    });
  });

  test("get 400 in version 2 if one cannot be read, else 422", async () => {
    const name = fresh();
    expect(await write(V2, `${name} f=1\n${name} bad`)).toMatchObject({
      status: 400,
      json: {
        code: "invalid",
        message: `partial write: unable to parse '${name} bad': invalid field format dropped=1`,
      },
    });
    expect(await write(V2, `${name} f=1 1000000000000000000`)).toMatchObject({
      status: 422,
      json: {
        code: "unprocessable entity",
        message:
          "failure writing points to database: partial write: timestamp 2001-09-09T01:46:40.000Z is before retention, " +
          `which starts at 2024-10-02T00:00:00.000Z (--retention-days 3; 8427 would cover it): ` +
          `'${name} f=1 1000000000000000000' dropped=1`,
      },
    });
  });

  test("are listed with their numbers in version 3", async () => {
    const name = fresh();
    const body = `# comment\n${name} f=1\n\n${name},host=a val= 123\n${name} g="\n"\n ${name} f\n`;
    expect(await write(V3, body)).toMatchObject({
      status: 400,
      json: {
        error: "partial write of line protocol occurred",
        data: [
          { original_line: `${name},host=a val= 123`, line_number: 4, error_message: "missing field value" },
          {
            original_line: `${name} g="\n"`,
            line_number: 5,
            error_message: "the line has only string fields, expected a number or a boolean",
          },
          { original_line: `${name} f`, line_number: 7, error_message: "invalid field format" },
        ],
      },
    });
    expect(await rows("value", `${name}_f`)).toEqual([[1]]);
  });

  test("cost the whole body in version 3 with accept_partial=false", async () => {
    const name = fresh();
    expect(
      await write(`${V3}&accept_partial=false`, `${name} f=1\n${name} bad\n${name} worse`),
    ).toMatchObject({
      status: 400,
      json: {
        error: "parsing failed for write_lp endpoint",
        data: { original_line: `${name} bad`, line_number: 2, error_message: "invalid field format" },
      },
    });
    expect(await gateway.query(`FROM weir.series WHERE metric = '${name}_f'`)).toEqual([]);
  });

  test("get a hint if their time has another unit", async () => {
    const name = fresh();
    const { json } = await write(V1, `${name} f=1\n${name} f=2 ${NOON_MS / 1000}`);
    expect(json).toEqual({
      error:
        "partial write: timestamp 1970-01-01T00:00:01.728Z is before retention, which starts at " +
        "2024-10-02T00:00:00.000Z (1728043200 was read as ns; it looks like s: send precision=s): " +
        `'${name} f=2 1728043200' dropped=1`,
    });
  });

  test("name the two kinds of a metric, and other fields of the line are stored", async () => {
    const name = fresh();
    await write(V1, `${name} d=1`);
    const { json } = await write(V1, `${name} d=1,e=2,task_id="t"`);
    expect(json).toEqual({
      error:
        `partial write: metric "${name}_d" is stored as gauge, this sample is observation; use another name, ` +
        `or delete all samples of the metric with "weir delete" ` +
        "(influxEvents names the measurements whose lines are all events) dropped=1",
    });
    expect(await rows("task_id, value", `${name}_e`)).toEqual([["t", 2]]);
  });

  test("of a metric that was read as a gauge are stored once it is an observation", async () => {
    const name = fresh();
    // Rejected for its time, so it makes no metric. The decoder remembers it as a gauge.
    await write(V1, `${name} d=1 1`);
    await write(V1, `${name} d=1,task_id="t"`);
    expect((await write(V1, `${name} d=2`)).status).toBe(400);
    expect((await write(V1, `${name} d=2`)).status).toBe(204);
  });

  test("are in the table of rejected samples with their text", async () => {
    const name = fresh();
    await write(V1, `${name} bad`);
    expect(await rows("protocol, reason, payload", `rejected WHERE payload LIKE '${name}%'`)).toEqual([
      ["influx", "invalid field format", `${name} bad`],
    ]);
  });
});

describe("warns", () => {
  test("about strings beside gauges and about integers beyond 2^53, and counts and logs them", async () => {
    const name = fresh();
    const { status, headers } = await write(V1, `${name} f=9007199254740993i,state="on"`);
    expect([status, headers.get("weir-warnings")]).toEqual([204, "2"]);
    expect(gateway.takeLog().join("")).toContain(
      `the string field \\"state\\" was not stored, because \\"${name}_f\\" is a gauge`,
    );
    const [, text] = await gateway.send("GET /metrics?name[]=weir_event_warnings_total");
    expect(text).toMatch(/weir_event_warnings_total\{field="string"\} \d+/);
  });
});

describe("requests that are rejected as a whole", () => {
  const refused = (path: string, want: object, body = "m f=1", headers?: Record<string, string>) =>
    test(`${path.slice(0, 80)} ${body.slice(0, 20)}`, async () =>
      expect(await write(path, body, headers)).toMatchObject(want));

  const unknown = 'Query parameter precision is "x"; expected ';
  refused(`${V1}&precision=x`, { status: 400, json: { error: `${unknown}n, ns, u, us, µ, ms, s, m, h.` } });
  refused(`${V2}&precision=m`, {
    status: 400,
    json: { code: "invalid", message: 'Query parameter precision is "m"; expected ns, us, ms, s.' },
  });
  refused(`${V3}&accept_partial=maybe`, {
    status: 400,
    json: { error: 'Query parameter accept_partial is "maybe"; expected true or false.' },
  });
  refused(`${V1}&extra_lable=a=b`, {
    status: 400,
    json: {
      error:
        'Query parameter "extra_lable" is unknown; expected extra_label, historical, db, rp, org, orgID, bucket, ' +
        "consistency, u, p, precision, accept_partial, no_sync.",
    },
  });
  refused(V2, { status: 400, json: { code: "invalid", message: "writing requires points" } }, "# nothing\n");
  refused(V1, { status: 204 }, "");
  refused(V3, { status: 204 }, "");
  refused(V2, { status: 415, json: { code: "unsupported media type" } }, "m f=1", {
    "content-encoding": "snappy",
  });
  refused(V1, { status: 400 }, "m f=1", { "content-encoding": "gzip" });

  test("a body that is too large gets 413 in the form of each version", async () => {
    const small = await openTestGateway("--body-bytes-max=1024");
    const body = "m f=1\n".repeat(500);
    const send = async (path: string) => {
      const response = await small.fetch(path, { method: "POST", body });
      return [response.status, Object.keys((await response.json()) as object)];
    };
    try {
      expect(await send(V1)).toEqual([413, ["error"]]);
      expect(await send(V2)).toEqual([413, ["code", "message"]]);
      expect(await send(V3)).toEqual([413, ["error"]]);
    } finally {
      await small.close();
    }
  });

  for (const [error, status, code] of [
    [new Busy("the queue is full"), 429, "too many requests"],
    [new Unavailable("the gateway is stopping"), 503, "unavailable"],
    // Telegraf drops its points at 408.
    [new Timeout("the body arrived too slowly"), 503, "unavailable"],
  ] as const) {
    test(`${error.name} gets ${status} with Retry-After, so that clients send the request again`, async () => {
      const limits = {
        bodyBytesMax: 1_000,
        inflatedBytesMax: 1_000,
        timeoutMs: 1_000,
        inProgress: new BodiesInProgress(),
        nameBytesMax: 255,
        tagValueBytesMax: 255,
        tagsMax: 8,
      };
      const ingest = { bodyHash: new BodyHash(""), push: () => Promise.reject(error) };
      const routes = influxWriteRoutes({
        decoder: new BodyDecoder(decoderOf, limits.inProgress),
        ingest,
        limits,
        warnings: { note() {} },
      });
      const app = createApp([routes], { log: createLog("error", () => {}), counters: createCounters() });
      const send = async (path: string) => {
        const request = new Request(`http://localhost${path}`, { method: "POST", body: "m f=1" });
        const response = await app.fetch(request);
        return [response.status, response.headers.get("retry-after"), await response.json()];
      };
      const { message } = error;
      expect(await send(V1)).toEqual([status, "1", { error: message }]);
      expect(await send(V2)).toEqual([status, "1", { code, message }]);
      expect(await send(V3)).toEqual([status, "1", { error: message }]);
    });
  }
});
