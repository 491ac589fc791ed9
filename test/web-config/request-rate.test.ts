/** The rate limit of web.yml on the real gateway: HTTP with the form of each route, and gRPC. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTestGateway } from "../gateway.ts";
import { call, frame } from "../receive/otlp/grpc/grpc-client.ts";
import { temporaryFolder } from "../temporary-folder.ts";

test("requests past the rate limit get 429 in the form of their route, and UNAVAILABLE by gRPC", async () => {
  const path = join(temporaryFolder(), "web.yml");
  writeFileSync(path, "rate_limit: { interval: 1h, burst: 2 }");
  const gateway = await openTestGateway(`--web-config-file=${path}`, "--otlp-grpc-listen=127.0.0.1:0");
  try {
    const [grpc] = await gateway.startServices();
    expect((await gateway.fetch("/-/healthy")).status).toBe(200);
    expect((await gateway.fetch("/none")).status).toBe(404);
    const rejected = await gateway.fetch("/-/healthy");
    expect([rejected.status, rejected.headers.get("retry-after"), await rejected.json()]).toEqual([
      429,
      expect.stringMatching(/^3[56]\d\d$/),
      {
        error: {
          code: "rate_limited",
          message: "There are more requests than rate_limit of the web configuration allows.",
        },
      },
    ]);
    const prometheus = await gateway.fetch("/api/v1/labels");
    expect([prometheus.status, await prometheus.json()]).toMatchObject([429, { status: "error" }]);
    expect((await call(grpc!, frame(new Uint8Array(0)))).code).toBe(14);
    const text = await gateway.counters.registry.getSingleMetricAsString("weir_requests_refused_total");
    expect(text).toContain('weir_requests_refused_total{reason="rate_limit"} 3');
  } finally {
    await gateway.close();
  }
});
