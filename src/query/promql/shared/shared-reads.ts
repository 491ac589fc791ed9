/**
 * Reads samples of gauges and cumulative series from shared memory (shared-samples.ts) where they are kept. The
 * others are read from rows and blocks, and then are kept too.
 */
import { DAY_MS } from "../../../model/duration.ts";
import type { Source } from "../catalog/catalog.ts";
import {
  bytesOfChunk,
  chunkOf,
  NO_ROWS,
  type SampleChunk,
  type SeriesPlaces,
  withoutPause,
} from "./sample-chunks.ts";
import type { SharedBegun, SharedMade, SharedPart } from "./shared-samples.ts";
import { isTailLong, joinedSteps, rangeOf, rewritten, seriesOfPart } from "./shared-series.ts";
import type { ReadBudget, SeriesSamples } from "../storage.ts";
import type { Range } from "../store/day-reader.ts";
import type { Gathered } from "../store/gather.ts";
import type { SharedReads, StoredRows } from "../store/stored-rows.ts";

/** Series that are passed on at once. */
const SERIES_AT_ONCE = 500;

/** Samples of some sources. */
interface ReadPortion {
  readonly sources: readonly Source[];
  readonly samples: Gathered;
}

/** Reads the samples of some sources in a range. */
type ReadRows = (sources: readonly Source[], range: Range) => AsyncIterable<ReadPortion>;

/** Whether samples of a source can be kept: it is one stored series, and all of its samples are stored. */
export function isShareable({ shape, seriesIds, metric: { kind }, held }: Source): boolean {
  return (
    shape === "raw" &&
    seriesIds.length === 1 &&
    held === undefined &&
    (kind === "gauge" || kind === "cumulative")
  );
}

/** The samples of sources that can be kept. */
export async function* sharedSamples(
  sources: readonly Source[],
  range: Range,
  rows: StoredRows,
  budget: ReadBudget,
  read: ReadRows,
): AsyncIterable<readonly SeriesSamples[]> {
  const shared = rows.shared!;
  const { afterMs, toMs } = wholeMicroseconds(range);
  const { parts, partOf, begun, copied } = await shared.read(idsOf(sources), { afterMs, toMs });
  for (const [index, kept] of parts.entries()) {
    const wanted = sources.filter((_, at) => partOf[at] === index + 1);
    const part = copied?.part === index + 1 ? copyOf(kept, wanted, copied.begun, shared) : kept;
    yield* inBatches(seriesOfPart(part, wanted, { afterMs, toMs }), budget);
    if (isTailLong(part)) shared.settle(part.ticket!, rewritten(part));
  }
  const missing = parts.length === 0 ? sources : sources.filter((_, at) => partOf[at] === 0);
  if (missing.length === 0) return;
  const making = begun && new Making(begun, rows);
  try {
    for await (const { sources: part, samples } of read(missing, making?.range ?? range)) {
      making?.add(part, samples);
      yield within(part, samples, { afterMs, toMs });
    }
    making?.finish();
  } finally {
    making?.close();
  }
}

/** Whether all samples of some sources are kept, or should be. */
export async function areShared(
  sources: readonly Source[],
  range: Range,
  { shared }: StoredRows,
): Promise<boolean> {
  if (shared === undefined || sources.length === 0 || !sources.every(isShareable)) return false;
  const asked = { ...wholeMicroseconds(range), isOptional: true };
  const { partOf, isAgain } = await shared.read(idsOf(sources), asked);
  return isAgain || !partOf.includes(0);
}

function idsOf(sources: readonly Source[]): Uint32Array {
  return Uint32Array.from(sources, ({ seriesIds }) => seriesIds[0]);
}

/** As in the statements: the engine has whole microseconds. */
function wholeMicroseconds({ afterMs, toMs }: Range): Range {
  return { afterMs: Math.floor(afterMs * 1_000) / 1_000, toMs: Math.floor(toMs * 1_000) / 1_000 };
}

