/**
 * The limits of each caller: of each token, and of each address. They are off unless settings or the token have them.
 *
 * Memory is bounded: `CALLERS_MAX` callers are remembered, and the one that sent nothing for the longest time is forgotten
 * first. A forgotten caller begins again with its whole limits.
 */
import { LimitExceeded } from "../model/errors.ts";
import { Allowance } from "./allowance.ts";

/**
 * What is limited, each per second: requests, stored samples, bytes of bodies as they arrive, requests of `/metrics` and
 * `/federate`, and requests with an invalid token.
 */
export type LimitName = "requests" | "samples" | "bytes" | "scrapes" | "failures";

/** The limits that a token can have of its own. */
export const TOKEN_LIMITS = [
  "requests",
  "samples",
  "bytes",
  "scrapes",
] as const satisfies readonly LimitName[];

/** Units per second. What is absent is not limited. */
export type LimitRates = Readonly<Partial<Record<LimitName, number>>>;

/** Some 300 bytes each. */
const CALLERS_MAX = 10_000;

/** A limit allows at once what it allows in a second, and at least one unit. */
const BURST_SECONDS = 1;

/** What callers are allowed, in sentences. */
const ALLOWED: Readonly<Record<LimitName, (rate: number) => string>> = {
  requests: (rate) => `may send ${countOf(rate, "request")} per second`,
  samples: (rate) => `may store ${countOf(rate, "sample")} per second`,
  bytes: (rate) => `may send ${countOf(rate, "byte")} per second in bodies`,
  scrapes: (rate) => `may request /metrics and /federate ${countOf(rate, "time")} per second`,
  failures: (rate) => `may send ${countOf(rate, "request")} with an invalid token per second`,
};

/** `1 request`, `0.5 requests`. */
function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

export interface CallersOptions {
  /** Who is limited, for sentences and counters. */
  readonly who: "token" | "address";
  readonly rates: LimitRates;
  /** The setting that has them. */
  readonly setting: string;
  /** A clock that only goes forward, in milliseconds. */
  readonly elapsedMs: () => number;
  readonly callersMax?: number;
}

/** The limits of one caller. */
export class CallerLimits {
  readonly #options: CallersOptions;
  readonly #own: LimitRates | undefined;
  readonly #allowances = new Map<LimitName, Allowance>();

  /** @param own the caller's own rates. They replace those of the setting, each by itself */
  constructor(options: CallersOptions, own: LimitRates | undefined) {
    this.#options = options;
    this.#own = own;
  }

  /** Whether these are the own rates of the caller, so that they still apply. */
  isFor(own: LimitRates | undefined): boolean {
    return this.#own === own;
  }

  /** Throws `LimitExceeded` if the caller must wait. */
  check(name: LimitName): void {
    const rate = this.#rate(name);
    if (rate === undefined) return;
    const waitMs = this.#allowance(name, rate).waitMs(this.#options.elapsedMs());
    if (waitMs === 0) return;
    const { who, setting } = this.#options;
    const retryAfterSeconds = Math.ceil(waitMs / 1_000);
    const subject = who === "token" ? "This token" : "This address";
    const source = this.#own?.[name] === undefined ? `the setting ${setting}` : "the limit of the token";
    throw new LimitExceeded(
      `${subject} ${ALLOWED[name](rate)} (${source}); send the request again in ${retryAfterSeconds} s.`,
      `${who}_${name}`,
      retryAfterSeconds,
    );
  }

  /** Uses a part of a limit, also more than is left. */
  use(name: LimitName, units: number): void {
    const rate = this.#rate(name);
    if (rate === undefined) return;
    const allowance = this.#allowance(name, rate);
    allowance.waitMs(this.#options.elapsedMs());
    allowance.use(units);
  }

  #rate(name: LimitName): number | undefined {
    return this.#own?.[name] ?? this.#options.rates[name];
  }

  #allowance(name: LimitName, rate: number): Allowance {
    let allowance = this.#allowances.get(name);
    if (allowance === undefined) {
      allowance = new Allowance(rate, Math.max(1, rate * BURST_SECONDS), this.#options.elapsedMs());
      this.#allowances.set(name, allowance);
    }
    return allowance;
  }
}

/** The callers of one kind. */
export class LimitedCallers {
  readonly #options: CallersOptions;
  readonly #hasRates: boolean;
  /** In the order of their last request. */
  readonly #callers = new Map<string, CallerLimits>();

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#hasRates = Object.keys(options.rates).length > 0;
  }

  /** Whether the settings limit every caller. */
  get hasRates(): boolean {
    return this.#hasRates;
  }

  /** The number of callers that are remembered. */
  get size(): number {
    return this.#callers.size;
  }

  /** The limits of a caller. Undefined if it has none. */
  of(key: string, own?: LimitRates): CallerLimits | undefined {
    if (!this.#hasRates && own === undefined) return undefined;
    let limits = this.#callers.get(key);
    if (limits !== undefined) this.#callers.delete(key);
    if (limits === undefined || !limits.isFor(own)) limits = new CallerLimits(this.#options, own);
    this.#callers.set(key, limits);
    if (this.#callers.size > (this.#options.callersMax ?? CALLERS_MAX)) {
      const [oldest] = this.#callers.keys();
      this.#callers.delete(oldest!);
    }
    return limits;
  }
}
