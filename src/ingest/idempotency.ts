/**
 * Idempotency keys: a push with a key is stored once however often it is sent. Keys whose push waits for its
 * commit are known too, so that two in one commit count once.
 */
import { quote, Unprocessable } from "../errors.ts";
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
const REJECTED_KEPT_MAX = 100;

interface Entry {
  readonly bodyHash: string;
  ack: Promise<Ack>;
  receivedAtMs: number;
}

export class IdempotencyKeys {
  readonly #entries = new Map<string, Entry>();

  constructor(stored: readonly PushRecord[]) {
    for (const { scope, key, bodyHash, receivedAtMs, answer } of stored) {
      const ack = Promise.resolve(JSON.parse(answer) as Ack);
      this.#entries.set(entryKey(scope, key), { bodyHash, ack, receivedAtMs });
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
    const entry: Entry = { bodyHash, ack, receivedAtMs: Number.POSITIVE_INFINITY };
    this.#entries.set(name, entry);
    ack.then(
      (answer) => {
        entry.ack = Promise.resolve(bounded(answer));
      },
      () => this.#entries.delete(name),
    );
  }

  /** The record that commits with the push's samples. */
  record({ scope, key, bodyHash }: Idempotency, ack: Ack, receivedAtMs: number): PushRecord {
    const entry = this.#entries.get(entryKey(scope, key));
    if (entry !== undefined) entry.receivedAtMs = receivedAtMs;
    const answer = JSON.stringify(bounded(ack));
    return { scope, key, bodyHash, receivedAtMs, accepted: ack.accepted, answer };
  }

  forgetBefore(receivedMs: number): void {
    for (const [name, entry] of this.#entries)
      if (entry.receivedAtMs < receivedMs) this.#entries.delete(name);
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
