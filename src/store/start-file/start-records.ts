/**
 * The records of the start file as bytes, and back. They are JSON. Texts that repeat, such as the values of labels, are once in a
 * list, and rows have their places in it. Totals are doubles, since JSON has neither infinity nor NaN.
 */
import { compactMapOf } from "../../model/memory/compact-map.ts";
import type { TotalsRecord, TotalsSnapshot } from "../../model/records.ts";
import type { Labels } from "../../model/sample.ts";
import type { JournalState } from "../journal/journal-state.ts";
import type { PushRecord, SeriesDay, Stored, StoredMetricRecord, StoredSeries } from "../store.ts";
import type { StoredList } from "./stored-list.ts";
import type { DayColumns } from "../tables/days.ts";
import { ExemplarTable } from "../tables/exemplar-rows.ts";
import type { LoadedTables } from "../tables/load-tables.ts";
import { RejectedTable } from "../tables/rejected-rows.ts";
import { type StateCounts, type StateName, StateTable } from "../tables/state-rows.ts";

/** What a start reads beside the records. */
export interface StartState {
  /** The version of the schema. */
  readonly schema: number;
  readonly journal: JournalState;
  /** Bytes of the free blocks inside the file. */
  readonly bytesInside: number;
}

/** What is kept as it is. */
type PlainRecords = Omit<Stored, ListName | "scrapers">;

type ListName = "metrics" | "series" | "seriesDays" | "pushes" | "totals";

/** The parts of the file, in their order. All but the first may be decoded long after the start, so each is read without the others. */
const PARTS = ["state", "metrics", "series", "seriesDays", "pushes", "totals", "numbers"] as const;
type Parts = Readonly<Record<(typeof PARTS)[number], Uint8Array>>;
export const PART_COUNT = PARTS.length;

/** What a start decodes. */
interface StatePart extends StartState {
  readonly plain: PlainRecords;
  readonly lengths: Readonly<Record<ListName, number>>;
  readonly scrapers: readonly (readonly [string, string][])[];
  readonly generation: number;
  readonly watermarks: readonly [day: number, rows: number][];
  readonly days: readonly DayColumns[];
  readonly columns: readonly [attribute: string, column: string][];
  readonly states: Readonly<Record<StateName, StateCounts>>;
  readonly newestRejected: number;
}

interface SeriesPart {
  readonly texts: readonly string[];
  /** Lists of the names of labels. */
  readonly names: readonly (readonly string[])[];
  /** Sets of labels, one behind the other: the place of the names in `names`, and those of the values. Series often have equal labels. */
  readonly labels: readonly number[];
  /** For each series its id, the place of its metric, 1 if it is exposed, and the number of its set of labels. */
  readonly series: readonly number[];
}

interface PushesPart {
  readonly texts: readonly string[];
  readonly pushes: readonly (readonly [
    scope: number,
    key: string,
    hash: string,
    atMs: number,
    accepted: number,
    answer: number,
  ])[];
}

/** The series of the totals, which of them have no value, and how many buckets each has. */
type TotalsPart = readonly [ids: readonly number[], noValue: readonly number[], buckets: readonly number[]];

/** The records of a snapshot. */
export function recordsOf(snapshot: TotalsSnapshot): TotalsRecord[] {
  const { count, sumHigh, sumLow, value, noValue, createdUs, lastUs, arrivedUs, firstBucket, buckets } =
    snapshot;
  return Array.from(snapshot.seriesId, (seriesId, at) => ({
    seriesId,
    count: count[at]!,
    sumHigh: sumHigh[at]!,
    sumLow: sumLow[at]!,
    value: noValue[at] === 1 ? null : value[at]!,
    createdUs: createdUs[at]!,
    lastUs: lastUs[at]!,
    arrivedUs: arrivedUs[at]!,
    buckets: buckets.subarray(firstBucket[at], firstBucket[at + 1]),
  }));
}

/** The numbers of a series' totals, without its buckets. */
const TOTALS = 7;

