/** The policy of VictoriaMetrics' import API as data, and its names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const VICTORIA_METRICS: Protocol = {
  name: "victoria_metrics",
  exposed: "by setting",
  countsAsPush: "if exposed",
  returnsEchoes: false,
  // An import has the series of another server, which may have `1` and `1.0` as two series.
  keepsBoundText: true,
  terms: { time: "timestamp", timeUnit: "milliseconds", metric: "__name__", label: "label" },
};
