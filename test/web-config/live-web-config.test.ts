/** Changes of certificates and web.yml while the gateway runs, and the rate limit. */
import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLog } from "../../src/log/log.ts";
import { createCounters } from "../../src/model/counters.ts";
import { LiveWebConfig } from "../../src/web-config/live-web-config.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type MadeCertificate, makeCertificate } from "./certificate-maker.ts";

const HASH = await Bun.password.hash("right", { algorithm: "bcrypt", cost: 4 });
const [first, second] = [makeCertificate({ name: "first" }), makeCertificate({ name: "second" })];
const TLS = "tls_server_config: { cert_file: tls.crt, key_file: tls.key }\n";
const USERS = `basic_auth_users: { alice: "${HASH}" }\n`;

/** @param text the web.yml; undefined for the settings tlsCert and tlsKey */
function open(text?: string) {
  const folder = temporaryFolder();
  const [cert, key, webYml] = [join(folder, "tls.crt"), join(folder, "tls.key"), join(folder, "web.yml")];
  const install = (made: MadeCertificate) => {
    writeFileSync(cert, made.cert);
    writeFileSync(key, made.key, { mode: 0o600 });
  };
  install(first);
  if (text !== undefined) writeFileSync(webYml, text);
  const logged: string[] = [];
  const clock = { elapsedMs: 0 };
  const counters = createCounters();
  const live = new LiveWebConfig({
    tlsCert: text === undefined ? cert : "",
    tlsKey: text === undefined ? key : "",
    webConfigFile: text === undefined ? "" : webYml,
    log: createLog("info", (line) => logged.push(line), { format: "json" }),
    counters,
    now: Date.now,
    elapsedMs: () => clock.elapsedMs,
  });
  const takeLog = () =>
    logged.splice(0).map((line) => {
      const { event, error = "" } = JSON.parse(line) as { event: string; error?: string };
      return `${event} ${error.replaceAll(`${folder}/`, "")}`.trim();
    });
  const subject = () => live.tls?.certificate.subject;
  return { live, install, cert, key, webYml, clock, counters, takeLog, subject };
}

describe("new files of a certificate", () => {
  test("are used at the next look", async () => {
    const { live, install, takeLog, subject, counters } = open();
    live.look();
    expect([subject(), takeLog()]).toEqual(["CN=first", []]);
    install(second);
    live.look();
    expect([subject(), takeLog()]).toEqual(["CN=second", ["web_config_changed"]]);
    const text = await counters.registry.getSingleMetricAsString(
      "weir_tls_certificate_expiry_timestamp_seconds",
    );
    expect(text.split("\n").slice(2)).toEqual([
      `weir_tls_certificate_expiry_timestamp_seconds{subject="CN=second"} ${Date.parse(live.tls!.certificate.validTo) / 1000}`,
    ]);
  });

  test("are no fault while only one of the two is new", () => {
    const { live, cert, key, takeLog, subject } = open();
    writeFileSync(cert, second.cert);
    live.look();
    expect([subject(), takeLog()]).toEqual(["CN=first", []]);
    writeFileSync(key, second.key);
    live.look();
    expect([subject(), takeLog()]).toEqual(["CN=second", ["web_config_changed"]]);
  });

  test("that cannot be used are logged once, and the old ones stay", () => {
    const { live, cert, key, install, takeLog, subject } = open();
    rmSync(key);
    for (let looks = 0; looks < 4; looks++) live.look();
    expect([subject(), takeLog()]).toEqual([
      "CN=first",
      [
        `web_config_unusable tlsKey "tls.key" cannot be read: ENOENT: no such file or directory, open 'tls.key'.`,
      ],
    ]);
    writeFileSync(key, first.key, { mode: 0o600 });
    writeFileSync(cert, "no PEM");
    for (let looks = 0; looks < 4; looks++) live.look();
    expect([subject(), takeLog()]).toEqual([
      "CN=first",
      ['web_config_unusable tlsCert "tls.crt" has no certificate in PEM.'],
    ]);
    install(second);
    live.look();
    expect([subject(), takeLog()]).toEqual(["CN=second", ["web_config_changed"]]);
  });
});

