/**
 * Resolves conflicts between families that text 0.0.4 allows and OpenMetrics does not. In OpenMetrics a counter
 * `x_total` is the family `x`, and `x_created` is one of its samples
 * (https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md#metricfamily). Clients push
 * both: Python's has a gauge `x_created` with each counter, histogram and summary. No counter's value is left out.
 */
import {
  claims,
  type DistributionPoint,
  type Family,
  isDistribution,
  openMetricsName,
  type ValueFamily,
  type ValuePoint,
} from "./family.ts";

const CREATED = "_created";

/**
 * The same families without conflicts, in their order. `x_created` becomes the creation time of the counter
 * `x_total`, or of the histogram or summary `x`, in the series that both have. A counter `x_total` is `unknown`
 * if another family has the name `x`.
 */
export function withoutClashes(families: readonly Family[]): readonly Family[] {
  const byName = new Map(families.map((family) => [family.name, family]));
  const taken = new Set(families.flatMap(claims));
  const isRenamed = (family: Family) => {
    const name = openMetricsName(family);
    return name !== family.name && taken.has(name);
  };
  /** The family that has `x_created` as a sample. */
  const ownerOf = ({ name }: Family): Family | undefined => {
    if (!name.endsWith(CREATED)) return undefined;
    const base = name.slice(0, -CREATED.length);
    const owner = byName.get(base);
    if (owner !== undefined && isDistribution(owner)) return owner;
    const counter = byName.get(`${base}_total`);
    return counter?.type === "counter" && !isRenamed(counter) ? counter : undefined;
  };
  return families.flatMap((family) => {
    if (ownerOf(family) !== undefined) return [];
    if (isRenamed(family)) return [{ ...(family as ValueFamily), type: "unknown" as const }];
    const created = byName.get(openMetricsName(family) + CREATED);
    if (created === undefined || isDistribution(created) || ownerOf(created) !== family) return [family];
    return [withCreated(family, created.points)];
  });
}

/** Gives each point the creation time of its labels. Both lists are in ascending order of labels. */
function withCreated(family: Family, created: readonly ValuePoint[]): Family {
  let next = 0;
  const timed = <Point extends ValuePoint | DistributionPoint>(point: Point): Point => {
    while (next < created.length && created[next]!.labels < point.labels) next++;
    const at = created[next];
    if (point.createdUs !== undefined || at?.labels !== point.labels || !Number.isFinite(at.value))
      return point;
    return { ...point, createdUs: at.value * 1e6 };
  };
  return isDistribution(family)
    ? { ...family, points: family.points.map(timed) }
    : { ...family, points: family.points.map(timed) };
}
