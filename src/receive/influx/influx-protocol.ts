/** The policy of the Influx line protocol as data, and its names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const INFLUX: Protocol = {
  name: "influx",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  // The unit of times differs by request: write-answers.ts adds the hints.
  terms: { time: "timestamp", metric: "metric", label: "tag" },
};

/** Where clients of InfluxDB 1 put a password, which is a token here, beside basic authentication. */
export const V1_CREDENTIALS = [{ query: "p" }] as const;
