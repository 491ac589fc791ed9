/**
 * Reads the samples of many sources in portions of less than a million, so that a query over a week of everything takes no
 * more memory than one over an hour. Most queries are one portion, which is tried first: counting samples beforehand
 * takes a third of the time of reading them.
 */
import type { ReadBudget } from "../storage.ts";
import type { Source } from "../catalog/catalog.ts";
import type { DayReader, Range, SampleOrder } from "./day-reader.ts";
import { type Gathered, Gatherer } from "./gather.ts";
import type { LargeReads } from "./stored-rows.ts";

/** Sources with their samples, by their index among the sources. */
interface Portion {
  readonly sources: readonly Source[];
  readonly samples: Gathered;
}

/**
 * 16 bytes per sample here, 27 MB where days are joined; 40 to 60 bytes in the engine while it groups them. Four queries at once
 * over all of 10 million samples need 0.55 GB with 500,000 and 0.72 GB with 1,000,000, but 27 and 16 CPU-s.
 */
const ROWS_AT_ONCE = 800_000;
/** What is not more than this is one portion: reading it again in two takes twice as long. */
const ROWS_OF_WHOLE = 2 * ROWS_AT_ONCE;
/**
 * A portion of this size is read without waiting for others: 10 MB of the engine's memory. While another query read
 * three million samples again and again, a query of one series took 41 to 98 ms at the 95th percentile. When it waited
 * like all others, it took 0.6 s.
 */
const ROWS_OF_FEW = 200_000;
const SERIES_OF_FEW = 250;

/** A portion is too large. */
class TooManyRows extends Error {}

interface Ask {
  readonly large: LargeReads;
  readonly reader: DayReader;
  readonly budget: ReadBudget;
}

export async function* portions(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
  budget: ReadBudget,
  large: LargeReads,
  rowsMax: number = ROWS_AT_ONCE,
): AsyncIterable<Portion> {
  for (const layer of layersOf(sources)) yield* portionsOf(layer, range, { reader, budget, large }, rowsMax);
}

/**
 * Divides sources into lists, mostly one: any two of a list have either all their stored series in common, as a
 * histogram's sum and count have, or none. Patterns of names can find one of two metrics by one name, and both by
 * another.
 */
function layersOf(sources: readonly Source[]): (readonly Source[])[] {
  if (sources.every(({ seriesIds }) => seriesIds.length === 1)) return [sources];
  const layers: { readonly sources: Source[]; readonly ownerOf: Map<number, readonly number[]> }[] = [];
  for (const source of sources) {
    const { seriesIds } = source;
    const isPlace = ({ ownerOf }: (typeof layers)[number]) => {
      const owner = ownerOf.get(seriesIds[0]);
      return (
        seriesIds.every((id) => ownerOf.get(id) === owner) &&
        (owner === undefined || owner.length === seriesIds.length)
      );
    };
    let layer = layers.find(isPlace);
    if (layer === undefined) {
      layer = { sources: [], ownerOf: new Map() };
      layers.push(layer);
    }
    layer.sources.push(source);
    if (!layer.ownerOf.has(seriesIds[0])) for (const id of seriesIds) layer.ownerOf.set(id, seriesIds);
  }
  return layers.map((layer) => layer.sources);
}

async function* portionsOf(
  sources: readonly Source[],
  range: Range,
  ask: Ask,
  rowsMax: number,
): AsyncIterable<Portion> {
  const { reader, large } = ask;
  let whole: Gatherer | undefined;
  if (rowsMax > ROWS_OF_FEW && idsOf(sources).length <= SERIES_OF_FEW)
    whole = await readUpTo(ROWS_OF_FEW, sources, range, ask);
  const wholeMax = rowsMax === ROWS_AT_ONCE ? ROWS_OF_WHOLE : rowsMax;
  whole ??= await oneAtATime(ask, () => readUpTo(wholeMax, sources, range, ask));
  if (whole !== undefined) {
    yield { sources, samples: whole.finish() };
    return;
  }
  large.free?.();
  const counts = await reader.counts(idsOf(sources), range);
  for (const { sources: part, rows } of partsOf(sources, counts, rowsMax)) {
    const slices = slicesOf(range, Math.ceil(rows / rowsMax));
    const read = await oneAtATime(ask, () => readAll(part, slices, Number.MAX_SAFE_INTEGER - 1, ask));
    yield { sources: part, samples: read.finish() };
    large.free?.();
  }
}

async function oneAtATime<T>({ large, budget }: Ask, read: () => Promise<T>): Promise<T> {
  return await large.run(read, budget.signal);
}

/** Reads everything if it is no more than a number of samples; undefined if it is more. */
async function readUpTo(
  rowsMax: number,
  sources: readonly Source[],
  range: Range,
  ask: Ask,
): Promise<Gatherer | undefined> {
  try {
    return await readAll(sources, [range], rowsMax, ask);
  } catch (error) {
    if (error instanceof TooManyRows) return undefined;
    throw error;
  }
}

async function readAll(
  sources: readonly Source[],
  slices: readonly Range[],
  rowsMax: number,
  { reader, budget }: Ask,
): Promise<Gatherer> {
  const gatherer = new Gatherer(sources.map(({ seriesIds }) => seriesIds));
  const ids = idsOf(sources);
  const order = orderOf(sources);
  try {
    for (const slice of slices) {
      await reader.samples(ids, slice, order, rowsMax + 1, (samples) => {
        if (gatherer.rows + samples.values.length > rowsMax) throw new TooManyRows();
        budget.countSamples(samples.values.length);
        gatherer.take(samples);
      });
    }
  } catch (error) {
    // These samples will be read again.
    if (error instanceof TooManyRows) budget.countSamples(-gatherer.rows);
    throw error;
  }
  return gatherer;
}

/** How the samples of sources are read. */
export function orderOf(sources: readonly Source[]): SampleOrder {
  return { withArrivals: needArrivals(sources), mayBePacked: sources.some(mayBePacked) };
}

/** Whether samples of a source can be in blocks. */
export function mayBePacked({ shape, metric: { kind } }: Source): boolean {
  return shape === "raw" && (kind === "gauge" || kind === "cumulative");
}

/**
 * Whether the last sample to arrive counts if several have one time: for events, and for stored series that are
 * returned as one. Totals do not depend on the order.
 */
function needArrivals(sources: readonly Source[]): boolean {
  return sources.some(
    ({ shape, seriesIds, metric: { kind } }) =>
      shape === "raw" && (kind === "observation" || kind === "delta" || seriesIds.length > 1),
  );
}

/** Divides the sources into parts with no more samples than can be read at once, and at least one source. */
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

/** Divides the range into equal parts: a single series with more samples than can be read at once is read in slices. */
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
