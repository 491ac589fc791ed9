/**
 * Writes samples of a day to Parquet files of this machine: one per metric, ordered by series and time. Samples of one series and
 * time are in the order of arrival. The same samples make the same bytes, so a file is named by its hash, and one that was written
 * before a kill is recognised.
 *
 * A metric with many samples is read by itself, and has several files (part-slices.ts): the engine sorts each in little memory.
 * Metrics with few are read together, as a temporary table: reading a day once per metric would take minutes if it has thousands
 * of them.
 *
 * Most of a row is the text of its labels, which all rows of a series share. So the engine sorts large files without labels, and
 * looks these up for rows that are in order, with one thread: several would keep row groups that wait for their turn in memory.
 * The order of each such file is read back. One that was out of order would be written again, sorted with its labels.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { prometheusLabelName } from "../../model/names.ts";
import { type Kind, type MetricType, MICROSECONDS_PER_DAY } from "../../model/sample.ts";
import { dateText, microsecondsText } from "../../model/time.ts";
import { quoteIdentifier, quoteText, statement } from "../../store/statements.ts";
import type { Day, Reader } from "../../store/store.ts";
import {
  type ArchivedColumn,
  type ArchivedPart,
  type ArchivedMetric,
  RESERVED_COLUMNS,
} from "../manifest.ts";
import type { SpooledFile } from "../targets/archive-target.ts";
import { hashOfFile } from "../targets/file-hash.ts";
import { type SliceCondition, slicesOfMetric } from "./part-slices.ts";

/** Samples of metrics that are read together: some 50 MB as a table. */
const GROUP_ROWS_MAX = 500_000;

/** Rows of a row group: the engine keeps one of each thread in memory. */
const ROW_GROUP_ROWS = 61_440;

/** A file with this many rows or more is sorted without labels. A smaller one fits in memory anyway. */
const LABELLED_LATER_ROWS_MIN = 20_000;
/** Labels of a metric that are looked up: some 15 MB. */
const LOOKED_UP_LABELS_MAX = 100_000;

/** The columns of a day that are no attributes. */
const FIXED = new Set(["series_id", "ts", "value", "row id"]);
/** The column of a day table with the attributes that have no column of their own, as a JSON object. */
export const MORE_ATTRIBUTES = "more_attributes";

/** Which rows of a day are written: those with ids from the first up to and without the second, and its blocks. */
export interface WrittenRows {
  readonly firstRow: number;
  readonly endRow: number;
  readonly withBlocks: boolean;
  /** The most rows of a file, unless one series has more in a minute. */
  readonly fileRowsMax: number;
}

/** A metric with samples to write. */
interface CountedMetric {
  readonly name: string;
  readonly kind: Kind;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  readonly buckets: readonly number[];
  readonly rows: number;
  readonly stale: number;
  readonly min_us: number;
  readonly max_us: number;
  readonly labels: readonly string[];
}

/** A file that was written. */
export interface WrittenFile extends SpooledFile {
  readonly rows: number;
}

/** A file with samples of a metric. */
export interface WrittenPart {
  readonly metric: Omit<ArchivedMetric, "parts">;
  readonly part: Omit<ArchivedPart, "file">;
  readonly file: WrittenFile;
}

export class DayWriter {
  readonly #reader: Reader;
  readonly #day: Day;
  readonly #rows: WrittenRows;
  readonly #folder: string;
  readonly #freeBlocks: () => Promise<void>;
  /** The metric whose labels were looked up last, and its first series. */
  #lookedUp: { readonly metric: string; readonly first: number | undefined } | undefined;
  #written = 0;

  /**
   * @param reader stays open, and has temporary tables afterwards
   * @param folder for the files
   * @param freeBlocks frees the blocks of the store that the engine keeps in memory. A sort would add its own memory to theirs
   */
  constructor(reader: Reader, day: Day, rows: WrittenRows, folder: string, freeBlocks = async () => {}) {
    this.#reader = reader;
    this.#day = day;
    this.#rows = rows;
    this.#folder = folder;
    this.#freeBlocks = freeBlocks;
  }

