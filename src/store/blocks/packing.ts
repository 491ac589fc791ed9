/**
 * Packs a day: rows of gauges and cumulative series whose spans are closed become blocks.
 *
 * Rows are read and encoded in slices, beside everything else, into a table that no reader sees. Then one transaction makes
 * the blocks visible, and writes the day's table again without their rows. So each sample is a row or in a block, at any
 * moment and after a kill at any moment, and statements see it once.
 *
 * The numbers of rows that others keep (watermarks of the totals) count the samples in blocks as the first rows of the day.
 * So they stay the same: only rows that a stored snapshot of the totals contains are packed.
 */
import { MICROSECONDS_PER_DAY } from "../../model/sample.ts";
import { TimeSlices } from "../../model/tasks/time-slices.ts";
import type { Connection } from "../engine/duckdb.ts";
import { faultOf } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import { areReceived, shiftForwarded } from "../tables/forward-rows.ts";
import type { Reader } from "../store.ts";
import type { DayColumns } from "../tables/days.ts";
import { BLOCK_TYPES, blockColumns } from "./block-columns.ts";
import type { EncodedBlocks } from "./decode.ts";
import { type Block, blocksOf } from "./encode.ts";
import { joined } from "./join.ts";
import { type Packed, StayingRows } from "./staying-rows.ts";

/** Spans are as long as those of Prometheus's head: a series that is scraped every 15 s has 480 samples in one. */
export const SPAN_US = 2 * 3_600_000_000;

/** Samples that are read, encoded and appended at once: some 20 MB in the engine, and 5 MB here. */
const SAMPLES_AT_ONCE = 250_000;

/** Fewer samples are not worth the transaction, unless the day is over. */
const SAMPLES_MIN = 50_000;
/**
 * The day's table is written again without the packed rows: 0.3 to 0.5 CPU-s per million rows that stay. During a day, that
 * happens again after each span, so a day with many other rows is packed once, when it is over. A packed sample saves some 2
 * bytes, so that a day of which hardly any sample can be packed is not worth it.
 */
const ROWS_LEFT_MAX = 4_000_000;
const ROWS_LEFT_PER_SAMPLE = 2;
const ROWS_LEFT_PER_SAMPLE_OF_CLOSED_DAY = 20;

/** What packing needs of the store. */
export interface PackingHost {
  reader(): Promise<Reader>;
  /** Runs an action on the writer's connection when no other operation runs, and the journal is empty. */
  inOrder<T>(action: (writer: Connection) => Promise<T>): Promise<T>;
  /** Call it in an operation. */
  transaction(action: () => Promise<void>): Promise<void>;
  day(day: number): DayColumns | undefined;
  /** Whether the rows of a day have to stay where they are. */
  isHeld(day: number): boolean;
  /** Who reads rows of the store by their ids, if anyone does. */
  follower(): RowIdFollower | undefined;
  /** A number that changes when rows of day tables get other ids. */
  numbering(): number;
  /** Call it before rows get other ids, and again afterwards. */
  noteRenumbering(): void;
}

/** Destinations that read rows by their ids. They get no samples from blocks, so rows that all of them have can be packed. */
export interface RowIdFollower {
  /** The keys of what they have received, without the day. */
  streams(): readonly string[];
  /** Up to which row of a day all of them have received everything. */
  receivedBefore(day: number): number;
  /** Rows will get other ids. Resolves when nothing is stored by the present ids any more. `forget` follows. */
  expectRenumbering(): Promise<void>;
  /** Rows have other ids, and stored records were changed. */
  forget(): void;
}

export interface PackRequest {
  /** Days since 1970. */
  readonly day: number;
  /** Samples before this time are packed, microseconds since the epoch. */
  readonly untilUs: number;
  /** Packs however few rows there are, and however many would stay. */
  readonly isForced?: boolean;
  /** How many of the other rows are copied at once, by default two row groups. */
  readonly rowsAtOnce?: number;
  /** Asked between two slices: if it returns true, nothing of the day is packed. */
  readonly isStopped?: () => boolean;
  /** Called if some rows cannot be packed now, and possibly can later: they are held, or a destination lacks them. */
  readonly onPostponed?: () => void;
}

