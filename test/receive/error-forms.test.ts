/**
 * How each protocol answers the errors of its routes: in a form that its own clients read, also if the gateway itself
 * fails. Each line is a request, an error, and the answer to it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { Busy, Unavailable } from "../../src/model/errors.ts";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { BEGIN_MS, nano, read } from "./otlp/otlp-messages.ts";

let gateway: TestGateway;
let push: TestGateway["gateway"]["ingest"]["push"];
beforeAll(async () => {
  gateway = await openTestGatewayAt(
    BEGIN_MS + 600_000,
    "--body-bytes-max=2000",
    "--inflated-bytes-max=2000",
    "--body-timeout-ms=100",
  );
  push = gateway.gateway.ingest.push;
});
beforeEach(() => {
  gateway.gateway.ingest.push = push;
});
afterAll(() => gateway.close());

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly type?: string;
  /** Accepted by the route. */
  readonly body: Bun.BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request with an error of a kind, and the text of the error. */
const ERRORS = {
  busy: ["the queue is full", () => fail(new Busy("the queue is full", 3))],
  unavailable: [
    "the samples could not be stored",
    () => fail(new Unavailable("the samples could not be stored")),
  ],
  fault: [
    "The gateway failed on this request; its log says why.",
    () => fail(new TypeError("secret detail")),
  ],
  "wrong method": ['does not support "PATCH"; it supports ', (sent: Sent) => ({ ...sent, method: "PATCH" })],
  "too large": [
    "The body may have 2000 bytes (setting bodyBytesMax)",
    (sent: Sent) => ({ ...sent, body: new Uint8Array(2_001) }),
  ],
  "too large after decompression": [
    "2000",
    (sent: Sent) => ({
      ...sent,
      body: new Uint8Array(gzipSync(new Uint8Array(200_000))),
      headers: { "content-encoding": "gzip" },
    }),
  ],
  "an unknown encoding": [
    "Content-Encoding",
    (sent: Sent) => ({ ...sent, headers: { "content-encoding": "rot13" } }),
  ],
  "a slow body": [
    "within 100 ms (setting bodyTimeoutMs).",
    (sent: Sent) => ({ ...sent, body: new ReadableStream({ pull: () => new Promise<void>(() => {}) }) }),
  ],
  "a wrong parameter": ["historical", (sent: Sent) => ({ ...sent, path: `${sent.path}?historical=maybe` })],
} as const satisfies Record<string, readonly [string, (sent: Sent) => Sent | undefined]>;

function fail(error: Error): undefined {
  gateway.gateway.ingest.push = () => Promise.reject(error);
  return undefined;
}

type Expected = readonly [
  error: keyof typeof ERRORS,
  status: number,
  retryAfter: string | null,
  code?: unknown,
];

/** @param messageOf reads an answer of the protocol, and returns its code and its message */
function form(
  name: string,
  sent: Sent,
  answerType: string,
  messageOf: (body: Uint8Array) => readonly [code: unknown, message: unknown],
  lines: readonly Expected[],
): void {
  describe(name, () => {
    for (const [error, status, retryAfter, code] of lines) {
      test(`${error}: ${status}`, async () => {
        const [part, change] = ERRORS[error];
        const { method = "POST", path, type, body, headers } = change(sent) ?? sent;
        const answer = await gateway.fetch(path, {
          method,
          body,
          headers: { ...(type === undefined ? {} : { "content-type": type }), ...headers },
        });
        const [shownCode, message] = messageOf(await answer.bytes());
        expect({
          status: answer.status,
          type: answer.headers.get("content-type"),
          retryAfter: answer.headers.get("retry-after"),
          code: shownCode,
        }).toEqual({ status, type: answerType, retryAfter, code });
        expect(message).toContain(part);
        expect(message).not.toContain("secret");
        if (error === "wrong method") expect(answer.headers.get("allow")).toContain("POST");
        if (error === "a slow body") expect(answer.headers.get("connection")).toBe("close");
        const logged = gateway.takeLog();
        expect(logged.filter((line) => line.includes("a request failed")).length).toBe(
          error === "fault" ? 1 : 0,
        );
      });
    }
  });
}

const json = (body: Uint8Array): Record<string, unknown> => JSON.parse(Buffer.from(body).toString());
const text = (body: Uint8Array) => [undefined, Buffer.from(body).toString()] as const;
const JSON_TYPE = "application/json; charset=utf-8";
const TEXT_TYPE = "text/plain; charset=utf-8";

