/**
 * Decides about each request before its handler runs: whether it has a token, and whether the token allows the route.
 *
 * - Without any token the gateway is open, if it listens on loopback or `--open` allows it. Otherwise nothing is.
 * - The file of the tokens is looked at once a second at most, when a request arrives, so a change takes effect within a
 *   second. If a new version cannot be read, the tokens stay as they were, and the log says so. If the file is deleted, all
 *   of its tokens are revoked, and the gateway does not become open: only a file without tokens makes it so.
 * - Neither an answer nor the log contains a token, or says whether a name exists.
 * - The handler runs as its caller: what it pushes gets the labels of the token, and idempotency keys belong to the token.
 * - A token with labels can use only routes that declare what they do for it.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { nodeCrypto } from "../program/deferred-libraries.ts";
import { statSync } from "node:fs";
import type { Log } from "../log/log.ts";
import { Forbidden, Unauthenticated } from "../model/errors.ts";
import type { Labels } from "../model/sample.ts";
import { type CredentialPlace, presentedPassword, presentedToken, type TokenCarrier } from "./credentials.ts";
import { hashOfToken, SCOPES, type TokenScope, type AccessToken } from "./access-token.ts";
import { readTokenFile } from "./token-file.ts";
import { TokenUses } from "./token-uses.ts";

/** What a route says about its callers. */
export interface Guarded {
  /** The scope that a token needs. `none` needs no token. */
  readonly permission: TokenScope | "none";
  /** Where the clients of its protocol put a token, beside the places of all protocols. */
  readonly credentials?: readonly CredentialPlace[];
  /** What it does for a token with labels. If absent, it rejects such a token. */
  readonly bound?: BoundUse;
  /** Whether it says if a token or a password is valid, although it needs none. Such requests are limited as guesses. */
  readonly identifies?: boolean;
  /** Whether it only looks at queries or ends them, so that it also works while those of the caller take all places. */
  readonly isNoQuery?: boolean;
}

/**
 * What a route does for a token with labels:
 * - `adds`: what it stores gets the labels, because all pushes do, and it returns nothing that others pushed.
 * - `narrows`: it returns or changes only series that have the labels. Its handler gets them as a part of the caller.
 * - `same`: it neither returns nor changes what was pushed, nor any count of it.
 */
export type BoundUse = "adds" | "narrows" | "same";

/** Who sent a request, as far as a handler must know. */
export interface Caller {
  /** The labels of the token. The caller may read and change only series that have them. Undefined if it may all. */
  readonly labels: Labels | undefined;
}

/** A caller without restrictions. */
export const UNBOUND: Caller = { labels: undefined };

/** Who sent a request, for the request itself. */
export interface CallerIdentity {
  /** Whether the gateway needs no token. */
  readonly isOpen: boolean;
  readonly token: AccessToken | undefined;
}

/** What stands before every handler. */
export interface AccessGuard {
  /**
   * Runs a handler as the caller of a request.
   *
   * @throws Unauthenticated if the request has no valid token, Forbidden if the token does not allow the route. The
   *   handler does not run then, and nothing of the body is read
   */
  admit<T>(request: TokenCarrier, route: Guarded, handle: (caller: Caller) => T): T;
}

/** What a handler and what it calls may know of its caller. */
export interface Callers {
  /** The labels that everything gets that the caller pushes. Undefined if there are none. */
  boundLabels(): Labels | undefined;
}

/** Callers that are known by something else than a token. */
export interface PasswordUsers {
  /** Whether there are users with passwords. */
  readonly hasUsers: boolean;
  /** Whether each client has shown a certificate that was verified. */
  readonly verifiesClients: boolean;
  /** Whether a user exists and has a password. A promise if that takes time: the next call has the result at once. */
  checkPassword(user: string, password: string): boolean | Promise<boolean>;
}

interface AccessOptions {
  /** The file of the tokens. */
  readonly path: string;
  /** The file of the last uses. */
  readonly usesPath: string;
  /** The text of a token with all scopes that is in no file. */
  readonly adminToken?: string;
  /** By default there are none. */
  readonly passwords?: PasswordUsers;
  /** Whether everyone may do everything as long as there is no token and no user. */
  readonly mayBeOpen: boolean;
  readonly now: () => number;
  /** A clock that only goes forward, in milliseconds. The default is the system's. */
  readonly elapsedMs?: () => number;
  readonly log: Log;
}

/** Time between two looks at the file. */
const LOOK_INTERVAL_MS = 1_000;

