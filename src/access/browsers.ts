/**
 * What pages in a browser may do with the gateway: which origins may use it, and by which names it is known. Pure.
 *
 * A browser sends requests for any page that somebody has open, also to loopback and to private networks. Two things say
 * which page it is, and no page can change them:
 *
 * - `Origin` and `Sec-Fetch-*` name the page. Only the gateway's own origin and those of `corsOrigins` are accepted.
 * - `Host` is the name in the address of the page, if the page was loaded from the gateway. A page of another server
 *   becomes one when its server changes the address of its name (DNS rebinding). So the name must be known.
 */
import { nodeNet } from "../program/deferred-libraries.ts";

export interface BrowserSettings {
  /** Names of the gateway: `weir.example.com`, `*.example.com` for all names below one, `*` for any. */
  readonly hosts: readonly string[];
  /** Origins of other pages that may use the gateway: `https://app.example.com`, or `*` for any. */
  readonly corsOrigins: readonly string[];
  /** The name of this machine, and the names that the gateway listens on. */
  readonly ownNames: readonly string[];
  /** Whether the gateway listens on an address that other machines reach. */
  readonly isShared: boolean;
}

/** The part of a request's headers that says which page sent it. */
export interface PageHeaders {
  get(name: string): string | null;
}

/** Names that never belong to somebody else: browsers resolve them to this machine, or an engine of containers does. */
const LOCAL_NAMES = ["localhost", "*.localhost", "host.docker.internal"];
/** Domains that nobody can register (RFC 6762, RFC 8375, and reserved by ICANN for private use). */
const PRIVATE_NAMES = ["*.local", "*.home.arpa", "*.internal"];

/** Texts of `Host` that are remembered as known. Others are checked each time. */
const REMEMBERED_MAX = 64;

export class BrowserPolicy {
  readonly #settings: BrowserSettings;
  readonly #names: ReadonlySet<string>;
  /** `.example.com` */
  readonly #suffixes: readonly string[];
  readonly #anyHost: boolean;
  readonly #origins: ReadonlySet<string>;
  readonly #remembered = new Set<string>();

  constructor(settings: BrowserSettings) {
    this.#settings = settings;
    const { hosts, ownNames, isShared, corsOrigins } = settings;
    const names = [...LOCAL_NAMES, ...ownNames, ...hosts, ...(isShared ? PRIVATE_NAMES : [])].map(plainName);
    this.#names = new Set(names);
    this.#suffixes = names.filter((name) => name.startsWith("*.")).map((name) => name.slice(1));
    this.#anyHost = hosts.includes("*");
    this.#origins = new Set(corsOrigins);
  }

  /** Whether any page of another origin may use the gateway. */
  get hasCors(): boolean {
    return this.#origins.size > 0;
  }

  /**
   * Whether a `Host` is an address or a name of the gateway. Every literal IP address is: no server can change the
   * address of one. A name without a dot is only known where other machines reach the gateway, because names of
   * containers and services have none there. To make such a name resolve, one has to control that network.
   */
  isKnownHost(host: string): boolean {
    if (this.#anyHost || this.#remembered.has(host)) return true;
    const name = nameOfHost(host);
    const isKnown =
      isAddress(name) ||
      this.#names.has(name) ||
      this.#suffixes.some((suffix) => name.endsWith(suffix)) ||
      (this.#settings.isShared && name !== "" && !name.includes("."));
    if (isKnown && this.#remembered.size < REMEMBERED_MAX) this.#remembered.add(host);
    return isKnown;
  }

  /** Whether `corsOrigins` has the origin itself, and not only `*`. */
  namesOrigin(origin: string): boolean {
    return this.#origins.has(origin);
  }

  /** The value of `Access-Control-Allow-Origin` for an origin of `corsOrigins`. Undefined for others. */
  allowedOrigin(origin: string): string | undefined {
    if (this.#origins.has("*")) return "*";
    return this.#origins.has(origin) ? origin : undefined;
  }
}

/**
 * Whether an `Origin` is that of the gateway itself under the name that the request has.
 *
 * @param host the name, with its port unless that is the default one
 * @param isSecure whether the request arrived by TLS. Otherwise a proxy in front may have TLS, so that both schemes are
 *   the gateway's own
 */
export function isOwnOrigin(origin: string, host: string, isSecure: boolean): boolean {
  const scheme = /^https?:\/\//.exec(origin)?.[0];
  if (scheme === undefined || host === "" || (isSecure && scheme === "http://")) return false;
  const port = scheme === "http://" ? ":80" : ":443";
  const written = host.toLowerCase();
  const usual = written.endsWith(port) ? written.slice(0, -port.length) : written;
  return origin.slice(scheme.length).toLowerCase() === usual;
}

/**
 * Whether a request without an `Origin` was sent by a page of another site: an image, a script, a frame. A link that
 * somebody follows is not. Browsers that send no `Sec-Fetch-Site` are not recognised.
 */
export function isForeignLoad(headers: PageHeaders, method: string): boolean {
  const site = headers.get("sec-fetch-site");
  if (site === null || site === "same-origin" || site === "none") return false;
  const isLink = headers.get("sec-fetch-mode") === "navigate" && headers.get("sec-fetch-dest") === "document";
  return !isLink || (method !== "GET" && method !== "HEAD");
}

/** The name of a `Host`, without its port: `weir:9091` → `weir`, `[::1]:9091` → `::1`. */
export function nameOfHost(host: string): string {
  const [, bracketed, plain = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?$/.exec(host) ?? [];
  return plainName(bracketed ?? plain);
}

/** DNS has no letter case, and a dot at the end changes nothing. */
function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** Four decimal numbers up to 255, without zeros before them. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** Whether a name is an IP address. The usual ones are recognised without node:net, which most starts never load. */
function isAddress(name: string): boolean {
  return IPV4.test(name) || (name.includes(":") && nodeNet().isIP(name) !== 0);
}
