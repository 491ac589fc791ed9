/**
 * The list of tables for `GET /api/v1/tables`: each table with its columns, the number of its rows and the time of its
 * last row. Metrics that users push come first, then the tables that always exist, then the metrics of the gateway
 * itself and of its machine.
 */
import type { Labels } from "../../model/sample.ts";
import { inSlices, nextTurn } from "../../model/tasks/time-slices.ts";
import { statement } from "../../store/statements.ts";
import type { Cell, ResultColumn } from "../../store/store.ts";
import type { CallerSeries } from "../caller-series.ts";
import type { QueryResult, SqlEngine } from "./sql-engine.ts";
import type { Table } from "./tables.ts";
import { rowsViews } from "./views.ts";

export interface ListedTable extends Table {
  /** Rows that a SELECT without a condition returns. */
  readonly rows: number;
  /** Time of the last row, RFC 3339; null if the table is empty or its rows have no time. */
  readonly last: string | null;
}

/** Prefixes of the metrics that the sampler stores and of the gateway's own. */
const MACHINE = /^(?:weir|process|node|container|gpu)_/;

/**
 * The tables whose name or metric matches `pattern`, all if it is absent, with only the series that have `labels` if they
 * are set. `*` and `%` match any text. A pattern without
 * them matches anywhere in a name. Case is ignored.
 *
 * @throws the errors of `SqlEngine.run`, which counts the rows of all days
 */
export async function listTables(
  engine: Pick<SqlEngine, "run" | "tables" | "own">,
  pattern?: string,
  signal?: AbortSignal,
  labels?: Labels,
): Promise<ListedTable[]> {
  const own = await engine.own(labels);
  const sizes = await tableSizes(engine, own, signal);
  const matches = matcher(pattern);
  const tables = await engine.tables(own);
  return await inSlices(listing(tables, matches, sizes));
}

function* listing(
  tables: readonly Table[],
  matches: (name: string) => boolean,
  sizes: ReadonlyMap<string, Size>,
): Generator<void, ListedTable[]> {
  const byRank: ListedTable[][] = [[], [], []];
  for (const table of tables) {
    yield;
    const { metric, metrics = [] } = table;
    if (!matches(table.table) && !metrics.some(matches)) continue;
    const keys = table.metrics?.map((each) => `metric ${each}`) ?? [table.table];
    const found = keys.flatMap((key) => sizes.get(key) ?? []);
    const lastMs = Math.max(...found.map((size) => size.lastMs ?? Number.NEGATIVE_INFINITY));
    byRank[metric === undefined ? 1 : MACHINE.test(table.table) ? 2 : 0]!.push({
      ...table,
      rows: found.reduce((sum, { rows }) => sum + rows, 0),
      last: Number.isFinite(lastMs) ? new Date(lastMs).toISOString() : null,
    });
  }
  return byRank.flat();
}

/** The list in JSON. */
export async function tablesJson(tables: readonly ListedTable[]): Promise<string> {
  return await inSlices(writing(tables));
}

function* writing(tables: readonly ListedTable[]): Generator<void, string> {
  const texts: string[] = [];
  for (const table of tables) {
    texts.push(JSON.stringify(table));
    yield;
  }
  return `{"tables":[${texts.join(",")}]}\n`;
}

interface Size {
  readonly rows: number;
  readonly lastMs: number | null;
}

/** A row of sql/query/table_sizes.sql. */
interface Sized {
  readonly is_metric: boolean;
  readonly name: string;
  readonly row_count: number;
  readonly last_ms: number | null;
}

/** Sizes by `metric NAME` for metrics, and by the table's name for other tables. */
async function tableSizes(
  engine: Pick<SqlEngine, "run">,
  own: CallerSeries | undefined,
  signal?: AbortSignal,
): Promise<Map<string, Size>> {
  const result = await engine.run(
    async (_, days) => ({
      views: rowsViews({ rows: "every row", blocks: "every block" }, days, own),
      sql: statement(own === undefined ? "query/table_sizes" : "query/own_table_sizes"),
    }),
    { signal },
  );
  const [[text]] = (await result.next()) as unknown as [[string]];
  await result.close();
  // The engine's own JSON: the driver takes twenty times as long to convert a list of 10,000 structures.
  const listed = JSON.parse(text) as readonly Sized[];
  return new Map(
    listed.map(({ is_metric, name, row_count, last_ms }) => [
      is_metric ? `metric ${name}` : name,
      { rows: row_count, lastMs: last_ms },
    ]),
  );
}

/**
 * Returns a predicate: whether a name matches the pattern, by the rules of `listTables`. Without a regular expression,
 * which would take minutes for `*a*a*a*a*b` and a name of many `a`.
 */
export function matcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined || pattern === "") return () => true;
  const [first, ...rest] = pattern.toLowerCase().split(/[*%]/);
  const last = rest.pop();
  if (last === undefined) return (name) => name.toLowerCase().includes(first!);
  return (name) => {
    const text = name.toLowerCase();
    const end = text.length - last.length;
    if (!text.startsWith(first!) || !text.endsWith(last)) return false;
    let from = first!.length;
    // The first place of each part leaves the most for the parts after it.
    for (const part of rest) {
      const at = text.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return from <= end;
  };
}

/** The list as rows, for the formats of SQL: one line per table. */
export function tableRows(tables: readonly ListedTable[]): QueryResult {
  const rows = tables.map(({ table, metric, kind, unit, rows, last, columns }): Cell[] => [
    table,
    rows,
    last,
    kind ?? null,
    unit === undefined || unit === "" ? null : unit,
    columns.map(({ name }) => name).join(", "),
    metric ?? null,
  ]);
  return givenRows(
    [
      { name: "table", type: "VARCHAR" },
      { name: "rows", type: "BIGINT" },
      { name: "last", type: "VARCHAR" },
      ...["kind", "unit", "columns", "metric"].map((name) => ({ name, type: "VARCHAR" })),
    ],
    rows,
  );
}

/** The rows that are printed without a pause. */
const ROWS_AT_A_TIME = 500;

/** A query's result of rows in memory, so that every format of an answer can print them. */
export function givenRows(columns: readonly ResultColumn[], rows: readonly (readonly Cell[])[]): QueryResult {
  let given = 0;
  return {
    columns,
    limitRows: rows.length,
    truncated: false,
    async next() {
      if (given >= rows.length) return undefined;
      if (given > 0) await nextTurn();
      const chunk = rows.slice(given, given + ROWS_AT_A_TIME);
      given += chunk.length;
      return chunk;
    },
    async close() {},
  };
}
