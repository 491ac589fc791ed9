/** Metrics by Datadog's API, from Agents and from clients, as README.md beside this file describes them. */
import type { Receiver } from "../receiver.ts";
import { DATADOG } from "./datadog-protocol.ts";
import { datadogRoutes } from "./datadog-routes.ts";
import { SeriesGatherer } from "./series-gatherer.ts";
import { JsonSeriesDecoder } from "./series-json.ts";
import { ProtobufSeriesDecoder } from "./series-protobuf.ts";
import { SketchDecoder } from "./sketches.ts";

export const datadog: Receiver = {
  protocol: DATADOG,
  open({ limits, ingest, log, counters }) {
    const gatherer = new SeriesGatherer();
    const decoders = {
      json: new JsonSeriesDecoder(gatherer),
      protobuf: new ProtobufSeriesDecoder(gatherer),
      sketches: new SketchDecoder(gatherer),
    };
    return { routes: [datadogRoutes({ decoders, ingest, limits, log, counters })] };
  },
};
