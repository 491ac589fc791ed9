/** StatsD and DogStatsD over UDP and Unix datagrams, as README.md beside this file describes them. */
import type { DatagramAddress } from "../../wire/sockets/datagram-socket.ts";
import { DatagramService } from "../datagram-service.ts";
import type { Receiver } from "../receiver.ts";
import { TextIntake, type TextIntakeSettings } from "../text-intake.ts";
import { StatsdDecoder } from "./statsd.ts";
import { STATSD } from "./statsd-protocol.ts";

interface StatsdSettings extends TextIntakeSettings {
  readonly statsdListen: readonly DatagramAddress[];
  readonly datagramBufferBytes: number;
}

export const statsd: Receiver<StatsdSettings> = {
  protocol: STATSD,
  open({ ingest, limits, series, totals, settings, log, counters, now }) {
    const decoder = new StatsdDecoder({
      ...limits,
      isAttribute: (metric, tag) => series.isAttribute(metric, tag),
      epoch: () => series.epoch,
      seriesCount: () => series.seriesCount,
      // The service decodes a batch when all batches before it are committed, so the totals have their values.
      level(head) {
        const found = series.look(head, STATSD.terms);
        if ("refused" in found || found.seriesId === undefined) return undefined;
        return totals.level(found.seriesId);
      },
    });
    const addresses = settings.statsdListen;
    const { name: protocol } = STATSD;
    const intake = new TextIntake({ protocol, decoder, ingest, settings, counters, log, now });
    const bufferBytes = settings.datagramBufferBytes;
    // Made in any case: the counters of a gateway begin at 0, and rules select them.
    const service = new DatagramService({ protocol, addresses, intake, bufferBytes, counters });
    return { routes: [], services: addresses.length === 0 ? [] : [service] };
  },
};
