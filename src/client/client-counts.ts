/**
 * What the client counts, and the problems that it reports: each kind once, so that a mistake in a loop does not fill a
 * log. The counts are also pushed, as increments: `weir_client_…`.
 */
import type { ClientProblem } from "./options.ts";

/** Why samples that the client accepted will not reach the gateway. */
export const LOSSES = [
  /** The memory is full: the oldest were dropped. */
  "memory_full",
  /** The spool is full: its oldest batches were dropped. */
  "spool_full",
  /** They were in the spool for longer than `spoolDays`. */
  "spool_expired",
  /** A file of the spool cannot be read. */
  "spool_damaged",
  /** The gateway refused the batch, and no spool keeps it. */
  "refused",
  /** The process ended, and no spool keeps them. */
  "process_end",
] as const;

/** Input that is not recorded, or not as it was given. */
export const INVALID = [
  /** Not recorded: the name is not a text of 1 to 255 characters. */
  "name",
  /** Not recorded: the value is not a finite number. */
  "value",
  /** Recorded without tags: they are not an object, or cannot be read. */
  "tags",
  /** Recorded without this tag: its value is not a text, a number or a boolean. */
  "tag_value",
  /** Recorded with the first characters of the tag. */
  "tag_too_long",
  /** Recorded with the first 64 tags. */
  "tag_count",
  /** Not recorded: the client is closed. */
  "closed",
] as const;

export type ClientLoss = (typeof LOSSES)[number];
export type InvalidInput = (typeof INVALID)[number];

/** A snapshot of the counts. All are totals since the client was created, in samples unless the name says otherwise. */
export interface ClientStats {
  /** Accepted from the worker. */
  readonly recorded: number;
  /** Acknowledged by the gateway, batches of earlier processes included. */
  readonly stored: number;
  /** Rejected one by one by the gateway, in a batch that it accepted. */
  readonly rejected: number;
  /** In batches that the gateway refused (4xx), which the spool keeps aside. */
  readonly setAside: number;
  readonly lost: Readonly<Record<ClientLoss, number>>;
  readonly invalid: Readonly<Record<InvalidInput, number>>;
  /** Now in memory: not yet acknowledged and not in the spool. */
  readonly inMemory: number;
  /** Now in the spool, as far as this process knows. */
  readonly spooled: { readonly samples: number; readonly batches: number; readonly bytes: number };
  /** Requests to the gateway, and those of them that failed and are retried. */
  readonly requests: number;
  readonly requestsFailed: number;
  /** True while the gateway does not answer: batches are kept until the next attempt. */
  readonly away: boolean;
  /** The newest problem, also if its kind was reported before. */
  readonly lastProblem: ClientProblem | undefined;
}

/** An increment of one of the client's own counters. */
export interface OwnIncrement {
  readonly name: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

export class ClientCounts {
  recorded = 0;
  stored = 0;
  rejected = 0;
  setAside = 0;
  requests = 0;
  requestsFailed = 0;
  readonly lost = zeros(LOSSES);
  readonly invalid = zeros(INVALID);
  lastProblem: ClientProblem | undefined;
  readonly #onProblem: (problem: ClientProblem) => void;
  readonly #reported = new Set<string>();
  /** How much of each total is in batches, by name and tags. */
  readonly #pushed = new Map<string, number>();

  constructor(onProblem: ((problem: ClientProblem) => void) | undefined) {
    this.#onProblem = typeof onProblem === "function" ? onProblem : writeLine;
  }

  /** Reports a problem if none of its kind was reported before. */
  report(kind: string, message: string): void {
    this.lastProblem = { kind, message };
    if (this.#reported.has(kind)) return;
    this.#reported.add(kind);
    try {
      this.#onProblem(this.lastProblem);
    } catch {
      // A worker's function that throws must not end what reported the problem.
    }
  }

  lose(reason: ClientLoss, samples: number, why: string): void {
    if (samples === 0) return;
    this.lost[reason] += samples;
    this.report(`lost_${reason}`, `${samples} samples were dropped: ${why}`);
  }

  refuse(input: InvalidInput, message: string): void {
    this.invalid[input]++;
    this.report(`invalid_${input}`, message);
  }

  /** The increments since the last call, for the next batch. A batch that is lost gives them back. */
  takeIncrements(): readonly OwnIncrement[] {
    const increments: OwnIncrement[] = [];
    for (const { name, value, tags } of this.#totals()) {
      const key = keyOf(name, tags);
      const increment = value - (this.#pushed.get(key) ?? 0);
      if (increment === 0) continue;
      this.#pushed.set(key, value);
      increments.push({ name, value: increment, tags });
    }
    return increments;
  }

  giveBack(increments: readonly OwnIncrement[]): void {
    for (const { name, value, tags } of increments) {
      const key = keyOf(name, tags);
      this.#pushed.set(key, (this.#pushed.get(key) ?? 0) - value);
    }
  }

  #totals(): readonly OwnIncrement[] {
    const one = (name: string, value: number, tags: Readonly<Record<string, string>> = {}) => ({
      name,
      value,
      tags,
    });
    return [
      one("weir_client_samples_total", this.stored, { outcome: "stored" }),
      one("weir_client_samples_total", this.rejected, { outcome: "rejected" }),
      one("weir_client_samples_total", this.setAside, { outcome: "set_aside" }),
      ...LOSSES.map((reason) => one("weir_client_samples_lost_total", this.lost[reason], { reason })),
      ...INVALID.map((input) => one("weir_client_invalid_input_total", this.invalid[input], { input })),
      one("weir_client_requests_failed_total", this.requestsFailed),
    ];
  }
}

const keyOf = (name: string, tags: Readonly<Record<string, string>>) =>
  `${name} ${Object.values(tags).join(" ")}`;

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

function writeLine({ message }: ClientProblem): void {
  console.warn(`weir client: ${message}`);
}
