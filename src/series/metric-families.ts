/**
 * Which metrics claim which name in Prometheus's view. Two metrics of other names never claim the same, but where they
 * are spelled alike and their kinds agree.
 *
 * On /metrics a name is one family. What is written here by those who are scraped as well is not shown there, and need
 * not give way: a histogram `x` that another application exposes is stored as `x_bucket`, `x_sum` and `x_count` beside
 * the observations `x` of workers, as series of the same names with other labels.
 */
import type { Refused } from "./admitted.ts";
import { agree, exposedNames, isMergeable } from "./naming.ts";
import type { RegisteredMetric } from "./registered-metric.ts";

export class Families {
  /** By name in Prometheus's view: the metrics that have samples called so, or their family. */
  readonly #claims = new Map<string, Set<RegisteredMetric>>();

  /** The metrics that claim a name: those spelled alike, and those of which it is a part. */
  metricsOf(name: string): Iterable<RegisteredMetric> {
    return this.#claims.get(name) ?? [];
  }

  /**
   * Says which name a metric would share with another family, if any.
   *
   * @param exposed whether its samples are for /metrics
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
      const claims = this.#claims.get(name);
      if (claims === undefined) this.#claims.set(name, new Set([metric]));
      else claims.add(metric);
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

/** Whether a metric may be beside another that claims the same name. */
function fits(metric: RegisteredMetric, exposed: boolean, other: RegisteredMetric): boolean {
  const isOneShown = exposed && other.isExposed;
  if (metric.prometheusName === other.prometheusName) {
    // What is written without metadata is cumulative until its type is known, be it a gauge.
    return metric.kind === other.kind || (agree(metric.kind, other.kind) && !isOneShown);
  }
  return (!isMergeable(metric.kind) && !exposed) || (!isMergeable(other.kind) && !other.isExposed);
}
