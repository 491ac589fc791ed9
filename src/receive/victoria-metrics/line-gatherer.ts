/**
 * Gathers the samples of lines into batches. The three formats of import share it. A line is the unit of rejection: the
 * answer counts lines, and the position of a sample is the number of its line.
 *
 * Heads of series are found by the bytes that name them, so that a series that was seen before is not decoded again.
 */
import type { Batch, Labels, SeriesHead } from "../../model/sample.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";
import { kindOf, type Metadata } from "../../wire/exposition-formats/family-metadata.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import { VICTORIA_METRICS } from "./victoria-metrics-protocol.ts";

/** Why a line, or a sample of it, is rejected. */
export interface LineProblem {
  /** A short, bounded word for counters. */
  readonly cause: "syntax" | "value" | "timestamp" | "labels" | "name";
  /** What is wrong, without the number of the line. */
  readonly reason: string;
}

/** Samples per batch: as many as the writer commits at once. A line can have millions. */
const BATCH_SAMPLES_MAX = 100_000;
/** Rejected lines of a batch before it is closed. */
const BATCH_REJECTIONS_MAX = 10_000;
/** Per part of a body: further rejections are counted without a reason. */
const REASONS_MAX = 1_000;
const PAYLOAD_CHARACTERS_MAX = 300;
/** Sets of names of overridden labels. A sender always sends the same. */
const NAME_SETS_MAX = 256;

const NO_NAMES: ReadonlySet<string> = new Set();

export class LineGatherer {
  readonly #builder: BatchBuilder;
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  readonly #blocks: LabelBlocks;
  /** One object per set of names, so that sets can be compared. */
  readonly #nameSets = new Map<string, ReadonlySet<string>>();
  /** The heads without the labels that a request has overridden last. */
  readonly #reduced = new WeakMap<SeriesHead, { names: ReadonlySet<string>; head: SeriesHead }>();
  #generation = 0;
  /** By block: the batch that used it last, and its index among the heads of that batch. */
  #usedBy = new Int32Array(1_024);
  #indexIn = new Int32Array(1_024);
  #batchNumber = 0;
  #batches: Batch[] = [];
  #reasons = 0;
  #overridden = NO_NAMES;
  /** The number of the current line in the body, counted from 0. */
  line = 0;

  /** @param seriesCount the number of series that exist. As many are remembered */
  constructor(seriesCount?: () => number) {
    this.#builder = new BatchBuilder(VICTORIA_METRICS.name, seriesCount);
    this.#blocks = new LabelBlocks(undefined, { seriesCount, keepsHalf: true });
  }

  /**
   * Starts some lines, and drops what an error may have left.
   *
   * @param firstLine the number of the first line in the body
   * @param overridden labels that the request sets. The lines' own labels of these names are dropped, as VictoriaMetrics
   *   does
   */
  begin(firstLine: number, overridden: ReadonlySet<string> = NO_NAMES): void {
    this.#builder.clear();
    this.#batches = [];
    this.#batchNumber++;
    this.line = firstLine;
    this.#reasons = 0;
    this.#overridden = this.#interned(overridden);
    this.#generation = this.#blocks.generation;
  }

  #interned(names: ReadonlySet<string>): ReadonlySet<string> {
    if (names.size === 0) return NO_NAMES;
    if (this.#nameSets.size >= NAME_SETS_MAX) this.#nameSets.clear();
    return this.#nameSets.getOrInsert([...names].sort().join("\u0000"), names);
  }

  /** The batches of the lines since `begin`, in the order of the lines. */
  take(): readonly Batch[] {
    const { length, rejected } = this.#builder;
    if (length > 0 || rejected.length > 0) this.#batches.push(this.#builder.take());
    return this.#batches;
  }

  /** Forgets all heads: there is new metadata about some of them. */
  forget(): void {
    this.#blocks.clear();
  }

