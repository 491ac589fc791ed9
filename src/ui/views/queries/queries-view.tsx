/** The queries that run now, which can be cancelled, and those that took the longest in the last hour. */
import { useMemo, useState } from "preact/hooks";
import { ApiError, ask, askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { may, session } from "../../api/session.ts";
import { formatAgo, formatTime, spanText } from "../../format/times.ts";
import { formatCount, formatSeconds } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Answered, Empty, ErrorNote } from "../../parts/states.tsx";

interface ShownQuery {
  readonly query: string;
  readonly language: "PromQL" | "SQL";
  /** The name of a token, `rules`, or null if nobody in particular asked. */
  readonly caller: string | null;
}

interface RunningQuery extends ShownQuery {
  readonly id: string;
  readonly duration: string;
  readonly state: "waiting" | "running" | "ending";
  readonly asked: string;
  readonly rows: number;
  readonly series: number;
}

interface SlowQuery extends ShownQuery {
  readonly timeRangeSeconds: number;
  readonly count: number;
  readonly avgDurationSeconds: number;
  readonly sumDurationSeconds: number;
  readonly maxDurationSeconds: number;
  readonly maxAsked: string;
  readonly lastAsked: string;
}

const RUNNING_REFRESH_MS = 2_000;
const SLOW_REFRESH_MS = 15_000;
const SLOW_MAX = 50;

export default function QueriesView() {
  return (
    <div class="panels">
      <RunningPanel />
      <SlowPanel />
    </div>
  );
}

/** Whose queries are listed. */
function whose(): string {
  return session.value?.open || may("admin") ? "of all callers" : "of your token";
}

function RunningPanel() {
  const live = useLive(
    async (signal) =>
      (await askJson<{ data: RunningQuery[] }>("/api/v1/status/active_queries", { signal })).data,
    RUNNING_REFRESH_MS,
  );
  const [said, setSaid] = useState<{ text?: string; error?: Error }>({});
  const cancel = async ({ id, language }: RunningQuery) => {
    try {
      await ask(`/api/v1/status/active_queries/${id}/cancel`, { method: "POST" });
      setSaid({ text: `The query in ${language} was cancelled.` });
    } catch (error) {
      // It ended in the same moment.
      if (error instanceof ApiError && error.status === 404) setSaid({ text: "The query has ended." });
      else setSaid({ error: error as Error });
    }
    live.again();
  };
  return (
    <Panel title="Running now" note={whose()} isWide>
      <p role="status" class="muted">
        {said.text ?? ""}
      </p>
      {said.error === undefined ? null : (
        <ErrorNote title="The query was not cancelled" detail={said.error.message} />
      )}
      <Answered live={live} what="The running queries">
        {(queries) =>
          queries.length === 0 ? (
            <Empty>No query runs at the moment.</Empty>
          ) : (
            <Rows
              label="Running queries"
              rows={queries}
              columns={runningColumns((query) => void cancel(query))}
              keyOf={({ id }) => id}
            />
          )
        }
      </Answered>
    </Panel>
  );
}

const STATES = { waiting: "waits for its turn", ending: "is ending" } as const;

/** The text of a query, which opens it in the editor. */
function QueryText({ query, language }: ShownQuery) {
  const parameters = new URLSearchParams({ [language === "SQL" ? "sql" : "expr"]: query });
  return (
    <a class="cut query-text" href={`/query?${parameters}`} title={query}>
      <code>{query}</code>
    </a>
  );
}

const COMMON: readonly TableColumn<ShownQuery>[] = [
  { title: "Query", cell: (query) => <QueryText {...query} />, order: ({ query }) => query },
  { title: "Language", cell: ({ language }) => language },
  {
    title: "Asked by",
    cell: ({ caller }) => caller ?? <span class="muted">anyone</span>,
    order: ({ caller }) => caller ?? "",
  },
];

function runningColumns(onCancel: (query: RunningQuery) => void): TableColumn<RunningQuery>[] {
  return [
    ...COMMON,
    {
      title: "For",
      isNumber: true,
      cell: ({ duration, asked }) => (
        <span title={formatTime(Date.parse(asked))}>{formatSeconds(Number.parseFloat(duration))}</span>
      ),
      order: ({ duration }) => Number.parseFloat(duration),
    },
    {
      title: "State",
      cell: ({ state }) => (state === "running" ? state : <span class="muted">{STATES[state]}</span>),
    },
    { title: "Rows read", isNumber: true, cell: ({ rows }) => formatCount(rows), order: ({ rows }) => rows },
    {
      title: "Series",
      isNumber: true,
      cell: ({ series, language }) => (language === "SQL" ? "" : formatCount(series)),
      order: ({ series }) => series,
    },
    {
      title: "Actions",
      cell: (query) => (
        <button
          type="button"
          class="small"
          disabled={query.state === "ending"}
          aria-label={`Cancel the query ${query.query.slice(0, 80)}`}
          onClick={() => onCancel(query)}
        >
          Cancel
        </button>
      ),
    },
  ];
}

function SlowPanel() {
  const live = useLive(
    async (signal) =>
      (
        await askJson<{ topByMaxDuration: SlowQuery[] }>("/api/v1/status/top_queries", {
          parameters: { topN: SLOW_MAX },
          signal,
        })
      ).topByMaxDuration,
    SLOW_REFRESH_MS,
  );
  const columns = useMemo(() => slowColumns(Date.now()), [live.answer]);
  return (
    <Panel title="Slow queries" note={`of the last hour, ${whose()}`} isWide>
      <Answered live={live} what="The slow queries">
        {(queries) =>
          queries.length === 0 ? (
            <Empty>No query took a millisecond or more.</Empty>
          ) : (
            <Rows
              label="Slow queries"
              rows={queries}
              columns={columns}
              keyOf={({ query, language, caller, timeRangeSeconds }) =>
                JSON.stringify([query, language, caller, timeRangeSeconds])
              }
            />
          )
        }
      </Answered>
    </Panel>
  );
}

function slowColumns(nowMs: number): TableColumn<SlowQuery>[] {
  const seconds = (title: string, of: (query: SlowQuery) => number): TableColumn<SlowQuery> => ({
    title,
    isNumber: true,
    cell: (query) => formatSeconds(of(query)),
    order: of,
  });
  return [
    ...COMMON,
    seconds("Slowest", ({ maxDurationSeconds }) => maxDurationSeconds),
    {
      title: "When",
      isNumber: true,
      cell: ({ maxAsked }) => (
        <span title={formatTime(Date.parse(maxAsked))}>{formatAgo(Date.parse(maxAsked), nowMs)}</span>
      ),
      order: ({ maxAsked }) => maxAsked,
    },
    { title: "Times", isNumber: true, cell: ({ count }) => formatCount(count), order: ({ count }) => count },
    seconds("Mean", ({ avgDurationSeconds }) => avgDurationSeconds),
    seconds("In all", ({ sumDurationSeconds }) => sumDurationSeconds),
    {
      title: "Range",
      isNumber: true,
      cell: ({ timeRangeSeconds }) => (timeRangeSeconds === 0 ? "" : spanText(timeRangeSeconds * 1000)),
      order: ({ timeRangeSeconds }) => timeRangeSeconds,
    },
  ];
}
