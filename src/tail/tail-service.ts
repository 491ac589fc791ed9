/** Follows files while the gateway serves. The gateway stores their lines itself. */
import { join } from "node:path";
import { Counter, Gauge } from "../model/metrics-library.ts";
import type { MappedFormat } from "../line-formats/line-format.ts";
import type { Log } from "../log/log.ts";
import type { Counters } from "../model/counters.ts";
import type { Service } from "../model/service.ts";
import { GatewayLines, type GatewayLinesParts } from "./gateway-lines.ts";
import { Follower, type TailMetrics } from "./follower.ts";

interface TailSettings {
  readonly data: string;
  /** Paths, folders and globs. */
  readonly tail: readonly string[];
  readonly tailFromStart: boolean;
}

interface TailParts {
  readonly config: TailSettings;
  readonly log: Log;
  readonly counters: Counters;
}

/**
 * The service that follows the files of the settings. None if there are none.
 *
 * @param format that of the lines. Undefined for JSON events
 */
export function tailServices(
  { config: settings, log, counters }: TailParts,
  ingest: GatewayLinesParts["ingest"],
  decode: GatewayLinesParts["decode"],
  format: MappedFormat | undefined,
): Service[] {
  if (settings.tail.length === 0) return [];
  const follower = new Follower({
    patterns: settings.tail,
    fromStart: settings.tailFromStart,
    statePath: join(settings.data, "tail.json"),
    labels: [],
    instanceFromName: true,
    store: new GatewayLines({
      ingest,
      decode(body) {
        counters.demand.begin();
        return decode(body);
      },
    }),
    format,
    log,
    metrics: registeredMetrics(counters),
  });
  const service: Service = {
    start() {
      // A gateway whose files cannot be followed still accepts pushes.
      void follower.run().catch((error: unknown) => log("tail_failed", { error: String(error) }));
    },
    async stop() {
      await follower.stop().catch(() => undefined);
    },
  };
  return [service];
}

/** Metrics of the gateway. One that follows no files does not have them, since followers that push have them too. */
function registeredMetrics({ registry }: Counters): TailMetrics {
  const registers = [registry];
  const lagBytes = new Gauge({
    name: "weir_tail_lag_bytes",
    help: "Bytes of followed files whose lines are not stored yet.",
    registers,
  });
  const files = new Gauge({ name: "weir_tail_files", help: "Files that are followed.", registers });
  const lines = new Counter({
    name: "weir_tail_lines_total",
    help: "Lines of followed files that were stored.",
    registers,
  });
  const rejected = new Counter({
    name: "weir_tail_lines_rejected_total",
    help: "Lines of followed files that were rejected.",
    registers,
  });
  return {
    addLines: (count) => lines.inc(count),
    addRejected: (count) => rejected.inc(count),
    set(lag, count) {
      lagBytes.set(lag);
      files.set(count);
    },
  };
}
