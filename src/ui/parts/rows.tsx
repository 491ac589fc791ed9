/** A table of any number of rows. Only those that can be seen are in the document, so that 10,000 rows scroll smoothly. */
import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";

export interface TableColumn<Row> {
  readonly title: string;
  readonly isNumber?: boolean;
  /** Whether the column is left out where there is no room for it. */
  readonly isForWide?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
  /** What rows are sorted by if the title is chosen. A column without it cannot be chosen. */
  readonly order?: (row: Row) => number | string;
}

interface RowsProps<Row> {
  /** What the table contains, for readers of screens. */
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly TableColumn<Row>[];
  readonly keyOf: (row: Row) => string;
  /** The height of the part that is seen, in pixels, if there are more rows. */
  readonly height?: number;
}

const ROW_PX = 30;
/** Rows above and below what is seen, for scrolling between two renderings. */
const MARGIN = 20;

export function Rows<Row>({ label, rows, columns, keyOf, height = 600 }: RowsProps<Row>) {
  const [top, setTop] = useState(0);
  const [sorting, setSorting] = useState<{ readonly column: number; readonly isDown: boolean }>();
  const area = useRef<HTMLDivElement>(null);
  const sorted = useMemo(() => {
    const order = sorting === undefined ? undefined : columns[sorting.column]?.order;
    if (order === undefined) return rows;
    const sign = sorting!.isDown ? -1 : 1;
    return rows.toSorted((a, b) => sign * compare(order(a), order(b)));
  }, [rows, columns, sorting]);
  const isLong = sorted.length * ROW_PX > height;
  const first = isLong ? Math.max(0, Math.floor(top / ROW_PX) - MARGIN) : 0;
  const count = isLong ? Math.ceil(height / ROW_PX) + 2 * MARGIN : sorted.length;
  const seen = sorted.slice(first, first + count);
  const after = sorted.length - first - seen.length;
  return (
    <div
      ref={area}
      class="rows"
      style={isLong ? { height: `${height}px` } : undefined}
      onScroll={() => setTop(area.current?.scrollTop ?? 0)}
    >
      <table aria-label={label} aria-rowcount={sorted.length + 1}>
        <thead>
          <tr>
            {columns.map(({ title, isNumber, isForWide, order }, at) => (
              <th key={title} class={classOf(isNumber, isForWide)} aria-sort={sortOf(sorting, at)}>
                {order === undefined ? (
                  title
                ) : (
                  <button
                    type="button"
                    class="sort"
                    onClick={() =>
                      setSorting({
                        column: at,
                        isDown: sorting?.column === at ? !sorting.isDown : isNumber === true,
                      })
                    }
                  >
                    {title}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 ? <Space rows={first} columns={columns.length} /> : null}
          {seen.map((row, at) => (
            <tr key={keyOf(row)} aria-rowindex={first + at + 2}>
              {columns.map(({ title, isNumber, isForWide, cell }) => (
                <td key={title} class={classOf(isNumber, isForWide)}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {after > 0 ? <Space rows={after} columns={columns.length} /> : null}
        </tbody>
      </table>
    </div>
  );
}

function classOf(isNumber: boolean | undefined, isForWide: boolean | undefined): string | undefined {
  if (isNumber) return "number";
  return isForWide ? "for-wide" : undefined;
}

/** The place of rows that are not in the document. */
function Space({ rows, columns }: { readonly rows: number; readonly columns: number }) {
  return (
    <tr class="space">
      <td colSpan={columns} style={{ height: `${rows * ROW_PX}px` }} />
    </tr>
  );
}

function sortOf(sorting: { readonly column: number; readonly isDown: boolean } | undefined, column: number) {
  if (sorting?.column !== column) return undefined;
  return sorting.isDown ? "descending" : "ascending";
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
