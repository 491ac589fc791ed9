/**
 * Blocks that are being made, in a table that no reader sees: of rows of a day, or of other blocks. Then a transaction moves all of them to
 * weir.blocks.
 */
import { TimeSlices } from "../../model/tasks/time-slices.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";
import type { Parameters, Reader } from "../store.ts";
import { BLOCK_TYPES, blockColumns } from "./block-columns.ts";
import type { EncodedBlocks } from "./decode.ts";
import { type Block, blocksOf } from "./encode.ts";
import { joined } from "./join.ts";
import type { PackingHost } from "./packing.ts";

/** Spans are as long as those of Prometheus's head: a series that is scraped every 15 s has 480 samples in one. */
export const SPAN_US = 2 * 3_600_000_000;

/** Samples that are read, encoded and appended at once: some 20 MB in the engine, and 5 MB here. */
const SAMPLES_AT_ONCE = 250_000;

type MakingHost = Pick<PackingHost, "inOrder" | "transaction">;

/** Forgets the blocks of an earlier attempt. */
export function emptyMadeBlocks(host: MakingHost): Promise<void> {
  return host.inOrder((writer) => host.transaction(() => writer.run(statement("store/empty_made_blocks"))));
}

/** Adds blocks to those that are being made. Returns how many samples they have. */
export async function makeBlocks(host: MakingHost, day: number, blocks: readonly Block[]): Promise<number> {
  await host.inOrder((writer) =>
    host.transaction(() =>
      writer.appendColumns("weir", "made_blocks", BLOCK_TYPES, [blockColumns(day, blocks)]),
    ),
  );
  return blocks.reduce((sum, block) => sum + block.samples, 0);
}

/** How many samples of a series are to be read. */
export interface SamplesOfSeries {
  readonly seriesId: number;
  readonly samples: number;
}

export interface IdRange {
  readonly firstId: number;
  readonly lastId: number;
}

/** Ranges of ids. One range is read at once, so it has at most SAMPLES_AT_ONCE samples, unless it is one series. */
export function slicesOf(series: readonly SamplesOfSeries[]): IdRange[] {
  const slices: { firstId: number; lastId: number; samples: number }[] = [];
  for (const { seriesId, samples } of series) {
    const slice = slices.at(-1);
    if (slice === undefined || slice.samples + samples > SAMPLES_AT_ONCE)
      slices.push({ firstId: seriesId, lastId: seriesId, samples });
    else {
      slice.lastId = seriesId;
      slice.samples += samples;
    }
  }
  return slices.map(({ firstId, lastId }) => ({ firstId, lastId }));
}

/** Reads and encodes samples. The statement returns those of some series in a span, in the columns of store/packable_rows. */
export async function encodedRows(reader: Reader, sql: string, parameters: Parameters): Promise<Block[]> {
  const slices = new TimeSlices();
  const blocks: Block[] = [];
  await reader.scanBlocks(sql, parameters, async (rows) => {
    for (let row = 0; row < rows.seriesIds.length; row++) {
      blocks.push(...blocksOfRow(rows, row));
      if (slices.isOver) await slices.next();
    }
  });
  // Blocks of one series and of neighbouring series are next to each other, and a query reads them together.
  return joined(blocks.sort((a, b) => a.seriesId - b.seriesId || a.firstUs - b.firstUs));
}

/** The blocks of a row of store/packable_rows. */
function blocksOfRow({ seriesIds, step, raws, rowTimes }: EncodedBlocks, row: number): Block[] {
  const from = rowTimes.begins[row]!;
  const length = rowTimes.lengths[row]!;
  const times = rowTimes.items.subarray(from, from + length);
  const values = raws.items.subarray(from, from + length);
  const stale = raws.nulls?.subarray(from, from + length);
  const samples = { seriesId: seriesIds[row]!, live: step[row] === 1, timestampsUs: times, values, stale };
  if (isAscending(times)) return blocksOf(samples);
  // A series has one sample per time.
  const order = Uint32Array.from({ length }, (_, at) => at).sort((a, b) => times[a]! - times[b]!);
  return blocksOf({
    ...samples,
    timestampsUs: Float64Array.from(order, (at) => times[at]!),
    values: Float64Array.from(order, (at) => values[at]!),
    stale: stale && Uint8Array.from(order, (at) => stale[at]!),
  });
}

function isAscending(times: Float64Array): boolean {
  for (let at = 1; at < times.length; at++) if (times[at]! <= times[at - 1]!) return false;
  return true;
}

/** Whether the blocks that were made are those of a day, and nothing else: another day may have been packed meanwhile. */
export async function isAllMade(writer: Connection, day: number, samples: number): Promise<boolean> {
  const [made] = await writer.all<{ samples: number; all_samples: number }>(statement("store/made_samples"), [
    day,
  ]);
  return made!.samples === samples && made!.all_samples === samples;
}