  /** The files of the metrics, one after the other. The caller moves or removes each before it asks for the next. */
  async *parts(): AsyncGenerator<WrittenPart, void, undefined> {
    const attributes = await this.#open();
    const metrics = await this.#reader.all<CountedMetric & Record<string, unknown>>(
      statement("archive/metrics"),
    );
    const held = await this.#heldAttributes(attributes);
    for (const group of groupsOf(metrics)) {
      await this.#reader.run(statement("archive/asked_series"), [
        JSON.stringify(group.map(({ name }) => name)),
      ]);
      if (this.#rows.withBlocks)
        await this.#reader.run(statement("archive/asked_blocks", { day: String(this.#day.day) }));
      await this.#reader.run(this.#rowsView);
      const isTable = group.length > 1;
      if (isTable) {
        await this.#freeBlocks();
        await this.#reader.run(statement("archive/group"));
      }
      for (const metric of group) {
        const columns = columnsOf(
          metric.labels,
          attributes.filter((_, at) => held.get(metric.name)?.[at]),
        );
        const rows = isTable ? "archived_group" : "archived_rows";
        if (metric.rows <= this.#rows.fileRowsMax) yield await this.#part(metric, columns, rows);
        else yield* this.#slices(metric, columns);
      }
      if (isTable) await this.#reader.run(statement("archive/drop_group"));
    }
  }

  /** Counts the samples of each series. Returns the attributes of the day. */
  async #open(): Promise<readonly DayAttribute[]> {
    const { withBlocks } = this.#rows;
    const day = String(this.#day.day);
    await this.#reader.run(
      withBlocks ? statement("archive/blocks_of_day", { day }) : statement("archive/no_blocks"),
    );
    await this.#reader.run(this.#rowsView);
    const columns = await this.#reader.all<{ name: string }>(statement("archive/columns"));
    const names = new Map(this.#day.attributes.map(({ name, column }) => [column, name]));
    const attributes = columns
      .filter(({ name }) => !FIXED.has(name))
      .map(({ name }) => ({
        column: name, // The column with all further attributes is that of the empty name.
        attribute: names.get(name) || undefined,
      }));
    const counts = attributes.map(
      ({ column }, at) => `, count(${quoteIdentifier(column)}) AS ${countOf(at)}`,
    );
    await this.#reader.run(`CREATE OR REPLACE TEMP TABLE archived_counts AS
SELECT series_id, count(*) AS samples, count(*) - count(value) AS stale, min(ts) AS first_ts, max(ts) AS last_ts${counts.join("")}
FROM archived_rows GROUP BY series_id`);
    return attributes;
  }

  /** By metric: which of the attributes its samples have. */
  async #heldAttributes(attributes: readonly DayAttribute[]): Promise<Map<string, readonly boolean[]>> {
    if (attributes.length === 0) return new Map();
    const held = attributes.map((_, at) => `sum(${countOf(at)}) > 0`);
    const rows = await this.#reader.all<{ metric: string; held: boolean[] }>(
      `SELECT metric, [${held.join(", ")}] AS held
FROM temp.main.archived_counts JOIN weir.series USING (series_id) GROUP BY metric`,
    );
    return new Map(rows.map((row) => [row.metric, row.held]));
  }

  /** The files of a metric with many samples. */
  async *#slices(
    metric: CountedMetric,
    columns: readonly PartColumn[],
  ): AsyncGenerator<WrittenPart, void, undefined> {
    const isPackable = metric.kind === "gauge" || metric.kind === "cumulative";
    const hasBlocks = this.#rows.withBlocks && this.#day.packed > 0 && isPackable;
    const sizes = { rowsMax: this.#rows.fileRowsMax, hasBlocks };
    for (const condition of await slicesOfMetric(this.#reader, metric.name, sizes)) {
      const [counted] = await this.#reader.all<Pick<CountedMetric, "rows" | "stale" | "min_us" | "max_us">>(
        `SELECT count(*) AS rows, count(*) - count(value) AS stale, epoch_us(min(ts))::DOUBLE AS min_us, epoch_us(max(ts))::DOUBLE AS max_us
FROM archived_rows AS d
WHERE ${condition} AND ${isOfMetric(metric)}`,
      );
      yield await this.#part({ ...metric, ...counted }, columns, "archived_rows", condition);
    }
  }

  async #part(
    metric: CountedMetric,
    columns: readonly PartColumn[],
    rows: string,
    condition?: SliceCondition,
  ): Promise<WrittenPart> {
    const path = this.#nextPath();
    if (rows === "archived_rows") await this.#freeBlocks();
    const copy = async (firstSeries?: number) => {
      const part = { metric, columns, rows, condition, path, firstSeries };
      const [copied] = await this.#reader.all<Record<string, unknown>>(copyStatement(part));
      const count = Number(Object.values(copied!)[0]);
      if (count !== metric.rows)
        throw new Error(`a file of ${metric.name} got ${count} of ${metric.rows} samples`);
    };
    const isLarge = metric.rows >= LABELLED_LATER_ROWS_MIN;
    const firstSeries = isLarge ? await this.#labelsToLookUp(metric) : undefined;
    await copy(firstSeries);
    if (firstSeries !== undefined && (await this.#disorder(path)) > 0) await copy();
    const file = { ...(await measured(path)), rows: metric.rows };
    const { name, kind, type, unit, help, buckets } = metric;
    return {
      metric: { name, kind, type, unit, help, buckets },
      part: {
        sha256: file.sha256,
        bytes: file.bytes,
        rows: metric.rows,
        stale: metric.stale,
        min_ts: microsecondsText(metric.min_us),
        max_ts: microsecondsText(metric.max_us),
        columns: columns.map(({ column: _, ...column }) => column),
      },
      file,
    };
  }

  /**
   * Makes a list of the labels of the series of a metric, for `copyStatement`. Returns the first series in it, or undefined if the
   * metric has no labels, or too many.
   */
  async #labelsToLookUp({ name, labels }: CountedMetric): Promise<number | undefined> {
    if (labels.length === 0) return undefined;
    if (this.#lookedUp?.metric !== name) {
      const [ids] = await this.#reader.all<{ first: number; last: number }>(
        statement("archive/series_range"),
        [name],
      );
      const { first, last } = ids!;
      const isSmall = (last - first + 1) * labels.length <= LOOKED_UP_LABELS_MAX;
      this.#lookedUp = { metric: name, first: isSmall ? first : undefined };
      if (isSmall) await this.#reader.run(labelsStatement(name, labels, first, last));
    }
    return this.#lookedUp.first;
  }

  async #disorder(path: string): Promise<number> {
    const [counted] = await this.#reader.all<{ rows: number }>(statement("archive/disorder", { path }));
    return counted!.rows;
  }

  /** The file of the series that `parts` has counted. */
  async series(): Promise<WrittenFile> {
    const path = this.#nextPath();
    await this.#reader.run(statement("archive/series_file", { path }));
    const [counted] = await this.#reader.all<{ rows: number }>(statement("archive/count_series"));
    return { ...(await measured(path)), rows: counted!.rows };
  }

  /** The file of the exemplars of the day. Undefined if there are none. */
  async exemplars(): Promise<WrittenFile | undefined> {
    const { day } = this.#day;
    const [counted] = await this.#reader.all<{ rows: number }>(statement("archive/count_exemplars"), [
      day * MICROSECONDS_PER_DAY,
      (day + 1) * MICROSECONDS_PER_DAY,
    ]);
    if (counted!.rows === 0) return undefined;
    const path = this.#nextPath();
    const bounds = { first: dateText(day), next: dateText(day + 1) };
    await this.#reader.run(statement("archive/exemplars_file", { path, ...bounds }));
    return { ...(await measured(path)), rows: counted!.rows };
  }

  /** The statement that makes the view of the rows, over the view of the blocks. */
  get #rowsView(): string {
    const { firstRow, endRow } = this.#rows;
    return statement("archive/rows", {
      table: this.#day.table,
      first: String(firstRow),
      end: String(endRow),
    });
  }

  #nextPath(): string {
    return join(this.#folder, `${this.#written++}.parquet`);
  }
}