describe("a new web.yml", () => {
  test("changes users, headers and the files that it names", async () => {
    const { live, webYml, cert, key, takeLog, subject } = open(TLS);
    expect([live.hasUsers, live.headers]).toEqual([false, []]);
    writeFileSync(`${cert}.2`, second.cert);
    writeFileSync(`${key}.2`, second.key, { mode: 0o600 });
    writeFileSync(
      webYml,
      `${TLS.replace("tls.crt", "tls.crt.2").replace("tls.key", "tls.key.2")}${USERS}http_server_config: { headers: { X-Frame-Options: deny } }`,
    );
    live.look();
    expect([subject(), live.hasUsers, live.headers]).toEqual([
      "CN=second",
      true,
      [["X-Frame-Options", "deny"]],
    ]);
    expect(await live.checkPassword("alice", "right")).toBe(true);
    // The new files are looked at, and the old ones no longer.
    takeLog();
    writeFileSync(cert, "no PEM");
    live.look();
    live.look();
    expect(takeLog()).toEqual([]);
    writeFileSync(`${cert}.2`, first.cert);
    writeFileSync(`${key}.2`, first.key);
    live.look();
    expect([subject(), takeLog()]).toEqual(["CN=first", ["web_config_changed"]]);
  });

  test("that cannot be read leaves the users as they were", async () => {
    const { live, webYml, takeLog } = open(USERS);
    for (const [text, fault] of [
      [
        "basic_auth_users: { alice: plain-password }",
        'basic_auth_users.alice of web.yml is not a hash of bcrypt, expected the output of "htpasswd -nBC 10 USER".',
      ],
      [
        "basic_auth_user: {}",
        "basic_auth_user of web.yml is not a field of web.yml, expected basic_auth_users.",
      ],
    ] as const) {
      writeFileSync(webYml, text);
      live.look();
      live.look();
      expect(takeLog()).toEqual([`web_config_unusable ${fault}`]);
      expect(await live.checkPassword("alice", "right")).toBe(true);
    }
    rmSync(webYml);
    live.look();
    live.look();
    expect(takeLog()).toHaveLength(1);
    expect(live.hasUsers).toBe(true);
  });

  test("that names files in a folder that is none leaves all as it was", () => {
    const { live, webYml, takeLog, subject } = open(TLS);
    writeFileSync(webYml, TLS.replace("tls.crt", "tls.crt/none"));
    for (let looks = 0; looks < 4; looks++) live.look();
    expect([subject(), takeLog()]).toEqual([
      "CN=first",
      [
        "web_config_unusable cert_file \"tls.crt/none\" cannot be read: ENOTDIR: not a directory, open 'tls.crt/none'.",
      ],
    ]);
  });

  test("cannot switch TLS on or off", () => {
    const off = open(USERS);
    writeFileSync(off.webYml, TLS);
    off.live.look();
    off.live.look();
    expect(off.takeLog()).toEqual([
      "web_config_unusable web.yml has TLS now, which only a new start of weir serve changes.",
    ]);
    expect([off.live.tls, off.live.hasUsers]).toEqual([undefined, true]);
    const on = open(TLS);
    writeFileSync(on.webYml, USERS);
    on.live.look();
    on.live.look();
    expect(on.takeLog()).toEqual([
      "web_config_unusable web.yml has no TLS any more, which only a new start of weir serve changes.",
    ]);
    expect([on.subject(), on.live.hasUsers]).toEqual(["CN=first", false]);
  });

  test("can change what is expected of clients", () => {
    const { live, webYml } = open(TLS);
    expect([live.tls?.clientAuth, live.verifiesClients]).toEqual(["none", false]);
    writeFileSync(
      webYml,
      TLS.replace(" }", ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: tls.crt }"),
    );
    live.look();
    expect([live.tls?.clientAuth, live.verifiesClients]).toEqual(["verify", true]);
  });
});

describe("the rate limit", () => {
  const LIMIT = "rate_limit: { interval: 100ms, burst: 3 }\n";

  /** How many of some requests are accepted. */
  const take = (live: LiveWebConfig, requests: number) => {
    let accepted = 0;
    for (let at = 0; at < requests; at++) {
      try {
        live.takeRequest();
        accepted += 1;
      } catch {
        // Counted.
      }
    }
    return accepted;
  };

  test("accepts a burst, and then one request per interval", () => {
    const { live, clock } = open(LIMIT);
    expect(take(live, 10)).toBe(3);
    clock.elapsedMs = 99;
    expect(take(live, 10)).toBe(0);
    clock.elapsedMs = 250;
    expect(take(live, 10)).toBe(2);
    clock.elapsedMs = 10_000;
    expect(take(live, 10)).toBe(3);
  });

  test("says when the next request is accepted", () => {
    const { live, clock } = open("rate_limit: { interval: 10s, burst: 1 }");
    live.takeRequest();
    clock.elapsedMs = 2_000;
    expect(() => live.takeRequest()).toThrow(
      expect.objectContaining({ status: 429, code: "rate_limited", retryAfterSeconds: 8 }),
    );
  });

  test("goes on when something else of the file changes, and is as in the file when it changes", () => {
    const { live, webYml } = open(LIMIT);
    expect(take(live, 2)).toBe(2);
    writeFileSync(webYml, `${LIMIT}${USERS}`);
    live.look();
    expect(take(live, 10)).toBe(1);
    writeFileSync(webYml, LIMIT.replace("3", "5"));
    live.look();
    expect(take(live, 10)).toBe(5);
    writeFileSync(webYml, "");
    live.look();
    expect(take(live, 100)).toBe(100);
  });
});
