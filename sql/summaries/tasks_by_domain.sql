-- For which domains do tasks run, and how?
-- Tasks by domain: how many, how many failed, and how long they took. A task failed when its status is 400 or more, or
-- is not a number (`unknown`: there was no answer), except for `success` and `ok`.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter tasks_metric metric = task.processing_duration_ms: one sample per task, its duration
-- parameter unit_ms number = 1: milliseconds in the unit of the durations; 1000 where they are seconds
-- parameter domain_tag tag = domain: where the request of a task goes
-- parameter http_status_tag tag = http_status: how a task ended
-- table tasks of $tasks_metric: domain = $domain_tag, http_status = $http_status_tag
SELECT
  coalesce(domain, '(none)') AS domain,
  count(*) AS tasks,
  count(*) FILTER (WHERE failed) AS failed,
  round(100 * count(*) FILTER (WHERE failed) / count(*), 4) AS failed_percent,
  round(favg(value) * $unit_ms, 3) AS mean_ms,
  round(quantile_cont(value, 0.95) * $unit_ms, 3) AS p95_ms,
  round(max(value) * $unit_ms, 3) AS max_ms
FROM (
  SELECT
    domain,
    value,
    coalesce(TRY_CAST(http_status AS INTEGER) >= 400, lower(http_status) NOT IN ('success', 'ok')) AS failed
  FROM tasks
  WHERE ts >= $from AND ts < $to
)
GROUP BY ALL
ORDER BY tasks DESC, domain;
