/**
 * What happens too often for a line each is counted, and logged once a minute: slow queries, rejected pushes, and rejected
 * samples. There is one line per reason, with the count and the first example. Nothing is logged for a quiet minute.
 *
 * The program that opens the gateway calls `flush` once a minute, and at the stop.
 */
import type { FieldsOf } from "./logged-events.ts";
import type { Log } from "./log.ts";

/** The reasons of one kind that are logged per minute. The counts of further ones are added up in one line. */
const REASONS_MAX = 20;
const SAMPLE_CHARACTERS_MAX = 300;
const OTHER = "other";

/** A query that took long, or ran out of time. */
export interface SlowQuery {
  /** The pattern of its route. */
  readonly route: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly ms: number;
  /** The expression, the statement or the selectors. */
  readonly text: string;
}

/** A push that was rejected as a whole. */
export interface RejectedRequest {
  readonly route: string;
  readonly status: number;
  /** The code of the error. */
  readonly reason: string;
  /** The sentence of the answer. */
  readonly message: string;
}

/** Rejected samples of one push. */
export interface SampleRejections {
  readonly protocol: string;
  readonly instance: string;
  readonly rejected: readonly { readonly cause: string; readonly reason: string }[];
}

export class MinuteSummary {
  readonly #log: Log;
  #queries = new Reasons<FieldsOf<"slow_queries"> & { slowestMs: number }>();
  #requests = new Reasons<FieldsOf<"requests_rejected">>();
  #samples = new Reasons<FieldsOf<"samples_rejected">>();

  constructor(log: Log) {
    this.#log = log;
  }

  noteQuery({ route, outcome, ms, text }: SlowQuery): void {
    const slowestMs = Math.round(ms);
    const fields = () => ({ route, outcome, slowestMs, sample: cut(text) });
    const found = this.#queries.add([route, outcome], fields, () => ({ route: OTHER, slowestMs }));
    if (found.fields.slowestMs >= slowestMs) return;
    // The slowest one is the most useful example.
    found.fields = { ...found.fields, slowestMs, sample: cut(text) };
  }

  noteRequest({ route, status, reason, message }: RejectedRequest): void {
    this.#requests.add(
      [route, reason],
      () => ({ reason, route, status, sample: cut(message) }),
      () => ({ reason: OTHER }),
    );
  }

  noteSamples({ protocol, instance, rejected }: SampleRejections): void {
    // A body can have a million of them, of few causes.
    for (const [cause, same] of Map.groupBy(rejected, (each) => each.cause)) {
      const { reason } = same[0]!;
      this.#samples.add(
        [protocol, cause],
        () => ({ protocol, cause, instance: instance === "" ? undefined : instance, sample: cut(reason) }),
        () => ({ cause: OTHER }),
        same.length,
      );
    }
  }

  /** Logs what was counted since the last call. */
  flush(): void {
    const [queries, requests, samples] = [this.#queries, this.#requests, this.#samples];
    this.#queries = new Reasons();
    this.#requests = new Reasons();
    this.#samples = new Reasons();
    for (const { fields, count } of queries.all()) this.#log("slow_queries", { ...fields, count });
    for (const { fields, count } of requests.all()) this.#log("requests_rejected", { ...fields, count });
    for (const { fields, count } of samples.all()) this.#log("samples_rejected", { ...fields, count });
  }
}

interface Counted<Fields> {
  fields: Fields;
  count: number;
}

/** Counts by reason, with the fields of the first of each. */
class Reasons<Fields> {
  readonly #counted = new Map<string, Counted<Fields>>();

  add(key: readonly string[], first: () => Fields, other: () => Fields, count = 1): Counted<Fields> {
    const name = JSON.stringify(key);
    const known = this.#counted.get(name);
    const counted = known ?? this.#begin(name, first, other);
    counted.count += count;
    return counted;
  }

  all(): Iterable<Counted<Fields>> {
    return this.#counted.values();
  }

  #begin(name: string, first: () => Fields, other: () => Fields): Counted<Fields> {
    const isOther = this.#counted.size >= REASONS_MAX;
    const known = isOther ? this.#counted.get(OTHER) : undefined;
    if (known !== undefined) return known;
    const begun = { fields: isOther ? other() : first(), count: 0 };
    this.#counted.set(isOther ? OTHER : name, begun);
    return begun;
  }
}

function cut(text: string): string {
  return text.length <= SAMPLE_CHARACTERS_MAX
    ? text
    : `${text.slice(0, SAMPLE_CHARACTERS_MAX).toWellFormed()}…`;
}
