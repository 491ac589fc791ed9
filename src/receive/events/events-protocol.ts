/** The policy of JSON events as data, and their names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const EVENTS: Protocol = {
  name: "events",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: { time: "@timestamp", timeUnit: "milliseconds", metric: "metric_name", label: "tag" },
};
