/**
 * Samples as events again, in the shape in which they are pushed: what `weir import` took in comes out as the
 * equal multiset of time, name, value and tags.
 *
 * - **Order**: by time, and by arrival where that is equal.
 * - **Small steps**: some whole minutes of a day are read at a time, each from a reader of its own, so that no
 *   transaction lasts as long as the export and nothing of the size of a day is sorted. Samples that arrive
 *   meanwhile are there if their minutes were still to come.
 * - **Pace**: a chunk is read when it is asked for. One that takes longer than `chunkTimeoutMs` ends the export
 *   with an error; the whole may last as long as it needs. Whoever stops asking must `return()` the generator,
 *   since an old reader keeps the log from being moved into the file.
 */
import { Timeout } from "../model/errors.ts";
import { MICROSECONDS_PER_DAY, type Series } from "../model/sample.ts";
import { statement } from "../store/statements.ts";
import type { Cell, Day, Reader } from "../store/store.ts";

/** What an export needs of the store. */
export interface ExportStore {
  days(): readonly Day[];
  reader(): Promise<Reader>;
}

export interface ExportDependencies {
  readonly store: ExportStore;
  /** The series of an id that stands in a row. */
  seriesById(seriesId: number): Series | undefined;
  /** How long one chunk may take to be read. */
  readonly chunkTimeoutMs: number;
}

export interface ExportRange {
  /** Microseconds since the epoch: from this on … */
  readonly fromUs: number;
  /** … up to before this. */
  readonly toUs: number;
  /** One metric's name, as pushed; all if absent. */
  readonly metric?: string;
}

/** Some 20 MB of text: enough that finding the minutes weighs little, small enough to sort in memory. */
const STEP_ROWS_MAX = 65_536;

/** The column in which a day keeps the attributes past its last column, as a JSON object. */
const MORE_ATTRIBUTES = "more_attributes";

/** The samples of a range as lines of JSON, a chunk of some 2,000 lines at a time. */
export async function* exportLines(
  { store, seriesById, chunkTimeoutMs }: ExportDependencies,
  range: ExportRange,
): AsyncGenerator<string, void, undefined> {
  const writer = new EventWriter(seriesById);
  for (const day of store.days()) {
    const beginUs = Math.max(range.fromUs, day.day * MICROSECONDS_PER_DAY);
    const endUs = Math.min(range.toUs, (day.day + 1) * MICROSECONDS_PER_DAY);
    if (beginUs >= endUs) continue;
    for (const step of await stepsOf(store, chunkTimeoutMs, day, {
      ...range,
      fromUs: beginUs,
      toUs: endUs,
    })) {
      // Asked again: the day may have got columns, or be gone, since the step before.
      const now = store.days().find((each) => each.day === day.day);
      if (now === undefined) break;
      yield* readStep(store, chunkTimeoutMs, now, step, writer);
    }
  }
}

/** Parts of a range that begin and end with a minute and hold few rows, though never less than a minute. */
async function stepsOf(
  store: ExportStore,
  timeoutMs: number,
  { table }: Day,
  range: ExportRange,
): Promise<ExportRange[]> {
  const reader = await store.reader();
  try {
    const minutes = await within(timeoutMs, reader, () =>
      reader.all<{ minute_us: number; row_count: number }>(
        statement("query/export_minutes", { table }),
        parametersOf(range),
      ),
    );
    const steps: ExportRange[] = [];
    let fromUs = range.fromUs;
    let rows = 0;
    for (const { minute_us, row_count } of minutes) {
      if (rows > 0 && rows + row_count > STEP_ROWS_MAX) {
        steps.push({ ...range, fromUs, toUs: minute_us });
        fromUs = minute_us;
        rows = 0;
      }
      rows += row_count;
    }
    // The last one is open-ended, for what comes meanwhile.
    if (rows > 0) steps.push({ ...range, fromUs });
    return steps;
  } finally {
    reader.close();
  }
}

async function* readStep(
  store: ExportStore,
  timeoutMs: number,
  { table, attributes }: Day,
  step: ExportRange,
  writer: EventWriter,
): AsyncGenerator<string, void, undefined> {
  const reader = await store.reader();
  let chunks: AsyncIterator<readonly (readonly Cell[])[]> | undefined;
  try {
    const result = await within(timeoutMs, reader, () =>
      reader.stream(statement("query/export_samples", { table }), parametersOf(step)),
    );
    const names = new Map(attributes.map(({ name, column }) => [column, name]));
    const columns = result.columns
      .slice(EventWriter.fixedColumns)
      .map(({ name }) => ({ tag: names.get(name) ?? name, isRest: name === MORE_ATTRIBUTES }));
    const rows = result.chunks()[Symbol.asyncIterator]();
    chunks = rows;
    for (;;) {
      const chunk = await within(timeoutMs, reader, () => rows.next());
      if (chunk.done) return;
      yield writer.lines(chunk.value, columns);
    }
  } finally {
    await chunks?.return?.();
    reader.close();
  }
}

