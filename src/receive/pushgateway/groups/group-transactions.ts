/**
 * Changes groups through ingest: each change is a transaction, which `Groups` decides when the writer takes it from the
 * queue. Resolves when the change is stored.
 */
import type { Ack, Idempotency, Times, Transaction } from "../../../ingest/contract.ts";
import { PUSHGATEWAY } from "../pushgateway-protocol.ts";
import type { Groups } from "./groups.ts";
import type { Decided, GroupPush } from "./pushed.ts";

/** Groups per transaction of a deletion: limits how long other pushes wait for it. */
const REMOVED_AT_A_TIME = 1_000;

export class GroupTransactions {
  readonly #groups: Pick<Groups, "push" | "remove" | "expired" | "expire">;
  readonly #ingest: {
    transact(transaction: Transaction, options?: { readonly idempotency?: Idempotency }): Promise<Ack>;
  };

  constructor(
    groups: Pick<Groups, "push" | "remove" | "expired" | "expire">,
    ingest: {
      transact(transaction: Transaction, options?: { readonly idempotency?: Idempotency }): Promise<Ack>;
    },
  ) {
    this.#groups = groups;
    this.#ingest = ingest;
  }

  /** Pushes to a group. A rejected push is stored as a failure of its group, and `rejected` has the reason. */
  push(push: GroupPush, idempotency?: Idempotency): Promise<Ack> {
    const samples = push.families.reduce((sum, { metrics }) => sum + metrics.length, 0);
    const decide = (times: Times) => this.#groups.push(push, times);
    return this.#ingest.transact({ protocol: PUSHGATEWAY.name, samples, decide }, { idempotency });
  }

  /** Deletes groups, a thousand per transaction. */
  remove(keys: readonly string[]): Promise<void> {
    return this.#inParts(keys, (some, times) => this.#groups.remove(some, times));
  }

  /** Deletes the groups that have expired. */
  expire(nowUs: number): Promise<void> {
    return this.#inParts(this.#groups.expired(nowUs), (some, times) => this.#groups.expire(some, times));
  }

  async #inParts(
    keys: readonly string[],
    decideSome: (some: readonly string[], times: Times) => Decided,
  ): Promise<void> {
    for (let at = 0; at < keys.length; at += REMOVED_AT_A_TIME) {
      const some = keys.slice(at, at + REMOVED_AT_A_TIME);
      const decide = (times: Times) => decideSome(some, times);
      await this.#ingest.transact({ protocol: PUSHGATEWAY.name, samples: some.length, decide });
    }
  }
}
