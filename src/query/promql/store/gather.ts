/**
 * Puts rows that come in the order of arrival by series and time: one pass that copies and counts, one that
 * distributes. Rows mostly are in the order of time already, so only series that are not get sorted.
 */

export interface Gathered {
  /** The samples of the n-th series are those from `first[n]` to `first[n + 1]`. */
  readonly first: Uint32Array;
  /** Milliseconds since the epoch, ascending within a series; equal ones in the order of arrival. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

const ROWS_AT_FIRST = 4_096;

export class Gatherer {
  readonly #slotOf: Int32Array;
  readonly #idMin: number;
  readonly #counts: Uint32Array;
  #slots = new Uint32Array(ROWS_AT_FIRST);
  #timestampsMs = new Float64Array(ROWS_AT_FIRST);
  #values = new Float64Array(ROWS_AT_FIRST);
  #stale: Uint8Array | undefined;
  #rows = 0;

  /** `groups`: the stored series that make up each series of the result; at least one. */
  constructor(groups: readonly (readonly number[])[]) {
    let idMin = Number.POSITIVE_INFINITY;
    let idMax = 0;
    for (const ids of groups) {
      for (const id of ids) {
        idMin = Math.min(idMin, id);
        idMax = Math.max(idMax, id);
      }
    }
    this.#idMin = idMin;
    this.#slotOf = new Int32Array(idMax - idMin + 1);
    groups.forEach((ids, slot) => {
      for (const id of ids) this.#slotOf[id - idMin] = slot;
    });
    this.#counts = new Uint32Array(groups.length);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Takes a chunk of rows; every series id is one of the groups'. */
  take(
    seriesIds: Uint32Array,
    timestampsUs: Float64Array,
    values: Float64Array,
    length: number,
    isNull: (row: number) => boolean,
  ): void {
    this.#reserve(length);
    let at = this.#rows;
    for (let row = 0; row < length; row++, at++) {
      const slot = this.#slotOf[seriesIds[row] - this.#idMin];
      this.#slots[at] = slot;
      this.#counts[slot]++;
      this.#timestampsMs[at] = timestampsUs[row] / 1000;
      this.#values[at] = values[row];
      if (isNull(row)) {
        this.#stale ??= new Uint8Array(this.#values.length);
        this.#stale[at] = 1;
      }
    }
    this.#rows = at;
  }

  /** All rows by series and time. */
  finish(): Gathered {
    const first = new Uint32Array(this.#counts.length + 1);
    for (let slot = 0; slot < this.#counts.length; slot++) first[slot + 1] = first[slot] + this.#counts[slot];
    const next = first.slice();
    const timestampsMs = new Float64Array(this.#rows);
    const values = new Float64Array(this.#rows);
    const stale = this.#stale && new Uint8Array(this.#rows);
    for (let row = 0; row < this.#rows; row++) {
      const to = next[this.#slots[row]]++;
      timestampsMs[to] = this.#timestampsMs[row];
      values[to] = this.#values[row];
      if (stale !== undefined) stale[to] = this.#stale![row];
    }
    const gathered = { first, timestampsMs, values, stale };
    for (let slot = 0; slot < this.#counts.length; slot++) sortSeries(gathered, first[slot], first[slot + 1]);
    return gathered;
  }

  #reserve(rows: number): void {
    const wanted = this.#rows + rows;
    if (wanted <= this.#values.length) return;
    const capacity = Math.max(wanted, this.#values.length * 2);
    this.#slots = grown(this.#slots, new Uint32Array(capacity));
    this.#timestampsMs = grown(this.#timestampsMs, new Float64Array(capacity));
    this.#values = grown(this.#values, new Float64Array(capacity));
    if (this.#stale !== undefined) this.#stale = grown(this.#stale, new Uint8Array(capacity));
  }
}

function grown<Values extends Uint8Array | Uint32Array | Float64Array>(from: Values, to: Values): Values {
  to.set(from);
  return to;
}

function sortSeries({ timestampsMs, values, stale }: Gathered, from: number, to: number): void {
  let sorted = true;
  for (let at = from + 1; at < to && sorted; at++) sorted = timestampsMs[at - 1] <= timestampsMs[at];
  if (sorted) return;
  const times = timestampsMs.slice(from, to);
  const order = Array.from(times, (_, at) => at).sort((a, b) => times[a] - times[b]);
  timestampsMs.set(
    order.map((at) => times[at]),
    from,
  );
  const before = values.slice(from, to);
  values.set(
    order.map((at) => before[at]),
    from,
  );
  if (stale === undefined) return;
  const marks = stale.slice(from, to);
  stale.set(
    order.map((at) => marks[at]),
    from,
  );
}
