/** The metrics of forwarding. The label `destination` has the names of the settings. */
import { Counter, Gauge, Histogram, type MetricsRegistry } from "../model/metrics-library.ts";

/** What some gauges read at each scrape, by destination. */
interface LiveForwarding {
  lags(): Iterable<
    readonly [destination: string, lag: { readonly samples: number; readonly seconds: number }]
  >;
}

export type ForwardCounters = ReturnType<typeof createForwardCounters>;

export function createForwardCounters(registry: MetricsRegistry, live: LiveForwarding) {
  const registers = [registry];
  const labelNames = ["destination"] as const;
  new Gauge({
    name: "weir_forward_lag_samples",
    help: "Stored samples that a destination has not received, by destination.",
    labelNames,
    registers,
    collect() {
      for (const [destination, { samples }] of live.lags()) this.set({ destination }, samples);
    },
  });
  new Gauge({
    name: "weir_forward_lag_seconds",
    help: "Age of the oldest stored sample that a destination has not received, by destination.",
    labelNames,
    registers,
    collect() {
      for (const [destination, { seconds }] of live.lags()) this.set({ destination }, seconds);
    },
  });
  return {
    sent: new Counter({
      name: "weir_forward_samples_total",
      help: "Samples that a destination has taken, by destination.",
      labelNames,
      registers,
    }),
    bytes: new Counter({
      name: "weir_forward_bytes_total",
      help: "Bytes of requests that a destination has taken, compressed, by destination.",
      labelNames,
      registers,
    }),
    retries: new Counter({
      name: "weir_forward_retries_total",
      help: "Failed attempts to send, by destination.",
      labelNames,
      registers,
    }),
    dropped: new Counter({
      name: "weir_forward_dropped_samples_total",
      help: "Samples that a destination never gets, by destination and reason: refused, rejected or unwritten by it, of the same time as a later one, or dropped by retention.",
      labelNames: ["destination", "reason"],
      registers,
    }),
    seconds: new Histogram({
      name: "weir_forward_request_duration_seconds",
      help: "Duration of requests that a destination has taken, with their failed attempts, by destination.",
      labelNames,
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
  };
}
