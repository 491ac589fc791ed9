/**
 * The list of tables as people ask for it: which there are, what each holds, how many rows it has and when its last one
 * was. What people push comes first, then the tables that are always there, then what the gateway measures of itself and
 * its machine.
 */
import { statement } from "../../store/statements.ts";
import type { Cell } from "../../store/store.ts";
import { givenRows } from "./given-rows.ts";
import type { QueryResult, SqlEngine } from "./sql.ts";
import type { Table } from "./tables.ts";
import { rowsView } from "./views.ts";

export interface ListedTable extends Table {
  /** Rows that a SELECT without a condition gives. */
  readonly rows: number;
  /** Time of the last one, RFC 3339; null where there is none, or rows have no time. */
  readonly last: string | null;
}

/** Prefixes of what the sampler stores and the gateway measures of itself. */
const MACHINE = /^(?:weir|process|node|container|gpu)_/;

/**
 * The tables whose name or metric matches `pattern`, all if it is absent: `*` and `%` stand for any text, and a pattern
 * without one is looked for anywhere. Upper and lower case are the same.
 *
 * @throws what `SqlEngine.run` throws: it counts the rows of all days
 */
export async function listTables(
  engine: Pick<SqlEngine, "run" | "tables">,
  pattern?: string,
  signal?: AbortSignal,
): Promise<ListedTable[]> {
  const sizes = await tableSizes(engine, signal);
  const matches = matcher(pattern);
  const listed = engine
    .tables()
    .filter(({ table, metrics = [] }) => matches(table) || metrics.some(matches))
    .map((table): ListedTable => {
      const keys = table.metrics?.map((metric) => `metric ${metric}`) ?? [table.table];
      const found = keys.flatMap((key) => sizes.get(key) ?? []);
      const lastMs = Math.max(...found.map((size) => size.lastMs ?? Number.NEGATIVE_INFINITY));
      return {
        ...table,
        rows: found.reduce((sum, { rows }) => sum + rows, 0),
        last: Number.isFinite(lastMs) ? new Date(lastMs).toISOString() : null,
      };
    });
  const rank = ({ table, metric }: Table) => (metric === undefined ? 1 : MACHINE.test(table) ? 2 : 0);
  return listed.sort((a, b) => rank(a) - rank(b));
}

interface Size {
  readonly rows: number;
  readonly lastMs: number | null;
}

/** What sql/query/table_sizes.sql gives for each. */
interface Sized {
  readonly is_metric: boolean;
  readonly name: string;
  readonly row_count: number;
  readonly last_ms: number | null;
}

/** By `metric NAME` for the metrics, and by the table's name for the others. */
async function tableSizes(engine: Pick<SqlEngine, "run">, signal?: AbortSignal): Promise<Map<string, Size>> {
  const result = await engine.run(
    async (_, days) => ({
      views: [rowsView("every row", days)],
      sql: statement("query/table_sizes"),
    }),
    { signal },
  );
  const [[listed]] = (await result.next()) as unknown as [[Sized[]]];
  await result.close();
  return new Map(
    listed.map(({ is_metric, name, row_count, last_ms }) => [
      is_metric ? `metric ${name}` : name,
      { rows: row_count, lastMs: last_ms },
    ]),
  );
}

/** Whether a name matches a pattern, as `listTables` takes it. */
export function matcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined || pattern === "") return () => true;
  const parts = pattern.split(/[*%]/).map((part) => part.replace(/[\\^$.+?()|[\]{}]/g, "\\$&"));
  const expression = new RegExp(parts.length === 1 ? parts[0]! : `^${parts.join(".*")}$`, "i");
  return (name) => expression.test(name);
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
