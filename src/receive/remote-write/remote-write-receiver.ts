/** Prometheus remote_write 1.0 and 2.0 (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/). */
import { FamilyMetadata } from "../../wire/exposition-formats/family-metadata.ts";
import type { SeriesHead } from "../../model/sample.ts";
import { BodyDecoder } from "../body-decoder.ts";
import type { WrittenTask } from "../decoding/decode-messages.ts";
import type { Receiver } from "../receiver.ts";
import { RemoteWriteDecoder } from "./remote-write.ts";
import { REMOTE_WRITE } from "./remote-write-protocol.ts";
import { remoteWriteRoutes } from "./remote-write-routes.ts";
import { RemoteWriteV2Decoder } from "./remote-write-v2.ts";
import { seriesHead } from "./written-labels.ts";

export const remoteWrite: Receiver = {
  protocol: REMOTE_WRITE,
  open({ ingest, limits, layouts, series, counters, decodeWorkers }) {
    const metadata = new FamilyMetadata();
    const { inProgress } = limits;
    const seriesCount = () => series.seriesCount;
    const decoders = {
      v1: new BodyDecoder(() => new RemoteWriteDecoder({ layouts, metadata, seriesCount }), inProgress),
      v2: new BodyDecoder(() => new RemoteWriteV2Decoder({ layouts, seriesCount }), inProgress),
    };
    const noteHead = (head: SeriesHead): SeriesHead => {
      // Native histograms, which this thread decodes, get the bounds that classic ones have.
      for (const version of [decoders.v1, decoders.v2])
        version.eachDecoder((decoder) => decoder.noteHead(head));
      return head;
    };
    const beside = {
      // Metadata that other requests have is only known here.
      v1: decodeWorkers.of<WrittenTask>(
        "remote_write_1",
        ({ metric, labels }) => noteHead(seriesHead(metric, labels, metadata.of(metric))),
        () => metadata.version,
      ),
      v2: decodeWorkers.of<WrittenTask>("remote_write_2", noteHead),
    };
    return { routes: [remoteWriteRoutes({ decoders, beside, ingest, limits, counters })] };
  },
};
