/** Tasks: find one by its id, the slow ones, and why tasks fail. The address has the id, the range and the limit. */
import { useState } from "preact/hooks";
import { askSummary } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { formatAgo, parseSpan, sqlTimeMs } from "../../format/times.ts";
import { formatCount, formatSeconds } from "../../format/units.ts";
import { useNow } from "../../parts/now.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { place, setQuery } from "../../router.ts";
import { TaskTimeline } from "./task-timeline.tsx";
import { isFailure } from "./task-waterfall.ts";

const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d"];
const SLOWER_THAN_S = 5;

const taskLink = (taskId: string) => `/tasks?${new URLSearchParams({ task_id: taskId })}`;

export default function Tasks() {
  const { query } = place.value;
  const taskId = query.get("task_id")?.trim() ?? "";
  const range = parseSpan(query.get("range") ?? "") === undefined ? "24h" : query.get("range")!;
  const slowerThan = Number(query.get("slower_than") ?? SLOWER_THAN_S);
  return (
    <div class="panels tasks">
      <FindTask key={taskId} taskId={taskId} />
      {taskId === "" ? null : <TaskTimeline taskId={taskId} />}
      <SlowTasks range={range} slowerThanS={slowerThan >= 0 ? slowerThan : SLOWER_THAN_S} />
      <TaskFailures range={range} />
    </div>
  );
}

function FindTask({ taskId }: { readonly taskId: string }) {
  const find = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setQuery({ task_id: String(form.get("task_id") ?? "").trim() }, { replace: false });
  };
  return (
    <form class="panel wide find" onSubmit={find}>
      <label for="task-id">task_id</label>
      <input id="task-id" name="task_id" value={taskId} placeholder="1704067200_abc123" autocomplete="off" />
      <button type="submit">Find the task</button>
    </form>
  );
}

function RangeChoice({ range }: { readonly range: string }) {
  const known = RANGES.includes(range) ? RANGES : [range, ...RANGES];
  return (
    <label>
      the last{" "}
      <select value={range} onChange={(event) => setQuery({ range: event.currentTarget.value })}>
        {known.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}

interface SlowTask {
  readonly task_id: string | null;
  readonly duration_sec: number;
  readonly domain: string | null;
  readonly http_status: string | null;
  readonly method: string | null;
  readonly ts: string;
}

function SlowTasks({ range, slowerThanS }: { readonly range: string; readonly slowerThanS: number }) {
  const nowMs = useNow();
  const [text, setText] = useState(String(slowerThanS));
  const live = useLive(
    (signal) =>
      askSummary<SlowTask>("slow_tasks", { from: `-${range}`, slower_than_ms: slowerThanS * 1_000 }, signal),
    30_000,
    `${range} ${slowerThanS}`,
    () => 0.05,
  );
  const columns: TableColumn<SlowTask>[] = [
    {
      title: "Task",
      cell: ({ task_id }) => <TaskLink taskId={task_id} />,
      order: ({ task_id }) => task_id ?? "",
    },
    {
      title: "Took",
      isNumber: true,
      cell: ({ duration_sec }) => formatSeconds(duration_sec),
      order: ({ duration_sec }) => duration_sec,
    },
    { title: "Domain", cell: ({ domain }) => domain ?? "", order: ({ domain }) => domain ?? "" },
    {
      title: "Status",
      cell: ({ http_status }) => <Status status={http_status} />,
      order: (row) => row.http_status ?? "",
    },
    { title: "Ended", cell: ({ ts }) => formatAgo(sqlTimeMs(ts), nowMs), order: ({ ts }) => ts },
  ];
  const sql = `SELECT * FROM task_processing_duration_ms WHERE ts > now() - INTERVAL 24 HOUR AND value > ${slowerThanS * 1_000} ORDER BY value DESC LIMIT 100`;
  return (
    <Panel
      title="Slow tasks"
      note={
        <>
          <RangeChoice range={range} />{" "}
          <label>
            slower than{" "}
            <input
              class="short"
              inputMode="decimal"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
              onChange={(event) => setQuery({ slower_than: event.currentTarget.value })}
            />{" "}
            s
          </label>{" "}
          <a href={`/query?${new URLSearchParams({ sql })}`}>in SQL</a>
        </>
      }
      isWide
    >
      <Answered live={live} what="The slow tasks">
        {(rows) =>
          rows.length === 0 ? (
            <Empty>
              No task of <code>task.processing_duration_ms</code> took longer than{" "}
              {formatSeconds(slowerThanS)}.
            </Empty>
          ) : (
            <Rows
              label="Slow tasks"
              rows={rows}
              columns={columns}
              keyOf={({ task_id, ts }) => `${task_id} ${ts}`}
              height={360}
            />
          )
        }
      </Answered>
    </Panel>
  );
}

interface TaskFailure {
  readonly step: string;
  readonly status: string;
  readonly domain: string;
  readonly failed: number;
  readonly last: string;
  readonly task_id: string | null;
}

function TaskFailures({ range }: { readonly range: string }) {
  const nowMs = useNow();
  const live = useLive(
    (signal) => askSummary<TaskFailure>("task_failures", { from: `-${range}` }, signal),
    30_000,
    range,
    () => 0.05,
  );
  const columns: TableColumn<TaskFailure>[] = [
    { title: "Step", cell: ({ step }) => step, order: ({ step }) => step },
    { title: "Status", cell: ({ status }) => <Status status={status} />, order: ({ status }) => status },
    { title: "Domain", cell: ({ domain }) => domain, order: ({ domain }) => domain },
    {
      title: "Failed",
      isNumber: true,
      cell: ({ failed }) => formatCount(failed),
      order: ({ failed }) => failed,
    },
    { title: "Last", cell: ({ last }) => formatAgo(sqlTimeMs(last), nowMs), order: ({ last }) => last },
    { title: "Newest task", cell: ({ task_id }) => <TaskLink taskId={task_id} /> },
    {
      title: "SQL",
      cell: (row) => <a href={`/query?${new URLSearchParams({ sql: failureSql(row) })}`}>list them</a>,
    },
  ];
  return (
    <Panel title="Failures by reason" note={`the last ${range}`} isWide>
      <Answered live={live} what="The failures">
        {(rows) =>
          rows.length === 0 ? (
            <Empty>No task and no request failed.</Empty>
          ) : (
            <Rows
              label="Failures by reason"
              rows={rows}
              columns={columns}
              keyOf={({ step, status, domain }) => JSON.stringify([step, status, domain])}
              height={360}
            />
          )
        }
      </Answered>
    </Panel>
  );
}

/** The statement for the samples of one reason. */
function failureSql({ step, status, domain }: TaskFailure): string {
  const is = (column: string, value: string) =>
    value === "(none)" ? `${column} IS NULL` : `${column} = '${value.replaceAll("'", "''")}'`;
  const [table, conditions] =
    step === "task"
      ? ["task_processing_duration_ms", [is("http_status", status)]]
      : ["http_request_duration_ms", [is("operation", step), is("status_code", status)]];
  return `SELECT * FROM ${table} WHERE ${[...conditions!, is("domain", domain)].join(" AND ")} ORDER BY ts DESC LIMIT 100`;
}

function TaskLink({ taskId }: { readonly taskId: string | null }) {
  return taskId === null ? <span class="muted">none</span> : <a href={taskLink(taskId)}>{taskId}</a>;
}

function Status({ status }: { readonly status: string | null }) {
  return <span class={isFailure(status) ? "bad" : undefined}>{status ?? ""}</span>;
}