  /**
   * The number of the series that is named by `bytes` from `from` up to, not including, `to`. If it is new, `decide`
   * returns its head, which is remembered, or a problem, which is returned.
   */
  series(
    bytes: Buffer,
    from: number,
    to: number,
    decide: () => SeriesHead | LineProblem,
  ): number | LineProblem {
    const hash = blockHash(bytes, from, to, this.#seed);
    const known = this.#blocks.find(bytes, to - from, hash, from);
    if (known >= 0) return known;
    const decided = decide();
    if ("reason" in decided) return decided;
    return this.#blocks.add(bytes, to - from, hash, decided, from);
  }

  /** Adds a sample of the current line to a series. */
  add(series: number, timestampUs: number, value: number): void {
    if (this.#builder.length >= BATCH_SAMPLES_MAX) this.#close();
    this.#builder.add(this.#indexOf(series), timestampUs, value, this.line);
  }

  /** Adds a stale marker of the current line to a series. */
  addStale(series: number, timestampUs: number): void {
    this.add(series, timestampUs, Number.NaN);
    this.#builder.markStale();
  }

  /** Rejects the current line, or a part of it. */
  reject({ cause, reason }: LineProblem, bytes: Buffer, from: number, to: number): void {
    if (this.#builder.rejected.length >= BATCH_REJECTIONS_MAX) this.#close();
    const index = this.line;
    if (this.#reasons >= REASONS_MAX) {
      this.#builder.rejected.push({ index, cause, reason: "invalid, like the lines before it", payload: "" });
      return;
    }
    this.#reasons++;
    const line = bytes.toString("utf8", from, Math.min(to, from + PAYLOAD_CHARACTERS_MAX + 1));
    const payload = line.length > PAYLOAD_CHARACTERS_MAX ? `${line.slice(0, PAYLOAD_CHARACTERS_MAX)}…` : line;
    this.#builder.rejected.push({ index, cause, reason, payload });
  }

  #close(): void {
    this.#batches.push(this.#builder.take());
    this.#batchNumber++;
  }

  #indexOf(series: number): number {
    if (this.#generation !== this.#blocks.generation) {
      // Blocks were dropped, maybe within these lines: their numbers belong to other series now.
      this.#generation = this.#blocks.generation;
      this.#usedBy.fill(0);
    }
    if (series >= this.#usedBy.length) {
      this.#usedBy = grown(this.#usedBy, series);
      this.#indexIn = grown(this.#indexIn, series);
    }
    if (this.#usedBy[series] !== this.#batchNumber) {
      this.#usedBy[series] = this.#batchNumber;
      this.#indexIn[series] = this.#builder.addHead(this.#headOf(series));
    }
    return this.#indexIn[series]!;
  }

  /** The head of a series, without the labels that the request overrides. */
  #headOf(series: number): SeriesHead {
    const head = this.#blocks.head(series);
    const names = this.#overridden;
    if (names === NO_NAMES) return head;
    const known = this.#reduced.get(head);
    if (known?.names === names) return known.head;
    const labels = new Map([...head.labels].filter(([name]) => !names.has(name)));
    const reduced = labels.size === head.labels.size ? head : { ...head, labels };
    this.#reduced.set(head, { names, head: reduced });
    return reduced;
  }
}

function grown(array: Int32Array, index: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(Math.max(array.length * 2, index + 1));
  longer.set(array);
  return longer;
}

/**
 * The head of a series, or the problem of its labels. Empty values count as absent.
 *
 * @param pairs its labels, in any order. Of two labels of one name the last counts, as with VictoriaMetrics
 */
export function headOf(
  metric: string,
  pairs: Iterable<readonly [string, string]>,
  metadata?: Metadata,
): SeriesHead | LineProblem {
  if (metric === "") return { cause: "name", reason: "the series has no name (__name__)" };
  const present = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (name === "") return { cause: "labels", reason: "a label has an empty name" };
    present.delete(name);
    if (value !== "") present.set(name, value);
  }
  const labels: Labels =
    present.size < 2 ? present : new Map([...present].sort(([a], [b]) => (a < b ? -1 : 1)));
  const type = metadata?.type ?? "unknown";
  const unit = metadata?.unit || undefined;
  const help = metadata?.help || undefined;
  return { metric, kind: kindOf(type), type, unit, help, labels };
}
