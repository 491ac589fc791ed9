/**
 * `GET /api/v1/export` over a socket: a client that disconnects, one that stops reading, and a failure in the middle.
 */
import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { createApp } from "../../../src/http/app.ts";
import { createLog } from "../../../src/log/log.ts";
import { exportRoutes } from "../../../src/http/query/export-routes.ts";
import { ConcurrencyLimit } from "../../../src/model/concurrency-limit.ts";
import { type Listener, listen } from "../../../src/http/server.ts";
import { createCounters } from "../../../src/model/counters.ts";

const log = createLog("error", () => {});
const CHUNK = `${"x".repeat(999)}\n`.repeat(500);

const exportSeries = () => Promise.reject(new Error("no series are selected"));

let listener: Listener | undefined;
afterEach(async () => {
  await listener?.stop(0);
  listener = undefined;
});

/** Serves lines. Reports when their generator was ended early, and how many chunks it produced. */
async function serve(chunks: () => AsyncGenerator<string, void, undefined>, stallTimeoutMs = 60_000) {
  const ended = Promise.withResolvers<number>();
  async function* lines() {
    let given = 0;
    try {
      for await (const chunk of chunks()) {
        given += 1;
        yield chunk;
      }
    } finally {
      ended.resolve(given);
    }
  }
  const app = createApp(
    [
      exportRoutes({
        exports: new ConcurrencyLimit(4, { tasks: "exports" }),
        lines,
        metrics: async () => [],
        stallTimeoutMs,
        exportSeries,
      }),
    ],
    {
      log,
      counters: createCounters(),
    },
  );
  listener = await listen(app, [{ hostname: "127.0.0.1", port: 0 }], { log });
  return { url: `${listener.urls[0]}/api/v1/export`, ended: ended.promise };
}

async function* endless(): AsyncGenerator<string, void, undefined> {
  for (;;) yield CHUNK;
}

test("stops reading the store when the client disconnects", async () => {
  const { url, ended } = await serve(endless);
  const controller = new AbortController();
  const response = await fetch(url, { signal: controller.signal });
  await response.body!.getReader().read();
  controller.abort();
  expect(await ended).toBeGreaterThan(0);
});

test("stops reading ahead for a client that reads nothing, and finally disconnects it", async () => {
  const { url, ended } = await serve(endless, 200);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.pause();
  socket.write("GET /api/v1/export HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // The buffers of both ends take some megabytes.
  expect(await ended).toBeLessThan(100);
  socket.resume();
  await closed;
});

test("a failure before the first line is an error with a status, and a later one resets the connection", async () => {
  const early = await serve(async function* () {
    yield* [];
    throw new Error("no disk");
  });
  expect((await fetch(early.url)).status).toBe(500);
  await listener?.stop(0);
  listener = undefined;

  const late = await serve(async function* () {
    yield CHUNK;
    throw new Error("no disk");
  });
  const response = await fetch(late.url);
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow("closed unexpectedly");
});

test("a range keeps the microseconds of its times", async () => {
  const ranges: unknown[] = [];
  async function* lines(range: unknown): AsyncGenerator<string, void, undefined> {
    ranges.push(range);
    yield "";
  }
  const app = createApp(
    [
      exportRoutes({
        exports: new ConcurrencyLimit(4, { tasks: "exports" }),
        lines,
        metrics: async () => [],
        stallTimeoutMs: 1_000,
        exportSeries,
      }),
    ],
    {
      log,
      counters: createCounters(),
    },
  );
  const query = "from=2024-01-01T00:00:00.000250Z&to=1704067200001";
  expect((await app.fetch(new Request(`http://localhost/api/v1/export?${query}`))).status).toBe(200);
  expect(ranges).toEqual([{ fromUs: 1_704_067_200_000_250, toUs: 1_704_067_200_001_000, metric: undefined }]);
});