export class Access implements AccessGuard, Callers {
  readonly #options: AccessOptions;
  readonly #callers = new AsyncLocalStorage<AccessToken>();
  readonly #uses: TokenUses;
  readonly #adminToken: AccessToken | undefined;
  readonly #elapsedMs: () => number;
  /** By the first four bytes of the hash. Which hash begins so is no secret: only its text is. */
  #tokens = new Map<number, { readonly token: AccessToken; readonly hash: Buffer }[]>();
  #count = 0;
  /** The version of the file that was read. Undefined if there was none. */
  #version: string | undefined;
  #lookedMs: number;
  /** The file was deleted while the gateway ran. */
  #isLost = false;
  /** Why the file cannot be read, as it was logged. */
  #fault: string | undefined;

  #onLabels: (names: ReadonlySet<string>) => void = () => {};

  /** Throws `TokenFileError` if the file cannot be read. */
  constructor(options: AccessOptions) {
    this.#options = options;
    this.#elapsedMs = options.elapsedMs ?? (() => performance.now());
    this.#adminToken = options.adminToken === undefined ? undefined : adminTokenOf(options.adminToken);
    this.#uses = new TokenUses(options.usesPath, (error) =>
      options.log("token_uses_unwritable", { error: String(error) }),
    );
    this.#version = versionOf(options.path);
    this.#set(readTokenFile(options.path) ?? []);
    this.#lookedMs = this.#elapsedMs();
  }

  /** Whether the file of the tokens exists, also without tokens. */
  get hasFile(): boolean {
    return this.#version !== undefined;
  }

  /** Calls the function with the names of all labels of tokens: now, and when the file has changed. */
  watchLabels(onLabels: (names: ReadonlySet<string>) => void): void {
    this.#onLabels = onLabels;
    this.#reportLabels();
  }

  /** The file of the tokens. */
  get path(): string {
    return this.#options.path;
  }

  /** Looks at the file now, so that a change of this process takes effect at once. */
  refresh(): void {
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    this.#look();
  }

  /** When a token was last used, by its id. */
  lastUseMs(id: string): number | undefined {
    return this.#uses.lastMs(id);
  }

  /** Whether a token exists that has not expired. */
  get hasValidToken(): boolean {
    const nowMs = this.#options.now();
    return [...this.#tokens.values()].some((tokens) => tokens.some(({ token }) => isValid(token, nowMs)));
  }

  /**
   * Compares the password of a request, if that takes time. Undefined if there is nothing to wait for. `admit` then has
   * the result.
   *
   * Throws `Busy` (as a rejection) if too many passwords are compared at the moment.
   */
  prepare({ headers }: TokenCarrier, route: Guarded): Promise<void> | undefined {
    const { passwords } = this.#options;
    if (!readsCaller(route) || !passwords?.hasUsers) return undefined;
    const pair = presentedPassword(headers);
    if (pair === undefined || this.#find(pair.password) !== undefined) return undefined;
    const result = passwords.checkPassword(pair.user, pair.password);
    return typeof result === "boolean" ? undefined : result.then(() => undefined);
  }

  admit<T>(request: TokenCarrier, route: Guarded, handle: (caller: Caller) => T): T {
    const { permission, credentials, bound } = route;
    if (permission === "none") return handle(UNBOUND);
    this.#look();
    if (this.#isOpen) return handle(UNBOUND);
    const hasUsers = this.#options.passwords?.hasUsers === true;
    const text = presentedToken(request, credentials);
    if (text === undefined) {
      const way = hasUsers ? ", or a user with a password" : "";
      throw new Unauthenticated(
        `This route needs a token with the scope ${permission}${way}: send the header "Authorization: Bearer TOKEN"${hasUsers ? ' or "Authorization: Basic …"' : ""}.`,
      );
    }
    const nowMs = this.#options.now();
    const token = this.#find(text) ?? this.#userOf(request);
    if (token === undefined || !isValid(token, nowMs)) {
      throw new Unauthenticated(
        hasUsers
          ? "The token, or the user with this password, is not valid."
          : "The token is not valid: it is unknown, revoked or expired.",
      );
    }
    if (!token.scopes.includes(permission))
      throw new Forbidden(`The token does not have the scope ${permission}, which this route needs.`);
    if (token.labels.size > 0 && bound === undefined)
      throw new Forbidden("The token has labels, and this route does not support such a token.");
    if (token.sha256 !== "") this.#uses.note(token.id, nowMs);
    return this.#callers.run(token, () => handle(callerOf(token)));
  }

  /**
   * Who sent a request to a route that needs no token. Nothing is thrown: a token that is not valid is no token.
   *
   * @param text a token to look for, whatever the request itself has
   */
  identify(request: TokenCarrier, text?: string): CallerIdentity {
    this.#look();
    if (this.#isOpen) return { isOpen: true, token: undefined };
    const presented = text ?? presentedToken(request);
    const user = text === undefined ? this.#userOf(request) : undefined;
    const token = (presented === undefined ? undefined : this.#find(presented)) ?? user;
    return {
      isOpen: false,
      token: token !== undefined && isValid(token, this.#options.now()) ? token : undefined,
    };
  }

  /** Whether everyone may do everything. */
  get #isOpen(): boolean {
    const { passwords, mayBeOpen } = this.#options;
    const allows = passwords?.hasUsers !== true && (mayBeOpen || passwords?.verifiesClients === true);
    return allows && this.#count === 0 && !this.#isLost;
  }

  /** The token whose handler runs. Undefined if it needed none. */
  get caller(): AccessToken | undefined {
    return this.#callers.getStore();
  }

  boundLabels(): Labels | undefined {
    const labels = this.#callers.getStore()?.labels;
    return labels === undefined || labels.size === 0 ? undefined : labels;
  }

  /** The options of a push with what its caller adds: the labels of the token, and its own idempotency keys. */
  ofCaller<T extends { readonly idempotency?: { readonly scope: string } | undefined }>(
    options: T,
  ): T & { readonly boundLabels?: Labels } {
    const token = this.#callers.getStore();
    if (token === undefined) return options;
    const { idempotency } = options;
    return {
      ...options,
      ...(token.labels.size === 0 ? {} : { boundLabels: token.labels }),
      ...(idempotency === undefined
        ? {}
        : { idempotency: { ...idempotency, scope: `${idempotency.scope} ${token.id}` } }),
    };
  }

  /** Writes the times of the last uses. */
  async close(): Promise<void> {
    await this.#uses.close();
  }

  #find(text: string): AccessToken | undefined {
    const hash = hashOfToken(text);
    return this.#tokens
      .get(hash.readUInt32BE())
      ?.find((known) => nodeCrypto().timingSafeEqual(hash, known.hash))?.token;
  }

  /** The user of a request, if `prepare` found that the password is right. */
  #userOf({ headers }: TokenCarrier): AccessToken | undefined {
    const { passwords } = this.#options;
    const pair = passwords?.hasUsers ? presentedPassword(headers) : undefined;
    if (pair === undefined) return undefined;
    const result = passwords?.checkPassword(pair.user, pair.password);
    // Many other passwords were compared since.
    if (result instanceof Promise) result.catch(() => undefined);
    return result === true ? userOf(pair.user) : undefined;
  }

  /** Reads the file again if it has changed. */
  #look(): void {
    const elapsedMs = this.#elapsedMs();
    if (elapsedMs - this.#lookedMs < LOOK_INTERVAL_MS) return;
    this.#lookedMs = elapsedMs;
    const { path, log } = this.#options;
    try {
      const version = versionOf(path);
      if (version === this.#version) return;
      this.#version = version;
      const tokens = readTokenFile(path);
      this.#isLost = tokens === undefined;
      this.#fault = undefined;
      this.#set(tokens ?? []);
      if (tokens === undefined) log("token_file_deleted");
      else log("tokens_changed", { tokens: tokens.length });
      this.#reportLabels();
    } catch (error) {
      // A folder that cannot be read fails at every look.
      const fault = String(error);
      if (fault !== this.#fault) log("token_file_unreadable", { error: fault });
      this.#fault = fault;
    }
  }

  #reportLabels(): void {
    const tokens = [...this.#tokens.values()].flat();
    this.#onLabels(new Set(tokens.flatMap(({ token }) => [...token.labels.keys()])));
  }

  #set(ofFile: readonly AccessToken[]): void {
    const tokens = this.#adminToken === undefined ? ofFile : [...ofFile, this.#adminToken];
    const hashed = tokens.map((token) => ({ token, hash: Buffer.from(token.sha256, "hex") }));
    this.#tokens = Map.groupBy(hashed, ({ hash }) => hash.readUInt32BE());
    this.#count = tokens.length;
    this.#uses.keep(new Set(tokens.map(({ id }) => id)));
  }
}

/** Whether it matters for a route who the caller is. */
export function readsCaller({ permission, identifies }: Guarded): boolean {
  return permission !== "none" || identifies === true;
}

/** The token of the environment. Its id cannot be that of a token in a file. */
function adminTokenOf(text: string): AccessToken {
  return {
    id: "environment",
    name: "WEIR_ADMIN_TOKEN",
    sha256: hashOfToken(text).toString("hex"),
    scopes: SCOPES,
    labels: new Map(),
    createdMs: 0,
    expiresMs: undefined,
  };
}

/** A user, who may do everything. Its id cannot be that of a token in a file, because it has a space. */
function userOf(name: string): AccessToken {
  return {
    id: `user ${name}`,
    name,
    sha256: "",
    scopes: SCOPES,
    labels: new Map(),
    createdMs: 0,
    expiresMs: undefined,
  };
}

function callerOf({ labels }: AccessToken): Caller {
  return labels.size === 0 ? UNBOUND : { labels };
}

function isValid({ expiresMs }: AccessToken, nowMs: number): boolean {
  return expiresMs === undefined || nowMs < expiresMs;
}

/** Differs for any two versions of a file. Undefined if it does not exist. */
function versionOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`;
}
