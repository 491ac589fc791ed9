/**
 * What every request passes before a handler: where it comes from (browsers), who sent it (tokens), and how much its sender
 * may do (limits). Refused requests are counted by reason.
 *
 * The check of `Host` protects gateways that need no token. A page that was loaded under a foreign name cannot have a
 * token, because browsers keep passwords by origin. So a request with a valid token may have any `Host`: clients reach a
 * gateway by names of containers, services and proxies that it does not know.
 */
import { Forbidden, quote, Unauthenticated } from "../model/errors.ts";
import type { Labels } from "../model/sample.ts";
import {
  type Access,
  type AccessGuard,
  type Caller,
  type Callers,
  type Guarded,
  readsCaller,
} from "./access.ts";
import { addCorsHeaders, addSecurityHeaders } from "./answer-headers.ts";
import {
  BrowserPolicy,
  type BrowserSettings,
  isForeignLoad,
  isOwnOrigin,
  nameOfHost,
  type PageHeaders,
} from "./browsers.ts";
import { CallerAddresses, type ProxySettings } from "./caller-address.ts";
import { presentedPassword, presentedToken, type TokenCarrier } from "./credentials.ts";
import type { CallerLimits } from "./limits.ts";
import { type LimitSettings, RequestLimits, type RequestLimitsOptions } from "./request-limits.ts";

/** The longest name of DNS, and an origin with it. Longer ones are cut in advice. */
const NAME_SHOWN_MAX = 253;
const ORIGIN_SHOWN_MAX = 270;

/** The socket of a request. Each server of Bun is one. */
export interface ClientSocket {
  /** Undefined for a Unix socket. */
  readonly port: number | undefined;
  /** The address of the client of a request. Null for a Unix socket, and if the client has left. */
  requestIP?(request: Request): { readonly address: string } | null;
  /** Set if the connection has TLS, which the URL of the request then does not say. */
  readonly isTls?: true;
}

/** The part of a request that says where it comes from. */
export interface ReceivedRequest extends TokenCarrier {
  readonly method: string;
}

/** What the gate found about a request that a handler may need to be admitted. */
export interface Arrival {
  /** The `Host`, if the gateway is not known by it. */
  readonly unknownHost: string | undefined;
  /** The value of `Access-Control-Allow-Origin`, if a page of another origin may use the gateway. */
  readonly allowedOrigin: string | undefined;
  /** Whether the page may be anybody's: `corsOrigins` allows all, and this one is neither named nor the gateway's own. */
  readonly isAnyPage: boolean;
  /** The limits of the client's address. Undefined if it has none. */
  readonly address: CallerLimits | undefined;
}

/** The guard of the requests of a listener. */
export interface RequestGate extends AccessGuard {
  /**
   * Checks where a request comes from, before its path is looked at. Undefined if there is nothing to say about it.
   *
   * @param socket undefined if the request did not arrive by a socket
   * @throws Forbidden if a page of another origin sent it
   */
  receive(request: ReceivedRequest, socket?: ClientSocket): Arrival | undefined;

  /** As in `Access`. The handler of a request with a password waits for it. */
  prepare(request: TokenCarrier, route: Guarded, arrival?: Arrival): Promise<void> | undefined;

  /**
   * As in `AccessGuard`. Without a token, the `Host` of the request must be known.
   *
   * @throws also LimitExceeded
   */
  admit<T>(request: TokenCarrier, route: Guarded, handle: (caller: Caller) => T, arrival?: Arrival): T;

  /** Adds to an answer what browsers need. */
  finish(headers: Headers, request: Request, arrival: Arrival | undefined): void;
}

/** What web.yml says about all requests. */
interface WebRules {
  readonly headers: readonly (readonly [string, string])[];
  /** Counts a request. Throws `LimitExceeded` if there are too many. */
  takeRequest(): void;
}

interface GateOptions extends Pick<RequestLimitsOptions, "counters" | "whenSent" | "elapsedMs"> {
  readonly access: Access;
  readonly web?: WebRules;
}