/** Packs a day. Returns how many samples are in blocks now that were rows. */
export async function packDay(host: PackingHost, request: PackRequest): Promise<number> {
  const { day } = request;
  const postponed = () => {
    request.onPostponed?.();
    return 0;
  };
  const untilUs = Math.min(request.untilUs, (day + 1) * MICROSECONDS_PER_DAY);
  if (host.isHeld(day)) return postponed();
  const numbering = host.numbering();
  const rowEnd = await host.inOrder(async (writer) => {
    const end = await packableEnd(host, writer, day);
    const found = host.day(day);
    if (found !== undefined && end < found.rows - found.packed) postponed();
    return end;
  });
  if (rowEnd === 0) return 0;
  const table = host.day(day)!.table;
  let isExpected = false;
  const packed = { rowEnd, untilUs };
  const staying = new StayingRows(host, host.day(day)!, packed, request.rowsAtOnce);
  const reader = await host.reader();
  try {
    const samples = await countPackable(reader, table, packed);
    if (samples === 0) return 0;
    if (request.isForced !== true && !isWorthwhile(host.day(day), samples, untilUs)) return 0;
    await host.inOrder((writer) => host.transaction(() => writer.run(statement("store/empty_made_blocks"))));
    let made = 0;
    for (let fromUs = day * MICROSECONDS_PER_DAY; fromUs < untilUs; fromUs += SPAN_US) {
      const span = { rowEnd, fromUs, untilUs: Math.min(untilUs, fromUs + SPAN_US) };
      for (const slice of slicesOf(await seriesOf(reader, table, span))) {
        if (request.isStopped?.() === true) return postponed();
        const blocks = await readSlice(reader, table, { ...span, ...slice });
        made += blocks.reduce((sum, block) => sum + block.samples, 0);
        await host.inOrder((writer) =>
          host.transaction(() =>
            writer.appendColumns("weir", "made_blocks", BLOCK_TYPES, [blockColumns(day, blocks)]),
          ),
        );
      }
    }
    if (made !== samples || !(await staying.copy(reader, () => request.isStopped?.() === true)))
      return postponed();
    const follower = host.follower();
    await follower?.expectRenumbering();
    isExpected = follower !== undefined;
    return await host.inOrder(async (writer) => {
      const now = host.day(day);
      // Samples were deleted, or the day was dropped, meanwhile.
      if (now === undefined || numbering !== host.numbering() || host.isHeld(day)) return postponed();
      if (!staying.fits(now) || !(await isAllMade(writer, day, samples))) return postponed();
      const isReceived =
        follower === undefined
          ? !(await isForwarded(writer))
          : await areReceived(writer, day, follower.streams(), rowEnd);
      if (!isReceived) return postponed();
      await replaceRows(host, writer, now, staying, { rowEnd, samples });
      return samples;
    });
  } catch (error) {
    // Retention dropped the day meanwhile.
    if (faultOf(error) === "day dropped") return 0;
    throw error;
  } finally {
    if (isExpected) host.follower()?.forget();
    reader.close();
    // A start drops what is left here.
    await staying.drop().catch(() => undefined);
  }
}

/** The row id behind the last row that may be packed. */
async function packableEnd(host: PackingHost, writer: Connection, day: number): Promise<number> {
  const found = host.day(day);
  if (found === undefined) return 0;
  const follower = host.follower();
  if (follower === undefined && (await isForwarded(writer))) return 0;
  const received = follower?.receivedBefore(day) ?? Number.POSITIVE_INFINITY;
  // The stored watermark: what the store knows of it may be of a snapshot that failed.
  const watermarks = await writer.all<{ day: number; rows: number }>(statement("store/load_watermarks"));
  const watermark = watermarks.find((each) => each.day === day)?.rows ?? 0;
  return Math.min(received, Math.max(0, Math.min(watermark, found.rows) - found.packed));
}

