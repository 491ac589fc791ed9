/**
 * The stored rejected samples: lists them, pushes them again, and deletes them.
 *
 * A replay is safe to repeat. A sample that is stored leaves the table with the commit that stores it, so a replay that
 * ends midway, also by a kill, leaves the others there and stores nothing twice. Two replays never run at the same time.
 * A sample that is rejected again stays as it was. It is not counted as a push of its sender.
 */
import { quote, RequestError } from "../model/errors.ts";
import type { Batch, Labels } from "../model/sample.ts";
import type { Store } from "../store/store.ts";
import { statement } from "../store/statements.ts";
import { type DecodedRejection, readRejectedSample, replayBatches } from "./admission/rejected-sample.ts";
import type { Ack, PushOptions } from "./contract.ts";

/** Selects rejected samples. Texts that are absent select all. */
export interface RejectedFilter {
  readonly metric?: string;
  readonly cause?: string;
  readonly protocol?: string;
  readonly instance?: string;
  /** A part of the reason, in any case. */
  readonly reason?: string;
  /** When they were rejected, µs, both included. */
  readonly fromUs?: number;
  readonly toUs?: number;
  readonly ids?: ReadonlySet<number>;
  /** Decides about samples by the metric, which is empty if it is not known, and the labels. */
  readonly select?: (samples: readonly NamedSample[]) => Promise<readonly boolean[]>;
}

/** What selectors select by. */
export interface NamedSample {
  readonly metric: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** Which part of the selected samples: the newest `limit` of those that are older than `before`. */
export interface RejectedPage {
  readonly limit: number;
  readonly before?: number;
}

/** A rejected sample, for people. */
export interface RejectedSample {
  readonly id: number;
  /** RFC 3339. */
  readonly receivedAt: string;
  readonly protocol: string;
  readonly instance: string;
  readonly cause: string;
  readonly reason: string;
  readonly metric?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Time and value of the sample, if it was decoded. */
  readonly time?: string;
  readonly value?: number | string | null;
  /** As sent, capped. */
  readonly payload: string;
  /** Whether it can be pushed again. */
  readonly replayable: boolean;
  /** The sample as an event that can be mended and pushed in its place. Absent if its protocol has no such text. */
  readonly event?: string;
}

/** What became of one sample of a replay. */
export interface ReplayedSample {
  readonly id: number;
  /** `stored` includes a duplicate of a stored sample. `selected` is that of a dry run. */
  readonly result: "stored" | "rejected" | "not_replayable" | "selected";
  readonly reason?: string;
}

export interface ReplayResult {
  readonly selected: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly notReplayable: number;
  readonly samples: readonly ReplayedSample[];
  /** Pass it as `before` for the next older samples. Absent if there are none. */
  readonly next?: number;
}

interface RejectedParts {
  readonly store: Pick<Store, "reader">;
  readonly ingest: {
    replay(
      batch: Batch,
      replayed: readonly number[],
      options: Pick<PushOptions, "extraLabels" | "historical">,
    ): Promise<Ack>;
    forgetRejected(ids: readonly number[]): Promise<void>;
  };
  /** By protocol: decodes the text of one sample, as it was sent. Throws a RequestError, or returns its rejection. */
  readonly decoders: ReadonlyMap<string, (text: string) => Batch>;
  /** By protocol: writes a decoded sample as a text that its decoder reads. */
  readonly encoders?: ReadonlyMap<string, (sample: DecodedRejection) => string>;
}

interface Row {
  readonly id: number;
  readonly received_us: number;
  readonly protocol: string;
  readonly instance: string;
  readonly cause: string;
  readonly metric: string;
  readonly reason: string;
  readonly payload: string;
  readonly labels: string;
  readonly sample: string;
  readonly [column: string]: unknown;
}

/** Rows that are read at once: some megabytes. */
const ROWS_AT_ONCE = 1_000;
/** Any time that a TIMESTAMP can have. */
const US_MAX = 9_000_000_000_000_000;
/** Larger than any id. */
const ID_MAX = Number.MAX_SAFE_INTEGER;
const NOT_REPLAYABLE = "only a part of it was kept, or it is not a sample that could be decoded";

export class RejectedSamples {
  readonly #parts: RejectedParts;
  /** The replay or deletion that runs, which the next one waits for. */
  #running: Promise<unknown> = Promise.resolve();

  constructor(parts: RejectedParts) {
    this.#parts = parts;
  }

