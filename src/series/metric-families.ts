/**
 * Which metrics claim which name in Prometheus's view. Two exposed metrics share a claimed name only if both have
 * the same name there and the same kind.
 *
 * On /metrics a name is one family. A gauge or cumulative metric that is not exposed, because it was received by
 * remote_write, does not conflict: a histogram `x` that another application exposes is stored as `x_bucket`, `x_sum`
 * and `x_count` beside the observations `x` of workers, as series of the same names with other labels.
 */
import type { Refused } from "./admitted.ts";
import { agree, exposedNames, isMergeable } from "./naming.ts";
import type { RegisteredMetric } from "./registered-metric.ts";

export class Families {
  /** By name in Prometheus's view: the metrics that have samples or a family of this name. */
  readonly #claims = new Map<string, Set<RegisteredMetric>>();

  /**
   * The metrics that claim a name: those with this name in Prometheus, and those that have it as a part, such as
   * `x_bucket` of `x`.
   */
  metricsOf(name: string): Iterable<RegisteredMetric> {
    return this.#claims.get(name) ?? [];
  }

  /**
   * The conflict of a metric with another family that claims one of its names, if there is one.
   *
   * @param exposed whether the samples of the metric are exposed on /metrics
   */
  conflict(metric: RegisteredMetric, exposed: boolean): Refused | undefined {
    for (const name of exposedNames(metric)) {
      for (const other of this.#claims.get(name) ?? []) {
        if (other === metric || fits(metric, exposed, other)) continue;
        return {
          cause: "name",
          refused:
            `metric ${JSON.stringify(metric.name)} (${metric.kind}) would share the name ${name} in Prometheus ` +
            `with metric ${JSON.stringify(other.name)} (${other.kind})`,
        };
      }
    }
    return undefined;
  }

  add(metric: RegisteredMetric): void {
    for (const name of exposedNames(metric)) {
      this.#claims.getOrInsertComputed(name, () => new Set()).add(metric);
    }
  }

  remove(metric: RegisteredMetric): void {
    for (const name of exposedNames(metric)) {
      const claims = this.#claims.get(name);
      claims?.delete(metric);
      if (claims?.size === 0) this.#claims.delete(name);
    }
  }
}

/** Whether two metrics may claim the same name. */
function fits(metric: RegisteredMetric, exposed: boolean, other: RegisteredMetric): boolean {
  const isOneShown = exposed && other.isExposed;
  if (metric.prometheusName === other.prometheusName) {
    // A series that is written without metadata is cumulative until its type is known, also if it is a gauge.
    return metric.kind === other.kind || (agree(metric.kind, other.kind) && !isOneShown);
  }
  return (!isMergeable(metric.kind) && !exposed) || (!isMergeable(other.kind) && !other.isExposed);
}
