/** The policy of Pushgateway's API as data, and its names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const PUSHGATEWAY: Protocol = {
  name: "pushgateway",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: { time: "timestamp", timeUnit: "milliseconds", metric: "metric name", label: "label" },
};
