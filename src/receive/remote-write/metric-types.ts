/** The types of metrics as remote_write numbers them. */
import type { MetricType } from "../../model/sample.ts";

/** The types by their number, in both versions. Weir has no type for a gauge histogram. */
export const METRIC_TYPES: readonly MetricType[] = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "unknown",
  "summary",
  "info",
  "stateset",
];
