/** Prometheus remote_write 1.0 and 2.0 (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/). */
import { FamilyMetadata } from "../../wire/exposition-formats/family-metadata.ts";
import { BodyDecoder } from "../body-decoder.ts";
import type { Receiver } from "../receiver.ts";
import { RemoteWriteDecoder } from "./remote-write.ts";
import { REMOTE_WRITE } from "./remote-write-protocol.ts";
import { remoteWriteRoutes } from "./remote-write-routes.ts";
import { RemoteWriteV2Decoder } from "./remote-write-v2.ts";

export const remoteWrite: Receiver = {
  protocol: REMOTE_WRITE,
  open({ ingest, limits, layouts, counters }) {
    const metadata = new FamilyMetadata();
    const { inProgress } = limits;
    const decoders = {
      v1: new BodyDecoder(() => new RemoteWriteDecoder(layouts, metadata), inProgress),
      v2: new BodyDecoder(() => new RemoteWriteV2Decoder(layouts), inProgress),
    };
    return { routes: [remoteWriteRoutes({ decoders, ingest, limits, counters })] };
  },
};
