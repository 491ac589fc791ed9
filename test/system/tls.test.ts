/**
 * TLS of the real process: curl, fetch and a gRPC exporter with a certificate that the test makes, its exchange under
 * load, and clients that should not be served.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { NODE, runApplication } from "../receive/otlp/sdk-run.ts";
import { type MadeCertificate, makeCertificate } from "../web-config/certificate-maker.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
const ca = makeCertificate({ name: "ca" });
const caFile = join(folder, "ca.pem");
const [certFile, keyFile] = [join(folder, "tls.crt"), join(folder, "tls.key")];
let gateway: GatewayProcess;
let urls: string[];

function install({ cert, key }: MadeCertificate) {
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
}

beforeAll(async () => {
  writeFileSync(caFile, ca.cert);
  install(makeCertificate({ name: "first", issuer: ca }));
  gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: [
      "--no-sampler",
      "--log-requests",
      ...["--tls-cert", certFile, "--tls-key", keyFile],
      ...["--otlp-listen", "127.0.0.1:0", "--otlp-grpc-listen", "127.0.0.1:0"],
      ...["--listen", `unix:${join(folder, "weir.sock")}`],
    ],
  });
  await until("the addresses are printed", () => /listens on .*\n/.test(gateway.log.text));
  urls = /listens on (.*)/.exec(gateway.log.text)![1]!.split(", ");
});
afterAll(async () => {
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

const trusting = { tls: { ca: ca.cert } };

/** The common name of the certificate that an address shows. */
function nameShown(port: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connectTls({
    host: "127.0.0.1",
    port: Number(port),
    ca: ca.cert,
    ALPNProtocols: ["h2", "http/1.1"],
  });
  socket.once("secureConnect", () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.once("error", reject);
  return promise;
}

async function curl(...args: string[]): Promise<string> {
  const child = Bun.spawn(["curl", "-sS", "-w", " %{http_code} %{http_version}", ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  return (await child.stdout.text()) + (await child.stderr.text());
}

async function counted(cause: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`, trusting)).text();
  return Number(
    new RegExp(`^weir_tls_handshakes_failed_total\\{cause="${cause}"\\} (.*)`, "m").exec(text)?.[1] ?? 0,
  );
}

test("TCP addresses are https, and a Unix socket is not", async () => {
  expect(urls.map((url) => url.replace(/\d+$/, "N"))).toEqual([
    "https://127.0.0.1:N",
    `unix:${join(folder, "weir.sock")}`,
    "https://127.0.0.1:N",
    "grpcs://127.0.0.1:N",
  ]);
  const bySocket = await fetch("http://localhost/-/healthy", { unix: join(folder, "weir.sock") });
  expect(bySocket.status).toBe(200);
});

test("curl trusts the certificate with --cacert, and rejects it without", async () => {
  expect(await curl("--cacert", caFile, `${gateway.url}/-/healthy`)).toBe('{"status":"healthy"}\n 200 1.1');
  expect(await curl(`${gateway.url}/-/healthy`)).toContain("certificate");
  const port = new URL(gateway.url).port;
  expect(await curl("--cacert", caFile, `https://localhost:${port}/-/healthy`)).toContain(" 200 ");
  expect(
    await curl(
      "--cacert",
      caFile,
      "--connect-to",
      `other:${port}:127.0.0.1:${port}`,
      `https://other:${port}/`,
    ),
  ).toContain("no alternative certificate subject name");
});

test("a client without TLS is told to use https, and is counted and logged once", async () => {
  const before = await counted("no_tls");
  const plain = gateway.url.replace("https:", "http:");
  for (let at = 0; at < 2; at++) {
    const answer = await fetch(`${plain}/-/healthy`);
    expect([answer.status, await answer.text()]).toEqual([400, "This address serves TLS only: use https.\n"]);
  }
  expect((await counted("no_tls")) - before).toBe(2);
  expect(gateway.log.text.match(/event=tls_connection_failed .*cause=no_tls/g)).toHaveLength(1);
});

test("the log of requests has the address of the client", async () => {
  await fetch(`${gateway.url}/-/ready?from=log`, trusting);
  await until("the request is logged", () =>
    /event=request .*path=\/-\/ready .*remote=127\.0\.0\.1/.test(gateway.log.text),
  );
});

test("a page of the same origin may use it, and one of the same name without TLS may not", async () => {
  const { host } = new URL(gateway.url);
  const status = async (origin: string) =>
    (await fetch(`${gateway.url}/metrics`, { headers: { origin }, ...trusting })).status;
  expect([await status(`https://${host}`), await status(`http://${host}`)]).toEqual([200, 403]);
});

test("a body of 4 MB arrives whole, and an answer of megabytes too", async () => {
  const lines = Array.from(
    { length: 20_000 },
    (_, at) => `tls_body{at="${at % 100}"} ${at} ${Date.now() - at}`,
  );
  const body = `# TYPE tls_body gauge\n${lines.join("\n")}\n`.padEnd(4_000_000, "\n");
  const answer = await fetch(`${gateway.url}/api/v1/import/prometheus`, {
    method: "POST",
    body,
    ...trusting,
  });
  expect(answer.status).toBeLessThan(300);
  const exported = await fetch(`${gateway.url}/api/v1/export?match[]=tls_body`, trusting);
  const text = await exported.text();
  const values = text
    .trim()
    .split("\n")
    .flatMap((line) => (JSON.parse(line) as { values: number[] }).values);
  expect(values.toSorted((a, b) => a - b)).toEqual(lines.map((_, at) => at));
});

test("other programs of this machine cannot use the server behind it", async () => {
  const folder = `/proc/${gateway.pid}`;
  const own = new Set(
    readdirSync(`${folder}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const ports = readFileSync(`${folder}/net/tcp`, "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === "0A" && own.has(inode ?? ""))
    .map(([, local]) => Number.parseInt(local!.split(":")[1]!, 16));
  const answers = await Promise.all(
    ports.map((port) =>
      fetch(`http://127.0.0.1:${port}/metrics`).then(
        async (response) => `${response.status} ${await response.text()}`,
        () => "closed",
      ),
    ),
  );
  // The servers behind two of the three addresses with TLS.
  const tlsOnly = "400 This address serves TLS only: use https.\n";
  expect(answers.toSorted()).toEqual([tlsOnly, tlsOnly, tlsOnly, "403 ", "403 "]);
});

describe("a new certificate", () => {
  test("is shown to new connections on every address, without a failed or cut request", async () => {
    const ports = urls
      .filter((url) => !url.startsWith("unix"))
      .map((url) => new URL(url.replace(/^\w+/, "http")).port);
    expect(await Promise.all(ports.map(nameShown))).toEqual(["first", "first", "first"]);

    // A connection that stays, in the middle of a request.
    const slow = connectTls({ host: "127.0.0.1", port: Number(ports[0]), ca: ca.cert });
    const slowAnswer = new Response(
      new ReadableStream({
        start(controller) {
          slow.on("data", (data) => controller.enqueue(data));
          slow.on("end", () => controller.close());
          slow.on("error", (error) => controller.error(error));
        },
      }),
    ).text();
    const event = JSON.stringify({ metric_name: "slow_push", value: 1 });
    slow.write(
      `POST /api/v1/push HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${event.length}\r\n\r\n${event.slice(0, 9)}`,
    );

    let isOver = false;
    const failed: unknown[] = [];
    let pushed = 0;
    const push = async (keepAlive: boolean) => {
      while (!isOver) {
        try {
          const answer = await fetch(`${gateway.url}/api/v1/push`, {
            method: "POST",
            body: JSON.stringify({ metric_name: "exchange", value: 1, type: "counter" }),
            keepalive: keepAlive,
            ...trusting,
          });
          if (answer.status === 200) pushed += 1;
          else failed.push(await answer.text());
        } catch (error) {
          failed.push(error);
        }
      }
    };
    const load = [push(true), push(true), push(false), push(false)];
    for (const name of ["second", "third", "fourth"]) {
      install(makeCertificate({ name, issuer: ca }));
      await until(`the certificate ${name} is shown`, async () => (await nameShown(ports[0]!)) === name);
      expect(await Promise.all(ports.map(nameShown))).toEqual([name, name, name]);
    }
    isOver = true;
    await Promise.all(load);
    expect(failed).toEqual([]);

    slow.write(event.slice(9));
    expect(await slowAnswer).toMatch(/^HTTP\/1.1 200 OK/);
    const query = await fetch(`${gateway.url}/api/v1/sql`, {
      method: "POST",
      body: JSON.stringify({ sql: "SELECT sum(value)::INT AS n FROM exchange" }),
      headers: { "content-type": "application/json" },
      ...trusting,
    });
    expect(await query.json()).toMatchObject({ rows: [{ n: pushed }] });
  });

  test("that cannot be used changes nothing, and the log says why once", async () => {
    const [name] = await Promise.all([nameShown(new URL(gateway.url).port)]);
    writeFileSync(keyFile, makeCertificate().key);
    await until("the fault is logged", () =>
      gateway.log.text.includes("cannot be used: everything stays as it was"),
    );
    expect(gateway.log.text).toContain(
      `tlsKey \\"${keyFile}\\" does not belong to tlsCert \\"${certFile}\\".`,
    );
    expect(await nameShown(new URL(gateway.url).port)).toBe(name!);
    const { cert, key } = makeCertificate({ name: "last", issuer: ca });
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    await until(
      "the certificate is shown",
      async () => (await nameShown(new URL(gateway.url).port)) === "last",
    );
    expect(gateway.log.text.match(/everything stays as it was/g)).toHaveLength(1);
    expect(gateway.log.text).not.toContain("PRIVATE KEY");
  });
});

test.if(NODE !== undefined)("an OpenTelemetry SDK exports by gRPC and by HTTP with TLS", async () => {
  const [http, grpc] = urls.slice(2).map((url) => url.replace("grpcs:", "https:"));
  const common = { temporality: "delta", args: ["once"], caFile } as const;
  await runApplication({ ...common, protocol: "grpc", endpoint: grpc!, service: "by-grpc" });
  await runApplication({
    ...common,
    protocol: "http/protobuf",
    endpoint: `${http!}/v1/metrics`,
    service: "by-http",
  });
  const text = await (await fetch(`${gateway.url}/metrics`, trusting)).text();
  const lines = text.split("\n").filter((line) => /^jobs_processed_total\{.*status="completed"/.test(line));
  expect(lines.map((line) => [/job="([^"]*)"/.exec(line)?.[1], line.split(" ").at(-1)]).toSorted()).toEqual([
    ["by-grpc", "2"],
    ["by-http", "2"],
  ]);
});