/** The parts of the file. */
export function encodeTables({
  tables: { stored, generation, watermarks, tables },
  ...state
}: StartState & { readonly tables: LoadedTables }): Uint8Array[] {
  const { metrics, series, seriesDays, pushes, totals, scrapers, ...plain } = stored;
  const records = totals.read();
  const content: StatePart = {
    ...{ ...state, plain },
    lengths: {
      ...{ metrics: metrics.length, series: series.length, seriesDays: seriesDays.length },
      ...{ pushes: pushes.length, totals: totals.length },
    },
    scrapers: scrapers.map((labels) => [...labels]),
    ...{ generation, watermarks: [...watermarks] },
    ...{ days: [...tables.days.values()], columns: [...tables.columns] },
    states: {
      groups: tables.groups.counts,
      notifications: tables.notifications.counts,
      forwards: tables.forwards.counts,
      archives: tables.archives.counts,
    },
    newestRejected: tables.rejected.newest,
  };
  const heads: TotalsPart = [
    records.map(({ seriesId }) => seriesId),
    records.flatMap(({ value }, row) => (value === null ? [row] : [])),
    records.map(({ buckets }) => buckets.length),
  ];
  const parts: Parts = {
    state: jsonBytes(content),
    metrics: jsonBytes(metrics.read()),
    series: jsonBytes(seriesPartOf(series.read())),
    seriesDays: jsonBytes(runsOf(seriesDays.read())),
    pushes: jsonBytes(pushesPartOf(pushes.read())),
    totals: jsonBytes(heads),
    numbers: new Uint8Array(numbersOf(records).buffer),
  };
  return PARTS.map((name) => parts[name]);
}

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function fromJson<Value>(bytes: Uint8Array): Value {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")) as Value;
}

/** Gives each text a place, that of an equal one if there is one. */
function places() {
  const known = new Map<string, number>();
  const placeOf = (text: string) => known.getOrInsertComputed(text, () => known.size);
  return { placeOf, texts: () => [...known.keys()] };
}

function seriesPartOf(series: readonly StoredSeries[]): SeriesPart {
  const { placeOf, texts } = places();
  const names = places();
  const sets = new Map<string, number>();
  const labelPlaces: number[] = [];
  const rows: number[] = [];
  for (const { seriesId, metric, labels, exposed } of series) {
    const set = [names.placeOf(JSON.stringify([...labels.keys()])), ...Array.from(labels.values(), placeOf)];
    const number = sets.getOrInsertComputed(set.join(), () => {
      labelPlaces.push(...set);
      return sets.size;
    });
    rows.push(seriesId, placeOf(metric), exposed ? 1 : 0, number);
  }
  return {
    texts: texts(),
    names: names.texts().map((list) => JSON.parse(list) as string[]),
    ...{ labels: labelPlaces, series: rows },
  };
}

function pushesPartOf(pushes: readonly PushRecord[]): PushesPart {
  const { placeOf, texts } = places();
  const rows = pushes.map(
    ({ scope, key, bodyHash, receivedAtMs, accepted, answer }) =>
      [placeOf(scope), key, bodyHash, receivedAtMs, accepted, placeOf(answer)] as const,
  );
  return { texts: texts(), pushes: rows };
}

function numbersOf(totals: readonly TotalsRecord[]): Float64Array {
  const numbers = new Float64Array(totals.reduce((sum, { buckets }) => sum + TOTALS + buckets.length, 0));
  let at = 0;
  for (const { count, sumHigh, sumLow, value, createdUs, lastUs, arrivedUs, buckets } of totals) {
    for (const number of [count, sumHigh, sumLow, value ?? 0, createdUs, lastUs, arrivedUs])
      numbers[at++] = number;
    numbers.set(buckets, at);
    at += buckets.length;
  }
  return numbers;
}

function runsOf(seriesDays: readonly SeriesDay[]): number[] {
  const runs: number[] = [];
  let last = { seriesId: -1, day: -1 };
  for (const next of seriesDays) {
    if (next.day === last.day && next.seriesId === last.seriesId + 1) runs[runs.length - 1]!++;
    else runs.push(next.day, next.seriesId, 1);
    last = next;
  }
  return runs;
}

