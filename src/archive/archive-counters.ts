/** The metrics of the archive. */
import { Counter, Gauge, Histogram, type MetricsRegistry } from "../model/metrics-library.ts";

/** What some gauges read at each scrape. */
interface LiveArchive {
  waiting(): { readonly days: number; readonly samples: number };
  readonly isFailing: boolean;
  readonly lastSuccessMs: number | undefined;
}

export type ArchiveCounters = ReturnType<typeof createArchiveCounters>;

export function createArchiveCounters(registry: MetricsRegistry, live: () => LiveArchive) {
  const registers = [registry];
  new Gauge({
    name: "weir_archive_waiting_days",
    help: "Days that are over and have samples that the archive does not have.",
    registers,
    collect() {
      this.set(live().waiting().days);
    },
  });
  new Gauge({
    name: "weir_archive_waiting_samples",
    help: "Samples of days that are over that the archive does not have.",
    registers,
    collect() {
      this.set(live().waiting().samples);
    },
  });
  new Gauge({
    name: "weir_archive_failing",
    help: "1 if the last attempt to archive a day failed, else 0.",
    registers,
    collect() {
      this.set(live().isFailing ? 1 : 0);
    },
  });
  new Gauge({
    name: "weir_archive_last_success_timestamp_seconds",
    help: "When a day was last archived, in seconds since the epoch. 0 if none was since the start.",
    registers,
    collect() {
      this.set((live().lastSuccessMs ?? 0) / 1_000);
    },
  });
  return {
    samples: new Counter({
      name: "weir_archive_samples_total",
      help: "Samples of days that were archived.",
      registers,
    }),
    files: new Counter({
      name: "weir_archive_files_total",
      help: "Files that were written to the archive, without those that were there already.",
      registers,
    }),
    bytes: new Counter({
      name: "weir_archive_bytes_total",
      help: "Bytes of files that were written to the archive.",
      registers,
    }),
    failures: new Counter({
      name: "weir_archive_failures_total",
      help: "Attempts to archive a day that failed.",
      registers,
    }),
    dropped: new Counter({
      name: "weir_archive_dropped_samples_total",
      help: "Samples that retention dropped before the archive had them.",
      registers,
    }),
    seconds: new Histogram({
      name: "weir_archive_day_duration_seconds",
      help: "Duration of the archiving of a day.",
      buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800],
      registers,
    }),
  };
}
