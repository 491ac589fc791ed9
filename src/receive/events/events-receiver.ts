/** JSON events, as README.md beside this file describes them. */
import { BodyDecoder } from "../body-decoder.ts";
import { PushWarnings } from "../push-warnings.ts";
import type { Receiver } from "../receiver.ts";
import type { ColumnsTask, EventsTask } from "../decoding/decode-messages.ts";
import { ColumnBodies } from "./columns/column-bodies.ts";
import { EventDecoder } from "./events.ts";
import { EVENTS } from "./events-protocol.ts";
import { type DecodedExemplars, exemplarLines } from "./exemplar-lines.ts";
import { pushRoutes } from "./push.ts";
import { rejectedEvent } from "./rejected-event.ts";

interface EventSettings {
  readonly eventsMax: number;
  readonly strictEvents: boolean;
}

export const events: Receiver<EventSettings> = {
  protocol: EVENTS,
  open({ ingest, limits, series, settings, log, counters, decodeWorkers }) {
    const options = {
      ...limits,
      eventsMax: settings.eventsMax,
      isAttribute: (metric: string, tag: string) => series.isAttribute(metric, tag),
      attributesOf: (metric: string) => series.attributesOf(metric),
      epoch: () => series.epoch,
      seriesCount: () => series.seriesCount,
    };
    const decoder = new BodyDecoder(() => new EventDecoder(options), limits.inProgress);
    const columns = new ColumnBodies(options, limits);
    const exemplars = new BodyDecoder(() => options, limits.inProgress);
    const decodeExemplars = async (body: Uint8Array): Promise<DecodedExemplars> => {
      const decoded = await exemplars.decode(body.length, () => exemplarLines(body, options));
      counters.exemplarsDropped.inc(decoded.wrong.length);
      return decoded;
    };
    const beside = {
      events: decodeWorkers.of<EventsTask>("events"),
      columns: decodeWorkers.of<ColumnsTask>("columns"),
    };
    const { strictEvents: strict } = settings;
    const warnings = new PushWarnings(log, counters);
    return {
      routes: [
        pushRoutes({
          ...{ decoder, columns, decodeExemplars, beside, ingest, limits, warnings },
          strictEvents: strict,
        }),
      ],
      async decodeLines(body) {
        const batch = await decoder.decode(body.length, (free) =>
          free.decoding(body, { ndjson: true, strict }),
        );
        if (batch.warnings !== undefined) warnings.note(batch.warnings);
        return batch;
      },
      // Strict, since nobody would get a warning.
      decodeRejected: (text) => new EventDecoder(options).decode(Buffer.from(text), { strict: true }),
      encodeRejected: rejectedEvent,
    };
  },
};
