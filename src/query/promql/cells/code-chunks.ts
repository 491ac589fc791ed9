/**
 * Codes of events by stored series: immutable chunks in memory that threads share, and the codes that were added since,
 * which become a chunk when they are read. Chunks of like sizes are joined, so there are few.
 */

/** The codes of some series. Those of the n-th series are `lengths[n]` from `begins[n]` on. */
export interface CodeChunk {
  readonly seriesIds: Uint32Array;
  readonly begins: Uint32Array;
  readonly lengths: Uint32Array;
  readonly codes: Uint32Array;
}

/** How a code is read: (step - baseStep) << bits | bucket. */
export interface CodeLayout {
  readonly baseStep: number;
  readonly bits: number;
}

/** Chunks as they are sent to another thread. A series can be in several. */
export interface CodeColumns {
  readonly chunks: readonly (CodeChunk & CodeLayout)[];
}

export interface CodeScale {
  readonly baseStep: number;
  readonly columns: CodeLayout;
  /** Undefined if the step is too far away. */
  codeOf(step: number, bounds: Float64Array, value: number): number | undefined;
  /** The same for a step that is counted from the base. */
  codeFrom(fromBase: number, bounds: Float64Array, value: number): number;
}

const CODE_BITS = 32;
/** Codes reach this far into the past and the future. */
const REACH_MS = 100 * 86_400_000;
const BYTES = 4;
const TAIL_AT_FIRST = 1_024;

/** Undefined if a step and a bucket do not fit into a code. */
export function codeScale(buckets: number, stepMs: number, nowMs: number): CodeScale | undefined {
  const bits = CODE_BITS - Math.clz32(Math.max(0, buckets - 1));
  const steps = 2 ** (CODE_BITS - bits);
  const reach = Math.ceil(REACH_MS / stepMs);
  if (steps < 2 * reach) return undefined;
  const baseStep = Math.floor(nowMs / stepMs) - reach;
  const codeFrom = (fromBase: number, bounds: Float64Array, value: number) =>
    ((fromBase << bits) | bucketOf(bounds, value)) >>> 0;
  return {
    baseStep,
    columns: { baseStep, bits },
    codeFrom,
    codeOf: (step, bounds, value) => {
      const fromBase = step - baseStep;
      return fromBase < 0 || fromBase >= steps ? undefined : codeFrom(fromBase, bounds, value);
    },
  };
}

/** The index of the first bound that is not below a value; NaN is above all. */
function bucketOf(bounds: Float64Array, value: number): number {
  let from = 0;
  let to = bounds.length - 1;
  if (Number.isNaN(value)) return to;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value <= bounds[middle]!) to = middle;
    else from = middle + 1;
  }
  return from;
}

export class CodeChunks {
  #chunks: CodeChunk[] = [];
  #tailIds = new Uint32Array(0);
  #tailCodes = new Uint32Array(0);
  #tail = 0;

  get bytes(): number {
    const rows = this.#chunks.reduce((sum, { codes }) => sum + codes.length, 0);
    return rows * BYTES + 2 * this.#tailCodes.length * BYTES;
  }

  add(seriesId: number, code: number): void {
    if (this.#tail === this.#tailCodes.length) this.#growTail();
    this.#tailIds[this.#tail] = seriesId;
    this.#tailCodes[this.#tail++] = code;
  }

  addChunk(chunk: CodeChunk): void {
    if (chunk.codes.length === 0) return;
    this.#chunks.push(chunk);
    for (;;) {
      const [before, last] = this.#chunks.slice(-2);
      if (last === undefined || before!.codes.length > 2 * last.codes.length) return;
      this.#chunks.splice(-2, 2, joined(before!, last));
    }
  }

  /** All codes. */
  read(): readonly CodeChunk[] {
    if (this.#tail > 0) {
      const ids = this.#tailIds.subarray(0, this.#tail);
      this.addChunk(grouped(ids, this.#tailCodes));
      this.#tail = 0;
    }
    return this.#chunks;
  }

  #growTail(): void {
    const length = Math.max(TAIL_AT_FIRST, this.#tailCodes.length * 2);
    const [ids, codes] = [new Uint32Array(length), new Uint32Array(length)];
    ids.set(this.#tailIds);
    codes.set(this.#tailCodes);
    this.#tailIds = ids;
    this.#tailCodes = codes;
  }
}

function shared(length: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(length * BYTES));
}

/** Codes by series, which is given for each of them. */
function grouped(ids: Uint32Array, codes: Uint32Array): CodeChunk {
  const slots = new Map<number, number>();
  for (const id of ids) slots.getOrInsertComputed(id, () => slots.size);
  const lengths = new Uint32Array(slots.size);
  for (const id of ids) lengths[slots.get(id)!]!++;
  const begins = beginsOf(lengths);
  const ends = begins.slice();
  const made = shared(ids.length);
  for (let at = 0; at < ids.length; at++) made[ends[slots.get(ids[at]!)!]!++] = codes[at]!;
  return { seriesIds: Uint32Array.from(slots.keys()), begins, lengths, codes: made };
}

/** The codes of two chunks, by series. */
function joined(one: CodeChunk, other: CodeChunk): CodeChunk {
  const slots = new Map<number, number>();
  for (const { seriesIds } of [one, other])
    for (const id of seriesIds) slots.getOrInsertComputed(id, () => slots.size);
  const lengths = new Uint32Array(slots.size);
  for (const chunk of [one, other])
    for (const [at, id] of chunk.seriesIds.entries()) lengths[slots.get(id)!]! += chunk.lengths[at]!;
  const begins = beginsOf(lengths);
  const ends = begins.slice();
  const codes = shared(one.codes.length + other.codes.length);
  for (const chunk of [one, other]) {
    for (const [at, id] of chunk.seriesIds.entries()) {
      const slot = slots.get(id)!;
      const begin = chunk.begins[at]!;
      codes.set(chunk.codes.subarray(begin, begin + chunk.lengths[at]!), ends[slot]!);
      ends[slot]! += chunk.lengths[at]!;
    }
  }
  return { seriesIds: Uint32Array.from(slots.keys()), begins, lengths, codes };
}

function beginsOf(lengths: Uint32Array): Uint32Array {
  const begins = new Uint32Array(lengths.length);
  for (let at = 1; at < lengths.length; at++) begins[at] = begins[at - 1]! + lengths[at - 1]!;
  return begins;
}
