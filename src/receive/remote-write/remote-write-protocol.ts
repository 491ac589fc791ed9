/** The policy of remote_write as data, and its names for the parts of a sample. */
import type { Protocol } from "../../model/protocol.ts";

export const REMOTE_WRITE: Protocol = {
  name: "remote_write",
  exposed: "by setting",
  countsAsPush: "if exposed",
  returnsEchoes: true,
  keepsBoundText: true,
  terms: { time: "timestamp", timeUnit: "milliseconds", metric: "__name__", label: "label" },
};
