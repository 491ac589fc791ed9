/** Metrics by Datadog's API, from Agents and from clients, as README.md beside this file describes them. */
import { BodyDecoder } from "../body-decoder.ts";
import type { Receiver } from "../receiver.ts";
import { DATADOG } from "./datadog-protocol.ts";
import { datadogRoutes } from "./datadog-routes.ts";
import { SeriesGatherer } from "./series-gatherer.ts";
import { JsonSeriesDecoder } from "./series-json.ts";
import { ProtobufSeriesDecoder } from "./series-protobuf.ts";
import { SketchDecoder } from "./sketches.ts";

export const datadog: Receiver = {
  protocol: DATADOG,
  open({ limits, ingest, series, log, counters }) {
    const make = () => {
      const gatherer = new SeriesGatherer(() => series.seriesCount);
      return {
        json: new JsonSeriesDecoder(gatherer),
        protobuf: new ProtobufSeriesDecoder(gatherer),
        sketches: new SketchDecoder(gatherer),
      };
    };
    const decoder = new BodyDecoder(make, limits.inProgress);
    return { routes: [datadogRoutes({ decoder, ingest, limits, log, counters })] };
  },
};
