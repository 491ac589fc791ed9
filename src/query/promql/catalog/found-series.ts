/**
 * Remembers which series selectors found, until the series change: rules and dashboards ask for the same series again
 * and again. A result has a number, so that it is sent to a Worker once.
 */
import type { Source } from "./catalog.ts";

/** A result with its number. Another number may have the same series. */
export interface NumberedSources {
  /** Results of an earlier generation are not used any more. */
  readonly generation: number;
  readonly number: number;
}

/** The part of the registry that is used (src/series/registry.ts). */
interface ChangingSeries {
  /** Changes when a look-up may have another result. */
  readonly changes: number;
}

/** Series of all results, each bucket as one: 25 MB with their labels, here and in each Worker that needs them all. */
const SERIES_MAX = 50_000;
/** Larger results are found again each time. */
const SERIES_OF_ONE_MAX = 10_000;
const RESULTS_MAX = 5_000;

export class FoundSeries {
  readonly #registry: ChangingSeries;
  readonly #byKey = new Map<string, readonly Source[]>();
  #numbers = new WeakMap<readonly Source[], NumberedSources>();
  #generation = 0;
  #changes = Number.NaN;
  #series = 0;

  constructor(registry: ChangingSeries) {
    this.#registry = registry;
  }

  /** The result of a look-up: the one that is remembered under a key, or that of `find`. */
  async find(key: string, find: () => Promise<readonly Source[]>): Promise<readonly Source[]> {
    const { changes } = this.#registry;
    if (changes !== this.#changes) this.#forget(changes);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const found = await find();
    // Series may have changed during the look-up.
    if (this.#changes === changes && this.#registry.changes === changes) this.#remember(key, found);
    return found;
  }

  /** The number of a result that is remembered. */
  numberOf(sources: readonly Source[]): NumberedSources | undefined {
    return this.#numbers.get(sources);
  }

  #remember(key: string, found: readonly Source[]): void {
    const series = found.reduce((sum, { edges }) => sum + Math.max(1, edges.length), 0);
    if (series > SERIES_OF_ONE_MAX) return;
    if (this.#series + series > SERIES_MAX || this.#byKey.size >= RESULTS_MAX) this.#forget(this.#changes);
    this.#series += series;
    this.#byKey.set(key, found);
    this.#numbers.set(found, { generation: this.#generation, number: this.#byKey.size });
  }

  #forget(changes: number): void {
    this.#changes = changes;
    this.#generation++;
    this.#series = 0;
    this.#byKey.clear();
    this.#numbers = new WeakMap();
  }
}
