/**
 * The best of many names: those that are accepted, in an order, up to a number. Names that cannot be among them are known at
 * once, so that nothing else is looked up for them. Memory is bounded by the number.
 */
import { compareText } from "../labels.ts";
import type { ScoreName } from "./search-terms.ts";

/** Takes the names that a look-up finds. */
export interface NameSink {
  /** How much a name costs, in steps of a walk over series: see Slices. */
  readonly steps?: number;
  /** Whether a name is there already, or is not wanted. */
  has(name: string): boolean;
  add(name: string): unknown;
}

/** `score`: the best first, and those that are equal by name. */
export type NameOrder = "ascending" | "descending" | "score";

export interface ScoredName {
  readonly name: string;
  readonly score: number;
}

/** How many of the names that are not wanted are remembered: a label has few values in most series. */
const UNWANTED_MAX = 10_000;

export class BestNames implements NameSink {
  readonly steps: number;
  readonly #score: ScoreName;
  readonly #compare: (a: ScoredName, b: ScoredName) => number;
  readonly #isByName: boolean;
  readonly #most: number;
  /** A heap whose first entry is the worst. */
  readonly #kept: ScoredName[] = [];
  readonly #names = new Set<string>();
  readonly #unwanted = new Set<string>();

  /**
   * @param most how many names are kept, at least 1
   * @param steps how much the score of a name costs
   */
  constructor(score: ScoreName, order: NameOrder, most: number, steps = 1) {
    this.steps = steps;
    this.#score = score;
    this.#compare = COMPARISONS[order];
    this.#isByName = order !== "score";
    this.#most = most;
  }

  has(name: string): boolean {
    if (this.#names.has(name) || this.#unwanted.has(name)) return true;
    if (this.#candidate(name) !== undefined) return false;
    if (this.#unwanted.size >= UNWANTED_MAX) this.#unwanted.clear();
    this.#unwanted.add(name);
    return true;
  }

  add(name: string): void {
    const entry = this.#names.has(name) ? undefined : this.#candidate(name);
    if (entry === undefined) return;
    this.#names.add(name);
    if (this.#kept.length < this.#most) {
      this.#kept.push(entry);
      this.#rise(this.#kept.length - 1);
      return;
    }
    this.#names.delete(this.#kept[0]!.name);
    this.#kept[0] = entry;
    this.#sink();
  }

  /** The names that were kept, the best first. */
  list(): ScoredName[] {
    return this.#kept.toSorted(this.#compare);
  }

  /** The name with its score, if it is accepted and better than the worst that is kept. */
  #candidate(name: string): ScoredName | undefined {
    const worst = this.#kept.length < this.#most ? undefined : this.#kept[0];
    // Most names are decided here: no score is needed for that.
    if (worst !== undefined && this.#isByName && this.#compare({ name, score: 0 }, worst) >= 0)
      return undefined;
    const score = this.#score(name);
    if (score === undefined) return undefined;
    const entry = { name, score };
    return worst === undefined || this.#compare(entry, worst) < 0 ? entry : undefined;
  }

  #rise(from: number): void {
    const kept = this.#kept;
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#compare(kept[parent]!, kept[at]!) >= 0) return;
      [kept[parent], kept[at]] = [kept[at]!, kept[parent]!];
      at = parent;
    }
  }

  #sink(): void {
    const kept = this.#kept;
    for (let at = 0; ; ) {
      let worst = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < kept.length && this.#compare(kept[child]!, kept[worst]!) > 0) worst = child;
      if (worst === at) return;
      [kept[worst], kept[at]] = [kept[at]!, kept[worst]!];
      at = worst;
    }
  }
}

const COMPARISONS: Readonly<Record<NameOrder, (a: ScoredName, b: ScoredName) => number>> = {
  ascending: (a, b) => compareText(a.name, b.name),
  descending: (a, b) => compareText(b.name, a.name),
  score: (a, b) => b.score - a.score || compareText(a.name, b.name),
};
