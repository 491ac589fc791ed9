/** The policy of StatsD. */
import type { Protocol } from "../../model/protocol.ts";

export const STATSD: Protocol = {
  name: "statsd",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: { time: "time", timeUnit: "seconds", metric: "name", label: "tag" },
};
