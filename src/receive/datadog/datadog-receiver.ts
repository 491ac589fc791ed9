/** Metrics by Datadog's API, from Agents and from clients, as README.md beside this file describes them. */
import { BodyDecoder } from "../body-decoder.ts";
import type { Receiver } from "../receiver.ts";
import { DATADOG } from "./datadog-protocol.ts";
import { datadogRoutes } from "./datadog-routes.ts";

export const datadog: Receiver = {
  protocol: DATADOG,
  open({ limits, ingest, series, log, counters }) {
    const load = async () => {
      const [{ SeriesGatherer }, { JsonSeriesDecoder }, { ProtobufSeriesDecoder }, { SketchDecoder }] =
        await Promise.all([
          import("./series-gatherer.ts"),
          import("./series-json.ts"),
          import("./series-protobuf.ts"),
          import("./sketches.ts"),
        ]);
      return () => {
        const gatherer = new SeriesGatherer(() => series.seriesCount);
        return {
          json: new JsonSeriesDecoder(gatherer),
          protobuf: new ProtobufSeriesDecoder(gatherer),
          sketches: new SketchDecoder(gatherer),
        };
      };
    };
    const decoder = new BodyDecoder({ load }, limits.inProgress);
    return { routes: [datadogRoutes({ decoder, ingest, limits, log, counters })] };
  },
};
