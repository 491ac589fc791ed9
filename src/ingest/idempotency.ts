/**
 * Idempotency keys: a push with a key is stored once, however often it is sent. Keys of pushes that wait for their
 * commit are known too, so that two equal pushes in one commit are stored once.
 */
import type { Counters } from "../model/counters.ts";
import { quote, Unprocessable } from "../model/errors.ts";
import type { PushRecord } from "../store/store.ts";
import type { Ack, Idempotency } from "./contract.ts";

/** Reasons that are kept with an answer for a day: as many as the answer to a push lists. */
const REJECTED_KEPT_MAX = 1_000;
/** Bytes of an entry beside its key and its answer. */
const ENTRY_BYTES = 250;
/** After this many keys were forgotten early, they are deleted from the store as well. */
const FORGOTTEN_PER_CUT = 10_000;

interface Entry {
  readonly bodyHash: string;
  /** While the push waits for its commit. */
  pending: Promise<Ack> | undefined;
  /** Afterwards, the answer as JSON: a promise of an object takes twice the memory, for a day. */
  answer: string;
  /** Infinity until the push is about to be committed. */
  receivedAtMs: number;
  bytes: number;
}

export class IdempotencyKeys {
  /** In the order of arrival. */
  readonly #entries = new Map<string, Entry>();
  readonly #bytesMax: number;
  readonly #counters: Counters;
  #bytes = 0;
  #lastAnswer = "";
  /** Keys that were received before this may have been forgotten early, because of `bytesMax`. */
  #forgottenBeforeMs = Number.NEGATIVE_INFINITY;
  #forgottenSinceCut = 0;

  /** @param bytesMax memory for keys and answers. Past it the oldest are forgotten before their time. */
  constructor(stored: readonly PushRecord[], bytesMax: number, counters: Counters) {
    this.#bytesMax = bytesMax;
    this.#counters = counters;
    for (const { scope, key, bodyHash, receivedAtMs, answer } of stored) {
      const name = entryKey(scope, key);
      this.#delete(name);
      const kept = this.#shared(answer);
      this.#entries.set(name, { bodyHash, pending: undefined, answer: kept, receivedAtMs, bytes: 0 });
      this.#weigh(name, answer);
    }
  }

  /**
   * The answer of the earlier push with this key, or undefined if there was none.
   *
   * @throws Unprocessable if that push had another body
   */
  find({ scope, key, bodyHash }: Idempotency): Promise<Ack> | undefined {
    const entry = this.#entries.get(entryKey(scope, key));
    if (entry === undefined) return undefined;
    if (entry.bodyHash !== bodyHash) {
      throw new Unprocessable(
        `Idempotency-Key ${quote(key)} was already used with another body`,
        "Idempotency-Key",
      );
    }
    return entry.pending ?? Promise.resolve(JSON.parse(entry.answer) as Ack);
  }

  /** Remembers a key from now on. A push that fails releases its key. */
  begin({ scope, key, bodyHash }: Idempotency, ack: Promise<Ack>): void {
    const name = entryKey(scope, key);
    const entry: Entry = {
      bodyHash,
      pending: ack,
      answer: "",
      receivedAtMs: Number.POSITIVE_INFINITY,
      bytes: 0,
    };
    this.#entries.set(name, entry);
    ack.then(
      (answer) => {
        entry.answer = this.#shared(JSON.stringify(bounded(answer)));
        entry.pending = undefined;
      },
      () => this.#delete(name),
    );
  }

  /** The record that is committed with the samples of the push. */
  record({ scope, key, bodyHash }: Idempotency, ack: Ack, receivedAtMs: number): PushRecord {
    const name = entryKey(scope, key);
    const answer = JSON.stringify(bounded(ack));
    const entry = this.#entries.get(name);
    if (entry !== undefined) entry.receivedAtMs = receivedAtMs;
    this.#weigh(name, answer);
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
    for (const [name, entry] of this.#entries) if (entry.receivedAtMs < receivedMs) this.#delete(name);
    this.#forgottenSinceCut = 0;
    return Math.max(receivedMs, this.#forgottenBeforeMs);
  }

  /** The same text as before, if it is equal. Most answers of a sender are. */
  #shared(answer: string): string {
    if (answer !== this.#lastAnswer) this.#lastAnswer = answer;
    return this.#lastAnswer;
  }

  /** Counts the bytes of an entry with its answer. Forgets the oldest entries if the limit is exceeded. */
  #weigh(name: string, answer: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.bytes = ENTRY_BYTES + name.length + 2 * answer.length;
    this.#bytes += entry.bytes;
    for (const [oldest, { receivedAtMs }] of this.#entries) {
      if (this.#bytes <= this.#bytesMax || oldest === name) return;
      if (receivedAtMs === Number.POSITIVE_INFINITY) continue;
      this.#delete(oldest);
      this.#forgottenBeforeMs = Math.max(this.#forgottenBeforeMs, receivedAtMs);
      this.#forgottenSinceCut++;
      this.#counters.idempotencyKeysForgotten.inc();
    }
  }

  #delete(name: string): void {
    this.#bytes -= this.#entries.get(name)?.bytes ?? 0;
    this.#entries.delete(name);
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
