/**
 * The text of the views that present samples as tables. They are temporary views of the reading connection, made for
 * the tables that a statement names. None of them is stored.
 *
 * - Each day is an arm of a UNION ALL with the day's bounds as a predicate. If a filter on ts excludes the day, the
 *   planner makes the arm empty.
 * - Labels are read from their map on the series' side, before the join: once per series instead of once per row.
 *
 * A caller whose token has labels gets the same views over less. Its series are copied to a temporary table, and a
 * statement of its own also reads copies of their rows. So nothing in the statement is ever evaluated for a row of others:
 * the planner may move a condition such as `CAST(task_id AS INTEGER) > 0` below a join or another condition, and its error
 * would quote the value. Temporary tables and views come before those of schema main.
 */

import { dateText } from "../../model/time.ts";
import { quoteIdentifier, quoteText, statement } from "../../store/statements.ts";
import type { Day } from "../../store/store.ts";
import type { Listing } from "../sandbox/walk.ts";
import type { ArchivedStatement } from "./archived-parts.ts";
import type { MetricTable, Tables, TagColumn } from "./tables.ts";

/** The ids of a caller's series, of the named metrics (as pushed) or of all. */
export interface OwnIds {
  ids(metrics?: readonly string[]): readonly number[];
}

/**
 * `CREATE TEMP VIEW` for each of the tables (lower case) that is not a stored view.
 *
 * @param own if set, the tables are copies that contain only these series, the stored views included
 * @param how whether the statement has no condition on `ts`, and the archived days that the tables have too
 */
export function viewsFor(
  names: Iterable<string>,
  tables: Tables,
  days: readonly Day[],
  own?: OwnIds,
  how: Pick<ViewOptions, "isOfAllTimes" | "archived"> = {},
): string[] {
  const views: string[] = [];
  for (const name of names) {
    const options = { own, isCopied: true, ...how };
    const table = tables.metricTable(name);
    if (name === "samples") views.push(...samplesViews(tables.samples(), days, options));
    else if (table !== undefined) views.push(...metricViews(table, days, options));
    else if (own !== undefined) views.push(...ownStoredView(name, own));
  }
  return views;
}

/** A temporary table in place of a stored view, which contains only the caller's series. */
function ownStoredView(name: string, own: OwnIds): string[] {
  if (!OWN_STORED.has(name)) throw new Error(`the view ${name} cannot be narrowed`);
  const views = { own_series: OWN_SERIES, own_view: name };
  return [ownSeriesTable(OWN_SERIES, own.ids()), statement(`query/own_${name}`, views)];
}

const OWN_STORED: ReadonlySet<string> = new Set(["series", "metrics", "exemplars"]);
const OWN_SERIES = "own series";

/** A table of a caller's series. */
function ownSeriesTable(name: string, ids: readonly number[]): string {
  return `CREATE OR REPLACE TEMP TABLE ${quoteIdentifier(name)} AS
SELECT series_id, metric, kind, labels FROM weir.series
WHERE series_id IN (SELECT unnest(${quoteText(JSON.stringify(ids))}::UINTEGER[]))`;
}

/** Options of a view that our own statements use. */
interface ViewOptions {
  /** Its name; the table's name if absent. */
  readonly name?: string;
  /** Whether it has a column `series id`, to aggregate by before the join with labels. No tag's name has a space. */
  readonly seriesIds?: boolean;
  /** If set, the view contains only these series. */
  readonly own?: OwnIds;
  /** Whether it contains copies of their rows. */
  readonly isCopied?: boolean;
  /** Whether no condition on `ts` is expected. Then the view is one query over all blocks, which is faster without such a condition. */
  readonly isOfAllTimes?: boolean;
  /** If set, the view has archived days too. */
  readonly archived?: ArchivedStatement;
}

