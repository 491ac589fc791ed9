/**
 * The labels of a series in PromQL: sorted by name, with the metric's name as `__name__`, and without empty values.
 * Immutable. Equal sets have equal keys, so that maps can use the key.
 */
import { isValidText, quoteText } from "./promql-text.ts";

export const METRIC_NAME = "__name__";
export const BUCKET_LABEL = "le";

export class LabelSet {
  /** Name, value, name, value …, in ascending order of the names. */
  readonly pairs: readonly string[];
  #key: string | undefined;
  #isPlain: boolean | undefined;
  #unnamed: LabelSet | undefined;

  static readonly EMPTY = new LabelSet([]);

  private constructor(pairs: readonly string[]) {
    this.pairs = pairs;
  }

  /** Creates a set from names and values in any order; empty values are left out. */
  static from(entries: Iterable<readonly [string, string]>): LabelSet {
    const sorted = [...entries].filter(([, value]) => value !== "").sort(([a], [b]) => compareText(a, b));
    return new LabelSet(sorted.flat());
  }

  /** Creates a set from a metric's name and labels that are already sorted by name, all in ASCII, and not empty. */
  static ofSeries(metric: string, labels: Iterable<readonly [string, string]>): LabelSet {
    const pairs: string[] = [];
    let isNamed = false;
    for (const [name, value] of labels) {
      // Upper case sorts before the underscore.
      if (!isNamed && name > METRIC_NAME) {
        pairs.push(METRIC_NAME, metric);
        isNamed = true;
      }
      pairs.push(name, value);
    }
    if (!isNamed) pairs.push(METRIC_NAME, metric);
    return new LabelSet(pairs);
  }

  /** Creates a set from the `pairs` of another one. */
  static ofPairs(pairs: readonly string[]): LabelSet {
    return new LabelSet(pairs);
  }

  /** Equal only for equal sets: no label contains U+0000 (see src/series/naming.ts, and `with`). */
  get key(): string {
    this.#key ??= this.pairs.join("\u0000");
    return this.#key;
  }

  /** Whether the key sorts by code units as it does by code points: see compareText. */
  get isPlain(): boolean {
    this.#isPlain ??= !/[\ud800-\uffff]/.test(this.key);
    return this.#isPlain;
  }

  get size(): number {
    return this.pairs.length / 2;
  }

  /** The value of a label; empty if the label is absent. */
  get(name: string): string {
    const { pairs } = this;
    for (let at = 0; at < pairs.length; at += 2) if (pairs[at] === name) return pairs[at + 1];
    return "";
  }

  *entries(): Iterable<[string, string]> {
    for (let at = 0; at < this.pairs.length; at += 2) yield [this.pairs[at], this.pairs[at + 1]];
  }

  /** The same set with one label set, or removed if the value is empty. */
  with(name: string, value: string): LabelSet {
    const pairs: string[] = [];
    let pending = value !== "";
    for (let at = 0; at < this.pairs.length; at += 2) {
      const other = this.pairs[at];
      if (other === name) continue;
      if (pending && compareText(name, other) < 0) {
        pairs.push(name, value);
        pending = false;
      }
      pairs.push(other, this.pairs[at + 1]);
    }
    if (pending) pairs.push(name, value);
    return new LabelSet(pairs);
  }

  /** Only the labels whose names are in `names`. */
  keep(names: ReadonlySet<string>): LabelSet {
    return this.#filter((name) => names.has(name));
  }

  /** All labels except those whose names are in `names`. */
  drop(names: ReadonlySet<string>): LabelSet {
    return this.#filter((name) => !names.has(name));
  }

  /** The same set without the metric's name. */
  withoutName(): LabelSet {
    // `__name__` is not always first: upper case sorts before the underscore.
    this.#unnamed ??= this.get(METRIC_NAME) === "" ? this : this.#filter((name) => name !== METRIC_NAME);
    return this.#unnamed;
  }

  #filter(wanted: (name: string) => boolean): LabelSet {
    const pairs: string[] = [];
    for (let at = 0; at < this.pairs.length; at += 2) {
      if (wanted(this.pairs[at])) pairs.push(this.pairs[at], this.pairs[at + 1]);
    }
    return pairs.length === this.pairs.length ? this : new LabelSet(pairs);
  }

  /** Formats a set as upstream's messages do: `{__name__="up", job="x"}`. */
  toString(): string {
    const parts = [...this.entries()].map(([name, value]) => {
      const plain = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
      return `${plain ? name : quoteText(name)}=${quoteText(value)}`;
    });
    return `{${parts.join(", ")}}`;
  }

  toJSON(): Record<string, string> {
    return Object.fromEntries(this.entries());
  }
}

/** Orders label sets by their first differing name, then value; a set that is a prefix of another comes first. */
export function compareLabels(a: LabelSet, b: LabelSet): number {
  // U+0000 between the parts of a key sorts before everything that names and values contain.
  if (a.isPlain && b.isPlain) return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
  return compareText(a.key, b.key);
}

/** Orders strings by code points, as bytes of UTF-8 sort: UTF-16 sorts U+10000 before U+FFFF. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x === y) continue;
    const surrogates = x >= 0xd800 && y >= 0xd800;
    if (!surrogates) return x - y;
    const rank = (unit: number) => (unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
    return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Whether a name is a valid label name: any text, as of Prometheus 3. */
export function isLabelName(name: string): boolean {
  return name !== "" && isValidText(name) && !name.includes("\u0000");
}
