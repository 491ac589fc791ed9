/**
 * Divides the samples of a metric into slices that the engine can sort in little memory. Each is a file. Pure, but for what it reads.
 *
 * A slice has some whole minutes, because the tables of days are in the order of arrival: the engine reads only the row groups with
 * these minutes, and not the day once per file. Blocks have the samples of one series over hours, so a metric with blocks is divided
 * by series. What is too much for a file still, a minute or a series, is divided by the other.
 */
import { microsecondsText } from "../../model/time.ts";
import { quoteText, statement } from "../../store/statements.ts";
import type { Reader } from "../../store/store.ts";

/** A condition on the rows of a metric, as SQL. */
export type SliceCondition = string;

const MINUTE_US = 60_000_000;

/** The slices of a metric with more than `rowsMax` samples, in their order. One with more has a minute of one series. */
export async function slicesOfMetric(
  reader: Reader,
  metric: string,
  { rowsMax, hasBlocks }: { readonly rowsMax: number; readonly hasBlocks: boolean },
): Promise<SliceCondition[]> {
  const slices: SliceCondition[] = [];
  if (hasBlocks) {
    for (const slice of gathered(await seriesOf(reader, "archive/series_of_metric", [metric]), rowsMax)) {
      if (!isTooLarge(slice, rowsMax)) slices.push(seriesBetween(slice));
      else slices.push(...(await slicesOfSeries(reader, slice.from, rowsMax)));
    }
    return slices;
  }
  for (const slice of gathered(await minutesOf(reader, "archive/minutes_of_metric", metric), rowsMax)) {
    const time = timesBetween(slice);
    if (!isTooLarge(slice, rowsMax)) {
      slices.push(time);
      continue;
    }
    const span = [metric, slice.from, slice.to + MINUTE_US];
    for (const series of gathered(await seriesOf(reader, "archive/series_of_span", span), rowsMax))
      slices.push(`${seriesBetween(series)} AND ${time}`);
  }
  return slices;
}

async function slicesOfSeries(reader: Reader, seriesId: number, rowsMax: number): Promise<SliceCondition[]> {
  const minutes = gathered(await minutesOf(reader, "archive/minutes_of_series", seriesId), rowsMax);
  return minutes.map((slice) => `d.series_id = ${seriesId} AND ${timesBetween(slice)}`);
}

async function seriesOf(reader: Reader, name: string, parameters: (string | number)[]): Promise<Counted[]> {
  const rows = await reader.all<{ series_id: number; samples: number }>(statement(name), parameters);
  return rows.map(({ series_id: at, samples }) => ({ at, samples }));
}

async function minutesOf(reader: Reader, name: string, of: string | number): Promise<Counted[]> {
  const rows = await reader.all<{ minute_us: number; samples: number }>(statement(name), [of]);
  return rows.map(({ minute_us: at, samples }) => ({ at, samples }));
}

function seriesBetween({ from, to }: Gathered): string {
  return `d.series_id BETWEEN ${from} AND ${to}`;
}

function timesBetween({ from, to }: Gathered): string {
  return `d.ts >= ${timeOf(from)} AND d.ts < ${timeOf(to + MINUTE_US)}`;
}

function timeOf(us: number): string {
  return `TIMESTAMP ${quoteText(microsecondsText(us).replace("T", " ").replace("Z", ""))}`;
}

/** A series or a minute, and how many samples it has. */
interface Counted {
  readonly at: number;
  readonly samples: number;
}

interface Gathered {
  readonly from: number;
  readonly to: number;
  readonly sum: number;
}

function isTooLarge({ from, to, sum }: Gathered, rowsMax: number): boolean {
  return from === to && sum > rowsMax;
}

/** Neighbours with at most `max` samples together. One with more is alone. */
function gathered(items: readonly Counted[], max: number): Gathered[] {
  const found: { from: number; to: number; sum: number }[] = [];
  for (const { at, samples } of items) {
    const last = found.at(-1);
    if (last === undefined || last.sum + samples > max) found.push({ from: at, to: at, sum: samples });
    else {
      last.to = at;
      last.sum += samples;
    }
  }
  return found;
}
