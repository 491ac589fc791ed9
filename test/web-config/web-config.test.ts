/** Which web.yml files are accepted, compared with promtool, and what the errors say. */
import { describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkWebConfig } from "../../src/web-config/live-web-config.ts";
import { readWebConfig } from "../../src/web-config/web-config.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { makeCertificate } from "./certificate-maker.ts";

const folder = temporaryFolder();
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return name;
};
const ca = makeCertificate({ name: "ca" });
const own = makeCertificate({ name: "own", issuer: ca });
file("tls.crt", own.cert);
file("tls.key", own.key);
file("other.key", makeCertificate().key);
file("ca.crt", ca.cert);
file("text", "no PEM");
const HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
const tls = (...lines: string[]) =>
  [
    "tls_server_config:",
    "  cert_file: tls.crt",
    "  key_file: tls.key",
    ...lines.map((line) => `  ${line}`),
  ].join("\n");

/** "" if the file is accepted, otherwise the error. */
function fault(text: string): string {
  const path = join(folder, "web.yml");
  writeFileSync(path, text);
  try {
    checkWebConfig({ tlsCert: "", tlsKey: "", webConfigFile: path }, Date.now());
    return "";
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, "");
  }
}

/** Files that Prometheus accepts, and so does Weir. */
const accepted: Readonly<Record<string, string>> = {
  "an empty file": "",
  "a comment": "# nothing\n",
  "empty sections": "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
  "a certificate": tls(),
  "absolute paths": `tls_server_config:\n  cert_file: ${folder}/tls.crt\n  key_file: ${folder}/tls.key\n`,
  JSON: `{"tls_server_config": {"cert_file": "tls.crt", "key_file": "tls.key"}}`,
  users: `basic_auth_users:\n  alice: ${HASH}\n  "bob smith": ${HASH.replace("$2y$", "$2a$")}\n  1: '${HASH.replace("$2y$", "$2b$")}'\n`,
  ...Object.fromEntries(
    [
      "RequestClientCert",
      "RequireAnyClientCert",
      "RequireClientCert",
      "VerifyClientCertIfGiven",
      "RequireAndVerifyClientCert",
    ].map((auth) => [`${auth} with a CA`, tls(`client_auth_type: ${auth}`, "client_ca_file: ca.crt")]),
  ),
  "NoClientCert without a CA": tls("client_auth_type: NoClientCert"),
  "RequireAnyClientCert without a CA": tls("client_auth_type: RequireAnyClientCert"),
  versions: tls("min_version: TLS10", "max_version: TLS12"),
  "ciphers and curves": tls(
    "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]",
    "curve_preferences: [X25519, CurveP256, CurveP384, CurveP521]",
    "prefer_server_cipher_suites: false",
  ),
  "only ciphers of TLS 1.3": tls("cipher_suites: [TLS_AES_256_GCM_SHA384]"),
  headers: `http_server_config:
  http2: no
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Content-Type-Options: nosniff
    X-Frame-Options: deny
    X-XSS-Protection: "0"
    Content-Security-Policy: ""
`,
};

