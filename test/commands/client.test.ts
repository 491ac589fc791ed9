/** Commands that ask a gateway with TLS, and one that wants certificates of its clients. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { makeCertificate } from "../web-config/certificate-maker.ts";
import { weir } from "./weir.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
const data = join(folder, "data");
const at = (name: string) => join(folder, name);
const ca = makeCertificate({ name: "ca" });
let gateway: GatewayProcess;

beforeAll(async () => {
  const own = makeCertificate({ name: "own", issuer: ca });
  const client = makeCertificate({ name: "client", issuer: ca });
  const files = {
    "ca.pem": ca.cert,
    "tls.crt": own.cert,
    "tls.key": own.key,
    "client.crt": client.cert,
    "client.key": client.key,
    "other.pem": makeCertificate().cert,
    "web.yml": "tls_server_config: { cert_file: tls.crt, key_file: tls.key }\n",
    "events.json": `${JSON.stringify({ metric_name: "imported", value: 7, "@timestamp": new Date().toISOString() })}\n`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text, { mode: 0o600 });
  gateway = await GatewayProcess.start({
    data,
    args: ["--no-sampler", "--enable-admin-api", "--web-config-file", at("web.yml")],
  });
});
afterAll(async () => {
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

const select = ["sql", "--format", "csv", "SELECT 1 AS one"];

test("a command trusts the CA of --ca or WEIR_CA, or the certificate itself", async () => {
  const url = ["--url", gateway.url];
  for (const [args, env] of [
    [["--ca", at("ca.pem")], {}],
    [["--ca", at("tls.crt")], {}],
    [[], { WEIR_CA: at("ca.pem") }],
    [["--ca", at("ca.pem")], { WEIR_CA: at("other.pem") }],
    [[], { NODE_EXTRA_CA_CERTS: at("ca.pem") }],
  ] as const) {
    const { code, out, err } = await weir([...select, ...url, ...args], { env });
    expect([args, code, out.trim(), err]).toEqual([args, 0, "one\n1", ""]);
  }
});

test("a command rejects a certificate that it does not trust, and says how to trust it", async () => {
  const advice =
    /^weir sql: The certificate of the gateway at https:\S+ is not valid here \(.*\).*--ca FILE\.\n$/s;
  for (const args of [[], ["--ca", at("other.pem")]]) {
    const { code, err } = await weir([...select, "--url", gateway.url, ...args]);
    expect([code, err]).toEqual([1, expect.stringMatching(advice)]);
  }
  const { port } = new URL(gateway.url);
  const named = await weir([...select, "--url", `https://127.0.0.2:${port}`, "--ca", at("ca.pem")]);
  expect(named.code).toBe(1);
});

test("a file of --ca that cannot be read, or has no certificate, is an error of the arguments", async () => {
  const run = async (file: string) => {
    const { code, err } = await weir([...select, "--url", gateway.url, "--ca", file]);
    return [code, err.split("\n")[0]];
  };
  expect(await run(at("none"))).toEqual([
    2,
    expect.stringContaining(`--ca is "${at("none")}", which cannot be read: ENOENT`),
  ]);
  expect(await run(at("tls.key"))).toEqual([
    2,
    expect.stringContaining("--ca is a file without a certificate in PEM."),
  ]);
});

test("the password of a URL is not printed", async () => {
  const { err } = await weir([...select, "--url", gateway.url.replace("//", "//alice:secret-word@")]);
  expect(err).toContain("https://…@127.0.0.1");
  expect(err).not.toContain("secret-word");
});

test("import, promql, export, delete and backup accept --ca", async () => {
  const args = ["--url", gateway.url, "--ca", at("ca.pem")];
  expect((await weir(["import", ...args, "--no-instance", at("events.json")])).out).toContain("1 stored");
  expect((await weir(["promql", ...args, "count(imported)"])).code).toBe(0);
  const exported = await weir(["export", ...args, "--metric", "imported"]);
  expect([exported.code, exported.err]).toEqual([0, ""]);
  expect((await weir(["delete", ...args, "--match", "nothing", "--dry-run"])).code).toBe(0);
  const backup = await weir(["backup", at("backup"), ...args, "--data", data]);
  expect([backup.code, backup.err]).toEqual([0, ""]);
});

test("doctor reaches the gateway of its settings by the certificate that it shows, whatever its name", async () => {
  const { host } = new URL(gateway.url);
  const settings = ["--data", data, "--listen", host, "--web-config-file", at("web.yml")];
  const found = await weir(["doctor", ...settings]);
  expect([found.code, found.err]).toEqual([0, ""]);
  expect(found.out).toMatch(/^ok {4}round trip/m);
  expect(found.out).toMatch(/^ok {4}certificate {2}the certificate and the web configuration can be used$/m);
  writeFileSync(at("broken.yml"), "tls_server_config: { cert_file: tls.crt, key_file: client.key }\n");
  const broken = await weir([
    "doctor",
    "--data",
    at("empty"),
    "--listen",
    "127.0.0.1:0",
    "--web-config-file",
    at("broken.yml"),
  ]);
  expect(broken.code).toBe(17);
  expect(broken.out).toContain(
    `FAIL  certificate  key_file "${at("client.key")}" does not belong to cert_file "${at("tls.crt")}"\n`,
  );
});

test("a command shows the certificate of WEIR_CLIENT_CERT", async () => {
  writeFileSync(
    at("web.yml"),
    "tls_server_config: { cert_file: tls.crt, key_file: tls.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem }\n",
  );
  const args = [...select, "--url", gateway.url, "--ca", at("ca.pem")];
  const failed: string[] = [];
  await until("a client certificate is required", async () => {
    const { code, err } = await weir(args);
    if (code === 1) failed.push(err);
    return code === 1;
  });
  expect(failed).toEqual([
    expect.stringContaining(
      "expects a client certificate, whose files are WEIR_CLIENT_CERT and WEIR_CLIENT_KEY",
    ),
  ]);
  const env = { WEIR_CLIENT_CERT: at("client.crt"), WEIR_CLIENT_KEY: at("client.key") };
  const { code, err } = await weir(args, { env });
  expect([code, err]).toEqual([0, ""]);
});