async function* inBatches(
  series: Iterable<SeriesSamples>,
  budget: ReadBudget,
): AsyncIterable<readonly SeriesSamples[]> {
  let batch: SeriesSamples[] = [];
  for (const each of series) {
    budget.countSamples(each.values.length);
    batch.push(each);
    if (batch.length < SERIES_AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Makes a group of some series of the head. */
function copyOf(
  head: SharedPart,
  wanted: readonly Source[],
  { ticket, afterMs, bytesMax }: SharedBegun,
  shared: SharedReads,
): SharedPart {
  const chunk = withoutPause(joinedSteps(head, afterMs, idsOf(wanted)));
  const isTooLarge = bytesOfChunk(chunk) > bytesMax;
  shared.settle(ticket, isTooLarge ? "too large" : { chunks: [chunk], tailLength: 0, afterMs });
  return { chunks: [chunk], tail: NO_ROWS, areSorted: true, neededAfterMs: afterMs };
}

/** The part of the samples that is in a range. */
function within(sources: readonly Source[], samples: Gathered, range: Range): readonly SeriesSamples[] {
  const { begins, ends, timestampsMs, values, stale } = samples;
  const found: SeriesSamples[] = [];
  for (const [slot, { labels }] of sources.entries()) {
    const all = timestampsMs.subarray(begins[slot], ends[slot]);
    const [from, to] = rangeOf(all, range);
    if (from === to) continue;
    const [begin, end] = [begins[slot] + from, begins[slot] + to];
    found.push({
      labels,
      timestampsMs: all.subarray(from, to),
      values: values.subarray(begin, end),
      stale: stale?.subarray(begin, end),
    });
  }
  return found;
}

/** Makes a group of samples while they are read. */
class Making {
  readonly range: Range;
  readonly #begun: SharedBegun;
  readonly #settle: (result: SharedMade | "too large" | "failed") => void;
  #chunks: SampleChunk[] | undefined = [];
  #bytes = 0;
  #isSettled = false;

  constructor(begun: SharedBegun, { shared, days }: StoredRows) {
    this.#begun = begun;
    this.#settle = (result) => {
      if (!this.#isSettled) shared!.settle(begun.ticket, result);
      this.#isSettled = true;
    };
    const known = new Set(days().map(({ day }) => day));
    // A day that began in this moment.
    if (!begun.days.every((day) => known.has(day))) this.close();
    const endMs = (Math.max(...begun.days, 0) + 1) * DAY_MS;
    this.range = { afterMs: begun.afterMs, toMs: Math.max(begun.afterMs, Math.min(begun.toMs, endMs)) };
  }

  add(sources: readonly Source[], samples: Gathered): void {
    if (this.#chunks === undefined || this.#isSettled) return;
    const { begins, ends } = samples;
    let count = 0;
    for (let slot = 0; slot < sources.length; slot++) count += ends[slot] - begins[slot];
    if (this.#bytes + count * Float64Array.BYTES_PER_ELEMENT > this.#begun.bytesMax) {
      this.#tooLarge();
      return;
    }
    const chunk = chunkOf(placesOf(sources, samples), samples);
    this.#bytes += bytesOfChunk(chunk);
    if (this.#bytes > this.#begun.bytesMax) this.#tooLarge();
    else this.#chunks.push(chunk);
  }

  finish(): void {
    if (this.#chunks !== undefined)
      this.#settle({ chunks: this.#chunks, tailLength: 0, afterMs: this.#begun.afterMs });
  }

  /** Nothing more is read. */
  close(): void {
    this.#settle("failed");
  }

  #tooLarge(): void {
    this.#chunks = undefined;
    this.#settle("too large");
  }
}

/** Where those sources have their samples that have any. */
function placesOf(sources: readonly Source[], { begins, ends }: Gathered): SeriesPlaces {
  const slots: number[] = [];
  for (let slot = 0; slot < sources.length; slot++) if (ends[slot] > begins[slot]) slots.push(slot);
  return {
    seriesIds: Uint32Array.from(slots, (slot) => sources[slot].seriesIds[0]),
    begins: Uint32Array.from(slots, (slot) => begins[slot]),
    ends: Uint32Array.from(slots, (slot) => ends[slot]),
  };
}
