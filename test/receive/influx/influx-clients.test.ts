/** Real clients of InfluxDB write to the gateway: the JavaScript clients of versions 1 and 2, and the command `influx`. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { InfluxDB as InfluxDB2, Point, setLogger } from "@influxdata/influxdb-client";
import { FieldType, InfluxDB as InfluxDB1 } from "influx";
import { Busy } from "../../../src/model/errors.ts";
import { failureOf } from "../../../src/receive/influx/write-answers.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { canRun } from "../../real-servers.ts";

let gateway: TestGateway;
let port: number;
beforeAll(async () => {
  // The client prints each failure.
  setLogger({ warn: () => {}, error: () => {} });
  gateway = await openTestGateway();
  port = Number(new URL((await gateway.listen()).urls[0]!).port);
});
afterAll(() => gateway.close());

async function rows(columns: string, table: string): Promise<unknown[][]> {
  const q = `SELECT ${columns} FROM ${table} ORDER BY ALL`;
  const response = await gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(q)}`);
  const answer = (await response.json()) as { rows: Record<string, unknown>[] };
  expect(response.status).toBe(200);
  return answer.rows.map((row) => Object.values(row));
}

/** A client of version 2 that compresses each request, and does not print its errors. */
function client2(url: string, failures: Error[] = [], maxRetries = 0) {
  const writeOptions = {
    flushInterval: 0,
    gzipThreshold: 1,
    maxRetries,
    minRetryDelay: 1,
    maxRetryDelay: 1,
    writeFailed: (error: Error) => {
      failures.push(error);
      // A promise tells the client that the failure is dealt with.
      return maxRetries === 0 ? Promise.resolve() : undefined;
    },
  };
  return new InfluxDB2({ url, token: "unused" }).getWriteApi("org", "bucket", "ns", writeOptions);
}

test("the client of version 2 stores points of all types, with escapes, compressed", async () => {
  const api = client2(`http://127.0.0.1:${port}`);
  api.useDefaultTags({ host: "a b,c=d" });
  api.writePoint(
    new Point("v2 m")
      .tag("op", "get")
      .floatField("f", 1.5)
      .intField("i", -2)
      .uintField("u", 3)
      .booleanField("b", true)
      .timestamp(new Date(NOON_MS)),
  );
  api.writePoint(
    new Point("v2_event")
      .floatField("d", 7)
      .stringField("task_id", 'say "hi"\\')
      .timestamp(new Date(NOON_MS)),
  );
  await api.close();
  for (const [field, value] of Object.entries({ f: 1.5, i: -2, u: 3, b: 1 })) {
    expect(await rows("host, op, epoch_ms(ts)::DOUBLE AS ms, value", `v2_m_${field}`)).toEqual([
      ["a b,c=d", "get", NOON_MS, value],
    ]);
  }
  expect(await rows("host, task_id, value", "v2_event_d")).toEqual([["a b,c=d", 'say "hi"\\', 7]]);
});

test("the client of version 2 reports rejected lines with their reason, and does not retry", async () => {
  const failures: Error[] = [];
  const api = client2(`http://127.0.0.1:${port}`, failures);
  api.writeRecords(["v2_partial f=1", "v2_partial f="]);
  await api.close();
  expect(failures).toMatchObject([
    {
      statusCode: 400,
      code: "invalid",
      message: "partial write: unable to parse 'v2_partial f=': missing field value dropped=1",
    },
  ]);
  expect(await rows("value", "v2_partial_f")).toEqual([[1]]);
});

test("the client of version 2 sends a request again after 429", async () => {
  const statuses: number[] = [];
  const answered = Promise.withResolvers<void>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const response =
        statuses.length === 0
          ? failureOf("v2", new Busy("the queue is full"))
          : await gateway.app.fetch(request);
      if (statuses.push(response.status) === 2) answered.resolve();
      return response;
    },
  });
  try {
    const api = client2(server.url.origin, [], 3);
    api.writeRecord(`v2_again d=1,task_id="t" ${NOON_MS}000000`);
    // The promise reports the first failure. The client keeps the points, and waits as Retry-After says.
    expect(await api.flush().catch((error: unknown) => error)).toMatchObject({ statusCode: 429 });
    await answered.promise;
    await api.close();
    expect(statuses).toEqual([429, 204]);
    expect(await rows("task_id, value", "v2_again_d")).toEqual([["t", 1]]);
  } finally {
    await server.stop(true);
  }
});

test("the client of version 1 finds the server, creates a database and stores points", async () => {
  const influx = new InfluxDB1({
    host: "127.0.0.1",
    port,
    database: "db",
    username: "me",
    password: "secret",
    schema: [
      {
        measurement: "v1_m",
        fields: { f: FieldType.FLOAT, i: FieldType.INTEGER, b: FieldType.BOOLEAN },
        tags: ["host"],
      },
    ],
  });
  expect(await influx.ping(5_000)).toMatchObject([{ online: true, version: "1.8.10-weir" }]);
  expect(await influx.getDatabaseNames()).toEqual(["weir"]);
  await influx.createDatabase("my db");
  await influx.writePoints(
    [
      {
        measurement: "v1_m",
        tags: { host: "a b" },
        fields: { f: 1.5, i: 2, b: false },
        timestamp: new Date(NOON_MS),
      },
    ],
    { precision: "ms" },
  );
  expect(await rows("host, epoch_ms(ts)::DOUBLE AS ms, value", "v1_m_f")).toEqual([["a b", NOON_MS, 1.5]]);
  expect(await rows("value", "v1_m_i")).toEqual([[2]]);
  expect(await rows("value", "v1_m_b")).toEqual([[0]]);
  const late = influx.writeMeasurement("v1_m", [{ fields: { f: 1 }, timestamp: new Date(0) }]);
  expect(await late.catch((error: Error) => error.message)).toContain("is before retention");
  const query = influx.query("SELECT * FROM v1_m");
  expect(await query.catch((error: Error) => error.message)).toContain("InfluxQL is not supported");
});

test.if(canRun("influx"))("the command influx inserts a point, and imports a file", async () => {
  const folder = gateway.folder;
  await Bun.write(
    `${folder}/import.txt`,
    "# DDL\nCREATE DATABASE pirates\n# DML\n# CONTEXT-DATABASE: pirates\ntreasures,captain=flint value=29\n",
  );
  const run = async (...args: string[]) => {
    const command = ["influx", "-host", "127.0.0.1", "-port", String(port), "-database", "db", ...args];
    const child = Bun.spawn(command, {
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, HOME: folder },
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return out + err;
  };
  expect(await run("-execute", "INSERT cli,host=a value=1")).toBe("");
  expect(await run("-execute", "INSERT cli,host=a value=")).toContain(
    "unable to parse 'cli,host=a value=': missing field value",
  );
  expect(await run("-import", `-path=${folder}/import.txt`)).toContain("Processed 1 inserts");
  expect(await rows("host, value", "cli_value")).toEqual([["a", 1]]);
  expect(await rows("captain, value", "treasures_value")).toEqual([["flint", 29]]);
});
