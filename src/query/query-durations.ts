/**
 * How long the queries of the last hour took, by their text: how many, how long in all, and the slowest. At most
 * `TEXTS_MAX` texts are remembered; the ones that took the longest stay.
 */
import type { QueryAsked, QueryCaller } from "./active-queries.ts";

/** One text of one caller. */
export interface TimedQuery extends Pick<QueryAsked, "language" | "text" | "isOfRule"> {
  readonly caller: QueryCaller | undefined;
  /** How much time the query covers. 0 for a query at one time. */
  readonly rangeMs: number;
  readonly count: number;
  readonly sumMs: number;
  readonly slowestMs: number;
  /** When the slowest one was asked. */
  readonly slowestAtMs: number;
  /** When the last one was asked. */
  readonly lastAtMs: number;
}

type Timed = Pick<TimedQuery, "language" | "text" | "isOfRule" | "caller" | "rangeMs">;

interface Minute {
  count: number;
  sumMs: number;
  slowestMs: number;
  slowestAtMs: number;
  lastAtMs: number;
}

interface Remembered extends Timed {
  /** By the minute since the epoch, in ascending order. */
  readonly minutes: Map<number, Minute>;
}

/** 2 kB each. */
export const TEXTS_MAX = 500;
/** Faster queries are of no interest. */
export const LEAST_MS = 1;
export const LIFETIME_MS = 3_600_000;
const MINUTE_MS = 60_000;

export class QueryDurations {
  readonly #now: () => number;
  readonly #remembered = new Map<string, Remembered>();
  /** While there are `TEXTS_MAX`, a further text needs to be slower than this. Valid during a minute. */
  #floor: { readonly minute: number; readonly ms: number } | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  note(
    {
      language,
      text,
      isOfRule,
      caller,
      range,
      askedMs,
    }: QueryAsked & {
      readonly caller: QueryCaller | undefined;
      readonly askedMs: number;
    },
    ms: number,
  ): void {
    if (ms < LEAST_MS) return;
    const rangeMs = range === undefined ? 0 : range.endMs - range.startMs;
    const key = JSON.stringify([language, isOfRule, caller?.id, rangeMs, text]);
    const minute = Math.floor(this.#now() / MINUTE_MS);
    let known = this.#remembered.get(key);
    if (known === undefined) {
      if (!this.#hasRoom(ms, minute)) return;
      known = { language, text, isOfRule, caller, rangeMs, minutes: new Map() };
      this.#remembered.set(key, known);
    }
    const { minutes } = known;
    forget(minutes, minute);
    const of = minutes.get(minute);
    if (of === undefined) {
      minutes.set(minute, { count: 1, sumMs: ms, slowestMs: ms, slowestAtMs: askedMs, lastAtMs: askedMs });
      return;
    }
    of.count += 1;
    of.sumMs += ms;
    of.lastAtMs = askedMs;
    if (ms <= of.slowestMs) return;
    of.slowestMs = ms;
    of.slowestAtMs = askedMs;
  }

  /** Each text with its queries of the last `lifetimeMs`, by whole minutes. */
  list(lifetimeMs = LIFETIME_MS): TimedQuery[] {
    const first = Math.floor((this.#now() - lifetimeMs) / MINUTE_MS);
    const found: TimedQuery[] = [];
    for (const { minutes, ...query } of this.#remembered.values()) {
      const counted = [...minutes].filter(([minute]) => minute > first).map(([, of]) => of);
      if (counted.length === 0) continue;
      const slowest = counted.reduce((a, b) => (b.slowestMs > a.slowestMs ? b : a));
      found.push({
        ...query,
        count: counted.reduce((sum, { count }) => sum + count, 0),
        sumMs: counted.reduce((sum, { sumMs }) => sum + sumMs, 0),
        slowestMs: slowest.slowestMs,
        slowestAtMs: slowest.slowestAtMs,
        lastAtMs: counted.at(-1)!.lastAtMs,
      });
    }
    return found;
  }

  /** Makes room for a query, if it is slower than the one that would be forgotten for it. */
  #hasRoom(ms: number, minute: number): boolean {
    if (this.#remembered.size < TEXTS_MAX) return true;
    if (this.#floor?.minute === minute && ms <= this.#floor.ms) return false;
    let fastest: { readonly key: string; readonly ms: number } | undefined;
    for (const [key, { minutes }] of this.#remembered) {
      forget(minutes, minute);
      const slowestMs = Math.max(0, ...[...minutes.values()].map((of) => of.slowestMs));
      if (fastest === undefined || slowestMs < fastest.ms) fastest = { key, ms: slowestMs };
    }
    this.#floor = { minute, ms: fastest!.ms };
    if (ms <= fastest!.ms) return false;
    this.#remembered.delete(fastest!.key);
    return true;
  }
}

/** Drops minutes that are more than an hour old. */
function forget(minutes: Map<number, Minute>, now: number): void {
  for (const minute of minutes.keys()) {
    if (minute > now - LIFETIME_MS / MINUTE_MS) return;
    minutes.delete(minute);
  }
}
