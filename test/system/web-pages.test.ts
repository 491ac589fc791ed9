/**
 * The real process, asked by curl and by fetch as browsers, Prometheus, Grafana and proxies ask: pages of other origins,
 * names of the gateway, headers of answers, and limits.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { addToken } from "../access/token-texts.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";

setDefaultTimeout(300_000);

const EVIL = "https://evil.example";
let gateway: GatewayProcess;
let limited: GatewayProcess;
let token: string;
beforeAll(async () => {
  const data = temporaryFolder();
  token = await addToken(join(data, "tokens.json"), "all", { scopes: ["push", "read", "scrape"] });
  [gateway, limited] = await Promise.all([
    GatewayProcess.start({
      data: temporaryFolder(),
      args: ["--no-sampler", "--cors-origins=https://app.example.com", "--hosts=metrics.example.com"],
    }),
    GatewayProcess.start({ data, args: ["--no-sampler", "--limit-token=requests=0.01,scrapes=0.01"] }),
  ]);
});
afterAll(() => Promise.all([gateway.stop("SIGTERM"), limited.stop("SIGTERM")]));

/** The status, the headers in lower case, and the body that curl gets. */
async function curl(
  path: string,
  ...args: string[]
): Promise<{ status: number; head: string; body: string }> {
  const child = Bun.spawn(["curl", "-sS", "-i", `${gateway.url}${path}`, ...args], { stdout: "pipe" });
  const text = await new Response(child.stdout).text();
  const at = text.indexOf("\r\n\r\n");
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]),
    head: text.slice(0, at).toLowerCase(),
    body: text.slice(at + 4),
  };
}

const EVENT = '{"metric_name":"from_a_page","value":1,"type":"gauge"}';

describe.if(canRun("curl"))("curl", () => {
  test("as a page of another origin cannot push, delete or read", async () => {
    const status = async (path: string, ...args: string[]) => (await curl(path, ...args)).status;
    const page = ["-H", `Origin: ${EVIL}`];
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"])
      expect(await status("/api/v1/push", "-H", `Content-Type: ${type}`, "--data", EVENT, ...page)).toBe(403);
    expect(await status("/metrics/job/a", "-X", "DELETE", ...page)).toBe(403);
    expect(await status("/metrics", ...page)).toBe(403);
    expect(
      await status("/api/v1/export", "-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Dest: image"),
    ).toBe(403);
    expect(await status("/api/v1/push", "-H", "Host: evil.example", "--data", EVENT)).toBe(403);
    expect((await curl("/api/v1/series?match[]=from_a_page", "-g")).body).toBe(
      '{"status":"success","data":[]}\n',
    );
  });

  test("as a client that is no browser is answered as before, by address and by the names of the gateway", async () => {
    expect((await curl("/api/v1/push", "--data", EVENT)).status).toBe(200);
    for (const host of ["localhost", "metrics.example.com:443", "192.0.2.1:9091"])
      expect((await curl("/metrics", "-H", `Host: ${host}`, "-A", "Prometheus/3.0")).status).toBe(200);
    // Grafana passes on what its own page sent, without its Origin.
    const grafana = [
      "-H",
      "Sec-Fetch-Site: same-origin",
      "-H",
      "X-Forwarded-For: 10.0.0.1",
      "-A",
      "Grafana/11",
    ];
    expect((await curl("/api/v1/query?query=from_a_page", ...grafana)).body).toContain('"value":[');
    const { status, body } = await curl("/metrics", "-H", "Host: weir.monitoring.svc:9091");
    expect([status, body]).toEqual([
      403,
      expect.stringContaining("(--hosts weir.monitoring.svc), or send a token."),
    ]);
  });

  test("gets the headers for browsers, and a page of an allowed origin those of CORS", async () => {
    const { head } = await curl("/metrics", "-H", "Origin: https://app.example.com");
    for (const line of [
      "access-control-allow-origin: https://app.example.com",
      "x-content-type-options: nosniff",
      "x-frame-options: deny",
      "referrer-policy: no-referrer",
      "cross-origin-resource-policy: same-origin",
      "content-security-policy: default-src 'none'; frame-ancestors 'none'",
    ])
      expect(head).toContain(`\r\n${line}`);
    expect(head).toMatch(/\r\nvary: .*origin/);
    expect((await curl("/-/healthy")).head).not.toContain("access-control");
  });
});

test("fetch with a token may use any name, and gets 429 with Retry-After above its limits", async () => {
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${limited.url}${path}`, {
      headers: { authorization: `Bearer ${token}`, host: "weir.monitoring.svc:9091", ...headers },
    });
    return [answer.status, Number(answer.headers.get("retry-after")), await answer.text()] as const;
  };
  expect((await ask("/metrics", { origin: EVIL }))[0]).toBe(403);
  expect((await ask("/metrics"))[0]).toBe(200);
  const [status, seconds, text] = await ask("/api/v1/query?query=1");
  expect([status, JSON.parse(text)]).toEqual([
    429,
    {
      status: "error",
      errorType: "unavailable",
      error: `This token may send 0.01 requests per second (the setting limitToken); send the request again in ${seconds} s.`,
    },
  ]);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(100);
  expect((await ask("/-/ready"))[0]).toBe(200);
});
