/** The protocol of samples that rules write. They are computed here, so they are no pushes of a worker. */
import { PLAIN_TERMS, type Protocol } from "../model/protocol.ts";

export const RULES_PROTOCOL: Protocol = {
  name: "rules",
  // A Prometheus that scrapes this gateway has rules of its own, and its own ALERTS. /federate has these series.
  exposed: "never",
  countsAsPush: "never",
  returnsEchoes: false,
  keepsBoundText: true,
  terms: PLAIN_TERMS,
};