/** Files that Prometheus rejects, with the error of Weir. */
const rejected: Readonly<Record<string, readonly [string, string]>> = {
  "an unknown section": ["tls_config:\n  cert_file: a\n", "tls_config of web.yml is not a field of web.yml."],
  "an unknown field": [
    tls("cert_fil: a"),
    "tls_server_config.cert_fil of web.yml is not a field of web.yml, expected cert_file.",
  ],
  "a field twice": [tls("key_file: other.key"), "web.yml is not valid YAML in line 4 (DUPLICATE_KEY)."],
  "no YAML": [`basic_auth_users: {alice: "${HASH}`, "web.yml is not valid YAML in line 1 (MISSING_CHAR)."],
  "a list": ["- a\n", "The content of web.yml is not a map of fields."],
  "a section that is a text": [
    "tls_server_config: on\n",
    "tls_server_config of web.yml is not a map of fields.",
  ],
  "no certificate": [
    "tls_server_config:\n  key_file: tls.key\n",
    "tls_server_config.cert_file of web.yml is missing.",
  ],
  "no key": [
    "tls_server_config:\n  cert_file: tls.crt\n",
    "tls_server_config.key_file of web.yml is missing.",
  ],
  "only a client_auth_type": [
    "tls_server_config:\n  client_auth_type: RequestClientCert\n",
    "tls_server_config.cert_file of web.yml is missing.",
  ],
  "a certificate that does not exist": [
    "tls_server_config:\n  cert_file: none.crt\n  key_file: tls.key\n",
    `cert_file "none.crt" cannot be read: ENOENT: no such file or directory, open 'none.crt'.`,
  ],
  "a certificate that is none": [
    "tls_server_config:\n  cert_file: text\n  key_file: tls.key\n",
    'cert_file "text" has no certificate in PEM.',
  ],
  "a key that is none": [
    "tls_server_config:\n  cert_file: tls.crt\n  key_file: text\n",
    'key_file "text" is not a private key in PEM.',
  ],
  "the key of another certificate": [
    "tls_server_config:\n  cert_file: tls.crt\n  key_file: other.key\n",
    'key_file "other.key" does not belong to cert_file "tls.crt".',
  ],
  "an unknown client_auth_type": [
    tls("client_auth_type: RequireAndVerifyClient"),
    'tls_server_config.client_auth_type of web.yml is "RequireAndVerifyClient", which is unknown; did you mean RequireAndVerifyClientCert?',
  ],
  "a CA without client certificates": [
    tls("client_ca_file: ca.crt"),
    "tls_server_config.client_ca_file of web.yml is given, but client_auth_type asks for no client certificates, expected RequireAndVerifyClientCert.",
  ],
  "a CA that does not exist": [
    tls("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: none.crt"),
    `client_ca_file "none.crt" cannot be read: ENOENT: no such file or directory, open 'none.crt'.`,
  ],
  "an unknown version": [
    tls("min_version: TLS1.2"),
    'tls_server_config.min_version of web.yml is "TLS1.2", which is unknown; did you mean TLS12?',
  ],
  "an unknown cipher": [
    tls("cipher_suites: [TLS_ECDHE_ECDSA_WITH_RC4_128_SHA]"),
    'tls_server_config.cipher_suites of web.yml is "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", which is unknown; did you mean TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA?',
  ],
  "an unknown curve": [
    tls("curve_preferences: [P256]"),
    'tls_server_config.curve_preferences of web.yml is "P256", which is unknown; expected one of CurveP256, CurveP384, CurveP521, X25519.',
  ],
  "another header": [
    "http_server_config:\n  headers:\n    Server: weir\n",
    "http_server_config.headers.Server of web.yml cannot be set, expected one of Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security.",
  ],
  "a header in another case": [
    "http_server_config:\n  headers:\n    x-frame-options: deny\n",
    "http_server_config.headers.x-frame-options of web.yml cannot be set, expected one of Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security.",
  ],
  "another value of a header": [
    "http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
    'http_server_config.headers.X-Frame-Options of web.yml is "allow", expected deny or sameorigin.',
  ],
  "a password that is not hashed": [
    "basic_auth_users:\n  alice: secret-password\n",
    'basic_auth_users.alice of web.yml is not a hash of bcrypt, expected the output of "htpasswd -nBC 10 USER".',
  ],
  "a hash that is cut": [
    `basic_auth_users:\n  alice: ${HASH.slice(0, 40)}\n`,
    'basic_auth_users.alice of web.yml is not a hash of bcrypt, expected the output of "htpasswd -nBC 10 USER".',
  ],
  "a user without a hash": [
    "basic_auth_users:\n  alice:\n",
    'basic_auth_users.alice of web.yml is not a hash of bcrypt, expected the output of "htpasswd -nBC 10 USER".',
  ],
};

