/**
 * Applies the limits of callers to requests: before the handler runs, and when it has read a body or stored samples.
 *
 * A request is decided at its begin, and again before its first samples are stored. After that it is never stopped: what
 * it uses too much makes the next one wait. So an import of many parts is not cut off, and no push is stored in part.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Counters } from "../model/counters.ts";
import { LimitExceeded } from "../model/errors.ts";
import type { Guarded } from "./access.ts";
import type { AccessToken } from "./access-token.ts";
import { type CallerLimits, LimitedCallers, type LimitName, type LimitRates } from "./limits.ts";

export interface LimitSettings {
  readonly limitToken: LimitRates;
  readonly limitAddress: LimitRates;
  /** Queries of one token that may run or wait at the same time. */
  readonly queriesPerTokenMax: number;
}

export interface RequestLimitsOptions {
  readonly counters: Pick<Counters, "requestsRefused">;
  /**
   * Calls `end` when an answer was sent, or its client has left. Returns the answer to send instead. Without it, a query
   * ends when its handler does.
   */
  readonly whenSent?: (answer: unknown, end: () => void) => unknown;
  /** A clock that only goes forward, in milliseconds. The default is the system's. */
  readonly elapsedMs?: () => number;
}

/** A request whose caller is limited. */
interface Spender {
  readonly callers: readonly CallerLimits[];
  hasStored: boolean;
}

const LIMITS: readonly LimitName[] = ["requests", "samples", "bytes", "scrapes", "failures"];

export class RequestLimits {
  readonly #options: RequestLimitsOptions;
  readonly #queriesMax: number;
  readonly #tokens: LimitedCallers;
  readonly #addresses: LimitedCallers;
  readonly #spenders = new AsyncLocalStorage<Spender>();
  /** By id of the token. */
  readonly #queries = new Map<string, number>();

  constructor(settings: LimitSettings, options: RequestLimitsOptions) {
    this.#options = options;
    this.#queriesMax = settings.queriesPerTokenMax;
    const { limitToken, limitAddress } = settings;
    const { counters, elapsedMs = () => performance.now() } = options;
    this.#tokens = new LimitedCallers({ who: "token", rates: limitToken, setting: "limitToken", elapsedMs });
    this.#addresses = new LimitedCallers({
      who: "address",
      rates: limitAddress,
      setting: "limitAddress",
      elapsedMs,
    });
    const ofTokens = LIMITS.filter((name) => name !== "failures").map((name) => `token_${name}`);
    for (const reason of [...ofTokens, "token_queries", ...LIMITS.map((name) => `address_${name}`)])
      counters.requestsRefused.inc({ reason }, 0);
  }

  /** Whether addresses are limited. */
  get limitsAddresses(): boolean {
    return this.#addresses.hasRates;
  }

  /** The limits of an address. Undefined if it has none. */
  ofAddress(address: string): CallerLimits | undefined {
    return this.#addresses.of(address);
  }

  /**
   * Decides whether a token or a password of a request may be compared.
   *
   * @throws LimitExceeded
   */
  expectGuess(address: CallerLimits): void {
    this.#counted(() => address.check("failures"));
  }

  /**
   * Decides about a request by its address, before anything else is known of it.
   *
   * @throws LimitExceeded
   */
  enter(address: CallerLimits, permission: Guarded["permission"], hasToken: boolean): void {
    this.#counted(() => {
      if (hasToken) address.check("failures");
      begin(address, permission);
    });
  }

  /**
   * Runs the handler of an admitted request within the limits of its caller.
   *
   * @throws LimitExceeded, before the handler runs
   */
  run<T>(
    token: Pick<AccessToken, "id" | "limits"> | undefined,
    address: CallerLimits | undefined,
    { permission, isNoQuery = false }: Pick<Guarded, "permission" | "isNoQuery">,
    handle: () => T,
  ): T {
    const ofToken = token === undefined ? undefined : this.#tokens.of(token.id, token.limits);
    if (ofToken !== undefined) this.#counted(() => begin(ofToken, permission));
    const isQuery = token !== undefined && !isNoQuery && (permission === "read" || permission === "sql");
    const counted = isQuery ? () => this.#query(token.id, handle) : handle;
    if (ofToken === undefined && address === undefined) return counted();
    const callers = [ofToken, address].filter((limits) => limits !== undefined);
    return this.#spenders.run({ callers, hasStored: false }, counted);
  }

  /** Counts the bytes of a body against the limits of the caller whose handler runs. */
  useBytes(bytes: number): void {
    for (const caller of this.#spenders.getStore()?.callers ?? []) caller.use("bytes", bytes);
  }

  /**
   * Stores samples, and counts them against the limits of the caller whose handler runs.
   *
   * @param store rejects if nothing was stored. Its samples count all the same
   * @throws LimitExceeded, and does not store
   */
  store<T>(samples: number, store: () => Promise<T>): Promise<T> {
    const spender = this.#spenders.getStore();
    if (spender === undefined) return store();
    if (!spender.hasStored) {
      try {
        this.#counted(() => {
          for (const caller of spender.callers) caller.check("samples");
        });
      } catch (error) {
        return Promise.reject(error);
      }
      spender.hasStored = true;
    }
    for (const caller of spender.callers) caller.use("samples", samples);
    return store();
  }

  /** Runs a query, which counts until its answer was sent. */
  #query<T>(tokenId: string, handle: () => T): T {
    const { whenSent, counters } = this.#options;
    const max = this.#queriesMax;
    const running = this.#queries.get(tokenId) ?? 0;
    if (running >= max) {
      counters.requestsRefused.inc({ reason: "token_queries" });
      throw new LimitExceeded(
        `This token may run ${max === 1 ? "1 query" : `${max} queries`} at a time (the setting queriesPerTokenMax); send ` +
          "the request again when one has ended.",
        "token_queries",
        1,
      );
    }
    this.#queries.set(tokenId, running + 1);
    let isRunning = true;
    const end = () => {
      if (!isRunning) return;
      isRunning = false;
      const left = (this.#queries.get(tokenId) ?? 1) - 1;
      if (left === 0) this.#queries.delete(tokenId);
      else this.#queries.set(tokenId, left);
    };
    const sent = (answer: unknown) => {
      if (whenSent !== undefined) return whenSent(answer, end);
      end();
      return answer;
    };
    try {
      const result = handle();
      if (!(result instanceof Promise)) return sent(result) as T;
      return result.then(sent, (error: unknown) => {
        end();
        throw error;
      }) as T;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Counts the error of a limit. */
  #counted(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (error instanceof LimitExceeded) this.#options.counters.requestsRefused.inc({ reason: error.limit });
      throw error;
    }
  }
}

/** Decides about a request by the limits of its caller, and uses what it costs at once. */
function begin(caller: CallerLimits, permission: Guarded["permission"]): void {
  caller.check("requests");
  if (permission === "scrape") caller.check("scrapes");
  if (permission === "push") caller.check("samples");
  caller.check("bytes");
  caller.use("requests", 1);
  if (permission === "scrape") caller.use("scrapes", 1);
}
