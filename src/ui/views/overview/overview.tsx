/** What a person sees first: who pushes, how much, and what needs attention. Panels without anything to show are absent. */
import { useEffect, useRef, useState } from "preact/hooks";
import { isBound, may } from "../../api/session.ts";
import { useLive } from "../../api/live.ts";
import { formatAgo, formatTime } from "../../format/times.ts";
import { formatBytes, formatCount, formatNumber, formatSeconds } from "../../format/units.ts";
import { useNow } from "../../parts/now.ts";
import { Panel } from "../../parts/panel.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";
import { Loading } from "../../parts/states.tsx";
import {
  type Arrivals,
  type OverviewAlert,
  askAlerts,
  askArrivals,
  askForecast,
  askGauges,
  askRejected,
  askStorage,
  askTrends,
  type StorageDay,
} from "./overview-answers.ts";
import { DiskPanel, GpuPanel, HostPanel } from "./machine-panels.tsx";
import { askPassedOn, NOTHING_PASSED_ON, PassedOnPanel } from "./passed-on-panel.tsx";
import { TrafficPanel } from "./traffic-panel.tsx";
import { extended, type InstantSeries, newestOf, type TrendSeries } from "./trends.ts";
import { RejectedPanel, WorkersPanel } from "./worker-panels.tsx";

/** The part of the time in which the gateway may be busy with one kind of the requests of a tab. */
const SHARE = () => 0.01;

export default function Overview() {
  const arrivals = useLive(askArrivals, 10_000, "", ({ traffic }) => (traffic.length === 0 ? 1 : SHARE()));
  const gauges = useLive(askGauges, 15_000, "", SHARE);
  const trends = useTrends(gauges.answer);
  const forecast = useLive(askForecast, 600_000, "", SHARE);
  const alerts = useLive(askAlerts, 10_000, "", SHARE);
  const storage = useLive(askStorage, 60_000, "", SHARE);
  // A token with labels may not see what others sent.
  const maySeeAll = may("read") && !isBound();
  const rejected = useLive(
    (signal) => (maySeeAll ? askRejected(signal) : Promise.resolve([])),
    15_000,
    String(maySeeAll),
    SHARE,
  );
  const passed = useLive(
    (signal) => (maySeeAll ? askPassedOn(signal) : Promise.resolve(NOTHING_PASSED_ON)),
    10_000,
    String(maySeeAll),
    SHARE,
  );
  const [isReady, setReady] = useState(false);
  const areAnswered = [arrivals, gauges, alerts, storage, rejected, passed].every(
    ({ answer, error }) => answer !== undefined || error !== undefined,
  );
  useEffect(() => {
    if (areAnswered) setReady(true);
  }, [areAnswered]);
  // All at once, so that no panel moves those that are read already.
  if (!isReady) return <Loading what="the overview" />;
  const machine = { gauges: gauges.answer ?? [], trends };
  return (
    <div class="panels overview">
      <AlertsPanel alerts={alerts.answer ?? []} />
      <WorkersPanel arrivals={arrivals} gauges={gauges.answer} />
      <RejectedPanel rejected={rejected.answer ?? []} />
      <TrafficPanel arrivals={arrivals} />
      <RatePanel arrivals={arrivals.answer} />
      <HostPanel {...machine} />
      <GpuPanel {...machine} />
      <DiskPanel gauges={machine.gauges} forecast={forecast.answer ?? []} />
      <StoragePanel days={storage.answer ?? []} />
      <PassedOnPanel passed={passed.answer ?? NOTHING_PASSED_ON} />
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

/** The trends of half an hour, with the newest values of the gauges. */
function useTrends(gauges: readonly InstantSeries[] | undefined): readonly TrendSeries[] {
  const [asked, setAsked] = useState(0);
  const { answer } = useLive(askTrends, 0, String(asked));
  const [trends, setTrends] = useState<readonly TrendSeries[]>([]);
  const extendedFrom = useRef<typeof answer>(undefined);
  useEffect(() => {
    if (answer === undefined) return;
    const before = extendedFrom.current === answer ? trends : answer;
    extendedFrom.current = answer;
    const after = extended(before, newestOf(gauges ?? []));
    if (after === undefined) setAsked((times) => times + 1);
    else setTrends(after);
  }, [gauges, answer]);
  return trends;
}

/** The samples per second of everything that arrives. */
function RatePanel({ arrivals }: { readonly arrivals: Arrivals | undefined }) {
  if (arrivals === undefined || arrivals.rates.length < 2) return null;
  const { rates, seconds } = arrivals;
  const range = formatSeconds(Math.round(seconds));
  return (
    <Panel title="Samples per second" note={`the last ${range}`}>
      <div class="big">
        <strong>{formatNumber(Number(rates.at(-1)!.toPrecision(3)))}</strong>
        <span class="muted">at most {formatNumber(Number(Math.max(...rates).toPrecision(3)))}</span>
      </div>
      <Sparkline label={`Samples per second over ${range}`} values={rates} />
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
