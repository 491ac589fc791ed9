/** The gateway's own metrics: their names and types, and the contents of a prom-client registry as families. */
import type { MetricsRegistry } from "../model/metrics-library.ts";
import { labelText, openMetricsFloat } from "../model/spelling.ts";
import type { DistributionPoint, Family, ValuePoint } from "./family.ts";
import { LAST_PUSH } from "./totals/last-pushes.ts";

/** The first family on /metrics, which identifies the exposition. */
export const EXPOSITION_INFO = "weir_exposition_info";

/** A value as prom-client returns it. `metricName` distinguishes the parts of a histogram. */
interface OwnValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

/** The type of one of the gateway's own metrics, by name. Undefined if there is none of this name. */
export function ownMetricType(
  registry: MetricsRegistry,
  name: string,
): Exclude<Family["type"], "unknown"> | undefined {
  if (name === EXPOSITION_INFO) return "gauge";
  const metric = registry.getSingleMetric(name) as
    | { readonly type: Exclude<Family["type"], "unknown"> }
    | undefined;
  return metric?.type;
}

/** Whether a sample of this name on /metrics belongs to one of the gateway's own metrics. */
export function isOwnSample(registry: MetricsRegistry, name: string): boolean {
  if (name === LAST_PUSH || ownMetricType(registry, name) !== undefined) return true;
  const [, base] = /^(.+)_(?:bucket|sum|count)$/.exec(name) ?? [];
  const type = base === undefined ? undefined : ownMetricType(registry, base);
  return type === "histogram" || type === "summary";
}

/** Collects a registry. This runs the `collect` functions of its metrics. */
export async function registryFamilies(registry: MetricsRegistry): Promise<Family[]> {
  const metrics = await registry.getMetricsAsJSON();
  return metrics.map((metric) => {
    const values = metric.values as readonly OwnValue[];
    const named = { name: metric.name, help: metric.help, unit: "" };
    // The declared type is an enumeration, but the values are words.
    const type = String(metric.type);
    if (type === "histogram" || type === "summary") {
      return { ...named, type, points: distributionPoints(metric.name, type, values) };
    }
    const points = values.map(({ labels, value }): ValuePoint => ({ labels: labelsOf(labels), value }));
    return { ...named, type: type === "counter" ? "counter" : "gauge", points: points.sort(byLabels) };
  });
}

interface Parts {
  readonly edges: [number, number][];
  sum?: number;
  count?: number;
}

function distributionPoints(
  name: string,
  type: "histogram" | "summary",
  values: readonly OwnValue[],
): DistributionPoint[] {
  const edgeLabel = type === "histogram" ? "le" : "quantile";
  const points = new Map<string, Parts>();
  for (const { metricName, labels, value } of values) {
    const head = labelsOf(labels, edgeLabel);
    const parts: Parts = points.get(head) ?? { edges: [] };
    points.set(head, parts);
    if (metricName === `${name}_sum`) parts.sum = value;
    else if (metricName === `${name}_count`) parts.count = value;
    else parts.edges.push([Number(String(labels[edgeLabel]).replace("+Inf", "Infinity")), value]);
  }
  return Array.from(points, ([labels, { edges, sum, count }]): DistributionPoint => {
    edges.sort((a, b) => a[0] - b[0]);
    const values = edges.map(([, value]) => value);
    return { labels, edges: edges.map(([edge]) => openMetricsFloat(edge)), values, sum, count };
  }).sort(byLabels);
}

function labelsOf(labels: OwnValue["labels"], without?: string): string {
  const pairs = Object.entries(labels).map(([name, value]) => [name, String(value)] as const);
  return labelText(new Map(pairs), false, without);
}

function byLabels(a: { readonly labels: string }, b: { readonly labels: string }): number {
  return a.labels < b.labels ? -1 : a.labels > b.labels ? 1 : 0;
}
