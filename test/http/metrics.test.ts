/** The route of /metrics: negotiation, compression, selection, and the limit on scrapes. */
import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import type { Family } from "../../src/exposition/family.ts";
import { createApp } from "../../src/http/app.ts";
import { createLog } from "../../src/log/log.ts";
import { type ExpositionFormat, metricsRoutes, negotiateFormat } from "../../src/http/metrics.ts";
import { acceptsGzip } from "../../src/http/negotiation.ts";
import { DEFAULTS } from "../defaults.ts";

const { counters } = DEFAULTS;

const FAMILIES: readonly Family[] = [
  { name: "a_total", type: "counter", help: "A.", unit: "", points: [{ labels: "", value: 1 }] },
  { name: "b", type: "gauge", help: "B.", unit: "", points: [{ labels: "", value: 2 }] },
];
const TEXT = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n# HELP b B.\n# TYPE b gauge\nb 2\n";
const OPEN_METRICS = "# HELP a A.\n# TYPE a counter\na_total 1\n# HELP b B.\n# TYPE b gauge\nb 2\n# EOF\n";

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  const routes = metricsRoutes({
    exposition: { families: () => Promise.resolve(FAMILIES) },
    scrapesMax: DEFAULTS.scrapesMax,
    counters,
  });
  return createApp([routes], { log: createLog("error"), counters }).fetch(
    new Request(`http://localhost${path}`, { headers }),
  );
}

test("returns text by default, at both paths", async () => {
  for (const path of ["/metrics", "/prometheus"]) {
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(response.headers.get("content-encoding")).toBeNull();
    expect(await response.text()).toBe(TEXT);
  }
});

test("returns OpenMetrics to clients that prefer it, in the requested version", async () => {
  for (const version of ["1.0.0", "0.0.1"]) {
    const accept = `application/openmetrics-text;version=${version},text/plain;version=0.0.4;q=0.5`;
    const response = await get("/metrics", { accept });
    expect(response.headers.get("content-type")).toBe(
      `application/openmetrics-text; version=${version}; charset=utf-8`,
    );
    expect(await response.text()).toBe(OPEN_METRICS);
  }
});

test("compresses with gzip if the client accepts it", async () => {
  const response = await get("/metrics", { "accept-encoding": "gzip" });
  expect(response.headers.get("content-encoding")).toBe("gzip");
  expect(gunzipSync(await response.arrayBuffer()).toString()).toBe(TEXT);
});

test("selects families by name[]", async () => {
  expect(await (await get("/metrics?name[]=b")).text()).toBe("# HELP b B.\n# TYPE b gauge\nb 2\n");
  expect(await (await get("/metrics?name%5B%5D=a_total&name[]=b")).text()).toBe(TEXT);
  expect(await (await get("/metrics?name[]=c")).text()).toBe("");
});

test("rejects scrapes above the limit, and accepts later ones", async () => {
  const held = Promise.withResolvers<readonly Family[]>();
  const exposition = { families: () => held.promise };
  const app = createApp([metricsRoutes({ exposition, scrapesMax: 1, counters })], {
    log: createLog("error", () => {}),
    counters,
  });
  const scrape = () => app.fetch(new Request("http://localhost/metrics"));
  const first = scrape();
  const second = await scrape();
  expect(second.status).toBe(503);
  expect(await second.json()).toMatchObject({ error: { code: "unavailable" } });
  held.resolve(FAMILIES);
  expect((await first).status).toBe(200);
  expect((await scrape()).status).toBe(200);
});

describe("negotiation", () => {
  test("chooses the format with the highest quality, and the first of equals", () => {
    const chosen = (accept: string, want: ExpositionFormat) =>
      expect(negotiateFormat(accept), accept).toBe(want);
    chosen("", "text");
    chosen("*/*", "text");
    chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text");
    // The header of Prometheus 2.42.
    chosen(
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      "1.0.0",
    );
    // The header of Prometheus 3 without protobuf.
    chosen(
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
      "1.0.0",
    );
    chosen("application/openmetrics-text", "1.0.0");
    chosen('Application/OpenMetrics-Text; version="1.0.0"', "1.0.0");
    chosen(
      "application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=0.0.1;q=0.1",
      "0.0.1",
    );
    chosen("text/plain;q=0.5,application/openmetrics-text;q=0.4", "text");
    chosen("text/plain,application/openmetrics-text", "text");
    // RFC 9110 section 12.5.1: the most specific range decides.
    chosen("text/plain;q=0,*/*;q=0.5", "1.0.0");
    chosen("*/*,application/openmetrics-text", "1.0.0");
    chosen("application/openmetrics-text;charset=utf-8", "1.0.0");
    chosen("application/openmetrics-text;q=0", "text");
    chosen("image/png", "text");
    chosen(";;,,=", "text");
  });

  test("accepts gzip if it is named or everything is accepted, unless its quality is 0", () => {
    const takes = (acceptEncoding: string, want: boolean) =>
      expect(acceptsGzip(acceptEncoding), acceptEncoding).toBe(want);
    takes("", false);
    takes("gzip", true);
    takes("deflate, GZIP;q=0.5", true);
    takes("*", true);
    takes("gzip;q=0, *", false);
    takes("identity", false);
    takes("br", false);
  });
});