export class Gate implements RequestGate, Callers {
  readonly limits: RequestLimits;
  readonly #access: Access;
  readonly #browsers: BrowserPolicy;
  readonly #web: WebRules | undefined;
  readonly #addresses: CallerAddresses;
  readonly #counters: GateOptions["counters"];

  constructor(settings: BrowserSettings & ProxySettings & LimitSettings, options: GateOptions) {
    const { access, web, counters } = options;
    this.limits = new RequestLimits(settings, options);
    this.#access = access;
    this.#web = web;
    this.#browsers = new BrowserPolicy(settings);
    this.#addresses = new CallerAddresses(settings.trustedProxies);
    this.#counters = counters;
    for (const reason of ["rate_limit", "passwords", "origin", "host", "unauthenticated", "permission"])
      counters.requestsRefused.inc({ reason }, 0);
  }

  receive(request: ReceivedRequest, socket?: ClientSocket): Arrival | undefined {
    try {
      this.#web?.takeRequest();
    } catch (error) {
      this.#counters.requestsRefused.inc({ reason: "rate_limit" });
      throw error;
    }
    const { headers } = request;
    const origin = headers.get("origin");
    const peer = this.#peerOf(request, socket);
    const host = this.#hostOf(headers, peer);
    let allowedOrigin: string | undefined;
    let isAnyPage = false;
    if (origin !== null) {
      allowedOrigin = this.#browsers.allowedOrigin(origin);
      const isOwn = isOwnOrigin(origin, host ?? "", socket?.isTls === true);
      if (allowedOrigin === undefined && !isOwn) throw this.#refused("origin", foreignOrigin(origin));
      isAnyPage =
        !isOwn && !this.#browsers.namesOrigin(origin) && headers.get("sec-fetch-site") !== "same-origin";
    } else if (isForeignLoad(headers, request.method)) {
      throw this.#refused("origin", foreignLoad());
    }
    const isUnknown =
      // Old clients send no Host. Browsers always do, and cannot connect to a Unix socket. With TLS, they check the name.
      !!host && !socket?.isTls && !this.#browsers.isKnownHost(host) && socket?.port !== undefined;
    const client =
      this.limits.limitsAddresses && socket !== undefined
        ? this.#addresses.clientOf(peer, headers)
        : undefined;
    const address = client === undefined ? undefined : this.limits.ofAddress(client);
    if (!isUnknown && allowedOrigin === undefined && address === undefined) return undefined;
    return { unknownHost: isUnknown ? host : undefined, allowedOrigin, isAnyPage, address };
  }