const OTLP_LINES: readonly Expected[] = [
  ["busy", 429, "3", 14],
  ["unavailable", 503, "1", 14],
  ["fault", 500, null, 13],
  ["wrong method", 405, null, 12],
  ["too large", 413, null, 8],
  ["too large after decompression", 413, null, 8],
  ["an unknown encoding", 415, null, 12],
  ["a slow body", 503, "1", 14],
  ["a wrong parameter", 400, null, 3],
];
const otlpBody = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","gauge":{"dataPoints":[{"asInt":"1","timeUnixNano":"${nano(1)}"}]}}]}]}]}`;
form(
  "OTLP in JSON",
  { path: "/v1/metrics", type: "application/json", body: otlpBody },
  "application/json",
  (body) => [json(body).code, json(body).message],
  OTLP_LINES,
);
form(
  "OTLP in protobuf",
  { path: "/api/v1/otlp/v1/metrics", type: "application/x-protobuf", body: new Uint8Array(0) },
  "application/x-protobuf",
  (body) => {
    const { code, message } = read("Status", body);
    return [code, message];
  },
  OTLP_LINES,
);

const INFLUX_LINES: readonly Expected[] = [
  ["busy", 429, "3"],
  ["unavailable", 503, "1"],
  ["fault", 500, null],
  ["wrong method", 405, null],
  ["too large", 413, null],
  ["too large after decompression", 413, null],
  ["an unknown encoding", 415, null],
  ["a slow body", 503, "1"],
  ["a wrong parameter", 400, null],
];
const line = "m,a=b value=1";
const influxError = (body: Uint8Array) => [undefined, json(body).error] as const;
form("InfluxDB 1", { path: "/write", body: line }, JSON_TYPE, influxError, INFLUX_LINES);
form("InfluxDB 3", { path: "/api/v3/write_lp", body: line }, JSON_TYPE, influxError, INFLUX_LINES);
form(
  "InfluxDB 2",
  { path: "/api/v2/write", body: line },
  JSON_TYPE,
  (body) => [json(body).code, json(body).message],
  [
    ["busy", 429, "3", "too many requests"],
    ["unavailable", 503, "1", "unavailable"],
    ["fault", 500, null, "internal error"],
    ["wrong method", 405, null, "method not allowed"],
    ["too large", 413, null, "request too large"],
    ["an unknown encoding", 415, null, "unsupported media type"],
    ["a slow body", 503, "1", "unavailable"],
    ["a wrong parameter", 400, null, "invalid"],
  ],
);

form(
  "Datadog",
  {
    path: "/datadog/api/v2/series",
    body: JSON.stringify({
      series: [{ metric: "m", type: 3, points: [{ timestamp: BEGIN_MS / 1000, value: 1 }] }],
    }),
  },
  JSON_TYPE,
  (body) => [undefined, (json(body).errors as string[])[0]],
  [
    ["busy", 429, "3"],
    ["unavailable", 503, "1"],
    ["fault", 500, null],
    ["wrong method", 405, null],
    ["too large", 413, null],
    ["an unknown encoding", 400, null],
    ["a slow body", 408, null],
    ["a wrong parameter", 400, null],
  ],
);

const VICTORIA_LINES: readonly Expected[] = [
  ["busy", 429, "3"],
  ["unavailable", 503, "1"],
  ["fault", 500, null],
  ["wrong method", 405, null],
  ["an unknown encoding", 415, null],
  ["a slow body", 408, null],
  ["a wrong parameter", 400, null],
];
form(
  "VictoriaMetrics in JSON lines",
  {
    path: "/api/v1/import",
    body: `{"metric":{"__name__":"v"},"values":[1],"timestamps":[${BEGIN_MS}]}\n`,
  },
  TEXT_TYPE,
  text,
  VICTORIA_LINES,
);
form(
  "VictoriaMetrics in text",
  { path: "/api/v1/import/prometheus", body: "v 1\n" },
  TEXT_TYPE,
  text,
  VICTORIA_LINES,
);

form(
  "remote_write",
  {
    path: "/api/v1/write",
    type: "application/x-protobuf",
    body: Uint8Array.of(0),
    headers: { "content-encoding": "snappy" },
  },
  TEXT_TYPE,
  text,
  [
    ["busy", 503, "3"],
    ["unavailable", 503, "1"],
    ["fault", 503, "1"],
    ["wrong method", 405, null],
    ["too large", 413, null],
    ["a slow body", 503, "1"],
    ["a wrong parameter", 400, null],
  ],
);

form(
  "events",
  { path: "/api/v1/push", body: '{"metric_name":"e","value":1}' },
  JSON_TYPE,
  (body) => {
    const { code, message } = json(body).error as Record<string, unknown>;
    return [code, message];
  },
  [
    ["busy", 429, "3", "busy"],
    ["unavailable", 503, "1", "unavailable"],
    ["fault", 500, null, "internal"],
    ["wrong method", 405, null, "method_not_allowed"],
    ["too large", 413, null, "too_large"],
    ["an unknown encoding", 415, null, "unsupported"],
    ["a slow body", 408, null, "timeout"],
    ["a wrong parameter", 400, null, "bad_input"],
  ],
);