  /** The newest selected samples first. `next` is absent after the last one. */
  async list(
    filter: RejectedFilter,
    page: RejectedPage,
  ): Promise<{ rejected: RejectedSample[]; next?: number }> {
    const { rows, next } = await this.#find(filter, page);
    return { rejected: rows.map((row) => this.#describe(row)), next };
  }

  /**
   * Pushes the selected samples again.
   *
   * @param isDry only selects them
   * @throws Busy, DiskFull or Unavailable as a push does. What was stored before it is no longer in the table
   */
  replay(filter: RejectedFilter, page: RejectedPage, isDry = false): Promise<ReplayResult> {
    return this.#inTurn(async () => {
      const { rows, next } = await this.#find(filter, page);
      const results = isDry ? rows.map((row) => this.#dryRun(row)) : await this.#push(rows);
      return { ...summaryOf(results), next };
    });
  }

  /**
   * Pushes a text in the place of a rejected sample, with the labels that its push added. The sample leaves the table with
   * the commit that stores the text. If that is rejected, the sample stays as it was.
   *
   * @throws as `replay`
   */
  replayAs(id: number, event: string): Promise<ReplayResult> {
    return this.#inTurn(async () => {
      const { rows } = await this.#find({ ids: new Set([id]) }, { limit: 1, before: id + 1 });
      const [row] = rows;
      if (row === undefined) return summaryOf([]);
      const added =
        row.sample === "" ? row.labels : JSON.stringify(readRejectedSample(row.sample).extra ?? {});
      const outcome = await this.#pushPayload({ ...row, payload: event, labels: added });
      // The text is a person's own, so that it can be mended further.
      return summaryOf([
        outcome.result === "not_replayable" && this.#parts.decoders.has(row.protocol)
          ? { ...outcome, result: "rejected" }
          : outcome,
      ]);
    });
  }

  /** Deletes the selected samples. Returns their number. */
  clear(
    filter: RejectedFilter,
    page: RejectedPage,
    isDry = false,
  ): Promise<{ selected: number; deleted: number; next?: number }> {
    return this.#inTurn(async () => {
      const { rows, next } = await this.#find(filter, page);
      const ids = isDry ? [] : rows.map(({ id }) => id);
      if (ids.length > 0) await this.#parts.ingest.forgetRejected(ids);
      return { selected: rows.length, deleted: ids.length, next };
    });
  }

  async #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#running.then(action);
    this.#running = result.catch(() => undefined);
    return await result;
  }

  async #find(
    filter: RejectedFilter,
    { limit, before = ID_MAX }: RejectedPage,
  ): Promise<{ rows: Row[]; next?: number }> {
    const { metric = "", cause = "", protocol = "", instance = "", reason = "" } = filter;
    const { fromUs: from = 0, toUs: to = US_MAX } = filter;
    const rows: Row[] = [];
    const reader = await this.#parts.store.reader();
    try {
      for (let at = before; ; ) {
        const texts = { metric, cause, protocol, instance, reason };
        const found = await reader.all<Row>(statement("query/rejected_samples"), {
          ...texts,
          before: at,
          from,
          to,
          limit: ROWS_AT_ONCE,
        });
        for (const row of await selected(found, filter)) {
          if (rows.length === limit) return { rows, next: rows.at(-1)!.id };
          rows.push(row);
        }
        if (found.length < ROWS_AT_ONCE) return { rows };
        at = found.at(-1)!.id;
      }
    } finally {
      reader.close();
    }
  }

  #describe(row: Row): RejectedSample {
    const { id, received_us, protocol, instance, cause, reason, metric, payload, sample } = row;
    const { decoders, encoders } = this.#parts;
    const decoded = sample === "" ? undefined : readRejectedSample(sample);
    return {
      id,
      receivedAt: iso(received_us),
      protocol,
      instance,
      cause,
      reason,
      metric: metric === "" ? undefined : metric,
      labels: JSON.parse(row.labels) as Record<string, string>,
      time: decoded && iso(decoded.timestampUs),
      value: decoded?.value,
      payload,
      replayable: this.#isReplayable(row),
      event:
        decoded !== undefined
          ? encoders?.get(protocol)?.(decoded)
          : decoders.has(protocol) && payload !== ""
            ? payload
            : undefined,
    };
  }

  /** A payload that is cut does not decode, which a replay reports. */
  #isReplayable({ sample, protocol, payload }: Row): boolean {
    return sample !== "" || (payload !== "" && this.#parts.decoders.has(protocol));
  }

  #dryRun(row: Row): Outcome {
    return this.#isReplayable(row)
      ? { id: row.id, result: "selected" }
      : { id: row.id, result: "not_replayable", reason: NOT_REPLAYABLE };
  }

  /** Pushes rows, the oldest first. The outcomes are in the order of the rows. */
  async #push(rows: readonly Row[]): Promise<Outcome[]> {
    const oldestFirst = rows.toReversed();
    const decoded = oldestFirst.filter(({ sample }) => sample !== "");
    const byProtocol = Map.groupBy(decoded, ({ protocol }) => protocol);
    const outcomes = new Map<number, Outcome>();
    for (const [protocol, samples] of byProtocol) {
      const texts = samples.map(({ id, sample: text }) => ({ id, text }));
      for (const { batch, ids, context } of replayBatches(protocol, texts)) {
        const options = { extraLabels: context.extra, historical: context.historical };
        for (const outcome of await this.#pushBatch(batch, ids, options)) outcomes.set(outcome.id, outcome);
      }
    }
    for (const row of oldestFirst.filter(({ sample }) => sample === ""))
      outcomes.set(row.id, await this.#pushPayload(row));
    return rows.map(({ id }) => outcomes.get(id)!);
  }

  async #pushBatch(
    batch: Batch,
    ids: readonly number[],
    options: Pick<PushOptions, "extraLabels" | "historical">,
  ): Promise<Outcome[]> {
    const ack = await this.#parts.ingest.replay(batch, ids, options);
    const reasons = new Map(ack.rejected.map(({ index, reason }) => [index, reason]));
    const outcomes = ids.map((id, position): Outcome => {
      const reason = reasons.get(position);
      return reason === undefined ? { id, result: "stored" } : { id, result: "rejected", reason };
    });
    // The answer has the number of duplicates, not their indexes.
    return outcomes.map((outcome, index) =>
      index === 0 ? { ...outcome, duplicates: ack.duplicates } : outcome,
    );
  }

  /** Decodes a sample again that its decoder rejected, for example because of a limit. */
  async #pushPayload({ id, protocol, payload, labels, received_us }: Row): Promise<Outcome> {
    const decode = this.#parts.decoders.get(protocol);
    if (decode === undefined || payload === "")
      return { id, result: "not_replayable", reason: NOT_REPLAYABLE };
    let batch: Batch;
    try {
      batch = decode(payload);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      return { id, result: "not_replayable", reason: error.message };
    }
    const [again] = batch.rejected;
    if (again !== undefined) return { id, result: "rejected", reason: again.reason };
    if (batch.length !== 1) return { id, result: "not_replayable", reason: NOT_REPLAYABLE };
    // A sample without a time has that of its arrival.
    const timestampUs = batch.timestampUs.map((us) => (Number.isNaN(us) ? received_us : us));
    const extraLabels: Labels = new Map(Object.entries(JSON.parse(labels) as Record<string, string>));
    // They may be labels of a token, which the sample must not contradict.
    const conflict = conflictOf(batch, extraLabels);
    if (conflict !== undefined) return { id, result: "rejected", reason: conflict };
    const [outcome] = await this.#pushBatch({ ...batch, timestampUs, position: Uint32Array.of(0) }, [id], {
      extraLabels,
    });
    return outcome!;
  }
}

