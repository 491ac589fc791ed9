/**
 * Names of OTLP metrics, labels and units, one line per case. The wanted names are worked out from the rules in
 * Prometheus's documentation of otlp.translation_strategy, from README and code comments of its translator, and from
 * OpenTelemetry's compatibility specification.
 */
import { describe, expect, test } from "bun:test";
import {
  labelName,
  metricName,
  type NamedType,
  TRANSLATIONS,
  unitName,
} from "../../../../src/receive/otlp/labels/translated-names.ts";

type Strategy = keyof typeof TRANSLATIONS;

const named =
  (strategy: Strategy) =>
  (type: NamedType, name: string, unit: string, want: string | undefined): void =>
    test(`${type} ${name} in ${JSON.stringify(unit)} is ${want}`, () =>
      expect(metricName(name, unit, type, TRANSLATIONS[strategy])).toBe(want));

describe("underscore-escaping-with-suffixes:", () => {
  const ok = named("underscore-escaping-with-suffixes");
  // Units that Prometheus spells out.
  ok("gauge", "uptime", "d", "uptime_days");
  ok("gauge", "duration", "h", "duration_hours");
  ok("gauge", "timeout", "min", "timeout_minutes");
  ok("other", "http.server.request.duration", "s", "http_server_request_duration_seconds");
  ok("gauge", "latency", "ms", "latency_milliseconds");
  ok("gauge", "latency", "us", "latency_microseconds");
  ok("gauge", "latency", "ns", "latency_nanoseconds");
  ok("gauge", "system.memory.usage", "By", "system_memory_usage_bytes");
  ok("gauge", "cache", "KiBy", "cache_kibibytes");
  ok("gauge", "cache", "MiBy", "cache_mebibytes");
  ok("gauge", "cache", "GiBy", "cache_gibibytes");
  // Prometheus misspells tebibytes, and a dashboard has its spelling.
  ok("gauge", "cache", "TiBy", "cache_tibibytes");
  ok("gauge", "cache", "KBy", "cache_kilobytes");
  ok("gauge", "cache", "MBy", "cache_megabytes");
  ok("gauge", "cache", "GBy", "cache_gigabytes");
  ok("gauge", "cache", "TBy", "cache_terabytes");
  ok("gauge", "distance", "m", "distance_meters");
  ok("gauge", "rail", "V", "rail_volts");
  ok("gauge", "rail", "A", "rail_amperes");
  ok("counter", "energy", "J", "energy_joules_total");
  ok("gauge", "gpu.power", "W", "gpu_power_watts");
  ok("gauge", "load", "g", "load_grams");
  ok("gauge", "gpu.temperature", "Cel", "gpu_temperature_celsius");
  ok("gauge", "clock", "Hz", "clock_hertz");
  ok("gauge", "fan", "%", "fan_percent");
  // Other units keep their spelling.
  ok("gauge", "cache", "kBy", "cache_kBy");
  ok("gauge", "cpu", "cores", "cpu_cores");
  ok("gauge", "pressure", "[in_i'Hg]", "pressure_in_i_Hg_");
  ok("gauge", "x", "unit__of__mine", "x_unit_of_mine");
  // The unit 1 makes a ratio of a gauge only.
  ok("gauge", "system.cpu.utilization", "1", "system_cpu_utilization_ratio");
  ok("gauge", "cpu_ratio", "1", "cpu_ratio");
  ok("gauge", "ratio_of_cpu", "1", "of_cpu_ratio");
  ok("counter", "jobs_processed_total", "1", "jobs_processed_total");
  ok("other", "jobs_active", "1", "jobs_active");
  ok("gauge", "queue_size", "1", "queue_size_ratio");
  // Annotations are no units.
  ok("counter", "http.server.requests", "{req}", "http_server_requests_total");
  ok("gauge", "messages", "{message}", "messages");
  ok("gauge", "messages", "{message}/s", "messages_per_second");
  ok("gauge", "sent", "By/{batch}", "sent_bytes");
  // Units with a slash.
  ok("gauge", "speed", "m/s", "speed_meters_per_second");
  ok("gauge", "throughput", "By/s", "throughput_bytes_per_second");
  ok("counter", "requests", "1/s", "requests_per_second_total");
  ok("gauge", "requests", "1/m", "requests_per_minute");
  ok("gauge", "requests", "1/h", "requests_per_hour");
  ok("gauge", "requests", "1/d", "requests_per_day");
  ok("gauge", "reports", "1/w", "reports_per_week");
  ok("gauge", "invoices", "1/mo", "invoices_per_month");
  ok("gauge", "renewals", "1/y", "renewals_per_year");
  ok("gauge", "jobs", "1/worker", "jobs_per_worker");
  ok("gauge", "metric", " By / s ", "metric_bytes_per_second");
  ok("gauge", "metric", "By/", "metric_bytes");
  ok("gauge", "metric", "/", "metric");
  ok("gauge", "metric", "By/s/s", "metric_bytes_per_s_s");
  ok("gauge", "metric", "a_$/s", "metric_a_per_second");
  ok("gauge", "metric", "a_$", "metric_a_");
  ok("gauge", "metric", "By/$", "metric_bytes");
  // A unit that the name has is not repeated, wherever it stands.
  ok("other", "job_duration_seconds", "s", "job_duration_seconds");
  ok("gauge", "bytes.used", "By", "bytes_used");
  ok("gauge", "requests_per_second", "1/s", "requests_per_second_per_second");
  // Counters end with total, once.
  ok("counter", "errors_total", "", "errors_total");
  ok("counter", "total.errors", "", "errors_total");
  ok("counter", "cpu.seconds.total", "s", "cpu_seconds_total");
  ok("counter", "process.cpu.time", "s", "process_cpu_time_seconds_total");
  ok("other", "requests_total", "", "requests_total");
  // Characters.
  ok("gauge", "metric__with__underscores", "", "metric_with_underscores");
  ok("gauge", "_private.metric_", "", "private_metric");
  ok("gauge", "rule:sum", "", "rule:sum");
  ok("gauge", "größe.total", "", "gr_e_total");
  ok("gauge", "metric@@##$$name", "", "metric_name");
  ok("gauge", "4xx.errors", "", "_4xx_errors");
  ok("gauge", "@#$%", "", undefined);
  ok("gauge", "@#$%", "By", "bytes");
  ok("gauge", "____", "", undefined);
  ok("gauge", "", "", undefined);
});

