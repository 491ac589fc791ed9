/** Prometheus remote_write 1.0 and 2.0 (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/). */
import type { Receiver } from "../receiver.ts";
import { RemoteWriteDecoder } from "./remote-write.ts";
import { REMOTE_WRITE } from "./remote-write-protocol.ts";
import { remoteWriteRoutes } from "./remote-write-routes.ts";
import { RemoteWriteV2Decoder } from "./remote-write-v2.ts";

export const remoteWrite: Receiver = {
  protocol: REMOTE_WRITE,
  open({ ingest, limits, layouts, counters }) {
    const decoders = { v1: new RemoteWriteDecoder(layouts), v2: new RemoteWriteV2Decoder(layouts) };
    return { routes: [remoteWriteRoutes({ decoders, ingest, limits, counters })] };
  },
};
