/** The timeline of one task, across all metrics, as a waterfall. */
import { askSummary } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { formatTime } from "../../format/times.ts";
import { formatCount, formatSeconds, formatValue, unitOfName } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import {
  isFailure,
  taskSql,
  type TaskBar,
  type TimelineRow,
  type Waterfall,
  waterfallOf,
} from "./task-waterfall.ts";

/** More samples of one task are not drawn. */
const BARS_MAX = 500;

const sqlLink = (statement: string) => `/query?${new URLSearchParams({ sql: statement })}`;

export function TaskTimeline({ taskId }: { readonly taskId: string }) {
  const live = useLive(
    (signal) => askSummary<TimelineRow>("task_timeline", { task_id: taskId }, signal),
    0,
    taskId,
  );
  return (
    <Panel title={`Task ${taskId}`} note={<a href={sqlLink(taskSql(taskId))}>in SQL</a>} isWide>
      <Answered live={live} what="The timeline">
        {(rows) =>
          rows.length === 0 ? (
            <Empty>
              No sample has the <code>task_id</code> {taskId}. Ids are compared exactly, and samples older
              than the retention are deleted.
            </Empty>
          ) : (
            <Bars waterfall={waterfallOf(rows)} taskId={taskId} />
          )
        }
      </Answered>
    </Panel>
  );
}

function Bars({ waterfall, taskId }: { readonly waterfall: Waterfall; readonly taskId: string }) {
  const { startMs, endMs, bars, common } = waterfall;
  const length = Math.max(endMs - startMs, 1e-3);
  const labels = Object.entries(common);
  return (
    <>
      <p>
        {formatCount(bars.length)} samples from {formatTime(startMs)},{" "}
        {formatSeconds((endMs - startMs) / 1_000)} in all
        {labels.length === 0 ? null : (
          <span class="muted"> · {labels.map(([name, value]) => `${name}=${value}`).join(", ")}</span>
        )}
      </p>
      <div class="rows">
        <table class="waterfall" aria-label="Timeline">
          <thead>
            <tr>
              <th class="number">Start</th>
              <th>Step</th>
              <th>Status</th>
              <th class="number">Value</th>
              <th class="lane">
                <span>0</span>
                <span>{formatSeconds(length / 2_000)}</span>
                <span>{formatSeconds(length / 1_000)}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {bars.slice(0, BARS_MAX).map((bar, at) => (
              <tr key={`${at}`}>
                <td class="number">+{formatSeconds((bar.startMs - startMs) / 1_000)}</td>
                <td>
                  <a href={sqlLink(taskSql(taskId, bar.row.metric))} title={bar.row.metric}>
                    {bar.row.operation ?? bar.row.metric}
                  </a>
                  <span class="muted"> {differing(bar, common)}</span>
                </td>
                <td class={isFailure(bar.row.status) ? "bad" : undefined}>{bar.row.status ?? ""}</td>
                <td class="number">
                  {bar.row.value === null ? "" : formatValue(bar.row.value, unitOfName(bar.row.metric))}
                </td>
                <td class="lane">
                  <span
                    class={`${bar.isPoint ? "point" : "bar"} ${isFailure(bar.row.status) ? "bad" : ""}`}
                    style={{
                      left: `${(100 * (bar.startMs - startMs)) / length}%`,
                      width: bar.isPoint ? undefined : `${(100 * (bar.endMs - bar.startMs)) / length}%`,
                    }}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {bars.length > BARS_MAX ? <p class="muted">The first {formatCount(BARS_MAX)} are shown.</p> : null}
    </>
  );
}

/** Where a step went, if steps differ in that. */
function differing({ row }: TaskBar, common: Readonly<Record<string, string>>): string {
  return ["domain", "error_type", "upload_type"]
    .filter((name) => common[name] === undefined && row.labels[name] !== undefined)
    .map((name) => row.labels[name])
    .join(" ");
}
