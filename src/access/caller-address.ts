/**
 * The address of the client that sent a request, also through proxies. Pure.
 *
 * Any client can write `X-Forwarded-For`. So it is read only if the connection is from a trusted proxy, and only up to the
 * first address, from the right, that is not one: everything before that is what this client has claimed.
 */
import type { BlockList } from "node:net";
import { nodeNet } from "../program/deferred-libraries.ts";
import { nameOfHost, type PageHeaders } from "./browsers.ts";

/** For connections whose address is unknown, because they are closed already. */
const UNKNOWN = "unknown";

export interface ProxySettings {
  /** Addresses, networks such as `10.0.0.0/8`, and `unix` for connections by a Unix socket. */
  readonly trustedProxies: readonly string[];
}

export class CallerAddresses {
  /** Undefined if no proxy is trusted. */
  readonly #proxies: BlockList | undefined;
  readonly #trustsUnix: boolean;

  constructor(trustedProxies: ProxySettings["trustedProxies"]) {
    this.#trustsUnix = trustedProxies.includes("unix");
    if (trustedProxies.length === 0) return;
    const { BlockList, isIP } = nodeNet();
    this.#proxies = new BlockList();
    for (const proxy of trustedProxies) {
      const [address = "", bits] = proxy.split("/");
      const family = isIP(address) === 6 ? "ipv6" : "ipv4";
      if (isIP(address) === 0) continue;
      if (bits === undefined) this.#proxies.addAddress(address, family);
      else this.#proxies.addSubnet(address, Number(bits), family);
    }
  }

  /** Whether any proxy is trusted. */
  get hasProxies(): boolean {
    return this.#proxies !== undefined;
  }

  /**
   * Whether what a connection says about its client is believed.
   *
   * @param peer the address of the connection. Undefined for a Unix socket, null if it is unknown
   */
  isTrusted(peer: string | undefined | null): boolean {
    if (peer === undefined) return this.#trustsUnix;
    if (peer === null || this.#proxies === undefined) return false;
    return this.#proxies.check(peer, nodeNet().isIP(peer) === 6 ? "ipv6" : "ipv4");
  }

  /**
   * The client of a request, as limits count it: an IPv4 address, or the network of 64 bits of an IPv6 address, because a
   * client usually has such a network. Undefined for a client of a Unix socket, which has no address.
   *
   * @param peer as for `isTrusted`
   */
  clientOf(peer: string | undefined | null, headers: PageHeaders): string | undefined {
    let client = peer === null ? UNKNOWN : peer;
    if (this.isTrusted(peer)) {
      const forwarded = headers.get("x-forwarded-for")?.split(",") ?? [];
      for (let at = forwarded.length - 1; at >= 0; at--) {
        const address = addressIn(forwarded[at]!.trim());
        if (address === undefined) break;
        client = address;
        if (!this.isTrusted(address)) break;
      }
    }
    return client === undefined || client === UNKNOWN ? client : networkOf(client);
  }
}

/** The address of an entry, which may have a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(entry: string): string | undefined {
  const { isIP } = nodeNet();
  const address = isIP(entry) === 0 ? nameOfHost(entry) : entry;
  return isIP(address) === 0 ? undefined : address;
}

/** `192.0.2.1` and `::ffff:192.0.2.1` → `192.0.2.1`, `2001:db8:1:2:3:4:5:6` → `2001:db8:1:2::/64`. */
export function networkOf(address: string): string {
  // An IPv6 address has a colon. For all others node:net need not be loaded.
  if (!address.includes(":") || nodeNet().isIP(address) !== 6) return address;
  const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  const [before = "", after] = address.replace(/%.*$/, "").toLowerCase().split("::");
  const groups = before === "" ? [] : before.split(":");
  if (after !== undefined) {
    const last = after === "" ? [] : after.split(":");
    // An IPv4 address at the end is two groups.
    const written = groups.length + last.length + (last.at(-1)?.includes(".") ? 1 : 0);
    groups.push(...Array.from({ length: 8 - written }, () => "0"), ...last);
  }
  const network = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ""));
  return `${network.join(":")}::/64`;
}