/** Of newer versions than promtool may be, or where Weir is stricter. */
const own_rules: Readonly<Record<string, readonly [string, string]>> = {
  "a certificate in the file": [
    `tls_server_config:\n  cert: ${JSON.stringify(own.cert)}\n  key: ${JSON.stringify(own.key)}\n`,
    "",
  ],
  "the key of another certificate in the file": [
    `tls_server_config:\n  cert: ${JSON.stringify(own.cert)}\n  key_file: other.key\n`,
    'key_file "other.key" does not belong to cert.',
  ],
  "a CA in the file": [
    tls("client_auth_type: RequireAndVerifyClientCert", `client_ca: ${JSON.stringify(ca.cert)}`),
    "",
  ],
  "allowed names": [
    tls(
      "client_auth_type: RequireAndVerifyClientCert",
      "client_ca_file: ca.crt",
      "client_allowed_sans: [a.example]",
    ),
    "",
  ],
  "allowed names without a required certificate": [
    tls(
      "client_auth_type: VerifyClientCertIfGiven",
      "client_ca_file: ca.crt",
      "client_allowed_sans: [a.example]",
    ),
    "tls_server_config.client_allowed_sans of web.yml is given, but client_auth_type does not require a client certificate, expected RequireAndVerifyClientCert or RequireAnyClientCert.",
  ],
  "a CA that is none": [
    tls("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: text"),
    'client_ca_file "text" has no certificate in PEM.',
  ],
  "versions that exclude each other": [
    tls("min_version: TLS13", "max_version: TLS12"),
    "tls_server_config.min_version of web.yml is newer than max_version.",
  ],
  "ciphers of a version that is not allowed": [
    tls("max_version: TLS12", "cipher_suites: [TLS_AES_256_GCM_SHA384]"),
    "tls_server_config.cipher_suites of web.yml has only ciphers of TLS 1.3, which max_version does not allow.",
  ],
  "a rate limit": ["rate_limit:\n  interval: 1.5s\n  burst: 20\n", ""],
  "a rate limit in nanoseconds": ["rate_limit:\n  interval: 1000000\n  burst: 1\n", ""],
  "a rate limit that is off": ["rate_limit:\n  interval: 0\n", ""],
  "a rate limit that allows nothing": [
    "rate_limit:\n  interval: 1s\n",
    "rate_limit.burst of web.yml is missing, expected at least 1.",
  ],
  "an interval that is none": [
    "rate_limit:\n  interval: often\n  burst: 1\n",
    'rate_limit.interval of web.yml is "often", expected a duration such as 100ms.',
  ],
  "a burst that is none": [
    "rate_limit:\n  interval: 1s\n  burst: -1\n",
    'rate_limit.burst of web.yml is "-1", expected a whole number.',
  ],
};

describe("a file", () => {
  test.each(Object.entries(accepted))("with %s is accepted", (_, text) => {
    expect(fault(text)).toBe("");
  });
  test.each(Object.entries(rejected))("with %s is rejected", (_, [text, message]) => {
    expect(fault(text)).toBe(message);
  });
  test.each(Object.entries(own_rules))("with %s is read", (_, [text, message]) => {
    expect(fault(text)).toBe(message);
  });

  test.if(Bun.which("promtool") !== null)("is accepted and rejected as by promtool", () => {
    const paths = [...Object.values(accepted), ...Object.values(rejected).map(([text]) => text)].map(
      (text, at) => file(`promtool-${at}.yml`, text),
    );
    const { stdout, stderr } = Bun.spawnSync(["promtool", "check", "web-config", ...paths], { cwd: folder });
    const verdicts = [...`${stdout}${stderr}`.matchAll(/^(promtool-\d+\.yml) (SUCCESS|FAILED)/gm)].map(
      ([, path, verdict]) => [path, verdict] as const,
    );
    const want = paths.map((path, at) => [path, at < Object.keys(accepted).length ? "SUCCESS" : "FAILED"]);
    expect(Object.fromEntries(verdicts)).toEqual(Object.fromEntries(want));
  });

  test("that cannot be read is an error that names it", () => {
    const check = () => checkWebConfig({ tlsCert: "", tlsKey: "", webConfigFile: join(folder, "none") }, 0);
    expect(check).toThrow(`The web configuration "${folder}/none" cannot be read: ENOENT`);
  });

  test("and the setting tlsCert cannot both name a certificate", () => {
    const path = join(folder, file("both.yml", tls()));
    const flags = { tlsCert: join(folder, "tls.crt"), tlsKey: join(folder, "tls.key") };
    expect(() => checkWebConfig({ ...flags, webConfigFile: path }, 0)).toThrow("expected one of them");
    expect(
      checkWebConfig({ ...flags, webConfigFile: join(folder, file("users.yml", "")) }, Date.now()),
    ).toEqual([]);
  });
});

