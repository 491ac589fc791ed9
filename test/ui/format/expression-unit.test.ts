/** The unit of an expression: certain, or none. */
import { expect, test } from "bun:test";
import { unitOfExpression } from "../../../src/ui/format/expression-unit.ts";

test.each([
  // Events per second, not milliseconds.
  ["sum by (le) (rate(task_processing_duration_ms_bucket[5m]))", ""],
  ["rpc_seconds_bucket", ""],
  ["sum(rate(task_processing_duration_ms_count[5m]))", ""],
  ["histogram_quantile(0.95, sum by (le) (rate(task_processing_duration_ms_bucket[5m])))", "ms"],
  ["histogram_quantile(0.9, sum(rate(rpc_seconds[5m])))", "seconds"],
  ["sum(rate(rpc_seconds_sum[5m])) / sum(rate(rpc_seconds_count[5m]))", "seconds"],
  ["rate(rpc_seconds_sum[5m]) / rate(http_seconds_count[5m])", ""],
  ["node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", ""],
  ["node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "bytes"],
  ["rate(node_network_receive_bytes_total[5m])", "bytes/s"],
  // A share of a processor.
  ['sum without (cpu) (rate(node_cpu_seconds_total{mode="idle"}[2m]))', ""],
  ["increase(node_cpu_seconds_total[1h])", "seconds"],
  ["count(node_filesystem_size_bytes > 1e9)", ""],
  ["max_over_time(gpu_utilization_ratio[10m]) > 0.5", "ratio"],
  ["1 - gpu_utilization_ratio", "ratio"],
  ["gpu_power_watts * 2", ""],
  ["node_load1 > bool 3", ""],
  ["time() - weir_last_push_timestamp_seconds", "seconds"],
  ["avg by (duration_ms) (node_load1)", ""],
  ['a_bytes{x="/"} # per_ms', "bytes"],
  ["a_bytes offset 5m or b_seconds", ""],
  ["(", ""],
])("%p", (expr, unit) => {
  expect(unitOfExpression(expr)).toBe(unit);
});
