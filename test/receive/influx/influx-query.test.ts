/** What clients of InfluxDB ask before they write. The answers of InfluxDB 1.6 to the same requests are the reference. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
});
afterAll(() => gateway.close());

const ask = async (path: string, init?: RequestInit): Promise<[number, unknown]> => {
  const response = await gateway.fetch(path, init);
  return [response.status, await response.json()];
};
const get = (q: string, more = "") => ask(`/query?q=${encodeURIComponent(q)}${more}`);

test("a ping gets 204 and the version, with GET and HEAD", async () => {
  for (const method of ["GET", "HEAD"]) {
    const response = await gateway.fetch("/ping", { method });
    expect([response.status, await response.text(), response.headers.get("x-influxdb-version")]).toEqual([
      204,
      "",
      "1.8.10-weir",
    ]);
  }
});

test("a verbose ping gets the version as JSON", async () => {
  expect(await ask("/ping?verbose=true")).toEqual([200, { version: "1.8.10-weir" }]);
});

test("the health route has the status that clients of version 2 expect", async () => {
  expect(await ask("/health")).toMatchObject([200, { status: "pass", name: "weir" }]);
});

const databases = (...names: string[]) => ({
  results: names.map((name, statement_id) => ({
    statement_id,
    series: [{ name: "databases", columns: ["name"], values: [[name]] }],
  })),
});

test("SHOW DATABASES lists the database that the client names", async () => {
  expect(await get("SHOW DATABASES")).toEqual([200, databases("weir")]);
  expect(await get("show  databases;", "&db=telegraf")).toEqual([200, databases("telegraf")]);
});

test("CREATE DATABASE succeeds for every name that InfluxDB accepts, also in a form", async () => {
  const created = { results: [{ statement_id: 0 }] };
  for (const statement of [
    "CREATE DATABASE telegraf",
    'CREATE DATABASE "my db; \\"x\\""',
    'create database "d" WITH DURATION 3d REPLICATION 1 NAME "p"',
    "CREATE DATABASE telegraf;",
  ]) {
    expect(await get(statement)).toEqual([200, created]);
    const body = new URLSearchParams({ q: statement });
    expect(await ask("/query", { method: "POST", body })).toEqual([200, created]);
  }
  expect(await get("CREATE DATABASE a; SHOW DATABASES", "&db=a")).toEqual([
    200,
    { results: [{ statement_id: 0 }, { ...databases("a").results[0], statement_id: 1 }] },
  ]);
});

test("any other statement is an error that points to SQL and PromQL", async () => {
  for (const statement of [
    "SELECT * FROM cpu",
    "DROP DATABASE d",
    "CREATE DATABASE",
    "SHOW DATABASES; DROP DATABASE d",
  ]) {
    const refused = statement.split("; ").at(-1)!;
    expect(await get(statement)).toEqual([
      400,
      {
        error:
          `error parsing query: InfluxQL is not supported, got ${JSON.stringify(refused)}; ` +
          "send SQL to /api/v1/sql or PromQL to /api/v1/query",
      },
    ]);
  }
  expect(await ask("/query")).toEqual([400, { error: 'missing required parameter "q"' }]);
});
