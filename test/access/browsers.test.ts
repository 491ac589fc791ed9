/** Which names of the gateway are known, which origins are its own, and which loads are of another site. */
import { describe, expect, test } from "bun:test";
import {
  BrowserPolicy,
  type BrowserSettings,
  isForeignLoad,
  isOwnOrigin,
} from "../../src/access/browsers.ts";

const policy = (settings: Partial<BrowserSettings> = {}) =>
  new BrowserPolicy({
    hosts: [],
    corsOrigins: [],
    ownNames: ["worker-7", "worker-7.local"],
    isShared: false,
    ...settings,
  });

const split = (text: string) => text.trim().split(/\s+/);

describe("on loopback", () => {
  const known = split(`
    localhost localhost:9091 LOCALHOST:9091 localhost.:9091 weir.localhost:9091 host.docker.internal:9091
    127.0.0.1:9091 127.1.2.3 10.0.0.5:80 192.168.1.7:9091 203.0.113.9 [::1]:9091 [::1] [fe80::1]:9091 [2001:db8::5]:443
    worker-7:9091 Worker-7 worker-7.local:9091`);
  const unknown = split(`
    evil.example evil.example:9091 localhost.evil.example 127.0.0.1.evil.example 127.0.0.1.nip.io:9091 notlocalhost
    weir:9091 weir.local:9091 weir.internal worker-7.evil.example evil.example.:9091 256.1.1.1 0x7f.1 127.1
    a,b localhost:9091:80 localhost:x user@localhost [evil.example] [::1].evil.example . :9091`);
  test.each(known)("%s is known", (host) => {
    expect(policy().isKnownHost(host)).toBe(true);
  });
  // "127.1" and "0x7f.1" are never sent: browsers write addresses out.
  test.each(unknown)("%s is not known", (host) => {
    expect(policy().isKnownHost(host)).toBe(false);
  });
});

test("where other machines reach the gateway, names that nobody can register are known too", () => {
  const shared = policy({ isShared: true });
  const known = split(
    "weir weir:9091 weir.local weir.monitoring.svc.cluster.local:9091 weir.internal nas.home.arpa",
  );
  expect(known.filter((host) => !shared.isKnownHost(host))).toEqual([]);
  const unknown = split(
    "evil.example evil.example:9091 weir.monitoring.svc local.evil.example internal.evil.example .",
  );
  expect(unknown.filter((host) => shared.isKnownHost(host))).toEqual([]);
});

test("names of the setting hosts are known, on every port, and with a star for all names below", () => {
  const named = policy({ hosts: ["weir.example.com", "*.Corp.example"] });
  for (const host of split(
    "weir.example.com weir.example.com:443 WEIR.example.com. a.corp.example a.b.corp.example:1",
  ))
    expect([host, named.isKnownHost(host)]).toEqual([host, true]);
  for (const host of split(
    "example.com a.weir.example.com corp.example evilcorp.example a.corp.example.evil.example",
  ))
    expect([host, named.isKnownHost(host)]).toEqual([host, false]);
  expect(policy({ hosts: ["*"] }).isKnownHost("evil.example")).toBe(true);
});

test("what was known once stays known, and thousands of unknown names are not remembered", () => {
  const some = policy();
  for (let index = 0; index < 1_000; index++) {
    expect(some.isKnownHost(`127.0.0.1:${index}`)).toBe(true);
    expect(some.isKnownHost(`${index}.evil.example`)).toBe(false);
  }
  expect(some.isKnownHost("127.0.0.1:999")).toBe(true);
});

describe("an origin", () => {
  const cases: [origin: string, host: string, isSecure: boolean, isOwn: boolean][] = [
    ["http://localhost:9091", "localhost:9091", false, true],
    ["http://LOCALHOST:9091", "localhost:9091", false, true],
    ["http://localhost:3000", "localhost:9091", false, false],
    ["http://127.0.0.1:9091", "localhost:9091", false, false],
    ["http://[::1]:9091", "[::1]:9091", false, true],
    ["http://weir.example.com", "weir.example.com", false, true],
    ["http://weir.example.com", "weir.example.com:80", false, true],
    ["http://weir.example.com", "weir.example.com:443", false, false],
    // A proxy in front has TLS.
    ["https://weir.example.com", "weir.example.com", false, true],
    ["https://weir.example.com", "weir.example.com:443", true, true],
    ["http://weir.example.com", "weir.example.com", true, false],
    ["https://weir.example.com.evil.example", "weir.example.com", false, false],
    ["https://evil.example", "weir.example.com", false, false],
    ["null", "weir.example.com", false, false],
    ["", "", false, false],
    ["http://", "", false, false],
    ["chrome-extension://localhost:9091", "localhost:9091", false, false],
    ["file://", "", false, false],
  ];
  test.each(cases)("%s at %s (TLS: %p) is the gateway's own: %p", (origin, host, isSecure, isOwn) => {
    expect(isOwnOrigin(origin, host, isSecure)).toBe(isOwn);
  });

  test("of corsOrigins is allowed exactly as it is written", () => {
    const some = policy({ corsOrigins: ["https://app.example.com"] });
    expect(some.allowedOrigin("https://app.example.com")).toBe("https://app.example.com");
    for (const origin of [
      "https://app.example.com:8443",
      "http://app.example.com",
      "https://example.com",
      "null",
      "",
    ])
      expect([origin, some.allowedOrigin(origin)]).toEqual([origin, undefined]);
    expect(policy({ corsOrigins: ["*"] }).allowedOrigin("null")).toBe("*");
    expect(policy().allowedOrigin("null")).toBeUndefined();
  });
});

describe("a request without an origin", () => {
  const cases: [site: string | null, mode: string, dest: string, method: string, isForeign: boolean][] = [
    [null, "", "", "POST", false],
    ["none", "navigate", "document", "GET", false],
    ["same-origin", "cors", "empty", "GET", false],
    // A link, and a form that a page of another site sends.
    ["cross-site", "navigate", "document", "GET", false],
    ["same-site", "navigate", "document", "HEAD", false],
    ["cross-site", "navigate", "document", "POST", true],
    ["cross-site", "navigate", "iframe", "GET", true],
    ["cross-site", "navigate", "object", "GET", true],
    ["cross-site", "no-cors", "image", "GET", true],
    ["same-site", "no-cors", "script", "GET", true],
    ["cross-site", "no-cors", "empty", "GET", true],
    ["cross-site", "websocket", "websocket", "GET", true],
    ["anything", "no-cors", "image", "GET", true],
  ];
  test.each(cases)(
    "from site %p, mode %s, to %s, %s: foreign is %p",
    (site, mode, dest, method, isForeign) => {
      const headers = new Headers(
        site === null ? {} : { "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest },
      );
      expect(isForeignLoad(headers, method)).toBe(isForeign);
    },
  );
});
