/**
 * Families of cumulative series, which are exposed as they were sent. Buckets whose bounds are stored as `1` and `1.0`
 * are two lines. A histogram or a summary arrives as separate metrics (`X_bucket`, `X_sum`, `X_count`; `X` with
 * `quantile`). If the metadata says the type, they are assembled again. Without metadata each of them is a family of
 * type `unknown`. The totals of a histogram of increments are assembled in the same way.
 */
import type { Kind, Metric } from "../../model/sample.ts";
import { edgeText, escapeLabelValue } from "../../model/spelling.ts";
import type { DistributionFamily, DistributionPoint, Family } from "../family.ts";

export type EdgeLabel = "le" | "quantile";

export interface CumulativeSample {
  readonly labels: string;
  /** `labels` without `le` or `quantile`. */
  readonly head: string;
  /** The value of that label, if the series has one. */
  readonly edge: string | undefined;
  readonly value: number;
  /** When the total began, µs. Only totals of increments have it. */
  readonly createdUs?: number;
}

interface Distribution {
  readonly type: "histogram" | "summary";
  readonly kind: Kind;
  help: string;
  unit: string;
  readonly points: Map<string, Parts>;
}

interface Parts {
  readonly edges: { edge: string; value: number }[];
  sum?: number;
  count?: number;
  createdUs?: number;
}

/** The families of metrics of kind `cumulative`, and of the parts of histograms of increments, and their exposed samples, in no particular order. */
export function cumulativeFamilies(
  metrics: readonly { readonly metric: Metric; readonly samples: readonly CumulativeSample[] }[],
): Family[] {
  const families: Family[] = [];
  const distributions = new Map<string, Distribution>();
  for (const { metric, samples } of metrics) {
    const { prometheusName: name, type, unit, kind } = metric;
    const role = roleOf(metric);
    if (role === undefined || (type !== "histogram" && type !== "summary")) {
      const help = metric.help || `Pushed as ${metric.name} (cumulative).`;
      const shown = type === "counter" || type === "gauge" ? type : "unknown";
      families.push({ name, help, unit, type: shown, points: samples });
      continue;
    }
    const base = role === "edge" && type === "summary" ? name : name.slice(0, name.lastIndexOf("_"));
    const distribution = distributions.get(base) ?? { type, kind, help: "", unit: "", points: new Map() };
    distributions.set(base, distribution);
    distribution.help ||= metric.help;
    distribution.unit ||= unit;
    for (const sample of samples) gather(distribution, role, sample);
  }
  for (const [name, { type, kind, help, unit, points }] of distributions) {
    families.push({
      name,
      help: help || `Pushed as ${name} (${kind}).`,
      unit,
      type,
      points: assemble(type, points),
    });
  }
  return families;
}

type Role = "edge" | "sum" | "count";

/** The role of a metric's samples in their histogram or summary. */
function roleOf({ prometheusName: name, type }: Metric): Role | undefined {
  if (name.endsWith("_sum")) return "sum";
  if (name.endsWith("_count")) return "count";
  return type === "summary" || name.endsWith("_bucket") ? "edge" : undefined;
}

function gather(
  { points }: Distribution,
  role: Role,
  { head, edge, value, createdUs }: CumulativeSample,
): void {
  const parts: Parts = points.get(head) ?? { edges: [] };
  points.set(head, parts);
  if (role === "count") parts.createdUs = createdUs;
  if (role !== "edge") parts[role] = value;
  else if (edge !== undefined) parts.edges.push({ edge, value });
}

/**
 * Assembles points, in ascending order of labels and edges. A histogram without its last bucket gets it from
 * its count, and the reverse. A histogram that lacks both is left out.
 */
function assemble(type: DistributionFamily["type"], points: ReadonlyMap<string, Parts>): DistributionPoint[] {
  const assembled: DistributionPoint[] = [];
  for (const [labels, { edges, sum, count, createdUs }] of points) {
    edges.sort((a, b) => numberOf(a.edge) - numberOf(b.edge) || (a.edge < b.edge ? -1 : 1));
    const infinite = edges.find(({ edge }) => numberOf(edge) === Number.POSITIVE_INFINITY)?.value;
    const total = count ?? infinite;
    if (type === "histogram") {
      if (total === undefined) continue;
      if (infinite === undefined) edges.push({ edge: "+Inf", value: total });
    }
    assembled.push({
      labels,
      edges: edges.map(({ edge }) => escapeLabelValue(edge)),
      values: edges.map(({ value }) => value),
      sum,
      count: type === "histogram" ? total : count,
      createdUs,
    });
  }
  return assembled.sort((a, b) => (a.labels < b.labels ? -1 : 1));
}

/** The number of a bound, by which edges are sorted. Text that is not a number is NaN, and stays where it is. */
function numberOf(edge: string): number {
  return Number(edgeText(edge).replace("Inf", "Infinity"));
}
