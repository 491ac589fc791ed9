/** Destinations with TLS, passwords and tokens: a real Prometheus that asks for a certificate, and a gateway with tokens. */
import { afterEach, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { makeCertificate } from "../web-config/certificate-maker.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

let gateway: ForwardingGateway | undefined;
let server: RealServer | undefined;
let hub: GatewayProcess | undefined;
const folder = temporaryFolder();
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await server?.stop();
  await hub?.stop("SIGKILL");
  gateway = undefined;
  server = undefined;
  hub = undefined;
});

const nowMs = Math.floor(Date.now() / 60_000) * 60_000;
const path = (name: string) => join(folder, name);
const file = (name: string, text: string): string => {
  writeFileSync(path(name), text, { mode: 0o600 });
  return path(name);
};

const authority = makeCertificate({ name: "authority" });
const other = makeCertificate({ name: "other" });
const served = makeCertificate({ name: "served", issuer: authority });
const client = makeCertificate({ name: "client", issuer: authority });
const files = {
  ca: file("ca.crt", authority.cert),
  otherCa: file("other.crt", other.cert),
  cert: file("served.crt", served.cert),
  key: file("served.key", served.key),
  clientCert: file("client.crt", client.cert),
  clientKey: file("client.key", client.key),
};

async function errorOf(name: string): Promise<string> {
  const answer = await gateway!.fetch("/api/v1/forward");
  const { destinations } = (await answer.json()) as {
    destinations: { name: string; last_error: string | null }[];
  };
  return destinations.find((each) => each.name === name)?.last_error ?? "";
}

test.skipIf(!canRun("prometheus"))(
  "a Prometheus with TLS gets samples from a gateway that has its authority, a certificate and a password, and from no other",
  async () => {
    const hash = await Bun.password.hash("right", { algorithm: "bcrypt", cost: 4 });
    const web = file(
      "web.yml",
      `tls_server_config: { cert_file: ${files.cert}, key_file: ${files.key}, client_ca_file: ${files.ca}, client_auth_type: RequireAndVerifyClientCert }\n` +
        `basic_auth_users: { alice: "${hash}" }\n`,
    );
    server = await startPrometheus("global: {}\n", `--web.config.file=${web}`);
    const url = `${server.url.replace("http:", "https:")}/api/v1/write`;
    const password = file("password", "wrong\n");
    const table = (name: string, tls: Record<string, string>) =>
      destinationTable({
        ...{ name, type: "remote_write", url, version: 2, tls_config: tls },
        basic_auth: { username: "alice", password_file: password },
      });
    const pair = { cert_file: files.clientCert, key_file: files.clientKey };
    gateway = await ForwardingGateway.openWith(
      table("stranger", { ca_file: files.otherCa, ...pair }) +
        table("bare", { ca_file: files.ca }) +
        table("right", { ca_file: files.ca, ...pair }),
      { nowMs },
    );
    await gateway.push([{ metric: "level", atMs: nowMs - 1_000, value: 3.5 }]);
    await until("the password to be wrong", async () => /answered 401/.test(await errorOf("right")));
    writeFileSync(password, "right\n");
    await gateway.sent("right");
    const answer = await fetch(
      `${server.url.replace("http:", "https:")}/api/v1/query?query=level&time=${nowMs / 1_000}`,
      {
        headers: { authorization: `Basic ${btoa("alice:right")}` },
        tls: { ca: authority.cert, cert: client.cert, key: client.key },
      },
    );
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    expect(data.result.map(({ value: [, value] }) => value)).toEqual(["3.5"]);
    for (const name of ["stranger", "bare"]) {
      expect(await gateway.own(`weir_forward_samples_total{destination="${name}"}`)).toBe(0);
      expect(await gateway.own(`weir_forward_retries_total{destination="${name}"}`)).toBeGreaterThan(0);
    }
    expect(await errorOf("stranger")).toMatch(/certificate/i);
  },
);

test("a gateway with TLS and tokens gets events as soon as the file has a valid token", async () => {
  const tokens = path("tokens.json");
  const create = Bun.spawn(
    [
      ...[process.execPath, join(import.meta.dir, "../../src/main.ts"), "token", "create"],
      ...["--name", "edge", "--scope", "push,read,sql", "--token-file", tokens],
    ],
    { stdout: "pipe", stderr: "ignore" },
  );
  const [token] = (await create.stdout.text()).trim().split("\n");
  hub = await GatewayProcess.start({
    data: path("hub"),
    args: ["--no-sampler", "--tls-cert", files.cert, "--tls-key", files.key, "--token-file", tokens],
  });
  const bearer = file("bearer", "wrong\n");
  gateway = await ForwardingGateway.openWith(
    destinationTable({
      ...{ name: "hub", type: "weir", url: `${hub.url}/api/v1/push`, bearer_token_file: bearer },
      tls_config: { ca_file: files.ca },
    }),
    { nowMs },
  );
  await gateway.post(
    JSON.stringify([{ "@timestamp": nowMs, metric_name: "work", value: 2, tags: { task_id: "t" } }]),
  );
  await until("the token to be wrong", async () => /answered 401/.test(await errorOf("hub")));
  writeFileSync(bearer, `${token}\n`);
  await gateway.sent("hub");
  const q = "SELECT task_id, value FROM work";
  const answer = await fetch(`${hub.url}/api/v1/sql?${new URLSearchParams({ q, format: "ndjson" })}`, {
    headers: { authorization: `Bearer ${token}` },
    tls: { ca: authority.cert },
  });
  expect(JSON.parse(await answer.text())).toEqual({ task_id: "t", value: 2 });
});

test("no secret of a destination that quotes it is in the log, the answers or the table of rejected samples", async () => {
  const echo = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ headers }) =>
      new Response([...headers].map(([name, value]) => `${name}: ${value}`).join("; "), { status: 400 }),
  });
  const bearer = { bearer_token: "hunter2-geheim" };
  const table = (name: string, type: string, credentials: Record<string, string>) =>
    destinationTable({ name, type, url: `${echo.url.href}x`, ...credentials });
  gateway = await ForwardingGateway.openWith(
    table("rw", "remote_write", bearer) +
      table("otlp", "otlp", { ...bearer, batch_timeout: "1s" }) +
      table("hub", "weir", bearer) +
      table("es", "elasticsearch", { api_key: "hunter2-geheim" }) +
      table("dd", "datadog", { api_key: "hunter2-geheim", as: "logs" }),
    { nowMs },
  );
  await gateway.push([{ metric: "level", atMs: nowMs - 1_000, value: 3.5 }]);
  for (const name of ["rw", "otlp", "es", "dd"]) await gateway.sent(name);
  await until("the answer of the hub", async () => /answered 400/.test(await errorOf("hub")));
  const rejected = await gateway.fetch(
    `/api/v1/sql?${new URLSearchParams({ q: "FROM rejected", format: "ndjson" })}`,
  );
  const said =
    (await rejected.text()) + (await errorOf("hub")) + gateway.takeLog().join("") + (await errorOf("rw"));
  await echo.stop(true);
  expect(said).toContain("answered 400");
  expect(said).toContain("authorization: ");
  expect(said).not.toContain("hunter2");
});
