/** The client of a request, through trusted proxies and others, and the network that limits count. */
import { describe, expect, test } from "bun:test";
import { CallerAddresses, networkOf } from "../../src/access/caller-address.ts";

describe("limits count", () => {
  const cases: [address: string, network: string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["1::2:3:4:5:192.0.2.1", "1:0:2:3::/64"],
  ];
  test.each(cases)("%s as %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe("X-Forwarded-For", () => {
  const client = (trusted: string[], peer: string | undefined | null, forwarded?: string) =>
    new CallerAddresses(trusted).clientOf(
      peer,
      new Headers(forwarded === undefined ? {} : { "x-forwarded-for": forwarded }),
    );
  const proxies = ["10.0.0.0/8", "192.0.2.7", "fd00::/8", "unix"];

  test("is ignored if the connection is not from a trusted proxy", () => {
    expect(client([], "203.0.113.5", "198.51.100.1")).toBe("203.0.113.5");
    expect(client(proxies, "203.0.113.5", "198.51.100.1")).toBe("203.0.113.5");
    expect(client(proxies, "192.0.2.8", "198.51.100.1")).toBe("192.0.2.8");
    expect(client(["10.0.0.1"], undefined, "198.51.100.1")).toBeUndefined();
    expect(client(proxies, null, "198.51.100.1")).toBe("unknown");
  });

  test("has the client, to the left of the trusted proxies and never further", () => {
    for (const peer of ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "fd12::1", undefined])
      expect([peer, client(proxies, peer, "198.51.100.1")]).toEqual([peer, "198.51.100.1"]);
    // The client claims to be another one.
    expect(client(proxies, "10.1.2.3", "1.1.1.1, 198.51.100.1")).toBe("198.51.100.1");
    expect(client(proxies, "10.1.2.3", "1.1.1.1,198.51.100.1 , 10.9.9.9,192.0.2.7")).toBe("198.51.100.1");
    expect(client(proxies, "10.1.2.3", "10.5.5.5, 10.9.9.9")).toBe("10.5.5.5");
    expect(client(proxies, "10.1.2.3", "2001:db8:1:2:3::4")).toBe("2001:db8:1:2::/64");
  });

  test("may have ports, and ends at what is no address", () => {
    expect(client(proxies, "10.1.2.3", "198.51.100.1:4711")).toBe("198.51.100.1");
    expect(client(proxies, "10.1.2.3", "[2001:db8::1]:4711")).toBe("2001:db8:0:0::/64");
    for (const forwarded of ["unknown", "_hidden", "", ",", "198.51.100.1, evil", "999.1.1.1"])
      expect([forwarded, client(proxies, "10.1.2.3", forwarded)]).toEqual([forwarded, "10.1.2.3"]);
  });

  test("is not needed: without it, the proxy itself is the client", () => {
    expect(client(proxies, "10.1.2.3")).toBe("10.1.2.3");
    expect(client(proxies, undefined)).toBeUndefined();
  });
});