/** Statements that make a view of one metric. */
export function metricViews(table: MetricTable, days: readonly Day[], options: ViewOptions = {}): string[] {
  const labels = labelColumns(table.tags);
  const { before, rows, series } = sourceOf(table, table.metrics, days, options);
  const ofMetric = `SELECT ${["series_id", ...labels].join(", ")} FROM ${series}
  WHERE metric IN (${table.metrics.map(quoteText).join(", ")})`;
  const columns = ["d.ts", "d.value", ...tagsAndMore(table, options)];
  const unpacked = {
    columns: [NOTHING, "ts", "value", ...tagsAndMore(table, options, true)],
    hasStale: false,
  };
  const blocks = hasBlocks(table, options) ? blockArms(days, ofMetric, unpacked, options) : [];
  const from = `(${rows}) AS d
JOIN (${ofMetric}) AS s ON s.series_id = d.series_id
WHERE d.value IS NOT NULL`;
  const archived = armsWithNothing(options.archived?.metricArms(table, options.seriesIds));
  return [...before, viewOf(options.name ?? table.table, columns, from, [...blocks, ...archived])];
}

/** A view without rows, for a metric that was never pushed. */
export function emptyView(name: string, columns: readonly string[]): string {
  const select = [
    "NULL::TIMESTAMP AS ts",
    "NULL::DOUBLE AS value",
    ...columns.map((column) => `NULL::VARCHAR AS ${quoteIdentifier(column)}`),
    `NULL::UINTEGER AS ${SERIES_ID}`,
  ];
  return `CREATE OR REPLACE TEMP VIEW ${quoteIdentifier(name)} AS SELECT ${select.join(", ")} WHERE false`;
}

/** Statements that make a view of every sample of every metric. It includes stale markers, whose value is NULL. */
export function samplesViews(
  table: Pick<MetricTable, "table" | "tags" | "mayBePacked">,
  days: readonly Day[],
  options: ViewOptions = {},
): string[] {
  const { before, rows, series } = sourceOf(table, undefined, days, options);
  const columns = ["d.ts", "s.metric", "s.labels", "d.value", ...tagsAndMore(table, options)];
  const named = `SELECT series_id, metric, labels FROM ${series}`;
  const unpacked = {
    columns: [NOTHING, "ts", "metric", "labels", "value", ...tagsAndMore(table, options, true)],
    hasStale: true,
  };
  const blocks = hasBlocks(table, options) ? blockArms(days, named, unpacked, options) : [];
  const from = `(${rows}) AS d\nJOIN ${series} AS s ON s.series_id = d.series_id`;
  const archived = armsWithNothing(options.archived?.sampleArms(table.tags, options.seriesIds));
  return [...before, viewOf(options.name ?? table.table, columns, from, [...blocks, ...archived])];
}

/**
 * A UNION keeps its first column, even if no column is asked for, as by `count(*)`. So the first one is a column that takes no
 * time. It is not a column of the view.
 */
const NOTHING = `true AS ${quoteIdentifier("nothing asked")}`;

/** SELECTs of the columns of a view, with NOTHING before them. */
function armsWithNothing(arms: readonly string[] = []): string[] {
  return arms.map((arm) => arm.replace(/^SELECT /, `SELECT ${NOTHING}, `));
}

/** @param blocks SELECTs of the columns of the view, after NOTHING */
function viewOf(name: string, columns: readonly string[], from: string, blocks: readonly string[]): string {
  const create = `CREATE OR REPLACE TEMP VIEW ${quoteIdentifier(name)} AS`;
  if (blocks.length === 0) return `${create}\nSELECT ${columns.join(", ")}\nFROM ${from}`;
  const rows = `SELECT ${[NOTHING, ...columns].join(", ")}\nFROM ${from}`;
  return `${create}\nSELECT * EXCLUDE (${quoteIdentifier("nothing asked")}) FROM (\n${[rows, ...blocks].join(UNION)}\n)`;
}

/**
 * Statements that make views of the stored rows of all days, with the ids of their series and without labels, and of the
 * blocks beside them.
 *
 * @param own if set, only of these series. Their table is `own series`
 */
