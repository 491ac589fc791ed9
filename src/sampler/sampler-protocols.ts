/** The protocols of the sampler. Samples that the gateway takes itself are not pushes of a worker. */
import { PLAIN_TERMS, type Protocol } from "../model/protocol.ts";

const ownSamples = {
  countsAsPush: "never",
  returnsEchoes: false,
  keepsBoundText: false,
  terms: PLAIN_TERMS,
} as const;

export const SAMPLER_PROTOCOLS: readonly Protocol[] = [
  { name: "sampler", exposed: "always", ...ownSamples },
  // The gateway's own metrics, stored for queries: /metrics has them already.
  { name: "own", exposed: "never", ...ownSamples },
];
