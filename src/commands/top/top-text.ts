/** The overview as lines of text that fit a terminal. Pure. */
import type { TopAlert, TopAnswers, TopGauge } from "./top-answers.ts";

/** A table: its first row is the title of each column. The first column is cut if the line is too long. */
type TextTable = readonly (readonly string[])[];

/** The lines, each at most `columns` characters long. Parts without anything to show are left out. */
export function topLines(answers: TopAnswers, nowMs: number, columns: number): readonly string[] {
  const { windowS, alerts, traffic, days } = answers;
  const firing = alerts.filter(({ state }) => state === "firing");
  const parts: (readonly string[])[] = [
    [
      `weir top  ${new Date(nowMs).toISOString().slice(0, 19).replace("T", " ")} UTC  rates of ${spanText(windowS)}`,
      ...(firing.length === 0 ? [] : [`${firing.length} firing: ${firing.map(alertText).join("; ")}`]),
    ],
    tableLines(workerTable(answers, nowMs), columns),
    tableLines(
      traffic.map(({ metric, per_second, failed_percent, p50, p95, p99 }) => [
        metric,
        numberText(per_second),
        failed_percent === null ? "-" : `${numberText(failed_percent)} %`,
        ...[p50, p95, p99].map((value) => valueText(metric, value)),
      ]),
      columns,
      ["EVENTS", "/S", "ERRORS", "P50", "P95", "P99"],
    ),
    ...machineTables(answers.gauges).map(([titles, rows]) => tableLines(rows, columns, titles)),
    tableLines(
      days
        .slice(-3)
        .toReversed()
        .map(({ day, samples, bytes }) => [day.slice(0, 10), String(samples), bytesText(bytes)]),
      columns,
      ["STORAGE", "SAMPLES", "SIZE"],
    ),
  ];
  const lines = parts
    .filter((part) => part.length > 0)
    .flatMap((part, at) => (at === 0 ? part : ["", ...part]));
  return lines.map((line) => cut(line, columns));
}

function workerTable({ workers, gauges }: TopAnswers, nowMs: number): TextTable {
  const rows = new Map(workers.map((worker) => [JSON.stringify([worker.job, worker.instance]), worker]));
  for (const { labels, value } of gauges) {
    if (labels.__name__ !== "weir_last_push_timestamp_seconds") continue;
    const [job, instance] = [labels.job || "(none)", labels.instance || "(none)"];
    const key = JSON.stringify([job, instance]);
    const known = rows.get(key) ?? { job, instance, lastMs: 0, perSecond: 0, metrics: 0 };
    rows.set(key, { ...known, lastMs: Math.max(known.lastMs, value * 1_000) });
  }
  if (rows.size === 0) return [["Nobody has pushed yet."]];
  const sorted = [...rows.values()].sort((a, b) => b.lastMs - a.lastMs || (a.instance < b.instance ? -1 : 1));
  return [
    ["WORKERS", "JOB", "LAST PUSH", "SAMPLES/S", "METRICS"],
    ...sorted.map(({ job, instance, lastMs, perSecond, metrics }) => [
      ...[
        instance,
        job,
        `${spanText(Math.max(0, nowMs - lastMs) / 1_000)} ago`,
        numberText(perSecond),
        String(metrics),
      ],
    ]),
  ];
}

