/**
 * Real clients with tokens, against the real process: a Prometheus (Debian's package) that scrapes and writes with bearer
 * and with basic authentication, prom-client's Pushgateway class, curl, and `weir import` into the folder.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Gauge, Pushgateway, Registry } from "prom-client";
import type { TokenScope } from "../../src/access/access-token.ts";
import { addToken } from "../access/token-texts.ts";
import { weir } from "../commands/weir.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, startPrometheus } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

setDefaultTimeout(300_000);

const data = temporaryFolder();
let gateway: GatewayProcess;
const tokens = {} as Record<TokenScope, string>;

beforeAll(async () => {
  for (const scope of ["push", "read", "scrape"] as const)
    tokens[scope] = await addToken(join(data, "tokens.json"), scope, { scopes: [scope] });
  // Files are imported into the folder of a gateway that has tokens.
  const file = join(temporaryFolder(), "events.json");
  writeFileSync(
    file,
    `${JSON.stringify({ metric_name: "imported", value: 7, "@timestamp": new Date().toISOString() })}\n`,
  );
  const { code, out } = await weir(["import", "--data", data, "--no-instance", file]);
  expect([code, out]).toEqual([0, expect.stringContaining("1 stored")]);
  gateway = await GatewayProcess.start({ data, args: ["--no-sampler"] });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

/** The values of an instant query, by a token that reads. */
async function query(expression: string): Promise<string[]> {
  const headers = { authorization: `Bearer ${tokens.read}` };
  const answer = await fetch(`${gateway.url}/api/v1/query?${new URLSearchParams({ query: expression })}`, {
    headers,
  });
  const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return data.result.map(({ value }) => value[1]);
}

describe.if(canRun("prometheus"))("Prometheus", () => {
  test("scrapes and writes with bearer and with basic authentication", async () => {
    const { host } = new URL(gateway.url);
    const ways = (token: string) => [
      ["bearer", `authorization: { credentials: ${token} }`],
      ["basic", `basic_auth: { username: prometheus, password: ${token} }`],
    ];
    const prometheus = await startPrometheus(
      [
        "global: { scrape_interval: 1s }",
        "scrape_configs:",
        ...ways(tokens.scrape).map(
          ([way, credentials]) =>
            `  - { job_name: ${way}, static_configs: [{ targets: ["${host}"] }], ${credentials} }`,
        ),
        `  - { job_name: neither, static_configs: [{ targets: ["${host}"] }] }`,
        "remote_write:",
        ...ways(tokens.push).map(
          ([way, credentials]) =>
            `  - { url: "${gateway.url}/api/v1/write", ${credentials}, write_relabel_configs: ` +
            `[{ source_labels: [__name__], regex: up, action: keep }, { target_label: via, replacement: ${way} }] }`,
        ),
        "",
      ].join("\n"),
    );
    try {
      const want = ["1", "1", "0"];
      for (const via of ["bearer", "basic"]) {
        await until(`Prometheus writes with ${via}`, async () => {
          const jobs = ["bearer", "basic", "neither"];
          const up = await Promise.all(jobs.map((job) => query(`up{via="${via}",job="${job}"}`)));
          return Bun.deepEquals(up.flat(), want);
        });
      }
    } finally {
      await prometheus.stop();
    }
  });
});

test("prom-client pushes with the token as a password, and is rejected without it", async () => {
  const registry = new Registry();
  new Gauge({ name: "from_prom_client", help: "A gauge.", registers: [registry] }).set(3);
  await new Pushgateway(gateway.url, { auth: `any:${tokens.push}` }, registry).push({ jobName: "a" });
  expect(await query('from_prom_client{job="a"}')).toEqual(["3"]);
  const without = new Pushgateway(gateway.url, {}, registry).push({ jobName: "b" });
  expect(await without.then(String, String)).toContain("401");
  expect(await query('from_prom_client{job="b"}')).toEqual([]);
});

test("curl sends a token as bearer and as password", async () => {
  const curl = async (...args: string[]) => {
    const command = [
      "curl",
      "-s",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      ...args,
      `${gateway.url}/metrics`,
    ];
    return await Bun.spawn(command, { stdout: "pipe" }).stdout.text();
  };
  expect(await curl()).toBe("401");
  expect(await curl("-H", `Authorization: Bearer ${tokens.scrape}`)).toBe("200");
  expect(await curl("-u", `x:${tokens.scrape}`)).toBe("200");
  expect(await curl("-u", `x:${tokens.read}`)).toBe("403");
});