export function rowsViews(
  names: { readonly rows: string; readonly blocks: string },
  days: readonly Day[],
  own?: OwnIds,
): string[] {
  const create = (name: string) => `CREATE OR REPLACE TEMP VIEW ${quoteIdentifier(name)} AS`;
  const blocks = `${create(names.blocks)} SELECT * FROM weir.blocks`;
  if (own === undefined) return [`${create(names.rows)} ${arms(days, [])}`, blocks];
  return [
    ownSeriesTable(OWN_SERIES, own.ids()),
    `${create(names.rows)} ${arms(days, [], OWN_SERIES)}`,
    `${blocks} WHERE series_id IN (SELECT series_id FROM ${quoteIdentifier(OWN_SERIES)})`,
  ];
}

/** Where the rows and the series of a view come from, and the statements that must run before. */
interface ViewSource {
  readonly before: readonly string[];
  /** A query. */
  readonly rows: string;
  /** A table. */
  readonly series: string;
}

function sourceOf(
  { table, tags, mayBePacked }: Pick<MetricTable, "table" | "tags" | "mayBePacked">,
  metrics: readonly string[] | undefined,
  days: readonly Day[],
  { name = table, own, isCopied }: ViewOptions,
): ViewSource {
  if (own === undefined) return { before: [], rows: arms(days, tags), series: "weir.series" };
  // No table that a statement can name has a space in its name.
  const series = `own series of ${name}`;
  const before = [ownSeriesTable(series, own.ids(metrics))];
  const rows = arms(days, tags, series);
  if (!isCopied) return { before, rows, series: quoteIdentifier(series) };
  const attributes = tags.flatMap((tag) =>
    tag.attributes.length > 0 ? [`NULL::VARCHAR AS ${attributeAlias(tag)}`] : [],
  );
  const shown = { columns: ["series_id", "ts", "value", ...attributes], hasStale: true };
  const blocks = mayBePacked
    ? blockArms(days, `SELECT series_id FROM ${quoteIdentifier(series)}`, shown, { isOfAllTimes: true })
    : [];
  const copy = quoteIdentifier(`own rows of ${name}`);
  before.push(`CREATE OR REPLACE TEMP TABLE ${copy} AS ${[rows, ...blocks].join(UNION)}`);
  return { before, rows: `FROM ${copy}`, series: quoteIdentifier(series) };
}

/** Whether a view has arms for blocks. Copied rows include the samples of blocks. */
function hasBlocks(
  { mayBePacked }: Pick<MetricTable, "mayBePacked">,
  { own, isCopied }: ViewOptions,
): boolean {
  return mayBePacked && (own === undefined || isCopied !== true);
}

/** The columns of each listing, over `t` (a table's name), `c` (a column's name), `n` (its position) and `type`. */
const LISTED: Readonly<Record<Listing, string>> = {
  names: "t AS name",
  details: `'weir' AS database, 'main' AS schema, t AS name, list(c ORDER BY n) AS column_names,
    list(type ORDER BY n) AS column_types, false AS temporary`,
  tables: `'weir' AS table_catalog, 'main' AS table_schema, t AS table_name, 'VIEW' AS table_type,
    'NO' AS is_insertable_into, 'NO' AS is_typed`,
  columns: `'weir' AS table_catalog, 'main' AS table_schema, t AS table_name, c AS column_name, n AS ordinal_position,
    'YES' AS is_nullable, type AS data_type`,
};

/**
 * A view that lists the tables that a statement may name, or their columns. It lists none of the engine's own tables.
 */
