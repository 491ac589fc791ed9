/** Who pushes, and what was rejected. */
import type { Live } from "../../api/live.ts";
import { formatAgo } from "../../format/times.ts";
import { formatCount, formatNumber, formatSeconds } from "../../format/units.ts";
import { Copyable } from "../../parts/copyable.tsx";
import { useNow } from "../../parts/now.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import type { ArrivedWorker, Arrivals, RejectedRow } from "./overview-answers.ts";
import type { InstantSeries } from "./trends.ts";

/** A worker that is silent for longer is marked. */
const SILENT_MS = 5 * 60_000;

interface Worker extends ArrivedWorker {
  readonly isGateway: boolean;
}

const keyOf = (job: string, instance: string) => JSON.stringify([job, instance]);

/** The workers of the range, and those that the gateway remembers. Its own metrics come last. */
export function workersOf({ workers }: Arrivals, gauges: readonly InstantSeries[]): readonly Worker[] {
  const all = new Map<string, Worker>();
  const own = gauges.find(({ metric }) => metric.__name__ === "weir_store_disk_free_bytes")?.metric;
  for (const worker of workers) {
    const { job, instance } = worker;
    all.set(keyOf(job, instance), {
      ...worker,
      isGateway: own !== undefined && instance === own.instance && job === (own.job ?? "(none)"),
    });
  }
  for (const { metric, value } of gauges) {
    if (metric.__name__ !== "weir_last_push_timestamp_seconds") continue;
    const [job, instance] = [metric.job || "(none)", metric.instance || "(none)"];
    const key = keyOf(job, instance);
    const known = all.get(key) ?? { job, instance, lastMs: 0, perSecond: 0, metrics: 0, isGateway: false };
    all.set(key, { ...known, lastMs: Math.max(known.lastMs, Number(value[1]) * 1_000) });
  }
  return [...all.values()].sort(
    (a, b) =>
      Number(a.isGateway) - Number(b.isGateway) ||
      b.lastMs - a.lastMs ||
      a.instance.localeCompare(b.instance),
  );
}

export function WorkersPanel({
  arrivals,
  gauges,
}: {
  readonly arrivals: Live<Arrivals>;
  readonly gauges: readonly InstantSeries[] | undefined;
}) {
  const nowMs = useNow();
  const columns: TableColumn<Worker>[] = [
    { title: "Job", cell: ({ job }) => job, order: ({ job }) => job },
    {
      title: "Instance",
      cell: ({ instance, isGateway }) => (
        <>
          {instance}
          {isGateway ? <span class="muted"> this gateway</span> : null}
        </>
      ),
      order: ({ instance }) => instance,
    },
    {
      title: "Last push",
      cell: ({ lastMs }) => (
        <span class={nowMs - lastMs > SILENT_MS ? "warn" : undefined}>
          {formatAgo(Math.min(lastMs, nowMs), nowMs)}
        </span>
      ),
      order: ({ lastMs }) => lastMs,
    },
    {
      title: "Samples/s",
      isNumber: true,
      cell: ({ perSecond }) => formatNumber(Number(perSecond.toPrecision(3))),
      order: ({ perSecond }) => perSecond,
    },
    {
      title: "Metrics",
      isNumber: true,
      cell: ({ metrics }) => formatCount(metrics),
      order: ({ metrics }) => metrics,
    },
  ];
  const note =
    arrivals.answer === undefined
      ? undefined
      : `rates of ${formatSeconds(Math.round(arrivals.answer.seconds))}`;
  return (
    <Panel title="Workers" note={note} isWide>
      <Answered live={arrivals} what="The workers">
        {(answer) => {
          const workers = workersOf(answer, gauges ?? []);
          return workers.every(({ isGateway }) => isGateway) ? (
            <FirstPush />
          ) : (
            <Rows
              label="Workers"
              rows={workers}
              columns={columns}
              keyOf={({ job, instance }) => keyOf(job, instance)}
              height={330}
            />
          );
        }}
      </Answered>
    </Panel>
  );
}

/** What to do with a gateway that has nothing. */
function FirstPush() {
  const event = `[{"metric_name": "task.processing_duration_ms", "value": 1234, "tags": {"job": "worker", "instance": "w-1", "task_id": "t-1", "http_status": "200"}}]`;
  return (
    <Empty>
      <p>
        <strong>Nobody has pushed yet.</strong> This command pushes a first event:
      </p>
      <Copyable
        text={`curl ${location.origin}/api/v1/push -H 'content-type: application/json' \\\n  -d '${event}'`}
      />
      <p>
        Clients of other protocols work unchanged: the README lists them. If the gateway needs a token, add{" "}
        <code>-H "authorization: Bearer $WEIR_TOKEN"</code>.
      </p>
    </Empty>
  );
}

interface RejectedCause {
  readonly key: string;
  readonly instance: string;
  readonly metric: string;
  readonly reason: string;
  readonly count: number;
  readonly lastMs: number;
}

/** Rejected samples, counted by who sent them and what is wrong. The newest first. */
function causesOf(
  rejected: readonly (RejectedRow & { readonly metric?: string })[],
): readonly RejectedCause[] {
  const causes = new Map<string, RejectedCause>();
  for (const { instance, protocol, cause, reason, metric = "", receivedAt } of rejected) {
    const key = JSON.stringify([instance, protocol, cause ?? reason, metric]);
    const known = causes.get(key);
    causes.set(key, {
      ...(known ?? { key, instance: instance || protocol, metric, reason, lastMs: Date.parse(receivedAt) }),
      count: (known?.count ?? 0) + 1,
    });
  }
  return [...causes.values()];
}

export function RejectedPanel({ rejected }: { readonly rejected: readonly RejectedRow[] }) {
  const nowMs = useNow();
  if (rejected.length === 0) return null;
  return (
    <Panel title="Rejected" note={<a href="/rejected">the newest {formatCount(rejected.length)}</a>} isWide>
      <ul class="causes">
        {causesOf(rejected)
          .slice(0, 8)
          .map(({ key, instance, metric, reason, count, lastMs }) => (
            <li key={key}>
              <strong class="bad">{formatCount(count)}</strong> of {instance}
              {metric === "" ? "" : `, ${metric}`}: {reason}
              <span class="muted"> {formatAgo(lastMs, nowMs)}</span>
            </li>
          ))}
      </ul>
    </Panel>
  );
}
