/**
 * The gateway's own process, as rows. `/metrics` exposes the current `process_…`. Here their history is stored.
 * The names begin with `weir_process_`, so that the two are never in one family.
 */
import { openFileCount } from "../exposition/process-metrics.ts";
import { cumulative, gauge } from "./batch.ts";
import type { Part, PartOptions } from "./part.ts";

const CPU = cumulative(
  "weir_process_cpu_seconds_total",
  "CPU time of the gateway's process, user and system.",
);
const RESIDENT = gauge("weir_process_resident_memory_bytes", "Resident memory of the gateway's process.");
const OPEN_FILES = gauge("weir_process_open_fds", "Open file descriptors of the gateway's process.");
const START_TIME = gauge(
  "weir_process_start_time_seconds",
  "When the gateway's process started, in seconds since the epoch.",
);

export function processPart({ intervalMs }: PartOptions): Part {
  const startTimeSeconds = Math.round(performance.timeOrigin) / 1000;
  return {
    name: "process",
    intervalMs,
    isQuick: true,
    async collect(reading) {
      const cpu = process.cpuUsage();
      reading.add(CPU, (cpu.user + cpu.system) / 1e6);
      reading.add(RESIDENT, process.memoryUsage.rss());
      reading.add(START_TIME, startTimeSeconds);
      if (process.platform === "linux") {
        reading.add(OPEN_FILES, await openFileCount());
      }
    },
  };
}