export async function listingView(listing: Listing, tables: Pick<Tables, "all">): Promise<string> {
  const { LISTING_VIEWS } = await import("../sandbox/walk.ts");
  const listed = await tables.all();
  const rows = listed.flatMap(({ table, columns }) =>
    columns.map(({ name, type }, index) => [table, name, index + 1, type]),
  );
  const column = (index: number, type: string) =>
    `unnest(from_json(${quoteText(JSON.stringify(rows.map((row) => row[index])))}, '["${type}"]'))`;
  const each = `SELECT ${column(0, "VARCHAR")} AS t, ${column(1, "VARCHAR")} AS c, ${column(2, "INTEGER")} AS n, ${column(3, "VARCHAR")} AS type`;
  const grouped = listing === "columns" ? "ORDER BY t, n" : "GROUP BY t ORDER BY t";
  return `CREATE OR REPLACE TEMP VIEW ${quoteIdentifier(LISTING_VIEWS[listing])} AS
SELECT ${LISTED[listing]} FROM (${each}) ${grouped}`;
}

const SERIES_ID = quoteIdentifier("series id");

/** @param isOfBlocks whether the columns are those of an arm of blocks, which have no attributes */
function tagsAndMore(
  { tags }: Pick<MetricTable, "tags">,
  { seriesIds }: ViewOptions,
  isOfBlocks = false,
): string[] {
  const shownOf = isOfBlocks ? labelValue : tagValue;
  return [
    ...tags.map((tag) => `${shownOf(tag)} AS ${quoteIdentifier(tag.name)}`),
    ...(seriesIds ? [`${isOfBlocks ? "" : "d."}series_id AS ${SERIES_ID}`] : []),
  ];
}

/** The columns of labels on the series' side. */
function labelColumns(tags: readonly TagColumn[]): string[] {
  return tags.flatMap((tag) =>
    tag.labels.map((label, index) => `labels[${quoteText(label)}] AS ${labelAlias(tag, index)}`),
  );
}

/**
 * The table with the given columns, each of which shows a tag. A tag is named as pushed or by its own column. A given
 * column replaces another tag's column of the same name. It is NULL if the table has no such tag.
 */
export function withColumns<T extends { readonly tags: readonly TagColumn[] }>(
  table: T,
  columns: readonly { readonly name: string; readonly tag: string }[],
): T {
  const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
  const shown = columns.map(({ name, tag }): TagColumn => {
    const found =
      table.tags.find(({ labels, attributes }) => labels.includes(tag) || attributes.includes(tag)) ??
      table.tags.find((each) => same(each.name, tag));
    return { ...(found ?? { type: "VARCHAR", labels: [], attributes: [] }), name };
  });
  const others = table.tags.filter((tag) => !columns.some(({ name }) => same(name, tag.name)));
  return { ...table, tags: [...others, ...shown] };
}

/**
 * One SELECT per day, all with the same columns: series_id, ts, value, and one per tag that has attributes.
 *
 * @param ofSeries the name of a table. If set, only of the series in it
 */
function arms(days: readonly Day[], tags: readonly TagColumn[], ofSeries?: string): string {
  const narrowing =
    ofSeries === undefined ? "" : `\n  AND series_id IN (SELECT series_id FROM ${quoteIdentifier(ofSeries)})`;
  const attributeTags = tags.filter((tag) => tag.attributes.length > 0);
  const fixed = ["series_id", "ts", "value"];
  if (days.length === 0) {
    const empty = ["NULL::UINTEGER AS series_id", "NULL::TIMESTAMP AS ts", "NULL::DOUBLE AS value"];
    const attributes = attributeTags.map((tag) => `NULL::VARCHAR AS ${attributeAlias(tag)}`);
    return `SELECT ${[...empty, ...attributes].join(", ")} WHERE false`;
  }
  return days
    .map((day) => {
      const columns = new Map(day.attributes.map(({ name, column }) => [name, quoteIdentifier(column)]));
      const attributes = attributeTags.map((tag) => {
        const held = tag.attributes.flatMap((attribute) => columns.get(attribute) ?? []);
        return `${coalesce(held)} AS ${attributeAlias(tag)}`;
      });
      return `SELECT ${[...fixed, ...attributes].join(", ")} FROM weir.${quoteIdentifier(day.table)}
  WHERE ts >= TIMESTAMP ${quoteText(dateText(day.day))} AND ts < TIMESTAMP ${quoteText(dateText(day.day + 1))}${narrowing}`;
    })
    .join(UNION);
}