describe("underscore-escaping-without-suffixes:", () => {
  const ok = named("underscore-escaping-without-suffixes");
  ok("other", "http.server.request.duration", "s", "http_server_request_duration");
  ok("counter", "http.requests", "1", "http_requests");
  ok("gauge", "queue.size", "1", "queue_size");
  ok("gauge", "metric__with__underscores", "", "metric__with__underscores");
  ok("gauge", "metric@with#special$chars", "", "metric_with_special_chars");
  ok("gauge", "metric@@name!", "", "metric_name");
  ok("gauge", "_private", "", "_private");
  ok("gauge", "123metric", "", "_123metric");
  ok("gauge", "____", "", "____");
  ok("gauge", "_ü_", "", undefined);
  ok("gauge", "@#$%", "", undefined);
});

describe("no-utf8-escaping-with-suffixes:", () => {
  const ok = named("no-utf8-escaping-with-suffixes");
  ok("other", "http.server.request.duration", "s", "http.server.request.duration_seconds");
  ok("counter", "requêsts", "1/s", "requêsts_per_second_total");
  ok("gauge", "cpu_usagé", "1", "cpu_usagé_ratio");
  ok("counter", "cpu_seconds_total", "s", "cpu_seconds_total");
  ok("counter", "requests_per_second_total", "1/s", "requests_per_second_total");
  ok("gauge", "cpu.ratio", "1", "cpu_ratio");
  ok("gauge", "response_time_seconds", "s", "response_time_seconds");
  ok("counter", "@#$%", "", "@#$%_total");
  ok("gauge", "sent", "By/{batch}", "sent_bytes");
});

describe("no-translation:", () => {
  const ok = named("no-translation");
  ok("counter", "http.requests", "1", "http.requests");
  ok("other", "http.request.duration", "ms", "http.request.duration");
  ok("gauge", "4xx", "", "4xx");
  ok("gauge", "", "", undefined);
});

describe("a label", () => {
  const ok = (name: string, want: string | null, unescaped: string | null = name) =>
    test(`${JSON.stringify(name)} is ${want}`, () => {
      expect(labelName(name, TRANSLATIONS["underscore-escaping-with-suffixes"]) ?? null).toBe(want);
      expect(labelName(name, TRANSLATIONS["no-translation"]) ?? null).toBe(unescaped);
    });
  ok("http.method", "http_method");
  ok("machine.id", "machine_id");
  ok("deployment.environment", "deployment_environment");
  ok("label:with:colons", "label_with_colons");
  ok("LabelWithCapitals", "LabelWithCapitals");
  ok("label!with&special$chars)", "label_with_special_chars_");
  ok("label_字符", "label___");
  ok("123label", "key_123label");
  ok("_private", "key_private");
  ok("__reserved__", "__reserved__");
  ok(".hidden", "key_hidden");
  ok("..hidden", "__hidden");
  ok("a..b", "a__b");
  ok("ようこそ", null);
  ok("_", "key_", null);
  ok("__", null, null);
  ok("", null, null);
});

describe("a unit", () => {
  const ok = (unit: string, want: string) =>
    test(`${JSON.stringify(unit)} is ${JSON.stringify(want)} in metadata`, () =>
      expect(unitName(unit)).toBe(want));
  ok("s", "seconds");
  ok("By", "bytes");
  ok("1", "");
  ok("By/s", "bytes_per_second");
  ok("1/s", "per_second");
  ok("{request}", "");
  ok("requests/s", "requests_per_second");
  ok("unit@with#special/chars", "unit_with_special_per_chars");
});
