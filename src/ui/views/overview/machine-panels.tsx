/** Machines, their disks and their cards: whatever pushes metrics with the names of node_exporter, or the sampler's. */
import { formatBytes, formatNumber, formatSeconds } from "../../format/units.ts";
import { Meter } from "../../parts/meter.tsx";
import { Panel } from "../../parts/panel.tsx";
import { Sparkline } from "../../parts/sparkline.tsx";
import type { DiskForecast } from "./disk-forecast.ts";
import type { InstantSeries, TrendSeries } from "./trends.ts";

type Labels = Readonly<Record<string, string>>;

/** The newest values by metric and by the labels that name a thing. */
class Newest {
  readonly #values = new Map<string, Map<string, { labels: Labels; value: number }>>();

  constructor(series: readonly InstantSeries[], names: readonly string[]) {
    for (const { metric, value } of series) {
      if (metric.__name__ === undefined) continue;
      const key = keyOf(metric, names);
      const of = this.#values.getOrInsertComputed(metric.__name__, () => new Map());
      of.set(key, { labels: metric, value: Number(value[1]) });
    }
  }

  value(metric: string, key: string): number | undefined {
    return this.#values.get(metric)?.get(key)?.value;
  }

  keys(...metrics: readonly string[]): readonly (readonly [string, Labels])[] {
    const all = new Map<string, Labels>();
    for (const metric of metrics)
      for (const [key, { labels }] of this.#values.get(metric) ?? []) all.set(key, labels);
    return [...all].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  }
}

function keyOf(labels: Labels, names: readonly string[]): string {
  return names.map((name) => labels[name] ?? "").join(" · ");
}

function trendOf(trends: readonly TrendSeries[], trend: string, labels: Labels): readonly number[] {
  const found = trends.find(
    ({ metric }) =>
      metric.trend === trend &&
      Object.entries(metric).every(([name, value]) => name === "trend" || labels[name] === value),
  );
  return found?.values.map(([, value]) => Number(value)) ?? [];
}

/** Three digits are enough beside a bar. */
const shortBytes = (bytes: number) =>
  formatBytes(bytes).replace(/^[\d.]+/, (digits) => String(Number(Number(digits).toPrecision(3))));

/** `3.06 of 23.6 GiB`, or with both units if they differ. */
function usedText(used: number, total: number): string {
  const [usedShort, totalShort] = [shortBytes(used), shortBytes(total)];
  const unit = / \S+$/.exec(totalShort)?.[0] ?? "";
  return `${usedShort.endsWith(unit) ? usedShort.slice(0, -unit.length) : usedShort} of ${totalShort}`;
}

interface MachineProps {
  readonly gauges: readonly InstantSeries[];
  readonly trends: readonly TrendSeries[];
}

export function HostPanel({ gauges, trends }: MachineProps) {
  const newest = new Newest(gauges, ["instance"]);
  const hosts = newest.keys("node_memory_MemTotal_bytes", "node_load1");
  if (hosts.length === 0) return null;
  return (
    <Panel title={hosts.length === 1 ? "Host" : "Hosts"} note="the last 30 min">
      {hosts.slice(0, 20).map(([key, labels]) => {
        const cpu = trendOf(trends, "cpu", labels);
        const [total, available] = ["MemTotal", "MemAvailable"].map((name) =>
          newest.value(`node_memory_${name}_bytes`, key),
        );
        const used = total && available !== undefined ? 1 - available / total : undefined;
        const load = newest.value("node_load1", key);
        return (
          <section key={key} class="thing" aria-label={key}>
            <h3>
              {key || "no instance"}
              {load === undefined ? null : <span class="muted"> load {formatNumber(load)}</span>}
            </h3>
            <Measure name="CPU" share={cpu.at(-1)} trend={cpu} warnAt={0.85} badAt={0.97} />
            <Measure
              name="Memory"
              share={used}
              trend={trendOf(trends, "memory", labels)}
              text={used === undefined ? undefined : usedText(total! - available!, total!)}
              warnAt={0.85}
              badAt={0.95}
            />
          </section>
        );
      })}
    </Panel>
  );
}

export function DiskPanel({
  gauges,
  forecast,
}: {
  readonly gauges: readonly InstantSeries[];
  readonly forecast: readonly DiskForecast[];
}) {
  const names = ["instance", "mountpoint"];
  const newest = new Newest(gauges, names);
  const disks = newest.keys("node_filesystem_size_bytes");
  if (disks.length === 0) return null;
  const isOneHost = new Set(disks.map(([, { instance }]) => instance)).size === 1;
  const left = new Map(forecast.map(({ labels, daysLeft }) => [keyOf(labels, names), daysLeft]));
  return (
    <Panel title="Disks" note="full when, by the last 6 h">
      {disks.slice(0, 30).map(([key, { mountpoint = "" }]) => {
        const [size, available] = ["size", "avail"].map(
          (name) => newest.value(`node_filesystem_${name}_bytes`, key) ?? 0,
        );
        const days = left.get(key);
        return (
          <section key={key} class="thing" aria-label={key}>
            <h3>
              {isOneHost ? mountpoint : key}
              <Full days={days} />
            </h3>
            <Measure
              name="Used"
              share={size! > 0 ? 1 - available! / size! : undefined}
              text={`${shortBytes(available!)} free of ${shortBytes(size!)}`}
              warnAt={0.85}
              badAt={0.95}
            />
          </section>
        );
      })}
    </Panel>
  );
}

/** When a disk is full. Later than a year is as good as never. */
function Full({ days }: { readonly days: number | null | undefined }) {
  if (days === undefined || days === null || days > 365) return null;
  return (
    <span class={days < 7 ? "bad" : days < 30 ? "warn" : "muted"}>
      {" "}
      full in {formatSeconds(days * 86_400)}
    </span>
  );
}

export function GpuPanel({ gauges, trends }: MachineProps) {
  const newest = new Newest(gauges, ["instance", "gpu"]);
  const cards = newest.keys("gpu_utilization_ratio", "gpu_memory_total_bytes", "gpu_temperature_celsius");
  if (cards.length === 0) return null;
  const isOneHost = new Set(cards.map(([, { instance }]) => instance)).size === 1;
  return (
    <Panel title="GPUs" note="the last 30 min">
      {cards.map(([key, labels]) => {
        const value = (metric: string) => newest.value(`gpu_${metric}`, key);
        const [used, total] = [value("memory_used_bytes"), value("memory_total_bytes")];
        const [watts, limit, celsius] = [
          value("power_watts"),
          value("power_limit_watts"),
          value("temperature_celsius"),
        ];
        return (
          <section key={key} class="thing" aria-label={`GPU ${key}`}>
            <h3>
              {isOneHost ? `GPU ${labels.gpu}` : key} <span class="muted">{labels.name}</span>
              {celsius === undefined ? null : (
                <span class={celsius >= 85 ? "bad" : celsius >= 75 ? "warn" : "muted"}>
                  {" "}
                  {formatNumber(celsius)} °C
                </span>
              )}
            </h3>
            <Measure name="Busy" share={value("utilization_ratio")} trend={trendOf(trends, "gpu", labels)} />
            <Measure
              name="Memory"
              share={total && used !== undefined ? used / total : undefined}
              text={total && used !== undefined ? usedText(used, total) : undefined}
              warnAt={0.95}
            />
            <Measure
              name="Power"
              share={limit && watts !== undefined ? watts / limit : undefined}
              text={
                watts === undefined ? undefined : `${formatNumber(watts)} of ${formatNumber(limit ?? 0)} W`
              }
            />
          </section>
        );
      })}
    </Panel>
  );
}

interface MeasureProps {
  readonly name: string;
  readonly share: number | undefined;
  readonly trend?: readonly number[];
  readonly text?: string;
  readonly warnAt?: number;
  readonly badAt?: number;
}

function Measure({ name, share, trend = [], ...rest }: MeasureProps) {
  if (share === undefined) return null;
  return (
    <div class="measure">
      <span class="muted">{name}</span>
      <Meter label={name} share={share} {...rest} />
      {trend.length < 2 ? null : <Sparkline label={`${name} over 30 min`} values={trend} most={1} />}
    </div>
  );
}