const UNION = "\n  UNION ALL\n  ";

/** Blocks have samples of one span of two hours. */
const SPAN_HOURS = 2;
/** The newest days whose spans have arms of their own: a statement about one hour decodes no others. */
const SPAN_ARM_DAYS = 2;

/**
 * The samples in blocks as SELECTs: one for each span of two hours of the newest days that have some, one for each older day, and
 * one for days that got some since. Blocks are joined with their series before they are unpacked, so that conditions on labels
 * leave out whole blocks.
 *
 * @param series a query of the series, with the ids and with columns for `shown`
 * @param shown the columns of the SELECTs, of series and of unpacked blocks, and whether they include stale markers
 */
function blockArms(
  days: readonly Day[],
  series: string,
  shown: { readonly columns: readonly string[]; readonly hasStale: boolean },
  { isOfAllTimes = false }: Pick<ViewOptions, "isOfAllTimes">,
): string[] {
  // A condition on the item is cheaper than one on the value, which is a formula.
  const unpacked = `${statement("store/unpacked_blocks")}${shown.hasStale ? "" : "WHERE item IS NOT NULL"}`;
  const arm = (isAsked: string, bounds = "") =>
    `SELECT ${shown.columns.join(", ")} FROM (
    WITH asked_blocks AS (
      SELECT blocks.*, s.* EXCLUDE (series_id)
      FROM weir.blocks AS blocks JOIN (${series}) AS s ON s.series_id = blocks.series_id
      WHERE ${isAsked}
    )
    ${unpacked}
  )${bounds}`;
  if (isOfAllTimes) return [arm("true")];
  const packed = days.filter((day) => day.packed > 0);
  const others = packed.length === 0 ? "true" : `day NOT IN (${packed.map(({ day }) => day).join(", ")})`;
  const between = (day: number, fromHour: number, hours: number) => {
    const at = (hour: number) => `TIMESTAMP ${quoteText(`${dateText(day)} ${hour}:00:00`)}`;
    const end = fromHour + hours === 24 ? `TIMESTAMP ${quoteText(dateText(day + 1))}` : at(fromHour + hours);
    const bounds = ` WHERE ts >= ${at(fromHour)} AND ts < ${end}`;
    if (hours === 24) return arm(`day = ${day}`, bounds);
    const span = `first_us >= epoch_us(${at(fromHour)}) AND first_us < epoch_us(${end})`;
    return arm(`day = ${day} AND ${span}`, bounds);
  };
  return [
    ...packed.flatMap(({ day }, at) =>
      at < packed.length - SPAN_ARM_DAYS
        ? [between(day, 0, 24)]
        : Array.from({ length: 24 / SPAN_HOURS }, (_, span) => between(day, span * SPAN_HOURS, SPAN_HOURS)),
    ),
    arm(others),
  ];
}

/** The value of a tag that is a label. */
function labelValue(tag: TagColumn): string {
  return coalesce(tag.labels.map((_, index) => labelAlias(tag, index)));
}

/** The value of a tag: the sample's attribute, else a label of its series. */
function tagValue(tag: TagColumn): string {
  return coalesce([
    ...(tag.attributes.length > 0 ? [`d.${attributeAlias(tag)}`] : []),
    ...tag.labels.map((_, index) => `s.${labelAlias(tag, index)}`),
  ]);
}

/** A tag's attribute column inside a view. Its name has a space, so that it cannot equal series_id, ts or value. */
function attributeAlias(tag: TagColumn): string {
  return quoteIdentifier(`${tag.name} attribute`);
}

/** A tag's label column on the series' side. A tag may have several spellings, hence the index. */
function labelAlias(tag: TagColumn, index: number): string {
  return quoteIdentifier(`${tag.name} label ${index}`);
}

function coalesce(values: readonly string[]): string {
  if (values.length === 0) return "NULL::VARCHAR";
  return values.length === 1 ? values[0]! : `coalesce(${values.join(", ")})`;
}
