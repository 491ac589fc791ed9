/** What arrives: rate, errors and quantiles of each metric of events. */
import type { Live } from "../../api/live.ts";
import { formatNumber, formatSeconds, formatValue, unitOfName } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";
import { ErrorNote } from "../../parts/states.tsx";
import type { Arrivals, TrafficRow } from "./overview-answers.ts";

const PARTS = 30;

/** One number for each part of the range. Parts without samples have `none`. */
function seriesOf<None>(
  { parts }: TrafficRow,
  value: (part: TrafficRow["parts"][number]) => number | null,
  none: None,
): (number | null | None)[] {
  const by = new Map(parts.map((each) => [each.part, each]));
  return Array.from({ length: PARTS }, (_, at) => (by.has(at) ? value(by.get(at)!) : none));
}

const three = (value: number) => Number(value.toPrecision(3));
const nameIn = (metric: string) => metric.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_");

function valueText(row: TrafficRow, value: number | null): string {
  return value === null ? "–" : formatValue(three(value), unitOfName(row.metric));
}

function queryLink({ metric, kind }: TrafficRow): string {
  const name = nameIn(metric);
  const expr =
    kind === "observation"
      ? `histogram_quantile(0.95, sum by (le) (rate(${name}_bucket[5m])))`
      : `sum(rate(${name.replace(/(?:_total)?$/, "_total")}[5m]))`;
  return `/query?${new URLSearchParams({ expr })}`;
}

const COLUMNS: readonly TableColumn<TrafficRow>[] = [
  {
    title: "Metric",
    cell: (row) => <a href={queryLink(row)}>{row.metric}</a>,
    order: ({ metric }) => metric,
  },
  {
    title: "Events/s",
    isNumber: true,
    cell: ({ per_second }) => formatNumber(three(per_second)),
    order: ({ per_second }) => per_second,
  },
  {
    title: "Rate",
    cell: (row) => (
      <Sparkline label={`Rate of ${row.metric}`} values={seriesOf(row, ({ samples }) => samples, 0)} />
    ),
  },
  {
    title: "Errors",
    isNumber: true,
    cell: ({ failed_percent }) =>
      failed_percent === null ? (
        "–"
      ) : (
        <span class={failed_percent >= 5 ? "bad" : failed_percent >= 1 ? "warn" : undefined}>
          {formatNumber(three(failed_percent))} %
        </span>
      ),
    order: ({ failed_percent }) => failed_percent ?? -1,
  },
  { title: "p50", isNumber: true, cell: (row) => valueText(row, row.p50), order: ({ p50 }) => p50 ?? -1 },
  { title: "p95", isNumber: true, cell: (row) => valueText(row, row.p95), order: ({ p95 }) => p95 ?? -1 },
  { title: "p99", isNumber: true, cell: (row) => valueText(row, row.p99), order: ({ p99 }) => p99 ?? -1 },
  {
    title: "p95 over time",
    cell: (row) =>
      row.kind === "observation" ? (
        <Sparkline
          label={`95th percentile of ${row.metric}`}
          values={seriesOf(row, ({ p95 }) => p95, null)}
        />
      ) : null,
  },
];

export function TrafficPanel({ arrivals }: { readonly arrivals: Live<Arrivals> }) {
  const { answer, error } = arrivals;
  if (answer === undefined || answer.traffic.length === 0)
    return error === undefined || answer !== undefined ? null : (
      <ErrorNote title="The metrics could not be loaded" detail={error.message} />
    );
  return (
    <Panel title="Events" note={`the last ${formatSeconds(Math.round(answer.seconds))}`} isWide>
      <Rows
        label="Events by metric"
        rows={answer.traffic}
        columns={COLUMNS}
        keyOf={({ metric }) => metric}
        height={330}
      />
    </Panel>
  );
}
