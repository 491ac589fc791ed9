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
import { dateText } from "../../model/time.ts";
import type { Connection } from "../engine/duckdb.ts";
import { faultOf } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import { areReceived, shiftForwarded } from "../tables/forward-rows.ts";
import type { Reader } from "../store.ts";
import type { DayColumns } from "../tables/days.ts";
import {
  emptyMadeBlocks,
  encodedRows,
  isAllMade,
  makeBlocks,
  type SamplesOfSeries,
  slicesOf,
  SPAN_US,
} from "./made-blocks.ts";
import { mergeBlocks } from "./merging.ts";
import { type Packed, StayingRows } from "./staying-rows.ts";

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
  const { day, isForced = false, isStopped } = request;
  const hadBlocks = (host.day(day)?.packed ?? 0) > 0;
  const samples = await packRows(host, request);
  // Late samples have made further blocks.
  if (isForced || (hadBlocks && samples > 0)) await mergeBlocks(host, day, isStopped);
  return samples;
}

async function packRows(host: PackingHost, request: PackRequest): Promise<number> {
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
    await emptyMadeBlocks(host);
    let made = 0;
    for (let fromUs = day * MICROSECONDS_PER_DAY; fromUs < untilUs; fromUs += SPAN_US) {
      const span = { rowEnd, fromUs, untilUs: Math.min(untilUs, fromUs + SPAN_US) };
      for (const slice of slicesOf(await seriesOf(reader, table, span))) {
        if (request.isStopped?.() === true) return postponed();
        const sql = statement("store/packable_rows", { table });
        made += await makeBlocks(host, day, await encodedRows(reader, sql, { ...span, ...slice }));
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

async function seriesOf(reader: Reader, table: string, span: PackedSpan): Promise<SamplesOfSeries[]> {
  const found: SamplesOfSeries[] = [];
  const sql = statement("store/packable_series", { table });
  await reader.scan(sql, { ...span }, 0, (columns, length) => {
    const [ids, counts] = columns as [Uint32Array, Float64Array];
    for (let row = 0; row < length; row++) found.push({ seriesId: ids[row]!, samples: counts[row]! });
  });
  return found.sort((a, b) => a.seriesId - b.seriesId);
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
      await writer.run(statement("store/note_archived_day_packed"), [dateText(day.day)]);
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
