/**
 * Which metric owns which name in Prometheus's view. Two families share a name only if they are spelled alike there and
 * their kinds agree; of two whose kinds are not the same, at most one may be on /metrics.
 */
import type { Kind } from "../sample.ts";
import type { Refused } from "./contract.ts";
import { agree, exposedNames } from "./naming.ts";
import type { RegisteredMetric } from "./registered-metric.ts";

interface Owner {
  readonly prometheusName: string;
  readonly kind: Kind;
  readonly metric: string;
}

export class Families {
  readonly #owners = new Map<string, Owner>();
  /** By Prometheus name: the metrics that are spelled so there. */
  readonly #spelled = new Map<string, Set<RegisteredMetric>>();

  /** The metrics whose samples may be called `name` in Prometheus's view: more than one where they are spelled alike. */
  metricsOf(name: string): Iterable<RegisteredMetric> {
    const owner = this.#owners.get(name);
    return owner === undefined ? [] : (this.#spelled.get(owner.prometheusName) ?? []);
  }

  /**
   * Says which name a new metric would share with another family, if any.
   *
   * @param exposed whether its samples are for /metrics
   */
  conflict(metric: RegisteredMetric, exposed: boolean): Refused | undefined {
    for (const name of exposedNames(metric)) {
      const owner = this.#owners.get(name);
      if (owner === undefined) continue;
      if (owner.prometheusName === metric.prometheusName && this.#fitsBeside(metric, exposed)) continue;
      return {
        cause: "name",
        refused:
          `metric ${JSON.stringify(metric.name)} (${metric.kind}) would share the name ${name} in Prometheus ` +
          `with metric ${JSON.stringify(owner.metric)} (${owner.kind})`,
      };
    }
    return undefined;
  }

  /**
   * Whether a metric may be beside those that are spelled alike. What is written without metadata is cumulative until
   * its type is known: beside a gauge that is pushed it is another series of the same name.
   */
  #fitsBeside({ kind, prometheusName }: RegisteredMetric, exposed: boolean): boolean {
    for (const other of this.#spelled.get(prometheusName) ?? []) {
      if (other.kind === kind) continue;
      if (!agree(other.kind, kind) || (exposed && other.isExposed)) return false;
    }
    return true;
  }

  add(metric: RegisteredMetric): void {
    const { prometheusName, kind } = metric;
    for (const name of exposedNames(metric)) {
      if (!this.#owners.has(name)) this.#owners.set(name, { prometheusName, kind, metric: metric.name });
    }
    const spelled = this.#spelled.get(prometheusName);
    if (spelled === undefined) this.#spelled.set(prometheusName, new Set([metric]));
    else spelled.add(metric);
  }

  /** Gives a metric's names to another that is spelled alike, or free. */
  remove(metric: RegisteredMetric): void {
    const spelled = this.#spelled.get(metric.prometheusName);
    spelled?.delete(metric);
    const [sibling] = spelled ?? [];
    if (sibling === undefined) this.#spelled.delete(metric.prometheusName);
    for (const name of exposedNames(metric)) {
      const owner = this.#owners.get(name);
      if (owner?.metric !== metric.name) continue;
      if (sibling === undefined) this.#owners.delete(name);
      else this.#owners.set(name, { ...owner, kind: sibling.kind, metric: sibling.name });
    }
  }
}
