/**
 * Writes samples as events, in the shape in which they are pushed. An export after `weir import` has the same multiset
 * of time, name, value and tags as the imported files.
 *
 * - **What the kind and the tags do not say** is in fields of its own, so that an import makes the same series: the type
 *   of the metric, such as `histogram` for the parts of a histogram of increments, whether /metrics exposes the series,
 *   whether its bounds have the text of their sender, and attributes that no setting names, such as the members of a set.
 * - **Order**: by time. Of samples of one time, gauges and cumulative series are first, by series, and events follow in the
 *   order of arrival. Labels and attributes are in the order of their
 *   names. So two gateways with the same samples export the same lines.
 * - **Small steps**: an export reads some whole minutes of a day at a time, each step with its own reader. So no
 *   transaction lasts as long as the export, and no sort is as large as a day. Samples that arrive during the export are
 *   included if their minutes were not read yet.
 * - **Pace**: a chunk is read when the caller asks for it. A chunk that takes longer than `chunkTimeoutMs` ends the
 *   export with an error. If the engine has no memory for a step, the step waits for it as long. The whole export has no
 *   time limit. A caller that stops early must `return()` the generator,
 *   since an open reader prevents a checkpoint of the log.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Timeout, Unavailable } from "../model/errors.ts";
import {
  HELP_CHARACTERS_MAX,
  type Metric,
  type MetricType,
  MICROSECONDS_PER_DAY,
  type Series,
} from "../model/sample.ts";
import { withUsualEdges } from "../model/spelling.ts";
import { microsecondsText } from "../model/time.ts";
import { faultOf } from "../store/engine/faults.ts";
import { statement } from "../store/statements.ts";
import type { Cell, Day, Reader } from "../store/store.ts";

/** The part of the store that an export uses. */
interface ExportStore {
  days(): readonly Day[];
  reader(): Promise<Reader>;
}

interface ExportDependencies {
  readonly store: ExportStore;
  /** The series with the id of a row. */
  seriesById(seriesId: number): Series | undefined;
  /** Whether a tag of a metric's events is an attribute by a setting or a decision, which an import makes too. */
  isAttribute(metric: string, tag: string): boolean;
  /** How long reading one chunk may take. */
  readonly chunkTimeoutMs: number;
}

export interface ExportRange {
  /** Begin in microseconds since the epoch, included. */
  readonly fromUs: number;
  /** End in microseconds since the epoch, not included. */
  readonly toUs: number;
  /** One metric's name, as pushed; all metrics if absent. */
  readonly metric?: string;
  /** The series with these ids; all series if absent. */
  readonly seriesIds?: readonly number[];
}

/** About 20 MB of text: large enough that the search for the minutes costs little, small enough to sort in memory. */
const STEP_ROWS_MAX = 65_536;
/** The first wait for memory of the engine; each further one is twice as long. */
const MEMORY_WAIT_MS = 50;

type Chunks = AsyncIterator<readonly (readonly Cell[])[]>;

/** The column of a day table with the attributes that have no column of their own, as a JSON object. */
const MORE_ATTRIBUTES = "more_attributes";

/** The samples of a range as lines of JSON, in chunks of about 2,000 lines. */
export async function* exportLines(
  { store, seriesById, isAttribute, chunkTimeoutMs }: ExportDependencies,
  range: ExportRange,
): AsyncGenerator<string, void, undefined> {
  const writer = new EventWriter(seriesById, isAttribute);
  for (const day of store.days()) {
    const beginUs = Math.max(range.fromUs, day.day * MICROSECONDS_PER_DAY);
    const endUs = Math.min(range.toUs, (day.day + 1) * MICROSECONDS_PER_DAY);
    if (beginUs >= endUs) continue;
    for (const step of await stepsOf(store, chunkTimeoutMs, day, {
      ...range,
      fromUs: beginUs,
      toUs: endUs,
    })) {
      // The day may have new columns, or may have been dropped, since the previous step.
      const now = store.days().find((each) => each.day === day.day);
      if (now === undefined) break;
      yield* readStep(store, chunkTimeoutMs, now, step, writer);
    }
  }
}

