/** The Influx line protocol over HTTP, as README.md beside this file describes it. */
import { BodyDecoder } from "../body-decoder.ts";
import { PushWarnings } from "../push-warnings.ts";
import type { Receiver } from "../receiver.ts";
import { INFLUX } from "./influx-protocol.ts";
import { influxQueryRoutes } from "./influx-query.ts";
import { influxWriteRoutes } from "./influx-writes.ts";

interface InfluxSettings {
  readonly attributes: readonly string[];
  readonly eventsMax: number;
  readonly influxEvents: readonly string[];
  readonly influxSeparator: string;
  readonly influxValueSuffix: boolean;
}

export const influx: Receiver<InfluxSettings> = {
  protocol: INFLUX,
  open({ ingest, limits, series, settings, log, counters, page }) {
    const options = {
      ...limits,
      samplesMax: settings.eventsMax,
      attributes: settings.attributes,
      events: settings.influxEvents,
      separator: settings.influxSeparator,
      valueSuffix: settings.influxValueSuffix,
      isAttribute: (metric: string, tag: string) => series.isAttribute(metric, tag),
      attributesOf: (metric: string) => series.attributesOf(metric),
      kindOf: (metric: string) => series.metric(metric)?.kind,
      epoch: () => series.epoch,
      seriesCount: () => series.seriesCount,
    };
    const load = async () => {
      const { LineDecoder } = await import("./line-protocol.ts");
      return () => new LineDecoder(options);
    };
    const decoder = new BodyDecoder({ load }, limits.inProgress);
    const warnings = new PushWarnings(log, counters);
    return {
      routes: [influxWriteRoutes({ decoder, ingest, limits, warnings }), influxQueryRoutes({ limits, page })],
    };
  },
};
