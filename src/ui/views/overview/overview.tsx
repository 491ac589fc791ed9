/** What a person sees first: who pushes, how much, and what needs attention. Panels without anything to show are absent. */
import { may, session } from "../../api/session.ts";
import { useLive } from "../../api/live.ts";
import { formatAgo, formatTime } from "../../format/times.ts";
import { formatBytes, formatCount, formatNumber } from "../../format/units.ts";
import { useNow } from "../../parts/now.ts";
import { Panel } from "../../parts/panel.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";
import {
  type OverviewAlert,
  askAlerts,
  askArrivals,
  askForecast,
  askGauges,
  askRejected,
  askStorage,
  askTrends,
  type TrendSeries,
  type StorageDay,
} from "./overview-answers.ts";
import { DiskPanel, GpuPanel, HostPanel } from "./machine-panels.tsx";
import { TrafficPanel } from "./traffic-panel.tsx";
import { RejectedPanel, WorkersPanel } from "./worker-panels.tsx";

/** The part of the time in which the gateway may be busy with one kind of the requests of a tab. */
const SHARE = () => 0.01;

export default function Overview() {
  const arrivals = useLive(askArrivals, 10_000, "", ({ traffic }) => (traffic.length === 0 ? 1 : SHARE()));
  const gauges = useLive(askGauges, 15_000, "", SHARE);
  const trends = useLive(askTrends, 60_000, "", SHARE);
  const forecast = useLive(askForecast, 600_000, "", SHARE);
  const alerts = useLive(askAlerts, 10_000, "", SHARE);
  const storage = useLive(askStorage, 60_000, "", SHARE);
  // A token with labels may not see what others sent.
  const maySeeAll = may("read") && Object.keys(session.value?.labels ?? {}).length === 0;
  const rejected = useLive(
    (signal) => (maySeeAll ? askRejected(signal) : Promise.resolve([])),
    15_000,
    String(maySeeAll),
    SHARE,
  );
  const machine = { gauges: gauges.answer ?? [], trends: trends.answer ?? [] };
  return (
    <div class="panels overview">
      <AlertsPanel alerts={alerts.answer ?? []} />
      <WorkersPanel arrivals={arrivals} gauges={gauges.answer} />
      <RejectedPanel rejected={rejected.answer ?? []} />
      <TrafficPanel arrivals={arrivals} />
      <RatePanel trends={machine.trends} />
      <HostPanel {...machine} />
      <GpuPanel {...machine} />
      <DiskPanel gauges={machine.gauges} forecast={forecast.answer ?? []} />
      <StoragePanel days={storage.answer ?? []} />
    </div>
  );
}

function AlertsPanel({ alerts }: { readonly alerts: readonly OverviewAlert[] }) {
  const nowMs = useNow();
  const firing = alerts.filter(({ state }) => state === "firing");
  if (firing.length === 0) return null;
  return (
    <Panel title="Firing alerts" note={<a href="/alerts">all alerts</a>} isWide>
      <ul class="causes">
        {firing.slice(0, 10).map(({ labels, annotations, activeAt }) => (
          <li key={JSON.stringify(labels)}>
            <strong class="bad">{labels.alertname}</strong>{" "}
            {annotations.summary ??
              Object.entries(labels)
                .filter(([name]) => name !== "alertname")
                .map(([name, value]) => `${name}=${value}`)
                .join(", ")}
            <span class="muted" title={formatTime(Date.parse(activeAt))}>
              {" "}
              since {formatAgo(Date.parse(activeAt), nowMs)}
            </span>
          </li>
        ))}
      </ul>
      {firing.length > 10 ? <p class="muted">and {formatCount(firing.length - 10)} more</p> : null}
    </Panel>
  );
}

/** The samples per second of all pushes, which the gateway samples itself. */
function RatePanel({ trends }: { readonly trends: readonly TrendSeries[] }) {
  const found = trends.find(({ metric }) => metric.trend === "accepted");
  if (found === undefined) return null;
  const values = found.values.map(([, value]) => Number(value));
  const most = Math.max(...values);
  return (
    <Panel title="Samples per second" note="the last 30 min, without the gateway's own">
      <div class="big">
        <strong>{formatNumber(Number(values.at(-1)!.toPrecision(3)))}</strong>
        <span class="muted">at most {formatNumber(Number(most.toPrecision(3)))}</span>
      </div>
      <Sparkline label="Samples per second over 30 min" values={values} />
    </Panel>
  );
}

function StoragePanel({ days }: { readonly days: readonly StorageDay[] }) {
  const seen = days.filter(({ samples }) => samples > 0).slice(-14);
  if (seen.length === 0) return null;
  const most = Math.max(...seen.map(({ samples }) => samples));
  return (
    <Panel title="Storage by day" note="UTC; about">
      <table>
        <thead>
          <tr>
            <th>Day</th>
            <th class="number">Samples</th>
            <th class="number">Size</th>
            <th class="unseen">Share</th>
          </tr>
        </thead>
        <tbody>
          {seen.toReversed().map(({ day, samples, bytes }) => (
            <tr key={day}>
              <td>{day}</td>
              <td class="number">{formatCount(samples)}</td>
              <td class="number">{formatBytes(bytes)}</td>
              <td class="fill" aria-hidden="true">
                <span style={{ width: `${(100 * samples) / most}%` }} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
