/** The policy of Graphite. */
import type { Protocol } from "../../model/protocol.ts";

export const GRAPHITE: Protocol = {
  name: "graphite",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: { time: "time", timeUnit: "seconds", metric: "path", label: "tag" },
};
