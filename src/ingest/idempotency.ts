/**
 * Idempotency keys: a push with a key is stored once, however often it is sent. Keys of pushes that wait for their
 * commit are known too, so that two equal pushes in one commit are stored once.
 */
import type { Counters } from "../model/counters.ts";
import { quote, Unprocessable } from "../model/errors.ts";
import type { PushRecord } from "../store/store.ts";
import type { StoredList } from "../store/start-file/stored-list.ts";
import type { Ack, Idempotency } from "./contract.ts";
import { SettledKeys } from "./settled-keys.ts";

/** Reasons that are kept with an answer for a day: as many as the answer to a push lists. */
const REJECTED_KEPT_MAX = 1_000;
/** As many stored keys wait for the first push with a key: some 10 ms less at a start. More would delay that push. */
const UNSETTLED_MAX = 5_000;
/** After this many keys were forgotten early, they are deleted from the store as well. */
const FORGOTTEN_PER_CUT = 10_000;

/** A push that waits for its commit. */
interface Pending {
  readonly bodyHash: string;
  readonly ack: Promise<Ack>;
  /** What is kept once it is committed. */
  settled?: { readonly answer: string; readonly receivedAtMs: number };
}

export class IdempotencyKeys {
  readonly #pending = new Map<string, Pending>();
  readonly #keys: SettledKeys;
  /** Stored keys that are not among the settled ones yet. */
  #unsettled: StoredList<PushRecord> | undefined;
  readonly #counters: Counters;
  /** Keys that were received before this may have been forgotten early, because of `bytesMax`. */
  #forgottenBeforeMs = Number.NEGATIVE_INFINITY;
  #forgottenSinceCut = 0;

  /**
   * @param stored in the order of receipt
   * @param bytesMax memory for keys and answers. Past it the oldest are forgotten before their time.
   */
  constructor(stored: StoredList<PushRecord>, bytesMax: number, counters: Counters) {
    this.#keys = new SettledKeys(bytesMax);
    this.#counters = counters;
    this.#unsettled = stored;
    if (stored.length > UNSETTLED_MAX) void this.#settled;
  }

  get #settled(): SettledKeys {
    const stored = this.#unsettled?.read() ?? [];
    this.#unsettled = undefined;
    for (const { scope, key, bodyHash, receivedAtMs, answer } of stored)
      this.#settle(entryKey(scope, key), bodyHash, receivedAtMs, answer);
    return this.#keys;
  }

  /**
   * The answer of the earlier push with this key, or undefined if there was none.
   *
   * @throws Unprocessable if that push had another body
   */
  find({ scope, key, bodyHash }: Idempotency): Promise<Ack> | undefined {
    const name = entryKey(scope, key);
    const pending = this.#pending.get(name);
    const settled = pending === undefined ? this.#settled.find(name, bodyHash) : undefined;
    if (pending === undefined && settled === undefined) return undefined;
    if (pending === undefined ? !settled!.bodyMatches : pending.bodyHash !== bodyHash) {
      throw new Unprocessable(
        `Idempotency-Key ${quote(key)} was already used with another body`,
        "Idempotency-Key",
      );
    }
    return pending?.ack ?? Promise.resolve(JSON.parse(settled!.answer) as Ack);
  }

  /** Remembers a key from now on. A push that fails releases its key. */
  begin({ scope, key, bodyHash }: Idempotency, ack: Promise<Ack>): void {
    const name = entryKey(scope, key);
    const pending: Pending = { bodyHash, ack };
    this.#pending.set(name, pending);
    ack.then(
      () => {
        const { answer, receivedAtMs } = pending.settled!;
        this.#settle(name, bodyHash, receivedAtMs, answer);
        this.#pending.delete(name);
      },
      () => this.#pending.delete(name),
    );
  }

  /** The record that is committed with the samples of the push. */
  record({ scope, key, bodyHash }: Idempotency, ack: Ack, receivedAtMs: number): PushRecord {
    const answer = JSON.stringify(bounded(ack));
    const pending = this.#pending.get(entryKey(scope, key));
    if (pending !== undefined) pending.settled = { answer, receivedAtMs };
    return { scope, key, bodyHash, receivedAtMs, accepted: ack.accepted, answer };
  }

  /** Whether enough keys were forgotten early that the store should delete them too. */
  get isCutDue(): boolean {
    return this.#forgottenSinceCut >= FORGOTTEN_PER_CUT;
  }

  /**
   * Forgets the keys that were received before a time. Returns the time before which the store must delete its keys.
   */
  forgetBefore(receivedMs: number): number {
    this.#settled.forgetBefore(receivedMs);
    this.#forgottenSinceCut = 0;
    return Math.max(receivedMs, this.#forgottenBeforeMs);
  }

  #settle(name: string, bodyHash: string, receivedAtMs: number, answer: string): void {
    const dropped = this.#settled.add(name, bodyHash, receivedAtMs, answer);
    if (dropped === undefined) return;
    this.#forgottenBeforeMs = Math.max(this.#forgottenBeforeMs, dropped.receivedAtMs);
    this.#forgottenSinceCut += dropped.count;
    this.#counters.idempotencyKeysForgotten.inc(dropped.count);
  }
}

function bounded(ack: Ack): Ack {
  const rejected = ack.rejected
    .slice(0, REJECTED_KEPT_MAX)
    .map((rejection) => ({ ...rejection, payload: "" }));
  return { ...ack, rejected };
}

function entryKey(scope: string, key: string): string {
  return `${scope}\u0000${key}`;
}