/** A column of the day's table. The attribute is undefined for the one with all further attributes. */
interface DayAttribute {
  readonly column: string;
  readonly attribute: string | undefined;
}

/** A column of a file, with the column of the day that it has. */
interface PartColumn extends ArchivedColumn {
  readonly column?: string;
}

interface CopiedPart {
  readonly metric: Pick<CountedMetric, "name">;
  readonly columns: readonly PartColumn[];
  /** The table or view with the rows. */
  readonly rows: string;
  readonly condition: SliceCondition | undefined;
  readonly path: string;
  /** The first series of the list of labels. Undefined: the labels are joined before the rows are sorted. */
  readonly firstSeries: number | undefined;
}

/** The statement that writes a file of a metric. */
function copyStatement({ metric, columns, rows, condition, path, firstSeries }: CopiedPart): string {
  const labels = columns.flatMap(({ label }) => (label === undefined ? [] : [label]));
  const labelsOfRow = firstSeries === undefined ? "s" : 'd."row labels"';
  const selected = columns.map(({ name, label, column }) => {
    const values = [
      ...(column === undefined ? [] : [`d.${quoteIdentifier(column)}`]),
      ...(label === undefined ? [] : [`${labelsOfRow}.${labelOf(labels.indexOf(label))}`]),
    ];
    return `, ${values.length === 1 ? values[0] : `coalesce(${values.join(", ")})`} AS ${quoteIdentifier(name)}`;
  });
  const sorted = `WHERE ${isOfMetric(metric)}${condition === undefined ? "" : ` AND ${condition}`}
  ORDER BY d.series_id, d.ts, d."row id"`;
  const from =
    firstSeries === undefined
      ? `${rows} AS d
  JOIN (SELECT series_id${labelList(labels)} FROM temp.main.archived_series WHERE metric = ${quoteText(metric.name)}) AS s
    ON s.series_id = d.series_id
  ${sorted}`
      : // Rows of an unknown number, which are none, make the engine write the file with one thread, as they come.
        `(
    SELECT *, getvariable('archived_labels')[series_id - ${firstSeries - 1}] AS "row labels"
    FROM (
      SELECT * FROM (SELECT * FROM ${rows} AS d ${sorted})
      UNION ALL BY NAME SELECT 0::UINTEGER AS series_id FROM range(0)
    )
  ) AS d`;
  return `COPY (
  SELECT d.ts, d.value, d.series_id AS series${selected.join("")}
  FROM ${from}
) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`;
}

