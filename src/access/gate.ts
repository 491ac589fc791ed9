/**
 * What every request passes before a handler: where it comes from (browsers), and who sent it (tokens). Refused requests
 * are counted by reason.
 *
 * The check of `Host` protects gateways that need no token. A page that was loaded under a foreign name cannot have a
 * token, because browsers keep passwords by origin. So a request with a valid token may have any `Host`: clients reach a
 * gateway by names of containers, services and proxies that it does not know.
 */
import type { Counters } from "../model/counters.ts";
import { Forbidden, quote, Unauthenticated } from "../model/errors.ts";
import type { Labels } from "../model/sample.ts";
import type { Access, AccessGuard, Caller, Callers, Guarded } from "./access.ts";
import { addCorsHeaders, addSecurityHeaders } from "./answer-headers.ts";
import { type BrowserPolicy, isForeignLoad, isOwnOrigin, nameOfHost } from "./browsers.ts";
import type { TokenCarrier } from "./credentials.ts";

/** The longest name of DNS, and an origin with it. Longer ones are cut in advice. */
const NAME_SHOWN_MAX = 253;
const ORIGIN_SHOWN_MAX = 270;

/** The socket of a request. Each server of Bun is one. */
export interface ClientSocket {
  /** Undefined for a Unix socket. */
  readonly port: number | undefined;
  /** The address of the client of a request. Null for a Unix socket. */
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

  /** As in `AccessGuard`. Without a token, the `Host` of the request must be known. */
  admit<T>(request: TokenCarrier, route: Guarded, handle: (caller: Caller) => T, arrival?: Arrival): T;

  /** Adds to an answer what browsers need. */
  finish(headers: Headers, request: Request, arrival: Arrival | undefined): void;
}

interface GateOptions {
  readonly access: Access;
  readonly browsers: BrowserPolicy;
  readonly counters: Pick<Counters, "requestsRefused">;
}

export class Gate implements RequestGate, Callers {
  readonly #access: Access;
  readonly #browsers: BrowserPolicy;
  readonly #counters: GateOptions["counters"];

  constructor({ access, browsers, counters }: GateOptions) {
    this.#access = access;
    this.#browsers = browsers;
    this.#counters = counters;
    for (const reason of ["origin", "host", "unauthenticated", "permission"])
      counters.requestsRefused.inc({ reason }, 0);
  }

  receive(request: ReceivedRequest, socket?: ClientSocket): Arrival | undefined {
    const { headers } = request;
    const origin = headers.get("origin");
    const host = headers.get("host");
    let allowedOrigin: string | undefined;
    if (origin !== null) {
      allowedOrigin = this.#browsers.allowedOrigin(origin);
      if (allowedOrigin === undefined && !isOwnOrigin(origin, host ?? "", socket?.isTls === true))
        throw this.#refused("origin", foreignOrigin(origin));
    } else if (isForeignLoad(headers, request.method)) {
      throw this.#refused("origin", foreignLoad());
    }
    const isUnknown =
      // Old clients send no Host. Browsers always do, and cannot connect to a Unix socket.
      !!host && !this.#browsers.isKnownHost(host) && socket?.port !== undefined;
    if (!isUnknown && allowedOrigin === undefined) return undefined;
    return { unknownHost: isUnknown ? host : undefined, allowedOrigin };
  }

  admit<T>(request: TokenCarrier, route: Guarded, handle: (caller: Caller) => T, arrival?: Arrival): T {
    const unknownHost = arrival?.unknownHost;
    let isAllowed = false;
    try {
      return this.#access.admit(request, route, (caller) => {
        isAllowed = true;
        if (unknownHost !== undefined && route.permission !== "none" && this.#access.callerId === undefined)
          throw this.#refused("host", unknownHostError(unknownHost));
        return handle(caller);
      });
    } catch (error) {
      if (!isAllowed) this.#count(error);
      throw error;
    }
  }

  finish(headers: Headers, request: Request, arrival: Arrival | undefined): void {
    addSecurityHeaders(headers);
    if (this.#browsers.hasCors) headers.append("vary", "Origin");
    if (arrival?.allowedOrigin !== undefined) addCorsHeaders(headers, arrival.allowedOrigin, request);
  }

  boundLabels(): Labels | undefined {
    return this.#access.boundLabels();
  }

  #refused(reason: string, error: Forbidden): Forbidden {
    this.#counters.requestsRefused.inc({ reason });
    return error;
  }

  #count(error: unknown): void {
    if (error instanceof Unauthenticated) this.#counters.requestsRefused.inc({ reason: "unauthenticated" });
    else if (error instanceof Forbidden) this.#counters.requestsRefused.inc({ reason: "permission" });
  }
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
