/**
 * Reads the rows of many sources in portions of some two million, so that a query over a week of everything
 * holds no more memory than one over an hour. Most queries are one portion, which is tried first: to count rows
 * beforehand takes half as long as to read them.
 */
import type { ReadBudget } from "../storage.ts";
import type { Source } from "./catalog.ts";
import type { DayReader, Range } from "./day-reader.ts";
import { type Gathered, Gatherer } from "./gather.ts";

/** Sources with their rows, by their place among the sources; the rows are gone with the next portion. */
export interface Portion {
  readonly sources: readonly Source[];
  readonly rows: Gathered;
}

/** 36 bytes a row while rows are put in order: some 75 MB. */
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
  const counted = await (async () => {
    try {
      const most = sources.length > 1 ? rowsMax : Number.POSITIVE_INFINITY;
      return { first: await read(sources, range, reader, budget, most) };
    } catch (error) {
      if (!(error instanceof TooManyRows)) throw error;
      return { counts: await reader.counts(idsOf(sources), range) };
    }
  })();
  if (counted.first !== undefined) {
    yield* handOver(sources, counted.first);
    return;
  }
  for (const part of partsOf(sources, counted.counts, rowsMax)) {
    yield* handOver(part, await read(part, range, reader, budget, Number.POSITIVE_INFINITY));
  }
}

function* handOver(sources: readonly Source[], gatherer: Gatherer): Iterable<Portion> {
  try {
    yield { sources, rows: gatherer.finish() };
  } finally {
    gatherer.release();
  }
}

async function read(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
  budget: ReadBudget,
  rowsMax: number,
): Promise<Gatherer> {
  const gatherer = new Gatherer(sources.map(({ seriesIds }) => seriesIds));
  try {
    await reader.samples(idsOf(sources), range, (ids, timestampsUs, values, length, isNull) => {
      if (gatherer.rows + length > rowsMax) throw new TooManyRows();
      budget.countSamples(length);
      gatherer.take(ids, timestampsUs, values, length, isNull);
    });
  } catch (error) {
    gatherer.release();
    // What was read in vain is read again.
    if (error instanceof TooManyRows) budget.countSamples(-gatherer.rows);
    throw error;
  }
  return gatherer;
}

/** The sources in parts of no more rows than can be read at once, one at least. */
function partsOf(
  sources: readonly Source[],
  counts: ReadonlyMap<number, number>,
  rowsMax: number,
): Source[][] {
  const parts: Source[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const source of sources) {
    const own = source.seriesIds.reduce((sum, id) => sum + (counts.get(id) ?? 0), 0);
    if (rows + own > rowsMax) {
      parts.push([]);
      rows = 0;
    }
    parts.at(-1)!.push(source);
    rows += own;
  }
  return parts;
}

export function idsOf(sources: readonly Source[]): number[] {
  return sources.flatMap(({ seriesIds }) => seriesIds);
}