interface Outcome extends ReplayedSample {
  /** Duplicates of the batch that begins with this sample. */
  readonly duplicates?: number;
}

function summaryOf(outcomes: readonly Outcome[]): Omit<ReplayResult, "next"> {
  const count = (wanted: Outcome["result"]) => outcomes.filter(({ result }) => result === wanted).length;
  const duplicates = outcomes.reduce((sum, each) => sum + (each.duplicates ?? 0), 0);
  return {
    selected: outcomes.length,
    accepted: count("stored") - duplicates,
    duplicates,
    rejected: count("rejected"),
    notReplayable: count("not_replayable"),
    samples: outcomes.map(({ id, result, reason }) => ({ id, result, reason })),
  };
}

async function selected(rows: readonly Row[], { ids, select }: RejectedFilter): Promise<readonly Row[]> {
  const found = ids === undefined ? rows : rows.filter(({ id }) => ids.has(id));
  if (select === undefined) return found;
  const marks = await select(
    found.map(({ metric, labels }) => ({
      metric,
      labels: new Map(Object.entries(JSON.parse(labels) as Record<string, string>)),
    })),
  );
  return found.filter((_, index) => marks[index]);
}

/** Why the labels of a push do not fit the only sample of a batch, or undefined. */
function conflictOf({ heads, attributes, text }: Batch, extra: Labels): string | undefined {
  const own = new Map(heads[0]!.labels);
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  for (const { name, offset, length } of attributes)
    own.set(name, bytes.toString("utf8", offset[0], offset[0]! + length[0]!));
  for (const [name, value] of extra) {
    const given = own.get(name);
    if (given !== undefined && given !== "" && given !== value)
      return `${name} is ${quote(given)}, but its push had the label ${name}=${quote(value)}`;
  }
  return undefined;
}

function iso(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? `${us} µs` : date.toISOString();
}
