/** JSON events, as README.md beside this file describes them. */
import type { Receiver } from "../receiver.ts";
import { EventDecoder } from "./events.ts";
import { EVENTS } from "./events-protocol.ts";
import { pushRoutes } from "./push.ts";

interface EventSettings {
  readonly eventsMax: number;
  readonly strictEvents: boolean;
}

export const events: Receiver<EventSettings> = {
  protocol: EVENTS,
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
