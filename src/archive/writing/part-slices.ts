/**
 * Divides the samples of a metric into slices that the engine can sort within its limit of memory. Each is a file: some series, or
 * some whole minutes of one series. Pure, but for what it reads.
 */
import { microsecondsText } from "../../model/time.ts";
import { quoteText, statement } from "../../store/statements.ts";
import type { Reader } from "../../store/store.ts";

/** A condition on the rows of a metric, as SQL. */
export type SliceCondition = string;

/** The slices of a metric with more than `rowsMax` samples, in the order of series and time. */
export async function slicesOfMetric(
  reader: Reader,
  metric: string,
  rowsMax: number,
): Promise<SliceCondition[]> {
  const series = await reader.all<{ series_id: number; samples: number }>(
    statement("archive/series_of_metric"),
    [metric],
  );
  const slices: SliceCondition[] = [];
  for (const { from, to, sum } of gathered(
    series.map(({ series_id: at, samples }) => ({ at, samples })),
    rowsMax,
  )) {
    const isOne = from === to;
    if (!isOne || sum <= rowsMax) slices.push(`d.series_id BETWEEN ${from} AND ${to}`);
    else slices.push(...(await slicesOfSeries(reader, from, rowsMax)));
  }
  return slices;
}

async function slicesOfSeries(reader: Reader, seriesId: number, rowsMax: number): Promise<SliceCondition[]> {
  const minutes = await reader.all<{ minute_us: number; samples: number }>(
    statement("archive/minutes_of_series"),
    [seriesId],
  );
  const ranges = gathered(
    minutes.map(({ minute_us: at, samples }) => ({ at, samples })),
    rowsMax,
  );
  return ranges.map(({ from, to }) => {
    const end = to + 60_000_000;
    return `d.series_id = ${seriesId} AND d.ts >= ${timeOf(from)} AND d.ts < ${timeOf(end)}`;
  });
}

function timeOf(us: number): string {
  return `TIMESTAMP ${quoteText(microsecondsText(us).replace("T", " ").replace("Z", ""))}`;
}

interface Gathered {
  readonly from: number;
  readonly to: number;
  readonly sum: number;
}

/** Neighbours with at most `max` samples together. One with more is alone. */
function gathered(
  items: readonly { readonly at: number; readonly samples: number }[],
  max: number,
): Gathered[] {
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
