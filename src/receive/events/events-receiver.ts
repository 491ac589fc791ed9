/** JSON events, as README.md beside this file describes them. */
import type { Protocol } from "../../model/protocol.ts";
import type { Receiver } from "../receiver.ts";
import { EventDecoder } from "./events.ts";
import { pushRoutes } from "./push.ts";

const protocol: Protocol = {
  name: "events",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  keepsBoundText: false,
};

interface EventSettings {
  readonly eventsMax: number;
  readonly strictEvents: boolean;
}

export const events: Receiver<EventSettings> = {
  protocol,
  open({ ingest, limits, series, settings, log, counters }) {
    const decoder = new EventDecoder({
      ...limits,
      eventsMax: settings.eventsMax,
      isAttribute: (metric, tag) => series.isAttribute(metric, tag),
      attributesOf: (metric) => series.attributesOf(metric),
      epoch: () => series.epoch,
    });
    const { strictEvents } = settings;
    return { routes: [pushRoutes({ decoder, ingest, limits, strictEvents, log, counters })] };
  },
};