function parametersOf({ fromUs, toUs, metric }: ExportRange): Record<string, number | string | null> {
  return { fromUs, toUs, metric: metric ?? null };
}

/** Reads, and interrupts the reader when that takes too long. */
async function within<T>(timeoutMs: number, reader: Reader, read: () => Promise<T>): Promise<T> {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reader.interrupt();
  }, timeoutMs);
  try {
    return await read();
  } catch (error) {
    throw isLate
      ? new Timeout(`A part of the export took longer than ${timeoutMs} ms (sqlTimeoutMs).`, 503)
      : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Writes rows as events; keeps the text of each series' name and labels. */
class EventWriter {
  /** The columns before the attributes: series_id, timestamp_us, value. */
  static readonly fixedColumns = 3;
  readonly #seriesById: (seriesId: number) => Series | undefined;
  readonly #texts = new Map<number, SeriesText>();

  constructor(seriesById: (seriesId: number) => Series | undefined) {
    this.#seriesById = seriesById;
  }

  lines(
    rows: readonly (readonly Cell[])[],
    columns: readonly { readonly tag: string; readonly isRest: boolean }[],
  ): string {
    const tags = columns.map(({ tag }) => `${JSON.stringify(tag)}:`);
    let lines = "";
    for (const row of rows) {
      const text = this.#textOf(row[0] as number);
      let line = `{"@timestamp":${timestampText(row[1] as number)}${text.name}${valueText(row[2])},"tags":{${text.labels}`;
      let separator = text.labels === "" ? "" : ",";
      for (let index = 0; index < columns.length; index++) {
        const cell = row[EventWriter.fixedColumns + index];
        if (cell === null) continue;
        // The rest is a JSON object already: its braces are taken off.
        const tag = columns[index].isRest
          ? (cell as string).slice(1, -1)
          : tags[index] + JSON.stringify(cell);
        line += separator + tag;
        separator = ",";
      }
      lines += `${line}}${text.end}`;
    }
    return lines;
  }

  #textOf(seriesId: number): SeriesText {
    let text = this.#texts.get(seriesId);
    if (text === undefined) {
      const series = this.#seriesById(seriesId);
      if (series === undefined) throw new Error(`a row has series ${seriesId}, which is not registered`);
      text = textOf(series);
      if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
      this.#texts.set(seriesId, text);
    }
    return text;
  }
}

/** Some 500 bytes each. */
const TEXTS_MAX = 100_000;

interface SeriesText {
  /** `,"metric_name":"x","value":` */
  readonly name: string;
  /** `"a":"b","c":"d"`, or nothing. */
  readonly labels: string;
  /** What comes after the tags, with the line's end. */
  readonly end: string;
}

/** How an event says its kind; an observation does not. */
const TYPES = { observation: "", delta: "counter", gauge: "gauge", cumulative: "cumulative" } as const;

function textOf({ metric, labels }: Series): SeriesText {
  const type = TYPES[metric.kind];
  return {
    name: `,"metric_name":${JSON.stringify(metric.name)},"value":`,
    labels: [...labels].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(","),
    end:
      (type === "" ? "" : `,"type":"${type}"`) +
      (metric.unit === "" ? "" : `,"unit":${JSON.stringify(metric.unit)}`) +
      "}\n",
  };
}

/** Milliseconds; RFC 3339 where there are microseconds, since as a number 0.001 ms would be rounded. */
function timestampText(us: number): string {
  const ms = Math.floor(us / 1000);
  const rest = us - ms * 1000;
  if (rest === 0) return String(ms);
  return `"${new Date(ms).toISOString().slice(0, -1)}${String(rest).padStart(3, "0")}Z"`;
}

/**
 * A number that reads back as the same double. What JSON has no number for is a text that src/receive/events/value-words.ts
 * reads: "NaN", "Infinity", "-Infinity", and "stale" for a stale marker, which has no value.
 */
function valueText(value: Cell): string {
  if (value === null) return '"stale"';
  return Object.is(value, -0) ? "-0.0" : JSON.stringify(value);
}
