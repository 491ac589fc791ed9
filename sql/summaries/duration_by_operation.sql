-- How long does each operation take?
-- Mean, least, greatest and the 50th, 95th and 99th percentile of the durations, in the metric's own unit. What has
-- no operation goes by its type.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter metric metric = http.request.duration_ms: the durations
-- table durations of $metric: operation, type
SELECT
  operation,
  count,
  round(mean, 3) AS mean,
  least AS min,
  greatest AS max,
  round(percentiles[1], 3) AS p50,
  round(percentiles[2], 3) AS p95,
  round(percentiles[3], 3) AS p99
FROM (
  SELECT
    coalesce(operation, type, '(none)') AS operation,
    count(*) AS count,
    avg(value) AS mean,
    min(value) AS least,
    max(value) AS greatest,
    quantile_cont(value, [0.5, 0.95, 0.99]) AS percentiles
  FROM durations
  WHERE ts >= $from AND ts < $to
  GROUP BY ALL
)
ORDER BY count DESC, operation;
