/**
 * The times of the samples of `target_info`, which says the attributes of a resource
 * (https://prometheus.io/docs/guides/opentelemetry/#promoting-resource-attributes). Pure.
 */

/** Half of Prometheus's look-back, so that a query finds a sample at each time between the points of a request. */
const INTERVAL_US = 150_000_000;
/** Two days. Points that are further apart are imported, or one of their times is wrong. */
const TIMES_MAX = 1_152;

/** The times from the first to the last point of a resource, as Prometheus has them. */
export function targetTimes(earliestUs: number, latestUs: number): number[] {
  if ((latestUs - earliestUs) / INTERVAL_US > TIMES_MAX) return [earliestUs, latestUs];
  const times: number[] = [];
  for (let us = earliestUs; us < latestUs; us += INTERVAL_US) times.push(us);
  times.push(latestUs);
  return times;
}