/** Divides a range at whole minutes into steps of at most STEP_ROWS_MAX rows, or of one minute if that has more. */
async function stepsOf(
  store: ExportStore,
  timeoutMs: number,
  { day, table }: Day,
  range: ExportRange,
): Promise<ExportRange[]> {
  const reader = await store.reader();
  try {
    const minutes = await within(timeoutMs, reader, () =>
      reader.all<{ minute_us: number; row_count: number }>(
        statement("query/export_minutes", { table }),
        parametersOf(day, range),
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
    // The last step reaches to the end of the range, for samples that arrive during the export.
    if (rows > 0) steps.push({ ...range, fromUs });
    return steps;
  } finally {
    reader.close();
  }
}

async function* readStep(
  store: ExportStore,
  timeoutMs: number,
  { day, table, attributes }: Day,
  step: ExportRange,
  writer: EventWriter,
): AsyncGenerator<string, void, undefined> {
  const reader = await store.reader();
  let chunks: Chunks | undefined;
  try {
    const sorted = await whenMemoryIsFree(timeoutMs, () =>
      within(timeoutMs, reader, async () => {
        const result = await reader.stream(
          statement("query/export_samples", { table }),
          parametersOf(day, step),
        );
        const rows = result.chunks()[Symbol.asyncIterator]();
        // The engine has sorted all rows when the first are read.
        return { columns: result.columns.map(({ name }) => name), rows, first: await rows.next() };
      }),
    );
    const { rows } = sorted;
    chunks = rows;
    const names = new Map(attributes.map(({ name, column }) => [column, name]));
    const columns = attributeColumns(sorted.columns, names);
    let chunk = sorted.first;
    while (!chunk.done) {
      yield writer.lines(chunk.value, columns);
      chunk = await within(timeoutMs, reader, () => rows.next());
    }
  } finally {
    await chunks?.return?.();
    reader.close();
  }
}

/**
 * Reads, and reads again while the engine has no memory left: other exports and queries use it too, and an export that
 * ends in the middle is of no use to its reader.
 *
 * @param timeoutMs after this the memory is not waited for any longer
 * @throws Unavailable if the memory was not free in this time
 */
async function whenMemoryIsFree<T>(timeoutMs: number, read: () => Promise<T>): Promise<T> {
  const lastMs = performance.now() + timeoutMs;
  for (let waitMs = MEMORY_WAIT_MS; ; waitMs *= 2) {
    try {
      return await read();
    } catch (error) {
      if (faultOf(error) !== "out of memory") throw error;
      if (performance.now() + waitMs > lastMs) {
        throw new Unavailable(
          "The database engine has too little memory left for a part of the export (memoryLimitBytes); " +
            "export a shorter range or one metric, or try again later.",
        );
      }
      await sleep(waitMs);
    }
  }
}

function parametersOf(day: number, range: ExportRange): Record<string, number | string | null> {
  const { fromUs, toUs, metric = null, seriesIds } = range;
  // The ids as text: the driver binds a long list slowly.
  return {
    day,
    fromUs,
    toUs,
    metric,
    seriesIds: seriesIds === undefined ? null : `[${seriesIds.join(",")}]`,
  };
}

/** Reads, and interrupts the reader if that takes too long. */
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

/** Which cells of a row are attributes. */
export interface AttributeColumns {
  /** In the order of their tags. */
  readonly named: readonly { readonly tag: string; readonly at: number }[];
  /** The cell with the attributes that have no column. Undefined if the day has none. */
  readonly rest: number | undefined;
}

/**
 * The attributes of a result with these columns. The order of a day's columns says which attribute was pushed first, and an
 * export of the same samples from another gateway has the same lines. So they are in the order of their tags.
 *
 * @param tags the tags of columns, by the names of the columns
 */
export function attributeColumns(
  columns: readonly string[],
  tags: ReadonlyMap<string, string>,
): AttributeColumns {
  const rest = columns.indexOf(MORE_ATTRIBUTES, EventWriter.fixedColumns);
  const named = columns
    .map((column, at) => ({ tag: tags.get(column) ?? column, at }))
    .filter(({ at }) => at >= EventWriter.fixedColumns && at !== rest);
  return {
    named: named.sort((a, b) => (a.tag < b.tag ? -1 : 1)),
    rest: rest < 0 ? undefined : rest,
  };
}

/** The attributes of a row, in the order of their tags, with those of the object in its rest. */
function withRest(
  named: AttributeColumns["named"],
  row: readonly Cell[],
  rest: string,
): (readonly [string, Cell])[] {
  const all = named.map(({ tag, at }) => [tag, row[at]!] as const).filter(([, value]) => value !== null);
  all.push(...Object.entries(JSON.parse(rest) as Record<string, string>));
  return all.sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Writes rows as events. It caches the text of each series' name and labels: an export of 200,000 events of 150 series
 * then takes 0.5 CPU-s, and 1.1 without the cache.
 */
export class EventWriter {
  /** The columns before the attributes: series_id, timestamp_us, value. */
  static readonly fixedColumns = 3;
  readonly #seriesById: (seriesId: number) => Series | undefined;
  readonly #isAttribute: (metric: string, tag: string) => boolean;
  readonly #texts = new Map<number, SeriesText>();
  readonly #isPlain: boolean;
  /** Metrics whose help was written: the first line of each has it, so that the others stay small. */
  readonly #helped = new Set<Metric>();

  /** @param isPlain for other programs: all attributes are tags, and what only an import needs is left out */
  constructor(
    seriesById: (seriesId: number) => Series | undefined,
    isAttribute: (metric: string, tag: string) => boolean,
    isPlain = false,
  ) {
    this.#seriesById = seriesById;
    this.#isAttribute = isPlain ? () => true : isAttribute;
    this.#isPlain = isPlain;
  }

  lines(rows: readonly (readonly Cell[])[], columns: AttributeColumns): string {
    const keys = columns.named.map(({ tag }) => `${JSON.stringify(tag)}:`);
    let lines = "";
    for (const row of rows) {
      const text = this.#textOf(row[0] as number);
      let line = `{"@timestamp":${timestampText(row[1] as number)}${text.name}${valueText(row[2])},"tags":{${text.labels}`;
      let separator = text.labels === "" ? "" : ",";
      let aside = "";
      const rest = columns.rest === undefined ? null : row[columns.rest];
      const add = (tag: string, key: string, value: Cell) => {
        const pair = key + JSON.stringify(value);
        if (this.#isAttribute(text.metric.name, tag)) {
          line += separator + pair;
          separator = ",";
        } else aside += `${aside === "" ? "" : ","}${pair}`;
      };
      if (rest === null) {
        for (let index = 0; index < keys.length; index++) {
          const { tag, at } = columns.named[index]!;
          const cell = row[at]!;
          if (cell !== null) add(tag, keys[index]!, cell);
        }
      } else {
        for (const [tag, value] of withRest(columns.named, row, rest as string))
          add(tag, `${JSON.stringify(tag)}:`, value);
      }
      lines += `${line}}${aside === "" ? "" : `,"columns":{${aside}}`}${text.end}${text.help === undefined ? "" : this.#helpOf(text)}}\n`;
    }
    return lines;
  }

  /** The help of a metric once, then nothing. */
  #helpOf(text: SeriesText): string {
    const { help = "", metric } = text;
    text.help = undefined;
    if (this.#helped.has(metric)) return "";
    this.#helped.add(metric);
    return help;
  }

  #textOf(seriesId: number): SeriesText {
    let text = this.#texts.get(seriesId);
    if (text === undefined) {
      const series = this.#seriesById(seriesId);
      if (series === undefined) throw new Error(`a row has series ${seriesId}, which is not registered`);
      text = textOf(series, this.#isPlain);
      if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
      this.#texts.set(seriesId, text);
    }
    return text;
  }
}

/** Cached texts, of about 500 bytes each. */
const TEXTS_MAX = 100_000;

interface SeriesText {
  /** `,"metric_name":"x","value":` */
  readonly name: string;
  /** `"a":"b","c":"d"`, or an empty text. */
  readonly labels: string;
  /** What comes after the tags. */
  readonly end: string;
  /** `,"help":"…"`. Undefined if there is none, or if it is known whether the metric's help was written. */
  help: string | undefined;
  readonly metric: Metric;
}

/** The `type` of an event of each kind. An observation has none. */
const TYPES = { observation: "", delta: "counter", gauge: "gauge", cumulative: "cumulative" } as const;
/** The type in the metadata that an event of each kind has without `metadata_type`. */
export const IMPLIED_TYPES: Readonly<Record<Metric["kind"], MetricType>> = {
  observation: "histogram",
  delta: "counter",
  gauge: "gauge",
  cumulative: "unknown",
};

function textOf({ metric, labels, exposed }: Series, isPlain: boolean): SeriesText {
  const type = TYPES[metric.kind];
  return {
    name: `,"metric_name":${JSON.stringify(metric.name)},"value":`,
    labels: [...labels].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(","),
    end:
      (type === "" ? "" : `,"type":"${type}"`) +
      (isPlain || metric.type === IMPLIED_TYPES[metric.kind] ? "" : `,"metadata_type":"${metric.type}"`) +
      (metric.unit === "" ? "" : `,"unit":${JSON.stringify(metric.unit)}`) +
      (isPlain || exposed ? "" : ',"exposed":false') +
      (isPlain || withUsualEdges(labels) === labels ? "" : ',"keeps_bounds":true'),
    help: !isPlain && isHelpOfEvent(metric.help) ? `,"help":${JSON.stringify(metric.help)}` : undefined,
    metric,
  };
}

/** Whether an event can have this help. */
function isHelpOfEvent(help: string): boolean {
  return help !== "" && help.length <= HELP_CHARACTERS_MAX && help.isWellFormed();
}

/** Milliseconds, or RFC 3339 if the time has microseconds, since a reader would round 0.001 ms of a number. */
function timestampText(us: number): string {
  return us % 1000 === 0 ? String(us / 1000) : `"${microsecondsText(us)}"`;
}

/**
 * A number that reads back as the same double. A value that JSON cannot express as a number is a text that
 * src/receive/events/event.ts reads: "NaN", "Infinity", "-Infinity", and "stale" for a stale marker, which has no
 * value.
 */
function valueText(value: Cell): string {
  if (value === null) return '"stale"';
  return Object.is(value, -0) ? "-0.0" : JSON.stringify(value);
}
