/**
 * Remembers the heads of tables with the same columns: a sender repeats its columns, its names and most of their values.
 * Each column has the numbers of its different texts, and the numbers of their combinations with those of the columns
 * before it. The last of these numbers stands for a head.
 */
import type { Labels, SeriesHead } from "../../../model/sample.ts";
import { KINDS } from "../event.ts";
import type { EventTable } from "./event-table.ts";
import { PairNumbers } from "./pair-numbers.ts";
import { ValueCodes } from "./value-codes.ts";

/** Layouts that are kept. */
const LAYOUTS_MAX = 64;
/**
 * A layout with more heads is forgotten after its body: each takes some 300 bytes. If many series exist, it may have as many heads,
 * and texts in proportion: a sender repeats its series.
 */
const HEADS_MAX = 65_536;
/** Names of metrics, and texts of a layout, that are kept. */
const METRICS_MAX = 10_000;
const VALUES_MAX = 262_144;
const BYTES_MAX = 8 * 1_048_576;
const VALUES_PER_SERIES = 4;
const BYTES_PER_SERIES = 128;

interface Level {
  /** The label. Undefined for the metric. */
  readonly name: string | undefined;
  readonly codes: ValueCodes;
  readonly pairs: PairNumbers;
}

/** The heads of tables with the same columns. */
export class HeadLayout {
  /** The metric, the labels that all rows have, and then the columns. */
  readonly levels: readonly Level[];
  readonly #type: EventTable["type"];
  readonly #unit: string | undefined;
  readonly #help: string | undefined;
  readonly #heads: SeriesHead[] = [];
  /** By number: the body that used its head last, and the index of the head in its batch. */
  #usedBy = new Int32Array(64);
  #indexIn = new Int32Array(64);
  readonly #bodies: { readonly number: number };

  constructor(
    levels: readonly Level[],
    { type, unit, help }: Pick<EventTable, "type" | "unit" | "help">,
    bodies: { readonly number: number },
  ) {
    this.levels = levels;
    this.#type = type;
    this.#unit = unit;
    this.#help = help;
    this.#bodies = bodies;
  }

  /** The index of a head in the batch of this body. It is added to `heads` when it is first asked. */
  indexOf(number: number, heads: SeriesHead[]): number {
    if (number >= this.#usedBy.length) this.#grow(number);
    if (this.#usedBy[number] !== this.#bodies.number) {
      this.#usedBy[number] = this.#bodies.number;
      this.#heads[number] ??= this.#make(number);
      this.#indexIn[number] = heads.push(this.#heads[number]!) - 1;
    }
    return this.#indexIn[number]!;
  }

  #make(last: number): SeriesHead {
    const labels: [string, string][] = [];
    let metric = "";
    let number = last;
    for (let level = this.levels.length - 1; level >= 0; level--) {
      const { name, codes, pairs } = this.levels[level]!;
      const value = codes.values[pairs.secondOf(number)];
      number = pairs.firstOf(number);
      if (typeof value !== "string" || value === "") continue;
      if (name === undefined) metric = value;
      else labels.push([name, value]);
    }
    const { kind, type } = KINDS[this.#type]!;
    const sorted: Labels = new Map(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
    return { metric, kind, unit: this.#unit, help: this.#help, labels: sorted, type };
  }

  #grow(number: number): void {
    const length = Math.max(this.#usedBy.length * 2, number + 1);
    const [usedBy, indexIn] = [this.#usedBy, this.#indexIn];
    this.#usedBy = new Int32Array(length);
    this.#usedBy.set(usedBy);
    this.#indexIn = new Int32Array(length);
    this.#indexIn.set(indexIn);
  }

  /**
   * Whether the layout takes too much memory to be kept.
   *
   * @param exist the number of series that exist. With more of them, a layout may be larger
   */
  isLarge(exist: number): boolean {
    let values = 0;
    let bytes = 0;
    for (const { name, codes, pairs } of this.levels) {
      if (pairs.count > Math.max(HEADS_MAX, exist)) return true;
      if (name === undefined) continue;
      values += codes.size;
      bytes += codes.bytes;
    }
    return (
      values > Math.max(VALUES_MAX, VALUES_PER_SERIES * exist) ||
      bytes > Math.max(BYTES_MAX, BYTES_PER_SERIES * exist)
    );
  }
}

export class HeadLayouts {
  /** The names of all metrics. */
  metrics = new ValueCodes();
  readonly #layouts = new Map<string, HeadLayout>();
  readonly #bodies = { number: 0 };
  /** The layouts of this body. */
  readonly #used = new Set<string>();
  readonly #seriesCount: () => number;

  /** @param seriesCount the number of series that exist */
  constructor(seriesCount: () => number = () => 0) {
    this.#seriesCount = seriesCount;
  }

  /** Begins a body. */
  begin(): void {
    this.#bodies.number++;
    this.#used.clear();
    if (this.metrics.size > METRICS_MAX || this.metrics.bytes > BYTES_MAX || this.metrics.hasWrong)
      this.clear();
  }

  /** The layout of a table: its constant labels, and those of its columns that are labels. */
  of(
    { type, unit, help }: Pick<EventTable, "type" | "unit" | "help">,
    constants: readonly (readonly [name: string, value: string])[],
    columns: readonly { readonly name: string; readonly hasLabels: boolean }[],
  ): HeadLayout {
    const names = [
      ...constants.map(([name]) => name),
      ...columns.flatMap(({ name, hasLabels }) => (hasLabels ? [name] : [])),
    ];
    const key = JSON.stringify([type, unit, help, names]);
    this.#used.add(key);
    return this.#layouts.getOrInsertComputed(key, () => {
      const labels = names.map((name) => ({ name, codes: new ValueCodes(), pairs: new PairNumbers() }));
      const metric = { name: undefined, codes: this.metrics, pairs: new PairNumbers() };
      return new HeadLayout([metric, ...labels], { type, unit, help }, this.#bodies);
    });
  }

  /** Forgets what would take too much memory. */
  bound(): void {
    const exist = this.#seriesCount();
    for (const key of this.#used) if (this.#layouts.get(key)?.isLarge(exist)) this.#layouts.delete(key);
    if (this.#layouts.size > LAYOUTS_MAX) this.#layouts.clear();
  }

  clear(): void {
    this.metrics = new ValueCodes();
    this.#layouts.clear();
  }
}