/** @param bytes of the parts. They belong to the tables from now on */
export function decodeTables(bytes: readonly Uint8Array[]): StartState & { readonly tables: LoadedTables } {
  const [stateBytes, metrics, series, seriesDays, pushes, totals, numbers] = bytes as Required<typeof bytes>;
  const { schema, journal, bytesInside, plain, lengths, scrapers, generation, watermarks, ...state } =
    fromJson<StatePart>(stateBytes!);
  return {
    ...{ schema, journal, bytesInside },
    tables: {
      stored: {
        ...plain,
        metrics: listOf(lengths.metrics, metrics!, (part: StoredMetricRecord[]) => part),
        series: listOf(lengths.series, series!, seriesOf),
        seriesDays: listOf(lengths.seriesDays, seriesDays!, seriesDaysOf),
        pushes: listOf(lengths.pushes, pushes!, pushesOf),
        totals: totalsListOf(lengths.totals, totals!, numbers!),
        scrapers: scrapers.map((labels) => new Map(labels)),
      },
      ...{ generation, watermarks: new Map(watermarks) },
      tables: {
        days: new Map(state.days.map((day) => [day.day, day])),
        columns: new Map(state.columns),
        groups: new StateTable("groups", state.states.groups),
        notifications: new StateTable("notifications", state.states.notifications),
        forwards: new StateTable("forwards", state.states.forwards),
        archives: new StateTable("archives", state.states.archives),
        exemplars: new ExemplarTable(),
        rejected: new RejectedTable(state.newestRejected),
      },
    },
  };
}

/** A list of its own, so that its bytes are free when nobody has it any more. */
function listOf<Part, Item>(
  length: number,
  bytes: Uint8Array,
  decode: (part: Part) => readonly Item[],
): StoredList<Item> {
  return { length, read: () => decode(fromJson(bytes)) };
}

function totalsListOf(length: number, bytes: Uint8Array, numbers: Uint8Array): StoredList<TotalsRecord> {
  return { length, read: () => totalsOf(fromJson(bytes), numbers) };
}

function seriesOf({ series, texts, names, labels: places }: SeriesPart): StoredSeries[] {
  const sets: Labels[] = [];
  for (let at = 0; at < places.length; ) {
    const keys = names[places[at++]!]!;
    const values: string[] = [];
    for (let label = 0; label < keys.length; label++) values.push(texts[places[at++]!]!);
    sets.push(compactMapOf(keys, values));
  }
  const found: StoredSeries[] = [];
  for (let at = 0; at < series.length; at += 4) {
    const [metric, exposed, labels] = [texts[series[at + 1]!]!, series[at + 2] === 1, sets[series[at + 3]!]!];
    found.push({ seriesId: series[at]!, metric, labels, exposed });
  }
  return found;
}

function seriesDaysOf(runs: readonly number[]): SeriesDay[] {
  const found: SeriesDay[] = [];
  for (let run = 0; run < runs.length; run += 3) {
    const day = runs[run]!;
    const end = runs[run + 1]! + runs[run + 2]!;
    for (let seriesId = runs[run + 1]!; seriesId < end; seriesId++) found.push({ seriesId, day });
  }
  return found;
}

function pushesOf({ texts, pushes }: PushesPart): PushRecord[] {
  return pushes.map(([scope, key, bodyHash, receivedAtMs, accepted, answer]) => ({
    ...{ scope: texts[scope]!, key, bodyHash, receivedAtMs, accepted, answer: texts[answer]! },
  }));
}

function totalsOf([ids, noValue, buckets]: TotalsPart, bytes: Uint8Array): TotalsRecord[] {
  const numbers = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  const without = new Set(noValue);
  let at = 0;
  return ids.map((seriesId, row) => {
    const from = at;
    const begin = from + TOTALS;
    at = begin + buckets[row]!;
    return {
      seriesId,
      count: numbers[from]!,
      sumHigh: numbers[from + 1]!,
      sumLow: numbers[from + 2]!,
      value: without.has(row) ? null : numbers[from + 3]!,
      createdUs: numbers[from + 4]!,
      lastUs: numbers[from + 5]!,
      arrivedUs: numbers[from + 6]!,
      buckets: numbers.subarray(begin, at),
    };
  });
}