/**
 * Whether the store has records of destinations. Without forwarding, nobody knows which destinations have received nothing yet.
 */
async function isForwarded(writer: Connection): Promise<boolean> {
  return (await writer.all(statement("store/load_forwards"))).length > 0;
}

function isWorthwhile(day: DayColumns | undefined, samples: number, untilUs: number): boolean {
  if (day === undefined) return false;
  const isOver = untilUs === (day.day + 1) * MICROSECONDS_PER_DAY;
  if (samples < SAMPLES_MIN && !isOver) return false;
  const left = day.rows - day.packed - samples;
  // Late samples of a day that is packed already stay rows until there are enough of them.
  if (day.packed > 0 && samples < SAMPLES_MIN && samples * 10 < day.packed) return false;
  const worth = samples * (isOver ? ROWS_LEFT_PER_SAMPLE_OF_CLOSED_DAY : ROWS_LEFT_PER_SAMPLE);
  return left <= Math.max(SAMPLES_MIN, worth) && (isOver || left <= ROWS_LEFT_MAX);
}

interface PackableSeries {
  readonly seriesId: number;
  readonly samples: number;
}

/** The rows of a span that are packed. */
interface PackedSpan extends Packed {
  readonly fromUs: number;
}

async function countPackable(reader: Reader, table: string, packed: Packed): Promise<number> {
  const [count] = await reader.all<{ samples: number }>(statement("store/count_packable", { table }), {
    ...packed,
  });
  return count!.samples;
}

async function seriesOf(reader: Reader, table: string, span: PackedSpan): Promise<PackableSeries[]> {
  const found: PackableSeries[] = [];
  const sql = statement("store/packable_series", { table });
  await reader.scan(sql, { ...span }, 0, (columns, length) => {
    const [ids, counts] = columns as [Uint32Array, Float64Array];
    for (let row = 0; row < length; row++) found.push({ seriesId: ids[row]!, samples: counts[row]! });
  });
  return found.sort((a, b) => a.seriesId - b.seriesId);
}

interface IdRange {
  readonly firstId: number;
  readonly lastId: number;
}

/** Ranges of ids. One range is read at once, so it has at most SAMPLES_AT_ONCE samples, unless it is one series. */
function slicesOf(series: readonly PackableSeries[]): IdRange[] {
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

/** Reads and encodes the samples of some series in a span. */
async function readSlice(reader: Reader, table: string, slice: PackedSpan & IdRange): Promise<Block[]> {
  const slices = new TimeSlices();
  const blocks: Block[] = [];
  const sql = statement("store/packable_rows", { table });
  await reader.scanBlocks(sql, { ...slice }, async (rows) => {
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
async function isAllMade(writer: Connection, day: number, samples: number): Promise<boolean> {
  const [made] = await writer.all<{ samples: number; all_samples: number }>(statement("store/made_samples"), [
    day,
  ]);
  return made!.samples === samples && made!.all_samples === samples;
}

/** Makes the blocks visible in place of their rows, in one transaction. */
async function replaceRows(
  host: PackingHost,
  writer: Connection,
  day: DayColumns,
  staying: StayingRows,
  { rowEnd, samples }: { readonly rowEnd: number; readonly samples: number },
): Promise<void> {
  const { table } = day;
  host.noteRenumbering();
  try {
    await host.transaction(async () => {
      if (host.follower() !== undefined) await shiftForwarded(writer, day.day, rowEnd, samples);
      await staying.replace(writer);
      await writer.run(statement("store/move_made_blocks"));
      await writer.run(statement("store/empty_made_blocks"));
      const [count] = await writer.all<{ rows: number }>(statement("store/count_rows", { table }));
      const left = day.rows - day.packed - samples;
      if (count!.rows !== left)
        throw new Error(`the day ${table} has ${count!.rows} rows beside its blocks instead of ${left}`);
    });
    staying.replaced();
    day.packed += samples;
  } finally {
    host.noteRenumbering();
  }
}
