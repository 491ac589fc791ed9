/** Bodies over real sockets: limits, deadlines, and clients that are slow, send wrong lengths or disconnect. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createApp } from "../../src/http/app.ts";
import { BodiesInProgress, readBody } from "../../src/http/body.ts";
import { createLog } from "../../src/log/log.ts";
import { Routes } from "../../src/http/routes.ts";
import { type Listener, listen } from "../../src/http/server.ts";
import { createCounters } from "../../src/model/counters.ts";
import { connect, exchange } from "./raw.ts";

const MiB = 2 ** 20;
const log = createLog("error");
const limits = {
  bodyBytesMax: 6 * MiB,
  inflatedBytesMax: 8 * MiB,
  timeoutMs: 60_000,
  inProgress: new BodiesInProgress(),
};

/** Answers with the length and the hash of the body, or with the error. */
const family = new Routes()
  .on("POST", "/read", "none", "", async (request) => Response.json(summary(await readBody(request, limits))))
  .on("POST", "/hasty", "none", "", async (request) =>
    Response.json(summary(await readBody(request, { ...limits, timeoutMs: 50 }))),
  );
const summary = (body: Uint8Array) => ({ length: body.length, hash: String(Bun.hash(body)) });

let listener: Listener;
beforeAll(async () => {
  listener = await listen(
    createApp([family], { log, counters: createCounters() }),
    [{ hostname: "127.0.0.1", port: 0 }],
    { log },
  );
});
afterAll(async () => {
  await listener.stop(1_000);
});

const bytes = (length: number) => {
  const body = new Uint8Array(length);
  for (let i = 0; i < length; i += 7) body[i] = i;
  return body;
};
const post = (body: Bun.BodyInit, headers: Record<string, string> = {}) =>
  fetch(`${listener.urls[0]}/read`, { method: "POST", body, headers });
/** A body of unknown length, sent in chunks. */
const chunked = (parts: Iterable<Uint8Array>) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });

describe("reads the whole body", () => {
  const ok = (name: string, body: () => Bun.BodyInit, want: Uint8Array, headers?: Record<string, string>) =>
    test(name, async () => {
      const response = await post(body(), headers);
      expect(await response.json()).toEqual(summary(want));
      expect(response.status).toBe(200);
    });
  ok("none", () => "", bytes(0));
  ok("short, length known", () => bytes(10), bytes(10));
  ok("exactly as long as the limit, length known", () => bytes(6 * MiB), bytes(6 * MiB));
  ok(
    "in chunks",
    () => chunked([bytes(5), bytes(0), bytes(3 * MiB)]),
    Buffer.concat([bytes(5), bytes(3 * MiB)]),
  );
  ok("in chunks up to the limit", () => chunked([bytes(6 * MiB)]), bytes(6 * MiB));
  ok("gzip to the limit", () => Bun.gzipSync(bytes(8 * MiB)), bytes(8 * MiB), { "content-encoding": "gzip" });
  ok("zstd in chunks", () => chunked([Bun.zstdCompressSync(bytes(100))]), bytes(100), {
    "content-encoding": "zstd",
  });

  test("of more concurrent requests than are decompressed at once", async () => {
    const body = Bun.gzipSync(bytes(MiB));
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => post(body, { "content-encoding": "gzip" }).then((r) => r.json())),
    );
    for (const response of responses) expect(response).toEqual(summary(bytes(MiB)));
  });
});

describe("a body past a limit gets 413 in JSON", () => {
  const bad = (name: string, body: () => Bun.BodyInit, message: string, headers?: Record<string, string>) =>
    test(name, async () => {
      const response = await post(body(), headers);
      expect(response.status).toBe(413);
      expect(await response.json()).toEqual({ error: { code: "too_large", message } });
    });
  const may = "The body may have 6291456 bytes (setting bodyBytesMax) and has";
  bad("one byte, length known", () => bytes(6 * MiB + 1), `${may} 6291457.`);
  bad("one byte, in chunks", () => chunked([bytes(6 * MiB), bytes(1)]), `${may} more.`);
  bad("by far, length known", () => bytes(60 * MiB), `${may} 62914560.`);
  bad("by far, in chunks", () => chunked(Array.from({ length: 60 }, () => bytes(MiB))), `${may} more.`);
  bad(
    "after inflating",
    () => Bun.gzipSync(bytes(8 * MiB + 1)),
    "The body inflates past the limit of 8388608 bytes (setting inflatedBytesMax).",
    { "content-encoding": "gzip" },
  );
});

test("answers an unknown encoding with 415 before the body arrives", async () => {
  const connection = await connect(listener);
  connection.write(
    "POST /read HTTP/1.1\r\nHost: weir\r\nContent-Encoding: lzma\r\nContent-Length: 10\r\n\r\n",
  );
  const answer = await connection.until(/identity\./);
  expect(answer).toStartWith("HTTP/1.1 415 ");
  expect(answer).toContain('"field":"Content-Encoding"');
  connection.destroy();
});

test("answers a slow body with 408 and closes the connection, with and without a known length", async () => {
  for (const head of ["Content-Length: 10", "Content-Length: 5000000", "Transfer-Encoding: chunked"]) {
    const connection = await connect(listener);
    connection.write(`POST /hasty HTTP/1.1\r\nHost: weir\r\n${head}\r\n\r\n`);
    connection.write(head.startsWith("T") ? "3\r\nabc\r\n" : "abc");
    const answer = await connection.closed;
    expect(answer).toStartWith("HTTP/1.1 408 ");
    expect(answer).toContain('"message":"The body did not arrive within 50 ms (setting bodyTimeoutMs)."');
  }
});

test("a client that disconnects within its body does not affect others", async () => {
  for (const head of ["Content-Length: 10", "Content-Length: 5000000", "Transfer-Encoding: chunked"]) {
    const connection = await connect(listener);
    connection.write(`POST /read HTTP/1.1\r\nHost: weir\r\n${head}\r\n\r\n3\r\nabc`);
    connection.destroy();
    await connection.closed;
  }
  expect(await (await post(bytes(10))).json()).toEqual(summary(bytes(10)));
});

test("the bytes of all bodies in progress are bounded, and released afterwards", async () => {
  // 64 bodies of 4 MiB reach the limit of 256 MiB. Each has sent only its first byte.
  const head = `POST /read HTTP/1.1\r\nHost: weir\r\nContent-Length: ${4 * MiB}\r\n\r\nx`;
  const connections = await Promise.all(Array.from({ length: 64 }, () => connect(listener)));
  for (const connection of connections) connection.write(head);
  // Requests on other connections are handled in no defined order, so the test repeats until the limit is reached.
  let refused: Response;
  do refused = await post(bytes(4 * MiB));
  while (refused.status === 200);
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(((await refused.json()) as { error: { code: string } }).error.code).toBe("busy");

  for (const connection of connections) connection.destroy();
  await Promise.all(connections.map((connection) => connection.closed));
  let response: Response;
  do response = await post(bytes(4 * MiB));
  while (response.status === 429);
  expect(response.status).toBe(200);
});

test("rejects an invalid Content-Length", async () => {
  const answer = await exchange(
    listener,
    "POST /read HTTP/1.1\r\nHost: weir\r\nContent-Length: ten",
    "0123456789",
  );
  expect(answer).toStartWith("HTTP/1.1 400 ");
});
