/**
 * The gateway's own metrics as samples. `/metrics` exposes their current values. Here their history is stored
 * for PromQL and SQL, so that the dashboard and the alerts work without any Prometheus. Their protocol is not
 * exposed, because `/metrics` has them already.
 */

import { LAST_PUSH } from "../exposition/totals/last-pushes.ts";
import type { MetricsRegistry } from "../model/metrics-library.ts";
import { openMetricsFloat } from "../model/spelling.ts";
import { cumulative, type Definition, gauge } from "./batch.ts";
import type { Part, PartOptions } from "./part.ts";

interface GatewayOptions extends PartOptions {
  readonly registry: MetricsRegistry;
  /** When each job and instance last pushed. */
  readonly lastPushes: () => Iterable<{
    readonly job: string;
    readonly instance: string;
    readonly pushedAtMs: number;
  }>;
}

const LAST_PUSH_GAUGE = gauge(LAST_PUSH, "When a job and instance last pushed, in seconds since the epoch.", [
  "job",
  "instance",
]);

/** A value as prom-client returns it. `metricName` distinguishes the parts of a histogram. */
interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

/** A series as it was last read, so that its texts are not made again for each reading. */
interface Known {
  readonly metricName: string | undefined;
  readonly labels: Value["labels"];
  readonly definition: Definition;
  readonly texts: readonly string[];
}

export function gatewayPart({ intervalMs, registry, lastPushes }: GatewayOptions): Part {
  // Heads are found by the identity of the definition, so each definition is made once.
  const definitions = new Map<string, Definition>();
  const definitionOf = (name: string, type: string, help: string, labelNames: readonly string[]) => {
    const key = [name, ...labelNames].join("\u0000");
    return definitions.getOrInsertComputed(key, () =>
      (type === "gauge" ? gauge : cumulative)(name, help, labelNames),
    );
  };
  /** By metric, in the order of its values. */
  const known = new Map<string, Known[]>();
  const make = (name: string, type: string, help: string, { metricName, labels }: Value): Known => {
    const labelNames = Object.keys(labels).sort();
    const definition = definitionOf(metricName ?? name, type, help, labelNames);
    return {
      metricName,
      labels: { ...labels },
      definition,
      texts: labelNames.map((label) => labelText(label, labels[label])),
    };
  };
  return {
    name: "gateway",
    intervalMs,
    isQuick: true,
    async collect(reading) {
      for (const { name, help, type, values } of await registry.getMetricsAsJSON()) {
        const series = known.getOrInsertComputed(name, () => []);
        (values as readonly Value[]).forEach((each, at) => {
          let found = series[at];
          if (found === undefined || !isSame(found, each)) {
            found = make(name, String(type), help, each);
            series[at] = found;
          }
          reading.add(found.definition, each.value, ...found.texts);
        });
        series.length = values.length;
      }
      for (const { job, instance, pushedAtMs } of lastPushes()) {
        reading.add(LAST_PUSH_GAUGE, pushedAtMs / 1000, job, instance);
      }
    },
  };
}

function isSame(known: Known, { metricName, labels }: Value): boolean {
  if (known.metricName !== metricName) return false;
  for (const name in labels) if (known.labels[name] !== labels[name]) return false;
  for (const name in known.labels) if (labels[name] === undefined) return false;
  return true;
}

/** Bounds are spelled as everywhere else: `250.0`, `+Inf`. */
function labelText(name: string, value: string | number | undefined): string {
  if (name !== "le" && name !== "quantile") return String(value);
  return openMetricsFloat(Number(String(value).replace("+Inf", "Infinity")));
}
