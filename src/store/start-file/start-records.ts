/**
 * The records of the start file as text and numbers, and back. Small records are JSON. Texts that repeat, such as the values of
 * labels, are once in a list, and rows have their places in it. Totals are doubles, since JSON has neither infinity nor NaN.
 */
import { compactMapOf } from "../../model/memory/compact-map.ts";
import type { TotalsRecord, TotalsSnapshot } from "../../model/records.ts";
import type { Labels } from "../../model/sample.ts";
import type { JournalState } from "../journal/journal-state.ts";
import type { Stored } from "../store.ts";
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
type PlainRecords = Omit<Stored, "series" | "seriesDays" | "pushes" | "scrapers" | "totals">;

/** The JSON of the file. Places are those of texts. */
interface Content extends StartState {
  readonly plain: PlainRecords;
  readonly texts: readonly string[];
  /** Lists of the names of labels. */
  readonly names: readonly (readonly string[])[];
  /** Sets of labels, one behind the other: the place of the names in `names`, and the values. Series often have equal labels. */
  readonly labels: readonly number[];
  /** For each series its id, its metric, 1 if it is exposed, and the number of its set of labels. */
  readonly series: readonly number[];
  /** Days of series with ids that follow one another: a day, the first id, and how many they are. */
  readonly seriesDays: readonly number[];
  readonly pushes: readonly [
    scope: number,
    key: string,
    hash: string,
    atMs: number,
    accepted: number,
    answer: number,
  ][];
  readonly scrapers: readonly (readonly [string, string][])[];
  /** The series of the totals, which of them have no value, and how many buckets each has. */
  readonly totals: readonly [ids: readonly number[], noValue: readonly number[], buckets: readonly number[]];
  readonly generation: number;
  readonly watermarks: readonly [day: number, rows: number][];
  readonly days: readonly DayColumns[];
  readonly columns: readonly [attribute: string, column: string][];
  readonly states: Readonly<Record<StateName, StateCounts>>;
  readonly newestRejected: number;
}

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

export function encodeTables({
  tables: { stored, generation, watermarks, tables },
  ...state
}: StartState & { readonly tables: LoadedTables }): { text: string; numbers: Float64Array } {
  const { series, seriesDays, pushes, scrapers, totals, ...plain } = stored;
  const texts = new Map<string, number>();
  const placeOf = (text: string) => texts.getOrInsertComputed(text, () => texts.size);
  const names = new Map<string, number>();
  const sets = new Map<string, number>();
  const places: number[] = [];
  const rows: number[] = [];
  for (const { seriesId, metric, labels, exposed } of series) {
    const list = names.getOrInsertComputed(JSON.stringify([...labels.keys()]), () => names.size);
    const set = [list, ...Array.from(labels.values(), placeOf)];
    const number = sets.getOrInsertComputed(set.join(), () => {
      places.push(...set);
      return sets.size;
    });
    rows.push(seriesId, placeOf(metric), exposed ? 1 : 0, number);
  }
  const content: Content = {
    ...{ ...state, plain, labels: places, series: rows },
    seriesDays: runsOf(seriesDays),
    pushes: pushes.map(({ scope, key, bodyHash, receivedAtMs, accepted, answer }) => [
      ...([placeOf(scope), key, bodyHash, receivedAtMs, accepted, placeOf(answer)] as const),
    ]),
    scrapers: scrapers.map((labels) => [...labels]),
    totals: [
      totals.map(({ seriesId }) => seriesId),
      totals.flatMap(({ value }, row) => (value === null ? [row] : [])),
      totals.map(({ buckets }) => buckets.length),
    ],
    ...{ generation, watermarks: [...watermarks] },
    ...{ days: [...tables.days.values()], columns: [...tables.columns] },
    states: {
      groups: tables.groups.counts,
      notifications: tables.notifications.counts,
      forwards: tables.forwards.counts,
      archives: tables.archives.counts,
    },
    newestRejected: tables.rejected.newest,
    // Last, because the others add to them.
    texts: [...texts.keys()],
    names: Array.from(names.keys(), (list) => JSON.parse(list) as string[]),
  };
  return { text: JSON.stringify(content), numbers: numbersOf(totals) };
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

function runsOf(seriesDays: Stored["seriesDays"]): number[] {
  const runs: number[] = [];
  let last = { seriesId: -1, day: -1 };
  for (const next of seriesDays) {
    if (next.day === last.day && next.seriesId === last.seriesId + 1) runs[runs.length - 1]!++;
    else runs.push(next.day, next.seriesId, 1);
    last = next;
  }
  return runs;
}

export function decodeTables(
  text: string,
  numbers: Float64Array,
): StartState & { readonly tables: LoadedTables } {
  const content = JSON.parse(text) as Content;
  const { schema, journal, bytesInside, plain, texts, generation, watermarks, days, columns, states } =
    content;
  return {
    ...{ schema, journal, bytesInside },
    tables: {
      stored: {
        ...plain,
        series: seriesOf(content),
        seriesDays: seriesDaysOf(content),
        pushes: content.pushes.map(([scope, key, bodyHash, receivedAtMs, accepted, answer]) => ({
          ...{ scope: texts[scope]!, key, bodyHash, receivedAtMs, accepted, answer: texts[answer]! },
        })),
        scrapers: content.scrapers.map((labels) => new Map(labels)),
        totals: totalsOf(content, numbers),
      },
      ...{ generation, watermarks: new Map(watermarks) },
      tables: {
        days: new Map(days.map((day) => [day.day, day])),
        columns: new Map(columns),
        groups: new StateTable("groups", states.groups),
        notifications: new StateTable("notifications", states.notifications),
        forwards: new StateTable("forwards", states.forwards),
        archives: new StateTable("archives", states.archives),
        exemplars: new ExemplarTable(),
        rejected: new RejectedTable(content.newestRejected),
      },
    },
  };
}

function seriesOf({ series, texts, names, labels: places }: Content): Stored["series"] {
  const sets: Labels[] = [];
  for (let at = 0; at < places.length; ) {
    const keys = names[places[at++]!]!;
    const values: string[] = [];
    for (let label = 0; label < keys.length; label++) values.push(texts[places[at++]!]!);
    sets.push(compactMapOf(keys, values));
  }
  const found: Stored["series"][number][] = [];
  for (let at = 0; at < series.length; at += 4) {
    const [metric, exposed, labels] = [texts[series[at + 1]!]!, series[at + 2] === 1, sets[series[at + 3]!]!];
    found.push({ seriesId: series[at]!, metric, labels, exposed });
  }
  return found;
}

function seriesDaysOf({ seriesDays }: Content): Stored["seriesDays"] {
  const found: Stored["seriesDays"][number][] = [];
  for (let run = 0; run < seriesDays.length; run += 3) {
    const day = seriesDays[run]!;
    const end = seriesDays[run + 1]! + seriesDays[run + 2]!;
    for (let seriesId = seriesDays[run + 1]!; seriesId < end; seriesId++) found.push({ seriesId, day });
  }
  return found;
}

function totalsOf({ totals: [ids, noValue, buckets] }: Content, numbers: Float64Array): TotalsRecord[] {
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