/** The statement that makes a list of the labels of the series of a metric, by their numbers. */
function labelsStatement(metric: string, labels: readonly string[], first: number, last: number): string {
  const packed = labels.map((label, at) => `${labelOf(at)} := labels[${quoteText(label)}]`).join(", ");
  return `SET VARIABLE archived_labels = (
  SELECT list(CASE WHEN series_id IS NOT NULL THEN struct_pack(${packed}) END ORDER BY n)
  FROM range(${first}, ${last + 1}) AS numbers(n)
  LEFT JOIN (SELECT series_id, labels FROM temp.main.archived_series WHERE metric = ${quoteText(metric)}) ON series_id = n
)`;
}

function labelList(labels: readonly string[]): string {
  return labels.map((label, at) => `, labels[${quoteText(label)}] AS ${labelOf(at)}`).join("");
}

/** The condition on rows named `d` that they are of a metric among the asked series. */
function isOfMetric({ name }: Pick<CountedMetric, "name">): string {
  return `d.series_id IN (SELECT series_id FROM temp.main.archived_series WHERE metric = ${quoteText(name)})`;
}

const countOf = (at: number) => `"count ${at}"`;
const labelOf = (at: number) => `"label ${at}"`;

/** Metrics that are read together. One with many samples is alone. */
function* groupsOf(metrics: readonly CountedMetric[]): Generator<readonly CountedMetric[]> {
  let group: CountedMetric[] = [];
  let rows = 0;
  for (const metric of metrics) {
    if (metric.rows > GROUP_ROWS_MAX) {
      yield [metric];
      continue;
    }
    if (rows + metric.rows > GROUP_ROWS_MAX && group.length > 0) {
      yield group;
      group = [];
      rows = 0;
    }
    group.push(metric);
    rows += metric.rows;
  }
  if (group.length > 0) yield group;
}

/**
 * The columns of a file, in the order of the tags: named as in SQL, as Prometheus spells the tag, and with a number if the name is
 * taken, in any case.
 */
function columnsOf(labels: readonly string[], attributes: readonly DayAttribute[]): PartColumn[] {
  const columns = new Map<string, string | undefined>(labels.map((label) => [label, undefined]));
  for (const { attribute, column } of attributes) if (attribute !== undefined) columns.set(attribute, column);
  const used = new Set(RESERVED_COLUMNS);
  const nameOf = (tag: string) => {
    const spelled = prometheusLabelName(tag);
    let name = spelled;
    for (let n = 2; used.has(name.toLowerCase()); n++) name = `${spelled}_${n}`;
    used.add(name.toLowerCase());
    return name;
  };
  const found = [...columns]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([tag, column]): PartColumn => ({
        name: nameOf(tag),
        ...(labels.includes(tag) ? { label: tag } : {}),
        ...(column === undefined ? {} : { attribute: tag, column }),
      }),
    );
  const more = attributes.find(({ attribute }) => attribute === undefined);
  if (more !== undefined) found.push({ name: nameOf(MORE_ATTRIBUTES), more: true, column: more.column });
  return found;
}

async function measured(path: string): Promise<SpooledFile> {
  const { hash, bytes } = await hashOfFile(path);
  return { path, bytes, sha256: hash };
}

/** Removes a file that was written. */
export async function discard({ path }: SpooledFile): Promise<void> {
  await rm(path, { force: true });
}
