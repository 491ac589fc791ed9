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
  ownsGroups: false,
  keepsBoundText: false,
};

export const events: Receiver = {
  protocol,
  open({ ingest, limits, series, settings, log, counters }) {
    const decoder = new EventDecoder({
      ...limits,
      eventsMax: settings.eventsMax,
      isAttribute: (metric, tag) => series.isAttribute(metric, tag),
      attributesOf: (metric) => series.attributesOf(metric),
      epoch: () => series.epoch,
    });
    return [pushRoutes({ decoder, ingest, limits, strictEvents: settings.strictEvents, log, counters })];
  },
};
