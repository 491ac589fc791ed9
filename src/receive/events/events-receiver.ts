/** JSON events, as README.md beside this file describes them. */
import { BodyDecoder } from "../body-decoder.ts";
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
    const options = {
      ...limits,
      eventsMax: settings.eventsMax,
      isAttribute: (metric: string, tag: string) => series.isAttribute(metric, tag),
      attributesOf: (metric: string) => series.attributesOf(metric),
      epoch: () => series.epoch,
    };
    const decoder = new BodyDecoder(() => new EventDecoder(options), limits.inProgress);
    const { strictEvents } = settings;
    return {
      routes: [pushRoutes({ decoder, ingest, limits, strictEvents, log, counters })],
      // Strict, since nobody would get a warning.
      decodeRejected: (text) => new EventDecoder(options).decode(Buffer.from(text), { strict: true }),
    };
  },
};
