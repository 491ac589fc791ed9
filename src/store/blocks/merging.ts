/**
 * Merges the blocks of a span that late samples have made. Each packing of late samples adds a block to each of their series, with
 * few samples. A query decodes all of them, and they compress badly. So when a series has more than a few in a span, all its blocks
 * of the span become as few as hold its samples.
 *
 * New blocks are made beside everything else, in a table that nobody reads. One transaction deletes the old ones and makes the new
 * ones visible. So each sample is in one visible block, at any moment and after a kill at any moment. The samples stay the same, and
 * so do the numbers of rows that others keep.
 */
import { MICROSECONDS_PER_DAY } from "../../model/sample.ts";
import { faultOf } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import type { Reader } from "../store.ts";
import { SAMPLES_OF_BLOCK } from "./encode.ts";
import {
  emptyMadeBlocks,
  encodedRows,
  type IdRange,
  isAllMade,
  makeBlocks,
  SPAN_US,
  slicesOf,
} from "./made-blocks.ts";
import type { PackingHost } from "./packing.ts";

/** How many blocks a series may have in a span beside those that its samples need. */
const SPARE_MAX = 4;

/** The merged series of a span. */
interface MergedSpan {
  readonly fromUs: number;
  readonly untilUs: number;
  readonly seriesIds: readonly number[];
}

/** Merges what is scattered in a day. Returns how many samples were in such blocks. */
export async function mergeBlocks(
  host: PackingHost,
  day: number,
  isStopped: () => boolean = () => false,
): Promise<number> {
  if (host.isHeld(day) || (host.day(day)?.packed ?? 0) === 0) return 0;
  const numbering = host.numbering();
  const reader = await host.reader();
  try {
    const spans = await scatteredSpans(reader, day);
    if (spans.length === 0) return 0;
    await emptyMadeBlocks(host);
    let made = 0;
    for (const { slices, ...span } of spans) {
      for (const slice of slices) {
        if (isStopped()) return 0;
        const seriesIds = span.seriesIds.filter((id) => id >= slice.firstId && id <= slice.lastId);
        const { fromUs, untilUs } = span;
        const blocks = await encodedRows(reader, statement("store/scattered_rows"), {
          day,
          fromUs,
          untilUs,
          seriesIds,
        });
        made += await makeBlocks(host, day, blocks);
      }
    }
    return await host.inOrder(async (writer) => {
      // Blocks were added or deleted meanwhile, or the day was dropped.
      if (numbering !== host.numbering() || host.isHeld(day) || host.day(day) === undefined) return 0;
      if (!(await isAllMade(writer, day, made))) return 0;
      await host.transaction(async () => {
        let deleted = 0;
        for (const { fromUs, untilUs, seriesIds } of spans) {
          const [count] = await writer.all<{ samples: number }>(statement("store/count_scattered"), {
            day,
            fromUs,
            untilUs,
            seriesIds,
          });
          deleted += count!.samples;
          await writer.run(statement("store/delete_scattered"), { day, fromUs, untilUs, seriesIds });
        }
        if (deleted !== made) throw new Error(`merged blocks have ${made} samples instead of ${deleted}`);
        await writer.run(statement("store/move_made_blocks"));
        await writer.run(statement("store/empty_made_blocks"));
      });
      return made;
    });
  } catch (error) {
    // Retention dropped the day meanwhile.
    if (faultOf(error) === "day dropped") return 0;
    throw error;
  } finally {
    reader.close();
  }
}

/** The spans of a day with series that have too many blocks. */
async function scatteredSpans(
  reader: Reader,
  day: number,
): Promise<(MergedSpan & { readonly slices: readonly IdRange[] })[]> {
  const found = await reader.all<{ span: number; series_id: number; samples: number }>(
    statement("store/scattered_series"),
    [day, SAMPLES_OF_BLOCK, SPARE_MAX, SPAN_US],
  );
  return [...Map.groupBy(found, ({ span }) => span)].map(([span, series]) => ({
    fromUs: day * MICROSECONDS_PER_DAY + span * SPAN_US,
    untilUs: day * MICROSECONDS_PER_DAY + (span + 1) * SPAN_US,
    seriesIds: series.map(({ series_id }) => series_id),
    slices: slicesOf(series.map(({ series_id: seriesId, samples }) => ({ seriesId, samples }))),
  }));
}
