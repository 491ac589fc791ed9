/** The policy of OTLP as data, and its names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const OTLP: Protocol = {
  name: "otlp",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: {
    time: "time_unix_nano",
    timeUnit: "nanoseconds",
    metric: "metric name",
    label: "attribute",
    // A counter of OpenTelemetry can have either temporality.
    kinds: { delta: "delta" },
  },
};

/** The position of samples that belong to no point of the request, such as those of `target_info`. */
export const NO_POINT = 0xffffffff;
