/**
 * A web.yml at the real process: its users over TLS with curl, a real Prometheus and prom-client, and the same file at a
 * real Prometheus beside it.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Gauge, Pushgateway, Registry } from "prom-client";
import { addToken } from "../access/token-texts.ts";
import { weir } from "../commands/weir.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, type RealServer, startServer, startPrometheus } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { makeCertificate } from "../web-config/certificate-maker.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
const data = join(folder, "data");
const [caFile, webYml] = [join(folder, "ca.pem"), join(folder, "web.yml")];
const ca = makeCertificate({ name: "ca" });
const PASSWORD = "a password: with a colon, ü";
let gateway: GatewayProcess;
let token: string;

async function webConfig(more = "", headers = ""): Promise<string> {
  const hash = (await Bun.password.hash(PASSWORD, { algorithm: "bcrypt", cost: 4 })).replace(/^\$2b/, "$2y");
  return `tls_server_config:
  cert_file: tls.crt
  key_file: tls.key
${more}http_server_config:
  headers:
    X-Frame-Options: sameorigin
    Strict-Transport-Security: max-age=31536000
${headers}basic_auth_users:
  alice: ${hash}
`;
}

beforeAll(async () => {
  writeFileSync(caFile, ca.cert);
  const own = makeCertificate({ name: "gateway", issuer: ca });
  writeFileSync(join(folder, "tls.crt"), own.cert);
  writeFileSync(join(folder, "tls.key"), own.key, { mode: 0o600 });
  const client = makeCertificate({ name: "client", issuer: ca, sans: ["DNS:client.example"] });
  writeFileSync(join(folder, "client.crt"), client.cert);
  writeFileSync(join(folder, "client.key"), client.key);
  writeFileSync(webYml, await webConfig());
  // Prometheus's spelling of the flag. An address of all interfaces needs no token, because there is a user.
  gateway = await GatewayProcess.start({
    data,
    args: ["--no-sampler", "--web.config.file", webYml, "--listen", "0.0.0.0:0"],
  });
  token = await addToken(join(data, "tokens.json"), "reader", { scopes: ["read", "scrape", "push"] });
});
afterAll(async () => {
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

async function curl(url: string, ...args: string[]): Promise<string> {
  const command = [
    "curl",
    "-s",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code} %{http_version}",
    "--cacert",
    caFile,
    ...args,
    url,
  ];
  return await Bun.spawn(command, { stdout: "pipe" }).stdout.text();
}

const trusting = { tls: { ca: ca.cert } };
const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

async function query(expression: string): Promise<string[]> {
  const answer = await fetch(`${gateway.url}/api/v1/query?${new URLSearchParams({ query: expression })}`, {
    headers: basic("alice", PASSWORD),
    ...trusting,
  });
  const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return data.result.map(({ value }) => value[1]);
}

describe("a user", () => {
  test("may use every route, with the password of web.yml only", async () => {
    const { url } = gateway;
    for (const path of ["/metrics", "/api/v1/tables", "/api/v1/labels"]) {
      expect(await curl(`${url}${path}`, "-u", `alice:${PASSWORD}`)).toBe("200 1.1");
      expect(await curl(`${url}${path}`, "-u", "alice:wrong")).toBe("401 1.1");
      expect(await curl(`${url}${path}`, "-u", `bob:${PASSWORD}`)).toBe("401 1.1");
      expect(await curl(`${url}${path}`)).toBe("401 1.1");
    }
    expect(await curl(`${url}/metrics`, "-H", `Authorization: Bearer ${PASSWORD}`)).toBe("401 1.1");
    expect(await curl(`${url}/metrics`, "-H", `X-API-Key: ${PASSWORD}`)).toBe("401 1.1");
    expect(await curl(`${url}/-/ready`)).toBe("200 1.1");
  });

  test("stands beside tokens: bearer, and as a password of any user", async () => {
    await until("the token is read", async () =>
      (await curl(`${gateway.url}/metrics`, "-H", `Authorization: Bearer ${token}`)).startsWith("200"),
    );
    expect(await curl(`${gateway.url}/metrics`, "-u", `alice:${token}`)).toBe("200 1.1");
    expect(await curl(`${gateway.url}/api/v1/tables`, "-u", `alice:${token}`)).toBe("403 1.1");
  });

  test("gets the idempotency keys of nobody else", async () => {
    const push = (headers: Record<string, string>) =>
      fetch(`${gateway.url}/api/v1/push`, {
        method: "POST",
        body: JSON.stringify({ metric_name: "keyed", value: 1, type: "counter" }),
        headers: { "idempotency-key": "k", ...headers },
        ...trusting,
      });
    const duplicates = [];
    for (const headers of [
      basic("alice", PASSWORD),
      basic("alice", PASSWORD),
      { authorization: `Bearer ${token}` },
    ])
      duplicates.push((await push(headers)).headers.get("weir-duplicate"));
    expect(duplicates).toEqual([null, "true", null]);
  });

  test("is not named by an answer or by the log", async () => {
    const answers = await Promise.all(
      [basic("alice", "wrong"), basic("nobody", "wrong")].map(async (headers) => {
        const answer = await fetch(`${gateway.url}/metrics`, { headers, ...trusting });
        return [answer.status, answer.headers.get("www-authenticate"), await answer.text()];
      }),
    );
    expect(answers[0]).toEqual(answers[1]!);
    expect(answers[0]![1]).toBe('Bearer realm="weir", Basic realm="weir"');
    for (const secret of ["alice", PASSWORD, "$2y$", "PRIVATE KEY"])
      expect(gateway.log.text).not.toContain(secret);
  });
});

test("every answer has the headers of web.yml, which replace those of the gateway", async () => {
  for (const [path, headers] of [
    ["/metrics", {}],
    ["/none", {}],
    ["/metrics", basic("alice", PASSWORD)],
  ] as const) {
    const answer = await fetch(`${gateway.url}${path}`, { headers, ...trusting });
    expect([
      answer.headers.get("x-frame-options"),
      answer.headers.get("strict-transport-security"),
      answer.headers.get("x-content-type-options"),
    ]).toEqual(["sameorigin", "max-age=31536000", "nosniff"]);
  }
});

describe.if(canRun("prometheus"))("a real Prometheus", () => {
  test("scrapes and writes over TLS, as the user and with a token", async () => {
    const { host } = new URL(gateway.url);
    const passwordFile = join(folder, "password");
    writeFileSync(passwordFile, PASSWORD);
    const tls = `scheme: https, tls_config: { ca_file: ${caFile} }`;
    const user = `basic_auth: { username: alice, password_file: ${passwordFile} }`;
    const prometheus = await startPrometheus(
      [
        "global: { scrape_interval: 1s }",
        "scrape_configs:",
        `  - { job_name: user, ${tls}, ${user}, static_configs: [{ targets: ["${host}"] }] }`,
        `  - { job_name: token, ${tls}, authorization: { credentials: ${token} }, static_configs: [{ targets: ["${host}"] }] }`,
        `  - { job_name: none, ${tls}, static_configs: [{ targets: ["${host}"] }] }`,
        `  - { job_name: no_ca, scheme: https, ${user}, static_configs: [{ targets: ["${host}"] }] }`,
        "remote_write:",
        `  - { url: "${gateway.url}/api/v1/write", tls_config: { ca_file: ${caFile} }, ${user}, write_relabel_configs: [{ source_labels: [__name__], regex: up, action: keep }] }`,
        "",
      ].join("\n"),
    );
    try {
      await until("Prometheus has written the state of its targets", async () => {
        const jobs = ["user", "token", "none", "no_ca"];
        const up = await Promise.all(jobs.map((job) => query(`up{job="${job}"}`)));
        return Bun.deepEquals(up.flat(), ["1", "1", "0", "0"]);
      });
    } finally {
      await prometheus.stop();
    }
  });

  test("answers the same file with the same statuses", async () => {
    const real: RealServer = await startServer(
      [
        "prometheus",
        `--config.file=${file("prometheus.yml", "global: {}\n")}`,
        `--storage.tsdb.path=${join(folder, "tsdb")}`,
        "--web.listen-address=127.0.0.1:0",
        `--web.config.file=${webYml}`,
      ],
      /Server is ready to receive web requests/,
    );
    try {
      const realUrl = real.url.replace("http:", "https:");
      const requests: [string, ...string[]][] = [
        ["/api/v1/labels", "-u", `alice:${PASSWORD}`],
        ["/api/v1/labels", "-u", "alice:wrong"],
        ["/api/v1/labels", "-u", `bob:${PASSWORD}`],
        ["/api/v1/labels", "-u", "alice:"],
        ["/api/v1/labels"],
        ["/api/v1/labels", "-H", "Authorization: Basic !"],
        [
          "/api/v1/labels",
          "-H",
          `Authorization: bAsIc ${Buffer.from(`alice:${PASSWORD}`).toString("base64")}`,
        ],
        ["/metrics", "-u", `alice:${PASSWORD}`],
      ];
      for (const [path, ...args] of requests) {
        const ours = await curl(`${gateway.url}${path}`, ...args);
        expect([path, args, await curl(`${realUrl}${path}`, "--http1.1", ...args)]).toEqual([
          path,
          args,
          ours,
        ]);
      }
      const headers = await fetch(`${realUrl}/api/v1/labels`, {
        headers: basic("alice", PASSWORD),
        ...trusting,
      });
      expect([
        headers.headers.get("x-frame-options"),
        headers.headers.get("strict-transport-security"),
      ]).toEqual(["sameorigin", "max-age=31536000"]);
    } finally {
      await real.stop();
    }
  });
});

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

test("prom-client pushes as the user over TLS, and is rejected without a password", async () => {
  const registry = new Registry();
  new Gauge({ name: "from_prom_client", help: "A gauge.", registers: [registry] }).set(3);
  const options = { ca: ca.cert };
  await new Pushgateway(gateway.url, { ...options, auth: `alice:${PASSWORD}` }, registry).push({
    jobName: "a",
  });
  expect(await query('from_prom_client{job="a"}')).toEqual(["3"]);
  const without = new Pushgateway(gateway.url, options, registry).push({ jobName: "b" });
  expect(await without.then(String, String)).toContain("401");
});

test("a change of the file is used within a second: users, client certificates, headers", async () => {
  const { url } = gateway;
  const clientArgs = ["--cert", join(folder, "client.crt"), "--key", join(folder, "client.key")];
  const user = ["-u", `alice:${PASSWORD}`];
  writeFileSync(
    webYml,
    await webConfig(
      "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [client.example]\n",
    ),
  );
  await until("a client without a certificate is rejected", async () =>
    (await curl(`${url}/metrics`, ...user)).startsWith("000"),
  );
  expect(await curl(`${url}/metrics`, ...user, ...clientArgs)).toBe("200 1.1");
  expect(await curl(`${url}/metrics`, ...clientArgs)).toBe("401 1.1");
  writeFileSync(
    webYml,
    await webConfig(
      "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [other.example]\n",
    ),
  );
  await until("another name is expected", async () =>
    (await curl(`${url}/metrics`, ...user, ...clientArgs)).startsWith("000"),
  );
  writeFileSync(webYml, await webConfig());
  await until("no certificate is expected", async () =>
    (await curl(`${url}/metrics`, ...user)).startsWith("200"),
  );
});

test("HTTP/2 is offered if the file says so", async () => {
  const h2 = join(folder, "h2.yml");
  writeFileSync(
    h2,
    (await webConfig()).replace("http_server_config:\n", "http_server_config:\n  http2: true\n"),
  );
  const other = await GatewayProcess.start({
    data: join(folder, "h2"),
    args: ["--no-sampler", "--web-config-file", h2],
  });
  try {
    const url = `${other.url}/metrics`;
    const user = ["-u", `alice:${PASSWORD}`];
    expect(await curl(url, ...user)).toBe("200 2");
    expect(await curl(url, "--http1.1", ...user)).toBe("200 1.1");
    expect(await curl(url, ...user, "-I")).toBe("200 2");
    const body = join(folder, "body");
    writeFileSync(
      body,
      JSON.stringify(Array.from({ length: 20_000 }, (_, at) => ({ metric_name: "by_h2", value: at }))),
    );
    expect(await curl(`${other.url}/api/v1/push`, ...user, "--data-binary", `@${body}`)).toBe("200 2");
  } finally {
    expect(await other.stop("SIGTERM")).toBe(0);
  }
});

describe("an address that other machines reach", () => {
  const start = (yml: string) =>
    GatewayProcess.startToEnd({
      data: join(folder, "none"),
      args: ["--no-sampler", "--listen", "0.0.0.0:0", "--web-config-file", file("start.yml", yml)],
    });

  test("needs a token or a user: the error has both commands", async () => {
    const { exitCode, log } = await start("tls_server_config: { cert_file: tls.crt, key_file: tls.key }");
    expect(exitCode).toBe(2);
    expect(log).toContain("there is no token and no user of web.yml");
    const commands = [...log.matchAll(/"(weir (?:token|serve) [^"]*)"/g)].map((match) => match[1]!);
    // The third one is "weir serve --help".
    expect(commands.map((command) => command.split(" ", 2).join(" ")).slice(0, 2)).toEqual([
      "weir token",
      "weir serve",
    ]);
    expect((await weir(commands[0]!.split(" ").slice(1))).code).toBe(0);
    const second = await GatewayProcess.start({
      data: join(folder, "none"),
      args: ["--no-sampler", ...commands[1]!.split(" ").slice(2)],
    });
    expect(await second.stop("SIGTERM")).toBe(0);
  });

  test("needs neither if every client has a certificate that is verified", async () => {
    const yml =
      "tls_server_config: { cert_file: tls.crt, key_file: tls.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem }";
    const mutual = await GatewayProcess.start({
      data: join(folder, "mutual"),
      args: ["--no-sampler", "--listen", "0.0.0.0:0", "--web-config-file", file("mutual.yml", yml)],
    });
    try {
      expect(
        await curl(
          `${mutual.url}/metrics`,
          "--cert",
          join(folder, "client.crt"),
          "--key",
          join(folder, "client.key"),
        ),
      ).toBe("200 1.1");
      expect(await curl(`${mutual.url}/metrics`)).toStartWith("000");
      // A client of a name that the gateway does not know: the certificate says that it is the right one.
      const { port } = new URL(mutual.url);
      const socket = connectTls({
        host: "127.0.0.1",
        port: Number(port),
        ca: ca.cert,
        cert: await Bun.file(join(folder, "client.crt")).text(),
        key: await Bun.file(join(folder, "client.key")).text(),
      });
      const text = Promise.withResolvers<string>();
      let read = "";
      socket.on("data", (data) => {
        read += data;
      });
      socket.on("close", () => text.resolve(read));
      socket.write("GET /metrics HTTP/1.1\r\nhost: weir.internal\r\nconnection: close\r\n\r\n");
      expect(await text.promise).toStartWith("HTTP/1.1 200");
    } finally {
      expect(await mutual.stop("SIGTERM")).toBe(0);
    }
  });

  test("is not listened on with a file that cannot be used", async () => {
    const { exitCode, log } = await start("basic_auth_users: { alice: secret-password }");
    expect(exitCode).toBe(1);
    expect(log).toContain("basic_auth_users.alice of ");
    expect(log).not.toContain("secret-password");
  });
});

test("weir check reports what a start or a client would reject", async () => {
  const check = async (yml: string) => {
    const { code, err } = await weir(["check", "--web-config-file", file("check.yml", yml)]);
    return [code, err.replaceAll(`${folder}/`, "")];
  };
  expect(await check("tls_server_config: { cert_file: tls.crt, key_file: tls.key }")).toEqual([0, ""]);
  expect(await check("tls_server_config: { cert_file: tls.crt, key_file: client.key }")).toEqual([
    1,
    'weir check: key_file "client.key" does not belong to cert_file "tls.crt".\n',
  ]);
  const expired = makeCertificate({ fromMs: 0, toMs: 86_400_000 });
  file("expired.crt", expired.cert);
  chmodSync(file("expired.key", expired.key), 0o644);
  expect(await check("tls_server_config: { cert_file: expired.crt, key_file: expired.key }")).toEqual([
    1,
    'weir check: cert_file "expired.crt" expired at 1970-01-02T00:00:00.000Z.\n' +
      'weir check: warning: key_file "expired.key" has the mode 644, so every user of this machine can use it: run "chmod 640 expired.key".\n',
  ]);
});