  prepare(request: TokenCarrier, route: Guarded, arrival?: Arrival): Promise<void> | undefined {
    // A comparison takes long. So an address that may not guess any more gets none.
    if (
      arrival?.address !== undefined &&
      readsCaller(route) &&
      presentedPassword(request.headers) !== undefined
    )
      this.limits.expectGuess(arrival.address);
    return this.#access.prepare(request, route)?.catch((error) => {
      this.#counters.requestsRefused.inc({ reason: "passwords" });
      throw error;
    });
  }

  admit<T>(received: TokenCarrier, route: Guarded, handle: (caller: Caller) => T, arrival?: Arrival): T {
    const { permission, credentials } = route;
    const request = arrival?.isAnyPage ? withoutCookie(received) : received;
    const address = arrival?.address;
    if (permission === "none") {
      const admitted = () => this.#access.admit(request, route, handle);
      // A check of whether the gateway is alive must not be limited by others at the same address.
      return readsCaller(route) ? this.#identify(request, address, admitted) : admitted();
    }
    const unknownHost = arrival?.unknownHost;
    const hasToken = address !== undefined && presentedToken(request, credentials) !== undefined;
    if (address !== undefined) this.limits.enter(address, permission, hasToken);
    let isAllowed = false;
    try {
      return this.#access.admit(request, route, (caller) => {
        isAllowed = true;
        const token = this.#access.caller;
        if (unknownHost !== undefined && token === undefined)
          throw this.#refused("host", unknownHostError(unknownHost));
        return this.limits.run(token, address, route, () => handle(caller));
      });
    } catch (error) {
      if (isAllowed) throw error;
      if (error instanceof Unauthenticated) {
        if (hasToken) address?.use("failures", 1);
        this.#counters.requestsRefused.inc({ reason: "unauthenticated" });
      } else if (error instanceof Forbidden) {
        this.#counters.requestsRefused.inc({ reason: "permission" });
      }
      throw error;
    }
  }

  finish(headers: Headers, request: Request, arrival: Arrival | undefined): void {
    addSecurityHeaders(headers);
    for (const [name, value] of this.#web?.headers ?? []) headers.set(name, value);
    if (this.#browsers.hasCors) headers.append("vary", "Origin");
    if (arrival?.allowedOrigin !== undefined) addCorsHeaders(headers, arrival.allowedOrigin, request);
  }

  boundLabels(): Labels | undefined {
    return this.#access.boundLabels();
  }

  /** Runs a handler that says whether a token is valid: the token of the request, or one in its body. */
  #identify<T>(request: TokenCarrier, address: CallerLimits | undefined, handle: () => T): T {
    const { isOpen, token } = this.#access.identify(request);
    const isWrong = !isOpen && token === undefined && presentedToken(request) !== undefined;
    if (address !== undefined) this.limits.expectGuess(address);
    if (isWrong) address?.use("failures", 1);
    const result = handle();
    if (!(result instanceof Promise)) return result;
    return result.catch((error) => {
      if (error instanceof Unauthenticated) {
        if (!isWrong) address?.use("failures", 1);
        this.#counters.requestsRefused.inc({ reason: "unauthenticated" });
      }
      throw error;
    }) as T;
  }

  #refused(reason: string, error: Forbidden): Forbidden {
    this.#counters.requestsRefused.inc({ reason });
    return error;
  }

  /** The address of the connection, if it is needed. Undefined for a Unix socket, null if it is unknown. */
  #peerOf(request: ReceivedRequest, socket: ClientSocket | undefined): string | undefined | null {
    if (socket?.port === undefined) return undefined;
    if (!this.limits.limitsAddresses && !this.#addresses.hasProxies) return null;
    return socket.requestIP?.(request as Request)?.address ?? null;
  }

  /** The `Host` of the client. A trusted proxy may have sent another one than the client did. */
  #hostOf(headers: PageHeaders, peer: string | undefined | null): string | null {
    const forwarded = this.#addresses.hasProxies ? headers.get("x-forwarded-host") : null;
    if (forwarded === null || !this.#addresses.isTrusted(peer)) return headers.get("host");
    return forwarded.split(",", 1)[0]!.trim();
  }
}

/** The request without the cookie of the page, which a browser also adds for pages of other ports of the same host. */
function withoutCookie({ headers, url }: TokenCarrier): TokenCarrier {
  return { url, headers: { get: (name) => (name === "cookie" ? null : headers.get(name)) } };
}

function foreignOrigin(origin: string): Forbidden {
  if (origin === "null") {
    return new Forbidden(
      "Pages without an origin of their own (Origin: null) may not use this gateway, unless the setting corsOrigins " +
        "allows all pages (--cors-origins '*').",
      "Origin",
    );
  }
  return new Forbidden(
    `Pages of the origin ${quote(origin)} may not use this gateway. To allow it, add it to the setting corsOrigins ` +
      `(--cors-origins ${origin.slice(0, ORIGIN_SHOWN_MAX)}).`,
    "Origin",
  );
}

function foreignLoad(): Forbidden {
  return new Forbidden(
    "A page of another site may not load this address. Pages of allowed origins (the setting corsOrigins) can request it with fetch().",
    "Sec-Fetch-Site",
  );
}

function unknownHostError(host: string): Forbidden {
  const name = nameOfHost(host);
  return new Forbidden(
    `The Host ${quote(host)} is neither an address nor a name of this gateway. To allow it, add the name to the setting ` +
      `hosts${name === "" ? "" : ` (--hosts ${name.slice(0, NAME_SHOWN_MAX)})`}, or send a token.`,
    "Host",
  );
}
