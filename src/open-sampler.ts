/** Starts the sampler: connects its parts with ingest. */
import type { Config } from "./config/config.ts";
import type { Totals } from "./exposition/totals/totals.ts";
import type { Ingest } from "./ingest/ingest.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { gatewayPart } from "./sampler/own-metrics.ts";
import { createParts } from "./sampler/parts.ts";
import { Sampler } from "./sampler/sampler.ts";

/** What the sampler needs of the gateway. */
interface SampledGateway {
  readonly ingest: Ingest;
  readonly totals: Totals;
  readonly counters: Counters;
  readonly log: Log;
}

/** Starts to sample this machine and the gateway itself. Returns an object that stops both. */
export function startSampler(
  config: Config,
  { ingest, totals, counters, log }: SampledGateway,
): { stop(): Promise<void> } {
  const parts = createParts({
    names: config.samplerParts.filter((name) => name !== "gateway"),
    hostIntervalMs: config.samplerHostIntervalMs,
    gpuIntervalMs: config.samplerGpuIntervalMs,
    hasGpuProcesses: config.samplerGpuProcesses,
    disksIntervalMs: config.samplerDisksIntervalMs,
    containersIntervalMs: config.samplerContainersIntervalMs,
  });
  const options = {
    counters,
    onFailure: (part: string, cause: string, why: string) =>
      log("sampler_failed", { part, cause, error: why }),
    onRecovery: (part: string) => log("sampler_recovered", { part }),
  };
  const machine = new Sampler(parts, (batch) => ingest.push(batch), options);
  const own = gatewayPart({
    intervalMs: config.samplerHostIntervalMs,
    registry: counters.registry,
    lastPushes: () => totals.lastPushRecords(),
  });
  const ownParts = config.samplerParts.includes("gateway") ? [own] : [];
  const self = new Sampler(ownParts, (batch) => ingest.push({ ...batch, protocol: "own" }), options);
  machine.start();
  self.start();
  return {
    async stop() {
      await Promise.all([machine.stop(), self.stop()]);
    },
  };
}
