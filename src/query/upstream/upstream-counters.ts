/** The metrics of the upstream. */
import { Counter, Gauge, Histogram, type MetricsRegistry } from "../../model/metrics-library.ts";
import { OUTCOMES } from "./api-server.ts";

export function createUpstreamCounters(registry: MetricsRegistry, isOpen: () => boolean) {
  const registers = [registry];
  new Gauge({
    name: "weir_upstream_circuit_open",
    help: "1 while the upstream is not asked, because it has failed.",
    registers,
    collect() {
      this.set(isOpen() ? 1 : 0);
    },
  });
  const requests = new Counter({
    name: "weir_upstream_requests_total",
    help: "Requests to the upstream, by outcome: ok, refused (4xx), timeout, error, or skipped while the circuit was open.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of OUTCOMES) requests.inc({ outcome }, 0);
  return {
    requests,
    bytes: new Counter({
      name: "weir_upstream_bytes_total",
      help: "Bytes of answers of the upstream.",
      registers,
    }),
    opened: new Counter({
      name: "weir_upstream_circuit_opened_total",
      help: "How often the upstream was no longer asked, because it had failed several times in a row.",
      registers,
    }),
    seconds: new Histogram({
      name: "weir_upstream_request_duration_seconds",
      help: "Duration of requests to the upstream.",
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
  };
}
