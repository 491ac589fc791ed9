-- How long does each operation take?
-- The mean of the durations of each operation, the shortest and the longest, and the 50th, 95th and 99th percentile.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter requests_metric metric = http.request.duration_ms: one sample per request, its duration
-- parameter unit_ms number = 1: milliseconds in the unit of the durations; 1000 where they are seconds
-- parameter operation_tag tag = operation: what the durations are grouped by
-- table requests of $requests_metric: operation = $operation_tag
-- line: printf('%s: %.6g ms', operation, mean_ms)
SELECT
  operation,
  round(mean * $unit_ms, 3) AS mean_ms,
  requests,
  round(shortest * $unit_ms, 3) AS min_ms,
  round(longest * $unit_ms, 3) AS max_ms,
  round(percentiles[1] * $unit_ms, 3) AS p50_ms,
  round(percentiles[2] * $unit_ms, 3) AS p95_ms,
  round(percentiles[3] * $unit_ms, 3) AS p99_ms
FROM (
  SELECT
    coalesce(operation, '(none)') AS operation,
    count(*) AS requests,
    favg(value) AS mean,
    min(value) AS shortest,
    max(value) AS longest,
    quantile_cont(value, [0.5, 0.95, 0.99]) AS percentiles
  FROM requests
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
)
ORDER BY requests DESC, operation;
