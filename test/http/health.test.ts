/** Health, readiness and the list of tables. */
import { expect, test } from "bun:test";
import { createApp } from "../../src/http/app.ts";
import { type HealthDependencies, healthRoutes } from "../../src/http/health.ts";
import { createLog } from "../../src/http/log.ts";
import { openTestGateway } from "./gateway.ts";

const log = createLog("error");

function asker(dependencies: HealthDependencies) {
  const app = createApp([healthRoutes(dependencies)], { log });
  return async (path: string) => {
    const response = await app.fetch(new Request(`http://localhost:9091${path}`));
    return { status: response.status, body: await response.json() };
  };
}

test("healthy says that the process answers, ready asks", async () => {
  let asked = 0;
  const ask = asker({
    ready: async () => {
      asked += 1;
    },
  });
  expect(await ask("/-/healthy")).toEqual({ status: 200, body: { status: "healthy" } });
  expect(asked).toBe(0);
  expect(await ask("/-/ready")).toEqual({ status: 200, body: { status: "ready" } });
  expect(asked).toBe(1);
});

test("what stands in the way is said, and not kept", async () => {
  const outcomes: (() => Promise<void>)[] = [
    () => Promise.reject(new Error("No space left on device\nand more")),
    () => {
      throw new Error("the scrape does not render");
    },
    () => Promise.resolve(),
  ];
  const ask = asker({ ready: () => (outcomes.shift() as () => Promise<void>)() });
  const not = (message: string) => ({ status: 503, body: { error: { code: "unavailable", message } } });
  expect(await ask("/-/ready")).toEqual(not("Not ready: No space left on device"));
  expect(await ask("/-/ready")).toEqual(not("Not ready: the scrape does not render"));
  expect(await ask("/-/ready")).toEqual({ status: 200, body: { status: "ready" } });
});

test("a check that hangs is answered in time, and is not started again while it hangs", async () => {
  let asked = 0;
  const hang = Promise.withResolvers<void>();
  const ask = asker({
    ready: () => {
      asked += 1;
      return hang.promise;
    },
    timeoutMs: 10,
  });
  const answers = await Promise.all([ask("/-/ready"), ask("/-/ready"), ask("/-/ready")]);
  for (const { status, body } of answers) {
    expect(status).toBe(503);
    expect(body).toEqual({
      error: { code: "unavailable", message: "Not ready: the check took longer than 10 ms" },
    });
  }
  expect(asked).toBe(1);
  hang.resolve();
  await hang.promise;
  expect((await ask("/-/ready")).status).toBe(200);
});

test("the real gateway is ready while it can commit, and lists its tables", async () => {
  const gateway = await openTestGateway();
  const ask = async (path: string, init?: RequestInit) => {
    const response = await gateway.app.fetch(new Request(`http://localhost:9091${path}`, init));
    return { status: response.status, body: await response.json() };
  };
  const body = JSON.stringify({
    metric_name: "http.request.duration_ms",
    value: 1,
    tags: { operation: "get" },
  });
  expect((await ask("/api/v1/push", { method: "POST", body })).status).toBe(200);
  expect(await ask("/-/ready")).toEqual({ status: 200, body: { status: "ready" } });
  const { tables } = (await ask("/api/v1/tables")).body as {
    tables: { table: string; columns: { name: string }[] }[];
  };
  const table = tables.find(({ table }) => table === "http_request_duration_ms");
  expect(table?.columns.map(({ name }) => name)).toEqual(["ts", "value", "operation"]);
  await gateway.close();
  expect((await ask("/-/ready")).status).toBe(503);
});

test("each route of the real gateway says which methods it answers", async () => {
  const gateway = await openTestGateway();
  for (const { path, method } of gateway.app.routes) {
    const url = `http://localhost:9091${path.replace(/:\w+/g, "name")}`;
    const response = await gateway.app.fetch(new Request(url, { method: "PATCH" }));
    expect([path, response.status]).toEqual([path, 405]);
    expect(response.headers.get("allow")?.split(", ")).toContain(method);
  }
  await gateway.close();
});
