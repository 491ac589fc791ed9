/** OTLP over gRPC on the real gateway: what is stored, each status, and how the listener stops. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { Busy, Unavailable } from "../../../../src/model/errors.ts";
import { openTestGatewayAt, type TestGateway } from "../../../gateway.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { compressedChunk, IDENTIFIER } from "../../../wire/compression/framed-snappy.ts";
import { BEGIN_MS, encode, nano, read, request } from "../otlp-messages.ts";
import { call, EXPORT, frame } from "./grpc-client.ts";
import { serveGrpc } from "./grpc-server.ts";

const gauge = (name: string, seconds: number, asDouble: number) => ({
  name,
  gauge: { dataPoints: [{ timeUnixNano: nano(seconds), asDouble }] },
});
const sent = (...metrics: object[]) => encode(request(metrics, { "service.name": "w" }));

describe("OTLP/gRPC", () => {
  let gateway: TestGateway;
  let url: string;
  const path = join(temporaryFolder(), "grpc.sock");

  beforeAll(async () => {
    gateway = await openTestGatewayAt(
      BEGIN_MS + 600_000,
      "--otlp-grpc-listen=127.0.0.1:0",
      `--otlp-grpc-listen=unix:${path}`,
    );
    [url] = (await gateway.startServices()) as [string];
  });
  afterAll(() => gateway.close());

  const values = async (metric: string) => {
    const sql = `SELECT value FROM ${metric} ORDER BY ts`;
    const response = await gateway.fetch(`/api/v1/sql?format=json&q=${encodeURIComponent(sql)}`);
    return ((await response.json()) as { rows: { value: number }[] }).rows.map(({ value }) => value);
  };

  test("stores metrics, and answers an empty response with status 0 in the trailers", async () => {
    const answer = await call(url, frame(sent(gauge("room", 1, 21.5))));
    expect(answer.headers).toMatchObject({
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-accept-encoding": "identity,gzip,deflate,zstd,snappy",
    });
    expect(answer.headers["grpc-status"]).toBeUndefined();
    expect([answer.code, answer.body, answer.reset]).toEqual([0, Buffer.alloc(5), 0]);
    expect(await values("room")).toEqual([21.5]);
  });

  test("accepts each encoding of messages, also for a request that is not compressed", async () => {
    const body = (value: number) => sent(gauge("zipped", value, value));
    const send = async (encoding: string, message: Buffer) =>
      (await call(url, message, { headers: { "grpc-encoding": encoding } })).code;
    expect(await send("gzip", frame(gzipSync(body(1)), 1))).toBe(0);
    expect(await send("deflate", frame(deflateSync(body(2)), 1))).toBe(0);
    expect(await send("zstd", frame(zstdCompressSync(body(3)), 1))).toBe(0);
    const snappy = Buffer.concat([IDENTIFIER, compressedChunk(body(4))]);
    expect(await send("snappy", frame(snappy, 1))).toBe(0);
    expect(await send("gzip", frame(body(5)))).toBe(0);
    expect(await send("identity", frame(body(6)))).toBe(0);
    expect(await values("zipped")).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("accepts a message of many frames of HTTP/2", async () => {
    const dataPoints = Array.from({ length: 20_000 }, (_, i) => ({
      timeUnixNano: `${BEGIN_MS / 1_000}${`${i}000`.padStart(9, "0")}`,
      asDouble: i,
    }));
    const body = sent({ name: "many", gauge: { dataPoints } });
    expect(body.length).toBeGreaterThan(300_000);
    expect((await call(url, frame(body))).code).toBe(0);
    expect(await values("many")).toHaveLength(20_000);
  });

  test("reports rejected points in the response, and stores the others", async () => {
    const mixed = {
      name: "mixed",
      gauge: { dataPoints: [{ timeUnixNano: nano(1), asDouble: 1 }, { asDouble: 2 }] },
    };
    const answer = await call(url, frame(sent(mixed)));
    expect(answer.code).toBe(0);
    expect(read("ExportMetricsServiceResponse", answer.body.subarray(5))).toEqual({
      partialSuccess: {
        rejectedDataPoints: "1",
        errorMessage: '1 of 2 data points were rejected: metric "mixed" has no time: time_unix_nano is 0',
      },
    });
    expect(await values("mixed")).toEqual([1]);
  });

  test("stores increments once if a request is repeated, by its body or by its idempotency-key", async () => {
    const sum = (seconds: number) => ({
      name: "jobs",
      sum: {
        isMonotonic: true,
        aggregationTemporality: 1,
        dataPoints: [{ timeUnixNano: nano(seconds), asInt: "3" }],
      },
    });
    for (let time = 0; time < 3; time++) expect((await call(url, frame(sent(sum(1))))).code).toBe(0);
    expect(await values("jobs_total")).toEqual([3]);
    const headers = { "idempotency-key": "k-1" };
    expect((await call(url, frame(sent(sum(2))), { headers })).code).toBe(0);
    const other = await call(url, frame(sent(sum(3))), { headers });
    expect([other.code, other.message]).toEqual([3, expect.stringContaining('Idempotency-Key "k-1"')]);
    expect(await values("jobs_total")).toEqual([3, 3]);
  });

  test("is served on a Unix socket too", async () => {
    const socket = connectSocket(path);
    const session = connect("http://localhost", { createConnection: () => socket });
    const stream = session.request({
      ":method": "POST",
      ":path": EXPORT,
      "content-type": "application/grpc",
    });
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.on("trailers", resolve));
    stream.resume();
    stream.end(frame(sent(gauge("by_socket", 1, 7))));
    expect((await trailers)["grpc-status"]).toBe("0");
    session.destroy();
    expect(await values("by_socket")).toEqual([7]);
  });

  test("is what curl sends with HTTP/2 and prior knowledge", async () => {
    const message = join(temporaryFolder(), "message");
    await Bun.write(message, frame(sent(gauge("by_curl", 1, 3))));
    const curl = Bun.spawn(
      [
        ...["curl", "-sv", "--http2-prior-knowledge", "--data-binary", `@${message}`, "-o", "/dev/null"],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
        url.replace("grpc:", "http:") + EXPORT,
      ],
      { stderr: "pipe" },
    );
    const shown = (await new Response(curl.stderr).text())
      .split("\n")
      .filter((line) => line.startsWith("< "));
    expect(shown[0]).toStartWith("< HTTP/2 200");
    expect(shown.at(-1)!.trim()).toBe("< grpc-status: 0");
    expect(await values("by_curl")).toEqual([3]);
  });

  describe("answers", () => {
    const good = () => frame(sent(gauge("never", 1, 1)));
    const bad = (
      name: string,
      body: () => Buffer,
      code: number,
      message: string,
      { path: method, ...headers }: { path?: string; [header: string]: string | undefined } = {},
    ) =>
      test(name, async () => {
        const answer = await call(url, body(), {
          path: method,
          headers: headers as Record<string, string>,
        });
        expect([answer.status, answer.code]).toEqual([200, code]);
        expect(answer.message).toContain(message);
        // An SDK would send the same request again if there was a RetryInfo.
        expect(answer.details).toBeUndefined();
        expect(answer.body.length).toBe(0);
      });

    bad(
      "INVALID_ARGUMENT to a message that is no protobuf",
      () => frame(Buffer.of(7)),
      3,
      "the body is not a protobuf message",
    );
    bad("INVALID_ARGUMENT to a request without a message", () => Buffer.alloc(0), 3, "has no message");
    bad(
      "INVALID_ARGUMENT to two messages",
      () => Buffer.concat([good(), good()]),
      3,
      "has more than one message",
    );
    bad("INVALID_ARGUMENT to a truncated message", () => good().subarray(0, -1), 3, "The message ends after");
    bad(
      "INVALID_ARGUMENT to gzip data that is corrupt",
      () => frame(gzipSync(Buffer.from("x")).subarray(0, -3), 1),
      3,
      "not complete gzip data",
      { "grpc-encoding": "gzip" },
    );
    bad(
      "INVALID_ARGUMENT to a compressed message without an encoding",
      () => frame(gzipSync(Buffer.from("x")), 1),
      3,
      "The message is marked as compressed, but the request has no grpc-encoding.",
    );
    bad("INVALID_ARGUMENT to a malformed grpc-timeout", good, 3, 'grpc-timeout is "1.5S"', {
      "grpc-timeout": "1.5S",
    });
    bad(
      "RESOURCE_EXHAUSTED to a message that is too large",
      () => Buffer.concat([Buffer.of(0, 2, 0, 0, 1), Buffer.alloc(100_000)]),
      8,
      "A message may have 33554432 bytes (setting bodyBytesMax) and has 33554433.",
    );
    bad(
      "RESOURCE_EXHAUSTED to a message that inflates past the limit",
      () => frame(gzipSync(Buffer.alloc(130 * 2 ** 20)), 1),
      8,
      "The body inflates past the limit of 134217728 bytes (setting inflatedBytesMax).",
      { "grpc-encoding": "gzip" },
    );
    bad(
      "UNIMPLEMENTED to an unknown encoding",
      good,
      12,
      'grpc-encoding "lz4" is not supported, expected one of identity,gzip,deflate,zstd,snappy.',
      { "grpc-encoding": "lz4" },
    );
    bad(
      "UNIMPLEMENTED to messages in JSON",
      good,
      12,
      'content-type "application/grpc+json" is not supported, expected application/grpc or application/grpc+proto.',
      { "content-type": "application/grpc+json" },
    );
    bad(
      "UNIMPLEMENTED to traces",
      good,
      12,
      "Weir stores metrics only, not traces: set OTEL_TRACES_EXPORTER=none",
      { path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export" },
    );
    bad(
      "UNIMPLEMENTED to logs",
      good,
      12,
      "Weir stores metrics only, not logs: set OTEL_LOGS_EXPORTER=none",
      {
        path: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
      },
    );
    bad(
      "UNIMPLEMENTED to another service",
      good,
      12,
      'The method "/grpc.health.v1.Health/Check" is unknown.',
      { path: "/grpc.health.v1.Health/Check" },
    );

    test("HTTP's own status to a request that is not gRPC", async () => {
      const other = await call(url, Buffer.from("{}"), { headers: { "content-type": "application/json" } });
      expect([other.status, other.code, String(other.body)]).toEqual([
        415,
        undefined,
        "This address serves gRPC only. Send OTLP/HTTP to an address of --listen or --otlp-listen.\n",
      ]);
      const get = await call(url, Buffer.alloc(0), { headers: { ":method": "GET" } });
      expect(get.status).toBe(405);
    });

    test("nothing to a client that speaks HTTP/1.1, and logs once what it should do", async () => {
      const address = url.replace("grpc:", "http:");
      for (let time = 0; time < 2; time++) {
        const answered = await fetch(`${address}/v1/metrics`, { method: "POST", body: "{}" }).then(
          ({ status }) => status,
          () => "closed",
        );
        expect(answered).not.toBe(200);
      }
      const [line, ...more] = gateway.takeLog();
      expect(JSON.parse(line!)).toMatchObject({
        level: "warn",
        message: "a connection of the gRPC listener failed; further ones are not logged",
        advice: "Send OTLP/HTTP to an address of --listen or --otlp-listen.",
      });
      expect(more).toEqual([]);
    });

    test("are counted by method and code", async () => {
      const [, own] = await gateway.send("GET /metrics?name[]=weir_grpc_requests_total");
      expect(own).toContain(`weir_grpc_requests_total{code="RESOURCE_EXHAUSTED",method="${EXPORT}"} 2`);
      expect(own).toContain('weir_grpc_requests_total{code="UNIMPLEMENTED",method="other"} 1');
    });
  });

  test("does not start at an address in use, and the error names its flag", async () => {
    const address = url.slice("grpc://".length);
    const other = await openTestGatewayAt(BEGIN_MS, `--otlp-grpc-listen=${address}`);
    await expect(other.startServices()).rejects.toThrow(
      `Cannot listen on ${address}: another process listens there; stop it, or give --otlp-grpc-listen another address.`,
    );
    await other.close();
  });
});

const EMPTY = frame(Buffer.alloc(0));

describe("a gRPC listener", () => {
  test("says when a request should be sent again", async () => {
    const errors = [new Busy("The queue is full.", 2.5), new Unavailable("The disk is full.")];
    const { service, url } = await serveGrpc(() => Promise.reject(errors.shift()));
    const answer = async () => {
      const { code, message, details } = await call(url, EMPTY);
      return [code, message, read("RetryStatus", details!)];
    };
    const status = (message: string, seconds: string) => ({
      code: 14,
      message,
      details: [
        { typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value: { retryDelay: { seconds, nanos: 0 } } },
      ],
    });
    expect(await answer()).toEqual([14, "The queue is full.", status("The queue is full.", "3")]);
    expect(await answer()).toEqual([14, "The disk is full.", status("The disk is full.", "1")]);
    await service.stop();
  });

  test("answers INTERNAL without details to a bug, and logs it", async () => {
    const { service, url, logged } = await serveGrpc(() => Promise.reject(new TypeError("secret")));
    const { code, message } = await call(url, EMPTY);
    expect([code, message]).toEqual([13, "The gateway failed on this request; its log says why."]);
    expect(logged).toEqual(["request_failed"]);
    await service.stop();
  });

  test("answers DEADLINE_EXCEEDED when the client no longer waits", async () => {
    const { service, url } = await serveGrpc(() => new Promise(() => undefined));
    const { code, message } = await call(url, EMPTY, { headers: { "grpc-timeout": "20m" } });
    expect([code, message]).toEqual([4, "The deadline of the client (grpc-timeout) is over."]);
    await service.stop();
  });

  test("ends a request whose message arrives too slowly", async () => {
    const { service, url } = await serveGrpc(async (message) => message, { timeoutMs: 100 });
    const { code, message, details } = await call(url, Buffer.of(0, 0, 0), { isOpen: true });
    expect([code, message]).toEqual([
      14,
      "The message did not arrive within 100 ms (setting bodyTimeoutMs).",
    ]);
    expect(details).toBeDefined();
    await service.stop();
  });

  test("counts a request that its client cancels, and goes on", async () => {
    const started = Promise.withResolvers<void>();
    const { service, url, counters } = await serveGrpc(async (message) => {
      started.resolve();
      if (message.length === 0) await new Promise(() => undefined);
      return message;
    });
    await call(url, EMPTY, { onSent: (cancel) => void started.promise.then(cancel) });
    expect((await call(url, frame(Buffer.of(1)))).code).toBe(0);
    const counted = (await counters.grpcRequests.get()).values.map(({ labels, value }) => [
      labels.code,
      value,
    ]);
    expect(counted).toEqual([
      ["CANCELLED", 1],
      ["OK", 1],
    ]);
    await service.stop();
  });

  test("finishes the requests in progress when it stops, and accepts no others", async () => {
    const started = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const { service, url, logged } = await serveGrpc(async (message) => {
      started.resolve();
      await end.promise;
      return message;
    });
    const first = call(url, frame(Buffer.of(5)));
    await started.promise;
    const stopped = service.stop();
    await expect(Bun.connect({ ...portOf(url), socket: { data() {} } })).rejects.toThrow();
    end.resolve();
    expect(await first).toMatchObject({ code: 0, body: Buffer.of(0, 0, 0, 0, 1, 5) });
    await stopped;
    expect(logged).toEqual([]);
  });

  test("cuts off what takes too long when it stops, and says so", async () => {
    const started = Promise.withResolvers<void>();
    const { service, url, logged } = await serveGrpc(
      () => {
        started.resolve();
        return new Promise(() => undefined);
      },
      { stopTimeoutMs: 100 },
    );
    const answer = call(url, EMPTY);
    await started.promise;
    await service.stop();
    expect((await answer).code).not.toBe(0);
    expect(logged).toEqual(['requests_cut_off {"requests":1}']);
  });

  test("closes the stream of a client that does not read its answer", async () => {
    const { service, url } = await serveGrpc(async (message) => message, { timeoutMs: 100 });
    const session = connect(url.replace("grpc:", "http:"), { settings: { initialWindowSize: 0 } });
    const stream = session.request({
      ":method": "POST",
      ":path": EXPORT,
      "content-type": "application/grpc",
    });
    stream.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
    stream.end(frame(Buffer.of(1, 2, 3)));
    await closed;
    session.destroy();
    await service.stop();
  });

  test("closes connections without traffic, also those that send nothing at all", async () => {
    const { service, url } = await serveGrpc(async (message) => message, { idleMs: 50, timeoutMs: 100 });
    const session = connect(url.replace("grpc:", "http:"));
    const { hostname, port } = portOf(url);
    const silent = connectSocket(port, hostname);
    silent.on("error", () => undefined).resume();
    await Promise.all([
      new Promise<void>((resolve) => session.once("close", () => resolve())),
      new Promise<void>((resolve) => silent.once("close", () => resolve())),
    ]);
    await service.stop();
  });

  test("goes on after connections that are reset in the middle of a request, and logs nothing", async () => {
    const { service, url, logged } = await serveGrpc(async (message) => message);
    for (let time = 0; time < 20; time++) {
      const { hostname, port } = portOf(url);
      const socket = connectSocket(port, hostname);
      const session = connect(url.replace("grpc:", "http:"), { createConnection: () => socket });
      session.on("error", () => undefined);
      const stream = session.request({
        ":method": "POST",
        ":path": EXPORT,
        "content-type": "application/grpc",
      });
      stream.on("error", () => undefined);
      stream.write(Buffer.of(0, 0, 0, 0, 9));
      await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
      socket.resetAndDestroy();
    }
    expect((await call(url, EMPTY)).code).toBe(0);
    expect(logged).toEqual([]);
    await service.stop();
  });

  test("closes idle connections when it stops", async () => {
    const { service, url } = await serveGrpc(async (message) => message);
    const session = connect(url.replace("grpc:", "http:"));
    const connected = new Promise<void>((resolve) => session.once("connect", () => resolve()));
    await connected;
    const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
    await service.stop();
    await closed;
  });
});

function portOf(url: string) {
  const { hostname, port } = new URL(url.replace("grpc:", "http:"));
  return { hostname, port: Number(port) };
}
