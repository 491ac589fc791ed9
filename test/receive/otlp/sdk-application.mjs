/**
 * A worker that is instrumented with the OpenTelemetry SDK for JavaScript, and configured by the variables of
 * OpenTelemetry alone: OTEL_EXPORTER_OTLP_METRICS_PROTOCOL chooses the exporter, the SDK reads the others. It runs under
 * Node. It exports twice: once by a flush, and once when it shuts down. With the argument `once` it only shuts down.
 */
import { DiagLogLevel, diag } from "@opentelemetry/api";
import { OTLPMetricExporter as GrpcExporter } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as JsonExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { detectResources, envDetector } from "@opentelemetry/resources";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";

// Failed exports and partial success are logged here. The test expects no output.
const log = (...parts) => process.stderr.write(`${parts.join(" ")}\n`);
diag.setLogger({ error: log, warn: log, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);

const EXPORTERS = { grpc: GrpcExporter, "http/json": JsonExporter, "http/protobuf": ProtobufExporter };
const Exporter = EXPORTERS[process.env.OTEL_EXPORTER_OTLP_METRICS_PROTOCOL];

const provider = new MeterProvider({
  resource: detectResources({ detectors: [envDetector] }),
  readers: [new PeriodicExportingMetricReader({ exporter: new Exporter(), exportIntervalMillis: 3_600_000 })],
  views: [
    {
      instrumentName: "job_output_size_bytes",
      aggregation: {
        type: AggregationType.EXPONENTIAL_HISTOGRAM,
        options: { maxSize: 160, recordMinMax: true },
      },
    },
  ],
});
const meter = provider.getMeter("render-queue", "1.0.0");

const jobs = meter.createCounter("jobs_processed_total", { description: "Jobs processed", unit: "1" });
const requests = meter.createCounter("http.requests", { unit: "{request}" });
const active = meter.createUpDownCounter("jobs_active", { description: "Jobs that run", unit: "1" });
const queue = meter.createObservableGauge("queue_size", { description: "Jobs that wait", unit: "1" });
const gpu = meter.createObservableGauge("gpu_utilization_percent");
const uptime = meter.createObservableCounter("process.uptime", { unit: "s" });
const duration = meter.createHistogram("job_duration_seconds", {
  description: "Duration of a job",
  unit: "s",
  advice: { explicitBucketBoundaries: [0.1, 0.5, 1, 5, 30, 60] },
});
const outputSize = meter.createHistogram("job_output_size_bytes", { unit: "By" });

let waiting = 7;
queue.addCallback((result) => result.observe(waiting));
gpu.addCallback((result) => {
  result.observe(75, { gpu_index: "0" });
  result.observe(12.5, { gpu_index: "1" });
});
let seconds = 10;
uptime.addCallback((result) => result.observe(seconds));

const labels = { service: "resize", priority: "5", worker_id: "w-1" };
jobs.add(1, { ...labels, status: "started" });
jobs.add(2, { ...labels, status: "completed" });
requests.add(4, { "http.method": "GET", "http.status_code": 200 });
active.add(3, labels);
active.add(-1, labels);
for (const value of [0.05, 0.3, 45]) duration.record(value, labels);
for (const value of [1_000, 3_000]) outputSize.record(value, labels);

if (process.argv[2] !== "once") {
  await provider.forceFlush();
  waiting = 4;
  seconds = 25;
  jobs.add(3, { ...labels, status: "completed" });
  active.add(-1, labels);
  duration.record(0.3, labels);
  outputSize.record(100_000, labels);
}
await provider.shutdown();
