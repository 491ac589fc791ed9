/** Opens the threads that decode large bodies, as many as the settings and the machine say. */
import { availableParallelism } from "node:os";
import { type Config, pickSettings } from "./config/config.ts";
import type { BodiesInProgress } from "./http/body.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { DecodeWorkers } from "./receive/decoding/decode-workers.ts";
import type { Registry } from "./series/registry.ts";

/** Cores that the first thread and the threads of the store need. */
const CORES_TAKEN = 2;
/** More are never busy: decoding takes no longer than what the first thread does with the result. */
const WORKERS_MAX = 8;

export function openDecodeWorkers(
  config: Config,
  {
    log,
    registry,
    counters,
    inProgress,
  }: { log: Log; registry: Registry; counters: Counters; inProgress: BodiesInProgress },
): DecodeWorkers {
  const { decodeWorkers } = config;
  return new DecodeWorkers({
    workersMax: decodeWorkers === "auto" ? workersFor(availableParallelism()) : Number(decodeWorkers),
    limits: pickSettings(
      config,
      "nameBytesMax",
      "tagsMax",
      "tagValueBytesMax",
      "eventsMax",
      "inflatedBytesMax",
    ),
    inProgress,
    rules: () => ({ epoch: registry.epoch, ...registry.attributeRules() }),
    rulesEpoch: () => registry.epoch,
    seriesCount: () => registry.seriesCount,
    onBody: (outcome) => counters.bodiesDecodedBeside.inc({ outcome }),
    onFault: (error) => log("decode_fault", { error: error.message }),
  });
}

/** How many threads decode on a machine with this number of cores. */
export function workersFor(cores: number): number {
  return Math.max(0, Math.min(WORKERS_MAX, cores - CORES_TAKEN));
}
