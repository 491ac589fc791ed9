/**
 * Reads the samples of many sources in portions of some two million, so that a query over a week of everything
 * holds no more memory than one over an hour. Most queries are one portion, which is tried first: to count samples
 * beforehand takes a third as long as to read them.
 */
import type { ReadBudget } from "../storage.ts";
import type { Source } from "./catalog.ts";
import type { DayReader, Range } from "./day-reader.ts";
import { type Gathered, Gatherer } from "./gather.ts";

/** Sources with their samples, by their place among the sources; the samples are gone with the next portion. */
export interface Portion {
  readonly sources: readonly Source[];
  readonly samples: Gathered;
}

/** 16 bytes a sample here, and while the engine puts them together about 40 there: some 110 MB. */
export const ROWS_AT_ONCE = 2_000_000;

/** A portion turned out to be too large. */
class TooManyRows extends Error {}

export async function* portions(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
  budget: ReadBudget,
  rowsMax: number = ROWS_AT_ONCE,
): AsyncIterable<Portion> {
  let whole: Gatherer | undefined;
  try {
    whole = await read(sources, [range], reader, budget, rowsMax);
  } catch (error) {
    if (!(error instanceof TooManyRows)) throw error;
  }
  if (whole !== undefined) {
    yield* handOver(sources, whole);
    return;
  }
  const counts = await reader.counts(idsOf(sources), range);
  for (const { sources: part, rows } of partsOf(sources, counts, rowsMax)) {
    const slices = slicesOf(range, Math.ceil(rows / rowsMax));
    yield* handOver(part, await read(part, slices, reader, budget, Number.MAX_SAFE_INTEGER - 1));
  }
}

function* handOver(sources: readonly Source[], gatherer: Gatherer): Iterable<Portion> {
  try {
    yield { sources, samples: gatherer.finish() };
  } finally {
    gatherer.release();
  }
}

async function read(
  sources: readonly Source[],
  slices: readonly Range[],
  reader: DayReader,
  budget: ReadBudget,
  rowsMax: number,
): Promise<Gatherer> {
  const gatherer = new Gatherer(sources.map(({ seriesIds }) => seriesIds));
  const ids = idsOf(sources);
  const withArrivals = sources.some(hasEqualTimes);
  try {
    for (const slice of slices) {
      await reader.samples(ids, slice, withArrivals, rowsMax + 1, (samples) => {
        if (gatherer.rows + samples.values.length > rowsMax) throw new TooManyRows();
        budget.countSamples(samples.values.length);
        gatherer.take(samples);
      });
    }
  } catch (error) {
    gatherer.release();
    // What was read in vain is read again.
    if (error instanceof TooManyRows) budget.countSamples(-gatherer.rows);
    throw error;
  }
  return gatherer;
}

/** Whether of several samples at one time the last to arrive is meant; totals do not care. */
function hasEqualTimes({ shape, metric: { kind } }: Source): boolean {
  return shape === "raw" && (kind === "observation" || kind === "delta");
}

/** The sources in parts of no more samples than can be read at once, one source at least. */
function partsOf(
  sources: readonly Source[],
  counts: ReadonlyMap<number, number>,
  rowsMax: number,
): { sources: Source[]; rows: number }[] {
  const parts: { sources: Source[]; rows: number }[] = [];
  for (const source of sources) {
    const rows = source.seriesIds.reduce((sum, id) => sum + (counts.get(id) ?? 0), 0);
    const part = parts.at(-1);
    if (part === undefined || part.rows + rows > rowsMax) parts.push({ sources: [source], rows });
    else {
      part.sources.push(source);
      part.rows += rows;
    }
  }
  return parts;
}

/** The range in so many equal parts: a single series of more samples than can be read at once is read in slices. */
function slicesOf({ afterMs, toMs }: Range, count: number): Range[] {
  const lengthMs = Math.ceil((toMs - afterMs) / Math.max(1, count));
  return Array.from({ length: Math.max(1, count) }, (_, slice) => ({
    afterMs: Math.min(toMs, afterMs + slice * lengthMs),
    toMs: Math.min(toMs, afterMs + (slice + 1) * lengthMs),
  })).filter((slice) => slice.afterMs < slice.toMs);
}

export function idsOf(sources: readonly Source[]): number[] {
  return sources.flatMap(({ seriesIds }) => seriesIds);
}
