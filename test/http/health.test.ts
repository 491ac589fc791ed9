/** Health, readiness, both in one word, and the list of tables. */
import { describe, expect, test } from "bun:test";
import { createApp } from "../../src/http/app.ts";
import { type HealthDependencies, healthRoutes } from "../../src/http/health.ts";
import { createLog } from "../../src/log/log.ts";
import { createCounters } from "../../src/model/counters.ts";
import { Unavailable } from "../../src/model/errors.ts";
import { openTestGateway } from "../gateway.ts";

const log = createLog("error");

function asker(dependencies: Partial<HealthDependencies>) {
  const app = createApp(
    [healthRoutes({ ready: async () => {}, readable: async () => {}, ...dependencies })],
    {
      log,
      counters: createCounters(),
    },
  );
  return async (path: string) => {
    const response = await app.fetch(new Request(`http://localhost:9091${path}`));
    return { status: response.status, body: await response.json() };
  };
}

test("healthy only reports that the process answers, and ready runs the check", async () => {
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
  // The names that other probes use.
  expect(await ask("/healthz")).toEqual({ status: 200, body: { status: "healthy" } });
  // As health+json and InfluxDB 2 say it.
  expect(await ask("/health")).toEqual({
    status: 200,
    body: { name: "weir", status: "pass", message: "the process runs; /-/ready says whether it can store" },
  });
  for (const path of ["/ready", "/readyz"])
    expect(await ask(path)).toEqual({ status: 200, body: { status: "ready" } });
  expect(asked).toBe(3);
});

test("a JSON answer ends with a newline", async () => {
  const app = createApp([healthRoutes({ ready: async () => {}, readable: async () => {} })], {
    log,
    counters: createCounters(),
  });
  for (const path of ["/-/healthy", "/nothing"]) {
    const response = await app.fetch(new Request(`http://localhost:9091${path}`));
    expect(await response.text()).toEndWith("}\n");
  }
});

test("a fault is reported when it begins and when it ends, and an error of a request is not", async () => {
  const outcomes = [new Error("a"), new Error("b"), undefined, new Unavailable("stopping"), undefined];
  const reported: string[] = [];
  const ask = asker({
    ready: async () => {
      const outcome = outcomes.shift();
      if (outcome !== undefined) throw outcome;
    },
    onFault: (error) => reported.push(String(error)),
    onRecovery: () => reported.push("recovered"),
  });
  const statuses: number[] = [];
  while (outcomes.length > 0) statuses.push((await ask("/-/ready")).status);
  expect(statuses).toEqual([503, 503, 200, 503, 200]);
  expect(reported).toEqual(["Error: a", "recovered"]);
});

test("not ready has the current reason, and the next check runs again", async () => {
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

test("answers within the timeout while a check hangs, and starts no second check", async () => {
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
    const response = await gateway.fetch(path, init);
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

describe("/api/metrics/health", () => {
  test("is degraded if the store can be read but not written, and unhealthy if it cannot be read", async () => {
    let fault: string | undefined;
    let readFault: string | undefined;
    const failing = (message: () => string | undefined) => async () => {
      const text = message();
      if (text !== undefined) throw new Error(text);
    };
    const ask = asker({ ready: failing(() => fault), readable: failing(() => readFault) });
    expect(await ask("/api/metrics/health")).toEqual({ status: 200, body: { status: "healthy" } });
    fault = "No space left on device\nand more";
    expect(await ask("/api/metrics/health")).toEqual({
      status: 200,
      body: { status: "degraded", error: "No space left on device" },
    });
    readFault = "the store is closed";
    expect(await ask("/api/metrics/health")).toEqual({
      status: 200,
      body: { status: "unhealthy", error: "the store is closed" },
    });
    fault = undefined;
    expect(await ask("/api/metrics/health")).toEqual({ status: 200, body: { status: "healthy" } });
  });

  test("answers within the timeout if a check hangs", async () => {
    const ask = asker({ ready: () => new Promise(() => {}), timeoutMs: 10 });
    expect((await ask("/api/metrics/health")).body).toEqual({
      status: "degraded",
      error: "the check took longer than 10 ms",
    });
  });

  test("is healthy, then degraded when the gateway rejects pushes, then unhealthy when the store is closed", async () => {
    const gateway = await openTestGateway();
    const health = async () => {
      const response = await gateway.fetch("/api/metrics/health");
      return { status: response.status, body: await response.json() };
    };
    expect(await health()).toEqual({ status: 200, body: { status: "healthy" } });
    await gateway.gateway.ingest.stop();
    expect(await health()).toEqual({
      status: 200,
      body: { status: "degraded", error: "the gateway is stopping" },
    });
    await gateway.close();
    expect(await health()).toEqual({
      status: 200,
      body: { status: "unhealthy", error: expect.stringContaining("closed") },
    });
  });
});

test("each route of the real gateway lists the methods that it supports", async () => {
  const gateway = await openTestGateway();
  for (const { path, method } of gateway.app.routes) {
    const response = await gateway.fetch(path.replace(/:\w+/g, "name"), { method: "PATCH" });
    expect([path, response.status]).toEqual([path, 405]);
    expect(response.headers.get("allow")?.split(", ")).toContain(method);
  }
  await gateway.close();
});
