/**
 * The spelling of names. The store keeps a name as it was pushed. Prometheus sees it with every character
 * outside its classic set replaced by `_`
 * (https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels).
 */
import type { Metric } from "./sample.ts";

/** The metric's name as Prometheus spells it: `http.request.duration_ms` → `http_request_duration_ms`. */
export function prometheusName(metric: string): string {
  const mapped = metric.replace(/[^a-zA-Z0-9_:]/gu, "_");
  return /^[0-9]/.test(mapped) ? `_${mapped}` : mapped;
}

/**
 * The name of the running total of a metric of increments. A part of a histogram, such as `x_bucket`, keeps its name. Any
 * other total ends with `_total`.
 */
export function totalName({ prometheusName: name, type }: Pick<Metric, "prometheusName" | "type">): string {
  return type === "histogram" || name.endsWith("_total") ? name : `${name}_total`;
}

/** Matches most labels. The test is faster than a replacement that replaces nothing. */
const PLAIN = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The label's name as Prometheus spells it. Labels have no colon. */
export function prometheusLabelName(label: string): string {
  if (PLAIN.test(label)) return label;
  const mapped = label.replace(/[^a-zA-Z0-9_]/gu, "_");
  return /^[0-9]/.test(mapped) ? `_${mapped}` : mapped;
}
