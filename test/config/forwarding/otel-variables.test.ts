/** The variables of OpenTelemetry's exporters as defaults of a destination, with the rules of their specification. */
import { expect, test } from "bun:test";
import { loadConfig } from "../../../src/config/config.ts";
import type { Destination, DestinationTarget } from "../../../src/model/forwarding/destination.ts";

type Otlp = Extract<DestinationTarget, { type: "otlp" }>;

function destinationOf(env: Record<string, string>, lines = ""): Destination {
  const toml = `[[forward]]\nname = "o"\ntype = "otlp"\n${lines}`;
  const { forward } = loadConfig(["--config=/weir.toml"], env, (path) =>
    path === "/weir.toml" ? toml : undefined,
  );
  return forward[0]!;
}

const otlpOf = (env: Record<string, string>, lines = "") => destinationOf(env, lines).target as Otlp;

const urlOf = (env: Record<string, string>, lines = "") => (otlpOf(env, lines).url as { text: string }).text;
const AT = "OTEL_EXPORTER_OTLP_";

// One line a case: the variables, and the URL.
const URLS: readonly (readonly [Record<string, string>, string])[] = [
  [{ [`${AT}ENDPOINT`]: "http://c:4318" }, "http://c:4318/v1/metrics"],
  [{ [`${AT}ENDPOINT`]: "http://c:4318/" }, "http://c:4318/v1/metrics"],
  [{ [`${AT}ENDPOINT`]: "https://c/otlp" }, "https://c/otlp/v1/metrics"],
  [{ [`${AT}METRICS_ENDPOINT`]: "https://c/own/path" }, "https://c/own/path"],
  // The path of the endpoint of metrics is not completed.
  [{ [`${AT}METRICS_ENDPOINT`]: "https://c" }, "https://c/"],
  [{ [`${AT}METRICS_ENDPOINT`]: "https://m/x", [`${AT}ENDPOINT`]: "http://c" }, "https://m/x"],
  [{ [`${AT}METRICS_ENDPOINT`]: " ", [`${AT}ENDPOINT`]: "http://c" }, "http://c/v1/metrics"],
];
for (const [env, url] of URLS) {
  test(`${JSON.stringify(env)} is ${url}`, () => {
    expect(urlOf(env)).toBe(url);
  });
}

test("reads headers in percent-encoding, the timeout in milliseconds, compression and certificates", () => {
  const { headers, timeoutMs, compression, tls } = otlpOf({
    [`${AT}ENDPOINT`]: "https://c",
    [`${AT}HEADERS`]: "authorization=Bearer%20t%3D1, X-Tenant=a%2Cb ,empty=",
    [`${AT}TIMEOUT`]: "5000",
    [`${AT}COMPRESSION`]: "none",
    [`${AT}CERTIFICATE`]: "/etc/ca.pem",
    [`${AT}CLIENT_CERTIFICATE`]: "/etc/cert.pem",
    [`${AT}METRICS_CLIENT_KEY`]: "/etc/key.pem",
  });
  expect(headers).toEqual([
    ["authorization", "Bearer t=1"],
    ["x-tenant", "a,b"],
    ["empty", ""],
  ]);
  expect([timeoutMs, compression]).toEqual([5_000, "none"]);
  expect(tls).toMatchObject({ caFile: "/etc/ca.pem", certFile: "/etc/cert.pem", keyFile: "/etc/key.pem" });
});

test("the table comes before the variables, and those of metrics before the general ones", () => {
  const env = {
    [`${AT}ENDPOINT`]: "https://c",
    [`${AT}HEADERS`]: "authorization=Bearer%20general,x-a=1",
    [`${AT}METRICS_HEADERS`]: "authorization=Bearer%20metrics",
    [`${AT}TIMEOUT`]: "1000",
    [`${AT}METRICS_TIMEOUT`]: "2000",
    [`${AT}COMPRESSION`]: "none",
  };
  expect(otlpOf(env).headers).toEqual([["authorization", "Bearer metrics"]]);
  expect(otlpOf(env).timeoutMs).toBe(2_000);
  const own = otlpOf(
    env,
    'url = "http://own/v1/metrics"\nbearer_token = "t"\ntimeout = "7s"\ncompression = "zstd"\nheaders = { "x-b" = "2" }\n',
  );
  expect(own).toMatchObject({
    url: { text: "http://own/v1/metrics" },
    timeoutMs: 7_000,
    compression: "zstd",
  });
  expect(own.headers).toEqual([["x-b", "2"]]);
});

test("has the batches of a usual pipeline as defaults: 1,000 points, at least each 30 seconds", () => {
  expect(otlpOf({ [`${AT}ENDPOINT`]: "http://c" })).toMatchObject({
    ...{ samplesPerRequest: 1_000, timeoutMs: 30_000, compression: "gzip", shards: 1 },
    resourceAttributes: {},
  });
  expect(destinationOf({ [`${AT}ENDPOINT`]: "http://c" }).batchMs).toBe(30_000);
});

test("a variable sets up no destination by itself", () => {
  const { forward } = loadConfig([], { [`${AT}ENDPOINT`]: "http://c" }, () => undefined);
  expect(forward).toEqual([]);
});

// One line a case: the variables, and the error.
const WRONG: readonly (readonly [Record<string, string>, string])[] = [
  [{}, 'url of forward in /weir.toml ("o") is missing, and OTEL_EXPORTER_OTLP_ENDPOINT is not set'],
  [{ [`${AT}ENDPOINT`]: "c:4318" }, "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"],
  [
    { [`${AT}ENDPOINT`]: "http://c", [`${AT}PROTOCOL`]: "grpc" },
    'PROTOCOL is "grpc", expected http/protobuf',
  ],
  [{ [`${AT}ENDPOINT`]: "http://c", [`${AT}TIMEOUT`]: "10s" }, 'TIMEOUT is "10s", expected milliseconds'],
  [{ [`${AT}ENDPOINT`]: "http://c", [`${AT}COMPRESSION`]: "br" }, "expected one of none, gzip, zstd"],
  [
    { [`${AT}ENDPOINT`]: "http://c", [`${AT}HEADERS`]: "secret1" },
    "HEADERS has a part that is not NAME=VALUE",
  ],
  [{ [`${AT}ENDPOINT`]: "http://c", [`${AT}HEADERS`]: "a=%0Asecret1" }, 'HEADERS has no valid text for "a"'],
  [{ [`${AT}ENDPOINT`]: "http://c", [`${AT}CLIENT_KEY`]: "/k" }, "belong together"],
];
for (const [env, error] of WRONG) {
  test(`rejects ${JSON.stringify(env)}`, () => {
    const read = () => otlpOf(env);
    expect(read).toThrow(error);
    expect(read).not.toThrow("secret1");
  });
}