/** Hosts, cards and disks, by the names of node_exporter and of the sampler. */
function machineTables(gauges: readonly TopGauge[]): readonly (readonly [readonly string[], TextTable])[] {
  const things = (names: readonly string[], metrics: RegExp) => {
    const found = new Map<string, { labels: TopGauge["labels"]; values: Map<string, number> }>();
    for (const { labels, value } of gauges) {
      const metric = labels.__name__ ?? labels.weir_top ?? "";
      if (!metrics.test(metric)) continue;
      const key = names.map((name) => labels[name] ?? "").join(" ");
      const thing = found.getOrInsertComputed(key, () => ({ labels, values: new Map() }));
      thing.values.set(metric, value);
    }
    return [...found].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  };
  const of = (used: number | undefined, all: number | undefined) =>
    used === undefined || all === undefined ? "-" : `${bytesText(used)} of ${bytesText(all)}`;
  const hosts = things(["instance"], /^(?:cpu|node_load1|node_memory_\w+)$/).map(([key, { values }]) => {
    const [total, available] = ["Total", "Available"].map((name) =>
      values.get(`node_memory_Mem${name}_bytes`),
    );
    const used = total !== undefined && available !== undefined ? total - available : undefined;
    return [
      key || "(none)",
      shareText(values.get("cpu")),
      numberText(values.get("node_load1")),
      of(used, total),
    ];
  });
  const cards = things(["instance", "gpu"], /^gpu_/).map(([key, { labels, values }]) => [
    `${key} ${labels.name ?? ""}`.trim(),
    shareText(values.get("gpu_utilization_ratio")),
    of(values.get("gpu_memory_used_bytes"), values.get("gpu_memory_total_bytes")),
    `${numberText(values.get("gpu_power_watts"))} W`,
    `${numberText(values.get("gpu_temperature_celsius"))} °C`,
  ]);
  const disks = things(["instance", "mountpoint"], /^node_filesystem_/).map(([key, { values }]) => {
    const [size, free] = ["size", "avail"].map((name) => values.get(`node_filesystem_${name}_bytes`));
    return [key, shareText(size && free !== undefined ? 1 - free / size : undefined), of(free, size)];
  });
  return [
    [["HOSTS", "CPU", "LOAD", "MEMORY"], hosts],
    [["GPUS", "BUSY", "MEMORY", "POWER", "TEMPERATURE"], cards],
    [["DISKS", "USED", "FREE"], disks],
  ];
}

function alertText({ labels, annotations }: TopAlert): string {
  return annotations.summary ?? labels.alertname ?? "";
}

/** Aligned columns: the first to the left, the others to the right. Empty without rows. */
function tableLines(rows: TextTable, columns: number, titles?: readonly string[]): readonly string[] {
  if (rows.length === 0) return [];
  const all = titles === undefined ? rows : [titles, ...rows];
  const widths = all[0]!.map((_, at) => Math.max(...all.map((row) => (row[at] ?? "").length)));
  const others = widths.slice(1).reduce((sum, width) => sum + width + 2, 0);
  widths[0] = Math.min(widths[0]!, Math.max(8, columns - others));
  return all.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cut(cell, widths[0]!).padEnd(widths[0]!) : cell.padStart(widths[at]!)))
      .join("  "),
  );
}

/** A text that is cut to a width. Control characters of labels are replaced, because they would move the cursor. */
function cut(text: string, columns: number): string {
  const plain = text.replaceAll(/\p{Cc}/gu, "?");
  return plain.length <= columns ? plain : `${plain.slice(0, Math.max(0, columns - 1))}…`;
}

function numberText(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "-";
  const units = ["", "k", "M", "G", "T"];
  let [size, at] = [value, 0];
  while (Math.abs(size) >= 9_999.5 && at < units.length - 1) [size, at] = [size / 1_000, at + 1];
  return `${Math.abs(size) >= 1_000 ? Math.round(size) : Number(size.toPrecision(3))}${units[at]}`;
}

function bytesText(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let [size, at] = [value, 0];
  while (size >= 1_023.5 && at < units.length - 1) [size, at] = [size / 1_024, at + 1];
  return `${size >= 1_000 ? Math.round(size) : Number(size.toPrecision(3))} ${units[at]}`;
}

function shareText(share: number | undefined): string {
  return share === undefined ? "-" : `${Math.round(share * 100)} %`;
}

function spanText(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** A value in the unit that the end of the metric's name says. */
function valueText(metric: string, value: number | null): string {
  if (value === null) return "-";
  if (/[._]bytes$/.test(metric)) return bytesText(value);
  const milliseconds = /[._]ms$/.test(metric)
    ? value
    : /[._]seconds$/.test(metric)
      ? value * 1_000
      : undefined;
  if (milliseconds === undefined) return numberText(value);
  return milliseconds >= 1_000 ? `${numberText(milliseconds / 1_000)} s` : `${numberText(milliseconds)} ms`;
}
