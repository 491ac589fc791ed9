/**
 * Idempotency keys: a push with a key is stored once however often it is sent. Keys whose push waits for its
 * commit are known too, so that two in one commit count once.
 */
import { idempotencyKeysForgotten } from "../model/counters.ts";
import { quote, Unprocessable } from "../model/errors.ts";
import type { PushRecord } from "../store/store.ts";
import type { Ack } from "./contract.ts";

/** A key as a request carries it. */
export interface Idempotency {
  /** Route and token that the key belongs to. */
  readonly scope: string;
  readonly key: string;
  /** Tells whether a repeat carries the same body. */
  readonly bodyHash: string;
}

/** Answers are kept for a day: those many reasons, as many as a push's answer tells. */
const REJECTED_KEPT_MAX = 1_000;
/** What an entry takes beside its key and its answer. */
const ENTRY_BYTES = 250;
/** Keys forgotten before their time, after which they are to be deleted from the store as well. */
const FORGOTTEN_PER_CUT = 10_000;

interface Entry {
  readonly bodyHash: string;
  ack: Promise<Ack>;
  /** Infinity until the push is about to be committed. */
  receivedAtMs: number;
  bytes: number;
}

export class IdempotencyKeys {
  /** The one that came first stands first. */
  readonly #entries = new Map<string, Entry>();
  readonly #bytesMax: number;
  #bytes = 0;
  /** Keys that were received before this may have been forgotten for want of room. */
  #forgottenBeforeMs = Number.NEGATIVE_INFINITY;
  #forgottenSinceCut = 0;

  /** @param bytesMax memory for keys and answers; past it the oldest are forgotten before their time */
  constructor(stored: readonly PushRecord[], bytesMax: number) {
    this.#bytesMax = bytesMax;
    for (const { scope, key, bodyHash, receivedAtMs, answer } of stored) {
      const ack = Promise.resolve(JSON.parse(answer) as Ack);
      const name = entryKey(scope, key);
      this.#delete(name);
      this.#entries.set(name, { bodyHash, ack, receivedAtMs, bytes: 0 });
      this.#weigh(name, answer);
    }
  }

  /**
   * The answer of the push that had this key before, or undefined when there was none.
   *
   * @throws Unprocessable when it had another body
   */
  find({ scope, key, bodyHash }: Idempotency): Promise<Ack> | undefined {
    const entry = this.#entries.get(entryKey(scope, key));
    if (entry === undefined) return undefined;
    if (entry.bodyHash !== bodyHash) {
      throw new Unprocessable(
        `Idempotency-Key ${quote(key)} was used with another body before`,
        "Idempotency-Key",
      );
    }
    return entry.ack;
  }

  /** Remembers a key from now on; a push that fails gives it free again. */
  begin({ scope, key, bodyHash }: Idempotency, ack: Promise<Ack>): void {
    const name = entryKey(scope, key);
    const entry: Entry = { bodyHash, ack, receivedAtMs: Number.POSITIVE_INFINITY, bytes: 0 };
    this.#entries.set(name, entry);
    ack.then(
      (answer) => {
        entry.ack = Promise.resolve(bounded(answer));
      },
      () => this.#delete(name),
    );
  }

  /** The record that commits with the push's samples. */
  record({ scope, key, bodyHash }: Idempotency, ack: Ack, receivedAtMs: number): PushRecord {
    const name = entryKey(scope, key);
    const answer = JSON.stringify(bounded(ack));
    const entry = this.#entries.get(name);
    if (entry !== undefined) entry.receivedAtMs = receivedAtMs;
    this.#weigh(name, answer);
    return { scope, key, bodyHash, receivedAtMs, accepted: ack.accepted, answer };
  }

  /** Whether so many were forgotten for want of room that the store should forget them too. */
  get isCutDue(): boolean {
    return this.#forgottenSinceCut >= FORGOTTEN_PER_CUT;
  }

  /** Forgets the keys received before a time; gives the time before which the store is to forget its own. */
  forgetBefore(receivedMs: number): number {
    for (const [name, entry] of this.#entries) if (entry.receivedAtMs < receivedMs) this.#delete(name);
    this.#forgottenSinceCut = 0;
    return Math.max(receivedMs, this.#forgottenBeforeMs);
  }

  /** Takes note of what an entry's answer weighs, and makes room for it. */
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
      idempotencyKeysForgotten.inc();
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
