/** All metrics in a table that can be searched and sorted. */
import { useMemo } from "preact/hooks";
import { formatAgo, formatTime } from "../../format/times.ts";
import { formatBytes, formatCount, formatSeconds } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Empty } from "../../parts/states.tsx";
import { place, setQuery } from "../../router.ts";
import type { StoredMetric, StoredMetrics } from "./stored-metrics.ts";

export const metricAddress = (metric: string) => `/explore?${new URLSearchParams({ metric })}`;

const SOURCES = { all: "All", pushed: "Pushed", own: "Of the gateway and its machine" };

export function MetricList({ metrics, bytesPerSample }: StoredMetrics) {
  const { query } = place.value;
  const search = query.get("search") ?? "";
  const source = query.get("source") ?? "all";
  const words = search.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
  const found = useMemo(
    () =>
      metrics.filter((each) => {
        if (source === (each.isOwn ? "pushed" : "own")) return false;
        const text = [each.metric, each.table, each.help, each.unit, ...each.jobs].join(" ").toLowerCase();
        return words.split(" ").every((word) => text.includes(word));
      }),
    [metrics, words, source],
  );
  const columns = useMemo(
    () =>
      columnsOf(
        bytesPerSample,
        metrics.some(({ asked }) => asked !== undefined),
        Date.now(),
      ),
    [bytesPerSample, metrics],
  );
  const total = found.reduce((sum, { samples }) => sum + samples, 0);
  const note = `${formatCount(found.length)} of ${formatCount(metrics.length)}, ${formatCount(total)} samples`;
  return (
    <Panel title="Metrics" note={<span role="status">{note}</span>} isWide>
      <div class="bar filters">
        <input
          type="search"
          aria-label="Search metrics"
          placeholder="Name, help, unit or job"
          value={search}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <select
          aria-label="Which metrics"
          value={source}
          onChange={(event) => {
            const chosen = event.currentTarget.value;
            setQuery({ source: chosen === "all" ? undefined : chosen });
          }}
        >
          {Object.entries(SOURCES).map(([name, title]) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
      </div>
      {found.length === 0 ? (
        <Empty>No metric matches.</Empty>
      ) : (
        <Rows label="Metrics" rows={found} columns={columns} keyOf={({ table }) => table} height={900} />
      )}
    </Panel>
  );
}

function columnsOf(
  bytesPerSample: number | undefined,
  isUsageKnown: boolean,
  nowMs: number,
): TableColumn<StoredMetric>[] {
  const size: TableColumn<StoredMetric>[] =
    bytesPerSample === undefined
      ? []
      : [
          {
            title: "Size, about",
            isNumber: true,
            cell: ({ samples }) => formatBytes(Math.round(samples * bytesPerSample)),
            order: ({ samples }) => samples,
          },
        ];
  const asked: TableColumn<StoredMetric>[] = isUsageKnown
    ? [
        {
          title: "Last asked",
          isNumber: true,
          cell: ({ asked: usage }) => <LastAsked usage={usage} nowMs={nowMs} />,
          order: ({ asked: usage }) => usage?.lastMs ?? 0,
        },
      ]
    : [];
  return [
    {
      title: "Metric",
      cell: ({ metric, help }) => (
        <a class="cut name" href={metricAddress(metric)} title={help === "" ? metric : `${metric}: ${help}`}>
          {metric}
        </a>
      ),
      order: ({ metric }) => metric,
    },
    { title: "Type", cell: typeText, order: typeText },
    { title: "Unit", cell: ({ unit }) => unit, order: ({ unit }) => unit },
    {
      title: "Series",
      isNumber: true,
      cell: ({ series }) => formatCount(series),
      order: ({ series }) => series,
    },
    {
      title: "Samples",
      isNumber: true,
      cell: ({ samples }) => formatCount(samples),
      order: ({ samples }) => samples,
    },
    ...size,
    {
      title: "Last sample",
      isNumber: true,
      cell: ({ lastMs }) =>
        lastMs === undefined ? "never" : <span title={formatTime(lastMs)}>{formatAgo(lastMs, nowMs)}</span>,
      order: ({ lastMs }) => lastMs ?? 0,
    },
    ...asked,
    {
      title: "Jobs",
      cell: ({ jobs }) => (
        <span class="cut jobs" title={jobs.join(", ")}>
          {jobs.join(", ")}
        </span>
      ),
      order: ({ jobs }) => jobs.join(", "),
    },
    {
      title: "Help",
      isForWide: true,
      cell: ({ help }) => (
        <span class="cut muted" title={help}>
          {help}
        </span>
      ),
    },
  ];
}

/** When a query, a rule or a summary last asked for a metric. */
export function LastAsked({
  usage,
  nowMs,
}: {
  readonly usage: StoredMetric["asked"];
  readonly nowMs: number;
}) {
  if (usage === undefined) return null;
  const { count, lastMs, sinceMs } = usage;
  const since = `since ${formatTime(sinceMs)}`;
  if (lastMs === undefined)
    return <span title={`Nobody asked for it ${since}.`}>not {formatSince(sinceMs, nowMs)}</span>;
  return (
    <span title={`${formatCount(count)} times ${since}, the last one at ${formatTime(lastMs)}`}>
      {formatAgo(lastMs, nowMs)}
    </span>
  );
}

const formatSince = (sinceMs: number, nowMs: number) =>
  `for ${formatSeconds(Math.max(1, Math.round((nowMs - sinceMs) / 1_000)))}`;

/** The type in Prometheus. What is pushed as events is a histogram or a counter there. */
export function typeText({ kind, type }: Pick<StoredMetric, "kind" | "type">): string {
  if (kind === "observation") return "histogram of events";
  if (kind === "delta") return "counter of events";
  return type === "unknown" || type === "" ? kind : type;
}
