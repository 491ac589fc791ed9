/** Graphite's plaintext protocol over TCP and UDP, as README.md beside this file describes it. */
import type { DatagramAddress } from "../../wire/sockets/datagram-socket.ts";
import type { Receiver } from "../receiver.ts";
import { TextIntake, type TextIntakeSettings } from "../text-intake.ts";
import { GraphiteDecoder } from "./graphite.ts";
import { GRAPHITE } from "./graphite-protocol.ts";
import { GraphiteService } from "./graphite-service.ts";
import { PathTemplates } from "./path-templates.ts";

interface GraphiteSettings extends TextIntakeSettings {
  readonly graphiteListen: readonly DatagramAddress[];
  readonly graphiteTemplates: readonly string[];
  readonly graphiteConnectionsMax: number;
  readonly graphiteIdleMs: number;
  readonly datagramBufferBytes: number;
}

export const graphite: Receiver<GraphiteSettings> = {
  protocol: GRAPHITE,
  open({ ingest, series, settings, log, counters, now }) {
    // Checks the setting, also if nothing listens.
    const templates = new PathTemplates(settings.graphiteTemplates);
    const addresses = settings.graphiteListen;
    if (addresses.length === 0) return { routes: [] };
    const decoder = new GraphiteDecoder(templates, () => series.seriesCount);
    const { graphiteConnectionsMax: connectionsMax, graphiteIdleMs: idleMs, stopTimeoutMs } = settings;
    const { name: protocol } = GRAPHITE;
    const intake = new TextIntake({ protocol, decoder, ingest, settings, counters, log, now });
    const bufferBytes = settings.datagramBufferBytes;
    const service = new GraphiteService({
      ...{ addresses, intake, decoder, connectionsMax, idleMs, bufferBytes, stopTimeoutMs, counters },
    });
    return { routes: [], services: [service] };
  },
};
