/** The answer of a statement of SQL: rows, lines over time if there is a column `ts`, and downloads. */
import { useMemo } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { formatCount, formatSeconds } from "../../format/units.ts";
import { sqlTimeMs, type Zone } from "../../format/times.ts";
import type { ChartLine } from "../../parts/chart-lines.ts";
import { Chart } from "../../parts/chart.tsx";
import { Rows } from "../../parts/rows.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import type { QueryTab } from "./query-address.ts";

interface SqlResultProps {
  readonly statement: string;
  readonly tab: QueryTab;
  readonly zone: Zone;
  /** Changes when the statement is to be asked again. */
  readonly run: number;
}

type Cell = string | number | boolean | null | object;
type SqlRow = Readonly<Record<string, Cell>>;

interface SqlAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly SqlRow[];
  readonly truncated?: boolean;
}

/** Rows that the page asks for. A download has all. */
const ROWS_MAX = 10_000;
const LINES_MAX = 50;
const DOWNLOADS = { csv: "CSV", parquet: "Parquet", ndjson: "NDJSON" };

export function SqlResult({ statement, tab, zone, run }: SqlResultProps) {
  const live = useLive(
    async (signal) => {
      const began = performance.now();
      const parameters = { q: statement, format: "json", limit: ROWS_MAX };
      const answer = await askJson<SqlAnswer>("/api/v1/sql", { parameters, signal });
      return { ...answer, seconds: (performance.now() - began) / 1_000 };
    },
    0,
    `${statement}\n${run}`,
  );
  return (
    <Answered live={live} what="The answer" onCancel={live.cancel}>
      {({ columns, rows, truncated, seconds }) => (
        <>
          <p class="note">
            {formatCount(rows.length)} rows in {formatSeconds(seconds)}
            {truncated ? ", and more that are not shown" : ""}. Download:{" "}
            {Object.entries(DOWNLOADS).map(([format, title]) => (
              <a
                key={format}
                class="download"
                href={`/api/v1/sql?${new URLSearchParams({ q: statement, format })}`}
                download={`answer.${format}`}
              >
                {title}
              </a>
            ))}
          </p>
          <SqlContent {...{ columns, rows, tab, zone }} />
        </>
      )}
    </Answered>
  );
}

function SqlContent({
  columns,
  rows,
  tab,
  zone,
}: Pick<SqlAnswer, "columns" | "rows"> & Pick<SqlResultProps, "tab" | "zone">) {
  const drawn = useMemo(
    () => (tab === "graph" ? linesOfRows(columns, rows) : undefined),
    [columns, rows, tab],
  );
  if (rows.length === 0) return <Empty>No row matches.</Empty>;
  if (tab === "json") return <pre class="json">{JSON.stringify(rows.slice(0, 1_000), null, 2)}</pre>;
  return (
    <>
      {drawn === undefined ? null : (
        <Chart {...drawn} label="The rows over time" height={280} group="query" hasTip zone={zone} />
      )}
      <Rows<readonly [number, SqlRow]>
        label="Rows"
        rows={rows.map((row, at) => [at, row] as const)}
        keyOf={([at]) => String(at)}
        columns={columns.map(({ name, type }) => ({
          title: name,
          isNumber: isNumeric(type),
          cell: ([, row]) => cellText(row[name] ?? null, name),
          order: ([, row]) => orderOf(row[name] ?? null),
        }))}
      />
    </>
  );
}

function isNumeric(type: string): boolean {
  return /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|FLOAT|DOUBLE|DECIMAL.*)$/.test(type);
}

function cellText(cell: Cell, column: string) {
  if (cell === null) return <span class="muted">NULL</span>;
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  if (column !== "task_id") return text;
  return <a href={`/tasks?${new URLSearchParams({ task_id: text })}`}>{text}</a>;
}

function orderOf(cell: Cell): number | string {
  if (typeof cell === "number") return cell;
  return cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/**
 * Lines of the numeric columns over the first column of times; one per text of another column if there is just one such
 * column with few texts. Undefined without times or numbers.
 */
export function linesOfRows(
  columns: SqlAnswer["columns"],
  rows: readonly SqlRow[],
): { readonly times: number[]; readonly lines: ChartLine[] } | undefined {
  const time = columns.find(({ type }) => /^(?:TIMESTAMP|DATE)/.test(type))?.name;
  const numbers = columns
    .filter(({ type, name }) => isNumeric(type) && name !== time)
    .map(({ name }) => name);
  if (time === undefined || numbers.length === 0) return undefined;
  const texts = columns.filter(({ type }) => type === "VARCHAR").map(({ name }) => name);
  const lineOf = (row: SqlRow, number: string) => {
    const parts = texts.length <= 2 ? texts.map((text) => String(row[text] ?? "")) : [];
    return [...parts, ...(numbers.length > 1 || parts.length === 0 ? [number] : [])].join(" ");
  };
  const byTime = new Map<number, Map<string, number>>();
  const names = new Set<string>();
  for (const row of rows) {
    const seconds = sqlTimeMs(String(row[time])) / 1_000;
    if (!Number.isFinite(seconds)) continue;
    const point = byTime.get(seconds) ?? new Map<string, number>();
    byTime.set(seconds, point);
    for (const number of numbers) {
      const value = Number(row[number]);
      const name = lineOf(row, number);
      if (row[number] === null || !Number.isFinite(value)) continue;
      names.add(name);
      point.set(name, value);
    }
  }
  if (names.size === 0 || names.size > LINES_MAX) return undefined;
  const times = [...byTime.keys()].sort((a, b) => a - b);
  const lines = [...names].map((name) => ({
    name,
    values: times.map((each) => byTime.get(each)!.get(name) ?? null),
  }));
  return { times, lines };
}