test("the values of a file are those that the listener uses", () => {
  const read = (text: string) => readWebConfig(text, "web.yml", "/etc/weir");
  expect(
    read(
      tls(
        "client_auth_type: RequireClientCert",
        "min_version: TLS11",
        "cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_256_GCM_SHA384]",
        "curve_preferences: [X25519, CurveP256]",
        "prefer_server_cipher_suites: no",
        "client_allowed_sans: [a, b]",
      ),
    ).tls,
  ).toEqual({
    cert: { field: "cert_file", file: "/etc/weir/tls.crt" },
    key: { field: "key_file", file: "/etc/weir/tls.key" },
    clientAuth: "any",
    clientCa: undefined,
    allowedSans: ["a", "b"],
    minVersion: "TLSv1.1",
    maxVersion: "TLSv1.3",
    ciphers: "ECDHE-RSA-CHACHA20-POLY1305:AES256-GCM-SHA384",
    curves: "X25519:P-256",
    prefersServerCiphers: false,
  });
  // Otherwise a client of TLS 1.2 would be served with ciphers that the file does not name.
  expect(read(tls("cipher_suites: [TLS_AES_128_GCM_SHA256]")).tls).toMatchObject({
    minVersion: "TLSv1.3",
    ciphers: undefined,
  });
  expect(read("rate_limit: { interval: 1.5s, burst: 20 }").rateLimit).toEqual({
    intervalMs: 1500,
    burst: 20,
  });
  expect(read("http_server_config: { http2: true }").http2).toBe(true);
  expect(read("").http2).toBe(false);
  expect(
    read("http_server_config: { headers: { X-XSS-Protection: '0', Content-Security-Policy: '' } }").headers,
  ).toEqual([["X-XSS-Protection", "0"]]);
});

describe("a certificate", () => {
  const day = 86_400_000;
  const now = Date.UTC(2026, 5, 1);
  const findings = (fromMs: number, toMs: number, mode = 0o600) => {
    const { cert, key } = makeCertificate({ fromMs, toMs });
    file("dated.crt", cert);
    file("dated.key", key);
    chmodSync(join(folder, "dated.key"), mode);
    const files = {
      tlsCert: join(folder, "dated.crt"),
      tlsKey: join(folder, "dated.key"),
      webConfigFile: "",
    };
    return checkWebConfig(files, now).map(
      ({ state, text }) => `${state}: ${text.replaceAll(`${folder}/`, "")}`,
    );
  };

  test("that is expired, or not valid yet, is a fault", () => {
    expect(findings(now - 10 * day, now - day)).toEqual([
      'fault: tlsCert "dated.crt" expired at 2026-05-31T00:00:00.000Z.',
    ]);
    expect(findings(now + day, now + 10 * day)).toEqual([
      'fault: tlsCert "dated.crt" is not valid before 2026-06-02T00:00:00.000Z.',
    ]);
  });

  test("that expires within two weeks is a warning", () => {
    expect(findings(now - day, now + 13 * day)).toEqual([
      'warning: tlsCert "dated.crt" expires at 2026-06-14T00:00:00.000Z.',
    ]);
    expect(findings(now - day, now + 15 * day)).toEqual([]);
  });

  test("whose key every user can read is a warning", () => {
    expect(findings(now - day, now + 60 * day, 0o644)).toEqual([
      'warning: tlsKey "dated.key" has the mode 644, so every user of this machine can use it: run "chmod 640 dated.key".',
    ]);
    expect(findings(now - day, now + 60 * day, 0o640)).toEqual([]);
  });
});
