/** Values of event counters as samples of remote_write. */
import type { CounterPoint } from "../event-counters/counter-stream.ts";
import type { OutputNames } from "./output-series.ts";
import type { PointCollector } from "./points.ts";

export function addCounterPoints(
  collector: PointCollector,
  names: OutputNames,
  points: readonly CounterPoint[],
): void {
  for (const { series, ms, count, sum, buckets } of points) {
    const outputs = names.counters(series);
    if (outputs.total !== undefined) collector.add(collector.placeOf(outputs.total), ms, sum);
    let below = 0;
    for (let at = 0; at < buckets.length; at++) {
      below += buckets[at]!;
      const output = outputs.buckets[at];
      if (output !== undefined) collector.add(collector.placeOf(output), ms, below);
    }
    if (outputs.sum !== undefined) collector.add(collector.placeOf(outputs.sum), ms, sum);
    if (outputs.count !== undefined) collector.add(collector.placeOf(outputs.count), ms, count);
  }
}
