/** The policy of Datadog's API as data, and its names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const DATADOG: Protocol = {
  name: "datadog",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: { time: "timestamp", timeUnit: "seconds", metric: "metric", label: "tag" },
};
