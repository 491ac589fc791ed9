/** Which metric owns which name in Prometheus's view: no two families may share one, but those that are spelled alike. */
import type { Kind } from "../sample.ts";
import type { Refused } from "./contract.ts";
import { exposedNames } from "./naming.ts";
import type { RegisteredMetric } from "./registered-metric.ts";

interface Owner {
  readonly prometheusName: string;
  readonly kind: Kind;
  readonly metric: string;
}

export class Families {
  readonly #owners = new Map<string, Owner>();

  /** Says which name a new metric would share with another family, if any. */
  conflict(metric: RegisteredMetric): Refused | undefined {
    for (const name of exposedNames(metric)) {
      const owner = this.#owners.get(name);
      if (owner === undefined) continue;
      if (owner.kind === metric.kind && owner.prometheusName === metric.prometheusName) continue;
      return {
        cause: "name",
        refused:
          `metric ${JSON.stringify(metric.name)} (${metric.kind}) would share the name ${name} in Prometheus ` +
          `with metric ${JSON.stringify(owner.metric)} (${owner.kind})`,
      };
    }
    return undefined;
  }

  add(metric: RegisteredMetric): void {
    const { prometheusName, kind } = metric;
    for (const name of exposedNames(metric)) {
      if (!this.#owners.has(name)) this.#owners.set(name, { prometheusName, kind, metric: metric.name });
    }
  }

  /** Gives a metric's names to another of the others that is spelled alike, or free. */
  remove(metric: RegisteredMetric, others: Iterable<RegisteredMetric>): void {
    const sibling = Iterator.from(others).find((other) => other.prometheusName === metric.prometheusName);
    for (const name of exposedNames(metric)) {
      const owner = this.#owners.get(name);
      if (owner?.metric !== metric.name) continue;
      if (sibling === undefined) this.#owners.delete(name);
      else this.#owners.set(name, { ...owner, metric: sibling.name });
    }
  }
}
